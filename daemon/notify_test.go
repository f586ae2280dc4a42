package daemon_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/daemon"
)

// serviceManager listens where systemd would and sets NOTIFY_SOCKET.
func serviceManager(t *testing.T) (next func(within time.Duration) string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // temporary
	path := filepath.Join(dir, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func(within time.Duration) string {
		t.Helper()
		buf := make([]byte, 4096)
		if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func notifyLog(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func TestNotifyTellsTheServiceManager(t *testing.T) {
	next := serviceManager(t)
	n := daemon.NewNotify(notifyLog(t))
	for _, c := range []struct {
		send func()
		want string
	}{
		{n.Ready, `READY=1`},
		{n.Stopping, `STOPPING=1`},
		{n.Reloading, `RELOADING=1\nMONOTONIC_USEC=[1-9]\d+`},
		{func() { n.Status("3 online\nREADY=1\n") }, `STATUS=3 online READY=1`},
		{func() { n.ExtendTimeout(90 * time.Second) }, `EXTEND_TIMEOUT_USEC=90000000`},
	} {
		c.send()
		if got := next(5 * time.Second); !regexp.MustCompile(`\A` + c.want + `\z`).MatchString(got) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestNotifyWithoutAServiceManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	daemon.NewNotify(notifyLog(t)).Ready()
	t.Setenv("NOTIFY_SOCKET", "/nonexistent/socket")
	daemon.NewNotify(notifyLog(t)).Ready() // logged, no more
}

func TestWatchdogIsPettedOnlyWhenHealthy(t *testing.T) {
	next := serviceManager(t)
	t.Setenv("WATCHDOG_USEC", "60000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ctx, cancel := context.WithCancel(t.Context())
	var ill atomic.Bool
	done := make(chan error, 1)
	go func() {
		done <- daemon.NewNotify(notifyLog(t)).Watchdog(ctx, func(context.Context) error {
			if ill.Load() {
				return errors.New("the writer stands still")
			}
			return nil
		})
	}()
	for range 3 {
		if got := next(5 * time.Second); got != "WATCHDOG=1" {
			t.Fatalf("got %q", got)
		}
	}
	ill.Store(true)
	pollNotify(t, func() bool { return next(5*time.Second) == "STATUS=not healthy: the writer stands still" })
	for range 5 {
		if got := next(5 * time.Second); got == "WATCHDOG=1" {
			t.Fatal("petted while ill")
		}
	}
	ill.Store(false)
	pollNotify(t, func() bool { return next(5*time.Second) == "WATCHDOG=1" })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watchdog: %v", err)
	}
}

func TestWatchdogBoundsAHangingHealthCheck(t *testing.T) {
	next := serviceManager(t)
	t.Setenv("WATCHDOG_USEC", "60000")
	t.Setenv("WATCHDOG_PID", "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- daemon.NewNotify(notifyLog(t)).Watchdog(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	if got := next(5 * time.Second); got != "STATUS=not healthy: context deadline exceeded" {
		t.Errorf("got %q", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watchdog: %v", err)
	}
}

func TestWatchdogWaitsWhenNobodyAsksForIt(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- daemon.NewNotify(notifyLog(t)).Watchdog(ctx, func(context.Context) error {
			t.Error("asked")
			return nil
		})
	}()
	select {
	case err := <-done:
		t.Fatalf("returned early: %v", err)
	default:
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watchdog: %v", err)
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if err := daemon.NewNotify(notifyLog(t)).Watchdog(t.Context(), nil); err == nil {
		t.Error("wrong settings were accepted")
	}
}

func pollNotify(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}
