package upload

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"
)

// corners is an image of w by h: red at the top left, green at the top right, blue
// at the bottom left, white at the bottom right.
func corners(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{A: 255}
			switch {
			case x < w/2 && y < h/2:
				c.R = 255
			case y < h/2:
				c.G = 255
			case x < w/2:
				c.B = 255
			default:
				c = color.RGBA{255, 255, 255, 255}
			}
			m.Set(x, y, c)
		}
	}
	return m
}

// look names the colours of the corners, from the top left by rows.
func look(m image.Image) string {
	b := m.Bounds()
	var s strings.Builder
	for _, y := range []int{b.Min.Y + b.Dy()/4, b.Max.Y - 1 - b.Dy()/4} {
		for _, x := range []int{b.Min.X + b.Dx()/4, b.Max.X - 1 - b.Dx()/4} {
			r, g, bl, _ := m.At(x, y).RGBA()
			switch {
			case r > 0x8000 && g > 0x8000:
				s.WriteByte('W')
			case r > 0x8000:
				s.WriteByte('R')
			case g > 0x8000:
				s.WriteByte('G')
			case bl > 0x8000:
				s.WriteByte('B')
			}
		}
	}
	return s.String()
}

// exif is an APP1 segment with an orientation and a text that must not stay.
func exif(order binary.AppendByteOrder, mark string, orientation uint16) []byte {
	t := []byte(mark)
	t = order.AppendUint16(t, 42)
	t = order.AppendUint32(t, 8)
	t = order.AppendUint16(t, 2)
	for _, e := range [][4]uint16{{0x10f, 2, 4, 0}, {0x112, 3, 1, orientation}} {
		t = order.AppendUint16(t, e[0])
		t = order.AppendUint16(t, e[1])
		t = order.AppendUint32(t, uint32(e[2]))
		t = order.AppendUint16(t, e[3])
		t = order.AppendUint16(t, 0)
	}
	body := append([]byte("Exif\x00\x00"), t...)
	body = append(body, "GPS 48.8584 2.2945"...)
	return append([]byte{0xff, 0xe1, byte((len(body) + 2) >> 8), byte(len(body) + 2)}, body...)
}

func remade(t *testing.T, b []byte, typ string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := remake(&out, bytes.NewReader(b), typ, 1_000_000); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestJPEGIsTurnedAndLosesItsMetadata(t *testing.T) {
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, corners(65, 33), nil); err != nil {
		t.Fatal(err)
	}
	// What a viewer shows (Exif 2.3, 4.6.4 A): 6 is to be turned clockwise.
	for o, want := range map[uint16]string{0: "RGBW", 1: "RGBW", 2: "GRWB", 3: "WBGR", 4: "BWRG", 5: "RBGW", 6: "BRWG", 7: "WGBR", 8: "GWRB", 9: "RGBW"} {
		for mark, order := range map[string]binary.AppendByteOrder{"II*\x00": binary.LittleEndian, "MM\x00*": binary.BigEndian} {
			with := append(append([]byte{0xff, 0xd8}, exif(order, mark[:2], o)...), plain.Bytes()[2:]...)
			out := remade(t, with, "image/jpeg")
			m, err := jpeg.Decode(bytes.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			if got := look(m); got != want || (m.Bounds().Dx() == 33) != (o >= 5 && o <= 8) {
				t.Errorf("orientation %d %s: %s of %v, want %s", o, mark[:2], got, m.Bounds(), want)
			}
			if bytes.Contains(out, []byte("GPS")) || bytes.Contains(out, []byte("Exif")) {
				t.Error("metadata is left")
			}
		}
	}
}

func TestGrayAndTurnedImagesOfAllKinds(t *testing.T) {
	gray := image.NewGray(image.Rect(0, 0, 40, 20))
	for _, r := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio440,
		image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		for o := range 10 {
			for _, m := range []image.Image{gray, image.NewYCbCr(image.Rect(0, 0, 41, 21), r), image.NewCMYK(image.Rect(0, 0, 7, 3))} {
				want := m.Bounds().Dx()
				if o >= 5 && o <= 8 {
					want = m.Bounds().Dy()
				}
				if got := orient(m, o); got.Bounds().Dx() != want {
					t.Errorf("%T %v, orientation %d: %v", m, r, o, got.Bounds())
				}
			}
		}
	}
}

func TestPNGLosesItsText(t *testing.T) {
	var plain bytes.Buffer
	if err := png.Encode(&plain, corners(20, 10)); err != nil {
		t.Fatal(err)
	}
	out := remade(t, append(plain.Bytes(), "<script>GPS</script>"...), "image/png")
	m, err := png.Decode(bytes.NewReader(out))
	if err != nil || look(m) != "RGBW" || bytes.Contains(out, []byte("GPS")) {
		t.Errorf("%v, %v", look(m), err)
	}
}

