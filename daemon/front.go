package daemon

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gtiv/daemon/limit"
)

// tlsHandshake is how long a client may take for TLS and its first byte.
const tlsHandshake = 15 * time.Second

// The handshakes in progress are bounded, because each costs CPU, memory and a
// descriptor before anybody has proved anything: maxHandshakes in all, of those
// addressHandshakes from one address (IPv6: one /64). Above that the oldest
// makes room if it had handshakeGrace, else the newcomer is closed: silent
// connections keep out nobody for long, and a flood is not served in vain.
const (
	maxHandshakes     = 256
	addressHandshakes = 16
	handshakeGrace    = 2 * time.Second
)

// handshakes are the connections on the TLS ports that have not said yet what
// they are.
type handshakes struct {
	total, perAddress int
	grace             time.Duration
	shared            func(netip.Addr) bool // addresses of many people, which perAddress does not bind

	mu   sync.Mutex
	list []*handshake // oldest first; guarded by mu
}

func newHandshakes(total int, shared func(netip.Addr) bool) *handshakes {
	return &handshakes{total: total, perAddress: addressHandshakes, grace: handshakeGrace, shared: shared}
}

// handshake is one of them.
type handshake struct {
	net.Conn
	key   string // address; "" is not counted
	since time.Time
}

// begin takes a connection in, if need be in place of an older one, which is
// closed. It reports nil, with c closed, when there is no room.
func (h *handshakes) begin(c net.Conn) *handshake {
	n := &handshake{Conn: c, since: time.Now()}
	if a := addressOf(c); !h.shared(a) {
		n.key = limit.AddressKey(a)
	}
	old, ok := h.enter(n)
	if old != nil {
		_ = old.Close()
	}
	if !ok {
		_ = c.Close()
		return nil
	}
	return n
}

// enter takes n in and answers who had to make room for it.
func (h *handshakes) enter(n *handshake) (old *handshake, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.crowdedLocked(n.key); i >= 0 {
		old = h.list[i]
		if n.since.Sub(old.since) < h.grace {
			return nil, false
		}
		h.list = slices.Delete(h.list, i, i+1)
	}
	h.list = append(h.list, n)
	return old, true
}

// crowdedLocked is the oldest handshake of the crowd that a newcomer would make
// too large, -1 if none.
func (h *handshakes) crowdedLocked(key string) int {
	first, count := -1, 0
	for i, o := range h.list {
		if key != "" && o.key == key {
			if count++; count == 1 {
				first = i
			}
		}
	}
	switch {
	case key != "" && count >= h.perAddress:
		return first
	case len(h.list) >= h.total:
		return 0
	}
	return -1
}

// end takes a handshake out, if it is still in.
func (h *handshakes) end(o *handshake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.list, o); i >= 0 {
		h.list = slices.Delete(h.list, i, i+1)
	}
}

// tlsFront accepts on the TLS port and tells two kinds of clients apart: a
// frame of the chat long connection starts with a zero byte (its length is
// small), HTTP with a letter. The one goes to comet, the other, if there is a
// place for it, to an http.Server that accepts from this listener. It accepts
// whatever happens: nobody waits behind somebody else's connections.
type tlsFront struct {
	ln      net.Listener
	cfg     *tls.Config
	comet   func(ctx context.Context, c net.Conn)
	waiting *handshakes // of all TLS ports
	places  *places
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

// tlsConfig is that of all TLS ports.
func tlsConfig(cert tls.Certificate, protocols ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: protocols}
}

func newTLSFront(ln net.Listener, cert tls.Certificate, comet func(context.Context, net.Conn), waiting *handshakes, p *places) *tlsFront {
	return &tlsFront{
		ln: ln, comet: comet, waiting: waiting, places: p, conns: make(chan net.Conn), done: make(chan struct{}),
		cfg: tlsConfig(cert, "http/1.1"),
	}
}

// Accept gives the http.Server its connections.
func (f *tlsFront) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Addr is the address of the TLS port.
func (f *tlsFront) Addr() net.Addr { return f.ln.Addr() }

// Close ends Accept and the port.
func (f *tlsFront) Close() error {
	f.once.Do(func() { close(f.done) })
	return f.ln.Close()
}

// run accepts until the port is closed, and returns after its handshakes ended.
func (f *tlsFront) run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	for {
		c, err := f.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // no files left, as a rule: give others time to close
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		if h := f.waiting.begin(c); h != nil {
			work.Go(func() { f.sort(ctx, h) })
		}
	}
}

// sort does the handshake and sees who it is.
func (f *tlsFront) sort(ctx context.Context, h *handshake) {
	defer f.waiting.end(h)
	raw := h.Conn
	hello, cancel := context.WithTimeout(ctx, tlsHandshake)
	defer cancel()
	stop := context.AfterFunc(hello, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	c := tls.Server(raw, f.cfg)
	r := bufio.NewReaderSize(c, 16)
	first, err := r.Peek(1)
	if !stop() || err != nil {
		_ = raw.Close()
		return
	}
	f.waiting.end(h) // what follows is bounded by who takes the connection
	p := &peeked{Conn: c, first: first[0], has: true, leave: func() {}}
	if r.Buffered() > 1 {
		rest, _ := r.Peek(r.Buffered())
		p.rest = append([]byte(nil), rest[1:]...)
	}
	if p.first == 0 {
		f.comet(ctx, p)
		return
	}
	leave, ok := f.places.take(addressOf(raw))
	if !ok {
		_ = raw.Close()
		return
	}
	p.leave = leave
	select {
	case f.conns <- p:
	case <-f.done:
		_ = p.Close()
	}
}

// peeked is a TLS connection some of whose bytes were read already.
type peeked struct {
	*tls.Conn
	first byte
	has   bool
	rest  []byte
	leave func() // gives back its place among the HTTP connections
}

// Close closes the connection and gives its place back.
func (p *peeked) Close() error {
	defer p.leave()
	return p.Conn.Close()
}

func (p *peeked) leavePlace() { p.leave() }

// NetConn is the TLS connection, not what is below it: who looks for the socket
// under this one must see that TLS is in between, or it writes around it.
func (p *peeked) NetConn() net.Conn { return p.Conn }

func (p *peeked) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if p.has {
		b[0], p.has = p.first, false
		n := copy(b[1:], p.rest)
		p.rest = p.rest[n:]
		return n + 1, nil
	}
	if len(p.rest) > 0 {
		n := copy(b, p.rest)
		p.rest = p.rest[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// serveHTTP serves listeners until ctx ends, then lets running requests finish
// for the grace period.
func serveHTTP(ctx context.Context, srv *http.Server, lns []net.Listener, grace func() time.Duration) error {
	g, inner := errgroup.WithContext(ctx)
	for _, ln := range lns {
		g.Go(func() error {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", ln.Addr(), err)
			}
			return nil
		})
	}
	g.Go(func() error {
		<-inner.Done()
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace())
		defer cancel()
		if err := srv.Shutdown(bound); err != nil {
			return srv.Close() // they had their time
		}
		return nil
	})
	return g.Wait()
}
