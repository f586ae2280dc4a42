// Package chat has the rules of messages: who may send what to whom, what is
// pushed to which client, and what a client that comes back is still owed.
//
// A send is answered once it is committed (store). From commit it goes straight
// to the live connections, in commit order, through one publisher goroutine;
// which login session was handed which message is kept in delivery cursors
// (store/queue). "Push is a hint, pull is the truth" (design.md 4).
//
// Goroutines: those of Run. Locks: the catch-up lines and the floors have one
// each, held briefly and never together.
package chat

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"gtiv/daemon/filter"
	"gtiv/daemon/limit"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/queue"
)

// Config is what an operator sets. It can be replaced while running.
type Config struct {
	SendsPerSecond float64 // per account; 0 no limit
	SendBurst      int
	RoomSends      float64       // per second and room; 0 no limit
	RoomMembers    int           // most of a new room
	OwnedRooms     int           // most that one account may own; 0 any number
	RoomsPerHour   int           // most that one account may make; 0 any number
	RoomName       int           // most characters of a room's name
	RoomNotice     int           // most characters of its notice
	Retention      time.Duration // how long messages are kept; 0 for ever
	PerCap         int           // messages kept per conversation; 0 no cap
	RecallWindow   time.Duration // how long a sender may recall; 0 for ever
	Language       string        // of texts for people whose language is unknown
}

// Push is a frame for the connections of a user.
type Push struct {
	Type         protocol.MessageType
	Body         []byte // contract form
	FeatureBody  []byte // form for feature clients
	Conversation int64  // 0: not tracked
	Seq          uint64
	// Silent: nothing is written to clients without features, but Seq counts as
	// handed to them. Feature clients get FeatureBody, if there is one.
	Silent        bool
	ExceptSession int64
	Slow          bool  // the app does blocking HTTP after reading it (wire.md F7)
	Room          int64 // a room's frame; 0 a private one
}

// RoomPush is a room's message on its way to the members; see gateway.GroupPush.
type RoomPush struct {
	Members      []int64
	Author       int64
	Push         *Push
	Each         func(user int64) *Push
	First        []int64
	Greet        func(user int64) *Push
	Gone         []int64
	Part         func(user int64) *Push
	Conversation int64
}

// Deps is what the service needs. The fields behind Connected may be missing.
type Deps struct {
	Store   *store.Store
	Cursors *queue.Cursors
	// Push queues a frame on every connection of a user; it never blocks.
	Push func(user int64, p Push) int
	// PushSession does so on the connections of one login session.
	PushSession func(session int64, p Push) int
	// PushRoom queues a frame for the members of a room, in order.
	PushRoom func(room int64, p RoomPush)
	// Connected says whether a login session has a connection.
	Connected func(session int64) bool
	// Censor decides about texts and friend requests.
	Censor filter.Censor
	// TooNew says how long a user is still new (account.Service.TooNew).
	TooNew func(ctx context.Context, user int64) (time.Duration, error)
	// Announcements is the topic that announcements to all go through; without it
	// there are none.
	Announcements *queue.Topic
	Logger        *slog.Logger
	Now           func() time.Time
}

// Caller is who sends or asks.
type Caller struct {
	User, Session int64
	Language      string
	Admin         bool // of the whole site
}

// Service has the rules. Make it with New; Run must run beside it.
type Service struct {
	cfg   atomic.Pointer[Config]
	deps  Deps
	store *store.Store
	log   *slog.Logger
	now   func() time.Time

	sends   *limit.Bucket
	rooms   *limit.Bucket // sends, per room
	quits   quits
	applies *limit.Window
	joins   *limit.Window // by links
	creates *limit.Window // of rooms
	firsts  *limit.Window // applications of new accounts
	reports *limit.Window
	line    chan committed
	stopped chan struct{} // closed when nobody reads line any more
	catch   catchLine     // who just connected
	again   catchLine     // who stayed connected
	// catching is held while a session is caught up.
	catching sync.Mutex
	// leaving is held while a member's leaving is published, and while somebody
	// is caught up on one message of a room.
	leaving sync.Mutex
	floors  floors
}

// lineLength is how many committed messages may wait for the publisher; beyond
// it the store's writer waits, which slows senders down.
const lineLength = 4096

