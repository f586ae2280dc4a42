package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// Roles in a room (wire.md 15).
const (
	RoleMember    = 10
	RoleRoomAdmin = 20
	RoleOwner     = 30
	roleSite      = 40 // of an admin of the whole site, who acts
)

// FirstRoom is the id before that of the first room; group and live rooms share
// the numbers behind it.
const (
	FirstRoom = 1_000_000_000
	maxRoomID = 1<<31 - 1 - 100 // op 100 + id is an int32
)

// Errors of rooms, beside ErrNotFound (no such room, or it was dissolved).
var (
	// ErrNotMember: the caller does not belong to the room.
	ErrNotMember = errors.New("not a member of the room")
	// ErrRole: the caller's role is too low for what is asked.
	ErrRole = errors.New("role too low")
	// ErrRoomFull: the room would have more members than its limit.
	ErrRoomFull = errors.New("room is full")
	// ErrRemoved: an admin took somebody out of the room, and none let them in again.
	ErrRemoved = errors.New("was removed from the room")
	// ErrTooManyRooms: the caller owns as many rooms as one may.
	ErrTooManyRooms = errors.New("owns too many rooms")
)

// Room is a group.
type Room struct {
	ID                   int64
	Name, Avatar, Notice string
	MemberLimit          int
	MemberNum            int
	BannedUntil          int64 // ms; ordinary members may not write before
	Approval             bool  // who comes by a link waits for an admin
	OpenInvite           bool  // members may invite who is not their contact
	CreatedBy            int64
	CreatedAt            int64
	DissolvedAt          int64
}

// Member is one member of a room.
type Member struct {
	User        int64
	Role        int
	BannedUntil int64 // ms
	BySite      bool  // the mute is of an admin of the site and binds every role
	JoinedAt    int64 // ms
	JoinedSeq   uint64
}

// Members is who belongs to a room at one moment, by user id. It never changes,
// so that a message on its way keeps those who are to get it.
type Members struct {
	list []Member
	ids  []int64
}

func newMembers(list []Member) *Members {
	m := &Members{list: list, ids: make([]int64, len(list))}
	for i := range list {
		m.ids[i] = list[i].User
	}
	return m
}

// IDs lists the users. It must not be changed.
func (m *Members) IDs() []int64 { return m.ids }

// Len is how many they are.
func (m *Members) Len() int { return len(m.list) }

// Find answers a user's membership.
func (m *Members) Find(user int64) (Member, bool) {
	i, ok := slices.BinarySearch(m.ids, user)
	if !ok {
		return Member{}, false
	}
	return m.list[i], true
}

// All lists the members. It must not be changed.
func (m *Members) All() []Member { return m.list }

// with answers the members after some were added or changed.
func (m *Members) with(more ...Member) *Members {
	list := slices.Clone(m.list)
	for _, n := range more {
		i, ok := slices.BinarySearchFunc(list, n.User, func(a Member, user int64) int { return int(a.User - user) })
		if ok {
			list[i] = n
		} else {
			list = slices.Insert(list, i, n)
		}
	}
	return newMembers(list)
}

func (m *Members) without(user int64) *Members {
	return newMembers(slices.DeleteFunc(slices.Clone(m.list), func(a Member) bool { return a.User == user }))
}

// roomRow is what the writer remembers of a room.
type roomRow struct {
	Room
	members *Members
}

// By is who acts in a room.
type By struct {
	User  int64
	Admin bool // of the whole site: may do what an owner may, also to the owner
}

// author is who the messages about it come from: over the control socket nobody
// acts, and clients need a valid id.
func (by By) author() int64 {
	if by.User == 0 {
		return BuiltInAccount
	}
	return by.User
}

