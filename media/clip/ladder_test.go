package clip_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gtiv/media/clip"
)

// variants are the playlists a master names, and what it says of each.
func variants(t *testing.T, dir string) (names []string, about map[string]string) {
	t.Helper()
	about = map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(content(t, filepath.Join(dir, clip.Master))))
	last := ""
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "#") {
			names = append(names, lines.Text())
			about[lines.Text()] = last
		}
		last = lines.Text()
	}
	return names, about
}

func TestLadderStandsBesideTheClip(t *testing.T) {
	src := phoneClip(t, 7)
	dir, r := mustMake(t, src)
	before := content(t, filepath.Join(dir, clip.Playlist))
	var seen []int
	err := clipper(t).Ladder(t.Context(), src, dir, []int{72, 36, 108, 720, 72}, clip.Options{Progress: func(p int) { seen = append(seen, p) }})
	if err != nil {
		t.Fatal(err)
	}
	names, about := variants(t, dir)
	if want := []string{"36p/index.m3u8", "72p/index.m3u8", "index.m3u8"}; !slices.Equal(names, want) {
		t.Fatalf("variants %q", names)
	}
	for name, size := range map[string]string{names[0]: "64x36", names[1]: "128x72", names[2]: "192x108"} {
		appFetches(t, filepath.Dir(filepath.Join(dir, name)))
		f := play(t, filepath.Join(dir, name))
		if f.Streams[0].Codec != "h264" || f.Streams[1].Codec != "aac" {
			t.Errorf("%s: %+v", name, f.Streams)
		}
		if !strings.Contains(about[name], "RESOLUTION="+size+`,CODECS="avc1.`) || !strings.Contains(about[name], `,mp4a.40.2"`) {
			t.Errorf("%s: %s", name, about[name])
		}
	}
	play(t, filepath.Join(dir, clip.Master))
	if !bytes.Equal(before, content(t, filepath.Join(dir, clip.Playlist))) || r.Segments != len(appFetches(t, dir)) {
		t.Error("the clip itself was changed")
	}
	if !slices.IsSorted(seen) || seen[len(seen)-1] != 100 {
		t.Errorf("progress %v", seen)
	}
}

func TestLadderOfASmallClipHasOnlyTheClip(t *testing.T) {
	src := render(t, "a.webm", args(pictures("128x72", 2), []string{"-c:v", "libvpx"})...)
	dir, _ := mustMake(t, src)
	if err := clipper(t).Ladder(t.Context(), src, dir, []int{360, 720}, clip.Options{}); err != nil {
		t.Fatal(err)
	}
	if names, about := variants(t, dir); !slices.Equal(names, []string{"index.m3u8"}) || strings.Contains(about["index.m3u8"], "mp4a") {
		t.Errorf("variants %q", about)
	}
}

func TestLadderIsMadeAgainAfterACrash(t *testing.T) {
	src := turned(t, "90")
	dir, _ := mustMake(t, src)
	half := filepath.Join(dir, "72p")
	if err := os.Mkdir(half, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "index99.ts"), []byte("half"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := clipper(t).Ladder(t.Context(), src, dir, []int{72}, clip.Options{}); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, half, append(appFetches(t, half), clip.Playlist))
	if f := play(t, filepath.Join(half, clip.Playlist)); f.Streams[0].Width != 72 || f.Streams[0].Height != 128 {
		t.Errorf("%+v", f.Streams[0])
	}
}

func TestLadderThatFailsLeavesTheClipAndNoMaster(t *testing.T) {
	src := phoneClip(t, 2)
	dir, _ := mustMake(t, src)
	c := clipper(t, func(c *clip.Config) { c.FFmpeg = "/nowhere/ffmpeg" })
	if err := c.Ladder(t.Context(), src, dir, []int{72}, clip.Options{}); err == nil {
		t.Fatal("it was made without ffmpeg")
	}
	wantFiles(t, dir, append(appFetches(t, dir), clip.Playlist, clip.Cover, clip.Storyboard))
}
