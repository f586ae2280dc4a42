package protocol

import "time"

// Room is a group as administrators see it.
type Room struct {
	ID          int64
	Name        string
	Members     int
	MemberLimit int
	Owner       int64     `json:",omitempty"` // of one room, not in lists
	Admins      []int64   `json:",omitempty"` // of one room, not in lists
	Notice      string    `json:",omitempty"`
	MutedUntil  time.Time `json:",omitzero"` // ordinary members; zero: they may write
	Approval    bool      // who comes by a link waits for an administrator
	OpenInvite  bool      // members may invite who is not their contact
	Links       int       `json:",omitempty"` // that work; of one room, not in lists
	Waiting     int       `json:",omitempty"` // for its administrators; of one room, not in lists
	Messages    int64     `json:",omitempty"` // of one room, not in lists
	CreatedAt   time.Time `json:",omitzero"`
}

// RoomFilter chooses groups: GET /v1/rooms with these as query parameters.
type RoomFilter struct {
	Query string // part of the name
	After int64  // Next of the page before
	Limit int    // 1 to MaxControlPage; 0 is DefaultControlPage
}

// RoomList is a page of groups.
type RoomList struct {
	List []Room
	Next int64 // RoomFilter.After of the next page; 0 at the end
}

// RoomMember is a member of a group.
type RoomMember struct {
	ID         int64
	Username   string
	Nickname   string
	Role       string    // "member", "admin" or "owner"
	JoinedAt   time.Time `json:",omitzero"`
	MutedUntil time.Time `json:",omitzero"` // zero: may write
}

// RoomMemberList is GET /v1/rooms/members?Room=&After=&Limit=, After being how
// many to pass over.
type RoomMemberList struct {
	List []RoomMember
	Next int64 // After of the next page; 0 at the end
}

// RoomRef names a group; POST /v1/rooms/dissolve.
type RoomRef struct{ Room int64 }
