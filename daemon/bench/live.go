package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gtiv/protocol"
	"gtiv/store"
)

// The load of the live figure: each writer sends one message per second.
const (
	liveWriters = 50
	liveText    = 60 // characters
)

// liveRoom measures the chat of one live room through the whole of gtiv: writers
// over HTTP, readers on the long connection, and among the readers one that
// never reads and one that takes 1 KiB a second.
func liveRoom(ctx context.Context, b *bench) error {
	n, seconds := pick(b, 10_000, 4_000), pick(b, 15, 6)
	data, err := b.folder("live")
	if err != nil {
		return err
	}
	var writers []person
	var room store.LiveRoom
	if err := withStore(ctx, data, func(s *store.Store) error {
		if writers, err = people(ctx, s, liveWriters); err == nil {
			room, err = s.CreateLive(ctx, writers[0].id, "bench", "", nil)
		}
		return err
	}); err != nil {
		return err
	}
	s, err := b.serve(ctx, data)
	if err != nil {
		return err
	}
	r, err := liveLoad(ctx, s, room.ID, writers, n, seconds)
	s.kill()
	if err == nil {
		err = liveStored(ctx, data, room.ID, r.want/n)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.log)
	}
	b.add(row{
		Figure: fmt.Sprintf("live room of %d readers, %d messages/s from %d writers over HTTP: server CPU per delivery", n, liveWriters, liveWriters), Target: "≤ 1 µs",
		Measured: fmt.Sprintf("%.2f µs (%.0f %% of a core)", r.each(), r.share()),
	})
	b.add(row{
		Figure: "the same, from sending to reading, with one reader that never reads and one at 1 KiB/s", Target: "all, p99 < 1.5 s",
		Measured: fmt.Sprintf("%s; RSS grew by %s", r.latency(), mib(r.grown)),
	})
	return nil
}

// liveResult is what the load took.
type liveResult struct {
	broadcastResult
	grown float64 // bytes of resident memory
}

func liveLoad(ctx context.Context, s *server, room int64, writers []person, n, seconds int) (*liveResult, error) {
	clients, err := startChild("fleet")
	if err != nil {
		return nil, err
	}
	defer clients.close()
	if err := liveReaders(ctx, s, clients, room, n); err != nil {
		return nil, err
	}
	slow, err := slowReaders(ctx, s.addr(portComet), protocol.LiveRoomName(room))
	if err != nil {
		return nil, err
	}
	defer slow()
	before, err := cpu(s.pid())
	if err != nil {
		return nil, err
	}
	held, err := rss(s.pid())
	if err != nil {
		return nil, err
	}
	r := &liveResult{}
	began := time.Now()
	sent, err := liveSend(ctx, s, room, writers, seconds)
	if err != nil {
		return nil, err
	}
	r.seconds, r.want = time.Since(began).Seconds(), n*sent
	if err := r.await(ctx, clients, n); err != nil {
		return nil, err
	}
	after, err := cpu(s.pid())
	if err != nil {
		return nil, err
	}
	r.cpu = after - before
	holds, err := rss(s.pid())
	r.grown = holds - held
	return r, errors.Join(err, r.complete(n))
}

// liveReaders connects n guests and has them enter the room.
func liveReaders(ctx context.Context, s *server, clients *child, room int64, n int) error {
	if _, err := clients.call(ctx, command{Do: "connect", Addr: s.addr(portComet), Local: "127.0.0.5", Tokens: make([]string, n)}); err != nil {
		return err
	}
	if _, err := clients.call(ctx, command{Do: "join", Room: protocol.LiveRoomName(room)}); err != nil {
		return err
	}
	joined := 0
	for end := time.Now().Add(20 * time.Second); joined < n && time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		a, err := clients.call(ctx, command{Do: "stats"})
		if err != nil {
			return err
		}
		joined = a.Fleet.Joined
	}
	if joined != n {
		return fmt.Errorf("%d of %d entered the room", joined, n)
	}
	_, err := clients.call(ctx, command{Do: "reset"})
	return err
}

