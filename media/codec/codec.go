// Package codec reads what a decoder needs before the first picture or sound of a
// stream, in the form that RTMP and FLV carry it, for those who write streams into
// other containers.
//
// It has no goroutines and no locks; Params never change once they were parsed.
package codec

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"gtiv/media"
)

// Params are the parameters of a stream's codecs, as far as they are known.
type Params struct {
	Video media.Codec // H264, HEVC, AV1 or "" for none
	// Sets are the parameter sets, which go in front of every key frame; of AV1 the
	// sequence header.
	Sets [][]byte
	// AAC is how sound is encoded, nil for none and for other codecs.
	AAC *mpeg4audio.AudioSpecificConfig
	// Opus is the number of channels of sound in Opus, 0 for none and for other codecs.
	Opus int

	length int       // bytes of the length in front of a NAL unit
	raw    [2]string // what they were read from
}

// Errors of Parse; compare with errors.Is.
var (
	// ErrCodec means that nothing is known of how pictures are encoded.
	ErrCodec  = errors.New("unknown video codec")
	errRecord = errors.New("malformed decoder configuration record")
)

// maxSets bounds the parameter sets of a record.
const maxSets = 32

// Parse reads the headers of a stream. Sound that is not known is left out, pictures
// that are not are an error: ErrCodec.
func Parse(h *media.Headers) (*Params, error) {
	p := &Params{}
	if v := h.Video; v != nil {
		p.raw[0] = string(v.Codec) + string(v.Content)
		var err error
		switch v.Codec {
		case media.H264:
			err = p.parseAVC(v.Content)
		case media.HEVC:
			err = p.parseHEVC(v.Content)
		case media.AV1:
			err = p.parseAV1(v.Content)
		default:
			return nil, fmt.Errorf("%w: %s", ErrCodec, v.Codec)
		}
		if err != nil {
			return nil, err
		}
		p.Video = v.Codec
	}
	if a := h.Audio; a != nil {
		p.parseAudio(a)
	}
	return p, nil
}

func (p *Params) parseAudio(a *media.Message) {
	switch a.Codec {
	case media.AAC:
		p.raw[1] = string(a.Content)
		var c mpeg4audio.AudioSpecificConfig
		if err := c.Unmarshal(a.Content); err == nil && c.SampleRate > 0 { // without it there is no sound
			p.AAC = &c
		}
	case media.Opus:
		p.Opus = opusChannels(a.Content)
		p.raw[1] = fmt.Sprint(a.Codec, p.Opus)
	}
}

// opusChannels reads an identification header (RFC 7845 5.1); without one there are
// two.
func opusChannels(b []byte) int {
	const magic = "OpusHead"
	if len(b) > len(magic)+1 && bytes.HasPrefix(b, []byte(magic)) && b[9] >= 1 && b[9] <= 2 {
		return int(b[9])
	}
	return 2
}

// Same says whether what one decoder was begun with does for the other.
func (p *Params) Same(o *Params) bool { return p.raw == o.raw }

// record is a configuration record that is read from its front.
type record struct {
	b   []byte
	bad bool
}

// take reads n bytes.
func (r *record) take(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *record) sets(p *Params, n int) {
	for range n {
		l := r.take(2)
		set := r.take(int(l[0])<<8 | int(l[1]))
		if r.bad || len(p.Sets) >= maxSets {
			r.bad = true
			return
		}
		if len(set) > 0 {
			p.Sets = append(p.Sets, set)
		}
	}
}

// parseAVC reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1).
func (p *Params) parseAVC(b []byte) error {
	r := &record{b: b}
	head := r.take(6)
	p.length = int(head[4]&3) + 1
	r.sets(p, int(head[5]&31))
	r.sets(p, int(r.take(1)[0]))
	if r.bad || head[0] != 1 {
		return errRecord
	}
	return nil
}

