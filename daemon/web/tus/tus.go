// Package tus takes resumable uploads in the way of tus 1.0 (https://tus.io, core
// protocol with the extensions creation, creation-with-upload and termination).
//
// The protocol itself is tusd's; this package says whose an upload is, bounds it,
// and hands over what is complete. It knows nothing of accounts or videos: Deps
// does. An upload belongs to the user whose id its name begins with, and nobody
// else learns that it is there.
//
// An upload is two files in Config.Dir, <id> and <id>.info (tusd's), and when it was
// handed over <id>.done, so that a client that missed the answer learns it. Nothing
// is kept in memory: after a restart clients go on.
//
// Goroutines: Run owns the sweep and returns after it; tusd has some for each
// request. Locks: finishing (an upload is handed over),
// promises (held for a look at each unfinished upload), and tusd's own.
package tus

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	exp "golang.org/x/exp/slog" // tusd's logger
	"golang.org/x/sync/singleflight"

	"gtiv/daemon/limit"
)

// Defaults of Config.
const (
	DefaultKeep       = 24 * time.Hour
	DefaultMaxUploads = 8
	DefaultMaxActive  = 64
)

// maxActiveEach is how many requests at a time one user may have, maxActiveAddress
// how many may come from one address.
const (
	maxActiveEach    = 4
	maxActiveAddress = 16
)

const (
	sweepEvery  = time.Hour
	maxMeta     = 16   // fields of an upload
	maxMetaText = 2000 // bytes of one
	// A body may pause for idleTime and take patchTime; patchRate bytes a second must
	// come. An upload may have as many bodies as it needs.
	idleTime  = 30 * time.Second
	patchTime = 3 * time.Hour
	patchRate = 8 << 10
)

// Config says where uploads are kept while they come.
type Config struct {
	// Dir is made when missing. Nothing else may live in it.
	Dir string
	// Path is where the handler is mounted, with slashes around.
	Path string
	// Keep is how long after its last byte an unfinished upload is kept.
	Keep time.Duration
	// MaxUploads is how many unfinished uploads a user may have.
	MaxUploads int
	// MaxActive bounds the requests whose bodies are being read.
	MaxActive int
}

// Deps is what a Server works with. All fields are required.
type Deps struct {
	// Who answers who sends a request.
	Who func(r *http.Request) (user int64, err error)
	// Address is where a request comes from.
	Address func(r *http.Request) netip.Addr
	// Location is the URL of an upload, as the client reaches it.
	Location func(r *http.Request, id string) string
	// Begin says whether a user may upload size bytes for what meta says.
	Begin func(r *http.Request, user, size int64, meta map[string]string) error
	// Room says whether so many bytes fit on the disk.
	Room func(size int64) error
	// Head refuses an upload by its first bytes, of which it gets HeadLen, or all.
	Head    func(head []byte) error
	HeadLen int
	// Finish takes an upload, the file at path, which is moved away, and answers what the
	// client is told. An error refuses the upload for good. It may be called again
	// for an upload that it has taken, when the process ended in between.
	Finish func(r *http.Request, upload, path string, meta map[string]string) (any, error)
	// Refuse turns an error into an answer, *Error among them; wait, if not 0, is when
	// to try again.
	Refuse func(r *http.Request, err error) (status int, body any, wait time.Duration)
	Logger *slog.Logger
}

// Server serves uploads. It is an http.Handler for Config.Path and what is below.
type Server struct {
	cfg       Config
	deps      Deps
	tusd      http.Handler
	active    *limit.Seats
	promises  promises
	finishing singleflight.Group // by id
}

// New makes a Server and its folder.
func New(cfg Config, deps Deps) (*Server, error) {
	if cfg.Dir == "" || !strings.HasPrefix(cfg.Path, "/") || !strings.HasSuffix(cfg.Path, "/") || deps.Who == nil || deps.Address == nil || deps.Location == nil ||
		deps.Begin == nil || deps.Room == nil || deps.Head == nil || deps.HeadLen <= 0 || deps.Finish == nil || deps.Refuse == nil || deps.Logger == nil {
		return nil, errors.New("tus: Dir, Path and all dependencies are needed")
	}
	if cfg.Keep <= 0 {
		cfg.Keep = DefaultKeep
	}
	if cfg.MaxUploads <= 0 {
		cfg.MaxUploads = DefaultMaxUploads
	}
	if cfg.MaxActive <= 0 {
		cfg.MaxActive = DefaultMaxActive
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of uploads: %w", err)
	}
	s := &Server{
		cfg: cfg, deps: deps, active: limit.NewSeats(cfg.MaxActive, maxActiveEach, maxActiveAddress),
		promises: promises{size: map[string]promise{}},
	}
	if err := s.promises.load(s); err != nil {
		return nil, fmt.Errorf("read unfinished uploads: %w", err)
	}
	keeper := &keeper{s: s, files: filestore.New(cfg.Dir)}
	composer := handler.NewStoreComposer()
	composer.UseCore(keeper)
	composer.UseTerminater(keeper)
	composer.UseLocker(memorylocker.New())
	h, err := handler.NewHandler(handler.Config{
		StoreComposer: composer, BasePath: cfg.Path, DisableDownload: true, Cors: &handler.CorsConfig{Disable: true},
		Logger: exp.New(exp.NewTextHandler(io.Discard, nil)), NetworkTimeout: idleTime,
		PreUploadCreateCallback: s.create, PreFinishResponseCallback: s.complete,
	})
	if err != nil {
		return nil, fmt.Errorf("tus: %w", err)
	}
	s.tusd = http.StripPrefix(cfg.Path, h)
	return s, nil
}

