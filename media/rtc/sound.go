package rtc

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"

	"gtiv/media"
)

const (
	// jitter is how far the time of a sound may be from where the one before it ended
	// (ticks) and still be taken for its neighbour.
	jitter = audioClock / 10
	// queued is how many sounds wait for ffmpeg; more are lost.
	queued = 64
	// again is how long after its end ffmpeg may be started anew.
	again    = 5 * time.Second
	killWait = 2 * time.Second
	// opusStep is what ffmpeg makes packets of, in ticks.
	opusStep = audioClock / 50
)

// sound makes Opus of what a stream has. One goroutine uses it, that of output.run.
type sound struct {
	o       *output
	config  *mpeg4audio.AudioSpecificConfig // of AAC; nil: it is something else
	raw     []byte                          // what config was read from
	coder   *coder
	started time.Time // of coder
	next    int64     // where the next packet of Opus begins, ticks
}

func (s *sound) header(m *media.Message) {
	if m.Codec != media.AAC {
		s.config, s.raw = nil, nil
		s.close()
		return
	}
	if bytes.Equal(m.Content, s.raw) {
		return
	}
	s.close()
	var c mpeg4audio.AudioSpecificConfig
	if s.config, s.raw = nil, m.Content; c.Unmarshal(m.Content) == nil && c.SampleRate > 0 {
		s.config = &c
	}
}

func (s *sound) write(m *media.Message) {
	switch {
	case len(m.Content) == 0:
	case m.Codec == media.Opus:
		at := m.Time * audioClock / 1000
		if d := at - s.next; d > -jitter && d < jitter {
			at = s.next
		}
		s.next = at + int64(opus.PacketDuration2(m.Content))
		s.o.sendSound(m.Content, at)
	case m.Codec == media.AAC && s.config != nil && s.o.s.deps.FFmpeg != "":
		s.encode(m)
	}
}

// encode gives a sound to ffmpeg, which begins with the first.
func (s *sound) encode(m *media.Message) {
	if s.coder != nil && s.coder.over() {
		s.close()
	}
	if s.coder == nil {
		if time.Since(s.started) < again {
			return
		}
		s.started = time.Now()
		s.coder = newCoder(s.o)
	}
	packets := mpeg4audio.ADTSPackets{{Type: s.config.Type, SampleRate: s.config.SampleRate, ChannelConfig: s.config.ChannelConfig, AU: m.Content}}
	b, err := packets.Marshal()
	if err != nil {
		return // what ADTS cannot say has no sound here
	}
	s.coder.write(b, m.Time*audioClock/1000, mpeg4audio.SamplesPerAccessUnit*audioClock/int64(s.config.SampleRate))
}

func (s *sound) close() {
	if s.coder != nil {
		s.coder.close()
		s.coder = nil
		s.started = time.Time{}
	}
}

// anchor says what time a place of ffmpeg's output has, both in ticks.
type anchor struct{ place, time int64 }

// coder is an ffmpeg that makes Opus of AAC.
type coder struct {
	o      *output
	in     chan []byte
	ended  chan struct{}
	cancel context.CancelFunc

	mu      sync.Mutex
	anchors []anchor
	place   int64 // how much went in
}

func newCoder(o *output) *coder {
	ctx, cancel := context.WithCancel(context.Background())
	c := &coder{o: o, in: make(chan []byte, queued), ended: make(chan struct{}), cancel: cancel}
	go func() { // ends with close, which waits for it
		defer close(c.ended)
		if err := c.run(ctx); err != nil && ctx.Err() == nil {
			o.s.log.Warn("no sound by WebRTC: ffmpeg ended", "room", o.stream.Name, "err", err)
		}
	}()
	return c
}

func (c *coder) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (c *coder) close() {
	c.cancel()
	<-c.ended
}

// write gives ffmpeg a sound of a time that is so long; it never waits.
func (c *coder) write(b []byte, at, long int64) {
	select {
	case c.in <- b:
	default:
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	expected := at
	if n := len(c.anchors); n > 0 {
		expected = c.anchors[n-1].time + c.place - c.anchors[n-1].place
	}
	if d := at - expected; len(c.anchors) == 0 || (d > jitter || d < -jitter) && len(c.anchors) < queued {
		c.anchors = append(c.anchors, anchor{c.place, at})
	}
	c.place += long
}

// time is that of a place of the output.
func (c *coder) time(place int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.anchors) > 1 && c.anchors[1].place <= place {
		c.anchors = c.anchors[1:]
	}
	if len(c.anchors) == 0 {
		return place
	}
	return c.anchors[0].time + place - c.anchors[0].place
}

// run runs ffmpeg to its end.
func (c *coder) run(ctx context.Context) error {
	// The kernel sends Pdeathsig when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.o.s.deps.FFmpeg, "-hide_banner", "-loglevel", "error", "-fflags", "nobuffer", "-flags", "low_delay",
		"-probesize", "32", "-analyzeduration", "0", "-protocol_whitelist", "pipe", "-threads", "1", "-f", "aac", "-i", "pipe:0", "-c:a", "libopus",
		"-b:a", "96k", "-ar", "48000", "-ac", "2", "-application", "lowdelay", "-frame_duration", "20", "-page_duration", "20000",
		"-flush_packets", "1", "-f", "ogg", "pipe:1")
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/", "AV_LOG_FORCE_NOCOLOR=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killWait
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var feeder sync.WaitGroup
	feeder.Go(func() { c.feed(ctx, in) })
	err = c.drain(out)
	cancel()
	feeder.Wait()
	if e := cmd.Wait(); err == nil {
		err = e
	}
	return err
}

// feed writes what comes, until ctx or ffmpeg ends.
func (c *coder) feed(ctx context.Context, in io.WriteCloser) {
	defer in.Close() //nolint:errcheck // its end
	for {
		select {
		case b := <-c.in:
			if _, err := in.Write(b); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// drain sends what ffmpeg makes, a packet in each page.
func (c *coder) drain(out io.Reader) error {
	r, _, err := oggreader.NewWith(bufio.NewReader(out))
	if err != nil {
		return err
	}
	for place := int64(0); ; {
		p, _, err := r.ParseNextPage()
		if err != nil {
			return err
		}
		if len(p) == 0 || bytes.HasPrefix(p, []byte("OpusTags")) {
			continue
		}
		c.o.sendSound(p, c.time(place))
		place += opusStep
	}
}
