package queue

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
)

// freeBytes returns what this process may still write on the disk of dir. A
// file system that cannot say counts as endless.
func freeBytes(dir string) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil || st.Blocks == 0 {
		return math.MaxInt64
	}
	if st.Bavail > uint64(math.MaxInt64/int64(st.Bsize)) {
		return math.MaxInt64
	}
	return int64(st.Bavail) * int64(st.Bsize)
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
	if st.Blocks == 0 || st.Blocks > uint64(math.MaxInt64/int64(st.Bsize)) {
		return math.MaxInt64
	}
	return int64(st.Blocks) * int64(st.Bsize)
}

// usedBytes returns the blocks a file occupies.
func usedBytes(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(st.Blocks) * 512
	}
	return info.Size()
}

// locked reports whether somebody holds Badger's lock on the folder. Badger's
// own error is plain text, and a folder in use must never count as damaged.
func locked(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK)
}