// request is what the callbacks of tusd know of the request that they are in.
type request struct {
	r    *http.Request
	user int64
}

type requestKey struct{}

func requestOf(ctx context.Context) request { return ctx.Value(requestKey{}).(request) }

// The headers that browsers let a page read.
const exposed = "Location, Upload-Offset, Upload-Length, Upload-Metadata, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, X-Request-Id, Retry-After"

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Expose-Headers", exposed)
	if r.Method == http.MethodOptions {
		s.tusd.ServeHTTP(w, r)
		return
	}
	user, err := s.deps.Who(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if r.Method == http.MethodPatch || r.Method == http.MethodPost { // others have no body
		leave, ok := s.active.Enter(user, s.deps.Address(r))
		if !ok {
			s.refuse(w, r, &Error{ErrBusy, "too many uploads at once", http.StatusServiceUnavailable, time.Second})
			return
		}
		defer leave()
		pace := limit.Pace{Idle: idleTime, Most: patchTime, Rate: patchRate}
		r.Body = body{limit.NewPatient(w, r.Body, pace), r.Body}
	}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, request{r, user}))
	if id := strings.Trim(strings.TrimPrefix(r.URL.Path, s.cfg.Path), "/"); id != "" {
		if !owns(user, id) {
			s.refuse(w, r, &Error{ErrNotFound, "upload not found", http.StatusNotFound, 0})
			return
		}
		if err := s.catchUp(r, id); err != nil {
			s.refuse(w, r, err)
			return
		}
	}
	t := &translator{ResponseWriter: w}
	s.tusd.ServeHTTP(t, r)
	if err := t.held(); err != nil {
		s.refuse(w, r, err)
	}
}

// body is the body of a request whose sender must keep up.
type body struct {
	io.Reader
	io.Closer
}

const jsonType = "application/json; charset=utf-8"

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, body, wait := s.deps.Refuse(r, err)
	h := w.Header()
	h.Set("Content-Type", jsonType)
	h.Del("Content-Length")
	h.Set("Tus-Resumable", "1.0.0")
	if wait > 0 {
		h.Set("Retry-After", seconds(wait))
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client hung up
}

// refusal is an error that tusd answers with.
func (s *Server) refusal(r *http.Request, err error) error {
	status, body, wait := s.deps.Refuse(r, err)
	text, _ := json.Marshal(body) //nolint:errchkjson // plain structs
	rep := handler.HTTPResponse{StatusCode: status, Body: string(text), Header: handler.HTTPHeader{"Content-Type": jsonType}}
	if wait > 0 {
		rep.Header["Retry-After"] = seconds(wait)
	}
	return handler.Error{ErrorCode: "ERR_REFUSED", Message: err.Error(), HTTPResponse: rep}
}

// newID names an upload of a user.
func newID(user int64) string {
	return strconv.FormatInt(user, 10) + "-" + strings.ToLower(rand.Text())
}

