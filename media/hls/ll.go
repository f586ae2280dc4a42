package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"golang.org/x/sync/singleflight"

	"gtiv/media"
	"gtiv/media/codec"
)

const (
	partMin   = 500 * time.Millisecond
	llSegment = time.Second
	llCount   = 7
	// maxWaiting bounds the requests of one stream that wait for what is not there
	// yet: the library cannot be told that a client went away.
	maxWaiting = 4000
	// playlistFor is how long a playlist that was asked for without a position is
	// answered again, and positionFor one with a position, which does not change.
	playlistFor = 50 * time.Millisecond
	positionFor = 2 * time.Second
	partFor     = 2 * time.Second // parts and segments; the library has them longer
	maxCached   = 64
)

// LL is the low-latency form of one stream: fMP4 in parts (RFC 8216bis, by
// gohlslib), for browsers.
type LL struct {
	stream *media.Stream
	log    *slog.Logger

	mu      sync.Mutex
	m       *gohlslib.Muxer // nil: not yet, or it is over
	numbers numbers         // of m
	top     int64           // highest number of a segment that a playlist told
	err     error
	changed chan struct{}
	waiting int
	cache   map[string]*cached
	flight  singleflight.Group

	// Of Run alone.
	params  *codec.Params
	video   *gohlslib.Track
	audio   *gohlslib.Track
	rate    int64
	step    int64 // samples of one sound
	samples int64
	began   time.Time
	key     bool // there was a key frame
}

// cached is an answer of the library.
type cached struct {
	status int
	header http.Header
	body   []byte
	until  time.Time
}

// NewLL makes a muxer; Run must run.
func NewLL(s *media.Stream, log *slog.Logger) *LL {
	return &LL{stream: s, log: log, changed: make(chan struct{}), cache: map[string]*cached{}}
}

// Run makes parts until the stream or ctx ends.
func (l *LL) Run(ctx context.Context) error {
	r := l.stream.Watch()
	defer r.Close()
	err := l.read(ctx, r)
	l.replace(nil)
	l.mu.Lock()
	l.err = err
	close(l.changed)
	l.mu.Unlock()
	return err
}

func (l *LL) read(ctx context.Context, r *media.Reader) error {
	for {
		round, h, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if h != nil {
			if err := l.begin(h); err != nil {
				return err
			}
		}
		known := round.Headers
		for _, m := range round.Messages {
			if m.Header && m.Kind != media.Data {
				known = known.With(m)
				if err := l.begin(known); err != nil {
					return err
				}
				continue
			}
			if err := l.write(m); err != nil {
				l.log.Debug("part not made", "stream", l.stream.Name, "err", err)
			}
		}
	}
}

// begin makes the library's muxer anew when the parameters of the codecs change.
func (l *LL) begin(h *media.Headers) error {
	p, err := parseParams(h)
	if err != nil {
		return err
	}
	if l.params != nil && l.params.Same(p) {
		return nil
	}
	l.params, l.video, l.audio, l.samples, l.key = p, nil, nil, -1, false
	var tracks []*gohlslib.Track
	if c := videoCodec(p); c != nil {
		l.video = &gohlslib.Track{Codec: c, ClockRate: 1000 * clock}
		tracks = append(tracks, l.video)
	}
	switch {
	case p.AAC != nil:
		l.rate, l.step = int64(p.AAC.SampleRate), mpeg4audio.SamplesPerAccessUnit
		l.audio = &gohlslib.Track{Codec: &codecs.MPEG4Audio{Config: *p.AAC}, ClockRate: p.AAC.SampleRate}
	case p.Opus > 0:
		l.rate, l.step = 48000, 0
		l.audio = &gohlslib.Track{Codec: &codecs.Opus{ChannelCount: p.Opus}, ClockRate: 48000}
	}
	if l.audio != nil {
		tracks = append(tracks, l.audio)
	}
	if len(tracks) == 0 {
		l.replace(nil)
		return nil
	}
	m := &gohlslib.Muxer{
		Variant: gohlslib.MuxerVariantLowLatency, Tracks: tracks, SegmentCount: llCount, SegmentMinDuration: llSegment, PartMinDuration: partMin,
		SegmentMaxSize: maxSegment, OnEncodeError: func(err error) { l.log.Debug("part not made", "stream", l.stream.Name, "err", err) },
	}
	if err := m.Start(); err != nil {
		return fmt.Errorf("begin low-latency HLS: %w", err)
	}
	l.began = time.Now()
	l.replace(m)
	return nil
}

