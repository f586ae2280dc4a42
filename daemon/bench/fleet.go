package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"

	"gtiv/protocol"

	"golang.org/x/sys/unix"
)

// fleet holds thousands of client connections with as little of the machine as
// possible, because it shares the machine with what is measured: one goroutine
// and epoll, no buffers per connection.
//
// The loop goroutine owns every field. Commands reach it as functions.
type fleet struct {
	epoll   int
	jobs    chan func()
	clients []*client
	byFD    map[int32]*client
	buf     []byte
	stats   fleetStats

	every  time.Duration // between the heartbeats of one connection; 0 none
	began  time.Time     // of the heartbeats
	beaten int64         // heartbeats due and sent since began
}

// fleetStats is what the clients saw.
type fleetStats struct {
	Alive, Gone     int // connections; closed by the server or broken
	Beats, Replies  int // heartbeats sent and answered
	Joined          int // answers to op 12
	Deliveries      int // broadcast frames
	Missed, Doubled int // gaps in their numbers, and repeats
	Garbage         int // bytes that are no frame
	Latency         hist
}

// client is one connection.
type client struct {
	fd   int
	ws   bool
	next uint32 // number of the broadcast that comes next
	rest []byte // of a frame that has not fully arrived
}

func newFleet() (*fleet, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	f := &fleet{epoll: ep, jobs: make(chan func()), byFD: map[int32]*client{}, buf: make([]byte, 256<<10)}
	go f.loop() // ends with the process
	return f, nil
}

// loop reads what comes and sends heartbeats that are due.
func (f *fleet) loop() {
	runtime.LockOSThread()
	events := make([]unix.EpollEvent, 512)
	for {
		n, err := unix.EpollWait(f.epoll, events, 5)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic("epoll: " + err.Error()) // a child without epoll is of no use
		}
		for _, e := range events[:max(n, 0)] {
			if c := f.byFD[e.Fd]; c != nil {
				f.receive(c)
			}
		}
		f.beat()
		select {
		case job := <-f.jobs:
			job()
		default:
		}
	}
}

// inLoop runs fn on the loop and waits for it.
func (f *fleet) inLoop(fn func()) {
	done := make(chan struct{})
	f.jobs <- func() { fn(); close(done) }
	<-done
}

// do carries out a command of the parent.
func (f *fleet) do(c command) (answer, error) {
	var a answer
	var err error
	switch c.Do {
	case "connect":
		var list []*client
		if list, a.Seconds, err = dialAll(c); err == nil {
			f.inLoop(func() { err = f.adopt(list) })
			a.N = len(list)
		}
	case "beat":
		f.inLoop(func() { f.every, f.began, f.beaten = time.Duration(c.Every)*time.Millisecond, time.Now(), 0 })
	case "join":
		f.inLoop(func() { f.sendAll(protocol.AppendFrame(nil, protocol.OpChangeRoom, 1, []byte(c.Room))) })
	case "reset":
		f.inLoop(f.reset)
	case "stats":
		f.inLoop(func() { a.Fleet = f.stats })
	case "close":
		f.inLoop(f.closeAll)
	default:
		err = fmt.Errorf("no command %q", c.Do)
	}
	return a, err
}

func (f *fleet) adopt(list []*client) error {
	for _, c := range list {
		if err := unix.SetNonblock(c.fd, true); err != nil {
			return fmt.Errorf("set non-blocking: %w", err)
		}
		e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)} //nolint:gosec // a descriptor
		if err := unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, c.fd, &e); err != nil {
			return fmt.Errorf("watch connection: %w", err)
		}
		f.byFD[int32(c.fd)] = c //nolint:gosec // a descriptor
		f.clients = append(f.clients, c)
		f.stats.Alive++
	}
	return nil
}

// reset forgets what was counted; broadcasts are numbered from 0 again.
func (f *fleet) reset() {
	f.stats = fleetStats{Alive: f.stats.Alive, Gone: f.stats.Gone, Joined: f.stats.Joined}
	for _, c := range f.clients {
		c.next = 0
	}
}

func (f *fleet) closeAll() {
	for _, c := range f.clients {
		f.drop(c)
	}
	f.clients, f.stats, f.every = nil, fleetStats{}, 0
}

// drop closes a connection by reset, so that no port stays behind.
func (f *fleet) drop(c *client) {
	if f.byFD[int32(c.fd)] != c { //nolint:gosec // a descriptor
		return
	}
	delete(f.byFD, int32(c.fd)) //nolint:gosec // a descriptor
	f.stats.Alive--
	f.stats.Gone++
	closeHard(c.fd)
}

func closeHard(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) //nolint:errcheck // only tidier
	_ = unix.Close(fd)                                                                     //nolint:errcheck // nothing to do about it
}

// beat sends the heartbeats that are due: spread evenly over the interval.
func (f *fleet) beat() {
	n := int64(len(f.clients))
	if f.every == 0 || n == 0 {
		return
	}
	due := int64(time.Since(f.began)) * n / int64(f.every)
	frame := protocol.AppendFrame(nil, protocol.OpHeartbeat, 1, nil)
	for ; f.beaten < due; f.beaten++ {
		if c := f.clients[f.beaten%n]; f.send(c, frame) {
			f.stats.Beats++
		}
	}
}

