package chat

import (
	"context"
	"sync"
	"time"

	"gtiv/store"
)

// The app syncs over HTTP at once when it loses its connection and is back on
// the long connection 8 s later (wire.md 7.4). What is sent in between would
// wait for its next sync, hours away. So a while after a session connected, what
// it was never handed is pushed; and again now and then while it stays, which
// also moves its floor up.
const (
	// catchUpAfter leaves the sync of a start the time to run first, so that
	// nothing is delivered twice.
	catchUpAfter = 10 * time.Second
	catchUpEvery = time.Hour
	maxCatchUp   = 200
	maxCatchLine = 100_000
)

// arrival is a session that connected, or was seen connected.
type arrival struct {
	c  Caller
	at time.Time
}

// catchLine holds arrivals in order, each session once. The delay is the same
// for all, so the first is always the next one due. mu guards the fields below.
type catchLine struct {
	delay time.Duration
	wake  chan struct{}

	mu      sync.Mutex
	list    []arrival
	waiting map[int64]bool // sessions in list
}

func (l *catchLine) init(delay time.Duration) {
	l.delay, l.wake, l.waiting = delay, make(chan struct{}, 1), map[int64]bool{}
}

func (l *catchLine) add(a arrival) {
	l.mu.Lock()
	if len(l.list) < maxCatchLine && !l.waiting[a.c.Session] {
		l.list = append(l.list, a)
		l.waiting[a.c.Session] = true
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// next takes the first arrival if it is due, else says how long to wait.
func (l *catchLine) next(now time.Time) (a arrival, ok bool, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		l.list = nil
		return arrival{}, false, time.Hour
	}
	if wait := l.list[0].at.Add(l.delay).Sub(now); wait > 0 {
		return arrival{}, false, wait
	}
	a, l.list = l.list[0], l.list[1:]
	delete(l.waiting, a.c.Session)
	return a, true, 0
}

// Connected has a session caught up a while later. Called by the gateway after
// the login of a connection without features.
func (s *Service) Connected(c Caller) { s.catch.add(arrival{c, s.now()}) }

// catchUpAll serves a line.
func (s *Service) catchUpAll(ctx context.Context, line *catchLine) {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		a, ok, wait := line.next(s.now())
		if ok {
			if err := s.catchUp(ctx, a); err != nil && ctx.Err() == nil {
				s.log.Warn("session not caught up", "user", a.c.User, "err", err)
			}
			continue
		}
		t.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-line.wake:
		case <-t.C:
		}
	}
}

// catchUp pushes what a session was never handed and is older than its
// connection: what is younger went to the connection as it was sent, and may
// still wait there for its turn. A session that never synced is left alone:
// nobody knows what its phone has.
func (s *Service) catchUp(ctx context.Context, a arrival) error {
	if !s.deps.Connected(a.c.Session) {
		return nil
	}
	// The floor is asked, not the cursors: those would be loaded into memory for
	// each of thousands of connections that never sync.
	if at, err := s.store.Delivered(ctx, a.c.Session); err != nil || at == 0 {
		return err
	}
	defer func() { s.again.add(arrival{a.c, s.now()}) }()
	owed, err := s.owed(ctx, a.c, 0)
	if err != nil {
		return err
	}
	fresh, err := s.neverHanded(a, owed)
	if err != nil {
		return err
	}
	for i, m := range cutOwed(fresh) {
		if i >= maxCatchUp || s.deps.PushSession(a.c.Session, s.push(m, a.c.User, s.contentFor(ctx, m, a.c.User))) == 0 {
			return nil
		}
	}
	return nil
}

// neverHanded picks what is older than an arrival and was not handed over.
func (s *Service) neverHanded(a arrival, owed []store.Message) ([]store.Message, error) {
	var fresh []store.Message
	for _, m := range owed {
		cur, err := s.deps.Cursors.Get(a.c.Session, m.Conversation)
		if err != nil {
			return nil, err
		}
		if m.Time < a.at.UnixMilli() && !cur.Handed(m.Seq) {
			fresh = append(fresh, m)
		}
	}
	return fresh, nil
}
