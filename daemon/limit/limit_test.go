package limit_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/limit"
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }
func newClock() *clock                   { return &clock{time.Unix(1_800_000_000, 0)} }

func TestBucketGivesBurstThenRate(t *testing.T) {
	c := newClock()
	b := limit.NewBucket(c.now)
	for i := range 5 {
		if w := b.Take("a", 2, 5); w != 0 {
			t.Fatalf("token %d of the burst: wait %v", i, w)
		}
	}
	if w := b.Take("a", 2, 5); w != 500*time.Millisecond {
		t.Errorf("after the burst: wait %v, want 500ms", w)
	}
	if w := b.Take("b", 2, 5); w != 0 {
		t.Errorf("another key waits %v", w)
	}
	c.advance(500 * time.Millisecond)
	if w := b.Take("a", 2, 5); w != 0 {
		t.Errorf("after the wait: wait %v again", w)
	}
}

func TestBucketSurvivesAClockGoingBack(t *testing.T) {
	c := newClock()
	b := limit.NewBucket(c.now)
	b.Take("a", 1, 1)
	c.advance(-time.Hour)
	if w := b.Take("a", 1, 1); w > time.Second {
		t.Errorf("wait %v after the clock went back", w)
	}
}

func TestWindowCountsOverItsLength(t *testing.T) {
	c := newClock()
	w := limit.NewWindow(time.Hour, c.now)
	for i := range 20 {
		if wait := w.Take("a", 20); wait != 0 {
			t.Fatalf("event %d: wait %v", i, wait)
		}
	}
	if w.Take("a", 20) == 0 {
		t.Error("event 21 in the hour passed")
	}
	c.advance(2*time.Hour + time.Minute)
	if wait := w.Take("a", 20); wait != 0 {
		t.Errorf("hours later: wait %v", wait)
	}
}

func TestWindowSlides(t *testing.T) {
	c := newClock()
	w := limit.NewWindow(time.Hour, c.now)
	for range 20 {
		w.Take("a", 20)
	}
	c.advance(90 * time.Minute) // half of the window before still counts
	passed := 0
	for range 20 {
		if w.Take("a", 20) == 0 {
			passed++
		}
	}
	if passed != 10 {
		t.Errorf("%d passed, want 10", passed)
	}
}

func TestWindowTakesBackWhatWasNone(t *testing.T) {
	c := newClock()
	w := limit.NewWindow(time.Hour, c.now)
	w.Undo("a") // of nothing
	for range 5 {
		if w.Take("a", 2) != 0 {
			t.Fatal("what was taken back counts")
		}
		w.Undo("a")
	}
	w.Take("a", 2)
	w.Take("a", 2)
	if w.Take("a", 2) == 0 {
		t.Error("two events were not counted")
	}
	c.advance(time.Hour) // into the next window
	w.Undo("a")
	w.Undo("a")
	w.Undo("a")
	if w.Take("a", 1) != 0 {
		t.Error("what was taken back a window later counts")
	}
}

func TestFailuresGrow(t *testing.T) {
	c := newClock()
	f := limit.NewFailures(15*time.Minute, c.now)
	for i := range 10 {
		if w := f.Try("a", 10); w != 0 {
			t.Fatalf("try %d: wait %v", i, w)
		}
	}
	var last time.Duration
	for i := range 12 {
		w := f.Try("a", 10)
		if w <= 0 || w < last {
			t.Fatalf("failure %d behind the free ones: wait %v after %v", i, w, last)
		}
		last = w
		c.advance(w)
		if w := f.Try("a", 10); w != 0 {
			t.Fatalf("after waiting: %v again", w)
		}
	}
	if last != 15*time.Minute {
		t.Errorf("the wait ends at %v, want 15m", last)
	}
	f.Success("a")
	if w := f.Try("a", 10); w != 0 {
		t.Errorf("after success: wait %v", w)
	}
}

