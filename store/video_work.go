package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// This file holds what uploading, processing and serving the files of videos asks.

// goneAfter is how long the files of a video stay after others took their place.
const goneAfter = time.Hour

// VideoBytes is how much the videos of an account take, those included that wait
// to be processed.
func (s *Store) VideoBytes(ctx context.Context, owner int64) (int64, error) {
	var n int64
	err := s.viewRow(ctx, videoBytes, owner).Scan(&n)
	return n, mapError(err)
}

const videoBytes = `SELECT coalesce(sum(size_bytes), 0) FROM video INDEXED BY video_owner WHERE owner_id = ? AND deleted_at = 0`

// SourceUsed says whether a video was made, or is to be made, of an uploaded file
// that it still needs.
func (s *Store) SourceUsed(ctx context.Context, hash string) (bool, error) {
	var used bool
	err := s.viewRow(ctx, `SELECT EXISTS (SELECT 1 FROM video WHERE source_hash = ?1 AND source_hash <> '' AND deleted_at = 0)
		OR EXISTS (SELECT 1 FROM video WHERE replacement = ?1 AND replacement <> '' AND deleted_at = 0)`, hash).Scan(&used)
	return used, mapError(err)
}

// ForgetSource notes that a video does not need the uploaded file with this hash any
// more. One that has another one by now is left as it is; one that has no other
// files takes no room from now on.
func (s *Store) ForgetSource(ctx context.Context, id int64, hash string) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`UPDATE video SET source_hash = '', size_bytes = CASE WHEN key = '' THEN 0 ELSE size_bytes END
			WHERE id = ? AND source_hash = ?`, id, hash)
	})
}

// RequeueVideo notes that a video is to be processed once more. The try of the file
// with this hash counts, unless it was not the video's fault.
func (s *Store) RequeueVideo(ctx context.Context, id int64, hash string, counts bool) (Video, error) {
	return s.changeVideo(ctx, id, func(_ *Tx, v *Video) error {
		if hash != v.SourceHash && hash != v.Replacement {
			return nil // another file was uploaded meanwhile
		}
		if !counts && v.Attempts > 0 {
			v.Attempts--
		}
		if v.State == VideoProcessing {
			v.State, v.Reason = VideoQueued, ""
		}
		return nil
	})
}

// FailVideo notes that no files can be made of the uploaded file with this hash; with
// release it is not needed any more. What a moderator hid stays hidden. ErrConflict:
// another file was uploaded meanwhile.
func (s *Store) FailVideo(ctx context.Context, id int64, hash, reason string, release bool) (Video, error) {
	return s.changeVideo(ctx, id, func(tx *Tx, v *Video) error {
		if v.SourceHash != hash {
			return ErrConflict
		}
		if v.State != VideoHidden {
			v.State, v.Reason = VideoFailed, reason
		}
		if !release {
			return nil
		}
		v.SourceHash = ""
		if v.Key == "" {
			v.SizeBytes = 0
		}
		return tx.exec(`UPDATE video SET source_hash = '' WHERE id = ?`, id)
	})
}

// ErrQuota means that the videos of an account would take more than they may.
var ErrQuota = errors.New("over the quota of the account")

// quota returns ErrQuota if the videos of owner and size bytes more are over most;
// 0 is no limit.
func (tx *Tx) quota(owner, size, most int64) error {
	if most <= 0 {
		return nil
	}
	var used int64
	if err := tx.row(videoBytes, owner).Scan(&used); err != nil {
		return err
	}
	if used+size > most {
		return ErrQuota
	}
	return nil
}

// NewSource is an uploaded file for a video that is there.
type NewSource struct {
	Owner, Video int64
	SizeBytes    int64
	Hash, Name   string
	Quota        int64 // most that the owner's videos may take, bytes; 0 no limit
}

// ReplaceSource notes that a video is to be made anew of another uploaded file. One
// that has no files yet is simply made of that one; what a moderator hid stays
// hidden. Errors: ErrNotFound, ErrForbidden (it is somebody else's), ErrQuota.
func (s *Store) ReplaceSource(ctx context.Context, n NewSource) (Video, error) {
	return s.changeVideo(ctx, n.Video, func(tx *Tx, v *Video) error {
		if v.Owner != n.Owner {
			return ErrForbidden
		}
		instead := int64(0)
		if v.Key == "" {
			instead = v.SizeBytes
		}
		if err := tx.quota(n.Owner, n.SizeBytes-instead, n.Quota); err != nil {
			return err
		}
		v.Attempts = 0
		if v.State != VideoHidden {
			v.Reason = ""
		}
		if v.Key != "" {
			v.Replacement = n.Hash
			return nil
		}
		if v.State != VideoHidden {
			v.State = VideoQueued
		}
		v.SourceHash, v.SizeBytes, v.SourceName = n.Hash, n.SizeBytes, n.Name
		return tx.exec(`UPDATE video SET source_hash = ?, source_name = ? WHERE id = ?`, n.Hash, n.Name, n.Video)
	})
}

