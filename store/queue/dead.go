package queue

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
)

const maxPage = 1000

// DeadJob is a job that was given up.
type DeadJob struct {
	ID         string
	Payload    []byte
	Attempts   int
	Reason     string // of the last attempt; at most 1 KiB
	EnqueuedAt time.Time
	DiedAt     time.Time
}

// WaitingJob is a job in line as an operator sees it.
type WaitingJob struct {
	ID         string
	Size       int // bytes of payload
	Attempts   int // begun so far
	Leased     bool
	NotBefore  time.Time
	EnqueuedAt time.Time
	// Cursor is what List takes to go on after this job.
	Cursor string
}

// bury moves a job whose lease is closed to the dead letters.
func (t *Topic) bury(e *entry, reason string) *write {
	rec := e.jobRecord
	rec.attempts = uint64(min(e.attempt, t.opt.MaxAttempts))
	return &write{
		size: len(rec.payload) + len(reason) + 400,
		apply: func(b *batch) error {
			l := b.line(t)
			l.waiting--
			if err := t.erase(b, e); err != nil {
				return err
			}
			key := append(topicKey(kindDead, t.name), rec.id...)
			old, err := b.get(key)
			if err != nil {
				return err
			}
			if old == nil {
				l.dead++
			}
			return b.set(key, deadRecord{rec, b.now, reason}.encode())
		},
		after: func(err error) { t.settle(e, err) },
	}
}

// Dead lists dead jobs by id, from the first one after the given id ("" for the
// start), at most limit (1 to 1000) of them.
func (t *Topic) Dead(ctx context.Context, after string, limit int) ([]DeadJob, error) {
	if t.err != nil {
		return nil, t.err
	}
	prefix := topicKey(kindDead, t.name)
	start := append([]byte(nil), prefix...)
	if after != "" {
		start = append(append(start, after...), 0)
	}
	jobs := []DeadJob{}
	err := t.page(ctx, prefix, start, limit, func(key, value []byte) error {
		rec, err := decodeDead(value)
		if err != nil {
			rec.id = string(key) // still listed, so that it can be dropped
			rec.reason = err.Error()
		}
		jobs = append(jobs, DeadJob{
			ID: rec.id, Payload: rec.payload, Attempts: int(rec.attempts), Reason: rec.reason,
			EnqueuedAt: time.UnixMilli(rec.enqueued), DiedAt: time.UnixMilli(rec.died),
		})
		return nil
	})
	return jobs, err
}

// RetryDead puts a dead job back in line as if it were new. When a job of the
// same id waits already, the dead one is dropped. ErrNotFound when there is none.
func (t *Topic) RetryDead(ctx context.Context, id string) error {
	var added mark
	err := t.removeDead(ctx, id, func(b *batch, value []byte) error {
		rec, err := decodeDead(value)
		if err != nil {
			return err
		}
		rec.attempts = 0
		added, err = t.add(b, rec.jobRecord, time.Time{})
		return err
	}, func() {
		if added != nowhere {
			t.publish(added)
		}
	})
	if err != nil {
		return fmt.Errorf("retry dead %s %s: %w", t.name, id, err)
	}
	return nil
}

// DropDead forgets a dead job. ErrNotFound when there is none.
func (t *Topic) DropDead(ctx context.Context, id string) error {
	err := t.removeDead(ctx, id, func(*batch, []byte) error { return nil }, func() {})
	if err != nil {
		return fmt.Errorf("drop dead %s %s: %w", t.name, id, err)
	}
	return nil
}

func (t *Topic) removeDead(ctx context.Context, id string, with func(*batch, []byte) error, then func()) error {
	if t.err != nil {
		return t.err
	}
	key := append(topicKey(kindDead, t.name), id...)
	var found bool
	err := t.s.do(ctx, &write{
		size: MaxPayload + 400, // not known before it is read
		apply: func(b *batch) error {
			value, err := b.get(key)
			if found = value != nil; err != nil || !found {
				return err
			}
			b.line(t).dead--
			if err := b.del(key); err != nil {
				return err
			}
			return with(b, value)
		},
		after: func(err error) {
			if err == nil && found {
				then()
			}
		},
	})
	if err == nil && !found {
		return ErrNotFound
	}
	return err
}

// List shows jobs in line, leased ones included, in the order they are due,
// after the given WaitingJob.Cursor ("" for the start), at most limit (1 to
// 1000) of them.
func (t *Topic) List(ctx context.Context, after string, limit int) ([]WaitingJob, error) {
	if t.err != nil {
		return nil, t.err
	}
	start, err := t.listStart(after)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", t.name, err)
	}
	jobs := []WaitingJob{}
	err = t.page(ctx, topicKey(kindJob, t.name), start, limit, func(key, value []byte) error {
		m, ok := decodeMark(key)
		rec, err := decodeJob(value)
		if !ok || err != nil {
			return nil // dropped when its turn comes
		}
		j := WaitingJob{
			ID: rec.id, Size: len(rec.payload), Attempts: int(rec.attempts), NotBefore: time.UnixMilli(int64(m.due)),
			EnqueuedAt: time.UnixMilli(rec.enqueued), Cursor: hex.EncodeToString(m.append(nil)),
		}
		t.mu.Lock()
		if e, ok := t.held[m.seq]; ok {
			j.Attempts, j.Leased = e.attempt, e.lease != 0
		}
		t.mu.Unlock()
		jobs = append(jobs, j)
		return nil
	})
	return jobs, err
}

// listStart begins at the head, so that the first page walks over no tombstones.
func (t *Topic) listStart(after string) ([]byte, error) {
	if after != "" {
		raw, err := hex.DecodeString(after)
		if _, ok := decodeMark(raw); err != nil || !ok {
			return nil, fmt.Errorf("cursor: %w", ErrInvalid)
		}
		return append(append(topicKey(kindJob, t.name), raw...), 0), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.jobKey(t.line.head), nil
}

// page calls each with the transaction-owned key behind the prefix and a copy of
// the value.
func (t *Topic) page(ctx context.Context, prefix, start []byte, limit int, each func(key, value []byte) error) error {
	limit = min(max(limit, 1), maxPage)
	return t.s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Seek(start); it.ValidForPrefix(prefix); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if limit--; limit < 0 {
				return nil
			}
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			if err := each(it.Item().Key()[len(prefix):], value); err != nil {
				return err
			}
		}
		return nil
	})
}
