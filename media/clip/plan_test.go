package clip_test

import (
	"testing"
	"time"

	"gtiv/media/clip"
)

// copied is a file that can be copied as it is.
func copied() clip.Info {
	return clip.Info{
		Format: clip.MOV, Width: 1080, Height: 1920, Duration: 10 * time.Second,
		Video: clip.Video{
			Codec: "h264", Profile: "High", PixelFormat: "yuv420p", Rate: clip.Rate{Num: 30, Den: 1}, Nominal: clip.Rate{Num: 30, Den: 1},
			KeyGap: 6 * time.Second, StartsWithKey: true, Duration: 10 * time.Second,
		},
		Audio: &clip.Audio{Codec: "aac", Profile: "LC", Channels: 2, Rate: 48000, Duration: 10 * time.Second},
	}
}

func TestPlanCopiesWhatPhonesPlay(t *testing.T) {
	for _, v := range []struct {
		name         string
		change       func(*clip.Info)
		video, audio bool
	}{
		{"as it is", func(*clip.Info) {}, true, true},
		{"baseline", func(i *clip.Info) { i.Video.Profile = "Constrained Baseline" }, true, true},
		{"full range", func(i *clip.Info) { i.Video.PixelFormat = "yuvj420p" }, true, true},
		{"high 10", func(i *clip.Info) { i.Video.Profile, i.Video.PixelFormat = "High 10", "yuv420p10le" }, false, true},
		{"4:2:2", func(i *clip.Info) { i.Video.PixelFormat = "yuv422p" }, false, true},
		{"hevc", func(i *clip.Info) { i.Video.Codec, i.Video.Profile = "hevc", "Main" }, false, true},
		{"turned", func(i *clip.Info) { i.Rotation = 90 }, false, true},
		{"mirrored", func(i *clip.Info) { i.Mirrored = true }, false, true},
		{"rare key frames", func(i *clip.Info) { i.Video.KeyGap = 6001 * time.Millisecond }, false, true},
		{"starts in the middle", func(i *clip.Info) { i.Video.StartsWithKey = false }, false, true},
		{"long sound", func(i *clip.Info) { i.Audio.Duration = time.Minute }, false, true},
		{"avi", func(i *clip.Info) { i.Format = clip.AVI }, false, false},
		{"program stream", func(i *clip.Info) { i.Format = clip.MPEGPS }, false, false},
		{"he-aac", func(i *clip.Info) { i.Audio.Profile = "HE-AAC" }, true, false},
		{"opus", func(i *clip.Info) { i.Audio.Codec = "opus" }, true, false},
		{"5.1", func(i *clip.Info) { i.Audio.Channels = 6 }, true, false},
		{"96 kHz", func(i *clip.Info) { i.Audio.Rate = 96000 }, true, false},
		{"no sound", func(i *clip.Info) { i.Audio = nil }, true, false},
	} {
		i := copied()
		v.change(&i)
		p := i.Plan(6 * time.Second)
		if p.CopyVideo != v.video || p.CopyAudio != v.audio || (p.Why == "") != v.video {
			t.Errorf("%s: video copied %v (%s), audio %v", v.name, p.CopyVideo, p.Why, p.CopyAudio)
		}
	}
}

func TestPlanKeepsEncodedPicturesWithinBounds(t *testing.T) {
	for _, v := range []struct{ w, h, wantW, wantH int }{
		{1080, 1920, 1080, 1920},
		{3840, 2160, 1920, 1080},
		{2160, 3840, 1080, 1920},
		{101, 55, 102, 56},
		{1, 1, 2, 2},
		{4096, 1, 1920, 2},
	} {
		i := copied()
		i.Video.Codec, i.Width, i.Height = "vp9", v.w, v.h
		if p := i.Plan(time.Second); p.Width != v.wantW || p.Height != v.wantH {
			t.Errorf("%dx%d becomes %dx%d", v.w, v.h, p.Width, p.Height)
		}
	}
}

func TestPlanChoosesASaneRate(t *testing.T) {
	for _, v := range []struct{ nominal, average, want clip.Rate }{
		{clip.Rate{Num: 30, Den: 1}, clip.Rate{Num: 298, Den: 10}, clip.Rate{Num: 30, Den: 1}},
		{clip.Rate{Num: 30000, Den: 1001}, clip.Rate{Num: 30000, Den: 1001}, clip.Rate{Num: 30000, Den: 1001}},
		{clip.Rate{Num: 90000, Den: 1}, clip.Rate{Num: 24, Den: 1}, clip.Rate{Num: 24, Den: 1}},
		{clip.Rate{Num: 240, Den: 1}, clip.Rate{Num: 240, Den: 1}, clip.Rate{Num: 60, Den: 1}},
		{clip.Rate{Num: 1, Den: 10}, clip.Rate{Num: 1, Den: 10}, clip.Rate{Num: 10, Den: 1}},
		{clip.Rate{}, clip.Rate{}, clip.Rate{Num: 10, Den: 1}},
	} {
		i := copied()
		i.Video.Codec, i.Video.Nominal, i.Video.Rate = "hevc", v.nominal, v.average
		if got := i.Plan(time.Second).Rate; got != v.want {
			t.Errorf("%v and %v become %v, want %v", v.nominal, v.average, got, v.want)
		}
	}
}

func TestPlanHoldsTheLastPictureWhileSoundGoesOn(t *testing.T) {
	i := copied()
	i.Audio.Duration = time.Minute
	if p := i.Plan(6 * time.Second); p.Hold != 50*time.Second {
		t.Errorf("held for %v", p.Hold)
	}
}
