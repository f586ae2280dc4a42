package clip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	watchEvery  = 200 * time.Millisecond
	killWait    = 5 * time.Second
	memoryLimit = 4 << 30 // bytes of address space of one process
)

// errEnough is what a task's read answers when it needs no more; the process is
// ended and that is no error.
var errEnough = errors.New("enough was read")

// task is one run of a program.
type task struct {
	bin      string
	args     []string
	dir      string                // where it runs, and what it may fill
	stdin    io.Reader             // nil: nothing
	read     func(io.Reader) error // takes its output; an error ends the process
	limit    time.Duration         // of running; being held does not count
	maxBytes int64                 // most that may be in dir and below
	nice     int                   // added to its niceness; it waits for the disk too, if more than 0
	said     *string               // gets its last words, however it ends; nil: nobody asks
}

// run runs a task to its end. It answers nil, what read answered, the context's
// cause, a RefusedError when the output was too big, or an FFmpegError. When it
// returns the process and all it started are gone.
func (c *Clipper) run(ctx context.Context, t task) error {
	// The kernel sends Pdeathsig when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	parent := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var last tail
	cmd := command(ctx, t, &last)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("pipe of ffmpeg: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return startError(parent, err)
	}
	restrain(cmd.Process.Pid, c.cfg.Threads, t)

	var watcher sync.WaitGroup
	ended := make(chan struct{})
	watcher.Go(func() { c.watch(cmd.Process.Pid, t, ended, stop) })
	if err := t.read(out); err != nil {
		stop(err)
	}
	_, _ = io.Copy(io.Discard, out) // until it ends; what it says no longer matters
	err = cmd.Wait()
	close(ended)
	watcher.Wait()
	if t.said != nil {
		*t.said = last.String()
	}
	return verdict(parent, ctx, err, last.String())
}

// command prepares a process in a group of its own, with a bare environment,
// that is killed as a group and does not outlive the daemon.
func command(ctx context.Context, t task, stderr io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, t.bin, t.args...)
	cmd.Dir = t.dir
	cmd.Stdin = t.stdin
	cmd.Stderr = stderr
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/", "AV_LOG_FORCE_NOCOLOR=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return signal(cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killWait
	return cmd
}

// signal signals the group of a process.
func signal(pid int, s syscall.Signal) error {
	err := syscall.Kill(-pid, s)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

func startError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w (%w)", ErrNoFFmpeg, err)
	}
	return fmt.Errorf("start ffmpeg: %w", err)
}

// restrain makes a process that has just started polite and bounds it. It is
// still being loaded then, and its threads inherit all this. None of it has to
// work: a container may forbid it.
func restrain(pid, threads int, t task) {
	const (
		ioprioGroup = 2
		ioprioIdle  = 3 << 13
	)
	if t.nice > 0 {
		_ = unix.Setpriority(unix.PRIO_PGRP, pid, t.nice)
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioprioGroup, uintptr(pid), ioprioIdle)
	}
	cpu := uint64(t.limit/time.Second+1) * uint64(threads+1)
	bound(pid, unix.RLIMIT_AS, memoryLimit)
	bound(pid, unix.RLIMIT_CPU, cpu)
	bound(pid, unix.RLIMIT_FSIZE, uint64(t.maxBytes))
	bound(pid, unix.RLIMIT_CORE, 0)
	bound(pid, unix.RLIMIT_NOFILE, 256)
}

func bound(pid, resource int, most uint64) {
	_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: most, Max: most}, nil)
}

// watch holds a process while it should be held, and stops it when it runs too
// long or writes too much, until ended is closed.
func (c *Clipper) watch(pid int, t task, ended <-chan struct{}, stop context.CancelCauseFunc) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	held, ran, last := false, time.Duration(0), time.Now()
	for {
		select {
		case <-ended:
			return
		case now := <-tick.C:
			if !held {
				ran += now.Sub(last)
			}
			last = now
		}
		held = c.hold(pid, held)
		if ran > t.limit {
			stop(ErrTimeout)
		}
		if t.maxBytes > 0 && folderBytes(t.dir) > t.maxBytes {
			stop(refuse(Bomb, "more than %d bytes came out of it", t.maxBytes))
		}
	}
}

// hold stops a process or lets it go on, and says whether it is stopped.
func (c *Clipper) hold(pid int, held bool) bool {
	want := c.cfg.Hold()
	if want == held {
		return held
	}
	s := syscall.SIGCONT
	if want {
		s = syscall.SIGSTOP
	}
	return (signal(pid, s) == nil) == want
}

// verdict says how a run ended. parent is the caller's context, ctx the one
// that this package ended when something was wrong.
func verdict(parent, ctx context.Context, err error, last string) error {
	cause := context.Cause(ctx)
	var refused *RefusedError
	switch {
	case parent.Err() != nil:
		return context.Cause(parent)
	case errors.Is(cause, errEnough):
		return nil
	case errors.As(cause, &refused):
		return cause
	case cause != nil:
		return ffmpegError(last, cause)
	case err != nil:
		return ffmpegError(last, err)
	}
	return nil
}

// discard is the read of a task whose output does not matter.
func discard(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
