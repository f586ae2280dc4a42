package record_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"gtiv/media"
	"gtiv/media/mediatest"
	"gtiv/media/record"
)

// enhanced makes a clip of what this ffmpeg cannot write as FLV: the tags of Enhanced
// RTMP around the samples of an MP4.
func enhanced(t *testing.T, args ...string) []mediatest.Tag {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.mp4")
	all := append([]string{"-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=192x108:r=25:d=5", "-f", "lavfi", "-i", "sine=f=440:r=48000:d=5"}, args...)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", append(all, "-movflags", "empty_moov+default_base_moof+frag_keyframe", name)...).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(b[bytes.Index(b, []byte("moof"))-4 : bytes.LastIndex(b, []byte("mfra"))-4]); err != nil {
		t.Fatal(err)
	}
	var list, rest []mediatest.Tag
	for _, track := range init.Tracks {
		head, name := header(t, track.Codec)
		kind := media.Audio
		if track.Codec.IsVideo() {
			kind = media.Video
		}
		list = append(list, mediatest.Tag{Kind: kind, Body: head})
		for _, p := range parts {
			for _, of := range p.Tracks {
				at := int64(of.BaseTime)
				for _, s := range of.Samples {
					if of.ID == track.ID {
						rest = append(rest, mediatest.Tag{Kind: kind, Time: uint32(at * 1000 / int64(track.TimeScale)), Body: frame(kind, name, s)})
					}
					at += int64(s.Duration)
				}
			}
		}
	}
	// In the order of their times, as a publisher sends them.
	for len(rest) > 0 {
		first := 0
		for i := range rest {
			if rest[i].Time < rest[first].Time {
				first = i
			}
		}
		list = append(list, rest[first])
		rest = append(rest[:first], rest[first+1:]...)
	}
	return list
}

// header is the tag that a decoder begins with, and the codec's name.
func header(t *testing.T, c codecs.Codec) ([]byte, string) {
	t.Helper()
	switch c := c.(type) {
	case *codecs.H265:
		b := append([]byte{0x90}, "hvc1"...)
		head := make([]byte, 23)
		head[0], head[21], head[22] = 1, 3, 3
		b = append(b, head...)
		for i, set := range [][]byte{c.VPS, c.SPS, c.PPS} {
			b = append(b, byte(32+i), 0, 1, byte(len(set)>>8), byte(len(set)))
			b = append(b, set...)
		}
		return b, "hvc1"
	case *codecs.Opus:
		return append(append([]byte{0x90}, "Opus"...), "OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"...), "Opus"
	}
	t.Fatalf("%T", c)
	return nil, ""
}

func frame(kind media.Kind, name string, s *fmp4.Sample) []byte {
	var b []byte
	switch {
	case kind == media.Audio:
		b = append([]byte{0x91}, name...)
	case !isKey(name, s):
		b = append([]byte{0xa1}, name...)
	default:
		b = append([]byte{0x91}, name...)
	}
	if name == "hvc1" {
		b = append(b, 0, 0, 0) // shown when decoded
	}
	return append(b, s.Payload...)
}

// isKey looks into the sample: ffmpeg does not say it where the library reads it.
func isKey(name string, s *fmp4.Sample) bool {
	units, err := s.GetH265()
	return name == "hvc1" && err == nil && h265.IsRandomAccess(units)
}

