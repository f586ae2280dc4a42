package hls

import (
	"testing"

	"gtiv/media"
	"gtiv/media/codec"
)

// FuzzOBUs splits pictures of AV1.
func FuzzOBUs(f *testing.F) {
	f.Add([]byte{0x12, 0, 0x0a, 1, 7, 0x32, 2, 1, 2})
	f.Fuzz(func(t *testing.T, picture []byte) {
		l := &LL{params: &codec.Params{Video: media.AV1}}
		units, err := l.units(&media.Message{Kind: media.Video, Codec: media.AV1, Key: true, Content: picture})
		n := 0
		for _, u := range units {
			if n += len(u); len(u) == 0 {
				t.Error("an empty OBU")
			}
		}
		if err == nil && n > len(picture) {
			t.Errorf("%d bytes came out of %d", n, len(picture))
		}
	})
}
