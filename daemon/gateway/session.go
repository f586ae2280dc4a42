package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gtiv/protocol"

	"github.com/coder/websocket"
)

// Transport is what carries a connection.
type Transport uint8

// The transports.
const (
	TCP Transport = iota
	TLS
	WebSocket
	transports = 3
)

func (t Transport) String() string { return [transports]string{"tcp", "tls", "websocket"}[t] }

// phase is how far a connection has come. It only grows.
type phase uint8

const (
	phaseLogin   phase = iota // waits for op 7
	phaseHeld                 // login failed, kept silent until closeAt
	phaseOpen                 // logged in
	phaseLeaving              // says goodbye, takes no more pushes
	phaseClosed
)

// session is one connection, whatever its transport.
type session struct {
	g      *Gateway
	conn   net.Conn        // the TCP or TLS connection
	tcp    *net.TCPConn    // below it; nil only in tests and Healthy
	raw    syscall.RawConn // of tcp, nil when tcp is
	ws     *wsConn         // nil for TCP and TLS
	secure bool            // TLS is in between: nothing may be written to raw
	timer  entry

	limit  bucket               // reader only
	joins  bucket               // reader only
	room   atomic.Pointer[room] // changed by the reader under rooms.mu
	place  int                  // index in room.members, guarded by rooms.mu
	since  uint64               // batches with a lower number are not for it; guarded by mu
	held   bool                 // counts as held in addresses; login and reader only
	opened bool                 // Opened was called; login and reader only
	info   ConnInfo             // complete and constant once the phase is open; changed under mu before
	lastIn atomic.Int64         // last whole frame from the client

	mu          sync.Mutex
	phase       phase
	writing     bool // someone owns the socket's write side
	behind      bool // private pushes were dropped, see queue.go
	tryAgain    bool // held because nobody could say whether the token is good
	helpers     int8 // goroutines besides reader and writer
	app         *appPace
	private     queue
	broadcast   queue
	lastWrite   int64
	closeAt     int64         // end of this phase, where it has one
	changed     chan struct{} // closed when writing, helpers or phase change; nil when nobody waits
	unconfirmed []written
}

// roomOnline is how many are in the connection's broadcast room, 0 without one.
func (s *session) roomOnline() int32 {
	if r := s.room.Load(); r != nil {
		return r.online.Load()
	}
	return 0
}

// ending is why the server closes a connection.
type ending struct {
	why    string
	status websocket.StatusCode // 0: without a closing handshake
}

var (
	endGone      = ending{"peer gone", 0}
	endSilent    = ending{"silent too long", websocket.StatusPolicyViolation}
	endHandshake = ending{"no login in time", websocket.StatusPolicyViolation}
	endRefused   = ending{"login refused", websocket.StatusPolicyViolation}
	endTryAgain  = ending{"try again later", websocket.StatusTryAgainLater}
	endGarbage   = ending{"bad frame", websocket.StatusProtocolError}
	endText      = ending{"binary messages only", websocket.StatusUnsupportedData}
	endFlood     = ending{"too many frames", websocket.StatusPolicyViolation}
	endBehind    = ending{"reads too slowly", websocket.StatusTryAgainLater}
	endBanned    = ending{"address banned", websocket.StatusPolicyViolation}
	endReplaced  = ending{"too many connections", websocket.StatusPolicyViolation}
	endClosed    = ending{"session closed", websocket.StatusPolicyViolation}
	endFarewell  = ending{"session ended", websocket.StatusPolicyViolation}
	endInternal  = ending{"internal error", websocket.StatusInternalError}
	endShutdown  = ending{"going away", websocket.StatusGoingAway}
)

func newSession(g *Gateway, c net.Conn, t Transport, addr netip.Addr) *session {
	s := &session{g: g, conn: c}
	s.timer.owner = s
	s.info.Conn = g.lastID.Add(1)
	s.info.Transport = t
	s.info.Address = addr
	now := g.now()
	s.lastIn.Store(now)
	s.closeAt = now + int64(g.cfg.Handshake)
	s.limit = bucket{tokens: float64(g.cfg.InBurst), at: now}
	s.joins = bucket{tokens: float64(g.cfg.JoinBurst), at: now}
	return s
}

// frameSource is the reading half of a transport. The body is valid until the
// next call.
type frameSource interface {
	next() (protocol.Header, []byte, error)
	release()
}

