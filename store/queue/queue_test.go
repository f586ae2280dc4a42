package queue_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/store/queue"
)

// clock is a clock that tests move by hand.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ms.Store(1_700_000_000_000)
	return c
}

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func open(t testing.TB, cfg queue.Config) *queue.Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "queue")
	}
	s, err := queue.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t testing.TB, topic *queue.Topic, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := topic.Put(t.Context(), id, []byte("payload of "+id), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
}

func take(t testing.TB, topic *queue.Topic) *queue.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	j, err := topic.Take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func takeNone(t testing.TB, topic *queue.Topic) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if j, err := topic.Take(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("took %+v, %v; want nothing", j, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantStats(t testing.TB, topic *queue.Topic, depth, leased, dead int64) {
	t.Helper()
	st := topic.Stats()
	if st.Depth != depth || st.Leased != leased || st.Dead != dead {
		t.Fatalf("stats %+v, want depth %d leased %d dead %d", st, depth, leased, dead)
	}
}

func TestJobsComeInOrderOfTimeDueThenOfPut(t *testing.T) {
	clk := newClock()
	topic := open(t, queue.Config{Now: clk.now}).Topic("push", queue.TopicOptions{})
	must(t, topic.Put(t.Context(), "late", nil, clk.now().Add(2*time.Hour)))
	must(t, topic.Put(t.Context(), "soon", nil, clk.now().Add(time.Hour)))
	put(t, topic, "a", "b", "c")
	wantStats(t, topic, 5, 0, 0)
	var got []string
	for range 3 {
		got = append(got, take(t, topic).ID)
	}
	takeNone(t, topic)
	clk.advance(3 * time.Hour)
	// The first leases are over too, and those jobs are due for longer.
	for range 5 {
		got = append(got, take(t, topic).ID)
	}
	if want := "a b c a b c soon late"; strings.Join(got, " ") != want {
		t.Fatalf("order %v, want %s", got, want)
	}
}

func TestJobCarriesWhatWasPut(t *testing.T) {
	clk := newClock()
	topic := open(t, queue.Config{Now: clk.now}).Topic("push", queue.TopicOptions{})
	put(t, topic, "a")
	at := clk.now()
	clk.advance(time.Second)
	if age := topic.Stats().OldestAge; age != time.Second {
		t.Fatalf("oldest age %v, want 1s", age)
	}
	j := take(t, topic)
	if j.ID != "a" || string(j.Payload) != "payload of a" || j.Attempt != 1 || !j.EnqueuedAt.Equal(at) {
		t.Fatalf("job %+v", j)
	}
}

func TestSameIdWhileWaitingOrLeasedIsOneJob(t *testing.T) {
	topic := open(t, queue.Config{}).Topic("push", queue.TopicOptions{})
	put(t, topic, "a", "a")
	j := take(t, topic)
	put(t, topic, "a")
	wantStats(t, topic, 0, 1, 0)
	must(t, topic.Ack(t.Context(), j))
	wantStats(t, topic, 0, 0, 0)
	put(t, topic, "a")
	wantStats(t, topic, 1, 0, 0)
	must(t, topic.Put(t.Context(), "", nil, time.Time{}))
	must(t, topic.Put(t.Context(), "", nil, time.Time{}))
	wantStats(t, topic, 3, 0, 0)
	must(t, topic.PutAll(t.Context(), []queue.Job{{ID: "x"}, {ID: "x"}, {ID: "y"}}))
	wantStats(t, topic, 5, 0, 0)
}

func TestAJobPutWhileTakeWaitsIsTaken(t *testing.T) {
	topic := open(t, queue.Config{}).Topic("push", queue.TopicOptions{})
	got := make(chan string, 3)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { got <- take(t, topic).ID })
	}
	base := time.Now() // far enough apart for a busy machine
	must(t, topic.Put(t.Context(), "last", nil, base.Add(2*time.Second)))
	must(t, topic.Put(t.Context(), "second", nil, base.Add(time.Second)))
	put(t, topic, "now")
	wg.Wait()
	if a, b, c := <-got, <-got, <-got; a != "now" || b != "second" || c != "last" {
		t.Fatal(a, b, c)
	}
}

