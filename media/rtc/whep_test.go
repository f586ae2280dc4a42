package rtc_test

import (
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"gtiv/media"
	"gtiv/media/mediatest"
	"gtiv/media/rtc"
)

func TestViewersGetPicturesAndSound(t *testing.T) {
	s := newSite(t, nil)
	s.publish("room", mediatest.Clip(t, 2))
	udp, tcp := newClient(s), newClient(s, webrtc.NetworkTypeTCP4)
	for _, c := range []*client{udp, tcp} {
		c.watch("room")
	}
	for _, c := range []*client{udp, tcp} {
		s.eventually("3 s of pictures and sound", func() bool { p, a := c.counts(); return p > 75 && a > 120 })
		if p, _ := c.counts(); c.decode() < p-1 {
			t.Errorf("%d of %d pictures can be decoded", c.decode(), p)
		}
		if c.first != 7 {
			t.Errorf("the first picture begins with a unit of type %d, not with its parameter sets", c.first)
		}
	}
	list := s.sessions.List("room")
	if len(list) != 2 || list[0].Protocol != media.ProtocolWHEP || list[0].Out.Load() < 10_000 || list[0].Note != "" {
		t.Errorf("sessions: %+v", list)
	}
	if code, _, _ := s.do(http.MethodDelete, udp.location, "", ""); code != http.StatusOK {
		t.Errorf("DELETE: %d", code)
	}
	s.eventually("one viewer is left", func() bool { return s.sessions.Viewers("room") == 1 })
	s.sessions.Kick(list[1].ID)
	s.eventually("nobody is left", func() bool { return s.sessions.Viewers("room") == 0 })
}

func TestReportsPutPicturesAndSoundOnOneLine(t *testing.T) {
	s := newSite(t, nil)
	s.publish("room", mediatest.Clip(t, 2))
	c := newClient(s)
	c.watch("room")
	s.eventually("reports of both", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.reports) == 2
	})
	zero := func(r *rtcp.SenderReport, clock float64) float64 {
		return float64(r.NTPTime>>32) + float64(r.NTPTime&0xffffffff)/(1<<32) - float64(r.RTPTime)/clock
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := zero(c.reports["video"], 90000) - zero(c.reports["audio"], 48000); math.Abs(d) > 0.01 {
		t.Errorf("pictures and sound are %.3f s apart", d)
	}
}

func TestWithoutFFmpegThereIsNoSound(t *testing.T) {
	s := newSite(t, func(_ *rtc.Config, d *rtc.Deps) { d.FFmpeg = "" })
	s.publish("room", mediatest.Clip(t, 2))
	c := newClient(s)
	c.watch("room")
	s.eventually("pictures", func() bool { p, _ := c.counts(); return p > 25 })
	if _, a := c.counts(); a != 0 {
		t.Errorf("%d sounds", a)
	}
	if list := s.sessions.List("room"); len(list) != 1 || !strings.Contains(list[0].Note, "no sound") {
		t.Errorf("sessions: %+v", list)
	}
}

