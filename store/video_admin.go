package store

import (
	"context"
	"slices"
)

// This file holds what operators ask about videos and their files.

// AnyState lists videos whatever their state.
const AnyState = -1

// VideoFilter selects videos that were not deleted.
type VideoFilter struct {
	State  int   // AnyState: all
	Owner  int64 // 0: everybody's
	Oldest bool  // the oldest first, else the newest
	After  int64 // id of the last one of the page before; 0: from the beginning
	Limit  int
}

// VideoNamed is a video with the user name of its owner.
type VideoNamed struct {
	Video
	Username string
}

// AllVideos lists a page of videos, by id.
func (s *Store) AllVideos(ctx context.Context, f VideoFilter) ([]VideoNamed, error) {
	index, state := ``, ``
	args := []any{f.After, f.Limit}
	if f.State != AnyState {
		args = append(args, f.State)
		state = ` AND v.state = ?3`
	}
	switch {
	case f.Owner != 0:
		index = ` INDEXED BY video_owner`
		state = ` AND v.owner_id = ?4` + state
		if f.State == AnyState {
			args = append(args, AnyState)
		}
		args = append(args, f.Owner)
	case f.State != AnyState && f.State != VideoReady:
		index = ` INDEXED BY video_work`
		state += ` AND v.state <> 2`
	}
	order := ` AND v.id > ?1 ORDER BY v.id LIMIT ?2`
	if !f.Oldest {
		order = ` AND v.id < ?1 ORDER BY v.id DESC LIMIT ?2`
		if f.After == 0 {
			args[0] = int64(1) << 62
		}
	}
	rows, err := s.viewRows(ctx, `SELECT `+videoColumns+`, a.username FROM video v`+index+
		` CROSS JOIN account a ON a.id = v.owner_id WHERE v.deleted_at = 0`+state+order, args...)
	return collect(rows, err, func(r scanner) (VideoNamed, error) {
		var v VideoNamed
		err := r.Scan(append(v.fields(), &v.Username)...)
		return v, err
	})
}

// ModerateVideo changes the state of a video that is in one of the states from;
// one that has no files yet is queued instead of shown. ErrNotFound. ErrConflict:
// it is in another state, and answered as it is.
func (s *Store) ModerateVideo(ctx context.Context, id int64, from []int, to int, reason string) (Video, error) {
	return s.changeVideo(ctx, id, func(_ *Tx, v *Video) error {
		if !slices.Contains(from, v.State) {
			return ErrConflict
		}
		if to == VideoReady && v.Key == "" {
			to = VideoQueued
			v.Attempts = 0
		}
		v.State, v.Reason = to, reason
		return nil
	})
}

// RemakeVideo notes that a video is to be made anew of its uploaded file: one that
// has files is shown as it was until then. ErrNotFound. ErrConflict: it keeps no
// uploaded file.
func (s *Store) RemakeVideo(ctx context.Context, id int64) (Video, error) {
	return s.changeVideo(ctx, id, func(_ *Tx, v *Video) error {
		switch {
		case v.Replacement != "":
		case v.SourceHash == "":
			return ErrConflict
		case v.Key != "":
			v.Replacement = v.SourceHash
		case v.State == VideoFailed:
			v.State = VideoQueued
		}
		v.Attempts, v.Reason = 0, reasonAfter(v)
		return nil
	})
}

// reasonAfter is what stays of a reason when a video is made anew: why a moderator
// hid it.
func reasonAfter(v *Video) string {
	if v.State == VideoHidden {
		return v.Reason
	}
	return ""
}

// VideoKey is where the files of a video are.
type VideoKey struct {
	Key     string
	ID      int64
	Deleted bool // and its files go with the next cleaning
}

// VideoKeys lists the folders of videos by key, behind after.
func (s *Store) VideoKeys(ctx context.Context, after string, limit int) ([]VideoKey, error) {
	rows, err := s.viewRows(ctx, `SELECT v.key, v.id, v.deleted_at > 0 FROM video v INDEXED BY video_key WHERE v.key <> '' AND v.key > ? ORDER BY v.key LIMIT ?`,
		after, limit)
	return collect(rows, err, func(r scanner) (VideoKey, error) {
		var k VideoKey
		err := r.Scan(&k.Key, &k.ID, &k.Deleted)
		return k, err
	})
}

// KeyUsed says whether a folder of media belongs to a video, or did and is removed
// in its turn.
func (s *Store) KeyUsed(ctx context.Context, key string) (bool, error) {
	var used bool
	err := s.viewRow(ctx, `SELECT EXISTS (SELECT 1 FROM video WHERE key = ?1 AND key <> '') OR EXISTS (SELECT 1 FROM media_gone WHERE key = ?1)`, key).Scan(&used)
	return used, mapError(err)
}

// ImportedVideo finds the video that was imported for owner of a file with this
// hash and under this title, unless it was deleted.
func (s *Store) ImportedVideo(ctx context.Context, owner int64, hash, title string) (Video, error) {
	v, err := scanVideo(s.viewRow(ctx, `SELECT `+videoColumns+` FROM video_import i CROSS JOIN video v ON v.id = i.video_id
		WHERE i.owner_id = ? AND i.hash = ? AND i.title = ? AND v.deleted_at = 0`, owner, hash, title))
	return v, mapError(err)
}

// NoteImport remembers of which file a video was imported.
func (s *Store) NoteImport(ctx context.Context, owner int64, hash, title string, video int64) error {
	return s.update(ctx, func(tx *Tx) error { return tx.noteImport(owner, hash, title, video) })
}

func (tx *Tx) noteImport(owner int64, hash, title string, video int64) error {
	return tx.exec(`INSERT INTO video_import (owner_id, hash, title, video_id) VALUES (?, ?, ?, ?)
		ON CONFLICT (owner_id, hash, title) DO UPDATE SET video_id = excluded.video_id`, owner, hash, title, video)
}

// maxFaults bounds what QuickCheck reports.
const maxFaults = "20"

// QuickCheck reads the whole database and answers what is wrong with it, nothing
// if all is well. On a large one it takes minutes.
func (s *Store) QuickCheck(ctx context.Context) ([]string, error) {
	rows, err := s.viewRows(ctx, `PRAGMA quick_check(`+maxFaults+`)`)
	list, err := collect(rows, err, scanText)
	if len(list) == 1 && list[0] == "ok" {
		return nil, err
	}
	return list, err
}

// NewestTime is the time of the newest record, in Unix milliseconds; 0 for none. A
// clock that says less was set back.
func (s *Store) NewestTime(ctx context.Context) (int64, error) {
	var at int64
	err := s.viewRow(ctx, `SELECT max(coalesce((SELECT time FROM message ORDER BY id DESC LIMIT 1), 0),
		coalesce((SELECT created_at FROM video ORDER BY id DESC LIMIT 1), 0), coalesce((SELECT time FROM audit ORDER BY id DESC LIMIT 1), 0),
		coalesce((SELECT created_at FROM account ORDER BY id DESC LIMIT 1), 0))`).Scan(&at)
	return at, mapError(err)
}
