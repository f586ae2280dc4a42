// Command bench measures gtiv and prints a Markdown table: figure, target, what
// was measured, a peer measured in the same run, and the ratio of the two.
//
//	go run ./daemon/bench [-run REGEXP] [-short] [-write] [-profile DIR]
//
// It builds the real binary without cgo and drives it over loopback; the parts
// that have no public way in (broadcast rooms, the store alone) run from their
// packages. It never fails because something is slow: the exit code is 1 only
// when something was lost, doubled or broken.
//
// Processes. The program starts itself again for everything that must not share
// its limits or its CPU account: "fleet" holds thousands of client connections
// (fleet.go), "gateway" runs package gateway (gateway.go), "peer" is the plain
// server that figures are compared with (peer.go). A child serves one command
// per line of its standard input and ends with it.
//
// Goroutines are named where they start; each figure waits for its own. There
// are no locks but those of the Go packages used.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"
)

// figure is one measurement that can be asked for by name.
type figure struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

func figures() []figure {
	return []figure{
		{"start/empty", startEmpty},
		{"store", storeAlone},
		{"send", sendOverHTTP},
		{"request", requests},
		{"idle", idleConnections},
		{"broadcast", broadcast},
		{"group", groupChat},
		{"flat", flatRooms},
		{"live", liveRoom},
		{"feed", feed},
		{"upload", uploads},
		{"stream", streams},
		{"glass", glassToGlass},
		{"start/million", startFull},
	}
}

// options are the flags.
type options struct {
	run, profile, dir, file, child string
	short, write                   bool
}

// bench is one run.
type bench struct {
	options
	scratch string // removed at the end
	binary  string // of gtiv, "" until built
	rows    []row

	starting sync.Mutex // held while gtiv is built or started: two at once would take the same ports
}

func main() { os.Exit(run()) }

func run() int {
	var o options
	flag.StringVar(&o.run, "run", "", "run only the figures whose name matches this `regexp`")
	flag.BoolVar(&o.short, "short", false, "fewer connections and shorter times")
	flag.BoolVar(&o.write, "write", false, "put the table into the file of -file, between its markers")
	flag.StringVar(&o.file, "file", "BENCHMARKS.md", "the `file` that -write changes")
	flag.StringVar(&o.profile, "profile", "", "write CPU profiles of the parts that run from packages into this `directory`")
	flag.StringVar(&o.dir, "dir", "", "make the scratch directory in this `directory`, on the disk to be measured (default: the system's)")
	flag.StringVar(&o.child, "child", "", "internal: run as a child process")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	if o.child != "" {
		return runChild(ctx, o.child)
	}
	if err := measure(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// measure runs the figures that were asked for. What breaks one does not keep
// the others from running.
func measure(ctx context.Context, o options) error {
	wanted, err := regexp.Compile(o.run)
	if err != nil {
		return fmt.Errorf("flag -run: %w", err)
	}
	b := &bench{options: o}
	if b.scratch, err = os.MkdirTemp(o.dir, "gtiv-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.scratch) //nolint:errcheck // a temporary folder
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o750); err != nil {
			return err
		}
	}
	began := time.Now()
	var errs []error
	for _, f := range figures() {
		if !wanted.MatchString(f.name) || ctx.Err() != nil {
			continue
		}
		at := time.Now()
		b.say("%s ...", f.name)
		if err := f.run(ctx, b); err != nil {
			b.say("%s: %v", f.name, err)
			errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
		}
		b.say("%s took %.1f s", f.name, time.Since(at).Seconds())
	}
	errs = append(errs, context.Cause(ctx), b.report(began))
	return errors.Join(errs...)
}

// say tells the person who waits what is going on.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// pick is long, or with -short the other.
func pick[T any](b *bench, long, short T) T {
	if b.short {
		return short
	}
	return long
}

// folder makes a new folder in the scratch directory.
func (b *bench) folder(name string) (string, error) {
	return os.MkdirTemp(b.scratch, name+"-")
}

// build makes the binary, once. The figures are those of what "make build"
// installs: without cgo.
func (b *bench) build(ctx context.Context) error {
	if b.binary != "" {
		return nil
	}
	began := time.Now()
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	out := filepath.Join(b.scratch, "gtiv")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, ".") //nolint:gosec // our own module
	cmd.Dir = strings.TrimSpace(string(root))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build gtiv: %w\n%s", err, msg)
	}
	b.binary = out
	b.say("  built gtiv in %.1f s", time.Since(began).Seconds())
	return nil
}

// profiling writes a CPU profile of this process while f runs, if -profile asks
// for one.
func (b *bench) profiling(name string, f func() error) error {
	if b.profile == "" {
		return f()
	}
	out, err := os.Create(filepath.Join(b.profile, name+".pprof"))
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return errors.Join(err, out.Close())
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, out.Close())
}

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
