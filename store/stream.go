package store

import (
	"context"
)

// This file holds what live streams ask of live rooms.

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

// SetOnAir notes whether a room is on air.
func (s *Store) SetOnAir(ctx context.Context, room int64, on bool) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`UPDATE live_room SET state = ?1, updated_at = CASE WHEN ?1 THEN ?2 ELSE updated_at END WHERE id = ?3 AND state <> ?1`, on, tx.now, room)
	})
}

// NobodyOnAir notes that no room is on air: at the start of the daemon none is.
func (s *Store) NobodyOnAir(ctx context.Context) error {
	return s.update(ctx, func(tx *Tx) error { return tx.exec(`UPDATE live_room SET state = 0 WHERE state = 1`) })
}
