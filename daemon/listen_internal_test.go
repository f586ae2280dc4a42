//go:build linux

package daemon

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// The app spins on a graceful close. A daemon killed right after accept used to
// make one: the option was set on the connection a moment later.
func TestCometConnectionsAreResetFromTheFirstMomentOn(t *testing.T) {
	var s *sockets
	for offset := 20_000; s == nil; offset += 50 { // others may test at the same time
		var err error
		if s, err = bind(t.Context(), []string{"127.0.0.1"}, offset); err != nil && offset > 40_000 {
			t.Fatal(err)
		}
	}
	defer s.close()
	for ln, want := range map[net.Listener]int{s.comet[0]: 1, s.http[0]: 0} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		in, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		raw, err := in.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var got *unix.Linger
		if cerr := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER) }); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
		if int(got.Onoff) != want || got.Linger != 0 {
			t.Errorf("%v: SO_LINGER is %+v", ln.Addr(), *got)
		}
	}
}
