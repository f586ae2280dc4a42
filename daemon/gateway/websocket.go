package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"gtiv/protocol"

	"github.com/coder/websocket"
)

// wsBufferBytes is the size of the library's two buffers per connection. A
// control frame fits, so that each leaves in one write and never stands inside
// a message of ours.
const wsBufferBytes = 256

var errTextMessage = errors.New("text message")

// wsConn is the connection below the library. Data messages are built by us
// and written to the socket itself, the library writes control frames only; mu
// keeps the two apart.
type wsConn struct {
	net.Conn
	lib     *websocket.Conn
	timeout time.Duration
	mu      sync.Mutex
	pings   bucket // used by the library's reader
}

// Write is called by the library for control frames.
func (c *wsConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := writeAll(c.Conn, p, c.timeout); err != nil {
		return 0, err
	}
	return len(p), nil
}

// hijack gives the library the connection with small buffers of its own: those
// of net/http hold 4 KiB each.
type hijack struct {
	http.ResponseWriter
	conn    *wsConn
	timeout time.Duration
}

// Unwrap is for http.NewResponseController.
func (h *hijack) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Hijack takes the connection over, with what the client sent ahead.
func (h *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = &wsConn{Conn: c, timeout: h.timeout}
	ahead, _ := rw.Reader.Peek(rw.Reader.Buffered()) // what is buffered can be peeked
	var src io.Reader = c
	if len(ahead) > 0 {
		src = io.MultiReader(bytes.NewReader(bytes.Clone(ahead)), c)
	}
	r := bufio.NewReaderSize(src, max(wsBufferBytes, len(ahead)))
	_, _ = r.Peek(len(ahead)) // the library keeps what is buffered, and only that
	return h.conn, bufio.NewReadWriter(r, bufio.NewWriterSize(h.conn, wsBufferBytes)), nil
}

// ServeHTTP upgrades a request to a WebSocket connection and returns; the
// connection lives on with a reader of its own. Any origin may connect, because
// the token, not a cookie, says who it is.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	addr := g.clientAddr(r)
	if err := g.admit(addr); err != nil {
		status := http.StatusServiceUnavailable
		switch {
		case errors.Is(err, errAddressFull):
			status = http.StatusTooManyRequests
		case errors.Is(err, errBanned):
			status = http.StatusForbidden
		}
		http.Error(w, err.Error(), status)
		return
	}
	h := &hijack{ResponseWriter: w, timeout: g.cfg.WriteTimeout}
	lib, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true,
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     func(context.Context, []byte) bool { return h.conn.allowPing(g) },
	})
	if err != nil {
		g.log.Debug("not a websocket", "remote", addr, "err", err)
		g.leavePlace(addr, false)
		return
	}
	lib.SetReadLimit(protocol.HeaderBytes + protocol.MaxInBody)
	h.ResponseWriter = nil // the callback keeps h; the request is over
	g.startWS(h.conn, lib, addr)
}

func (g *Gateway) startWS(c *wsConn, lib *websocket.Conn, addr netip.Addr) {
	c.lib = lib
	c.pings = bucket{tokens: float64(g.cfg.InBurst), at: g.now()}
	s := newSession(g, c.Conn, WebSocket, addr)
	s.ws = c
	s.attach()
	if !g.keep(s) {
		_ = lib.Close(websocket.StatusGoingAway, endShutdown.why) //nolint:errcheck // closing anyway
		return
	}
	// A fresh goroutine, because the stack of the handler has grown. It must not
	// use the request's context, which ends with the handler.
	go s.serve(context.Background(), &messages{lib: lib})
}

// allowPing bounds pongs: without it a client could ask for any number.
func (c *wsConn) allowPing(g *Gateway) bool {
	if c.pings.take(g.now(), g.cfg.InRate, g.cfg.InBurst) {
		return true
	}
	_ = c.Close() //nolint:errcheck // flooding
	return false
}

// clientAddr is the address that limits and features go by.
func (g *Gateway) clientAddr(r *http.Request) netip.Addr {
	if g.deps.ClientAddr != nil {
		return g.deps.ClientAddr(r)
	}
	ap, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero address counts like any other
	return ap.Addr().Unmap()
}

// messages reads frames from a WebSocket, one per binary message.
type messages struct {
	lib *websocket.Conn
	buf [readerBytes]byte
	big *bigBody
}

func (m *messages) next() (protocol.Header, []byte, error) {
	m.release()
	kind, r, err := m.lib.Reader(context.Background())
	if err != nil {
		return protocol.Header{}, nil, fmt.Errorf("read message: %w", err)
	}
	if kind != websocket.MessageBinary {
		return protocol.Header{}, nil, errTextMessage
	}
	msg, err := m.read(r)
	if err != nil {
		return protocol.Header{}, nil, fmt.Errorf("read message: %w", err)
	}
	return protocol.ParseFrame(msg)
}

// read reads a whole message, into a borrowed buffer when it is long. The
// library refuses what is longer than that.
func (m *messages) read(r io.Reader) ([]byte, error) {
	n, err := readTo(r, m.buf[:], 0)
	if err != nil || n < len(m.buf) {
		return m.buf[:n], err
	}
	m.big, _ = bigBodies.Get().(*bigBody)
	copy(m.big[:], m.buf[:n])
	n, err = readTo(r, m.big[:], n)
	return m.big[:n], err
}

// readTo reads to the end of r or of b.
func readTo(r io.Reader, b []byte, n int) (int, error) {
	for n < len(b) {
		k, err := r.Read(b[n:])
		n += k
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (m *messages) release() {
	if m.big != nil {
		bigBodies.Put(m.big)
		m.big = nil
	}
}

// isPeerClose reports whether err is a close frame from the client.
func isPeerClose(err error) bool { return websocket.CloseStatus(err) != -1 }
