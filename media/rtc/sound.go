package rtc

import (
	"bufio"
	"bytes"
	"io"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"

	"gtiv/media"
)

// opusStep is what ffmpeg makes packets of, in ticks.
const opusStep = audioClock / 50

// toOpus are the arguments of an ffmpeg that makes Opus of AAC with ADTS.
var toOpus = []string{
	"-f", "aac", "-i", "pipe:0", "-c:a", "libopus", "-b:a", "96k", "-ar", "48000", "-ac", "2", "-application", "lowdelay",
	"-frame_duration", "20", "-page_duration", "20000", "-flush_packets", "1", "-f", "ogg", "pipe:1",
}

// sound gives viewers Opus: that of the stream if it has some, else what ffmpeg makes
// of its AAC. One goroutine uses it, that of output.run.
type sound struct {
	o      *output
	alt    bool                            // the stream has Opus besides its main sound
	config *mpeg4audio.AudioSpecificConfig // of AAC; nil: it is something else
	raw    []byte                          // what config was read from
	coding coding
	next   int64 // where the next packet of Opus begins, ticks
}

func newSound(o *output) *sound {
	s := &sound{o: o}
	s.coding = coding{
		ffmpeg: o.s.deps.FFmpeg, args: toOpus, drain: s.drain,
		failed: o.s.failedOnce("no sound by WebRTC: ffmpeg ended", o.stream.Name),
	}
	return s
}

// headers takes those that hold now.
func (s *sound) headers(h *media.Headers) {
	if s.alt = h.Alt != nil && h.Alt.Codec == media.Opus; s.alt {
		s.coding.close()
	}
	if h.Audio != nil {
		s.header(h.Audio)
	}
}

func (s *sound) header(m *media.Message) {
	switch {
	case m.Alt:
		s.alt = m.Codec == media.Opus
		s.coding.close()
		return
	case m.Codec != media.AAC:
		s.config, s.raw = nil, nil
		s.coding.close()
		return
	case bytes.Equal(m.Content, s.raw):
		return
	}
	s.coding.close()
	var c mpeg4audio.AudioSpecificConfig
	if s.config, s.raw = nil, m.Content; c.Unmarshal(m.Content) == nil && c.SampleRate > 0 {
		s.config = &c
	}
}

func (s *sound) write(m *media.Message) {
	switch {
	case len(m.Content) == 0 || s.alt && !m.Alt:
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

// encode gives a sound to ffmpeg.
func (s *sound) encode(m *media.Message) {
	packets := mpeg4audio.ADTSPackets{{Type: s.config.Type, SampleRate: s.config.SampleRate, ChannelConfig: s.config.ChannelConfig, AU: m.Content}}
	b, err := packets.Marshal()
	if err != nil {
		return // what ADTS cannot say has no sound here
	}
	s.coding.write(b, m.Time*audioClock/1000, mpeg4audio.SamplesPerAccessUnit*audioClock/int64(s.config.SampleRate))
}

// drain sends what ffmpeg makes, a packet in each page.
func (s *sound) drain(c *coder, out io.Reader) error {
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
		s.o.sendSound(p, c.time(place))
		place += opusStep
	}
}