// New checks what it is given and makes the service.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Store == nil || deps.Cursors == nil || deps.Push == nil || deps.PushSession == nil || deps.PushRoom == nil || deps.Connected == nil {
		return nil, errors.New("chat: a dependency is missing")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		deps: deps, store: deps.Store, log: deps.Logger, now: deps.Now,
		sends: limit.NewBucket(deps.Now), rooms: limit.NewBucket(deps.Now),
		applies: limit.NewWindow(time.Hour, deps.Now), joins: limit.NewWindow(time.Hour, deps.Now), creates: limit.NewWindow(time.Hour, deps.Now),
		firsts: limit.NewWindow(longestNew, deps.Now), reports: limit.NewWindow(time.Hour, deps.Now),
		line: make(chan committed, lineLength), stopped: make(chan struct{}),
	}
	s.catch.init(catchUpAfter)
	s.again.init(catchUpEvery)
	s.SetConfig(cfg)
	return s, nil
}

// SetConfig replaces the configuration, for a reload.
func (s *Service) SetConfig(cfg Config) { s.cfg.Store(&cfg) }

// Run publishes committed messages, catches up sessions that came back, sends
// announcements, and deletes what is too old. It returns when ctx ends; what is committed after
// that waits for the clients' next sync.
func (s *Service) Run(ctx context.Context) error {
	defer close(s.stopped)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { s.publishAll(ctx); return nil })
	g.Go(func() error { s.catchUpAll(ctx, &s.catch); return nil })
	g.Go(func() error { s.catchUpAll(ctx, &s.again); return nil })
	g.Go(func() error { s.writeFloors(ctx); return nil })
	g.Go(func() error { s.expireAll(ctx); return nil })
	g.Go(func() error { s.announceAll(ctx); return nil })
	g.Go(func() error { s.resumeAll(ctx); return nil })
	return g.Wait()
}

const (
	expireEvery = 10 * time.Minute
	expireBatch = 200
	expirePause = 20 * time.Millisecond // between batches, so that senders get their turn
	capBatch    = 200                   // conversations over the cap, per round

	// keepReports is how long resolved reports are kept, with their copies of what
	// people wrote: long enough to see who comes back, and not for ever, because
	// the messages themselves may be gone.
	keepReports = 180 * 24 * time.Hour

	// keepAudit and maxAudit bound the audit log: a year is long enough to ask
	// who did it, and a million entries are some 100 MB.
	keepAudit = 366 * 24 * time.Hour
	maxAudit  = 1_000_000
)

// expireAll deletes messages past retention or cap, old reports and old audit
// entries, in small batches.
func (s *Service) expireAll(ctx context.Context) {
	t := time.NewTicker(expireEvery)
	defer t.Stop()
	for {
		if err := errors.Join(s.expireOld(ctx), s.expireOver(ctx), s.expireReports(ctx), s.expireAudit(ctx)); err != nil && ctx.Err() == nil {
			s.log.Warn("old messages, reports or audit entries not deleted", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *Service) expireOld(ctx context.Context) error {
	keep := s.cfg.Load().Retention
	if keep <= 0 {
		return nil
	}
	for {
		n, err := s.store.ExpireMessages(ctx, s.now().Add(-keep).UnixMilli(), expireBatch)
		if err != nil || n < expireBatch || !pause(ctx, expirePause) {
			return err
		}
	}
}

func (s *Service) expireReports(ctx context.Context) error {
	for {
		n, err := s.store.ForgetReports(ctx, keepReports, expireBatch)
		if err != nil || n < expireBatch || !pause(ctx, expirePause) {
			return err
		}
	}
}

func (s *Service) expireAudit(ctx context.Context) error {
	for {
		n, err := s.store.ForgetAudit(ctx, keepAudit, maxAudit, expireBatch)
		if err != nil || n < expireBatch || !pause(ctx, expirePause) {
			return err
		}
	}
}

func (s *Service) expireOver(ctx context.Context) error {
	most := s.cfg.Load().PerCap
	if most <= 0 {
		return nil
	}
	over, err := s.store.ConversationsOver(ctx, uint64(most), capBatch)
	for conv, upTo := range over {
		for {
			n, err := s.store.CutConversation(ctx, conv, upTo, expireBatch)
			if err != nil {
				return err
			}
			if n < expireBatch || !pause(ctx, expirePause) {
				break
			}
		}
	}
	return err
}

// pause waits; false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