func (f *fleet) sendAll(frame []byte) {
	for _, c := range f.clients {
		f.send(c, frame)
	}
}

// send writes a frame. It is so small that a socket which does not take it is
// broken.
func (f *fleet) send(c *client, frame []byte) bool {
	if f.byFD[int32(c.fd)] != c { //nolint:gosec // a descriptor
		return false
	}
	if c.ws {
		frame = appendMasked(nil, frame)
	}
	if n, err := unix.Write(c.fd, frame); err != nil || n != len(frame) {
		f.drop(c)
		return false
	}
	return true
}

// receive reads once what one connection has.
func (f *fleet) receive(c *client) {
	have := copy(f.buf, c.rest)
	n, err := unix.Read(c.fd, f.buf[have:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if err != nil || n <= 0 {
		f.drop(c)
		return
	}
	rest := f.buf[:have+n]
	now := time.Now().UnixNano()
	for len(rest) > 0 {
		used, ok := f.cut(c, rest, now)
		if !ok {
			f.stats.Garbage++
			f.drop(c)
			return
		}
		if used == 0 {
			break
		}
		rest = rest[used:]
	}
	if len(rest) == 0 {
		c.rest = nil
		return
	}
	c.rest = append([]byte(nil), rest...)
}

// cut handles the first message in b and answers how long it was, 0 when it has
// not fully arrived.
func (f *fleet) cut(c *client, b []byte, now int64) (used int, ok bool) {
	if !c.ws {
		return f.frame(c, b, now)
	}
	head, size := 2, 0
	if len(b) < head {
		return 0, true
	}
	switch size = int(b[1]); size {
	case 126:
		if head = 4; len(b) < head {
			return 0, true
		}
		size = int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		return 0, false
	}
	if len(b) < head+size {
		return 0, true
	}
	switch b[0] {
	case 0x82: // binary, whole
		n, ok := f.frame(c, b[head:head+size], now)
		return head + size, ok && n == size
	case 0x89, 0x8a: // ping, pong: the server sends none that needs an answer
		return head + size, true
	}
	return 0, false
}

// frame handles one frame of the comet protocol.
func (f *fleet) frame(c *client, b []byte, now int64) (used int, ok bool) {
	if len(b) < protocol.HeaderBytes {
		return 0, true
	}
	size := int(binary.BigEndian.Uint32(b))
	if size < protocol.HeaderBytes || size > 1<<18 {
		return 0, false
	}
	if len(b) < size {
		return 0, true
	}
	body := b[protocol.HeaderBytes:size]
	switch op := protocol.Op(binary.BigEndian.Uint32(b[8:])); op { //nolint:gosec // a bit pattern
	case protocol.OpHeartbeatReply:
		f.stats.Replies++
	case protocol.OpChangeRoomOK:
		f.stats.Joined++
	case protocol.OpRaw:
		for len(body) > 0 {
			n, ok := f.frame(c, body, now)
			if !ok || n == 0 {
				return 0, false
			}
			body = body[n:]
		}
	default:
		return size, f.broadcast(c, body, now)
	}
	return size, true
}

// broadcast notes a delivery.
func (f *fleet) broadcast(c *client, body []byte, now int64) bool {
	read := readBroadcast
	if bytes.HasPrefix(body, []byte(`{"ChatType":3`)) {
		read = readLive
	}
	sent, seq, ok := read(body)
	if !ok {
		return false
	}
	f.stats.Deliveries++
	f.stats.Latency.add(time.Duration(now - sent))
	if seq < c.next {
		f.stats.Doubled++
		return true
	}
	f.stats.Missed += int(seq - c.next)
	c.next = seq + 1
	return true
}

// broadcastBody is a body of exactly size bytes with the time and a number in
// fixed places.
func broadcastBody(at time.Time, seq uint32, size int) []byte {
	b := fmt.Appendf(nil, `{"Time":%019d,"Seq":%08d,"Content":"`, at.UnixNano(), seq)
	for len(b) < size-2 {
		b = append(b, 'x')
	}
	return append(b, '"', '}')
}

// readBroadcast reads what broadcastBody wrote.
func readBroadcast(b []byte) (at int64, seq uint32, ok bool) {
	if len(b) < 42 {
		return 0, 0, false
	}
	t, ok1 := digits(b[8:27])
	n, ok2 := digits(b[34:42])
	return t, uint32(n), ok1 && ok2 //nolint:gosec // eight digits
}

func digits(b []byte) (int64, bool) {
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// appendMasked makes a client's WebSocket message of a frame. The mask is zero,
// which the standard allows and which changes nothing.
func appendMasked(dst, frame []byte) []byte {
	dst = append(dst, 0x82)
	if len(frame) < 126 {
		dst = append(dst, 0x80|byte(len(frame)))
	} else {
		dst = append(dst, 0x80|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(frame))) //nolint:gosec // frames of ours are short
	}
	return append(append(dst, 0, 0, 0, 0), frame...)
}
