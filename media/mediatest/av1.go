package mediatest

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"

	"gtiv/media"
)

// AV1Clip makes a clip of so many seconds of AV1 pictures as Enhanced RTMP carries them,
// a key frame each second.
func AV1Clip(t testing.TB, seconds int) []Tag {
	t.Helper()
	b, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=192x108:r=25:d=%d", seconds),
		"-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-g", "25", "-f", "obu", "pipe:1").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all av1.Bitstream
	if err := all.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	tag := func(first byte, obus ...[]byte) []byte {
		b, err := av1.Bitstream(obus).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return append(append([]byte{first}, "av01"...), b...)
	}
	list := []Tag{{Kind: media.Video}}
	var unit [][]byte
	flush := func() {
		if len(unit) == 0 {
			return
		}
		first := byte(0xa1)
		if av1.IsRandomAccess2(unit) {
			first = 0x91
			head := tag(0x90, unit[1])
			list[0].Body = append(append(head[:5:5], 0x81, 0, 12, 0), head[5:]...)
		}
		list = append(list, Tag{Kind: media.Video, Time: uint32(40 * (len(list) - 1)), Body: tag(first, unit...)})
		unit = nil
	}
	for _, obu := range all {
		if obu[0]>>3&15 == 2 { // what separates them
			flush()
		}
		unit = append(unit, obu)
	}
	flush()
	return list
}
