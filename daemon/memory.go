package daemon

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A burst (ten thousand phones that reconnect, a night's imports) leaves the Go
// heap at twice what lives in it, and an idle heap is not collected for a long
// time. The host has better uses for that memory, so in calm times the rest is
// given back.
const (
	trimEvery = 10 * time.Second
	trimWorth = 8 << 20  // bytes; less is not worth a collection
	trimCalm  = 16 << 20 // bytes allocated per trimEvery; above it the heap is in use
)

// heapUse is what the heap holds, in bytes.
type heapUse struct {
	held      uint64 // from the host, not given back
	live      uint64 // marked by the last collection
	allocated uint64 // since the start
}

func readHeap(samples []metrics.Sample) heapUse {
	metrics.Read(samples)
	v := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heapUse{held: v(0) + v(1) + v(2), live: v(3), allocated: v(4)}
}

func heapSamples() []metrics.Sample {
	return []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}
}

// worthTrimming says whether a collection would give a good part back, and
// whether it would stay given back.
func worthTrimming(now, before heapUse) bool {
	spare := now.held - min(now.held, now.live)
	return spare > trimWorth && spare > now.live/4 && now.allocated-before.allocated < trimCalm
}

// trimMemory gives memory back now and then, until ctx ends.
func trimMemory(ctx context.Context) error {
	samples := heapSamples()
	before := readHeap(samples)
	t := time.NewTicker(trimEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		now := readHeap(samples)
		if worthTrimming(now, before) {
			debug.FreeOSMemory()
		}
		before = now
	}
}
