// Package video has the rules of short videos: what the feed shows to whom, who
// may see and do what with a video, likes, collections, follows, comments, tags,
// the search and the notices that come of all this. A sample ships in the binary,
// which keeps the app from waiting for a first video for ever (wire.md K11).
//
// What was answered with success is on disk, but for what is counted: plays,
// shares, scores and what a viewer saw are gathered in memory and written once a
// second. What the feed chooses from is kept in memory, too, and read again when
// it is some seconds old.
//
// Goroutines: the writer of the counts, in Run. Locks: pooling (the pools are
// read), trend.mu, viewers.mu; viewer.mu, and inside it mu (what is gathered).
package video

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gtiv/daemon/filter"
	"gtiv/daemon/limit"
	"gtiv/daemon/video/sample"
	"gtiv/protocol"
	"gtiv/store"
)

// SampleID is the id of the built-in video. It has no row in the database: likes
// of it and the like are taken and change nothing.
const SampleID = 1

// Clip is a short video as a viewer sees it.
type Clip = store.VideoShown

// Config is what an operator sets. It can be replaced while running.
type Config struct {
	ActionsPerSecond  float64 // likes, collections, follows and the like per account; 0 no limit
	ActionBurst       int
	CommentsPerMinute int // per account; 0: DefaultComments
	SearchesPerMinute int // per account; 0: DefaultSearches
	Language          string
}

// Defaults of Config.
const (
	DefaultComments = 30
	DefaultSearches = 120
)

// Deps is what the service needs. Only Store is required.
type Deps struct {
	Store *store.Store
	// Censor is the filter of the site for titles and comments.
	Censor filter.Censor
	// TooNew is how long an account must still wait before it may comment. Nil:
	// nobody waits.
	TooNew func(ctx context.Context, user int64) (time.Duration, error)
	// Notify tells the feature clients of a user that there is a notice; at most
	// once a second for each user. Nil: nobody is told.
	Notify func(user int64, n protocol.Notice)
	// Online says whether a user can be told now. Nil: everybody may be.
	Online func(user int64) bool
	// Random answers a number from 0 to n-1. Nil: math/rand.
	Random func(n int) int
	Logger *slog.Logger     // may be nil
	Now    func() time.Time // may be nil
}

// Caller is who acts. User 0 is a guest.
type Caller struct {
	User     int64
	Role     int // of the account
	Address  netip.Addr
	Language string
}

func (c Caller) admin() bool { return c.Role >= store.RoleAdmin }

// key is what the caller is counted by.
func (c Caller) key() string {
	if c.User != 0 {
		return strconv.FormatInt(c.User, 10)
	}
	return limit.AddressKey(c.Address)
}

// Service has the rules. Make it with New; Run must run beside it.
type Service struct {
	cfg   atomic.Pointer[Config]
	deps  Deps
	store *store.Store
	log   *slog.Logger
	now   func() time.Time

	actions  *limit.Bucket
	comments *limit.Window
	searches *limit.Window
	shares   *limit.Window // per viewer and video
	plays    *limit.Window // per viewer and video

	pooling sync.Mutex
	pools   atomic.Pointer[pools]
	stale   atomic.Bool
	viewers viewers
	trend   trend

	mu     sync.Mutex                  // guards what follows, gathered for the next flush
	counts map[int64]store.VideoCounts // also those whose score is to be worked out again
	seen   map[int64][]store.SeenVideo // by viewer
	told   map[int64]store.Notice      // the newest for each user

	onDrop atomic.Pointer[func(id int64)] // told of deleted videos
}

// dropped tells the processor that a video is gone.
func (s *Service) dropped(id int64) {
	if f := s.onDrop.Load(); f != nil {
		(*f)(id)
	}
}

// New checks what it is given and makes the service.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Store == nil {
		return nil, errors.New("video: a dependency is missing")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Random == nil {
		deps.Random = rand.IntN
	}
	s := &Service{
		deps: deps, store: deps.Store, log: deps.Logger, now: deps.Now,
		actions:  limit.NewBucket(deps.Now),
		comments: limit.NewWindow(time.Minute, deps.Now), searches: limit.NewWindow(time.Minute, deps.Now),
		shares: limit.NewWindow(time.Hour, deps.Now), plays: limit.NewWindow(playAgain, deps.Now),
		counts: map[int64]store.VideoCounts{}, seen: map[int64][]store.SeenVideo{}, told: map[int64]store.Notice{},
	}
	s.SetConfig(cfg)
	return s, nil
}

// SetConfig replaces the configuration, for a reload.
func (s *Service) SetConfig(cfg Config) {
	if cfg.CommentsPerMinute <= 0 {
		cfg.CommentsPerMinute = DefaultComments
	}
	if cfg.SearchesPerMinute <= 0 {
		cfg.SearchesPerMinute = DefaultSearches
	}
	s.cfg.Store(&cfg)
}

// Run writes what is gathered, once a second. It returns when ctx ends, after a
// last write.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "counts of videos not written", "err", err)
			}
		case <-ctx.Done():
			if err := s.Flush(context.WithoutCancel(ctx)); err != nil {
				s.log.WarnContext(ctx, "counts of videos not written", "err", err)
			}
			return nil
		}
	}
}

// Files are the built-in files by the directory they are served under.
func Files() map[string]fs.FS { return map[string]fs.FS{sample.Key: sample.FS()} }

func (s *Service) sample(ctx context.Context, viewer int64) (Clip, error) {
	owner, err := s.store.Account(ctx, store.BuiltInAccount)
	if err != nil {
		return Clip{}, fmt.Errorf("owner of the sample video: %w", err)
	}
	c := Clip{Account: owner, Video: store.Video{
		ID: SampleID, Owner: owner.ID, Title: sample.Title, Key: sample.Key, State: store.VideoReady,
		Width: sample.Width, Height: sample.Height,
	}}
	if viewer != 0 {
		c.Follows, err = s.store.IsFollowing(ctx, viewer, owner.ID)
	}
	return c, err
}

// Info finds a video that the caller may see. Code: CodeUnknown.
func (s *Service) Info(ctx context.Context, c Caller, id int64) (Clip, error) {
	if id == SampleID {
		return s.sample(ctx, c.User)
	}
	v, err := s.store.ShownVideo(ctx, c.User, id)
	return v, videoError(err)
}

// videoError turns the store's errors into answers for a person.
func videoError(err error) error {
	switch {
	case errors.Is(err, store.ErrNoComment):
		return protocol.Errorf(protocol.CodeUnknown, "noSuchComment")
	case errors.Is(err, store.ErrNotFound):
		return protocol.Errorf(protocol.CodeUnknown, "noSuchVideo")
	case errors.Is(err, store.ErrForbidden):
		return protocol.Errorf(protocol.CodeForbidden, "forbidden")
	case errors.Is(err, store.ErrDiskFull):
		e := protocol.Errorf(protocol.CodeNoRoom, "diskFull")
		e.Err = err
		return e
	}
	return err
}

// take counts something that somebody does.
func (s *Service) take(c Caller) error {
	cfg := s.cfg.Load()
	if wait := s.actions.Take(c.key(), cfg.ActionsPerSecond, cfg.ActionBurst); wait > 0 {
		return protocol.TooOften(wait)
	}
	return nil
}

func badValue(field, reason string, args ...string) error {
	return &protocol.Error{Code: protocol.CodeBadValue, Key: "badValue", Args: []string{field, protocol.TextKey(reason, args...)}}
}
