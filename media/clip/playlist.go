package clip

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// segment is one of a playlist.
type segment struct {
	path    string
	seconds float64
	bytes   int64
}

// list is the segments of a clip in order.
type list []segment

// readList reads the playlist of a folder and insists on the shape of wire.md
// 12: index0.ts and on without a gap, all there, and the end said.
func readList(dir string) (list, error) {
	b, err := os.ReadFile(filepath.Join(dir, Playlist))
	if err != nil {
		return nil, fmt.Errorf("playlist: %w", err)
	}
	l, err := parseList(string(b))
	if err != nil {
		return nil, err
	}
	for i := range l {
		l[i].path = filepath.Join(dir, l[i].path)
		st, err := os.Stat(l[i].path)
		if err != nil {
			return nil, fmt.Errorf("segment: %w", err)
		}
		l[i].bytes = st.Size()
	}
	return l, nil
}

func parseList(text string) (list, error) {
	body, ok := strings.CutSuffix(text, "\n#EXT-X-ENDLIST\n")
	if !ok || !strings.HasPrefix(body, "#EXTM3U\n") {
		return nil, errors.New("playlist: it does not begin and end as it must")
	}
	var l list
	var seconds float64
	target := 0
	for line := range strings.SplitSeq(body, "\n") {
		if v, ok := strings.CutPrefix(line, "#EXT-X-TARGETDURATION:"); ok {
			target, _ = strconv.Atoi(v)
		}
		if v, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			seconds, _ = strconv.ParseFloat(strings.TrimSuffix(v, ","), 64)
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		if line != fmt.Sprintf(segmentPattern, len(l)) {
			return nil, fmt.Errorf("playlist: segment %d is called %q", len(l), line)
		}
		l = append(l, segment{path: line, seconds: seconds})
	}
	return l, l.check(body, target)
}

func (l list) check(body string, target int) error {
	if len(l) == 0 || strings.HasPrefix(body[strings.LastIndex(body, "\n")+1:], "#") {
		return errors.New("playlist: its last line but one is no segment")
	}
	longest := slices.MaxFunc(l, func(a, b segment) int { return int(math.Copysign(1, a.seconds-b.seconds)) }).seconds
	if math.Round(longest) > float64(target) {
		return fmt.Errorf("playlist: a segment of %.3f s with a target of %d s", longest, target)
	}
	return nil
}

func (l list) seconds() (n float64) {
	for _, s := range l {
		n += s.seconds
	}
	return n
}

func (l list) duration() time.Duration { return duration(l.seconds()) }

func (l list) bytes() (n int64) {
	for _, s := range l {
		n += s.bytes
	}
	return n
}

// bitRate is the average in kbps.
func (l list) bitRate() int {
	return int(float64(l.bytes()) * 8 / 1000 / max(l.seconds(), 0.001))
}

// peak is the bit rate of the heaviest segment in bit/s. Very short ones are
// counted as half a second, or the last would decide.
func (l list) peak() (n int) {
	for _, s := range l {
		n = max(n, int(float64(s.bytes)*8/max(s.seconds, 0.5)))
	}
	return n
}

// first is as many segments as hold so many seconds, at least one.
func (l list) first(seconds float64) list {
	n := 0
	for n < len(l) && (n == 0 || l[:n].seconds() < seconds) {
		n++
	}
	return l[:n]
}

// spread is the segments at n evenly spaced times, each once.
func (l list) spread(n int) list {
	var picked list
	at, next, step := 0.0, 0, l.seconds()/float64(n)
	for _, s := range l {
		at += s.seconds
		if float64(next)*step < at {
			picked = append(picked, s)
		}
		for float64(next)*step < at {
			next++
		}
	}
	return picked
}

// reader reads segments one behind the other, opening each when it is its turn.
type reader struct {
	rest list
	file *os.File
}

// Read reads on.
func (r *reader) Read(p []byte) (int, error) {
	for {
		if r.file == nil {
			if len(r.rest) == 0 {
				return 0, io.EOF
			}
			f, err := os.Open(r.rest[0].path)
			if err != nil {
				return 0, fmt.Errorf("read segment: %w", err)
			}
			r.file, r.rest = f, r.rest[1:]
		}
		n, err := r.file.Read(p)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		r.Close()
	}
}

// Close closes the segment that is open.
func (r *reader) Close() {
	if r.file != nil {
		_ = r.file.Close() // it was only read
		r.file = nil
	}
}
