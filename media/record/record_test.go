package record_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gtiv/media"
	"gtiv/media/mediatest"
	"gtiv/media/record"
)

// shelf takes the files of a recording.
type shelf struct {
	t      *testing.T
	dir    string
	format record.Format
	files  []string
	ended  []record.Length
	grown  []record.Length // at each piece
	why    error
	grow   func(to record.Length) error
	begin  error
}

func (s *shelf) Begin() (*os.File, error) {
	if s.begin != nil {
		return nil, s.begin
	}
	name := filepath.Join(s.dir, fmt.Sprintf("%d.%s", len(s.files), s.format))
	s.files = append(s.files, name)
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

func (s *shelf) Grow(to record.Length) error {
	s.grown = append(s.grown, to)
	if s.grow != nil {
		return s.grow(to)
	}
	return nil
}

func (s *shelf) End(l record.Length, why error) {
	s.ended = append(s.ended, l)
	s.why = why
}

// studio is a stream that is recorded.
type studio struct {
	*shelf
	p    *media.Publisher
	hub  *media.Hub
	done chan error
}

func newStudio(t *testing.T, o record.Options) *studio {
	t.Helper()
	hub := media.NewHub(nil, nil, nil)
	p, _ := hub.Publish(t.Context(), "room")
	s := &studio{shelf: &shelf{t: t, dir: t.TempDir(), format: o.Format}, p: p, hub: hub, done: make(chan error, 1)}
	go func() { s.done <- record.Run(context.WithoutCancel(t.Context()), p.Stream(), o, s.shelf) }()
	t.Cleanup(func() { hub.Kick("room") })
	return s
}

// play publishes a clip quickly.
func (s *studio) play(clip []mediatest.Tag) {
	s.t.Helper()
	if err := mediatest.Publish(s.t.Context(), s.p, clip, 4); err != nil {
		s.t.Fatal(err)
	}
}

// end ends the stream, and waits for the recording.
func (s *studio) end() error {
	s.t.Helper()
	s.hub.Kick("room")
	select {
	case err := <-s.done:
		return err
	case <-time.After(20 * time.Second):
		s.t.Fatal("the recording does not end")
		return nil
	}
}

// looked is what ffprobe says of a file.
type looked struct {
	streams string // such as "h264,192 aac,0"
	seconds float64
}

// look decodes a file, of which nothing may be wrong.
func look(t *testing.T, name string) looked {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", name, "-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%s: %v %s", name, err, out)
	}
	out, err = exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", name).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v %s", name, err, out)
	}
	l := looked{streams: strings.Join(strings.Fields(string(out)), " ")}
	out, err = exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", name).CombinedOutput()
	if err == nil {
		l.seconds, err = strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	}
	if err != nil {
		t.Errorf("%s: %v %s", name, err, out)
	}
	return l
}

// is compares a file with what it should be.
func is(t *testing.T, name string, l record.Length, streams string, seconds float64) {
	t.Helper()
	got := look(t, name)
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got.streams != streams || got.seconds < seconds-0.3 || got.seconds > seconds+0.3 {
		t.Errorf("%s has %s of %.2f s, not %s of %.2f s", name, got.streams, got.seconds, streams, seconds)
	}
	if d := l.Duration.Seconds() - got.seconds; l.Bytes != info.Size() || d < -0.3 || d > 0.3 {
		t.Errorf("%s is said to have %d bytes and %v, it has %d and %.2f s", name, l.Bytes, l.Duration, info.Size(), got.seconds)
	}
}

