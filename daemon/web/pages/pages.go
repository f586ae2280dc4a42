// Package pages holds the few pages a browser gets from gtiv: the front page,
// the documentation of the HTTP API and "not found", which are rendered here, on
// the server, and load nothing from anywhere: no script, no font, no picture; and
// the pages for short videos and live streams, whose scripts call the API
// (scripted.go).
//
// The package keeps no state and starts no goroutines.
package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"

	"gtiv/daemon/web/api"
)

//go:embed *.html style.css
var files embed.FS

// parts are the templates and the style they all include, read once.
type parts struct {
	templates *template.Template
	policy    string // the Content-Security-Policy that allows just this style
}

var load = sync.OnceValue(func() parts {
	style, err := files.ReadFile("style.css")
	if err != nil {
		panic(err) // embedded: a missing file cannot be built
	}
	funcs := template.FuncMap{
		"style":  func() template.HTML { return template.HTML("<style>" + string(style) + "</style>") }, //nolint:gosec // our own file
		"anchor": anchor,
		"who":    who,
		"own":    ownFields,
	}
	sum := sha256.Sum256(style)
	return parts{
		templates: template.Must(template.New("").Funcs(funcs).ParseFS(files, "*.html")),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
})

// anchor makes a name into the id of a place on the page.
func anchor(parts ...string) string {
	return strings.NewReplacer("/", "-", " ", "-", "_", "-").Replace(strings.ToLower(strings.Trim(strings.Join(parts, ""), "/")))
}

func who(w api.Who) string {
	switch w {
	case api.Anyone:
		return "anyone"
	case api.Guest:
		return "token optional"
	case api.Admin:
		return "administrators"
	}
	return "token needed"
}

// ownFields leaves out the head, which is explained once for all calls.
func ownFields(fields []api.ReplyField) []api.ReplyField {
	return slices.DeleteFunc(slices.Clone(fields), func(f api.ReplyField) bool {
		return f.Name == "ApiCode" || f.Name == "ApiMessage" || f.Name == "RetryAfter"
	})
}

// HomeView is what the front page shows.
type HomeView struct{ Name, Host, URL, Language string }

// Home answers the front page.
func Home(w http.ResponseWriter, v HomeView) { page(w, http.StatusOK, "home.html", v) }

// NotFound answers the page for addresses that lead nowhere.
func NotFound(w http.ResponseWriter, site string) {
	page(w, http.StatusNotFound, "notfound.html", site)
}

func page(w http.ResponseWriter, status int, name string, data any) {
	body, err := render(name, data)
	if err != nil { // the templates are tested: only out of memory is left
		Text(w, "text/plain; charset=utf-8", http.StatusInternalServerError, "The page cannot be shown.")
		return
	}
	htmlHeaders(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a browser that left cannot be told
}

func render(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := load().templates.ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return b.Bytes(), nil
}

func htmlHeaders(h http.Header) {
	h.Set("Content-Type", typeHTML)
	h.Set("Content-Security-Policy", load().policy)
	h.Set("Referrer-Policy", "no-referrer")
}

// Text answers a short text of a given type.
func Text(w http.ResponseWriter, contentType string, status int, text string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // a client that left cannot be told
}

// docsView is what the documentation shows.
type docsView struct {
	Info   api.Info
	Groups []group
}

type group struct {
	api.TagInfo
	Calls []api.Description
}

// Docs renders the documentation of all calls once and serves it from memory.
func Docs(info api.Info, calls []api.Description) (http.Handler, error) {
	v := docsView{Info: info}
	for _, t := range info.Tags {
		g := group{TagInfo: t}
		for _, c := range calls {
			if c.Tag == t.Name {
				g.Calls = append(g.Calls, c)
			}
		}
		v.Groups = append(v.Groups, g)
	}
	body, err := render("docs.html", v)
	if err != nil {
		return nil, err
	}
	static := Static(typeHTML, body)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		htmlHeaders(w.Header())
		static.ServeHTTP(w, r)
	}), nil
}

// Static serves bytes that do not change while the daemon runs; a client that
// has them is told so.
func Static(contentType string, body []byte) http.Handler {
	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:12]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Etag", etag)
		h.Set("Cache-Control", "no-cache")
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(body) // a client that left cannot be told
	})
}
