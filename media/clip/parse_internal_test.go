package clip

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func TestPlaylistsOfAnotherShapeAreNoticed(t *testing.T) {
	const good = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.000000,\nindex0.ts\n#EXTINF:1.500000,\nindex1.ts\n#EXT-X-ENDLIST\n"
	if l, err := parseList(good); err != nil || len(l) != 2 || l.seconds() != 4.5 {
		t.Fatalf("%v, %v", l, err)
	}
	for name, text := range map[string]string{
		"empty":         "",
		"no end":        strings.Replace(good, "#EXT-X-ENDLIST\n", "", 1),
		"cut":           strings.TrimSuffix(good, "\n"),
		"gap":           strings.Replace(good, "index1", "index2", 1),
		"path":          strings.Replace(good, "index1", "../index1", 1),
		"query":         strings.Replace(good, "index1.ts", "index1.ts?x=1", 1),
		"wrong target":  strings.Replace(good, "3.000000", "3.600000", 1),
		"tag at end":    strings.Replace(good, "#EXT-X-END", "#EXT-X-DISCONTINUITY\n#EXT-X-END", 1),
		"no segments":   "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXT-X-ENDLIST\n",
		"blank line":    strings.Replace(good, "#EXT-X-END", "\n#EXT-X-END", 1),
		"carriage back": strings.ReplaceAll(good, "\n", "\r\n"),
	} {
		if l, err := parseList(text); err == nil {
			t.Errorf("%s: %v", name, l)
		}
	}
}

// segments makes a list of segments of three seconds.
func segments(n int) (l list) {
	for i := range n {
		l = append(l, segment{path: fmt.Sprint(i), seconds: 3, bytes: 1000})
	}
	return l
}

func TestThumbnailsAreSpreadOverAllSegments(t *testing.T) {
	for _, v := range []struct {
		n    int
		want string
	}{
		{1, "0"}, {3, "0 1 2"}, {10, "0 1 2 3 4 5 6 7 8 9"}, {25, "0 2 5 7 10 12 15 17 20 22"},
	} {
		var got []string
		for _, s := range segments(v.n).spread(10) {
			got = append(got, s.path)
		}
		if strings.Join(got, " ") != v.want {
			t.Errorf("of %d: %q", v.n, got)
		}
	}
	if got := segments(9).first(6); len(got) != 2 {
		t.Errorf("first: %d segments", len(got))
	}
}

// scanOf reads what ffprobe might say.
func scanOf(text string) (Info, error) {
	s := &scan{longest: 60}
	if err := s.read(strings.NewReader(text)); err != nil {
		return Info{}, err
	}
	return s.info(MOV, 1000)
}

const goodProbe = `{"packets":[
{"stream_index":0,"pts_time":"10.0","dts_time":"9.0","duration_time":"1.0","flags":"K_"},
{"stream_index":0,"pts_time":"12.0","dts_time":"10.0","duration_time":"1.0","flags":"__"},
{"stream_index":0,"pts_time":"11.0","dts_time":"11.0","duration_time":"1.0","flags":"__"},
{"stream_index":0,"pts_time":"13.0","dts_time":"12.0","duration_time":"1.0","flags":"K_"}],
"programs":[],"streams":[{"index":0,"codec_name":"h264","codec_type":"video","width":720,"height":480,"sample_aspect_ratio":"8:9",
"avg_frame_rate":"1/1","side_data_list":[{"side_data_type":"Display Matrix","displaymatrix":"\n00000000:            0       65536           0\n00000001:       -65536           0           0\n00000002:            0           0  1073741824\n","rotation":-90}]}],
"format":{"duration":"4.0"}}`

func TestWhatFFprobeSaysIsUnderstood(t *testing.T) {
	i, err := scanOf(goodProbe)
	if err != nil {
		t.Fatal(err)
	}
	if i.Duration != 4*time.Second || i.Video.KeyGap != 3*time.Second || i.Rotation != 90 || i.Mirrored || i.Width != 480 || i.Height != 640 {
		t.Errorf("%+v", i)
	}
	mirror := strings.Replace(goodProbe, "      -65536 ", "       65536 ", 1)
	if i, err := scanOf(mirror); err != nil || !i.Mirrored {
		t.Errorf("mirrored: %+v, %v", i, err)
	}
}

func FuzzProbe(f *testing.F) {
	f.Add(goodProbe)
	f.Add("{\n\n}\n")
	f.Add(strings.ReplaceAll(goodProbe, `"10.0"`, `"N/A"`))
	f.Add(strings.ReplaceAll(goodProbe, `"10.0"`, `"-1e300"`))
	f.Add(strings.ReplaceAll(goodProbe, `"index":0`, `"index":-1`))
	f.Fuzz(func(t *testing.T, text string) {
		i, err := scanOf(text)
		if err != nil {
			return
		}
		p := i.Plan(DefaultKeyEvery)
		if p.Width <= 0 || p.Height <= 0 || i.Duration < 0 || math.IsNaN(p.Rate.Float()) || mostBytes(i, p) <= 0 {
			t.Errorf("%+v becomes %+v", i, p)
		}
	})
}

func FuzzPlaylist(f *testing.F) {
	f.Add("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\nindex0.ts\n#EXT-X-ENDLIST\n")
	f.Add("#EXTM3U\n\n#EXT-X-ENDLIST\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseList(text)
		if err == nil && !strings.HasSuffix(text, fmt.Sprintf("\nindex%d.ts\n#EXT-X-ENDLIST\n", len(l)-1)) {
			t.Errorf("%q passes", text)
		}
	})
}
