package rtmp_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gtiv/media"
	"gtiv/media/rtmp"
)

// peer is a client that does what it is told, written without the package's own code.
type peer struct {
	net.Conn
	t     testing.TB
	size  int
	parts map[byte]*part
}

type msg struct {
	kind byte
	time uint32
	body []byte
}

type part struct {
	msg
	length int
	ext    bool
}

func dial(t testing.TB, addr string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{Conn: c, t: t, size: 128, parts: map[byte]*part{}}
}

// shaken is dial with a handshake behind it.
func shaken(t testing.TB, addr string) *peer {
	t.Helper()
	p := dial(t, addr)
	c := make([]byte, 1537)
	c[0] = 3
	p.send(c)
	s := make([]byte, 1+1536+1536)
	if _, err := io.ReadFull(p, s); err != nil {
		t.Fatal(err)
	}
	p.send(s[1:1537])
	return p
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func str(s string) []byte { return append([]byte{2, byte(len(s) >> 8), byte(len(s))}, s...) }
func num(f float64) []byte {
	return binary.BigEndian.AppendUint64([]byte{0}, math.Float64bits(f))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// chunked is a message as chunks.
func chunked(id, kind byte, sid, at uint32, body []byte, size int) []byte {
	b := []byte{id, byte(at >> 16), byte(at >> 8), byte(at), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), kind}
	b = binary.LittleEndian.AppendUint32(b, sid)
	for {
		n := min(size, len(body))
		b = append(b, body[:n]...)
		if body = body[n:]; len(body) == 0 {
			return b
		}
		b = append(b, 0xc0|id)
	}
}

func (p *peer) command(sid uint32, parts ...[]byte) {
	p.t.Helper()
	p.send(chunked(3, 20, sid, 0, join(parts...), 128))
}

func (p *peer) connect(app string) {
	p.t.Helper()
	p.command(0, str("connect"), num(1), []byte{3, 0, 3}, []byte("app"), str(app), []byte{0, 4}, []byte("fpad"), num(0), []byte{0, 0, 9})
	p.await("NetConnection.Connect.Success")
}

// next is the next message.
func (p *peer) next() msg {
	p.t.Helper()
	m, err := p.read()
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func (p *peer) read() (msg, error) {
	for {
		if err := p.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			return msg{}, err
		}
		var h [12]byte
		if _, err := io.ReadFull(p, h[:1]); err != nil {
			return msg{}, err
		}
		id := h[0] & 63
		s := p.parts[id]
		if h[0]>>6 == 0 {
			if _, err := io.ReadFull(p, h[1:]); err != nil {
				return msg{}, err
			}
			s = &part{length: int(h[4])<<16 | int(h[5])<<8 | int(h[6]), ext: h[1] == 0xff && h[2] == 0xff && h[3] == 0xff}
			s.kind, s.time = h[7], uint32(h[1])<<16|uint32(h[2])<<8|uint32(h[3])
			p.parts[id] = s
		} else if h[0]>>6 != 3 || s == nil {
			return msg{}, errors.New("a header that we never send")
		}
		if s.ext {
			if _, err := io.ReadFull(p, h[:4]); err != nil {
				return msg{}, err
			}
			s.time = binary.BigEndian.Uint32(h[:])
		}
		b := make([]byte, min(p.size, s.length-len(s.body)))
		if _, err := io.ReadFull(p, b); err != nil {
			return msg{}, err
		}
		if s.body = append(s.body, b...); len(s.body) < s.length {
			continue
		}
		if s.kind == 1 {
			p.size = int(binary.BigEndian.Uint32(s.body))
			continue
		}
		return s.msg, nil
	}
}

// await reads until a message has the text in it.
func (p *peer) await(text string) msg {
	p.t.Helper()
	for {
		m, err := p.read()
		if err != nil {
			p.t.Fatalf("no %q: %v", text, err)
		}
		if bytes.Contains(m.body, []byte(text)) {
			return m
		}
	}
}

// closed waits until the server closes.
func (p *peer) closed() {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.Copy(io.Discard, p); errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Error("the server did not close")
	}
	p.Close()
}

func dialPlayer(t testing.TB, addr, room string) *peer {
	t.Helper()
	p := shaken(t, addr)
	p.connect("live")
	p.command(0, str("createStream"), num(2), []byte{5})
	p.await("_result")
	p.command(1, str("play"), num(3), []byte{5}, str(room))
	p.await("NetStream.Play.Start")
	return p
}

