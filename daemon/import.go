package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"gtiv/daemon/legacy"
	"gtiv/protocol"
	"gtiv/store"
)

// ImportGtiv brings the dump of an original GTIV server into the data folder of a
// daemon that does not run. Without Apply it does all of it to a copy of the
// database, which is removed again: so a dry run finds what the real one would, and
// the daemon may go on running.
func ImportGtiv(ctx context.Context, ask protocol.ImportGtiv, progress func(string)) (*protocol.ImportReport, error) {
	data, err := filepath.Abs(ask.Data)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := mayOpen(data); err != nil {
		return nil, err
	}
	cfg := legacy.Config{Dump: ask.Dump, Media: ask.Media, By: operator(), Progress: progress}
	if ask.Apply {
		return importInto(ctx, data, ask.Config, cfg)
	}
	return importTry(ctx, data, cfg)
}

func importInto(ctx context.Context, data, config string, cfg legacy.Config) (_ *protocol.ImportReport, err error) {
	c, err := Load(config, data, os.Environ())
	if err != nil {
		return nil, err
	}
	d := &Daemon{opt: Options{Data: data, Config: c}, log: slog.New(slog.DiscardHandler)}
	defer func() { err = errors.Join(err, d.close()) }()
	if d.lock, err = LockData(data); err != nil {
		return nil, importInUse(err)
	}
	if d.store, err = store.Open(ctx, store.Config{Path: filepath.Join(data, dbFile), Progress: cfg.Progress}); err != nil {
		return nil, err
	}
	if err := d.openBlobs(ctx); err != nil {
		return nil, err
	}
	report, err := legacy.Run(ctx, cfg, legacy.Deps{Store: d.store, Blobs: d.media.blobs, Staging: d.media.staging})
	if err == nil {
		report.Applied = true
	}
	return report, err
}

func importTry(ctx context.Context, data string, cfg legacy.Config) (_ *protocol.ImportReport, err error) {
	dir, err := os.MkdirTemp("", "gtiv-import-") // 0700
	if err != nil {
		return nil, fmt.Errorf("make a folder for the copy of the database: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg.Progress("copying the database")
	copied := filepath.Join(dir, dbFile)
	if err := store.Copy(ctx, filepath.Join(data, dbFile), copied); err != nil {
		return nil, fmt.Errorf("copy the database to %s (TMPDIR names another place): %w", dir, err)
	}
	s, err := store.Open(ctx, store.Config{Path: copied})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return legacy.Run(ctx, cfg, legacy.Deps{Store: s})
}

// importInUse says what to do about a daemon that runs.
func importInUse(err error) error {
	if _, running := errors.AsType[*InUseError](err); !running {
		return err
	}
	return &protocol.ControlError{
		Code: "inUse", Message: err.Error(), Hint: "Stop the server for the import. Without --apply, to see what would come, it may run.",
	}
}

// operator is who runs this process, for the audit log.
func operator() string {
	uid := strconv.Itoa(os.Getuid())
	if u, err := user.LookupId(uid); err == nil {
		return fmt.Sprintf("%s (uid %s, pid %d)", u.Username, uid, os.Getpid())
	}
	return fmt.Sprintf("uid %s (pid %d)", uid, os.Getpid())
}
