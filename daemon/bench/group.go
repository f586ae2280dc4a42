package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	groupMembers = 500
	groupSenders = 50
)

// groupChat measures one room of 500 members, all connected, 50 of whom write:
// first at a rate that makes 165,000 deliveries a second, then as fast as they
// are answered. At the end gtiv is killed and everything acknowledged must be in
// the database.
func groupChat(ctx context.Context, b *bench) error {
	data, err := b.folder("group")
	if err != nil {
		return err
	}
	var who []person
	var room int64
	if err := withStore(ctx, data, func(s *store.Store) error {
		if who, err = people(ctx, s, groupMembers); err != nil {
			return err
		}
		room, err = seedRoom(ctx, s, who)
		return err
	}); err != nil {
		return err
	}
	s, err := b.serve(ctx, data)
	if err != nil {
		return err
	}
	acked, err := groupRuns(ctx, b, s, who, room)
	s.kill()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.log)
	}
	if err := countMessages(ctx, data, acked+1); err != nil {
		return fmt.Errorf("after kill -9: %w", err)
	}
	return nil
}

// seedRoom makes a room of all these people, the first of whom owns it.
func seedRoom(ctx context.Context, s *store.Store, who []person) (int64, error) {
	var others []int64
	for _, p := range who[1:] {
		others = append(others, p.id)
	}
	m, err := s.CreateRoom(ctx, store.NewRoom{
		Owner: who[0].id, Invitees: others, Strangers: true, MemberLimit: len(who), Name: func(string) string { return "bench" },
		First: store.NewRoomMessage{From: who[0].id, Content: "ok", System: true},
	})
	return m.Room, err
}

func groupRuns(ctx context.Context, b *bench, s *server, who []person, room int64) (int, error) {
	span := pick(b, 8*time.Second, 3*time.Second)
	g, err := joinGroup(ctx, s.addr(portComet), who)
	if err != nil {
		return 0, err
	}
	defer g.close()
	acked := 0
	for _, r := range []struct {
		name, target string
		rate         float64 // messages per second, of all senders together; 0 as fast as they are answered
		span         time.Duration
	}{
		{"", "", 100, time.Second}, // fills the caches of the server
		{"one room of 500 members, all online, 50 senders at 330 messages/s", "≥ 150000 deliveries/s, nothing lost, p99 < 500 ms", 330, span},
		{"the same, senders as fast as they are answered", "–", 0, span},
	} {
		run, err := g.send(ctx, s, who[:groupSenders], room, r.rate, r.span)
		if err != nil {
			return 0, err
		}
		acked += run.n
		if err := g.check(ctx, run.counts[:], who); err != nil {
			return 0, fmt.Errorf("%s: %w", r.name, err)
		}
		if r.name == "" {
			g.reset()
			continue
		}
		d, lat := g.seen()
		b.add(row{Figure: r.name, Target: r.target, Measured: fmt.Sprintf(
			"%.0f deliveries/s of %.0f messages/s, %d of %d delivered, p50 %s, p99 %s, %.2f µs of server CPU per delivery; sends p99 %s",
			float64(d)/run.d.Seconds(), run.rate(), d, run.n*(groupMembers-1), ms(lat.quantile(0.5)), ms(lat.quantile(0.99)),
			float64(run.cpu.Microseconds())/float64(max(d, 1)), ms(run.lat.quantile(0.99)))})
		g.reset()
	}
	return acked, nil
}

// groupRun is what came of sending for a time.
type groupRun struct {
	sent
	counts [groupSenders]int64 // acknowledged, by sender, since the beginning
	span   time.Duration       // of the sends alone
}

// group is the connections of the members.
type group struct {
	list  []*groupReader
	work  sync.WaitGroup
	total [groupSenders]int64
}

// groupReader is one member. Messages of one sender are numbered from 1.
type groupReader struct {
	conn net.Conn
	n    atomic.Int64 // since reset

	mu   sync.Mutex
	next [groupSenders]int64
	lat  hist
	err  error
}

func joinGroup(ctx context.Context, addr string, who []person) (*group, error) {
	g := &group{}
	for _, p := range who {
		r, err := connectReader(ctx, addr, p.token)
		if err != nil {
			g.close()
			return nil, err
		}
		m := &groupReader{conn: r.conn}
		g.list = append(g.list, m)
		g.work.Go(m.read)
	}
	return g, nil
}

// head of a message's content: the time in ns, the sender, its number.
const groupHead = 19 + 3 + 9

func (r *groupReader) read() {
	in := bufio.NewReaderSize(r.conn, 32<<10)
	buf := make([]byte, 8<<10)
	for {
		head := buf[:protocol.HeaderBytes]
		_, err := io.ReadFull(in, head)
		var h protocol.Header
		if err == nil {
			h, err = protocol.ParseHeader(head)
		}
		if err == nil {
			_, err = io.ReadFull(in, buf[:h.BodyLen])
		}
		if err == nil && h.Op > protocol.OpPrivate {
			err = r.take(buf[:h.BodyLen])
		}
		if err != nil {
			r.mu.Lock()
			r.err = err
			r.mu.Unlock()
			return
		}
	}
}

