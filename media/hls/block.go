package hls

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// block is the bytes of a segment. They lie outside of Go's heap: segments are most of
// what a stream that nobody watches takes, and garbage collection lets a heap become
// twice as large as what is in it. It is counted who uses one, under TS.mu.
type block struct {
	b      []byte
	mapped bool // not of Go's heap
	users  int
}

// newBlock copies b. Its maker uses it.
func newBlock(b []byte) *block {
	m, err := unix.Mmap(-1, 0, max(len(b), 1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return &block{b: bytes.Clone(b), users: 1}
	}
	return &block{b: m[:copy(m, b)], mapped: true, users: 1}
}

// leave is called by who uses it no more; the last one frees it.
func (k *block) leave() {
	if k.users--; k.users > 0 {
		return
	}
	if k.mapped {
		_ = unix.Munmap(k.b[:cap(k.b)]) // of a mapping of ours
	}
	k.b = nil
}
