package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"

	"gtiv/daemon/gateway"
	"gtiv/protocol"
)

// gatewayChild runs package gateway alone: nothing public publishes into a
// broadcast room. A token is the number of the user.
type gatewayChild struct {
	g       *gateway.Gateway
	profile *os.File
}

func (p *gatewayChild) handler(ctx context.Context) func(command) (answer, error) {
	return func(c command) (answer, error) {
		switch c.Do {
		case "serve":
			return p.serve(ctx)
		case "online":
			return answer{N: p.g.RoomOnline(c.Room)}, nil
		case "publish":
			return paced(c, func(seq int) {
				p.g.Publish(c.Room, gateway.Broadcast{Op: 101, Body: broadcastBody(time.Now(), uint32(seq), c.Bytes)}) //nolint:gosec // a count
			}), nil
		case "memory":
			return memoryUse(), nil
		case "profile":
			return answer{}, p.startProfile(c.File)
		case "profiled":
			pprof.StopCPUProfile()
			return answer{}, p.profile.Close()
		}
		return answer{}, fmt.Errorf("no command %q", c.Do)
	}
}

func (p *gatewayChild) serve(ctx context.Context) (answer, error) {
	var err error
	p.g, err = gateway.New(gateway.Config{}, gateway.Deps{
		Authenticate: func(_ context.Context, token string) (gateway.Identity, error) {
			n, err := strconv.ParseInt(token, 10, 64)
			if err != nil {
				return gateway.Identity{}, gateway.ErrUnknownToken
			}
			return gateway.Identity{User: n, Session: n}, nil
		},
	})
	if err != nil {
		return answer{}, err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return answer{}, err
	}
	web, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return answer{}, err
	}
	srv := &http.Server{Handler: p.g, ReadHeaderTimeout: time.Minute}
	// All of it ends with the process.
	go func() { fatal(p.g.Run(ctx)) }()
	go func() { fatal(p.g.ServeTCP(ctx, ln)) }()
	go func() { fatal(srv.Serve(web)) }()
	return answer{Addr: ln.Addr().String(), WSAddr: web.Addr().String()}, nil
}

// memoryUse says where the memory of this process is.
func memoryUse() answer {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	const mb = 1 << 20
	return answer{Note: fmt.Sprintf("heap in use %d MiB (%d allocated), free in spans %d, released %d; stacks %d MiB, spans and caches %d MiB, GC %d MiB; %d goroutines, %d collections",
		m.HeapInuse/mb, m.HeapAlloc/mb, m.HeapIdle/mb, m.HeapReleased/mb, m.StackInuse/mb, (m.MSpanSys+m.MCacheSys+m.BuckHashSys)/mb, m.GCSys/mb,
		runtime.NumGoroutine(), m.NumGC)}
}

// startProfile writes what the connections hold now, and begins a CPU profile.
func (p *gatewayChild) startProfile(file string) error {
	held, err := os.Create(file + ".heap") //nolint:gosec // named by the parent
	if err != nil {
		return err
	}
	runtime.GC() // a heap profile is as of the last one
	if err := errors.Join(pprof.WriteHeapProfile(held), held.Close()); err != nil {
		return err
	}
	if p.profile, err = os.Create(file); err != nil { //nolint:gosec // named by the parent
		return err
	}
	return pprof.StartCPUProfile(p.profile)
}

// fatal ends a child whose server failed; the parent sees its pipe close.
func fatal(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "bench child:", err)
		os.Exit(1)
	}
}

// paced calls publish c.Count times, c.Rate per second. When one call takes
// longer than its share the next follows at once.
func paced(c command, publish func(seq int)) answer {
	began := time.Now()
	for i := range c.Count {
		at := began.Add(time.Duration(float64(i) / c.Rate * float64(time.Second)))
		pause(context.Background(), time.Until(at))
		publish(i)
	}
	return answer{N: c.Count, Seconds: time.Since(began).Seconds()}
}

// roomName is the broadcast room of the figures.
const roomName = "live_1000000001"

// frameFor is a broadcast frame as the peer sends it.
func frameFor(seq, size int) []byte {
	return protocol.AppendFrame(nil, 101, 0, broadcastBody(time.Now(), uint32(seq), size)) //nolint:gosec // a count
}
