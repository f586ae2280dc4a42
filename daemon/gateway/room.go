package gateway

import (
	"encoding/binary"
	"math"
	"runtime"
	"slices"
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
	// Seq numbers the frames that a backlog may hold: where a room's backlog and
	// what waits for its flush overlap, the backlog gives way. 0 is not numbered.
	Seq uint64
	// ByLanguage is what members whose Identity has one of these languages get in
	// place of Body.
	ByLanguage map[string][]byte
}

// in is the body for a language.
func (b *Broadcast) in(language string) []byte {
	if body, ok := b.ByLanguage[language]; ok {
		return body
	}
	return b.Body
}

// fits reports whether every client can take it.
func (b *Broadcast) fits() bool {
	for _, body := range b.ByLanguage {
		if !protocol.FitsPush(len(body)) {
			return false
		}
	}
	return protocol.FitsPush(len(b.Body))
}

// rooms are the broadcast rooms. A room exists while it has members.
type rooms struct {
	mu     sync.Mutex
	turn   uint64 // grows with every batch that is taken
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
	members   []*session
	changed   bool // members differ from list
	pending   []byte
	languages map[string][]byte // pending as readers of these get it; nil while all get the same
	seqs      []uint64          // Broadcast.Seq of the frames in pending
	flushing  bool
	disbanded bool  // everybody leaves when pending is empty
	last      int64 // start of the last flush

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

// batches are one flush in all the languages that its frames have.
type batches struct {
	turn       uint64
	common     *batch
	byLanguage map[string]*batch // nil when everybody gets common
}

func (b *batches) in(language string) *batch {
	if own := b.byLanguage[language]; own != nil {
		return own
	}
	return b.common
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

// has reports whether s is in the room of that name.
func (rs *rooms) has(s *session, name string) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := s.room.Load()
	return r != nil && rs.byName[name] == r
}

// join puts s into the room, out of the one it is in, and queues the backlog for
// it. It reports whether the caller must call write: the backlog has to leave
// before what the next flush brings.
func (rs *rooms) join(s *session, name string, backlog []Broadcast) (mine bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.leaveLocked(s)
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
	return s.welcome(r.notPending(backlog), rs.turn+1)
}

// notPending is the part of a backlog that the next flush will not bring.
func (r *room) notPending(backlog []Broadcast) []Broadcast {
	i := slices.IndexFunc(r.seqs, func(seq uint64) bool { return seq > 0 })
	if i < 0 {
		return backlog
	}
	end := slices.IndexFunc(backlog, func(b Broadcast) bool { return b.Seq >= r.seqs[i] })
	if end < 0 {
		return backlog
	}
	return backlog[:end]
}

// welcome queues a backlog, the newest that fit, and has s take part in batches
// from a turn on. It reports whether the write side is the caller's now.
func (s *session) welcome(backlog []Broadcast, turn uint64) (mine bool) {
	b := s.packBacklog(backlog)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = turn
	if b == nil || s.phase != phaseOpen {
		return false
	}
	for _, it := range s.itemsOf(b) {
		s.queueLocked(&s.broadcast, it)
	}
	return s.claimLocked(s.g.now())
}

// packBacklog makes one batch of a backlog. Nil: there is nothing to send.
func (s *session) packBacklog(backlog []Broadcast) *batch {
	from, size := len(backlog), batchHead
	for from > 0 {
		n := protocol.HeaderBytes + len(backlog[from-1].in(s.info.Language))
		if size+n > s.g.cfg.RoomQueueBytes {
			break
		}
		size += n
		from--
	}
	if from == len(backlog) {
		return nil
	}
	frames := make([]byte, batchHead, size)
	for i := range backlog[from:] {
		b := &backlog[from+i]
		frames = protocol.AppendFrame(frames, b.Op, 0, b.in(s.info.Language))
	}
	return newBatch(frames, uint32(len(backlog)-from)) //nolint:gosec // bounded by RoomQueueBytes
}

// itemsOf is a batch as s takes it.
func (s *session) itemsOf(b *batch) []item {
	switch {
	case s.app != nil:
		return b.appItems(s.g.cfg.App.Batch)
	case s.ws != nil:
		return []item{{buf: b.ws(), frames: b.frames, flags: flagBroadcast}}
	}
	return []item{{buf: b.tcp(), frames: b.frames, flags: flagBroadcast}}
}

// leave takes s out of its room, if it is in one.
func (rs *rooms) leave(s *session) {
	if s.room.Load() == nil {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.leaveLocked(s)
}

func (rs *rooms) leaveLocked(s *session) {
	r := s.room.Load()
	if r == nil {
		return
	}
	s.outside()
	n := len(r.members) - 1
	last := r.members[n]
	r.members[s.place], last.place = last, s.place
	r.members[n] = nil
	r.members, r.changed = r.members[:n], true
	r.online.Store(int32(n)) //nolint:gosec // bounded by the number of sockets
	if n == 0 {
		r.emptyLocked()
		r.g.wheel.remove(&r.timer)
		if rs.byName[r.name] == r {
			delete(rs.byName, r.name)
		}
	}
}

// outside ends what s gets from its room: what waits, and what a flush that is
// under way would still bring.
func (s *session) outside() {
	s.room.Store(nil)
	s.mu.Lock()
	s.since = math.MaxUint64
	s.broadcast.clear()
	s.mu.Unlock()
}

func (r *room) emptyLocked() { r.pending, r.languages, r.seqs = nil, nil, nil }

// Disband puts everybody out of a room, once they have been sent what was
// published before. Who enters the name meanwhile is in a new room. It reports
// how many were in it.
func (g *Gateway) Disband(name string) int {
	g.rooms.mu.Lock()
	defer g.rooms.mu.Unlock()
	r := g.rooms.byName[name]
	if r == nil {
		return 0
	}
	delete(g.rooms.byName, name)
	n := len(r.members)
	r.disbanded = true
	r.online.Store(0)
	r.startLocked()
	return n
}

// endLocked empties a disbanded room. What was queued for its members stays.
func (r *room) endLocked() {
	for _, s := range r.members {
		s.room.Store(nil)
		s.mu.Lock()
		s.since = math.MaxUint64
		s.mu.Unlock()
	}
	r.members, r.list = nil, nil
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
// are. It never waits. A body for which protocol.FitsPush says no is sent to
// nobody.
func (g *Gateway) Publish(name string, b Broadcast) int {
	if !b.fits() {
		g.stats.unreadable.Add(1)
		return 0
	}
	g.rooms.mu.Lock()
	defer g.rooms.mu.Unlock()
	r := g.rooms.byName[name]
	if r == nil {
		return 0
	}
	if len(r.pending) > 4*roomBatchBytes {
		// The flush cannot follow. Live chat may lose; memory may not.
		g.stats.roomDrops.Add(uint64(len(r.members)))
		return 0
	}
	r.appendLocked(&b)
	r.startLocked()
	return len(r.members)
}

// appendLocked adds a frame to what waits for the flush. Languages part with the
// first frame that differs, and are one again when the flush has taken all.
func (r *room) appendLocked(b *Broadcast) {
	if r.pending == nil {
		r.pending = make([]byte, batchHead, max(1024, 2*(batchHead+protocol.HeaderBytes+len(b.Body))))
	}
	for language := range b.ByLanguage {
		if r.languages == nil {
			r.languages = make(map[string][]byte, len(b.ByLanguage))
		}
		if r.languages[language] == nil {
			r.languages[language] = append(make([]byte, 0, len(r.pending)+1024), r.pending...)
		}
	}
	for language, frames := range r.languages {
		r.languages[language] = protocol.AppendFrame(frames, b.Op, 0, b.in(language))
	}
	r.pending = protocol.AppendFrame(r.pending, b.Op, 0, b.Body)
	r.seqs = append(r.seqs, b.Seq)
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
	if r.last != 0 && due > r.g.now() && len(r.pending) < roomBatchBytes && !r.disbanded {
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
func (r *room) takeBatch() *batches {
	r.g.rooms.mu.Lock()
	defer r.g.rooms.mu.Unlock()
	now := r.g.now()
	due := r.last + r.pauseLocked()
	early := r.last != 0 && due > now && len(r.pending) < roomBatchBytes && !r.disbanded
	if len(r.pending) == 0 || early {
		r.flushing = false
		switch {
		case len(r.pending) > 0:
			r.g.wheel.schedule(&r.timer, due)
		case r.disbanded:
			r.endLocked()
		}
		return nil
	}
	if r.changed {
		clear(r.list)
		r.list = append(r.list[:0], r.members...)
		r.changed = false
	}
	r.g.rooms.turn++
	b := r.cutPending()
	b.turn = r.g.rooms.turn
	r.last = now
	return b
}

// cutPending takes at most roomBatchBytes of whole frames, in buffers of their
// own.
func (r *room) cutPending() *batches {
	n := len(r.seqs)
	if len(r.pending) > roomBatchBytes {
		n = framesWithin(r.pending, roomBatchBytes)
	}
	b := &batches{}
	var head []byte
	head, r.pending = cutFrames(r.pending, n)
	b.common = newBatch(head, uint32(n)) //nolint:gosec // bounded by roomBatchBytes
	for language, frames := range r.languages {
		if b.byLanguage == nil {
			b.byLanguage = make(map[string]*batch, len(r.languages))
		}
		head, r.languages[language] = cutFrames(frames, n)
		b.byLanguage[language] = newBatch(head, uint32(n)) //nolint:gosec // as above
	}
	if r.seqs = r.seqs[n:]; r.pending == nil {
		r.emptyLocked()
	}
	return b
}

// framesWithin is how many frames of pending begin before a size.
func framesWithin(pending []byte, size int) int {
	n := 0
	for end := batchHead; end < size; n++ {
		end += int(binary.BigEndian.Uint32(pending[end:]))
	}
	return n
}

// cutFrames takes the first n frames of pending. The rest, nil without frames,
// has room in front for a head of its own.
func cutFrames(pending []byte, n int) (head, rest []byte) {
	end := batchHead
	for range n {
		end += int(binary.BigEndian.Uint32(pending[end:]))
	}
	if end == len(pending) {
		return pending, nil
	}
	rest = append(make([]byte, batchHead, batchHead+len(pending)-end), pending[end:]...)
	return pending[:end:end], rest
}

// deliver hands b to all members. Big rooms are shared out to the processors;
// the next batch waits until this one is everywhere, so each member sees the
// order.
func (r *room) deliver(b *batches) {
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

func deliverTo(list []*session, b *batches) {
	for _, s := range list {
		s.deliver(b.in(s.info.Language), b.turn)
	}
}

// deliver queues a batch for one member, or writes it. A member that is too far
// behind misses it.
func (s *session) deliver(b *batch, turn uint64) {
	it := item{buf: b.tcp(), frames: b.frames, flags: flagBroadcast}
	if s.ws != nil {
		it.buf = b.ws()
	}
	s.mu.Lock()
	if s.phase != phaseOpen || turn < s.since {
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
