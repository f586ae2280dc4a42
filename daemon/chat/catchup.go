package chat

import (
	"context"
	"errors"
	"slices"
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
	maxCatchLine = 100_000

	// One round of catching up.
	maxCatchUp      = 200
	maxCatchUpBytes = 48 << 10
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
	// Both lines may come to the same session: what one of them is about to push,
	// the other must see as handed over.
	s.catching.Lock()
	defer s.catching.Unlock()
	// The floor is asked, not the cursors: those would be loaded into memory for
	// each of thousands of connections that never sync.
	if at, err := s.store.Delivered(ctx, a.c.Session); err != nil || at == 0 {
		return err
	}
	defer func() { s.again.add(arrival{a.c, s.now()}) }()
	owed, err := s.owed(ctx, a.c, 0, true)
	if err != nil {
		return err
	}
	fresh := slices.DeleteFunc(owed, func(m due) bool { return m.Time >= a.at.UnixMilli() })
	if s.pushSome(ctx, a.c, cutOwed(fresh)) < len(fresh) {
		s.catch.add(arrival{a.c, s.now()}) // the rest when these are through
	}
	return nil
}

// pushSome pushes the first of list, as many as a connection's queue takes
// beside what comes live, and answers how many.
func (s *Service) pushSome(ctx context.Context, c Caller, list []due) int {
	size := 0
	for i, m := range list {
		p := s.pushOwed(ctx, c, m.Message)
		size += len(p.Body)
		if i >= maxCatchUp || size > maxCatchUpBytes || !s.pushMissed(ctx, c, m.Message, p) {
			return i
		}
		if m.since < m.Seq {
			s.deps.Cursors.Hand(c.Session, m.Conversation, m.since, m.Seq-1)
		}
	}
	return len(list)
}

// pushMissed pushes one message of the past, false if it has to wait. Those of a
// room go only to who is a member still: nothing comes behind a goodbye.
func (s *Service) pushMissed(ctx context.Context, c Caller, m store.Message, p Push) bool {
	if m.Kind == store.KindRoom {
		s.leaving.Lock()
		defer s.leaving.Unlock()
		member, err := s.store.RoomMember(ctx, m.Room, c.User)
		if errors.Is(err, store.ErrNotMember) || err == nil && m.Seq <= member.JoinedSeq {
			return true
		}
		if err != nil {
			return false
		}
	}
	return s.deps.PushSession(c.Session, p) > 0
}
