package clip_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/media/clip"
)

// file writes a file of this content.
func file(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantRefused makes a clip of a bad file: soon, and with nothing left behind.
func wantRefused(t *testing.T, c *clip.Clipper, src string, want ...clip.Reason) {
	t.Helper()
	dir := t.TempDir()
	at := time.Now()
	_, err := c.Make(t.Context(), src, dir, clip.Options{})
	if err == nil {
		t.Fatal("a clip was made of it")
	}
	got := reason(t, err)
	for _, w := range want {
		if got == w {
			want = nil
		}
	}
	if want != nil {
		t.Errorf("refused as %v, want %v", err, want)
	}
	if took := time.Since(at); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	wantEmpty(t, dir)
}

func TestFilesThatAreNoVideosAreRefused(t *testing.T) {
	for name, text := range notVideos {
		t.Run(name, func(t *testing.T) {
			wantRefused(t, clipper(t), file(t, "a.mp4", []byte(text)), clip.NotVideo)
		})
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("video.mp4")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(content(t, phoneClip(t, 1)))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, clipper(t), file(t, "a.mp4", b.Bytes()), clip.NotVideo)
	wantRefused(t, clipper(t), t.TempDir(), clip.NotVideo)
}

func TestMissingFileIsNoRefusal(t *testing.T) {
	_, err := clipper(t).Probe(t.Context(), filepath.Join(t.TempDir(), "none.mp4"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// Playlists make ffmpeg open what they name. Behind the sniffing there is the
// forced demuxer and the list of protocols; see also the internal test.
func TestPlaylistsReachNothing(t *testing.T) {
	var calls atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer srv.Close()
	for _, target := range []string{"file:///etc/passwd", "/etc/passwd", srv.URL + "/a.ts", "concat:/etc/passwd|/etc/hosts", "subfile,,start,0,end,9,,:/etc/passwd"} {
		for name, text := range map[string]string{
			"hls":    "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\n" + target + "\n#EXT-X-ENDLIST\n",
			"concat": "ffconcat version 1.0\nfile '" + target + "'\n",
		} {
			t.Run(name, func(t *testing.T) { wantRefused(t, clipper(t), file(t, "a.mp4", []byte(text)), clip.NotVideo) })
		}
	}
	if n := calls.Load(); n > 0 {
		t.Errorf("the server was called %d times", n)
	}
}

func TestTruncatedFilesAreRefused(t *testing.T) {
	for name, more := range map[string][]string{"first": {"-movflags", "+faststart"}, "last": nil} {
		b := content(t, phoneClip(t, 10, more...))
		for _, keep := range []int{40, 60, 80} {
			src := file(t, "a.mp4", b[:len(b)*keep/100])
			t.Run(name, func(t *testing.T) { wantRefused(t, clipper(t), src, clip.Truncated) })
		}
	}
	mkv := content(t, render(t, "a.mkv", args(pictures("128x72", 10), h264)...))
	wantRefused(t, clipper(t), file(t, "a.mkv", mkv[:len(mkv)/2]), clip.Truncated)
}

// A transport stream has no end that could be missing.
func TestTruncatedTransportStreamIsAsLongAsItIs(t *testing.T) {
	b := content(t, render(t, "a.ts", args(pictures("128x72", 10), tone(10), h264)...))
	dir, r := mustMake(t, file(t, "a.ts", b[:len(b)/2]))
	appFetches(t, dir)
	if r.Duration < 2*time.Second || r.Duration > 8*time.Second {
		t.Errorf("it lasts %v", r.Duration)
	}
}

func TestLongFilesAreRefusedWithoutDecoding(t *testing.T) {
	minute := render(t, "minute.mp4", "-f", "lavfi", "-i", "color=black:s=64x64:r=1/2:d=60", "-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono",
		"-t", "60", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "8k")
	still := render(t, "still.mp4", "-stream_loop", "599", "-i", minute, "-c", "copy")
	at := time.Now()
	wantRefused(t, clipper(t), still, clip.TooLong)
	if took := time.Since(at); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	wantRefused(t, clipper(t, func(c *clip.Config) { c.MaxDuration = 3 * time.Second }), phoneClip(t, 5), clip.TooLong)
}

func TestTooManyPixelsAreRefused(t *testing.T) {
	wantRefused(t, clipper(t), render(t, "side.mp4", args(pictures("5000x64", 1), h264, []string{"-frames:v", "2"})...), clip.TooLarge)
	few := clipper(t, func(c *clip.Config) { c.MaxPixels = 100 * 100 })
	wantRefused(t, few, phoneClip(t, 1), clip.TooLarge)
}

// claims makes a video of MJPEG pictures that say they are of another size.
func claims(t *testing.T, w, h uint16) string {
	t.Helper()
	b := content(t, render(t, "a.avi", args(pictures("64x48", 1), []string{"-c:v", "mjpeg", "-pix_fmt", "yuvj420p"})...))
	var from, to [4]byte // height and width in the frame header
	binary.BigEndian.PutUint16(from[:], 48)
	binary.BigEndian.PutUint16(from[2:], 64)
	binary.BigEndian.PutUint16(to[:], h)
	binary.BigEndian.PutUint16(to[2:], w)
	b = bytes.ReplaceAll(b, append([]byte{0xFF, 0xC0, 0, 17, 8}, from[:]...), append([]byte{0xFF, 0xC0, 0, 17, 8}, to[:]...))
	// And in the header of the container, where it is 32 bits, width first.
	old := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 64), 48)
	lie := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(w)), uint32(h))
	return file(t, "a.avi", bytes.ReplaceAll(b, old, lie))
}

