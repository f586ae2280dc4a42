package rtc_test

import (
	"bytes"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
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
	c.source(mediatest.Clip(t, 2), mediatest.OpusPackets(t, "sine=f=440:r=48000:d=2"))
	s.eventually("the stream is there", func() bool { m := s.hub.Stream("room"); return m != nil && m.Stats().Pictures > 50 })
	m := s.hub.Stream("room")
	st := m.Stats()
	if st.Video != media.H264 || st.Audio != media.AAC || st.Alt != media.Opus || st.Sounds < 50 || st.BFrames || st.KeyEvery < 900 || st.KeyEvery > 1100 {
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
	clip, sound := mediatest.Clip(t, 2), mediatest.OpusPackets(t, "sine=f=440:r=48000:d=2")
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

func TestTheSoundComesBackWhenFFmpegIsKilled(t *testing.T) {
	s := newSite(t, nil)
	time.Sleep(100 * time.Millisecond)
	before := runtime.NumGoroutine() + 3
	c := newClient(s)
	c.source(mediatest.Clip(t, 2), mediatest.OpusPackets(t, "sine=f=440:r=48000:d=2"))
	s.eventually("sound", func() bool { m := s.hub.Stream("room"); return m != nil && m.Stats().Sounds > 50 })
	m := s.hub.Stream("room")
	list := mediatest.Children(t, os.Getpid(), "adts")
	if len(list) != 1 {
		t.Fatalf("processes %v", list)
	}
	if err := syscall.Kill(list[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	s.eventually("it is noticed", func() bool { return len(mediatest.Children(t, os.Getpid(), "adts")) == 0 })
	n := m.Stats().Sounds
	s.eventually("sound again", func() bool { return m.Stats().Sounds > n+20 })
	if d := time.Since(killed); d > 7*time.Second {
		t.Errorf("it took %v", d)
	} else {
		t.Logf("it took %v", d)
	}
	c.stop()
	s.do(http.MethodDelete, c.location, "", "")
	s.eventually("the stream ended", func() bool { return s.hub.Stream("room") == nil && len(s.sessions.List("")) == 0 })
	s.eventually("no process is left", func() bool { return len(mediatest.Children(t, os.Getpid(), "adts")) == 0 })
	c.close()
	http.DefaultClient.CloseIdleConnections()
	settled(t, before)
}

func TestPublishersWithOtherSoundTakeOver(t *testing.T) {
	s := newSite(t, nil)
	clip := mediatest.Clip(t, 2)
	s.publish("room", clip)
	m := s.hub.Stream("room")
	viewer := newClient(s)
	viewer.watch("room")
	goesOn := func(what string) {
		t.Helper()
		p, a := viewer.counts()
		s.eventually(what, func() bool { p2, a2 := viewer.counts(); return p2 > p+30 && a2 > a+50 })
	}
	goesOn("pictures and sound")
	whip := newClient(s)
	whip.source(clip, mediatest.OpusPackets(t, "sine=f=440:r=48000:d=2"))
	s.eventually("the second publisher has sound", func() bool { return m.Stats().Alt == media.Opus && m.Headers().Alt != nil })
	goesOn("the first viewer goes on")
	s.eventually("its ffmpeg ended", func() bool { return len(mediatest.Children(t, os.Getpid(), "libopus")) == 0 })
	stop := s.publish("room", clip)
	if h := m.Headers(); h.Alt != nil || h.Audio == nil || h.Audio.Codec != media.AAC {
		t.Errorf("headers: %+v", h)
	}
	goesOn("and goes on again")
	if s.hub.Stream("room") != m {
		t.Error("it is another stream")
	}
	stop()
	s.eventually("the viewer is gone", func() bool { return len(s.sessions.List("")) == 0 })
	s.eventually("no process is left", func() bool { return len(mediatest.Children(t, os.Getpid(), "pipe:1")) == 0 })
}

func TestWithoutFFmpegTheSoundIsOpus(t *testing.T) {
	s := newSite(t, func(_ *rtc.Config, d *rtc.Deps) { d.FFmpeg = "" })
	c := newClient(s)
	c.source(mediatest.Clip(t, 2), mediatest.OpusPackets(t, "sine=f=440:r=48000:d=2"))
	s.eventually("sound", func() bool { m := s.hub.Stream("room"); return m != nil && m.Stats().Sounds > 20 })
	if st := s.hub.Stream("room").Stats(); st.Audio != media.Opus || st.Alt != "" {
		t.Errorf("%+v", st)
	}
	if list := s.sessions.List("room"); len(list) != 1 || !strings.Contains(list[0].Note, "Opus") {
		t.Errorf("sessions: %+v", list)
	}
	viewer := newClient(s)
	viewer.watch("room")
	s.eventually("it goes to viewers", func() bool { _, a := viewer.counts(); return a > 30 })
}

func TestAPublisherWhoVanishesIsNoticed(t *testing.T) {
	s := newSite(t, nil)
	c := newClient(s)
	c.source(mediatest.Clip(t, 2), mediatest.OpusPackets(t, "sine=f=440:r=48000:d=2"))
	s.eventually("the stream is there", func() bool { return s.hub.Stream("room") != nil })
	began := time.Now()
	c.close()
	s.eventually("the stream ended", func() bool { return s.hub.Stream("room") == nil && len(s.sessions.List("")) == 0 })
	t.Logf("noticed after %v", time.Since(began))
}
