package client

import (
	"context"
	"net/url"
	"strconv"

	"gtiv/protocol"
)

// Rooms lists a page of groups.
func (c *Client) Rooms(ctx context.Context, f protocol.RoomFilter) (*protocol.RoomList, error) {
	q := url.Values{}
	if f.Query != "" {
		q.Set("Query", f.Query)
	}
	setNumbers(q, map[string]int64{"After": f.After, "Limit": int64(f.Limit)})
	return get[protocol.RoomList](ctx, c, "/v1/rooms", q)
}

// Room answers about one group.
func (c *Client) Room(ctx context.Context, room int64) (*protocol.Room, error) {
	return get[protocol.Room](ctx, c, "/v1/rooms/show", url.Values{"Room": {strconv.FormatInt(room, 10)}})
}

// RoomMembers lists a page of a group's members, the owner first.
func (c *Client) RoomMembers(ctx context.Context, room, after int64, limit int) (*protocol.RoomMemberList, error) {
	q := url.Values{"Room": {strconv.FormatInt(room, 10)}}
	setNumbers(q, map[string]int64{"After": after, "Limit": int64(limit)})
	return get[protocol.RoomMemberList](ctx, c, "/v1/rooms/members", q)
}

// DissolveRoom ends a group, and answers it as it was.
func (c *Client) DissolveRoom(ctx context.Context, room int64) (*protocol.Room, error) {
	return post[protocol.Room](ctx, c, "/v1/rooms/dissolve", protocol.RoomRef{Room: room})
}
