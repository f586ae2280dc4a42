package store

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// Link lets people join a room who have its code.
type Link struct {
	Code      string
	Room      int64
	CreatedBy int64
	CreatedAt int64
	ExpiresAt int64 // ms, 0 never
	MaxUses   int   // 0 any number
	Uses      int
}

const linkColumns = `l.code, l.room_id, l.created_by, l.created_at, l.expires_at, l.max_uses, l.uses`

func scanLink(r scanner) (Link, error) {
	var l Link
	err := r.Scan(&l.Code, &l.Room, &l.CreatedBy, &l.CreatedAt, &l.ExpiresAt, &l.MaxUses, &l.Uses)
	return l, err
}

// maxLinks bounds the links of one room.
const maxLinks = 50

// CreateLink stores a link. Errors: ErrNotFound, ErrNotMember, ErrRole,
// ErrRoomFull (the room has as many links as one may).
func (s *Store) CreateLink(ctx context.Context, by By, l Link) (Link, error) {
	err := s.update(ctx, func(tx *Tx) error {
		r, _, err := tx.roomAs(l.Room, by, RoleRoomAdmin)
		if err != nil {
			return err
		}
		var n int
		if err := tx.row(`SELECT count(*) FROM room_link l WHERE l.room_id = ? AND `+linkAlive, l.Room, tx.now).Scan(&n); err != nil {
			return err
		}
		if n >= maxLinks {
			return ErrRoomFull
		}
		l.Room, l.CreatedBy, l.CreatedAt, l.Uses = r.ID, by.User, tx.now, 0
		// The used up and expired ones are of no use to anybody.
		if err := tx.exec(`DELETE FROM room_link AS l WHERE l.room_id = ? AND NOT (`+linkAlive+`)`, l.Room, tx.now); err != nil {
			return err
		}
		if err := tx.auditRoom(by, "room.link", l.Room, linkName(l)); err != nil {
			return err
		}
		return tx.exec(`INSERT INTO room_link (code, room_id, created_by, created_at, expires_at, max_uses) VALUES (?, ?, ?, ?, ?, ?)`,
			l.Code, l.Room, l.CreatedBy, l.CreatedAt, l.ExpiresAt, l.MaxUses)
	})
	return l, err
}

// linkName tells links apart in the audit log; who reads that cannot use them.
func linkName(l Link) string {
	name := l.Code[:min(len(l.Code), 4)] + "…"
	if l.MaxUses > 0 {
		name += " for " + strconv.Itoa(l.MaxUses)
	}
	if l.ExpiresAt > 0 {
		name += " until " + time.UnixMilli(l.ExpiresAt).UTC().Format(time.RFC3339)
	}
	return name
}

// linkAlive says that a link works at a time, its one parameter.
const linkAlive = `(l.expires_at = 0 OR l.expires_at > ?) AND (l.max_uses = 0 OR l.uses < l.max_uses)`

// Links lists the links of a room that work, newest first.
func (s *Store) Links(ctx context.Context, room int64) ([]Link, error) {
	rows, err := s.viewRows(ctx, `SELECT `+linkColumns+` FROM room_link l WHERE l.room_id = ? AND `+linkAlive+` ORDER BY l.created_at DESC, l.code`,
		room, s.now().UnixMilli())
	return collect(rows, err, scanLink)
}

// RevokeLink deletes a link. Errors: ErrNotFound, ErrNotMember, ErrRole.
func (s *Store) RevokeLink(ctx context.Context, by By, room int64, code string) error {
	return s.update(ctx, func(tx *Tx) error {
		if _, _, err := tx.roomAs(room, by, RoleRoomAdmin); err != nil {
			return err
		}
		l, err := scanLink(tx.row(`SELECT `+linkColumns+` FROM room_link l WHERE l.room_id = ? AND l.code = ?`, room, code))
		if err != nil {
			return err
		}
		if err := tx.auditRoom(by, "room.link-revoke", room, linkName(l)); err != nil {
			return err
		}
		return tx.exec(`DELETE FROM room_link WHERE room_id = ? AND code = ?`, room, code)
	})
}

