package rtc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os/exec"
	"testing"
	"time"

	"gtiv/media"
	"gtiv/media/mediatest"
)

// newIngest is one without pictures whose room is "room".
func newIngest(t *testing.T, ffmpeg string) (*ingest, *media.Hub) {
	t.Helper()
	hub := media.NewHub(nil, nil, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	in := &ingest{
		s:       &Server{deps: Deps{Hub: hub, FFmpeg: ffmpeg}, log: slog.New(slog.DiscardHandler)},
		session: &session{room: "room", ctx: ctx, cancel: cancel},
	}
	in.startAAC()
	t.Cleanup(func() {
		in.end()
		in.aac.close()
		cancel(errDeleted)
	})
	return in, hub
}

// speak publishes packets, whose times are 20 ms apart.
func (in *ingest) speak(t *testing.T, list [][]byte, from int64, every time.Duration) {
	t.Helper()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i, p := range list {
		in.mu.Lock()
		err := in.sound(p, from+int64(i)*20)
		in.mu.Unlock()
		if err != nil {
			t.Error(err)
		}
		<-tick.C
	}
}

// sounds reads the main sounds of a stream that are older than ms.
func sounds(t *testing.T, r *media.Reader, ms int64) (list []*media.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		round, _, err := r.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range round.Messages {
			if m.Kind == media.Audio && !m.Header {
				list = append(list, m)
			}
			if m.Time >= ms && m.Codec == media.AAC {
				return list
			}
		}
	}
}

func TestAACIsInTimeWithTheOpus(t *testing.T) {
	in, hub := newIngest(t, "ffmpeg")
	// Silence for a second, then a tone.
	list := mediatest.OpusPackets(t, "aevalsrc=if(gt(t\\,1)\\,0.8*sin(2764*t)\\,0):s=48000:d=4", "-application", "lowdelay")
	var got []*media.Message
	done := make(chan struct{})
	go func() {
		defer close(done)
		for hub.Stream("room") == nil {
			time.Sleep(time.Millisecond)
		}
		r := hub.Stream("room").Watch()
		defer r.Close()
		got = sounds(t, r, 2000)
	}()
	in.speak(t, list, 0, 4*time.Millisecond)
	<-done
	var b bytes.Buffer
	for _, m := range got {
		n := len(m.Content) + lenADTS
		b.Write([]byte{0xff, 0xf1, 0x4c, 0x80 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1f, 0xfc})
		b.Write(m.Content)
	}
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-loglevel", "error", "-f", "aac", "-i", "pipe:0", "-f", "s16le", "-ac", "1", "pipe:1")
	cmd.Stdin = &b
	pcm, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	loud := -1
	for i := 0; i+1 < len(pcm); i += 2 {
		if v := int16(binary.LittleEndian.Uint16(pcm[i:])); v > 8000 || v < -8000 { //nolint:gosec // samples are signed
			loud = i / 2
			break
		}
	}
	if loud < 0 {
		t.Fatalf("no tone in %d samples", len(pcm)/2)
	}
	m := got[loud/1024]
	at := m.Time + int64(loud%1024)*1000/48000
	if at < 985 || at > 1025 {
		t.Errorf("the tone begins at %d ms, not at 1000", at)
	}
	t.Logf("the tone begins at %d ms", at)
	for i := 1; i < len(got); i++ {
		if d := got[i].Time - got[i-1].Time; d < 20 || d > 23 {
			t.Errorf("%d ms between two sounds", d)
		}
	}
	if st := hub.Stream("room").Stats(); st.Audio != media.AAC || st.Alt != media.Opus {
		t.Errorf("%+v", st)
	}
}

func TestWithAnFFmpegThatCannotDoItTheOpusIsTheMainSound(t *testing.T) {
	in, hub := newIngest(t, "false")
	list := mediatest.OpusPackets(t, "sine=d=2", "-application", "lowdelay")
	in.speak(t, list, 0, 5*time.Millisecond)
	s := hub.Stream("room")
	if s == nil || s.Stats().Audio != media.Opus || s.Stats().Sounds < 50 || s.Headers().Audio.Codec != media.Opus || s.Headers().Alt == nil {
		t.Fatalf("%+v", s)
	}
}

func TestADTSThatMakesNoSenseIsRefused(t *testing.T) {
	in, _ := newIngest(t, "ffmpeg")
	for name, b := range map[string]string{
		"garbage":   "GET / HTTP/1.1\r\n",
		"too short": "\xff\xf1\x4c\x80\x00\xff\xfc",
	} {
		if err := in.drainAAC(&coder{}, bytes.NewReader([]byte(b))); !errors.Is(err, errADTS) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzADTS(f *testing.F) {
	f.Add([]byte("\xff\xf1\x4c\x80\x01\x3f\xfc\x21\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := &ingest{ended: true, session: &session{cancel: func(error) {}}}
		if err := in.drainAAC(&coder{}, bytes.NewReader(b)); err == nil {
			t.Error("it has no end")
		}
	})
}
