package clip_test

import (
	"bytes"
	"image/jpeg"
	"os"
	"testing"
)

func TestStillOfASegment(t *testing.T) {
	path := render(t, "x.ts", args(pictures("640x360", 2), tone(2), h264)...)
	segment, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := clipper(t).Still(t.Context(), segment)
	if err != nil {
		t.Fatal(err)
	}
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil || m.Bounds().Dx() != 480 || m.Bounds().Dy() != 270 {
		t.Errorf("%v %v", m.Bounds(), err)
	}
	for _, bad := range [][]byte{nil, []byte("garbage"), segment[:188*3]} {
		if b, err := clipper(t).Still(t.Context(), bad); err == nil {
			t.Errorf("a picture of %d bytes of %d", len(b), len(bad))
		}
	}
}
