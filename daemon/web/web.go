// Package web is the HTTP face of gtiv: the calls of client apps, the files of
// the sample video and the few pages a browser gets.
//
// routes.go has every call on one page; each noun has a file with its handlers,
// which bind, call a service and shape the reply, and decide nothing. One
// handler serves all public HTTP ports (design.md 2): calls are found by their
// lower-cased path first, everything else goes to a http.ServeMux.
//
// The package starts no goroutines. Its only lock-like state is the site
// configuration, an atomic pointer, so that a reload needs no restart.
package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"gtiv/daemon/account"
	"gtiv/daemon/chat"
	"gtiv/daemon/live"
	"gtiv/daemon/video"
	"gtiv/daemon/web/api"
	"gtiv/daemon/web/tus"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
)

// The services as this package needs them. Interfaces, because tests must make
// each of them fail; the real ones are *account.Service and so on.
type (
	accounts interface {
		RegisterByUsername(ctx context.Context, o account.Origin, username, password, invite string) (*account.Login, error)
		RegisterByPhone(ctx context.Context, o account.Origin, telCode, tel, code, password, invite string) (*account.Login, error)
		RequestPhoneCode(ctx context.Context, o account.Origin, telCode, tel string) error
		Login(ctx context.Context, o account.Origin, username, password string) (*account.Login, error)
		Authenticate(ctx context.Context, token string) (account.Principal, error)
		AddressBanned(a netip.Addr) bool
		NoteLanguage(ctx context.Context, p account.Principal, sent string)
		Info(ctx context.Context, id int64) (store.Account, error)
		SetField(ctx context.Context, p account.Principal, field, value string) error
		Search(ctx context.Context, p account.Principal, username string) (store.Account, error)
		Subscriptions(ctx context.Context, p account.Principal, page, rows int) ([]store.Account, error)
		ChangePassword(ctx context.Context, p account.Principal, o account.Origin, oldPassword, newPassword string) error
		Sessions(ctx context.Context, p account.Principal) ([]store.LoginSession, error)
		RevokeSession(ctx context.Context, p account.Principal, session int64) error
		SetSingleDevice(ctx context.Context, p account.Principal, on bool) error
		Delete(ctx context.Context, p account.Principal, o account.Origin, password string) error
		Export(ctx context.Context, p account.Principal, w io.Writer) error
		TOTPSetup(ctx context.Context, p account.Principal, o account.Origin, password string) (secret, url string, err error)
		TOTPConfirm(ctx context.Context, p account.Principal, code string) ([]string, error)
		TOTPDisable(ctx context.Context, p account.Principal, o account.Origin, password, code string) error
		TOTPRecovery(ctx context.Context, p account.Principal, o account.Origin, password, code string) ([]string, error)
		TOTPStatus(ctx context.Context, p account.Principal) (on bool, recoveryLeft int, err error)
		contacts
	}
	contacts interface {
		Contacts(ctx context.Context, p account.Principal) ([]store.Contact, error)
		Applications(ctx context.Context, p account.Principal) ([]store.Application, error)
		AnswerApplication(ctx context.Context, p account.Principal, applicant int64, accept bool) error
		DeleteContact(ctx context.Context, p account.Principal, peer int64) error
		Block(ctx context.Context, p account.Principal, peer int64) error
		Unblock(ctx context.Context, p account.Principal, peer int64) error
		Blocked(ctx context.Context, p account.Principal) ([]store.Account, error)
		IsFriend(ctx context.Context, viewer, user int64) (bool, error)
		IsFollowing(ctx context.Context, viewer, user int64) (bool, error)
	}
	chats interface {
		SendPrivate(ctx context.Context, c chat.Caller, m chat.Send) (chat.Receipt, error)
		SyncPrivate(ctx context.Context, c chat.Caller, lastMessageTime int64) (chat.Batch, error)
		Report(ctx context.Context, c chat.Caller, r chat.Report) error
		groups
	}
	groups interface {
		SendRoom(ctx context.Context, c chat.Caller, m chat.RoomSend) (chat.Receipt, error)
		SyncRoom(ctx context.Context, c chat.Caller, room, lastMessageTime int64) (chat.Batch, error)
		Invite(ctx context.Context, c chat.Caller, room int64, invitees []int64, text string) (chat.Invited, error)
		Rooms(ctx context.Context, c chat.Caller) ([]store.Room, error)
		Room(ctx context.Context, c chat.Caller, room int64) (chat.RoomView, error)
		Member(ctx context.Context, c chat.Caller, room, user int64) (store.RoomMemberRow, error)
		Members(ctx context.Context, c chat.Caller, room int64, nickname string, page, rows int) ([]store.RoomMemberRow, error)
		MemberIDs(ctx context.Context, c chat.Caller, room int64) ([]int64, error)
		Admins(ctx context.Context, c chat.Caller, room int64) ([]store.RoomMemberRow, error)
		Muted(ctx context.Context, c chat.Caller, room int64) ([]store.RoomMemberRow, error)
		Notice(ctx context.Context, c chat.Caller, room int64) (string, error)
		RenameRoom(ctx context.Context, c chat.Caller, room int64, name string) error
		SetRoomAvatar(ctx context.Context, c chat.Caller, room int64, avatar string) error
		SetRoomNotice(ctx context.Context, c chat.Caller, room int64, notice string) error
		SetRoomOptions(ctx context.Context, c chat.Caller, room int64, approval, openInvite *bool) error
		SetAdmins(ctx context.Context, c chat.Caller, room int64, users []int64) error
		MuteRoom(ctx context.Context, c chat.Caller, room, target int64, banType int) error
		UnmuteRoom(ctx context.Context, c chat.Caller, room, target int64) error
		RemoveMember(ctx context.Context, c chat.Caller, room, target int64) error
		QuitRoom(ctx context.Context, c chat.Caller, room int64) error
		TransferRoom(ctx context.Context, c chat.Caller, room, heir int64) error
		DissolveRoom(ctx context.Context, c chat.Caller, room int64) error
		CreateLink(ctx context.Context, c chat.Caller, room int64, valid time.Duration, uses int) (store.Link, error)
		Links(ctx context.Context, c chat.Caller, room int64) ([]store.Link, error)
		RevokeLink(ctx context.Context, c chat.Caller, room int64, code string) error
		JoinRoom(ctx context.Context, c chat.Caller, code, message string) (store.Room, bool, error)
		Requests(ctx context.Context, c chat.Caller, room int64) ([]store.RoomRequest, error)
		AnswerRequest(ctx context.Context, c chat.Caller, room, user int64, accept bool) error
	}
	videos interface {
		Home(ctx context.Context, c video.Caller) ([]video.Clip, error)
		Info(ctx context.Context, c video.Caller, id int64) (video.Clip, error)
		By(ctx context.Context, c video.Caller, user int64, page int) ([]video.Clip, error)
		Supported(ctx context.Context, c video.Caller, user int64, page int) ([]video.Clip, error)
		Collected(ctx context.Context, c video.Caller, user int64, page int) ([]video.Clip, error)
		Created(ctx context.Context, c video.Caller, a store.Account) (int64, error)
		Support(ctx context.Context, c video.Caller, id int64, on bool) error
		Collect(ctx context.Context, c video.Caller, id int64, on bool) error
		Share(ctx context.Context, c video.Caller, id int64) error
		Played(ctx context.Context, c video.Caller, id, watchMS int64) error
		NotInterested(ctx context.Context, c video.Caller, id int64) error
		ToggleFollow(ctx context.Context, c video.Caller, user int64) (bool, error)
		Follows(ctx context.Context, c video.Caller) ([]store.Person, error)
		Fans(ctx context.Context, c video.Caller) ([]store.Person, error)
		Supporters(ctx context.Context, c video.Caller) ([]store.Person, error)
		Edit(ctx context.Context, c video.Caller, id int64, e video.Edit) error
		Delete(ctx context.Context, c video.Caller, id int64) error
		Comment(ctx context.Context, c video.Caller, id int64, content string, replyTo int64) (store.Comment, error)
		Comments(ctx context.Context, c video.Caller, id, comment, cursor int64) ([]store.CommentShown, int64, error)
		DeleteComment(ctx context.Context, c video.Caller, id int64) error
		LikeComment(ctx context.Context, c video.Caller, id int64, on bool) error
		Search(ctx context.Context, c video.Caller, kind, q string, cursor int64) (video.Found, error)
		Tagged(ctx context.Context, c video.Caller, tag string, cursor int64) ([]video.Clip, int64, error)
		Trending(ctx context.Context) ([]store.Tag, error)
		Notices(ctx context.Context, c video.Caller, cursor int64) (list []store.NoticeShown, unread, next int64, err error)
		ReadNotices(ctx context.Context, c video.Caller, upTo int64) error
	}
	uploads interface {
		MaxBytes() int64
		Begin(ctx context.Context, c video.Caller, size int64, u video.Upload) error
		Space(size int64) error
		CheckHead(head []byte) error
		Adopt(ctx context.Context, c video.Caller, name, path string) (video.Received, error)
		Receive(ctx context.Context, c video.Caller, name string, r io.Reader) (video.Received, error)
		Submit(ctx context.Context, c video.Caller, r video.Received, u video.Upload) (store.Video, error)
		Replace(ctx context.Context, c video.Caller, r video.Received, id int64) (store.Video, error)
		OwnByKey(ctx context.Context, c video.Caller, key string) (int64, error)
		Status(ctx context.Context, c video.Caller, id int64) (video.Status, error)
		Own(ctx context.Context, c video.Caller, before int64) (list []video.Own, next int64, err error)
	}
	lives interface {
		List(ctx context.Context, viewer int64) ([]live.Room, error)
		OnAirNow(ctx context.Context, viewer, cursor int64) (list []live.Room, next int64, err error)
		Create(ctx context.Context, c live.Caller, title, cover string) (int64, error)
		Edit(ctx context.Context, c live.Caller, room int64, title, cover string) error
		Close(ctx context.Context, c live.Caller, room int64) error
		Own(ctx context.Context, c live.Caller) (store.LiveRoom, error)
		Key(ctx context.Context, c live.Caller, room int64) (string, error)
		ResetKey(ctx context.Context, c live.Caller, room int64) (string, error)
		Chat(ctx context.Context, c live.Caller, m live.Send) (live.Receipt, error)
		History(ctx context.Context, v live.Viewer, room int64, language string) ([]protocol.LiveMessage, error)
		Online(room int64) int
		DeleteMessage(ctx context.Context, c live.Caller, room int64, serverMsgID string) error
		Mute(ctx context.Context, c live.Caller, room, user int64, d time.Duration) error
		Unmute(ctx context.Context, c live.Caller, room, user int64) error
		SetSlow(ctx context.Context, c live.Caller, room int64, seconds int) error
		SetWords(ctx context.Context, c live.Caller, room int64, list string) error
		Words(ctx context.Context, c live.Caller, room int64) ([]string, error)
		SetModerators(ctx context.Context, c live.Caller, room int64, list string) error
		Moderators(ctx context.Context, v live.Viewer, room int64) ([]store.Account, error)
		View(ctx context.Context, v live.Viewer, room int64) (live.View, error)
		Ranked(ctx context.Context, c live.Caller, room int64, least int) (store.LiveRoom, error)
		SetAccess(ctx context.Context, c live.Caller, room int64, access string, revoke bool) (store.LiveRoom, error)
		MayKick(ctx context.Context, c live.Caller, room, target int64, detail string) error
		Heart(ctx context.Context, c live.Caller, v live.Viewer, room int64, n int) error
	}
	streams interface {
		// Cover is the path below /live/ of a picture of a room's stream, "" for none.
		Cover(room int64) string
		// Viewers counts who watch a room.
		Viewers(room int64) int
		// Stream is what a room's publisher sends, since when; false: it is off air.
		Stream(room int64) (st protocol.LiveStream, began int64, ok bool)
		// Notes says why a room's stream cannot be watched in some ways.
		Notes(room int64) []string
		// Sessions lists who publishes and who watches, without names.
		Sessions(room int64) []protocol.LiveSession
		// Kick ends a session and keeps who it is out for a time.
		Kick(room, session int64, d time.Duration) bool
		// KickViewers ends the sessions of all viewers, who may come back.
		KickViewers(room int64)
	}
)

