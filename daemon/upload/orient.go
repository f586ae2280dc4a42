package upload

import (
	"bufio"
	"encoding/binary"
	"image"
	"io"
)

// orientation reads how a JPEG is to be turned, 1 to 8 (Exif 2.3, 4.6.4 A); 1,
// which is not at all, when it does not say.
func orientation(r *bufio.Reader) int {
	if _, err := r.Discard(2); err != nil {
		return 1
	}
	for range 64 { // segments before the picture
		marker, body, err := jpegSegment(r)
		if err != nil || marker == 0xda {
			return 1
		}
		if marker == 0xe1 && len(body) > 6 && string(body[:6]) == "Exif\x00\x00" {
			return tiffOrientation(body[6:])
		}
	}
	return 1
}

// jpegSegment reads a segment; the one that starts the picture has no body here.
func jpegSegment(r *bufio.Reader) (marker byte, body []byte, err error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint16(b[2:])) - 2
	if b[0] != 0xff || n < 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	if b[1] != 0xe1 {
		_, err := r.Discard(n)
		return b[1], nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return b[1], body, err
}

// tiffOrientation looks for tag 0x112 in the first directory.
func tiffOrientation(b []byte) int {
	var order binary.ByteOrder
	switch {
	case len(b) < 8:
		return 1
	case string(b[:2]) == "II":
		order = binary.LittleEndian
	case string(b[:2]) == "MM":
		order = binary.BigEndian
	default:
		return 1
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return 1
	}
	entries := b[at+2:]
	for range order.Uint16(b[at:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == 0x112 {
			if o := int(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}

// source says for each orientation which pixel of an image of w by h goes to x, y.
func source(o, w, h, x, y int) (sx, sy int) {
	switch o {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return y, h - 1 - x
	case 7:
		return w - 1 - y, h - 1 - x
	case 8:
		return w - 1 - y, x
	}
	return x, y
}

// orient turns an image as its orientation says.
func orient(img image.Image, o int) image.Image {
	if o < 2 || o > 8 {
		return img
	}
	if y, ok := img.(*image.YCbCr); ok {
		if ratio, ok := turnedRatio(y.SubsampleRatio, o); ok {
			return orientYCbCr(y, ratio, o)
		}
	}
	b := img.Bounds()
	out := image.NewRGBA(turnedRect(b, o))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			sx, sy := source(o, b.Dx(), b.Dy(), x, y)
			out.Set(x, y, img.At(b.Min.X+sx, b.Min.Y+sy))
		}
	}
	return out
}

func turnedRect(b image.Rectangle, o int) image.Rectangle {
	if o >= 5 {
		return image.Rect(0, 0, b.Dy(), b.Dx())
	}
	return image.Rect(0, 0, b.Dx(), b.Dy())
}

// turnedRatio says how the colours of a turned image are subsampled, if that has
// a name.
func turnedRatio(r image.YCbCrSubsampleRatio, o int) (image.YCbCrSubsampleRatio, bool) {
	switch {
	case o < 5, r == image.YCbCrSubsampleRatio444, r == image.YCbCrSubsampleRatio420:
		return r, true
	case r == image.YCbCrSubsampleRatio422:
		return image.YCbCrSubsampleRatio440, true
	case r == image.YCbCrSubsampleRatio440:
		return image.YCbCrSubsampleRatio422, true
	}
	return 0, false
}

// orientYCbCr turns the planes, which takes half the memory of turning pixels.
func orientYCbCr(in *image.YCbCr, ratio image.YCbCrSubsampleRatio, o int) image.Image {
	w, h := in.Rect.Dx(), in.Rect.Dy()
	out := image.NewYCbCr(turnedRect(in.Rect, o), ratio)
	turnPlane(out.Y, out.YStride, in.Y, in.YStride, w, h, o)
	cw, ch := chromaSize(in.SubsampleRatio, w, h)
	turnPlane(out.Cb, out.CStride, in.Cb, in.CStride, cw, ch, o)
	turnPlane(out.Cr, out.CStride, in.Cr, in.CStride, cw, ch, o)
	return out
}

func chromaSize(r image.YCbCrSubsampleRatio, w, h int) (cw, ch int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return (w + 1) / 2, h
	case image.YCbCrSubsampleRatio420:
		return (w + 1) / 2, (h + 1) / 2
	case image.YCbCrSubsampleRatio440:
		return w, (h + 1) / 2
	case image.YCbCrSubsampleRatio411:
		return (w + 3) / 4, h
	case image.YCbCrSubsampleRatio410:
		return (w + 3) / 4, (h + 1) / 2
	}
	return w, h
}

// turnPlane turns a plane of w by h.
func turnPlane(out []byte, outStride int, in []byte, inStride, w, h, o int) {
	ow, oh := w, h
	if o >= 5 {
		ow, oh = h, w
	}
	for y := range oh {
		for x := range ow {
			sx, sy := source(o, w, h, x, y)
			out[y*outStride+x] = in[sy*inStride+sx]
		}
	}
}
