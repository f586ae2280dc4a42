package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gtiv/store"
)

// beatEvery is the heartbeat of the app.
const beatEvery = 30 * time.Second

// idleConnections measures what a connection costs that only lives: memory, and
// processor time for its heartbeats. TCP and WebSocket sit in servers of their
// own, because 20,000 files per process is what many hosts allow; both run at
// the same time. Then the same clients sit in the peer.
func idleConnections(ctx context.Context, b *bench) error {
	n := pick(b, 15_000, 5_000)
	data, who, err := crowd(ctx, b, n)
	if err != nil {
		return err
	}
	if b.profile != "" {
		if err := idleProfiles(ctx, b, who); err != nil {
			return err
		}
	}
	ours, err := twoTransports(func(ws bool) (idleResult, error) { return idleInGtiv(ctx, b, data, who, ws) })
	if err != nil {
		return err
	}
	theirs, err := twoTransports(func(ws bool) (idleResult, error) { return idleInPeer(ctx, b, who, ws) })
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	for i, name := range []string{"TCP", "WebSocket"} {
		peer := []string{"one goroutine per connection", "coder/websocket as in its examples"}[i]
		o, t := ours[i], theirs[i]
		b.add(row{
			fmt.Sprintf("%d idle connections over %s, RSS per connection", n, name), []string{"≤ 8 KiB", "≤ 11 KiB"}[i],
			fmt.Sprintf("%s (connected in %.1f s)", kib(o.perConn), o.connect),
			fmt.Sprintf("%s: %s", kib(t.perConn), peer), ratio(o.perConn, t.perConn),
		})
		b.add(row{
			fmt.Sprintf("the same, CPU with a heartbeat every 30 s, %d answered", o.replies), "< 3 % of a core",
			fmt.Sprintf("%.1f %%", o.share), fmt.Sprintf("%.1f %%", t.share), ratio(o.share, t.share),
		})
	}
	return nil
}

// crowd makes a data folder with n people who are logged in.
func crowd(ctx context.Context, b *bench, n int) (string, []person, error) {
	data, err := b.folder("crowd")
	if err != nil {
		return "", nil, err
	}
	var who []person
	err = withStore(ctx, data, func(s *store.Store) error {
		who, err = people(ctx, s, n)
		return err
	})
	return data, who, err
}

// twoTransports runs f for TCP and for WebSocket at the same time.
func twoTransports(f func(ws bool) (idleResult, error)) ([2]idleResult, error) {
	var r [2]idleResult
	var errs [2]error
	done := make(chan struct{})
	go func() {
		r[1], errs[1] = f(true)
		close(done)
	}()
	r[0], errs[0] = f(false)
	<-done
	return r, errors.Join(errs[:]...)
}

// idleResult is what a server with idle connections took.
type idleResult struct {
	perConn float64 // bytes
	share   float64 // per cent of a core
	connect float64 // seconds until all were in
	replies int
}

// idleInGtiv starts gtiv on a copy of data and fills it with idle connections.
func idleInGtiv(ctx context.Context, b *bench, data string, who []person, ws bool) (idleResult, error) {
	own, err := b.folder("idle")
	if err != nil {
		return idleResult{}, err
	}
	if err := copyFile(database(data), database(own)); err != nil {
		return idleResult{}, err
	}
	s, err := b.serve(ctx, own)
	if err != nil {
		return idleResult{}, err
	}
	defer s.stop()
	// The server measures its password hash soon after the start and gives the
	// memory back; before that a comparison would flatter.
	pause(ctx, 5*time.Second)
	addr := s.addr(portComet)
	if ws {
		addr = s.addr(portWebSocket)
	}
	r, err := idleIn(ctx, b, s.pid(), addr, who, ws, nothing, nothing)
	if err != nil {
		return r, fmt.Errorf("%w\n%s", err, s.log)
	}
	return r, nil
}

// idleInPeer does the same with the plain server.
func idleInPeer(ctx context.Context, b *bench, who []person, ws bool) (idleResult, error) {
	p, err := startChild("peer")
	if err != nil {
		return idleResult{}, err
	}
	defer p.close()
	a, err := p.call(ctx, command{Do: "serve"})
	if err != nil {
		return idleResult{}, err
	}
	if ws {
		a.Addr = a.WSAddr
	}
	return idleIn(ctx, b, p.pid(), a.Addr, who, ws, nothing, nothing)
}

