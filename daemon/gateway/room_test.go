package gateway_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/daemon/apptest"
	"gtiv/daemon/gateway"
	"gtiv/protocol"

	"github.com/coder/websocket"
)

func closeStatus(err error) int { return int(websocket.CloseStatus(err)) }

// join enters a broadcast room.
func join(t testing.TB, c *apptest.Client, room string) {
	t.Helper()
	if err := c.Write(protocol.OpChangeRoom, 1, []byte(room)); err != nil {
		t.Fatal(err)
	}
	if f := expect(t, c, protocol.OpChangeRoomOK); len(f.Body) != 0 {
		t.Fatalf("op 13 with %q", f.Body)
	}
}

func TestRoomMembersOfEveryTransportGetEveryFrameInOrder(t *testing.T) {
	s := start(t, quick())
	var all []*apptest.Client
	for _, over := range everyTransport {
		c := s.client(t, over, "")
		join(t, c, "live_7")
		all = append(all, c)
	}
	other := s.client(t, "tcp", "1.11")
	join(t, other, "live_8")
	if s.RoomOnline("live_7") != 3 || s.RoomOnline("live_8") != 1 || s.RoomOnline("live_9") != 0 || s.Stats().Rooms != 2 {
		t.Errorf("wrong numbers online")
	}
	for i := range 200 {
		if n := s.Publish("live_7", gateway.Broadcast{Op: 107, Body: fmt.Appendf(nil, "%d", i)}); n != 3 {
			t.Fatalf("published to %d", n)
		}
	}
	for k, c := range all {
		for i := range 200 {
			f, err := c.Read()
			if err != nil || f.Op != 107 || string(f.Body) != fmt.Sprint(i) {
				t.Fatalf("%s: frame %d is %+v, %v", everyTransport[k], i, f, err)
			}
			if f.Batch != (everyTransport[k] == "ws") {
				t.Fatalf("%s: inside op 9: %v", everyTransport[k], f.Batch)
			}
		}
		if err := c.Write(protocol.OpHeartbeat, 1, nil); err != nil {
			t.Fatal(err)
		}
		if f := expect(t, c, protocol.OpHeartbeatReply); binary.BigEndian.Uint32(f.Body) != 3 {
			t.Errorf("heartbeat says %x online", f.Body)
		}
	}
	_ = all[0].Close()
	eventually(t, "one left", func() bool { return s.RoomOnline("live_7") == 2 })
	join(t, all[1], "live_8")
	join(t, all[2], "")
	if s.RoomOnline("live_7") != 0 || s.RoomOnline("live_8") != 2 || s.Publish("live_7", gateway.Broadcast{Op: 107}) != 0 {
		t.Error("the room is not empty")
	}
}

