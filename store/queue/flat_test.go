package queue_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"gtiv/store/queue"
)

// Finished jobs leave tombstones in Badger. Take must not walk over them, in
// this process or in the next one: it reads what it hands out and no more.
func TestTakeStaysFlatAfter100000Jobs(t *testing.T) {
	jobs := 100_000
	if testing.Short() {
		jobs = 10_000
	}
	dir := filepath.Join(t.TempDir(), "queue")
	s := open(t, queue.Config{Dir: dir})
	topic := s.Topic("push", queue.TopicOptions{})
	batch := make([]queue.Job, 400)
	acked := make(chan error, len(batch))
	for n := 0; n < jobs; n += len(batch) {
		for i := range batch {
			batch[i] = queue.Job{ID: fmt.Sprint(n + i), Payload: make([]byte, 100)}
		}
		must(t, topic.PutAll(t.Context(), batch))
		for range batch {
			j := take(t, topic)
			go func() { acked <- topic.Ack(t.Context(), j) }()
		}
		for range batch {
			must(t, <-acked)
		}
	}
	start := queue.Crossed(topic)
	t.Logf("%d jobs: %d records read, %.2f per job", jobs, start, float64(start)/float64(jobs))
	if start > int64(2*jobs) {
		t.Errorf("%d records read for %d jobs", start, jobs)
	}
	const probes = 50
	for i := range probes {
		put(t, topic, fmt.Sprint("probe", i))
		must(t, topic.Ack(t.Context(), take(t, topic)))
	}
	t.Logf("then %d records for %d put, take, ack", queue.Crossed(topic)-start, probes)
	if got := queue.Crossed(topic) - start; got > 3*probes {
		t.Errorf("%d records read for %d jobs", got, probes)
	}
	put(t, topic, "last")
	before, _ := s.Size()
	must(t, s.Close())

	s = open(t, queue.Config{Dir: dir})
	topic = s.Topic("push", queue.TopicOptions{})
	began := time.Now()
	j := take(t, topic)
	t.Logf("first take after reopening: %d records, %v", queue.Crossed(topic), time.Since(began))
	if j.ID != "last" || queue.Crossed(topic) > 100 {
		t.Errorf("%s after %d records", j.ID, queue.Crossed(topic))
	}
	must(t, topic.Ack(t.Context(), j))
	queue.Flatten(s)
	after, vlog := s.Size()
	t.Logf("tables %d KB, drained and flattened %d KB, value log %d KB", before>>10, after>>10, vlog>>10)
	if after > before/2 {
		t.Errorf("flattening left %d of %d bytes", after, before)
	}
}
