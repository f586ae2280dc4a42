package gateway

import "sync"

// wheelSlots times the tick is how far ahead the wheel sees: 409 s at 50 ms,
// beyond the longest timing there is. What lies further is looked at again then.
const wheelSlots = 8192

// ticker is what the wheel wakes. tick decides anew what is due, so it may be
// called early or once too often.
type ticker interface{ tick(now int64) }

// entry is one place in the wheel. It belongs to one ticker and is embedded in
// it: 15,000 connections cost no timer of the runtime.
type entry struct {
	owner      ticker
	next, prev *entry
	at         int64 // when it fires
	slot       int32
	linked     bool
}

// wheel is a hashed timer wheel. Setting a later time than the one already set
// does nothing: the owner is woken at the earlier time and asks again. That
// makes the common case, "another heartbeat came", free.
type wheel struct {
	step int64 // ns

	mu     sync.Mutex
	last   int64 // the tick done last
	slots  [wheelSlots]*entry
	due    []*entry // reused by advance, which has one caller
	waiter chan struct{}
}

func newWheel[D ~int64](step D) *wheel { return &wheel{step: int64(step)} }

// schedule wakes e's owner at the given time or, when an earlier one is set
// already, then.
func (w *wheel) schedule(e *entry, at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.linked {
		if e.at <= at {
			return
		}
		w.unlinkLocked(e)
	}
	tick := (at + w.step - 1) / w.step
	tick = min(max(tick, w.last+1), w.last+wheelSlots-1)
	e.at, e.slot, e.linked = at, int32(tick%wheelSlots), true //nolint:gosec // below wheelSlots
	head := w.slots[e.slot]
	e.next, e.prev = head, nil
	if head != nil {
		head.prev = e
	}
	w.slots[e.slot] = e
}

// remove forgets e. A wake-up that is under way may still come.
func (w *wheel) remove(e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.linked {
		w.unlinkLocked(e)
	}
}

func (w *wheel) unlinkLocked(e *entry) {
	if e.next != nil {
		e.next.prev = e.prev
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		w.slots[e.slot] = e.next
	}
	e.next, e.prev, e.linked = nil, nil, false
}

// advance wakes everything due at now. It has one caller at a time.
func (w *wheel) advance(now int64) {
	w.collect(now / w.step)
	for i, e := range w.due {
		w.due[i] = nil
		e.owner.tick(now)
	}
	w.due = w.due[:0]
	w.mu.Lock()
	if w.waiter != nil {
		close(w.waiter)
		w.waiter = nil
	}
	w.mu.Unlock()
}

// collect unlinks the entries of all ticks up to and including target.
func (w *wheel) collect(target int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// After a long stop (a suspended host) one round sees every slot.
	if target-w.last > wheelSlots {
		w.last = target - wheelSlots
	}
	for w.last < target {
		w.last++
		slot := &w.slots[w.last%wheelSlots]
		for *slot != nil {
			e := *slot
			w.unlinkLocked(e)
			w.due = append(w.due, e)
		}
	}
}

// turned is closed when the wheel has finished its next turn.
func (w *wheel) turned() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiter == nil {
		w.waiter = make(chan struct{})
	}
	return w.waiter
}
