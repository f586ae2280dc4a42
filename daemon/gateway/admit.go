package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

var (
	errClosing     = errors.New("the server is closing")
	errFull        = errors.New("too many connections")
	errAddressFull = errors.New("too many connections from this address")
	errBanned      = errors.New("this address is banned")
)

// addressUse is what one client address holds.
type addressUse struct{ conns, held int32 }

// addresses counts connections per address.
type addresses struct {
	mu     sync.Mutex
	total  int
	held   int
	byAddr map[netip.Addr]addressUse
}

// place is what an address counts as: IPv6 hosts have a whole /64 to choose from.
func place(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

func unlimited(a netip.Addr, c *Config) bool {
	return slices.ContainsFunc(c.Unlimited, func(p netip.Prefix) bool { return p.Contains(a.Unmap().WithZone("")) })
}

// take counts a connection in, or says why not.
func (as *addresses) take(a netip.Addr, c *Config) error {
	key := place(a)
	as.mu.Lock()
	defer as.mu.Unlock()
	u := as.byAddr[key]
	if as.total >= c.MaxConnections {
		return errFull
	}
	if int(u.conns) >= c.ConnectionsPerAddress && !unlimited(a, c) {
		return errAddressFull
	}
	u.conns++
	as.total++
	as.byAddr[key] = u
	return nil
}

// hold counts a failed login as kept silent, if there is room for it.
func (as *addresses) hold(a netip.Addr, c *Config) bool {
	key := place(a)
	as.mu.Lock()
	defer as.mu.Unlock()
	u := as.byAddr[key]
	if as.held >= c.Held || int(u.held) >= c.HeldPerAddress {
		return false
	}
	u.held++
	as.held++
	as.byAddr[key] = u
	return true
}

// give counts a connection out.
func (as *addresses) give(a netip.Addr, held bool) {
	key := place(a)
	as.mu.Lock()
	defer as.mu.Unlock()
	u := as.byAddr[key]
	u.conns--
	as.total--
	if held {
		u.held--
		as.held--
	}
	if u.conns <= 0 {
		delete(as.byAddr, key)
		return
	}
	as.byAddr[key] = u
}

func (as *addresses) heldNow() int {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.held
}

// admit takes a place for a connection from a; leavePlace or forget gives it
// back.
func (g *Gateway) admit(a netip.Addr) error {
	err := errBanned
	if !g.deps.Banned(a) {
		err = g.addrs.take(a, &g.cfg)
	}
	if err != nil {
		g.stats.refused.Add(1)
	}
	return err
}

func (g *Gateway) leavePlace(a netip.Addr, held bool) { g.addrs.give(a, held) }

// keep makes s one of the connections that Run ends. It reports false, with the
// place given back, once the gateway is closing.
func (g *Gateway) keep(s *session) bool {
	g.mu.Lock()
	ok := !g.draining
	if ok {
		g.conns[s] = struct{}{}
		g.work.Add(1)
	}
	g.mu.Unlock()
	if !ok {
		g.leavePlace(s.info.Address, false)
	}
	return ok
}

// forget is the end of what admit and keep began.
func (g *Gateway) forget(s *session) {
	g.mu.Lock()
	delete(g.conns, s)
	g.mu.Unlock()
	if s.opened {
		g.stats.opened(s, -1)
	}
	g.leavePlace(s.info.Address, s.held)
}

// ServeTCP accepts comet connections until ctx ends, then closes ln. Run closes
// the connections themselves.
func (g *Gateway) ServeTCP(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() }) //nolint:errcheck // closing
	defer stop()
	var pause time.Duration
	lasting := context.WithoutCancel(ctx)
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			g.start(lasting, c)
		case ctx.Err() != nil:
			return nil
		case !passing(err):
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			g.log.Warn("cannot accept", "err", err, "dur", pause)
			sleep(ctx, pause)
		}
	}
}

// passing reports whether accept may work again later: the process or the host
// is short of something, or the client went away.
func passing(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.ECONNABORTED, unix.EINTR, unix.EAGAIN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return isTimeout(err)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// start serves c on a goroutine of its own.
func (g *Gateway) start(ctx context.Context, c net.Conn) {
	if s := g.newStreamSession(c); s != nil {
		go s.serve(ctx, newStream(readerOf(c)))
	}
}

// ServeConn serves one raw connection, TCP or *tls.Conn after its handshake,
// and returns when it has ended; it closes c. The ctx bounds what Deps is asked
// to do for it; Run's end closes the connection.
func (g *Gateway) ServeConn(ctx context.Context, c net.Conn) {
	if s := g.newStreamSession(c); s != nil {
		s.serve(ctx, newStream(readerOf(c)))
	}
}

// newStreamSession admits a raw connection, or resets it.
func (g *Gateway) newStreamSession(c net.Conn) *session {
	addr := peerAddr(c)
	s := newSession(g, c, TCP, addr)
	s.attach()
	if s.secure {
		s.info.Transport = TLS
	}
	if s.tcp != nil {
		// From here on even the end of the process resets the connection: the app
		// spins on a graceful close (wire.md 7.4).
		_ = s.tcp.SetLinger(0) //nolint:errcheck // the socket is gone then
	}
	if err := g.admit(addr); err != nil {
		g.log.Debug("connection refused", "remote", addr, "err", err)
		s.dropConn()
		return nil
	}
	if !g.keep(s) {
		g.log.Debug("connection refused", "remote", addr, "err", errClosing)
		s.dropConn()
		return nil
	}
	return s
}

func peerAddr(c net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{} // a pipe in a test
	}
	return ap.Addr().Unmap()
}

// below finds the TCP socket under wrappers, and whether TLS is one of them. A
// wrapper that hides what it wraps gives nil: then nothing is written around it.
func below(c net.Conn) (tcp *net.TCPConn, secure bool) {
	for {
		switch v := c.(type) {
		case *net.TCPConn:
			return v, secure
		case *tls.Conn:
			secure = true
			c = v.NetConn()
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		default:
			return nil, secure
		}
	}
}

// attach finds the TCP socket below the connection and sets it up for a long
// life: dead peers are noticed, and unread bytes do not pile up in the kernel.
func (s *session) attach() {
	tcp, secure := below(s.conn)
	s.secure = secure
	if tcp == nil {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	s.tcp, s.raw = tcp, raw
	cfg := &s.g.cfg
	ka := net.KeepAliveConfig{Enable: true, Idle: cfg.KeepAlive, Interval: cfg.KeepAlive / 4, Count: 3}
	// None of these may fail on a live socket; on a dead one the reader notices.
	_ = tcp.SetKeepAliveConfig(ka)         //nolint:errcheck // see above
	_ = tcp.SetWriteBuffer(cfg.SendBuffer) //nolint:errcheck // see above
	_ = raw.Control(func(fd uintptr) {     //nolint:errcheck // see above
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(cfg.UserTimeout/time.Millisecond)) //nolint:errcheck // see above
	})
}
