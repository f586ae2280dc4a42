package queue_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gtiv/store/queue"
)

// states of one sequence number in the model.
const (
	unknown = iota
	handed
	delivered
)

// checkForm fails unless the cursor is in the form Cursor's comment promises.
func checkForm(t *testing.T, c queue.Cursor) {
	t.Helper()
	if len(c.Spans) > 16 {
		t.Fatalf("%d spans", len(c.Spans))
	}
	last := queue.Span{To: c.Base, Confirmed: true}
	for _, s := range c.Spans {
		if s.From > s.To || s.From <= last.To || s.From == last.To+1 && s.Confirmed == last.Confirmed {
			t.Fatalf("not sorted, disjoint and joined: %+v", c)
		}
		last = s
	}
}

func stateOf(c queue.Cursor, seq uint64) int {
	switch {
	case c.Delivered(seq):
		return delivered
	case c.Handed(seq):
		return handed
	}
	return unknown
}

// step does one random thing to the cursor and to the model.
func step(r *rand.Rand, c queue.Cursor, model []int) (queue.Cursor, []int) {
	from := uint64(r.IntN(len(model)))
	to := min(from+uint64(r.IntN(8)), uint64(len(model)-1))
	verb := r.IntN(10)
	switch {
	case verb < 5:
		c = c.Hand(from, to)
	case verb < 9:
		c = c.Confirm(from, to)
	default:
		from, to = 0, from/4
		c = c.Advance(to)
	}
	for seq := from; seq <= to; seq++ {
		if verb >= 5 {
			model[seq] = delivered
		} else {
			model[seq] = max(model[seq], handed)
		}
	}
	return c, model
}

// A cursor may forget what it was told when it runs out of spans, never invent.
// While the model needs at most 16 spans it is exact.
func TestACursorNeverClaimsWhatDidNotHappen(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 1))
		model := make([]int, 20+r.IntN(180))
		model[0] = delivered // numbers start at 1
		var c queue.Cursor
		exact := true
		for range 60 {
			before := c.Clone()
			next, after := step(r, c, model)
			if !equal(before, c) {
				t.Fatalf("seed %d: the old cursor changed: %+v, was %+v", seed, c, before)
			}
			c, model = next, after
			checkForm(t, c)
			exact = exact && spansNeeded(model) <= 15
			for seq, want := range model {
				got := stateOf(c, uint64(seq))
				if got > want || exact && got != want {
					t.Fatalf("seed %d: %d is %d, want %d (exact %v): %+v", seed, seq, got, want, exact, c)
				}
			}
			if c.Handed(uint64(len(model))) {
				t.Fatalf("seed %d: claims what was never sent: %+v", seed, c)
			}
		}
	}
}

func equal(a, b queue.Cursor) bool {
	if a.Base != b.Base || len(a.Spans) != len(b.Spans) {
		return false
	}
	for i := range a.Spans {
		if a.Spans[i] != b.Spans[i] {
			return false
		}
	}
	return true
}

// spansNeeded counts the runs of equal state above the base.
func spansNeeded(model []int) int {
	n, last := 0, delivered
	for _, st := range model {
		if st != last && st != unknown {
			n++
		}
		last = st
	}
	return n
}

func TestCursorRules(t *testing.T) {
	var c queue.Cursor
	steps := []struct {
		name string
		got  queue.Cursor
		want queue.Cursor
	}{
		{"a hand-over is a span", c.Hand(3, 5), queue.Cursor{Spans: []queue.Span{{3, 5, false}}}},
		{"next to the base it is still not confirmed", c.Hand(1, 2), queue.Cursor{Spans: []queue.Span{{1, 2, false}}}},
		{"confirming next to the base raises it", c.Hand(1, 4).Confirm(1, 2), queue.Cursor{Base: 2, Spans: []queue.Span{{3, 4, false}}}},
		{"confirming above it does not", c.Hand(1, 4).Confirm(3, 4), queue.Cursor{Spans: []queue.Span{{1, 2, false}, {3, 4, true}}}},
		{"the base takes confirmed spans with it", c.Confirm(3, 4).Confirm(1, 2), queue.Cursor{Base: 4}},
		{"advance cuts spans", c.Hand(3, 9).Advance(5), queue.Cursor{Base: 5, Spans: []queue.Span{{6, 9, false}}}},
		{"advance never goes back", c.Advance(5).Advance(2), queue.Cursor{Base: 5}},
		{"confirmed stays when handed again", c.Confirm(4, 5).Hand(3, 6), queue.Cursor{Spans: []queue.Span{{3, 3, false}, {4, 5, true}, {6, 6, false}}}},
		{"a range the wrong way round is nothing", c.Hand(5, 3).Confirm(9, 8), queue.Cursor{}},
		{"zero is no number", c.Hand(0, 0).Confirm(0, 0), queue.Cursor{}},
		{"the last number", c.Hand(math.MaxUint64, math.MaxUint64).Confirm(5, math.MaxUint64).Hand(1, math.MaxUint64),
			queue.Cursor{Spans: []queue.Span{{1, 4, false}, {5, math.MaxUint64, true}}}},
		{"everything", c.Hand(7, 9).Advance(math.MaxUint64).Hand(1, math.MaxUint64).Confirm(3, 4), queue.Cursor{Base: math.MaxUint64}},
	}
	for _, s := range steps {
		if !equal(s.got, s.want) {
			t.Errorf("%s: %+v, want %+v", s.name, s.got, s.want)
		}
	}
}

func TestTheOldestUnconfirmedSpanIsForgotten(t *testing.T) {
	c := queue.Cursor{}.Confirm(2, 2)
	for seq := uint64(10); seq <= 40; seq += 2 {
		c = c.Hand(seq, seq)
	}
	if len(c.Spans) != 16 || !c.Delivered(2) || c.Handed(10) || !c.Handed(12) || !c.Handed(40) {
		t.Fatalf("%+v", c)
	}
	c = queue.Cursor{}
	for seq := uint64(10); seq <= 42; seq += 2 {
		c = c.Confirm(seq, seq)
	}
	if len(c.Spans) != 16 || c.Handed(10) || !c.Delivered(12) || !c.Delivered(42) {
		t.Fatalf("%+v", c)
	}
}

// What was handed over below many gaps was the first to be forgotten, so that a
// cursor never got over them and the same was repeated for ever.
func TestACursorFullOfGapsStillFillsUp(t *testing.T) {
	var c queue.Cursor
	for seq := uint64(2); seq <= 100; seq += 2 {
		c = c.Hand(seq, seq)
	}
	for seq := uint64(1); seq <= 100; seq++ {
		c = c.Hand(seq, seq)
	}
	if len(c.Spans) != 1 || !c.Handed(1) || !c.Handed(100) {
		t.Fatalf("%+v", c)
	}
}
