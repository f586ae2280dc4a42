package rtc

import (
	"bufio"
	"errors"
	"io"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4/pkg/media/oggwriter"

	"gtiv/media"
)

// toAAC are the arguments of an ffmpeg that makes AAC with ADTS of Opus in Ogg.
var toAAC = []string{
	"-f", "ogg", "-i", "pipe:0", "-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2", "-flush_packets", "1", "-f", "adts", "pipe:1",
}

const (
	// aacDelay is how much the encoder puts in front of the sound, and opusSkip how much
	// of it the decoder leaves out because oggwriter says so, in ticks.
	aacDelay = 1024
	opusSkip = 3840
	// lenADTS is the length of its header.
	lenADTS = 7
)

// aacHeader is the header of what toAAC makes: AAC-LC, 48 kHz, stereo.
var aacHeader = []byte{0xaf, 0, 0x11, 0x90}

// opusForm writes packets of Opus as Ogg, a page for each.
func opusForm(w io.Writer) (func(b []byte) error, error) {
	o, err := oggwriter.NewWith(w, audioClock, 2)
	if err != nil {
		return nil, err
	}
	return func(b []byte) error {
		return o.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2}, Payload: b})
	}, nil
}

// startAAC prepares making AAC of the sound of in.
func (in *ingest) startAAC() {
	tell := in.s.failedOnce("the AAC of a publisher by WebRTC stopped: ffmpeg ended", in.room)
	in.aac = &coding{ffmpeg: in.s.deps.FFmpeg, args: toAAC, form: opusForm, drain: in.drainAAC, failed: func(err error) {
		tell(err)
		in.mu.Lock()
		defer in.mu.Unlock()
		in.broken = !in.made
	}}
}

// encode gives a packet of Opus to ffmpeg, or publishes it as the main sound if that
// cannot make anything of it. in.mu is held.
func (in *ingest) encode(b []byte, ms int64) error {
	if in.broken {
		return in.pushOpus(b, ms, false)
	}
	if err := in.tellAAC(ms); err != nil {
		return err
	}
	if long := opus.PacketDuration2(b); long > 0 {
		in.aac.write(b, ms*audioClock/1000, int64(long))
	}
	return nil
}

// tellAAC publishes the header of AAC, once. It is known before there is some: outputs
// that began without sound would have to begin anew. in.mu is held.
func (in *ingest) tellAAC(ms int64) error {
	if in.aacTold || in.broken {
		return nil
	}
	in.aacTold = true
	return in.push(media.Audio, false, aacHeader, ms)
}

var errADTS = errors.New("malformed ADTS")

// drainAAC publishes what ffmpeg makes.
func (in *ingest) drainAAC(c *coder, out io.Reader) error {
	r := bufio.NewReader(out)
	for place := int64(opusSkip - aacDelay); ; place += mpeg4audio.SamplesPerAccessUnit {
		h, err := r.Peek(lenADTS)
		if err != nil {
			return err
		}
		n := int(h[3]&3)<<11 | int(h[4])<<3 | int(h[5])>>5
		if h[0] != 0xff || h[1]&0xf1 != 0xf1 || n <= lenADTS {
			return errADTS
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		// What the body of a message begins with takes the place of the header.
		body := b[lenADTS-2:]
		body[0], body[1] = 0xaf, 1
		if err := in.pushAAC(body, c.time(place)*1000/audioClock); err != nil {
			in.cancel(err)
			return err
		}
	}
}

func (in *ingest) pushAAC(body []byte, ms int64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended || ms < 0 {
		return nil
	}
	in.made = true
	return in.push(media.Audio, false, body, ms)
}
