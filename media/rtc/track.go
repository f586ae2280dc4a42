package rtc

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const (
	videoClock = 90_000
	audioClock = 48_000
)

// track is what one viewer gets of a stream: its own headers before payloads that
// all share. It implements webrtc.TrackLocal.
type track struct {
	kind    webrtc.RTPCodecType
	stream  string
	profile string // of the video, as SDP writes it
	sent    *atomic.Int64
	clock   int64

	mu      sync.Mutex
	id      string // of the binding
	w       webrtc.TrackLocalWriter
	h       rtp.Header
	waiting bool // for a key frame
	packets uint32
	octets  uint32
	newest  int64 // ticks of the newest packet
	any     bool
}

func newTrack(kind webrtc.RTPCodecType, stream, profile string, sent *atomic.Int64) *track {
	t := &track{kind: kind, stream: stream, profile: profile, sent: sent, clock: videoClock, waiting: true}
	if kind == webrtc.RTPCodecTypeAudio {
		t.clock = audioClock
		t.waiting = false
	}
	t.h = rtp.Header{Version: 2}
	return t
}

// ID implements webrtc.TrackLocal.
func (t *track) ID() string { return t.kind.String() }

// RID implements webrtc.TrackLocal.
func (t *track) RID() string { return "" }

// StreamID implements webrtc.TrackLocal.
func (t *track) StreamID() string { return t.stream }

// Kind implements webrtc.TrackLocal.
func (t *track) Kind() webrtc.RTPCodecType { return t.kind }

// Bind implements webrtc.TrackLocal: it takes the codec that is closest to the stream.
func (t *track) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	codec, ok := t.choose(c.CodecParameters())
	if !ok {
		return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.id, t.w = c.ID(), c.WriteStream()
	t.h.SSRC, t.h.PayloadType = uint32(c.SSRC()), uint8(codec.PayloadType)
	return codec, nil
}

func (t *track) choose(list []webrtc.RTPCodecParameters) (best webrtc.RTPCodecParameters, ok bool) {
	most := 0
	for _, c := range list {
		if n := t.fits(c); n > most {
			best, most = c, n
		}
	}
	return best, most > 0
}

// fits says how well a codec suits the track, 0 not at all.
func (t *track) fits(c webrtc.RTPCodecParameters) int {
	if t.kind == webrtc.RTPCodecTypeAudio {
		if strings.EqualFold(c.MimeType, webrtc.MimeTypeOpus) {
			return 1
		}
		return 0
	}
	fmtp := strings.ToLower(c.SDPFmtpLine)
	if !strings.EqualFold(c.MimeType, webrtc.MimeTypeH264) || !strings.Contains(fmtp, "packetization-mode=1") {
		return 0
	}
	n := 1
	if t.profile != "" && strings.Contains(fmtp, "profile-level-id="+t.profile[:2]) {
		n++
		if strings.Contains(fmtp, "profile-level-id="+t.profile[:4]) {
			n++
		}
	}
	return n
}

// Unbind implements webrtc.TrackLocal.
func (t *track) Unbind(c webrtc.TrackLocalContext) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.id == c.ID() {
		t.w = nil
	}
	return nil
}

// send sends the packets of a picture or a sound of a time, in ticks of the track's
// clock since the stream began. key: nothing before it is needed.
func (t *track) send(payloads [][]byte, ticks int64, key bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.w == nil || t.waiting && !key {
		return
	}
	for i, p := range payloads {
		h := t.h // what is behind it may change it
		h.Timestamp, h.Marker = uint32(ticks), i == len(payloads)-1 && t.kind == webrtc.RTPCodecTypeVideo
		n, err := t.w.WriteRTP(&h, p)
		if n == 0 && err == nil && !t.any { // not connected yet
			return
		}
		t.h.SequenceNumber++
		if err != nil {
			continue // lost, as packets are
		}
		t.packets++
		t.octets += uint32(len(p)) //nolint:gosec // of a packet
		t.sent.Add(int64(n))
	}
	t.waiting, t.any, t.newest = false, true, ticks
}

// ntpEpoch is 1900, from 1970.
const ntpEpoch = 2_208_988_800

// report is a sender report (RFC 3550 6.4.1) that puts the tracks of a stream on one
// line: at began, time 0 of the stream was; nil: nothing was sent.
func (t *track) report(began time.Time) *rtcp.SenderReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.w == nil || !t.any {
		return nil
	}
	at := began.Add(time.Duration(t.newest*1_000_000/t.clock) * time.Microsecond)
	seconds := uint64(at.Unix() + ntpEpoch)                   //nolint:gosec // after 1900
	fraction := uint64(at.Nanosecond()) << 32 / 1_000_000_000 //nolint:gosec // positive
	return &rtcp.SenderReport{
		SSRC: t.h.SSRC, NTPTime: seconds<<32 | fraction, RTPTime: uint32(t.newest), //nolint:gosec // wraps, as it should
		PacketCount: t.packets, OctetCount: t.octets,
	}
}
