package gateway

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// scratchBytes bounds what is gathered into one write.
	scratchBytes = 4096
	// chunkBytes is the most that one write deadline covers.
	chunkBytes = 16 << 10
	// gatherWithin: after a write so recent, the next one is left to a goroutine,
	// which finds whatever else has been queued when it gets to run.
	gatherWithin = int64(2 * time.Millisecond)
)

type itemFlags uint8

const (
	flagAlone     itemFlags = 1 << iota // op 3 or 8 for the app
	flagSlow                            // the app does HTTP after it
	flagBroadcast                       // from a room, counted there
)

// item is one frame that waits, or one batch of a room. buf is shared by all
// who get it.
type item struct {
	buf          []byte
	conversation int64
	from, seq    uint64 // the messages in buf; from 0: seq alone
	frames       uint32 // in buf, when there are several
	flags        itemFlags
}

// first is the first message in the item.
func (it *item) first() uint64 {
	if it.from != 0 {
		return it.from
	}
	return it.seq
}

// queue holds what waits for one connection, in order.
type queue struct {
	items []item
	bytes int
}

func (q *queue) len() int { return len(q.items) }

func (q *queue) clear() { *q = queue{} }

// drop forgets the first n. An empty queue keeps no memory.
func (q *queue) drop(n int) {
	for _, it := range q.items[:n] {
		q.bytes -= len(it.buf)
	}
	if q.items = q.items[n:]; len(q.items) == 0 {
		q.clear()
	}
}

func (s *session) queueLocked(q *queue, it item) {
	q.items = append(q.items, it)
	q.bytes += len(it.buf)
}

// appQueue is the queue that the app's clock looks at: private pushes first.
func (s *session) appQueue() []item {
	if s.private.len() > 0 {
		return s.private.items
	}
	return s.broadcast.items
}

// scratch is what a write needs: borrowed for its duration, so that idle
// connections own none.
type scratch struct {
	items  []item
	flat   [scratchBytes]byte
	locked bool // holds wsConn.mu across a partial write

	// For writes and questions on the raw socket; the closures are made once.
	data []byte
	n    int
	err  error
	try  func(fd uintptr) bool
	ask  func(fd uintptr)
}

var scratches = sync.Pool{New: func() any { return newScratch() }}

func newScratch() *scratch {
	sc := &scratch{items: make([]item, 0, 8)}
	sc.try = func(fd uintptr) bool {
		sc.n, sc.err = writeNow(fd, sc.data)
		return true // whatever came of it: this write never waits
	}
	sc.ask = func(fd uintptr) { sc.n, sc.err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }
	return sc
}

func (sc *scratch) free() {
	clear(sc.items)
	sc.items, sc.data, sc.err, sc.locked = sc.items[:0], nil, nil, false
	scratches.Put(sc)
}

// send queues a private frame, or writes it at once where that cannot block. It
// reports whether the frame will be written if the connection lives.
func (s *session) send(it item) bool {
	s.mu.Lock()
	if s.phase != phaseOpen || s.behind {
		s.mu.Unlock()
		return false
	}
	c := &s.g.cfg
	if s.private.len() >= c.QueueFrames || s.private.bytes+len(it.buf) > c.QueueBytes {
		s.overflowLocked()
		return false
	}
	s.putLocked(&s.private, it)
	return true
}

