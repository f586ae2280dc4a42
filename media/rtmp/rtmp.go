// Package rtmp takes live streams from encoders and gives them to players over RTMP
// and RTMPS, and relays them to and from other servers.
//
// Whatever a peer sends passes our own reader of chunks first (chunkReader, filter),
// which bounds everything, and commands are decoded by our own AMF0 decoder. Only a
// few commands, written anew, reach github.com/yutopp/go-rtmp, which does the
// handshake and the dialogue up to "publish" or "play" (guard). From there on the
// connection is ours: sound and pictures never pass the library, and players get
// rounds of the stream whose chunks were made once for all of them.
//
// Goroutines: Serve has one that accepts and one for each connection; go-rtmp has two
// for a connection until it publishes or plays; a player has one more, which reads.
// Lock: link.mu, which guards writing to a connection; nothing else is locked inside.
package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"gtiv/media"
)

// Errors of connections, told in the log.
var (
	errSlow    = errors.New("peer does not read")
	errSilent  = errors.New("peer is silent")
	errVersion = errors.New("not a handshake of RTMP")
	errApp     = errors.New("unknown app")
	errRefused = errors.New("refused")
	errNoRole  = errors.New("neither published nor played")
	errOffAir  = errors.New("stream is not on air")
)

// Config is what may be set. Zero values are replaced by defaults where there are any.
type Config struct {
	// App is the first part of addresses; "live".
	App string
	// MaxConns and MaxPerAddress bound open connections; 0: they are not.
	MaxConns, MaxPerAddress int
	// Handshake is how long a handshake may take, and then again the dialogue up to
	// publish or play; 10 s.
	Handshake time.Duration
	// Silence is after how long without a byte a publisher counts as gone; 10 s.
	Silence time.Duration
	// PlayWait is how long a player waits for a stream that is not on air; 10 s.
	PlayWait time.Duration
}

func (c Config) withDefaults() Config {
	if c.App == "" {
		c.App = "live"
	}
	for _, d := range []*time.Duration{&c.Handshake, &c.Silence, &c.PlayWait} {
		if *d == 0 {
			*d = 10 * time.Second
		}
	}
	return c
}

// Request is what somebody wants to publish or play.
type Request struct {
	Addr netip.Addr
	App  string
	// Name is what follows the app: a stream key, or a room, with whatever is in front
	// of it. Query is what followed a question mark.
	Name, Query string
}

// Deps are what a Server needs. Now may be nil.
type Deps struct {
	Hub *media.Hub
	// Publish and Play say which room is meant, and who asks, 0 if nobody knows; an error
	// refuses.
	Publish, Play func(ctx context.Context, r Request) (room string, user int64, err error)
	// Open is told of each session that begins, remove when it ends; an error refuses
	// it. Registry.Add is one.
	Open func(s *media.Session) (remove func(), err error)
	Log  *slog.Logger
	Now  func() time.Time
}

// Server serves any number of listeners.
type Server struct {
	cfg Config
	Deps

	mu      sync.Mutex // guards the fields below
	conns   int
	address map[netip.Addr]int
	full    time.Time // when it was last logged that there are too many
}

// New makes a server.
func New(cfg Config, deps Deps) *Server {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Server{cfg: cfg.withDefaults(), Deps: deps, address: map[netip.Addr]int{}}
}

// Pauses after a failed accept, as when no file can be opened.
const minPause, maxPause = 5 * time.Millisecond, time.Second

// Serve serves the connections of ln, which may be one of TLS, until ctx ends or ln
// fails; it closes ln. It returns after the last connection, nil when ctx ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	lib := newLibrary()
	defer func() {
		cancel()
		conns.Wait()
		lib.close()
	}()
	defer ln.Close() //nolint:errcheck // it served
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	for pause := minPause; ; {
		c, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		case err != nil:
			s.Log.Warn("connection not accepted", "err", err)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, maxPause)
			continue
		}
		pause = minPause
		addr := address(c)
		if !s.admit(addr) {
			_ = c.Close()
			continue
		}
		conns.Go(func() {
			defer s.release(addr)
			s.serve(ctx, c, addr, lib)
		})
	}
}

func address(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// admit counts a connection in, unless there are too many.
func (s *Server) admit(a netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := func(n, most int) bool { return most > 0 && n >= most }
	if over(s.conns, s.cfg.MaxConns) || over(s.address[media.AddressKey(a)], s.cfg.MaxPerAddress) {
		if now := s.Now(); now.Sub(s.full) > time.Minute {
			s.full = now
			s.Log.Info("too many connections", "remote", a, "conns", s.conns)
		}
		return false
	}
	s.conns++
	s.address[media.AddressKey(a)]++
	return true
}

func (s *Server) release(a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
	a = media.AddressKey(a)
	if s.address[a]--; s.address[a] == 0 {
		delete(s.address, a)
	}
}

// serve serves one connection and says in the log how it ended.
func (s *Server) serve(ctx context.Context, c net.Conn, a netip.Addr, lib *library) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := s.Now()
	sess := &media.Session{Protocol: media.ProtocolRTMP, Address: a, Began: began, Kick: func() { cancel(media.ErrKicked) }}
	x := &conn{link: newLink(c, sess, maxEarly), s: s, sess: sess, addr: a}
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("connection panicked", "remote", a, "panic", p, "stack", string(debug.Stack()))
		}
		_ = c.Close() // its end
	}()
	err := x.run(ctx, lib)
	level := slog.LevelDebug
	if bad(err) {
		level = slog.LevelInfo
	}
	s.Log.Log(ctx, level, "connection ended", "remote", a, "room", sess.Room, "dur", s.Now().Sub(began), "in", sess.In.Load(), "out", sess.Out.Load(), "err", err)
}

// bad says whether an operator should hear of it: not of peers who went, or were sent.
func bad(err error) bool {
	for _, good := range []error{
		nil, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, context.Canceled,
		media.ErrEnded, media.ErrReplaced, media.ErrKicked, errOffAir,
	} {
		if errors.Is(err, good) {
			return false
		}
	}
	return true
}