func TestPicturesThatClaimToBeHugeAreRefused(t *testing.T) {
	wantRefused(t, clipper(t), claims(t, 20000, 20000), clip.TooLarge)
	wantRefused(t, clipper(t), claims(t, 65500, 65500), clip.TooLarge)
}

func TestSoundAloneIsNoVideo(t *testing.T) {
	wantRefused(t, clipper(t), render(t, "a.mp4", args(tone(2), []string{"-c:a", "aac"})...), clip.NoVideo)
	cover := render(t, "cover.png", args(pictures("64x64", 1), []string{"-frames:v", "1"})...)
	song := render(t, "song.mp4", "-i", cover, "-i", render(t, "a.mp4", args(tone(2), []string{"-c:a", "aac"})...), "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic")
	wantRefused(t, clipper(t), song, clip.NoVideo)
}

func TestCodecsThatAreNotDecodedHereAreRefused(t *testing.T) {
	src := render(t, "a.mkv", args(pictures("64x64", 1), []string{"-c:v", "ffv1"})...)
	wantRefused(t, clipper(t), src, clip.Unsupported)
}

func TestManyStreamsAreRefused(t *testing.T) {
	in := args(pictures("64x64", 1), tone(1), h264, []string{"-map", "0:v"})
	for range 40 {
		in = append(in, "-map", "1:a")
	}
	wantRefused(t, clipper(t), render(t, "a.mp4", in...), clip.Bomb)
}

// box finds a box of an mp4 by its name, anywhere.
func box(t *testing.T, b []byte, name string) int {
	t.Helper()
	i := bytes.Index(b, []byte(name))
	if i < 4 {
		t.Fatalf("no %s", name)
	}
	return i - 4
}

// A file that lies must be refused, or come out as what it is; never hang, and
// never take more than a file of its size can need.
func TestFilesThatLieAboutThemselves(t *testing.T) {
	good := content(t, phoneClip(t, 5, "-movflags", "+faststart"))
	for name, lie := range map[string]func(b []byte) []byte{
		"mdat is huge":      func(b []byte) []byte { binary.BigEndian.PutUint32(b[box(t, b, "mdat"):], 0xFFFFFF00); return b },
		"mdat is tiny":      func(b []byte) []byte { binary.BigEndian.PutUint32(b[box(t, b, "mdat"):], 9); return b },
		"moov is huge":      func(b []byte) []byte { binary.BigEndian.PutUint32(b[box(t, b, "moov"):], 0x7FFFFFFF); return b },
		"moov is tiny":      func(b []byte) []byte { binary.BigEndian.PutUint32(b[box(t, b, "moov"):], 16); return b },
		"a billion samples": func(b []byte) []byte { binary.BigEndian.PutUint32(b[box(t, b, "stsz")+16:], 1_000_000_000); return b },
		"a billion of a size": func(b []byte) []byte {
			i := box(t, b, "stsz")
			binary.BigEndian.PutUint32(b[i+12:], 1)
			binary.BigEndian.PutUint32(b[i+16:], 1_000_000_000)
			return b
		},
		"samples of 4 GB": func(b []byte) []byte {
			i := box(t, b, "stsz")
			binary.BigEndian.PutUint32(b[i+20:], 0xFFFFFFF0)
			return b
		},
		"samples last for ever": func(b []byte) []byte {
			i := box(t, b, "stts")
			binary.BigEndian.PutUint32(b[i+20:], 0x7FFFFFF0)
			return b
		},
		"all at once":        func(b []byte) []byte { binary.BigEndian.PutUint32(b[box(t, b, "stts")+20:], 0); return b },
		"it lasts for years": func(b []byte) []byte { binary.BigEndian.PutUint32(b[box(t, b, "mvhd")+24:], 0xFFFFFF00); return b },
		"it lasts no time":   func(b []byte) []byte { binary.BigEndian.PutUint32(b[box(t, b, "mvhd")+24:], 0); return b },
		"time stands still":  func(b []byte) []byte { binary.BigEndian.PutUint32(b[box(t, b, "mdhd")+20:], 0); return b },
		"chunks far away":    func(b []byte) []byte { binary.BigEndian.PutUint32(b[box(t, b, "stco")+16:], 0xFFFFFF00); return b },
		"it is 65535 wide":   func(b []byte) []byte { i := box(t, b, "avc1"); binary.BigEndian.PutUint16(b[i+32:], 65535); return b },
		"noise in the data": func(b []byte) []byte {
			for i := box(t, b, "mdat") + 64; i < len(b); i += 97 {
				b[i] ^= 0x55
			}
			return b
		},
		"zeroes in the data": func(b []byte) []byte { clear(b[box(t, b, "mdat")+8:]); return b },
		"nothing but a head": func(b []byte) []byte { return b[:box(t, b, "mdat")+8] },
	} {
		t.Run(name, func(t *testing.T) {
			src := file(t, "a.mp4", lie(bytes.Clone(good)))
			dir := t.TempDir()
			at := time.Now()
			r, err := clipper(t).Make(t.Context(), src, dir, clip.Options{})
			if took := time.Since(at); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			if err != nil {
				t.Logf("refused: %.200v", err)
				wantEmpty(t, dir)
				return
			}
			t.Logf("made: %v, %d segments, %dx%d, copied %v", r.Duration, r.Segments, r.Width, r.Height, r.Copied)
			appFetches(t, dir)
			if r.Bytes > 10<<20 || r.Duration > time.Minute+2*time.Second || r.Width != 192 || r.Height != 108 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestEveryReasonIsListedOnce(t *testing.T) {
	seen := map[clip.Reason]bool{}
	for _, r := range clip.Reasons() {
		if r == "" || seen[r] {
			t.Errorf("%q", r)
		}
		seen[r] = true
	}
}
