package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

const (
	keepBroken      = 2
	maxOpenAttempts = 3 // starts that died inside Badger before the folder is given up
	tallyFile       = "ACKNOWLEDGED"
)

// opened is what openFolder found.
type opened struct {
	db      *badger.DB
	tally   *tally
	commits uint64
	why     string
	created bool
}

// badgerOptions are for a small host: 11 MB at open, one small table in memory.
// SyncWrites makes a commit durable; ValueThreshold stays above MaxPayload, so
// that values live in the tables and never cross into the value log.
func badgerOptions(dir string, log *slog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithMemTableSize(8 << 20).WithNumMemtables(2).
		WithBaseTableSize(4 << 20).
		WithNumLevelZeroTables(2).WithNumLevelZeroTablesStall(6).
		WithNumCompactors(2).
		WithValueLogFileSize(16 << 20).WithValueThreshold(1 << 20).
		WithBlockCacheSize(0).WithIndexCacheSize(0).WithCompression(options.None).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithDetectConflicts(false).WithMetricsEnabled(false).
		WithLogger(badgerLog{log})
}

// openFolder opens cfg.Dir, replacing it when it is damaged.
func openFolder(cfg Config) (*opened, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	if locked(cfg.Dir) {
		return nil, ErrLocked
	}
	if free := freeBytes(cfg.Dir); free < cfg.MinFree/2 {
		return nil, fmt.Errorf("%w: %d bytes left, %d needed to open", ErrNoSpace, free, cfg.MinFree/2)
	}
	removeEmptyLogs(cfg.Dir)
	attempt := markAttempt(cfg.Dir)
	defer os.Remove(attemptFile(cfg.Dir))
	if attempt > maxOpenAttempts {
		return replaceFolder(cfg, fmt.Sprintf("%d starts in a row ended while opening it", attempt-1))
	}
	o, err := openHere(cfg)
	if err == nil {
		return o, nil
	}
	if err := blameless(cfg, err); err != nil {
		return nil, err
	}
	return replaceFolder(cfg, err.Error())
}

// removeEmptyLogs deletes log files without a byte, which a kill between making
// and sizing one leaves behind. Badger would refuse the folder because of them;
// if one held something after all, the tally will tell.
func removeEmptyLogs(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		ext := filepath.Ext(e.Name())
		if err == nil && info.Size() == 0 && (ext == ".mem" || ext == ".vlog") {
			_ = os.Remove(filepath.Join(dir, e.Name())) // Badger will say if that did not work
		}
	}
}

// blameless returns an error when the folder is not at fault: it is in use, not
// ours to read, or a new folder beside it would not open either.
func blameless(cfg Config, cause error) error {
	if locked(cfg.Dir) {
		return ErrLocked
	}
	if err := readable(cfg.Dir); err != nil {
		return fmt.Errorf("%w (give the files to the user the server runs as)", err)
	}
	trial, err := os.MkdirTemp(filepath.Dir(cfg.Dir), filepath.Base(cfg.Dir)+".trial-")
	if err != nil {
		return errors.Join(cause, err)
	}
	defer os.RemoveAll(trial)
	db, _, err := openBadger(trial, cfg.Logger)
	if err != nil {
		return errors.Join(cause, fmt.Errorf("a new folder does not open either: %w", err))
	}
	return db.Close()
}

// readable tries every file, because Badger's errors lose their cause.
func readable(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, e.Name()), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrPermission) {
			return err
		}
		if err == nil {
			f.Close()
		}
	}
	return nil
}

// replaceFolder moves the folder aside and opens a new one in its place.
func replaceFolder(cfg Config, why string) (*opened, error) {
	aside := fmt.Sprintf("%s.broken-%d", cfg.Dir, cfg.Now().UnixMilli())
	if err := os.Rename(cfg.Dir, aside); err != nil {
		return nil, fmt.Errorf("move damaged folder aside (%s): %w", why, err)
	}
	pruneBroken(cfg)
	o, err := openHere(cfg)
	if err != nil {
		return nil, err
	}
	o.why, o.created = fmt.Sprintf("moved to %s: %s", aside, oneLine(why)), false
	return o, nil
}

// oneLine tames Badger's longer explanations.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return s[:min(len(s), 300)]
}

