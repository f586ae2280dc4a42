package chat

import (
	"context"
	"errors"

	"gtiv/protocol"
	"gtiv/store"
)

// RoomView is a room as one user sees it.
type RoomView struct {
	store.Room
	Role                int // 0: no member
	MutedAll, MutedUser bool
}

// Rooms lists the caller's rooms.
func (s *Service) Rooms(ctx context.Context, c Caller) ([]store.Room, error) {
	return s.store.RoomsOf(ctx, c.User)
}

// Room answers about a room. Who is no member learns nothing, not even whether
// there is one: the app asks with the ids of people, too (wire.md K7).
func (s *Service) Room(ctx context.Context, c Caller, room int64) (RoomView, error) {
	r, m, err := s.inRoom(ctx, c, room)
	if errors.Is(err, store.ErrNotMember) || errors.Is(err, store.ErrNotFound) {
		return RoomView{Room: store.Room{ID: room}}, nil
	}
	if err != nil {
		return RoomView{}, s.roomError(err)
	}
	v := RoomView{Room: r, Role: m.Role}
	// Admins may write; the app would show them the bar all the same.
	v.MutedAll, v.MutedUser = r.Muted(m, s.now().UnixMilli())
	return v, nil
}

// inRoom finds a room and what the caller is in it. Admins of the site see all.
func (s *Service) inRoom(ctx context.Context, c Caller, room int64) (store.Room, store.Member, error) {
	m, err := s.store.RoomMember(ctx, room, c.User)
	if err != nil && !(c.Admin && errors.Is(err, store.ErrNotMember)) {
		return store.Room{}, m, err
	}
	r, err := s.store.Room(ctx, room)
	return r, m, err
}

// asMember refuses who is no member. A room that does not exist is answered
// alike: who looks at ids learns nothing of them.
func (s *Service) asMember(ctx context.Context, c Caller, room int64) (store.Room, store.Member, error) {
	r, m, err := s.inRoom(ctx, c, room)
	return r, m, s.roomError(err)
}

// Notice is a room's notice, in the form of the app (wire.md K2).
func (s *Service) Notice(ctx context.Context, c Caller, room int64) (string, error) {
	r, _, err := s.asMember(ctx, c, room)
	return plainQuotes(protocol.TypeText, r.Notice), err
}

const maxMemberRows = 500

// Members lists members of a room, from page 1 on.
func (s *Service) Members(ctx context.Context, c Caller, room int64, nickname string, page, rows int) ([]store.RoomMemberRow, error) {
	if _, _, err := s.asMember(ctx, c, room); err != nil {
		return nil, err
	}
	return s.store.RoomMembers(ctx, room, store.MemberFilter{Nickname: nickname, Offset: (page - 1) * rows, Limit: rows})
}

// Member answers about one member. Former ones are answered as ordinary ones,
// because the app asks about them (wire.md 4.4).
func (s *Service) Member(ctx context.Context, c Caller, room, user int64) (store.RoomMemberRow, error) {
	var row store.RoomMemberRow
	if _, _, err := s.asMember(ctx, c, room); err != nil {
		return row, err
	}
	var err error
	if row.Account, err = s.store.Account(ctx, user); errors.Is(err, store.ErrNotFound) {
		return row, protocol.Errorf(protocol.CodeUnknown, "noSuchUser")
	}
	if err != nil {
		return row, err
	}
	row.Member, err = s.store.RoomMember(ctx, room, user)
	if errors.Is(err, store.ErrNotMember) {
		row.Member, err = store.Member{User: user, Role: store.RoleMember}, nil
	}
	return row, err
}

// MemberIDs lists who belongs to a room.
func (s *Service) MemberIDs(ctx context.Context, c Caller, room int64) ([]int64, error) {
	if _, _, err := s.asMember(ctx, c, room); err != nil {
		return nil, err
	}
	return s.store.RoomMemberIDs(ctx, room)
}

// Admins lists the owner and the admins of a room.
func (s *Service) Admins(ctx context.Context, c Caller, room int64) ([]store.RoomMemberRow, error) {
	if _, _, err := s.asMember(ctx, c, room); err != nil {
		return nil, err
	}
	return s.store.RoomMembers(ctx, room, store.MemberFilter{LeastRole: store.RoleRoomAdmin, Limit: maxMemberRows})
}

// Muted lists the members who are muted now, for the room's admins.
func (s *Service) Muted(ctx context.Context, c Caller, room int64) ([]store.RoomMemberRow, error) {
	if err := s.asRoomAdmin(ctx, c, room); err != nil {
		return nil, err
	}
	return s.store.RoomMembers(ctx, room, store.MemberFilter{BannedAt: s.now().UnixMilli(), Limit: maxMemberRows})
}

func (s *Service) asRoomAdmin(ctx context.Context, c Caller, room int64) error {
	_, m, err := s.asMember(ctx, c, room)
	if err == nil && m.Role < store.RoleRoomAdmin && !c.Admin {
		err = s.roomError(store.ErrRole)
	}
	return err
}
