// Package hls serves live streams as HLS (RFC 8216): MPEG-TS segments for phones
// and old players (TS), and fMP4 in parts for browsers (LL, low latency).
//
// Segments are cut at key frames and kept in memory; playlists, parts and segments are
// made once and shared by all viewers as they are.
//
// Goroutines: Run of a muxer reads its stream until that ends. Locks: TS.mu and LL.mu,
// held for a look at the lists, never together.
package hls

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"gtiv/media"
	"gtiv/media/codec"
)

const (
	segmentMin = 2 * time.Second  // of a segment, which ends at the next key frame
	segmentMax = 12 * time.Second // without one
	window     = 4                // segments of a playlist
	behind     = 3                // segments that are kept for those who are late
	maxSegment = 32 << 20         // bytes
	maxReused  = 4 << 20          // bytes of a buffer that is kept for the next segment
	// headersLate is how long after its beginning (ms) a stream may tell of sound or
	// pictures and still be one that had them from the first.
	headersLate = 1000
	// clock is that of MPEG-TS, ticks per ms.
	clock = 90
	// sampleDrift is how far sound may be from its time before it is put right.
	sampleDrift = 2048
)

// Types of what is served.
const (
	TypePlaylist = "application/vnd.apple.mpegurl"
	TypeTS       = "video/mp2t"
)

// ErrCodec means that a stream has nothing that fits into MPEG-TS.
var ErrCodec = errors.New("no codec that HLS with MPEG-TS can carry")

// TS is the MPEG-TS form of one stream.
type TS struct {
	stream *media.Stream
	epoch  string // in the names of segments: they never come again

	mu       sync.Mutex
	segments []*segment // the oldest first
	playlist []byte
	stamp    time.Time // of the playlist
	err      error     // why it is over
	changed  chan struct{}
	next     int // number of the next segment
	target   int // seconds, of the longest segment until now

	// Of Run alone.
	w       *mpegts.Writer
	to      switchable
	video   *mpegts.Track
	audio   *mpegts.Track
	params  *codec.Params
	rate    int64 // samples a second
	samples int64 // where the next sound belongs; -1 unknown
	open    *segment
	b       bytes.Buffer // of the open segment; the next one takes it over
	broken  bool         // what comes next does not continue what was before
	gone    int          // discontinuities that left the window
}

type segment struct {
	number   int
	name     string
	began    int64 // ms
	duration time.Duration
	block    *block // nil while it is open
	breaks   bool   // a discontinuity stands before it
	key      bool
}

// switchable lets one mpegts.Writer write one segment after the other.
type switchable struct{ io.Writer }

// NewTS makes a muxer; Run must run.
func NewTS(s *media.Stream) *TS {
	return &TS{stream: s, epoch: strings.ToLower(rand.Text()[:10]), changed: make(chan struct{})}
}

// Run makes segments until the stream or ctx ends.
func (t *TS) Run(ctx context.Context) error {
	r := t.stream.Watch()
	defer r.Close()
	err := t.read(ctx, r)
	t.mu.Lock()
	t.err = err
	t.forget(len(t.segments))
	close(t.changed)
	t.mu.Unlock()
	return err
}

// forget drops the oldest n segments. t.mu is held.
func (t *TS) forget(n int) {
	for _, s := range t.segments[:n] {
		s.block.leave()
	}
	t.segments = append([]*segment(nil), t.segments[n:]...)
}

func (t *TS) read(ctx context.Context, r *media.Reader) error {
	skipped := 0
	for {
		round, h, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if r.Skipped != skipped {
			skipped, t.broken = r.Skipped, true
		}
		if h != nil {
			if err := t.begin(h); err != nil {
				return err
			}
		}
		known := round.Headers
		for _, m := range round.Messages {
			if m.Header && m.Kind != media.Data {
				known = known.With(m)
				if err := t.begin(known); err != nil {
					return err
				}
				continue
			}
			if err := t.write(m); err != nil {
				return err
			}
		}
	}
}

