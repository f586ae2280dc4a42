package flv_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gtiv/media"
	"gtiv/media/flv"
)

// onAir publishes a picture every 10 ms, a key frame every 100 ms, until the test ends.
func onAir(t testing.TB, size int) (*media.Hub, *media.Publisher) {
	t.Helper()
	hub := media.NewHub(nil, nil, nil)
	p, _ := hub.Publish(t.Context(), "room")
	push := func(kind media.Kind, body []byte, ts uint32) error {
		m, err := media.ParseMessage(kind, body)
		if err != nil {
			return err
		}
		return p.Push(m, ts)
	}
	for kind, body := range map[media.Kind][]byte{
		media.Data:  []byte("\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09"),
		media.Video: {0x17, 0, 0, 0, 0, 1}, media.Audio: {0xaf, 0, 0x12, 0x10},
	} {
		if err := push(kind, body, 0); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		for i := uint32(0); ; i++ {
			body := make([]byte, size)
			body[0], body[1] = 0x27, 1
			if i%10 == 0 {
				body[0] = 0x17
			}
			if push(media.Video, body, i*10) != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	t.Cleanup(p.Close)
	return hub, p
}

func serve(t testing.TB, hub *media.Hub, sent *atomic.Int64) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := hub.Stream("room")
		if s == nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		count := func(n int) { sent.Add(int64(n)) }
		if r.Header.Get("Upgrade") != "" {
			_ = flv.ServeWebSocket(r.Context(), w, r, s, count)
			return
		}
		_ = flv.ServeHTTP(context.WithoutCancel(r.Context()), w, r, s, count)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// tags reads n tags and answers their kinds.
func tags(t *testing.T, r io.Reader, n int) (kinds []byte, bodies [][]byte) {
	t.Helper()
	for range n {
		var h [11]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			t.Fatal(err)
		}
		body := make([]byte, int(h[1])<<16|int(h[2])<<8|int(h[3])+4)
		if _, err := io.ReadFull(r, body); err != nil {
			t.Fatal(err)
		}
		if size := binary.BigEndian.Uint32(body[len(body)-4:]); int(size) != len(body)-4+11 {
			t.Fatalf("size of the tag before: %d", size)
		}
		kinds, bodies = append(kinds, h[0]), append(bodies, body[:len(body)-4])
	}
	return kinds, bodies
}

func checkBeginning(t *testing.T, r io.Reader) {
	t.Helper()
	head := make([]byte, 13)
	if _, err := io.ReadFull(r, head); err != nil || !bytes.Equal(head, []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")) {
		t.Fatalf("% x %v", head, err)
	}
	kinds, bodies := tags(t, r, 30)
	if !bytes.Equal(kinds[:4], []byte{18, 9, 8, 9}) || bytes.Contains(bodies[0], []byte("@setDataFrame")) || bodies[3][0] != 0x17 || bodies[3][1] != 1 {
		t.Errorf("begins with %v, % x", kinds, bodies[3][:2])
	}
}

func TestAViewerBeginsWithHeadersAndAKeyFrame(t *testing.T) {
	hub, p := onAir(t, 100)
	var sent atomic.Int64
	srv := serve(t, hub, &sent)
	time.Sleep(300 * time.Millisecond)
	rep, err := http.Get(srv.URL + "/live/room.flv")
	if err != nil {
		t.Fatal(err)
	}
	defer rep.Body.Close()
	if rep.StatusCode != 200 || rep.Header.Get("Content-Type") != flv.ContentType || rep.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%s %v", rep.Status, rep.Header)
	}
	checkBeginning(t, rep.Body)
	p.Close()
	if _, err := io.Copy(io.Discard, rep.Body); err != nil {
		t.Errorf("at the end: %v", err)
	}
	if sent.Load() < 3000 {
		t.Errorf("%d bytes were counted", sent.Load())
	}
}

func TestAViewerByWebSocket(t *testing.T) {
	hub, p := onAir(t, 100)
	var sent atomic.Int64
	srv := serve(t, hub, &sent)
	time.Sleep(300 * time.Millisecond)
	c, _, err := websocket.Dial(t.Context(), strings.Replace(srv.URL, "http", "ws", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1 << 20)
	pr, pw := io.Pipe()
	closed := make(chan error, 1)
	go func() {
		for {
			_, b, err := c.Read(context.Background())
			if err != nil {
				closed <- err
				pw.Close()
				return
			}
			pw.Write(b) //nolint:errcheck // the reader is gone
		}
	}()
	checkBeginning(t, pr)
	pr.Close()
	p.Close()
	if err := <-closed; websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("at the end: %v", err)
	}
}

func TestAViewerWhoStopsReadingHoldsNobody(t *testing.T) {
	hub, _ := onAir(t, 50_000)
	var sent atomic.Int64
	srv := serve(t, hub, &sent)
	rep, err := http.Get(srv.URL) // and never read
	if err != nil {
		t.Fatal(err)
	}
	defer rep.Body.Close()
	time.Sleep(2 * time.Second)
	other, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Body.Close()
	began := time.Now()
	head := make([]byte, 13)
	if _, err := io.ReadFull(other.Body, head); err != nil {
		t.Fatal(err)
	}
	tags(t, other.Body, 20)
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("the other one waited %v", d)
	}
}

func TestNothingIsLeftOfViewers(t *testing.T) {
	hub, p := onAir(t, 100)
	var sent atomic.Int64
	srv := serve(t, hub, &sent)
	before := runtime.NumGoroutine()
	for range 50 {
		rep, err := http.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(rep.Body, make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
		rep.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	for end := time.Now().Add(10 * time.Second); p.Stream().Readers() > 0 || runtime.NumGoroutine() > before+2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d readers, %d goroutines of %d", p.Stream().Readers(), runtime.NumGoroutine(), before)
		}
	}
}
