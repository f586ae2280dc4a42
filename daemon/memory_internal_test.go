package daemon

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestMemoryIsTrimmedOnlyInCalmTimesAndWhenItIsWorthIt(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		now, before heapUse
		want        bool
	}{
		"much spare, calm":         {heapUse{held: 100 * mib, live: 40 * mib, allocated: 5 * mib}, heapUse{}, true},
		"much spare, busy":         {heapUse{held: 100 * mib, live: 40 * mib, allocated: 500 * mib}, heapUse{}, false},
		"little spare":             {heapUse{held: 12 * mib, live: 6 * mib}, heapUse{}, false},
		"small part of a big heap": {heapUse{held: 1000 * mib, live: 900 * mib}, heapUse{}, false},
		"live grew past held":      {heapUse{held: 10 * mib, live: 11 * mib}, heapUse{}, false},
	} {
		if got := worthTrimming(c.now, c.before); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestHeapUseSeesWhatIsHeld(t *testing.T) {
	debug.FreeOSMemory()
	samples := heapSamples()
	before := readHeap(samples)
	ballast := make([]byte, 64<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	if now := readHeap(samples); now.held-before.held < 60<<20 || now.allocated-before.allocated < 60<<20 {
		t.Errorf("before %+v, with 64 MiB more %+v", before, now)
	}
	runtime.KeepAlive(ballast)
	debug.FreeOSMemory()
	if now := readHeap(samples); now.held > before.held+32<<20 {
		t.Errorf("before %+v, after giving it back %+v", before, now)
	}
}
