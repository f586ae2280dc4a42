package codec

import (
	"testing"

	"gtiv/media"
)

// FuzzRecords reads decoder configuration records, and pictures by them.
func FuzzRecords(f *testing.F) {
	f.Add(byte(0), []byte("\x01\x42\xe0\x1f\xff\xe1\x00\x04\x67\x42\xe0\x1f\x01\x00\x02\x68\xce"), []byte("\x00\x00\x00\x02\x65\x01"))
	hevc := append(make([]byte, 21), 3, 1, 0xa0, 0, 1, 0, 2, 0x40, 1)
	hevc[0] = 1
	f.Add(byte(1), hevc, []byte("\x00\x00\x00\x02\x26\x01"))
	f.Fuzz(func(t *testing.T, which byte, b, picture []byte) {
		h := &media.Message{Kind: media.Video, Codec: []media.Codec{media.H264, media.HEVC, media.AV1}[which%3], Header: true, Content: b}
		p, err := Parse(&media.Headers{Video: h})
		if err != nil {
			return
		}
		if len(p.Sets) > maxSets || p.Video != media.AV1 && (p.length < 1 || p.length > 4) {
			t.Errorf("%d sets, lengths of %d bytes", len(p.Sets), p.length)
		}
		_, _ = p.First()
		units, err := p.Units(&media.Message{Kind: media.Video, Codec: h.Codec, Key: true, Content: picture})
		n := 0
		for _, u := range units {
			n += len(u)
		}
		if err == nil && n > len(picture)+len(b) {
			t.Errorf("%d bytes came out of %d", n, len(picture)+len(b))
		}
	})
}
