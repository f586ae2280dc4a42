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

// This file holds how rooms are made and joined; room_leave.go how they are left,
// room_change.go what their owner and admins decide. Each change stores the
// message that tells the members in the same write, so that everybody sees both
// in the same order.

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
