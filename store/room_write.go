package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// This file holds what changes rooms and who belongs to them. Each change stores
// the message that tells the members in the same write, so that everybody sees
// both in the same order.

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// auditRoom records what a moderator did in a room.
func (tx *Tx) auditRoom(by By, action string, room int64, detail string) error {
	actor := "user " + itoa(by.User)
	if by.author() == BuiltInAccount {
		return nil // somebody on the control socket, which keeps its own record
	}
	if by.Admin {
		actor += " (site admin)"
	}
	return tx.audit(actor, action, "room "+itoa(room), detail)
}

// nickname is the name of a user for a text.
func (tx *Tx) nickname(user int64) (string, error) {
	var n string
	err := tx.row(`SELECT nickname FROM account WHERE id = ?`, user).Scan(&n)
	return n, err
}

// NewRoom is what creating a room writes.
type NewRoom struct {
	Owner       int64
	Name        func(nickname string) string
	Invitees    []int64 // without the owner; doubles count once
	Strangers   bool    // invitees need not be contacts
	MemberLimit int
	OwnedLimit  int // how many rooms one may own, 0 any number
	First       NewRoomMessage
}

// CreateRoom makes a room with its owner and first members, and stores its first
// message. Errors: ErrNotFound (an invitee does not exist), ErrNotContact (one is
// no contact), ErrRoomFull, ErrTooManyRooms.
func (s *Store) CreateRoom(ctx context.Context, n NewRoom) (Message, error) {
	var out Message
	err := s.update(ctx, func(tx *Tx) error {
		var err error
		out, err = tx.createRoom(n)
		return err
	})
	return out, err
}

func (tx *Tx) createRoom(n NewRoom) (Message, error) {
	invitees := slices.Clone(n.Invitees)
	slices.Sort(invitees)
	invitees = slices.Compact(invitees)
	if len(invitees)+1 > n.MemberLimit {
		return Message{}, ErrRoomFull
	}
	if err := tx.mayOwnMore(n.Owner, n.OwnedLimit); err != nil {
		return Message{}, err
	}
	if there, err := tx.isThere(n.Owner); err != nil || !there {
		return Message{}, cmp.Or(err, ErrNotFound)
	}
	if err := tx.mayInvite(n.Owner, invitees, n.Strangers); err != nil {
		return Message{}, err
	}
	nick, err := tx.nickname(n.Owner)
	if err != nil {
		return Message{}, err
	}
	id, err := tx.newRoomID()
	if err != nil {
		return Message{}, err
	}
	r := &roomRow{Room: Room{
		ID: id, Name: n.Name(nick), MemberLimit: n.MemberLimit, CreatedBy: n.Owner, CreatedAt: tx.now,
	}, members: newMembers(nil)}
	if err := tx.exec(`INSERT INTO room (id, name, member_limit, created_by, created_at) VALUES (?, ?, ?, ?, ?)`,
		id, r.Name, r.MemberLimit, n.Owner, tx.now); err != nil {
		return Message{}, err
	}
	tx.s.w.rooms.put(id, r)
	if err := tx.join(r, 0, Member{User: n.Owner, Role: RoleOwner}); err != nil {
		return Message{}, err
	}
	if err := tx.joinAll(r, invitees); err != nil {
		return Message{}, err
	}
	n.First.Room = id
	return tx.appendRoom(r, n.First, News{Joined: invitees})
}

// newRoomID is the next free id of a group or live room: they share the numbers.
// Rows of rooms are never deleted, so no id is given out twice.
func (tx *Tx) newRoomID() (int64, error) {
	var id int64
	err := tx.row(`SELECT max(` + itoa(FirstRoom) + `, coalesce((SELECT max(id) FROM room), 0), coalesce((SELECT max(id) FROM live_room), 0)) + 1`).Scan(&id)
	if err == nil && id > maxRoomID {
		err = fmt.Errorf("no room ids are left: %d", id)
	}
	return id, err
}

func (tx *Tx) mayOwnMore(user int64, limit int) error {
	if limit <= 0 {
		return nil
	}
	var owned int
	if err := tx.row(`SELECT count(*) FROM room_member WHERE user_id = ? AND role = 30`, user).Scan(&owned); err != nil {
		return err
	}
	if owned >= limit {
		return ErrTooManyRooms
	}
	return nil
}

// isThere says whether an account exists that somebody uses.
func (tx *Tx) isThere(user int64) (bool, error) {
	var there bool
	err := tx.row(`SELECT EXISTS (SELECT 1 FROM account WHERE id = ? AND deleted_at = 0 AND id <> 10000)`, user).Scan(&there)
	return there, err
}

// mayInvite checks that invitees exist and are the inviter's contacts.
func (tx *Tx) mayInvite(by int64, invitees []int64, strangers bool) error {
	for _, u := range invitees {
		there, err := tx.isThere(u)
		if err != nil {
			return err
		}
		if !there {
			return ErrNotFound
		}
		rel, err := tx.relation(by, u)
		if err != nil {
			return err
		}
		if rel.blockedByPeer || !rel.contacts && !strangers {
			return ErrNotContact
		}
	}
	return nil
}

// former is what a room remembers of somebody who left it.
type former struct {
	known       bool
	bannedUntil int64 // ms
	bySite      bool
	removed     bool
}

func (tx *Tx) former(room, user int64) (former, error) {
	f := former{known: true}
	err := tx.row(`SELECT banned_until, by_site, removed FROM room_former WHERE user_id = ? AND room_id = ?`, user, room).Scan(&f.bannedUntil, &f.bySite, &f.removed)
	if errors.Is(err, sql.ErrNoRows) {
		return former{}, nil
	}
	return f, err
}