// dialPublisher does what OBS does.
func dialPublisher(t testing.TB, addr, key string) *peer {
	t.Helper()
	p := shaken(t, addr)
	p.connect("live")
	p.command(0, str("releaseStream"), num(2), []byte{5}, str(key))
	p.command(0, str("FCPublish"), num(3), []byte{5}, str(key))
	p.command(0, str("createStream"), num(4), []byte{5})
	for _, want := range [][]byte{join(str("_result"), num(2)), str("onFCPublish"), join(str("_result"), num(3)), join(str("_result"), num(4), []byte{5}, num(1))} {
		if m := p.await(string(want[:4])); !bytes.HasPrefix(m.body, want) {
			// The answer to createStream comes from elsewhere and may overtake the others.
			t.Logf("%q instead of %q", m.body, want)
		}
	}
	p.command(1, str("publish"), num(5), []byte{5}, str(key), str("live"))
	p.await("NetStream.Publish.Start")
	return p
}

var (
	avcHeader = []byte{0x17, 0, 0, 0, 0, 1, 0x42, 0, 30, 0xff, 0xe1, 0, 0}
	metaBody  = join(str("@setDataFrame"), str("onMetaData"), []byte{8, 0, 0, 0, 0, 0, 5}, []byte("width"), num(1920), []byte{0, 0, 9})
)

func (p *peer) picture(at uint32, key bool, n int) {
	p.t.Helper()
	b := make([]byte, n)
	b[0], b[1] = 0x27, 1
	if key {
		b[0] = 0x17
	}
	p.send(chunked(6, 9, 1, at, b, 128))
}

func TestWhatOBSDoes(t *testing.T) {
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	p := dialPublisher(t, h.addr, "key-r")
	p.send(chunked(4, 18, 1, 0, metaBody, 128))
	p.send(chunked(6, 9, 1, 0, avcHeader, 128))
	p.picture(0, true, 500)
	p.picture(40, false, 70_000)
	eventually(t, "on air", func() bool { s := h.hub.Stream("r"); return s != nil && s.Stats().Pictures == 2 })
	v := dialPlayer(t, h.addr, "r")
	if m := v.next(); m.kind != 18 || !bytes.Contains(m.body, []byte("RtmpSampleAccess")) {
		t.Errorf("%d %q", m.kind, m.body)
	}
	if m := v.next(); m.kind != 18 || !bytes.HasPrefix(m.body, str("onMetaData")) {
		t.Errorf("%d %q", m.kind, m.body)
	}
	if m := v.next(); m.kind != 9 || !bytes.Equal(m.body, avcHeader) {
		t.Errorf("%d % x", m.kind, m.body)
	}
	if m := v.next(); m.kind != 9 || len(m.body) != 500 || m.body[0] != 0x17 {
		t.Errorf("%d % x", m.kind, m.body)
	}
	if m := v.next(); m.kind != 9 || m.time != 40 || len(m.body) != 70_000 {
		t.Errorf("%d %d", m.kind, m.time)
	}
	// A ping is answered while it publishes; the end in order is told.
	p.send(chunked(2, 4, 0, 0, []byte{0, 6, 1, 2, 3, 4}, 128))
	p.await("\x00\x07\x01\x02\x03\x04")
	p.command(0, str("FCUnpublish"), num(6), []byte{5}, str("key-r"))
	p.await("onFCUnpublish")
	p.command(0, str("deleteStream"), num(7), []byte{5}, num(1))
	p.await("NetStream.Unpublish.Success")
	p.closed()
	v.await("NetStream.Play.UnpublishNotify")
	v.closed()
	h.stop()
	if lines := h.log.lines(); lines[0] != "" {
		t.Errorf("logged: %q", lines)
	}
}

