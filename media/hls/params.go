package hls

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"gtiv/media"
)

// params are the parameters of a stream's codecs, as far as they fit.
type params struct {
	video  media.Codec // H264, HEVC or "" for none
	length int         // bytes of the length in front of a NAL unit
	sets   [][]byte    // parameter sets, which go in front of every key frame
	aac    *mpeg4audio.AudioSpecificConfig
	raw    [2]string // what they were read from
}

var errRecord = errors.New("malformed decoder configuration record")

// maxSets bounds the parameter sets of a record.
const maxSets = 32

func parseParams(h *media.Headers) (*params, error) {
	p := &params{}
	if v := h.Video; v != nil {
		p.raw[0] = string(v.Codec) + string(v.Content)
		var err error
		switch v.Codec {
		case media.H264:
			err = p.parseAVC(v.Content)
		case media.HEVC:
			err = p.parseHEVC(v.Content)
		default:
			return nil, fmt.Errorf("%w: video %s", ErrCodec, v.Codec)
		}
		if err != nil {
			return nil, err
		}
		p.video = v.Codec
	}
	if a := h.Audio; a != nil && a.Codec == media.AAC {
		p.raw[1] = string(a.Content)
		var c mpeg4audio.AudioSpecificConfig
		if err := c.Unmarshal(a.Content); err == nil && c.SampleRate > 0 { // without it there is no sound
			p.aac = &c
		}
	}
	return p, nil
}

func (p *params) same(o *params) bool { return p.raw == o.raw }

// take reads n bytes.
type record struct {
	b   []byte
	bad bool
}

func (r *record) take(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *record) sets(p *params, n int) {
	for range n {
		l := r.take(2)
		set := r.take(int(l[0])<<8 | int(l[1]))
		if r.bad || len(p.sets) >= maxSets {
			r.bad = true
			return
		}
		if len(set) > 0 {
			p.sets = append(p.sets, set)
		}
	}
}

// parseAVC reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1).
func (p *params) parseAVC(b []byte) error {
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
func (p *params) parseHEVC(b []byte) error {
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

// Types of NAL units that a picture must not bring itself: access unit delimiters.
const (
	delimiterAVC  = 9
	delimiterHEVC = 35
)

// units splits a picture into its NAL units; a key frame gets the parameter sets.
func (p *params) units(m *media.Message) ([][]byte, error) {
	var list [][]byte
	if m.Key {
		list = append(list, p.sets...)
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
		if size == 0 || p.delimiter(unit[0]) || p.known(unit) {
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

func (p *params) delimiter(head byte) bool {
	if p.video == media.HEVC {
		return head>>1&63 == delimiterHEVC
	}
	return head&31 == delimiterAVC
}

// known says whether a unit is a parameter set that was put in front already.
func (p *params) known(unit []byte) bool {
	for _, s := range p.sets {
		if bytes.Equal(s, unit) {
			return true
		}
	}
	return false
}
