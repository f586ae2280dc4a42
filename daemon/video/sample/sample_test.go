package sample_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gtiv/daemon/video/sample"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := fs.ReadFile(sample.FS(), name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// segments reads the last segment's number the way the app does: from the last
// line but one of the playlist (wire.md 12).
func segments(t *testing.T) []string {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(string(read(t, sample.Playlist)), "\n"), "\n")
	m := regexp.MustCompile(`^index(\d+)\.ts$`).FindStringSubmatch(lines[len(lines)-2])
	if m == nil {
		t.Fatalf("last line but one is %q", lines[len(lines)-2])
	}
	last, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range last + 1 {
		names = append(names, fmt.Sprintf("index%d.ts", i))
	}
	return names
}

func TestPlaylistHasTheShapeTheAppReads(t *testing.T) {
	list := string(read(t, sample.Playlist))
	names := segments(t)
	if !strings.HasPrefix(list, "#EXTM3U\n") || !strings.HasSuffix(list, ".ts\n#EXT-X-ENDLIST\n") {
		t.Errorf("playlist starts or ends wrongly:\n%s", list)
	}
	var listed []string
	var total float64
	for line := range strings.Lines(list) {
		line = strings.TrimSuffix(line, "\n")
		if d, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			s, err := strconv.ParseFloat(strings.TrimSuffix(d, ","), 64)
			if err != nil || s > 3.1 {
				t.Errorf("segment of %q s: %v", d, err)
			}
			total += s
		}
		if !strings.HasPrefix(line, "#") {
			listed = append(listed, line)
		}
	}
	if strings.Join(listed, " ") != strings.Join(names, " ") {
		t.Errorf("playlist names %q, the app fetches %q", listed, names)
	}
	if total < sample.Duration-0.1 || total > sample.Duration+0.1 {
		t.Errorf("segments last %.2f s, Duration is %d", total, sample.Duration)
	}
}

func TestFilesAreExactlyWhatTheAppFetches(t *testing.T) {
	want := append(segments(t), sample.Playlist, sample.Cover)
	entries, err := fs.ReadDir(sample.FS(), ".")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(want) {
		t.Errorf("%d files, want %q", len(entries), want)
	}
	size := 0
	for _, name := range want {
		size += len(read(t, name))
	}
	if size > 350<<10 {
		t.Errorf("the sample adds %d bytes to the binary", size)
	}
}

// The app caches by directory name and never asks again, so content under a
// published key must not change.
func TestContentChangesOnlyTogetherWithItsKey(t *testing.T) {
	if !regexp.MustCompile(`^20\d\d/[0-9a-f]{40}$`).MatchString(sample.Key) {
		t.Errorf("Key = %q", sample.Key)
	}
	h := sha256.New()
	h.Write(read(t, sample.Playlist))
	for _, name := range segments(t) {
		h.Write(read(t, name))
	}
	h.Write(read(t, sample.Cover))
	if got := hex.EncodeToString(h.Sum(nil)); got != sample.ContentSHA256 {
		t.Errorf("content is %s, make.sh wrote %s: run make.sh, do not edit its output", got, sample.ContentSHA256)
	}
}

func TestCoverIsSmallAndNotBlack(t *testing.T) {
	b := read(t, sample.Cover)
	if len(b) > 30<<10 {
		t.Errorf("cover has %d bytes; the app loads it on its UI thread", len(b))
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if r := img.Bounds(); r.Dx() != sample.Width || r.Dy() != sample.Height || r.Dx() > 800 {
		t.Errorf("cover is %v", r)
	}
	var sum, n uint64
	for y := 0; y < sample.Height; y += 20 {
		for x := 0; x < sample.Width; x += 20 {
			r, g, b, _ := img.At(x, y).RGBA()
			sum += uint64(r>>8) + uint64(g>>8) + uint64(b>>8)
			n += 3
		}
	}
	if sum/n < 40 {
		t.Errorf("cover is nearly black: mean %d", sum/n)
	}
}

// onDisk copies the sample to a directory, as a player sees it, and returns the
// path of its playlist. Tools are required, not optional.
func onDisk(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sample")
	if err := os.CopyFS(dir, sample.FS()); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, sample.Playlist)
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &complaints)
	}
	if complaints.Len() > 0 {
		t.Errorf("%s complains:\n%s", name, &complaints)
	}
	return out.Bytes()
}

type stream struct {
	Type     string `json:"codec_type"`
	Codec    string `json:"codec_name"`
	Profile  string `json:"profile"`
	PixFmt   string `json:"pix_fmt"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Channels int    `json:"channels"`
}

func TestStreamsAreWhatOldPhonesDecode(t *testing.T) {
	out := run(t, "ffprobe", "-v", "error", "-show_streams", "-of", "json", onDisk(t))
	var probed struct{ Streams []stream }
	if err := json.Unmarshal(out, &probed); err != nil {
		t.Fatal(err)
	}
	if len(probed.Streams) != 2 {
		t.Fatalf("streams: %+v", probed.Streams)
	}
	v, a := probed.Streams[0], probed.Streams[1]
	if v.Codec != "h264" || v.Profile != "Main" || v.PixFmt != "yuv420p" || v.Width != sample.Width || v.Height != sample.Height {
		t.Errorf("picture: %+v", v)
	}
	if a.Codec != "aac" || a.Profile != "LC" || a.Channels == 0 {
		t.Errorf("sound: %+v", a)
	}
}

func TestEveryFrameDecodes(t *testing.T) {
	if out := run(t, "ffmpeg", "-v", "error", "-nostdin", "-i", onDisk(t), "-f", "null", "-"); len(out) > 0 {
		t.Errorf("ffmpeg printed %q", out)
	}
}

func TestEverySegmentStartsWithAKeyFrame(t *testing.T) {
	dir := filepath.Dir(onDisk(t))
	for _, name := range segments(t) {
		out := run(t, "ffprobe", "-v", "error", "-select_streams", "v", "-read_intervals", "%+#1",
			"-show_entries", "packet=flags", "-of", "csv=print_section=0", filepath.Join(dir, name))
		if !bytes.HasPrefix(bytes.TrimSpace(out), []byte("K")) {
			t.Errorf("%s starts with a frame flagged %q", name, out)
		}
	}
}
