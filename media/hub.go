package media

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Times of a publisher.
const (
	// defaultSilence is after how long without a message a publisher counts as gone.
	defaultSilence = 10 * time.Second
	// maxJump is how far the time of a message may be ahead of all others (ms) and
	// still be believed, and maxBack how far behind the one before it of its kind.
	maxJump = 5_000
	maxBack = 250
	// stitch is what is put between the times of two publishers, and at a jump (ms).
	stitch = 40
)

// Hub has all streams that are on air.
type Hub struct {
	now            func() time.Time
	silence, grace time.Duration

	mu      sync.Mutex
	streams map[string]*Stream
	// Began and Ended are told of streams, in order, without locks held; may be nil.
	began, ended func(s *Stream)
}

// NewHub makes a hub. began and ended are told of streams; they may be nil, as now.
func NewHub(began, ended func(s *Stream), now func() time.Time) *Hub {
	if now == nil {
		now = time.Now
	}
	if began == nil {
		began = func(*Stream) {}
	}
	if ended == nil {
		ended = func(*Stream) {}
	}
	return &Hub{now: now, silence: defaultSilence, streams: map[string]*Stream{}, began: began, ended: ended}
}

// SetTimes says after how long without a message a publisher counts as gone (0: 10 s),
// and how long streams wait after their publisher left, for another one or the same
// again; readers wait, too. Without grace they end at once. It is called before the hub
// is used, and grace needs Run.
func (h *Hub) SetTimes(silence, grace time.Duration) {
	if h.grace = grace; silence > 0 {
		h.silence = silence
	}
}

// Stream finds a stream on air; nil: there is none.
func (h *Hub) Stream(name string) *Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[name]
}

// Streams lists all streams on air.
func (h *Hub) Streams() []*Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*Stream, 0, len(h.streams))
	for _, s := range h.streams {
		list = append(list, s)
	}
	return list
}

// Publisher is who publishes a stream now. Any number of goroutines may use it, one
// for each kind of sound or pictures.
type Publisher struct {
	h      *Hub
	s      *Stream
	cancel context.CancelCauseFunc

	mu   sync.Mutex // guards the fields below; Stream.mu comes after it
	last time.Time  // when it said something
	line line
}

// Publish puts a publisher on air. One that is there is replaced: its readers go on,
// its context ends with ErrReplaced. The context answered ends when the publisher
// must stop; its cause says why.
func (h *Hub) Publish(ctx context.Context, name string) (*Publisher, context.Context) {
	now := h.now()
	ctx, cancel := context.WithCancelCause(ctx)
	p := &Publisher{h: h, cancel: cancel, last: now}
	h.mu.Lock()
	s, fresh := h.streams[name], false
	if s == nil {
		s, fresh = newStream(name, now), true
		h.streams[name] = s
	}
	p.s = s
	s.mu.Lock()
	old := s.pub
	s.take(p)
	s.left = time.Time{}
	if !fresh {
		p.line.top = s.stats.Time + stitch
	}
	s.mu.Unlock()
	h.mu.Unlock()
	if old != nil {
		old.cancel(ErrReplaced)
	}
	if fresh {
		h.began(s)
	}
	return p, ctx
}

// Stream is what p publishes.
func (p *Publisher) Stream() *Stream { return p.s }

// Push publishes a message whose time its publisher says, in ms modulo 2^32. Times
// that wrap go on; times that jump are brought back into line. Errors: ErrReplaced,
// ErrEnded, ErrKicked.
func (p *Publisher) Push(m *Message, raw uint32) error {
	now := p.h.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = now
	m.Time = p.line.time(m, raw)
	return p.s.push(p, m, now)
}

// Close takes the publisher off air. The stream ends unless another one took over, or
// does so within the hub's grace.
func (p *Publisher) Close() {
	if p.h.grace == 0 {
		p.h.end(p, ErrEnded)
		return
	}
	p.s.mu.Lock()
	if p.s.pub == p {
		p.s.pub, p.s.left = nil, p.h.now()
	}
	p.s.mu.Unlock()
	p.cancel(ErrEnded)
}

// endLeft ends a stream that has no publisher; false: it has one again, or is over.
func (h *Hub) endLeft(s *Stream, why error) bool {
	h.mu.Lock()
	s.mu.Lock()
	gone := s.pub == nil && h.streams[s.Name] == s
	s.mu.Unlock()
	if gone {
		delete(h.streams, s.Name)
	}
	h.mu.Unlock()
	if gone {
		s.end(why)
		h.ended(s)
	}
	return gone
}

// end ends the stream of p, if p still publishes it.
func (h *Hub) end(p *Publisher, why error) {
	defer p.cancel(why)
	h.mu.Lock()
	s := p.s
	s.mu.Lock()
	mine := s.pub == p
	s.mu.Unlock()
	if mine && h.streams[s.Name] == s {
		delete(h.streams, s.Name)
	} else {
		mine = false
	}
	h.mu.Unlock()
	if mine {
		s.end(why)
		h.ended(s)
	}
}

// Kick ends a stream, whoever publishes it.
func (h *Hub) Kick(name string) bool {
	s := h.Stream(name)
	if s == nil {
		return false
	}
	s.mu.Lock()
	p := s.pub
	s.mu.Unlock()
	if p == nil {
		return h.endLeft(s, ErrKicked)
	}
	h.end(p, ErrKicked)
	return true
}

// errSilent is why the stream of a publisher that says nothing ends.
var errSilent = errors.New("publisher went silent")

// Run ends streams whose publishers went silent. When ctx ends it ends all streams
// and returns nil.
func (h *Hub) Run(ctx context.Context) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			for _, s := range h.Streams() {
				s.mu.Lock()
				p, left := s.pub, s.left
				s.mu.Unlock()
				switch {
				case p != nil && p.silent(h.now(), h.silence):
					h.end(p, errSilent)
				case p == nil && h.now().Sub(left) >= h.grace:
					h.endLeft(s, ErrEnded)
				}
			}
		case <-ctx.Done():
			for _, s := range h.Streams() {
				h.Kick(s.Name)
			}
			return nil
		}
	}
}

func (p *Publisher) silent(now time.Time, most time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.last) > most
}
