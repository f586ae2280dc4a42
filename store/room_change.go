package store

import (
	"context"
	"slices"
	"strconv"
)

// This file holds what the owner and the admins of a room decide: mutes, settings, roles.

// lower finds a member over whom m may decide.
func (r *roomRow) lower(m Member, target int64) (Member, error) {
	t, ok := r.members.Find(target)
	switch {
	case !ok:
		return t, ErrNoUser
	case t.Role >= m.Role, t.User == m.User:
		return t, ErrRole
	}
	return t, nil
}

func (tx *Tx) nicknames(a, b int64) (na, nb string, err error) {
	if a != 0 { // 0: over the control socket
		if na, err = tx.nickname(a); err != nil {
			return "", "", err
		}
	}
	if b != 0 {
		nb, err = tx.nickname(b)
	}
	return na, nb, err
}

func (tx *Tx) setRole(r *roomRow, m Member, role int) error {
	m.Role = role
	if role >= RoleRoomAdmin && !m.BySite {
		m.BannedUntil = 0
	}
	r.members = r.members.with(m)
	return tx.exec(`UPDATE room_member SET role = ?, banned_until = ? WHERE room_id = ? AND user_id = ?`, m.Role, m.BannedUntil, r.ID, m.User)
}

// Mute keeps one member, or with target 0 everybody without a role, from writing
// until a time (ms); 0 lets them again. say makes the message from the target's
// nickname; nothing is said when nothing changes. Errors: as RemoveMember.
func (s *Store) Mute(ctx context.Context, by By, room, target, until int64, say func(nickname string) NewRoomMessage) (Message, error) {
	var out Message
	err := s.update(ctx, func(tx *Tx) error {
		r, m, err := tx.roomAs(room, by, RoleRoomAdmin)
		if err != nil {
			return err
		}
		var t Member
		if target != 0 {
			if t, err = r.lower(m, target); err != nil {
				return err
			}
			if t.BySite && t.BannedUntil > tx.now && !by.Admin {
				return ErrRole
			}
		}
		_, nick, err := tx.nicknames(0, target)
		if err != nil {
			return err
		}
		if r.mutedLike(t, until, tx.now) {
			return nil
		}
		t.BySite = by.Admin && until > tx.now
		if err := tx.setMute(r, t, until); err != nil {
			return err
		}
		action := "room.mute"
		if until == 0 {
			action = "room.unmute"
		}
		if err := tx.auditRoom(by, action, room, "user "+itoa(target)+" until "+itoa(until)); err != nil {
			return err
		}
		note := say(nick)
		note.Room, note.From, note.Target = room, by.author(), target
		out, err = tx.appendRoom(r, note, News{})
		return err
	})
	return out, err
}

// sameMute is by how much a mute must move an end for it to be a change: who presses
// twice means once.
const sameMute = 60_000 // ms

// mutedLike says that t, or everybody if t is nobody, is muted like that already.
func (r *roomRow) mutedLike(t Member, until, now int64) bool {
	have := t.BannedUntil
	if t.User == 0 {
		have = r.BannedUntil
	}
	if until <= now || have <= now {
		return until <= now && have <= now
	}
	return max(have, until)-min(have, until) < sameMute
}

// setMute mutes t, or everybody if t is nobody.
func (tx *Tx) setMute(r *roomRow, t Member, until int64) error {
	if t.User == 0 {
		r.BannedUntil = until
		return tx.exec(`UPDATE room SET banned_until = ? WHERE id = ?`, until, r.ID)
	}
	t.BannedUntil = until
	r.members = r.members.with(t)
	return tx.exec(`UPDATE room_member SET banned_until = ?, by_site = ? WHERE room_id = ? AND user_id = ?`, until, t.BySite, r.ID, t.User)
}

// RoomChange is what SetRoom writes; nil stays.
type RoomChange struct {
	Name, Avatar, Notice *string
	Approval, OpenInvite *bool
}

// same says that a change changes nothing.
func (c RoomChange) same(r *Room) bool {
	return (c.Name == nil || *c.Name == r.Name) && (c.Avatar == nil || *c.Avatar == r.Avatar) && (c.Notice == nil || *c.Notice == r.Notice) &&
		(c.Approval == nil || *c.Approval == r.Approval) && (c.OpenInvite == nil || *c.OpenInvite == r.OpenInvite)
}

func (c RoomChange) apply(r *Room) {
	for to, from := range map[*string]*string{&r.Name: c.Name, &r.Avatar: c.Avatar, &r.Notice: c.Notice} {
		if from != nil {
			*to = *from
		}
	}
	for to, from := range map[*bool]*bool{&r.Approval: c.Approval, &r.OpenInvite: c.OpenInvite} {
		if from != nil {
			*to = *from
		}
	}
}

