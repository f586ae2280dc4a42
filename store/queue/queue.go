// Package queue keeps durable work topics and delivery cursors in Badger.
//
// It owns one folder. Everything in it can be rebuilt or repeated from the
// database: losing the folder may repeat a delivery, it never loses something
// that was answered with success. A folder that Badger refuses is therefore
// moved aside and replaced, and Recovered says so. Topics deliver at least
// once; consumers are idempotent.
//
// Goroutines: Open starts the group commit goroutine, which lives until Close
// because writers need it before Run; Badger has its own between Open and
// Close. Run owns the flusher of the cursors and the housekeeping and returns
// after both. Without Run cursors reach the disk with Flush, Begin and Close
// alone.
//
// Locks, in the order they are taken: Cursors.writeMu, Topic.fetchMu,
// Store.use, then one of shard.mu, Topic.mu, Store.mu. Nothing is written, sent
// or read from disk under one of the last three.
package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

const (
	defaultFlushEvery = 500 * time.Millisecond
	defaultMinFree    = 32 << 20
	housekeepEvery    = time.Minute
)

// Errors of this package; compare with errors.Is.
var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("queue is closed")
	// ErrLocked means that another process, or another Store, has the folder.
	ErrLocked = errors.New("folder is in use by another process")
	// ErrNoSpace means that the disk has less than Config.MinFree left. Badger
	// writes through memory maps, where a full disk is a fatal signal rather than
	// an error, so writes are refused before that.
	ErrNoSpace = errors.New("not enough free disk space")
	// ErrTooBig means that a payload is over MaxPayload.
	ErrTooBig = errors.New("payload too big")
	// ErrInvalid means that a name or id is empty, too long or malformed.
	ErrInvalid = errors.New("invalid name or id")
	// ErrLeaseLost means that the lease ended and the job is somebody else's, done
	// or moved.
	ErrLeaseLost = errors.New("lease lost")
	// ErrNotFound means that there is no such job.
	ErrNotFound = errors.New("job not found")
)

// Config says where and how a Store keeps its data.
type Config struct {
	// Dir is the folder, made when missing. Nothing else may live in it.
	Dir string
	// FlushEvery is how long a cursor may stay in memory only; default 500 ms.
	FlushEvery time.Duration
	// MinFree is the free disk space in bytes below which writes are refused;
	// default 32 MiB, on a small disk an eighth of it.
	MinFree int64
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Logger gets what an operator should know; default discards.
	Logger *slog.Logger
}

// Store is an open folder with its topics and cursors. All methods may be
// called from any goroutine.
type Store struct {
	cfg     Config
	log     *slog.Logger
	db      *badger.DB
	tally   *tally
	why     string // why Recovered reports true, else ""
	created bool

	writes    chan *write
	quit      chan struct{} // closed first: takers and Run leave
	stop      chan struct{} // closed second: the group commit goroutine leaves
	committed chan struct{} // closed when it has left
	closeOnce sync.Once
	closeErr  error

	use    sync.RWMutex // held shared while db is used, exclusively to close it
	closed bool         // guarded by use

	deletes atomic.Int64 // since the last Flatten
	commits uint64       // owned by the group commit goroutine
	cursors *Cursors

	mu     sync.Mutex // guards topics
	topics map[string]*Topic
}

// Open opens the folder, or makes it, and starts the group commit goroutine.
// It returns ErrLocked and ErrNoSpace as they are; a folder that Badger refuses
// is moved to Dir+".broken-<unix ms>" (at most two are kept) and replaced.
func Open(cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("open queue: no folder given")
	}
	cfg.Dir = filepath.Clean(cfg.Dir)
	if cfg.FlushEvery <= 0 {
		cfg.FlushEvery = defaultFlushEvery
	}
	if cfg.MinFree <= 0 {
		cfg.MinFree = min(defaultMinFree, diskBytes(cfg.Dir)/8)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	o, err := openFolder(cfg)
	if err != nil {
		return nil, fmt.Errorf("open queue %s: %w", cfg.Dir, err)
	}
	if o.why != "" {
		cfg.Logger.Warn("queue recovered", "dir", cfg.Dir, "reason", o.why)
	}
	s := &Store{
		cfg: cfg, log: cfg.Logger, db: o.db, tally: o.tally, why: o.why, created: o.created, commits: o.commits,
		writes: make(chan *write, maxGroup), quit: make(chan struct{}), stop: make(chan struct{}),
		committed: make(chan struct{}), topics: make(map[string]*Topic),
	}
	s.cursors = newCursors(s)
	go s.commitLoop()
	return s, nil
}