// begin begins anew with other parameters of the codecs.
func (t *TS) begin(h *media.Headers) error {
	p, err := parseParams(h)
	if err == nil && p.Video == media.AV1 {
		err = ErrCodec
	}
	if err != nil {
		return err
	}
	if t.params != nil && t.params.Same(p) {
		return nil
	}
	if o := t.open; o != nil && o.number == 0 && t.lastTime()-o.began < headersLate {
		t.open, t.next = nil, 0 // the beginning of the stream, before all was told
	} else {
		t.end(t.lastTime())
		t.broken = t.params != nil
	}
	t.params, t.video, t.audio, t.samples = p, nil, nil, -1
	var tracks []*mpegts.Track
	if p.Video != "" {
		t.video = &mpegts.Track{Codec: &codecs.H264{}}
		if p.Video == media.HEVC {
			t.video.Codec = &codecs.H265{}
		}
		tracks = append(tracks, t.video)
	}
	if p.AAC != nil {
		t.audio = &mpegts.Track{Codec: &codecs.MPEG4Audio{Config: *p.AAC}}
		t.rate = int64(p.AAC.SampleRate)
		tracks = append(tracks, t.audio)
	}
	if len(tracks) == 0 {
		return nil // they may come yet
	}
	t.w = &mpegts.Writer{W: &t.to, Tracks: tracks}
	if err := t.w.Initialize(); err != nil {
		return fmt.Errorf("begin MPEG-TS: %w", err)
	}
	return nil
}

func (t *TS) lastTime() int64 { return t.stream.Stats().Time }

// write puts one message into the open segment.
func (t *TS) write(m *media.Message) error {
	switch {
	case t.w == nil, m.Header:
		return nil
	case m.Kind == media.Video && t.video != nil:
		return t.writeVideo(m)
	case m.Kind == media.Audio && t.audio != nil && m.Codec == media.AAC && len(m.Content) > 0:
		return t.writeAudio(m)
	}
	return nil
}

func (t *TS) writeVideo(m *media.Message) error {
	units, err := t.params.Units(m)
	if err != nil || len(units) == 0 {
		return nil //nolint:nilerr // one bad picture is not the end of the stream
	}
	switch {
	case t.open == nil && !m.Key:
		return nil // a segment begins with a key frame
	case t.open == nil:
		err = t.start(m.Time, true)
	case m.Key && t.since(m) >= segmentMin, t.since(m) >= segmentMax, t.b.Len() > maxSegment:
		t.end(m.Time)
		err = t.start(m.Time, m.Key)
	}
	if err != nil {
		return err
	}
	pts, dts := (m.Time+int64(m.Shift))*clock, m.Time*clock
	if t.params.Video == media.HEVC {
		err = t.w.WriteH265(t.video, pts, dts, units)
	} else {
		err = t.w.WriteH264(t.video, pts, dts, units)
	}
	return err
}

func (t *TS) since(m *media.Message) time.Duration {
	return time.Duration(m.Time-t.open.began) * time.Millisecond
}

func (t *TS) writeAudio(m *media.Message) error {
	if t.video == nil { // sound alone is cut by time
		if t.open != nil && t.since(m) >= segmentMin {
			t.end(m.Time)
		}
		if t.open == nil {
			if err := t.start(m.Time, true); err != nil {
				return err
			}
		}
	}
	if t.open == nil {
		return nil
	}
	// Times come rounded to ms; players hear gaps in what does not follow exactly.
	at := m.Time * t.rate / 1000
	if d := at - t.samples; t.samples < 0 || d > sampleDrift || d < -sampleDrift {
		t.samples = at
	}
	pts := t.samples * 1000 * clock / t.rate
	t.samples += mpeg4audio.SamplesPerAccessUnit
	return t.w.WriteMPEG4Audio(t.audio, pts, [][]byte{m.Content})
}

