package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

const maxGroup = 512 // writes folded into one transaction

// write is one change, applied whole or not at all by the group commit goroutine.
type write struct {
	// apply adds to the batch. It may run again in another batch, so it changes
	// nothing outside of it but results it sets anew each time.
	apply func(b *batch) error
	// after, when set, runs on the group commit goroutine with the outcome and
	// before the waiter is released. It must not wait for another write.
	after func(err error)
	size  int        // rough bytes, to close a group before Badger refuses it
	done  chan error // buffered; made by submit
}

// batch is the transaction being filled.
type batch struct {
	txn     *badger.Txn
	now     int64 // unix ms
	lines   map[*Topic]*line
	deletes int64
}

func (b *batch) set(key, value []byte) error { return b.txn.Set(key, value) }

func (b *batch) del(key []byte) error {
	b.deletes++
	return b.txn.Delete(key)
}

func (b *batch) get(key []byte) ([]byte, error) { return getValue(b.txn, key) }

// line returns the topic's counters as this batch leaves them.
func (b *batch) line(t *Topic) *line {
	l, ok := b.lines[t]
	if !ok {
		l = t.lineForBatch()
		b.lines[t] = l
	}
	return l
}

// getValue returns nil when there is no such key.
func getValue(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

// do hands w over and waits until it is durable. When ctx ends first the write
// may still happen.
func (s *Store) do(ctx context.Context, w *write) error {
	if err := s.submit(ctx, w); err != nil {
		if w.after != nil {
			w.after(err) // nobody else will
		}
		return err
	}
	return s.wait(ctx, w)
}

// pair is a record to write.
type pair struct{ key, value []byte }

// writeAll writes and deletes records in that order, in as many transactions as
// it takes.
func (s *Store) writeAll(ctx context.Context, sets []pair, dels [][]byte) error {
	const most = 2000
	for len(sets)+len(dels) > 0 {
		set := sets[:min(len(sets), most)]
		sets = sets[len(set):]
		del := dels[:min(len(dels), most-len(set))]
		dels = dels[len(del):]
		err := s.do(ctx, &write{size: 100 * (len(set) + len(del)), apply: func(b *batch) error {
			return b.setAndDelete(set, del)
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) setAndDelete(sets []pair, dels [][]byte) error {
	for _, p := range sets {
		if err := b.set(p.key, p.value); err != nil {
			return err
		}
	}
	for _, k := range dels {
		if err := b.del(k); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) submit(ctx context.Context, w *write) error {
	w.done = make(chan error, 1)
	select {
	case <-s.stop:
		return ErrClosed
	default:
	}
	select {
	case s.writes <- w:
		return nil
	case <-s.stop:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) wait(ctx context.Context, w *write) error {
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("outcome unknown: %w", ctx.Err())
	case <-s.committed:
	}
	select { // it may have been the last one before the end
	case err := <-w.done:
		return err
	default:
		return ErrClosed
	}
}

// commitLoop is the only writer. It takes what waits, without waiting for more,
// and makes it durable with one sync.
func (s *Store) commitLoop() {
	defer close(s.committed)
	for {
		select {
		case w := <-s.writes:
			s.commit(s.drain(w))
		case <-s.stop:
			for {
				select {
				case w := <-s.writes:
					s.commit(s.drain(w))
				default:
					return
				}
			}
		}
	}
}

func (s *Store) drain(first *write) []*write {
	group := []*write{first}
	size, limit := first.size, int(s.db.MaxBatchSize()/2)
	for len(group) < maxGroup && size < limit {
		select {
		case w := <-s.writes:
			group = append(group, w)
			size += w.size
		default:
			return group
		}
	}
	return group
}

// commit writes the group and releases its waiters. A group that fails, or that
// Badger finds too big, is halved, so that in the end only the culprit fails.
func (s *Store) commit(group []*write) {
	err := s.try(group)
	if err != nil && len(group) > 1 && !errors.Is(err, ErrNoSpace) {
		s.commit(group[:len(group)/2])
		s.commit(group[len(group)/2:])
		return
	}
	for _, w := range group {
		if w.after != nil {
			w.after(err)
		}
		w.done <- err
	}
}

func (s *Store) try(group []*write) error {
	if free := freeBytes(s.cfg.Dir); free < s.cfg.MinFree {
		return fmt.Errorf("%w: %d bytes left, %d kept back", ErrNoSpace, free, s.cfg.MinFree)
	}
	b := &batch{txn: s.db.NewTransaction(true), now: s.cfg.Now().UnixMilli(), lines: make(map[*Topic]*line)}
	defer b.txn.Discard()
	for _, w := range group {
		if err := w.apply(b); err != nil {
			return err
		}
	}
	for t, l := range b.lines {
		if err := b.set(t.lineKey(), l.encode()); err != nil {
			return err
		}
	}
	if err := b.set([]byte{kindCommits}, binary.BigEndian.AppendUint64(nil, s.commits+1)); err != nil {
		return err
	}
	if err := b.txn.Commit(); err != nil {
		return err
	}
	s.commits++
	s.deletes.Add(b.deletes)
	for t, l := range b.lines {
		t.setLine(*l)
	}
	if err := s.tally.put(s.commits); err != nil {
		s.log.Warn("queue tally not written", "err", err) // the commit itself is durable
	}
	return nil
}
