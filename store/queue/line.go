package queue

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
)

const (
	fetchJobs  = 64
	fetchBytes = 1 << 20
	// fetchSteps bounds one walk over tombstones; the next one goes on from there.
	fetchSteps = 20_000
	// maxPause makes waiting takers notice a clock that was set.
	maxPause = 5 * time.Second
)

func (t *Topic) lineKey() []byte { return append([]byte{kindLine}, t.name...) }

func (t *Topic) jobKey(m mark) []byte { return m.append(topicKey(kindJob, t.name)) }

func (t *Topic) attemptKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64(topicKey(kindAttempt, t.name), seq)
}

func (t *Topic) loadLine() (line, error) {
	l := line{head: nowhere}
	err := t.s.view(func(txn *badger.Txn) error {
		v, err := getValue(txn, t.lineKey())
		if err == nil && v != nil {
			l, err = decodeLine(v)
		}
		if err != nil || t.s.why == "" {
			return err
		}
		t.recount(txn, &l)
		return nil
	})
	return l, err
}

// recount replaces the counters after a loss, when they may speak of jobs that
// are gone.
func (t *Topic) recount(txn *badger.Txn, l *line) {
	l.head, l.waiting, l.dead = nowhere, 0, 0
	each := func(kind byte, fn func(key []byte)) {
		prefix := topicKey(kind, t.name)
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Rewind(); it.ValidForPrefix(prefix); it.Next() {
			fn(it.Item().Key()[len(prefix):])
		}
	}
	each(kindDead, func([]byte) { l.dead++ })
	each(kindJob, func(key []byte) {
		if m, ok := decodeMark(key); ok {
			l.waiting++
			l.nextSeq = max(l.nextSeq, m.seq)
			if m.before(l.head) {
				l.head = m
			}
		}
	})
}

// storeLine makes a recount last.
func (t *Topic) storeLine() {
	err := t.s.submit(context.Background(), &write{size: 100, apply: func(b *batch) error { b.line(t); return nil }})
	if err != nil {
		t.s.log.Warn("topic counters not stored", "topic", t.name, "err", err)
	}
}

// lineForBatch copies the line with a fresh head. Called by the group commit
// goroutine, the only one that changes line.
func (t *Topic) lineForBatch() *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.line
	if l.head = t.behind; t.fetching {
		l.head = t.line.head // what the fetch will bring is in neither behind nor held
	}
	for _, e := range t.held {
		if e.before(l.head) {
			l.head = e.mark
		}
	}
	return &l
}

func (t *Topic) setLine(l line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line = l
}

// publish makes new places known to takers, after their commit.
func (t *Topic) publish(added ...mark) {
	if len(added) == 0 {
		return
	}
	t.mu.Lock()
	for _, m := range added {
		if m.before(t.behind) {
			t.behind = m
		}
	}
	t.mu.Unlock()
	t.signal()
}

// signal wakes one waiting taker. A taker that finds work, or gives up, passes
// it on, so that one token is enough for all.
func (t *Topic) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *Topic) holds(seq uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.held[seq]
	return ok
}

// pick leases the first job that is due. Otherwise it says whether the disk has
// one that comes first, or how long to wait.
func (t *Topic) pick(now time.Time) (j *Job, fetch bool, pause time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked(now)
	ms := uint64(max(now.UnixMilli(), 0))
	if t.behind.due <= ms && (len(t.ready) == 0 || t.behind.before(t.ready[0].mark)) {
		return nil, true, 0
	}
	if len(t.ready) > 0 && t.ready[0].due <= ms {
		e := heap.Pop(&t.ready).(*entry)
		t.leaseLocked(e, now)
		t.signal()
		return &Job{
			ID: e.id, Payload: e.payload, Attempt: e.attempt, EnqueuedAt: time.UnixMilli(e.enqueued),
			NotBefore: time.UnixMilli(int64(e.due)), seq: e.seq, lease: e.lease,
		}, false, 0
	}
	return nil, false, t.pauseLocked(now)
}

func (t *Topic) leaseLocked(e *entry, now time.Time) {
	t.tokens++
	e.lease, e.end = t.tokens, now.Add(t.opt.Lease)
	e.attempt++
	if t.leases++; t.leases == 1 || e.end.Before(t.nextEnd) {
		t.nextEnd = e.end
	}
}

func (t *Topic) pauseLocked(now time.Time) time.Duration {
	pause := maxPause
	due := t.behind.due
	if len(t.ready) > 0 { // fetched before the clock was set back
		due = min(due, t.ready[0].due)
	}
	if due < nowhere.due {
		pause = min(pause, time.UnixMilli(int64(due)).Sub(now))
	}
	if t.leases > 0 {
		pause = min(pause, t.nextEnd.Sub(now))
	}
	return max(pause, time.Millisecond)
}

// expireLocked puts jobs whose lease ended back in line.
func (t *Topic) expireLocked(now time.Time) {
	if t.leases == 0 || now.Before(t.nextEnd) {
		return
	}
	var next time.Time
	for _, e := range t.held {
		switch {
		case e.lease == 0:
		case !e.closing && !now.Before(e.end):
			t.unleaseLocked(e)
		case next.IsZero() || e.end.Before(next):
			next = e.end
		}
	}
	t.nextEnd = next
	if !next.After(now) { // only jobs with a write on its way are over time
		t.nextEnd = now.Add(time.Second)
	}
}

func (t *Topic) unleaseLocked(e *entry) {
	e.lease, e.closing = 0, false
	t.leases--
	heap.Push(&t.ready, e)
}

// giveBack undoes a lease that never reached a worker.
func (t *Topic) giveBack(j *Job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.held[j.seq]; ok && e.lease == j.lease {
		e.attempt--
		t.unleaseLocked(e)
		t.signal()
	}
}

