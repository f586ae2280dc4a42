package hls

import (
	"testing"

	"gtiv/media"
)

// FuzzRecords reads decoder configuration records of AVC and HEVC, and pictures by them.
func FuzzRecords(f *testing.F) {
	f.Add(false, []byte("\x01\x42\xe0\x1f\xff\xe1\x00\x04\x67\x42\xe0\x1f\x01\x00\x02\x68\xce"), []byte("\x00\x00\x00\x02\x65\x01"))
	hevc := append(make([]byte, 21), 3, 1, 0xa0, 0, 1, 0, 2, 0x40, 1)
	hevc[0] = 1
	f.Add(true, hevc, []byte("\x00\x00\x00\x02\x26\x01"))
	f.Fuzz(func(t *testing.T, newer bool, b, picture []byte) {
		h := &media.Message{Kind: media.Video, Codec: media.H264, Header: true, Content: b}
		if newer {
			h.Codec = media.HEVC
		}
		p, err := parseParams(&media.Headers{Video: h})
		if err != nil {
			return
		}
		if len(p.sets) > maxSets || p.length < 1 || p.length > 4 {
			t.Errorf("%d sets, lengths of %d bytes", len(p.sets), p.length)
		}
		_ = p.videoCodec()
		units, err := p.units(&media.Message{Kind: media.Video, Codec: h.Codec, Key: true, Content: picture})
		n := 0
		for _, u := range units {
			n += len(u)
		}
		if err == nil && n > len(picture)+len(b) {
			t.Errorf("%d bytes came out of %d", n, len(picture)+len(b))
		}
	})
}