func TestRoomNamesThatCannotBeAreIgnored(t *testing.T) {
	s := start(t, quick())
	c := s.client(t, "tcp", "1.11")
	for _, name := range []string{"a b", "ä", "x/y", strings.Repeat("r", 65), "\x00", "a\n"} {
		if err := c.Write(protocol.OpChangeRoom, 1, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Write(protocol.OpHeartbeat, 5, nil); err != nil {
		t.Fatal(err)
	}
	if f, err := c.Read(); err != nil || f.Op != protocol.OpHeartbeatReply {
		t.Errorf("answer %+v, %v", f, err)
	}
	if s.Stats().Rooms != 0 {
		t.Error("a room was made")
	}
	join(t, c, "aZ0_:.-"+strings.Repeat("r", 57))
}

func TestBigRoomIsFlushedInBatchesAndQuietRoomAtOnce(t *testing.T) {
	cfg := quick()
	cfg.RoomDelayPerMember = 100 * time.Millisecond // two members make a big room
	s := start(t, cfg)
	ws, tcp := s.client(t, "ws", ""), s.client(t, "tcp", "")
	join(t, ws, "r")
	join(t, tcp, "r")
	began := time.Now()
	s.Publish("r", gateway.Broadcast{Op: 107, Body: []byte("first")})
	if f := expect(t, tcp, 107); string(f.Body) != "first" || time.Since(began) > 150*time.Millisecond {
		t.Errorf("%s after %v", f.Body, time.Since(began))
	}
	out := s.Stats().FramesOut
	for i := range 50 {
		s.Publish("r", gateway.Broadcast{Op: 107, Body: fmt.Appendf(nil, "%d", i)})
	}
	for i := range 50 {
		if f := expect(t, tcp, 107); string(f.Body) != fmt.Sprint(i) {
			t.Fatalf("frame %d is %s", i, f.Body)
		}
	}
	if took := time.Since(began); took < 195*time.Millisecond || took > 5*time.Second {
		t.Errorf("the batch came after %v, want 200 ms behind the first", took)
	}
	_, b, err := ws.WS().Read(t.Context()) // the first, alone in its op 9
	if err != nil || protocol.Op(binary.BigEndian.Uint32(b[8:])) != protocol.OpRaw {
		t.Fatalf("%x, %v", b, err)
	}
	_, b, err = ws.WS().Read(t.Context())
	if err != nil || protocol.Op(binary.BigEndian.Uint32(b[8:])) != protocol.OpRaw || binary.BigEndian.Uint32(b) != uint32(len(b)) {
		t.Fatalf("%x, %v", b, err)
	}
	if n := strings.Count(string(b), "\x00\x10\x00\x01\x00\x00\x00\x6b"); n != 50 {
		t.Errorf("%d frames in one op 9, want 50", n)
	}
	eventually(t, "100 frames counted", func() bool { return s.Stats().FramesOut-out >= 100 })
}

func TestRoomFloodIsCutIntoBatchesNobodyLoses(t *testing.T) {
	cfg := quick()
	cfg.RoomQueueBytes = 64 << 20
	s := start(t, cfg)
	ws, tcp := s.client(t, "ws", ""), s.client(t, "tcp", "")
	join(t, ws, "r")
	join(t, tcp, "r")
	const n = 400
	var work sync.WaitGroup
	for _, c := range []*apptest.Client{ws, tcp} {
		work.Go(func() {
			for i := range n {
				f, err := c.Read()
				if err != nil || len(f.Body) != 4000 || binary.BigEndian.Uint32(f.Body) != uint32(i) {
					t.Errorf("frame %d: %d bytes, %v", i, len(f.Body), err)
					return
				}
			}
		})
	}
	for i := range n {
		body := make([]byte, 4000)
		binary.BigEndian.PutUint32(body, uint32(i)) //nolint:gosec // small
		// A publisher above the flush's pace is refused, not waited for.
		eventually(t, "published", func() bool { return s.Publish("r", gateway.Broadcast{Op: 107, Body: body}) == 2 })
	}
	work.Wait()
	for _, size := range []int{4077, 4078, 4079, 4081} {
		if s.Publish("r", gateway.Broadcast{Op: 107, Body: make([]byte, size)}) != 0 {
			t.Errorf("a body of %d bytes, which the app cannot read, was published", size)
		}
	}
}

// slowly reads 1 KiB a second.
func slowly(ctx context.Context, c *apptest.Client) {
	b := make([]byte, 128)
	t := time.NewTicker(time.Second / 8)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if _, err := c.Conn().Read(b); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func TestSlowAndDeadReadersDelayNobody(t *testing.T) {
	cfg := quick()
	s := start(t, cfg)
	dead, slow := s.client(t, "tcp", ""), s.client(t, "tcp", "")
	join(t, dead, "r")
	join(t, slow, "r")
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { slowly(ctx, slow) })
	var readers sync.WaitGroup
	var worst atomic.Int64
	const n, frames = 200, 150
	for i := range n {
		c := s.client(t, []string{"tcp", "ws"}[i%2], "")
		join(t, c, "r")
		readers.Go(func() {
			for k := range frames {
				f, err := c.Read()
				if err != nil || binary.BigEndian.Uint32(f.Body) != uint32(k) {
					t.Errorf("frame %d: %v", k, err)
					return
				}
				sent := time.UnixMilli(int64(binary.BigEndian.Uint64(f.Body[4:]))) //nolint:gosec // a time
				worst.Store(max(worst.Load(), int64(time.Since(sent))))
			}
		})
	}
	for i := range frames {
		body := make([]byte, 3000)
		binary.BigEndian.PutUint32(body, uint32(i))
		binary.BigEndian.PutUint64(body[4:], uint64(time.Now().UnixMilli())) //nolint:gosec // a time
		s.Publish("r", gateway.Broadcast{Op: 107, Body: body})
		time.Sleep(25 * time.Millisecond)
	}
	readers.Wait()
	t.Logf("worst latency %v", time.Duration(worst.Load()))
	if late := time.Duration(worst.Load()); late > 8*time.Second {
		t.Errorf("a frame came %v late", late)
	}
	if s.Stats().RoomDrops == 0 {
		t.Error("the dead reader was not cut off: its queue has no bound")
	}
}

func TestWebSocketEndsWithAStatus(t *testing.T) {
	s := start(t, hasty())
	status := func(c *apptest.Client) int {
		_, err := c.Read()
		return closeStatus(err)
	}
	c := s.client(t, "ws", "1.11")
	if err := c.WS().Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := status(c); got != 1003 {
		t.Errorf("text: status %d", got)
	}
	c = s.client(t, "ws", "1.11")
	if err := c.WriteRaw([]byte("garbage")); err != nil {
		t.Fatal(err)
	}
	if got := status(c); got != 1002 {
		t.Errorf("garbage: status %d", got)
	}
	c = s.client(t, "ws", "1.11")
	two := protocol.AppendFrame(protocol.AppendFrame(nil, 2, 1, nil), 2, 1, nil)
	if err := c.WriteRaw(two); err != nil {
		t.Fatal(err)
	}
	if got := status(c); got != 1002 {
		t.Errorf("two frames in a message: status %d", got)
	}
	c = s.client(t, "ws", "1.11")
	if err := c.WriteRaw(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	if got := status(c); got != 1009 {
		t.Errorf("long message: status %d", got)
	}
	c = s.stranger(t, "ws")
	if err := c.Write(protocol.OpAuth, 1, []byte(`{"userToken":"nobody"}`)); err != nil {
		t.Fatal(err)
	}
	if got := status(c); got != 1008 {
		t.Errorf("unknown token: status %d", got)
	}
	c = s.stranger(t, "ws")
	if err := c.Write(protocol.OpAuth, 1, []byte(`{"userToken":"later"}`)); err != nil {
		t.Fatal(err)
	}
	if got := status(c); got != 1013 {
		t.Errorf("cannot check now: status %d", got)
	}
	c = s.stranger(t, "ws")
	if got := status(c); got != 1008 {
		t.Errorf("no login: status %d", got)
	}
}

func TestWebSocketPingIsAnsweredBetweenPushes(t *testing.T) {
	cfg := quick()
	cfg.SendBuffer, cfg.InRate = 4096, 100_000 // writes stop in the middle of a message
	s := start(t, cfg)
	c := s.client(t, "ws", "1.11", "seq")
	var work sync.WaitGroup
	done := make(chan struct{})
	work.Go(func() {
		for i := uint64(1); ; i++ {
			select {
			case <-done:
				s.Push(1, &gateway.Push{Op: 101, Body: []byte("end")})
				return
			default:
				s.Push(1, text(i, 4000))
			}
		}
	})
	work.Go(func() {
		for {
			f, err := c.Read()
			if err != nil {
				t.Errorf("read: %v", err)
				return
			}
			if f.Op == 101 || f.Op == protocol.OpNotice && isClosed(done) {
				return
			}
			if f.Op == protocol.OpPrivate && len(f.Body) < 4000 {
				t.Errorf("frame of %d bytes", len(f.Body))
			}
		}
	})
	for i := range 200 {
		if err := c.WS().Ping(t.Context()); err != nil {
			t.Errorf("ping %d: %v", i, err)
			break
		}
	}
	close(done)
	work.Wait()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