var (
	_ accounts = (*account.Service)(nil)
	_ chats    = (*chat.Service)(nil)
	_ videos   = (*video.Service)(nil)
	_ lives    = (*live.Service)(nil)
	_ uploads  = (*video.Processor)(nil)
)

// Site is what an operator says of the site. It can be replaced while running.
type Site struct {
	Name           string
	PublicURL      string         // "https://example.org", else ""
	TrustedProxies []netip.Prefix // whose X-Forwarded headers count
	Language       string         // of clients that name none
	AppVersion     string         // answered by /app/version
	AppURL         string
	AppForce       bool
}

// Ports are those the daemon really listens on, offset included.
type Ports struct{ Comet, RTMP, RTMPS, HLS, FLV int }

// Config of a Server.
type Config struct {
	Site        Site
	Ports       Ports
	Version     string // of the daemon, for the documentation
	MaxRequests int    // calls served at the same time; 0: 1024
	// TusDir is where resumable uploads of videos are kept while they come; "": there
	// are none.
	TusDir string
}

// Deps is what a Server needs. All fields are required except WebSocket, Signer,
// Blobs, Served, Deleted, Mount, Logger and Now.
type Deps struct {
	Account accounts
	Chat    chats
	Video   videos
	Live    lives
	Uploads uploads
	Records records
	// Online tells whether a user has a live connection, SessionOnline whether
	// this login session has one.
	Online        func(user int64) bool
	SessionOnline func(session int64) bool
	// WebSocket is the chat long connection at /sub.
	WebSocket http.Handler
	// Clips holds the directories of videos that ship in the binary, by
	// Clip.Key (video.Files). They are read once, by New.
	Clips map[string]fs.FS
	// Signer signs the paths of videos that not everybody may see. Nil: they are not
	// signed, and not served.
	Signer *Signer
	// Blobs has the files of videos and those that client apps uploaded.
	Blobs blob.Bucket
	// Served finds the video with that key, if viewer (0: a guest) may have its
	// files; else store.ErrNotFound.
	Served func(ctx context.Context, viewer int64, key string) (store.Video, error)
	// Deleted says whether an account was deleted, or never was: then nothing is served
	// that it uploaded. Nil: none.
	Deleted func(ctx context.Context, user int64) (bool, error)
	// UploadToken makes the token that client apps upload files with, and answers
	// where these will be: "" means here.
	UploadToken func(user int64, valid time.Duration) (token, base string)
	// Streams has the live streams.
	Streams streams
	// Mount adds handlers by the patterns of http.ServeMux, such as "/live/".
	Mount  map[string]http.Handler
	Logger *slog.Logger
	Now    func() time.Time
}

