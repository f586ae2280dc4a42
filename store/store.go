// Package store owns the SQLite database: the truth about accounts, contacts,
// conversations and messages.
//
// What a write method answers with success is on disk (WAL, synchronous=FULL).
// All writes go through one goroutine that folds waiting ones into one
// transaction (tx.go); reads use a pool of connections that cannot write. Every
// exported method is one transaction; unexported helpers take the Tx and
// compose. The package knows nothing of frames, HTTP or rules that need a
// person's rights, except those that must hold at the moment of writing (is
// this still a contact?), which it reports as sentinel errors.
//
// Goroutines: the writer, from Open to Close. Locks: none held across calls.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sqlite "modernc.org/sqlite" // the driver, without cgo
	sqlite3 "modernc.org/sqlite/lib"
)

// Sentinels that callers branch on.
var (
	ErrNotFound   = errors.New("not found")
	ErrConflict   = errors.New("conflict")
	ErrDiskFull   = errors.New("disk full")
	ErrClosed     = errors.New("store closed")
	ErrNewer      = errors.New("database was made by a newer gtiv")
	ErrNotContact = errors.New("not contacts")
)

// Config says where the database is.
type Config struct {
	Path   string           // of the database file
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: silent
	// Progress is called with a short text while a migration runs; may be nil.
	Progress func(text string)
}

// Store is the open database. Safe for concurrent use.
type Store struct {
	cfg    Config
	now    func() time.Time
	log    *slog.Logger
	write1 *sql.DB   // exactly one connection
	conn   *sql.Conn // that connection, held by the writer goroutine
	read   *sql.DB
	stmts  *stmtCache // of the readers

	requests chan *request
	quit     chan struct{}
	done     chan struct{}
	closing  sync.Once
	closeErr error  // set by closing
	w        writer // owned by the writer goroutine

	languages languageCache

	commits, batched atomic.Uint64
}

const readConnections = 4

// Open opens or makes the database, brings its schema up to date and starts the
// writer. A database of a newer gtiv is refused with ErrNewer.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	steps, err := migrations()
	if err != nil {
		return nil, err
	}
	return openAt(ctx, cfg, steps)
}

func openAt(ctx context.Context, cfg Config, steps []migration) (*Store, error) {
	s := &Store{
		cfg: cfg, now: cfg.Now, log: cfg.Logger,
		requests: make(chan *request, maxWaiting),
		quit:     make(chan struct{}), done: make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.open(ctx, steps); err != nil {
		_ = s.closeFiles() // the first error says more
		return nil, fmt.Errorf("open database %s: %w", filepath.Base(cfg.Path), mapError(err))
	}
	go s.writer()
	return s, nil
}

func (s *Store) open(ctx context.Context, steps []migration) error {
	if err := makePrivate(s.cfg.Path); err != nil {
		return err
	}
	var err error
	// busy_timeout comes first: the switch to WAL needs it already. Caches are in
	// KiB, filled on demand; the writer's is large because client ids are
	// random, so that each send touches another page of their index.
	if s.write1, err = openPool(s.cfg.Path, 1, "_txlock=immediate", "busy_timeout(5000)", "journal_mode(WAL)",
		"synchronous(FULL)", "secure_delete(fast)", "foreign_keys(1)", "cache_size(-32000)", "temp_store(memory)", "journal_size_limit(67108864)",
		"wal_autocheckpoint(4000)"); err != nil {
		return err
	}
	if s.conn, err = s.write1.Conn(ctx); err != nil {
		return err
	}
	if err := s.migrate(ctx, steps); err != nil {
		return err
	}
	if s.read, err = openPool(s.cfg.Path, readConnections, "", "busy_timeout(5000)", "query_only(1)",
		"foreign_keys(1)", "cache_size(-8000)", "temp_store(memory)"); err != nil {
		return err
	}
	s.stmts = newStmtCache(s.read.PrepareContext)
	s.w.init(s)
	return s.indexAll(ctx)
}

// makePrivate creates the file with mode 0600, or takes the rights of others
// from one that was copied here: SQLite gives its -wal and -shm the mode of the
// database.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator's own data folder
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err == nil && fi.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(0o600)
	}
	return errors.Join(err, f.Close())
}

func openPool(path string, conns int, option string, pragmas ...string) (*sql.DB, error) {
	var dsn strings.Builder
	dsn.WriteString("file:" + uriPath(path) + "?" + option)
	for _, p := range pragmas {
		dsn.WriteString("&_pragma=" + p)
	}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// uriPath escapes what a file: URI gives a meaning to.
func uriPath(p string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(p)
}

// Close commits what waits, moves the WAL into the database and closes it.
// Later calls of any method answer ErrClosed; closing twice changes nothing.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.quit)
		<-s.done
		s.closeErr = s.closeFiles()
	})
	return s.closeErr
}

func (s *Store) closeFiles() error {
	var errs []error
	if s.stmts != nil {
		errs = append(errs, s.stmts.close())
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	s.w.close()
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.write1 != nil {
		errs = append(errs, s.write1.Close())
	}
	return errors.Join(errs...)
}

// Healthy proves that the writer commits: it waits for one small write, but no
// longer than ctx allows, so that a writer that hangs is found out.
func (s *Store) Healthy(ctx context.Context) error {
	r, err := s.enqueue(ctx, func(tx *Tx) error {
		return tx.exec(`INSERT INTO setting (key, value) VALUES ('health', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
			fmt.Sprint(tx.now))
	})
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.done:
		return r.err
	case <-s.done:
		return s.wait(r)
	}
}

// Stats are counters for operators.
type Stats struct {
	Commits, Writes uint64 // transactions, and writes folded into them
	Bytes, WALBytes int64  // sizes of the files
}

// Stats reads the counters.
func (s *Store) Stats() Stats {
	st := Stats{Commits: s.commits.Load(), Writes: s.batched.Load()}
	if fi, err := os.Stat(s.cfg.Path); err == nil {
		st.Bytes = fi.Size()
	}
	if fi, err := os.Stat(s.cfg.Path + "-wal"); err == nil {
		st.WALBytes = fi.Size()
	}
	return st
}

// mapError turns driver codes into our sentinels, once and for all.
func mapError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch code := e.Code(); {
	case code == sqlite3.SQLITE_CONSTRAINT_UNIQUE, code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case code&0xff == sqlite3.SQLITE_FULL, code == sqlite3.SQLITE_IOERR_SHMSIZE:
		// A full disk is SQLITE_FULL, but for the -shm file, which cannot grow.
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}
