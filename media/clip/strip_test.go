package clip_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gtiv/media/clip"
)

// strip strips a file and answers what is in it then.
func strip(t testing.TB, path string) ([]byte, error) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = clip.Strip(f)
	if e := f.Close(); e != nil {
		t.Fatal(e)
	}
	b, e := os.ReadFile(path)
	if e != nil {
		t.Fatal(e)
	}
	return b, err
}

func TestStripRemovesThePlaceAndKeepsThePictures(t *testing.T) {
	for _, name := range []string{"a.mp4", "a.mov", "a.3gp", "a.m4a"} {
		in := args(pictures("176x144", 1), tone(1), h264)
		if name == "a.m4a" {
			in = args(tone(1), []string{"-c:a", "aac"})
		}
		path := render(t, name, args(in, []string{"-metadata", "location=+48.1173+011.5167/", "-metadata", "comment=from home",
			"-metadata", "title=secret title", "-metadata:s:a:0", "handler_name=x"})...)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(before, []byte("+48.1173")) && !bytes.Contains(before, []byte("from home")) {
			t.Fatalf("%s: the file of the test says nothing", name)
		}
		after, err := strip(t, path)
		if err != nil || len(after) != len(before) {
			t.Errorf("%s: %v, %d bytes of %d", name, err, len(after), len(before))
		}
		for _, s := range []string{"+48.1173", "from home", "secret title"} {
			if bytes.Contains(after, []byte(s)) {
				t.Errorf("%s still says %q", name, s)
			}
		}
		if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s does not play any more: %v %s", name, err, out)
		}
	}
}

func TestStripLeavesOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("#!AMR\n and sound"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := strip(t, path); err != nil || string(b) != "#!AMR\n and sound" {
		t.Errorf("%q %v", b, err)
	}
}

// boxOf is a box with a content.
func boxOf(kind string, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body))) //nolint:gosec // small
	return append(append(b, kind...), body...)
}

func TestStripTakesAwayStreamsOfMetadata(t *testing.T) {
	track := func(kind string) []byte {
		return boxOf("trak", boxOf("tkhd", []byte("\x00\x00\x00\x00\xe3\x00\x00\x01\xe3\x00\x00\x02track of "+kind)), boxOf("mdia", boxOf("mdhd"), boxOf("hdlr", []byte("\x00\x00\x00\x00\x00\x00\x00\x00"+kind))))
	}
	path := filepath.Join(t.TempDir(), "x.mov")
	file := bytes.Join([][]byte{
		boxOf("ftyp", []byte("qt  \x00\x00\x00\x00qt  ")), boxOf("moov", track("vide"), track("meta"), boxOf("meta", []byte("keys of a place"))), boxOf("uuid", []byte("xmp")),
	}, nil)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := strip(t, path)
	if err != nil || !bytes.Contains(b, []byte("track of vide")) || bytes.Contains(b, []byte("track of meta")) ||
		bytes.Contains(b, []byte("place")) || bytes.Contains(b, []byte("\xe3\x00\x00")) || bytes.Contains(b, []byte("xmp")) {
		t.Errorf("%q %v", b, err)
	}
}

func FuzzStrip(f *testing.F) {
	head := boxOf("ftyp", []byte("isom\x00\x00\x00\x00isom"))
	f.Add(append(bytes.Clone(head), boxOf("moov", boxOf("trak", boxOf("mdia", boxOf("hdlr", make([]byte, 12)))), boxOf("udta", []byte("x")))...))
	f.Add(append(bytes.Clone(head), 0, 0, 0, 1, 'm', 'o', 'o', 'v', 255, 255, 255, 255, 255, 255, 255, 255))
	f.Add(append(bytes.Clone(head), 0, 0, 0, 0, 'u', 'd', 't', 'a', 1, 2, 3))
	f.Add(append(bytes.Clone(head), 0, 0, 0, 7, 'm', 'o', 'o', 'v'))
	f.Add([]byte("\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff\x15\x49\xa9\x66\x84\x7b\xa9\x81x\x12\x54\xc3\x67\x81x\x1f\x43\xb6\x75\xff"))
	f.Add([]byte("ID3\x04\x00\x10\x00\x00\x00\x02xx3DI\x04\x00\x10\x00\x00\x00\x02\xff\xfb" + "3DI\x04\x00\x10\x00\x00\x00\x02"))
	f.Add(append([]byte("\xff\xfbAPETAGEX\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00TAG"), make([]byte, 125)...))
	f.Add([]byte("OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01\x15xOpusTags\x02\x00\x00\x00ab\x01\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		after, err := strip(t, path)
		if len(after) > len(file) || len(after) < len(file) && !bytes.HasPrefix(file, []byte("ID3")) && file[0] != 0xff {
			t.Errorf("%d bytes became %d", len(file), len(after))
		}
		if _, ok := errors.AsType[*clip.RefusedError](err); err != nil && !ok {
			t.Errorf("%v", err)
		}
	})
}

func TestStripCleansOtherFormats(t *testing.T) {
	tags := []string{"-metadata", "location=+48.1173+011.5167/", "-metadata", "comment=from home", "-metadata", "title=secret title",
		"-metadata", "artist=somebody", "-metadata", "creation_time=2026-01-02T03:04:05Z"}
	for name, in := range map[string][]string{
		"a.webm": args(pictures("176x144", 1), []string{"-c:v", "libvpx"}),
		"a.mkv":  args(pictures("176x144", 1), h264),
		"a.mp3":  args(tone(1), []string{"-c:a", "libmp3lame", "-write_id3v1", "1", "-write_apetag", "1"}),
		"b.mp3":  args(tone(1), []string{"-c:a", "libmp3lame"}),
		"a.ogg":  args(tone(1), []string{"-c:a", "libvorbis"}),
		"b.ogg":  args(tone(1), []string{"-c:a", "libopus"}),
	} {
		path := render(t, name, args(in, tags)...)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name == "a.mp3" { // ffmpeg writes either
			v1 := make([]byte, 128)
			copy(v1, "TAGsecret title")
			before = append(before, v1...)
			if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Contains(before, []byte("secret title")) || !bytes.Contains(before, []byte("somebody")) {
			t.Fatalf("%s: the file of the test says nothing", name)
		}
		after, err := strip(t, path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, s := range []string{"+48.1173", "from home", "secret title", "somebody", "Lavf", "libvorbis", "libopus"} {
			if name != "a.mp3" && name != "b.mp3" && bytes.Contains(after, []byte(s)) || s != "Lavf" && bytes.Contains(after, []byte(s)) {
				t.Errorf("%s still says %q", name, s)
			}
		}
		if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s does not play any more: %v %s", name, err, out)
		}
	}
}
