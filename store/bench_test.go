package store_test

import (
	"fmt"
	"testing"

	"gtiv/store"
)

// BenchmarkSendPrivate is the durable path alone: 256 writers, 230 bytes.
func BenchmarkSendPrivate(b *testing.B) {
	for _, writers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) { benchSend(b, writers) })
	}
}

func benchSend(b *testing.B, writers int) {
	s := open(b)
	type pair struct{ a, b int64 }
	pairs := make([]pair, writers)
	for i := range pairs {
		pairs[i].a, pairs[i].b = friends(b, s, fmt.Sprint("a", i), fmt.Sprint("b", i))
	}
	text := fmt.Sprintf("%0230d", 1)
	work := make(chan int)
	done := make(chan error, writers)
	for _, p := range pairs {
		go func() {
			for range work {
				if _, err := s.SendPrivate(b.Context(), store.NewMessage{From: p.a, To: p.b, Content: text}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for i := 0; b.Loop(); i++ {
		work <- i
	}
	close(work)
	for range pairs {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}
