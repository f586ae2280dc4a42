package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/queue"
)

const (
	healthEvery   = 5 * time.Second
	healthTimeout = 10 * time.Second
)

// health is the outcome of the last checks. mu guards parts.
type health struct {
	mu    sync.Mutex
	parts []protocol.Health
}

// check proves that each part moves: a write commits, the gateway's clock turns.
func (d *Daemon) check(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	found := map[string]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, probe := range map[string]func(context.Context) error{
		"database": d.store.Healthy, "queue": d.queue.Healthy, "gateway": d.gateway.Healthy,
	} {
		wg.Go(func() {
			err := probe(ctx)
			mu.Lock()
			defer mu.Unlock()
			found[name] = err
		})
	}
	wg.Wait()
	return found
}

// watchHealth checks now and then, remembers the outcome for status, and tells
// the service manager in a line.
func (d *Daemon) watchHealth(ctx context.Context) error {
	t := time.NewTicker(healthEvery)
	defer t.Stop()
	for {
		found := d.check(ctx)
		if ctx.Err() != nil {
			return nil
		}
		d.remember(found)
		d.notify.Status(d.line())
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (d *Daemon) remember(found map[string]error) {
	parts := make([]protocol.Health, 0, len(found))
	for _, name := range []string{"database", "queue", "gateway"} {
		h := protocol.Health{Name: name, OK: found[name] == nil}
		if err := found[name]; err != nil {
			h.Text = err.Error()
		} else if ok, why := d.queue.Recovered(); name == "queue" && ok {
			h.Text = "was made anew at start: " + why
		}
		parts = append(parts, h)
	}
	d.health.mu.Lock()
	before := d.health.parts
	d.health.parts = parts
	d.health.mu.Unlock()
	for i, h := range parts {
		if was := i < len(before) && !before[i].OK; h.OK == was { // changed
			if h.OK {
				d.log.Info("part is well again", "part", h.Name)
			} else {
				d.log.Error("part is not well", "part", h.Name, "err", h.Text)
			}
		}
	}
}

// alive is what the watchdog asks: do the parts move? A full disk is not a
// reason to be killed and started again, over and over.
func (d *Daemon) alive(ctx context.Context) error {
	for name, err := range d.check(ctx) {
		if err != nil && !errors.Is(err, store.ErrDiskFull) && !errors.Is(err, queue.ErrNoSpace) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (d *Daemon) healthParts() []protocol.Health {
	d.health.mu.Lock()
	defer d.health.mu.Unlock()
	return append([]protocol.Health{}, d.health.parts...)
}

// line is the daemon in one line, for systemctl status.
func (d *Daemon) line() string {
	s := fmt.Sprintf("%d connections, %d users online", d.gateway.Connections(), d.gateway.Stats().Users)
	for _, h := range d.healthParts() {
		if !h.OK {
			s += "; " + h.Name + " not well: " + h.Text
		}
	}
	return s
}

// Status is the daemon as administrators see it.
func (d *Daemon) Status(ctx context.Context) protocol.Status {
	now := time.Now()
	s := protocol.Status{
		State: protocol.StateReady, PID: os.Getpid(), Version: d.opt.Version, Started: d.started,
		UptimeSeconds: int64(now.Sub(d.started).Seconds()), DataDir: d.opt.Data, Ports: d.sockets.ports, Health: d.healthParts(),
		Connections: d.gateway.Connections(), UsersOnline: d.gateway.Stats().Users,
		RSSBytes: rss(), DatabaseBytes: d.store.Stats().Bytes + d.store.Stats().WALBytes, Goroutines: runtime.NumGoroutine(),
		Queues: topics{d.queue}.List(),
	}
	if len(s.Health) == 0 { // asked in the first moments
		d.remember(d.check(ctx))
		s.Health = d.healthParts()
	}
	var errs [2]error
	s.Accounts, errs[0] = d.store.CountAccounts(ctx)
	s.Messages, errs[1] = d.store.CountMessages(ctx)
	if err := errors.Join(errs[:]...); err != nil {
		s.Health = append(s.Health, protocol.Health{Name: "database reads", Text: err.Error()})
	}
	for _, h := range s.Health {
		if !h.OK {
			s.State = protocol.StateDegraded
		}
	}
	if d.draining.Load() {
		s.State = protocol.StateDraining
	}
	return s
}

// rss is the resident memory of this process in bytes, 0 if it cannot be read.
func rss() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