// Server is the one handler of all public HTTP ports.
type Server struct {
	deps  Deps
	site  atomic.Pointer[Site]
	ports Ports
	log   *slog.Logger
	now   func() time.Time
	table *api.Table
	mux   *http.ServeMux
	tus   *tus.Server // nil: none

	idPrefix string
	lastID   atomic.Uint64
}

// defaultMaxRequests bounds calls at the same time when nothing is set.
const defaultMaxRequests = 1024

// New checks its parts and builds the table of calls and the pages.
func New(cfg Config, deps Deps) (*Server, error) {
	switch {
	case deps.Account == nil, deps.Chat == nil, deps.Video == nil, deps.Live == nil, deps.Records == nil, deps.Streams == nil, deps.Uploads == nil, deps.UploadToken == nil,
		deps.Online == nil, deps.SessionOnline == nil, len(deps.Clips) == 0:
		return nil, errors.New("web: a dependency is missing")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxRequests <= 0 {
		cfg.MaxRequests = defaultMaxRequests
	}
	s := &Server{deps: deps, ports: cfg.Ports, log: deps.Logger, now: deps.Now, mux: http.NewServeMux()}
	s.idPrefix = strings.ToLower(rand.Text()[:8]) + "-"
	if err := s.SetSite(cfg.Site); err != nil {
		return nil, err
	}
	var err error
	s.table, err = api.NewTable(api.Config{
		Language: func() string { return s.site.Load().Language }, MaxRequests: cfg.MaxRequests,
		Authenticate: s.authenticate, Address: s.address, Admit: s.admit, Log: s.log,
	}, s.routes())
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	if cfg.TusDir != "" {
		if err := s.mountTus(cfg.TusDir); err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
	}
	if err := s.mount(cfg.Version); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return s, nil
}

// SetSite replaces what the operator says of the site, for a reload.
func (s *Server) SetSite(site Site) error {
	if site.PublicURL != "" {
		if _, err := parsePublicURL(site.PublicURL); err != nil {
			return fmt.Errorf("web: public URL %q: %w", site.PublicURL, err)
		}
	}
	if site.Name == "" {
		site.Name = "gtiv"
	}
	s.site.Store(&site)
	return nil
}

// Run removes resumable uploads that nobody goes on with. It returns nil when ctx
// ends.
func (s *Server) Run(ctx context.Context) error {
	if s.tus == nil {
		<-ctx.Done()
		return nil
	}
	return s.tus.Run(ctx)
}

// Calls describes every call, sorted by path and method.
func (s *Server) Calls() []api.Description { return s.table.Descriptions() }

// authenticate finds out who a token belongs to, and remembers the language
// they asked for: texts for them are written in it later, too.
func (s *Server) authenticate(ctx context.Context, token, language string) (api.Principal, error) {
	p, err := s.deps.Account.Authenticate(ctx, token)
	if errors.Is(err, account.ErrUnknownToken) || errors.Is(err, account.ErrRevoked) {
		return api.Principal{}, protocol.Errorf(protocol.CodeToken, "needLogin")
	}
	if err != nil {
		return api.Principal{}, err
	}
	if language != "" {
		s.deps.Account.NoteLanguage(ctx, p, language)
	}
	return api.Principal(p), nil
}

// admit refuses calls from banned addresses.
func (s *Server) admit(c *api.Call) error {
	if s.deps.Account.AddressBanned(c.Origin.Address) {
		return protocol.Errorf(protocol.CodeForbidden, "addressBanned")
	}
	return nil
}

func principal(c *api.Call) account.Principal { return account.Principal(c.Principal) }

func origin(c *api.Call) account.Origin { return account.Origin(c.Origin) }

func caller(c *api.Call) chat.Caller {
	return chat.Caller{User: c.Principal.User, Session: c.Principal.Session, Language: c.Language, Admin: c.Principal.Role >= store.RoleAdmin}
}
