// Package limit answers how often somebody may do something. Every limiter is
// keyed (an account, an address), bounded in memory and safe for concurrent
// use. It owns no goroutine: old keys go when room is needed.
package limit

import (
	"net/netip"
	"sync"
	"time"
)

// maxKeys bounds a limiter. Above it the keys that were quiet longest are
// forgotten, which is kind to them and costs an attacker a great many addresses.
const maxKeys = 100_000

// AddressKey is the key of an address: IPv4 whole, IPv6 by its /64, which is
// what one subscriber gets.
func AddressKey(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// table is a bounded map from key to state, with the time a key was used last.
type table[T any] struct {
	m map[string]*entry[T]
}

type entry[T any] struct {
	v    T
	used time.Time
}

// get finds or makes the state of a key.
func (t *table[T]) get(key string, now time.Time, idle time.Duration) *T {
	if e := t.m[key]; e != nil {
		e.used = now
		return &e.v
	}
	if t.m == nil {
		t.m = map[string]*entry[T]{}
	}
	if len(t.m) >= maxKeys {
		t.evict(now, idle)
	}
	e := &entry[T]{used: now}
	t.m[key] = e
	return &e.v
}

// evict forgets idle keys, and if all are busy some of them.
func (t *table[T]) evict(now time.Time, idle time.Duration) {
	for k, e := range t.m {
		if now.Sub(e.used) > idle {
			delete(t.m, k)
		}
	}
	for k := range t.m {
		if len(t.m) <= maxKeys*9/10 {
			return
		}
		delete(t.m, k)
	}
}

// Bucket is a token bucket per key: so many a second, a burst on top.
type Bucket struct {
	mu  sync.Mutex
	now func() time.Time
	t   table[bucket]
}

type bucket struct {
	tokens float64
	at     time.Time
}

// NewBucket makes one. now may be nil.
func NewBucket(now func() time.Time) *Bucket { return &Bucket{now: orNow(now)} }

// Take takes a token of key. When there is none it answers how long to wait.
// rate is in tokens per second; a rate of 0 or less means no limit.
func (b *Bucket) Take(key string, rate float64, burst int) (wait time.Duration) {
	if rate <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	full := max(float64(burst), 1)
	s := b.t.get(key, now, time.Minute)
	if s.at.IsZero() {
		s.tokens = full
	} else {
		s.tokens = min(full, s.tokens+rate*max(now.Sub(s.at).Seconds(), 0))
	}
	s.at = now
	if s.tokens >= 1 {
		s.tokens--
		return 0
	}
	return time.Duration((1 - s.tokens) / rate * float64(time.Second))
}

// Window counts events per key in a sliding window, approximated by the share
// of the window before.
type Window struct {
	mu   sync.Mutex
	now  func() time.Time
	size time.Duration
	t    table[window]
}

type window struct {
	start     time.Time
	cur, prev int64
}

// NewWindow makes one. now may be nil.
func NewWindow(size time.Duration, now func() time.Time) *Window {
	return &Window{now: orNow(now), size: size}
}

// Take counts an event of key unless most were counted in the last window; then
// it answers how long to wait. most of 0 or less means no limit.
func (w *Window) Take(key string, most int) (wait time.Duration) { return w.take(key, int64(most), 1) }

// TakeN counts an event of weight n, bytes for instance, unless the last window
// and it would be over most; then it answers how long to wait.
func (w *Window) TakeN(key string, most, n int64) (wait time.Duration) {
	if n <= 0 {
		return 0
	}
	return w.take(key, most, n)
}

// Wait is TakeN without counting: whether there is anything left.
func (w *Window) Wait(key string, most int64) (wait time.Duration) { return w.take(key, most, 0) }

func (w *Window) take(key string, most, n int64) (wait time.Duration) {
	if most <= 0 {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	s := w.t.get(key, now, 2*w.size)
	s.roll(now, w.size)
	left := 1 - float64(now.Sub(s.start))/float64(w.size)
	if float64(s.prev)*left+float64(s.cur)+float64(max(n-1, 0)) >= float64(most) {
		return s.start.Add(w.size).Sub(now)
	}
	s.cur += n
	return 0
}

// Undo takes back an event of key that Take counted: it turned out to be none.
// Counting first keeps many at once from slipping through.
func (w *Window) Undo(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.t.m[key]
	switch {
	case e == nil: // no limit, or forgotten
	case e.v.cur > 0:
		e.v.cur--
	case e.v.prev > 0: // the window has moved on in between
		e.v.prev--
	}
}

func (s *window) roll(now time.Time, size time.Duration) {
	switch past := now.Sub(s.start); {
	case past >= 2*size || past < 0:
		*s = window{start: now}
	case past >= size:
		*s = window{start: s.start.Add(size), prev: s.cur}
	}
}

// Failures delays who failed too often: after free failures every further one
// doubles the wait, from a second to most.
type Failures struct {
	mu   sync.Mutex
	now  func() time.Time
	most time.Duration
	t    table[failures]
}

type failures struct {
	n     int
	until time.Time
	last  time.Time
}

// NewFailures makes one. now may be nil.
func NewFailures(most time.Duration, now func() time.Time) *Failures {
	return &Failures{now: orNow(now), most: most}
}

// Try counts a try of key as failed, unless key must wait, which it answers.
// Counting before the outcome is known keeps many tries at once from slipping
// through; Success takes it back.
func (f *Failures) Try(key string, free int) (wait time.Duration) {
	if free <= 0 {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	s := f.t.get(key, now, f.most)
	if now.Sub(s.last) > 2*f.most {
		*s = failures{}
	}
	if wait := s.until.Sub(now); wait > 0 {
		return wait
	}
	s.n++
	s.last = now
	if over := s.n - free; over >= 0 {
		s.until = now.Add(min(f.most, time.Second<<min(over, 30)))
	}
	return 0
}

// Success forgets the failures of key.
func (f *Failures) Success(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.t.m, key)
}

func orNow(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}
