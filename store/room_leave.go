package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// This file holds how members leave rooms and how rooms end.

// remove takes a member out; removed says that it was not their wish.
func (tx *Tx) remove(r *roomRow, m Member, removed bool) error {
	if err := tx.exec(`DELETE FROM room_member WHERE room_id = ? AND user_id = ?`, r.ID, m.User); err != nil {
		return err
	}
	if err := tx.exec(`INSERT INTO room_former (user_id, room_id, banned_until, by_site, removed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET banned_until = excluded.banned_until, by_site = excluded.by_site, removed = excluded.removed`,
		m.User, r.ID, m.BannedUntil, m.BySite, removed); err != nil {
		return err
	}
	r.members = r.members.without(m.User)
	if err := tx.countMembers(r); err != nil {
		return err
	}
	return tx.bumpContacts(m.User)
}

// NoteOf makes a message from a nickname. Nil makes an empty one.
type NoteOf func(nickname string) NewRoomMessage

func (f NoteOf) of(nickname string) NewRoomMessage {
	if f == nil {
		return NewRoomMessage{}
	}
	return f(nickname)
}

// QuitTexts make the messages of Quit.
type QuitTexts struct{ Left, Heir NoteOf }

// Quit takes a user out of a room. When it is the owner, the oldest admin
// inherits, else the oldest member; when nobody is left, the room is dissolved.
// Errors: ErrNotFound, ErrNotMember.
func (s *Store) Quit(ctx context.Context, user, room int64, texts QuitTexts) error {
	return s.update(ctx, func(tx *Tx) error {
		r, m, err := tx.roomAs(room, By{User: user}, RoleMember)
		if err != nil {
			return err
		}
		return tx.quit(r, m, texts)
	})
}

func (tx *Tx) quit(r *roomRow, m Member, texts QuitTexts) error {
	nick, err := tx.nickname(m.User)
	if err != nil {
		return err
	}
	if err := tx.remove(r, m, false); err != nil {
		return err
	}
	if r.members.Len() == 0 {
		return tx.closeRoom(r)
	}
	left := texts.Left.of(nick)
	left.Room, left.From = r.ID, m.User
	if _, err := tx.appendRoom(r, left, News{Left: []int64{m.User}}); err != nil {
		return err
	}
	return tx.inherit(r, m, m.User, texts.Heir)
}

// inherit gives the room of an owner who left to the heir. by is who the message
// about it comes from.
func (tx *Tx) inherit(r *roomRow, left Member, by int64, say NoteOf) error {
	if left.Role != RoleOwner {
		return nil
	}
	heir := heirOf(r.members)
	if err := tx.setRole(r, heir, RoleOwner); err != nil {
		return err
	}
	nick, err := tx.nickname(heir.User)
	if err != nil {
		return err
	}
	note := say.of(nick)
	note.Room, note.From, note.Target = r.ID, by, heir.User
	_, err = tx.appendRoom(r, note, News{})
	return err
}

// heirOf is the oldest admin, else the oldest member.
func heirOf(ms *Members) Member {
	return slices.MinFunc(ms.All(), func(a, b Member) int {
		return cmp.Or(b.Role-a.Role, cmp.Compare(a.JoinedAt, b.JoinedAt), cmp.Compare(a.JoinedSeq, b.JoinedSeq), cmp.Compare(a.User, b.User))
	})
}

// quitEverything is QuitAll inside the write in which the account goes: what
// others did meanwhile must not leave it in a room.
func (tx *Tx) quitEverything(user int64, texts QuitTexts) error {
	rows, err := tx.rows(`SELECT room_id FROM room_member WHERE user_id = ?`, user)
	rooms, err := collect(rows, err, scanInt)
	if err != nil {
		return err
	}
	for _, id := range rooms {
		r, m, err := tx.roomAs(id, By{User: user}, RoleMember)
		if err == nil {
			err = tx.quit(r, m, texts)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// QuitAll takes a user out of all rooms, before the account goes.
func (s *Store) QuitAll(ctx context.Context, user int64, texts QuitTexts) error {
	rooms, err := s.RoomsOf(ctx, user)
	if err != nil {
		return err
	}
	for _, r := range rooms {
		if err := s.Quit(ctx, user, r.ID, texts); err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNotMember) {
			return err
		}
	}
	return nil
}

// closeRoom ends a room: no members, no links, nobody muted; the row stays.
func (tx *Tx) closeRoom(r *roomRow) error {
	r.DissolvedAt, r.BannedUntil, r.members = tx.now, 0, newMembers(nil)
	for _, q := range []string{
		`INSERT INTO room_former (user_id, room_id) SELECT user_id, room_id FROM room_member WHERE room_id = ? ON CONFLICT DO NOTHING`,
		`DELETE FROM room_member WHERE room_id = ?`, `DELETE FROM room_link WHERE room_id = ?`, `DELETE FROM room_request WHERE room_id = ?`,
	} {
		if err := tx.exec(q, r.ID); err != nil {
			return err
		}
	}
	return tx.exec(`UPDATE room SET dissolved_at = ?, banned_until = 0, member_num = 0 WHERE id = ?`, tx.now, r.ID)
}

// Dissolve ends a room, with note as the last message to those who were members.
// Errors: ErrNotFound, ErrNotMember, ErrRole.
func (s *Store) Dissolve(ctx context.Context, by By, room int64, note NewRoomMessage) error {
	return s.update(ctx, func(tx *Tx) error {
		r, _, err := tx.roomAs(room, by, RoleOwner)
		if err != nil {
			return err
		}
		if err := tx.bumpRoom(room); err != nil {
			return err
		}
		before := r.members
		note.Room, note.From = room, by.author()
		if err := tx.closeRoom(r); err != nil {
			return err
		}
		if err := tx.auditRoom(by, "room.dissolve", room, r.Name); err != nil {
			return err
		}
		_, err = tx.appendRoom(r, note, News{Left: before.IDs()})
		return err
	})
}

// RemoveMember takes a member out whose role is lower than the caller's. say
// makes the message from both nicknames, heir that about who follows an owner.
// Errors: ErrNotFound, ErrNotMember, ErrRole, ErrNoUser (the target is no member).
func (s *Store) RemoveMember(ctx context.Context, by By, room, target int64, say func(operator, nickname string) NewRoomMessage, heir NoteOf) error {
	return s.update(ctx, func(tx *Tx) error {
		r, m, err := tx.roomAs(room, by, RoleRoomAdmin)
		if err != nil {
			return err
		}
		t, err := r.lower(m, target)
		if err != nil {
			return err
		}
		operator, nick, err := tx.nicknames(by.User, t.User)
		if err != nil {
			return err
		}
		if err := tx.remove(r, t, true); err != nil {
			return err
		}
		empty := r.members.Len() == 0
		if empty {
			if err := tx.closeRoom(r); err != nil {
				return err
			}
		}
		if err := tx.auditRoom(by, "room.remove", room, "user "+itoa(target)); err != nil {
			return err
		}
		note := say(operator, nick)
		note.Room, note.From, note.Target = room, by.author(), t.User
		if _, err = tx.appendRoom(r, note, News{Left: []int64{t.User}}); err != nil || empty {
			return err
		}
		return tx.inherit(r, t, by.author(), heir)
	})
}