// StartReplacement notes that the processing of a replacement begins once more.
func (s *Store) StartReplacement(ctx context.Context, id int64) (Video, error) {
	return s.changeVideo(ctx, id, func(_ *Tx, v *Video) error {
		if v.Replacement == "" {
			return ErrNotFound
		}
		v.Attempts++
		return nil
	})
}

// FinishReplacement notes what became of the replacement hash: r, or with reason a
// failure, which leaves the video as it was. ErrNotFound: the video is gone.
// ErrConflict: another file was uploaded meanwhile.
func (s *Store) FinishReplacement(ctx context.Context, id int64, hash string, r VideoResult, reason string) (Video, error) {
	return s.changeVideo(ctx, id, func(tx *Tx, v *Video) error {
		if v.Replacement != hash {
			return ErrConflict
		}
		v.Replacement, v.Reason = "", reason
		if reason != "" {
			return nil
		}
		if v.Key != "" && v.Key != r.Key {
			if err := tx.exec(`INSERT INTO media_gone (key, at, video_id) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET at = excluded.at`,
				v.Key, tx.now+goneAfter.Milliseconds(), id); err != nil {
				return err
			}
		}
		v.Key, v.Width, v.Height, v.DurationMS, v.SizeBytes, v.BitRateKbps = r.Key, r.Width, r.Height, r.DurationMS, r.SizeBytes, r.BitRateKbps
		if r.Review && v.State == VideoReady {
			v.State = VideoReview
		}
		v.SourceHash, v.Ladder = hash, false
		return tx.exec(`UPDATE video SET source_hash = ?, ladder = 0 WHERE id = ?`, hash, id)
	})
}

// Replacements lists the videos that wait for the files that take the place of
// their own, by id behind after.
func (s *Store) Replacements(ctx context.Context, after int64, limit int) ([]Video, error) {
	rows, err := s.viewRows(ctx, `SELECT `+videoColumns+` FROM video v INDEXED BY video_replaced
		WHERE v.replacement <> '' AND v.deleted_at = 0 AND v.id > ? ORDER BY v.id LIMIT ?`, after, limit)
	return collect(rows, err, scanVideo)
}

// VideosWithSource lists the videos that are made and still have their uploaded
// file, by id behind after.
func (s *Store) VideosWithSource(ctx context.Context, after int64, limit int) ([]Video, error) {
	rows, err := s.viewRows(ctx, `SELECT `+videoColumns+` FROM video v INDEXED BY video_kept
		WHERE v.source_hash <> '' AND v.key <> '' AND v.deleted_at = 0 AND v.id > ? ORDER BY v.id LIMIT ?`, after, limit)
	return collect(rows, err, scanVideo)
}

// LadderMade notes that the master playlist of a video stands under key, and how
// much the renditions take. One that got other files meanwhile is left as it is.
func (s *Store) LadderMade(ctx context.Context, id int64, key string, size int64) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`UPDATE video SET ladder = 1, size_bytes = size_bytes + CASE WHEN ladder = 0 THEN ? ELSE 0 END WHERE id = ? AND key = ?`, size, id, key)
	})
}

// GoneMedia lists folders whose files may be removed now.
func (s *Store) GoneMedia(ctx context.Context, limit int) ([]string, error) {
	rows, err := s.viewRows(ctx, `SELECT key FROM media_gone WHERE at <= ? ORDER BY at LIMIT ?`, s.now().UnixMilli(), limit)
	return collect(rows, err, scanText)
}

// MediaRemoved notes that the files of a folder are gone.
func (s *Store) MediaRemoved(ctx context.Context, key string) error {
	return s.update(ctx, func(tx *Tx) error { return tx.exec(`DELETE FROM media_gone WHERE key = ?`, key) })
}

// ServedVideo finds the video whose files are under a key, if viewer may have them:
// who may see it, and its owner in any state. Administrators may have all. Files that
// others took the place of are served until they go. ErrNotFound: there is none for
// them.
func (s *Store) ServedVideo(ctx context.Context, viewer int64, admin bool, key string) (Video, error) {
	now := s.now().UnixMilli()
	v, err := scanVideo(s.viewRow(ctx, servedVideo+`v.key = ?3 AND v.key <> ''`, viewer, now, key, admin))
	if errors.Is(err, sql.ErrNoRows) {
		v, err = scanVideo(s.viewRow(ctx, servedVideo+`v.id = (SELECT video_id FROM media_gone WHERE key = ?3 AND at > ?2)`, viewer, now, key, admin))
	}
	return v, mapError(err)
}

const servedVideo = `SELECT ` + videoColumns + ` FROM video v CROSS JOIN account a ON a.id = v.owner_id
	WHERE v.deleted_at = 0 AND (?4 OR v.owner_id = ?1 OR ` + videoVisible + `) AND `