// A command that nests without end kills go-rtmp: it must never see it.
func TestNests(t *testing.T) {
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	for name, piece := range map[string][]byte{
		"objects": {3, 0, 1, 'a'}, "arrays": {0x0a, 0, 0, 0, 1}, "named arrays": {8, 0, 0, 0, 1, 0, 1, 'a'},
	} {
		for _, n := range []int{16 << 10, 16<<20 - 100} {
			p := shaken(t, h.addr)
			p.send(chunked(2, 1, 0, 0, []byte{0, 0xff, 0xff, 0xff}, 128))
			body := join(str("connect"), num(1), bytes.Repeat(piece, (n-20)/len(piece)))
			_, _ = p.Write(chunked(3, 20, 0, 0, body, 0xffffff)) // it may be cut off
			p.closed()
			_ = name
		}
	}
	p := dialPublisher(t, h.addr, "key-r")
	p.command(1, str("x"), num(1), bytes.Repeat([]byte{3, 0, 1, 'a'}, 4000))
	p.closed()
	h.stop()
	if lines := h.log.lines(); len(lines) != 7 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

func TestBadInputCostsThatConnectionOnly(t *testing.T) {
	h := serve(t, rtmp.Config{Handshake: time.Second, Silence: 2 * time.Second}, media.Limits{}, nil)
	good := dialPublisher(t, h.addr, "key-good")
	good.send(chunked(6, 9, 1, 0, avcHeader, 128))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := uint32(0); ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				good.picture(i*20, i%25 == 0, 1000)
			}
		}
	}()
	garbage := make([]byte, 100_000)
	_, _ = rand.Read(garbage)
	many := []byte{}
	for id := range byte(60) {
		many = append(many, id+3, 0, 0, 0, 0, 0, 9, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	tests := map[string]func() *peer{
		"garbage": func() *peer {
			p := dial(t, h.addr)
			b := bytes.Clone(garbage)
			b[0] = 7
			_, _ = p.Write(b)
			return p
		},
		"http": func() *peer {
			p := dial(t, h.addr)
			p.send([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			return p
		},
		"garbage after the handshake": func() *peer {
			p := shaken(t, h.addr)
			b := bytes.Clone(garbage)
			b[0] = 0xc3
			_, _ = p.Write(b)
			return p
		},
		"nothing at all":             func() *peer { return dial(t, h.addr) },
		"half a handshake":           func() *peer { p := dial(t, h.addr); p.send(append([]byte{3}, make([]byte, 700)...)); return p },
		"a handshake and silence":    func() *peer { return shaken(t, h.addr) },
		"publishing and silence":     func() *peer { return dialPublisher(t, h.addr, "key-silent") },
		"thousands of chunk streams": func() *peer { p := dialPublisher(t, h.addr, "key-many"); _, _ = p.Write(many); return p },
		"a long video before publish": func() *peer {
			p := shaken(t, h.addr)
			_, _ = p.Write(chunked(6, 9, 1, 0, make([]byte, 1<<20), 128))
			return p
		},
		"a strange connect": func() *peer {
			p := shaken(t, h.addr)
			p.command(0, str("connect"), num(1), []byte{3, 0, 3}, []byte("app"), num(5), []byte{0, 0, 9})
			return p
		},
		"connect without an object": func() *peer { p := shaken(t, h.addr); p.command(0, str("connect")); return p },
		"huge counts": func() *peer {
			p := shaken(t, h.addr)
			p.command(0, str("connect"), num(1), []byte{0x0a, 0xff, 0xff, 0xff, 0xff})
			return p
		},
		"publish without a stream": func() *peer {
			p := shaken(t, h.addr)
			p.connect("live")
			p.command(1, str("publish"), num(2), []byte{5}, str("key-r"), str("live"))
			return p
		},
		"publish before connect": func() *peer {
			p := shaken(t, h.addr)
			p.command(0, str("publish"), num(2), []byte{5}, str("key-r"), str("live"))
			return p
		},
		"commands without end": func() *peer {
			p := shaken(t, h.addr)
			p.connect("live")
			for range 100 {
				if _, err := p.Write(chunked(3, 20, 0, 0, join(str("createStream"), num(2), []byte{5}), 128)); err != nil {
					break
				}
			}
			return p
		},
		"unknown key": func() *peer {
			p := shaken(t, h.addr)
			p.connect("live")
			p.command(0, str("createStream"), num(4), []byte{5})
			p.await("_result")
			p.command(1, str("publish"), num(5), []byte{5}, str("nobody"), str("live"))
			for range 50 { // and does not wait for the answer
				_, _ = p.Write(chunked(6, 9, 1, 0, make([]byte, 10_000), 128))
			}
			p.await("NetStream.Publish.BadName")
			return p
		},
	}
	for name, begin := range tests {
		began := time.Now()
		begin().closed()
		if d := time.Since(began); d > 8*time.Second {
			t.Errorf("%s: closed after %v", name, d)
		}
	}
	close(stop)
	<-stopped
	if s := h.hub.Stream("good"); s == nil || s.Stats().Pictures < 50 {
		t.Error("the good publisher suffered")
	}
	h.stop()
	if lines := h.log.lines(); len(lines) != len(tests) {
		t.Errorf("%d connections, %d lines:\n%s", len(tests), len(lines), strings.Join(lines, "\n"))
	}
}

func TestWhoIsSentAwayIsToldWhy(t *testing.T) {
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	for _, silent := range []bool{true, false} {
		p := dialPublisher(t, h.addr, "key-r")
		p.send(chunked(6, 9, 1, 0, avcHeader, 128))
		stop := make(chan struct{})
		go func() {
			for i := uint32(0); !silent; i++ {
				select {
				case <-stop:
					return
				default:
					_, _ = p.Write(chunked(6, 9, 1, i, append([]byte{0x27, 1}, make([]byte, 100)...), 128))
					time.Sleep(time.Millisecond)
				}
			}
		}()
		time.Sleep(100 * time.Millisecond)
		other := dialPublisher(t, h.addr, "key-r")
		p.await("another publisher took over")
		h.registry.KickRoom("r", func(*media.Session) bool { return true })
		other.await("ended by a moderator")
		close(stop)
		p.closed()
		other.closed()
		eventually(t, "sessions end", func() bool { return len(h.registry.List("")) == 0 })
	}
}

// Strange streams are taken as they are.
func TestStrangeStreams(t *testing.T) {
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	p := dialPublisher(t, h.addr, "key-r")
	pictures := func(n int64) {
		t.Helper()
		eventually(t, "pictures", func() bool { s := h.hub.Stream("r"); return s != nil && s.Stats().Pictures == n })
	}
	p.picture(5000, false, 100) // before its header
	p.picture(5040, true, 100)
	p.send([]byte{6, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0, 0}) // empty
	p.send(chunked(6, 9, 1, 0, []byte{0x17}, 128))     // too short
	p.send(chunked(6, 8, 1, 0, []byte{0xaf}, 128))
	p.send(chunked(6, 18, 1, 0, []byte{2, 0, 99}, 128))
	p.send(chunked(6, 77, 1, 0, []byte{1, 2}, 128))                                      // unknown type
	p.send(chunked(6, 15, 1, 0, join([]byte{0}, str("onMetaData"), []byte{5}), 128))     // AMF3
	p.send(chunked(6, 17, 0, 0, join([]byte{0}, str("x"), num(1), []byte{5}), 128))      // AMF3
	p.send(chunked(6, 9, 1, 5080, []byte{0x90, 'h', 'v', 'c', '1', 1, 2, 3, 4, 5}, 128)) // enhanced
	pictures(2)
	p.picture(90_000, false, 100) // jumps
	p.picture(10, false, 100)     // and back
	pictures(4)
	eventually(t, "metadata", func() bool { return h.hub.Stream("r").Headers().Meta != nil })
	if s := h.hub.Stream("r"); s.Headers().Video.Codec != media.HEVC || s.Stats().Time > 1000 {
		t.Errorf("%+v at %d ms", s.Headers().Video, s.Stats().Time)
	}
	ext := func(at uint32) { // with an extended time
		b := []byte{6, 0xff, 0xff, 0xff, 0, 0, 200, 9, 1, 0, 0, 0}
		b = binary.BigEndian.AppendUint32(b, at)
		body := make([]byte, 200)
		body[0], body[1] = 0x27, 1
		b = append(append(b, body[:128]...), 0xc6)
		b = binary.BigEndian.AppendUint32(b, at)
		p.send(append(b, body[128:]...))
	}
	ext(math.MaxUint32 - 50)
	ext(math.MaxUint32 - 10)
	before := h.hub.Stream("r").Stats().Time
	p.picture(30, false, 100) // wrapped
	pictures(7)
	if d := h.hub.Stream("r").Stats().Time - before; d < 0 || d > 200 {
		t.Errorf("the wrap took %d ms", d)
	}
}

func TestAPlayerThatStopsReadingIsCutOff(t *testing.T) {
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	p, _ := h.hub.Publish(t.Context(), "r")
	defer p.Close()
	go func() {
		for i := uint32(0); ; i++ {
			b := make([]byte, 50_000)
			b[0], b[1] = 0x27, 1
			if i%25 == 0 {
				b[0] = 0x17
			}
			if m, err := media.ParseMessage(media.Video, b); err != nil || p.Push(m, i*10) != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	time.Sleep(300 * time.Millisecond)
	dialPlayer(t, h.addr, "r") // and no more
	other := dialPlayer(t, h.addr, "r")
	began := time.Now()
	for h.registry.Viewers("r") == 2 {
		if other.next(); time.Since(began) > 15*time.Second {
			t.Fatal("it was not cut off")
		}
	}
	p.Close()
	other.await("UnpublishNotify")
	h.stop()
	if lines := h.log.lines(); len(lines) != 1 || !strings.Contains(lines[0], "does not read") {
		t.Errorf("%q", lines)
	}
}

func TestNothingIsLeftOfTwoHundredConnections(t *testing.T) {
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	dialPublisher(t, h.addr, "key-first").Close() // what the server has anyhow is there then
	eventually(t, "the first one ends", func() bool { return len(h.registry.List("")) == 0 })
	time.Sleep(100 * time.Millisecond)
	before := runtime.NumGoroutine()
	for i := range 200 {
		switch i % 4 {
		case 0:
			dial(t, h.addr).Close()
		case 1:
			shaken(t, h.addr).Close()
		case 2:
			p := dialPublisher(t, h.addr, "key-r")
			p.send(chunked(6, 9, 1, 0, avcHeader, 128))
			p.picture(0, true, 100)
			v := dialPlayer(t, h.addr, "r")
			p.Close()
			v.Close()
		case 3:
			p := shaken(t, h.addr)
			p.connect("live")
			p.Close()
		}
	}
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before })
	eventually(t, "streams end", func() bool { return len(h.hub.Streams()) == 0 && len(h.registry.List("")) == 0 })
	h.stop()
	if lines := h.log.lines(); lines[0] != "" {
		t.Errorf("logged: %q", lines)
	}
}

func TestLimitsOfConnections(t *testing.T) {
	h := serve(t, rtmp.Config{MaxPerAddress: 2}, media.Limits{}, nil)
	a, b := shaken(t, h.addr), shaken(t, h.addr)
	c := dial(t, h.addr)
	c.closed()
	a.Close()
	eventually(t, "room for another one", func() bool {
		p := dial(t, h.addr)
		_, _ = p.Write(append([]byte{3}, make([]byte, 1536)...))
		_, err := io.ReadFull(p, make([]byte, 3073))
		p.Close()
		return err == nil
	})
	b.Close()
}

func TestTheEndOfTheServerIsTheEndOfAll(t *testing.T) {
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	p := dialPublisher(t, h.addr, "key-r")
	p.send(chunked(6, 9, 1, 0, avcHeader, 128))
	p.picture(0, true, 100)
	v := dialPlayer(t, h.addr, "r")
	idle := shaken(t, h.addr)
	began := time.Now()
	h.stop()
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("it took %v", d)
	}
	for _, c := range []*peer{p, v, idle} {
		c.closed()
	}
}

// failing is a listener that cannot accept at first.
type failing struct {
	net.Listener
	left atomic.Int32
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestTheServerOutlivesALackOfFiles(t *testing.T) {
	h := serve(t, rtmp.Config{}, media.Limits{}, func(ln net.Listener) net.Listener {
		f := &failing{Listener: ln}
		f.left.Store(4)
		return f
	})
	shaken(t, h.addr).connect("live")
	if lines := h.log.lines(); len(lines) != 4 {
		t.Errorf("%q", lines)
	}
}

func TestAPanicCostsThatConnectionOnly(t *testing.T) {
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	p := shaken(t, h.addr)
	p.connect("live")
	p.command(0, str("createStream"), num(4), []byte{5})
	p.await("_result")
	p.command(1, str("publish"), num(5), []byte{5}, str("panic"), str("live"))
	p.closed()
	dialPublisher(t, h.addr, "key-r")
	if lines := h.log.lines(); len(lines) != 1 || !strings.Contains(lines[0], "panicked") {
		t.Errorf("%q", lines)
	}
}
