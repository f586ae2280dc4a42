package daemon

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// frontFixture is a TLS port with "comet" or HTTP behind it.
type frontFixture struct {
	t       *testing.T
	addr    string
	waiting *handshakes
}

func nobody(netip.Addr) bool { return false }

func startFront(t *testing.T, waiting *handshakes, p *places) *frontFixture {
	t.Helper()
	cert, err := certificate(Default(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	comet := func(_ context.Context, c net.Conn) {
		_, _ = io.WriteString(c, "comet")
		_ = c.Close()
	}
	f := newTLSFront(ln, cert, comet, waiting, p)
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "http")
	})}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.run(ctx) })
	wg.Go(func() { _ = srv.Serve(f) })
	t.Cleanup(func() {
		stop()
		_ = srv.Close()
		wg.Wait()
	})
	return &frontFixture{t, ln.Addr().String(), waiting}
}

func (f *frontFixture) dial(from string) net.Conn {
	f.t.Helper()
	d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(f.t.Context(), "tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask says hello over TLS, sends what a client sends first and reads the answer.
func (f *frontFixture) ask(from, text string) (string, error) {
	c := tls.Client(f.dial(from), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // made a moment ago
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b[max(len(b)-5, 0):]), err
}

const anyRequest = "GET / HTTP/1.0\r\n\r\n"

// Found by a reviewer: 256 connections of one address that said nothing kept
// everybody off the port.
func TestSilentConnectionsOfOneAddressShutNobodyElseOut(t *testing.T) {
	f := startFront(t, newHandshakes(maxHandshakes, nobody), newPlaces(100, 100, nobody, slog.New(slog.DiscardHandler)))
	for range maxHandshakes + 44 {
		f.dial("127.0.0.1")
	}
	for text, want := range map[string]string{anyRequest: "\nhttp", "\x00": "comet"} {
		if got, err := f.ask("127.0.0.2", text); got != want {
			t.Errorf("another address got %q, %v, want %q", got, err, want)
		}
	}
	f.waiting.mu.Lock()
	defer f.waiting.mu.Unlock()
	if n := len(f.waiting.list); n > addressHandshakes {
		t.Errorf("%d silent connections are kept, want at most %d", n, addressHandshakes)
	}
}

// Many addresses together may fill all of it; then the oldest make room.
func TestSilentConnectionsMakeRoomWhenTheyHadTheirTime(t *testing.T) {
	for name, h := range map[string]*handshakes{
		"of one address": {total: 100, perAddress: 4, grace: 50 * time.Millisecond, shared: nobody},
		"of all":         {total: 4, perAddress: 100, grace: 50 * time.Millisecond, shared: nobody},
		"of a proxy":     {total: 4, perAddress: 1, grace: 50 * time.Millisecond, shared: func(netip.Addr) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			f := startFront(t, h, newPlaces(100, 100, nobody, slog.New(slog.DiscardHandler)))
			old := f.dial("127.0.0.1")
			for range 3 {
				f.dial("127.0.0.1")
			}
			for deadline := time.Now().Add(10 * time.Second); ; {
				got, err := f.ask("127.0.0.1", anyRequest)
				if got == "\nhttp" {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("got %q, %v", got, err)
				}
			}
			_ = old.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := old.Read(make([]byte, 1)); err == nil || errTimeout(err) {
				t.Errorf("the oldest connection is still there: %v", err)
			}
		})
	}
}

func errTimeout(err error) bool {
	ne, ok := err.(net.Error) //nolint:errorlint // from a socket
	return ok && ne.Timeout()
}