// close ends j's lease for a write that follows. A lease that ended while nobody
// else took the job is still good: the work is done.
func (t *Topic) close(j *Job) (*entry, error) {
	if t.err != nil {
		return nil, t.err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.held[j.seq]
	if !ok || e.closing || j.lease == 0 || e.attempt != j.Attempt {
		return nil, ErrLeaseLost
	}
	switch e.lease {
	case j.lease:
	case 0:
		heap.Remove(&t.ready, e.index)
		e.lease = j.lease
		t.leases++
	default:
		return nil, ErrLeaseLost
	}
	e.closing = true
	return e, nil
}

// settle ends what close began: the job is gone from its place, or back in line
// when the write failed.
func (t *Topic) settle(e *entry, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.unleaseLocked(e)
		t.signal()
		return
	}
	t.leases--
	delete(t.held, e.seq)
	if t.fetching {
		t.gone[e.seq] = struct{}{}
	}
}

// fetch reads the next jobs that are due into memory, without Topic.mu.
func (t *Topic) fetch(ctx context.Context) error {
	t.fetchMu.Lock()
	defer t.fetchMu.Unlock()
	now := uint64(max(t.s.cfg.Now().UnixMilli(), 0))
	t.mu.Lock()
	from := t.behind
	if from.due > now {
		t.mu.Unlock()
		return nil // somebody else just did it
	}
	t.behind, t.fetching, t.gone = nowhere, true, make(map[uint64]struct{})
	t.mu.Unlock()

	f := fetched{next: from}
	err := ctx.Err()
	if err == nil {
		err = t.s.view(func(txn *badger.Txn) error { return t.walk(txn, from, now, &f) })
	}
	t.mu.Lock()
	t.merge(&f, err)
	t.mu.Unlock()
	for _, m := range f.bad {
		if err == nil {
			err = t.dropUnreadable(ctx, m)
		}
	}
	return err
}

// dropUnreadable removes a record that would block the line for ever.
func (t *Topic) dropUnreadable(ctx context.Context, m mark) error {
	t.s.log.Error("unreadable job dropped", "topic", t.name, "seq", m.seq)
	return t.s.do(ctx, &write{size: 100, apply: func(b *batch) error {
		b.line(t).waiting--
		return b.del(t.jobKey(m))
	}})
}

// fetched is what one walk found.
type fetched struct {
	jobs  []*entry
	bad   []mark // records that make no sense
	next  mark   // first place not read; nowhere at the end of the line
	steps int64
}

// merge is called with Topic.mu held. After an error the walk starts over.
func (t *Topic) merge(f *fetched, err error) {
	if err != nil {
		f.jobs = nil
	} else {
		t.crossed += f.steps
	}
	for _, e := range f.jobs {
		_, done := t.gone[e.seq]
		if _, known := t.held[e.seq]; known || done {
			continue
		}
		t.held[e.seq] = e
		heap.Push(&t.ready, e)
	}
	if f.next.before(t.behind) {
		t.behind = f.next
	}
	t.fetching, t.gone = false, nil
}

// walk goes over all versions, tombstones included, so that it knows how far it
// came and can stop in between. f.next stays at from until the walk has ended.
func (t *Topic) walk(txn *badger.Txn, from mark, now uint64, f *fetched) error {
	prefix := topicKey(kindJob, t.name)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, AllVersions: true})
	defer it.Close()
	var last []byte
	size := 0
	for it.Seek(from.append(bytes.Clone(prefix))); it.ValidForPrefix(prefix); it.Next() {
		f.steps++
		item := it.Item()
		key := item.Key()
		m, ok := decodeMark(key[len(prefix):])
		if !ok || bytes.Equal(key, last) {
			continue // an older version of what was just seen
		}
		if m.due > now || len(f.jobs) >= fetchJobs || size >= fetchBytes || f.steps > fetchSteps {
			f.next = m
			return nil
		}
		last = append(last[:0], key...)
		if item.IsDeletedOrExpired() {
			continue
		}
		e, err := t.readEntry(txn, item, m)
		if errors.Is(err, errRecord) {
			f.bad = append(f.bad, m)
			continue
		}
		if err != nil {
			return err
		}
		f.jobs = append(f.jobs, e)
		size += len(e.payload)
	}
	f.next = nowhere
	return nil
}

func (t *Topic) readEntry(txn *badger.Txn, item *badger.Item, m mark) (*entry, error) {
	v, err := item.ValueCopy(nil)
	if err != nil {
		return nil, err
	}
	rec, err := decodeJob(v)
	if err != nil {
		return nil, err
	}
	e := &entry{mark: m, jobRecord: rec, attempt: int(rec.attempts)}
	if m.seq > t.firstSeq {
		return e, nil // put by this process: begun attempts are in memory
	}
	v, err = getValue(txn, t.attemptKey(m.seq))
	if n, l := binary.Uvarint(v); l > 0 && n < 1<<31 {
		e.attempt = max(e.attempt, int(n))
	}
	return e, err
}

// releaseLeases forgets the attempts that an orderly stop interrupted.
func (s *Store) releaseLeases(ctx context.Context) error {
	s.mu.Lock()
	topics := make([]*Topic, 0, len(s.topics))
	for _, t := range s.topics {
		topics = append(topics, t)
	}
	s.mu.Unlock()
	var errs []error
	for _, t := range topics {
		if keys := t.leasedKeys(); len(keys) > 0 {
			errs = append(errs, s.writeAll(ctx, nil, keys))
		}
	}
	return errors.Join(errs...)
}

func (t *Topic) leasedKeys() [][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	var keys [][]byte
	for _, e := range t.held {
		if e.lease != 0 && !e.closing {
			keys = append(keys, t.attemptKey(e.seq))
		}
	}
	return keys
}
