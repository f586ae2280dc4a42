// Package upload takes files of client apps in the way of Qiniu's object storage,
// whose SDK is in the app: tokens, form upload and resumable upload v2
// (https://developer.qiniu.com/kodo). A client that is rebuilt with our host
// needs nothing else changed.
//
// What a user uploads is stored as "u/<user>/<key>" in a blob.Bucket. Only media
// on a list is taken, told by its first bytes; images are made anew, so that
// neither the place where they were taken nor anything hidden in them is passed
// on. Chat media, in folders named after a day, goes after Config.Keep.
//
// The package knows nothing of accounts: the token says who uploads, Deps.May
// whether that user still may. It does no CORS.
//
// Goroutines: Run owns the sweep and returns after it. Locks, in the order they
// are taken: that of an unfinished upload, that of a key; both are held while
// files are written, and nothing else waits for them.
package upload

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"gtiv/daemon/limit"
	"gtiv/store/blob"
)

const (
	// maxActive bounds the requests whose body is being read, maxActiveEach those of
	// one user, maxActiveAddress those from one address.
	maxActive        = 256
	maxActiveEach    = 16
	maxActiveAddress = 64
	// idleTime is how long a client may send nothing, maxTime how long one request
	// may take; minRate bytes a second must come.
	idleTime = 30 * time.Second
	maxTime  = 30 * time.Minute
	minRate  = 8 << 10
	// drainTime is how long we read on what was refused, for a client that does not
	// look at the answer before it has sent everything.
	drainTime = time.Minute
)

// Config says what is taken.
type Config struct {
	// Dir is where unfinished resumable uploads are kept, on the file system of the
	// staging area; made when missing.
	Dir string
	// Bucket is the bucket that clients name in tokens and paths.
	Bucket string
	// MaxForm is the largest file of a form upload in bytes; default 4 MiB.
	MaxForm int64
	// MaxSize is the largest file of a resumable upload in bytes; default 200 MiB.
	MaxSize int64
	// MaxPixels is the largest image in pixels; default 24 million. Making it anew
	// takes about 12 bytes of memory for each, of one image at a time.
	MaxPixels int
	// MaxUploads is how many unfinished resumable uploads a user may have; default 8.
	MaxUploads int
	// DayBytes is what a user may upload in 24 hours; default 1 GiB, negative for
	// no limit.
	DayBytes int64
	// Rate and Burst are how many uploads a user may start a second, and at once;
	// default 1 and 30.
	Rate  float64
	Burst int
	// Keep is how long chat media is kept; default 30 days, negative for ever.
	Keep time.Duration
}

func (c *Config) defaults() {
	def(&c.MaxForm, 4<<20)
	def(&c.MaxSize, 200<<20)
	def(&c.MaxPixels, 24_000_000)
	def(&c.MaxUploads, 8)
	def(&c.DayBytes, 1<<30)
	def(&c.Rate, 1)
	def(&c.Burst, 30)
	def(&c.Keep, 30*24*time.Hour)
}

