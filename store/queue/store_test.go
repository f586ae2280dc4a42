package queue_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"gtiv/store/queue"
)

func TestTopicsDoNotMix(t *testing.T) {
	s := open(t, queue.Config{})
	a, ab := s.Topic("a", queue.TopicOptions{}), s.Topic("a.b", queue.TopicOptions{})
	put(t, a, "1")
	put(t, ab, "1")
	if s.Topic("a", queue.TopicOptions{}) != a {
		t.Fatal("the same name gives another topic")
	}
	s.Topic("no such name", queue.TopicOptions{})
	if list := s.Topics(); len(list) != 2 || list[0] != a || list[1] != ab || ab.Name() != "a.b" {
		t.Fatal(list)
	}
	must(t, a.Ack(t.Context(), take(t, a)))
	takeNone(t, a)
	wantStats(t, ab, 1, 0, 0)
}

func TestHealthyAndSize(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	s := open(t, queue.Config{Dir: dir})
	must(t, s.Healthy(t.Context()))
	if lsm, vlog := s.Size(); lsm <= 0 || lsm > 1<<20 || vlog < 0 || vlog > 1<<20 {
		t.Fatal(lsm, vlog)
	}
	must(t, os.Rename(dir, dir+".gone"))
	if err := s.Healthy(t.Context()); err == nil {
		t.Fatal("healthy without its folder")
	}
	must(t, os.Rename(dir+".gone", dir))
}

func TestRunReturnsAndCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	s, err := queue.Open(queue.Config{Dir: filepath.Join(t.TempDir(), "queue"), FlushEvery: time.Millisecond})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	put(t, s.Topic("push", queue.TopicOptions{}), "a")
	s.Cursors().Hand(1, 2, 3, 4)
	stop()
	must(t, <-done)
	must(t, s.Close())
	must(t, s.Close())
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}
