// Package clip turns a file that somebody uploaded into a short video that
// phones play: segments and a playlist in the shape of wire.md 12, a cover, a
// strip of thumbnails, and later smaller renditions with a master playlist.
// What can be copied is copied; the rest is encoded again.
//
// ffmpeg and ffprobe do the work as processes. The file is never trusted: what
// it is comes from its first bytes (Sniff), the demuxer is forced from that,
// and no process may open anything but the file, take more memory, time or
// disk than it is given, or outlive the call that started it. Nothing of the
// file's metadata is in what is made.
//
// A Clipper is safe for concurrent use; how many clips are made at a time is
// the caller's choice. It keeps no state and no goroutine between calls and has
// no locks.
package clip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Defaults of Config.
const (
	DefaultNice        = 10
	DefaultMaxDuration = 10 * time.Minute
	DefaultMaxPixels   = 4096 * 2304
	DefaultMaxSide     = 4096
	DefaultSegment     = 3 * time.Second
	DefaultKeyEvery    = 6 * time.Second
)

// Config says how clips are made. The zero value works.
type Config struct {
	// FFmpeg and FFprobe are the programs; "" looks them up in PATH.
	FFmpeg, FFprobe string
	// Threads is how many threads each process uses; 0 is half the CPUs.
	Threads int
	// Nice is added to the niceness of processes that encode pictures; those that
	// only look or copy are done in a moment, and somebody waits for them. 0 is
	// DefaultNice, less than 0 leaves it.
	Nice int
	// MaxDuration is how long a clip may be; 0 is DefaultMaxDuration.
	MaxDuration time.Duration
	// MaxPixels is how many pixels a picture may have; 0 is DefaultMaxPixels.
	MaxPixels int
	// MaxSide is how many pixels wide and high a picture may be; 0 is
	// DefaultMaxSide.
	MaxSide int
	// Segment is how long segments should be; 0 is DefaultSegment. They end at
	// key frames, so copied ones may be longer.
	Segment time.Duration
	// KeyEvery is how far apart key frames may be in what is copied; 0 is
	// DefaultKeyEvery.
	KeyEvery time.Duration
	// Timeout is how long a process may run for a clip of this duration, held
	// time not counted; nil is two minutes and 20 times the duration.
	Timeout func(clip time.Duration) time.Duration
	// Hold is asked several times a second by every running process's keeper;
	// while it answers true the process is stopped. nil never holds.
	Hold func() bool
}

// ErrNoFFmpeg is answered when ffmpeg or ffprobe is not installed. Nothing is
// wrong with the file; trying again later may work.
var ErrNoFFmpeg = errors.New("ffmpeg and ffprobe are needed and were not found: install ffmpeg")

// Clipper makes clips.
type Clipper struct{ cfg Config }

// New makes a Clipper. It does not look for ffmpeg, see Available. The error
// names every setting that makes no sense.
func New(cfg Config) (*Clipper, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Threads = cmp.Or(cfg.Threads, max(1, runtime.NumCPU()/2))
	cfg.Nice = max(0, cmp.Or(cfg.Nice, DefaultNice))
	cfg.MaxDuration = cmp.Or(cfg.MaxDuration, DefaultMaxDuration)
	cfg.MaxPixels = cmp.Or(cfg.MaxPixels, DefaultMaxPixels)
	cfg.MaxSide = cmp.Or(cfg.MaxSide, DefaultMaxSide)
	cfg.Segment = cmp.Or(cfg.Segment, DefaultSegment)
	cfg.KeyEvery = cmp.Or(cfg.KeyEvery, DefaultKeyEvery)
	if cfg.Timeout == nil {
		cfg.Timeout = func(clip time.Duration) time.Duration { return 2*time.Minute + 20*clip }
	}
	if cfg.Hold == nil {
		cfg.Hold = func() bool { return false }
	}
	return &Clipper{cfg: cfg}, nil
}

func (c Config) validate() error {
	var errs []error
	for _, v := range []struct {
		name string
		bad  bool
	}{
		{"threads", c.Threads < 0},
		{"max duration", c.MaxDuration < 0},
		{"max pixels", c.MaxPixels < 0},
		{"max side", c.MaxSide < 0},
		{"segment", c.Segment < 0 || c.Segment > 0 && c.Segment < time.Second},
		{"key every", c.KeyEvery < 0},
	} {
		if v.bad {
			errs = append(errs, fmt.Errorf("clip: %s is too small", v.name))
		}
	}
	return errors.Join(errs...)
}

// Available says whether clips can be made now: nil, or an error that is
// ErrNoFFmpeg and names the program that is missing. It looks every time, so
// that nothing has to be restarted once ffmpeg is installed.
func (c *Clipper) Available() error {
	_, err := c.ffmpeg()
	if _, e := c.ffprobe(); err == nil {
		err = e
	}
	return err
}

// versionTimeout bounds each question of Version.
const versionTimeout = 10 * time.Second

// Version answers the version of ffmpeg as it names itself. The error says what is
// wrong with the programs: they are missing, do not run, or cannot encode what clips
// are made of.
func (c *Clipper) Version(ctx context.Context) (string, error) {
	if err := c.Available(); err != nil {
		return "", err
	}
	ffmpeg, _ := c.ffmpeg()   // available
	ffprobe, _ := c.ffprobe() // too
	line, err := ask(ctx, ffmpeg, "-version")
	if err != nil {
		return "", err
	}
	if _, err := ask(ctx, ffprobe, "-version"); err != nil {
		return "", err
	}
	encoders, err := ask(ctx, ffmpeg, "-hide_banner", "-encoders")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"libx264", "aac"} {
		if !strings.Contains(encoders, " "+name+" ") {
			return "", fmt.Errorf("%s has no encoder %s", ffmpeg, name)
		}
	}
	line, _, _ = strings.Cut(line, "\n")
	line, _, _ = strings.Cut(line, " Copyright")
	return line, nil
}

// ask runs a program for what it says of itself.
func ask(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	said := ""
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		said = ": " + strings.TrimSpace(string(e.Stderr))
	}
	return "", fmt.Errorf("%s %s: %w%s", program, args[0], err, said)
}

func (c *Clipper) ffmpeg() (string, error)  { return lookPath(cmp.Or(c.cfg.FFmpeg, "ffmpeg")) }
func (c *Clipper) ffprobe() (string, error) { return lookPath(cmp.Or(c.cfg.FFprobe, "ffprobe")) }

func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path) // it runs in another folder
	}
	if err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNoFFmpeg, err)
	}
	return path, nil
}
