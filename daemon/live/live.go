// Package live has the rules of live rooms: who has one, who may stream there, who
// may watch, who may write in its chat and who keeps order there. The streams
// themselves are daemon/stream. One room of the built-in account shows the app's
// list that the server is there.
//
// A message is answered once it is committed (store), and then published: in
// commit order, by one goroutine, as one frame for all readers whatever their
// number. What a room's newest messages are and who may do what in it is kept
// in memory while it is used; the store decides, inside the write.
//
// Goroutines: the publisher, the expiry, the hearts and who tells followers, in Run. Locks, outer first: Service.mu (the rooms),
// room.mu (one of them). room.mu is held while a frame is handed to the gateway
// and while a reader enters, so that a reader finds neither gap nor double
// between the last messages and the first new one.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gtiv/daemon/limit"
	"gtiv/daemon/video/sample"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/queue"
)

// SampleRoom is the id of the built-in room. Rooms start behind it.
const SampleRoom = 1000000000

// Config is what an operator sets. It can be replaced while running.
type Config struct {
	SendsPerSecond float64 // per account; 0 no limit
	SendBurst      int
	// RoomSendsPerSecond bounds the messages of one room, twice as many at
	// once. 0: DefaultRoomSends.
	RoomSendsPerSecond float64
	Retention          time.Duration // how long messages are kept; 0 for ever
	Language           string        // of readers whose language is unknown
	// Who may stream: WhoAll (also ""), WhoApproved or WhoNobody. Administrators may.
	Who string
}

// The values of Config.Who.
const (
	WhoAll      = "all"
	WhoApproved = "approved"
	WhoNobody   = "nobody"
)

// DefaultRoomSends is the default of Config.RoomSendsPerSecond.
const DefaultRoomSends = 50

// Frame is one frame for all readers of a room. It is not changed any more.
type Frame struct {
	Op   protocol.Op
	Seq  uint64 // of the message in it, 0 none
	Body []byte
	// ByLanguage is what readers of these languages get in place of Body. Nil
	// when everybody gets the same.
	ByLanguage map[string][]byte
}

// Deps is what the service needs. Store, Publish, Disband and Online are
// required.
type Deps struct {
	Store *store.Store
	// Publish queues a frame for everybody in a room; it never blocks.
	Publish func(room int64, f Frame)
	// Disband puts everybody out of a room once they have what was published.
	Disband func(room int64)
	// Online is how many are in a room.
	Online func(room int64) int
	// Censor is the filter of the site: it answers what may be published in
	// place of a text, or why it may not. Nil: everything may.
	Censor func(text string) (string, error)
	// TooNew is how long an account must still wait before it may write. Nil:
	// nobody waits.
	TooNew func(ctx context.Context, user int64) (time.Duration, error)
	// OffAir ends the stream of a room; may be nil.
	OffAir func(room int64)
	// Notify tells a user who is connected; may be nil.
	Notify func(user int64, n protocol.Notice)
	// Tell holds the work of telling followers that a room is on air; nil: they are
	// not told.
	Tell   *queue.Topic
	Logger *slog.Logger     // may be nil
	Now    func() time.Time // may be nil
}

// Caller is who acts.
type Caller struct {
	User     int64
	Role     int // of the account
	Language string
}

// Service has the rules. Make it with New; Run must run beside it.
type Service struct {
	cfg   atomic.Pointer[Config]
	deps  Deps
	store *store.Store
	log   *slog.Logger
	now   func() time.Time

	sends     *limit.Bucket // per account
	roomSends *limit.Bucket // per room
	beats     *limit.Bucket // hearts, per account
	hearts    hearts
	line      chan event
	stopped   chan struct{} // closed when nobody reads line any more

	mu    sync.Mutex
	rooms map[int64]*room // in use, guarded by mu
}

// lineLength is how many events may wait for the publisher; beyond it the
// store's writer waits, which slows senders down.
const lineLength = 4096

// New checks what it is given and makes the service.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Store == nil || deps.Publish == nil || deps.Disband == nil || deps.Online == nil {
		return nil, errors.New("live: a dependency is missing")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		deps: deps, store: deps.Store, log: deps.Logger, now: deps.Now,
		sends: limit.NewBucket(deps.Now), roomSends: limit.NewBucket(deps.Now), beats: limit.NewBucket(deps.Now),
		hearts: hearts{waiting: map[int64]int64{}},
		line:   make(chan event, lineLength), stopped: make(chan struct{}), rooms: map[int64]*room{},
	}
	s.SetConfig(cfg)
	return s, nil
}

