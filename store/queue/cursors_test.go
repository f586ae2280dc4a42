package queue_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/store/queue"
)

func all(t testing.TB, c *queue.Cursors, session int64) map[int64]queue.Cursor {
	t.Helper()
	m, err := c.All(session)
	must(t, err)
	return m
}

func known(t testing.TB, c *queue.Cursors, session int64) bool {
	t.Helper()
	ok, err := c.Known(session)
	must(t, err)
	return ok
}

func TestBeginMakesASessionKnown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	s := open(t, queue.Config{Dir: dir})
	c := s.Cursors()
	c.Hand(-7, 2, 11, 12) // a live push before the first sync
	if known(t, c, -7) {
		t.Fatal("known before begin")
	}
	must(t, c.Begin(t.Context(), -7, map[int64]uint64{1: 5, 2: 10, -3: 0}))
	if !known(t, c, -7) || known(t, c, 7) {
		t.Fatal("not known after begin")
	}
	want := map[int64]queue.Cursor{1: {Base: 5}, 2: {Base: 10, Spans: []queue.Span{{From: 11, To: 12}}}}
	got := all(t, c, -7)
	delete(got, -3)
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	must(t, s.Close())
	c = open(t, queue.Config{Dir: dir}).Cursors()
	got = all(t, c, -7)
	delete(got, -3)
	if !reflect.DeepEqual(got, want) || !known(t, c, -7) {
		t.Fatalf("after reopen %+v, want %+v", got, want)
	}
}

func TestBeginOfVeryManyConversations(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	s := open(t, queue.Config{Dir: dir})
	bases := make(map[int64]uint64)
	for i := range int64(30_000) {
		bases[i] = uint64(i) + 1
	}
	must(t, s.Cursors().Begin(t.Context(), 1, bases))
	must(t, s.Close())
	got := all(t, open(t, queue.Config{Dir: dir}).Cursors(), 1)
	if len(got) != len(bases) || got[29_999].Base != 30_000 {
		t.Fatal(len(got))
	}
}

func TestDropForgetsASession(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	s := open(t, queue.Config{Dir: dir})
	c := s.Cursors()
	for _, id := range []int64{1, 2} {
		must(t, c.Begin(t.Context(), id, map[int64]uint64{1: 5}))
		c.Hand(id, 1, 7, 7)
	}
	must(t, c.Drop(t.Context(), 1))
	c.Hand(1, 1, 8, 8) // its connection is still closing
	must(t, c.Flush(t.Context()))
	must(t, s.Close())
	c = open(t, queue.Config{Dir: dir}).Cursors()
	if known(t, c, 1) || len(all(t, c, 1)) != 0 {
		t.Fatal("session 1 is still there:", all(t, c, 1))
	}
	if !known(t, c, 2) || !all(t, c, 2)[1].Handed(7) {
		t.Fatal("session 2 went with it")
	}
	must(t, c.Begin(t.Context(), 1, map[int64]uint64{9: 9})) // the number is used again
	c.Confirm(1, 9, 10, 10)
	if got := all(t, c, 1); len(got) != 1 || got[9].Base != 10 {
		t.Fatalf("%+v", got)
	}
}

func TestRunFlushesInTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	s := open(t, queue.Config{Dir: dir, FlushEvery: 10 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	defer wg.Wait()
	defer stop()
	s.Cursors().Hand(1, 2, 3, 4)
	deadline := time.Now().Add(5 * time.Second)
	for !queue.Stored(s, 1, 2).Handed(3) {
		if time.Now().After(deadline) {
			t.Fatal("not on disk after 5 s")
		}
	}
}

// What was flushed is what is there after Close and Open, for sessions that were
// evicted in between as well.
func TestCursorsSurviveEvictionAndReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	r := rand.New(rand.NewPCG(1, 2))
	model := make(map[int64]map[int64]queue.Cursor)
	for round := range 4 {
		s := open(t, queue.Config{Dir: dir})
		c := s.Cursors()
		queue.SetLimits(c, 2, 20)
		for i := range 20_000 {
			id, conv := int64(r.IntN(600)), int64(r.IntN(5))
			from := uint64(r.IntN(100))
			to := from + uint64(r.IntN(3))
			if model[id] == nil {
				model[id] = make(map[int64]queue.Cursor)
			}
			cur := model[id][conv]
			switch r.IntN(5) {
			case 0:
				c.Confirm(id, conv, from, to)
				model[id][conv] = cur.Confirm(from, to)
			case 1:
				c.Advance(id, conv, from/10)
				model[id][conv] = cur.Advance(from / 10)
			default:
				c.Hand(id, conv, from, to)
				model[id][conv] = cur.Hand(from, to)
			}
			if i%2500 == 0 {
				must(t, c.Flush(t.Context()))
			}
			if i%97 == 0 {
				got, err := c.Get(id, conv)
				must(t, err)
				if !equal(got, model[id][conv]) {
					t.Fatalf("round %d: %+v, want %+v", round, got, model[id][conv])
				}
			}
		}
		must(t, c.Flush(t.Context()))
		for id := range int64(600) { // a look at each makes room, as nothing is dirty
			all(t, c, id)
		}
		if n := queue.InMemory(c); n > 64*3 {
			t.Fatalf("%d sessions in memory", n)
		}
		must(t, s.Close())
	}
	c := open(t, queue.Config{Dir: dir}).Cursors()
	for id, convs := range model {
		got := all(t, c, id)
		for conv, want := range convs {
			if !equal(got[conv], want) {
				t.Fatalf("session %d in %d: %+v, want %+v", id, conv, got[conv], want)
			}
		}
	}
}

// Writers, readers, flushes, drops and evictions at once; under -race. Each
// session has one writer, so the end is known.
func TestCursorsFromManyGoroutines(t *testing.T) {
	s := open(t, queue.Config{FlushEvery: time.Millisecond})
	c := s.Cursors()
	queue.SetLimits(c, 2, 10)
	ctx, stop := context.WithCancel(t.Context())
	var run, wg sync.WaitGroup
	run.Go(func() { _ = s.Run(ctx) })
	var busy atomic.Bool
	busy.Store(true)
	run.Go(func() {
		for id := int64(0); busy.Load(); id = (id + 1) % 500 {
			if _, err := c.All(id); err != nil {
				t.Error(err)
			}
			if id%50 == 0 {
				if err := c.Drop(t.Context(), 100_000+id); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for w := range int64(4) {
		wg.Go(func() {
			for seq := uint64(1); seq <= 40; seq++ {
				for id := w; id < 500; id += 4 {
					c.Hand(id, 1, seq, seq)
					if seq%2 == 0 {
						c.Confirm(id, 1, seq-1, seq)
					}
					c.Hand(100_000+id, 1, seq, seq)
				}
			}
		})
	}
	wg.Wait()
	busy.Store(false)
	stop()
	run.Wait()
	for id := range int64(500) {
		if cur, err := c.Get(id, 1); err != nil || cur.Base != 40 || len(cur.Spans) != 0 {
			t.Fatalf("session %d: %+v %v", id, cur, err)
		}
	}
}

func TestAnUnloadedSessionKeepsManyNotes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	s := open(t, queue.Config{Dir: dir})
	must(t, s.Cursors().Begin(t.Context(), 1, map[int64]uint64{0: 3}))
	must(t, s.Close())
	c := open(t, queue.Config{Dir: dir}).Cursors()
	for conv := range int64(200) { // over the number of notes: the caller loads
		c.Hand(1, conv, 5, 5)
	}
	got := all(t, c, 1)
	if len(got) != 200 || got[0].Base != 3 || !got[0].Handed(5) || !got[199].Handed(5) || !known(t, c, 1) {
		t.Fatalf("%d %+v", len(got), got[0])
	}
}

// BenchmarkHand is the path of a delivered message: hand, later confirm.
func BenchmarkHand(b *testing.B) {
	c := open(b, queue.Config{}).Cursors()
	const sessions = 10_000
	for id := range int64(sessions) {
		if _, err := c.Get(id, 1); err != nil {
			b.Fatal(err)
		}
		c.Hand(id, 1, 1, 1)
	}
	b.ReportAllocs()
	var worker atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		seq := make([]uint64, sessions)
		id := worker.Add(1) * 997
		for pb.Next() {
			id = (id*5 + 1) % sessions
			seq[id]++
			c.Hand(id, 1, seq[id], seq[id])
			if seq[id]%8 == 0 {
				c.Confirm(id, 1, seq[id]-7, seq[id])
			}
		}
	})
}
