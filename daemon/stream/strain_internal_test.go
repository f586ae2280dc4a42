package stream

import (
	"testing"
	"time"
)

func TestStrainIsBeingLateOftenNotOnce(t *testing.T) {
	var s strain
	now := time.Unix(0, 0)
	s.rest(now)
	run := func(d time.Duration, late func(i int) time.Duration) {
		for i := 0; d > 0; i++ {
			l := late(i)
			now = now.Add(strainTick + l)
			d -= strainTick + l
			s.note(now, l)
		}
	}
	for _, c := range []struct {
		name string
		late func(i int) time.Duration
		want bool
	}{
		{"in time", func(int) time.Duration { return time.Millisecond }, false},
		{"always a little late", func(int) time.Duration { return 15 * time.Millisecond }, false},
		{"once very late", func(i int) time.Duration {
			if i == 50 {
				return time.Second
			}
			return 0
		}, false},
		{"often late", func(i int) time.Duration {
			if i%10 == 0 {
				return 60 * time.Millisecond
			}
			return 0
		}, true},
		{"starved", func(int) time.Duration { return 300 * time.Millisecond }, true},
		{"in time again", func(int) time.Duration { return 0 }, false},
	} {
		run(2*strainSpan, c.late)
		if got := s.short.Load(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	run(2*strainSpan, func(int) time.Duration { return time.Second })
	if !s.short.Load() {
		t.Error("not short")
	}
	if s.rest(now); s.short.Load() {
		t.Error("short with nothing on air")
	}
}
