package store

import "context"

// This file holds what the feed chooses from. Every query reads a bounded part of
// an index, however many videos there are.

// VideoRef is a video in a pool of the feed.
type VideoRef struct{ ID, Owner int64 }

func scanRef(r scanner) (VideoRef, error) {
	var v VideoRef
	err := r.Scan(&v.ID, &v.Owner)
	return v, err
}

// FreshVideos are the public videos that were published last.
func (s *Store) FreshVideos(ctx context.Context, limit int) ([]VideoRef, error) {
	rows, err := s.viewRows(ctx, `SELECT v.id, v.owner_id FROM video v INDEXED BY video_fresh
		WHERE v.state = 2 AND v.visibility = 0 AND v.deleted_at = 0 AND v.published_at > 0 ORDER BY v.published_at DESC, v.id LIMIT ?`, limit)
	return collect(rows, err, scanRef)
}

// TopVideos are the public videos with the best score.
func (s *Store) TopVideos(ctx context.Context, limit int) ([]VideoRef, error) {
	rows, err := s.viewRows(ctx, `SELECT v.id, v.owner_id FROM video v INDEXED BY video_score
		WHERE v.state = 2 AND v.visibility = 0 AND v.deleted_at = 0 AND v.score > 0 ORDER BY v.score DESC, v.id LIMIT ?`, limit)
	return collect(rows, err, scanRef)
}

// VideosFrom are the first public videos from an id on.
func (s *Store) VideosFrom(ctx context.Context, id int64, limit int) ([]VideoRef, error) {
	rows, err := s.viewRows(ctx, `SELECT v.id, v.owner_id FROM video v INDEXED BY video_any
		WHERE v.state = 2 AND v.visibility = 0 AND v.deleted_at = 0 AND v.id >= ? ORDER BY v.id LIMIT ?`, id, limit)
	return collect(rows, err, scanRef)
}

// LastIDs are the largest ids of videos and of accounts, 0 if there are none.
func (s *Store) LastIDs(ctx context.Context) (video, account int64, err error) {
	err = s.viewRow(ctx, `SELECT coalesce((SELECT max(id) FROM video), 0), coalesce((SELECT max(id) FROM account), 0)`).Scan(&video, &account)
	return video, account, mapError(err)
}

// FollowedFrom lists some of those whom fan follows: by id, from one on.
func (s *Store) FollowedFrom(ctx context.Context, fan, id int64, limit int) ([]int64, error) {
	rows, err := s.viewRows(ctx, `SELECT master_id FROM follow WHERE fan_id = ? AND master_id >= ? ORDER BY master_id LIMIT ?`, fan, id, limit)
	return collect(rows, err, scanInt)
}

// NewestBy are the newest videos of an owner that fans may see.
func (s *Store) NewestBy(ctx context.Context, owner int64, limit int) ([]VideoRef, error) {
	rows, err := s.viewRows(ctx, `SELECT v.id, v.owner_id FROM video v INDEXED BY video_owner
		WHERE v.owner_id = ? AND v.deleted_at = 0 AND v.published_at > 0 AND v.state = 2 AND v.visibility <> 2 ORDER BY v.published_at DESC, v.id DESC LIMIT ?`, owner, limit)
	return collect(rows, err, scanRef)
}

// BlockedIDs lists whom a user blocked, by id, at most limit of them.
func (s *Store) BlockedIDs(ctx context.Context, user int64, limit int) ([]int64, error) {
	rows, err := s.viewRows(ctx, `SELECT peer_id FROM block WHERE user_id = ? ORDER BY peer_id LIMIT ?`, user, limit)
	return collect(rows, err, scanInt)
}

// VideosKept is how many videos are remembered that a viewer saw, and that a user
// is not interested in.
const VideosKept = 500

// SeenVideo is a video that a viewer was shown.
type SeenVideo struct{ ID, At int64 }

// SeenVideos lists what a viewer saw, newest first.
func (s *Store) SeenVideos(ctx context.Context, viewer int64) ([]SeenVideo, error) {
	rows, err := s.viewRows(ctx, `SELECT video_id, at FROM video_seen WHERE viewer_id = ? ORDER BY at DESC LIMIT ?`, viewer, VideosKept)
	return collect(rows, err, func(r scanner) (SeenVideo, error) {
		var v SeenVideo
		err := r.Scan(&v.ID, &v.At)
		return v, err
	})
}

// SaveSeen adds to what viewers saw and forgets what is beyond VideosKept.
func (s *Store) SaveSeen(ctx context.Context, seen map[int64][]SeenVideo) error {
	if len(seen) == 0 {
		return nil
	}
	return s.update(ctx, func(tx *Tx) error {
		for viewer, list := range seen {
			for _, v := range list {
				if err := tx.exec(`INSERT INTO video_seen (viewer_id, video_id, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at`,
					viewer, v.ID, v.At); err != nil {
					return err
				}
			}
			if err := tx.exec(`DELETE FROM video_seen WHERE viewer_id = ?1 AND video_id IN
				(SELECT video_id FROM video_seen WHERE viewer_id = ?1 ORDER BY at DESC LIMIT -1 OFFSET ?2)`, viewer, VideosKept); err != nil {
				return err
			}
		}
		return nil
	})
}

// SetNotInterested notes that a user does not want a video in the feed.
func (s *Store) SetNotInterested(ctx context.Context, user, video int64) error {
	return s.update(ctx, func(tx *Tx) error {
		if err := tx.exec(`INSERT INTO not_interested (user_id, video_id, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at`,
			user, video, tx.now); err != nil {
			return err
		}
		return tx.exec(`DELETE FROM not_interested WHERE user_id = ?1 AND video_id IN
			(SELECT video_id FROM not_interested WHERE user_id = ?1 ORDER BY at DESC LIMIT -1 OFFSET ?2)`, user, VideosKept)
	})
}

// NotInterested lists the videos that a user does not want.
func (s *Store) NotInterested(ctx context.Context, user int64) ([]int64, error) {
	rows, err := s.viewRows(ctx, `SELECT video_id FROM not_interested WHERE user_id = ? ORDER BY at DESC LIMIT ?`, user, VideosKept)
	return collect(rows, err, scanInt)
}

// trendLooked bounds how many videos are looked at for the trend.
const trendLooked = 5000

// TrendingTags are the tags that the public videos since a time (ms) have most
// often.
func (s *Store) TrendingTags(ctx context.Context, since int64, limit int) ([]Tag, error) {
	rows, err := s.viewRows(ctx, `SELECT t.id, t.name, count(*) AS n FROM
		(SELECT v.id FROM video v INDEXED BY video_fresh WHERE v.state = 2 AND v.visibility = 0 AND v.deleted_at = 0 AND v.published_at >= ?1
			ORDER BY v.published_at DESC LIMIT ?2) x
		CROSS JOIN video_tag g ON g.video_id = x.id CROSS JOIN tag t ON t.id = g.tag_id GROUP BY t.id ORDER BY n DESC, t.id LIMIT ?3`,
		since, trendLooked, limit)
	return collect(rows, err, func(r scanner) (Tag, error) {
		var t Tag
		err := r.Scan(&t.ID, &t.Name, &t.Videos)
		return t, err
	})
}
