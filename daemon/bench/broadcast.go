package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// The load of the broadcast figure.
const (
	broadcastRate  = 20 // messages per second
	broadcastBytes = 230
)

// broadcast measures one room of many connections: package gateway in a child,
// the clients in another. The peer gets the same clients and messages.
func broadcast(ctx context.Context, b *bench) error {
	n := pick(b, 10_000, 4_000)
	ours, err := broadcastBy(ctx, b, "gateway", n, pick(b, 15, 6)*broadcastRate)
	if err != nil {
		return err
	}
	// The peer cannot keep the rate on a small machine; its cost per delivery
	// shows all the same, so it need not last long.
	theirs, err := broadcastBy(ctx, b, "peer", n, pick(b, 3, 2)*broadcastRate)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	b.add(row{
		fmt.Sprintf("one room of %d TCP connections, %d messages/s of %d bytes: server CPU per delivery", n, broadcastRate, broadcastBytes), "≤ 5 µs",
		fmt.Sprintf("%.1f µs (%.0f %% of a core)", ours.each(), ours.share()),
		fmt.Sprintf("%.1f µs: one write call per delivery", theirs.each()), ratio(ours.each(), theirs.each()),
	})
	b.add(row{
		"the same, latency from publishing to reading", "all, p99 < 1 s", ours.latency(), theirs.latency(),
		ratio(float64(ours.Latency.quantile(0.99)), float64(theirs.Latency.quantile(0.99))),
	})
	return nil
}

// broadcastResult is what a broadcast took.
type broadcastResult struct {
	fleetStats
	want    int
	cpu     time.Duration
	seconds float64 // of publishing
}

// each is the processor time per delivery in µs.
func (r *broadcastResult) each() float64 {
	return float64(r.cpu.Nanoseconds()) / 1e3 / float64(max(r.Deliveries, 1))
}

func (r *broadcastResult) share() float64 { return 100 * r.cpu.Seconds() / r.seconds }

func (r *broadcastResult) latency() string {
	return fmt.Sprintf("%d of %d, p50 %s, p99 %s", r.Deliveries, r.want, ms(r.Latency.quantile(0.5)), ms(r.Latency.quantile(0.99)))
}

// broadcastBy runs one server with n clients and publishes count messages.
func broadcastBy(ctx context.Context, b *bench, role string, n, count int) (*broadcastResult, error) {
	srv, err := startChild(role)
	if err != nil {
		return nil, err
	}
	defer srv.close()
	clients, err := startChild("fleet")
	if err != nil {
		return nil, err
	}
	defer clients.close()
	if err := fillRoom(ctx, srv, clients, n); err != nil {
		return nil, err
	}
	profiled := b.profile != "" && role == "gateway"
	if profiled {
		file, err := filepath.Abs(filepath.Join(b.profile, "broadcast.pprof"))
		if err != nil {
			return nil, err
		}
		if _, err := srv.call(ctx, command{Do: "profile", File: file}); err != nil {
			return nil, err
		}
	}
	r, err := publishAll(ctx, srv, clients, n, count)
	if profiled && err == nil {
		_, err = srv.call(ctx, command{Do: "profiled"})
	}
	return r, err
}

// fillRoom connects n clients and has them join the room.
func fillRoom(ctx context.Context, srv, clients *child, n int) error {
	a, err := srv.call(ctx, command{Do: "serve"})
	if err != nil {
		return err
	}
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = strconv.Itoa(i + 1)
	}
	if _, err := clients.call(ctx, command{Do: "connect", Addr: a.Addr, Local: "127.0.0.4", Tokens: tokens}); err != nil {
		return err
	}
	if _, err := clients.call(ctx, command{Do: "join", Room: roomName}); err != nil {
		return err
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		a, err := clients.call(ctx, command{Do: "stats"})
		if err != nil {
			return err
		}
		if a.Fleet.Joined == n {
			break
		}
	}
	if a, err = srv.call(ctx, command{Do: "online", Room: roomName}); err == nil && a.N != n {
		err = fmt.Errorf("%d of %d joined the room", a.N, n)
	}
	return err
}

// publishAll publishes and waits until everybody has everything.
func publishAll(ctx context.Context, srv, clients *child, n, count int) (*broadcastResult, error) {
	r := &broadcastResult{want: n * count}
	if _, err := clients.call(ctx, command{Do: "reset"}); err != nil {
		return nil, err
	}
	before, err := cpu(srv.pid())
	if err != nil {
		return nil, err
	}
	a, err := srv.call(ctx, command{Do: "publish", Room: roomName, Count: count, Rate: broadcastRate, Bytes: broadcastBytes})
	if err != nil {
		return nil, err
	}
	r.seconds = a.Seconds
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		a, err := clients.call(ctx, command{Do: "stats"})
		if err != nil {
			return nil, err
		}
		if r.fleetStats = a.Fleet; r.Deliveries >= r.want || r.Alive < n {
			break
		}
	}
	after, err := cpu(srv.pid())
	r.cpu = after - before
	return r, errors.Join(err, r.complete(n))
}

// complete fails when a delivery was lost, doubled or broken.
func (r *broadcastResult) complete(n int) error {
	if r.Deliveries != r.want || r.Missed+r.Doubled+r.Garbage > 0 || r.Alive != n {
		return fmt.Errorf("%d of %d deliveries, %d missed, %d doubled, %d broken frames, %d of %d connections live",
			r.Deliveries, r.want, r.Missed, r.Doubled, r.Garbage, r.Alive, n)
	}
	return nil
}