func TestWindowCountsWeights(t *testing.T) {
	w := limit.NewWindow(time.Hour, nil)
	for i, c := range []struct {
		n    int64
		fits bool
	}{{60, true}, {41, false}, {40, true}, {1, false}, {0, true}} {
		if wait := w.TakeN("a", 100, c.n); (wait == 0) != c.fits {
			t.Errorf("%d: weight %d waits %v", i, c.n, wait)
		}
	}
	if wait := w.TakeN("b", 100, 101); wait == 0 {
		t.Error("what is over the limit by itself was let through")
	}
}

func TestLimitersForgetKeysRatherThanGrow(t *testing.T) {
	b := limit.NewBucket(nil)
	for i := range 250_000 {
		b.Take(strconv.Itoa(i), 1, 1)
	}
	if n := limit.Keys(b); n > 100_000 {
		t.Errorf("%d keys", n)
	}
}

func TestAddressKeyFoldsIPv6Subscribers(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.1":          "192.0.2.1",
		"::ffff:192.0.2.1":   "192.0.2.1",
		"2001:db8:1:2:3::4":  "2001:db8:1:2::/64",
		"fe80::1%eth0":       "fe80::/64",
		"2001:db8:1:2:aa::1": "2001:db8:1:2::/64",
	} {
		if got := limit.AddressKey(netip.MustParseAddr(a)); got != want {
			t.Errorf("AddressKey(%s) = %s, want %s", a, got, want)
		}
	}
}

func TestSlotsAreBoundedForAllAndForEach(t *testing.T) {
	s := limit.NewSlots[int](3, 2)
	leave, ok := s.Enter(1)
	if !ok {
		t.Fatal("no place")
	}
	if _, ok := s.Enter(1); !ok {
		t.Error("no second place")
	}
	if _, ok := s.Enter(1); ok {
		t.Error("a third place for one")
	}
	if _, ok := s.Enter(2); !ok {
		t.Error("no place for another")
	}
	if _, ok := s.Enter(3); ok {
		t.Error("a fourth place")
	}
	leave()
	if _, ok := s.Enter(1); !ok {
		t.Error("a place that was left is not free")
	}
}

func TestSeatsAreBoundedByUserAndByAddress(t *testing.T) {
	s := limit.NewSeats(5, 2, 3)
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	leave, ok := s.Enter(1, here)
	_, second := s.Enter(1, here)
	_, third := s.Enter(2, here)
	if !ok || !second || !third {
		t.Fatal("no place")
	}
	if _, ok := s.Enter(1, there); ok {
		t.Error("a third place for one user")
	}
	if _, ok := s.Enter(3, here); ok {
		t.Error("a fourth place for one address")
	}
	leave()
	if _, ok := s.Enter(3, here); !ok {
		t.Error("a place that was left is not free")
	}
	if _, ok := s.Enter(1, there); !ok {
		t.Error("what an address was refused counts for the user")
	}
}

func TestPatientRefusesWhoTrickles(t *testing.T) {
	for name, c := range map[string]struct {
		chunk int
		every time.Duration
		ours  time.Duration // what we do with each piece
		slow  bool
	}{
		"a byte now and then": {1, 20 * time.Millisecond, 0, true},
		"fast enough":         {4096, 20 * time.Millisecond, 0, false},
		"we are slow":         {64, 0, 30 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body := limit.NewPatient(w, r.Body, limit.Pace{Idle: time.Minute, Most: time.Minute, Rate: 8 << 10, Window: 200 * time.Millisecond})
				b := make([]byte, 4096)
				var err error
				for err == nil {
					_, err = body.Read(b)
					time.Sleep(c.ours)
				}
				got <- err
			}))
			defer srv.Close()
			conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			const pieces = 40
			_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "+strconv.Itoa(pieces*c.chunk)+"\r\n\r\n")
			for i := 0; i < pieces && err == nil; i++ {
				time.Sleep(c.every)
				_, err = conn.Write(make([]byte, c.chunk))
			}
			if err != nil && !c.slow {
				t.Fatal(err)
			}
			select {
			case err := <-got:
				if slow := errors.Is(err, os.ErrDeadlineExceeded); slow != c.slow {
					t.Errorf("ended with %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("still reading")
			}
		})
	}
}
