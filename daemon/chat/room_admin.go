package chat

import (
	"context"

	"gtiv/protocol"
	"gtiv/store"
)

// operator is who acts over the control socket. Members see the built-in account.
func operator() Caller { return Caller{User: protocol.BuiltInUserID, Admin: true} }

// AllRooms lists rooms by id, for operators.
func (s *Service) AllRooms(ctx context.Context, query string, after int64, limit int) ([]store.Room, error) {
	return s.store.Rooms(ctx, store.RoomFilter{Query: query, After: after, Limit: limit})
}

// RoomDetail is a room as operators see it.
type RoomDetail struct {
	store.Room
	store.RoomCounts
	Admins []store.RoomMemberRow // the owner first
	Waits  int                   // who wait for the admins
}

// RoomOf answers about a room, for operators. Code: CodeUnknown.
func (s *Service) RoomOf(ctx context.Context, room int64) (RoomDetail, error) {
	r, err := s.store.Room(ctx, room)
	if err != nil {
		return RoomDetail{}, s.roomError(err)
	}
	d := RoomDetail{Room: r}
	if d.Admins, err = s.store.RoomMembers(ctx, room, store.MemberFilter{LeastRole: store.RoleRoomAdmin, Limit: maxMemberRows}); err != nil {
		return d, err
	}
	if d.RoomCounts, err = s.store.RoomCounts(ctx, room); err != nil {
		return d, err
	}
	waits, err := s.store.RoomRequests(ctx, room)
	d.Waits = len(waits)
	return d, err
}

// MembersOf lists members of a room, for operators. Code: CodeUnknown.
func (s *Service) MembersOf(ctx context.Context, room int64, offset, limit int) ([]store.RoomMemberRow, error) {
	if _, err := s.store.Room(ctx, room); err != nil {
		return nil, s.roomError(err)
	}
	return s.store.RoomMembers(ctx, room, store.MemberFilter{Offset: offset, Limit: limit})
}

// Dissolve ends a room, for operators, and answers its name. Code: CodeUnknown.
func (s *Service) Dissolve(ctx context.Context, room int64) (name string, err error) {
	r, err := s.store.Room(ctx, room)
	if err != nil {
		return "", s.roomError(err)
	}
	return r.Name, s.DissolveRoom(ctx, operator(), room)
}