// JoinByLink makes a user a member of the link's room, or, where admins decide,
// keeps a request; then joined is false. A request again changes its message.
// Errors: ErrNotFound (no such link, or it works no more), ErrNoUser (the account
// is gone), ErrConflict (is a member), ErrRoomFull, ErrRemoved (an admin took the
// user out, and admins do not decide who comes).
func (s *Store) JoinByLink(ctx context.Context, user int64, code, message string, say func(inviter string, nicknames []string) NewRoomMessage) (room Room, joined bool, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		l, err := scanLink(tx.row(`SELECT `+linkColumns+` FROM room_link l WHERE l.code = ? AND (`+linkAlive+
			` OR (l.expires_at = 0 OR l.expires_at > ?) AND EXISTS (SELECT 1 FROM room_request q WHERE q.room_id = l.room_id AND q.user_id = ?))`,
			code, tx.now, tx.now, user))
		if err != nil {
			return err
		}
		r, err := tx.room(l.Room)
		if err != nil {
			return err
		}
		if !r.Approval && l.MaxUses > 0 && l.Uses >= l.MaxUses {
			return ErrNotFound // who waits may only change the request
		}
		room, joined = r.Room, false
		if err := tx.mayJoin(r, user); err != nil {
			return err
		}
		if r.Approval {
			return tx.request(r.ID, user, code, message)
		}
		if err := tx.useLink(code); err != nil {
			return err
		}
		joined = true
		_, err = tx.addMembers(r, user, []int64{user}, say)
		room = r.Room
		return err
	})
	return room, joined, err
}

// mayJoin says what keeps a user from joining by a link.
func (tx *Tx) mayJoin(r *roomRow, user int64) error {
	there, err := tx.isThere(user)
	if err != nil {
		return err
	}
	f, err := tx.former(r.ID, user)
	if err != nil {
		return err
	}
	_, member := r.members.Find(user)
	switch {
	case !there:
		return ErrNoUser
	case member:
		return ErrConflict
	case f.removed && !r.Approval:
		return ErrRemoved
	case r.members.Len() >= r.MemberLimit:
		return ErrRoomFull
	}
	return nil
}

// ErrTooManyRequests: as many wait for a room's admins as may.
var ErrTooManyRequests = errors.New("too many wait for the admins of the room")

// maxRequests bounds how many may wait for one room's admins.
const maxRequests = 500

// request keeps that somebody waits; the first time it uses up the link.
func (tx *Tx) request(room, user int64, code, message string) error {
	var waiting, before int
	if err := tx.row(`SELECT count(*), count(*) FILTER (WHERE user_id = ?) FROM room_request WHERE room_id = ?`, user, room).Scan(&waiting, &before); err != nil {
		return err
	}
	if before > 0 {
		return tx.exec(`UPDATE room_request SET message = ? WHERE room_id = ? AND user_id = ?`, message, room, user)
	}
	if waiting >= maxRequests {
		return ErrTooManyRequests
	}
	if err := tx.useLink(code); err != nil {
		return err
	}
	return tx.exec(`INSERT INTO room_request (room_id, user_id, message, created_at) VALUES (?, ?, ?, ?)`, room, user, message, tx.now)
}

func (tx *Tx) useLink(code string) error {
	return tx.exec(`UPDATE room_link SET uses = uses + 1 WHERE code = ?`, code)
}

// RoomRequest is somebody who waits for an admin.
type RoomRequest struct {
	From      Account
	Message   string
	CreatedAt int64
}

// RoomRequests lists who waits for a room's admins, oldest first.
func (s *Store) RoomRequests(ctx context.Context, room int64) ([]RoomRequest, error) {
	rows, err := s.viewRows(ctx, `SELECT q.message, q.created_at, `+accountColumns+` FROM room_request q JOIN account a ON a.id = q.user_id
		WHERE q.room_id = ? AND a.deleted_at = 0 ORDER BY q.created_at, q.user_id`, room)
	return collect(rows, err, func(r scanner) (RoomRequest, error) {
		var q RoomRequest
		var err error
		q.From, err = scanAccount(r, &q.Message, &q.CreatedAt)
		return q, err
	})
}

// AnswerRequest lets somebody in who waits, or turns them away. Errors:
// ErrNotFound (no such room), ErrNotMember, ErrRole, ErrNoUser (does not wait),
// ErrRoomFull.
func (s *Store) AnswerRequest(ctx context.Context, by By, room, user int64, accept bool, say func(inviter string, nicknames []string) NewRoomMessage) error {
	return s.update(ctx, func(tx *Tx) error {
		r, _, err := tx.roomAs(room, by, RoleRoomAdmin)
		if err != nil {
			return err
		}
		var waits bool
		if err := tx.row(`SELECT EXISTS (SELECT 1 FROM room_request q JOIN account a ON a.id = q.user_id AND a.deleted_at = 0
			WHERE q.room_id = ? AND q.user_id = ?)`, room, user).Scan(&waits); err != nil {
			return err
		}
		switch {
		case !waits:
			return ErrNoUser
		case accept && r.members.Len() >= r.MemberLimit:
			return ErrRoomFull
		}
		answer := "refused"
		if accept {
			answer = "accepted"
		}
		if err := tx.auditRoom(by, "room.answer", room, "user "+itoa(user)+" "+answer); err != nil {
			return err
		}
		if !accept {
			return tx.exec(`DELETE FROM room_request WHERE room_id = ? AND user_id = ?`, room, user)
		}
		_, err = tx.addMembers(r, by.User, []int64{user}, say)
		return err
	})
}