// auditChange records what of a room is changed.
func (tx *Tx) auditChange(by By, r *Room, c RoomChange) error {
	for _, text := range []struct {
		action   string
		to, from *string
	}{{"room.name", c.Name, &r.Name}, {"room.avatar", c.Avatar, &r.Avatar}, {"room.notice", c.Notice, &r.Notice}} {
		if text.to == nil || *text.to == *text.from {
			continue
		}
		if err := tx.auditRoom(by, text.action, r.ID, *text.to); err != nil {
			return err
		}
	}
	for _, option := range []struct {
		name string
		to   *bool
		from bool
	}{{"approval", c.Approval, r.Approval}, {"open invitations", c.OpenInvite, r.OpenInvite}} {
		if option.to == nil || *option.to == option.from {
			continue
		}
		if err := tx.auditRoom(by, "room.options", r.ID, option.name+" "+onOff(*option.to)); err != nil {
			return err
		}
	}
	return nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// SetRoom changes a room. say, if not nil, makes the message from the nickname
// of who does it; nothing is said when nothing changes. Errors: ErrNotFound,
// ErrNotMember, ErrRole.
func (s *Store) SetRoom(ctx context.Context, by By, room int64, c RoomChange, say func(operator string) NewRoomMessage) error {
	return s.update(ctx, func(tx *Tx) error {
		r, _, err := tx.roomAs(room, by, RoleRoomAdmin)
		if err != nil || c.same(&r.Room) {
			return err
		}
		operator, _, err := tx.nicknames(by.User, 0)
		if err != nil {
			return err
		}
		if err := tx.auditChange(by, &r.Room, c); err != nil {
			return err
		}
		c.apply(&r.Room)
		if err := tx.exec(`UPDATE room SET name = ?, avatar = ?, notice = ?, approval = ?, open_invite = ? WHERE id = ?`,
			r.Name, r.Avatar, r.Notice, r.Approval, r.OpenInvite, r.ID); err != nil {
			return err
		}
		if c.Name != nil || c.Avatar != nil {
			if err := tx.bumpRoom(room); err != nil {
				return err
			}
		}
		if say == nil {
			return nil
		}
		note := say(operator)
		note.Room, note.From = room, by.author()
		_, err = tx.appendRoom(r, note, News{})
		return err
	})
}

// SetAdmins makes users the complete set of admins. say makes the message from
// their nicknames. Errors: ErrNotFound, ErrNotMember, ErrRole, ErrNoUser (one is
// no member), ErrConflict (one is the owner).
func (s *Store) SetAdmins(ctx context.Context, by By, room int64, users []int64, say func(nicknames []string) NewRoomMessage) error {
	return s.update(ctx, func(tx *Tx) error {
		r, _, err := tx.roomAs(room, by, RoleOwner)
		if err != nil {
			return err
		}
		for _, u := range users {
			m, ok := r.members.Find(u)
			switch {
			case !ok:
				return ErrNoUser
			case m.Role == RoleOwner:
				return ErrConflict
			}
		}
		changed := false
		var names []string
		for _, m := range r.members.All() {
			role := RoleMember
			if slices.Contains(users, m.User) {
				role = RoleRoomAdmin
				_, nick, err := tx.nicknames(0, m.User)
				if err != nil {
					return err
				}
				names = append(names, nick)
			}
			if m.Role == RoleOwner || m.Role == role {
				continue
			}
			changed = true
			if err := tx.setRole(r, m, role); err != nil {
				return err
			}
		}
		if !changed {
			return nil
		}
		if err := tx.auditRoom(by, "room.admins", room, "now "+strconv.Itoa(len(names))); err != nil {
			return err
		}
		note := say(names)
		note.Room, note.From = room, by.author()
		_, err = tx.appendRoom(r, note, News{})
		return err
	})
}

// Transfer makes another member the owner; the old one becomes an admin. Errors:
// ErrNotFound, ErrNotMember, ErrRole, ErrNoUser (the heir is no member),
// ErrConflict (is the owner already), ErrTooManyRooms (the heir owns enough).
func (s *Store) Transfer(ctx context.Context, by By, room, heir int64, ownedLimit int, say func(nickname string) NewRoomMessage) error {
	return s.update(ctx, func(tx *Tx) error {
		r, _, err := tx.roomAs(room, by, RoleOwner)
		if err != nil {
			return err
		}
		h, ok := r.members.Find(heir)
		switch {
		case !ok:
			return ErrNoUser
		case h.Role == RoleOwner:
			return ErrConflict
		}
		if err := tx.mayOwnMore(heir, ownedLimit); err != nil {
			return err
		}
		_, nick, err := tx.nicknames(0, heir)
		if err != nil {
			return err
		}
		for _, m := range r.members.All() {
			if m.Role == RoleOwner {
				if err := tx.setRole(r, m, RoleRoomAdmin); err != nil {
					return err
				}
			}
		}
		if err := tx.setRole(r, h, RoleOwner); err != nil {
			return err
		}
		if err := tx.auditRoom(by, "room.transfer", room, "to user "+itoa(heir)); err != nil {
			return err
		}
		note := say(nick)
		note.Room, note.From, note.Target = room, by.author(), heir
		_, err = tx.appendRoom(r, note, News{})
		return err
	})
}
