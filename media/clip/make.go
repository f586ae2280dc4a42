package clip

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// The files of a finished clip; segments are index0.ts, index1.ts and so on.
const (
	Playlist   = "index.m3u8"
	Cover      = "cover.jpg"
	Storyboard = "storyboard.jpg"
	Master     = "master.m3u8" // written by Ladder
)

const segmentPattern = "index%d.ts"

// Options are what one call of Make or Ladder is told besides its files.
type Options struct {
	// Progress is told how far the work is, from 0 to 100, never less than
	// before and by one goroutine at a time. nil is fine.
	Progress func(percent int)
}

// Result is a finished clip.
type Result struct {
	Width, Height int // as it is shown, in pixels, never 0
	Duration      time.Duration
	Segments      int
	Bytes         int64 // of all segments
	BitRate       int   // of all segments in kbps
	Copied        bool  // pictures were copied, not encoded
	Source        Info
}

// Make makes a clip of the file src in dir, a folder that is there and empty:
// playlist, segments, cover and storyboard. When it fails dir is empty again.
// The error is a RefusedError, ErrNoFFmpeg, an FFmpegError, the context's cause,
// or one of the disk.
func (c *Clipper) Make(ctx context.Context, src, dir string, o Options) (Result, error) {
	dir, err := emptyFolder(dir)
	if err != nil {
		return Result{}, err
	}
	r, err := c.make(ctx, src, dir, newProgress(o.Progress))
	if err != nil {
		return Result{}, errors.Join(err, clearFolder(dir))
	}
	return r, nil
}

func (c *Clipper) make(ctx context.Context, src, dir string, p *progress) (Result, error) {
	p.report(0)
	info, err := c.Probe(ctx, src)
	if err != nil {
		return Result{}, err
	}
	p.report(5)
	plan := info.Plan(c.cfg.KeyEvery)
	r, err := c.clip(ctx, src, dir, info, plan, p.part(5, 100))
	var failed *FFmpegError
	if plan.CopyVideo && errors.As(err, &failed) && !errors.Is(err, ErrTimeout) {
		// It could not be copied after all: times that make no sense, a stream
		// that changes. Encoding repairs most of that.
		if err := clearFolder(dir); err != nil {
			return Result{}, err
		}
		r, err = c.clip(ctx, src, dir, info, info.encodeAll(), p.part(5, 100))
	}
	return r, blameFile(err)
}

// blameFile makes a refusal of a failure that is the file's own fault, which
// another try would not change.
func blameFile(err error) error {
	var failed *FFmpegError
	if errors.As(err, &failed) && strings.Contains(failed.Tail, "Invalid data found") && !errors.Is(err, syscall.ENOSPC) {
		return refuse(Broken, "%s", failed.Tail)
	}
	return err
}

// encodeAll is the plan that copies nothing.
func (i Info) encodeAll() Plan {
	p := i.Plan(-1)
	p.CopyAudio = false
	return p
}

// clip follows a plan.
func (c *Clipper) clip(ctx context.Context, src, dir string, info Info, plan Plan, p *progress) (Result, error) {
	var keys []*image.YCbCr
	var l list
	g, gctx := errgroup.WithContext(ctx)
	if plan.CopyVideo { // the pictures of the source are those of the result
		g.Go(func() (err error) {
			keys, err = c.sourceKeyFrames(gctx, src, info, plan)
			return err
		})
	}
	g.Go(func() (err error) {
		l, err = c.cutAndCheck(gctx, src, dir, info, plan, p.part(0, 90))
		return err
	})
	err := g.Wait()
	if err == nil && !plan.CopyVideo {
		keys, err = c.keyFrames(ctx, segmentFeed(l.spread(thumbs)), plan, l.seconds())
	}
	if err == nil {
		err = c.pictures(ctx, dir, keys, l)
	}
	if err != nil {
		return Result{}, err
	}
	p.report(100)
	return Result{
		Width: plan.Width, Height: plan.Height, Duration: l.duration(), Segments: len(l), Bytes: l.bytes(),
		BitRate: l.bitRate(), Copied: plan.CopyVideo, Source: info,
	}, nil
}

func (c *Clipper) sourceKeyFrames(ctx context.Context, src string, info Info, plan Plan) ([]*image.YCbCr, error) {
	from, err := c.sourceFeed(info.Format, src)
	if err != nil {
		return nil, err
	}
	return c.keyFrames(ctx, from, plan, info.Video.Duration.Seconds())
}