// serve is the reader: it owns the connection until everything about it is
// released.
func (s *session) serve(ctx context.Context, in frameSource) {
	defer s.end()
	defer in.release()
	s.mu.Lock()
	s.rescheduleLocked()
	s.mu.Unlock()
	if s.g.deps.Banned(s.info.Address) { // since it was admitted, and before CloseBanned could find it
		s.shut(endBanned)
		return
	}
	if !s.handshake(ctx, in) {
		return
	}
	for {
		h, body, err := in.next()
		if err != nil {
			s.shut(endingFor(err))
			return
		}
		now := s.g.now()
		if !s.allow(now) {
			s.shut(endFlood)
			return
		}
		s.lastIn.Store(now)
		s.g.stats.framesIn.Add(1)
		s.g.stats.bytesIn.Add(uint64(protocol.HeaderBytes + len(body)))
		s.handle(ctx, h, body, now)
	}
}

// allow takes a frame's token. Only the reader calls it.
func (s *session) allow(now int64) bool {
	return s.limit.take(now, s.g.cfg.InRate, s.g.cfg.InBurst)
}

// handle acts on one frame of a client that is logged in. What has no meaning
// is ignored: an answer to it would be one more frame nobody expects.
func (s *session) handle(ctx context.Context, h protocol.Header, body []byte, now int64) {
	switch h.Op {
	case protocol.OpHeartbeat:
		s.heartbeat(h, now)
	case protocol.OpChangeRoom:
		s.changeRoom(ctx, h, body)
	case protocol.OpSubscribe, protocol.OpUnsubscribe: // no effect (wire.md 18.12)
		if !s.info.Guest {
			s.answer(h, h.Op+1, nil)
		}
	case protocol.OpSend, protocol.OpSync, protocol.OpAck, protocol.OpNotice:
		if s.info.Features && !s.info.Guest && s.g.deps.Request != nil {
			s.request(ctx, h, body)
		}
	}
}

func (s *session) heartbeat(h protocol.Header, now int64) {
	s.confirm(now)
	if s.app == nil {
		s.answer(h, protocol.OpHeartbeatReply, onlineBody(s.roomOnline()))
		return
	}
	s.mu.Lock()
	s.app.beat, s.app.seq = true, h.Seq
	mine := s.claimLocked(now)
	s.mu.Unlock()
	if mine {
		s.write()
	}
}

// onlineBody is the body of op 3.
func onlineBody(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) } //nolint:gosec // a count

// changeRoom takes the client into a broadcast room, or out of the one it is in.
// Who stays where they are keeps their place: nothing comes twice.
func (s *session) changeRoom(ctx context.Context, h protocol.Header, body []byte) {
	room, token, _ := bytes.Cut(body, []byte("/"))
	if _, live := protocol.ParseLiveRoomName(string(room)); !live {
		room, token = body, nil
	}
	if !validRoom(room) || len(token) > maxRoomToken {
		return
	}
	name := string(room)
	if s.g.rooms.has(s, name) {
		s.answer(h, protocol.OpChangeRoomOK, nil)
		return
	}
	entered, mine := true, false
	switch {
	case name == "":
		s.g.rooms.leave(s)
	case s.g.deps.Join == nil:
		mine = s.g.rooms.join(s, name, nil)
	default:
		entered, mine = s.askToJoin(ctx, name, string(token))
	}
	if entered {
		s.answer(h, protocol.OpChangeRoomOK, nil)
	} else {
		s.answer(h, protocol.OpChangeRoomOK, s.notJoined())
	}
	if mine { // the write side is ours since the backlog was queued
		s.write()
	}
}

// askToJoin has Deps.Join decide. A client that is not let in stays where it is.
func (s *session) askToJoin(ctx context.Context, name, token string) (entered, mine bool) {
	if _, ok := protocol.ParseLiveRoomName(name); !ok {
		return false, false
	}
	// A few bytes bring fifty messages: who changes rooms all the time gets none.
	greet := s.joins.take(s.g.now(), s.g.cfg.JoinRate, s.g.cfg.JoinBurst)
	s.call(ctx, s.g.cfg.RequestTimeout, func(ctx context.Context) {
		s.g.deps.Join(ctx, s.info, name, token, func(backlog []Broadcast) {
			if !greet {
				backlog = nil
			}
			if !entered {
				entered, mine = true, s.g.rooms.join(s, name, backlog)
			}
		})
	})
	return entered, mine
}

