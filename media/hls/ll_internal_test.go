package hls

import (
	"net/url"
	"strings"
	"testing"
)

func TestSegmentsOfASecondMuxerAreNumberedOn(t *testing.T) {
	const list = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n#EXTINF:1,\na\n#EXTINF:1,\nb\n#EXT-X-PART:x\n"
	b, top := numbers{}.renumber([]byte(list))
	if string(b) != list || top != 11 { // the one that is open
		t.Errorf("%d %s", top, b)
	}
	b, top = numbers{100, 2}.renumber([]byte(list))
	if !strings.Contains(string(b), "\n#EXT-X-MEDIA-SEQUENCE:107\n#EXT-X-DISCONTINUITY-SEQUENCE:2\n#EXT-X-SKIP") || top != 111 {
		t.Errorf("%d %s", top, b)
	}
	if b, top = (numbers{100, 2}).renumber([]byte("#EXTM3U\nx.m3u8\n")); string(b) != "#EXTM3U\nx.m3u8\n" || top != 0 {
		t.Errorf("%d %s", top, b)
	}
	for _, c := range []struct {
		query  string
		offset int64
		want   string
	}{
		{"_HLS_msn=12&_HLS_part=3&x=y", 0, "_HLS_msn=12&_HLS_part=3"},
		{"_HLS_msn=112&_HLS_part=3&_HLS_skip=YES", 100, "_HLS_msn=12&_HLS_part=3&_HLS_skip=YES"},
		{"_HLS_msn=99&_HLS_part=3&_HLS_skip=YES", 100, ""},
		{"_HLS_msn=x", 100, "_HLS_msn=x"},
		{"_HLS_msn=123456789012345678901", 0, ""},
		{"", 100, ""},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		if got := position(q, c.offset); got != c.want {
			t.Errorf("%s after %d: %q", c.query, c.offset, got)
		}
	}
}
