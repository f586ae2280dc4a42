package live

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	// maxHearts bounds the hearts of one call, and heartsPerSecond those of one
	// account.
	maxHearts       = 50
	heartsPerSecond = 20
	heartBurst      = 100
	heartsEvery     = time.Second
)

// hearts are those that were not shown and counted yet, by room.
type hearts struct {
	mu      sync.Mutex
	waiting map[int64]int64
}

// of counts those of a room.
func (h *hearts) of(room int64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waiting[room]
}

// take answers all of them.
func (h *hearts) take() map[int64]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		return nil
	}
	out := h.waiting
	h.waiting = map[int64]int64{}
	return out
}

// Heart gives a room n hearts. All that come within a second are shown as one
// number to the readers of its chat. Codes: CodeBadValue, CodeUnknown,
// CodeForbidden, CodeTooOften.
func (s *Service) Heart(ctx context.Context, c Caller, v Viewer, room int64, n int) error {
	if n == 0 {
		n = 1
	}
	if n < 0 || n > maxHearts {
		return badValue("Count", "badNumber", "1", strconv.Itoa(maxHearts))
	}
	if err := s.MayWatch(ctx, v, room); err != nil {
		return err
	}
	for i := range n {
		wait := s.beats.Take(strconv.FormatInt(c.User, 10), heartsPerSecond, heartBurst)
		if wait > 0 && i == 0 {
			return protocol.TooOften(wait)
		}
		if wait > 0 { // as many as there is room for
			n = i
			break
		}
	}
	s.hearts.mu.Lock()
	defer s.hearts.mu.Unlock()
	s.hearts.waiting[room] += int64(n)
	return nil
}

// showHearts shows and counts hearts once a second.
func (s *Service) showHearts(ctx context.Context) {
	t := time.NewTicker(heartsEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.beat(ctx)
		case <-ctx.Done():
			s.beat(context.WithoutCancel(ctx))
			return
		}
	}
}

func (s *Service) beat(ctx context.Context) {
	all := s.hearts.take()
	if all == nil {
		return
	}
	for room, n := range all {
		m := store.LiveMessage{Room: room, Type: int(protocol.TypeHearts), ServerMsgID: newID(), Time: s.now().UnixMilli()}
		s.deps.Publish(room, Frame{Op: protocol.RoomOp(room), Body: body(m, strconv.FormatInt(n, 10))})
	}
	if err := s.store.AddHearts(ctx, all); err != nil {
		s.log.WarnContext(ctx, "hearts not counted", "err", err)
	}
}

// newID is the id of a message that is not kept.
func newID() string {
	id, err := uuid.NewV7()
	if err != nil {
		id = uuid.New()
	}
	return id.String()
}
