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

// pictures writes the storyboard and the cover. Usually the first key frame is
// good enough for a cover; if not, the segments are searched.
func (c *Clipper) pictures(ctx context.Context, dir string, keys []*image.YCbCr, l list) error {
	if err := writeJPEG(filepath.Join(dir, Storyboard), strip(keys), stripBytes); err != nil {
		return err
	}
	cover := keys[0]
	if !good(luma(cover)) {
		var err error
		if cover, err = c.richest(ctx, l, cover.Rect.Dx(), cover.Rect.Dy()); err != nil {
			return fmt.Errorf("cover: %w", err)
		}
	}
	return writeJPEG(filepath.Join(dir, Cover), cover, coverBytes)
}

// keyFrames are the key frames before evenly spaced times, as many as there are
// thumbnails and as large as a cover. Where there is none the one before stands
// again.
func (c *Clipper) keyFrames(ctx context.Context, from feed, plan Plan, seconds float64) ([]*image.YCbCr, error) {
	w, h := box(plan.Width, plan.Height, coverWidth, coverHeight)
	seconds = max(seconds, 0.1)
	filter := fmt.Sprintf("setpts=PTS-STARTPTS,%s,fps=%d/%.3f", goOn(seconds), thumbs, seconds)
	from.args = append([]string{"-skip_frame", "nokey"}, from.args...)
	var all []*image.YCbCr
	err := c.frames(ctx, from, w, h, filter, func(m *image.YCbCr) bool {
		all = append(all, m)
		return len(all) < thumbs
	})
	if err == nil && len(all) == 0 {
		err = ffmpegError("", errNoPicture)
	}
	if err != nil {
		return nil, fmt.Errorf("key frames: %w", err)
	}
	for len(all) < thumbs {
		all = append(all, all[len(all)-1])
	}
	return all, nil
}

// richest is the first picture of the first seconds that is good, or the one
// with the largest differences in brightness.
func (c *Clipper) richest(ctx context.Context, l list, w, h int) (*image.YCbCr, error) {
	var best *image.YCbCr
	most := -1.0
	filter := fmt.Sprintf("%s,fps=%d", goOn(1), coverRate)
	err := c.frames(ctx, segmentFeed(l.first(coverSeconds)), w, h, filter, func(m *image.YCbCr) bool {
		mean, deviation := luma(m)
		found := good(mean, deviation)
		if found || deviation > most {
			best, most = m, deviation
		}
		return !found
	})
	if err == nil && best == nil {
		err = ffmpegError("", errNoPicture)
	}
	return best, err
}

// goOn is a filter that repeats the last picture: fps shows none that has none
// after it.
func goOn(seconds float64) string {
	return fmt.Sprintf("tpad=stop_mode=clone:stop_duration=%.3f", seconds)
}

// good says whether a picture of this brightness is neither black nor blank.
func good(mean, deviation float64) bool { return mean >= leastMean && deviation >= leastDeviation }

// strip puts pictures side by side as thumbnails.
func strip(all []*image.YCbCr) image.Image {
	size := all[0].Rect.Size()
	w, h := box(size.X, size.Y, thumbWidth, thumbTall)
	s := image.NewRGBA(image.Rect(0, 0, w*len(all), h))
	for i, m := range all {
		draw.Draw(s, image.Rect(i*w, 0, (i+1)*w, h), shrink(m, w, h), image.Point{}, draw.Src)
	}
	return s
}

// shrink makes a picture smaller; each pixel is the average of those it stands
// for.
func shrink(m *image.YCbCr, w, h int) *image.YCbCr {
	small := image.NewYCbCr(image.Rect(0, 0, w, h), m.SubsampleRatio)
	shrinkPlane(small.Y, small.YStride, m.Y, m.YStride)
	shrinkPlane(small.Cb, small.CStride, m.Cb, m.CStride)
	shrinkPlane(small.Cr, small.CStride, m.Cr, m.CStride)
	return small
}

// shrinkPlane takes planes without padding, of these widths.
func shrinkPlane(dst []byte, dw int, src []byte, sw int) {
	dh, sh := len(dst)/dw, len(src)/sw
	for i := range dst {
		x, y := i%dw, i/dw
		sum, n := 0, 0
		for sy := y * sh / dh; sy < max((y+1)*sh/dh, y*sh/dh+1); sy++ {
			for sx := x * sw / dw; sx < max((x+1)*sw/dw, x*sw/dw+1); sx++ {
				sum += int(src[sy*sw+sx])
				n++
			}
		}
		dst[i] = byte(sum / n)
	}
}

// box is the size inside w0 by h0 with the aspect of w by h, never larger than w
// by h.
func box(w, h, w0, h0 int) (int, int) {
	scale := min(1, float64(w0)/float64(w), float64(h0)/float64(h))
	return max(1, int(math.Round(float64(w)*scale))), max(1, int(math.Round(float64(h)*scale)))
}

// feed is where pictures come from: the options of an input, and what it reads
// when that is a pipe.
type feed struct {
	args  []string
	stdin *reader
}

// sourceFeed reads a file that was uploaded, of its pictures no more than the
// key frames where the format allows it.
func (c *Clipper) sourceFeed(format Format, src string) (feed, error) {
	args, err := c.input(format, src)
	return feed{args: append([]string{"-discard:v", "nokey", "-discard:a", "all"}, args...)}, err
}

// segmentFeed reads segments of ours. Their times are kept, or ffmpeg would
// close the gaps between those that are not neighbours.
func segmentFeed(l list) feed {
	return feed{
		args:  []string{"-copyts", "-codec_whitelist", decoders, "-f", string(MPEGTS), "-i", "pipe:0"},
		stdin: &reader{rest: l},
	}
}

// frames decodes a feed and hands over what a filter leaves, in a size, until f
// answers false. The pictures are f's to keep.
func (c *Clipper) frames(ctx context.Context, from feed, w, h int, filter string, f func(*image.YCbCr) bool) error {
	bin, err := c.ffmpeg()
	if err != nil {
		return err
	}
	args := append(globalArgs(c.cfg.Threads), "-threads", strconv.Itoa(c.cfg.Threads))
	args = append(args, from.args...)
	args = append(args, "-map", "0:V:0", "-vf",
		fmt.Sprintf("%s,scale=%d:%d:out_range=full:out_color_matrix=bt601,format=yuvj420p", filter, w, h),
		"-f", "rawvideo", "-pix_fmt", "yuvj420p", "pipe:1")
	t := task{
		bin: bin, args: args, dir: "/", limit: pictureLimit,
		read: func(r io.Reader) error { return readFrames(r, w, h, f) },
	}
	if from.stdin != nil {
		defer from.stdin.Close()
		t.stdin = from.stdin
	}
	return c.run(ctx, t)
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