func TestGIFKeepsItsFramesAndLosesComments(t *testing.T) {
	g := &gif.GIF{LoopCount: 3}
	for i := range 3 {
		p := image.NewPaletted(image.Rect(0, 0, 30, 20), color.Palette{color.Black, color.White})
		p.SetColorIndex(i, i, 1)
		g.Image, g.Delay = append(g.Image, p), append(g.Delay, 7)
	}
	var plain bytes.Buffer
	if err := gif.EncodeAll(&plain, g); err != nil {
		t.Fatal(err)
	}
	b := plain.Bytes()
	with := append(append(append([]byte{}, b[:len(b)-1]...), "!\xfe\x03GPS\x00"...), ';')
	out := remade(t, with, "image/gif")
	again, err := gif.DecodeAll(bytes.NewReader(out))
	if err != nil || len(again.Image) != 3 || again.LoopCount != 3 || again.Delay[1] != 7 || bytes.Contains(out, []byte("GPS")) {
		t.Errorf("%+v, %v", again, err)
	}
	if n, err := gifPixels(bufio.NewReader(bytes.NewReader(with))); err != nil || n != 4*30*20 {
		t.Errorf("%d pixels, %v", n, err)
	}
	if err := remake(io.Discard, bytes.NewReader(with), "image/gif", 1000); err == nil {
		t.Error("a GIF of more pixels than allowed was taken")
	}
}

// tiny is a WebP of 1 by 1 pixel, lossy and lossless with transparency.
var tiny = map[string]string{
	"lossy":    "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA",
	"lossless": "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==",
}

func TestWebPBecomesJPEGOrPNG(t *testing.T) {
	for name, format := range map[string]string{"lossy": "jpeg", "lossless": "png"} {
		b, err := base64.StdEncoding.DecodeString(tiny[name])
		if err != nil {
			t.Fatal(err)
		}
		c, got, err := image.DecodeConfig(bytes.NewReader(remade(t, b, "image/webp")))
		if err != nil || got != format || c.Width != 1 {
			t.Errorf("%s is %s %+v, %v", name, got, c, err)
		}
	}
}

// A file of some bytes that says it has 20000 by 20000 pixels is refused before
// anything is decoded.
func TestImageOfTooManyPixelsIsRefused(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	lie := b.Bytes()
	binary.BigEndian.PutUint32(lie[16:], 20000)
	binary.BigEndian.PutUint32(lie[20:], 20000)
	for _, n := range []int{1_000_000, 24_000_000} {
		if err := remake(io.Discard, bytes.NewReader(lie), "image/png", n); err == nil {
			t.Error("it was taken")
		}
	}
	if err := checkPixels(image.Config{Width: 1000, Height: 1000, ColorModel: color.NRGBA64Model}, 1_500_000); err == nil {
		t.Error("16 bits a channel count twice")
	}
}

func TestDayFoldersAndAvatarKeysAreTold(t *testing.T) {
	for name, want := range map[string]bool{"2026-11-23": true, "2026-13-01": false, "2026-1-1": false, "notes": false, "2026-11-23x": false} {
		if _, got := folderDay(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for key, want := range map[string]bool{
		strings.Repeat("a1", 16): true, strings.Repeat("A1", 16): false, strings.Repeat("a", 31): false, strings.Repeat("a", 28) + ".jpg": false,
	} {
		if got := Replaceable(key); got != want {
			t.Errorf("%s: %v", key, got)
		}
	}
}

func FuzzOrientation(f *testing.F) {
	f.Add(append([]byte{0xff, 0xd8}, exif(binary.BigEndian, "MM", 6)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o := orientation(bufio.NewReader(bytes.NewReader(b))); o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
	})
}

func FuzzGIFPixels(f *testing.F) {
	f.Add([]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := gifPixels(bufio.NewReader(bytes.NewReader(b))); err == nil && n < 0 {
			t.Errorf("%d pixels", n)
		}
	})
}

func FuzzObjectKey(f *testing.F) {
	for _, s := range []string{"~", "YS9iLmpwZw==", "Li4veA", "", "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		key, err := objectKey(encoded)
		if err != nil || key == "" {
			return
		}
		if stored, err := storedKey(7, key); err == nil && (!strings.HasPrefix(stored, "u/7/") || strings.Contains(stored, "..") && strings.Contains(stored, "/.")) {
			t.Errorf("%q is stored as %q", encoded, stored)
		}
	})
}

func FuzzParsePart(f *testing.F) {
	f.Add("00001-d41d8cd98f00b204e9800998ecf8427e-16")
	f.Fuzz(func(t *testing.T, name string) {
		if p, ok := parsePart(name); ok && p.name() != name {
			t.Errorf("%q is %+v", name, p)
		}
	})
}
