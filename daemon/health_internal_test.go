package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gtiv/protocol"
	"gtiv/store/queue"
)

// An announcement that does not get on is seen in the status.
func TestStatusCountsWhatWaitsAndWhatIsDead(t *testing.T) {
	now := time.Now()
	q, err := queue.Open(queue.Config{Dir: filepath.Join(t.TempDir(), "queue"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	d := &Daemon{queue: q}
	if list := (topics{d.queue}).List(); list == nil || len(list) != 0 {
		t.Errorf("without topics: %#v", list)
	}
	topic := q.Topic("announce", queue.TopicOptions{MaxAttempts: 1})
	q.Topic("a", queue.TopicOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	put := func(id string) error { return topic.Put(ctx, id, nil, time.Time{}) }
	if err := put("dies"); err != nil {
		t.Fatal(err)
	}
	j, err := topic.Take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(topic.Retry(ctx, j, errors.New("no")), put("waits"), put("waits, too")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(90 * time.Second)
	want := []protocol.Queue{{Name: "a"}, {Name: "announce", Depth: 2, Dead: 1, OldestSeconds: 90}}
	if list := (topics{d.queue}).List(); !slices.Equal(list, want) {
		t.Errorf("%+v, want %+v", list, want)
	}
}
