package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"gtiv/protocol"
)

const (
	// loginFrames bounds what a client may send before it is logged in, and
	// heldFrames what it may send after that failed.
	loginFrames = 16
	heldFrames  = 64
	maxToken    = 512
	maxPlatform = 32
)

var errAuthBody = errors.New("bad auth body")

// authBody is what the gateway reads of op 7.
type authBody struct {
	token    string
	platform string // lower case
	features bool
}

// authJSON takes the fields apart one by one, so that a field that nobody needs
// may have any type. Unknown fields are ignored (wire.md 7.3).
type authJSON struct {
	UserToken *string         `json:"userToken"`
	Platform  json.RawMessage `json:"platform"`
	Features  json.RawMessage `json:"features"`
}

// parseAuth reads the body of op 7. The token must be a string or absent, which
// is a guest; anything odd in the rest counts as absent.
func parseAuth(body []byte) (authBody, error) {
	var j authJSON
	if err := json.Unmarshal(body, &j); err != nil {
		return authBody{}, fmt.Errorf("%w: %w", errAuthBody, err)
	}
	if string(body) == "null" {
		return authBody{}, fmt.Errorf("%w: null", errAuthBody)
	}
	var a authBody
	if j.UserToken != nil {
		a.token = strings.TrimSpace(*j.UserToken)
	}
	if len(a.token) > maxToken {
		return authBody{}, fmt.Errorf("%w: token of %d bytes", errAuthBody, len(a.token))
	}
	var platform string
	if json.Unmarshal(j.Platform, &platform) == nil && len(platform) <= maxPlatform {
		a.platform = strings.ToLower(strings.TrimSpace(platform))
	}
	var features []string
	if json.Unmarshal(j.Features, &features) == nil {
		a.features = features != nil
	}
	return a, nil
}

// handshake reads frames until the client is logged in. It reports false when
// the connection is over.
func (s *session) handshake(ctx context.Context, in frameSource) bool {
	for range loginFrames {
		h, body, err := in.next()
		if err != nil {
			s.shut(endingFor(err))
			return false
		}
		if h.Op != protocol.OpAuth {
			continue // wire.md 7.3: ignored
		}
		s.call(ctx, s.g.cfg.AuthTimeout, func(ctx context.Context) { s.login(ctx, body) })
		return s.admitted(in)
	}
	s.shut(endFlood)
	return false
}

// admitted reports whether the login let the client in. If it did not, it reads
// on without a word until the wheel ends the connection.
func (s *session) admitted(in frameSource) bool {
	s.mu.Lock()
	p := s.phase
	s.mu.Unlock()
	if p == phaseOpen || p == phaseLeaving && s.opened {
		return true
	}
	for range heldFrames {
		if _, _, err := in.next(); err != nil {
			s.shut(endingFor(err))
			return false
		}
	}
	s.shut(endFlood)
	return false
}

// call runs fn on a goroutine of its own, so that deep calls do not grow the
// stack of a reader that lives for days, and waits for it. The context ends
// after the timeout, or when the gateway closes.
func (s *session) call(ctx context.Context, timeout time.Duration, fn func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer s.survive()
		fn(ctx)
	}()
	select {
	case <-finished:
	case <-s.g.done:
		cancel()
		<-finished
	}
}

// survive keeps a panic of a feature from ending the daemon: it costs this
// connection.
func (s *session) survive() {
	if p := recover(); p != nil {
		s.g.log.Error("a request panicked", "conn", s.info.Conn, "err", p, "stack", string(debug.Stack()))
		s.shut(endInternal)
	}
}

// login decides about one op 7.
func (s *session) login(ctx context.Context, body []byte) {
	a, err := parseAuth(body)
	if err != nil {
		s.hold()
		return
	}
	s.describe(a)
	if a.token == "" {
		s.open(Identity{Guest: true})
		return
	}
	id, err := s.g.deps.Authenticate(ctx, a.token)
	switch {
	case err == nil:
		id.Guest = false
		s.open(id)
		s.recheck(ctx, a.token, id)
	case errors.Is(err, ErrRevoked):
		s.g.stats.authFailures.Add(1)
		s.sayRevoked(id)
	case errors.Is(err, ErrUnknownToken):
		s.hold()
	default:
		s.g.stats.authFailures.Add(1)
		s.g.log.Warn("login not possible now", "conn", s.info.Conn, "remote", s.info.Address, "err", err)
		s.endLater(s.g.cfg.TryAgain, true)
	}
}

