package queue_test

import (
	"testing"
	"time"

	"gtiv/store/queue"
)

// BenchmarkPut is durable puts from 64 goroutines per core, as a burst of pushes
// makes them.
func BenchmarkPut(b *testing.B) {
	topic := open(b, queue.Config{}).Topic("push", queue.TopicOptions{})
	payload := make([]byte, 300)
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := topic.Put(b.Context(), "", payload, time.Time{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPutTakeAck is the whole way of a job, 64 workers per core.
func BenchmarkPutTakeAck(b *testing.B) {
	topic := open(b, queue.Config{}).Topic("push", queue.TopicOptions{})
	payload := make([]byte, 300)
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := topic.Put(b.Context(), "", payload, time.Time{}); err != nil {
				b.Fatal(err)
			}
			j, err := topic.Take(b.Context())
			if err == nil {
				err = topic.Ack(b.Context(), j)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