// start opens a segment.
func (t *TS) start(at int64, key bool) error {
	t.open = &segment{number: t.next, name: t.epoch + "-" + strconv.Itoa(t.next) + ".ts", began: at, breaks: t.broken, key: key}
	t.next++
	t.broken = false
	t.b.Reset()
	t.to.Writer = &t.b
	if _, err := t.w.WriteTables(); err != nil {
		return fmt.Errorf("begin segment: %w", err)
	}
	return nil
}

// end closes the open segment and makes the playlist with it.
func (t *TS) end(at int64) {
	s := t.open
	if s == nil {
		return
	}
	t.open = nil
	s.duration = time.Duration(max(at-s.began, 1)) * time.Millisecond
	s.block = newBlock(t.b.Bytes())
	if n := t.b.Len(); t.b.Cap() > n+n/4 { // it doubled: the next one is about as long
		t.b = *bytes.NewBuffer(make([]byte, 0, min(n+n/8, maxReused)))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.segments = append(t.segments, s)
	if n := len(t.segments) - window - behind; n > 0 {
		t.forget(n)
	}
	listed := t.segments[max(len(t.segments)-window, 0):]
	if before := len(t.segments) - len(listed); before > 0 && t.segments[before-1].breaks {
		t.gone++
	}
	t.playlist = t.list(listed)
	t.stamp = time.Now()
	close(t.changed)
	t.changed = make(chan struct{})
}

// list is the playlist (RFC 8216 4.3).
func (t *TS) list(segments []*segment) []byte {
	var b bytes.Buffer
	for _, s := range segments { // it must not shrink, and should not change (RFC 8216 4.3.3.1)
		t.target = max(t.target, int(math.Round(s.duration.Seconds())))
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n", t.target, segments[0].number)
	if t.gone > 0 {
		fmt.Fprintf(&b, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", t.gone)
	}
	for _, s := range segments {
		if s.breaks {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		fmt.Fprintf(&b, "#EXTINF:%.3f,\n%s\n", s.duration.Seconds(), t.stream.Name+"/"+s.name)
	}
	return b.Bytes()
}

// firstWait is how long a viewer waits for the first segment.
const firstWait = 10 * time.Second

// Playlist answers the playlist of now; the first viewer may have to wait for the
// first segment. Its lines name segments as <stream>/<segment>.
func (t *TS) Playlist(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, firstWait)
	defer cancel()
	for {
		t.mu.Lock()
		b, err, changed := t.playlist, t.err, t.changed
		t.mu.Unlock()
		if err != nil || b != nil {
			return b, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// use has f look at the bytes of a segment, the newest one with ""; false: there is
// none.
func (t *TS) use(name string, f func(b []byte)) bool {
	k := t.take(name)
	if k == nil {
		return false
	}
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		k.leave()
	}()
	f(k.b)
	return true
}

func (t *TS) take(name string) *block {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, s := range t.segments {
		if s.name == name || name == "" && i == len(t.segments)-1 {
			s.block.users++
			return s.block
		}
	}
	return nil
}

// Newest is the bytes of the newest segment, nil when there is none.
func (t *TS) Newest() []byte {
	var out []byte
	t.use("", func(b []byte) { out = bytes.Clone(b) })
	return out
}

// ServePlaylist answers a request for the playlist, false if there is none to answer
// with.
func (t *TS) ServePlaylist(w http.ResponseWriter, r *http.Request) bool {
	b, err := t.Playlist(r.Context())
	if err != nil {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", TypePlaylist)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // the client hung up
	}
	return true
}

// ServeSegment answers a request for a segment, false if it is not there.
func (t *TS) ServeSegment(w http.ResponseWriter, r *http.Request, name string) bool {
	if name == "" {
		return false
	}
	return t.use(name, func(b []byte) { serveSegment(w, r, b) })
}

func serveSegment(w http.ResponseWriter, r *http.Request, b []byte) {
	h := w.Header()
	h.Set("Content-Type", TypeTS)
	h.Set("Cache-Control", "max-age=60")
	if r.Header.Get("Range") != "" {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
		return
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // as one piece, not in those of io.Copy
	}
}
