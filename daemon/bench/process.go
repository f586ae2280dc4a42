package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The ports of gtiv that the figures use, before the offset.
const (
	portComet     = 2004
	portWebSocket = 2005
	portImbiz     = 2015
)

// server is a running gtiv.
type server struct {
	cmd    *exec.Cmd
	data   string
	offset int
	ready  time.Duration // from its start to READY=1
	log    *bytes.Buffer // its standard error, complete after it has ended
	ended  chan struct{}
}

// limits lets a benchmark do from one address what a whole town does from many.
func limits() []string {
	return []string{
		"GTIV_LIMITS_REGISTRATIONS_PER_HOUR=1000000",
		"GTIV_LIMITS_SENDS_PER_SECOND=1000000",
		"GTIV_LIMITS_SEND_BURST=1000000",
		"GTIV_LIMITS_ROOM_SENDS_PER_SECOND=1000000",
		"GTIV_GATEWAY_CONNECTIONS_PER_ADDRESS=1000000",
		"GTIV_LIVE_VIEWERS_PER_ADDRESS=1000000",
		"GTIV_LOG_LEVEL=warn",
	}
}

// serve starts gtiv on a data folder and waits until it is ready.
func (b *bench) serve(ctx context.Context, data string) (*server, error) {
	b.starting.Lock()
	defer b.starting.Unlock()
	if err := b.build(ctx); err != nil {
		return nil, err
	}
	s := &server{data: data, log: &bytes.Buffer{}, ended: make(chan struct{})}
	var err error
	if s.offset, err = freeOffset(ctx); err != nil {
		return nil, err
	}
	path := filepath.Join(b.scratch, fmt.Sprintf("notify-%d", s.offset))
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listen for readiness: %w", err)
	}
	defer os.Remove(path) //nolint:errcheck // a socket of ours
	defer notify.Close()
	s.cmd = exec.Command(b.binary, "serve", "--data", data, "--bind", "127.0.0.1", "--port-offset", strconv.Itoa(s.offset)) //nolint:gosec,noctx // built by us, ended by stop
	s.cmd.Env = append(append(os.Environ(), limits()...), "NOTIFY_SOCKET="+path)
	s.cmd.Stderr = s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start gtiv: %w", err)
	}
	go func() { // ends with the process, which stop or kill ends
		_ = s.cmd.Wait() //nolint:errcheck // the log says more
		close(s.ended)
	}()
	if err := s.waitReady(ctx, notify); err != nil {
		s.kill()
		return nil, fmt.Errorf("%w\n%s", err, s.log)
	}
	s.ready = time.Since(began)
	return s, nil
}

// waitReady reads what the daemon would tell systemd.
func (s *server) waitReady(ctx context.Context, notify *net.UnixConn) error {
	end := time.Now().Add(time.Minute)
	buf := make([]byte, 4096)
	for time.Now().Before(end) && ctx.Err() == nil {
		select {
		case <-s.ended:
			return errors.New("gtiv ended before it was ready")
		default:
		}
		_ = notify.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) //nolint:errcheck // a live socket
		n, err := notify.Read(buf)
		if err == nil && strings.Contains(string(buf[:n]), "READY=1") {
			return nil
		}
	}
	return errors.New("gtiv was not ready within a minute")
}

// stop ends gtiv as systemd would.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		s.kill()
	}
}

// kill ends gtiv as a power cut would, but for the disk.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-s.ended
}

func (s *server) addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+s.offset) }
func (s *server) pid() int             { return s.cmd.Process.Pid }

// freeOffset finds a port offset below the range of ephemeral ports where
// nobody listens.
func freeOffset(ctx context.Context) (int, error) {
	for offset := 20000 + os.Getpid()%97*50; offset < 30000; offset += 50 {
		if portsFree(ctx, offset) {
			return offset, nil
		}
	}
	return 0, errors.New("no free port offset")
}

func portsFree(ctx context.Context, offset int) bool {
	for port := 2004; port <= 2017; port++ {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port+offset))
		if err != nil {
			return false
		}
		_ = ln.Close() //nolint:errcheck // only tried
	}
	return true
}

// rss is the resident memory of a process in bytes.
func rss(pid int) (float64, error) {
	var kb float64
	if _, err := fmt.Sscan(field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS"), &kb); err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	return kb * 1024, nil
}

// ticksPerSecond is USER_HZ, which Linux keeps at 100 on every platform.
const ticksPerSecond = 100

// cpu is the processor time a process has used, system calls included.
func cpu(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold anything; utime and stime are the 12th
	// and 13th field behind it.
	_, rest, _ := bytes.Cut(b[bytes.LastIndexByte(b, ')'):], []byte(" "))
	f := strings.Fields(string(rest))
	if len(f) < 13 {
		return 0, fmt.Errorf("processor time of process %d: %d fields", pid, len(f))
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond, errors.Join(err1, err2)
}
