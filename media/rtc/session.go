package rtc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"gtiv/media"
)

const gatherTime = 5 * time.Second

// Why a session ends.
var (
	errDeleted = errors.New("the client ended it")
	errLost    = errors.New("the connection was lost")
	errNever   = errors.New("the client never connected")
	errKicked  = errors.New("ended by a moderator")
)

// session is one peer connection, whoever sends.
type session struct {
	id, etag  string
	kind      string // of media.Protocol
	room      string
	pc        *webrtc.PeerConnection
	ctx       context.Context //nolint:containedctx // its life; its cause says why it ended
	cancel    context.CancelCauseFunc
	connected chan struct{}
	once      sync.Once // closes connected
	ufrag     string    // of the client

	mu         sync.Mutex
	candidates int // that came by PATCH
}

// newSession makes a session whose media are the caller's to set up, and finish to end.
func (s *Server) newSession(ctx context.Context, api *webrtc.API, kind, room string) (*session, error) {
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("make peer connection: %w", err)
	}
	c := &session{id: rand.Text(), etag: `"` + rand.Text()[:12] + `"`, kind: kind, room: room, pc: pc, connected: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			c.once.Do(func() { close(c.connected) })
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			c.cancel(errLost)
		default:
		}
	})
	s.mu.Lock()
	s.sessions[c.id] = c
	s.mu.Unlock()
	return c, nil
}

// answer negotiates: it takes the offer and answers ours, with all candidates.
func (s *session) answer(o *offer) (string, error) {
	pc := s.pc
	s.ufrag = o.ufrag
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: o.sdp}); err != nil {
		return "", refuse(http.StatusBadRequest, "sdp", "the offer does not fit: %v", err)
	}
	a, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "sdp", "the offer does not fit: %v", err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(a); err != nil {
		return "", refuse(http.StatusNotAcceptable, "codec", "the offer does not fit: %v", err)
	}
	t := time.NewTimer(gatherTime)
	defer t.Stop()
	select {
	case <-gathered:
	case <-t.C:
		return "", errors.New("gathering candidates takes too long")
	case <-s.ctx.Done():
		return "", refuse(http.StatusServiceUnavailable, "ended", "%v", context.Cause(s.ctx))
	}
	return pc.LocalDescription().SDP, nil
}

// wait returns why the session ended.
func (s *session) wait(patience time.Duration) error {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-s.connected:
		<-s.ctx.Done()
	case <-t.C:
		s.cancel(errNever)
	case <-s.ctx.Done():
	}
	why := context.Cause(s.ctx)
	select {
	case <-s.connected:
	default:
		if errors.Is(why, errLost) { // the library was faster
			why = errNever
		}
	}
	return why
}

// begin reserves a place for a session; end must be called when it is over.
func (s *Server) begin(publish bool) (ctx context.Context, api *webrtc.API, end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count, most := &s.viewers, s.cfg.MaxViewers
	if publish {
		count, most = &s.publishing, s.cfg.MaxPublishers
	}
	switch {
	case s.api == nil || s.ctx.Err() != nil:
		return nil, nil, nil, refuse(http.StatusServiceUnavailable, "off", "the server does not run")
	case *count >= most:
		return nil, nil, nil, errFull
	}
	*count++
	s.work.Add(1)
	return s.ctx, s.api, sync.OnceFunc(func() {
		s.mu.Lock()
		*count--
		s.mu.Unlock()
		s.work.Done()
	}), nil
}

var errFull = refuse(http.StatusServiceUnavailable, "full", "too many viewers")

// register asks the registry.
func (s *Server) register(m *media.Session) (remove func(), err error) {
	remove, err = s.deps.Open(m)
	if errors.Is(err, media.ErrFull) {
		return nil, errFull
	}
	return remove, err
}

// reply sends an answer.
func reply(w http.ResponseWriter, r *http.Request, c *session, sdp string) {
	h := w.Header()
	h.Set("Content-Type", typeSDP)
	h.Set("Location", "/"+strings.Trim(r.URL.EscapedPath(), "/")+"/"+c.id)
	h.Set("ETag", c.etag)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(sdp)) // a client that is gone never connects
}

// finish ends a session in the table and in the library, and logs why once.
func (s *Server) finish(c *session, why error) {
	s.mu.Lock()
	delete(s.sessions, c.id)
	s.mu.Unlock()
	c.cancel(why)
	_ = c.pc.GracefulClose() // whatever state it was in
	level := slog.LevelDebug
	if errors.Is(why, errNever) || errors.Is(why, errNoKey) { // not of peers who went, or were sent
		level = slog.LevelInfo
	}
	s.log.Log(context.Background(), level, "session ended", "protocol", c.kind, "room", c.room, "why", why)
}

// cors lets pages of others use what is answered. It answers OPTIONS, and all
// methods but those; true: it did.
func cors(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Patch")
	allow := strings.Join(append(methods, http.MethodOptions), ", ")
	for _, m := range methods {
		if r.Method == m {
			return false
		}
	}
	h.Set("Allow", allow)
	if r.Method != http.MethodOptions {
		write(w, refuse(http.StatusMethodNotAllowed, "method", "allowed are %s", allow))
		return true
	}
	h.Set("Access-Control-Allow-Methods", allow)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Accept-Post", typeSDP)
	h.Set("Accept-Patch", typeFragment)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// ServeSession answers requests to the Location of a session: PATCH adds candidates
// (RFC 8840), DELETE ends it. Whoever knows the id may do both; it cannot be guessed.
func (s *Server) ServeSession(w http.ResponseWriter, r *http.Request, id string) {
	if cors(w, r, http.MethodPatch, http.MethodDelete) {
		return
	}
	s.mu.Lock()
	c := s.sessions[id]
	s.mu.Unlock()
	if c == nil {
		write(w, refuse(http.StatusNotFound, "unknown", "there is no such session"))
		return
	}
	if r.Method == http.MethodDelete {
		c.cancel(errDeleted)
		w.WriteHeader(http.StatusOK)
		return
	}
	if err := c.patch(w, r); err != nil {
		write(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *session) patch(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, typeFragment)
	if err != nil {
		return err
	}
	f, err := parseFragment(body)
	if err != nil {
		return err
	}
	if f.ufrag != "" && f.ufrag != s.ufrag {
		return refuse(http.StatusUnprocessableEntity, "restart", "ICE cannot be restarted; begin a new session")
	}
	if m := r.Header.Get("If-Match"); m != "" && m != "*" && m != s.etag {
		return refuse(http.StatusPreconditionFailed, "etag", "this is another session")
	}
	s.mu.Lock()
	s.candidates += len(f.candidates)
	n := s.candidates
	s.mu.Unlock()
	if n > maxCandidates {
		return refuse(http.StatusBadRequest, "candidates", "a session may have %d candidates", maxCandidates)
	}
	for _, c := range f.candidates {
		if err := s.pc.AddICECandidate(c); err != nil {
			return refuse(http.StatusBadRequest, "candidate", "a candidate is malformed")
		}
	}
	return nil
}