// idleIn connects everybody to a server and watches it for a while, between
// calls of before and after.
func idleIn(ctx context.Context, b *bench, pid int, addr string, who []person, ws bool, before, after func() error) (idleResult, error) {
	var r idleResult
	clients, err := startChild("fleet")
	if err != nil {
		return r, err
	}
	defer clients.close()
	empty, err := rss(pid)
	if err != nil {
		return r, err
	}
	tokens := make([]string, len(who))
	for i := range who {
		tokens[i] = who[i].token
	}
	local := "127.0.0.2"
	if ws {
		local = "127.0.0.3"
	}
	a, err := clients.call(ctx, command{Do: "connect", Addr: addr, WS: ws, Local: local, Tokens: tokens})
	if err != nil {
		return r, err
	}
	r.connect = a.Seconds
	if _, err := clients.call(ctx, command{Do: "beat", Every: int(beatEvery.Milliseconds())}); err != nil {
		return r, err
	}
	pause(ctx, pick(b, 8*time.Second, 3*time.Second)) // the traces of connecting go
	if err := before(); err != nil {
		return r, err
	}
	err = r.watch(ctx, pid, pick(b, 34*time.Second, 10*time.Second))
	if err := errors.Join(err, after()); err != nil {
		return r, err
	}
	full, err := rss(pid)
	if err != nil {
		return r, err
	}
	r.perConn = (full - empty) / float64(len(who))
	a, err = clients.call(ctx, command{Do: "stats"})
	r.replies = a.Fleet.Replies
	return r, errors.Join(err, idleIsWell(a.Fleet, len(who)))
}

// watch measures processor time for a while.
func (r *idleResult) watch(ctx context.Context, pid int, span time.Duration) error {
	before, err := cpu(pid)
	if err != nil {
		return err
	}
	began := time.Now()
	pause(ctx, span)
	after, err := cpu(pid)
	r.share = 100 * float64(after-before) / float64(time.Since(began))
	return err
}

// idleIsWell fails when a connection was lost or a heartbeat not answered. A
// second's worth of heartbeats may be under way.
func idleIsWell(f fleetStats, want int) error {
	under := want/int(beatEvery.Seconds()) + 1
	if f.Alive != want || f.Garbage > 0 || f.Replies+under < f.Beats {
		return fmt.Errorf("%d of %d connections live, %d of %d heartbeats answered, %d broken frames", f.Alive, want, f.Replies, f.Beats, f.Garbage)
	}
	return nil
}

// copyFile copies a database that nobody has open.
func copyFile(from, to string) error {
	b, err := os.ReadFile(from) //nolint:gosec // ours
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Clean(to), b, 0o600)
}

// idleProfiles fills package gateway alone and writes what it holds and does,
// because the real binary has no way to ask it.
func idleProfiles(ctx context.Context, b *bench, who []person) error {
	for _, ws := range []bool{false, true} {
		if err := idleProfile(ctx, b, who, ws); err != nil {
			return fmt.Errorf("profile: %w", err)
		}
	}
	return nil
}

func idleProfile(ctx context.Context, b *bench, who []person, ws bool) error {
	srv, err := startChild("gateway")
	if err != nil {
		return err
	}
	defer srv.close()
	a, err := srv.call(ctx, command{Do: "serve"})
	if err != nil {
		return err
	}
	addr, name := a.Addr, "idle-tcp"
	if ws {
		addr, name = a.WSAddr, "idle-websocket"
	}
	numbered := make([]person, len(who))
	for i := range numbered {
		numbered[i].token = strconv.Itoa(i + 1)
	}
	memory := func(when string) error {
		a, err := srv.call(ctx, command{Do: "memory"})
		b.say("  %s, package alone, %s: %s", name, when, a.Note)
		return err
	}
	file, err := filepath.Abs(filepath.Join(b.profile, name+".pprof"))
	if err != nil {
		return err
	}
	r, err := idleIn(ctx, b, srv.pid(), addr, numbered, ws, func() error {
		_, err := srv.call(ctx, command{Do: "profile", File: file})
		return errors.Join(err, memory("after a collection"))
	}, func() error {
		_, err := srv.call(ctx, command{Do: "profiled"})
		return errors.Join(err, memory("at the end"))
	})
	b.say("  %s, package alone: %s per connection, %.1f %% of a core", name, kib(r.perConn), r.share)
	return err
}

func nothing() error { return nil }
