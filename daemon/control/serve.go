package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gtiv/protocol"
	"gtiv/store"
)

// changeTimeout bounds a change. It runs to its end even when the client hangs
// up, so that what is audited is what happened.
const changeTimeout = 30 * time.Second

// fileIdle is how long a file may stop coming.
const fileIdle = 30 * time.Second

// call is one request on its way through a handler.
type call struct {
	peer peer
	role protocol.Role
	url  *url.URL
	body io.Reader

	// For the audit log, set by handlers of changes.
	target, detail string
	nothing        bool // was changed
}

// ServeHTTP answers every request: checks, route, role, handler, audit.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set(protocol.ControlVersionHeader, strconv.Itoa(protocol.Version))
	h.Set(protocol.ControlBuildHeader, s.deps.Version)
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	defer func() {
		if v := recover(); v != nil {
			s.deps.Logger.Error("control request panicked", "method", r.Method, "path", r.URL.Path, "err", fmt.Sprint(v))
			s.fail(w, http.StatusInternalServerError, internalError())
		}
	}()
	body := r.Body
	if files[r.Method+" "+r.URL.Path] {
		r.Body = &steady{ReadCloser: body, conn: http.NewResponseController(w)}
	} else {
		r.Body = http.MaxBytesReader(w, body, protocol.MaxControlBodyBytes)
	}
	if d := patience[r.URL.Path]; d > 0 {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d + time.Minute)); err != nil {
			s.deps.Logger.Warn("deadline not set", "path", r.URL.Path, "err", err)
		}
	}
	reply, err := s.answer(r)
	if err != nil {
		status, ce := s.explain(r, err)
		s.fail(w, status, ce)
		return
	}
	writeJSON(w, http.StatusOK, reply)
}

// steady is the body of a request that takes as long as it needs, if only it keeps
// coming.
type steady struct {
	io.ReadCloser
	conn *http.ResponseController
	err  error // why it ended early: net/http says so only once
}

func (b *steady) Read(p []byte) (int, error) {
	if b.err == nil {
		b.err = b.conn.SetReadDeadline(time.Now().Add(fileIdle))
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

func (s *Server) answer(r *http.Request) (any, error) {
	if err := checkOrigin(r); err != nil {
		return nil, err
	}
	rt, err := s.find(r)
	if err != nil {
		return nil, err
	}
	c := &call{url: r.URL, body: r.Body}
	if c.peer, err = peerOf(r.Context()); err != nil {
		return nil, err
	}
	if c.role = s.groups.roleOf(c.peer); c.role < rt.role {
		s.deps.Logger.Warn("control request refused", "uid", c.peer.uid, "pid", c.peer.pid, "method", r.Method, "path", rt.path, "role", c.role.String())
		return nil, deniedError(c.role, rt.role)
	}
	if rt.action == "" {
		return rt.handle(s, r.Context(), c)
	}
	return s.change(r.Context(), rt, c)
}

// change runs a handler that changes something and records what it did.
func (s *Server) change(ctx context.Context, rt route, c *call) (any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(patience[rt.path], changeTimeout))
	defer cancel()
	reply, err := rt.handle(s, ctx, c)
	if err != nil {
		return nil, err
	}
	if c.nothing {
		return reply, nil
	}
	name := s.groups.userName(c.peer.uid)
	log := s.deps.Logger.With("action", rt.action, "target", c.target, "uid", c.peer.uid, "pid", c.peer.pid, "name", name)
	log.Info("changed by control socket", "detail", c.detail)
	entry := store.AuditEntry{Time: time.Now().UnixMilli(), Actor: actor(name, c.peer), Action: rt.action, Target: c.target, Detail: c.detail}
	if err := s.deps.Audit(ctx, entry); err != nil {
		// The change has happened and must not be reported as failed; the line
		// above is its record.
		log.Error("cannot write the audit log", "err", err)
	}
	return reply, nil
}

func actor(name string, p peer) string {
	return fmt.Sprintf("%s (uid %d, pid %d)", name, p.uid, p.pid)
}

// checkOrigin refuses what only a web page would send.
func checkOrigin(r *http.Request) error {
	for _, name := range []string{"Origin", "Referer"} {
		if _, there := r.Header[name]; there {
			return &httpError{http.StatusForbidden, &protocol.ControlError{Code: protocol.ControlDenied, Message: "requests from web pages are refused"}}
		}
	}
	host, _, _ := strings.Cut(r.Host, ":")
	switch strings.ToLower(host) {
	case "", "gtiv", "localhost", "unix", "local":
		return nil
	}
	return &httpError{http.StatusForbidden, &protocol.ControlError{
		Code: protocol.ControlDenied, Message: "this host name is not that of the control socket", Hint: `Use "gtiv" or "localhost" as the host.`,
	}}
}

func (s *Server) find(r *http.Request) (route, error) {
	methods, ok := s.routes[r.URL.Path]
	if !ok {
		return route{}, &httpError{http.StatusNotFound, &protocol.ControlError{
			Code: protocol.ControlNotFound, Message: "the daemon knows no such request", Hint: "Does this program have the daemon's version? See gtiv version and gtiv status.",
		}}
	}
	rt, ok := methods[r.Method]
	if !ok {
		return route{}, &httpError{http.StatusMethodNotAllowed, &protocol.ControlError{Code: protocol.ControlBadRequest, Message: "this request needs another method"}}
	}
	return rt, nil
}

// decode reads the body of a request into req, strictly: a field that this
// daemon does not know must not be ignored silently.
func decode[Req any](c *call) (*Req, error) {
	req := new(Req)
	d := json.NewDecoder(c.body)
	d.DisallowUnknownFields()
	if err := d.Decode(req); err != nil {
		return nil, badBody(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, badRequest("the body holds more than one value")
	}
	return req, nil
}

func badBody(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &httpError{http.StatusRequestEntityTooLarge, &protocol.ControlError{
			Code: protocol.ControlBadRequest, Message: fmt.Sprintf("the request is larger than %d bytes", protocol.MaxControlBodyBytes),
		}}
	}
	return badRequest("the request cannot be read: " + err.Error())
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("control: encode reply: " + err.Error()) // plain structs always encode
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}

func (s *Server) fail(w http.ResponseWriter, status int, e *protocol.ControlError) {
	writeJSON(w, status, protocol.ControlFailure{Error: e})
}
