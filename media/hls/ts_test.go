package hls_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gtiv/media"
	"gtiv/media/hls"
	"gtiv/media/mediatest"
)

// station is a stream with its muxer, served.
type station struct {
	t   *testing.T
	p   *media.Publisher
	ts  *hls.TS
	url string
	end chan error
}

func newStation(t *testing.T) *station {
	t.Helper()
	hub := media.NewHub(nil, nil, nil)
	p, _ := hub.Publish(t.Context(), "room")
	s := &station{t: t, p: p, ts: hls.NewTS(p.Stream()), end: make(chan error, 1)}
	go func() { s.end <- s.ts.Run(context.WithoutCancel(t.Context())) }()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ok := false
		if r.URL.Path == "/live/room.m3u8" {
			ok = s.ts.ServePlaylist(w, r)
		} else if name, found := strings.CutPrefix(r.URL.Path, "/live/room/"); found {
			ok = s.ts.ServeSegment(w, r, name)
		}
		if !ok {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() {
		p.Close()
		srv.Close()
	})
	s.url = srv.URL + "/live/room.m3u8"
	return s
}

func (s *station) get(url string) (int, string) {
	s.t.Helper()
	rep, err := http.Get(url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rep.Body.Close()
	b, err := io.ReadAll(rep.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return rep.StatusCode, string(b)
}

func TestSegmentsAreCutAtKeyFramesAndPlay(t *testing.T) {
	s := newStation(t)
	clip := mediatest.Clip(t, 20)
	done := make(chan error, 1)
	go func() { done <- mediatest.Publish(t.Context(), s.p, clip, 8) }()
	status, list := s.get(s.url) // waits for the first segment
	if status != 200 || !strings.HasPrefix(list, "#EXTM3U\n") || strings.Contains(list, "ENDLIST") {
		t.Fatalf("%d %s", status, list)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	_, list = s.get(s.url)
	segments := regexp.MustCompile(`(?m)^#EXTINF:([0-9.]+),\n(room/\S+\.ts)$`).FindAllStringSubmatch(list, -1)
	if len(segments) != 4 || !strings.Contains(list, "#EXT-X-TARGETDURATION:2\n") || !regexp.MustCompile(`MEDIA-SEQUENCE:[3-5]\n`).MatchString(list) {
		t.Fatalf("%s", list)
	}
	for _, g := range segments {
		if d, _ := strconv.ParseFloat(g[1], 64); d < 1.9 || d > 2.1 {
			t.Errorf("a segment of %s s", g[1])
		}
		url := strings.Replace(s.url, "room.m3u8", g[2], 1)
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=flags,pts_time", "-of", "csv=p=0",
			"-read_intervals", "%+#1", url).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "K") {
			t.Errorf("%s does not begin with a key frame: %s %v", g[2], out, err)
		}
		if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-i", url, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v %s", g[2], err, out)
		}
	}
	if status, _ := s.get(strings.Replace(s.url, "room.m3u8", "room/x-1.ts", 1)); status != 404 {
		t.Errorf("a segment that is not there: %d", status)
	}
	s.p.Close()
	if err := <-s.end; !errors.Is(err, media.ErrEnded) {
		t.Errorf("%v", err)
	}
	if status, _ := s.get(s.url); status != 404 {
		t.Errorf("off air: %d", status)
	}
}

// Sound must have no holes: phones click, browsers stall.
func TestSoundHasNoHoles(t *testing.T) {
	s := newStation(t)
	clip := mediatest.Clip(t, 10)
	if err := mediatest.Publish(t.Context(), s.p, clip, 8); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	_, list := s.get(s.url)
	var times []float64
	for _, g := range regexp.MustCompile(`(?m)^(room/\S+\.ts)$`).FindAllString(list, -1) {
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "packet=pts_time", "-of", "csv=p=0",
			strings.Replace(s.url, "room.m3u8", g, 1)).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Fields(string(out)) {
			v, err := strconv.ParseFloat(strings.Trim(line, ","), 64)
			if err != nil {
				t.Fatal(err)
			}
			times = append(times, v)
		}
	}
	if len(times) < 200 {
		t.Fatalf("%d sounds", len(times))
	}
	for i := 1; i < len(times); i++ {
		if d := times[i] - times[i-1]; d < 0.0231 || d > 0.0234 {
			t.Errorf("%.6f s between two sounds at %.3f", d, times[i])
		}
	}
}

