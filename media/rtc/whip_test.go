package rtc_test

import (
	"bytes"
	"net/http"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"gtiv/media"
	"gtiv/media/mediatest"
	"gtiv/media/rtc"
)

func publicAddress(c *rtc.Config, _ *rtc.Deps) {
	c.PublicAddresses = []netip.Addr{netip.MustParseAddr("203.0.113.9")}
}

func TestPublishedByWHIP(t *testing.T) {
	s := newSite(t, nil)
	c := newClient(s)
	c.source(mediatest.Clip(t, 2), opusOf(t, "2"))
	s.eventually("the stream is there", func() bool { m := s.hub.Stream("room"); return m != nil && m.Stats().Pictures > 50 })
	m := s.hub.Stream("room")
	st := m.Stats()
	if st.Video != media.H264 || st.Audio != media.Opus || st.Sounds < 50 || st.BFrames || st.KeyEvery < 900 || st.KeyEvery > 1100 {
		t.Errorf("%+v", st)
	}
	list := s.sessions.List("room")
	if len(list) != 1 || !list[0].Publish || list[0].User != 7 || list[0].In.Load() == 0 {
		t.Errorf("sessions: %+v", list)
	}

	viewer := newClient(s)
	viewer.watch("room")
	s.eventually("pictures and sound go to viewers", func() bool { p, a := viewer.counts(); return p > 50 && a > 80 })
	if p, _ := viewer.counts(); viewer.decode() < p-1 {
		t.Errorf("%d of %d pictures can be decoded", viewer.decode(), p)
	}
	checkFLV(t, m)

	if code, _, _ := s.do(http.MethodDelete, c.location, "", ""); code != http.StatusOK {
		t.Errorf("DELETE: %d", code)
	}
	s.eventually("the stream ended", func() bool { return s.hub.Stream("room") == nil && len(s.sessions.List("")) == 0 })
}

// checkFLV has ffmpeg decode the pictures of a stream. Its own reader of FLV does not
// know Opus before version 6.
func checkFLV(t *testing.T, m *media.Stream) {
	t.Helper()
	r := m.Watch()
	defer r.Close()
	var b bytes.Buffer
	last := int64(-1)
	for n := 0; n < 40; n++ {
		round, h, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h != nil {
			if b.Len() == 0 {
				b.Write([]byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"))
			}
			b.Write(h.Video.AppendFLV(nil))
		}
		for _, m := range round.Messages {
			if m.Kind == media.Video {
				if m.Time <= last && !m.Header {
					t.Errorf("time %d after %d", m.Time, last)
				}
				last = m.Time
				b.Write(m.AppendFLV(nil))
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "flv", "-i", "pipe:0", "-f", "null", "-")
	cmd.Stdin = &b
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("ffmpeg: %v %s", err, out)
	}
}

func TestASecondPublisherTakesOver(t *testing.T) {
	s := newSite(t, nil)
	clip, sound := mediatest.Clip(t, 2), opusOf(t, "2")
	first := newClient(s)
	first.source(clip, sound)
	s.eventually("the stream is there", func() bool { m := s.hub.Stream("room"); return m != nil && m.Stats().Pictures > 10 })
	m := s.hub.Stream("room")
	viewer := newClient(s)
	viewer.watch("room")
	s.eventually("pictures", func() bool { p, _ := viewer.counts(); return p > 10 })
	second := newClient(s)
	second.source(clip, sound)
	s.eventually("the first one is gone", func() bool {
		code, _, _ := s.do(http.MethodPatch, first.location, "", "")
		return code == http.StatusNotFound
	})
	p, _ := viewer.counts()
	s.eventually("the viewer goes on", func() bool { n, _ := viewer.counts(); return n > p+30 })
	if s.hub.Stream("room") != m {
		t.Error("it is another stream")
	}
}

func TestAPublisherWhoVanishesIsNoticed(t *testing.T) {
	s := newSite(t, nil)
	c := newClient(s)
	c.source(mediatest.Clip(t, 2), opusOf(t, "2"))
	s.eventually("the stream is there", func() bool { return s.hub.Stream("room") != nil })
	began := time.Now()
	c.close()
	s.eventually("the stream ended", func() bool { return s.hub.Stream("room") == nil && len(s.sessions.List("")) == 0 })
	t.Logf("noticed after %v", time.Since(began))
}
