package stream

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// strainTick is how often it is looked whether this process runs when it wants to,
	// and strainLate from when on it does not.
	strainTick = 20 * time.Millisecond
	strainLate = 30 * time.Millisecond
	// strainSpan is over how long that is counted, and strainMost how often it may be.
	strainSpan = 3 * time.Second
	strainMost = 5
)

// strain says whether the process gets the CPU that streams need: how late its own
// timer is. The pressure that the kernel knows (PSI) says nothing of it, because what is
// to be held, which is nice, waits the most.
type strain struct {
	began time.Time // of the span
	late  int
	total time.Duration // of being late
	short atomic.Bool
}

// note takes how late one tick was.
func (s *strain) note(now time.Time, late time.Duration) {
	if late > strainLate {
		s.late++
		s.total += late
	}
	if span := now.Sub(s.began); span >= strainSpan {
		s.short.Store(s.late >= strainMost || s.late > 1 && s.total > span/2)
		s.began, s.late, s.total = now, 0, 0
	}
}

// rest forgets everything: nothing is on air.
func (s *strain) rest(now time.Time) {
	s.began, s.late, s.total = now, 0, 0
	s.short.Store(false)
}

// ShortOfCPU says whether streams are on air and the process does not get the CPU for
// them. Then other work should wait.
func (s *Server) ShortOfCPU() bool { return s.strain.short.Load() }

// watchStrain measures until ctx ends.
func (s *Server) watchStrain(ctx context.Context) {
	before := time.Now()
	for {
		wait, onAir := time.Second, len(s.hub.Streams()) > 0
		if onAir {
			wait = strainTick
		}
		if !pause(ctx, wait) {
			return
		}
		now := time.Now()
		if onAir {
			s.strain.note(now, now.Sub(before)-wait)
		} else {
			s.strain.rest(now)
		}
		before = now
	}
}
