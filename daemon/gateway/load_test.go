package gateway_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gtiv/daemon/apptest"
	"gtiv/daemon/gateway"
	"gtiv/protocol"
)

// reading is what the server process says about itself.
type reading struct {
	RSS        int64 // bytes, after a forced collection
	CPU        time.Duration
	Goroutines int
	Stats      gateway.Stats
}

func takeReading(s *site, settle bool) reading {
	if settle {
		runtime.GC()
		runtime.GC()
		debug.FreeOSMemory()
	}
	var u syscall.Rusage
	_ = syscall.Getrusage(0, &u)
	b, _ := os.ReadFile("/proc/self/statm")
	pages, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	return reading{
		RSS: pages * int64(os.Getpagesize()), CPU: time.Duration(u.Utime.Nano() + u.Stime.Nano()),
		Goroutines: runtime.NumGoroutine(), Stats: s.Stats(),
	}
}

// serveLoad is the server process: it obeys lines from standard input.
func serveLoad(t *testing.T) {
	s := start(t, gateway.Config{})
	fmt.Printf("listening %s %s\n", s.tcp, s.ws)
	in := bufio.NewScanner(os.Stdin)
	stopProfile := func() {}
	for in.Scan() {
		var seconds, rate, size int
		if n, _ := fmt.Sscanf(in.Text(), "publish %d %d %d", &seconds, &rate, &size); n == 3 {
			stop := profile("broadcast")
			publishLoad(s, seconds, rate, size)
			stop()
		}
		switch in.Text() {
		case "profile":
			stopProfile = profile("heartbeat")
		case "stop":
			stopProfile()
		}
		b, _ := json.Marshal(takeReading(s, in.Text() == "settle"))
		fmt.Printf("reading %s\n", b)
	}
}

// profile starts a CPU profile when one is asked for, and returns its end.
func profile(what string) func() {
	name := os.Getenv("GATEWAY_PROFILE")
	if name == "" {
		return func() {}
	}
	f, err := os.Create(name + "." + what) //nolint:gosec // a measurement
	if err != nil {
		return func() {}
	}
	_ = pprof.StartCPUProfile(f)
	return func() { pprof.StopCPUProfile(); _ = f.Close() }
}

func publishLoad(s *site, seconds, rate, size int) {
	body := make([]byte, size)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for range seconds * rate {
		<-tick.C
		binary.BigEndian.PutUint64(body, uint64(time.Now().UnixNano())) //nolint:gosec // a time
		s.Publish("load", gateway.Broadcast{Op: 107, Body: body})
	}
	time.Sleep(time.Second)
}

// server is the parent's view of the server process.
type server struct {
	t       *testing.T
	tcp, ws string
	in      io.Writer
	out     *bufio.Reader
}

func (s *server) ask(line string) reading {
	s.t.Helper()
	if _, err := fmt.Fprintln(s.in, line); err != nil {
		s.t.Fatal(err)
	}
	for {
		l, err := s.out.ReadString('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		if b, ok := strings.CutPrefix(l, "reading "); ok {
			var r reading
			if err := json.Unmarshal([]byte(b), &r); err != nil {
				s.t.Fatal(err)
			}
			return r
		}
	}
}

func startLoad(t *testing.T) *server {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestLoad$", "-test.v", "-test.timeout=1h") //nolint:gosec // this test itself
	cmd.Env = append(os.Environ(), "GATEWAY_LOAD=server")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	s := &server{t: t, in: in, out: bufio.NewReader(out)}
	for s.ws == "" {
		l, err := s.out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Sscanf(l, "listening %s %s", &s.tcp, &s.ws)
	}
	return s
}

// TestLoad measures what README figures come from. It needs a quiet machine
// and minutes: GATEWAY_LOAD=5000 go test -run TestLoad -v, and GATEWAY_OVER=ws
// for WebSocket, GATEWAY_PROFILE=file for CPU profiles.
func TestLoad(t *testing.T) {
	mode := os.Getenv("GATEWAY_LOAD")
	if mode == "" {
		t.Skip("a measurement: set GATEWAY_LOAD to the number of connections")
	}
	if mode == "server" {
		serveLoad(t)
		return
	}
	n, err := strconv.Atoi(mode)
	if err != nil {
		t.Fatal(err)
	}
	s := startLoad(t)
	addr := s.tcp
	if os.Getenv("GATEWAY_OVER") == "ws" {
		addr = s.ws
	}
	base := s.ask("settle")
	load := connectLoad(t, addr, n)
	idle := s.ask("settle")
	t.Logf("%d connections: %d bytes RSS each, %d goroutines", n, (idle.RSS-base.RSS)/int64(n), idle.Goroutines)

	const seconds, rate, size = 10, 20, 214 // with the header 230 bytes
	before := s.ask("now")
	after := s.ask(fmt.Sprintf("publish %d %d %d", seconds, rate, size))
	want := int64(n * seconds * rate)
	eventually(t, "everything delivered", func() bool { return load.got.Load() >= want })
	load.report(t, after.CPU-before.CPU, want)
	t.Logf("server: %d dropped, RSS %d KiB", after.Stats.RoomDrops, after.RSS>>10)

	// One heartbeat per connection and 30 s, compressed into 10 s.
	before = s.ask("profile")
	load.heartbeats(10 * time.Second)
	after = s.ask("stop")
	t.Logf("heartbeat: %v CPU each", (after.CPU-before.CPU)/time.Duration(n))
}