// Recovered reports whether Open found damage, and what it did about it: the
// folder was moved aside, or acknowledged writes are missing from its end.
// Callers then rebuild from the database.
func (s *Store) Recovered() (bool, string) { return s.why != "", s.why }

// Created reports whether Open found no earlier folder, be it a first start or
// a folder that was deleted.
func (s *Store) Created() bool { return s.created }

// Run flushes cursors and keeps the folder small until ctx ends or the Store is
// closed; then it flushes once more and returns nil.
func (s *Store) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.cursors.flushLoop(ctx) })
	wg.Go(func() { s.housekeep(ctx) })
	wg.Wait()
	return nil
}

// Close flushes the cursors, waits for accepted writes and closes the folder.
// Jobs that are leased at that moment will be taken again by the next Store;
// the attempt does not count. Stop Run and the workers first.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	close(s.quit)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	errs := []error{s.cursors.Flush(ctx), s.releaseLeases(ctx)}
	close(s.stop)
	<-s.committed
	s.use.Lock()
	defer s.use.Unlock()
	s.closed = true
	errs = append(errs, s.db.Close(), s.tally.close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close queue %s: %w", s.cfg.Dir, err)
	}
	return nil
}

// Cursors returns the delivery cursors kept in this Store.
func (s *Store) Cursors() *Cursors { return s.cursors }

// Size returns the bytes on disk of the sorted tables with their logs, and of
// the value log. Badger's files are sparse: these are blocks in use, not
// apparent sizes.
func (s *Store) Size() (lsm, vlog int64) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return 0, 0
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // deleted by a compaction meanwhile
		}
		switch filepath.Ext(e.Name()) {
		case ".sst", ".mem":
			lsm += usedBytes(info)
		case ".vlog":
			vlog += usedBytes(info)
		}
	}
	return lsm, vlog
}

// Healthy proves that the folder is still there and that a small write commits.
func (s *Store) Healthy(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, badger.ManifestFilename)); err != nil {
		return fmt.Errorf("queue folder: %w", err)
	}
	err := s.do(ctx, &write{apply: func(b *batch) error {
		return b.set([]byte{kindHealth}, binary.BigEndian.AppendUint64(nil, uint64(b.now)))
	}})
	if err != nil {
		return fmt.Errorf("queue write: %w", err)
	}
	return nil
}

// view runs fn with a read transaction unless the Store is closed.
func (s *Store) view(fn func(txn *badger.Txn) error) error {
	s.use.RLock()
	defer s.use.RUnlock()
	if s.closed {
		return ErrClosed
	}
	return s.db.View(fn)
}

// housekeep gives space back once enough was deleted and the topics are empty.
func (s *Store) housekeep(ctx context.Context) {
	tick := time.NewTicker(housekeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.quit:
			return
		case <-tick.C:
			if s.worthFlattening() {
				s.flatten()
			}
		}
	}
}

// worthFlattening waits for a drained queue, because flattening rewrites what
// is alive, but not for ever.
func (s *Store) worthFlattening() bool {
	const few, many = 20_000, 1_000_000
	n := s.deletes.Load()
	if n < few || n >= many {
		return n >= many
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.topics {
		if t.Stats().Depth > 0 {
			return false
		}
	}
	return true
}

// flatten compacts the tombstones away and then collects the value log, which
// learns from compactions alone what may go.
func (s *Store) flatten() {
	s.use.RLock()
	defer s.use.RUnlock()
	if s.closed {
		return
	}
	s.deletes.Store(0)
	if err := s.db.Flatten(2); err != nil {
		s.log.Warn("queue not compacted", "err", err)
		return
	}
	for s.db.RunValueLogGC(0.5) == nil {
		// One file at a time, until there is none worth rewriting.
	}
}
