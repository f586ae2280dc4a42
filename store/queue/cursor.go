package queue

import (
	"math"
	"slices"
)

// maxSpans bounds a cursor. When more are needed the oldest unconfirmed span is
// forgotten: repeating a message is better than losing it.
const maxSpans = 16

// Span is a run of sequence numbers, both ends included, above a cursor's Base.
type Span struct {
	From, To uint64
	// Confirmed: the client has them. Otherwise they were handed over, written to
	// a socket or answered by a sync, and nothing proves yet that they arrived.
	Confirmed bool
}

// Cursor says what one login session has of one conversation (wire.md 9.1).
// Everything up to Base is delivered and confirmed. Spans are sorted, disjoint
// and at most 16; neighbours of the same kind are joined, and a confirmed span
// next to Base is part of it. What is in neither was never handed over, or that
// was forgotten.
type Cursor struct {
	Base  uint64
	Spans []Span
}

// Hand returns the cursor after from..to were handed over. What was confirmed
// stays so.
func (c Cursor) Hand(from, to uint64) Cursor {
	c = c.Clone()
	c.paint(from, to, false)
	return c
}

// Confirm returns the cursor after from..to were delivered, whether they were
// handed over before or not.
func (c Cursor) Confirm(from, to uint64) Cursor {
	c = c.Clone()
	c.paint(from, to, true)
	return c
}

// Advance returns the cursor after everything up to base was delivered.
func (c Cursor) Advance(base uint64) Cursor {
	c = c.Clone()
	c.raise(base)
	return c
}

// Delivered reports whether seq is delivered and confirmed.
func (c Cursor) Delivered(seq uint64) bool {
	handed, confirmed := c.look(seq)
	return handed && confirmed
}

// Handed reports whether seq was handed over, confirmed or not.
func (c Cursor) Handed(seq uint64) bool {
	handed, _ := c.look(seq)
	return handed
}

func (c Cursor) look(seq uint64) (handed, confirmed bool) {
	if seq <= c.Base {
		return true, true
	}
	for _, s := range c.Spans {
		if seq <= s.To {
			return seq >= s.From, s.Confirmed
		}
	}
	return false, false
}

// Clone returns a cursor that shares nothing with c.
func (c Cursor) Clone() Cursor {
	c.Spans = slices.Clone(c.Spans)
	return c
}

// paint notes from..to in place and reports whether anything changed.
func (c *Cursor) paint(from, to uint64, confirmed bool) bool {
	if c.Base == math.MaxUint64 {
		return false
	}
	if from = max(from, c.Base+1); from > to {
		return false
	}
	if confirmed && from == c.Base+1 {
		return c.raise(to)
	}
	n := len(c.Spans)
	if n > 0 && from <= c.Spans[n-1].To {
		return c.repaint(from, to, confirmed)
	}
	// The usual case: a new message behind all others.
	if n > 0 && c.Spans[n-1].Confirmed == confirmed && c.Spans[n-1].To+1 == from {
		c.Spans[n-1].To = to
		return true
	}
	c.Spans = append(c.Spans, Span{from, to, confirmed})
	c.forget(from)
	return true
}

// repaint rebuilds the spans; each of at most 16 can leave two pieces.
func (c *Cursor) repaint(from, to uint64, confirmed bool) bool {
	var scratch [2*maxSpans + 3]Span
	out := spanList(scratch[:0])
	if confirmed {
		out = out.withConfirmed(c.Spans, Span{from, to, true})
	} else {
		out = out.withHanded(c.Spans, Span{from, to, false})
	}
	if slices.Equal(c.Spans, out) {
		return false
	}
	c.Spans = append(c.Spans[:0], out...)
	c.forget(from)
	return true
}

// raise moves Base up in place, over what was confirmed next to it.
func (c *Cursor) raise(base uint64) bool {
	if base <= c.Base {
		return false
	}
	c.Base = base
	keep := c.Spans[:0]
	for _, s := range c.Spans {
		switch {
		case s.To <= c.Base:
		case s.Confirmed && s.From <= c.Base+1: // no overflow: Base < s.To
			c.Base = s.To
		default:
			s.From = max(s.From, c.Base+1)
			keep = append(keep, s)
		}
	}
	c.Spans = keep
	return true
}

// forget drops spans over the bound: the oldest unconfirmed, or when there is
// none the oldest. The one at keep was just noted: if that were dropped, a cursor
// with many gaps above would never get over the first of them.
func (c *Cursor) forget(keep uint64) {
	for len(c.Spans) > maxSpans {
		i := slices.IndexFunc(c.Spans, func(s Span) bool { return !s.Confirmed && (keep < s.From || keep > s.To) })
		c.Spans = slices.Delete(c.Spans, max(0, i), max(0, i)+1)
	}
}

// spanList is built in order; add joins neighbours of the same kind.
type spanList []Span

func (l spanList) add(s Span) spanList {
	if n := len(l); n > 0 && l[n-1].Confirmed == s.Confirmed && l[n-1].To+1 >= s.From {
		l[n-1].To = max(l[n-1].To, s.To)
		return l
	}
	return append(l, s)
}

// withConfirmed lays the new span over the old ones.
func (l spanList) withConfirmed(old []Span, in Span) spanList {
	placed := false
	for _, s := range old {
		if s.From < in.From {
			l = l.add(Span{s.From, min(s.To, in.From-1), s.Confirmed})
		}
		if s.To >= in.From && !placed {
			l, placed = l.add(in), true
		}
		if s.To > in.To {
			l = l.add(Span{max(s.From, in.To+1), s.To, s.Confirmed})
		}
	}
	if !placed {
		l = l.add(in)
	}
	return l
}

// withHanded fills the gaps between the old spans.
func (l spanList) withHanded(old []Span, in Span) spanList {
	for _, s := range old {
		if in.From <= in.To && s.From > in.From {
			l = l.add(Span{in.From, min(in.To, s.From-1), false})
		}
		l = l.add(s)
		if s.To >= in.From {
			if s.To >= in.To {
				in.From, in.To = 1, 0 // nothing left
				continue
			}
			in.From = s.To + 1
		}
	}
	if in.From <= in.To {
		l = l.add(in)
	}
	return l
}
