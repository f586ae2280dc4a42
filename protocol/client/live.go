package client

import (
	"context"
	"net/url"
	"strconv"

	"gtiv/protocol"
)

// Lives lists a page of live rooms.
func (c *Client) Lives(ctx context.Context, f protocol.LiveFilter) (*protocol.LiveList, error) {
	q := url.Values{}
	if f.OnAir {
		q.Set("OnAir", "true")
	}
	setNumbers(q, map[string]int64{"After": f.After, "Limit": int64(f.Limit)})
	return get[protocol.LiveList](ctx, c, "/v1/live", q)
}

// Live answers everything about one live room.
func (c *Client) Live(ctx context.Context, room int64) (*protocol.Live, error) {
	return get[protocol.Live](ctx, c, "/v1/live/show", url.Values{"ID": {strconv.FormatInt(room, 10)}})
}

// KickLive sends the publisher or a viewer of a live room away.
func (c *Client) KickLive(ctx context.Context, req protocol.KickLive) (*protocol.Live, error) {
	return post[protocol.Live](ctx, c, "/v1/live/kick", req)
}

// LiveKey answers what a live room is published with, or makes another key.
func (c *Client) LiveKey(ctx context.Context, req protocol.LiveKeyOf) (*protocol.LiveKeyShown, error) {
	return post[protocol.LiveKeyShown](ctx, c, "/v1/live/key", req)
}

// PushLive adds a server that a room's stream is pushed to, or takes it away.
func (c *Client) PushLive(ctx context.Context, req protocol.PushLive) (*protocol.Live, error) {
	return post[protocol.Live](ctx, c, "/v1/live/push", req)
}

// AllowLive says whether a user may stream where not everybody may.
func (c *Client) AllowLive(ctx context.Context, req protocol.AllowLive) (*protocol.User, error) {
	return post[protocol.User](ctx, c, "/v1/live/allow", req)
}

// Streamers lists a page of who may stream where not everybody may.
func (c *Client) Streamers(ctx context.Context, after int64, limit int) (*protocol.StreamerList, error) {
	q := url.Values{}
	setNumbers(q, map[string]int64{"After": after, "Limit": int64(limit)})
	return get[protocol.StreamerList](ctx, c, "/v1/live/streamers", q)
}
