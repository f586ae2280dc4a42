package media

// line puts the times of one publisher on the stream's own line. Pictures and sound
// have one clock as a rule, whose jumps one of them tells first; but either may be
// behind the other, or have a clock of its own.
type line struct {
	top    int64  // newest time; before the first message where it is to be
	began  bool   // there was a picture or a sound
	before uint32 // raw time of the newest of those
	raw    int64  // the same, without wrapping
	base   int64  // what is added to raw times since the newest jump
	tracks [tracks]track
}

// track is the pictures, or the sound in one form.
type track struct {
	base  int64 // what is added to its raw times
	last  int64 // its newest time
	began bool
}

// The tracks of a publisher.
const (
	trackVideo = iota
	trackAudio
	trackAlt
	tracks
)

// time is that of a message on the line.
func (l *line) time(m *Message, raw uint32) int64 {
	if m.Header {
		return l.headerTime(raw)
	}
	if !l.began {
		l.began, l.base = true, l.top
	} else {
		l.raw += l.step(raw)
	}
	l.before = raw
	t := &l.tracks[trackVideo]
	if m.Kind == Audio {
		if t = &l.tracks[trackAudio]; m.Alt {
			t = &l.tracks[trackAlt]
		}
	}
	if !t.began {
		t.base = l.base
	}
	// After a jump of the others it may still tell the old clock, or already the new.
	own, other := l.raw+t.base, l.raw+l.base
	if !l.fits(t, own) || l.fits(t, other) && distance(other, l.top) < distance(own, l.top) {
		if !l.fits(t, other) {
			l.base = l.top + stitch - l.raw
		}
		t.base = l.base
	}
	t.began, t.last = true, l.raw+t.base
	l.top = max(l.top, t.last)
	return max(t.last, 0)
}

// fits says whether a time goes on where a track and the others are.
func (l *line) fits(t *track, at int64) bool {
	return distance(at, l.top) <= maxJump && (!t.began || at >= t.last-maxBack)
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// step is how far a raw time is from the one before, the shorter way round: a step
// back is one, not one of 49 days.
func (l *line) step(raw uint32) int64 { return int64(int32(raw - l.before)) } //nolint:gosec // modulo 2^32 is meant

// headerTime is the time of what says nothing about the clock: encoders give it any
// time, 0 as a rule.
func (l *line) headerTime(raw uint32) int64 {
	if !l.began {
		return l.top
	}
	if t := l.raw + l.step(raw) + l.base; t > l.top-maxBack && t <= l.top+maxJump {
		return max(t, 0)
	}
	return l.top
}
