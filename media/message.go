// Package media is the hub of live streams: one publisher, many readers.
//
// What a publisher sends is parsed once (Message) and gathered into rounds of a few
// hundredths of a second, which never change. A reader is a cursor over the rounds
// that are kept: it copies nothing, waits for nobody and, when it falls behind,
// goes on at the next key frame. How a round looks on a wire (FLV tags, RTMP
// chunks) is worked out once, by the first reader who asks, and shared by all.
//
// Goroutines: each Stream has none; whoever publishes closes the rounds, and a
// timer closes the last one of a burst. Hub.Run looks for publishers that went
// silent. Locks: Hub.mu, then Stream.mu; neither is held while anybody else's code
// runs.
package media

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kind is what a message carries, by the type of an RTMP message or an FLV tag.
type Kind byte

// The kinds.
const (
	Audio Kind = 8
	Video Kind = 9
	Data  Kind = 18 // onMetaData
)

// Codec names how pictures or sound are encoded.
type Codec string

// The codecs that are told apart. FourCC as in Enhanced RTMP (veovera, v2).
const (
	H264   Codec = "avc1"
	HEVC   Codec = "hvc1"
	AV1    Codec = "av01"
	VP9    Codec = "vp09"
	AAC    Codec = "mp4a"
	Opus   Codec = "Opus"
	MP3    Codec = ".mp3"
	FLAC   Codec = "fLaC"
	Others Codec = "????"
)

// Name is what people call it.
func (c Codec) Name() string {
	switch c {
	case H264:
		return "H.264"
	case HEVC:
		return "HEVC"
	case AV1:
		return "AV1"
	case VP9:
		return "VP9"
	case AAC:
		return "AAC"
	case MP3:
		return "MP3"
	case FLAC:
		return "FLAC"
	case Opus:
		return "Opus"
	}
	return "an unknown codec"
}

// Message is one message of a stream. It never changes once it was published.
type Message struct {
	Kind Kind
	// Time is when it is decoded, in ms since the stream began, whoever published.
	Time int64
	// Shift is how much later than Time a picture is shown, in ms.
	Shift int32
	Codec Codec
	// Key: a picture that needs no other.
	Key bool
	// Header: not a picture or sound but what a decoder needs first.
	Header bool
	// Alt: the sound once more, in the codec of its publisher (Round.Alt).
	Alt bool
	// Body is that of the FLV tag, as it came (Enhanced RTMP included).
	Body []byte
	// Content is what is in it: the part of Body behind the tag's own header.
	Content []byte
}

// errMessage is the error of a message that is too short, or of no known form.
var errMessage = errors.New("malformed message")

// ParseMessage reads the body of an FLV tag (Adobe's FLV specification 10.1, annex E;
// Enhanced RTMP v2). Time is set by the publisher. A body that makes no sense is an
// error; codecs that are not known are Others.
func ParseMessage(kind Kind, body []byte) (*Message, error) {
	m := &Message{Kind: kind, Body: body}
	var err error
	switch kind {
	case Video:
		err = m.parseVideo()
	case Audio:
		err = m.parseAudio()
	case Data:
		m.Header, m.Content = true, body
	default:
		err = fmt.Errorf("%w: kind %d", errMessage, kind)
	}
	return m, err
}

// Values of the first byte of video and audio.
const (
	videoEnhanced = 0x80
	frameKey      = 1
	frameCommand  = 5
	avc           = 7
	hevcLegacy    = 12 // as some encoders in China write it
	audioEnhanced = 9
	audioAAC      = 10
	audioMP3      = 2
)

// Packet types of AVC, AAC and of Enhanced RTMP.
const (
	packetHeader = 0
	packetFrames = 1
	packetEnd    = 2
	packetNoCTS  = 3 // frames without a composition time
)

func (m *Message) parseVideo() error {
	b := m.Body
	if len(b) < 1 {
		return errMessage
	}
	if b[0]&videoEnhanced != 0 {
		return m.parseEnhancedVideo()
	}
	m.Codec = Others
	switch b[0] & 0xf {
	case avc:
		m.Codec = H264
	case hevcLegacy:
		m.Codec = HEVC
	default:
		m.Key, m.Content = b[0]>>4 == frameKey, b[1:]
		return nil
	}
	if len(b) < 5 {
		return errMessage
	}
	m.Key = b[0]>>4 == frameKey && b[1] == packetFrames
	m.Header = b[1] == packetHeader
	m.Shift = int24(b[2:])
	m.Content = b[5:]
	return nil
}

func (m *Message) parseEnhancedVideo() error {
	b := m.Body
	if len(b) < 5 {
		return errMessage
	}
	frame, packet := b[0]>>4&7, b[0]&0xf
	m.Codec = fourCC(b[1:5], H264, HEVC, AV1, VP9)
	m.Content = b[5:]
	switch packet {
	case packetHeader:
		m.Header = true
	case packetFrames:
		if m.Codec == H264 || m.Codec == HEVC {
			if len(b) < 8 {
				return errMessage
			}
			m.Shift, m.Content = int24(b[5:]), b[8:]
		}
		m.Key = frame == frameKey
	case packetNoCTS:
		m.Key = frame == frameKey
	case packetEnd:
	default: // metadata, multitrack: carried, not looked at
		m.Codec = Others
	}
	if frame == frameCommand {
		m.Key = false
	}
	return nil
}

func (m *Message) parseAudio() error {
	b := m.Body
	if len(b) < 1 {
		return errMessage
	}
	m.Codec = Others
	switch b[0] >> 4 {
	case audioAAC:
		if len(b) < 2 {
			return errMessage
		}
		m.Codec, m.Header, m.Content = AAC, b[1] == packetHeader, b[2:]
	case audioEnhanced:
		if len(b) < 5 {
			return errMessage
		}
		m.Codec = fourCC(b[1:5], AAC, Opus, MP3, FLAC)
		m.Header, m.Content = b[0]&0xf == packetHeader, b[5:]
		if b[0]&0xf > packetFrames {
			m.Codec = Others
		}
	case audioMP3:
		m.Codec, m.Content = MP3, b[1:]
	default:
		m.Content = b[1:]
	}
	return nil
}

func fourCC(b []byte, known ...Codec) Codec {
	for _, c := range known {
		if string(b) == string(c) {
			return c
		}
	}
	return Others
}

// int24 is a signed number of three bytes.
func int24(b []byte) int32 {
	return int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8 //nolint:gosec // sign extension
}

// AppendFLV appends the message as an FLV tag with the size that follows it (FLV
// specification E.4.1).
func (m *Message) AppendFLV(b []byte) []byte {
	n, t := len(m.Body), uint32(m.Time) //nolint:gosec // wraps after 49 days, as the format does
	b = append(b, byte(m.Kind), byte(n>>16), byte(n>>8), byte(n), byte(t>>16), byte(t>>8), byte(t), byte(t>>24), 0, 0, 0)
	b = append(b, m.Body...)
	return binary.BigEndian.AppendUint32(b, uint32(n+11)) //nolint:gosec // bounded by the caller
}

// MaxBody is the longest body of a message: that of an FLV tag.
const MaxBody = 1<<24 - 1
