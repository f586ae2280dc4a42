package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gtiv/store/blob"
)

const (
	sweepEvery  = time.Hour
	expireEvery = 24 * time.Hour
	sweepPage   = 1000
	maxGone     = 256 // accounts that wait; the others go with the next sweep
)

// Run removes what has expired: unfinished uploads every hour, chat media every
// day, and both soon after the start; and what belongs to deleted accounts, at once
// or, if that failed, with the chat media. It returns nil when ctx ends.
func (s *Server) Run(ctx context.Context) error {
	var expired time.Time
	wait := time.NewTimer(time.Minute)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case user := <-s.gone:
			if _, err := s.forget(ctx, user); err != nil && ctx.Err() == nil {
				s.log.Warn("uploads of a deleted account not removed yet", "user", user, "err", err)
			}
			continue
		case <-wait.C:
			wait.Reset(sweepEvery)
		}
		if err := s.SweepUploads(); err != nil {
			s.log.Warn("sweep unfinished uploads", "err", err)
		}
		if time.Since(expired) < expireEvery {
			continue
		}
		expired = time.Now()
		n, err := s.ExpireMedia(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("expire chat media", "err", err)
		}
		if n > 0 {
			s.log.Info("chat media expired", "files", n)
		}
		if n, err = s.ForgetDeleted(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("remove uploads of deleted accounts", "err", err)
		}
		if n > 0 {
			s.log.Info("uploads of deleted accounts removed", "accounts", n)
		}
	}
}

// Gone says that an account may have been deleted. It does not wait; Run looks.
func (s *Server) Gone(user int64) {
	select {
	case s.gone <- user:
	default: // the next sweep finds it
	}
}

// ForgetDeleted removes the files of all deleted accounts. It answers of how many.
func (s *Server) ForgetDeleted(ctx context.Context) (int, error) {
	return s.eachFolder(ctx, "u/", func(name string) (int, error) {
		user, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			return 0, nil //nolint:nilerr // not ours
		}
		return s.forget(ctx, user)
	})
}

// forget removes the files of a user, if the account was deleted.
func (s *Server) forget(ctx context.Context, user int64) (int, error) {
	if s.deps.Deleted == nil {
		return 0, nil
	}
	if deleted, err := s.deps.Deleted(ctx, user); err != nil || !deleted {
		return 0, err
	}
	err := errors.Join(os.RemoveAll(s.userDir(user)), s.deps.Blobs.Delete(ctx, Prefix(user)))
	if err != nil {
		return 0, fmt.Errorf("remove uploads of a deleted account: %w", err)
	}
	return 1, nil
}

// SweepUploads removes resumable uploads that were not finished within two days.
func (s *Server) SweepUploads() error {
	users, err := os.ReadDir(s.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, u := range users {
		err = errors.Join(err, s.sweepUser(filepath.Join(s.cfg.Dir, u.Name()), u.Name()))
	}
	return err
}

func (s *Server) sweepUser(dir, user string) error {
	defer s.uploads.lock(user)()
	uploads, err := os.ReadDir(dir)
	for _, u := range uploads {
		err = errors.Join(err, s.sweepUpload(filepath.Join(dir, u.Name()), u.Name()))
	}
	_ = os.Remove(dir) //nolint:errcheck // goes when it is empty
	return err
}

func (s *Server) sweepUpload(dir, id string) error {
	defer s.uploads.lock(id)()
	info, err := os.Stat(filepath.Join(dir, metaName))
	if errors.Is(err, fs.ErrNotExist) { // killed between two steps
		info, err = os.Stat(dir)
	}
	if err != nil || s.deps.Now().Sub(info.ModTime()) < uploadTime {
		return err
	}
	return os.RemoveAll(dir)
}

// ExpireMedia removes chat media older than Config.Keep: what users put into
// folders named after a day. It answers how many files went.
func (s *Server) ExpireMedia(ctx context.Context) (int, error) {
	if s.cfg.Keep < 0 {
		return 0, nil
	}
	return s.eachFolder(ctx, "u/", func(user string) (int, error) {
		return s.eachFolder(ctx, "u/"+user+"/", func(day string) (int, error) {
			if !s.worthALook(day) {
				return 0, nil
			}
			return s.expireDay(ctx, "u/"+user+"/"+day+"/")
		})
	})
}

// eachFolder calls f for the folders right below prefix.
func (s *Server) eachFolder(ctx context.Context, prefix string, f func(name string) (int, error)) (int, error) {
	total, after := 0, ""
	for {
		page, err := s.deps.Blobs.Folders(ctx, prefix, after, sweepPage)
		if err != nil || len(page) == 0 {
			return total, err
		}
		for _, name := range page {
			n, err := f(name)
			total += n
			if err != nil {
				return total, err
			}
		}
		after = page[len(page)-1]
	}
}

// worthALook says whether a folder is named after a day and may hold something
// old: its day is long past, or lies in the future, which is no day to trust.
func (s *Server) worthALook(name string) bool {
	day, ok := folderDay(name)
	now := s.deps.Now()
	return ok && (now.Sub(day) > s.cfg.Keep-24*time.Hour || day.Sub(now) > 48*time.Hour)
}

// expireDay removes the old files of a folder.
func (s *Server) expireDay(ctx context.Context, prefix string) (int, error) {
	n, after := 0, ""
	for {
		page, err := s.deps.Blobs.List(ctx, prefix, after, sweepPage)
		if err != nil || len(page) == 0 {
			return n, err
		}
		for _, i := range page {
			old, err := s.expire(ctx, i)
			if err != nil {
				return n, err
			}
			if old {
				n++
			}
		}
		after = page[len(page)-1].Key
	}
}

func (s *Server) expire(ctx context.Context, i blob.Info) (old bool, err error) {
	if s.deps.Now().Sub(i.ModTime) <= s.cfg.Keep {
		return false, nil
	}
	defer s.keys.lock(i.Key)()
	if err := s.deps.Blobs.Delete(ctx, i.Key); err != nil {
		return false, fmt.Errorf("expire chat media: %w", err)
	}
	return true, nil
}
