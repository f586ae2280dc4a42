package media

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Bounds of what a stream keeps for those who join or lag.
const (
	roundSpan = 40 * time.Millisecond // of a round: a write to a viewer costs more than waiting
	maxRounds = 1024
	maxKept   = 24 << 20 // bytes of all rounds
	maxRound  = 2 << 20  // bytes of one
)

// Errors of readers and publishers; compare with errors.Is.
var (
	// ErrEnded means that the stream is over.
	ErrEnded = errors.New("stream ended")
	// ErrReplaced means that another publisher took over.
	ErrReplaced = errors.New("another publisher took over")
	// ErrKicked means that somebody ended it on purpose.
	ErrKicked = errors.New("ended by a moderator")
)

// Round is what a publisher sent within a few hundredths of a second. It never
// changes.
type Round struct {
	// Messages are in the order they came. There may be none of them, or of Alt.
	Messages []*Message
	// Alt are sounds that Messages have, too, in another codec: as it came, before
	// something that more readers know was made of it. Who can, takes these.
	Alt []*Message
	// Headers are those that hold before the first of Messages.
	Headers *Headers
	// Key: the first picture needs no other one.
	Key   bool
	size  int
	views [wires]view
}

// view is a serialisation that was made once.
type view struct {
	once sync.Once
	b    []byte
}

// wires is how many serialisations there are.
const wires = 2

// The serialisations.
const (
	WireFLV = iota
	WireRTMP
)

// Bytes is the round as make writes it, made by the first caller and shared.
func (r *Round) Bytes(wire int, make func(r *Round) []byte) []byte {
	v := &r.views[wire]
	v.once.Do(func() { v.b = make(r) })
	return v.b
}

// Time is that of its first message.
func (r *Round) Time() int64 {
	if len(r.Messages) > 0 {
		return r.Messages[0].Time
	}
	return r.Alt[0].Time
}

// Headers are what a decoder needs before the first picture. They never change;
// a stream gets new ones.
type Headers struct {
	Meta, Video, Audio *Message // nil when there is none
	Alt                *Message // of Round.Alt; nil: there will be no such sounds
}

// List is those of Messages that are there, in the order in which they are sent.
func (h *Headers) List() []*Message {
	var list []*Message
	for _, m := range []*Message{h.Meta, h.Video, h.Audio} {
		if m != nil {
			list = append(list, m)
		}
	}
	return list
}

// With is h with another message of its kind.
func (h *Headers) With(m *Message) *Headers {
	n := *h
	switch m.Kind {
	case Data:
		n.Meta = m
	case Video:
		n.Video = m
	case Audio:
		if m.Alt {
			n.Alt = m
		} else {
			n.Audio = m
		}
	}
	return &n
}

// Stream is a live stream. It outlives publishers that take over from each other.
type Stream struct {
	// Name is that of its room.
	Name  string
	began time.Time

	mu      sync.Mutex
	rounds  []*Round // ring; the newest is first+len-1
	first   uint64   // number of rounds[0]
	kept    int      // bytes
	open    *Round   // being filled
	opened  time.Time
	flush   *time.Timer
	headers *Headers
	lastKey uint64 // number of the newest round with Key; 0 none
	changed chan struct{}
	ended   error // why it is over
	readers int
	pub     *Publisher
	left    time.Time // when the last publisher left, if there is none
	stats   Stats
}

// Stats counts what came.
type Stats struct {
	VideoBytes, AudioBytes int64
	Pictures, Sounds       int64
	Time                   int64 // of the newest message, ms
	Video, Audio           Codec
	Alt                    Codec // of Round.Alt, "" for none
	BFrames                bool  // pictures are shown in another order than they come
	KeyEvery               int64
	lastKeyTime            int64
}

func newStream(name string, now time.Time) *Stream {
	return &Stream{Name: name, began: now, first: 1, headers: &Headers{}, changed: make(chan struct{})}
}

// Began is when it began.
func (s *Stream) Began() time.Time { return s.began }

// Headers are those of now.
func (s *Stream) Headers() *Headers {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.headers
}

// Stats are the figures of now.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Readers counts those who read.
func (s *Stream) Readers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readers
}

// take puts another publisher on air, whose sound may come in one form only and whose
// pictures are its own. s.mu is held.
func (s *Stream) take(p *Publisher) {
	s.pub = p
	if s.open != nil {
		s.close()
	}
	h := *s.headers
	h.Alt = nil
	s.headers = &h
	s.stats.Alt, s.stats.BFrames, s.stats.KeyEvery, s.stats.lastKeyTime = "", false, 0, 0
}

// push adds a message of the publisher p.
func (s *Stream) push(p *Publisher, m *Message, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended != nil:
		return s.ended
	case s.pub != p:
		return ErrReplaced
	}
	s.count(m)
	// A key frame begins a round, so that readers can begin with it.
	if s.open != nil && (m.Kind == Video && m.Key || now.Sub(s.opened) >= roundSpan || s.open.size > maxRound) {
		s.close()
	}
	if s.open == nil {
		s.open = &Round{Headers: s.headers, Key: m.Kind == Video && m.Key}
		s.opened = now
		if s.flush == nil {
			s.flush = time.AfterFunc(roundSpan, s.closeLate)
		} else {
			s.flush.Reset(roundSpan)
		}
	}
	if m.Alt {
		s.open.Alt = append(s.open.Alt, m)
	} else {
		s.open.Messages = append(s.open.Messages, m)
	}
	s.open.size += len(m.Body) + 64
	if m.Header {
		s.headers = s.headers.With(m)
	}
	return nil
}

