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
// it was never handed is pushed.
const (
	// catchUpAfter leaves the sync of a start the time to run first, so that
	// nothing is delivered twice.
	catchUpAfter = 10 * time.Second
	maxCatchUp   = 200
	maxCatchLine = 100_000
)

// arrival is a session that connected.
type arrival struct {
	c  Caller
	at time.Time
}

// catchLine holds arrivals in order. The delay is the same for all, so the
// first is always the next one due. mu guards list.
type catchLine struct {
	mu   sync.Mutex
	list []arrival
	wake chan struct{}
}

func (l *catchLine) init() { l.wake = make(chan struct{}, 1) }

func (l *catchLine) add(a arrival) {
	l.mu.Lock()
	if len(l.list) < maxCatchLine {
		l.list = append(l.list, a)
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
	if wait := l.list[0].at.Add(catchUpAfter).Sub(now); wait > 0 {
		return arrival{}, false, wait
	}
	a, l.list = l.list[0], l.list[1:]
	return a, true, 0
}

// Connected has a session caught up a while later. Called by the gateway after
// the login of a connection without features.
func (s *Service) Connected(c Caller) {
	s.catch.add(arrival{c, s.now()})
}

func (s *Service) catchUpAll(ctx context.Context) {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		a, ok, wait := s.catch.next(s.now())
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
		case <-s.catch.wake:
		case <-t.C:
		}
	}
}

// catchUp pushes what a session was never handed and is older than its
// connection: what is younger went to the connection as it was sent, and may
// still wait there for its turn. A session that never synced is left alone:
// nobody knows what its phone has.
func (s *Service) catchUp(ctx context.Context, a arrival) error {
	c := a.c
	known, err := s.deps.Cursors.Known(c.Session)
	if err != nil || !known {
		return err
	}
	owed, err := s.owed(ctx, c, 0)
	if err != nil {
		return err
	}
	var fresh []store.Message
	for _, m := range owed {
		if m.Time >= a.at.UnixMilli() {
			continue
		}
		cur, err := s.deps.Cursors.Get(c.Session, m.Conversation)
		if err != nil {
			return err
		}
		if !cur.Handed(m.Seq) {
			fresh = append(fresh, m)
		}
	}
	for i, m := range cutOwed(fresh) {
		if i >= maxCatchUp || s.deps.PushSession(c.Session, s.push(m, c.User, s.contentFor(ctx, m, c.User))) == 0 {
			return nil
		}
	}
	return nil
}
