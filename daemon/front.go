package daemon

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// tlsHandshake is how long a client may take for TLS and its first byte.
const tlsHandshake = 15 * time.Second

// maxHandshakes bounds TLS handshakes in progress: each costs CPU and a
// goroutine before anybody has proved anything.
const maxHandshakes = 256

// tlsFront accepts on the TLS port and tells two kinds of clients apart: a
// frame of the chat long connection starts with a zero byte (its length is
// small), HTTP with a letter. The one goes to comet, the other to an
// http.Server that accepts from this listener.
type tlsFront struct {
	ln    net.Listener
	cfg   *tls.Config
	comet func(ctx context.Context, c net.Conn)
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	slots chan struct{}
}

func newTLSFront(ln net.Listener, cert tls.Certificate, comet func(context.Context, net.Conn)) *tlsFront {
	return &tlsFront{
		ln: ln, comet: comet, conns: make(chan net.Conn), done: make(chan struct{}), slots: make(chan struct{}, maxHandshakes),
		cfg: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
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
		select {
		case f.slots <- struct{}{}:
			work.Go(func() {
				f.sort(ctx, c)
			})
		case <-ctx.Done():
			_ = c.Close()
		}
	}
}

// sort does the handshake and sees who it is.
func (f *tlsFront) sort(ctx context.Context, raw net.Conn) {
	release := sync.OnceFunc(func() { <-f.slots })
	defer release()
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
	release() // what follows is bounded by who takes the connection
	p := &peeked{Conn: c, first: first[0], has: true}
	if r.Buffered() > 1 {
		rest, _ := r.Peek(r.Buffered())
		p.rest = append([]byte(nil), rest[1:]...)
	}
	if p.first == 0 {
		f.comet(ctx, p)
		return
	}
	select {
	case f.conns <- p:
	case <-f.done:
		_ = c.Close()
	}
}

// peeked is a TLS connection some of whose bytes were read already.
type peeked struct {
	*tls.Conn
	first byte
	has   bool
	rest  []byte
}

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