var encoders = map[string][]string{
	"one key frame":   {"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "1000", "-c:a", "aac"},
	"B frames":        {"-c:v", "libx264", "-preset", "ultrafast", "-bf", "3", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac"},
	"only pictures":   {"-an", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25"},
	"short GOPs":      {"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "5", "-c:a", "aac", "-ar", "48000"},
	"pictures, sound": nil,
	"only sound":      {"-vn", "-c:a", "aac"},
}

func TestWhatIsRecordedPlays(t *testing.T) {
	t.Parallel()
	for name, args := range encoders {
		for _, format := range []record.Format{record.MP4, record.FLV} {
			t.Run(name+" "+string(format), func(t *testing.T) {
				t.Parallel()
				s := newStudio(t, record.Options{Format: format})
				s.play(mediatest.Clip(t, 6, args...))
				if err := s.end(); err != nil {
					t.Fatal(err)
				}
				streams, length := "h264,192 aac", 6.0
				switch name {
				case "only sound":
					streams, length = "aac", 5.6 // the hub waits a little for pictures
				case "only pictures":
					streams = "h264,192"
				}
				if len(s.files) != 1 || len(s.ended) != 1 {
					t.Fatal(s.files, s.ended)
				}
				is(t, s.files[0], s.ended[0], streams, length)
				if len(s.grown) < 3 {
					t.Errorf("it grew %d times", len(s.grown))
				}
			})
		}
	}
}

func TestAFileThatIsCutAnywherePlays(t *testing.T) {
	t.Parallel()
	clip := mediatest.Clip(t, 6)
	for _, format := range []record.Format{record.MP4, record.FLV} {
		s := newStudio(t, record.Options{Format: format})
		// What the process had written when it was killed: no end, and half a piece.
		var torn []string
		var lengths []record.Length
		s.grow = func(to record.Length) error {
			lengths = append(lengths, to)
			if b, err := os.ReadFile(s.files[0]); err == nil && len(lengths) > 1 {
				name := filepath.Join(s.dir, fmt.Sprintf("torn-%d.%s", len(torn), format))
				torn = append(torn, name)
				return os.WriteFile(name, b, 0o600)
			}
			return nil
		}
		s.play(clip)
		if err := s.end(); err != nil {
			t.Fatal(err)
		}
		if len(torn) < 3 {
			t.Fatalf("%d pieces", len(torn))
		}
		for i, name := range torn {
			if got := look(t, name); got.seconds < float64(i)*0.8 { // unfinished, as it is
				t.Errorf("%s: %.2f s", name, got.seconds)
			}
		}
		whole, err := os.ReadFile(torn[2])
		if err != nil {
			t.Fatal(err)
		}
		next, err := os.ReadFile(torn[len(torn)-1])
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{
			"whole": whole, "half a piece": next[:len(whole)+len(whole)/10], "some bytes": next[:len(whole)+5], "zeros": append(append([]byte{}, whole...), make([]byte, 5000)...),
		} {
			file := filepath.Join(s.dir, name+"."+string(format))
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // twice is once
				f, err := os.OpenFile(file, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				l, err := record.Finish(f, format)
				if err = errors.Join(err, f.Close()); err != nil {
					t.Fatal(err)
				}
				is(t, file, l, "h264,192 aac", lengths[2].Duration.Seconds())
			}
		}
		for name, b := range map[string][]byte{"empty": nil, "a beginning": whole[:100], "nothing": make([]byte, 5000)} {
			file := filepath.Join(s.dir, name)
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if l, err := record.Finish(f, format); err != nil || l.Duration != 0 {
				t.Errorf("%s: %v, %v", name, l, err)
			}
			_ = f.Close()
		}
	}
}

func TestPlayersFindTheirPlace(t *testing.T) {
	t.Parallel()
	s := newStudio(t, record.Options{Format: record.MP4})
	s.play(mediatest.Clip(t, 10, encoders["B frames"]...))
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{"3.5", "6.5", "9.5"} {
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "warning", "-read_intervals", place+"%+#1", "-select_streams", "v",
			"-show_entries", "packet=pts_time", "-of", "csv=p=0", s.files[0]).CombinedOutput()
		if got, _, _ := strings.Cut(string(out), "."); err != nil || !strings.HasPrefix(place, got) || got == "" {
			t.Errorf("at %s: %s %v", place, out, err)
		}
	}
}