// notJoined is the body of op 13 for a room that there is not.
func (s *session) notJoined() []byte {
	text := protocol.Text(s.info.Language, "noSuchLive")
	b, _ := json.Marshal(protocol.Head{ApiCode: protocol.CodeUnknown, ApiMessage: text}) // plain fields marshal
	return b
}

// answer replies to a client's frame. The app gets none: its op 3 has a way of
// its own, and anything else would kill it (F5).
func (s *session) answer(h protocol.Header, op protocol.Op, body []byte) {
	if s.app == nil {
		s.send(item{buf: newReply(h, op, body).on(s)})
	}
}

// request has a feature answer, on a goroutine whose stack is gone afterwards,
// and waits: one request at a time. An answer may be long, so the next request
// waits until the client has taken the last one.
func (s *session) request(ctx context.Context, h protocol.Header, body []byte) {
	if !s.waitDrained() {
		return
	}
	var op protocol.Op
	var reply []byte
	s.call(ctx, s.g.cfg.RequestTimeout, func(ctx context.Context) {
		op, reply = s.g.deps.Request(ctx, s.info, h, body)
	})
	if op != 0 {
		s.sendAnyway(item{buf: newReply(h, op, reply).on(s)})
	}
}

// push queues p, if it is meant for this client and fits.
func (s *session) push(p *Push) bool { return s.pushAs(p, p.Silent) }

// pushAs is push; silent as in Push.
func (s *session) pushAs(p *Push, silent bool) bool {
	if silent && (!s.info.Features || p.FeatureBody == nil) {
		s.pass(p)
		return false
	}
	if p.FeaturesOnly && !s.info.Features || p.ExceptSession != 0 && p.ExceptSession == s.info.Session {
		return false
	}
	it := item{buf: p.forClient(s.info.Features).on(s), conversation: p.Conversation, seq: p.Seq}
	if s.app != nil {
		if !p.fitsApp() {
			s.g.stats.unreadable.Add(1)
			return false
		}
		if p.slow() {
			it.flags |= flagSlow
		}
	}
	return s.send(it)
}

// leave says goodbye with a type 16 push: what waits is dropped, nothing more
// is taken, and the wheel closes the connection later.
func (s *session) leave(user int64, text string) bool {
	bye := s.byeFrame(user, text)
	s.mu.Lock()
	if s.phase >= phaseLeaving {
		s.mu.Unlock()
		return false
	}
	s.private.clear()
	s.broadcast.clear()
	s.behind = false
	s.queueLocked(&s.private, bye)
	now := s.g.now()
	s.phase, s.closeAt = phaseLeaving, now+int64(s.g.cfg.FarewellMax)
	s.rescheduleLocked()
	mine := s.claimLocked(now)
	s.mu.Unlock()
	s.unregister()
	if mine {
		s.write()
	}
	return true
}

// part closes the connection, for the app not before Config.Farewell has passed
// since the last push: a reset overtakes what its reader has not read yet.
func (s *session) part(e ending) {
	s.mu.Lock()
	now := s.g.now()
	wait := s.app != nil && (s.writing || now-s.lastWrite < int64(s.g.cfg.Farewell))
	if !wait || s.phase != phaseOpen && s.phase != phaseLeaving {
		s.mu.Unlock()
		s.shut(e)
		return
	}
	if s.phase == phaseOpen {
		s.private.clear()
		s.broadcast.clear()
		s.phase, s.closeAt = phaseLeaving, now+int64(s.g.cfg.FarewellMax)
		s.rescheduleLocked()
	}
	s.mu.Unlock()
	s.unregister()
}

// tick is the wheel's call: something may be due.
func (s *session) tick(now int64) {
	s.mu.Lock()
	if s.phase == phaseClosed {
		s.mu.Unlock()
		return
	}
	if at, e := s.deadlineLocked(); now >= at {
		s.mu.Unlock()
		s.shut(e)
		return
	}
	mine := s.claimLocked(now)
	s.rescheduleLocked()
	s.mu.Unlock()
	if mine {
		s.write()
	}
}

// deadlineLocked is when the connection ends if nothing else happens.
func (s *session) deadlineLocked() (int64, ending) {
	switch s.phase {
	case phaseLogin:
		return s.closeAt, endHandshake
	case phaseHeld:
		if s.tryAgain {
			return s.closeAt, endTryAgain
		}
		return s.closeAt, endRefused
	case phaseLeaving:
		if s.writing || s.private.len() > 0 {
			return s.closeAt, endFarewell
		}
		return min(s.closeAt, s.lastWrite+int64(s.g.cfg.Farewell)), endFarewell
	default:
		return s.lastIn.Load() + int64(s.g.cfg.Idle), endSilent
	}
}

