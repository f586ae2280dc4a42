package protocol

import "time"

// Headers and names of the control socket, the HTTP/JSON API of the local
// administrator (design.md 9). Every reply carries both headers.
const (
	ControlSocketName     = "gtiv.sock"    // in the data or the runtime directory
	ControlVersionHeader  = "Gtiv-Version" // Version of this API
	ControlBuildHeader    = "Gtiv-Build"   // version of the daemon
	MaxControlBodyBytes   = 64 << 10       // of a request
	MaxControlPage        = 200            // rows of one page of a list
	DefaultControlPage    = 50
	MaxControlReasonRunes = 200 // of a ban reason or an invitation's note
)

// ControlCode says in one word why a control request failed.
type ControlCode string

// The codes of the control socket.
const (
	ControlBadRequest ControlCode = "badRequest" // cannot be read, or a value is wrong
	ControlDenied     ControlCode = "denied"     // the caller's role is too low
	ControlNotFound   ControlCode = "notFound"   // no such route, user, session, invitation
	ControlConflict   ControlCode = "conflict"   // a name is taken, it is already so
	ControlTooOften   ControlCode = "tooOften"
	ControlNoRoom     ControlCode = "noRoom" // quota or disk, or a program that is missing
	ControlInternal   ControlCode = "internal"
)

// ControlError is a failed control request, the same on both ends of the
// socket.
type ControlError struct {
	Code    ControlCode
	Message string
	Hint    string `json:",omitempty"` // what the administrator can do
}

func (e *ControlError) Error() string { return e.Message }

// ControlFailure is the body of every reply that is not 2xx.
type ControlFailure struct{ Error *ControlError }

// Role is what the caller of the control socket may do; a higher one may do
// everything a lower one may.
type Role int

// The roles, from the caller's user id and groups.
const (
	RoleNone      Role = iota
	RoleViewer         // group gtiv-viewer: see the state
	RoleModerator      // group gtiv-moderator: people, sessions, bans, invitations
	RoleAdmin          // root, the daemon's own user, group gtiv-admin
)

func (r Role) String() string {
	switch r {
	case RoleViewer:
		return "viewer"
	case RoleModerator:
		return "moderator"
	case RoleAdmin:
		return "admin"
	default:
		return "none"
	}
}

// The states of the daemon.
const (
	StateReady    = "ready"
	StateDegraded = "degraded" // works, but something in Health is not well
	StateDraining = "draining" // on its way down
)

// Status is the answer of GET /v1/status.
type Status struct {
	State         string
	PID           int
	Version       string // of the program
	Started       time.Time
	UptimeSeconds int64
	DataDir       string
	Ports         []Port
	Health        []Health
	Connections   int // chat connections
	UsersOnline   int
	Accounts      int64
	Messages      int64
	Queues        []Queue
	RSSBytes      int64
	DatabaseBytes int64
	Goroutines    int
}

// Healthy is whether nothing needs attention.
func (s *Status) Healthy() bool { return s.State == StateReady }

// Health is one part of the daemon and how it does.
type Health struct {
	Name string
	OK   bool
	Text string `json:",omitempty"` // what is wrong, or a detail worth showing
}

// Port is one address the daemon listens on.
type Port struct {
	Name    string // "comet", "imbiz", …
	Network string // "tcp" or "udp"
	Address string // "0.0.0.0:2004"
}

// Queue is one durable topic and how much waits in it.
type Queue struct {
	Name          string
	Depth         int64 // waits; what is being done is not counted
	Leased        int64 // is being done
	Dead          int64 // given up after too many attempts
	OldestSeconds int64 // for how long the first one has been due
}

// User is an account as administrators see it.
type User struct {
	ID          int64
	Username    string
	Nickname    string
	Role        string // "user", "admin" or "developer"
	Phone       string `json:",omitempty"`
	Online      bool
	TwoFactor   bool
	CreatedAt   time.Time `json:",omitzero"`
	LastLogin   time.Time `json:",omitzero"`
	Banned      bool
	BannedUntil time.Time `json:",omitzero"` // zero with Banned: for ever
	BanReason   string    `json:",omitempty"`
	DeletedAt   time.Time `json:",omitzero"`
}

// UserFilter chooses users: GET /v1/users with these as query parameters.
type UserFilter struct {
	Query  string // part of the user name or nickname
	After  int64  // Next of the page before
	Limit  int    // 1 to MaxControlPage; 0 is DefaultControlPage
	Banned bool   // only who is banned now
	Admins bool   // only who is more than a user
}

// UserList is a page of users.
type UserList struct {
	List []User
	Next int64 // UserFilter.After of the next page; 0 at the end
}

// AddUser is POST /v1/users; the answer is the User.
type AddUser struct {
	Username string
	Password string
	Nickname string `json:",omitempty"` // empty: the user name
	Admin    bool   `json:",omitempty"`
}

// UserRef names a user by id or user name, as every User of a request does.
// Digits are an id if there is such an account; "@" in front makes them a name.
type UserRef struct{ User string }

// SetPassword is POST /v1/users/password. It ends all sessions of the user.
type SetPassword struct {
	User     string
	Password string
}

// BanUser is POST /v1/users/ban.
type BanUser struct {
	User   string
	Until  time.Time `json:",omitzero"` // zero: for ever
	Reason string    `json:",omitempty"`
}

// RevokeSessions is POST /v1/users/revoke.
type RevokeSessions struct {
	User    string
	Session int64 `json:",omitempty"` // 0: all of them
}

// Revoked is how many sessions ended.
type Revoked struct{ Sessions int }

// LoginSession is a device on which a user is logged in.
type LoginSession struct {
	ID        int64
	Agent     string
	Address   string
	CreatedAt time.Time `json:",omitzero"`
	LastSeen  time.Time `json:",omitzero"`
	RevokedAt time.Time `json:",omitzero"`
}

// SessionList is GET /v1/users/sessions?User=.
type SessionList struct {
	User User
	List []LoginSession
}

// PhoneCode is a verification code that waits to be typed in.
type PhoneCode struct {
	Phone     string
	Code      string
	ExpiresAt time.Time
	Tries     int // left
}

// PhoneCodeList is GET /v1/codes.
type PhoneCodeList struct{ List []PhoneCode }

// CreateInvite is POST /v1/invites; the answer is the Invite.
type CreateInvite struct {
	Note         string `json:",omitempty"`
	Uses         int    // how many may register with it
	ValidSeconds int64  `json:",omitempty"` // 0: does not expire
}

// Invite is an invitation code.
type Invite struct {
	Code      string
	Note      string `json:",omitempty"`
	State     string // "open", "used", "expired" or "revoked"
	Uses      int
	MaxUses   int
	CreatedAt time.Time `json:",omitzero"`
	ExpiresAt time.Time `json:",omitzero"` // zero: never
	RevokedAt time.Time `json:",omitzero"`
}

// InviteList is GET /v1/invites.
type InviteList struct{ List []Invite }

// InviteRef names an invitation.
type InviteRef struct{ Code string }

// ConfigReply is GET /v1/config: the configuration in effect, without secrets.
type ConfigReply struct{ TOML string }

// ReloadReply is POST /v1/reload: which keys changed and are in effect, and
// which wait for a restart.
type ReloadReply struct {
	Applied     []string
	NeedRestart []string
}
