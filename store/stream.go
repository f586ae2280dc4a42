package store

import (
	"context"
	"errors"
	"slices"
)

// This file holds what live streams ask of live rooms.

// Who may watch a live room.
const (
	AccessOpen      = "open"
	AccessFollowers = "followers" // of its owner
	AccessLink      = "link"      // who has a signed link
)

// LiveKey answers the key that a room is published with; the first time it is
// fresh. ErrNotFound, ErrForbidden (somebody else's room).
func (s *Store) LiveKey(ctx context.Context, owner, room int64, fresh string) (string, error) {
	return s.changeLiveKey(ctx, owner, room, fresh, false)
}

// ResetLiveKey gives a room another key; the old one is good for nothing from now
// on. Errors as LiveKey.
func (s *Store) ResetLiveKey(ctx context.Context, owner, room int64, fresh string) error {
	_, err := s.changeLiveKey(ctx, owner, room, fresh, true)
	return err
}

// changeLiveKey acts for the owner, or with owner 0 for whoever may do all.
func (s *Store) changeLiveKey(ctx context.Context, owner, room int64, fresh string, always bool) (string, error) {
	key := ""
	err := s.update(ctx, func(tx *Tx) error {
		r, err := tx.live(room)
		if err != nil {
			return err
		}
		if owner != 0 && r.Owner != owner {
			return ErrForbidden
		}
		if err := tx.row(`SELECT stream_key FROM live_room WHERE id = ?`, room).Scan(&key); err != nil {
			return err
		}
		if key != "" && !always {
			return nil
		}
		key = fresh
		return tx.exec(`UPDATE live_room SET stream_key = ? WHERE id = ?`, fresh, room)
	})
	return key, err
}

// LiveByKey finds the room that is published with a key, closed ones too.
// ErrNotFound.
func (s *Store) LiveByKey(ctx context.Context, key string) (LiveRoom, error) {
	if key == "" {
		return LiveRoom{}, ErrNotFound
	}
	r, err := scanLive(s.viewRow(ctx, `SELECT `+liveColumns+` FROM live_room r INDEXED BY live_room_key JOIN account a ON a.id = r.owner_id
		WHERE r.stream_key = ?2 AND r.stream_key <> ''`, s.now().UnixMilli(), key))
	return r, mapError(err)
}

// SetLiveAccess says who may watch a room; with revoke the links that were signed
// until now are good for nothing.
func (s *Store) SetLiveAccess(ctx context.Context, a LiveAction, access string, revoke bool) error {
	return s.moderate(ctx, a, func(tx *Tx) error {
		return tx.exec(`UPDATE live_room SET access = iif(?1 = '', access, ?1), link_epoch = link_epoch + ?2, updated_at = ?3 WHERE id = ?4`,
			access, revoke, tx.now, a.Room)
	})
}

// NoteLive checks an action that changes nothing here, and writes it in the audit
// log.
func (s *Store) NoteLive(ctx context.Context, a LiveAction) error {
	return s.moderate(ctx, a, func(*Tx) error { return nil })
}

// LiveInvited says whether an account may watch a room that is not open: its owner
// and moderators, administrators, and followers if it is theirs. Somebody whom its
// owner blocked is no follower, and who is banned nobody.
func (s *Store) LiveInvited(ctx context.Context, room, viewer int64) (bool, error) {
	var may bool
	err := s.viewRow(ctx, `SELECT EXISTS (SELECT 1 FROM account WHERE id = ?2 AND deleted_at = 0 AND banned_until <= ?4
			AND (role >= ?3 OR EXISTS (SELECT 1 FROM live_room r WHERE r.id = ?1 AND `+liveInvited+`)))`,
		room, viewer, RoleAdmin, s.now().UnixMilli()).Scan(&may)
	return may, mapError(err)
}

// tellAgain is how long nobody is told again that a room is on air, ms: a stream
// that breaks and comes back is no news.
const tellAgain = 30 * 60 * 1000

