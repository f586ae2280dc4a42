package control

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"gtiv/daemon/chat"
	"gtiv/protocol"
	"gtiv/store"
)

// rooms is what the handlers of groups need of chat.Service.
type rooms interface {
	AllRooms(ctx context.Context, query string, after int64, limit int) ([]store.Room, error)
	RoomOf(ctx context.Context, room int64) (chat.RoomDetail, error)
	MembersOf(ctx context.Context, room int64, offset, limit int) ([]store.RoomMemberRow, error)
	Dissolve(ctx context.Context, room int64) (name string, err error)
}

const maxRoomQuery = 100 // bytes

func (s *Server) listRooms(ctx context.Context, c *call) (any, error) {
	q := c.url.Query()
	after, limit, err := page(q, "After")
	if err != nil {
		return nil, err
	}
	query := q.Get("Query")
	if len(query) > maxRoomQuery {
		return nil, badRequest("Query is too long")
	}
	found, err := s.deps.Rooms.AllRooms(ctx, query, after, limit)
	if err != nil {
		return nil, err
	}
	reply := protocol.RoomList{List: []protocol.Room{}}
	for _, r := range found {
		reply.List = append(reply.List, controlRoom(r))
	}
	if len(found) == limit {
		reply.Next = found[limit-1].ID
	}
	return reply, nil
}

// roomID reads the one parameter that says which group is meant.
func roomID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, badRequest("Room is not an id")
	}
	return id, nil
}

func (s *Server) showRoom(ctx context.Context, c *call) (any, error) {
	id, err := roomID(c.url.Query().Get("Room"))
	if err != nil {
		return nil, err
	}
	d, err := s.deps.Rooms.RoomOf(ctx, id)
	if err != nil {
		return nil, err
	}
	r := controlRoom(d.Room)
	r.Notice, r.Links, r.Waiting, r.Messages = d.Notice, d.Links, d.Waits, d.Messages
	for _, m := range d.Admins {
		if m.Role == store.RoleOwner {
			r.Owner = m.User
			continue
		}
		r.Admins = append(r.Admins, m.User)
	}
	return r, nil
}

func (s *Server) listRoomMembers(ctx context.Context, c *call) (any, error) {
	q := c.url.Query()
	id, err := roomID(q.Get("Room"))
	if err != nil {
		return nil, err
	}
	offset, limit, err := page(q, "After")
	if err != nil {
		return nil, err
	}
	found, err := s.deps.Rooms.MembersOf(ctx, id, int(min(offset, 1<<30)), limit)
	if err != nil {
		return nil, err
	}
	reply := protocol.RoomMemberList{List: []protocol.RoomMember{}}
	for _, m := range found {
		reply.List = append(reply.List, protocol.RoomMember{
			ID: m.User, Username: m.Account.Username, Nickname: m.Account.Nickname, Role: roomRole(m.Role),
			JoinedAt: atMs(m.JoinedAt), MutedUntil: upcoming(m.BannedUntil),
		})
	}
	if len(found) == limit {
		reply.Next = offset + int64(limit)
	}
	return reply, nil
}

func roomRole(role int) string {
	switch role {
	case store.RoleOwner:
		return "owner"
	case store.RoleRoomAdmin:
		return "admin"
	}
	return "member"
}

func (s *Server) dissolveRoom(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.RoomRef](c)
	if err != nil {
		return nil, err
	}
	if req.Room <= 0 {
		return nil, badRequest("Room is missing")
	}
	name, err := s.deps.Rooms.Dissolve(ctx, req.Room)
	if err != nil {
		return nil, err
	}
	c.target, c.detail = fmt.Sprintf("room %d", req.Room), name
	return protocol.Room{ID: req.Room, Name: name}, nil
}

func controlRoom(r store.Room) protocol.Room {
	return protocol.Room{
		ID: r.ID, Name: r.Name, Members: r.MemberNum, MemberLimit: r.MemberLimit, MutedUntil: upcoming(r.BannedUntil),
		Approval: r.Approval, OpenInvite: r.OpenInvite, CreatedAt: atMs(r.CreatedAt),
	}
}

// upcoming is a time of the store that is still to come, else none: what the
// store keeps of a mute stays there when it has ended.
func upcoming(ms int64) time.Time {
	if ms <= time.Now().UnixMilli() {
		return time.Time{}
	}
	return atMs(ms)
}