func def[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// ErrMedia is what Deps.Strip returns, possibly wrapped, for a file that is not
// what its first bytes say.
var ErrMedia = errors.New("not a media file that can be read")

// Deps is what a Server works with. All fields are required but those that say
// otherwise.
type Deps struct {
	Blobs   blob.Bucket
	Staging *blob.Staging // that of Blobs
	Token   Token         // signs and verifies; see NewPolicy
	Logger  *slog.Logger
	// Address is where a request comes from; nil means the other end of the
	// connection.
	Address func(r *http.Request) netip.Addr
	// May says whether a user may upload now; nil means all may. The error's text
	// is shown.
	May func(ctx context.Context, user int64) error
	// Deleted says whether the account of a user was deleted, whose files go then; nil
	// means that none is.
	Deleted func(ctx context.Context, user int64) (bool, error)
	// Strip removes the place and other metadata from a video or sound at path, in
	// place; nil leaves them. ErrMedia refuses the file.
	Strip func(ctx context.Context, path string) error
	// Stored is told of every new file; may be nil. key is that of the bucket.
	Stored func(user int64, key string, info blob.Info)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server serves uploads. It is an http.Handler for paths that start at the root.
type Server struct {
	cfg  Config
	deps Deps
	log  *slog.Logger
	mux  *http.ServeMux

	active  *limit.Seats  // one for each body of a known user that is being read
	images  chan struct{} // a slot for the image that is being made
	starts  *limit.Bucket
	bytes   *limit.Window
	uploads locks // by id of the upload
	keys    locks // by key of the bucket
	gone    chan int64
}

// New makes a Server. It touches no file.
func New(cfg Config, deps Deps) (*Server, error) {
	if cfg.Dir == "" || cfg.Bucket == "" || deps.Blobs == nil || deps.Staging == nil || deps.Logger == nil {
		return nil, errors.New("upload: Dir, Bucket, Blobs, Staging and Logger are needed")
	}
	if deps.Token.AccessKey == "" || len(deps.Token.Secret) < 16 {
		return nil, errors.New("upload: an access key and a secret of 16 bytes at least are needed")
	}
	cfg.defaults()
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Address == nil {
		deps.Address = peer
	}
	s := &Server{
		cfg: cfg, deps: deps, log: deps.Logger, mux: http.NewServeMux(),
		active: limit.NewSeats(maxActive, maxActiveEach, maxActiveAddress), images: make(chan struct{}, 1),
		starts: limit.NewBucket(deps.Now), bytes: limit.NewWindow(24*time.Hour, deps.Now),
		gone: make(chan int64, maxGone),
	}
	const uploads = "/buckets/{bucket}/objects/{object}/uploads"
	s.handle("POST /{$}", s.handleForm)
	s.handle("POST "+uploads, s.handleInit)
	s.handle("PUT "+uploads+"/{id}/{part}", s.handlePart)
	s.handle("POST "+uploads+"/{id}", s.handleComplete)
	s.handle("DELETE "+uploads+"/{id}", s.handleAbort)
	s.handle("/", func(http.ResponseWriter, *http.Request) (any, error) { return nil, errUnknown })
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handle mounts a handler whose answer is written as JSON.
func (s *Server) handle(pattern string, h func(http.ResponseWriter, *http.Request) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		v, err := h(w, r)
		s.reply(w, r, v, err)
	})
}

// peer is the other end of the connection.
func peer(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero address counts like any other
	return a.Addr().Unmap().WithZone("")
}

// enter takes a place for a body of a user.
func (s *Server) enter(r *http.Request, user int64) (leave func(), err error) {
	leave, ok := s.active.Enter(user, s.deps.Address(r))
	if !ok {
		return nil, errBusy
	}
	return leave, nil
}

// result is what Qiniu answers when a file is stored.
type result struct {
	Hash string `json:"hash"`
	Key  string `json:"key"`
}

// authorize answers who uploads.
func (s *Server) authorize(ctx context.Context, token string) (Policy, int64, error) {
	p, err := s.deps.Token.Verify(token, s.deps.Now())
	if err != nil {
		return p, 0, &refusal{http.StatusUnauthorized, err.Error()}
	}
	user, err := strconv.ParseInt(p.EndUser, 10, 64)
	if err != nil || user <= 0 {
		return p, 0, &refusal{http.StatusUnauthorized, "bad token: it is nobody's"}
	}
	if p.bucket() != s.cfg.Bucket {
		return p, 0, errNoBucket
	}
	if s.deps.May != nil {
		if err := s.deps.May(ctx, user); err != nil {
			return p, 0, &refusal{http.StatusUnauthorized, err.Error()}
		}
	}
	return p, user, nil
}

// start counts the start of an upload.
func (s *Server) start(user int64) error {
	name := strconv.FormatInt(user, 10)
	if wait := s.starts.Take(name, s.cfg.Rate, s.cfg.Burst); wait > 0 {
		return tooOften(wait)
	}
	if wait := s.bytes.Wait(name, s.cfg.DayBytes); wait > 0 {
		return tooOften(wait)
	}
	return nil
}

// charge counts what came of the user's bytes of the day.
func (s *Server) charge(user, n int64) error {
	if wait := s.bytes.TakeN(strconv.FormatInt(user, 10), s.cfg.DayBytes, n); wait > 0 {
		return tooOften(wait)
	}
	return nil
}

// body bounds the body of a request in length and time.
func (s *Server) body(w http.ResponseWriter, r *http.Request, most int64) io.Reader {
	return limit.NewPatient(w, http.MaxBytesReader(w, r.Body, most), limit.Pace{Idle: idleTime, Most: maxTime, Rate: minRate})
}
