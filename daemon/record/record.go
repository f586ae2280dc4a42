// Package record has the rules of recordings of live streams: which rooms are
// recorded, where the files are, who may have them, and when they go. How a stream
// becomes a file is in media/record.
//
// The database says which recordings there are, the files say how long they are: what
// the process was writing when it ended is looked at in the next start. Recordings
// lie on the disk of the data folder, also where media are in a bucket.
//
// Goroutines: one for each recording that runs, and the cleaner; all end before Run
// does. Lock: Service.mu, held for a look into maps.
package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gtiv/daemon/limit"
	"gtiv/media"
	"gtiv/media/record"
	"gtiv/protocol"
	"gtiv/store"
)

// Off is what rooms are set to that are not recorded.
const Off = "off"

const (
	listPage = 50
	// changes is how often somebody may change something in a minute.
	changes = 120
	// maxRecordings bounds the files of an account.
	maxRecordings = 2000
	// noteEvery is how often it is written down how long a recording is, and looked
	// how much the others of its owner take.
	noteEvery = 10 * time.Second
)

// Config is what an operator sets. It can be replaced while running.
type Config struct {
	Keep     time.Duration // how long recordings are kept; 0 for ever
	MaxBytes int64         // of one file
	Quota    int64         // of all recordings of an account, bytes; 0 none
	MaxVideo time.Duration // what is longer cannot be published as a short video
}

// Deps is what the service needs. All fields but Notify, Log and Now are required.
type Deps struct {
	Store *store.Store
	// Dir is where the files are.
	Dir string
	// Stream finds the stream of a room that is on air; nil: there is none.
	Stream func(room int64) *media.Stream
	// Room says whether so many bytes more fit on the disk; its error means: no.
	Room func(size int64) error
	// Submit makes a video of its owner of a file, which it takes away. The same id
	// again answers the same video.
	Submit func(ctx context.Context, c Caller, v Video) (id int64, err error)
	// Video says whether a video is still there.
	Video func(ctx context.Context, id int64) (bool, error)
	// Notify tells the feature clients of a user; Reason is the key of a text.
	Notify func(user int64, n protocol.Notice)
	Log    *slog.Logger
	Now    func() time.Time
}

// Video is a recording on its way to become a short video.
type Video struct {
	Path  string // of the file
	Size  int64
	Name  string // of the recording
	Title string
	ID    string // the same for the same
}

// Caller is who acts.
type Caller struct {
	User int64
	Role int // of the account
}

func (c Caller) admin() bool { return c.Role >= store.RoleAdmin }

// Service has the rules. Make it with New; Run must run beside it.
type Service struct {
	cfg   atomic.Pointer[Config]
	deps  Deps
	store *store.Store
	log   *slog.Logger
	now   func() time.Time
	work  sync.WaitGroup
	takes *limit.Window     // per account
	left  []store.Recording // by the process before

	mu      sync.Mutex
	ctx     context.Context    //nolint:containedctx // of Run; nil before and after
	running map[int64]*session // by room
	late    map[int64]string   // why recordings ended whose end could not be noted yet
	early   []int64            // rooms that were on air before Run
}

// New checks what it is given, and finds what the process before was writing.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	if deps.Store == nil || deps.Dir == "" || deps.Stream == nil || deps.Room == nil || deps.Submit == nil || deps.Video == nil {
		return nil, errors.New("record: a dependency is missing")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Notify == nil {
		deps.Notify = func(int64, protocol.Notice) {}
	}
	if err := os.MkdirAll(deps.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of recordings: %w", err)
	}
	s := &Service{
		deps: deps, store: deps.Store, log: deps.Log, now: deps.Now, takes: limit.NewWindow(time.Minute, deps.Now), running: map[int64]*session{}, late: map[int64]string{},
	}
	s.SetConfig(cfg)
	if err := s.dropLinks(); err != nil {
		return nil, fmt.Errorf("tidy folder of recordings: %w", err)
	}
	for after := int64(0); ; {
		list, err := s.store.RunningRecordings(ctx, after, cleanPage)
		if err != nil {
			return nil, fmt.Errorf("find unfinished recordings: %w", err)
		}
		s.left = append(s.left, list...)
		if len(list) < cleanPage {
			return s, nil
		}
		after = list[len(list)-1].ID
	}
}

// SetConfig replaces the configuration, for a reload.
func (s *Service) SetConfig(cfg Config) { s.cfg.Store(&cfg) }

// Run records what is to be recorded until ctx ends, and returns once all files are
// finished.
func (s *Service) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	early := s.early
	s.mu.Unlock()
	for _, room := range early {
		s.followSoon(room)
	}
	s.tidy(ctx)
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	s.work.Wait()
	return nil
}

// ParseMode reads what a room is set to: "off", or a format.
func ParseMode(mode string) (format string, ok bool) {
	switch mode {
	case Off:
		return "", true
	case string(record.MP4), string(record.FLV):
		return mode, true
	}
	return "", false
}

