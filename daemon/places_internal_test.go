package daemon

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestSharesLeaveEveryoneSomething(t *testing.T) {
	for _, files := range []int{0, 64, 256, 1024, 20_000, 1 << 20} {
		for _, chat := range []int{0, 16, 1 << 20} {
			s := sharesOf(files, chat)
			if s.comet < 16 || s.http < 32 || s.handshakes < 16 {
				t.Errorf("%d files, %d chat connections: %+v", files, chat, s)
			}
			if sum := s.comet + s.http + s.handshakes; files >= 256 && chat <= 16 && sum > files-128 {
				t.Errorf("%d files, %d chat connections: %+v are %d in all", files, chat, s, sum)
			}
		}
	}
	if s := sharesOf(20_000, 0); s.comet < 15_000 { // what make bench needs
		t.Errorf("20000 files: %+v", s)
	}
}

// placesFixture is a plain HTTP port under limits.
type placesFixture struct {
	t      *testing.T
	addr   string
	places *places
}

func startPlaces(t *testing.T, p *places) *placesFixture {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, ConnState: whenHijacked, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hijack" {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		}
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(p.limit([]net.Listener{ln})[0]) })
	t.Cleanup(func() {
		_ = srv.Close()
		wg.Wait()
	})
	return &placesFixture{t, ln.Addr().String(), p}
}

// get asks over a new connection, which it leaves open. 0 is a connection that
// was closed.
func (f *placesFixture) get(from, path string) (status int, c net.Conn) {
	f.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(f.t.Context(), "tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		if errTimeout(err) {
			f.t.Errorf("a connection too many was kept waiting")
		}
		return 0, c
	}
	_ = res.Body.Close()
	return res.StatusCode, c
}

func (f *placesFixture) held() int {
	f.places.mu.Lock()
	defer f.places.mu.Unlock()
	return f.places.n
}

func (f *placesFixture) want(n int) {
	f.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); f.held() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%d places are held, want %d", f.held(), n)
		}
	}
}

// Found by a reviewer: one address could have all descriptors of the process.
func TestHTTPConnectionsAreBoundedPerAddress(t *testing.T) {
	proxy := netip.MustParseAddr("127.0.0.9")
	f := startPlaces(t, newPlaces(20, 3, func(a netip.Addr) bool { return a == proxy }, slog.New(slog.DiscardHandler)))
	var first net.Conn
	for i := range 5 {
		status, c := f.get("127.0.0.1", "/")
		if i == 0 {
			first = c
		}
		if (status == 200) != (i < 3) {
			t.Errorf("connection %d: status %d", i, status)
		}
	}
	for range 5 {
		if status, _ := f.get("127.0.0.9", "/"); status != 200 {
			t.Errorf("a proxy: status %d", status)
		}
	}
	if status, _ := f.get("127.0.0.2", "/"); status != 200 {
		t.Errorf("another address: status %d", status)
	}
	_ = first.Close()
	f.want(8)
	if status, _ := f.get("127.0.0.1", "/"); status != 200 {
		t.Errorf("after one left: status %d", status)
	}
}

func TestHTTPConnectionsAreBoundedInAll(t *testing.T) {
	f := startPlaces(t, newPlaces(3, 100, func(netip.Addr) bool { return true }, slog.New(slog.DiscardHandler)))
	for i := range 5 {
		if status, _ := f.get("127.0.0.1", "/"); (status == 200) != (i < 3) {
			t.Errorf("connection %d: status %d", i, status)
		}
	}
}

// A WebSocket is counted by the gateway and must not be counted twice.
func TestHijackedConnectionsGiveTheirPlaceBack(t *testing.T) {
	f := startPlaces(t, newPlaces(2, 2, nobody, slog.New(slog.DiscardHandler)))
	for range 6 {
		if status, _ := f.get("127.0.0.1", "/hijack"); status != 101 {
			t.Fatalf("status %d", status)
		}
		f.want(0)
	}
	if status, _ := f.get("127.0.0.1", "/"); status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestHTTPOverTLSIsBoundedToo(t *testing.T) {
	p := newPlaces(100, 2, nobody, slog.New(slog.DiscardHandler))
	f := startFront(t, newHandshakes(maxHandshakes, nobody), p)
	if got, err := f.ask("127.0.0.1", anyRequest); got != "\nhttp" {
		t.Fatalf("%q, %v", got, err)
	}
	full := &placesFixture{t: t, places: p}
	full.want(0) // it was given back
	for range 2 {
		if _, ok := p.take(netip.MustParseAddr("127.0.0.1")); !ok {
			t.Fatal("no place")
		}
	}
	if got, err := f.ask("127.0.0.1", anyRequest); got != "" {
		t.Errorf("over the limit: %q, %v", got, err)
	}
	if got, err := f.ask("127.0.0.1", "\x00"); got != "comet" {
		t.Errorf("comet when HTTP is full: %q, %v", got, err)
	}
}
