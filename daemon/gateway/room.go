package gateway

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gtiv/protocol"
)

const (
	// roomBatchBytes is the size at which a room is flushed before its time. With
	// one more frame a batch still fits a WebSocket length of 16 bits.
	roomBatchBytes = 32 << 10
	// roomFloor: below it a room is small enough to be flushed at once.
	roomFloor = 5 * time.Millisecond
	// flushShare is how many members make another goroutine worth while.
	flushShare = 512
	// batchHead is the room left in front of a batch's frames: the head of a
	// WebSocket message and that of op 9.
	batchHead = wsHeaderMax + protocol.HeaderBytes
)

// Broadcast is one frame for all who joined a room with op 12.
type Broadcast struct {
	Op   protocol.Op
	Body []byte
}

// rooms are the broadcast rooms. A room exists while it has members.
type rooms struct {
	mu     sync.Mutex
	byName map[string]*room
}

// room is one broadcast room. Frames collect in pending until the room is
// flushed: at once when it has been quiet, else after a pause that grows with
// the number of members, because every flush costs a write per member.
type room struct {
	g      *Gateway
	name   string
	timer  entry
	online atomic.Int32 // len(members)

	// Guarded by rooms.mu.
	members  []*session
	changed  bool // members differ from list
	pending  []byte
	frames   uint32
	flushing bool
	last     int64 // start of the last flush

	// Owned by the flush, of which there is one at a time.
	list []*session
}

// batch is what one flush sends: the frames back to back, and in front of them
// what makes them one WebSocket message of op 9.
type batch struct {
	wire   []byte
	head   int // of the WebSocket message in wire
	frames uint32

	forAppOnce sync.Once
	forApp     []item // for members held to the rules of the app
}

// appItems is the batch in pieces that the app could read, made when the first
// such member is met.
func (b *batch) appItems(limit int) []item {
	b.forAppOnce.Do(func() {
		splitForApp(b.tcp(), limit, func(piece []byte, frames uint32) {
			b.forApp = append(b.forApp, item{buf: piece, frames: frames, flags: flagBroadcast})
		})
	})
	return b.forApp
}

func (b *batch) tcp() []byte { return b.wire[batchHead:] }
func (b *batch) ws() []byte  { return b.wire[b.head:] }

// newBatch completes pending, whose first batchHead bytes were left free.
func newBatch(pending []byte, frames uint32) *batch {
	inner := len(pending) - batchHead
	op9 := pending[wsHeaderMax:wsHeaderMax]
	op9 = binary.BigEndian.AppendUint32(op9, uint32(protocol.HeaderBytes+inner)) //nolint:gosec // bounded by roomBatchBytes
	op9 = binary.BigEndian.AppendUint16(op9, protocol.HeaderBytes)
	op9 = binary.BigEndian.AppendUint16(op9, 1)
	op9 = binary.BigEndian.AppendUint32(op9, uint32(protocol.OpRaw))
	binary.BigEndian.AppendUint32(op9, 0)
	var ws [wsHeaderMax]byte
	h := appendWSHeader(ws[:0], protocol.HeaderBytes+inner)
	head := wsHeaderMax - len(h)
	copy(pending[head:], h)
	return &batch{wire: pending, head: head, frames: frames}
}

// join puts s into the room; s is in none.
func (rs *rooms) join(s *session, name string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.byName[name]
	if r == nil {
		r = &room{g: s.g, name: name}
		r.timer.owner = r
		rs.byName[name] = r
	}
	s.place = len(r.members)
	s.room.Store(r)
	r.members, r.changed = append(r.members, s), true
	r.online.Store(int32(len(r.members))) //nolint:gosec // bounded by the number of sockets
}