// join adds one member; messages up to seq were before their time. A mute that
// has not ended goes on.
func (tx *Tx) join(r *roomRow, seq uint64, m Member) error {
	f, err := tx.former(r.ID, m.User)
	if err != nil {
		return err
	}
	m.JoinedAt, m.JoinedSeq = tx.now, seq
	if f.bannedUntil > tx.now {
		m.BannedUntil, m.BySite = f.bannedUntil, f.bySite
	}
	if err := tx.exec(`INSERT INTO room_member (room_id, user_id, role, banned_until, by_site, joined_at, joined_seq) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.ID, m.User, m.Role, m.BannedUntil, m.BySite, m.JoinedAt, int64(seq)); err != nil {
		return err
	}
	if f.removed {
		if err := tx.exec(`UPDATE room_former SET removed = 0 WHERE user_id = ? AND room_id = ?`, m.User, r.ID); err != nil {
			return err
		}
	}
	r.members = r.members.with(m)
	if err := tx.countMembers(r); err != nil {
		return err
	}
	return tx.exec(`DELETE FROM room_request WHERE room_id = ? AND user_id = ?`, r.ID, m.User)
}

func (tx *Tx) countMembers(r *roomRow) error {
	r.MemberNum = r.members.Len()
	return tx.exec(`UPDATE room SET member_num = ? WHERE id = ?`, r.MemberNum, r.ID)
}

// joinAll adds ordinary members and has their phones fetch the list of rooms.
func (tx *Tx) joinAll(r *roomRow, users []int64) error {
	conv, err := tx.roomConversation(r.ID)
	if err != nil {
		return err
	}
	for _, u := range users {
		if err := tx.join(r, conv.last, Member{User: u, Role: RoleMember}); err != nil {
			return err
		}
	}
	return tx.bumpContacts(users...)
}

// bumpRoom has the phones of all members fetch the list of rooms again.
func (tx *Tx) bumpRoom(room int64) error {
	return tx.exec(`UPDATE account SET contacts_version = contacts_version + 1 WHERE id IN (SELECT user_id FROM room_member WHERE room_id = ?)`, room)
}

// Invite adds members to a room. say makes the message from their nicknames; muted
// is for an inviter who may not write there now. Who is a member already is skipped. Errors: ErrNotFound (no such room),
// ErrNotMember, ErrNoUser (an invitee does not exist), ErrNotContact (one is no
// contact and the room does not allow strangers), ErrRemoved (one was taken out by
// an admin, and the inviter is none), ErrRoomFull, ErrConflict (all are members
// already).
func (s *Store) Invite(ctx context.Context, by By, room int64, invitees []int64, say func(inviter string, nicknames []string, muted bool) NewRoomMessage) (Message, error) {
	var out Message
	err := s.update(ctx, func(tx *Tx) error {
		r, member, err := tx.roomAs(room, by, RoleMember)
		if err != nil {
			return err
		}
		fresh := slices.DeleteFunc(slices.Clone(invitees), func(u int64) bool { _, ok := r.members.Find(u); return ok })
		slices.Sort(fresh)
		fresh = slices.Compact(fresh)
		switch {
		case len(fresh) == 0:
			return ErrConflict
		case r.members.Len()+len(fresh) > r.MemberLimit:
			return ErrRoomFull
		}
		err = tx.mayInvite(by.User, fresh, by.Admin || r.OpenInvite)
		if errors.Is(err, ErrNotFound) {
			return ErrNoUser
		}
		if err != nil {
			return err
		}
		if r.Approval && member.Role < RoleRoomAdmin {
			return ErrRole // in such a room admins decide who comes
		}
		if member.Role < RoleRoomAdmin {
			for _, u := range fresh {
				if f, err := tx.former(room, u); err != nil || f.removed {
					return cmp.Or(err, ErrRemoved)
				}
			}
		}
		if by.Admin {
			if err := tx.auditRoom(by, "room.invite", room, users(fresh)); err != nil {
				return err
			}
		}
		out, err = tx.addMembers(r, by.User, fresh, func(inviter string, nicknames []string) NewRoomMessage {
			return say(inviter, nicknames, r.muted(member, tx.now))
		})
		return err
	})
	return out, err
}

// users names people for the audit log, not more than it can hold.
func users(ids []int64) string {
	const most = 20
	text := "users"
	for i, u := range ids[:min(len(ids), most)] {
		if i > 0 {
			text += ","
		}
		text += " " + itoa(u)
	}
	if len(ids) > most {
		text += " and " + strconv.Itoa(len(ids)-most) + " more"
	}
	return text
}

// ErrNoUser: one of several users does not exist.
var ErrNoUser = errors.New("no such user")

func (tx *Tx) addMembers(r *roomRow, by int64, users []int64, say func(string, []string) NewRoomMessage) (Message, error) {
	inviter, err := tx.nickname(by)
	if err != nil {
		return Message{}, err
	}
	names := make([]string, len(users))
	for i, u := range users {
		if names[i], err = tx.nickname(u); err != nil {
			return Message{}, err
		}
	}
	if err := tx.joinAll(r, users); err != nil {
		return Message{}, err
	}
	m := say(inviter, names)
	m.Room = r.ID
	return tx.appendRoom(r, m, News{Joined: users})
}

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

func (tx *Tx) setRole(r *roomRow, m Member, role int) error {
	m.Role = role
	if role >= RoleRoomAdmin && !m.BySite {
		m.BannedUntil = 0
	}
	r.members = r.members.with(m)
	return tx.exec(`UPDATE room_member SET role = ?, banned_until = ? WHERE room_id = ? AND user_id = ?`, m.Role, m.BannedUntil, r.ID, m.User)
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
