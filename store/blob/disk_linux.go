package blob

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// errNotDir is what the kernel says of "file/x".
const errNotDir = syscall.ENOTDIR

// freeBytes returns what this process may still write on the disk of dir. A file
// system that cannot say counts as endless.
func freeBytes(dir string) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil || st.Blocks == 0 {
		return math.MaxInt64
	}
	return blockBytes(st.Bavail, int64(st.Bsize)) //nolint:unconvert // 32 bits on some systems
}

// diskBytes returns the size of the disk that dir is on, or will be on once it is
// made. A file system that cannot say counts as endless.
func diskBytes(dir string) int64 {
	var st syscall.Statfs_t
	for err := syscall.Statfs(dir, &st); err != nil; err = syscall.Statfs(dir, &st) {
		parent := filepath.Dir(dir)
		if parent == dir {
			return math.MaxInt64
		}
		dir = parent
	}
	if st.Blocks == 0 {
		return math.MaxInt64
	}
	return blockBytes(st.Blocks, int64(st.Bsize)) //nolint:unconvert // 32 bits on some systems
}

func blockBytes(blocks uint64, size int64) int64 {
	if blocks > uint64(math.MaxInt64/size) { //nolint:gosec // positive
		return math.MaxInt64
	}
	return int64(blocks) * size //nolint:gosec // checked
}

// spaceError turns the errors of a full disk and of a used-up quota into
// ErrNoSpace.
func spaceError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// replaceDir moves folder from to to. What was at to is at from afterwards. Where
// the file system cannot swap (some network ones) nothing is at to for a moment.
func replaceDir(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	switch {
	case errors.Is(err, unix.ENOENT):
		return os.Rename(from, to)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return replaceDirSlowly(from, to)
	}
	return err
}

func replaceDirSlowly(from, to string) error {
	aside := from + "-old"
	if err := os.Rename(to, aside); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return errors.Join(err, os.Rename(aside, to))
	}
	return os.Rename(aside, from)
}