// SetOnAir notes whether a room is on air. tell: its followers are to be told
// (TellFans).
func (s *Store) SetOnAir(ctx context.Context, room int64, on bool) (tell bool, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		tell = false
		if err := tx.exec(`UPDATE live_room SET state = ?1, updated_at = CASE WHEN ?1 THEN ?2 ELSE updated_at END WHERE id = ?3 AND state <> ?1`, on, tx.now, room); err != nil || !on {
			return err
		}
		res, err := tx.execResult(`UPDATE live_room SET told_at = ?1, told_to = 0 WHERE id = ?2 AND told_at < ?1 - ?3 AND access <> 'link'`, tx.now, room, tellAgain)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		tell = n > 0
		return err
	})
	return tell, err
}

// Untold lists the rooms whose followers have not all been told, and the account
// up to which they have.
func (s *Store) Untold(ctx context.Context) (map[int64]int64, error) {
	rows, err := s.viewRows(ctx, `SELECT id, told_to FROM live_room INDEXED BY live_room_tell WHERE told_to >= 0`)
	list, err := collect(rows, err, func(r scanner) ([2]int64, error) {
		var v [2]int64
		err := r.Scan(&v[0], &v[1])
		return v, err
	})
	out := map[int64]int64{}
	for _, v := range list {
		out[v[0]] = v[1]
	}
	return out, err
}

// TellFans stores a notice that the room is on air for the next limit followers of
// its owner behind the account after. It answers the notices that were stored, and
// behind whom to go on; -1 at the end. A step that was done before stores nothing
// again. ErrNotFound.
func (s *Store) TellFans(ctx context.Context, room, after int64, limit int) (told []Notice, next int64, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		told = nil
		r, err := tx.live(room)
		if err != nil {
			return err
		}
		if err := tx.row(`SELECT told_to FROM live_room WHERE id = ?`, room).Scan(&next); err != nil || next != after {
			return err
		}
		told, next, err = tx.tellFans(r, after, limit)
		return err
	})
	return told, next, err
}

func (tx *Tx) tellFans(r LiveRoom, after int64, limit int) (told []Notice, next int64, err error) {
	var fans []int64
	if r.OnAir && !r.Closed { // else it is no news any more
		rows, err := tx.rows(`SELECT f.fan_id FROM follow f INDEXED BY follow_told CROSS JOIN account a ON a.id = f.fan_id
			WHERE f.master_id = ? AND f.fan_id > ? AND a.deleted_at = 0 ORDER BY f.fan_id LIMIT ?`, r.Owner, after, limit)
		if fans, err = collect(rows, err, scanInt); err != nil {
			return nil, 0, err
		}
	}
	for _, fan := range fans {
		n, err := tx.notify(Notice{User: fan, Kind: NoticeLive, Actor: r.Owner})
		if err != nil {
			return nil, 0, err
		}
		if n.ID != 0 {
			told = append(told, n)
		}
	}
	next = -1
	if len(fans) == limit {
		next = fans[limit-1]
	}
	return told, next, tx.exec(`UPDATE live_room SET told_to = ? WHERE id = ?`, next, r.ID)
}

// NobodyOnAir notes that no room is on air: at the start of the daemon none is.
func (s *Store) NobodyOnAir(ctx context.Context) error {
	return s.update(ctx, func(tx *Tx) error { return tx.exec(`UPDATE live_room SET state = 0 WHERE state = 1`) })
}

// AddHearts adds to the hearts of rooms.
func (s *Store) AddHearts(ctx context.Context, hearts map[int64]int64) error {
	return s.update(ctx, func(tx *Tx) error {
		for room, n := range hearts {
			if err := tx.exec(`UPDATE live_room SET hearts = hearts + ? WHERE id = ?`, n, room); err != nil {
				return err
			}
		}
		return nil
	})
}

// SetStreamer says whether an account may stream where not everybody may.
func (s *Store) SetStreamer(ctx context.Context, user int64, may bool) error {
	return s.update(ctx, func(tx *Tx) error {
		if !may {
			return tx.exec(`DELETE FROM streamer WHERE user_id = ?`, user)
		}
		return tx.exec(`INSERT INTO streamer (user_id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING`, user, tx.now)
	})
}