// parseHEVC reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1).
func (p *Params) parseHEVC(b []byte) error {
	r := &record{b: b}
	head := r.take(23)
	p.length = int(head[21]&3) + 1
	for range head[22] {
		a := r.take(3)
		r.sets(p, int(a[1])<<8|int(a[2]))
		if r.bad {
			break
		}
	}
	if r.bad {
		return errRecord
	}
	return nil
}

// parseAV1 reads an AV1CodecConfigurationRecord (AV1 in ISO media files 2.3.3) and
// finds the sequence header in it.
func (p *Params) parseAV1(b []byte) error {
	r := &record{b: b}
	if head := r.take(4); r.bad || head[0] != 0x81 {
		return errRecord
	}
	const sequenceHeader, extension, sized = 1, 4, 2
	for len(r.b) > 0 {
		head := r.take(1)[0]
		extra := 0
		if head&extension != 0 {
			extra = 1
		}
		r.take(extra)
		size := len(r.b)
		if head&sized != 0 {
			size = r.leb128()
		}
		obu := r.take(min(size, len(b)+1))
		if r.bad {
			return errRecord
		}
		if head>>3&15 == sequenceHeader && len(obu) > 0 {
			p.Sets = [][]byte{append([]byte{head &^ (sized | extension)}, obu...)}
			return nil
		}
	}
	return errRecord
}

// leb128 reads a number of at most four bytes (AV1 4.10.5).
func (r *record) leb128() int {
	n := 0
	for i := range 4 {
		c := r.take(1)[0]
		n |= int(c&127) << (7 * i)
		if c < 128 {
			return n
		}
	}
	r.bad = true
	return 0
}

// Types of NAL units.
const (
	delimiterAVC  = 9
	delimiterHEVC = 35
	setsAVC       = 7  // SPS, PPS
	setsHEVC      = 32 // VPS, SPS, PPS
)

// First answers the first parameter set of each kind, in the order of their types:
// SPS and PPS of H264, VPS, SPS and PPS of HEVC; false: one is missing.
func (p *Params) First() ([][]byte, bool) {
	first, kinds := setsAVC, 2
	if p.Video == media.HEVC {
		first, kinds = setsHEVC, 3
	}
	list := make([][]byte, kinds)
	found := 0
	for _, s := range p.Sets {
		if i := p.kind(s) - first; i >= 0 && i < kinds && list[i] == nil {
			list[i] = s
			found++
		}
	}
	return list, found == kinds
}

// kind is the type of a NAL unit.
func (p *Params) kind(unit []byte) int {
	if p.Video == media.HEVC {
		return int(unit[0] >> 1 & 63)
	}
	return int(unit[0] & 31)
}

// Units splits a picture of H264 or HEVC into its NAL units; a key frame gets the
// parameter sets.
func (p *Params) Units(m *media.Message) ([][]byte, error) {
	var list [][]byte
	if m.Key {
		list = append(list, p.Sets...)
	}
	b := m.Content
	n := 0
	for len(b) > 0 {
		if len(b) < p.length {
			return nil, errRecord
		}
		size := 0
		for _, c := range b[:p.length] {
			size = size<<8 | int(c)
		}
		b = b[p.length:]
		if size < 0 || size > len(b) {
			return nil, errRecord
		}
		unit := b[:size]
		b = b[size:]
		if size == 0 || p.delimiter(unit) || p.known(unit) {
			continue
		}
		if n++; n > 1024 {
			return nil, errRecord
		}
		list = append(list, unit)
	}
	if n == 0 {
		return nil, nil
	}
	return list, nil
}

// delimiter says whether a unit is an access unit delimiter, which a picture must not
// bring itself.
func (p *Params) delimiter(unit []byte) bool {
	if p.Video == media.HEVC {
		return p.kind(unit) == delimiterHEVC
	}
	return p.kind(unit) == delimiterAVC
}

// known says whether a unit is a parameter set that was put in front already.
func (p *Params) known(unit []byte) bool {
	for _, s := range p.Sets {
		if bytes.Equal(s, unit) {
			return true
		}
	}
	return false
}
