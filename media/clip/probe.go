package clip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	maxStreams = 32
	probeLimit = time.Minute
	// probeBytes bounds what ffprobe may say: far more than the packets of the
	// longest clip need.
	probeBytes = 256 << 20
	// packetsPerSecond bounds the packets of all streams together: 240 pictures
	// and a few streams of sound.
	packetsPerSecond = 1000
)

// Rate is pictures per second as a fraction. The zero value is unknown.
type Rate struct{ Num, Den int }

// Float is the rate in pictures per second, 0 when it is unknown.
func (r Rate) Float() float64 {
	if r.Num <= 0 || r.Den <= 0 {
		return 0
	}
	return float64(r.Num) / float64(r.Den)
}

// String is the fraction as ffmpeg writes it.
func (r Rate) String() string { return fmt.Sprintf("%d/%d", r.Num, r.Den) }

// Info is what a file is. Times and durations are measured by reading its
// packets, whatever its header says.
type Info struct {
	Format        Format
	Bytes         int64
	Width, Height int // in pixels as it is shown: turned, with square pixels
	Rotation      int // degrees clockwise by which it must be turned: 0, 90, 180 or 270
	Mirrored      bool
	Duration      time.Duration
	BitRate       int // of the whole file in kbps
	Streams       int
	Video         Video
	Audio         *Audio // nil when there is none
}

// Video is the stream of pictures.
type Video struct {
	Index         int // in the file
	Codec         string
	Profile       string
	PixelFormat   string
	Level         int
	Rate          Rate // pictures per second on average
	Nominal       Rate // the lowest that all its times fit; absurd for some files
	BFrames       bool
	HDR           bool
	KeyGap        time.Duration // largest distance between key frames, to the end too
	StartsWithKey bool
	Duration      time.Duration
}

// Audio is the stream of sound.
type Audio struct {
	Index          int // in the file
	Codec, Profile string
	Channels       int
	Rate           int // samples per second
	Duration       time.Duration
}

// Probe says what a file is. It reads all packets without decoding them. The
// error is a RefusedError, ErrNoFFmpeg, an FFmpegError, or one of the disk.
func (c *Clipper) Probe(ctx context.Context, path string) (Info, error) {
	format, size, err := sniffFile(path)
	if err != nil {
		return Info{}, err
	}
	s, err := c.scan(ctx, format, path)
	if err != nil {
		return Info{}, err
	}
	info, err := s.info(format, size)
	if err != nil {
		return Info{}, err
	}
	return info, c.checkLimits(info)
}

func (c *Clipper) checkLimits(i Info) error {
	switch {
	case i.Width > c.cfg.MaxSide || i.Height > c.cfg.MaxSide || i.Width*i.Height > c.cfg.MaxPixels:
		return refuse(TooLarge, "%d by %d pixels", i.Width, i.Height)
	case i.Duration > c.cfg.MaxDuration:
		return refuse(TooLong, "%v", i.Duration)
	}
	return nil
}

// probeEntries is what ffprobe is asked for. No tags: nobody needs them.
const probeEntries = "packet=stream_index,pts_time,dts_time,duration_time,flags:" +
	"stream=index,codec_type,codec_name,profile,pix_fmt,level,width,height,sample_aspect_ratio," +
	"r_frame_rate,avg_frame_rate,has_b_frames,channels,sample_rate,color_transfer:" +
	"stream_disposition=attached_pic:stream_side_data=rotation,displaymatrix:format=duration"

// scan runs ffprobe over a file.
func (c *Clipper) scan(ctx context.Context, format Format, path string) (*scan, error) {
	bin, err := c.ffprobe()
	if err != nil {
		return nil, err
	}
	in, err := c.input(format, path)
	if err != nil {
		return nil, err
	}
	s := &scan{longest: c.cfg.MaxDuration.Seconds()}
	args := append([]string{"-hide_banner", "-loglevel", "error", "-show_entries", probeEntries, "-of", "json"}, in...)
	err = c.run(ctx, task{bin: bin, args: args, dir: "/", read: s.read, said: &s.said, limit: probeLimit + c.cfg.MaxDuration/10})
	var failed *FFmpegError
	if errors.As(err, &failed) {
		return nil, unreadable(failed)
	}
	return s, err
}

// input is how a file is opened: as what it is, and nothing else with it.
func (c *Clipper) input(format Format, path string) ([]string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("path of clip: %w", err)
	}
	args := []string{
		"-f", string(format), "-protocol_whitelist", "file,pipe", "-codec_whitelist", decoders + bystanders,
		"-max_pixels", strconv.Itoa(c.cfg.MaxPixels), "-threads", strconv.Itoa(c.cfg.Threads),
	}
	if format == MOV {
		args = append(args, "-enable_drefs", "0", "-use_absolute_path", "0")
	}
	return append(args, "-i", "file:"+abs), nil
}

// decoders are the codecs that are decoded here: what cameras, phones, browsers
// and editors write. Others are attack surface.
const decoders = "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg4,mpeg2video,mpeg1video,mjpeg," +
	"h263,flv,vp6,vp6f,msmpeg4v2,msmpeg4,wmv2,theora,prores," +
	"aac,mp3,mp3float,mp2,mp2float,ac3,eac3,opus,libopus,vorbis,flac,alac,amrnb,amrwb," +
	"pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_f32le,pcm_u8,pcm_mulaw,pcm_alaw,adpcm_ms,adpcm_ima_wav"