// Streamer says whether an account was allowed to stream, and its role.
func (s *Store) Streamer(ctx context.Context, user int64) (allowed bool, role int, err error) {
	err = s.viewRow(ctx, `SELECT EXISTS (SELECT 1 FROM streamer WHERE user_id = ?1), role FROM account WHERE id = ?1`, user).Scan(&allowed, &role)
	return allowed, role, mapError(err)
}

// Streamers lists the accounts that may stream where not everybody may, behind the
// id after.
func (s *Store) Streamers(ctx context.Context, after int64, limit int) ([]Account, error) {
	rows, err := s.viewRows(ctx, `SELECT `+accountColumns+` FROM streamer t CROSS JOIN account a ON a.id = t.user_id
		WHERE t.user_id > ? AND a.deleted_at = 0 ORDER BY t.user_id LIMIT ?`, after, limit)
	return collect(rows, err, func(r scanner) (Account, error) { return scanAccount(r) })
}

// MaxPushes bounds the servers that one room is pushed to.
const MaxPushes = 10

// ErrTooMany means that there are as many as there may be.
var ErrTooMany = errors.New("there are as many as there may be")

// LivePushes lists the servers that a room's stream is pushed to.
func (s *Store) LivePushes(ctx context.Context, room int64) ([]string, error) {
	rows, err := s.viewRows(ctx, `SELECT url FROM live_push WHERE live_id = ? ORDER BY url`, room)
	return collect(rows, err, func(r scanner) (string, error) {
		var url string
		err := r.Scan(&url)
		return url, err
	})
}

// SetLivePush adds a server that a room's stream is pushed to, or takes it away.
// ErrNotFound (no such room; or not there to be taken away), ErrTooMany.
func (s *Store) SetLivePush(ctx context.Context, room int64, url string, on bool) error {
	return s.update(ctx, func(tx *Tx) error {
		if _, err := tx.live(room); err != nil {
			return err
		}
		rows, err := tx.rows(`SELECT url FROM live_push WHERE live_id = ?`, room)
		list, err := collect(rows, err, func(r scanner) (string, error) {
			var u string
			err := r.Scan(&u)
			return u, err
		})
		there := slices.Contains(list, url)
		switch {
		case err != nil:
			return err
		case !on && !there:
			return ErrNotFound
		case !on:
			return tx.exec(`DELETE FROM live_push WHERE live_id = ? AND url = ?`, room, url)
		case there:
			return nil
		case len(list) >= MaxPushes:
			return ErrTooMany
		}
		return tx.exec(`INSERT INTO live_push (live_id, url) VALUES (?, ?)`, room, url)
	})
}

// LiveFilter chooses live rooms for administrators.
type LiveFilter struct {
	OnAir bool // only those
	After int64
	Limit int
}

// AllLives lists live rooms of any kind with their owners, by id.
func (s *Store) AllLives(ctx context.Context, f LiveFilter) ([]LiveShown, error) {
	rows, err := s.viewRows(ctx, `SELECT r.id, r.owner_id, r.title, r.cover, r.state, r.closed OR a.deleted_at <> 0 OR a.banned_until > ?1, r.slow_seconds,
		r.access, r.hearts, `+accountColumns+` FROM live_room r CROSS JOIN account a ON a.id = r.owner_id
		WHERE r.id > ?2 AND (?3 = 0 OR r.state = 1) ORDER BY r.id LIMIT ?4`, s.now().UnixMilli(), f.After, f.OnAir, f.Limit)
	return collect(rows, err, func(r scanner) (LiveShown, error) {
		var l LiveShown
		var err error
		l.Account, err = scanAccount(r, &l.ID, &l.Owner, &l.Title, &l.Cover, &l.OnAir, &l.Closed, &l.Slow, &l.Access, &l.Hearts)
		return l, err
	})
}
