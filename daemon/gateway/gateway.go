// Package gateway holds the long connections of chat: comet over TCP and TLS,
// and WebSocket (wire.md 7, design.md 4). It logs clients in, keeps their
// sessions, fans pushes out to users, login sessions and broadcast rooms, and
// answers heartbeats. It knows nothing of messages, storage or rights: a push
// is bytes, and everything that needs a decision is a function in Deps.
//
// Goroutines. Each connection has one reader, which owns it from admission to
// the release of its place. Writes have no goroutine of their own: who pushes
// also writes, by one call that cannot block, and only what the socket does not
// take is left to a goroutine that lives until the queue is empty. A connection
// ends only after its writer and closer have. Run owns the timer wheel and the
// flushes of rooms, and returns after the last goroutine of the package.
//
// Locks, outer first; none is held during I/O or a call into Deps:
//
//	rooms.mu, groups.mu                        rooms, members, what waits for a flush; never both
//	Gateway.mu, addresses.mu, registry shards  none inside another
//	session.mu                                 queues and state of one connection, inside rooms.mu when it
//	                                           enters or leaves a room; none of the above inside
//	wheel.mu                                   leaf
//
// wsConn.mu orders whole WebSocket frames on one socket. It is held during a
// write and taken with none of the above held.
//
// Slow readers. Private pushes wait in a bounded queue; when it is full, a
// feature client is told op 21 "behind" once it has caught up, any other client
// is closed so that it comes back and syncs. Messages of a group are private
// pushes that go out together. Broadcast rooms are lossy: a reader that is behind
// misses batches, nobody waits for it.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gtiv/protocol"
)

// Answers that Authenticate gives when the token itself decides. Any other
// error means that the question could not be answered now.
var (
	// ErrUnknownToken: no login session has this token.
	ErrUnknownToken = errors.New("unknown token")
	// ErrRevoked: the login session existed and was ended. The Identity is filled.
	ErrRevoked = errors.New("revoked token")
)

// Identity is who a token belongs to.
type Identity struct {
	User, Session int64
	Guest         bool
	Language      string // "en", "zh"
}

// ConnInfo describes one connection to the features.
type ConnInfo struct {
	Identity
	Conn      uint64 // unique in this process
	Transport Transport
	Platform  string
	Features  bool // declared "features" in the auth body
	App       bool // held to the rules of the unmodified Android app
	Address   netip.Addr
}

// Deps are the decisions that belong to others. Authenticate is required; a
// nil function elsewhere means that nobody asks. All of them are called without
// a lock held and from any goroutine; calls that concern one connection's
// writes come in the order of the writes.
type Deps struct {
	// Authenticate finds the owner of a token: ErrUnknownToken, ErrRevoked with
	// the Identity filled, or any other error for "not now".
	Authenticate func(ctx context.Context, token string) (Identity, error)
	// Handed reports that pushes were accepted by the kernel for this session. It
	// may run inside Push, on the caller's goroutine.
	Handed func(session, conversation int64, from, to uint64)
	// Confirmed reports that a heartbeat came on the same connection at least
	// ConfirmAfter behind the write of from..to. Only for clients without features.
	Confirmed func(session, conversation int64, from, to uint64)
	// Opened runs after op 8 was written, Closed after the connection is gone.
	// They pair up. Guests have User 0.
	Opened, Closed func(c ConnInfo)
	// Request answers ops 4, 18, 20 and 21 of feature clients, one at a time per
	// connection. An op of 0 means no answer. The body is only valid during the
	// call.
	Request func(ctx context.Context, c ConnInfo, h protocol.Header, body []byte) (op protocol.Op, reply []byte)
	// Banned says whether nobody may connect from an address. It must be quick.
	Banned func(a netip.Addr) bool
	// Join is asked before a client enters a broadcast room, which must then have
	// the name of a live room (protocol.LiveRoomName). It lets the client in by
	// calling enter, once and before it returns: what is published behind that
	// comes after the backlog, what was published before does not come again. Who
	// is not let in is told CodeUnknown. Nil: every room may be entered.
	// token is what the client sent behind the room's name and a slash, "" nothing.
	Join func(ctx context.Context, c ConnInfo, room, token string, enter func(backlog []Broadcast))
	// RevokedText is what a client whose login session was ended is told. Nil: an
	// English sentence.
	RevokedText func(language string) string
	// ClientAddr is the client's address behind trusted proxies. Nil: the peer's.
	ClientAddr func(r *http.Request) netip.Addr
	// Logger may be nil.
	Logger *slog.Logger
}

// Gateway holds all connections. Make it with New, start it with Run.
type Gateway struct {
	cfg   Config
	deps  Deps
	log   *slog.Logger
	epoch time.Time // session times are nanoseconds since

	wheel    *wheel
	users    registry // by user
	sessions registry // by login session
	rooms    rooms
	groups   groups
	addrs    addresses
	stats    counters
	lastID   atomic.Uint64
	behind   payload // op 21 "behind"
	done     chan struct{}

	mu       sync.Mutex
	draining bool                  // guarded by mu
	conns    map[*session]struct{} // guarded by mu
	work     sync.WaitGroup        // readers and room flushes; Add under mu while not draining
}