func modeOf(format string) string {
	if format == "" {
		return Off
	}
	return format
}

// Setting is a room and what it is set to.
type Setting struct {
	Room int64
	Mode string
}

// Setting answers what a room of the caller is set to; room 0 is the caller's. Codes:
// CodeUnknown, CodeForbidden.
func (s *Service) Setting(ctx context.Context, c Caller, room int64) (Setting, error) {
	r, err := s.room(ctx, c, room, false)
	if err != nil {
		return Setting{}, err
	}
	return s.AnySetting(ctx, r.ID)
}

// AnySetting is Setting of any room, for operators.
func (s *Service) AnySetting(ctx context.Context, room int64) (Setting, error) {
	format, err := s.store.LiveRecord(ctx, room)
	return Setting{room, modeOf(format)}, recordError(err)
}

// Set sets whether a room of the caller is recorded, from now on. Codes: CodeUnknown,
// CodeForbidden, CodeBadValue, CodeTooOften.
func (s *Service) Set(ctx context.Context, c Caller, room int64, mode string) (Setting, error) {
	if err := s.take(c); err != nil {
		return Setting{}, err
	}
	r, err := s.room(ctx, c, room, false)
	if err != nil {
		return Setting{}, err
	}
	return s.set(ctx, c.User, r.ID, mode)
}

// SetAny is Set of any room, for operators.
func (s *Service) SetAny(ctx context.Context, room int64, mode string) (Setting, error) {
	return s.set(ctx, 0, room, mode)
}

func (s *Service) set(ctx context.Context, owner, room int64, mode string) (Setting, error) {
	format, ok := ParseMode(mode)
	if !ok {
		return Setting{}, &protocol.Error{Code: protocol.CodeBadValue, Key: "badValue", Args: []string{"Record", protocol.TextKey("badRecord")}}
	}
	if err := s.store.SetLiveRecord(ctx, owner, room, format); err != nil {
		return Setting{}, recordError(err)
	}
	select {
	case <-s.followSoon(room):
	case <-ctx.Done(): // it does all the same
	}
	return Setting{room, modeOf(format)}, nil
}

// take counts something that somebody does.
func (s *Service) take(c Caller) error {
	if wait := s.takes.Take(strconv.FormatInt(c.User, 10), changes); wait > 0 {
		return protocol.TooOften(wait)
	}
	return nil
}

// room finds a room that the caller may look at: their own, or any for administrators
// who may.
func (s *Service) room(ctx context.Context, c Caller, id int64, admins bool) (store.LiveRoom, error) {
	var r store.LiveRoom
	var err error
	if id == 0 {
		r, err = s.store.LiveOf(ctx, c.User)
	} else {
		r, err = s.store.Live(ctx, id)
	}
	if err == nil && r.Owner != c.User && !(admins && c.admin()) {
		err = store.ErrForbidden
	}
	if errors.Is(err, store.ErrNotFound) {
		err = protocol.Errorf(protocol.CodeUnknown, "noSuchLive")
	}
	return r, recordError(err)
}

var stateNames = [...]string{"recording", "done", "failed"}

// StateName is the name of a recording's state.
func StateName(state int) string {
	if state < 0 || state >= len(stateNames) {
		return strconv.Itoa(state)
	}
	return stateNames[state]
}

// List lists the recordings of a room, newest first, behind the one with the id
// cursor; room 0 is the caller's. next is the cursor of the next page, 0 at the end.
// Codes: CodeUnknown, CodeForbidden.
func (s *Service) List(ctx context.Context, c Caller, room, cursor int64) (list []store.Recording, next int64, err error) {
	r, err := s.room(ctx, c, room, true)
	if err != nil {
		return nil, 0, err
	}
	if list, err = s.store.Recordings(ctx, r.ID, cursor, listPage); err != nil {
		return nil, 0, err
	}
	if len(list) == listPage {
		next = list[listPage-1].ID
	}
	return list, next, nil
}

// All lists recordings of a room, 0 all, newest first, for operators.
func (s *Service) All(ctx context.Context, room, before int64, limit int) ([]store.Recording, error) {
	return s.store.Recordings(ctx, room, before, limit)
}

// one finds a recording of the caller, or any for administrators who may.
func (s *Service) one(ctx context.Context, c Caller, id int64, admins bool) (store.Recording, error) {
	r, err := s.store.Recording(ctx, id)
	if err == nil && r.Owner != c.User && !(admins && c.admin()) {
		err = store.ErrNotFound // what others have is nobody's business
	}
	return r, recordError(err)
}

func (s *Service) path(r store.Recording) string {
	return filepath.Join(s.deps.Dir, filepath.FromSlash(r.Key()))
}