func TestStreamsThatCannotGoAreRefused(t *testing.T) {
	s := newSite(t, nil)
	s.publish("room", mediatest.Clip(t, 2, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac"))
	c := newClient(s)
	_, err := c.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	if err != nil {
		t.Fatal(err)
	}
	code, _, body := s.do(http.MethodPost, "/live/room/whep", "application/sdp", c.offer())
	if code != http.StatusNotAcceptable || !strings.Contains(body, `"error":"b-frames"`) {
		t.Errorf("%d %s", code, body)
	}
	if n := s.sessions.Viewers("room"); n != 0 {
		t.Errorf("%d viewers", n)
	}
}

func TestViewersEndWithTheStream(t *testing.T) {
	s := newSite(t, nil)
	stop := s.publish("room", mediatest.Clip(t, 2))
	c := newClient(s)
	c.watch("room")
	<-c.connect
	stop()
	s.eventually("nobody is left", func() bool { return s.sessions.Viewers("room") == 0 })
}

func TestBadOffers(t *testing.T) {
	s := newSite(t, nil)
	s.publish("room", mediatest.Clip(t, 2))
	vp8 := "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\n"
	h264 := strings.ReplaceAll(vp8, "VP8", "H264")
	for _, c := range []struct {
		name, method, path, kind, body string
		want                           int
	}{
		{"garbage", "POST", "/live/room/whep", "application/sdp", "\x00\x01garbage", 400},
		{"empty", "POST", "/live/room/whep", "application/sdp", "", 400},
		{"huge", "POST", "/live/room/whep", "application/sdp", strings.Repeat("a", 70_000), 413},
		{"wrong type", "POST", "/live/room/whep", "application/json", "{}", 415},
		{"no type", "POST", "/live/room/whep", "", "v=0", 415},
		{"only VP8", "POST", "/live/room/whep", "application/sdp", vp8, 406},
		{"no ICE", "POST", "/live/room/whep", "application/sdp", h264, 400},
		{"no pictures", "POST", "/live/room/whep", "application/sdp", vp8[:strings.Index(vp8, "m=")] + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", 406},
		{"many sections", "POST", "/live/room/whep", "application/sdp", vp8[:strings.Index(vp8, "m=")] + strings.Repeat(h264[strings.Index(h264, "m="):], 100), 400},
		{"get", "GET", "/live/room/whep", "", "", 405},
		{"options", "OPTIONS", "/live/room/whep", "", "", 204},
		{"unknown id", "DELETE", "/live/room/whep/AAAA", "", "", 404},
		{"unknown id", "PATCH", "/live/room/whep/AAAA", "application/trickle-ice-sdpfrag", "", 404},
		{"no key", "POST", "/live/room/whip", "application/sdp", h264, 401},
	} {
		if code, h, body := s.do(c.method, c.path, c.kind, c.body); code != c.want || h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d instead of %d: %s", c.name, code, c.want, body)
		}
	}
	if code, _, body := s.do("POST", "/live/room/whip", "application/sdp", h264, "Authorization", "Bearer wrong"); code != 403 {
		t.Errorf("wrong key: %d %s", code, body)
	}
	if n := s.sessions.Viewers("room"); n != 0 {
		t.Errorf("%d viewers", n)
	}
}

func TestTrickle(t *testing.T) {
	s := newSite(t, nil)
	s.publish("room", mediatest.Clip(t, 2))
	c := newClient(s)
	c.watch("room")
	const fragment = "application/trickle-ice-sdpfrag"
	candidate := "a=candidate:1 1 UDP 2130706431 127.0.0.1 9 typ host\r\n"
	for _, p := range []struct {
		name, kind, body, match string
		want                    int
	}{
		{"candidate", fragment, "m=video 9 RTP/AVP 0\r\na=mid:0\r\n" + candidate + "a=end-of-candidates\r\n", c.etag, 204},
		{"without ETag", fragment, "a=mid:0\r\n" + candidate, "", 204},
		{"other ETag", fragment, "a=mid:0\r\n" + candidate, `"x"`, 412},
		{"restart", fragment, "a=ice-ufrag:other\r\na=ice-pwd:other\r\n", "*", 422},
		{"wrong type", "application/sdp", candidate, "", 415},
		{"garbage", fragment, "garbage", "", 400},
		{"garbled candidate", fragment, "a=mid:0\r\na=candidate:garbage\r\n", "", 400},
		{"many", fragment, "a=mid:0\r\n" + strings.Repeat(candidate, 80), "", 400},
	} {
		var headers []string
		if p.match != "" {
			headers = []string{"If-Match", p.match}
		}
		if code, _, body := s.do("PATCH", c.location, p.kind, p.body, headers...); code != p.want {
			t.Errorf("%s: %d instead of %d: %s", p.name, code, p.want, body)
		}
	}
}

func TestWhoNeverConnectsIsDropped(t *testing.T) {
	s := newSite(t, func(c *rtc.Config, _ *rtc.Deps) { c.Patience, c.MaxViewers = time.Second, 3 })
	s.publish("room", mediatest.Clip(t, 2))
	c := newClient(s)
	if _, err := c.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo); err != nil {
		t.Fatal(err)
	}
	offer := c.offer()
	for i, want := range []int{201, 201, 201, 503} {
		if code, _, body := s.do(http.MethodPost, "/live/room/whep", "application/sdp", offer); code != want {
			t.Errorf("%d: %d %s", i, code, body)
		}
	}
	s.eventually("all are dropped", func() bool { return s.sessions.Viewers("room") == 0 })
	if code, _, _ := s.do(http.MethodPost, "/live/room/whep", "application/sdp", offer); code != 201 {
		t.Errorf("afterwards: %d", code)
	}
}

func TestNothingIsLeft(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	s := newSite(t, nil)
	s.publish("room", mediatest.Clip(t, 2))
	one := func(i int) {
		c := newClient(s)
		c.watch("room")
		<-c.connect
		if i%2 == 0 {
			s.do(http.MethodDelete, c.location, "", "")
		}
		c.close()
	}
	one(0)
	s.eventually("nobody is left", func() bool { return s.sessions.Viewers("room") == 0 })
	time.Sleep(time.Second)
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine() + 3
	for i := range rounds {
		one(i)
	}
	s.eventually("nobody is left", func() bool { return s.sessions.Viewers("room") == 0 })
	http.DefaultClient.CloseIdleConnections()
	settled(t, before)
}

func TestPublicAddressesAreOffered(t *testing.T) {
	s := newSite(t, publicAddress)
	s.publish("room", mediatest.Clip(t, 2))
	c := newClient(s)
	if _, err := c.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo); err != nil {
		t.Fatal(err)
	}
	_, _, body := s.do(http.MethodPost, "/live/room/whep", "application/sdp", c.offer())
	for _, want := range []string{" udp 2130706175 203.0.113.9 ", " tcp 1671429887 203.0.113.9 "} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}
