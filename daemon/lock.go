package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const lockFile = "gtiv.lock"

// Lock is the sole right to use a data directory. The kernel gives it back
// when the process ends, however it ends.
type Lock struct{ f *os.File }

// InUseError is a data directory that another gtiv works on.
type InUseError struct {
	Dir string
	PID int // 0 when it cannot be read
}

func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("another gtiv already uses %s", e.Dir)
	}
	return fmt.Sprintf("another gtiv (pid %d) already uses %s", e.PID, e.Dir)
}

// LockData takes the right to use dir, which must exist, or fails with an
// *InUseError. The file DIR/gtiv.lock holds the pid for people; what counts is
// the lock on it, so a file left behind by a crash hinders nobody.
func LockData(dir string) (*Lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := flock(f); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &InUseError{Dir: dir, PID: readPID(f)}
		}
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	return &Lock{f: f}, nil
}

// Release gives the directory free. The file stays: removing it would let two
// processes lock two files of the same name.
func (l *Lock) Release() error {
	if err := l.f.Close(); err != nil {
		return fmt.Errorf("unlock data directory: %w", err)
	}
	return nil
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) //nolint:gosec // a file descriptor fits
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func readPID(f *os.File) int {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
