package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"gtiv/protocol"

	"github.com/coder/websocket"
)

// peer is the plain server that figures are compared with: what one writes
// first. One goroutine per connection blocks in a read; a broadcast is one
// write call per connection and message. It speaks just enough of the protocol
// for the same clients, and has no timeouts, limits or queues.
type peer struct {
	mu    sync.Mutex
	conns []net.Conn // in the room, guarded by mu
}

func (p *peer) handler(ctx context.Context) func(command) (answer, error) {
	return func(c command) (answer, error) {
		switch c.Do {
		case "serve":
			return p.serve(ctx)
		case "online":
			p.mu.Lock()
			defer p.mu.Unlock()
			return answer{N: len(p.conns)}, nil
		case "publish":
			p.mu.Lock()
			defer p.mu.Unlock()
			return paced(c, func(seq int) {
				frame := frameFor(seq, c.Bytes)
				for _, conn := range p.conns {
					_, _ = conn.Write(frame) //nolint:errcheck // the fleet counts what came
				}
			}), nil
		}
		return answer{}, fmt.Errorf("no command %q", c.Do)
	}
}

func (p *peer) serve(ctx context.Context) (answer, error) {
	tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return answer{}, err
	}
	web, err := serveHTTP(ctx, http.HandlerFunc(p.serveWS))
	if err != nil {
		return answer{}, err
	}
	// All of it ends with the process.
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				fatal(err)
				return
			}
			go p.serveTCP(c)
		}
	}()
	return answer{Addr: tcp.Addr().String(), WSAddr: web}, nil
}

// serveHTTP serves a handler until the process ends, and answers where.
func serveHTTP(ctx context.Context, h http.Handler) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { fatal(srv.Serve(ln)) }()
	return ln.Addr().String(), nil
}

// serveTCP is the loop of one raw connection.
func (p *peer) serveTCP(c net.Conn) {
	defer c.Close() //nolint:errcheck // nothing to do about it
	var head [protocol.HeaderBytes]byte
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		h, err := protocol.ParseHeader(head[:])
		if err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, c, int64(h.BodyLen)); err != nil {
			return
		}
		if h.Op == protocol.OpChangeRoom {
			p.mu.Lock()
			p.conns = append(p.conns, c)
			p.mu.Unlock()
		}
		if reply := plainReply(h); reply != nil {
			if _, err := c.Write(reply); err != nil {
				return
			}
		}
	}
}

// serveWS is the loop of one WebSocket connection, inside the handler as in the
// library's examples.
func (p *peer) serveWS(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow() //nolint:errcheck // nothing to do about it
	for {
		_, msg, err := c.Read(r.Context())
		if err != nil {
			return
		}
		h, _, err := protocol.ParseFrame(msg)
		if err != nil {
			return
		}
		if reply := plainReply(h); reply != nil {
			if err := c.Write(r.Context(), websocket.MessageBinary, reply); err != nil && !errors.Is(err, context.Canceled) {
				return
			}
		}
	}
}

// plainReply answers the three ops that the clients send.
func plainReply(h protocol.Header) []byte {
	switch h.Op {
	case protocol.OpAuth:
		return protocol.AppendReply(nil, h, protocol.OpAuthReply, nil)
	case protocol.OpHeartbeat:
		return protocol.AppendReply(nil, h, protocol.OpHeartbeatReply, make([]byte, 4))
	case protocol.OpChangeRoom:
		return protocol.AppendReply(nil, h, protocol.OpChangeRoomOK, nil)
	}
	return nil
}
