package gateway_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/daemon/apptest"
	"gtiv/daemon/gateway"
	"gtiv/protocol"
)

// hall is the chat of live_7 as a feature would keep it: numbered messages, the
// last 50 for who enters, one lock around both.
type hall struct {
	g      *gateway.Gateway
	mu     sync.Mutex
	closed bool
	next   uint64
	last   []gateway.Broadcast
}

const hallName = "live_7"

// startHall runs a gateway whose only live room is live_7. Users with odd
// numbers read Chinese.
func startHall(t testing.TB, cfg gateway.Config) (*site, *hall) {
	t.Helper()
	h := &hall{}
	s := start(t, cfg, func(d *gateway.Deps) {
		d.Join = h.join
		d.Authenticate = func(ctx context.Context, token string) (gateway.Identity, error) {
			id, err := authenticate(ctx, token)
			id.Language = []string{"en", "zh"}[id.User%2]
			return id, err
		}
	})
	h.g = s.Gateway
	return s, h
}

func (h *hall) join(_ context.Context, _ gateway.ConnInfo, room, _ string, enter func([]gateway.Broadcast)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room == hallName && !h.closed {
		enter(h.last)
	}
}

// say publishes the next message, which starts with its number.
func (h *hall) say(text string, byLanguage map[string][]byte) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	b := gateway.Broadcast{Op: 107, Seq: h.next, Body: fmt.Appendf(nil, "%d %s", h.next, text), ByLanguage: byLanguage}
	h.last = append(h.last, b)
	h.last = h.last[max(0, len(h.last)-50):]
	return h.g.Publish(hallName, b)
}

// set replaces what the room has.
func (h *hall) set(next uint64, last []gateway.Broadcast) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next, h.last = next, last
}