// numbers say how the segments of one muxer are numbered for players, who go on with
// those of the next: the library begins anew at 0.
type numbers struct {
	offset int64 // of the first segment
	breaks int   // discontinuities before it
}

// replace puts another muxer in place, and ends the requests that wait for the old.
func (l *LL) replace(m *gohlslib.Muxer) {
	l.mu.Lock()
	old := l.m
	l.m = m
	if old != nil {
		l.numbers = numbers{l.top + 1, l.numbers.breaks + 1}
	}
	l.cache = map[string]*cached{}
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// sequence is the line with the number of the first segment, skipped that which stands
// for segments that a player knows.
var (
	sequence = regexp.MustCompile(`(?m)^#EXT-X-MEDIA-SEQUENCE:(\d+)$`)
	skipped  = regexp.MustCompile(`(?m)^#EXT-X-SKIP:SKIPPED-SEGMENTS=(\d+)`)
)

// renumber puts the numbers of a playlist of segments right, and answers the highest.
func (n numbers) renumber(list []byte) ([]byte, int64) {
	number := func(line *regexp.Regexp) int64 {
		if found := line.FindSubmatch(list); found != nil {
			if v, err := strconv.ParseInt(string(found[1]), 10, 64); err == nil {
				return v
			}
		}
		return -1
	}
	first := number(sequence)
	if first < 0 {
		return list, 0
	}
	first += n.offset
	top := first + max(number(skipped), 0) + int64(bytes.Count(list, []byte("#EXTINF:")))
	if n.breaks == 0 {
		return list, top
	}
	line := fmt.Sprintf("#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d", first, n.breaks)
	return sequence.ReplaceAllLiteral(list, []byte(line)), top
}

func videoCodec(p *codec.Params) codecs.Codec {
	sets, ok := p.First()
	switch {
	case p.Video == media.H264 && ok:
		return &codecs.H264{SPS: sets[0], PPS: sets[1]}
	case p.Video == media.HEVC && ok:
		return &codecs.H265{VPS: sets[0], SPS: sets[1], PPS: sets[2]}
	case p.Video == media.AV1:
		return &codecs.AV1{SequenceHeader: p.Sets[0]}
	}
	return nil
}

// units splits a picture into what the library wants: NAL units, or the OBUs of AV1
// without what separates pictures elsewhere.
func (l *LL) units(m *media.Message) ([][]byte, error) {
	if l.params.Video != media.AV1 {
		return l.params.Units(m)
	}
	var all av1.Bitstream
	if err := all.Unmarshal(m.Content); err != nil {
		return nil, err
	}
	const temporalDelimiter = 2 // AV1 6.2.2
	return slices.DeleteFunc(all, func(obu []byte) bool { return len(obu) == 0 || obu[0]>>3&15 == temporalDelimiter }), nil
}

func (l *LL) write(m *media.Message) error {
	l.mu.Lock()
	muxer := l.m
	l.mu.Unlock()
	if muxer == nil || m.Header || len(m.Content) == 0 {
		return nil
	}
	ntp := l.stream.Began().Add(time.Duration(m.Time) * time.Millisecond)
	switch {
	case m.Kind == media.Video && l.video != nil:
		units, err := l.units(m)
		if err != nil || len(units) == 0 || !l.key && !m.Key {
			return err
		}
		l.key = true
		pts := (m.Time + int64(m.Shift)) * clock
		switch l.params.Video {
		case media.HEVC:
			return muxer.WriteH265(l.video, ntp, pts, units)
		case media.AV1:
			return muxer.WriteAV1(l.video, ntp, pts, units)
		}
		return muxer.WriteH264(l.video, ntp, pts, units)
	case m.Kind == media.Audio && l.audio != nil && (l.key || l.video == nil):
		// Times come rounded to ms; browsers stall at gaps in what does not follow
		// exactly.
		step := l.step
		if m.Codec == media.Opus {
			step = int64(opus.PacketDuration2(m.Content))
		}
		at := m.Time * l.rate / 1000
		if d := at - l.samples; l.samples < 0 || d > sampleDrift || d < -sampleDrift {
			l.samples = at
		}
		pts := l.samples
		l.samples += step
		if m.Codec == media.Opus {
			return muxer.WriteOpus(l.audio, ntp, pts, [][]byte{m.Content})
		}
		if m.Codec == media.AAC {
			return muxer.WriteMPEG4Audio(l.audio, ntp, pts, [][]byte{m.Content})
		}
	}
	return nil
}

// errBusy means that too many wait already.
var errBusy = errors.New("too many requests wait")

// muxer waits for the first one.
func (l *LL) muxer(ctx context.Context) (*gohlslib.Muxer, numbers, error) {
	ctx, cancel := context.WithTimeout(ctx, firstWait)
	defer cancel()
	for {
		l.mu.Lock()
		m, n, err, changed := l.m, l.numbers, l.err, l.changed
		l.mu.Unlock()
		if m != nil || err != nil {
			return m, n, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, n, ctx.Err()
		}
	}
}

// is says whether a muxer is still the one in place.
func (l *LL) is(m *gohlslib.Muxer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.m == m
}

// Serve answers a request for a file of the stream, "index.m3u8" first; false if
// there is none to answer with.
func (l *LL) Serve(w http.ResponseWriter, r *http.Request, file string) bool {
	playlist := strings.HasSuffix(file, ".m3u8")
	if !playlist && !strings.HasSuffix(file, ".mp4") {
		return false
	}
	m, n, err := l.muxer(r.Context())
	if err != nil {
		return false
	}
	query := ""
	if playlist {
		query = position(r.URL.Query(), n.offset)
	}
	c, err := l.get(r.Context(), m, n, file, query)
	if err == nil && playlist && !l.is(m) { // it was replaced meanwhile
		if m, n, err = l.muxer(r.Context()); err == nil {
			c, err = l.get(r.Context(), m, n, file, "")
		}
	}
	if errors.Is(err, errBusy) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	if err != nil || c.status == 0 || c.status >= http.StatusInternalServerError {
		return false
	}
	for k, v := range c.header {
		w.Header()[k] = v
	}
	w.WriteHeader(c.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(c.body) // the client hung up
	}
	return true
}

// position is what of a query concerns the playlist; everything else would be
// written into it. Who asks for what comes after the segments of an older muxer gets
// the whole playlist.
func position(q url.Values, offset int64) string {
	keep := url.Values{}
	for _, k := range []string{"_HLS_part", "_HLS_skip"} {
		if v := q.Get(k); v != "" && len(v) <= 20 {
			keep.Set(k, v)
		}
	}
	msn := q.Get("_HLS_msn")
	if n, err := strconv.ParseInt(msn, 10, 64); err == nil && offset > 0 {
		if n -= offset; n < 0 {
			return ""
		}
		msn = strconv.FormatInt(n, 10)
	}
	if msn != "" && len(msn) <= 20 {
		keep.Set("_HLS_msn", msn)
	}
	return keep.Encode()
}

// get answers a file, asked for once for all who want the same.
func (l *LL) get(ctx context.Context, m *gohlslib.Muxer, n numbers, file, query string) (*cached, error) {
	key := file + "?" + query + "#" + strconv.Itoa(n.breaks)
	l.mu.Lock()
	c := l.cache[key]
	full := l.waiting >= maxWaiting
	if c == nil || time.Now().After(c.until) {
		c = nil
		if !full {
			l.waiting++
		}
	}
	l.mu.Unlock()
	if c != nil {
		return c, nil
	}
	if full {
		return nil, errBusy
	}
	defer func() {
		l.mu.Lock()
		l.waiting--
		l.mu.Unlock()
	}()
	done := l.flight.DoChan(key, func() (any, error) { return l.ask(m, n, file, query, key), nil })
	select {
	case v := <-done:
		return v.Val.(*cached), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask has the library make an answer. It answers nothing for what is not there.
func (l *LL) ask(m *gohlslib.Muxer, n numbers, file, query, key string) *cached {
	rec := &recorder{header: http.Header{}}
	m.Handle(rec, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/" + file, RawQuery: query}})
	c := &cached{status: rec.status, header: rec.header, body: rec.b.Bytes()}
	if c.status != http.StatusOK {
		return c
	}
	top := int64(0)
	if strings.HasSuffix(file, ".m3u8") {
		c.body, top = n.renumber(c.body)
	}
	if strings.HasSuffix(file, ".m3u8") {
		c.header.Set("Cache-Control", "no-cache")
	}
	c.header.Set("Content-Length", strconv.Itoa(len(c.body)))
	now := time.Now()
	switch {
	case !strings.HasSuffix(file, ".m3u8"):
		c.until = now.Add(partFor)
	case query != "":
		c.until = now.Add(positionFor)
	default:
		c.until = now.Add(playlistFor)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m != m {
		return c
	}
	l.top = max(l.top, top)
	for k, old := range l.cache { // few: what viewers ask for at a time is the same
		if now.After(old.until) {
			delete(l.cache, k)
		}
	}
	if len(l.cache) < maxCached {
		l.cache[key] = c
	}
	return c
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	b      bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.b.Write(b)
}