// rescheduleLocked sets the wheel to the next thing due.
func (s *session) rescheduleLocked() {
	if s.phase == phaseClosed {
		return
	}
	at, _ := s.deadlineLocked()
	if s.appActive() && !s.writing {
		at = min(at, s.app.due(&s.g.cfg.App, s.appQueue()))
	}
	s.g.wheel.schedule(&s.timer, at)
}

// appActive reports whether the app's own clock runs: op 8 begins it.
func (s *session) appActive() bool {
	return s.app != nil && (s.phase == phaseOpen || s.phase == phaseLeaving && s.private.len() > 0)
}

// end releases everything. The reader calls it last.
func (s *session) end() {
	s.shut(endGone)
	s.waitFor(func() bool { return !s.writing && s.helpers == 0 })
	if s.ws != nil {
		_ = s.ws.lib.CloseNow() //nolint:errcheck // the socket is closed already
	}
	s.g.rooms.leave(s)
	s.unregister()
	s.g.forget(s)
	if s.opened {
		s.g.deps.Closed(s.info)
	}
	s.g.work.Done()
}

// unregister takes the session out of what Push finds.
func (s *session) unregister() {
	if s.info.User != 0 {
		s.g.users.remove(s.info.User, s)
		s.g.sessions.remove(s.info.Session, s)
	}
}

// shut closes the connection, once. Called from any goroutine; the reader does
// the rest.
func (s *session) shut(e ending) {
	s.mu.Lock()
	if s.phase == phaseClosed {
		s.mu.Unlock()
		return
	}
	was := s.phase
	s.phase = phaseClosed
	s.private.clear()
	s.broadcast.clear()
	polite := s.ws != nil && e.status != 0 || s.secure && s.app == nil && was >= phaseOpen
	if polite {
		s.helpers++
	}
	user := s.info.User
	s.signalLocked()
	s.mu.Unlock()
	s.g.wheel.remove(&s.timer)
	s.g.log.Debug("connection closed", "conn", s.info.Conn, "user", user, "remote", s.info.Address, "reason", e.why)
	if polite {
		go s.closePolitely(e)
		return
	}
	s.dropConn()
}

// dropConn closes the socket itself. For the app and for clients that did not
// log in SO_LINGER is still 0, so this is a reset, also below TLS.
func (s *session) dropConn() {
	if s.tcp != nil {
		_ = s.tcp.Close() //nolint:errcheck // nothing to do about it
		return
	}
	_ = s.conn.Close() //nolint:errcheck // nothing to do about it
}

// closePolitely does the closing handshake of WebSocket or TLS, which waits for
// the peer, for a bounded time.
func (s *session) closePolitely(e ending) {
	cut := time.AfterFunc(s.g.cfg.CloseWait, s.dropConn)
	if s.ws != nil {
		_ = s.ws.lib.Close(e.status, e.why) //nolint:errcheck // the peer may be gone
	} else {
		_ = s.conn.Close() //nolint:errcheck // the peer may be gone
	}
	cut.Stop()
	s.dropConn()
	s.mu.Lock()
	s.helpers--
	s.signalLocked()
	s.mu.Unlock()
}

// signalLocked wakes who waits for a change.
func (s *session) signalLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// waitFor waits until ok, which is asked with mu held.
func (s *session) waitFor(ok func() bool) {
	for {
		s.mu.Lock()
		if ok() {
			s.mu.Unlock()
			return
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		c := s.changed
		s.mu.Unlock()
		<-c
	}
}

// waitDrained waits until the client has taken what was written to it. It
// reports false when the connection is closing.
func (s *session) waitDrained() bool {
	open := true
	s.waitFor(func() bool {
		open = s.phase == phaseOpen
		return !open || s.private.len() == 0 && !s.writing
	})
	return open
}

// validRoom reports whether b may be the name of a broadcast room, or "" to
// leave.
// maxRoomToken bounds what may stand behind a room's name, bytes.
const maxRoomToken = 200

func validRoom(b []byte) bool {
	if len(b) > 64 {
		return false
	}
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("_:.-", rune(c)) {
			return false
		}
	}
	return true
}
