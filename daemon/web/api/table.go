package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"gtiv/daemon/limit"
	"gtiv/protocol"
)

// Config of a Table. All fields but Admit are required.
type Config struct {
	Language    func() string // of callers that do not name one
	MaxRequests int           // calls served at the same time
	// Authenticate answers who a token belongs to; language is what the request
	// asked for, or "". A *protocol.Error says that the token is not valid, any
	// other error that this cannot be told now.
	Authenticate func(ctx context.Context, token, language string) (Principal, error)
	// Address is where a request comes from.
	Address func(r *http.Request) netip.Addr
	// Admit refuses calls, whoever makes them, before anything else is looked at.
	Admit func(c *Call) error
	Log   *slog.Logger
}

// Table serves declared calls, found by their lower-cased path.
type Table struct {
	cfg    Config
	routes []Route
	paths  map[string]*entry

	calls, downloads chan struct{} // one element for each that is being served
	uploads          *limit.Seats
}

// maxDownloads bounds raw calls at the same time: they last as long as their
// readers are slow.
const maxDownloads = 32

// entry is one path: few methods, so a list is quicker than a map.
type entry struct {
	methods []method
	allow   string
}

type method struct {
	name  string
	route *Route
}

// NewTable checks the declarations and makes the table.
func NewTable(cfg Config, routes []Route) (*Table, error) {
	if cfg.Language == nil || cfg.Authenticate == nil || cfg.Address == nil || cfg.Log == nil || cfg.MaxRequests < 1 {
		return nil, errors.New("api table: a field of the configuration is missing")
	}
	t := &Table{
		cfg: cfg, routes: slices.Clone(routes), paths: map[string]*entry{},
		calls: make(chan struct{}, cfg.MaxRequests), downloads: make(chan struct{}, maxDownloads), uploads: limit.NewSeats(maxUploads, maxUploadsEach, maxUploadsAddress),
	}
	for i := range t.routes {
		for _, e := range t.routes[i].endpoints() {
			if err := t.add(e, &t.routes[i]); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range t.paths {
		e.allow = allowed(e.methods)
	}
	return t, nil
}

func (t *Table) add(e Endpoint, r *Route) error {
	if e.Path != strings.ToLower(e.Path) || !strings.HasPrefix(e.Path, "/") {
		return fmt.Errorf("api table: path %s is not lower case", e.Path)
	}
	at := t.paths[e.Path]
	if at == nil {
		at = new(entry)
		t.paths[e.Path] = at
	}
	if at.route(e.Method) != nil {
		return fmt.Errorf("api table: %s %s twice", e.Method, e.Path)
	}
	at.methods = append(at.methods, method{e.Method, r})
	return nil
}

func allowed(ms []method) string {
	names := []string{http.MethodOptions}
	for _, m := range ms {
		names = append(names, m.name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (e *entry) route(name string) *Route {
	for _, m := range e.methods {
		if m.name == name {
			return m.route
		}
	}
	return nil
}

// Serve answers a request whose path is in the table. It reports false, and
// does nothing, for every other one.
func (t *Table) Serve(w http.ResponseWriter, r *http.Request) bool {
	e := t.paths[r.URL.Path]
	if e == nil {
		if e = t.paths[strings.ToLower(r.URL.Path)]; e == nil {
			return false
		}
	}
	route := e.route(r.Method)
	if route == nil {
		w.Header().Set("Allow", e.allow)
		WriteError(w, http.StatusMethodNotAllowed, protocol.CodeUnknown,
			protocol.Text(t.Language(r), "otherMethod", e.allow))
		return true
	}
	t.serve(w, r, route)
	return true
}

// languageHeader is LanguageCode (wire.md 2.1) as net/http spells header names:
// another spelling costs an allocation each time.
const languageHeader = "Languagecode"

// Language is the language a request asks for, or the default one.
func (t *Table) Language(r *http.Request) string {
	return protocol.LanguageOf(r.Header.Get(languageHeader), t.cfg.Language())
}

// maxAgent bounds what is kept of the User-Agent, in bytes.
const maxAgent = 200

func (t *Table) serve(w http.ResponseWriter, r *http.Request, route *Route) {
	deadline := route.Deadline
	if route.upload != nil {
		deadline = uploadTime + route.Deadline
	}
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	agent := r.UserAgent()
	c := &Call{
		Request: r.WithContext(ctx), Language: t.Language(r), ID: w.Header().Get("X-Request-Id"),
		Origin: Origin{Address: t.cfg.Address(r), Agent: clean(agent[:min(len(agent), maxAgent)])},
	}
	if r.Header.Get(languageHeader) != "" {
		c.Origin.Language = c.Language
	}
	setDeadlines(w, route)
	rep, err := t.run(w, c, route)
	switch {
	case err != nil:
		t.answerError(w, c, route, err)
	case rep != nil:
		t.answer(w, c, route, http.StatusOK, protocol.Head{ApiMessage: protocol.Text(c.Language, "ok")}, rep)
		if c.sent != nil && http.NewResponseController(w).Flush() == nil {
			c.sent()
		}
	}
}

// setDeadlines bounds how long a slow client may take for sending its body and
// for reading the answer. Not every writer has deadlines: those of tests do not.
func setDeadlines(w http.ResponseWriter, route *Route) {
	rc := http.NewResponseController(w)
	end := time.Now().Add(route.Deadline)
	_ = rc.SetReadDeadline(end)
	_ = rc.SetWriteDeadline(end.Add(5 * time.Second))
}

// run admits, authenticates, reads the parameters and calls the handler. A panic of the
// handler ends here.
func (t *Table) run(w http.ResponseWriter, c *Call, route *Route) (rep any, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // the sentinel itself is panicked with
				panic(p)
			}
			rep, err = nil, &panicError{p, debug.Stack()}
		}
	}()
	if t.cfg.Admit != nil {
		if err := t.cfg.Admit(c); err != nil {
			return nil, err
		}
	}
	if err := t.Authenticate(c, route.Who); err != nil {
		return nil, err
	}
	b := newBinder(route.request)
	if route.upload != nil {
		return t.runUpload(w, c, route, b)
	}
	if err := readParams(b, w, c.Request, route.MaxBody); err != nil {
		return nil, err
	}
	// Only now: a client that sends slowly must not keep others waiting.
	leave, ok := t.enter(route)
	if !ok {
		return nil, errBusy
	}
	defer leave()
	if route.raw != nil {
		return nil, t.runRaw(w, c, route, b)
	}
	return route.invoke(c, b)
}

// enter takes a place among the calls that are being served.
func (t *Table) enter(route *Route) (leave func(), ok bool) {
	slots := t.calls
	switch {
	case route.Light:
		return func() {}, true
	case route.raw != nil:
		slots = t.downloads
	}
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, true
	default:
		return nil, false
	}
}

// runRaw calls a handler that writes by itself.
func (t *Table) runRaw(w http.ResponseWriter, c *Call, route *Route, b *binder) error {
	raw := &rawWriter{ResponseWriter: w, contentType: route.produces}
	err := route.raw(c, b, raw)
	if err != nil && !raw.started {
		w.Header().Del("Content-Disposition") // the answer is no file after all
	}
	if err != nil && raw.started {
		t.cfg.Log.Warn("download cut short", "req", c.ID, "path", route.Path, "user", c.Principal.User, "err", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// rawWriter notices the first byte, before which an error can still be told.
type rawWriter struct {
	http.ResponseWriter
	contentType string
	started     bool
}

func (w *rawWriter) Write(b []byte) (int, error) {
	if !w.started {
		w.started = true
		h := w.Header()
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", w.contentType)
		}
		h["Cache-Control"] = noStore
	}
	return w.ResponseWriter.Write(b)
}

func (w *rawWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Authenticate finds out who calls and whether they may, also for handlers that are
// no calls.
func (t *Table) Authenticate(c *Call, who Who) error {
	if who == Anyone {
		return nil
	}
	token := tokenOf(c.Request)
	if token == "" && who == Guest {
		return nil
	}
	if token == "" {
		return protocol.Errorf(protocol.CodeToken, "needLogin")
	}
	p, err := t.cfg.Authenticate(c.Context(), token, c.Request.Header.Get(languageHeader))
	if err != nil && who == Guest {
		if _, ok := errors.AsType[*protocol.Error](err); !ok {
			t.cfg.Log.Warn("token not checked, served as a guest", "req", c.ID, "err", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if who == Admin && p.Role < adminRole {
		return protocol.Errorf(protocol.CodeForbidden, "forbidden")
	}
	c.Principal = p
	if c.Request.Header.Get(languageHeader) == "" {
		c.Language = protocol.LanguageOf(p.Language, c.Language)
	}
	return nil
}

// maxToken bounds what is looked up at all, in bytes.
const maxToken = 512

// tokenOf is the raw token (wire.md 2.1); other clients write "Bearer" before it.
func tokenOf(r *http.Request) string {
	token := strings.TrimSpace(r.Header.Get("Authorization"))
	if len(token) > 7 && strings.EqualFold(token[:7], "Bearer ") {
		token = strings.TrimSpace(token[7:])
	}
	if len(token) > maxToken {
		token = token[:maxToken] // unknown for certain
	}
	return token
}

var errBusy = errors.New("too many requests at once")

// panicError is a handler's panic on its way to the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// failure is the answer to an error: status, code and text key. Errors that
// nobody was meant to see are logged here, the only place.
func (t *Table) failure(c *Call, route *Route, err error) (int, *protocol.Error) {
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		if e.Err != nil {
			t.cfg.Log.Debug("call refused", "req", c.ID, "path", route.Path, "user", c.Principal.User, "err", err)
		}
		return e.HTTPStatus(), e
	}
	switch {
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, protocol.Errorf(protocol.CodeBadValue, "tooLarge")
	case errors.Is(err, errBusy):
		return http.StatusServiceUnavailable, &protocol.Error{Code: protocol.CodeNoRoom, Key: "busy", RetryAfter: time.Second}
	case errors.Is(err, errSlow):
		return http.StatusRequestTimeout, protocol.Errorf(protocol.CodeFailed, "tooSlow")
	case errors.Is(err, context.Canceled):
		t.cfg.Log.Debug("client hung up", "req", c.ID, "path", route.Path, "user", c.Principal.User)
	default:
		t.cfg.Log.Error("call failed", "req", c.ID, "path", route.Path, "user", c.Principal.User, "err", err)
	}
	return http.StatusInternalServerError, protocol.Errorf(protocol.CodeFailed, "internal")
}

// answerError answers a failure in the shape the call's clients can stand.
func (t *Table) answerError(w http.ResponseWriter, c *Call, route *Route, err error) {
	status, e := t.failure(c, route, err)
	head := protocol.Head{ApiCode: e.Code, ApiMessage: e.Text(c.Language)}
	if route.FailCode != protocol.CodeOK {
		head.ApiCode = route.FailCode
	}
	setRetry(w, &head, e.RetryAfter)
	if !route.Always200 {
		t.answer(w, c, route, status, head, &protocol.HeadReply{})
		return
	}
	rep := route.fail(c)
	*rep.(headed).ReplyHead() = head
	t.fillFallback(c, route, rep)
	t.write(w, c, route, http.StatusOK, rep)
}

// fillFallback completes the reply of a failure. A fallback that fails itself
// must not take the answer with it.
func (t *Table) fillFallback(c *Call, route *Route, rep any) {
	fill, ok := route.fallback.(func(*Call, any))
	if !ok {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			t.cfg.Log.Error("fallback failed", "req", c.ID, "path", route.Path, "err", &panicError{p, debug.Stack()})
		}
	}()
	fill(c, rep)
}

func (t *Table) answer(w http.ResponseWriter, c *Call, route *Route, status int, head protocol.Head, rep any) {
	*rep.(headed).ReplyHead() = head
	t.write(w, c, route, status, rep)
}

func (t *Table) write(w http.ResponseWriter, c *Call, route *Route, status int, rep any) {
	route.reply.complete(rep)
	if err := writeJSON(w, status, rep); err != nil {
		t.cfg.Log.Error("reply not encoded", "req", c.ID, "path", route.Path, "err", err)
		WriteError(w, http.StatusInternalServerError, protocol.CodeFailed, protocol.Text(c.Language, "internal"))
	}
}
