package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func openTest(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "gtiv.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// hold keeps the writer busy until the returned function is called, so that
// what comes in between is one batch.
func hold(t testing.TB, s *Store) (release func()) {
	t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.update(context.Background(), func(*Tx) error { close(begun); <-end; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-begun
	return func() { close(end); wg.Wait() }
}

// waiting polls until n writes wait for the writer.
func waiting(t testing.TB, s *Store, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(s.requests) < n; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d writes wait, want %d", len(s.requests), n)
		}
	}
}

func put(tx *Tx, key string) error {
	return tx.exec(`INSERT INTO setting (key, value) VALUES (?, 'x')`, key)
}

func has(t testing.TB, s *Store, key string) bool {
	t.Helper()
	v, err := s.Setting(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return v != ""
}

// batch runs the writes so that they are folded together, in their order, and
// answers their errors.
func batch(t testing.TB, s *Store, writes ...func(*Tx) error) []error {
	t.Helper()
	errs := make([]error, len(writes))
	release := hold(t, s)
	var wg sync.WaitGroup
	for i, fn := range writes {
		wg.Go(func() { errs[i] = s.update(context.Background(), fn) })
		waiting(t, s, i+1)
	}
	release()
	wg.Wait()
	return errs
}

func TestWaitingWritesAreOneCommit(t *testing.T) {
	s := openTest(t)
	before := s.Stats()
	var writes []func(*Tx) error
	for i := range 20 {
		writes = append(writes, func(tx *Tx) error { return put(tx, fmt.Sprint(i)) })
	}
	for _, err := range batch(t, s, writes...) {
		if err != nil {
			t.Fatal(err)
		}
	}
	after := s.Stats()
	if after.Commits-before.Commits != 2 || after.Writes-before.Writes != 21 { // the first held the writer
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestAFailingWriteCostsOnlyItself(t *testing.T) {
	bad := errors.New("bad")
	for _, tc := range []struct {
		name string
		fail func(*Tx) error
		is   func(error) bool
	}{
		{"error after writing", func(*Tx) error { return bad }, func(err error) bool { return errors.Is(err, bad) }},
		{"panic", func(*Tx) error { panic("boom") }, func(err error) bool { return err != nil && strings.Contains(err.Error(), "boom") }},
		{"unique key", func(tx *Tx) error { return put(tx, "first") }, func(err error) bool { return errors.Is(err, ErrConflict) }},
		{"error of the driver in a read", func(tx *Tx) error {
			var n int
			return tx.row(`SELECT json_extract('{', '$.x')`).Scan(&n)
		}, func(err error) bool { return endedByDriver(err) }},
		{"bad SQL", func(tx *Tx) error { return tx.exec(`NONSENSE`) }, func(err error) bool { return endedByDriver(err) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := openTest(t)
			var order []string
			write := func(key string, then func(*Tx) error) func(*Tx) error {
				return func(tx *Tx) error {
					tx.onCommit(func() { order = append(order, key) })
					if err := put(tx, key); err != nil {
						return err
					}
					return then(tx)
				}
			}
			fine := func(*Tx) error { return nil }
			errs := batch(t, s, write("first", fine), write("bad1", tc.fail), write("second", fine), write("bad2", tc.fail), write("third", fine))
			for i, key := range []string{"first", "bad1", "second", "bad2", "third"} {
				failed := i%2 == 1
				if failed != (errs[i] != nil) || has(t, s, key) == failed || failed && !tc.is(errs[i]) {
					t.Errorf("%s: error %v, stored %v", key, errs[i], has(t, s, key))
				}
			}
			if !slices.Equal(order, []string{"first", "second", "third"}) {
				t.Errorf("callbacks ran as %v", order)
			}
		})
	}
}

// A failing disk makes SQLite end the transaction in the middle of a batch. What
// follows must not run outside of one, or it would be stored twice.
func TestNothingRunsOutsideATransactionThatSQLiteEnded(t *testing.T) {
	s := openTest(t)
	errs := batch(t, s,
		func(tx *Tx) error { return put(tx, "first") },
		func(tx *Tx) error {
			_ = tx.row(`ROLLBACK`).Scan() // stands for what SQLite does by itself
			return tx.row(`SELECT json_extract('{', '$.x')`).Scan(new(int))
		},
		func(tx *Tx) error { return put(tx, "second") })
	if errs[0] != nil || errs[1] == nil || errs[2] != nil || !has(t, s, "first") || !has(t, s, "second") {
		t.Errorf("errors %v, stored %v and %v", errs, has(t, s, "first"), has(t, s, "second"))
	}
}

// Writes that are refused before they wrote anything leave the batch alone.
func TestARefusedWriteDoesNotRollTheBatchBack(t *testing.T) {
	s := openTest(t)
	before := s.Stats().Commits
	runs := 0
	errs := batch(t, s,
		func(tx *Tx) error { runs++; return put(tx, "a") },
		func(*Tx) error { return ErrNotContact },
		func(tx *Tx) error { return put(tx, "b") })
	if !errors.Is(errs[1], ErrNotContact) || errs[0] != nil || errs[2] != nil || runs != 1 || s.Stats().Commits != before+2 {
		t.Errorf("errors %v, first ran %d times, %d commits", errs, runs, s.Stats().Commits-before)
	}
}

// ExpireMessages counted twice what it deleted when its batch ran twice.
func TestExpiryCountsOnceThoughItsBatchRunsTwice(t *testing.T) {
	s := openTest(t)
	a, b := makeFriends(t, s)
	for range 4 {
		if _, err := s.SendPrivate(t.Context(), NewMessage{From: a, To: b, Content: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	release := hold(t, s)
	var wg sync.WaitGroup
	wg.Go(func() {
		if n, err := s.ExpireMessages(t.Context(), 1<<60, 100); n != 5 || err != nil {
			t.Errorf("expired %d (%v), want 5", n, err)
		}
	})
	waiting(t, s, 1)
	wg.Go(func() {
		err := s.update(t.Context(), func(tx *Tx) error { _ = put(tx, "k"); return errors.New("bad") })
		if err == nil {
			t.Error("the bad write succeeded")
		}
	})
	waiting(t, s, 2)
	release()
	wg.Wait()
}

func makeFriends(t testing.TB, s *Store) (int64, int64) {
	t.Helper()
	var id [2]int64
	for i := range id {
		a, err := s.CreateAccount(t.Context(), NewAccount{Username: fmt.Sprint("user", i), Nickname: "x", Role: RoleUser})
		if err != nil {
			t.Fatal(err)
		}
		id[i] = a.ID
	}
	if _, err := s.Apply(t.Context(), id[0], id[1], "hi"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AcceptApplication(t.Context(), id[1], id[0], 0, NewMessage{Type: 8}); err != nil {
		t.Fatal(err)
	}
	return id[0], id[1]
}

// A send in a batch that is rolled back must get the same number again, not the
// next one: the writer's caches must not keep what did not happen.
func TestNumbersStayDenseWhenABatchRunsAgain(t *testing.T) {
	s := openTest(t)
	a, b := makeFriends(t, s)
	sendIt := func(tx *Tx) error { _, err := tx.sendPrivate(NewMessage{From: a, To: b, Content: "x"}); return err }
	errs := batch(t, s, sendIt, sendIt, func(tx *Tx) error { _ = sendIt(tx); return errors.New("bad") }, sendIt)
	if errs[0] != nil || errs[1] != nil || errs[2] == nil || errs[3] != nil {
		t.Fatal(errs)
	}
	m, err := s.SendPrivate(t.Context(), NewMessage{From: a, To: b, Content: "x"})
	if err != nil || m.Seq != 5 {
		t.Errorf("next number is %d (%v), want 5", m.Seq, err)
	}
}

func TestCloseFinishesOrRefusesWhatWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gtiv.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	const n = 1200 // more than two batches
	release := hold(t, s)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = s.update(context.Background(), func(tx *Tx) error { return put(tx, fmt.Sprint(i)) }) })
	}
	waiting(t, s, n/2) // the rest races with Close
	closed := make(chan error, 2)
	for range 2 {
		go func() { closed <- s.Close() }()
	}
	release()
	wg.Wait()
	for range 2 {
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
	if s, err = Open(t.Context(), Config{Path: path}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	finished := 0
	for i, err := range errs {
		if err != nil && !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if has(t, s, fmt.Sprint(i)) != (err == nil) {
			t.Fatalf("write %d answered %v, stored: %v", i, err, err != nil)
		}
		if err == nil {
			finished++
		}
	}
	if finished < n/2 {
		t.Errorf("%d writes were finished, %d were waiting", finished, n/2)
	}
}

func TestAWriteThatWaitsOutlivesItsRequest(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() { answer <- s.update(ctx, func(tx *Tx) error { return put(tx, "k") }) }()
	waiting(t, s, 1)
	cancel()
	select {
	case err := <-answer:
		t.Fatalf("answered %v before it was on disk", err)
	case <-time.After(20 * time.Millisecond):
	}
	release()
	if err := <-answer; err != nil || !has(t, s, "k") {
		t.Errorf("answered %v, stored %v", err, has(t, s, "k"))
	}
}

func TestAWriteThatFindsNoPlaceGivesUpWithItsRequest(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	defer release()
	for range maxWaiting {
		s.requests <- &request{fn: func(*Tx) error { return nil }, done: make(chan struct{})}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.update(ctx, func(*Tx) error { t.Error("ran"); return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("answered %v", err)
	}
}

func TestHealthyFindsAWriterThatHangs(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Healthy(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("answered %v", err)
	}
}

// A transaction that was left open must not stop the store for ever.
func TestWriterRecoversFromATransactionLeftOpen(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	var wg sync.WaitGroup
	wg.Go(func() {
		// Commits behind the writer's back and opens another one.
		_ = s.update(t.Context(), func(tx *Tx) error {
			return errors.Join(tx.exec(`COMMIT`), tx.exec(`BEGIN`), tx.exec(`COMMIT`))
		})
	})
	waiting(t, s, 1)
	release()
	wg.Wait()
	if err := s.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	s := openTest(t)
	for _, q := range []string{`DELETE FROM account`, `UPDATE account SET role = 100`, `CREATE TABLE x (y)`, `PRAGMA user_version = 9`} {
		if _, err := s.read.ExecContext(t.Context(), q); err == nil {
			t.Errorf("a reader ran %s", q)
		}
	}
}

func TestPragmasHoldOnEveryConnection(t *testing.T) {
	s := openTest(t)
	check := func(c interface {
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}, name, want string) {
		t.Helper()
		var got string
		if err := c.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %s", name, got, err, want)
		}
	}
	all := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "temp_store": "2"}
	for name, want := range all {
		check(s.conn, name, want)
	}
	check(s.conn, "query_only", "0")
	for range readConnections { // all at once, so that they are different ones
		c, err := s.read.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for name, want := range all {
			check(c, name, want)
		}
		check(c, "query_only", "1")
	}
	if n := s.read.Stats().OpenConnections; n != readConnections {
		t.Errorf("%d readers", n)
	}
}
