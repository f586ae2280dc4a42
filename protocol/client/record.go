package client

import (
	"context"
	"net/url"
	"strconv"

	"gtiv/protocol"
)

// LiveRecord answers whether the streams of a live room are recorded.
func (c *Client) LiveRecord(ctx context.Context, room int64) (*protocol.LiveRecord, error) {
	return get[protocol.LiveRecord](ctx, c, "/v1/live/record", url.Values{"Room": {strconv.FormatInt(room, 10)}})
}

// SetLiveRecord sets whether the streams of a live room are recorded.
func (c *Client) SetLiveRecord(ctx context.Context, req protocol.LiveRecord) (*protocol.LiveRecord, error) {
	return post[protocol.LiveRecord](ctx, c, "/v1/live/record", req)
}

// Recordings lists a page of recordings, newest first.
func (c *Client) Recordings(ctx context.Context, f protocol.RecordingFilter) (*protocol.RecordingList, error) {
	q := url.Values{}
	if f.Room != 0 {
		q.Set("Room", strconv.FormatInt(f.Room, 10))
	}
	setNumbers(q, map[string]int64{"After": f.After, "Limit": int64(f.Limit)})
	return get[protocol.RecordingList](ctx, c, "/v1/live/recordings", q)
}

// DeleteRecording deletes a recording for good, and answers it as it was.
func (c *Client) DeleteRecording(ctx context.Context, id int64) (*protocol.Recording, error) {
	return post[protocol.Recording](ctx, c, "/v1/live/recordings/delete", protocol.RecordingRef{ID: id})
}
