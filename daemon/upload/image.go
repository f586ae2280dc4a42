package upload

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/webp"
)

// jpegQuality loses little that the first encoding had not lost.
const jpegQuality = 90

// remake decodes an image and encodes its pixels anew, without anything else that
// was in the file. The type stays, but for WebP, which becomes JPEG, or PNG if it
// has transparency. Images of more than maxPixels are refused before they are
// decoded; of a GIF all frames count.
func remake(w io.Writer, r io.ReadSeeker, typ string, maxPixels int) error {
	buffered := bufio.NewWriter(w)
	var err error
	switch typ {
	case "image/jpeg":
		err = remakeJPEG(buffered, r, maxPixels)
	case "image/png":
		err = remakePNG(buffered, r, maxPixels)
	case "image/gif":
		err = remakeGIF(buffered, r, maxPixels)
	case "image/webp":
		err = remakeWebP(buffered, r, maxPixels)
	default:
		err = fmt.Errorf("no way to make %s anew", typ)
	}
	return errors.Join(err, buffered.Flush())
}

// decode decodes an image that is not too large.
func decode(r io.ReadSeeker, maxPixels int, config func(io.Reader) (image.Config, error), dec func(io.Reader) (image.Image, error)) (image.Image, error) {
	c, err := config(bufio.NewReader(r))
	if err != nil {
		return nil, err
	}
	if err := checkPixels(c, maxPixels); err != nil {
		return nil, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return dec(bufio.NewReader(r))
}

func checkPixels(c image.Config, maxPixels int) error {
	n := int64(c.Width) * int64(c.Height)
	if c.ColorModel == color.NRGBA64Model || c.ColorModel == color.RGBA64Model {
		n *= 2
	}
	if c.Width <= 0 || c.Height <= 0 || n > int64(maxPixels) {
		return fmt.Errorf("%d x %d pixels", c.Width, c.Height)
	}
	return nil
}

func remakeJPEG(w io.Writer, r io.ReadSeeker, maxPixels int) error {
	turn := orientation(bufio.NewReader(r))
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	img, err := decode(r, maxPixels, jpeg.DecodeConfig, jpeg.Decode)
	if err != nil {
		return err
	}
	return jpeg.Encode(w, orient(img, turn), &jpeg.Options{Quality: jpegQuality})
}

func remakePNG(w io.Writer, r io.ReadSeeker, maxPixels int) error {
	img, err := decode(r, maxPixels, png.DecodeConfig, png.Decode)
	if err != nil {
		return err
	}
	return png.Encode(w, img)
}

func remakeWebP(w io.Writer, r io.ReadSeeker, maxPixels int) error {
	img, err := decode(r, maxPixels, webp.DecodeConfig, webp.Decode)
	if err != nil {
		return err
	}
	if _, ok := img.(*image.YCbCr); ok {
		return jpeg.Encode(w, img, &jpeg.Options{Quality: jpegQuality})
	}
	return png.Encode(w, img)
}

func remakeGIF(w io.Writer, r io.ReadSeeker, maxPixels int) error {
	n, err := gifPixels(bufio.NewReader(r))
	if err != nil {
		return err
	}
	if n > int64(maxPixels)*2 { // a byte each
		return fmt.Errorf("%d pixels in all frames", n)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	g, err := gif.DecodeAll(bufio.NewReader(r))
	if err != nil {
		return err
	}
	return gif.EncodeAll(w, g)
}

// maxFrames bounds the frames of a GIF: each has a palette.
const maxFrames = 2000

// gifPixels counts the pixels of all frames without decoding them (GIF89a, 18-20
// and 23-26): a small file may have very many.
func gifPixels(r *bufio.Reader) (int64, error) {
	head := make([]byte, 13)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, err
	}
	if err := skipPalette(r, head[10]); err != nil {
		return 0, err
	}
	total := area(head[6:10])
	for range maxFrames * 3 { // frames have extensions
		n, end, err := gifBlock(r)
		if err != nil || end {
			return total, err
		}
		total += n
	}
	return 0, errors.New("too many frames")
}

// gifBlock skips one block and says how many pixels it has.
func gifBlock(r *bufio.Reader) (pixels int64, end bool, err error) {
	kind, err := r.ReadByte()
	if err != nil {
		return 0, false, err
	}
	switch kind {
	case ';':
		return 0, true, nil
	case '!':
		_, err := r.Discard(1)
		return 0, false, errors.Join(err, skipSubBlocks(r))
	case ',':
		n, err := gifFrame(r)
		return n, false, err
	}
	return 0, false, fmt.Errorf("unknown block %#x", kind)
}

func gifFrame(r *bufio.Reader) (int64, error) {
	d := make([]byte, 9)
	if _, err := io.ReadFull(r, d); err != nil {
		return 0, err
	}
	if err := skipPalette(r, d[8]); err != nil {
		return 0, err
	}
	if _, err := r.Discard(1); err != nil {
		return 0, err
	}
	return area(d[4:8]), skipSubBlocks(r)
}

// area multiplies two little-endian lengths.
func area(b []byte) int64 {
	return (int64(b[0]) | int64(b[1])<<8) * (int64(b[2]) | int64(b[3])<<8)
}

func skipPalette(r *bufio.Reader, flags byte) error {
	if flags&0x80 == 0 {
		return nil
	}
	_, err := r.Discard(3 << (flags&7 + 1))
	return err
}

func skipSubBlocks(r *bufio.Reader) error {
	for {
		n, err := r.ReadByte()
		if err != nil || n == 0 {
			return err
		}
		if _, err := r.Discard(int(n)); err != nil {
			return err
		}
	}
}