// Open opens the file of a recording for its owner, and for administrators. What is
// being written can be read as far as it is. Code: CodeUnknown.
func (s *Service) Open(ctx context.Context, viewer, id int64) (*os.File, store.Recording, error) {
	a, err := s.store.Account(ctx, viewer)
	if err != nil || a.DeletedAt != 0 || a.BannedUntil > s.now().UnixMilli() { // its address is good for hours
		return nil, store.Recording{}, recordError(errors.Join(err, store.ErrNotFound))
	}
	r, err := s.one(ctx, Caller{User: viewer, Role: a.Role}, id, true)
	if err != nil {
		return nil, r, err
	}
	f, err := os.Open(s.path(r))
	if errors.Is(err, os.ErrNotExist) {
		err = store.ErrNotFound
	}
	return f, r, recordError(err)
}

// Publish makes a short video of a recording, which stays; with no title it has that
// of the recording. Once it is one it is answered again. Codes: CodeUnknown,
// CodeConflict (it runs, or failed), CodeBadValue (it is too long or too large),
// CodeNoRoom (quota, disk), CodeTooOften.
func (s *Service) Publish(ctx context.Context, c Caller, id int64, title string) (int64, error) {
	if err := s.take(c); err != nil {
		return 0, err
	}
	r, err := s.one(ctx, c, id, false)
	if err != nil {
		return 0, err
	}
	switch {
	case r.State == store.RecordingRuns:
		return 0, protocol.Errorf(protocol.CodeConflict, "recordRuns")
	case r.State == store.RecordingFailed:
		return 0, protocol.Errorf(protocol.CodeConflict, "recordNothing")
	}
	if r.Video != 0 {
		if there, err := s.deps.Video(ctx, r.Video); there || err != nil {
			return r.Video, err
		}
	}
	if most := s.cfg.Load().MaxVideo; most > 0 && time.Duration(r.DurationMS)*time.Millisecond > most {
		return 0, protocol.Errorf(protocol.CodeBadValue, "recordTooLong", strconv.FormatInt(int64(most/time.Second), 10))
	}
	if title == "" {
		title = r.Title
	}
	// A second name for the file: nothing is copied.
	link := filepath.Join(s.deps.Dir, linkPrefix+strconv.FormatInt(id, 10)+"-"+strconv.FormatInt(s.now().UnixNano(), 36))
	if err := os.Link(s.path(r), link); err != nil {
		return 0, recordError(fmt.Errorf("publish recording: %w", err))
	}
	defer os.Remove(link) //nolint:errcheck // taken away, as a rule
	v := Video{Path: link, Size: r.Bytes, Name: r.Name(), Title: title, ID: fmt.Sprintf("record-%d-%d", id, r.Video)}
	video, err := s.deps.Submit(ctx, c, v)
	if err != nil {
		return 0, err
	}
	return video, recordError(s.store.PublishRecording(ctx, id, video))
}

// linkPrefix begins the names of files that are on their way to become videos.
const linkPrefix = "publish-"

// Delete deletes a recording for good; one that runs ends. A video that was made of it
// stays. Codes: CodeUnknown, CodeTooOften.
func (s *Service) Delete(ctx context.Context, c Caller, id int64) error {
	if err := s.take(c); err != nil {
		return err
	}
	r, err := s.one(ctx, c, id, true)
	if err != nil {
		return err
	}
	return s.drop(ctx, r)
}

// Remove is Delete of any recording, for operators; it answers the recording as it
// was.
func (s *Service) Remove(ctx context.Context, id int64) (store.Recording, error) {
	r, err := s.store.Recording(ctx, id)
	if err != nil {
		return r, recordError(err)
	}
	return r, s.drop(ctx, r)
}

func (s *Service) drop(ctx context.Context, r store.Recording) error {
	if r.State == store.RecordingRuns {
		s.mu.Lock()
		v := s.running[r.Room]
		s.mu.Unlock()
		if v != nil && v.writes(r.ID) {
			v.stop(ctx)
		}
	}
	if err := s.store.DeleteRecording(ctx, r.ID); err != nil {
		return recordError(err)
	}
	if err := s.remove(ctx, r); err != nil {
		s.log.Warn("file of a deleted recording not removed yet", "recording", r.ID, "err", err)
	}
	return nil
}

// recordError turns the store's errors into answers for a person.
func recordError(err error) error {
	if _, ok := errors.AsType[*protocol.Error](err); ok || err == nil {
		return err
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return protocol.Errorf(protocol.CodeUnknown, "noSuchRecording")
	case errors.Is(err, store.ErrForbidden):
		return protocol.Errorf(protocol.CodeForbidden, "forbidden")
	case errors.Is(err, store.ErrDiskFull):
		return &protocol.Error{Code: protocol.CodeNoRoom, Key: "diskFull", Err: err}
	}
	return fmt.Errorf("recording: %w", err)
}
