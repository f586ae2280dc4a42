package rtc

import (
	"bytes"
	"errors"

	"github.com/pion/rtp/codecs"
)

// Types of NAL units (ITU-T H.264 table 7-1).
const (
	unitIDR       = 5
	unitSPS       = 7
	unitPPS       = 8
	unitDelimiter = 9
)

const (
	maxSets  = 32
	maxUnits = 1024 // of one picture
	// maxPayload is that of an RTP packet, which with all its headers passes any path.
	maxPayload = 1160
)

var errH264 = errors.New("malformed H.264")

// record is what an AVCDecoderConfigurationRecord says (ISO/IEC 14496-15 5.3.3.1).
type record struct {
	length int      // bytes of the length in front of a unit
	sets   [][]byte // parameter sets
}

func parseRecord(b []byte) (*record, error) {
	if len(b) < 6 || b[0] != 1 {
		return nil, errH264
	}
	r := &record{length: int(b[4]&3) + 1}
	n := int(b[5] & 31)
	b = b[6:]
	for range 2 { // SPS, then PPS
		for range n {
			if len(b) < 2 {
				return nil, errH264
			}
			size := int(b[0])<<8 | int(b[1])
			if b = b[2:]; size > len(b) || len(r.sets) >= maxSets {
				return nil, errH264
			}
			if size > 0 {
				r.sets = append(r.sets, b[:size])
			}
			b = b[size:]
		}
		if len(b) == 0 {
			break
		}
		n, b = int(b[0]), b[1:]
	}
	return r, nil
}

// profile is that of its first SPS, as SDP writes it; "" for none.
func (r *record) profile() string {
	const digits = "0123456789abcdef"
	for _, s := range r.sets {
		if s[0]&31 == unitSPS && len(s) >= 4 {
			return string([]byte{digits[s[1]>>4], digits[s[1]&15], digits[s[2]>>4], digits[s[2]&15], digits[s[3]>>4], digits[s[3]&15]})
		}
	}
	return ""
}

// split takes the units of a picture apart.
func split(b []byte, length int) ([][]byte, error) {
	var list [][]byte
	for len(b) > 0 {
		if len(b) < length {
			return nil, errH264
		}
		size := 0
		for _, c := range b[:length] {
			size = size<<8 | int(c)
		}
		b = b[length:]
		if size > len(b) || size < 0 || len(list) >= maxUnits {
			return nil, errH264
		}
		if size > 0 {
			list = append(list, b[:size])
		}
		b = b[size:]
	}
	return list, nil
}

// packetise makes the payloads of RTP packets of a picture (RFC 6184,
// packetization-mode 1). Parameter sets stand in front of each key frame, once.
func (r *record) packetise(content []byte, key bool) ([][]byte, error) {
	units, err := split(content, r.length)
	if err != nil {
		return nil, err
	}
	p := &codecs.H264Payloader{DisableStapA: true}
	var list [][]byte
	if key {
		for _, set := range r.sets {
			list = append(list, p.Payload(maxPayload, set)...)
		}
	}
	for _, u := range units {
		if u[0]&31 == unitDelimiter || r.known(u) {
			continue
		}
		list = append(list, p.Payload(maxPayload, u)...)
	}
	return list, nil
}

func (r *record) known(unit []byte) bool {
	for _, s := range r.sets {
		if bytes.Equal(s, unit) {
			return true
		}
	}
	return false
}

// appendUnit appends a unit with a length of four bytes.
func appendUnit(b, unit []byte) []byte {
	n := len(unit)
	b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	return append(b, unit...)
}

// makeRecord is the AVCDecoderConfigurationRecord of an SPS and its PPS.
func makeRecord(sps []byte, pps [][]byte) []byte {
	b := []byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1, byte(len(sps) >> 8), byte(len(sps))}
	b = append(b, sps...)
	b = append(b, byte(len(pps)))
	for _, p := range pps {
		b = append(b, byte(len(p)>>8), byte(len(p)))
		b = append(b, p...)
	}
	switch sps[1] {
	case 100, 110, 122, 144: // 4:2:0 with 8 bits, which is what cameras send
		b = append(b, 0xfd, 0xf8, 0xf8, 0)
	}
	return b
}
