package clip

import (
	"math"
	"slices"
	"time"
)

const (
	maxLongSide = 1920 // of what is encoded
	minRate     = 10   // pictures per second of what is encoded
	maxRate     = 60
)

// Plan is what is done with a file.
type Plan struct {
	CopyVideo bool
	CopyAudio bool
	Why       string // why the pictures are not copied
	Width     int    // of the result as it is shown, in pixels
	Height    int
	Rate      Rate          // pictures per second when they are encoded
	Sound     int           // samples per second when sound is encoded
	Hold      time.Duration // how long the last picture stays when sound lasts longer
}

// Plan decides what is copied and what is encoded. It depends on nothing but
// the Info and how far apart key frames may be.
func (i Info) Plan(keyEvery time.Duration) Plan {
	p := Plan{Why: i.whyEncode(keyEvery), Width: i.Width, Height: i.Height}
	p.CopyVideo = p.Why == ""
	if !p.CopyVideo {
		p.Width, p.Height = fit(i.Width, i.Height, maxLongSide)
		p.Rate = i.Video.encodedRate()
	}
	if i.Audio != nil {
		p.CopyAudio = i.Audio.canCopy() && i.copyable()
		p.Sound = i.Audio.encodedRate()
		p.Hold = max(0, i.Audio.Duration-i.Video.Duration)
	}
	return p
}

// whyEncode is why the pictures cannot be copied, "" when they can.
func (i Info) whyEncode(keyEvery time.Duration) string {
	v := i.Video
	switch {
	case !i.copyable():
		return "format"
	case v.Codec != "h264":
		return "codec"
	case !slices.Contains([]string{"Constrained Baseline", "Baseline", "Main", "High"}, v.Profile):
		return "profile"
	case v.PixelFormat != "yuv420p" && v.PixelFormat != "yuvj420p":
		return "pixel format"
	case i.Rotation != 0 || i.Mirrored:
		return "rotation"
	case !v.StartsWithKey || v.KeyGap > keyEvery:
		return "key frames"
	case i.Audio != nil && i.Audio.Duration-v.Duration > keyEvery:
		return "sound is longer" // one segment would be all of the rest
	}
	return ""
}

// copyable says whether the container has times that can be copied: AVI and
// MPEG program streams do not have all of them.
func (i Info) copyable() bool { return i.Format != AVI && i.Format != MPEGPS }

func (a Audio) canCopy() bool {
	return a.Codec == "aac" && a.Profile == "LC" && a.Rate <= 48000 && a.Channels <= 2
}

// encodedRate is 44100 or 48000, the one that is nearer to the source.
func (a Audio) encodedRate() int {
	if a.Rate%48000 == 0 || a.Rate%8000 == 0 {
		return 48000
	}
	return 44100
}

// encodedRate is a constant rate near that of the source. The nominal one is
// better when it is sane: the average of a phone's 30 is 29.8.
func (v Video) encodedRate() Rate {
	nominal, average := v.Nominal.Float(), v.Rate.Float()
	switch {
	case nominal >= max(average, minRate) && nominal <= maxRate:
		return v.Nominal
	case average >= minRate && average <= maxRate:
		return v.Rate
	case average > maxRate:
		return Rate{maxRate, 1}
	}
	return Rate{minRate, 1}
}

// fit makes both sides even and the long one at most long, keeping the aspect
// and never enlarging.
func fit(w, h, long int) (int, int) {
	scale := min(1, float64(long)/float64(max(w, h)))
	return even(float64(w) * scale), even(float64(h) * scale)
}

// even is the nearest even number of pixels, at least two.
func even(v float64) int { return max(2, 2*int(math.Round(v/2))) }

// maxBitRate is the most an encoded stream of pictures may take, in kbps. Most
// need far less; it keeps noise from filling the disk.
func maxBitRate(w, h int, r Rate) int {
	return max(500, int(float64(w)*float64(h)*min(r.Float(), maxRate)*0.15/1000))
}
