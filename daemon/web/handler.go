package web

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"gtiv/daemon/web/api"
	"gtiv/protocol"
)

// Headers that every answer has. Tokens travel in a header, never in a cookie,
// so any origin may call (wire.md 2.1).
var (
	allOrigins = []string{"*"}
	noSniff    = []string{"nosniff"}
	exposed    = []string{"X-Request-Id, Retry-After"}
)

// ServeHTTP is the order in which every request is treated: request id and
// common headers, recovery, preflight, calls, everything else (files, pages,
// streams) but for banned addresses, log. Limits of
// bodies, time and number are those of the calls (api.Table).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w}
	id := s.idPrefix + strconv.FormatUint(s.lastID.Add(1), 36)
	h := w.Header()
	h["X-Request-Id"] = []string{id}
	h["X-Content-Type-Options"] = noSniff
	h["Access-Control-Allow-Origin"] = allOrigins
	h["Access-Control-Expose-Headers"] = exposed
	defer s.finish(rec, r, id, start)
	switch {
	case r.Method == http.MethodOptions:
		preflight(rec, r)
		if s.tus != nil && strings.HasPrefix(r.URL.Path, tusPath) {
			s.tus.ServeHTTP(rec, r) // clients ask it what it can do
			return
		}
		if isWebRTC(r.URL.Path) {
			s.mux.ServeHTTP(rec, r) // the same
			return
		}
		rec.WriteHeader(http.StatusOK)
	case s.table.Serve(rec, r):
	case s.deps.Account.AddressBanned(s.address(r)):
		api.WriteError(rec, http.StatusForbidden, forbidden, protocol.Text(s.table.Language(r), "addressBanned"))
	default:
		// A call before this on the same connection may have left its deadline.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		s.mux.ServeHTTP(rec, r)
	}
}

// isWebRTC says whether a path is one of WHIP or WHEP.
func isWebRTC(path string) bool {
	return strings.HasPrefix(path, "/live/") && (strings.HasSuffix(path, "/whip") || strings.HasSuffix(path, "/whep"))
}

// finish recovers from a panic of a page or stream, and logs the request.
func (s *Server) finish(rec *recorder, r *http.Request, id string, start time.Time) {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler { //nolint:errorlint // the sentinel itself is panicked with
			panic(p)
		}
		s.log.Error("request failed", "req", id, "path", r.URL.Path, "err", p, "stack", string(debug.Stack()))
		if rec.status != 0 {
			panic(http.ErrAbortHandler) // half an answer must not look whole
		}
		api.WriteError(rec, http.StatusInternalServerError, protocol.CodeFailed, protocol.Text(s.table.Language(r), "internal"))
	}
	if s.log.Enabled(r.Context(), slog.LevelDebug) {
		s.log.Debug("request", "req", id, "method", r.Method, "path", r.URL.Path, "status", rec.status,
			"bytes", rec.bytes, "dur", time.Since(start), "remote", s.address(r).String())
	}
}

const (
	corsMethods = "POST, GET, OPTIONS, PUT, DELETE, HEAD, PATCH"
	corsHeaders = "Authorization, Content-Type, LanguageCode, LastLoginTime, Range"
)

// preflight allows every method and header. Browsers do not count Authorization
// among "*", so what was asked for is repeated, if it is nothing but names.
func preflight(w http.ResponseWriter, r *http.Request) {
	headers := corsHeaders
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" && len(asked) <= 512 && isNames(asked) {
		headers += ", " + asked
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", headers)
	h.Set("Access-Control-Max-Age", "86400")
}

func isNames(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_, ", c)
	})
}

// recorder remembers what was answered, for the log and for recovery. It keeps
// the faces of the real writer that handlers look for.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 || r.status < 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// ReadFrom keeps sendfile for large files.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := io.Copy(r.ResponseWriter, src)
	r.bytes += n
	return n, err
}

// Flush sends what was written, for streams.
func (r *recorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

// Hijack hands the connection over, for WebSocket.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil {
		r.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// wantsHTML tells a browser's page load from an app's request.
func wantsHTML(r *http.Request) bool {
	return slices.ContainsFunc(r.Header.Values("Accept"), func(v string) bool { return strings.Contains(v, "text/html") })
}
