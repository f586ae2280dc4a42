package store

import "context"

// This file holds who likes, collects and follows. Every change is one write with
// all counters it moves; one that changes nothing writes nothing.

// mark is a table that ties users to videos, with the counters that go with it.
type mark struct {
	exists, insert, remove string
	more, less             [3]string // of the video, its owner and the user; "" none
}

var supports = mark{
	exists: `SELECT EXISTS (SELECT 1 FROM video_support WHERE user_id = ? AND video_id = ?)`,
	insert: `INSERT INTO video_support (user_id, video_id, owner_id, created_at) VALUES (?, ?, ?, ?)`,
	remove: `DELETE FROM video_support WHERE user_id = ? AND video_id = ?`,
	more: [3]string{
		`UPDATE video SET support_num = support_num + 1 WHERE id = ?`,
		`UPDATE account SET support_num = support_num + 1 WHERE id = ?`,
	},
	less: [3]string{
		`UPDATE video SET support_num = max(support_num - 1, 0) WHERE id = ?`,
		`UPDATE account SET support_num = max(support_num - 1, 0) WHERE id = ?`,
	},
}

var collects = mark{
	exists: `SELECT EXISTS (SELECT 1 FROM video_collect WHERE user_id = ? AND video_id = ?)`,
	insert: `INSERT INTO video_collect (user_id, video_id, owner_id, created_at) VALUES (?, ?, ?, ?)`,
	remove: `DELETE FROM video_collect WHERE user_id = ? AND video_id = ?`,
	more: [3]string{
		`UPDATE video SET collect_num = collect_num + 1 WHERE id = ?`,
		`UPDATE account SET collect_num = collect_num + 1 WHERE id = ?`,
		`UPDATE account SET collect_video_num = collect_video_num + 1 WHERE id = ?`,
	},
	less: [3]string{
		`UPDATE video SET collect_num = max(collect_num - 1, 0) WHERE id = ?`,
		`UPDATE account SET collect_num = max(collect_num - 1, 0) WHERE id = ?`,
		`UPDATE account SET collect_video_num = max(collect_video_num - 1, 0) WHERE id = ?`,
	},
}

// Support makes a user like a video, or not any more, and answers whether
// anything changed and the notice for the owner (ID 0: none). ErrNotFound: the
// user may not see the video; taking back is possible all the same.
func (s *Store) Support(ctx context.Context, user, video int64, on bool) (changed bool, note Notice, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		var owner int64
		changed, note = false, Notice{}
		var err error
		if changed, owner, err = tx.mark(&supports, user, video, on); err != nil || !changed {
			return err
		}
		if on {
			note, err = tx.notify(Notice{User: owner, Kind: NoticeLike, Actor: user, Video: video})
			return err
		}
		return tx.exec(`DELETE FROM notice WHERE user_id = ? AND actor_id = ? AND kind = 'like' AND video_id = ?`, owner, user, video)
	})
	return changed, note, err
}

// Collect is Support for collections, which nobody is told of.
func (s *Store) Collect(ctx context.Context, user, video int64, on bool) (changed bool, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		var err error
		changed, _, err = tx.mark(&collects, user, video, on)
		return err
	})
	return changed, err
}

func (tx *Tx) mark(m *mark, user, video int64, on bool) (changed bool, owner int64, err error) {
	var visible, have bool
	if err := tx.row(m.exists, user, video).Scan(&have); err != nil || have == on {
		return false, 0, err
	}
	if err := tx.row(`SELECT v.owner_id, `+videoVisible+` FROM video v JOIN account a ON a.id = v.owner_id WHERE v.id = ?3`,
		user, tx.now, video).Scan(&owner, &visible); err != nil {
		return false, 0, err
	}
	counters := m.less
	if on {
		if !visible {
			return false, 0, ErrNotFound
		}
		counters = m.more
		err = tx.exec(m.insert, user, video, owner, tx.now)
	} else {
		err = tx.exec(m.remove, user, video)
	}
	for i, id := range []int64{video, owner, user} {
		if err == nil && counters[i] != "" {
			err = tx.exec(counters[i], id)
		}
	}
	return err == nil, owner, err
}

// toggleAgain is how soon after a toggle the next one of the same pair counts as
// a repeat by the network (wire.md 17 K16), in ms.
const (
	toggleAgain      = 1000
	maxCachedToggles = 20_000
)

// ToggleFollow makes fan follow master, or not any more, and answers how it is
// then, and the notice for master (ID 0: none). A second call within a second
// changes nothing. Errors: ErrNotFound (no such master, or it is the fan),
// ErrForbidden (the master blocked the fan).
func (s *Store) ToggleFollow(ctx context.Context, fan, master int64) (following bool, note Notice, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		var err error
		following, note, err = tx.toggleFollow(fan, master)
		return err
	})
	return following, note, err
}