var contentField = []byte(`"Content":"`)

func (r *groupReader) take(body []byte) error {
	i := indexOf(body, contentField)
	if i < 0 || len(body) < i+len(contentField)+groupHead {
		return nil // what the server says itself
	}
	c := body[i+len(contentField):]
	at, ok1 := digits(c[:19])
	from, ok2 := digits(c[19:22])
	number, ok3 := digits(c[22:31])
	if !ok1 || !ok2 || !ok3 || from >= groupSenders {
		return fmt.Errorf("content %.40q", c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next[from]++; r.next[from] != number {
		return fmt.Errorf("message %d of sender %d came as number %d", number, from, r.next[from])
	}
	r.lat.add(time.Duration(time.Now().UnixNano() - at))
	r.n.Add(1)
	return nil
}

func indexOf(b, what []byte) int {
	for i := 0; i+len(what) <= len(b); i++ {
		if b[i] == what[0] && string(b[i:i+len(what)]) == string(what) {
			return i
		}
	}
	return -1
}

// send has the senders write for a time, each its next message after the
// acknowledgement of the one before, and not before it is due.
func (g *group) send(ctx context.Context, s *server, who []person, room int64, rate float64, span time.Duration) (*groupRun, error) {
	all := &groupRun{}
	before, err := cpu(s.pid())
	if err != nil {
		return nil, err
	}
	parts, errs := make([]sent, len(who)), make([]error, len(who))
	began := time.Now()
	var wg sync.WaitGroup
	for i := range who {
		wg.Go(func() {
			every := time.Duration(0)
			if rate > 0 {
				every = time.Duration(float64(time.Second) * float64(len(who)) / rate)
			}
			due := began.Add(every * time.Duration(i) / time.Duration(len(who)))
			errs[i] = parts[i].sendGroup(ctx, s.addr(portImbiz), who[i], room, i, &g.total[i], due, every, began.Add(span))
		})
	}
	wg.Wait()
	all.d, all.span = time.Since(began), time.Since(began)
	for i := range parts {
		all.n += parts[i].n
		all.lat.merge(&parts[i].lat)
		all.counts[i] = g.total[i]
	}
	for end := time.Now().Add(20 * time.Second); len(g.list) > 0 && g.count() < all.n*(groupMembers-1) && time.Now().Before(end) && ctx.Err() == nil; {
		pause(ctx, 5*time.Millisecond)
	}
	all.d = time.Since(began) // until the last is delivered
	after, err := cpu(s.pid())
	all.cpu = after - before
	return all, errors.Join(append(errs, err)...)
}

func (r *sent) sendGroup(ctx context.Context, addr string, from person, room int64, i int, number *int64, due time.Time, every time.Duration, end time.Time) error {
	h, err := dialHTTP(ctx, addr)
	if err != nil {
		return err
	}
	defer h.close()
	for ; time.Now().Before(end) && ctx.Err() == nil; due = due.Add(every) {
		if every > 0 {
			pause(ctx, time.Until(due))
		}
		at := time.Now()
		*number++
		content := fmt.Sprintf("%019d%03d%09d%s", at.UnixNano(), i, *number, message[groupHead:])
		if _, err := h.call(httpRequest("POST", "/imlogic/push-room", from.token, fmt.Sprintf(`{"Type":0,"Message":"%s","RoomId":"%d"}`, content, room))); err != nil {
			return fmt.Errorf("push-room: %w", err)
		}
		r.lat.add(time.Since(at))
		r.n++
	}
	return nil
}

func (g *group) count() int {
	n := int64(0)
	for _, r := range g.list {
		n += r.n.Load()
	}
	return int(n)
}

// check fails when a member lacks a message, or has one too many.
func (g *group) check(ctx context.Context, counts []int64, who []person) error {
	pause(ctx, 200*time.Millisecond) // what comes now is one too many
	for i, r := range g.list {
		r.mu.Lock()
		next, err := r.next, r.err
		r.mu.Unlock()
		if err != nil {
			return fmt.Errorf("member %d: %w", i, err)
		}
		for from, want := range counts {
			if from == i { // nobody is shown their own messages
				want = 0
			}
			if next[from] != want {
				return fmt.Errorf("member %d has %d messages of sender %d, not %d", i, next[from], from, want)
			}
		}
	}
	return nil
}

func (g *group) seen() (int, *hist) {
	all := &hist{}
	for _, r := range g.list {
		r.mu.Lock()
		all.merge(&r.lat)
		r.mu.Unlock()
	}
	return g.count(), all
}

func (g *group) reset() {
	for _, r := range g.list {
		r.mu.Lock()
		r.lat = hist{}
		r.mu.Unlock()
		r.n.Store(0)
	}
}

func (g *group) close() {
	for _, r := range g.list {
		_ = r.conn.Close() //nolint:errcheck // nothing to do about it
	}
	g.work.Wait()
}
