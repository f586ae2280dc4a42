package blob

import (
	"context"
	"crypto/sha1" //nolint:gosec // names of the contract (wire.md 12), not security
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	// stagingName is the folder of temporary files inside a Store.
	stagingName = "tmp"
	// staleAfter is when a temporary file was left behind: by then everything
	// that writes one has ended or been killed.
	staleAfter = 24 * time.Hour
	sweepEvery = time.Hour
	// checkEvery is how much is written between two looks at the free space.
	checkEvery = 4 << 20
	// defaultMinFree leaves room for the database and the queues.
	defaultMinFree = 512 << 20
)

// Config says where temporary files live, and for a Store also the files.
type Config struct {
	// Dir is the folder, made when missing; temporary files are in Dir/tmp.
	Dir string
	// MinFree is the free disk space in bytes that must be left; default 512 MiB,
	// on a small disk a sixteenth of it.
	MinFree int64
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Logger gets what an operator should know; default discards.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("no folder given")
	}
	c.Dir = filepath.Clean(c.Dir)
	if c.MinFree <= 0 {
		c.MinFree = min(defaultMinFree, diskBytes(c.Dir)/16)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Staging is the area of temporary files. It is part of Store and of S3.
type Staging struct {
	cfg Config
	dir string
}

// openStaging makes the folder and removes everything in it: nobody else uses it, so
// what is there was left behind by a process that was killed.
func openStaging(cfg Config) (*Staging, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Staging{cfg: cfg, dir: filepath.Join(cfg.Dir, stagingName)}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	s.sweep(0) // who wrote them has ended with the process
	return s, nil
}

// Run removes, every hour, temporary files that are older than a day. It returns
// nil when ctx ends.
func (s *Staging) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.sweep(staleAfter)
		}
	}
}

// sweep removes what nobody has written to for so long.
func (s *Staging) sweep(age time.Duration) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.cfg.Logger.Warn("sweep temporary files", "err", err)
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || age > 0 && s.cfg.Now().Sub(info.ModTime()) < age {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
			s.cfg.Logger.Warn("sweep temporary files", "err", err)
			continue
		}
		s.cfg.Logger.Info("temporary file removed", "name", e.Name(), "bytes", info.Size())
	}
}

// Free answers how many bytes this process may still write on the disk, and how many
// of them are kept free.
func (s *Staging) Free() (free, reserve int64) { return freeBytes(s.dir), s.cfg.MinFree }

// Room returns ErrNoSpace unless size more bytes fit and leave the reserve free.
func (s *Staging) Room(size int64) error {
	if free := freeBytes(s.dir); free-max(size, 0) < s.cfg.MinFree {
		return fmt.Errorf("%w: %d MiB free, %d MiB are kept free", ErrNoSpace, free>>20, s.cfg.MinFree>>20)
	}
	return nil
}

// Folder makes an empty folder whose content PutDir can move. It is swept a day
// after the last file was made in it. ErrNoSpace.
func (s *Staging) Folder() (string, error) {
	if err := s.Room(0); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(s.dir, "dir-*")
	if err != nil {
		return "", fmt.Errorf("make temporary folder: %w", spaceError(err))
	}
	return dir, nil
}

// Incoming makes a temporary file that takes at most limit bytes and is hashed
// while it is written. ErrNoSpace.
func (s *Staging) Incoming(limit int64) (*Incoming, error) {
	in, err := s.Unhashed(limit)
	if err == nil {
		in.sha256, in.sha1 = sha256.New(), sha1.New() //nolint:gosec // names, not security
	}
	return in, err
}

// Unhashed is Incoming for what needs no hash, which saves half the processor time.
func (s *Staging) Unhashed(limit int64) (*Incoming, error) {
	if err := s.Room(0); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(s.dir, "in-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", spaceError(err))
	}
	return &Incoming{staging: s, f: f, path: f.Name(), limit: limit}, nil
}

// Adopt makes a temporary file of a finished one on the same file system, which
// is moved: of an upload that another library has assembled, for instance. It is
// read once for its hashes. ErrTooBig, when it stays where it is.
func (s *Staging) Adopt(path string, limit int64) (*Incoming, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("adopt file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("adopt file %s: not a regular file", path)
	}
	if info.Size() > limit {
		return nil, ErrTooBig
	}
	name := filepath.Join(s.dir, "in-"+randomName())
	if err := os.Rename(path, name); err != nil {
		return nil, fmt.Errorf("adopt file: %w", err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0) //nolint:gosec // a name of ours
	if err != nil {
		return nil, errors.Join(fmt.Errorf("adopt file: %w", err), os.Remove(name))
	}
	in := &Incoming{staging: s, f: f, path: name, limit: limit, sha256: sha256.New(), sha1: sha1.New()} //nolint:gosec // names, not security
	if err := in.rehash(); err != nil {
		return nil, errors.Join(fmt.Errorf("adopt file: %w", err), in.Close())
	}
	return in, nil
}

// notExist turns the absence of a file into ErrNotFound and keeps other errors.
func notExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return ErrNotFound
	}
	return err
}