func (tx *Tx) toggleFollow(fan, master int64) (following bool, note Notice, err error) {
	var have, blocked bool
	if err := tx.row(`SELECT EXISTS (SELECT 1 FROM follow WHERE fan_id = ?1 AND master_id = ?2), EXISTS (SELECT 1 FROM block WHERE user_id = ?2 AND peer_id = ?1)
		FROM account WHERE id = ?2 AND id <> ?1 AND deleted_at = 0`, fan, master).Scan(&have, &blocked); err != nil {
		return false, note, err
	}
	toggles := tx.s.w.toggles
	if at, ok := toggles[relKey{fan, master}]; ok && tx.now-at < toggleAgain {
		return have, note, nil
	}
	if !have && blocked {
		return false, note, ErrForbidden
	}
	step := func(query string, args ...any) {
		if err == nil {
			err = tx.exec(query, args...)
		}
	}
	if have {
		step(`DELETE FROM follow WHERE fan_id = ? AND master_id = ?`, fan, master)
		step(`UPDATE account SET follow_num = max(follow_num - 1, 0) WHERE id = ?`, fan)
		step(`UPDATE account SET fans_num = max(fans_num - 1, 0) WHERE id = ?`, master)
		step(`DELETE FROM notice WHERE user_id = ? AND actor_id = ? AND kind = 'follow'`, master, fan)
	} else {
		step(`INSERT INTO follow (fan_id, master_id, created_at) VALUES (?, ?, ?)`, fan, master, tx.now)
		step(`UPDATE account SET follow_num = follow_num + 1 WHERE id = ?`, fan)
		step(`UPDATE account SET fans_num = fans_num + 1 WHERE id = ?`, master)
		if err == nil {
			note, err = tx.notify(Notice{User: master, Kind: NoticeFollow, Actor: fan})
		}
	}
	if len(toggles) >= maxCachedToggles {
		clear(toggles)
	}
	toggles[relKey{fan, master}] = tx.now
	return !have, note, err
}

// Person is somebody in a list, with the time they came to it.
type Person struct {
	Account Account
	At      int64 // ms
}

func scanPerson(r scanner) (Person, error) {
	var p Person
	var err error
	p.Account, err = scanAccount(r, &p.At)
	return p, err
}

// Follows lists whom a user follows, newest first.
func (s *Store) Follows(ctx context.Context, user int64, limit int) ([]Person, error) {
	rows, err := s.viewRows(ctx, `SELECT f.created_at, `+accountColumns+` FROM follow f CROSS JOIN account a ON a.id = f.master_id
		WHERE f.fan_id = ? ORDER BY f.created_at DESC, f.master_id LIMIT ?`, user, limit)
	return collect(rows, err, scanPerson)
}

// Fans lists who follows a user, newest first.
func (s *Store) Fans(ctx context.Context, user int64, limit int) ([]Person, error) {
	rows, err := s.viewRows(ctx, `SELECT f.created_at, `+accountColumns+` FROM follow f CROSS JOIN account a ON a.id = f.fan_id
		WHERE f.master_id = ? ORDER BY f.created_at DESC, f.fan_id LIMIT ?`, user, limit)
	return collect(rows, err, scanPerson)
}

// supportsLooked bounds how many likes are looked at for the list of who liked.
const supportsLooked = 5000

// Supporters lists who liked a user's videos, each once, newest first; the user's
// own likes are left out.
func (s *Store) Supporters(ctx context.Context, user int64, limit int) ([]Person, error) {
	rows, err := s.viewRows(ctx, `SELECT x.at, `+accountColumns+` FROM
		(SELECT user_id, max(created_at) AS at FROM
			(SELECT user_id, created_at FROM video_support WHERE owner_id = ?1 ORDER BY created_at DESC LIMIT ?3)
			WHERE user_id <> ?1 GROUP BY user_id) x CROSS JOIN account a ON a.id = x.user_id ORDER BY x.at DESC, a.id LIMIT ?2`,
		user, limit, supportsLooked)
	return collect(rows, err, scanPerson)
}

// MarkedVideo is a video that somebody likes or collected.
type MarkedVideo struct{ Video, Owner, At int64 }

func scanMarked(r scanner) (MarkedVideo, error) {
	var m MarkedVideo
	err := r.Scan(&m.Video, &m.Owner, &m.At)
	return m, err
}

// Liked lists all videos that a user likes, newest first.
func (s *Store) Liked(ctx context.Context, user int64) ([]MarkedVideo, error) {
	rows, err := s.viewRows(ctx, `SELECT video_id, owner_id, created_at FROM video_support WHERE user_id = ? ORDER BY created_at DESC, video_id DESC`, user)
	return collect(rows, err, scanMarked)
}

// Collected lists all videos that a user collected, newest first.
func (s *Store) Collected(ctx context.Context, user int64) ([]MarkedVideo, error) {
	rows, err := s.viewRows(ctx, `SELECT video_id, owner_id, created_at FROM video_collect WHERE user_id = ? ORDER BY created_at DESC, video_id DESC`, user)
	return collect(rows, err, scanMarked)
}

// VideoCounts is what came to a video since the last write.
type VideoCounts struct{ Shares, Plays, WatchMS int64 }

// AddVideoCounts writes what was counted in memory and works out the scores of
// these videos again. Videos that are gone are left out.
func (s *Store) AddVideoCounts(ctx context.Context, counts map[int64]VideoCounts) error {
	if len(counts) == 0 {
		return nil
	}
	return s.update(ctx, func(tx *Tx) error {
		for id, c := range counts {
			if c != (VideoCounts{}) {
				if err := tx.exec(`UPDATE video SET share_num = share_num + ?, play_num = play_num + ?, watch_ms = watch_ms + ? WHERE id = ? AND deleted_at = 0`,
					c.Shares, c.Plays, c.WatchMS, id); err != nil {
					return err
				}
			}
			if err := tx.exec(`UPDATE video SET score = `+videoScore+` WHERE id = ? AND published_at > 0 AND deleted_at = 0`, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// videoScore is the rank of a video among the most engaged: twice the engagement
// is worth half a day. It grows with the time of publication, so that scores need
// not be worked out again as time passes.
const videoScore = `log2(1 + 3.0 * support_num + 4.0 * collect_num + 5.0 * share_num + 4.0 * comment_num
	+ 0.5 * watch_ms / max(duration_ms, 1000)) + published_at / 43200000.0`