func TestTakeEndsWithItsContextAndWithTheStore(t *testing.T) {
	s := open(t, queue.Config{})
	topic := s.Topic("push", queue.TopicOptions{})
	takeNone(t, topic)
	done := make(chan error)
	go func() { _, err := topic.Take(t.Context()); done <- err }()
	must(t, s.Close())
	if err := <-done; !errors.Is(err, queue.ErrClosed) {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"put": topic.Put(t.Context(), "a", nil, time.Time{}), "health": s.Healthy(t.Context()),
		"ack":   func() error { _, err := topic.List(t.Context(), "", 1); return err }(),
		"begin": s.Cursors().Begin(t.Context(), 1, nil),
	} {
		if !errors.Is(err, queue.ErrClosed) {
			t.Errorf("%s after close: %v", name, err)
		}
	}
	s.Cursors().Hand(1, 1, 1, 1) // must not panic
}

func TestRetryBacksOffAndEndsInDeadLetters(t *testing.T) {
	clk := newClock()
	topic := open(t, queue.Config{Now: clk.now}).Topic("push", queue.TopicOptions{
		MaxAttempts: 3, Backoff: func(n int) time.Duration { return time.Duration(n) * time.Minute },
	})
	put(t, topic, "a")
	for attempt := 1; attempt <= 3; attempt++ {
		j := take(t, topic)
		if j.Attempt != attempt {
			t.Fatalf("attempt %d, want %d", j.Attempt, attempt)
		}
		must(t, topic.Retry(t.Context(), j, fmt.Errorf("no luck %d", attempt)))
		takeNone(t, topic)
		clk.advance(time.Duration(attempt) * time.Minute)
	}
	takeNone(t, topic)
	wantStats(t, topic, 0, 0, 1)
	dead, err := topic.Dead(t.Context(), "", 10)
	must(t, err)
	if len(dead) != 1 || dead[0].ID != "a" || dead[0].Reason != "no luck 3" || dead[0].Attempts != 3 || string(dead[0].Payload) != "payload of a" {
		t.Fatalf("%+v", dead)
	}
	must(t, topic.RetryDead(t.Context(), "a"))
	wantStats(t, topic, 1, 0, 0)
	if j := take(t, topic); j.Attempt != 1 || string(j.Payload) != "payload of a" {
		t.Fatalf("%+v", j)
	}
	if err := topic.RetryDead(t.Context(), "a"); !errors.Is(err, queue.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestDeadLettersArePagedAndDropped(t *testing.T) {
	topic := open(t, queue.Config{}).Topic("push", queue.TopicOptions{MaxAttempts: 1})
	put(t, topic, "a", "b", "c")
	for range 3 {
		must(t, topic.Retry(t.Context(), take(t, topic), errors.New(strings.Repeat("ä", 2000))))
	}
	first, err := topic.Dead(t.Context(), "", 2)
	must(t, err)
	rest, err := topic.Dead(t.Context(), first[1].ID, 2)
	must(t, err)
	if len(first) != 2 || len(rest) != 1 || rest[0].ID != "c" || len(rest[0].Reason) != 1024 {
		t.Fatalf("%+v %+v", first, rest)
	}
	must(t, topic.DropDead(t.Context(), "b"))
	if err := topic.DropDead(t.Context(), "b"); !errors.Is(err, queue.ErrNotFound) {
		t.Fatal(err)
	}
	put(t, topic, "a") // dies again: still one dead letter of that name
	must(t, topic.Retry(t.Context(), take(t, topic), nil))
	wantStats(t, topic, 0, 0, 2)
	put(t, topic, "c") // waits while the dead one of that name is retried
	must(t, topic.RetryDead(t.Context(), "c"))
	wantStats(t, topic, 1, 0, 1)
}

func TestAnEndedLeaseIsTakenAgainAndTheFirstHolderLearnsIt(t *testing.T) {
	clk := newClock()
	topic := open(t, queue.Config{Now: clk.now}).Topic("push", queue.TopicOptions{Lease: time.Minute, MaxAttempts: 3})
	put(t, topic, "a")
	first := take(t, topic)
	topic.Extend(first, 5*time.Minute)
	clk.advance(2 * time.Minute)
	takeNone(t, topic)
	clk.advance(4 * time.Minute)
	second := take(t, topic)
	if second.ID != "a" || second.Attempt != 2 {
		t.Fatalf("%+v", second)
	}
	if err := topic.Ack(t.Context(), first); !errors.Is(err, queue.ErrLeaseLost) {
		t.Fatal(err)
	}
	clk.advance(2 * time.Minute) // over, but nobody took it: the work still counts
	wantStats(t, topic, 1, 0, 0)
	must(t, topic.Ack(t.Context(), second))
	if err := topic.Ack(t.Context(), second); !errors.Is(err, queue.ErrLeaseLost) {
		t.Fatal(err)
	}
	wantStats(t, topic, 0, 0, 0)
}

func TestAJobThatNeverReturnsIsBuried(t *testing.T) {
	clk := newClock()
	topic := open(t, queue.Config{Now: clk.now}).Topic("push", queue.TopicOptions{Lease: time.Minute, MaxAttempts: 2})
	put(t, topic, "a")
	for range 2 {
		take(t, topic)
		clk.advance(time.Hour)
	}
	takeNone(t, topic)
	wantStats(t, topic, 0, 0, 1)
}

func TestALeaseEndsWhileTakersWait(t *testing.T) {
	topic := open(t, queue.Config{}).Topic("push", queue.TopicOptions{Lease: 50 * time.Millisecond})
	put(t, topic, "a")
	take(t, topic)
	if j := take(t, topic); j.Attempt != 2 {
		t.Fatalf("%+v", j)
	}
}

func TestAClockSetBackDoesNotHideJobs(t *testing.T) {
	clk := newClock()
	topic := open(t, queue.Config{Now: clk.now}).Topic("push", queue.TopicOptions{})
	put(t, topic, "a")
	must(t, topic.Ack(t.Context(), take(t, topic)))
	put(t, topic, "b")
	clk.advance(-time.Hour)
	put(t, topic, "c")
	if j := take(t, topic); j.ID != "c" {
		t.Fatal(j.ID)
	}
	takeNone(t, topic)
	clk.advance(time.Hour)
	var ids []string
	for range 2 {
		ids = append(ids, take(t, topic).ID) // c's lease ended, too
	}
	if slices.Sort(ids); !slices.Equal(ids, []string{"b", "c"}) {
		t.Fatal(ids)
	}
}

func TestReopenKeepsJobsCountsAndAttempts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	clk := newClock()
	opt := queue.TopicOptions{MaxAttempts: 5, Backoff: func(int) time.Duration { return time.Hour }}
	s := open(t, queue.Config{Dir: dir, Now: clk.now})
	if !s.Created() {
		t.Fatal("a new folder is not reported as such")
	}
	topic := s.Topic("push", opt)
	put(t, topic, "done", "retried", "leased", "waiting")
	must(t, topic.Ack(t.Context(), take(t, topic)))
	must(t, topic.Retry(t.Context(), take(t, topic), errors.New("later")))
	take(t, topic)
	must(t, s.Close())

	s = open(t, queue.Config{Dir: dir, Now: clk.now})
	if ok, why := s.Recovered(); ok || s.Created() {
		t.Fatal("a good folder is reported as damaged or new:", why)
	}
	topic = s.Topic("push", opt)
	wantStats(t, topic, 3, 0, 0)
	if j := take(t, topic); j.ID != "leased" || j.Attempt != 1 {
		t.Fatalf("after an orderly stop the attempt does not count: %+v", j)
	}
	if j := take(t, topic); j.ID != "waiting" {
		t.Fatalf("%+v", j)
	}
	clk.advance(time.Minute - time.Millisecond)
	takeNone(t, topic)
	clk.advance(time.Hour)
	var retried *queue.Job
	for range 3 {
		if j := take(t, topic); j.ID == "retried" {
			retried = j
		}
	}
	if retried == nil || retried.Attempt != 2 {
		t.Fatalf("%+v", retried)
	}
}

func TestListShowsTheLineInPages(t *testing.T) {
	topic := open(t, queue.Config{}).Topic("push", queue.TopicOptions{})
	put(t, topic, "a", "b", "c")
	must(t, topic.Put(t.Context(), "later", []byte("12345"), time.Now().Add(time.Hour)))
	must(t, topic.Ack(t.Context(), take(t, topic)))
	take(t, topic)
	first, err := topic.List(t.Context(), "", 2)
	must(t, err)
	rest, err := topic.List(t.Context(), first[1].Cursor, 10)
	must(t, err)
	if len(first) != 2 || first[0].ID != "b" || !first[0].Leased || first[0].Attempts != 1 || first[1].ID != "c" || first[1].Leased {
		t.Fatalf("%+v", first)
	}
	if len(rest) != 1 || rest[0].ID != "later" || rest[0].Size != 5 {
		t.Fatalf("%+v", rest)
	}
	for _, bad := range []string{"x", "00", strings.Repeat("00", 17)} {
		if _, err := topic.List(t.Context(), bad, 1); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := open(t, queue.Config{})
	topic := s.Topic("push", queue.TopicOptions{})
	must(t, topic.Put(t.Context(), "biggest", make([]byte, queue.MaxPayload), time.Time{}))
	err := topic.PutAll(t.Context(), []queue.Job{{ID: "fits"}, {ID: "big", Payload: make([]byte, queue.MaxPayload+1)}})
	if !errors.Is(err, queue.ErrTooBig) {
		t.Fatal(err)
	}
	wantStats(t, topic, 1, 0, 0)
	if err := topic.Put(t.Context(), strings.Repeat("x", 201), nil, time.Time{}); !errors.Is(err, queue.ErrInvalid) {
		t.Fatal(err)
	}
	for _, name := range []string{"", "Upper", "a\x00b", strings.Repeat("x", 65)} {
		if _, err := s.Topic(name, queue.TopicOptions{}).Take(t.Context()); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := topic.Ack(t.Context(), &queue.Job{ID: "never taken"}); !errors.Is(err, queue.ErrLeaseLost) {
		t.Fatal(err)
	}
}

func TestBatchesFarOverOneTransactionAreSplit(t *testing.T) {
	s := open(t, queue.Config{})
	topic := s.Topic("push", queue.TopicOptions{})
	jobs := make([]queue.Job, 3000)
	for i := range jobs {
		jobs[i] = queue.Job{ID: fmt.Sprint("small", i), Payload: make([]byte, 100)}
	}
	for i := range 20 {
		jobs = append(jobs, queue.Job{ID: fmt.Sprint("big", i), Payload: make([]byte, queue.MaxPayload)})
	}
	must(t, topic.PutAll(t.Context(), jobs))
	var wg sync.WaitGroup
	for i := range 40 { // at once, so that groups would be too big
		wg.Go(func() {
			if err := topic.Put(t.Context(), fmt.Sprint("more", i), make([]byte, queue.MaxPayload), time.Time{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantStats(t, topic, 3060, 0, 0)
	for range 3060 {
		must(t, topic.Ack(t.Context(), take(t, topic)))
	}
	takeNone(t, topic)
	wantStats(t, topic, 0, 0, 0)
}

func TestManyProducersAndWorkersDoEveryJobOnce(t *testing.T) {
	s := open(t, queue.Config{})
	topic := s.Topic("push", queue.TopicOptions{Lease: time.Hour, Backoff: func(int) time.Duration { return time.Millisecond }})
	const producers, each = 8, 200
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	done := make(map[string]int)
	var workers, wg sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for n := 1; ; n++ {
				j, err := topic.Take(ctx)
				if err != nil {
					return
				}
				if n%7 == 0 && j.Attempt < 3 {
					err = topic.Retry(t.Context(), j, errors.New("again"))
				} else if err = topic.Ack(t.Context(), j); err == nil {
					mu.Lock()
					if done[j.ID]++; len(done) == producers*each {
						stop()
					}
					mu.Unlock()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				if err := topic.Put(t.Context(), fmt.Sprint(p, "-", i), nil, time.Time{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	workers.Wait()
	for id, n := range done {
		if n != 1 {
			t.Errorf("%s done %d times", id, n)
		}
	}
	if len(done) != producers*each {
		t.Fatalf("%d of %d done", len(done), producers*each)
	}
	wantStats(t, topic, 0, 0, 0)
}