// overflowLocked drops the frame for a client that can be told, and ends the
// connection of one that cannot. It unlocks.
func (s *session) overflowLocked() {
	s.g.stats.overflows.Add(1)
	if s.info.Features {
		s.behind = true
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.shut(endBehind)
}

// sendAnyway queues beyond the bounds. Its callers send one frame and wait.
func (s *session) sendAnyway(it item) {
	s.mu.Lock()
	if s.phase != phaseOpen {
		s.mu.Unlock()
		return
	}
	s.putLocked(&s.private, it)
}

// putLocked queues it and has it written if nobody else is at it. It unlocks.
func (s *session) putLocked(q *queue, it item) {
	if s.app == nil && !s.writing {
		// The common case: nothing waits, so the queue need not exist.
		s.writing = true
		s.mu.Unlock()
		s.writeOne(it)
		return
	}
	s.queueLocked(q, it)
	mine := s.claimLocked(s.g.now())
	s.mu.Unlock()
	if mine {
		s.write()
	}
}

// claimLocked takes the write side if there is something that may be written
// now. Who gets true must call write. The app's clock may say later; then the
// wheel will call.
func (s *session) claimLocked(now int64) bool {
	if s.writing || s.phase == phaseClosed || !s.readyLocked(now) {
		return false
	}
	s.writing = true
	return true
}

func (s *session) readyLocked(now int64) bool {
	if s.app == nil {
		return s.private.len()+s.broadcast.len() > 0
	}
	if !s.appActive() {
		return false
	}
	at := s.app.due(&s.g.cfg.App, s.appQueue())
	if at > now {
		s.g.wheel.schedule(&s.timer, at)
		return false
	}
	return true
}

// write owns the write side: it writes what may be written, on this goroutine
// if that cannot block.
func (s *session) write() {
	sc := scratches.Get().(*scratch)
	if !s.inline() {
		go s.drain(sc, nil)
		return
	}
	if data := s.take(sc); data != nil {
		s.tryWrite(sc, data)
		return
	}
	sc.free()
}

// writeOne is write for a single frame that never saw the queue.
func (s *session) writeOne(it item) {
	sc := scratches.Get().(*scratch)
	sc.items = append(sc.items, it)
	if !s.inline() || s.g.now()-s.lastWrite < gatherWithin && it.flags&flagBroadcast == 0 {
		go s.drain(sc, it.buf)
		return
	}
	s.tryWrite(sc, it.buf)
}

// inline reports whether the socket can be written to without waiting. TLS
// cannot: a record that was begun must be finished.
func (s *session) inline() bool {
	return s.raw != nil && !s.secure
}

// take moves the next write from the queues into sc and returns its bytes. nil
// means that nothing may be written now; the write side is free then.
func (s *session) take(sc *scratch) []byte {
	clear(sc.items)
	sc.items = sc.items[:0]
	if s.app != nil && s.appInAir(sc) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.g.now()
	if s.private.len() == 0 && s.behind {
		s.behind = false
		s.queueLocked(&s.private, item{buf: s.g.behind.on(s)})
	}
	if s.phase == phaseClosed || !s.readyLocked(now) {
		s.releaseLocked()
		return nil
	}
	limit := scratchBytes
	if s.app != nil {
		limit = s.g.cfg.App.Batch
		if len(s.appQueue()) == 0 {
			s.appBeatLocked()
		}
		// Whatever goes out now also answers the heartbeat: the app only wants to
		// hear something.
		s.app.beat = false
	}
	q := &s.private
	if q.len() == 0 {
		q = &s.broadcast
	}
	return sc.gather(q, limit)
}

// gather takes the head of q: as it is when it goes alone, else copied together.
func (sc *scratch) gather(q *queue, limit int) []byte {
	n := appBatch(q.items, limit)
	sc.items = append(sc.items, q.items[:n]...)
	q.drop(n)
	if n == 1 {
		return sc.items[0].buf
	}
	flat := sc.flat[:0]
	for _, it := range sc.items {
		flat = append(flat, it.buf...)
	}
	return flat
}

// appInAir asks the kernel whether the app has acknowledged everything. If not,
// the write side is given back and tried again after a pause.
func (s *session) appInAir(sc *scratch) bool {
	if s.raw == nil {
		return false
	}
	sc.n, sc.err = 0, nil
	if err := s.raw.Control(sc.ask); err != nil || sc.err != nil || sc.n == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app.inTheAir(&s.g.cfg.App, s.g.now())
	s.releaseLocked()
	return true
}

// releaseLocked gives the write side back.
func (s *session) releaseLocked() {
	s.writing = false
	s.signalLocked()
	if s.app != nil || s.phase == phaseLeaving {
		s.rescheduleLocked()
	}
}

// tryWrite writes without waiting. What the socket does not take goes to a
// goroutine; for the app it is the end, because its reader would see half a
// frame (F2).
func (s *session) tryWrite(sc *scratch, data []byte) {
	if s.ws != nil {
		if !s.ws.mu.TryLock() {
			go s.drain(sc, data)
			return
		}
		sc.locked = true
	}
	sc.data, sc.n, sc.err = data, 0, nil
	err := s.raw.Write(sc.try)
	full := err == nil && (errors.Is(sc.err, syscall.EAGAIN) || sc.err == nil && sc.n < len(data))
	switch {
	case full && s.app == nil:
		go s.drain(sc, data[max(sc.n, 0):])
		return
	case full:
		s.g.stats.overflows.Add(1)
		s.unlockWS(sc)
		s.abandon(sc, endBehind)
		return
	case err != nil || sc.err != nil:
		s.unlockWS(sc)
		s.abandon(sc, endGone)
		return
	}
	s.unlockWS(sc)
	s.wrote(sc)
	s.finish(sc)
}

func (s *session) unlockWS(sc *scratch) {
	if sc.locked {
		sc.locked = false
		s.ws.mu.Unlock()
	}
}

// finish gives the write side back after an inline write, or leaves it to a
// goroutine when more has come meanwhile.
func (s *session) finish(sc *scratch) {
	s.mu.Lock()
	more := s.app == nil && (s.private.len()+s.broadcast.len() > 0 || s.behind) && s.phase != phaseClosed
	if !more {
		s.releaseLocked()
	}
	s.mu.Unlock()
	if more {
		go s.drain(sc, nil)
		return
	}
	sc.free()
}

// abandon gives up on a connection whose socket failed.
func (s *session) abandon(sc *scratch, e ending) {
	sc.free()
	s.shut(e)
	s.mu.Lock()
	s.releaseLocked()
	s.mu.Unlock()
}

// drain is the goroutine that owns the write side of a connection whose socket
// is full or may wait: it writes data, then whatever has been queued, and ends.
func (s *session) drain(sc *scratch, data []byte) {
	if data == nil {
		data = s.take(sc)
	}
	for data != nil {
		if err := s.writeWaiting(sc, data); err != nil {
			e := endGone
			if isTimeout(err) {
				e = endBehind
			}
			s.abandon(sc, e)
			return
		}
		s.wrote(sc)
		data = s.take(sc)
	}
	sc.free()
}

// writeWaiting writes all of data, each chunk under a deadline of its own.
func (s *session) writeWaiting(sc *scratch, data []byte) error {
	if s.ws != nil && !sc.locked {
		s.ws.mu.Lock()
		sc.locked = true
	}
	defer s.unlockWS(sc)
	return writeAll(s.conn, data, s.g.cfg.WriteTimeout)
}

func writeAll(c net.Conn, data []byte, timeout time.Duration) error {
	for len(data) > 0 {
		n := min(len(data), chunkBytes)
		if err := c.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if _, err := c.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	// A deadline left behind would fail a later write that does not wait.
	return c.SetWriteDeadline(time.Time{})
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// wrote accounts for what the kernel has accepted. The write side is still
// claimed, so the reports come in order.
func (s *session) wrote(sc *scratch) {
	now := s.g.now()
	s.mu.Lock()
	s.lastWrite = now
	if s.app != nil {
		s.app.wrote(&s.g.cfg.App, now, sc.items[len(sc.items)-1].flags)
	}
	if !s.info.Features {
		for i := range sc.items {
			s.rememberLocked(&sc.items[i], now)
		}
	}
	s.mu.Unlock()
	frames, bytes := 0, 0
	for i := range sc.items {
		frames += max(1, int(sc.items[i].frames))
		bytes += len(sc.items[i].buf)
		if sc.items[i].seq != 0 {
			s.g.deps.Handed(s.info.Session, sc.items[i].conversation, sc.items[i].first(), sc.items[i].seq)
		}
	}
	s.g.stats.framesOut.Add(uint64(frames)) //nolint:gosec // a count
	s.g.stats.bytesOut.Add(uint64(bytes))   //nolint:gosec // a length
}