// pruneBroken keeps the newest of the folders that were moved aside.
func pruneBroken(cfg Config) {
	entries, err := os.ReadDir(filepath.Dir(cfg.Dir))
	if err != nil {
		return
	}
	prefix := filepath.Base(cfg.Dir) + ".broken-"
	var found []string
	for _, e := range entries { // sorted by name, and the times have equal length
		if strings.HasPrefix(e.Name(), prefix) {
			found = append(found, filepath.Join(filepath.Dir(cfg.Dir), e.Name()))
		}
	}
	if len(found) <= keepBroken {
		return
	}
	for _, old := range found[:len(found)-keepBroken] {
		if err := os.RemoveAll(old); err != nil {
			cfg.Logger.Warn("old damaged queue folder not removed", "dir", old, "err", err)
		}
	}
}

// openHere opens Badger in cfg.Dir and compares its last commit with the tally.
func openHere(cfg Config) (*opened, error) {
	_, err := os.Stat(filepath.Join(cfg.Dir, badger.ManifestFilename))
	o := &opened{created: errors.Is(err, fs.ErrNotExist)}
	var torn bool
	if o.db, torn, err = openBadger(cfg.Dir, cfg.Logger); err != nil {
		return nil, err
	}
	if torn {
		o.why = "the manifest was cut at its end, tables may be missing"
	}
	if o.commits, err = readCommits(o.db); err != nil {
		return nil, errors.Join(err, o.db.Close())
	}
	var seen uint64
	if o.tally, seen, err = openTally(cfg.Dir); err != nil {
		return nil, errors.Join(err, o.db.Close())
	}
	if seen > o.commits {
		o.why = fmt.Sprintf("the last %d of %d acknowledged commits are missing", seen-o.commits, seen)
		o.created = false
		o.commits = seen // so that the next start does not report it again
	}
	return o, nil
}

// openBadger turns a panic, and a fault in a mapped file, into an error.
func openBadger(dir string, log *slog.Logger) (db *badger.DB, torn bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("badger panicked: %v", r)
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, err
	}
	opt := badgerOptions(dir, log)
	if torn, err = verifyTables(dir, opt); err != nil {
		return nil, false, err
	}
	db, err = badger.Open(opt)
	return db, torn, err
}

func readCommits(db *badger.DB) (uint64, error) {
	var n uint64
	err := db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, []byte{kindCommits})
		if err == nil && len(v) == 8 {
			n = binary.BigEndian.Uint64(v)
		}
		return err
	})
	return n, err
}

// tally is a file with the number of the last acknowledged commit. It is
// written without a sync after each commit, so it survives the process and at
// worst lags after a power cut; being ahead of Badger proves a loss.
type tally struct{ f *os.File }

func openTally(dir string) (*tally, uint64, error) {
	f, err := os.OpenFile(filepath.Join(dir, tallyFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, err
	}
	var b [8]byte
	if n, _ := f.ReadAt(b[:], 0); n < len(b) {
		return &tally{f}, 0, nil // new or cut short: nothing to compare with
	}
	return &tally{f}, binary.BigEndian.Uint64(b[:]), nil
}

func (t *tally) put(n uint64) error {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	_, err := t.f.WriteAt(b[:], 0)
	return err
}

func (t *tally) close() error { return t.f.Close() }

func attemptFile(dir string) string { return dir + ".opening" }

// markAttempt counts starts that have not got through Badger's Open. Some damage
// makes Badger end the process (log.Fatal, a fault in its own goroutine), which
// would otherwise repeat for ever.
func markAttempt(dir string) int {
	b, _ := os.ReadFile(attemptFile(dir))
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	if n < 0 || n > maxOpenAttempts {
		n = maxOpenAttempts
	}
	n++
	if err := os.WriteFile(attemptFile(dir), []byte(strconv.Itoa(n)), 0o600); err != nil {
		return 1 // without a count the folder is never given up
	}
	return n
}

// badgerLog passes on what an operator should see. Badger's Info is about its
// tables, so it becomes Debug, and its Debug is dropped.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(f string, a ...any)   { l.log.Error("badger", "err", text(f, a)) }
func (l badgerLog) Warningf(f string, a ...any) { l.log.Warn("badger", "err", text(f, a)) }
func (l badgerLog) Infof(f string, a ...any)    { l.log.Debug("badger", "info", text(f, a)) }
func (l badgerLog) Debugf(string, ...any)       {}

func text(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
