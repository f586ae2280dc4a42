package clip

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newClipper(t *testing.T, cfg Config) *Clipper {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shell is a task that runs a script; it gets ten seconds.
func shell(t *testing.T, script string) task {
	t.Helper()
	return task{bin: "/bin/sh", args: []string{"-c", script}, dir: t.TempDir(), read: discard, limit: 10 * time.Second}
}

// soon waits until f holds.
func soon(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// group is the processes of a group that are not dead.
func group(t *testing.T, pgid int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if f[2] == strconv.Itoa(pgid) && f[0] != "Z" {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestCancelKillsTheWholeGroup(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("shutting down")
	task := shell(t, "sleep 60 & sleep 60 & echo $$; wait")
	var pid int
	task.read = func(r io.Reader) error {
		line, err := bufio.NewReader(r).ReadString('\n')
		if err != nil {
			return err
		}
		pid, err = strconv.Atoi(strings.TrimSpace(line))
		soon(t, "three processes", func() bool { return len(group(t, pid)) == 3 })
		cancel(why)
		return err
	}
	if err := newClipper(t, Config{}).run(ctx, task); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	soon(t, "no process", func() bool { return len(group(t, pid)) == 0 })
}

func TestCancelOfMakeLeavesNothing(t *testing.T) {
	src := filepath.Join(t.TempDir(), "a.mkv")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=60:d=20",
		"-c:v", "mjpeg", "-q:v", "20", src).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	c := newClipper(t, Config{Threads: 1})
	_, err = c.Make(ctx, src, dir, Options{Progress: func(percent int) {
		if percent > 5 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v is left, %v", entries, err)
	}
	wantNoChildren(t)
}

func wantNoChildren(t *testing.T) {
	t.Helper()
	children, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range children {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			t.Errorf("children are left: %s", b)
		}
	}
}

func TestProcessThatRunsTooLongIsKilled(t *testing.T) {
	task := shell(t, "sleep 60")
	task.limit = 300 * time.Millisecond
	at := time.Now()
	err := newClipper(t, Config{}).run(t.Context(), task)
	var failed *FFmpegError
	if !errors.Is(err, ErrTimeout) || !errors.As(err, &failed) || time.Since(at) > 5*time.Second {
		t.Errorf("error %v after %v", err, time.Since(at))
	}
}

// The kernel ends what a daemon leaves behind that is killed itself. This is
// such a daemon when the variable is set.
func TestProcessesDoNotOutliveUs(t *testing.T) {
	const variable = "GTIV_CLIP_CHILD"
	if os.Getenv(variable) != "" {
		task := shell(t, "echo $$; exec sleep 60")
		task.limit = time.Minute
		task.read = func(r io.Reader) error {
			_, err := io.Copy(os.Stderr, r)
			return err
		}
		t.Fatal(newClipper(t, Config{}).run(t.Context(), task))
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessesDoNotOutliveUs$")
	cmd.Env = append(os.Environ(), variable+"=1")
	r, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	pid, convErr := strconv.Atoi(strings.TrimSpace(line))
	if err := errors.Join(err, convErr, cmd.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	soon(t, "the process is gone too", func() bool { return len(group(t, pid)) == 0 })
}

func TestHeldProcessStandsStillAndItsTimeDoesNotCount(t *testing.T) {
	var hold atomic.Bool
	hold.Store(true)
	c := newClipper(t, Config{Hold: hold.Load})
	task := shell(t, "echo $$; for i in $(seq 30); do sleep 0.02; echo x; done")
	task.limit = 2 * time.Second
	task.read = func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		lines.Scan()
		pid, err := strconv.Atoi(lines.Text())
		soon(t, "it is stopped", func() bool { return state(pid) == "T" })
		time.Sleep(2500 * time.Millisecond) // longer than it may run
		hold.Store(false)
		return errors.Join(err, discard(r))
	}
	if err := c.run(t.Context(), task); err != nil {
		t.Error(err)
	}
}

// state is the letter of a process's state.
func state(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	return string(b[strings.LastIndexByte(string(b), ')')+2:][:1])
}

func TestHeldProcessCanBeKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c := newClipper(t, Config{Hold: func() bool { return true }})
	if err := c.run(ctx, shell(t, "sleep 60")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestProcessThatWritesTooMuchIsStopped(t *testing.T) {
	for name, script := range map[string]string{
		"one file":   "exec dd if=/dev/zero of=a bs=1M count=1000 2>&1",
		"many files": "for i in $(seq 100000); do dd if=/dev/zero of=$i bs=512K count=1 2>/dev/null; done",
	} {
		task := shell(t, script)
		task.maxBytes = 4 << 20
		if err := newClipper(t, Config{}).run(t.Context(), task); err == nil || errors.Is(err, ErrTimeout) {
			t.Errorf("%s: error %v", name, err)
		}
		if n := folderBytes(task.dir); n > 1<<30 {
			t.Errorf("%s: %d bytes were written", name, n)
		}
	}
}

func TestProcessesAreRestrained(t *testing.T) {
	task := shell(t, "read x; exit 0")
	r, w := io.Pipe()
	task.stdin = r
	task.maxBytes = 1 << 20
	task.nice = 5
	task.read = func(out io.Reader) error {
		pid := child()
		if n, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err != nil || n != 15 { // 20 minus the niceness
			t.Errorf("niceness of %d is %d, %v", pid, 20-n, err)
		}
		for resource, want := range map[int]uint64{unix.RLIMIT_AS: memoryLimit, unix.RLIMIT_CPU: 22, unix.RLIMIT_FSIZE: 1 << 20, unix.RLIMIT_CORE: 0} {
			var got unix.Rlimit
			if err := unix.Prlimit(pid, resource, nil, &got); err != nil || got.Cur != want {
				t.Errorf("limit %d is %d, want %d, %v", resource, got.Cur, want, err)
			}
		}
		return errors.Join(w.Close(), discard(out))
	}
	if err := newClipper(t, Config{Threads: 1}).run(t.Context(), task); err != nil {
		t.Error(err)
	}
}

// child is the process of ours that runs, 0 when there is none.
func child() int {
	paths, _ := filepath.Glob("/proc/self/task/*/children")
	for _, p := range paths {
		b, _ := os.ReadFile(p)
		if f := strings.Fields(string(b)); len(f) > 0 {
			pid, _ := strconv.Atoi(f[0])
			return pid
		}
	}
	return 0
}

func TestProcessesSeeNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("GTIV_SECRET", "swordfish")
	task := shell(t, "env; cat")
	task.read = func(r io.Reader) error {
		b, err := io.ReadAll(r)
		if strings.Contains(string(b), "swordfish") {
			t.Errorf("environment:\n%s", b)
		}
		return err
	}
	if err := newClipper(t, Config{}).run(t.Context(), task); err != nil {
		t.Error(err)
	}
}

func TestLastWordsAreKept(t *testing.T) {
	err := newClipper(t, Config{}).run(t.Context(), shell(t, "seq 100000 >&2; echo 'No space left on device' >&2; exit 3"))
	var failed *FFmpegError
	if !errors.As(err, &failed) || strings.Count(failed.Tail, "\n") != 19 || !strings.Contains(failed.Tail, "\n100000\nNo space") {
		t.Errorf("error %v", err)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error("a full disk is not told")
	}
}

func TestProcessThatIsNotThereIsMissing(t *testing.T) {
	task := shell(t, "")
	task.bin = "/nowhere/ffmpeg"
	if err := newClipper(t, Config{}).run(t.Context(), task); !errors.Is(err, ErrNoFFmpeg) {
		t.Errorf("error %v", err)
	}
}

// Should sniffing ever let a playlist pass, the forced demuxer does not.
func TestForcedDemuxersOpenNothingElse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var called atomic.Bool
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			called.Store(true)
			c.Close()
		}
	}()
	url := "http://" + l.Addr().String() + "/a.ts"
	src := filepath.Join(t.TempDir(), "a.m3u8")
	if err := os.WriteFile(src, []byte("#EXTM3U\n#EXTINF:10.0,\n"+url+"\n#EXT-X-ENDLIST\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	c := newClipper(t, Config{})
	for _, f := range []Format{MOV, Matroska, AVI, MPEGTS, MPEGPS, FLV, "hls"} {
		s, err := c.scan(t.Context(), f, src)
		if err == nil {
			_, err = s.info(f, 1)
		}
		if err == nil {
			t.Errorf("%s was read", f)
		}
	}
	if called.Load() {
		t.Error("the server was called")
	}
}