// New checks the configuration and makes a gateway. Nothing runs before Run.
func New(cfg Config, deps Deps) (*Gateway, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if deps.Authenticate == nil {
		return nil, errors.New("gateway: Deps.Authenticate is missing")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{
		cfg: cfg.withDefaults(), deps: deps.withDefaults(), epoch: time.Now(),
		log:    deps.Logger.With("component", "gateway"),
		behind: newPayload(protocol.OpNotice, protocol.Notice{Kind: protocol.NoticeBehind}.JSON()),
		done:   make(chan struct{}),
		conns:  make(map[*session]struct{}),
	}
	g.wheel = newWheel(g.cfg.Tick)
	g.rooms.byName = make(map[string]*room)
	g.groups.byID = make(map[int64]*group)
	g.addrs.byAddr = make(map[netip.Addr]addressUse)
	return g, nil
}

func (d Deps) withDefaults() Deps {
	if d.Handed == nil {
		d.Handed = func(int64, int64, uint64, uint64) {}
	}
	if d.Confirmed == nil {
		d.Confirmed = func(int64, int64, uint64, uint64) {}
	}
	if d.Opened == nil {
		d.Opened = func(ConnInfo) {}
	}
	if d.Closed == nil {
		d.Closed = func(ConnInfo) {}
	}
	if d.Banned == nil {
		d.Banned = func(netip.Addr) bool { return false }
	}
	if d.RevokedText == nil {
		d.RevokedText = func(string) string { return "You have been logged out." }
	}
	return d
}

// now is the gateway's clock: nanoseconds since it was made, monotonic.
func (g *Gateway) now() int64 { return int64(time.Since(g.epoch)) }

// Run turns the timer wheel until ctx ends, then closes every connection (the
// app by reset, WebSockets with status 1001) and returns when all are gone, at
// the latest a moment after Config.Drain.
func (g *Gateway) Run(ctx context.Context) error {
	stop := make(chan struct{})
	var wheel sync.WaitGroup
	wheel.Go(func() { g.turn(stop) })
	<-ctx.Done()
	g.drain()
	close(stop)
	wheel.Wait()
	return nil
}

// turn advances the wheel until stop is closed.
func (g *Gateway) turn(stop <-chan struct{}) {
	t := time.NewTicker(g.cfg.Tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			g.wheel.advance(g.now())
		case <-stop:
			return
		}
	}
}

// drain refuses newcomers, closes everybody and waits.
func (g *Gateway) drain() {
	g.mu.Lock()
	g.draining = true
	all := make([]*session, 0, len(g.conns))
	for s := range g.conns {
		all = append(all, s)
	}
	g.mu.Unlock()
	close(g.done)
	for _, s := range all {
		s.part(endShutdown)
	}
	gone := make(chan struct{})
	go func() { g.work.Wait(); close(gone) }()
	t := time.NewTimer(g.cfg.Drain)
	defer t.Stop()
	select {
	case <-gone:
	case <-t.C:
		for _, s := range all {
			s.dropConn()
		}
		<-gone
	}
}

// enter counts a goroutine of Run in; it must be followed by g.work.Done. It
// reports false once the gateway is closing.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining {
		return false
	}
	g.work.Add(1)
	return true
}

// Push queues p for every connection of the user and reports for how many. It
// never waits for a socket. Pushes of one caller keep their order.
func (g *Gateway) Push(user int64, p *Push) int { return g.pushTo(g.users.get(user), p) }

// PushSession is Push for the connections of one login session.
func (g *Gateway) PushSession(session int64, p *Push) int {
	return g.pushTo(g.sessions.get(session), p)
}

func (g *Gateway) pushTo(list []*session, p *Push) int {
	n := 0
	for _, s := range list {
		if s.push(p) {
			n++
		}
	}
	return n
}

// Kick tells the connections of a login session that it ended (type 16), each in
// the language of its login, and closes them at least Config.Farewell later. It
// reports how many there were.
func (g *Gateway) Kick(session int64) int {
	n := 0
	for _, s := range g.sessions.get(session) {
		if s.leave(s.info.User, g.deps.RevokedText(s.info.Language)) {
			n++
		}
	}
	return n
}

// CloseSession closes the connections of a login session without a word.
func (g *Gateway) CloseSession(session int64) {
	for _, s := range g.sessions.get(session) {
		s.part(endClosed)
	}
}

// CloseBanned closes the connections whose address is banned, logged in or not,
// without a word, and reports how many there were. It comes after Deps.Banned
// has learnt of the ban.
func (g *Gateway) CloseBanned(banned func(a netip.Addr) bool) int {
	g.mu.Lock()
	all := make([]*session, 0, len(g.conns))
	for s := range g.conns {
		all = append(all, s)
	}
	g.mu.Unlock()
	n := 0
	for _, s := range all {
		if banned(s.info.Address) {
			s.part(endBanned)
			n++
		}
	}
	return n
}

// Online reports whether the user has a connection.
func (g *Gateway) Online(user int64) bool { return len(g.users.get(user)) > 0 }

// SessionOnline reports whether the login session has a connection.
func (g *Gateway) SessionOnline(session int64) bool { return len(g.sessions.get(session)) > 0 }

// Connections is the number of sockets held, logged in or not.
func (g *Gateway) Connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}