// cutAndCheck writes playlist and segments and looks at what came out.
func (c *Clipper) cutAndCheck(ctx context.Context, src, dir string, info Info, plan Plan, p *progress) (list, error) {
	if err := c.cut(ctx, src, dir, info, plan, p); err != nil {
		return nil, err
	}
	l, err := readList(dir)
	if err != nil {
		return nil, ffmpegError("", err)
	}
	return l, c.check(ctx, dir, info)
}

// cut writes playlist and segments. When the colours of an HDR clip cannot be
// converted, because this ffmpeg cannot or the file says too little about them,
// they are taken as they are.
func (c *Clipper) cut(ctx context.Context, src, dir string, info Info, plan Plan, p *progress) error {
	err := c.cutOnce(ctx, src, dir, info, plan, p)
	var failed *FFmpegError
	if !plan.CopyVideo && info.Video.HDR && errors.As(err, &failed) && !errors.Is(err, ErrTimeout) {
		info.Video.HDR = false
		if err := clearFolder(dir); err != nil {
			return err
		}
		return c.cutOnce(ctx, src, dir, info, plan, p)
	}
	return err
}

func (c *Clipper) cutOnce(ctx context.Context, src, dir string, info Info, plan Plan, p *progress) error {
	bin, err := c.ffmpeg()
	if err != nil {
		return err
	}
	in, err := c.input(info.Format, src)
	if err != nil {
		return err
	}
	args := append(globalArgs(c.cfg.Threads), "-progress", "pipe:1", "-stats_period", "0.5")
	args = append(args, in...)
	args = append(args, c.outputArgs(info, plan)...)
	nice := c.cfg.Nice
	if plan.CopyVideo {
		nice = 0
	}
	return c.run(ctx, task{
		bin: bin, args: args, dir: dir, nice: nice, limit: c.cfg.Timeout(info.Duration), maxBytes: mostBytes(info, plan),
		read: func(r io.Reader) error { return p.follow(r, info.Duration) },
	})
}

// mostBytes bounds what a clip may take on the disk. What is copied grows by
// the packets of MPEG-TS only, which weigh most when there is little in them.
func mostBytes(info Info, plan Plan) int64 {
	const slack = 16 << 20
	seconds := info.Duration.Seconds() + 1
	most := slack + int64(seconds*(256<<10)/8)
	if plan.CopyVideo {
		return most + 2*info.Bytes
	}
	return most + int64(seconds*float64(maxBitRate(plan.Width, plan.Height, plan.Rate))*1000/8*1.5)
}

func globalArgs(threads int) []string {
	n := strconv.Itoa(threads)
	return []string{"-hide_banner", "-nostdin", "-loglevel", "error", "-nostats", "-y", "-filter_threads", n, "-filter_complex_threads", n}
}

// outputArgs say what becomes of the streams and where it goes.
func (c *Clipper) outputArgs(info Info, plan Plan) []string {
	args := []string{"-map", fmt.Sprintf("0:%d", info.Video.Index)}
	args = append(args, c.videoArgs(plan, info.Video.HDR)...)
	if info.Audio != nil {
		args = append(args, "-map", fmt.Sprintf("0:%d", info.Audio.Index))
		args = append(args, audioArgs(plan)...)
	}
	return append(args,
		// SEI units go: some cameras write into them where they are.
		"-bsf:v", "filter_units=remove_types=6", "-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn", "-flags", "+bitexact", "-fflags", "+bitexact",
		"-threads", strconv.Itoa(c.cfg.Threads), "-t", fmt.Sprintf("%.3f", c.cfg.MaxDuration.Seconds()+1),
		"-f", "hls", "-hls_time", fmt.Sprintf("%.3f", c.cfg.Segment.Seconds()), "-hls_list_size", "0",
		"-hls_playlist_type", "vod", "-start_number", "0", "-hls_segment_filename", segmentPattern, Playlist)
}

