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

// RoomUserRequest names a member of a group.
type RoomUserRequest struct {
	RoomID int64 `json:"RoomId" required:"true" example:"1000000001"`
	UserID int64 `json:"UserId" required:"true" example:"10002"`
}

// RoomBanRequest is the body of POST /room/banned_to_post.
type RoomBanRequest struct {
	RoomID int64 `json:"RoomId" required:"true" example:"1000000001"`
	UserID int64 `json:"UserId" required:"true" doc:"whom; 0 is everybody without a role" example:"10002"`
	Type   int   `required:"true" doc:"1 ten minutes, 2 one hour, 3 twelve hours, 4 one day, 5 a year" example:"1"`
}

// RoomNameRequest is the body of POST /room/modify_name.
type RoomNameRequest struct {
	RoomID int64  `json:"RoomId" required:"true" example:"1000000001"`
	Name   string `required:"true" doc:"1 to 20 characters" example:"Friends"`
}

// RoomNoticeRequest is the body of POST /room/modify_notice.
type RoomNoticeRequest struct {
	RoomID  int64  `json:"RoomId" required:"true" example:"1000000001"`
	Content string `doc:"at most 200 characters; empty removes the notice"`
}

// RoomNoticeReply answers GET /room/get_notice.
type RoomNoticeReply struct {
	Head
	Content string
}

// RoomAdminsRequest is the body of POST /room/set_admin.
type RoomAdminsRequest struct {
	RoomID  int64  `json:"RoomId" required:"true" example:"1000000001"`
	UserIDs string `json:"UserIds" doc:"all administrators, ids with commas between; empty for none" example:"10002,10003"`
}

// RoomOptionsRequest is the body of POST /room/options. What is missing stays.
type RoomOptionsRequest struct {
	RoomID     int64  `json:"RoomId" required:"true" example:"1000000001"`
	Approval   string `doc:"true: who comes by a link waits for an administrator" example:"true"`
	OpenInvite string `doc:"true: members may invite people who are not their contacts" example:"false"`
}

// MemberIDsReply answers GET /room/memberids.
type MemberIDsReply struct {
	Head
	List []int64
}

// BannedReply answers POST /room/banned_list.
type BannedReply struct {
	Head
	List []BannedItem
}

// BannedItem is a member who is muted.
type BannedItem struct {
	UserID   string `json:"UserId"`
	Expire   int64  `doc:"until when, Unix seconds"`
	Nickname string
	Avatar   string
}

// AdminsReply answers POST /room/admin_list.
type AdminsReply struct {
	Head
	List []AdminItem
}

// AdminItem is an administrator of a group, or its owner.
type AdminItem struct {
	UserID   string `json:"UserId"`
	Nickname string
	Avatar   string
	Role     int `doc:"20 administrator, 30 owner"`
}

// FAQReply answers GET /room/faq.
type FAQReply struct {
	Head
	List []FAQItem
}

// FAQItem is a question with its answer.
type FAQItem struct{ Title, Content string }

// RoomLinkRequest is the body of POST /room/link.
type RoomLinkRequest struct {
	RoomID       int64 `json:"RoomId" required:"true" example:"1000000001"`
	ValidSeconds int64 `doc:"how long the link works; 0 for ever" example:"86400"`
	Uses         int   `doc:"how many may join with it; 0 any number" example:"10"`
}

// RoomLinkReply answers POST /room/link.
type RoomLinkReply struct {
	Head
	Code    string `doc:"for POST /room/join"`
	Expires int64  `doc:"Unix seconds; 0 never"`
	Uses    int    `doc:"how many may join; 0 any number"`
}

// RoomLinksReply answers GET /room/link.
type RoomLinksReply struct {
	Head
	List []RoomLinkItem
}

// RoomLinkItem is a link that works.
type RoomLinkItem struct {
	Code    string
	Expires int64 `doc:"Unix seconds; 0 never"`
	Uses    int   `doc:"how many may join; 0 any number"`
	Used    int   `doc:"how many did"`
	Created int64 `doc:"Unix seconds"`
}

// RoomLinkRef names a link.
type RoomLinkRef struct {
	RoomID int64  `json:"RoomId" required:"true" example:"1000000001"`
	Code   string `required:"true"`
}

// JoinRequest is the body of POST /room/join.
type JoinRequest struct {
	Code    string `required:"true" doc:"of a link"`
	Message string `doc:"for the administrators, where they decide"`
}

// JoinReply answers POST /room/join.
type JoinReply struct {
	Head
	RoomID   string `json:"RoomId"`
	RoomName string
	Joined   bool `doc:"false: an administrator decides"`
}

// RoomRequestsReply answers GET /room/requests.
type RoomRequestsReply struct {
	Head
	List []RoomRequestItem
}

// RoomRequestItem is somebody who waits.
type RoomRequestItem struct {
	UserID   string `json:"UserId"`
	Nickname string
	Avatar   string
	Message  string
	Time     int64 `doc:"Unix seconds"`
}

// RoomAnswerRequest is the body of POST /room/answer.
type RoomAnswerRequest struct {
	RoomID int64 `json:"RoomId" required:"true" example:"1000000001"`
	UserID int64 `json:"UserId" required:"true" example:"10002"`
	Accept bool  `required:"true"`
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