// leave takes s out of its room, if it is in one.
func (rs *rooms) leave(s *session) {
	r := s.room.Load()
	if r == nil {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	s.room.Store(nil)
	n := len(r.members) - 1
	last := r.members[n]
	r.members[s.place], last.place = last, s.place
	r.members[n] = nil
	r.members, r.changed = r.members[:n], true
	r.online.Store(int32(n)) //nolint:gosec // bounded by the number of sockets
	if n == 0 {
		r.pending = nil
		delete(rs.byName, r.name)
		r.g.wheel.remove(&r.timer)
	}
}

// RoomOnline is how many connections have joined the room.
func (g *Gateway) RoomOnline(name string) int {
	g.rooms.mu.Lock()
	defer g.rooms.mu.Unlock()
	if r := g.rooms.byName[name]; r != nil {
		return len(r.members)
	}
	return 0
}

// Rooms is how many broadcast rooms have members.
func (g *Gateway) Rooms() int {
	g.rooms.mu.Lock()
	defer g.rooms.mu.Unlock()
	return len(g.rooms.byName)
}

// Publish sends a frame to all who joined the room, and reports how many they
// are. It never waits. A body over protocol.MaxPushBody is sent to nobody.
func (g *Gateway) Publish(name string, b Broadcast) int {
	if len(b.Body) > protocol.MaxPushBody {
		g.stats.unreadable.Add(1)
		return 0
	}
	g.rooms.mu.Lock()
	defer g.rooms.mu.Unlock()
	r := g.rooms.byName[name]
	if r == nil {
		return 0
	}
	if r.pending == nil {
		r.pending = make([]byte, batchHead, max(1024, 2*(batchHead+protocol.HeaderBytes+len(b.Body))))
	}
	if len(r.pending) > 4*roomBatchBytes {
		// The flush cannot follow. Live chat may lose; memory may not.
		g.stats.roomDrops.Add(uint64(len(r.members)))
		return 0
	}
	r.pending = protocol.AppendFrame(r.pending, b.Op, 0, b.Body)
	r.frames++
	r.startLocked()
	return len(r.members)
}

// pauseLocked is the least time between the starts of two flushes.
func (r *room) pauseLocked() int64 {
	c := &r.g.cfg
	d := min(time.Duration(len(r.members))*c.RoomDelayPerMember, c.RoomDelayMax)
	if d < roomFloor {
		return 0
	}
	return int64(d)
}

// startLocked has pending flushed, now or when the pause is over.
func (r *room) startLocked() {
	if r.flushing {
		return // the flush looks again when it is done
	}
	due := r.last + r.pauseLocked()
	if r.last != 0 && due > r.g.now() && len(r.pending) < roomBatchBytes {
		r.g.wheel.schedule(&r.timer, due)
		return
	}
	if r.g.enter() {
		r.flushing = true
		go r.flush()
	}
}

// tick is the wheel's call: the pause is over.
func (r *room) tick(int64) {
	r.g.rooms.mu.Lock()
	defer r.g.rooms.mu.Unlock()
	if len(r.pending) > 0 {
		r.startLocked()
	}
}

// flush sends what is pending to everybody, and goes on while there is more
// that is due.
func (r *room) flush() {
	defer r.g.work.Done()
	for {
		b := r.takeBatch()
		if b == nil {
			return
		}
		r.deliver(b)
	}
}

// takeBatch takes what is due, or ends the flush.
func (r *room) takeBatch() *batch {
	r.g.rooms.mu.Lock()
	defer r.g.rooms.mu.Unlock()
	now := r.g.now()
	due := r.last + r.pauseLocked()
	early := r.last != 0 && due > now && len(r.pending) < roomBatchBytes
	if len(r.pending) == 0 || early {
		r.flushing = false
		if len(r.pending) > 0 {
			r.g.wheel.schedule(&r.timer, due)
		}
		return nil
	}
	if r.changed {
		clear(r.list)
		r.list = append(r.list[:0], r.members...)
		r.changed = false
	}
	b := newBatch(r.cutPending())
	r.last = now
	return b
}

// cutPending takes at most roomBatchBytes of whole frames, in a buffer of their
// own.
func (r *room) cutPending() ([]byte, uint32) {
	if len(r.pending) <= roomBatchBytes {
		p, n := r.pending, r.frames
		r.pending, r.frames = nil, 0
		return p, n
	}
	end, frames := batchHead, uint32(0)
	for end < roomBatchBytes {
		end += int(binary.BigEndian.Uint32(r.pending[end:]))
		frames++
	}
	rest := r.pending[end:]
	head := r.pending[:end:end]
	r.pending, r.frames = append(make([]byte, batchHead, batchHead+len(rest)), rest...), r.frames-frames
	if len(rest) == 0 {
		r.pending = nil
	}
	return head, frames
}

// deliver hands b to all members. Big rooms are shared out to the processors;
// the next batch waits until this one is everywhere, so each member sees the
// order.
func (r *room) deliver(b *batch) {
	parts := min(runtime.GOMAXPROCS(0), len(r.list)/flushShare+1)
	size := (len(r.list) + parts - 1) / parts
	var wg sync.WaitGroup
	for i := 1; i < parts; i++ {
		part := r.list[min(i*size, len(r.list)):min((i+1)*size, len(r.list))]
		wg.Go(func() { deliverTo(part, b) })
	}
	deliverTo(r.list[:min(size, len(r.list))], b)
	wg.Wait()
}

func deliverTo(list []*session, b *batch) {
	for _, s := range list {
		s.deliver(b)
	}
}

// deliver queues a batch for one member, or writes it. A member that is too far
// behind misses it.
func (s *session) deliver(b *batch) {
	it := item{buf: b.tcp(), frames: b.frames, flags: flagBroadcast}
	if s.ws != nil {
		it.buf = b.ws()
	}
	s.mu.Lock()
	if s.phase != phaseOpen {
		s.mu.Unlock()
		return
	}
	if s.broadcast.len() > 0 && s.broadcast.bytes+len(it.buf) > s.g.cfg.RoomQueueBytes {
		s.mu.Unlock()
		s.g.stats.roomDrops.Add(uint64(b.frames))
		return
	}
	if s.app == nil {
		s.putLocked(&s.broadcast, it)
		return
	}
	for _, piece := range b.appItems(s.g.cfg.App.Batch) {
		s.queueLocked(&s.broadcast, piece)
	}
	mine := s.claimLocked(s.g.now())
	s.mu.Unlock()
	if mine {
		s.write()
	}
}