// videoArgs encode or copy the pictures.
func (c *Clipper) videoArgs(plan Plan, hdr bool) []string {
	if plan.CopyVideo {
		return []string{"-c:v", "copy"}
	}
	rate := maxBitRate(plan.Width, plan.Height, plan.Rate)
	// Two key frames a segment: cuts are exact, and seeking is finer.
	key := c.cfg.Segment.Seconds() / 2
	return []string{
		"-vf", videoFilter(plan, hdr), "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-profile:v", "high",
		"-pix_fmt", "yuv420p", "-maxrate", fmt.Sprintf("%dk", rate), "-bufsize", fmt.Sprintf("%dk", 2*rate),
		"-g", strconv.Itoa(int(key*plan.Rate.Float() + 1)), "-sc_threshold", "0",
		"-force_key_frames", fmt.Sprintf("expr:gte(t,n_forced*%g)", key),
	}
}

// videoFilter makes pictures of the planned size and rate. ffmpeg has turned
// them before.
func videoFilter(plan Plan, hdr bool) string {
	f := fmt.Sprintf("fps=%s,", plan.Rate)
	scale := fmt.Sprintf("scale=%d:%d", plan.Width, plan.Height)
	if hdr {
		// Scaled first: the rest is slow. Hable keeps highlights, npl is the
		// brightness of a usual screen.
		scale += ",zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv"
	}
	f += scale + ",setsar=1,format=yuv420p"
	if plan.Hold > 0 {
		f += fmt.Sprintf(",tpad=stop_mode=clone:stop_duration=%.3f", plan.Hold.Seconds())
	}
	return f
}

func audioArgs(plan Plan) []string {
	if plan.CopyAudio {
		return []string{"-c:a", "copy"}
	}
	return []string{"-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", strconv.Itoa(plan.Sound), "-af", "aresample=async=1:first_pts=0"}
}

// check holds the first segment against what it should be: a picture with a
// size, and sound if there was some.
func (c *Clipper) check(ctx context.Context, dir string, info Info) error {
	s, err := c.scan(ctx, MPEGTS, filepath.Join(dir, fmt.Sprintf(segmentPattern, 0)))
	if err != nil {
		return fmt.Errorf("check of the result: %w", resultError(err))
	}
	got, err := s.info(MPEGTS, 0)
	switch {
	case err != nil:
		return fmt.Errorf("check of the result: %w", resultError(err))
	case got.Video.Codec != "h264" || !got.Video.StartsWithKey:
		return ffmpegError("", errors.New("the first segment does not start with a key frame"))
	case info.Audio != nil && got.Audio == nil && info.Audio.Duration > time.Second:
		return ffmpegError("", errors.New("the first segment has no sound"))
	}
	return nil
}

// resultError makes of a refusal a failure: it is not the file that is bad but
// what was made of it.
func resultError(err error) error {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return ffmpegError("", errors.New(refused.Detail))
	}
	return err
}

// progress reports how far something is as a part of the whole.
type progress struct {
	from, to int
	root     *reporter
}

type reporter struct {
	last int
	f    func(percent int)
}

func newProgress(f func(percent int)) *progress {
	return &progress{from: 0, to: 100, root: &reporter{last: -1, f: f}}
}

// part is a part of it, from and to in percent of p.
func (p *progress) part(from, to int) *progress {
	n := p.to - p.from
	return &progress{from: p.from + n*from/100, to: p.from + n*to/100, root: p.root}
}

func (p *progress) report(percent int) {
	percent = p.from + (p.to-p.from)*min(max(percent, 0), 100)/100
	if percent <= p.root.last {
		return
	}
	p.root.last = percent
	if p.root.f != nil {
		p.root.f(percent)
	}
}

// follow reports what ffmpeg writes to -progress.
func (p *progress) follow(r io.Reader, whole time.Duration) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		v, ok := strings.CutPrefix(lines.Text(), "out_time_us=")
		us, err := strconv.ParseInt(v, 10, 64)
		if ok && err == nil && whole > 0 {
			p.report(int(min(max(us/1000, 0), whole.Milliseconds()) * 100 / max(1, whole.Milliseconds())))
		}
	}
	return nil
}

// emptyFolder answers the absolute path of a folder that must be empty.
func emptyFolder(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("folder of clip: %w", err)
	}
	entries, err := os.ReadDir(abs)
	if err != nil {
		return "", fmt.Errorf("folder of clip: %w", err)
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("folder of clip: %s is not empty", abs)
	}
	return abs, nil
}

// clearFolder removes all that is in a folder.
func clearFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clear folder of clip: %w", err)
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

// folderBytes is the size of all files in a folder and below.
func folderBytes(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went away meanwhile
		}
		if i, err := d.Info(); err == nil && i.Mode().IsRegular() {
			n += i.Size()
		}
		return nil
	})
	return n
}
