package protocol

// This file holds the bodies of wire.md 4.1 and 4.2 (users and contacts), of
// /user/register-by-username (wire.md 5) and of the newer calls on the caller's
// own account: password, sessions, export and second factor.

// LoginRequest is the body of POST /user/login.
type LoginRequest struct {
	Username string `required:"true" doc:"the user name, or the phone number with its country code" example:"alice"`
	Password string `required:"true" doc:"the password; with a second factor the six digits are appended"`
	Tel      string `doc:"accepted and not used"`
	TelCode  int    `doc:"accepted and not used"`
}

// LoginReply answers POST /user/login and POST /user/register-by-username.
type LoginReply struct {
	Head
	Userinfo *Userinfo `json:",omitempty" doc:"who logged in; only on success"`
}

// Userinfo is the profile that a client keeps after logging in.
type Userinfo struct {
	UserID          int64  `json:"UserId" example:"10001"`
	UserRole        int    `doc:"10 user, 20 administrator, 100 developer" example:"10"`
	Nickname        string `example:"Alice"`
	Username        string `example:"alice"`
	Avatar          string `doc:"URL of a picture; may be empty"`
	Gender          int    `doc:"0 not told, 1 male, 2 female"`
	FansNum         int64
	CollectNum      int64 `doc:"how often the user's videos were collected"`
	SupportNum      int64 `doc:"likes received"`
	CreateVideoNum  int64
	CollectVideoNum int64 `doc:"videos the user collected"`
	FollowNum       int64
	Version         int64  `doc:"counts changes of the profile"`
	ContactsVersion int64  `doc:"always 0 here, so that a client fetches its contacts after logging in"`
	Token           string `doc:"goes into the Authorization header of later calls"`
	LastLoginTime   int64  `doc:"time of the login before this one, Unix seconds"`
}

// RegisterRequest is the body of POST /user/register. The generated client
// sends the numbers as strings.
type RegisterRequest struct {
	Tel        string `required:"true" doc:"phone number without the country code" example:"13800000000"`
	TelCode    string `required:"true" doc:"country code" example:"86"`
	VerifyCode string `required:"true" doc:"the code that was sent to the phone" example:"123456"`
	Password   string `required:"true"`
	InviteCode string `doc:"needed when registration is by invitation"`
}

// RegisterReply answers POST /user/register.
type RegisterReply struct {
	Head
	Token         string
	LastLoginTime int64  `doc:"Unix seconds"`
	UID           string `json:"Uid" doc:"the new user's id"`
}

// RegisterByUsernameRequest is the body of POST /user/register-by-username.
type RegisterByUsernameRequest struct {
	Username   string `json:"username" required:"true" example:"alice"`
	Password   string `json:"password" required:"true"`
	InviteCode string `json:"inviteCode" doc:"needed when registration is by invitation"`
}

// UserInfoRequest is the query of GET /user/info.
type UserInfoRequest struct {
	UserID int64 `json:"UserId" doc:"whose profile; without it the caller's" example:"10001"`
}

// UserInfoReply answers GET /user/info: the union of what three parsers of the
// app require (wire.md 4.1).
type UserInfoReply struct {
	Head
	UserID          string `json:"UserId" example:"10001"`
	UserRole        int    `doc:"10 user, 20 administrator, 100 developer"`
	Nickname        string
	Username        string
	Avatar          string `doc:"URL of a picture; may be empty"`
	Gender          int    `doc:"0 not told, 1 male, 2 female"`
	Birthday        string
	Version         int64 `doc:"counts changes of the profile"`
	ContactsVersion int64 `doc:"counts changes of the contacts and groups"`
	LastLoginTime   int64 `doc:"Unix seconds; 0 for anybody but the caller"`
	FansNum         int64
	FollowNum       int64
	SupportNum      int64
	CollectNum      int64
	CollectVideoNum int64
	CreateVideoNum  int64
}

// SetFieldRequest is the body of POST /user/info.
type SetFieldRequest struct {
	Field string `required:"true" doc:"what to change" enum:"avatar,nickname" example:"nickname"`
	Value string `required:"true" example:"Alice"`
}

// SearchRequest is the body of POST /user/search.
type SearchRequest struct {
	Username string `required:"true" doc:"exactly the user name" example:"alice"`
}

