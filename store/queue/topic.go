package queue

import (
	"container/heap"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	defaultMaxAttempts = 8
	defaultLease       = time.Minute
	putChunkJobs       = 400
	putChunkBytes      = 512 << 10
)

// TopicOptions say how often and how long a topic tries.
type TopicOptions struct {
	// MaxAttempts is how often a job is taken before it is dead; default 8. An
	// attempt that ended with the process counts, so that a job that kills the
	// process cannot do so for ever.
	MaxAttempts int
	// Lease is how long a taken job is left alone; default 1 min. See Extend.
	Lease time.Duration
	// Backoff is the wait after attempt n (1, 2, ...) failed; default doubles from
	// 1 s to 10 min, a quarter more or less.
	Backoff func(attempt int) time.Duration
}

// Job is a piece of work. To put one, ID and Payload suffice. The payload is
// shared with the Topic: nobody changes it after Put or Take.
type Job struct {
	// ID names the work; at most 200 bytes. Empty: one is made up.
	ID string
	// Payload is at most MaxPayload bytes.
	Payload []byte
	// NotBefore is when it is due; zero or past means now.
	NotBefore time.Time
	// Attempt is 1 when the job is taken for the first time.
	Attempt int
	// EnqueuedAt is when the job was first put.
	EnqueuedAt time.Time

	seq   uint64
	lease uint64
}

// TopicStats are kept as jobs come and go; reading them costs no disk access.
type TopicStats struct {
	Depth  int64 // waiting, those due later included, leased ones not
	Leased int64
	Dead   int64
	// OldestAge is for how long the first job in line has been due; 0 when none is.
	OldestAge time.Duration
}

// Topic is a durable line of jobs, handed out by time due and then in put order,
// each at least once.
//
// Two positions keep taking cheap however many jobs were done: behind, in
// memory, is where the first job that was not read yet lies; head, on disk with
// every commit, is where a new process starts to read. Badger keeps a tombstone
// for each finished job, and neither lets a reader walk over them.
type Topic struct {
	s    *Store
	name string
	opt  TopicOptions
	err  error // why the topic cannot be used

	wake    chan struct{} // holds one token while a waiting taker should look again
	fetchMu sync.Mutex    // held by the one taker that reads from disk

	mu       sync.Mutex // guards the fields below
	line     line       // as last committed
	firstSeq uint64     // jobs up to this number were there before this process
	behind   mark       // nothing alive at or after it has been read, but what is in held
	held     map[uint64]*entry
	ready    readyHeap // held, waiting to be taken
	leases   int       // held, taken
	nextEnd  time.Time // no lease ends before
	tokens   uint64    // last lease given out
	fetching bool
	gone     map[uint64]struct{} // left held while fetching
	crossed  int64               // keys and tombstones read by fetches
}

// entry is a job in memory.
type entry struct {
	mark
	jobRecord
	attempt int    // begun so far
	closing bool   // a write is on its way that ends the lease
	lease   uint64 // 0 when not taken
	end     time.Time
	index   int // in ready
}

// Topic returns the topic of that name, which is made on first use; the first
// call's options win. Names are 1 to 64 of a-z 0-9 . _ -; with another name all
// methods return ErrInvalid.
func (s *Store) Topic(name string, opt TopicOptions) *Topic {
	s.mu.Lock()
	t, ok := s.topics[name]
	s.mu.Unlock()
	if ok {
		return t
	}
	t = newTopic(s, name, opt)
	if t.err != nil {
		return t
	}
	s.mu.Lock()
	if first, ok := s.topics[name]; ok {
		s.mu.Unlock()
		return first
	}
	s.topics[name] = t
	s.mu.Unlock()
	if s.why != "" {
		t.storeLine()
	}
	return t
}

// Topics lists the topics that were asked for in this process, by name.
func (s *Store) Topics() []*Topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Collect(maps.Values(s.topics))
	slices.SortFunc(list, func(a, b *Topic) int { return strings.Compare(a.name, b.name) })
	return list
}

