package clip

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stream is what ffprobe says of a stream.
type stream struct {
	Index       int    `json:"index"`
	Type        string `json:"codec_type"`
	Codec       string `json:"codec_name"`
	Profile     string `json:"profile"`
	PixelFormat string `json:"pix_fmt"`
	Level       int    `json:"level"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Aspect      string `json:"sample_aspect_ratio"`
	Nominal     string `json:"r_frame_rate"`
	Rate        string `json:"avg_frame_rate"`
	BFrames     int    `json:"has_b_frames"`
	Channels    int    `json:"channels"`
	SampleRate  string `json:"sample_rate"`
	Transfer    string `json:"color_transfer"`
	Disposition struct {
		Picture int `json:"attached_pic"`
	} `json:"disposition"`
	SideData []struct {
		Matrix   string  `json:"displaymatrix"`
		Rotation float64 `json:"rotation"`
	} `json:"side_data_list"`
}

// info judges what was scanned.
func (s *scan) info(format Format, size int64) (Info, error) {
	i := Info{Format: format, Bytes: size, Streams: len(s.streams)}
	if i.Streams > maxStreams {
		return i, refuse(Bomb, "%d streams", i.Streams)
	}
	if err := s.findVideo(&i); err != nil {
		return i, err
	}
	s.findAudio(&i)
	i.Duration = i.Video.Duration
	if i.Audio != nil {
		i.Duration = max(i.Duration, i.Audio.Duration)
	}
	if i.Duration > 0 {
		i.BitRate = int(float64(size) * 8 / 1000 / i.Duration.Seconds())
	}
	return i, s.checkDeclared(format, i.Duration)
}

// findVideo takes the first stream of pictures that is not a cover.
func (s *scan) findVideo(i *Info) error {
	n := slices.IndexFunc(s.streams, func(v stream) bool { return v.Type == "video" && v.Disposition.Picture == 0 })
	if n < 0 {
		return refuse(NoVideo, "no stream of pictures among %d", len(s.streams))
	}
	v := s.streams[n]
	if !knownCodec(v.Codec) {
		return refuse(Unsupported, "pictures are %q", v.Codec)
	}
	t, err := s.tallyOf(v)
	if err != nil {
		return err
	}
	i.Rotation, i.Mirrored = v.turn()
	i.Width, i.Height = v.shownSize(i.Rotation)
	i.Video = Video{
		Index: v.Index, Codec: v.Codec, Profile: v.Profile, PixelFormat: v.PixelFormat, Level: v.Level,
		Rate: parseRate(v.Rate), Nominal: parseRate(v.Nominal), BFrames: v.BFrames > 0,
		HDR:    v.Transfer == "smpte2084" || v.Transfer == "arib-std-b67",
		KeyGap: duration(t.keyGap()), StartsWithKey: t.startsWithKey, Duration: duration(t.span()),
	}
	return nil
}

func (s *scan) tallyOf(v stream) (*tally, error) {
	if v.Index < 0 || v.Index >= maxStreams {
		return nil, refuse(Bomb, "stream number %d", v.Index)
	}
	t := &s.tallies[v.Index]
	switch {
	case t.packets == 0:
		return nil, refuse(Broken, "there are no pictures in it")
	case hugePicture.MatchString(s.said):
		return nil, refuse(TooLarge, "more pixels than are decoded here")
	case v.Width <= 0 || v.Height <= 0:
		return nil, refuse(Broken, "its pictures have no size")
	}
	return t, nil
}

// findAudio takes the first stream of sound that can be decoded and has some.
func (s *scan) findAudio(i *Info) {
	for _, a := range s.streams {
		if a.Type != "audio" || !knownCodec(a.Codec) || a.Index < 0 || a.Index >= maxStreams {
			continue
		}
		rate, _ := strconv.Atoi(a.SampleRate)
		t := &s.tallies[a.Index]
		if t.packets == 0 || rate <= 0 || a.Channels <= 0 {
			continue
		}
		i.Audio = &Audio{Index: a.Index, Codec: a.Codec, Profile: a.Profile, Channels: a.Channels, Rate: rate, Duration: duration(t.span())}
		return
	}
}

// checkDeclared holds what the header says against what was found. Formats
// without a header have nothing to say.
func (s *scan) checkDeclared(format Format, found time.Duration) error {
	if strings.Contains(s.said, partialFile) {
		return refuse(Truncated, "parts of it are not there")
	}
	declared, ok := s.format.Duration.value()
	if !ok || format == MPEGTS || format == MPEGPS {
		return nil
	}
	if declared > s.longest+1 {
		return refuse(TooLong, "%.0f s", declared)
	}
	if found.Seconds() < declared*0.95-1 {
		return refuse(Truncated, "%.1f s of %.1f s are there", found.Seconds(), declared)
	}
	return nil
}

// knownCodec says whether one of decoders decodes a codec. The names of codecs
// and of their native decoders are the same, with few exceptions.
func knownCodec(name string) bool {
	switch name {
	case "amr_nb", "amr_wb", "flv1", "msmpeg4v3":
		return true
	}
	return slices.Contains(strings.Split(decoders, ","), name)
}

// turn is by how many degrees clockwise the picture must be turned, to the
// nearest quarter, and whether it is a mirror image.
func (v stream) turn() (degrees int, mirrored bool) {
	for _, d := range v.SideData {
		if d.Matrix == "" {
			continue
		}
		quarters := int(math.Round(-d.Rotation / 90))
		return (quarters%4 + 4) % 4 * 90, isMirror(d.Matrix)
	}
	return 0, false
}

// isMirror computes the determinant of a matrix as ffprobe prints it: rows of
// three numbers with an address before them.
func isMirror(matrix string) bool {
	var m []float64
	for _, f := range strings.Fields(matrix) {
		if v, err := strconv.ParseFloat(f, 64); err == nil {
			m = append(m, v)
		}
	}
	return len(m) == 9 && m[0]*m[4]-m[1]*m[3] < 0
}

// shownSize is the size on a screen, whose pixels are square.
func (v stream) shownSize(rotation int) (w, h int) {
	w, h = v.Width, v.Height
	num, den, ok := strings.Cut(v.Aspect, ":")
	n, errN := strconv.Atoi(num)
	d, errD := strconv.Atoi(den)
	// Beyond 4:1 it is nonsense, and ignored as players ignore it.
	if ok && errN == nil && errD == nil && n > 0 && d > 0 && n/d < 4 && d/n < 4 {
		w = max(1, int(math.Round(float64(w)*float64(n)/float64(d))))
	}
	if rotation%180 != 0 {
		return h, w
	}
	return w, h
}

func parseRate(s string) Rate {
	num, den, _ := strings.Cut(s, "/")
	n, errN := strconv.Atoi(num)
	d, errD := strconv.Atoi(den)
	if errN != nil || errD != nil || n <= 0 || d <= 0 {
		return Rate{}
	}
	return Rate{n, d}
}