func owns(user int64, id string) bool {
	owner, rest, ok := strings.Cut(id, "-")
	return ok && owner == strconv.FormatInt(user, 10) && rest != "" &&
		strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// create is asked before an upload is made.
func (s *Server) create(hook handler.HookEvent) (handler.HTTPResponse, handler.FileInfoChanges, error) {
	req := requestOf(hook.Context)
	var none handler.HTTPResponse
	var changes handler.FileInfoChanges
	if len(hook.Upload.MetaData) > maxMeta {
		return none, changes, s.refusal(req.r, &Error{ErrMetadata, "too much metadata", http.StatusBadRequest, 0})
	}
	for k, v := range hook.Upload.MetaData {
		if len(k)+len(v) > maxMetaText {
			return none, changes, s.refusal(req.r, &Error{ErrMetadata, "too long metadata", http.StatusBadRequest, 0})
		}
	}
	n, err := s.unfinished(req.user)
	if err != nil {
		return none, changes, err
	}
	if n >= s.cfg.MaxUploads {
		return none, changes, s.refusal(req.r, &Error{ErrTooMany, "too many unfinished uploads", http.StatusTooManyRequests, 0})
	}
	if err := s.deps.Begin(req.r, req.user, hook.Upload.Size, hook.Upload.MetaData); err != nil {
		return none, changes, s.refusal(req.r, err)
	}
	changes.ID = newID(req.user)
	if err := s.promises.begin(s, changes.ID, hook.Upload.Size); err != nil {
		return none, changes, s.refusal(req.r, err)
	}
	return handler.HTTPResponse{Header: handler.HTTPHeader{"Location": s.deps.Location(req.r, changes.ID)}}, changes, nil
}

// unfinished counts the uploads of a user that are under way.
func (s *Server) unfinished(user int64) (int, error) {
	list, err := filepath.Glob(filepath.Join(s.cfg.Dir, strconv.FormatInt(user, 10)+"-*.info"))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, name := range list {
		if _, err := os.Lstat(strings.TrimSuffix(name, ".info")); err == nil {
			n++
		}
	}
	return n, nil
}

// complete is called when the last byte is there.
func (s *Server) complete(hook handler.HookEvent) (handler.HTTPResponse, error) {
	req := requestOf(hook.Context)
	body, err := s.finish(req.r, hook.Upload)
	if err != nil {
		return handler.HTTPResponse{}, s.refusal(req.r, err)
	}
	// Clients of tus expect 204, but one may have a body that says more.
	return handler.HTTPResponse{
		StatusCode: http.StatusOK, Body: string(body), Header: handler.HTTPHeader{"Content-Type": jsonType},
	}, nil
}

// catchUp hands over an upload that was complete when the process ended, before
// its client was answered: it would take it for done.
func (s *Server) catchUp(r *http.Request, id string) error {
	up, err := filestore.New(s.cfg.Dir).GetUpload(r.Context(), id)
	if err != nil {
		return nil //nolint:nilerr // tusd says so itself
	}
	info, err := up.GetInfo(r.Context())
	if err != nil || info.Offset != info.Size {
		return err
	}
	_, err = s.finish(r, info)
	return err
}

// finish hands over a complete upload, once.
func (s *Server) finish(r *http.Request, info handler.FileInfo) ([]byte, error) {
	body, err, _ := s.finishing.Do(info.ID, func() (any, error) { return s.hand(r, info) })
	if err != nil {
		return nil, err
	}
	return body.([]byte), nil
}

func (s *Server) hand(r *http.Request, info handler.FileInfo) (body []byte, err error) {
	if body, err := os.ReadFile(s.file(info.ID, doneEnd)); err == nil {
		return body, nil
	}
	// A second name is handed over: if the process ends before the end is noted, the
	// next look hands it over again.
	link := s.file(info.ID, partEnd)
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.Link(s.file(info.ID, ""), link); err != nil {
		return nil, err
	}
	reply, err := s.deps.Finish(r, info.ID, link, info.MetaData)
	if err != nil {
		if status, _, _ := s.deps.Refuse(r, err); status < http.StatusInternalServerError {
			s.remove(info.ID) // it stays refused
		}
		return nil, err
	}
	body, err = json.Marshal(reply)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.file(info.ID, doneEnd), body, 0o600); err != nil {
		s.deps.Logger.Warn("end of an upload not noted", "upload", info.ID, "err", err)
		return body, nil
	}
	if err := os.Remove(s.file(info.ID, "")); err != nil {
		s.deps.Logger.Warn("upload not removed", "upload", info.ID, "err", err)
	}
	return body, nil
}

// Ends of the names of files beside an upload.
const (
	infoEnd = ".info"
	doneEnd = ".done"
	partEnd = ".part" // the name that is handed over
)

func (s *Server) file(id, end string) string { return filepath.Join(s.cfg.Dir, id+end) }

func (s *Server) remove(id string) {
	for _, end := range []string{"", infoEnd, doneEnd, partEnd} {
		if err := os.Remove(s.file(id, end)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.deps.Logger.Warn("upload not removed", "upload", id, "err", err)
		}
	}
}