// number reads the next message of the room and answers its number.
func number(t testing.TB, c *apptest.Client) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscanf(string(expect(t, c, 107).Body), "%d ", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWhoEntersFindsNeitherGapNorDouble(t *testing.T) {
	cfg := quick()
	cfg.RoomDelayPerMember, cfg.RoomDelayMax = 2*time.Millisecond, 30*time.Millisecond // something always waits for a flush
	s, h := startHall(t, cfg)
	const messages, readers = 1500, 24
	var work sync.WaitGroup
	for i := range readers {
		work.Go(func() {
			c := s.client(t, everyTransport[i%len(everyTransport)], "")
			for end := messages * i / (readers + 1); ; time.Sleep(time.Millisecond) {
				h.mu.Lock()
				said := int(h.next)
				h.mu.Unlock()
				if said >= end {
					break
				}
			}
			for range 3 { // out and in again, too
				if err := c.Write(protocol.OpChangeRoom, 1, nil); err != nil {
					t.Error(err)
				}
				if err := c.Write(protocol.OpChangeRoom, 2, []byte(hallName)); err != nil {
					t.Error(err)
				}
			}
			followTo(t, c, messages)
		})
	}
	for range messages {
		h.say("hello", nil)
		time.Sleep(time.Millisecond)
	}
	work.Wait()
}

// followTo reads until the last message. Behind every op 13 the numbers may
// begin anew; from then on none is missing or comes twice.
func followTo(t testing.TB, c *apptest.Client, last int) {
	before := 0
	for entered := 0; before < last; {
		f, err := c.Read()
		if err != nil {
			t.Errorf("after %d: %v", before, err)
			return
		}
		if f.Op == protocol.OpChangeRoomOK {
			if f.Seq == 2 {
				entered++
			}
			before = 0
			continue
		}
		var n int
		_, _ = fmt.Sscanf(string(f.Body), "%d ", &n)
		// While the client still goes in and out, op 13 may come behind what is older.
		if before != 0 && n != before+1 && entered == 3 {
			t.Errorf("%d comes after %d", n, before)
			return
		}
		before = n
	}
}

func TestTheBacklogComesBehindOp13InOrder(t *testing.T) {
	s, h := startHall(t, quick())
	for range 60 {
		h.say("early", nil)
	}
	early := slices.Clone(h.last)
	for _, over := range everyTransport {
		c := s.client(t, over, "")
		join(t, c, hallName)
		for want := 11; want <= 60; want++ {
			f := expect(t, c, 107)
			if string(f.Body) != fmt.Sprint(want, " early") || f.Batch != (over == "ws") {
				t.Fatalf("%s: %q, inside op 9 %v, want %d", over, f.Body, f.Batch, want)
			}
		}
		// Who is there already is not told again.
		join(t, c, hallName)
		if n := h.say("late", nil); n != 1 {
			t.Fatalf("%d readers", n)
		}
		if f := expect(t, c, 107); !strings.HasSuffix(string(f.Body), "late") {
			t.Errorf("%s: %s came twice", over, f.Body)
		}
		_ = c.Close()
		eventually(t, "left", func() bool { return s.RoomOnline(hallName) == 0 })
		h.set(h.next, early)
	}
}

func TestABacklogTooBigForTheQueueKeepsTheNewest(t *testing.T) {
	cfg := quick()
	cfg.RoomQueueBytes = 10_000
	s, h := startHall(t, cfg)
	for range 50 {
		h.say(strings.Repeat("x", 1000), nil)
	}
	c := s.client(t, "tcp", "")
	join(t, c, hallName)
	if n := number(t, c); n != 42 {
		t.Errorf("begins with %d of 50", n)
	}
}

func TestWhoIsNotLetInIsToldAndStays(t *testing.T) {
	s, h := startHall(t, quick())
	c, plain := s.client(t, "ws", "11.1"), s.client(t, "tcp", "")
	join(t, c, hallName)
	for _, name := range []string{"live_8", "r", "live_", "live_07", "live_-7", "live_99999999999", "LIVE_7", "live_7.m3u8"} {
		for _, c := range []*apptest.Client{c, plain} {
			if err := c.Write(protocol.OpChangeRoom, 5, []byte(name)); err != nil {
				t.Fatal(err)
			}
			f := expect(t, c, protocol.OpChangeRoomOK)
			var head protocol.Head
			if err := json.Unmarshal(f.Body, &head); err != nil || head.ApiCode != protocol.CodeUnknown || head.ApiMessage == "" || f.Seq != 5 {
				t.Errorf("%s: %+v %s %v", name, f, f.Body, err)
			}
			if c != plain && head.ApiMessage != protocol.Text("zh", "noSuchLive") {
				t.Errorf("not in the reader's language: %s", f.Body)
			}
		}
	}
	if s.RoomOnline(hallName) != 1 || s.Stats().Rooms != 1 || h.say("x", nil) != 1 {
		t.Error("somebody moved")
	}
	if f := expect(t, c, 107); string(f.Body) != "1 x" {
		t.Errorf("%s", f.Body)
	}
}

func TestTheAppIsNotAnsweredWhatItCannotRead(t *testing.T) {
	s, h := startHall(t, quick())
	message := func(n int) string {
		m := protocol.LiveMessage{ChatType: protocol.ChatLive, RoomID: "7", FromUser: "1", Content: fmt.Sprint(n), ServerMsgID: "x", Time: 1}
		return string(m.JSON())
	}
	h.set(2, []gateway.Broadcast{{Op: 107, Seq: 1, Body: []byte(message(1))}, {Op: 107, Seq: 2, Body: []byte("no JSON")}})
	c, err := apptest.Dial(t.Context(), s.tcp, apptest.ClientConfig{Token: "1.11", Platform: "android"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, name := range []string{"live_8", hallName} {
		if err := c.Write(protocol.OpChangeRoom, 1, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := c.Read(); err != nil || f.Op != 107 || string(f.Body) != message(1) {
		t.Errorf("%+v %s, %v", f, f.Body, err)
	}
}

func TestServerTextsComeInTheReadersLanguageAndInOrder(t *testing.T) {
	cfg := quick()
	cfg.RoomDelayPerMember, cfg.RoomQueueBytes = 20*time.Millisecond, 64<<20
	s, h := startHall(t, cfg)
	english, chinese, guest := s.client(t, "ws", "10.1"), s.client(t, "tcp", "11.1"), s.client(t, "tcp", "")
	for _, c := range []*apptest.Client{english, chinese, guest} {
		join(t, c, hallName)
	}
	const n = 300
	body := func(language string, i int) string {
		if i%7 != 0 {
			language = "all"
		}
		return fmt.Sprintf("%d %s %s", i, language, strings.Repeat("x", 300*len(language))) // of different lengths
	}
	for i := 1; i <= n; i++ {
		if i%7 == 0 {
			h.say(strings.TrimPrefix(body("site", i), fmt.Sprint(i, " ")), map[string][]byte{"en": []byte(body("english", i)), "zh": []byte(body("zh", i))})
		} else {
			h.say(strings.TrimPrefix(body("all", i), fmt.Sprint(i, " ")), nil)
		}
		if i%20 == 0 {
			time.Sleep(10 * time.Millisecond) // batches of several sizes, also above the limit
		}
	}
	late := s.client(t, "tcp", "13.1") // and in the backlog
	join(t, late, hallName)
	for language, c := range map[string]*apptest.Client{"english": english, "zh": chinese, "site": guest} {
		for i := 1; i <= n; i++ {
			if f := expect(t, c, 107); string(f.Body) != body(language, i) {
				t.Fatalf("%s: frame %d is %.20s of %d bytes", language, i, f.Body, len(f.Body))
			}
		}
	}
	first := number(t, late)
	for i := first + 1; i <= n; i++ {
		if f := expect(t, late, 107); string(f.Body) != body("zh", i) {
			t.Fatalf("late: frame %d is %.20s", i, f.Body)
		}
	}
}

func TestADisbandedRoomHearsTheLastWordAndIsEmpty(t *testing.T) {
	cfg := quick()
	cfg.RoomDelayPerMember, cfg.RoomDelayMax = time.Hour, time.Hour // nothing is due by itself
	s, h := startHall(t, cfg)
	var all []*apptest.Client
	for _, over := range everyTransport {
		c := s.client(t, over, "")
		join(t, c, hallName)
		all = append(all, c)
	}
	h.say("first", nil) // at once: the room was quiet
	for _, c := range all {
		expect(t, c, 107)
	}
	h.say("bye", nil)
	if n := s.Disband(hallName); n != 3 || s.RoomOnline(hallName) != 0 || h.say("nobody hears this", nil) != 0 {
		t.Errorf("%d put out, %d left", n, s.RoomOnline(hallName))
	}
	if s.Disband(hallName) != 0 {
		t.Error("disbanded twice")
	}
	for i, c := range all {
		if f := expect(t, c, 107); string(f.Body) != "2 bye" {
			t.Errorf("%s: %s", everyTransport[i], f.Body)
		}
		if err := c.Write(protocol.OpHeartbeat, 1, nil); err != nil {
			t.Fatal(err)
		}
		if f := expect(t, c, protocol.OpHeartbeatReply); binary.BigEndian.Uint32(f.Body) != 0 {
			t.Errorf("%s: %x online", everyTransport[i], f.Body)
		}
	}
	// The name is free again, and who was there may come back.
	h.set(h.next, nil)
	join(t, all[1], hallName)
	if n := h.say("again", nil); n != 1 || s.Stats().Rooms != 1 {
		t.Errorf("%d in the new room", n)
	}
	if f := expect(t, all[1], 107); !strings.HasSuffix(string(f.Body), "again") {
		t.Errorf("%s", f.Body)
	}
}

func TestSlowReadersGrowNoMemory(t *testing.T) {
	s, h := startHall(t, quick())
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	const idle = 40 // of each kind
	for range idle {
		dead, slow := s.client(t, "tcp", ""), s.client(t, "tcp", "")
		join(t, dead, hallName)
		join(t, slow, hallName)
		work.Go(func() { slowly(ctx, slow) })
	}
	fast := s.client(t, "ws", "")
	join(t, fast, hallName)
	var worst time.Duration
	// 60 MiB in all; warmed up once the kernel's buffers are full.
	round := func(messages int) uint64 {
		for range messages {
			at := time.Now()
			if n := h.say(strings.Repeat("x", 3000), nil); n != 2*idle+1 {
				t.Fatalf("%d readers", n)
			}
			expect(t, fast, 107)
			worst = max(worst, time.Since(at))
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := round(5_000)
	after := round(15_000)
	drops := s.Stats().RoomDrops
	t.Logf("heap %d KiB, then %d KiB; %d frames dropped; the fast reader waited %v at most", before>>10, after>>10, drops, worst)
	// What waits for a reader is bounded, and shared between those that wait.
	if bound := uint64(4 * idle * 64 << 10); before > bound+32<<20 || after > before+4<<20 {
		t.Errorf("the heap grew from %d to %d KiB", before>>10, after>>10)
	}
	if drops < 2*idle*10_000 {
		t.Errorf("only %d frames were dropped: where are the others?", drops)
	}
	if worst > 2*time.Second {
		t.Errorf("the fast reader waited %v", worst)
	}
}

// A few bytes brought fifty messages, forty-five times a second.
func TestWhoChangesRoomsAllTheTimeGetsNoBacklog(t *testing.T) {
	cfg := quick()
	cfg.JoinBurst = 3
	s, h := startHall(t, cfg)
	h.say("hello", nil)
	c := s.client(t, "tcp", "")
	change := func() {
		t.Helper()
		for _, room := range []string{"", hallName} {
			if err := c.Write(protocol.OpChangeRoom, 1, []byte(room)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 3 {
		change()
		for f, err := c.Read(); f.Op != 107; f, err = c.Read() {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	enter := func() (messages int) {
		t.Helper()
		change()
		if err := c.Write(protocol.OpHeartbeat, 1, nil); err != nil {
			t.Fatal(err)
		}
		for {
			f, err := c.Read()
			switch {
			case err != nil:
				t.Fatal(err)
			case f.Op == 107:
				messages++
			case f.Op == protocol.OpHeartbeatReply:
				return messages
			}
		}
	}
	got := 0
	for range 8 {
		got += enter()
	}
	if got > 2 { // a slow machine may earn some more
		t.Errorf("got the backlog %d times too often", got)
	}
	if s.RoomOnline(hallName) != 1 || h.say("again", nil) != 1 || number(t, c) != 2 {
		t.Error("is not in the room")
	}
	for end := time.Now().Add(10 * time.Second); enter() == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no backlog after a rest")
		}
	}
}
