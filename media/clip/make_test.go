package clip_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gtiv/media/clip"
)

// appFetches reads a playlist as the app does (wire.md 12): its last line but
// one names the last segment, and index0.ts to that one are fetched.
func appFetches(t testing.TB, dir string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, clip.Playlist))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	m := regexp.MustCompile(`^index(\d+)\.ts$`).FindStringSubmatch(lines[len(lines)-2])
	if m == nil || lines[len(lines)-1] != "#EXT-X-ENDLIST" {
		t.Fatalf("playlist ends wrongly:\n%s", b)
	}
	last, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, last+1)
	for i := range names {
		names[i] = fmt.Sprintf("index%d.ts", i)
	}
	return names
}

// wantPlayable checks everything that is promised of a finished folder.
func wantPlayable(t testing.TB, dir string, r clip.Result) found {
	t.Helper()
	names := appFetches(t, dir)
	var want int64
	for _, n := range names {
		st, err := os.Stat(filepath.Join(dir, n))
		if err != nil || st.Size() == 0 {
			t.Fatalf("segment: %v", err)
		}
		want += st.Size()
	}
	if r.Segments != len(names) || r.Bytes != want || r.BitRate <= 0 || r.Duration <= 0 {
		t.Errorf("result %+v does not fit %d segments of %d bytes", r, len(names), want)
	}
	wantFiles(t, dir, append(names, clip.Playlist, clip.Cover, clip.Storyboard))
	wantPictures(t, dir, r)
	f := play(t, filepath.Join(dir, clip.Playlist))
	if f.Streams[0].Codec != "h264" || f.Streams[0].Pixels != "yuv420p" {
		t.Errorf("pictures are %+v", f.Streams[0])
	}
	if s, err := strconv.ParseFloat(f.Format.Duration, 64); err != nil || math.Abs(s-r.Duration.Seconds()) > 0.2 {
		t.Errorf("it lasts %s s, the result says %v", f.Format.Duration, r.Duration)
	}
	return f
}