// bystanders are codecs of streams that are never shown. ffprobe gives up when
// it may not open the codec of one stream, wanted or not.
const bystanders = ",png,bmp,mov_text,subrip,srt,ass,ssa,webvtt,text,cc_dec,dvbsub,dvdsub,pgssub"

// partialFile is what ffmpeg says of a file that ends before it should.
const partialFile = "partial file"

// hugePicture is what it says of pictures that it will not decode for their size.
var hugePicture = regexp.MustCompile(`exceeds specified max pixel count|Picture size (\d{4,}x\d+|\d+x\d{4,}) is invalid`)

// unreadable says why ffprobe could not read a file. Only what it says of the
// file is a reason to refuse it for ever.
func unreadable(e *FFmpegError) error {
	if hugePicture.MatchString(e.Tail) {
		return refuse(TooLarge, "%s", e.Tail)
	}
	for _, v := range []struct {
		says   string
		reason Reason
	}{
		{"not on whitelist", Unsupported},
		{"moov atom not found", Truncated},
		{"exceeds max_streams", Bomb},
		{"Invalid data found", Broken},
		{"End of file", Truncated},
	} {
		if strings.Contains(e.Tail, v.says) {
			return refuse(v.reason, "%s", e.Tail)
		}
	}
	if errors.Is(e.Err, ErrTimeout) {
		return refuse(Bomb, "reading it took longer than it may")
	}
	return e
}

// scan is what ffprobe says of a file.
type scan struct {
	longest float64 // seconds that a clip may be long
	said    string  // on standard error
	packets int
	tallies [maxStreams]tally
	streams []stream
	format  struct{ Duration seconds }
}

// seconds is a time of ffprobe, which writes them as text or not at all.
type seconds string

func (s seconds) value() (v float64, ok bool) {
	v, err := strconv.ParseFloat(string(s), 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

type packet struct {
	Stream   int     `json:"stream_index"`
	PTS      seconds `json:"pts_time"`
	DTS      seconds `json:"dts_time"`
	Duration seconds `json:"duration_time"`
	Flags    string  `json:"flags"`
}

// read takes the output of ffprobe: packets, streams, format.
func (s *scan) read(r io.Reader) error {
	d := json.NewDecoder(io.LimitReader(r, probeBytes))
	if _, err := d.Token(); err != nil {
		return ignoreEOF(err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fmt.Errorf("read of ffprobe: %w", err)
		}
		if err := s.section(d, key); err != nil {
			return err
		}
	}
	return nil
}

// ignoreEOF leaves it to the exit status to say why there was no output.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("read of ffprobe: %w", err)
}

func (s *scan) section(d *json.Decoder, key any) error {
	var err error
	switch key {
	case "packets":
		return s.readPackets(d)
	case "streams":
		err = d.Decode(&s.streams)
	case "format":
		err = d.Decode(&s.format)
	default:
		var skipped json.RawMessage
		err = d.Decode(&skipped)
	}
	if err != nil {
		return fmt.Errorf("read of ffprobe: %v: %w", key, err)
	}
	return nil
}

func (s *scan) readPackets(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("packets of ffprobe: %w", err)
	}
	for d.More() {
		var p packet
		if err := d.Decode(&p); err != nil {
			return fmt.Errorf("packet of ffprobe: %w", err)
		}
		if err := s.count(p); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// count takes a packet into account, and ends it all when there is too much.
func (s *scan) count(p packet) error {
	s.packets++
	if s.packets > packetsPerSecond*(int(s.longest)+60) {
		return refuse(Bomb, "more than %d packets", s.packets)
	}
	if p.Stream < 0 || p.Stream >= maxStreams {
		return refuse(Bomb, "more than %d streams", maxStreams)
	}
	t := &s.tallies[p.Stream]
	t.add(p)
	if t.span() > s.longest+1 {
		return refuse(TooLong, "longer than %.0f s", s.longest)
	}
	return nil
}

// tally is what the packets of one stream tell, in seconds.
type tally struct {
	packets       int
	first, end    float64
	lastKey, gap  float64
	startsWithKey bool
}

func (t *tally) add(p packet) {
	at, ok := p.PTS.value()
	if !ok {
		at, ok = p.DTS.value()
	}
	if !ok || strings.Contains(p.Flags, "D") { // decoded, but not shown
		return
	}
	length, _ := p.Duration.value()
	key := strings.HasPrefix(p.Flags, "K")
	if t.packets == 0 {
		t.first, t.end, t.lastKey, t.startsWithKey = at, at, at, key
	}
	t.packets++
	t.first = min(t.first, at)
	t.end = max(t.end, at+max(length, 0))
	if key {
		t.gap = max(t.gap, at-t.lastKey)
		t.lastKey = at
	}
}

// span is how long the stream is shown.
func (t *tally) span() float64 { return t.end - t.first }

// keyGap is the largest distance between key frames, and from the last to the end.
func (t *tally) keyGap() float64 { return max(t.gap, t.end-t.lastKey) }

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
}
