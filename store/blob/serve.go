package blob

import (
	"net/http"
	"path"
	"strings"
)

// What Options.CacheControl usually is.
const (
	// CacheForever is for keys whose content never changes.
	CacheForever = "public, max-age=31536000, immutable"
	// CachePrivate is for what only some may see: kept by their phones, not by
	// what is in between.
	CachePrivate = "private, max-age=86400"
	// Revalidate asks each time whether it changed.
	Revalidate = "no-cache"
)

// policy keeps a file from doing anything on the origin it comes from, whatever
// a browser takes it for.
const policy = "default-src 'none'; sandbox"

// Options say how a file is served.
type Options struct {
	// Type is the media type; default is TypeOf.
	Type string
	// CacheControl is the header; default CacheForever.
	CacheControl string
	// Disposition is the header; default none, and "attachment" for what has no
	// type on the list.
	Disposition string
}

// Serve answers a GET or HEAD with the file key: ranges, ETag and conditions as
// http.ServeContent does. A file of this host reaches w's ReadFrom as an
// *os.File, so that the kernel sends it: a w that wraps another must have
// ReadFrom too.
//
// An error means that nothing was answered yet: ErrNotFound, ErrKey or what
// went wrong. Other methods are answered with 405.
func Serve(w http.ResponseWriter, r *http.Request, b Bucket, key string, o Options) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	obj, err := b.Open(r.Context(), key)
	if err != nil {
		return err
	}
	defer obj.Close() //nolint:errcheck // only read
	if o.Type == "" {
		if o.Type, err = obj.servedType(); err != nil {
			return err
		}
	}
	setHeaders(w.Header(), obj.Info, o)
	http.ServeContent(w, r, "", obj.ModTime, obj.Reader)
	return nil
}

// servedType trusts a stored type only as far as it is on the list.
func (o *Object) servedType() (string, error) {
	if o.Type != "" {
		return agreed(o.Key, o.Type), nil
	}
	head, err := headOf(o.Reader)
	if err != nil {
		return "", err
	}
	return TypeOf(o.Key, head), nil
}

func setHeaders(h http.Header, i Info, o Options) {
	if o.CacheControl == "" {
		o.CacheControl = CacheForever
	}
	if o.Disposition == "" && o.Type == TypeUnknown {
		o.Disposition = `attachment; filename="` + path.Base(i.Key) + `"` // keys have no quotes
	}
	if o.Disposition != "" {
		h.Set("Content-Disposition", o.Disposition)
	}
	h.Set("Content-Type", strings.TrimSpace(o.Type))
	h.Set("Etag", i.ETag)
	h.Set("Cache-Control", o.CacheControl)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", policy)
}
