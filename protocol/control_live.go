package protocol

import "time"

// This file holds the bodies of the control socket that are about live rooms and
// their streams.

// Live is a live room as moderators see it.
type Live struct {
	ID       int64
	Owner    int64
	Username string // of the owner
	Title    string
	OnAir    bool
	Closed   bool   // by its owner, or because the account is banned or deleted
	Access   string // "open", "followers" or "link"
	Hearts   int64
	Viewers  int       // who watch now, by all protocols
	Began    time.Time `json:",omitzero"`
	// BarredUntil is until when nobody may publish it: somebody was sent away.
	BarredUntil time.Time   `json:",omitzero"`
	Stream      *LiveStream `json:",omitempty"` // on air only
	Detail      *LiveDetail `json:",omitempty"` // of one room, not in lists
}

// LiveDetail is what is told of one room beyond what lists have.
type LiveDetail struct {
	Chat     int      // connections in the room's chat
	Notes    []string // why the stream cannot be watched in some ways
	Pushes   []string // servers that it is pushed to, and how that goes; what could be a key is left out
	Sessions []LiveSession
}

// LiveFilter chooses live rooms: GET /v1/live with these as query parameters.
type LiveFilter struct {
	OnAir bool  // only those
	After int64 // Next of the page before
	Limit int   // 1 to MaxControlPage; 0 is DefaultControlPage
}

// LiveList is a page of live rooms.
type LiveList struct {
	List []Live
	Next int64 // LiveFilter.After of the next page; 0 at the end
}

// KickLive is POST /v1/live/kick.
type KickLive struct {
	ID      int64
	Session int64 `json:",omitempty"` // 0: whoever publishes
	Seconds int64 `json:",omitempty"` // how long who it is stays out; 0: ten minutes
	Pardon  bool  `json:",omitempty"` // nobody is sent away: whoever was may come back
}

// LiveKeyOf is POST /v1/live/key: what a room is published with.
type LiveKeyOf struct {
	ID    int64
	Reset bool `json:",omitempty"` // make another one; who publishes goes off air
}

// LiveKeyShown answers it.
type LiveKeyShown struct {
	ID  int64
	Key string
}

// PushLive is POST /v1/live/push: another server that a room's stream is pushed to
// whenever it is on air.
type PushLive struct {
	ID  int64
	URL string // rtmp:// or rtmps://
	Off bool   `json:",omitempty"` // do not any more
}

// AllowLive is POST /v1/live/allow: whether a user may stream where not everybody may.
type AllowLive struct {
	User string // id or user name
	Deny bool   `json:",omitempty"`
}

// StreamerList is GET /v1/live/streamers: who may stream where not everybody may.
type StreamerList struct {
	List []User
	Next int64
}
