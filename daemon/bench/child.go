package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// command is what the parent asks of a child, one JSON object per line. Which
// fields count depends on Do.
type command struct {
	Do     string
	Addr   string
	WS     bool
	Local  string   // address to connect from
	Tokens []string // one connection each
	Every  int      // ms between heartbeats of one connection
	Room   string
	Count  int
	Rate   float64 // per second
	Bytes  int
	File   string
}

// answer is the reply to a command.
type answer struct {
	Error   string
	Addr    string // where TCP is served
	WSAddr  string // where WebSocket is served
	N       int
	Seconds float64
	Fleet   fleetStats
	Bytes   int64 // that viewers got
	Stalls  int
	Note    string // for people
}

// child is another process of this program.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// startChild starts this program again in a role. It dies with this process.
func startChild(role string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, "-child", role)} //nolint:gosec,noctx // ourselves; ended by close
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = json.NewDecoder(out)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return c, nil
}

// call has a command done. Ending ctx kills the child.
func (c *child) call(ctx context.Context, cmd command) (answer, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() }) //nolint:errcheck // it may have ended
	defer stop()
	var a answer
	if err := json.NewEncoder(c.in).Encode(cmd); err != nil {
		return a, fmt.Errorf("%s: %w", cmd.Do, err)
	}
	if err := c.out.Decode(&a); err != nil {
		return a, fmt.Errorf("%s: child ended: %w", cmd.Do, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %s", cmd.Do, a.Error)
	}
	return a, nil
}

// close ends the child and waits for it.
func (c *child) close() {
	_ = c.in.Close() //nolint:errcheck // ends its loop
	_ = c.cmd.Wait() //nolint:errcheck // nothing to be learnt
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// runChild is the main function of a child.
func runChild(ctx context.Context, role string) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var do func(command) (answer, error)
	switch role {
	case "fleet":
		f, err := newFleet()
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench fleet:", err)
			return 1
		}
		do = f.do
	case "gateway":
		do = (&gatewayChild{}).handler(ctx)
	case "files":
		do = files(ctx)
	case "viewers":
		do = (&audience{ctx: ctx}).do
	case "flv":
		do = (&plainFLV{}).handler(ctx)
	case "peer":
		do = (&peer{}).handler(ctx)
	default:
		fmt.Fprintln(os.Stderr, "bench: no role", role)
		return 2
	}
	return obey(do)
}

// obey reads commands until standard input ends.
func obey(do func(command) (answer, error)) int {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c command
		if err := in.Decode(&c); err != nil {
			if errors.Is(err, io.EOF) {
				return 0
			}
			return 1
		}
		a, err := do(c)
		if err != nil {
			a.Error = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return 1
		}
	}
}
