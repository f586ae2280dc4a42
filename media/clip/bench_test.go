package clip_test

import (
	"os"
	"os/exec"
	"testing"

	"gtiv/media/clip"
)

// The figure of issue 4: a clip of 30 s and 720p is made in the time of a bare
// copy to HLS and half a second.
func BenchmarkClipOf30s(b *testing.B) {
	src := render(b, "a.mp4", args(pictures("1280x720", 30), tone(30), h264, []string{"-g", "50", "-movflags", "+faststart"})...)
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			cmd := exec.CommandContext(b.Context(), "ffmpeg", "-v", "error", "-i", src, "-c", "copy", "-f", "hls", "-hls_time", "3",
				"-hls_list_size", "0", "-hls_playlist_type", "vod", "index.m3u8")
			cmd.Dir = b.TempDir()
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
	})
	b.Run("make", func(b *testing.B) {
		c := clipper(b)
		for b.Loop() {
			dir, err := os.MkdirTemp(b.TempDir(), "")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := c.Make(b.Context(), src, dir, clip.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