func TestAnotherResolutionIsADiscontinuity(t *testing.T) {
	s := newStation(t)
	if err := mediatest.Publish(t.Context(), s.p, mediatest.Clip(t, 6), 20); err != nil {
		t.Fatal(err)
	}
	other := mediatest.Clip(t, 6, "-vf", "scale=320:240", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac")
	if err := mediatest.Publish(t.Context(), s.p, other, 20); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if _, list := s.get(s.url); strings.Count(list, "#EXT-X-DISCONTINUITY\n") != 1 {
		t.Errorf("%s", list)
	}
}

func TestSoundThatIsToldLateIsInTheFirstSegment(t *testing.T) {
	s := newStation(t)
	var clip, late []mediatest.Tag
	for _, tag := range mediatest.Clip(t, 8) {
		if tag.Kind == media.Audio && tag.Time < 300 {
			late = append(late, tag)
			continue
		}
		if tag.Time >= 300 {
			clip, late = append(clip, late...), nil
		}
		clip = append(clip, tag)
	}
	for i := range clip {
		if clip[i].Kind == media.Audio {
			clip[i].Time = max(clip[i].Time, 280)
		}
	}
	if err := mediatest.Publish(t.Context(), s.p, clip, 20); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	_, list := s.get(s.url)
	if strings.Contains(list, "DISCONTINUITY") || !strings.Contains(list, "MEDIA-SEQUENCE:0") {
		t.Errorf("%s", list)
	}
	first := regexp.MustCompile(`room/\S+\.ts`).FindString(list)
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", strings.TrimSuffix(s.url, "room.m3u8")+first).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "h264") || !strings.Contains(string(out), "aac") {
		t.Errorf("the first segment has %s %v", out, err)
	}
}

func TestSoundOrPicturesAlone(t *testing.T) {
	for name, args := range map[string][]string{
		"sound":    {"-vn", "-c:a", "aac"},
		"pictures": {"-an", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25"},
		"b-frames": {"-an", "-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-pix_fmt", "yuv420p", "-g", "25"},
	} {
		s := newStation(t)
		if err := mediatest.Publish(t.Context(), s.p, mediatest.Clip(t, 8, args...), 20); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", s.url).CombinedOutput()
		want := map[string]string{"sound": "aac", "pictures": "h264", "b-frames": "h264"}[name]
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %s %v", name, out, err)
		}
	}
}

func TestGarbageEndsNothingElse(t *testing.T) {
	for i, tags := range [][]mediatest.Tag{
		{{Kind: media.Video, Time: 0, Body: []byte{0x17, 0, 0, 0, 0}}},
		{{Kind: media.Video, Time: 0, Body: []byte{0x17, 0, 0, 0, 0, 1, 0x42, 0, 30, 0xff, 0xff, 0xff, 0xff}}},
		{{Kind: media.Video, Time: 0, Body: []byte{0x17, 1, 0, 0, 0, 1, 2, 3}}, {Kind: media.Video, Time: 40, Body: []byte{0x27, 1, 0, 0, 0, 0, 0, 0, 9, 1}}},
		{{Kind: media.Audio, Time: 0, Body: []byte{0xaf, 0}}, {Kind: media.Audio, Time: 0, Body: []byte{0xaf, 1}}},
		{{Kind: media.Audio, Time: 0, Body: []byte{0xaf, 0, 0xff, 0xff, 0xff}}, {Kind: media.Audio, Time: 0, Body: []byte{0xaf, 1, 1, 2, 3}}},
	} {
		s := newStation(t)
		if err := mediatest.Publish(t.Context(), s.p, tags, 1000); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if b, err := s.ts.Playlist(ctx); err == nil {
			t.Errorf("%d: %s", i, b)
		}
		cancel()
	}
}
