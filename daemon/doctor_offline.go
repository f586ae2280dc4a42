package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"gtiv/media/clip"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/queue"
)

// Examine is the doctor of a data folder whose daemon does not run. It opens what a
// start would open, and with it brings the database up to date; it makes no secrets
// and binds nothing. config names the configuration file, "" for none.
func Examine(ctx context.Context, data, config string, fix bool) (_ *protocol.Checkup, err error) {
	if data, err = filepath.Abs(data); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := mayOpen(data); err != nil {
		return nil, err
	}
	cfg, err := Load(config, data, os.Environ())
	if err != nil {
		return nil, err
	}
	d := &Daemon{opt: Options{Data: data, Config: cfg}, log: slog.New(slog.DiscardHandler)}
	if d.lock, err = LockData(data); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()

	var opened protocol.Checkup
	failed := func(name string, err error, hint string) {
		opened.Checks = append(opened.Checks, protocol.Check{Name: name, State: protocol.CheckFail, Text: err.Error(), Hint: hint})
	}
	doc := &doctor{data: data, fix: fix, now: time.Now}
	if d.store, err = store.Open(ctx, store.Config{Path: filepath.Join(data, dbFile)}); err != nil {
		failed("database", err, "Restore a backup, unless the message says what else to do.")
	}
	if d.queue, err = queue.Open(queue.Config{Dir: filepath.Join(data, "queue")}); err != nil {
		failed("queue", err, "")
	}
	if err := d.openBlobs(ctx); err != nil {
		failed("media", err, "")
	} else {
		doc.blobs, doc.staging = d.media.blobs, d.media.staging
	}
	if doc.clips, err = clip.New(clipConfig(cfg)); err != nil {
		failed("configuration", err, "")
	}
	doc.store, doc.queue = d.store, d.queue
	if d.queue != nil {
		for _, name := range []string{topicAnnounce, topicProcess, topicLadder} {
			d.queue.Topic(name, queue.TopicOptions{})
		}
	}
	found, err := doc.run(ctx)
	if err != nil {
		return nil, err
	}
	found.Checks = append(opened.Checks, found.Checks...)
	return &found, nil
}

// mayOpen refuses folders that are no data folder, and users whose new files the
// daemon could not open afterwards.
func mayOpen(data string) error {
	info, err := os.Stat(filepath.Join(data, dbFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not the data folder of a gtiv: there is no %s", data, dbFile)
	}
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to the user %d: while the server does not run, do this as that user (sudo -u)", data, st.Uid)
	}
	return nil
}
