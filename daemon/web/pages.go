package web

import (
	"net/http"
	"path"
	"regexp"
	"strings"

	"gtiv/daemon/web/pages"
)

// Where the pages with scripts are, and the files that all of them share. Calls and
// streams below these are found first; "_" is never a room.
const (
	videoPage   = "/video/"
	livePage    = "/live/"
	liveFiles   = livePage + "_/"
	commonFiles = "/common/"
)

// mountPages adds the pages with scripts.
func (s *Server) mountPages() {
	assets := func(folder, prefix string) {
		s.mux.Handle("GET "+prefix+"{file}", s.once(func() (http.Handler, error) { return pages.Assets(folder, prefix, s.notFound) }))
	}
	assets("common", commonFiles)
	assets("video", videoPage)
	assets("live", liveFiles)
	document := func(folder, script string, up int) http.Handler {
		return s.once(func() (http.Handler, error) { return pages.Document(folder, script, up, s.pagePolicy) })
	}
	s.mux.Handle("GET "+videoPage+"{$}", document("video", "app.js", 0))
	s.mux.Handle("GET "+livePage+"{$}", document("live", "studio.js", 0))
	for _, page := range []string{videoPage, livePage} {
		s.mux.HandleFunc("GET "+strings.TrimSuffix(page, "/"), s.notFound) // adds the slash
	}
	// Rooms have no patterns: http.ServeMux would add a slash to addresses of streams.
	streams := s.deps.Mount[livePage]
	if streams == nil {
		streams = http.HandlerFunc(s.notFound)
	}
	room, signed := document("live", "room.js", 1), document("live", "room.js", 2)
	s.mux.HandleFunc(livePage, func(w http.ResponseWriter, r *http.Request) {
		m := roomPage.FindStringSubmatch(r.URL.Path)
		switch {
		case m == nil || r.Method != http.MethodGet && r.Method != http.MethodHead:
			streams.ServeHTTP(w, r)
		case m[1] == "":
			room.ServeHTTP(w, r)
		default:
			signed.ServeHTTP(w, r)
		}
	})
}

// roomPage are the addresses of pages of live rooms, signed or not. They are answered
// whether or not there is one with that number: the page says what is wrong.
var roomPage = regexp.MustCompile(`^/live/([^/]+/)?[1-9][0-9]{0,9}/$`)

// withoutSlash are addresses of pages whose last slash is missing.
var withoutSlash = regexp.MustCompile(`^/(video|live|live/([^/]+/)?[1-9][0-9]{0,9})$`)

// toPage adds the slash to the address of a page. The answer is relative: a proxy may
// have taken a part of the address away.
func toPage(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !withoutSlash.MatchString(r.URL.Path) {
		return false
	}
	w.Header().Set("Location", path.Base(r.URL.Path)+"/")
	w.WriteHeader(http.StatusPermanentRedirect)
	return true
}

// pagePolicy is what the pages may reach: media of the public address if that is not
// where r went, and the long connection at the page's own host, which older browsers
// do not take for 'self'.
func (s *Server) pagePolicy(r *http.Request) pages.Policy {
	host := hostOf(r)
	p := pages.Policy{Sockets: "ws://" + host + " wss://" + host}
	if b := s.base(r); !b.direct {
		p.Media = b.scheme + "://" + b.host
	}
	return p
}
