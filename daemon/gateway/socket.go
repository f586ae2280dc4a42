package gateway

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// The calls below are made without telling the scheduler. That is right only
// because the sockets are non-blocking: such a call is over in microseconds, and
// on a quiet server the telling (it wakes the runtime's monitor thread each time)
// costs a fifth of answering a heartbeat.

// writeNow is one write(2) on a non-blocking socket.
func writeNow(fd uintptr, b []byte) (int, error) { return callNow(syscall.SYS_WRITE, fd, b) }

// readNow is one read(2) on a non-blocking socket.
func readNow(fd uintptr, b []byte) (int, error) { return callNow(syscall.SYS_READ, fd, b) }

func callNow(trap, fd uintptr, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		//nolint:gosec // the pointer is used in this one call only
		n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil //nolint:gosec // at most len(b)
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// rawReader reads a plain socket.
type rawReader struct {
	raw syscall.RawConn
	buf []byte
	n   int
	err error
	try func(fd uintptr) bool // made once
}

// readerOf is the reading side of a connection: the socket itself where there
// is nothing in between.
func readerOf(c net.Conn) io.Reader {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	r := &rawReader{raw: raw}
	r.try = func(fd uintptr) bool {
		r.n, r.err = readNow(fd, r.buf)
		return r.err != syscall.EAGAIN //nolint:errorlint // callNow returns the number itself
	}
	return r
}

func (r *rawReader) Read(b []byte) (int, error) {
	r.buf, r.n, r.err = b, 0, nil
	err := r.raw.Read(r.try)
	r.buf = nil
	switch {
	case err != nil:
		return 0, err
	case r.err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", r.err)}
	case r.n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return r.n, nil
}
