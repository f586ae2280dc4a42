package chat

import (
	"context"
	"sync"
	"time"
)

// A floor is the time up to which a login session has got everything. It is
// known whenever what a session is owed was worked out, and kept in SQLite: if
// the cursors are lost with Badger, delivery goes on from it.

const (
	// floorMargin covers messages whose time was taken before the question, and
	// that were committed behind it.
	floorMargin   = 10 * time.Second
	flushFloors   = time.Second
	maxFloorBatch = 10_000
)

// floors are those not written yet. mu guards m.
type floors struct {
	mu sync.Mutex
	m  map[int64]int64
}

func (f *floors) set(session, at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = map[int64]int64{}
	}
	if len(f.m) < maxFloorBatch { // else an older one stays, which is only more careful
		f.m[session] = at
	}
}

func (f *floors) take() map[int64]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.m
	f.m = nil
	return m
}

// writeFloors stores new floors, at most once a second.
func (s *Service) writeFloors(ctx context.Context) {
	t := time.NewTicker(flushFloors)
	defer t.Stop()
	for {
		err := s.store.SetDelivered(context.WithoutCancel(ctx), s.floors.take())
		if err != nil {
			s.log.Warn("delivery floors not written", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