// slowReaders enters the room twice with small windows: one connection never
// reads, one takes 1 KiB a second until close is called.
func slowReaders(ctx context.Context, addr, room string) (closeAll func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	var conns []net.Conn
	closeAll = func() {
		cancel()
		for _, c := range conns {
			_ = c.Close() //nolint:errcheck // nothing to do about it
		}
		work.Wait()
	}
	d := net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }) //nolint:errcheck // only smaller
	}}
	for range 2 {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			closeAll()
			return nil, err
		}
		conns = append(conns, c)
		if err := enterAsGuest(c, room); err != nil {
			closeAll()
			return nil, fmt.Errorf("slow reader: %w", err)
		}
	}
	work.Go(func() {
		for buf := make([]byte, 128); ctx.Err() == nil; pause(ctx, time.Second/8) {
			if _, err := conns[1].Read(buf); err != nil {
				return
			}
		}
	})
	return closeAll, nil
}

// enterAsGuest logs in as nobody and enters a room.
func enterAsGuest(c net.Conn, room string) error {
	for _, step := range []struct {
		op, answer protocol.Op
		body       string
	}{{protocol.OpAuth, protocol.OpAuthReply, `{"userToken":"","platform":"bench"}`}, {protocol.OpChangeRoom, protocol.OpChangeRoomOK, room}} {
		if _, err := c.Write(protocol.AppendFrame(nil, step.op, 1, []byte(step.body))); err != nil {
			return err
		}
		h, body, err := readFrame(c)
		if err != nil {
			return err
		}
		if h.Op != step.answer || len(body) > 0 {
			return fmt.Errorf("op %d is answered with op %d %s", step.op, h.Op, body)
		}
	}
	return nil
}

// liveSend has every writer send one message per second, spread over it, and
// answers how many were acknowledged.
func liveSend(ctx context.Context, s *server, room int64, writers []person, seconds int) (int, error) {
	began := time.Now()
	errs := make([]error, len(writers))
	var wg sync.WaitGroup
	for i, p := range writers {
		wg.Go(func() {
			first := began.Add(time.Second * time.Duration(i) / time.Duration(len(writers)))
			errs[i] = liveWriter(ctx, s.addr(portImbiz), room, p, first, seconds)
		})
	}
	wg.Wait()
	return len(writers) * seconds, errors.Join(errs...)
}

func liveWriter(ctx context.Context, addr string, room int64, p person, first time.Time, count int) error {
	h, err := dialHTTP(ctx, addr)
	if err != nil {
		return err
	}
	defer h.close()
	for i := range count {
		pause(ctx, time.Until(first.Add(time.Duration(i)*time.Second)))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		content := fmt.Sprintf("%019d%s", time.Now().UnixNano(), message[19:liveText])
		body := fmt.Sprintf(`{"RoomId":"%d","Message":"%s"}`, room, content)
		if _, err := h.call(httpRequest("POST", "/live/chat", p.token, body)); err != nil {
			return fmt.Errorf("live chat: %w", err)
		}
	}
	return nil
}

// await waits until everybody has everything.
func (r *liveResult) await(ctx context.Context, clients *child, n int) error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		a, err := clients.call(ctx, command{Do: "stats"})
		if err != nil {
			return err
		}
		if r.fleetStats = a.Fleet; r.Deliveries >= r.want || r.Alive < n {
			break
		}
	}
	return nil
}

// liveStored fails when the room does not end with the acknowledged messages.
func liveStored(ctx context.Context, data string, room int64, sent int) error {
	return withStore(ctx, data, func(s *store.Store) error {
		list, err := s.LiveMessages(ctx, room, 1000)
		if err != nil {
			return err
		}
		if len(list) == 0 || list[len(list)-1].Seq != uint64(sent) { //nolint:gosec // a count
			return fmt.Errorf("after kill -9: %d messages are stored, and the last is not number %d", len(list), sent)
		}
		return nil
	})
}

// readLive reads the time and the number of a live message. Numbers start at 1.
func readLive(b []byte) (at int64, seq uint32, ok bool) {
	const content, number = `"Content":"`, `"Seq":`
	i, j := bytes.Index(b, []byte(content)), bytes.LastIndex(b, []byte(number))
	if i < 0 || j < 0 || len(b) < i+len(content)+19 {
		return 0, 0, false
	}
	t, ok := digits(b[i+len(content) : i+len(content)+19])
	rest := b[j+len(number):]
	n, err := strconv.Atoi(string(rest[:max(bytes.IndexAny(rest, ",}"), 0)]))
	return t, uint32(n - 1), ok && err == nil && n > 0 //nolint:gosec // a count
}
