package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"gtiv/protocol"
)

// Stats are the gateway's counters. Connections to Held are gauges, the rest
// only grows.
type Stats struct {
	Connections int            // sockets, logged in or not
	ByTransport map[string]int // logged in: tcp, tls, websocket
	App         int            // held to the rules of the Android app
	Features    int            // declared features
	Guests      int
	Users       int
	Rooms       int
	Held        int // failed logins kept silent

	FramesIn, FramesOut, BytesIn, BytesOut uint64
	Overflows                              uint64 // private pushes that found the queue or socket full
	RoomDrops                              uint64 // broadcast frames a slow reader missed
	Unreadable                             uint64 // pushes withheld because the app could not read them
	AuthFailures                           uint64
	Refused                                uint64 // connections over a limit
}

type counters struct {
	framesIn, framesOut, bytesIn, bytesOut                  atomic.Uint64
	overflows, roomDrops, unreadable, authFailures, refused atomic.Uint64
	byTransport                                             [transports]atomic.Int64
	app, features, guests                                   atomic.Int64
}

// opened counts a logged-in connection in (1) or out (-1).
func (c *counters) opened(s *session, by int64) {
	c.byTransport[s.info.Transport].Add(by)
	if s.info.App {
		c.app.Add(by)
	}
	if s.info.Features {
		c.features.Add(by)
	}
	if s.info.Guest {
		c.guests.Add(by)
	}
}

// Stats reads the counters.
func (g *Gateway) Stats() Stats {
	c := &g.stats
	by := make(map[string]int, transports)
	for t := range Transport(transports) {
		by[t.String()] = int(c.byTransport[t].Load())
	}
	return Stats{
		Connections: g.Connections(), ByTransport: by, Users: g.users.keys(), Rooms: g.Rooms(), Held: g.addrs.heldNow(),
		App: int(c.app.Load()), Features: int(c.features.Load()), Guests: int(c.guests.Load()),
		FramesIn: c.framesIn.Load(), FramesOut: c.framesOut.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Overflows: c.overflows.Load(), RoomDrops: c.roomDrops.Load(), Unreadable: c.unreadable.Load(),
		AuthFailures: c.authFailures.Load(), Refused: c.refused.Load(),
	}
}

// probe is woken by the wheel and then writes a frame.
type probe struct {
	timer entry
	s     *session
	frame payload
}

func (p *probe) tick(int64) { p.s.send(item{buf: p.frame.on(p.s)}) }

// Healthy proves that the timer wheel turns and that a frame comes out of the
// writer: the wheel wakes a session on a pipe, and its frame is read from the
// other end. It fails when ctx ends first, or after 5 s.
func (g *Gateway) Healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if !g.enter() {
		return fmt.Errorf("gateway: closing")
	}
	near, far := net.Pipe()
	p := &probe{s: &session{g: g, conn: near, phase: phaseOpen}, frame: newPayload(protocol.OpHeartbeatReply, onlineBody(0))}
	p.s.info.Features = true
	p.timer.owner = p
	defer g.endProbe(p, far)
	stop := context.AfterFunc(ctx, func() { _ = far.SetReadDeadline(time.Now()) }) //nolint:errcheck // a pipe
	defer stop()
	g.wheel.schedule(&p.timer, 0)
	turned := g.wheel.turned()
	got := make([]byte, len(p.frame.on(p.s)))
	if _, err := io.ReadFull(far, got); err != nil {
		return fmt.Errorf("gateway: no frame from the writer: %w", err)
	}
	select {
	case <-turned:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gateway: the timer wheel stands still: %w", ctx.Err())
	}
}

func (g *Gateway) endProbe(p *probe, far net.Conn) {
	g.wheel.remove(&p.timer)
	_ = far.Close() //nolint:errcheck // a pipe
	p.s.shut(endGone)
	p.s.waitFor(func() bool { return !p.s.writing })
	g.work.Done()
}
