package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	sqlite "modernc.org/sqlite"
)

const (
	maxBatch   = 512  // writes in one transaction
	maxWaiting = 4096 // writes that wait before callers block
)

// request is one write that waits for the writer.
type request struct {
	fn    func(*Tx) error
	err   error
	after []func()
	done  chan struct{}
}

// Tx is a write in progress. Only the function it was handed to may use it.
type Tx struct {
	s     *Store
	ctx   context.Context //nolint:containedctx // lives as long as the write, for the driver
	now   int64           // ms
	wrote bool            // something must be rolled back if the function fails
	after []func()
}

// writer is the state that only the writer goroutine touches.
type writer struct {
	s     *Store
	stmts *stmtCache
	convs lru[convKey, *conversationRow]
	rels  relCache
	rooms lru[int64, *roomRow]

	toggles map[relKey]int64 // when a pair's follow was toggled last, ms
}

func (w *writer) init(s *Store) {
	w.s = s
	w.stmts = newStmtCache(s.conn.PrepareContext)
	w.forget()
}

// forget empties the caches, after a rollback may have made them untrue.
func (w *writer) forget() {
	w.convs = newLRU[convKey, *conversationRow](maxCachedConversations)
	w.rels = newRelCache()
	w.rooms = newLRU[int64, *roomRow](maxCachedRooms)
	w.toggles = map[relKey]int64{}
}

func (w *writer) close() {
	if w.stmts != nil {
		_ = w.stmts.close()
	}
}

// update runs fn inside the next transaction and returns once it is on disk.
// The context bounds only the wait for a place in the queue: a write that has
// begun is finished, whether or not its client is still there.
//
// fn may run twice: what it hands out it must set, not add to.
func (s *Store) update(ctx context.Context, fn func(*Tx) error) error {
	r, err := s.enqueue(ctx, fn)
	if err != nil {
		return err
	}
	return s.wait(r)
}

func (s *Store) enqueue(ctx context.Context, fn func(*Tx) error) (*request, error) {
	r := &request{fn: fn, done: make(chan struct{})}
	select {
	case s.requests <- r:
		return r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.quit:
		return nil, ErrClosed
	}
}

func (s *Store) wait(r *request) error {
	select {
	case <-r.done:
		return r.err
	case <-s.done: // the writer ended; it answers everything it took
		select {
		case <-r.done:
			return r.err
		default:
			return ErrClosed
		}
	}
}

// writer owns the write connection: it takes what waits, without delay when
// idle, commits once, then releases all waiters (group commit, design.md 3).
func (s *Store) writer() {
	defer close(s.done)
	batch := make([]*request, 0, maxBatch)
	for {
		select {
		case r := <-s.requests:
			batch = append(batch[:0], r)
		case <-s.quit:
			s.drain()
			return
		}
		s.commit(s.fill(batch))
	}
}

// drain commits what came before Close.
func (s *Store) drain() {
	for {
		batch := s.fill(nil)
		if len(batch) == 0 {
			return
		}
		s.commit(batch)
	}
}

