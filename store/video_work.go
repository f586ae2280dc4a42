package store

import (
	"context"
	"time"
)

// This file holds what uploading, processing and serving the files of videos asks.

// goneAfter is how long the files of a video stay after others took their place.
const goneAfter = time.Hour

// VideoBytes is how much the videos of an account take, those included that wait
// to be processed.
func (s *Store) VideoBytes(ctx context.Context, owner int64) (int64, error) {
	var n int64
	err := s.viewRow(ctx, `SELECT coalesce(sum(size_bytes), 0) FROM video INDEXED BY video_owner WHERE owner_id = ? AND deleted_at = 0`, owner).Scan(&n)
	return n, mapError(err)
}

// SourceUsed says whether a video was made, or is to be made, of an uploaded file
// that it still needs.
func (s *Store) SourceUsed(ctx context.Context, hash string) (bool, error) {
	var used bool
	err := s.viewRow(ctx, `SELECT EXISTS (SELECT 1 FROM video WHERE source_hash = ?1 AND source_hash <> '' AND deleted_at = 0)
		OR EXISTS (SELECT 1 FROM video WHERE replacement = ?1 AND replacement <> '' AND deleted_at = 0)`, hash).Scan(&used)
	return used, mapError(err)
}

// ForgetSource notes that a video does not need its uploaded file any more. One
// that has no other files takes no room from now on.
func (s *Store) ForgetSource(ctx context.Context, id int64) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`UPDATE video SET source_hash = '', size_bytes = CASE WHEN key = '' THEN 0 ELSE size_bytes END WHERE id = ?`, id)
	})
}

// RequeueVideo notes that a video is to be processed once more. The try before
// counts, unless it was not the video's fault.
func (s *Store) RequeueVideo(ctx context.Context, id int64, counts bool) (Video, error) {
	return s.changeVideo(ctx, id, func(_ *Tx, v *Video) error {
		if !counts && v.Attempts > 0 {
			v.Attempts--
		}
		if v.State == VideoProcessing {
			v.State, v.Reason = VideoQueued, ""
		}
		return nil
	})
}

// ReplaceSource notes that a video is to be made anew of another uploaded file. One
// that has no files yet, or none that were ever shown, is simply made of that one.
// Errors: ErrNotFound, ErrForbidden (it is somebody else's).
func (s *Store) ReplaceSource(ctx context.Context, owner, id int64, size int64, hash, name string) (Video, error) {
	return s.changeVideo(ctx, id, func(tx *Tx, v *Video) error {
		if v.Owner != owner {
			return ErrForbidden
		}
		v.Attempts, v.Reason = 0, ""
		if v.Key != "" {
			v.Replacement = hash
			return nil
		}
		v.State, v.SourceHash, v.SizeBytes, v.SourceName = VideoQueued, hash, size, name
		return tx.exec(`UPDATE video SET source_hash = ?, source_name = ? WHERE id = ?`, hash, name, id)
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
			if err := tx.exec(`INSERT INTO media_gone (key, at) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET at = excluded.at`,
				v.Key, tx.now+goneAfter.Milliseconds()); err != nil {
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

// LadderMade notes that the master playlist of a video stands under key. One that
// got other files meanwhile is left as it is.
func (s *Store) LadderMade(ctx context.Context, id int64, key string) error {
	return s.update(ctx, func(tx *Tx) error { return tx.exec(`UPDATE video SET ladder = 1 WHERE id = ? AND key = ?`, id, key) })
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
// who may see it, and its owner in any state. Administrators may have all.
// ErrNotFound: there is none for them.
func (s *Store) ServedVideo(ctx context.Context, viewer int64, admin bool, key string) (Video, error) {
	v, err := scanVideo(s.viewRow(ctx, `SELECT `+videoColumns+` FROM video v CROSS JOIN account a ON a.id = v.owner_id
		WHERE v.key = ?3 AND v.key <> '' AND v.deleted_at = 0 AND (?4 OR v.owner_id = ?1 OR `+videoVisible+`)`,
		viewer, s.now().UnixMilli(), key, admin))
	return v, mapError(err)
}