// Name is the topic's name.
func (t *Topic) Name() string { return t.name }

func newTopic(s *Store, name string, opt TopicOptions) *Topic {
	if opt.MaxAttempts <= 0 {
		opt.MaxAttempts = defaultMaxAttempts
	}
	if opt.Lease <= 0 {
		opt.Lease = defaultLease
	}
	if opt.Backoff == nil {
		opt.Backoff = defaultBackoff
	}
	t := &Topic{s: s, name: name, opt: opt, wake: make(chan struct{}, 1), held: make(map[uint64]*entry)}
	if !validName(name) {
		t.err = fmt.Errorf("topic %q: %w", name, ErrInvalid)
		return t
	}
	if t.line, t.err = t.loadLine(); t.err != nil {
		t.err = fmt.Errorf("topic %s: %w", name, t.err)
	}
	t.behind, t.firstSeq = t.line.head, t.line.nextSeq
	return t
}

func defaultBackoff(attempt int) time.Duration {
	d := min(time.Second<<min(max(attempt-1, 0), 20), 10*time.Minute)
	d += time.Duration((mrand.Float64() - 0.5) * 0.5 * float64(d))
	return min(max(d, time.Second), 10*time.Minute)
}

// Put adds a job and returns when it is durable. A job of the same id that is
// still waiting or being worked on makes it a no-op. Errors: ErrTooBig,
// ErrInvalid, ErrNoSpace, ErrClosed.
func (t *Topic) Put(ctx context.Context, id string, payload []byte, notBefore time.Time) error {
	return t.PutAll(ctx, []Job{{ID: id, Payload: payload, NotBefore: notBefore}})
}

// PutAll adds jobs in that order. Nothing is added when one of them is refused;
// after another error the first of them may have been added.
func (t *Topic) PutAll(ctx context.Context, jobs []Job) error {
	if t.err != nil {
		return t.err
	}
	puts := make([]Job, len(jobs))
	for i, j := range jobs {
		if j.ID == "" {
			j.ID = rand.Text()
		}
		if len(j.ID) > maxID {
			return fmt.Errorf("put in %s: id of %d bytes: %w", t.name, len(j.ID), ErrInvalid)
		}
		if len(j.Payload) > MaxPayload {
			return fmt.Errorf("put in %s: %d bytes: %w", t.name, len(j.Payload), ErrTooBig)
		}
		puts[i] = j
	}
	for len(puts) > 0 {
		w, n := t.putChunk(puts)
		if err := t.s.do(ctx, w); err != nil {
			return fmt.Errorf("put in %s: %w", t.name, err)
		}
		puts = puts[n:]
	}
	return nil
}

// putChunk makes one write of as many jobs as fit into a transaction.
func (t *Topic) putChunk(jobs []Job) (*write, int) {
	n, size := 0, 0
	for n < len(jobs) && n < putChunkJobs && (n == 0 || size+len(jobs[n].Payload) <= putChunkBytes) {
		size += len(jobs[n].Payload) + 4*len(jobs[n].ID) + 200
		n++
	}
	chunk := jobs[:n]
	var added []mark
	return &write{
		size: size,
		apply: func(b *batch) error {
			added = added[:0]
			for _, j := range chunk {
				m, err := t.add(b, jobRecord{id: j.ID, enqueued: b.now, payload: j.Payload}, j.NotBefore)
				if err != nil {
					return err
				}
				if m != nowhere {
					added = append(added, m)
				}
			}
			return nil
		},
		after: func(err error) {
			if err == nil {
				t.publish(added...)
			}
		},
	}, n
}

// add writes a new job and its id; nowhere when the id is already in line. The
// place is chosen here, by the only writer, so that places follow commits.
func (t *Topic) add(b *batch, j jobRecord, notBefore time.Time) (mark, error) {
	idKey := append(topicKey(kindID, t.name), j.id...)
	old, err := b.get(idKey)
	if err != nil {
		return nowhere, err
	}
	if at, ok := decodeMark(old); ok {
		// An unreadable job was dropped without its id, so look at the place too.
		if there, err := b.get(t.jobKey(at)); err != nil || there != nil {
			return nowhere, err
		}
	}
	m, err := t.place(b, j, notBefore)
	b.line(t).waiting++
	return m, err
}