// SearchReply answers POST /user/search.
type SearchReply struct {
	Head
	UserID   string `json:"UserId"`
	Username string
	Nickname string
	Avatar   string
}

// PageRequest pages through a list.
type PageRequest struct {
	Page int `doc:"from 1; without it 1"`
	Rows int `doc:"rows on a page: 1 to 50, without it 15"`
}

// PeopleReply is a list of people.
type PeopleReply struct {
	Head
	List []Person
}

// Person is the short form of a user.
type Person struct {
	UserID   string `json:"UserId"`
	Nickname string
	Avatar   string
}

// ContactsReply answers GET /contacts/list.
type ContactsReply struct {
	Head
	List []ContactItem
}

// ContactItem is one contact.
type ContactItem struct {
	UserID   string `json:"UserId"`
	Username string
	Nickname string
	Avatar   string
	Gender   int
	Deleted  int `doc:"1: the other side removed the caller"`
}

// ContactAnswerRequest is the body of POST /contacts/add.
type ContactAnswerRequest struct {
	UserID int64 `json:"UserId" required:"true" doc:"who asked" example:"10002"`
	Type   int   `required:"true" doc:"1 accepts, anything else refuses" example:"1"`
}

// ApplicationsReply answers GET /chat/addme-list.
type ApplicationsReply struct {
	Head
	List []ApplicationItem
}

// ApplicationItem is one person who asks to become a contact.
type ApplicationItem struct {
	UserID   int64 `json:"UserId"`
	Avatar   string
	Nick     string
	Msg      string `doc:"the greeting"`
	Time     int64  `doc:"Unix seconds"`
	Username string
	Gender   int
}

// ChangePasswordRequest is the body of POST /user/password.
type ChangePasswordRequest struct {
	OldPassword string `required:"true"`
	NewPassword string `required:"true"`
}

// SessionsReply answers GET /user/sessions.
type SessionsReply struct {
	Head
	List []SessionItem
}

// SessionItem is one place where the caller is logged in.
type SessionItem struct {
	SessionID int64  `json:"SessionId"`
	Agent     string `doc:"what the client called itself when it logged in"`
	Address   string `doc:"from where it logged in"`
	CreatedAt int64  `doc:"Unix ms"`
	LastSeen  int64  `doc:"Unix ms, to the minute"`
	Current   bool   `doc:"the session that asks"`
}

// SessionRequest names a login session.
type SessionRequest struct {
	SessionID int64 `json:"SessionId" required:"true" example:"42"`
}

// SwitchRequest turns something on or off.
type SwitchRequest struct {
	On bool `required:"true" example:"true"`
}

// DeleteAccountRequest is the body of POST /user/delete. The generated client
// sends a user name as well, which must then be the caller's.
type DeleteAccountRequest struct {
	Username string `doc:"when sent it must be the caller's own"`
	Password string `required:"true"`
}

// PasswordRequest confirms a change with the password.
type PasswordRequest struct {
	Password string `required:"true" doc:"the caller's password"`
}

// CodeRequest carries a code of the second factor.
type CodeRequest struct {
	Code string `required:"true" doc:"six digits of the authenticator" example:"123456"`
}

// PasswordCodeRequest carries both.
type PasswordCodeRequest struct {
	Password string `required:"true" doc:"the caller's password"`
	Code     string `required:"true" doc:"six digits of the authenticator, or a recovery code" example:"123456"`
}

// TOTPReply answers GET /user/totp.
type TOTPReply struct {
	Head
	On           bool
	RecoveryLeft int `doc:"recovery codes that were not used yet"`
}

// TOTPSetupReply answers POST /user/totp-setup.
type TOTPSetupReply struct {
	Head
	Secret string `doc:"base32, to type into an authenticator"`
	URL    string `json:"Url" doc:"otpauth URL, to show as a QR code"`
}

// RecoveryReply lists the codes that replace a lost authenticator. Each works
// once; they are shown this one time.
type RecoveryReply struct {
	Head
	List []string
}

// PhoneCodeRequest is the body of POST /user/phone-code.
type PhoneCodeRequest struct {
	TelCode string `required:"true" doc:"country code" example:"86"`
	Tel     string `required:"true" doc:"phone number without the country code" example:"13800000000"`
}