func (s *Store) fill(batch []*request) []*request {
	for len(batch) < maxBatch {
		select {
		case r := <-s.requests:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch. When a write fails after it changed something, the whole
// batch is rolled back and its writes run one by one, so that one bad write
// costs only itself.
func (s *Store) commit(batch []*request) {
	if !s.try(batch) {
		for i := range batch {
			s.try(batch[i : i+1])
		}
	}
	for _, r := range batch {
		if r.err == nil {
			for _, f := range r.after {
				s.announce(f)
			}
		}
		close(r.done)
	}
}

// try runs the writes in one transaction. It answers false when they must be
// run one by one; then nothing has happened.
func (s *Store) try(batch []*request) bool {
	ctx := context.Background()
	if err := s.run(ctx, "BEGIN IMMEDIATE"); err != nil {
		_ = s.run(ctx, "ROLLBACK") // if an earlier one failed, this ends that transaction
		failAll(batch, mapError(err))
		return true
	}
	tx := &Tx{s: s, ctx: ctx, now: s.now().UnixMilli()}
	var spoilt error
	for _, r := range batch {
		tx.wrote, tx.after = false, nil
		r.err = mapError(call(r.fn, tx))
		r.after = tx.after
		if r.err != nil && (tx.wrote || endedByDriver(r.err)) {
			spoilt = r.err
			break
		}
	}
	if spoilt == nil {
		if spoilt = mapError(s.run(ctx, "COMMIT")); spoilt == nil {
			s.commits.Add(1)
			s.batched.Add(uint64(len(batch)))
			return true
		}
	}
	_ = s.run(ctx, "ROLLBACK") // SQLite may have rolled back by itself
	s.w.forget()
	if len(batch) > 1 && !errors.Is(spoilt, ErrDiskFull) {
		return false
	}
	failAll(batch, spoilt)
	return true
}

// endedByDriver says whether SQLite itself reported err. It may then have rolled
// back the whole transaction (a failing disk does that even in a read), and what
// follows in the batch must not run outside of one.
func endedByDriver(err error) bool {
	_, ok := errors.AsType[*sqlite.Error](err)
	return ok
}

func failAll(batch []*request, err error) {
	for _, r := range batch {
		r.err = err
	}
}

// announce keeps a panic in a callback from taking the writer down. The write is
// on disk; only its news is lost, and readers find it without.
func (s *Store) announce(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("announcing a write panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f()
}

// call keeps a panic in one write from taking the writer down.
func call(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			tx.wrote = true
			err = fmt.Errorf("write panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(tx)
}

func (s *Store) run(ctx context.Context, query string) error {
	st, err := s.w.stmts.get(ctx, query)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(ctx)
	return err
}

// onCommit runs f in the writer goroutine once the write is on disk, in the
// order of the writes. f must not block or call the store.
func (tx *Tx) onCommit(f func()) { tx.after = append(tx.after, f) }

func (tx *Tx) exec(query string, args ...any) error {
	_, err := tx.execResult(query, args...)
	return err
}

func (tx *Tx) execResult(query string, args ...any) (sql.Result, error) {
	st, err := tx.s.w.stmts.get(tx.ctx, query)
	if err != nil {
		return nil, err
	}
	tx.wrote = true
	return st.ExecContext(tx.ctx, args...)
}

// changed runs a statement and reports how many rows it touched.
func (tx *Tx) changed(query string, args ...any) (int64, error) {
	res, err := tx.execResult(query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (tx *Tx) row(query string, args ...any) scanner {
	st, err := tx.s.w.stmts.get(tx.ctx, query)
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(tx.ctx, args...)
}

func (tx *Tx) rows(query string, args ...any) (*sql.Rows, error) {
	st, err := tx.s.w.stmts.get(tx.ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(tx.ctx, args...)
}

// scanner is a row to read: of a reader or of a write in progress.
type scanner interface{ Scan(dest ...any) error }

type failedRow struct{ err error }

func (f failedRow) Scan(...any) error { return f.err }

// viewRow reads one row, outside of writes. A request that goes away does not
// interrupt it: that would cost the pool the whole connection.
func (s *Store) viewRow(ctx context.Context, query string, args ...any) scanner {
	if s.isClosing() {
		return failedRow{ErrClosed}
	}
	st, err := s.stmts.get(ctx, query)
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(context.WithoutCancel(ctx), args...)
}

func (s *Store) isClosing() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

func (s *Store) viewRows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s.isClosing() {
		return nil, ErrClosed
	}
	st, err := s.stmts.get(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(context.WithoutCancel(ctx), args...)
}

// collect reads all rows of a query through one scan function.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, mapError(err)
	}
	defer rows.Close()
	list := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, mapError(err)
		}
		list = append(list, v)
	}
	return list, mapError(rows.Err())
}

// stmtCache prepares each statement once. Queries are constants of this
// package, so it is bounded by the source.
type stmtCache struct {
	prepare func(context.Context, string) (*sql.Stmt, error)
	mu      sync.RWMutex
	m       map[string]*sql.Stmt
}

func newStmtCache(prepare func(context.Context, string) (*sql.Stmt, error)) *stmtCache {
	return &stmtCache{prepare: prepare, m: map[string]*sql.Stmt{}}
}

func (c *stmtCache) get(ctx context.Context, query string) (*sql.Stmt, error) {
	c.mu.RLock()
	st := c.m[query]
	c.mu.RUnlock()
	if st != nil {
		return st, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if st := c.m[query]; st != nil {
		return st, nil
	}
	// A request that goes away must not spoil the statement for the others.
	st, err := c.prepare(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil, fmt.Errorf("prepare %.40q: %w", query, err)
	}
	c.m[query] = st
	return st, nil
}

func (c *stmtCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, st := range c.m {
		errs = append(errs, st.Close())
	}
	clear(c.m)
	return errors.Join(errs...)
}