// recheck asks again, now that Kick finds the connection: the login session may
// have ended between the first answer and that.
func (s *session) recheck(ctx context.Context, token string, id Identity) {
	if _, err := s.g.deps.Authenticate(ctx, token); errors.Is(err, ErrRevoked) {
		s.leave(id.User, s.g.deps.RevokedText(id.Language))
	}
}

// describe keeps what the client said about itself.
func (s *session) describe(a authBody) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info.Platform, s.info.Features = a.platform, a.features
	if isApp(s.info.Transport, a) {
		s.info.App, s.app = true, &appPace{}
	}
}

// open lets the client in. It is found by Push before op 8 is on the wire: who
// has read op 8 misses nothing.
func (s *session) open(id Identity) {
	if !s.claimOpen(id) {
		return
	}
	if !id.Guest {
		s.g.sessions.add(id.Session, s, 0)
		if oldest := s.g.users.add(id.User, s, s.g.cfg.SessionsPerUser); oldest != nil {
			oldest.part(endReplaced)
		}
	}
	s.g.stats.opened(s, 1)
	s.opened = true
	s.write()
	s.waitDrained()
	s.g.deps.Opened(s.info)
}

// claimOpen makes the phase open with op 8 first in the queue (F8) and the
// write side claimed: the caller must call write.
func (s *session) claimOpen(id Identity) bool {
	if s.tcp != nil && !s.info.App {
		// Only the app and strangers are closed by reset.
		_ = s.tcp.SetLinger(-1) //nolint:errcheck // the socket is gone then
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseLogin {
		return false
	}
	s.phase = phaseOpen
	s.info.Identity = id
	s.lastIn.Store(s.g.now())
	s.queueLocked(&s.private, item{buf: newPayload(protocol.OpAuthReply, nil).on(s), flags: flagAlone})
	s.writing = true
	return true
}

// sayRevoked ends a login session on the phone: it is let in, told type 16, and
// closed. No feature ever sees it.
func (s *session) sayRevoked(id Identity) {
	if !s.claimOpen(Identity{Language: id.Language}) {
		return
	}
	s.write()
	s.waitDrained()
	s.leave(id.User, s.g.deps.RevokedText(id.Language))
}

// hold keeps a failed login silent for as long as a handshake may take: the app
// logs in again 8 s after a reset, for ever (wire.md 7.4). A WebSocket client
// is told at once.
func (s *session) hold() {
	s.g.stats.authFailures.Add(1)
	if s.ws != nil {
		s.shut(endRefused)
		return
	}
	if !s.g.addrs.hold(s.info.Address, &s.g.cfg) {
		s.shut(endRefused)
		return
	}
	s.held = true
	s.endLater(s.g.cfg.Handshake, false)
}

// endLater keeps the connection silent for a while.
func (s *session) endLater(d time.Duration, tryAgain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseLogin {
		return
	}
	s.phase, s.closeAt, s.tryAgain = phaseHeld, s.g.now()+int64(d), tryAgain
	s.rescheduleLocked()
}

// byeFrame is the type 16 push. Its sender is nobody, because the app drops
// what comes from itself (wire.md 8.1).
func (s *session) byeFrame(user int64, text string) item {
	m := protocol.Message{
		ChatType: protocol.ChatPrivate, MsgType: protocol.TypeElsewhere, FromUser: protocol.SystemUserID,
		ToUsers: fmt.Sprint(user), Content: text, ServerMsgID: newID(), Time: time.Now().UnixMilli(),
	}
	return item{buf: newPayload(protocol.OpPrivate, protocol.MessageJSON(&m, false)).on(s)}
}

// newID is a UUID, version 4.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