func wantFiles(t testing.TB, dir string, want []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func wantPictures(t testing.TB, dir string, r clip.Result) {
	t.Helper()
	w, h := decode(t, filepath.Join(dir, clip.Cover)).Size().X, decode(t, filepath.Join(dir, clip.Cover)).Size().Y
	if w != min(800, r.Width) || math.Abs(float64(w)/float64(h)-float64(r.Width)/float64(r.Height)) > 0.03 {
		t.Errorf("cover of %dx%d for %dx%d", w, h, r.Width, r.Height)
	}
	if strip := decode(t, filepath.Join(dir, clip.Storyboard)).Size(); strip.X != 10*min(160, r.Width) {
		t.Errorf("storyboard is %v", strip)
	}
}

func decode(t testing.TB, path string) image.Rectangle {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil || len(b) > 200<<10 {
		t.Fatalf("%s of %d bytes: %v", path, len(b), err)
	}
	if !bytes.Contains(b, []byte{0xFF, 0xC0}) || bytes.Contains(b, []byte("Exif")) {
		t.Errorf("%s is not a plain baseline JPEG", path)
	}
	return m.Bounds()
}

func TestWhatPhonesPlayIsCopied(t *testing.T) {
	for name, more := range map[string][]string{
		"index first": {"-movflags", "+faststart"},
		"index last":  {},
		"fragments":   {"-movflags", "+frag_keyframe+empty_moov"},
	} {
		dir, r := mustMake(t, phoneClip(t, 7, more...))
		f := wantPlayable(t, dir, r)
		if !r.Copied || r.Segments != 3 || r.Width != 192 || r.Height != 108 || !r.Source.Video.StartsWithKey {
			t.Errorf("%s: %+v", name, r)
		}
		if f.Streams[0].Profile != "Constrained Baseline" || f.Streams[0].Frames != "175" || f.Streams[1].Codec != "aac" {
			t.Errorf("%s: %+v", name, f.Streams)
		}
	}
}

func TestOtherFormatsBecomeH264(t *testing.T) {
	if testing.Short() {
		t.Skip("it encodes many videos")
	}
	for _, v := range []struct {
		name   string
		args   []string
		copied bool
	}{
		{"hevc.mp4", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-c:a", "aac"}, false},
		{"vp9.webm", []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"}, false},
		{"vp8.webm", []string{"-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis"}, false},
		{"live.webm", []string{"-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus", "-live", "1"}, false},
		{"ten.mp4", []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-g", "25"}, false},
		{"444.mp4", []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p", "-g", "25"}, false},
		{"xvid.avi", []string{"-c:v", "mpeg4", "-bf", "2", "-c:a", "mp3"}, false},
		{"x264.avi", args(h264, []string{"-bf", "0"}), false},
		{"dvd.mpg", []string{"-c:v", "mpeg2video", "-c:a", "mp2", "-ar", "48000"}, false},
		{"long gop.mp4", []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "250", "-c:a", "aac"}, false},
		{"copy.ts", h264, true},
		{"copy.m2ts", h264, true},
		{"copy.flv", h264, true},
		{"copy.mkv", h264, true},
		{"5.1.mp4", args(h264, []string{"-ac", "6"}), true},
		{"mp3.mp4", args(h264, []string{"-c:a", "mp3"}), true},
		{"low sound.mov", args(h264, []string{"-c:a", "pcm_s16be", "-ar", "8000"}), true},
	} {
		t.Run(v.name, func(t *testing.T) {
			src := render(t, v.name, args(pictures("128x72", 7), tone(7), v.args)...)
			dir, r := mustMake(t, src)
			f := wantPlayable(t, dir, r)
			if r.Copied != v.copied || r.Segments != 3 || r.Width != 128 || r.Height != 72 {
				t.Errorf("%+v", r)
			}
			if r.Duration < 6900*time.Millisecond || r.Duration > 7300*time.Millisecond {
				t.Errorf("it lasts %v", r.Duration)
			}
			if len(f.Streams) != 2 || f.Streams[1].Codec != "aac" || f.Streams[1].Profile != "LC" {
				t.Errorf("streams %+v", f.Streams)
			}
		})
	}
}

// Phones record HDR by default. Shown as it is, it would look washed out.
func TestHDRBecomesOrdinaryColours(t *testing.T) {
	hlg := []string{"-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le",
		"-x265-params", "log-level=none:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"}
	vague := []string{"-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=none:transfer=smpte2084"}
	for name, codec := range map[string][]string{"hlg": hlg, "vague": vague} {
		dir, r := mustMake(t, render(t, "hdr.mp4", args(pictures("128x72", 2), codec)...))
		f := wantPlayable(t, dir, r)
		if !r.Source.Video.HDR || name == "hlg" && f.Streams[0].Transfer != "bt709" {
			t.Errorf("%s: %+v becomes %+v", name, r.Source.Video, f.Streams[0])
		}
	}
}

func TestEncodedSegmentsAreAsLongAsTheyShouldBe(t *testing.T) {
	dir, _ := mustMake(t, render(t, "a.webm", args(pictures("128x72", 9), []string{"-c:v", "libvpx", "-deadline", "realtime", "-r", "30000/1001"})...))
	b, err := os.ReadFile(filepath.Join(dir, clip.Playlist))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "#EXTINF:3.0"); n < 2 || !strings.Contains(string(b), "TARGETDURATION:3\n") {
		t.Errorf("segments:\n%s", b)
	}
}

// turned is a phone's upright video: wide pictures and a matrix that says how to
// turn them.
func turned(t *testing.T, degrees string) string {
	t.Helper()
	wide := phoneClip(t, 2)
	return render(t, "turned.mp4", "-i", wide, "-c", "copy", "-metadata:s:v:0", "rotate="+degrees)
}

func TestTurnedVideosStandUpright(t *testing.T) {
	for degrees, want := range map[string]struct{ rotation, w, h int }{
		"90": {90, 108, 192}, "180": {180, 192, 108}, "270": {270, 108, 192},
	} {
		dir, r := mustMake(t, turned(t, degrees))
		f := wantPlayable(t, dir, r)
		// How ffmpeg reads its own old tag is not our concern: a quarter is.
		if r.Copied || r.Source.Rotation%180 != want.rotation%180 || r.Width != want.w || r.Height != want.h {
			t.Errorf("%s: %+v", degrees, r)
		}
		if f.Streams[0].Width != want.w || f.Streams[0].Height != want.h || len(f.Streams[0].SideData) > 0 {
			t.Errorf("%s: %+v", degrees, f.Streams[0])
		}
	}
}

func TestOddSizesBecomeEven(t *testing.T) {
	src := render(t, "odd.mp4", args(pictures("160x90", 2), []string{"-vf", "scale=131:77,setsar=1", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p"})...)
	dir, r := mustMake(t, src)
	wantPlayable(t, dir, r)
	if r.Width != 132 || r.Height != 78 {
		t.Errorf("%dx%d", r.Width, r.Height)
	}
}

func TestPixelsThatAreNotSquare(t *testing.T) {
	src := render(t, "wide.webm", args(pictures("72x72", 2), []string{"-vf", "setsar=16/9", "-c:v", "libvpx"})...)
	dir, r := mustMake(t, src)
	f := wantPlayable(t, dir, r)
	if r.Width != 128 || r.Height != 72 || f.Streams[0].Width != 128 {
		t.Errorf("%+v", r)
	}
}

func TestSilentVideosStaySilent(t *testing.T) {
	for name, codec := range map[string]string{"a.mp4": "libx264", "a.webm": "libvpx"} {
		src := render(t, name, args(pictures("128x72", 2), []string{"-c:v", codec, "-pix_fmt", "yuv420p"})...)
		dir, r := mustMake(t, src)
		if f := wantPlayable(t, dir, r); len(f.Streams) != 1 || r.Source.Audio != nil {
			t.Errorf("%s: %d streams", name, len(f.Streams))
		}
	}
}

func TestSoundThatGoesOnAfterThePictures(t *testing.T) {
	src := render(t, "song.mp4", args(pictures("128x72", 1), tone(10), h264)...)
	dir, r := mustMake(t, src)
	wantPlayable(t, dir, r)
	if r.Copied || r.Segments < 3 || r.Duration < 9*time.Second {
		t.Errorf("%+v", r)
	}
}

func TestOnePictureIsAVideoToo(t *testing.T) {
	src := render(t, "still.mp4", args(pictures("128x72", 1), h264, []string{"-frames:v", "1"})...)
	dir, r := mustMake(t, src)
	wantPlayable(t, dir, r)
}

func TestStreamsThatAreNotForViewersAreLeftOut(t *testing.T) {
	picture := render(t, "cover.png", args(pictures("64x64", 1), []string{"-frames:v", "1"})...)
	subs := filepath.Join(t.TempDir(), "subs.srt")
	if err := os.WriteFile(subs, []byte("1\n00:00:00,000 --> 00:00:01,000\nsecret words\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	src := render(t, "many.mp4", "-i", picture, "-i", phoneClip(t, 2), "-i", subs, "-map", "0", "-map", "1", "-map", "2",
		"-c:v:0", "copy", "-c:v:1", "copy", "-c:a", "copy", "-c:s", "mov_text", "-disposition:v:0", "attached_pic")
	dir, r := mustMake(t, src)
	if f := wantPlayable(t, dir, r); len(f.Streams) != 2 || !r.Copied {
		t.Errorf("%d streams", len(f.Streams))
	}
}

func TestCoverIsNotBlack(t *testing.T) {
	for _, colour := range []string{"black", "white"} {
		src := render(t, "black.mp4", args(pictures("192x108", 4), h264, []string{"-vf", "drawbox=c=" + colour + ":t=fill:enable='lt(t,1.5)'"})...)
		dir, r := mustMake(t, src)
		wantPlayable(t, dir, r)
		if blank(t, filepath.Join(dir, clip.Cover)) {
			t.Errorf("cover of a video that starts %s is blank", colour)
		}
	}
}

func TestCoverOfABlackVideoIsBlack(t *testing.T) {
	src := render(t, "night.mp4", "-f", "lavfi", "-i", "color=black:s=192x108:d=2", "-c:v", "libx264", "-pix_fmt", "yuv420p")
	dir, r := mustMake(t, src)
	wantPlayable(t, dir, r)
	if !blank(t, filepath.Join(dir, clip.Cover)) {
		t.Error("the cover of a black video shows something")
	}
}

// blank says whether all of a picture looks the same.
func blank(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := jpeg.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	low, high := uint32(math.MaxUint32), uint32(0)
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			_, g, _, _ := m.At(x, y).RGBA()
			low, high = min(low, g), max(high, g)
		}
	}
	return high-low < 0x2000
}

func TestCoverOfNoiseIsSmall(t *testing.T) {
	src := render(t, "noise.mp4", args(pictures("1280x720", 1), []string{"-vf", "noise=alls=100:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"})...)
	dir, r := mustMake(t, src)
	wantPlayable(t, dir, r)
	if st, err := os.Stat(filepath.Join(dir, clip.Cover)); err != nil || st.Size() > 110<<10 {
		t.Errorf("cover: %v, %v", st.Size(), err)
	}
}

// secrets is metadata nobody may see; where is what a phone writes of its place.
const where, who = "+48.8577+002.295/", "Jane Roe's phone"

func TestNothingOfTheMetadataIsLeft(t *testing.T) {
	tags := []string{
		"-metadata", "location=" + where, "-metadata", "location-eng=" + where, "-metadata", "com.apple.quicktime.location.ISO6709=" + where,
		"-metadata", "title=" + who, "-metadata", "comment=" + who, "-metadata:s:v", "handler_name=" + who, "-metadata:s:a", "language=fra",
		"-metadata", "creation_time=2001-02-03T04:05:06Z", "-movflags", "+use_metadata_tags",
	}
	// What some cameras write into the stream itself.
	sei := []string{"-bsf:v", "h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+" + where}
	for name, src := range map[string]string{
		"copied":  render(t, "a.mp4", args([]string{"-i", phoneClip(t, 2), "-c", "copy"}, tags, sei)...),
		"encoded": render(t, "a.mp4", args(pictures("128x72", 2), tone(2), []string{"-c:v", "libx264", "-pix_fmt", "yuv444p"}, tags, sei)...),
	} {
		b, err := os.ReadFile(src)
		if err != nil || !bytes.Contains(b, []byte(where)) {
			t.Fatalf("the source has no place: %v", err)
		}
		dir, r := mustMake(t, src)
		wantPlayable(t, dir, r)
		if err := clipper(t).Ladder(t.Context(), src, dir, []int{36}, clip.Options{}); err != nil {
			t.Fatal(err)
		}
		wantNowhere(t, name, dir, where, "48.8577", who, "2001-02-03", "fra", "x264 - core")
	}
}

func wantNowhere(t *testing.T, name, dir string, secrets ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(b, []byte(s)) && (s != "fra" || strings.HasSuffix(path, ".m3u8")) {
				t.Errorf("%s: %q is in %s", name, s, filepath.Base(path))
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestProgressGoesFromNothingToAll(t *testing.T) {
	src := render(t, "a.webm", args(pictures("320x180", 6), []string{"-c:v", "libvpx", "-deadline", "realtime"})...)
	var seen []int
	_, err := clipper(t).Make(t.Context(), src, t.TempDir(), clip.Options{Progress: func(p int) { seen = append(seen, p) }})
	if err != nil || seen[0] != 0 || seen[len(seen)-1] != 100 || !slices.IsSorted(seen) {
		t.Errorf("progress %v, %v", seen, err)
	}
}

func TestTheSameFileMakesTheSameSegments(t *testing.T) {
	src := phoneClip(t, 4)
	one, _ := mustMake(t, src)
	two, _ := mustMake(t, src)
	for _, n := range append(appFetches(t, one), clip.Playlist, clip.Cover) {
		a, errA := os.ReadFile(filepath.Join(one, n))
		b, errB := os.ReadFile(filepath.Join(two, n))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs: %v, %v", n, errA, errB)
		}
	}
}

func TestNamesOfFilesAreOnlyNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "100%d of 'it'\\, [a]:b|c")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(dir, "-i concat:x|y %d.mp4")
	if err := os.Rename(phoneClip(t, 2), src); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out%d")
	if err := os.Mkdir(out, 0o777); err != nil {
		t.Fatal(err)
	}
	r, err := clipper(t).Make(t.Context(), src, out, clip.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, out, append(appFetches(t, out), clip.Playlist, clip.Cover, clip.Storyboard))
	if !r.Copied {
		t.Errorf("%+v", r)
	}
}

func TestMakeWantsAnEmptyFolder(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "index0.ts")
	if err := os.WriteFile(old, []byte("precious"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := clipper(t).Make(context.Background(), phoneClip(t, 1), dir, clip.Options{}); err == nil {
		t.Error("it was made over other files")
	}
	if b, err := os.ReadFile(old); err != nil || string(b) != "precious" {
		t.Errorf("the file is %q, %v", b, err)
	}
}
