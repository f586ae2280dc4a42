package protocol

// This file holds the bodies of wire.md 4.4 (groups).

// RoomRequest names a group.
type RoomRequest struct {
	RoomID int64 `json:"RoomId" required:"true" example:"1000000001"`
}

// RoomsReply answers GET /room/list.
type RoomsReply struct {
	Head
	List []RoomItem
}

// RoomItem is one group of the caller.
type RoomItem struct {
	RoomID      string `json:"RoomId"`
	RoomName    string
	Avatar      string
	MemberNum   int
	MemberLimit int
}

// RoomInfoReply answers GET /room/info. The app's parser requires every field.
type RoomInfoReply struct {
	Head
	BannedAll   bool   `doc:"everybody is muted; false for those whom it does not concern"`
	BannedUser  bool   `doc:"the caller is muted"`
	ID          string `json:"Id"`
	Video       string
	Avatar      string
	MemberNum   int
	RoomName    string
	RoomType    int
	ShowVideo   int
	IsMember    bool
	Role        int    `doc:"0 visitor, 10 member, 20 administrator, 30 owner"`
	DefaultGame string `doc:"always empty; the app requires it"`
}

// MemberRequest is the query of GET /room/member_info.
type MemberRequest struct {
	RoomID int64 `json:"RoomId" required:"true" example:"1000000001"`
	UserID int64 `json:"UserId" doc:"without it the caller" example:"10002"`
}

// MemberReply answers GET /room/member_info.
type MemberReply struct {
	Head
	Avatar     string
	Nickname   string
	CreateTime int64 `doc:"when the member joined, Unix seconds"`
	Role       int   `doc:"10 member, 20 administrator, 30 owner"`
}

// MembersRequest is the query of GET /room/member_list.
type MembersRequest struct {
	RoomID   int64  `json:"RoomId" required:"true" example:"1000000001"`
	Nickname string `doc:"only members whose nickname contains this"`
	Page     int    `doc:"from 1; without it 1"`
	Rows     int    `doc:"rows on a page: 1 to 50, without it 15"`
}

// MembersReply answers GET /room/member_list.
type MembersReply struct {
	Head
	List []MemberItem
}

// MemberItem is one member of a group.
type MemberItem struct {
	Avatar     string
	Nickname   string
	UserID     string `json:"UserId"`
	Role       int
	CreateTime string `doc:"RFC 3339"`
}

// InviteRequest is the body of POST /room/invite.
type InviteRequest struct {
	RoomID  int64  `json:"RoomId" doc:"the group; without it, or with 0, a new one is made"`
	UserIDs string `json:"UserIds" required:"true" doc:"whom to invite, ids with commas between" example:"10002,10003"`
	Message string `doc:"text of the notice that the group gets"`
}

// InviteReply answers POST /room/invite. The app's parser requires every field,
// on failure as well.
type InviteReply struct {
	Head
	RoomID   string `json:"RoomId"`
	Message  string
	RoomName string
}

// RoomAvatarRequest is the body of POST /room/modify_avatar.
type RoomAvatarRequest struct {
	RoomID int64  `json:"RoomId" required:"true" example:"1000000001"`
	Avatar string `required:"true" doc:"an http or https URL; anything else is ignored"`
}