// room finds a room that was not dissolved.
func (tx *Tx) room(id int64) (*roomRow, error) {
	if r, ok := tx.s.w.rooms.get(id); ok {
		if r.DissolvedAt != 0 {
			return nil, ErrNotFound
		}
		return r, nil
	}
	room, err := scanRoom(tx.row(`SELECT `+roomColumns+` FROM room r WHERE r.id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && room.DissolvedAt != 0 {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	rows, err := tx.rows(`SELECT `+memberColumns+` FROM room_member m WHERE m.room_id = ? ORDER BY m.user_id`, id)
	list, err := collect(rows, err, func(r scanner) (Member, error) { return scanMember(r) })
	if err != nil {
		return nil, err
	}
	r := &roomRow{Room: room, members: newMembers(list)}
	tx.s.w.rooms.put(id, r)
	return r, nil
}

// roomAs finds a room and who acts in it, who needs at least that role.
func (tx *Tx) roomAs(id int64, by By, least int) (*roomRow, Member, error) {
	r, err := tx.room(id)
	if err != nil {
		return nil, Member{}, err
	}
	m, ok := r.members.Find(by.User)
	switch {
	case by.Admin:
		m.User, m.Role = by.User, roleSite
	case !ok:
		return nil, m, ErrNotMember
	case m.Role < least:
		return nil, m, ErrRole
	}
	return r, m, nil
}

const roomColumns = `r.id, r.name, r.avatar, r.notice, r.member_limit, r.member_num, r.banned_until, r.approval, r.open_invite, r.created_by, r.created_at, r.dissolved_at`

// scanRoom reads roomColumns and what the query selects behind them.
func scanRoom(row scanner, after ...any) (Room, error) {
	var r Room
	err := row.Scan(append([]any{
		&r.ID, &r.Name, &r.Avatar, &r.Notice, &r.MemberLimit, &r.MemberNum, &r.BannedUntil, &r.Approval, &r.OpenInvite,
		&r.CreatedBy, &r.CreatedAt, &r.DissolvedAt,
	}, after...)...)
	return r, err
}

const memberColumns = `m.user_id, m.role, m.banned_until, m.by_site, m.joined_at, m.joined_seq`

func scanMember(row scanner, before ...any) (Member, error) {
	var m Member
	err := row.Scan(append(before, &m.User, &m.Role, &m.BannedUntil, &m.BySite, &m.JoinedAt, &m.JoinedSeq)...)
	return m, err
}

// Room finds a room that was not dissolved.
func (s *Store) Room(ctx context.Context, id int64) (Room, error) {
	r, err := scanRoom(s.viewRow(ctx, `SELECT `+roomColumns+` FROM room r WHERE r.id = ? AND r.dissolved_at = 0`, id))
	return r, mapError(err)
}

// RoomMember finds a user's membership. ErrNotMember: there is none.
func (s *Store) RoomMember(ctx context.Context, room, user int64) (Member, error) {
	m, err := scanMember(s.viewRow(ctx, `SELECT `+memberColumns+` FROM room_member m WHERE m.room_id = ? AND m.user_id = ?`, room, user))
	if errors.Is(err, sql.ErrNoRows) {
		return m, ErrNotMember
	}
	return m, mapError(err)
}

// Muted says what keeps a member from writing at a time (ms): a mute of everybody,
// which binds ordinary members, or one of their own.
func (r *Room) Muted(m Member, now int64) (all, own bool) {
	ordinary := m.Role < RoleRoomAdmin
	return ordinary && r.BannedUntil > now, (ordinary || m.BySite) && m.BannedUntil > now
}

// RoomsOf lists the rooms of a user, by name.
func (s *Store) RoomsOf(ctx context.Context, user int64) ([]Room, error) {
	rows, err := s.viewRows(ctx, `SELECT `+roomColumns+` FROM room_member m JOIN room r ON r.id = m.room_id WHERE m.user_id = ? ORDER BY r.name, r.id`, user)
	return collect(rows, err, func(r scanner) (Room, error) { return scanRoom(r) })
}

// Membership is a room and what a user is in it.
type Membership struct {
	Room
	Member Member
}

// Memberships lists the rooms that a user belongs to, by id, with what the user
// is there.
func (s *Store) Memberships(ctx context.Context, user int64) ([]Membership, error) {
	rows, err := s.viewRows(ctx, `SELECT `+roomColumns+`, `+memberColumns+` FROM room_member m JOIN room r ON r.id = m.room_id WHERE m.user_id = ? ORDER BY m.room_id`, user)
	return collect(rows, err, func(r scanner) (Membership, error) {
		var m Membership
		var err error
		m.Room, err = scanRoom(r, &m.Member.User, &m.Member.Role, &m.Member.BannedUntil, &m.Member.BySite, &m.Member.JoinedAt, &m.Member.JoinedSeq)
		return m, err
	})
}

// RoomsEver lists the ids of the rooms that a user belongs to or belonged to
// once, dissolved ones among them.
func (s *Store) RoomsEver(ctx context.Context, user int64) ([]int64, error) {
	rows, err := s.viewRows(ctx, `SELECT room_id FROM room_member WHERE user_id = ?1 UNION SELECT room_id FROM room_former WHERE user_id = ?1`, user)
	return collect(rows, err, scanInt)
}

// RoomCounts is how much there is of a room.
type RoomCounts struct {
	Links    int // that work
	Messages int64
}

// RoomCounts counts.
func (s *Store) RoomCounts(ctx context.Context, room int64) (RoomCounts, error) {
	var n RoomCounts
	err := s.viewRow(ctx, `SELECT (SELECT count(*) FROM room_link l WHERE l.room_id = ? AND `+linkAlive+`),
		(SELECT count(*) FROM message WHERE conversation_id = (SELECT id FROM conversation WHERE kind = 2 AND a = ? AND b = 0))`,
		room, s.now().UnixMilli(), room).Scan(&n.Links, &n.Messages)
	return n, mapError(err)
}

// RoomFilter selects rooms of Rooms.
type RoomFilter struct {
	Query string // part of the name, "" all
	After int64  // id behind which to go on
	Limit int
}

// Rooms lists rooms that were not dissolved, by id.
func (s *Store) Rooms(ctx context.Context, f RoomFilter) ([]Room, error) {
	rows, err := s.viewRows(ctx, `SELECT `+roomColumns+` FROM room r WHERE r.id > ? AND r.dissolved_at = 0 AND (? = '' OR r.name LIKE ? ESCAPE '\') ORDER BY r.id LIMIT ?`,
		f.After, f.Query, likePattern(f.Query), f.Limit)
	return collect(rows, err, func(r scanner) (Room, error) { return scanRoom(r) })
}

// RoomMemberRow is a member with the account.
type RoomMemberRow struct {
	Member
	Account Account
}

// MemberFilter selects members of RoomMembers.
type MemberFilter struct {
	Nickname  string // part of it, "" all
	LeastRole int
	BannedAt  int64 // only who is muted at this time (ms), 0 all
	Offset    int
	Limit     int
}

// RoomMembers lists members of a room: the owner, the admins, the rest as they
// came.
func (s *Store) RoomMembers(ctx context.Context, room int64, f MemberFilter) ([]RoomMemberRow, error) {
	rows, err := s.viewRows(ctx, `SELECT `+memberColumns+`, `+accountColumns+` FROM room_member m JOIN account a ON a.id = m.user_id
		WHERE m.room_id = ?1 AND m.role >= ?2 AND (?3 = '' OR a.nickname LIKE ?4 ESCAPE '\') AND (?5 = 0 OR m.banned_until > ?5)
		ORDER BY m.role DESC, m.joined_at, m.user_id LIMIT ?6 OFFSET ?7`,
		room, f.LeastRole, f.Nickname, likePattern(f.Nickname), f.BannedAt, f.Limit, f.Offset)
	return collect(rows, err, func(r scanner) (RoomMemberRow, error) {
		var m RoomMemberRow
		var err error
		m.Account, err = scanAccount(r, &m.User, &m.Role, &m.BannedUntil, &m.BySite, &m.JoinedAt, &m.JoinedSeq)
		return m, err
	})
}

// RoomMemberIDs lists who belongs to a room.
func (s *Store) RoomMemberIDs(ctx context.Context, room int64) ([]int64, error) {
	rows, err := s.viewRows(ctx, `SELECT user_id FROM room_member WHERE room_id = ? ORDER BY user_id`, room)
	return collect(rows, err, scanInt)
}

// RoomPosition is where a room's conversation stands for one of its members.
type RoomPosition struct {
	Position
	Room      int64
	JoinedAt  int64
	JoinedSeq uint64
}

// The memberships come first (CROSS JOIN): SQLite would go through the
// conversations of all rooms and look for the user in each.
const roomPosition = `SELECT m.room_id, m.joined_at, m.joined_seq, c.id, max(c.expired_seq, coalesce(g.seq, 0)), max(c.expired_time, coalesce(g.time, 0))
	FROM room_member m CROSS JOIN conversation c ON c.kind = 2 AND c.a = m.room_id AND c.b = 0
	LEFT JOIN message g ON g.id = (SELECT id FROM message WHERE conversation_id = c.id ORDER BY seq DESC LIMIT 1) `

func scanRoomPosition(r scanner) (RoomPosition, error) {
	var p RoomPosition
	err := r.Scan(&p.Room, &p.JoinedAt, &p.JoinedSeq, &p.Conversation, &p.Last, &p.LastTime)
	return p, err
}

// RoomPosition answers it for one room. ErrNotMember: the user is none.
func (s *Store) RoomPosition(ctx context.Context, room, user int64) (RoomPosition, error) {
	p, err := scanRoomPosition(s.viewRow(ctx, roomPosition+`WHERE m.room_id = ? AND m.user_id = ?`, room, user))
	if errors.Is(err, sql.ErrNoRows) {
		return p, ErrNotMember
	}
	return p, mapError(err)
}

// RoomPositions answers it for all rooms of a user.
func (s *Store) RoomPositions(ctx context.Context, user int64) ([]RoomPosition, error) {
	rows, err := s.viewRows(ctx, roomPosition+`WHERE m.user_id = ?`, user)
	return collect(rows, err, scanRoomPosition)
}
