package stream_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/daemon/stream"
	"gtiv/media"
	"gtiv/media/rtc"
)

// newServer runs a server in which every key is that of the room of its name.
func newServer(t *testing.T, ffmpeg string) *stream.Server {
	t.Helper()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	onAir := make(chan struct{})
	told := sync.OnceFunc(func() { close(onAir) })
	s, err := stream.New(stream.Config{RTC: rtc.Config{UDP: udp}, FFmpeg: ffmpeg}, stream.Deps{
		ByKey:    func(_ context.Context, key string) (string, int64, error) { return key, 1, nil },
		MayWatch: func(context.Context, string, string) (int64, error) { return 0, nil },
		MayStay:  func(context.Context, string) bool { return true },
		OnAir:    func(context.Context, string, bool) { told() },
		Address:  func(*http.Request) netip.Addr { return netip.Addr{} },
		NotFound: http.NotFound,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	for running := false; !running; { // Run may not have begun
		p, _ := s.Hub().Publish(t.Context(), "first")
		p.Close()
		select {
		case <-onAir:
			running = true
		case <-time.After(5 * time.Millisecond):
		}
	}
	return s
}

func TestWhatCannotGoOutIsSaidInWords(t *testing.T) {
	const avc, aac = "\x17\x01\x00\x00\x00x", "\xaf\x01x"
	for name, c := range map[string]struct {
		ffmpeg string
		bodies []string // pictures first
		want   []string // one for each note
	}{
		"all goes":    {"ffmpeg", []string{avc, aac}, nil},
		"no ffmpeg":   {"", []string{avc, aac}, []string{"WebRTC has no sound"}},
		"B-frames":    {"ffmpeg", []string{"\x17\x01\x00\x00\x28x", aac}, []string{"no WebRTC: the stream has B-frames"}},
		"HEVC":        {"ffmpeg", []string{"\x91hvc1\x00\x00\x00x", aac}, []string{"no WebRTC: the pictures are HEVC", "Enhanced RTMP"}},
		"AV1":         {"ffmpeg", []string{"\x91av01x", aac}, []string{"MPEG-TS does not go: the pictures are AV1", "no WebRTC", "Enhanced RTMP"}},
		"Opus":        {"ffmpeg", []string{avc, "\x91Opusx"}, []string{"MPEG-TS has no sound: it is Opus", "Opus for players only"}},
		"MP3":         {"ffmpeg", []string{avc, "\x2fx"}, []string{"HLS has no sound: it is MP3", "WebRTC has no sound"}},
		"Opus as AAC": {"ffmpeg", []string{avc, aac, "+\x91Opusx"}, nil},
		"Speex":       {"ffmpeg", []string{avc, "\xb6x"}, []string{"HLS has no sound: it is an unknown codec", "WebRTC has no sound"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, c.ffmpeg)
			if n := s.Notes("room"); n != nil {
				t.Errorf("off air: %q", n)
			}
			p, _ := s.Hub().Publish(t.Context(), "room")
			defer p.Close()
			for i, body := range c.bodies {
				kind := media.Audio
				if i == 0 {
					kind = media.Video
				}
				m, err := media.ParseMessage(kind, []byte(strings.TrimPrefix(body, "+")))
				if err != nil {
					t.Fatal(err)
				}
				m.Alt = body[0] == '+'
				if err := p.Push(m, 0); err != nil {
					t.Fatal(err)
				}
			}
			notes := s.Notes("room")
			if len(notes) != len(c.want) {
				t.Fatalf("%q", notes)
			}
			for i, want := range c.want {
				if !strings.Contains(notes[i], want) {
					t.Errorf("%q is not in %q", want, notes[i])
				}
			}
		})
	}
}
