// Package control serves the control socket: HTTP/JSON for the administrator
// on the same host (design.md 9). It decides by the peer's user and groups what
// a caller may do, records every change in the audit log, and leaves the rules
// to the features.
//
// It refuses what a browser could send (Origin, Referer, a foreign Host), so
// that no web page can steer the daemon through a proxy in between.
//
// Goroutines: Run owns the HTTP server's; they end before it returns. The only
// locks, of the group cache and of the connection count, are held for map access
// alone and never together.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"gtiv/daemon/account"
	"gtiv/protocol"
	"gtiv/store"
)

// accounts is what the handlers need of account.Service.
type accounts interface {
	List(ctx context.Context, f account.Filter) (list []store.Account, next int64, err error)
	Find(ctx context.Context, who string) (store.Account, error)
	Info(ctx context.Context, id int64) (store.Account, error)
	Add(ctx context.Context, username, password, nickname string, role int) (store.Account, error)
	SetPassword(ctx context.Context, user int64, password string) error
	Ban(ctx context.Context, user int64, until time.Time, reason string) error
	Unban(ctx context.Context, user int64) error
	SessionsOf(ctx context.Context, user int64) ([]store.LoginSession, error)
	Revoke(ctx context.Context, user, session int64) (int, error)
	Codes() []account.PendingCode
	CreateInvite(ctx context.Context, by int64, note string, uses int, valid time.Duration) (store.Invite, error)
	Invites(ctx context.Context) ([]store.Invite, error)
	RevokeInvite(ctx context.Context, code string) error
}

// Deps is what the server works with. All fields are required.
type Deps struct {
	Accounts accounts
	Bans     bans
	Reports  reports
	Rooms    rooms
	// Announcements go to all accounts.
	Announcements announcements
	Videos        videos
	Lives         lives
	Streams       streams
	Records       records
	Queues        queues
	// VideoLink answers the path of a video's playlist, signed for its owner, and the
	// whole address, "" if the site has none.
	VideoLink func(key string, owner int64) (path, address string)
	// Doctor examines the daemon, and with fix repairs what it can.
	Doctor func(ctx context.Context, fix bool) (protocol.Checkup, error)
	// AuditLog reads what Audit kept.
	AuditLog func(ctx context.Context, f store.AuditFilter) ([]store.AuditEntry, error)
	// Online is whether the user has a chat connection now.
	Online func(user int64) bool
	// Status is the answer of GET /v1/status; it must be quick.
	Status func(ctx context.Context) protocol.Status
	// Config is the configuration in effect as TOML, without secrets.
	Config func() string
	// Reload reads the configuration again and names the keys that changed.
	Reload func(ctx context.Context) (applied, needRestart []string, err error)
	// Audit keeps a record of a change.
	Audit func(ctx context.Context, e store.AuditEntry) error
	// Version of the program, for every reply.
	Version string
	// Grace is what running requests get when Run is asked to stop.
	Grace  time.Duration
	Logger *slog.Logger
}

func (d Deps) check() error {
	for name, missing := range map[string]bool{
		"Accounts": d.Accounts == nil, "Online": d.Online == nil, "Status": d.Status == nil, "Config": d.Config == nil,
		"Reload": d.Reload == nil, "Audit": d.Audit == nil, "Logger": d.Logger == nil, "Bans": d.Bans == nil, "Reports": d.Reports == nil, "Rooms": d.Rooms == nil,
		"Announcements": d.Announcements == nil, "AuditLog": d.AuditLog == nil, "Videos": d.Videos == nil, "Lives": d.Lives == nil, "Streams": d.Streams == nil, "Records": d.Records == nil,
		"Queues": d.Queues == nil, "VideoLink": d.VideoLink == nil, "Doctor": d.Doctor == nil, "Grace": d.Grace <= 0,
	} {
		if missing {
			return fmt.Errorf("control: %s is not set", name)
		}
	}
	return nil
}

// Server serves the control socket. Make it with New.
type Server struct {
	deps   Deps
	groups *groups
	routes map[string]map[string]route // by path, then method
}

// New makes a Server; it starts nothing.
func New(deps Deps) (*Server, error) {
	if err := deps.check(); err != nil {
		return nil, err
	}
	s := &Server{deps: deps, groups: newGroups(systemDirectory{}), routes: make(map[string]map[string]route)}
	for _, r := range routes {
		if s.routes[r.path] == nil {
			s.routes[r.path] = make(map[string]route)
		}
		s.routes[r.path][r.method] = r
	}
	return s, nil
}

// Run answers on ln, which Listen made, until ctx ends; then it lets running
// requests finish for the grace period, closes ln and returns nil.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(s.deps.Logger.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.deps.Grace)
		defer cancel()
		err := srv.Shutdown(grace)
		if errors.Is(err, context.DeadlineExceeded) {
			err = srv.Close() // they had their time
		}
		stopped <- err
	})
	err := srv.Serve(newBounded(ln, s.groups.self))
	if stop() { // it ended by itself
		return errors.Join(fmt.Errorf("serve control socket: %w", err), srv.Close())
	}
	if err := <-stopped; err != nil {
		return fmt.Errorf("stop control socket: %w", err)
	}
	return nil
}
