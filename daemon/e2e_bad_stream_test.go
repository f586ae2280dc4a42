//go:build linux

package daemon_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gtiv/media"
	"gtiv/media/mediatest"
)

// rtmpGreeting is what a client says first: its version, and anything.
var rtmpGreeting = append([]byte{3}, make([]byte, 1536)...)

// amfNest is the beginning of a connect whose objects stand in each other, n deep.
func amfNest(n int) []byte {
	body := append([]byte("\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00"), bytes.Repeat([]byte("\x03\x00\x01a"), n)...)
	b := []byte{3, 0, 0, 0, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), 20, 0, 0, 0, 0}
	for i := 0; i < len(body); i += 128 {
		if i > 0 {
			b = append(b, 0xc3)
		}
		b = append(b, body[i:min(i+128, len(body))]...)
	}
	return b
}

// manyChunkStreams opens thousands, with a byte of a message of nine in each.
func manyChunkStreams() []byte {
	var b []byte
	for id := range uint16(5000) {
		b = append(b, 1, byte(id), byte(id>>8), 0, 0, 0, 0, 1, 0, 8, 1, 0, 0, 0)
		b = append(b, make([]byte, 128)...)
	}
	return b
}

func TestBadInputCostsThatConnectionOnly(t *testing.T) {
	t.Parallel()
	s := newServer(t, "GTIV_LIVE_VIEWERS_PER_ADDRESS=2000")
	id, key := s.room(t, "alice")
	s.publish(t, key)
	eventually(t, "it is on air", func() bool { return s.onAir(t, id) })
	// Somebody watches all the time and loses nothing.
	watching, err := http.Get(s.liveURL(2013, id+".flv"))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	var seen counter
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.MultiWriter(&got, &seen), watching.Body) // until the test ends it
	}()

	garbage := bytes.Repeat([]byte{0xd5, 7, 0xff, 0x10}, 25_000)
	logged := func() int { return strings.Count(s.log.String(), `msg="connection ended"`) }
	for name, b := range map[string][]byte{
		"garbage instead of a handshake": garbage,
		"HTTP":                           []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"a handshake and silence":        rtmpGreeting,
		"garbage after the handshake":    append(append(bytes.Clone(rtmpGreeting), make([]byte, 1536)...), garbage...),
		"nested AMF":                     append(append(bytes.Clone(rtmpGreeting), make([]byte, 1536)...), amfNest(4<<20-100)...),
		"thousands of chunk streams":     append(append(bytes.Clone(rtmpGreeting), make([]byte, 1536)...), manyChunkStreams()...),
	} {
		before := logged()
		c, err := net.Dial("tcp", s.address(2011))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = c.Write(b) }() // it may be cut off
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		eventually(t, name+" is in the log", func() bool { return logged() > before })
		if n := logged() - before; n != 1 {
			t.Errorf("%s: logged %d times", name, n)
		}
	}

	// Who comes and goes, by the hundred.
	before := logged()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for i := range 100 {
				c, err := net.Dial("tcp", s.address(2011))
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == 0 {
					_, _ = c.Write(rtmpGreeting) // the next line ends it
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	if n := logged() - before; n > 0 {
		t.Errorf("who only came and went is logged %d times", n)
	}

	// A client of WHEP that never comes.
	r := request{method: http.MethodPost, path: "/live/" + id + "/whep", port: 2012, contentType: "application/sdp", body: wholeOffer}
	rep := must(s.call(r))(t)
	if rep.status != http.StatusCreated {
		t.Fatal(rep)
	}
	eventually(t, "it is given up", func() bool {
		return must(s.call(request{method: http.MethodPatch, path: rep.header.Get("Location"), port: 2012}))(t).status == http.StatusNotFound
	})
	never := func() int { return strings.Count(s.log.String(), "never connected") }
	eventually(t, "it is in the log", func() bool { return never() > 0 })

	// The viewer goes on, and saw all of it.
	from := seen.n.Load()
	eventually(t, "the viewer goes on", func() bool { return seen.n.Load() > from+50_000 })
	if n := never(); n != 1 {
		t.Errorf("who never came is logged %d times", n)
	}
	if err := watching.Body.Close(); err != nil {
		t.Error(err)
	}
	<-done
	tags, err := mediatest.Read(&got)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	last := map[media.Kind]uint32{}
	for _, tag := range tags {
		if at, ok := last[tag.Kind]; ok && tag.Kind != media.Data && (tag.Time < at || tag.Time > at+500) {
			t.Errorf("%d after %d", tag.Time, at)
		}
		last[tag.Kind] = tag.Time
	}
	if n := len(tags); n < 300 {
		t.Errorf("%d tags", n)
	}
}

// wholeOffer is one that WebRTC can answer.
const wholeOffer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 " +
	"A5:00:5C:06:AD:D4:42:AB:10:A4:BD:93:B5:9B:A5:E4:F7:D1:40:BF:02:98:92:A4:10:03:75:2A:5D:8B:AC:2C\r\na=group:BUNDLE 0\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n" +
	"a=rtcp-mux\r\na=recvonly\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"

// counter counts what is written.
type counter struct{ n atomic.Int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
