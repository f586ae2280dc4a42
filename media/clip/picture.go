package clip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	coverWidth   = 800
	coverHeight  = 2000 // of very tall clips
	coverBytes   = 80 << 10
	coverSeconds = 6 // in which a good picture is looked for
	coverRate    = 5 // pictures of each second that are looked at

	thumbs     = 10
	thumbWidth = 160
	thumbTall  = 480
	stripBytes = 200 << 10

	pictureLimit = 2 * time.Minute
)

// A cover must be lighter and richer than this, of 255.
const (
	leastMean      = 24
	leastDeviation = 8
)

// errNoPicture is inside an FFmpegError when nothing could be decoded.
var errNoPicture = errors.New("no picture could be decoded")

// cover writes cover.jpg: the first picture of the first seconds that is
// neither black nor blank, or the richest of them.
func (c *Clipper) cover(ctx context.Context, dir string, plan Plan, l list) error {
	w, h := box(plan.Width, plan.Height, coverWidth, coverHeight)
	var best *image.YCbCr
	most := -1.0
	err := c.frames(ctx, l.first(coverSeconds), w, h, frames{filter: fmt.Sprintf("fps=%d", coverRate)}, func(m *image.YCbCr) bool {
		mean, deviation := luma(m)
		if deviation > most {
			best, most = m, deviation
		}
		if mean >= leastMean && deviation >= leastDeviation {
			best = m
			return false
		}
		return true
	})
	if err == nil && best == nil {
		err = ffmpegError("", errNoPicture)
	}
	if err != nil {
		return fmt.Errorf("cover: %w", err)
	}
	return writeJPEG(filepath.Join(dir, Cover), best, coverBytes)
}

// storyboard writes storyboard.jpg: thumbnails side by side, of times evenly
// spaced. Each is the key frame before its time.
func (c *Clipper) storyboard(ctx context.Context, dir string, plan Plan, l list) error {
	w, h := box(plan.Width, plan.Height, thumbWidth, thumbTall)
	strip := image.NewRGBA(image.Rect(0, 0, w*thumbs, h))
	var last *image.YCbCr
	n := 0
	paste := func(m *image.YCbCr) bool {
		draw.Draw(strip, image.Rect(n*w, 0, (n+1)*w, h), m, image.Point{}, draw.Src)
		last = m
		n++
		return n < thumbs
	}
	f := frames{keyOnly: true, filter: fmt.Sprintf("setpts=PTS-STARTPTS,fps=%d/%.3f", thumbs, max(l.seconds(), 0.1))}
	err := c.frames(ctx, l.spread(thumbs), w, h, f, paste)
	if err == nil && last == nil {
		err = ffmpegError("", errNoPicture)
	}
	if err != nil {
		return fmt.Errorf("storyboard: %w", err)
	}
	for n < thumbs { // the last key frame lasts to the end
		paste(last)
	}
	return writeJPEG(filepath.Join(dir, Storyboard), strip, stripBytes)
}

// box is the size inside w0 by h0 with the aspect of w by h, never larger than w
// by h.
func box(w, h, w0, h0 int) (int, int) {
	scale := min(1, float64(w0)/float64(w), float64(h0)/float64(h))
	return max(1, int(math.Round(float64(w)*scale))), max(1, int(math.Round(float64(h)*scale)))
}

// frames says which pictures of segments are wanted.
type frames struct {
	keyOnly bool
	filter  string
}

// frames decodes segments and hands over pictures of a size until f answers
// false. Pictures belong to f.
func (c *Clipper) frames(ctx context.Context, l list, w, h int, what frames, f func(*image.YCbCr) bool) error {
	bin, err := c.ffmpeg()
	if err != nil {
		return err
	}
	in := &reader{rest: l}
	defer in.Close()
	args := append(globalArgs(c.cfg.Threads), "-copyts", "-threads", strconv.Itoa(c.cfg.Threads), "-codec_whitelist", decoders)
	if what.keyOnly {
		args = append(args, "-skip_frame", "nokey")
	}
	args = append(args, "-f", string(MPEGTS), "-i", "pipe:0", "-an", "-vf",
		fmt.Sprintf("%s,scale=%d:%d:out_range=full:out_color_matrix=bt601,format=yuvj420p", what.filter, w, h),
		"-f", "rawvideo", "-pix_fmt", "yuvj420p", "pipe:1")
	return c.run(ctx, task{
		bin: bin, args: args, dir: "/", stdin: in, limit: pictureLimit,
		read: func(r io.Reader) error { return readFrames(r, w, h, f) },
	})
}

func readFrames(r io.Reader, w, h int, f func(*image.YCbCr) bool) error {
	for {
		m := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
		for _, plane := range [][]byte{m.Y, m.Cb, m.Cr} {
			if _, err := io.ReadFull(r, plane); err != nil {
				return nil // the exit status says whether that is the end
			}
		}
		if !f(m) {
			return errEnough
		}
	}
}

// luma is the mean and the standard deviation of the brightness.
func luma(m *image.YCbCr) (mean, deviation float64) {
	var sum, squares float64
	for _, y := range m.Y {
		v := float64(y)
		sum += v
		squares += v * v
	}
	n := float64(max(1, len(m.Y)))
	mean = sum / n
	return mean, math.Sqrt(max(0, squares/n-mean*mean))
}

// writeJPEG writes a baseline JPEG, of the best quality that fits.
func writeJPEG(path string, m image.Image, most int) error {
	var b bytes.Buffer
	for q := 85; q > 20; q -= 15 {
		b.Reset()
		if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: q}); err != nil {
			return fmt.Errorf("picture: %w", err)
		}
		if b.Len() <= most {
			break
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	return nil
}