// load is all the clients.
type load struct {
	clients []*apptest.Client
	got     atomic.Int64
	mu      sync.Mutex
	late    []time.Duration // sampled
}

func connectLoad(t *testing.T, addr string, n int) *load {
	l := &load{clients: make([]*apptest.Client, n)}
	var work sync.WaitGroup
	for w := range 8 {
		work.Go(func() {
			for i := w; i < n; i += 8 {
				c, err := apptest.Dial(context.Background(), addr, apptest.ClientConfig{
					Token: fmt.Sprintf("%d.%d", i+1, i+1), Platform: "test", Timeout: time.Minute,
				})
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.Write(protocol.OpChangeRoom, 1, []byte("load"))
				l.clients[i] = c
			}
		})
	}
	work.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for i, c := range l.clients {
		expect(t, c, protocol.OpChangeRoomOK)
		go l.read(c, i%50 == 0)
	}
	return l
}

func (l *load) read(c *apptest.Client, sample bool) {
	for {
		f, err := c.ReadWithin(time.Hour)
		if err != nil {
			return
		}
		if f.Op != 107 {
			continue
		}
		l.got.Add(1)
		if sample {
			d := time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(f.Body)))) //nolint:gosec // a time
			l.mu.Lock()
			l.late = append(l.late, d)
			l.mu.Unlock()
		}
	}
}

func (l *load) report(t *testing.T, cpu time.Duration, want int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.late)
	at := func(p float64) time.Duration { return l.late[int(p*float64(len(l.late)-1))].Round(time.Millisecond) }
	t.Logf("broadcast: %d of %d delivered, %v CPU per delivery, latency p50 %v p99 %v max %v",
		l.got.Load(), want, cpu/time.Duration(want), at(0.5), at(0.99), at(1))
}

func (l *load) heartbeats(over time.Duration) {
	began := time.Now()
	for i, c := range l.clients {
		_ = c.Write(protocol.OpHeartbeat, 1, []byte("12345_"))
		if ahead := time.Duration(i)*over/time.Duration(len(l.clients)) - time.Since(began); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
	}
	time.Sleep(time.Second)
}

func BenchmarkPushToOneConnection(b *testing.B) {
	for _, over := range everyTransport {
		b.Run(over, func(b *testing.B) {
			s := start(b, gateway.Config{QueueFrames: 1 << 20, QueueBytes: 1 << 30})
			c := s.client(b, over, "1.11", "seq")
			go func() {
				for {
					if _, err := c.ReadWithin(time.Hour); err != nil {
						return
					}
				}
			}()
			p := text(0, 230)
			b.ReportAllocs()
			for b.Loop() {
				s.Push(1, p)
			}
		})
	}
}

func BenchmarkBroadcastTo1000Connections(b *testing.B) {
	for _, over := range []string{"tcp", "ws"} {
		b.Run(over, func(b *testing.B) {
			s := start(b, gateway.Config{RoomDelayPerMember: 1}) // every frame a flush of its own
			var got atomic.Int64
			const n = 1000
			for range n {
				c := s.client(b, over, "")
				join(b, c, "r")
				go drainConn(c, &got)
			}
			body := make([]byte, 214)
			b.ReportAllocs()
			var sent int64
			for b.Loop() {
				s.Publish("r", gateway.Broadcast{Op: 107, Body: body})
				sent += n
				for got.Load() < sent {
					time.Sleep(50 * time.Microsecond)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent), "ns/delivery")
		})
	}
}

// drainConn counts frames of 230 bytes (plus 18 and 4 in front over WebSocket).
func drainConn(c *apptest.Client, got *atomic.Int64) {
	if c.WS() != nil {
		for {
			if _, _, err := c.WS().Read(context.Background()); err != nil {
				return
			}
			got.Add(1)
		}
	}
	buf := make([]byte, 230)
	for {
		_ = c.Conn().SetReadDeadline(time.Time{})
		if _, err := io.ReadFull(c.Conn(), buf); err != nil {
			return
		}
		got.Add(1)
	}
}
