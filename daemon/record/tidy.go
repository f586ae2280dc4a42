package record

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"gtiv/media/record"
	"gtiv/store"
)

const (
	cleanEvery = 20 * time.Second
	cleanPage  = 100
	// expireRounds are cleanings between looks for what is too old.
	expireRounds = 30
	// sureAfter is when a recording that nobody writes to was left behind.
	sureAfter = 2 * time.Minute
)

// tidy finishes what was left behind, and removes what is deleted or too old.
func (s *Service) tidy(ctx context.Context) {
	for _, r := range s.left {
		s.recover(ctx, r, "")
	}
	s.left = nil
	if err := s.compare(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("folder of recordings not looked through", "err", err)
	}
	t := time.NewTicker(cleanEvery)
	defer t.Stop()
	for round := 0; ; round++ {
		clean := s.sweep
		if round%expireRounds == 0 {
			clean = s.Clean
		}
		if err := clean(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("recordings not cleaned up", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// recover finishes a recording that was being written when the process, or the disk,
// ended that.
func (s *Service) recover(ctx context.Context, r store.Recording, reason string) {
	l, err := finish(s.path(r), record.Format(r.Format))
	if err == nil {
		err = s.finished(ctx, r, l, reason)
	}
	if err != nil {
		s.log.Warn("unfinished recording not finished yet", "recording", r.ID, "file", r.Key(), "err", err)
		return
	}
	s.mu.Lock()
	delete(s.late, r.ID)
	s.mu.Unlock()
	s.log.Info("unfinished recording finished", "recording", r.ID, "file", r.Key(), "bytes", l.Bytes, "dur", l.Duration)
}

func finish(path string, format record.Format) (record.Length, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // a name of ours
	if errors.Is(err, os.ErrNotExist) {
		return record.Length{}, nil
	}
	if err != nil {
		return record.Length{}, err
	}
	l, err := record.Finish(f, format)
	return l, errors.Join(err, f.Close())
}

// Clean deletes what is too old, and removes what is deleted.
func (s *Service) Clean(ctx context.Context) error {
	var errs []error
	if keep := s.cfg.Load().Keep; keep > 0 {
		for ctx.Err() == nil {
			n, err := s.store.ExpireRecordings(ctx, s.now().Add(-keep).UnixMilli(), cleanPage)
			errs = append(errs, err)
			if n < cleanPage || err != nil {
				break
			}
		}
	}
	return errors.Join(append(errs, s.sweep(ctx))...)
}

// sweep removes what is deleted, and finishes what nobody writes to any more.
func (s *Service) sweep(ctx context.Context) error {
	var errs []error
	for after := int64(0); ctx.Err() == nil; {
		list, err := s.store.GoneRecordings(ctx, after, cleanPage)
		errs = append(errs, err)
		for _, r := range list {
			after = r.ID
			if !s.writing(r) {
				errs = append(errs, s.remove(ctx, r))
			}
		}
		if len(list) < cleanPage {
			break
		}
	}
	list, err := s.store.RunningRecordings(ctx, 0, cleanPage)
	errs = append(errs, err)
	for _, r := range list {
		s.mu.Lock()
		reason, late := s.late[r.ID]
		s.mu.Unlock()
		if !s.writing(r) && (late || s.now().UnixMilli()-r.Began > sureAfter.Milliseconds()) {
			s.recover(ctx, r, reason)
		}
	}
	return errors.Join(errs...)
}

// writing says whether a recording is being written.
func (s *Service) writing(r store.Recording) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.running[r.Room]
	return v != nil && v.writes(r.ID)
}

// remove removes the file of a deleted recording, then its row.
func (s *Service) remove(ctx context.Context, r store.Recording) error {
	path := s.path(r)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove recording: %w", err)
	}
	_ = os.Remove(filepath.Dir(path)) // if it was the last one of its room
	return s.store.ForgetRecording(ctx, r.ID)
}

// ourName is the name of a recording's file.
var ourName = regexp.MustCompile(`^[0-9]{8}-[0-9]{6}-([0-9]{1,18})\.(mp4|flv)$`)

// compare looks for files without a row, which go, and for rows without a file, which
// have failed.
func (s *Service) compare(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(s.deps.Dir, "*", "*"))
	if err != nil {
		return err
	}
	for _, path := range files {
		m := ourName.FindStringSubmatch(filepath.Base(path))
		if m == nil {
			continue
		}
		id, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			continue
		}
		r, err := s.store.Recording(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound), err == nil && s.path(r) != path:
			s.log.Info("file of no recording removed", "file", filepath.Base(path))
			if err := os.Remove(path); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
	return s.compareRows(ctx)
}

// dropLinks removes second names of files that became no video.
func (s *Service) dropLinks() error {
	names, err := filepath.Glob(filepath.Join(s.deps.Dir, linkPrefix+"*"))
	for _, n := range names {
		err = errors.Join(err, os.Remove(n))
	}
	return err
}

func (s *Service) compareRows(ctx context.Context) error {
	for before := int64(0); ctx.Err() == nil; {
		list, err := s.store.Recordings(ctx, 0, before, cleanPage)
		if err != nil {
			return err
		}
		for _, r := range list {
			before = r.ID
			if r.State != store.RecordingDone {
				continue
			}
			if _, err := os.Stat(s.path(r)); errors.Is(err, os.ErrNotExist) {
				s.log.Warn("the file of a recording is gone", "recording", r.ID, "file", r.Key())
				if err := s.store.LoseRecording(ctx, r.ID, "recordLost"); err != nil {
					return err
				}
			}
		}
		if len(list) < cleanPage {
			return nil
		}
	}
	return nil
}
