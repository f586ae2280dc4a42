package rtc

import (
	"context"
	"io"
	"log/slog"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// jitter is how far the time of a sound may be from where the one before it ended
	// (ticks) and still be taken for its neighbour.
	jitter = audioClock / 10
	// queued is how many sounds wait for ffmpeg; more are lost.
	queued = 64
	// again is how long after its start ffmpeg may be started anew.
	again    = 5 * time.Second
	killWait = 2 * time.Second
)

// coding keeps an ffmpeg running that makes other sound of sound. One goroutine uses
// it, or several behind a lock.
type coding struct {
	ffmpeg string
	args   []string
	// form makes what ffmpeg is given of sounds; nil: they go as they are.
	form func(w io.Writer) (func(b []byte) error, error)
	// drain takes what ffmpeg makes; it is called by a goroutine of the coder.
	drain func(c *coder, out io.Reader) error
	// failed is told when an ffmpeg ended by itself.
	failed func(err error)

	coder   *coder
	started time.Time // of coder
}

// write gives ffmpeg, which begins with the first, a sound of a time that is so long,
// both in ticks. It never waits.
func (c *coding) write(b []byte, at, long int64) {
	if c.coder == nil || c.coder.over() {
		if time.Since(c.started) < again {
			return
		}
		c.started = time.Now()
		c.coder = newCoder(c)
	}
	c.coder.write(b, at, long)
}

// close ends ffmpeg and waits for it. The next sound may begin another one.
func (c *coding) close() {
	if c.coder != nil {
		c.coder.close()
		c.coder, c.started = nil, time.Time{}
	}
}

// failedOnce logs the first failure of a stream's ffmpeg.
func (s *Server) failedOnce(what, room string) func(error) {
	var told atomic.Bool
	return func(err error) {
		level := slog.LevelDebug
		if told.CompareAndSwap(false, true) {
			level = slog.LevelWarn
		}
		s.log.Log(context.Background(), level, what, "room", room, "err", err)
	}
}

// anchor says what time a place of ffmpeg's output has, both in ticks.
type anchor struct{ place, time int64 }

// coder is one ffmpeg.
type coder struct {
	*coding
	in     chan []byte
	ended  chan struct{}
	cancel context.CancelFunc

	mu      sync.Mutex
	anchors []anchor
	place   int64 // how much went in
}

func newCoder(k *coding) *coder {
	ctx, cancel := context.WithCancel(context.Background())
	c := &coder{coding: k, in: make(chan []byte, queued), ended: make(chan struct{}), cancel: cancel}
	go func() { // ends with close, which waits for it
		defer close(c.ended)
		if err := c.run(ctx); err != nil && ctx.Err() == nil {
			k.failed(err)
		}
		cancel()
	}()
	return c
}

func (c *coder) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (c *coder) close() {
	c.cancel()
	<-c.ended
}

func (c *coder) write(b []byte, at, long int64) {
	select {
	case c.in <- b:
	default:
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	expected := at
	if n := len(c.anchors); n > 0 {
		expected = c.anchors[n-1].time + c.place - c.anchors[n-1].place
	}
	if d := at - expected; len(c.anchors) == 0 || (d > jitter || d < -jitter) && len(c.anchors) < queued {
		c.anchors = append(c.anchors, anchor{c.place, at})
	}
	c.place += long
}

// time is that of a place of the output.
func (c *coder) time(place int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.anchors) > 1 && c.anchors[1].place <= place {
		c.anchors = c.anchors[1:]
	}
	if len(c.anchors) == 0 {
		return place
	}
	return c.anchors[0].time + place - c.anchors[0].place
}

// run runs ffmpeg to its end.
func (c *coder) run(ctx context.Context) error {
	// The kernel sends Pdeathsig when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	args := append([]string{
		"-hide_banner", "-loglevel", "error", "-flags", "low_delay",
		"-probesize", "32", "-analyzeduration", "0", "-protocol_whitelist", "pipe", "-threads", "1",
	}, c.args...)
	cmd := exec.CommandContext(ctx, c.ffmpeg, args...) //nolint:gosec // of ours
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/", "AV_LOG_FORCE_NOCOLOR=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killWait
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var feeder sync.WaitGroup
	feeder.Go(func() { c.feed(ctx, in) })
	err = c.drain(c, out)
	cancel()
	feeder.Wait()
	if e := cmd.Wait(); err == nil {
		err = e
	}
	return err
}

// feed writes what comes, until ctx or ffmpeg ends.
func (c *coder) feed(ctx context.Context, in io.WriteCloser) {
	defer in.Close() //nolint:errcheck // its end
	write := func(b []byte) error { _, err := in.Write(b); return err }
	if c.form != nil {
		var err error
		if write, err = c.form(in); err != nil {
			return
		}
	}
	for {
		select {
		case b := <-c.in:
			if err := write(b); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
