package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
)

//go:embed video
var videoFiles embed.FS

// videoTypes are the files of the page for short videos that are served.
var videoTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// versioned are names that change with their contents.
var versioned = regexp.MustCompile(`-[0-9]+\.[0-9]+\.[0-9]+\.min\.js$`)

const (
	immutable  = "public, max-age=31536000, immutable"
	revalidate = "no-cache"
)

// asset is a file of the page, made ready once.
type asset struct {
	typ, etag, cache string
	plain, packed    []byte
}

// Video serves the page for short videos: the index at prefix, which ends with a
// slash, the other files below it. media is the origin that videos and covers come
// from, such as "https://example.org", or "" for the page's own.
func Video(prefix string, media func(r *http.Request) string) (http.Handler, error) {
	assets := map[string]*asset{}
	entries, err := fs.ReadDir(videoFiles, "video")
	if err != nil {
		return nil, fmt.Errorf("read the page for videos: %w", err)
	}
	for _, e := range entries {
		a, err := newAsset(e.Name())
		if err != nil {
			return nil, err
		}
		assets[prefix+e.Name()] = a
	}
	index := prefix + "index.html"
	assets[prefix] = assets[index]
	delete(assets, index)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := assets[r.URL.Path]
		if a == nil {
			http.NotFound(w, r)
			return
		}
		if r.URL.Path == prefix {
			w.Header().Set("Content-Security-Policy", videoPolicy(media(r)))
			w.Header().Set("Referrer-Policy", "no-referrer")
		}
		a.serve(w, r)
	}), nil
}

// VideoNames are the files of the page, below its prefix; the index is "".
func VideoNames() []string {
	entries, err := fs.ReadDir(videoFiles, "video")
	if err != nil {
		panic(err) // embedded: a missing folder cannot be built
	}
	names := []string{""}
	for _, e := range entries {
		if e.Name() != "index.html" {
			names = append(names, e.Name())
		}
	}
	return names
}

// videoPolicy allows what the page does and nothing else: its own scripts, which
// make no markup of text, and media of this server.
func videoPolicy(media string) string {
	if media != "" {
		media = " " + media
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'" + media, "img-src 'self'" + media,
		"media-src 'self' blob:" + media, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; ")
}

func newAsset(name string) (*asset, error) {
	typ := videoTypes[path.Ext(name)]
	if typ == "" {
		return nil, fmt.Errorf("page for videos: %s is of no known type", name)
	}
	data, err := videoFiles.ReadFile("video/" + name)
	if err != nil {
		return nil, fmt.Errorf("read the page for videos: %w", err)
	}
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