// place writes a job record behind the others of its due time.
func (t *Topic) place(b *batch, j jobRecord, notBefore time.Time) (mark, error) {
	l := b.line(t)
	l.nextSeq++
	m := mark{uint64(max(b.now, 0)), l.nextSeq}
	if !notBefore.IsZero() && notBefore.UnixMilli() > b.now {
		m.due = uint64(notBefore.UnixMilli())
	}
	if m.before(l.head) {
		l.head = m
	}
	if err := b.set(append(topicKey(kindID, t.name), j.id...), m.append(nil)); err != nil {
		return nowhere, err
	}
	return m, b.set(t.jobKey(m), j.encode())
}

// Work does the jobs one after the other, with a pause behind each, until ctx or the
// Store ends. A job that was done is acknowledged, one that failed tried again (Retry);
// failed is told why.
func (t *Topic) Work(ctx context.Context, pause time.Duration, do func(context.Context, *Job) error, failed func(error)) {
	for {
		j, err := t.Take(ctx)
		if errors.Is(err, ErrClosed) || ctx.Err() != nil {
			return
		}
		if err == nil {
			if err = do(ctx, j); err == nil {
				err = t.Ack(ctx, j)
			} else if ctx.Err() == nil {
				err = errors.Join(err, t.Retry(ctx, j, err))
			}
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Take waits for a job that is due and leases it. It returns ctx's error when
// ctx ends first and ErrClosed when the Store is closed.
func (t *Topic) Take(ctx context.Context) (*Job, error) {
	if t.err != nil {
		return nil, t.err
	}
	for {
		j, pause, err := t.tryTake(ctx)
		if err != nil {
			t.signal() // the token may have been the reason to look
			return nil, fmt.Errorf("take from %s: %w", t.name, err)
		}
		if j != nil {
			return j, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-t.wake:
		case <-timer.C:
		case <-t.s.quit:
			err = ErrClosed
		case <-ctx.Done():
			err = ctx.Err()
		}
		timer.Stop()
		if err != nil {
			t.signal() // whoever waits on must set the timer this taker had
			return nil, err
		}
	}
}

// tryTake returns a job, or how long there is surely none.
func (t *Topic) tryTake(ctx context.Context) (*Job, time.Duration, error) {
	for {
		j, fetch, pause := t.pick(t.s.cfg.Now())
		switch {
		case fetch:
			if err := t.fetch(ctx); err != nil {
				return nil, 0, err
			}
		case j == nil:
			return nil, pause, nil
		case j.Attempt > t.opt.MaxAttempts:
			if err := t.giveUp(ctx, j); err != nil {
				return nil, 0, err
			}
		default:
			return j, 0, t.begin(ctx, j)
		}
	}
}

// giveUp buries a job whose last attempt ended with its lease or the process.
func (t *Topic) giveUp(ctx context.Context, j *Job) error {
	e, err := t.close(j)
	if err != nil {
		return nil // the lease ended already; it comes up again
	}
	return t.s.do(ctx, t.bury(e, "the last attempt ended without a result"))
}

// begin notes the attempt on disk, without waiting for it: the note only has to
// outlive a job that kills the process, and such a job takes its time.
func (t *Topic) begin(ctx context.Context, j *Job) error {
	err := t.s.submit(ctx, &write{size: 64, apply: func(b *batch) error {
		if !t.holds(j.seq) {
			return nil // done meanwhile
		}
		return b.set(t.attemptKey(j.seq), binary.AppendUvarint(nil, uint64(j.Attempt)))
	}})
	if err != nil {
		t.giveBack(j)
	}
	return err
}

// Ack says that the job is done; it is forgotten durably. ErrLeaseLost when it
// is not this worker's any more.
func (t *Topic) Ack(ctx context.Context, j *Job) error {
	e, err := t.close(j)
	if err != nil {
		return fmt.Errorf("ack %s %s: %w", t.name, j.ID, err)
	}
	err = t.s.do(ctx, &write{
		size: 200,
		apply: func(b *batch) error {
			b.line(t).waiting--
			return t.erase(b, e)
		},
		after: func(err error) { t.settle(e, err) },
	})
	if err != nil {
		return fmt.Errorf("ack %s %s: %w", t.name, j.ID, err)
	}
	return nil
}

// Retry says that the attempt failed. The job comes back after the back-off, or
// goes to the dead letters with the reason when it was the last one.
func (t *Topic) Retry(ctx context.Context, j *Job, reason error) error {
	return t.failed(ctx, j, reason, t.opt.MaxAttempts)
}

// Bury says that the attempt failed and that no other one is worth it: the job
// goes to the dead letters with the reason.
func (t *Topic) Bury(ctx context.Context, j *Job, reason error) error {
	return t.failed(ctx, j, reason, 0)
}

func (t *Topic) failed(ctx context.Context, j *Job, reason error, most int) error {
	e, err := t.close(j)
	if err != nil {
		return fmt.Errorf("retry %s %s: %w", t.name, j.ID, err)
	}
	w := t.bury(e, cutReason(reason))
	if e.attempt < most {
		w = t.postpone(e, t.s.cfg.Now().Add(t.opt.Backoff(e.attempt)))
	}
	if err := t.s.do(ctx, w); err != nil {
		return fmt.Errorf("retry %s %s: %w", t.name, j.ID, err)
	}
	return nil
}

// postpone moves a job to a later place.
func (t *Topic) postpone(e *entry, due time.Time) *write {
	var moved mark
	rec := e.jobRecord
	rec.attempts = uint64(e.attempt)
	return &write{
		size: len(rec.payload) + 400,
		apply: func(b *batch) error {
			if err := t.erase(b, e); err != nil {
				return err
			}
			var err error
			moved, err = t.place(b, rec, due) // writes the id that erase removed
			return err
		},
		after: func(err error) {
			t.settle(e, err)
			if err == nil {
				t.publish(moved)
			}
		},
	}
}

// erase removes all records of a job that is in line.
func (t *Topic) erase(b *batch, e *entry) error {
	if err := b.del(t.jobKey(e.mark)); err != nil {
		return err
	}
	if err := b.del(append(topicKey(kindID, t.name), e.id...)); err != nil {
		return err
	}
	return b.del(t.attemptKey(e.seq))
}

// Extend makes the lease end d from now. A lost lease stays lost: Ack will say so.
func (t *Topic) Extend(j *Job, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.held[j.seq]; ok && e.lease == j.lease && e.lease != 0 {
		e.end = t.s.cfg.Now().Add(d)
		if e.end.Before(t.nextEnd) {
			t.nextEnd = e.end
		}
	}
}

// Stats returns the topic's figures.
func (t *Topic) Stats() TopicStats {
	now := t.s.cfg.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked(now)
	st := TopicStats{
		Depth: int64(t.line.waiting) - int64(t.leases), Leased: int64(t.leases), Dead: int64(t.line.dead),
	}
	first := t.behind
	if len(t.ready) > 0 && t.ready[0].before(first) {
		first = t.ready[0].mark
	}
	// Until the first read behind is only a lower bound, and zero for a new topic.
	if st.Depth > 0 && first != nowhere && first.due > 0 {
		st.OldestAge = max(0, now.Sub(time.UnixMilli(int64(first.due))))
	}
	return st
}

// readyHeap orders entries by place.
type readyHeap []*entry

func (h readyHeap) Len() int           { return len(h) }
func (h readyHeap) Less(i, j int) bool { return h[i].before(h[j].mark) }
func (h readyHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *readyHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *readyHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}

var _ heap.Interface = (*readyHeap)(nil)
