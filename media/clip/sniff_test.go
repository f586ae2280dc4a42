package clip_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"gtiv/media/clip"
)

func TestFormatsAreToldByTheirFirstBytes(t *testing.T) {
	for _, v := range []struct {
		name string
		args []string
		want clip.Format
	}{
		{"a.mp4", []string{"-c:v", "libx264", "-movflags", "+faststart"}, clip.MOV},
		{"a.mov", []string{"-c:v", "libx264"}, clip.MOV},
		{"a.3gp", []string{"-c:v", "libx264", "-an"}, clip.MOV},
		{"a.webm", []string{"-c:v", "libvpx", "-c:a", "libopus"}, clip.Matroska},
		{"a.mkv", []string{"-c:v", "libx264"}, clip.Matroska},
		{"a.avi", []string{"-c:v", "mpeg4"}, clip.AVI},
		{"a.ts", []string{"-c:v", "libx264"}, clip.MPEGTS},
		{"a.m2ts", []string{"-c:v", "libx264"}, clip.MPEGTS},
		{"a.flv", []string{"-c:v", "flv"}, clip.FLV},
		{"a.mpg", []string{"-c:v", "mpeg2video"}, clip.MPEGPS},
	} {
		b, err := os.ReadFile(render(t, v.name, args(pictures("64x64", 1), tone(1), v.args)...))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := clip.Sniff(b); got != v.want || err != nil {
			t.Errorf("%s is %q, %v", v.name, got, err)
		}
	}
}

// notVideos are files that are not videos, some made to look like one.
var notVideos = map[string]string{
	"empty":      "",
	"text":       "this is no video, but it is long enough to be looked at",
	"hls":        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
	"concat":     "ffconcat version 1.0\nfile /etc/passwd\n",
	"dash":       `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>`,
	"sdp":        "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
	"svg":        `<svg xmlns="http://www.w3.org/2000/svg"/>`,
	"zip":        "PK\x03\x04\x14\x00\x00\x00\x08\x00some file.mp4",
	"jpeg":       "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01",
	"png":        "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
	"heic":       "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
	"webp":       "RIFF\x10\x00\x00\x00WEBPVP8 ",
	"wav":        "RIFF\x10\x00\x00\x00WAVEfmt ",
	"ebml":       "\x1a\x45\xdf\xa3 of something else",
	"elf":        "\x7fELF\x02\x01\x01",
	"one G":      "G" + strings.Repeat("x", 400),
	"tiny box":   "\x00\x00\x00\x04moov12345678",
	"ts garbage": strings.Repeat("G"+strings.Repeat("x", 187), 3) + "not a packet any more",
}

func TestOtherFilesAreNotVideos(t *testing.T) {
	for name, text := range notVideos {
		got, err := clip.Sniff([]byte(text))
		if err == nil {
			t.Errorf("%s passes for %s", name, got)
			continue
		}
		if r := reason(t, err); r != clip.NotVideo {
			t.Errorf("%s is refused as %s", name, r)
		}
	}
}

func FuzzSniff(f *testing.F) {
	for _, text := range notVideos {
		f.Add([]byte(text))
	}
	f.Add([]byte("\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"))
	f.Add([]byte("\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm"))
	f.Add(bytes.Repeat(append([]byte{0x47}, make([]byte, 187)...), 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		format, err := clip.Sniff(b)
		if (format == "") == (err == nil) {
			t.Errorf("%q and %v", format, err)
		}
		for _, s := range []string{"#EXTM3U", "ffconcat", "PK\x03\x04"} {
			if err == nil && bytes.HasPrefix(b, []byte(s)) {
				t.Errorf("%q passes for %s", b, format)
			}
		}
	})
}
