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
)

var everyTransport = []string{"tcp", "tls", "ws"}

func TestLoginPushAndHeartbeatOverEveryTransport(t *testing.T) {
	s := start(t, quick())
	for i, over := range everyTransport {
		t.Run(over, func(t *testing.T) {
			user, session := int64(100+i), int64(1000+i)
			c := s.client(t, over, fmt.Sprintf("%d.%d", user, session))
			if !s.Online(user) || !s.SessionOnline(session) || s.Online(99) {
				t.Error("wrong about who is online")
			}
			if n := s.Push(user, text(1, 0)); n != 1 {
				t.Fatalf("pushed to %d connections", n)
			}
			f := expect(t, c, protocol.OpPrivate)
			if string(f.Body) != string(text(1, 0).Body) || f.Seq != 0 || f.Ver != 1 {
				t.Errorf("push came as %+v", f)
			}
			if err := c.Write(protocol.OpHeartbeat, 77, []byte("100_")); err != nil {
				t.Fatal(err)
			}
			f = expect(t, c, protocol.OpHeartbeatReply)
			if f.Seq != 77 || len(f.Body) != 4 || binary.BigEndian.Uint32(f.Body) != 0 {
				t.Errorf("heartbeat answered %+v", f)
			}
			eventually(t, "handed", func() (ok bool) {
				s.locked(func() {
					for _, h := range s.handed {
						ok = ok || h.session == session && h.conversation == 5 && h.seq == 1
					}
				})
				return ok
			})
			_ = c.Close()
			eventually(t, "offline", func() bool { return !s.Online(user) && !s.SessionOnline(session) })
		})
	}
	eventually(t, "all closed", func() (ok bool) {
		s.locked(func() { ok = len(s.opened) == 3 && len(s.closed) == 3 })
		return ok
	})
	if st := s.Stats(); st.Connections != 0 || st.Users != 0 || st.FramesIn == 0 || st.FramesOut == 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestPushFormsAndExclusions(t *testing.T) {
	s := start(t, quick())
	plain, rich := s.client(t, "tcp", "1.11"), s.client(t, "ws", "1.12", "seq")
	p := &gateway.Push{Op: protocol.OpPrivate, Body: []byte(`{"a":1}`), FeatureBody: []byte(`{"a":1,"Seq":2}`)}
	if n := s.Push(1, p); n != 2 {
		t.Fatalf("pushed to %d", n)
	}
	if f := expect(t, plain, protocol.OpPrivate); string(f.Body) != `{"a":1}` {
		t.Errorf("plain client got %s", f.Body)
	}
	if f := expect(t, rich, protocol.OpPrivate); string(f.Body) != `{"a":1,"Seq":2}` {
		t.Errorf("feature client got %s", f.Body)
	}
	if n := s.Push(1, &gateway.Push{Op: protocol.OpPrivate, Body: []byte(`1`), ExceptSession: 12}); n != 1 {
		t.Errorf("ExceptSession left %d", n)
	}
	if n := s.Push(1, &gateway.Push{Op: protocol.OpNotice, Body: []byte(`2`), FeaturesOnly: true}); n != 1 {
		t.Errorf("FeaturesOnly reached %d", n)
	}
	if n := s.PushSession(11, &gateway.Push{Op: protocol.OpPrivate, Body: []byte(`3`)}); n != 1 {
		t.Errorf("PushSession reached %d", n)
	}
	for _, want := range []string{"1", "3"} {
		if f := expect(t, plain, protocol.OpPrivate); string(f.Body) != want {
			t.Errorf("plain client got %s, want %s", f.Body, want)
		}
	}
	if f, err := rich.Read(); err != nil || f.Op != protocol.OpNotice || string(f.Body) != "2" {
		t.Errorf("feature client got %+v, %v", f, err)
	}
}

func TestGuestCountsAsNoUserAndMayOnlyJoinRooms(t *testing.T) {
	requests := atomic.Int32{}
	s := start(t, quick(), func(d *gateway.Deps) {
		d.Request = func(context.Context, gateway.ConnInfo, protocol.Header, []byte) (protocol.Op, []byte) {
			requests.Add(1)
			return protocol.OpSendReply, []byte(`{}`)
		}
	})
	c := s.client(t, "ws", "", "seq")
	for _, op := range []protocol.Op{4, 14, 16, 18, 20, 21} {
		if err := c.Write(op, 1, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Write(protocol.OpChangeRoom, 2, []byte("live_1")); err != nil {
		t.Fatal(err)
	}
	if f, err := c.Read(); err != nil || f.Op != protocol.OpChangeRoomOK || f.Seq != 2 {
		t.Errorf("first answer %+v, %v", f, err)
	}
	if st := s.Stats(); st.Users != 0 || st.Guests != 1 || s.Online(0) || requests.Load() != 0 {
		t.Errorf("stats %+v, %d requests", st, requests.Load())
	}
}

func TestUnknownOpsAreIgnoredAndSubscriptionsAnsweredEmpty(t *testing.T) {
	s := start(t, quick())
	c := s.client(t, "tcp", "1.11")
	for i, op := range []protocol.Op{0, 1, 3, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 18, 19, 20, 21, 22, 100, -5} {
		if err := c.Write(op, int32(i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, op := range []protocol.Op{14, 16} {
		if err := c.Write(op, 9, []byte("1,2,3")); err != nil {
			t.Fatal(err)
		}
		if f, err := c.Read(); err != nil || f.Op != op+1 || len(f.Body) != 0 || f.Seq != 9 {
			t.Errorf("op %d answered %+v, %v", op, f, err)
		}
	}
}

func TestRequestsRunOneAtATimeAndAnswerWithTheSeq(t *testing.T) {
	var running, most, acks atomic.Int32
	s := start(t, quick(), func(d *gateway.Deps) {
		d.Request = func(_ context.Context, c gateway.ConnInfo, h protocol.Header, body []byte) (protocol.Op, []byte) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			if h.Op == protocol.OpAck {
				acks.Add(1)
				return 0, nil
			}
			return h.Op + 1, fmt.Appendf(nil, "%d %d %s", c.User, h.Seq, strings.Repeat(string(body), 40_000))
		}
	})
	for _, over := range everyTransport {
		c := s.client(t, over, "1.11", "seq")
		go func() {
			for i := range int32(20) {
				_ = c.Write(protocol.OpSync, i, []byte("abc"))
				_ = c.Write(protocol.OpAck, i, nil)
			}
		}()
		for i := range int32(20) {
			f, err := c.Read()
			if err != nil {
				t.Fatalf("%s: answer %d: %v", over, i, err)
			}
			if want := fmt.Sprintf("1 %d %s", i, strings.Repeat("abc", 40_000)); f.Seq != i || f.Op != protocol.OpSyncReply || string(f.Body) != want {
				t.Fatalf("%s: answer %d is op %d seq %d with %d bytes", over, i, f.Op, f.Seq, len(f.Body))
			}
		}
	}
	eventually(t, "60 acknowledgements", func() bool { return acks.Load() == 60 })
	if most.Load() != 1 {
		t.Errorf("%d requests of one connection at once", most.Load())
	}
}

func TestFullQueueOfAFeatureClientIsToldBehindOnce(t *testing.T) {
	cfg := quick()
	cfg.QueueFrames, cfg.SendBuffer = 30, 4096
	s := start(t, cfg)
	for _, over := range everyTransport {
		t.Run(over, func(t *testing.T) {
			c := s.client(t, over, "1.11", "seq")
			before := s.Stats().Overflows
			refused := 0
			for i := range uint64(3000) {
				if s.Push(1, text(i+1, 3000)) == 0 {
					refused++
				}
			}
			if refused == 0 || s.Stats().Overflows == before {
				t.Fatalf("nothing was dropped")
			}
			s.checkBehind(t, c)
			_ = c.Close()
			eventually(t, "offline", func() bool { return !s.Online(1) })
		})
	}
}

// checkBehind reads what came of 3000 pushes: in order, with a notice in front
// of every hole. Then pushes must come again.
func (s *site) checkBehind(t *testing.T, c *apptest.Client) {
	t.Helper()
	var last uint64
	told := 0
	warned := false
	for {
		f, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		if f.Op == protocol.OpNotice {
			if string(f.Body) != `{"Kind":"behind"}` || warned {
				t.Errorf("notice %s, the second in a row: %v", f.Body, warned)
			}
			warned = true
			if told++; s.Push(1, text(5000, 0)) == 1 {
				break
			}
			continue
		}
		var seq uint64
		at := strings.Index(string(f.Body), `"id-`)
		if _, err := fmt.Sscanf(string(f.Body[at:]), `"id-%d"`, &seq); err != nil {
			t.Fatal(err)
		}
		if seq <= last || seq != last+1 && !warned {
			t.Fatalf("%d behind %d without a notice", seq, last)
		}
		last, warned = seq, false
	}
	// The client may have caught up before the last of the 3000: those are first.
	for {
		f, err := c.Read()
		if err != nil {
			t.Fatalf("after %d notices: %v", told, err)
		}
		if strings.Contains(string(f.Body), `"id-5000"`) {
			return
		}
	}
}

func TestFullQueueOfAnotherClientClosesIt(t *testing.T) {
	cfg := quick()
	cfg.QueueFrames, cfg.SendBuffer = 30, 4096
	s := start(t, cfg)
	s.client(t, "tcp", "1.11")
	eventually(t, "closed", func() bool { s.Push(1, text(1, 4000)); return !s.Online(1) })
}

func TestHeartbeatConfirmsOnlyWhatIsOldEnough(t *testing.T) {
	s := start(t, quick())
	a := s.app(t, 1, 11)
	rich := s.client(t, "tcp", "1.12", "seq")
	for i := range uint64(3) {
		s.Push(1, text(i+1, 0))
	}
	if !a.WaitMessages(3, soon) {
		t.Fatal("no messages")
	}
	if err := a.Heartbeat(); err != nil {
		t.Fatal(err)
	}
	if !a.Wait(soon, func(a *apptest.App) bool { return a.Beats() == 1 }) {
		t.Fatal("no op 3")
	}
	count := func() (n int) { s.locked(func() { n = len(s.confirm) }); return n }
	if count() != 0 {
		t.Error("confirmed too early")
	}
	_ = rich.Write(protocol.OpHeartbeat, 1, nil)
	eventually(t, "confirmed", func() bool { _ = a.Heartbeat(); time.Sleep(5 * time.Millisecond); return count() > 0 })
	_ = rich.Write(protocol.OpHeartbeat, 1, nil)
	s.locked(func() {
		var seqs []uint64
		for _, c := range s.confirm {
			if c.session != 11 || c.conversation != 5 {
				t.Errorf("confirmed %+v", c)
			}
			for q := c.seq; q <= c.to; q++ {
				seqs = append(seqs, q)
			}
			for _, h := range s.handed {
				if h.session == 11 && h.seq == c.seq && c.at.Sub(h.at) < 190*time.Millisecond {
					t.Errorf("confirmed %v after the write", c.at.Sub(h.at))
				}
			}
		}
		if fmt.Sprint(seqs) != "[1 2 3]" {
			t.Errorf("confirmed %v", seqs)
		}
	})
}

func TestOrderIsKeptUnderConcurrentPushes(t *testing.T) {
	s := start(t, gateway.Config{QueueFrames: 100_000, QueueBytes: 1 << 30, Tick: 5 * time.Millisecond})
	const pushers, each = 8, 400
	for _, over := range everyTransport {
		c := s.client(t, over, "1.11", "seq")
		var work sync.WaitGroup
		for p := range pushers {
			work.Go(func() {
				for i := range each {
					s.Push(1, &gateway.Push{Op: protocol.OpPrivate, Body: fmt.Appendf(nil, "%d %d", p, i)})
				}
			})
		}
		next := make([]int, pushers)
		for range pushers * each {
			f, err := c.Read()
			if err != nil {
				t.Fatal(err)
			}
			var p, i int
			if _, err := fmt.Sscanf(string(f.Body), "%d %d", &p, &i); err != nil || next[p] != i {
				t.Fatalf("%s: pusher %d: %d, want %d", over, p, i, next[p])
			}
			next[p]++
		}
		work.Wait()
		_ = c.Close()
		eventually(t, "offline", func() bool { return !s.Online(1) })
	}
}

func TestClientThatAsksWithoutReadingIsAskedToWait(t *testing.T) {
	var asked atomic.Int32
	cfg := quick()
	cfg.SendBuffer = 4096
	s := start(t, cfg, func(d *gateway.Deps) {
		d.Request = func(_ context.Context, _ gateway.ConnInfo, h protocol.Header, _ []byte) (protocol.Op, []byte) {
			asked.Add(1)
			return h.Op + 1, make([]byte, 1<<20)
		}
	})
	c := s.client(t, "tcp", "1.11", "seq")
	for i := range int32(100) {
		if err := c.Write(protocol.OpSync, i, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the first request", func() bool { return asked.Load() > 0 })
	before := asked.Load()
	for before != 0 { // until the kernel's buffers are full and nothing moves
		time.Sleep(100 * time.Millisecond)
		now := asked.Load()
		if now == before {
			break
		}
		before = now
	}
	if n := asked.Load(); n > 20 {
		t.Errorf("%d answers of 1 MiB were made for a client that reads none", n)
	}
	_ = c.Close()
	eventually(t, "gone", func() bool { return s.Connections() == 0 })
}

func TestOp8IsFirstWhateverIsPushed(t *testing.T) {
	s := start(t, quick())
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for !isClosed(done) {
			s.Push(1, text(1, 0))
		}
	})
	for _, over := range everyTransport {
		for range 30 {
			// Dial fails when anything comes before op 8.
			_ = s.client(t, over, "1.11", "seq").Close()
		}
	}
	for range 10 {
		a := s.app(t, 1, 12)
		if first := a.Reads()[0]; first.Ops[0] != protocol.OpAuthReply || first.Bytes != 16 {
			t.Errorf("F8: first read %+v", first)
		}
		a.Close()
	}
	close(done)
	work.Wait()
}

// A write that had to wait leaves no deadline behind: it would fail the next
// write that does not.
func TestConnectionLivesOnAfterAWriteThatWaited(t *testing.T) {
	cfg := quick()
	cfg.SendBuffer, cfg.WriteTimeout, cfg.QueueBytes = 4096, 300*time.Millisecond, 64<<20
	s := start(t, cfg)
	for _, over := range everyTransport {
		c := s.client(t, over, "1.11", "seq")
		const n = 400
		for i := range uint64(n) {
			s.Push(1, text(i+1, 4000))
		}
		for range n {
			expect(t, c, protocol.OpPrivate)
		}
		time.Sleep(2 * cfg.WriteTimeout) // the deadline that must not be there
		if s.Push(1, text(1, 0)) != 1 {
			t.Fatalf("%s: not connected any more", over)
		}
		expect(t, c, protocol.OpPrivate)
		_ = c.Close()
		eventually(t, "offline", func() bool { return !s.Online(1) })
	}
}

// A client that takes nothing at all is given up after the write timeout, also
// when its queue is not full.
func TestDeadReaderIsClosedAfterTheWriteTimeout(t *testing.T) {
	cfg := quick()
	cfg.SendBuffer, cfg.WriteTimeout, cfg.QueueBytes, cfg.QueueFrames = 4096, 200*time.Millisecond, 64<<20, 1<<20
	s := start(t, cfg)
	for _, over := range everyTransport {
		s.client(t, over, "1.11", "seq")
		for i := range uint64(3000) {
			s.Push(1, text(i+1, 4000))
		}
		eventually(t, over+" closed", func() bool { return s.Connections() == 0 })
	}
}
