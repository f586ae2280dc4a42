package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"gtiv/protocol"

	"golang.org/x/sys/unix"
)

// dialers is how many connections are being made at the same time.
const dialers = 16

// dialAll makes and logs in one connection per token. All or none.
func dialAll(cmd command) (list []*client, seconds float64, err error) {
	began := time.Now()
	list = make([]*client, len(cmd.Tokens))
	errs := make([]error, dialers)
	var wg sync.WaitGroup
	for w := range dialers {
		wg.Go(func() {
			for i := w; i < len(list) && errs[w] == nil; i += dialers {
				list[i], errs[w] = dialOne(cmd, cmd.Tokens[i])
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, c := range list {
			if c != nil {
				closeHard(c.fd)
			}
		}
		return nil, 0, err
	}
	return list, time.Since(began).Seconds(), nil
}

func dialOne(cmd command, token string) (*client, error) {
	fd, err := connect(cmd.Local, cmd.Addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cmd.Addr, err)
	}
	c := &client{fd: fd, ws: cmd.WS}
	if err := c.login(cmd.Addr, token); err != nil {
		closeHard(fd)
		return nil, fmt.Errorf("log in at %s: %w", cmd.Addr, err)
	}
	return c, nil
}

// connect makes a blocking socket whose reads and writes give up after 20 s. It
// comes from an address of its own, because one has ports for 28,000 only.
func connect(local, addr string) (int, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, err
	}
	from, err := netip.ParseAddr(local)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	limit := unix.Timeval{Sec: 20}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}))
	if err == nil {
		err = ignoringSignals(func() error {
			return unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		})
	}
	if err != nil {
		_ = unix.Close(fd) //nolint:errcheck // the first error says more
		return 0, err
	}
	return fd, nil
}

// ignoringSignals repeats a call that the Go runtime's own signals interrupted.
func ignoringSignals(f func() error) error {
	for {
		err := f()
		if errors.Is(err, unix.EISCONN) {
			return nil
		}
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EALREADY) {
			return err
		}
	}
}

// login does what a client does before it is idle: upgrade, op 7, op 8.
func (c *client) login(host, token string) error {
	if c.ws {
		if err := c.upgrade(host); err != nil {
			return err
		}
	}
	body, err := json.Marshal(map[string]string{"userToken": token, "platform": "bench"})
	if err != nil {
		return err
	}
	frame := protocol.AppendFrame(nil, protocol.OpAuth, 1, body)
	head := 0
	if c.ws {
		frame, head = appendMasked(nil, frame), 2
	}
	if _, err := unix.Write(c.fd, frame); err != nil {
		return fmt.Errorf("send op 7: %w", err)
	}
	reply := make([]byte, head+protocol.HeaderBytes)
	for have := 0; have < len(reply); {
		n, err := readOnce(c.fd, reply[have:])
		if err != nil {
			return fmt.Errorf("wait for op 8: %w", err)
		}
		have += n
	}
	h, err := protocol.ParseHeader(reply[head:])
	if err != nil || h.Op != protocol.OpAuthReply || h.BodyLen != 0 {
		return fmt.Errorf("not op 8: %x", reply)
	}
	return nil
}

// upgrade does the opening handshake of WebSocket.
func (c *client) upgrade(host string) error {
	const request = "GET /sub HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := unix.Write(c.fd, fmt.Appendf(nil, request, host)); err != nil {
		return fmt.Errorf("send upgrade: %w", err)
	}
	var reply []byte
	buf := make([]byte, 2048)
	for !bytes.HasSuffix(reply, []byte("\r\n\r\n")) && len(reply) < 8192 {
		n, err := readOnce(c.fd, buf)
		if err != nil {
			return fmt.Errorf("wait for upgrade: %w", err)
		}
		reply = append(reply, buf[:n]...)
	}
	if !strings.HasPrefix(string(reply), "HTTP/1.1 101 ") {
		return fmt.Errorf("no upgrade: %.60q", reply)
	}
	return nil
}

// readOnce reads what there is, at least one byte.
func readOnce(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil && n == 0:
			return 0, errors.New("closed by the server")
		}
		return n, err
	}
}
