package control

import (
	"context"
	"net"
	"sync"
)

// maxPerUser bounds the connections of one user of the host. The socket is open
// to everybody, and somebody without a role must not use up the daemon's files.
const maxPerUser = 64

// bounded accepts connections, knows who is at their other end, and closes
// those above maxPerUser at once. Root and the daemon's own user are not
// counted: they could do worse.
type bounded struct {
	net.Listener
	self uint32

	mu   sync.Mutex // guards open
	open map[uint32]int
}

func newBounded(ln net.Listener, self uint32) *bounded {
	return &bounded{Listener: ln, self: self, open: make(map[uint32]int)}
}

// Accept is the next connection that may stay. One whose peer the kernel does
// not name is passed on; its requests are refused.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, err := readPeer(c)
		if err == nil && !b.enter(p.uid) {
			_ = c.Close() // unasked for; nothing to tell
			continue
		}
		pc := &peerConn{Conn: c, who: peerResult{p, err}}
		if err == nil {
			pc.left = func() { b.leave(p.uid) }
		}
		return pc, nil
	}
}

func (b *bounded) enter(uid uint32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[uid] >= maxPerUser && uid != 0 && uid != b.self {
		return false
	}
	b.open[uid]++
	return true
}

func (b *bounded) leave(uid uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[uid]--; b.open[uid] == 0 {
		delete(b.open, uid)
	}
}

// peerConn is a connection whose peer is known.
type peerConn struct {
	net.Conn
	who  peerResult
	left func() // nil when it is not counted
	once sync.Once
}

// Close closes the connection and stops counting it.
func (c *peerConn) Close() error {
	c.once.Do(func() {
		if c.left != nil {
			c.left()
		}
	})
	return c.Conn.Close()
}

type peerKey struct{}

// withPeer hands what Accept found to all requests of a connection.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if pc, ok := c.(*peerConn); ok {
		return context.WithValue(ctx, peerKey{}, pc.who)
	}
	return ctx
}