func TestNewerCodecsAreRecorded(t *testing.T) {
	t.Parallel()
	for streams, clip := range map[string]func() []mediatest.Tag{
		"hevc,192 opus": func() []mediatest.Tag {
			return enhanced(t, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:bframes=0:keyint=25", "-c:a", "libopus", "-video_track_timescale", "90000")
		},
		"av1,192": func() []mediatest.Tag { return mediatest.AV1Clip(t, 5) },
	} {
		s := newStudio(t, record.Options{Format: record.MP4})
		s.play(clip())
		if err := s.end(); err != nil || len(s.files) != 1 {
			t.Fatal(streams, err, s.files)
		}
		is(t, s.files[0], s.ended[0], streams, 5)
	}
}

// shifted is a clip later on the same line of time.
func shifted(clip []mediatest.Tag, ms uint32) []mediatest.Tag {
	list := make([]mediatest.Tag, len(clip))
	for i, tag := range clip {
		tag.Time += ms
		list[i] = tag
	}
	return list
}

func TestOtherParametersBeginAnotherFile(t *testing.T) {
	t.Parallel()
	small := mediatest.Clip(t, 4)
	large := mediatest.Clip(t, 4, "-vf", "scale=320:180", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac")
	for _, format := range []record.Format{record.MP4, record.FLV} {
		s := newStudio(t, record.Options{Format: format})
		s.play(small)
		s.play(shifted(large, 4000))
		// Another publisher with the same parameters goes on in the file.
		old := s.p
		s.p, _ = s.hub.Publish(t.Context(), "room")
		s.play(large)
		old.Close()
		if err := s.end(); err != nil || len(s.files) != 2 || len(s.ended) != 2 {
			t.Fatal(err, s.files, s.ended)
		}
		is(t, s.files[0], s.ended[0], "h264,192 aac", 4)
		is(t, s.files[1], s.ended[1], "h264,320 aac", 8)
	}
}

func TestAFileThatIsLongEnoughIsFollowedByTheNext(t *testing.T) {
	t.Parallel()
	s := newStudio(t, record.Options{Format: record.MP4, MaxBytes: 150 << 10})
	s.play(mediatest.Clip(t, 8))
	if err := s.end(); err != nil || len(s.files) < 2 {
		t.Fatal(err, s.files)
	}
	var all time.Duration
	for i, name := range s.files {
		if i < len(s.files)-1 && s.ended[i].Bytes < 140<<10 || s.ended[i].Bytes > 400<<10 {
			t.Errorf("file %d of %d: %+v", i, len(s.files), s.ended[i])
		}
		look(t, name)
		all += s.ended[i].Duration
	}
	if all < 7500*time.Millisecond || all > 8500*time.Millisecond {
		t.Errorf("%v in all", all)
	}
}

func TestSlowDisksCostPicturesAndNotTheStream(t *testing.T) {
	t.Parallel()
	s := newStudio(t, record.Options{Format: record.MP4})
	slow := true
	s.grow = func(record.Length) error {
		if slow {
			time.Sleep(7 * time.Second)
		}
		slow = false
		return nil
	}
	clip := mediatest.Clip(t, 10)
	began := time.Now()
	if err := mediatest.Publish(t.Context(), s.p, clip, 1); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 12*time.Second {
		t.Errorf("the publisher waited: %v", d)
	}
	if err := s.end(); err != nil || len(s.files) != 1 {
		t.Fatal(err, s.files)
	}
	is(t, s.files[0], s.ended[0], "h264,192 aac", 10) // with a gap
	if out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0",
		s.files[0]).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) == "250" {
		t.Errorf("nothing was left out: %s %v", out, err)
	}
}

func TestWhatCannotBeWrittenEndsTheRecordingOnly(t *testing.T) {
	t.Parallel()
	clip := mediatest.Clip(t, 5)
	errFull := errors.New("full")
	for name, spoil := range map[string]func(s *shelf){
		"no file":  func(s *shelf) { s.begin = errFull },
		"no quota": func(s *shelf) { s.grow = func(record.Length) error { return errFull } },
		"quota used": func(s *shelf) {
			s.grow = func(to record.Length) error { return map[bool]error{true: errFull}[to.Duration > 2*time.Second] }
		},
	} {
		s := newStudio(t, record.Options{Format: record.MP4})
		spoil(s.shelf)
		s.play(clip) // goes on
		if err := s.end(); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
		switch {
		case name == "no file" && len(s.ended) != 0, name == "no quota" && (len(s.ended) != 1 || s.ended[0].Bytes != 0):
			t.Errorf("%s: %v", name, s.ended)
		case name == "quota used":
			is(t, s.files[0], s.ended[0], "h264,192 aac", s.ended[0].Duration.Seconds())
			if !errors.Is(s.why, errFull) || s.ended[0].Duration < time.Second {
				t.Errorf("%s: %v %v", name, s.ended, s.why)
			}
		}
	}
	s := newStudio(t, record.Options{Format: record.MP4})
	tag := mediatest.Tag{Kind: media.Video, Body: append([]byte{0x90}, "vp09head"...)}
	s.play([]mediatest.Tag{tag, {Kind: media.Video, Body: append([]byte{0x91}, "vp09frame"...)}})
	if err := s.end(); !errors.Is(err, record.ErrCodec) || len(s.files) != 0 {
		t.Errorf("a codec that does not fit: %v %v", err, s.files)
	}
}

func TestAStreamThatChangesAllTheTimeIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newStudio(t, record.Options{Format: record.FLV})
	now := uint32(0)
	for i := range 30 {
		header := mediatest.Tag{Kind: media.Video, Time: now, Body: []byte{0x17, 0, 0, 0, 0, byte(i)}}
		list := []mediatest.Tag{header}
		for j := range uint32(3) {
			list = append(list, mediatest.Tag{Kind: media.Video, Time: now + j*700, Body: []byte{0x17, 1, 0, 0, 0, 1}})
		}
		now += 2100
		if err := mediatest.Publish(t.Context(), s.p, list, 1e6); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := s.end(); !errors.Is(err, record.ErrParts) || len(s.files) > 25 {
		t.Errorf("%v after %d files", err, len(s.files))
	}
}