// SetConfig replaces the configuration, for a reload.
func (s *Service) SetConfig(cfg Config) {
	if cfg.RoomSendsPerSecond <= 0 {
		cfg.RoomSendsPerSecond = DefaultRoomSends
	}
	s.cfg.Store(&cfg)
}

// Run publishes what is committed, and removes what is too old. It returns when
// ctx ends; readers have lost their connections by then.
func (s *Service) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	defer close(s.stopped)
	work.Go(func() { s.expireAll(ctx) })
	work.Go(func() { s.showHearts(ctx) })
	if s.deps.Tell != nil {
		work.Go(func() {
			s.deps.Tell.Work(ctx, tellPause, s.tellSome, func(err error) {
				s.log.WarnContext(ctx, "followers not told, will be tried again", "err", err)
			})
		})
		work.Go(func() { s.resumeTelling(ctx) })
	}
	for {
		select {
		case e := <-s.line:
			s.happen(e)
		case <-ctx.Done():
			return nil
		}
	}
}

const (
	expireEvery = time.Hour
	expireBatch = 200
)

// expireAll removes old messages, in small batches.
func (s *Service) expireAll(ctx context.Context) {
	t := time.NewTicker(expireEvery)
	defer t.Stop()
	for {
		if err := s.Expire(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "old live messages not removed", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Expire removes the messages that are too old now.
func (s *Service) Expire(ctx context.Context) error {
	keep := s.cfg.Load().Retention
	if keep <= 0 {
		return nil
	}
	cutoff := s.now().Add(-keep).UnixMilli()
	for ctx.Err() == nil {
		n, rooms, err := s.store.ExpireLive(ctx, cutoff, expireBatch)
		for _, id := range rooms {
			s.hand(event{room: id, change: func(r *room) { r.dropBefore(cutoff) }})
		}
		if err != nil || n < expireBatch {
			return err
		}
	}
	return nil
}

// Room is a live room as a viewer sees it.
type Room struct {
	ID    int64
	Owner store.Account
	Title string
	Cover string // a URL, or the key of a cover file relative to the endpoint; "" none
	OnAir bool
	// Access is who may watch it, see store.AccessOpen.
	Access string
}

// listed bounds the list of live rooms (wire.md 5).
const listed = 10

// List is the list of live rooms that viewer (0: a guest) may watch: those on air, the
// sample, the others. Rooms for who has a link are in nobody's list but those of their
// owners and moderators.
func (s *Service) List(ctx context.Context, viewer int64) ([]Room, error) {
	owner, err := s.store.Account(ctx, store.BuiltInAccount)
	if err != nil {
		return nil, fmt.Errorf("owner of the sample room: %w", err)
	}
	rooms, err := s.store.Lives(ctx, viewer, listed-1)
	if err != nil {
		return nil, fmt.Errorf("list live rooms: %w", err)
	}
	example := Room{ID: SampleRoom, Owner: owner, Title: sample.Title, Cover: sample.Key + "/" + sample.Cover, Access: store.AccessOpen}
	list := shown(rooms)
	at := slices.IndexFunc(list, func(r Room) bool { return !r.OnAir })
	if at < 0 {
		at = len(list)
	}
	return slices.Insert(list, at, example), nil
}

func shown(rooms []store.LiveShown) []Room {
	list := make([]Room, 0, len(rooms)+1)
	for _, r := range rooms {
		list = append(list, Room{ID: r.ID, Owner: r.Account, Title: r.Title, Cover: r.Cover, OnAir: r.OnAir, Access: r.Access})
	}
	return list
}

// onAirPage bounds a page of OnAirNow.
const onAirPage = 30

// OnAirNow is a page of the rooms on air that viewer (0: a guest) may watch, by id,
// behind the one with the id cursor. next is the cursor of the next page, 0 at the
// end.
func (s *Service) OnAirNow(ctx context.Context, viewer, cursor int64) (list []Room, next int64, err error) {
	rooms, err := s.store.LivesOnAir(ctx, viewer, cursor, onAirPage)
	if err != nil {
		return nil, 0, fmt.Errorf("list rooms on air: %w", err)
	}
	if len(rooms) == onAirPage {
		next = rooms[onAirPage-1].ID
	}
	return shown(rooms), next, nil
}
