package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// Notify tells the service manager (systemd) how the daemon does. Without
// NOTIFY_SOCKET every method does nothing. A message that cannot be sent is
// logged, because nothing else can be done about it.
type Notify struct{ log *slog.Logger }

// NewNotify makes a Notify that logs to log.
func NewNotify(log *slog.Logger) *Notify { return &Notify{log: log} }

// Ready says that the start, or a reload, is finished.
func (n *Notify) Ready() { n.send(sd.SdNotifyReady) }

// Stopping says that the daemon is on its way down.
func (n *Notify) Stopping() { n.send(sd.SdNotifyStopping) }

// Reloading says that the configuration is being read again; Ready must follow.
// The time goes in the same datagram, as systemd asks.
func (n *Notify) Reloading() {
	n.send(sd.SdNotifyReloading + "\n" + strings.TrimSuffix(sd.SdNotifyMonotonicUsec(), "\n"))
}

// Status sets the line that "systemctl status" shows.
func (n *Notify) Status(line string) {
	// A line break would start another assignment.
	n.send("STATUS=" + strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r < ' ' }), " "))
}

// ExtendTimeout asks for d more time, from now on, for starting or stopping,
// such as during a migration.
func (n *Notify) ExtendTimeout(d time.Duration) {
	n.send("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10))
}

// Watchdog tells systemd that the daemon is alive, three times per WatchdogSec,
// whenever healthy returns nil. When it does not, or takes too long, systemd is
// told nothing and restarts the daemon once WatchdogSec has passed. healthy
// must prove that the daemon works, not that it is idle: load is no illness.
// It returns nil when ctx ends; where no watchdog is asked for, it only waits
// for that.
func (n *Notify) Watchdog(ctx context.Context, healthy func(context.Context) error) error {
	within, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read watchdog settings: %w", err)
	}
	if within == 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(within / 3)
	defer ticker.Stop()
	for ill := false; ; {
		ill = n.pet(ctx, within/3, healthy, ill)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// pet asks healthy once and passes the answer on. It logs only what changes,
// and returns whether the daemon is ill.
func (n *Notify) pet(ctx context.Context, within time.Duration, healthy func(context.Context) error, wasIll bool) bool {
	ask, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := healthy(ask)
	if ctx.Err() != nil {
		return wasIll // stopping: neither well nor ill
	}
	if err == nil {
		if wasIll {
			n.log.Info("healthy again")
		}
		n.send(sd.SdNotifyWatchdog)
		return false
	}
	if !wasIll {
		n.log.Error("not healthy; the watchdog will restart the daemon if this lasts", "err", err)
	}
	n.Status("not healthy: " + err.Error())
	return true
}

func (n *Notify) send(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		n.log.Warn("cannot notify the service manager", "err", err)
	}
}