func (s *Stream) count(m *Message) {
	st := &s.stats
	st.Time = max(st.Time, m.Time)
	if m.Alt {
		st.Alt = m.Codec
		return
	}
	switch m.Kind {
	case Video:
		st.VideoBytes += int64(len(m.Body))
		st.Video = m.Codec
		if m.Header {
			return
		}
		st.Pictures++
		st.BFrames = st.BFrames || m.Shift != 0
		if m.Key {
			if st.lastKeyTime > 0 {
				st.KeyEvery = m.Time - st.lastKeyTime
			}
			st.lastKeyTime = m.Time
		}
	case Audio:
		st.AudioBytes += int64(len(m.Body))
		st.Audio = m.Codec
		if !m.Header {
			st.Sounds++
		}
	}
}

// closeLate closes the last round of a burst.
func (s *Stream) closeLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil && s.ended == nil {
		s.close()
	}
}

// close makes the open round one of the ring and wakes the readers.
func (s *Stream) close() {
	r := s.open
	s.open = nil
	s.flush.Stop()
	s.rounds = append(s.rounds, r)
	s.kept += r.size
	newest := s.first + uint64(len(s.rounds)) - 1
	if r.Key {
		s.lastKey = newest
	}
	s.trim(newest)
	close(s.changed)
	s.changed = make(chan struct{})
}

// trim forgets rounds that nobody begins with: all before the newest key frame, but
// some for those who lag a little; and more when they are too many.
func (s *Stream) trim(newest uint64) {
	const lag = 64 // rounds, about 2.5 s
	drop := 0
	for drop < len(s.rounds)-1 {
		n := s.first + uint64(drop)
		needed := n >= s.lastKey || n+lag >= newest
		if needed && len(s.rounds)-drop <= maxRounds && s.kept <= maxKept {
			break
		}
		s.kept -= s.rounds[drop].size
		s.rounds[drop] = nil
		drop++
	}
	s.first += uint64(drop)
	s.rounds = s.rounds[drop:]
	if s.lastKey < s.first {
		s.lastKey = 0 // its beginning is gone: who joins waits for the next
	}
}

// end ends the stream for everybody.
func (s *Stream) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return
	}
	if s.open != nil {
		s.close()
	}
	s.ended, s.pub = why, nil
	if s.flush != nil {
		s.flush.Stop()
	}
	close(s.changed)
}

// Reader is a cursor over a stream. One goroutine uses it; Close must be called.
type Reader struct {
	s       *Stream
	next    uint64 // number of the round that comes next; 0: at the next key frame
	headers *Headers
	// Skipped counts how often it fell behind.
	Skipped int
	quiet   bool // not counted among the readers
	closed  bool
}

// Read begins a reader at the newest key frame, so that there is a picture at once.
func (s *Stream) Read() *Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers++
	return &Reader{s: s, next: s.lastKey}
}

// Watch is Read for what serves the stream on: it is not counted among the readers.
func (s *Stream) Watch() *Reader {
	r := s.Read()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers--
	r.quiet = true
	return r
}

// Close ends the reader.
func (r *Reader) Close() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if !r.closed && !r.quiet {
		r.s.readers--
	}
	r.closed = true
}

// Next waits for the next round. headers is not nil when a decoder must be told
// them first: at the beginning, and after a jump over a change of them. ErrEnded
// and the like at the end; the error of ctx.
func (r *Reader) Next(ctx context.Context) (round *Round, headers *Headers, err error) {
	for {
		round, headers, changed, err := r.look()
		if round != nil || err != nil {
			return round, headers, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// look answers the next round, or what to wait for.
func (r *Reader) look() (*Round, *Headers, <-chan struct{}, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := s.first + uint64(len(s.rounds)) - 1
	if r.next != 0 && r.next < s.first { // fell behind
		r.Skipped++
		r.next = s.lastKey
	}
	if r.next == 0 {
		r.next = s.lastKey
		if r.next == 0 && s.audioOnly() && len(s.rounds) > 0 {
			r.next = newest
		}
	}
	if r.next == 0 || r.next > newest {
		if s.ended != nil {
			return nil, nil, nil, s.ended
		}
		return nil, nil, s.changed, nil
	}
	round := s.rounds[r.next-s.first]
	r.next++
	var first *Headers
	if r.headers == nil || !sameHeaders(r.headers, round.Headers) {
		first = round.Headers
	}
	r.headers = round.Headers
	for _, list := range [][]*Message{round.Messages, round.Alt} { // what changes inside the round is in it
		for _, m := range list {
			if m.Header {
				r.headers = r.headers.With(m)
			}
		}
	}
	return round, first, nil, nil
}

func sameHeaders(a, b *Headers) bool {
	return a.Meta == b.Meta && a.Video == b.Video && a.Audio == b.Audio && a.Alt == b.Alt
}

// audioOnly says whether there have been no pictures for long enough.
func (s *Stream) audioOnly() bool {
	return s.stats.Pictures == 0 && s.headers.Video == nil && s.stats.Sounds > 20
}
