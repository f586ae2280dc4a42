package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strings"
)

//go:embed common video live
var scripted embed.FS

// assetTypes are the files of pages with scripts that are served.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

const typeHTML = "text/html; charset=utf-8"

// versioned are names that change with their contents.
var versioned = regexp.MustCompile(`-[0-9]+\.[0-9]+\.[0-9]+\.min\.js$`)

const (
	immutable  = "public, max-age=31536000, immutable"
	revalidate = "no-cache"
)

// asset is a file of a page, made ready once.
type asset struct {
	typ, etag, cache string
	plain, packed    []byte
}

// Assets serves the files of a folder below prefix: "common", which all pages share,
// "video" or "live". Documents are none of them; others are for notFound.
func Assets(folder, prefix string, notFound http.HandlerFunc) (http.Handler, error) {
	assets := map[string]*asset{}
	entries, err := scripted.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("read the files of pages: %w", err)
	}
	for _, e := range entries {
		typ := assetTypes[path.Ext(e.Name())]
		if typ == "" {
			continue
		}
		data, err := scripted.ReadFile(folder + "/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("read the files of pages: %w", err)
		}
		if assets[prefix+e.Name()], err = newAsset(e.Name(), typ, data); err != nil {
			return nil, err
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := assets[r.URL.Path]; a != nil {
			a.serve(w, r)
			return
		}
		notFound(w, r)
	}), nil
}

// Policy is what a page may reach beside its own address: the origin that pictures
// and videos come from, such as "https://example.org", and that of the long
// connection, "" for none.
type Policy struct{ Media, Sockets string }

// Document serves the HTML of a page, that of the folder "video" or "live", with the
// script that makes it. Its addresses that begin with "./" are relative to up folders
// above the request's.
func Document(folder, script string, up int, policy func(r *http.Request) Policy) (http.Handler, error) {
	data, err := scripted.ReadFile(folder + "/index.html")
	if err != nil {
		return nil, fmt.Errorf("read a page: %w", err)
	}
	data = bytes.Replace(data, []byte(`SCRIPT`), []byte(script), 1)
	if up > 0 {
		data = bytes.ReplaceAll(data, []byte(`="./`), []byte(`="`+strings.Repeat("../", up)))
	}
	a, err := newAsset(script, typeHTML, data)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy(r).header())
		w.Header().Set("Referrer-Policy", "no-referrer")
		a.serve(w, r)
	}), nil
}

// header allows what the pages do and nothing else: their own scripts, which make no
// markup of text, and media of this server.
func (p Policy) header() string {
	media, connect := "", ""
	if p.Media != "" {
		media = " " + p.Media
	}
	if connect = media; p.Sockets != "" {
		connect += " " + p.Sockets
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'" + connect, "img-src 'self'" + media,
		"media-src 'self' blob:" + media, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; ")
}

func newAsset(name, typ string, data []byte) (*asset, error) {
	sum := sha256.Sum256(data)
	a := &asset{typ: typ, etag: hex.EncodeToString(sum[:12]), cache: revalidate, plain: data}
	if versioned.MatchString(name) {
		a.cache = immutable
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(data)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress %s: %w", name, err)
	}
	a.packed = packed.Bytes()
	return a, nil
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h, body, etag := w.Header(), a.plain, `"`+a.etag+`"`
	if acceptsGzip(r) {
		body, etag = a.packed, `"`+a.etag+`-gz"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", a.typ)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", a.cache)
	h.Set("Etag", etag)
	if strings.Contains(r.Header.Get("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a browser that left cannot be told
	}
}

// acceptsGzip is true for what browsers send; whoever rules gzip out, in whatever
// way, gets the plain file.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if strings.TrimSpace(part) == "gzip" {
			return true
		}
	}
	return false
}