// Run removes uploads that nobody went on with. It returns nil when ctx ends.
func (s *Server) Run(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		s.sweep(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (s *Server) sweep(now time.Time) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		s.deps.Logger.Warn("uploads not swept", "err", err)
		return
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), infoEnd)
		if !ok {
			if _, err := os.Lstat(s.file(strings.TrimSuffix(e.Name(), doneEnd), infoEnd)); errors.Is(err, fs.ErrNotExist) && old(e, now, s.cfg.Keep) {
				s.remove(strings.TrimSuffix(e.Name(), doneEnd))
			}
			continue
		}
		last := e
		for _, end := range []string{"", doneEnd} {
			if i, err := os.Lstat(s.file(id, end)); err == nil {
				last = fs.FileInfoToDirEntry(i)
			}
		}
		if old(last, now, s.cfg.Keep) {
			s.remove(id)
		}
	}
}

func old(e fs.DirEntry, now time.Time, keep time.Duration) bool {
	i, err := e.Info()
	return err == nil && now.Sub(i.ModTime()) > keep
}

// keeper is tusd's file store with our bounds.
type keeper struct {
	s     *Server
	files filestore.FileStore
}

// NewUpload implements handler.DataStore.
func (k *keeper) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	up, err := k.files.NewUpload(ctx, info)
	if err != nil {
		return nil, err
	}
	return &upload{Upload: up, s: k.s, id: info.ID}, nil
}

// GetUpload implements handler.DataStore. One that was handed over is complete.
func (k *keeper) GetUpload(ctx context.Context, id string) (handler.Upload, error) {
	if _, err := os.Lstat(k.s.file(id, doneEnd)); err != nil {
		up, err := k.files.GetUpload(ctx, id)
		if err != nil {
			return nil, err
		}
		return &upload{Upload: up, s: k.s, id: id}, nil
	}
	b, err := os.ReadFile(k.s.file(id, infoEnd))
	if err != nil {
		return nil, handler.ErrNotFound
	}
	var info handler.FileInfo
	if err := json.Unmarshal(b, &info); err != nil {
		return nil, fmt.Errorf("read upload: %w", err)
	}
	info.Offset = info.Size
	return &done{s: k.s, info: info}, nil
}

// AsTerminatableUpload implements handler.TerminaterDataStore.
func (k *keeper) AsTerminatableUpload(up handler.Upload) handler.TerminatableUpload {
	return up.(handler.TerminatableUpload)
}

// upload is one under way.
type upload struct {
	handler.Upload
	s  *Server
	id string
}

// WriteChunk appends. The first chunk must look like what is wanted, and there must
// be room for the rest, now and while it comes.
func (u *upload) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	req := requestOf(ctx)
	info, err := u.GetInfo(ctx)
	if err != nil {
		return 0, err
	}
	if err := u.s.deps.Room(info.Size - offset); err != nil {
		return 0, u.s.refusal(req.r, err)
	}
	if offset == 0 {
		head := make([]byte, u.s.deps.HeadLen)
		n, err := io.ReadFull(src, head)
		if int64(n) == min(info.Size, int64(len(head))) { // else the client hung up
			if err := u.s.deps.Head(head[:n]); err != nil {
				u.s.remove(u.id)
				return 0, u.s.refusal(req.r, err)
			}
		}
		rest := src
		if err != nil {
			rest = failing{err}
		}
		src = io.MultiReader(bytes.NewReader(head[:n]), rest)
	}
	room := func(size int64) error {
		if err := u.s.deps.Room(size); err != nil {
			return u.s.refusal(req.r, err)
		}
		return nil
	}
	n, err := u.Upload.WriteChunk(ctx, offset, &roomy{r: src, room: room})
	if errors.Is(err, syscall.ENOSPC) {
		err = cmp.Or(room(info.Size-offset-n), err)
	}
	return n, err
}

// failing is the end of a body that was cut short.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if errors.Is(f.err, io.ErrUnexpectedEOF) || errors.Is(f.err, io.EOF) {
		return 0, io.EOF
	}
	return 0, f.err
}

// Terminate implements handler.TerminatableUpload.
func (u *upload) Terminate(context.Context) error { u.s.remove(u.id); return nil }

// done is one that was handed over.
type done struct {
	s    *Server
	info handler.FileInfo
}

func (d *done) GetInfo(context.Context) (handler.FileInfo, error) { return d.info, nil }

func (d *done) WriteChunk(context.Context, int64, io.Reader) (int64, error) {
	return 0, handler.ErrNotFound
}

func (d *done) GetReader(context.Context) (io.ReadCloser, error) { return nil, handler.ErrNotFound }

func (d *done) FinishUpload(context.Context) error { return nil }

// Terminate forgets the upload; what it became stays.
func (d *done) Terminate(context.Context) error { d.s.remove(d.info.ID); return nil }
