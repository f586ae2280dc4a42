package clip_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gtiv/media/clip"
)

// Inputs of ffmpeg; %s is the size, %d seconds.
const (
	moving = "testsrc2=s=%s:r=25:d=%d"
	sound  = "sine=f=440:r=44100:d=%d"
)

// render runs ffmpeg to make the file name in a new folder.
func render(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	renderTo(t, path, args...)
	return path
}

func renderTo(t testing.TB, path string, args ...string) {
	t.Helper()
	args = append([]string{"-hide_banner", "-loglevel", "error", "-nostdin", "-y"}, args...)
	out, err := exec.CommandContext(context.Background(), "ffmpeg", append(args, path)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg %q: %v\n%s", args, err, out)
	}
}

// pictures and tone are the arguments of an input.
func pictures(size string, seconds int) []string {
	return []string{"-f", "lavfi", "-i", fmt.Sprintf(moving, size, seconds)}
}

func tone(seconds int) []string { return []string{"-f", "lavfi", "-i", fmt.Sprintf(sound, seconds)} }

func args(groups ...[]string) []string {
	var all []string
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// h264 is what phones write, small: a key frame every second.
var h264 = []string{"-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "main", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac", "-b:a", "64k"}

// phoneClip is a clip of this many seconds that can be copied.
func phoneClip(t testing.TB, seconds int, more ...string) string {
	t.Helper()
	return render(t, "phone.mp4", args(pictures("192x108", seconds), tone(seconds), h264, more)...)
}

func clipper(t testing.TB, change ...func(*clip.Config)) *clip.Clipper {
	t.Helper()
	cfg := clip.Config{Threads: 2, MaxDuration: time.Minute}
	for _, f := range change {
		f(&cfg)
	}
	c, err := clip.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustMake(t testing.TB, src string) (dir string, r clip.Result) {
	t.Helper()
	dir = t.TempDir()
	r, err := clipper(t).Make(t.Context(), src, dir, clip.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return dir, r
}

// reason is why a file was refused; anything but a refusal fails the test.
func reason(t testing.TB, err error) clip.Reason {
	t.Helper()
	var refused *clip.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v is no refusal", err)
	}
	return refused.Reason
}

// found is what ffprobe says of a file of ours.
type found struct {
	Streams []struct {
		Codec    string `json:"codec_name"`
		Profile  string `json:"profile"`
		Pixels   string `json:"pix_fmt"`
		Width    int    `json:"width"`
		Height   int    `json:"height"`
		Transfer string `json:"color_transfer"`
		Frames   string `json:"nb_read_frames"`
		SideData []any  `json:"side_data_list"`
	} `json:"streams"`
	Format struct {
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

// play decodes all of a file with ffprobe, and fails when anything is wrong.
func play(t testing.TB, path string) found {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-hide_banner", "-loglevel", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json", path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("ffprobe %s: %v\n%s", path, err, stderr.String())
	}
	var f found
	if err := json.Unmarshal(out, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestConfigThatMakesNoSenseIsRefused(t *testing.T) {
	_, err := clip.New(clip.Config{Threads: -1, Segment: time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "threads") || !strings.Contains(err.Error(), "segment") {
		t.Errorf("error %v does not name both", err)
	}
}

func TestMissingProgramsAreNoFaultOfTheFile(t *testing.T) {
	src := phoneClip(t, 1)
	for _, missing := range []func(*clip.Config){
		func(c *clip.Config) { c.FFmpeg = "/nowhere/ffmpeg" },
		func(c *clip.Config) { c.FFprobe = "/nowhere/ffprobe" },
	} {
		c := clipper(t, missing)
		if err := c.Available(); !errors.Is(err, clip.ErrNoFFmpeg) || !strings.Contains(err.Error(), "/nowhere/ff") {
			t.Errorf("Available: %v", err)
		}
		dir := t.TempDir()
		if _, err := c.Make(t.Context(), src, dir, clip.Options{}); !errors.Is(err, clip.ErrNoFFmpeg) {
			t.Errorf("Make: %v", err)
		}
		wantEmpty(t, dir)
	}
	if err := clipper(t).Available(); err != nil {
		t.Errorf("Available with ffmpeg: %v", err)
	}
}

func TestVersionSaysWhatIsWrongWithThePrograms(t *testing.T) {
	if v, err := clipper(t).Version(t.Context()); err != nil || !strings.HasPrefix(v, "ffmpeg version ") || strings.Contains(v, "Copyright") {
		t.Errorf("%q, %v", v, err)
	}
	dir := t.TempDir()
	for name, c := range map[string]struct{ script, want string }{
		"strike":   {"echo on strike >&2; exit 3", "on strike"},
		"encoders": {"echo ffmpeg version 1", "no encoder libx264"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
		if _, err := clipper(t, func(cfg *clip.Config) { cfg.FFmpeg = path }).Version(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := clipper(t, func(cfg *clip.Config) { cfg.FFmpeg = "/nowhere/ffmpeg" }).Version(t.Context()); !errors.Is(err, clip.ErrNoFFmpeg) {
		t.Errorf("missing: %v", err)
	}
}

// Found by a script: a relative path was looked up here and run elsewhere.
func TestProgramsMayHaveARelativePath(t *testing.T) {
	src := phoneClip(t, 1)
	t.Chdir(t.TempDir())
	if err := os.Symlink("/usr/bin/ffmpeg", "ffmpeg"); err != nil {
		t.Fatal(err)
	}
	if _, err := clipper(t, func(c *clip.Config) { c.FFmpeg = "./ffmpeg" }).Make(t.Context(), src, t.TempDir(), clip.Options{}); err != nil {
		t.Error(err)
	}
}

func wantEmpty(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("folder holds %v, %v", entries, err)
	}
}
