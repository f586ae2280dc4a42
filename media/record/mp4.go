package record

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"gtiv/media"
	"gtiv/media/codec"
)

const (
	videoID    = 1
	audioID    = 2
	videoClock = 90 // ticks per ms
	opusClock  = 48000
	// sampleDrift is how far sound may be from its time before it is put right.
	sampleDrift = 2048
	// indexRoom is how much is left free for the indexes, bytes: enough for some hours
	// with an entry for every ten seconds.
	indexRoom = 32 << 10
)

// mp4 writes fragmented MP4.
type mp4 struct {
	params  *codec.Params
	video   *track // nil: none
	audio   *track
	samples int64 // where the next sound belongs; -1 unknown
	number  uint32
	b       seekablebuffer.Buffer
}

// track is what waits to be written of pictures or sound. How long one of them is,
// the next one says.
type track struct {
	id    int
	scale int64 // ticks a second
	list  []*fmp4.Sample
	at    []int64 // their times, ticks
	last  int64   // of the newest there ever was; -1 none
	step  int64   // from the one before it
}

func newMP4() *mp4 { return &mp4{samples: -1} }

func (w *mp4) set(_ *media.Headers, p *codec.Params) {
	w.params = p
	if p.Video != "" && w.video == nil {
		w.video = &track{id: videoID, scale: videoClock * 1000, last: -1, step: videoClock * 40}
	}
	if w.audio != nil {
		return
	}
	switch {
	case p.AAC != nil:
		w.audio = &track{id: audioID, scale: int64(p.AAC.SampleRate), last: -1, step: mpeg4audio.SamplesPerAccessUnit}
	case p.Opus > 0:
		w.audio = &track{id: audioID, scale: opusClock, last: -1, step: opusClock / 50}
	}
}

func (w *mp4) takes(m *media.Message) bool {
	if len(m.Content) == 0 {
		return false
	}
	if m.Kind == media.Video {
		return w.video != nil && m.Codec == w.params.Video
	}
	return w.audio != nil && (m.Codec == media.AAC && w.params.AAC != nil || m.Codec == media.Opus && w.params.Opus > 0)
}

func (w *mp4) add(m *media.Message, at int64) {
	if m.Kind == media.Video {
		w.addVideo(m, at)
		return
	}
	// Times come rounded to ms; players hear gaps in what does not follow exactly.
	t := w.audio
	exact := at * t.scale / 1000
	if d := exact - w.samples; w.samples < 0 || d > sampleDrift || d < -sampleDrift {
		w.samples = exact
	}
	w.samples = max(w.samples, t.last+1)
	t.add(w.samples, &fmp4.Sample{Payload: m.Content})
	step := int64(mpeg4audio.SamplesPerAccessUnit)
	if m.Codec == media.Opus {
		step = int64(opus.PacketDuration2(m.Content))
	}
	w.samples += step
	t.step = step
}

// delimiter is what separates pictures of AV1 elsewhere (AV1 in ISO media files 2.4).
var delimiter = []byte{0x12, 0}

func (w *mp4) addVideo(m *media.Message, at int64) {
	t := w.video
	if t.last < 0 && !m.Key {
		return
	}
	payload := bytes.TrimPrefix(m.Content, delimiter)
	if w.params.Video != media.AV1 {
		units, err := w.params.Units(m)
		if err == nil && len(units) > 0 {
			payload, err = h264.AVCC(units).Marshal()
		}
		if err != nil || len(units) == 0 {
			return // one bad picture is not the end
		}
	}
	dts := max(at*videoClock, t.last+1)
	shown := (at + int64(m.Shift)) * videoClock
	t.add(dts, &fmp4.Sample{Payload: payload, PTSOffset: int32(shown - dts), IsNonSyncSample: !m.Key}) //nolint:gosec // 24 bits of ms
}

// add adds a sample, which says how long the one before it is.
func (t *track) add(at int64, s *fmp4.Sample) {
	if t.last >= 0 {
		t.step = at - t.last
	}
	if n := len(t.list); n > 0 {
		t.list[n-1].Duration = uint32(t.step) //nolint:gosec // bounded by the hub's jumps
	}
	t.last = at
	t.list, t.at = append(t.list, s), append(t.at, at)
}

func (w *mp4) tracks() []*track {
	var list []*track
	for _, t := range []*track{w.video, w.audio} {
		if t != nil {
			list = append(list, t)
		}
	}
	return list
}

func (w *mp4) begin() ([]byte, error) {
	var init fmp4.Init
	for _, t := range w.tracks() {
		c := w.codec(t)
		if c == nil {
			return nil, fmt.Errorf("%w: parameter sets are missing", ErrCodec)
		}
		init.Tracks = append(init.Tracks, &fmp4.InitTrack{ID: t.id, TimeScale: uint32(t.scale), Codec: c}) //nolint:gosec // a sample rate
	}
	var b seekablebuffer.Buffer
	if err := init.Marshal(&b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCodec, err)
	}
	return append(b.Bytes(), freeBox(indexRoom)...), nil
}

// freeBox is a box of n bytes that players pass over.
func freeBox(n int) []byte {
	b := make([]byte, n)
	binary.BigEndian.PutUint32(b, uint32(n)) //nolint:gosec // small
	copy(b[4:], "free")
	return b
}

// codec is that of a track; nil: its parameters are not complete.
func (w *mp4) codec(t *track) codecs.Codec {
	p := w.params
	switch {
	case t.id == audioID && p.AAC != nil:
		return &codecs.MPEG4Audio{Config: *p.AAC}
	case t.id == audioID:
		return &codecs.Opus{ChannelCount: p.Opus}
	case p.Video == media.AV1:
		return &codecs.AV1{SequenceHeader: p.Sets[0]}
	}
	sets, ok := p.First()
	switch {
	case !ok:
		return nil
	case p.Video == media.HEVC:
		return &codecs.H265{VPS: sets[0], SPS: sets[1], PPS: sets[2]}
	}
	return &codecs.H264{SPS: sets[0], PPS: sets[1]}
}

func (w *mp4) piece(last bool) ([]byte, error) {
	w.number++
	piece := fmp4.Part{SequenceNumber: w.number}
	for _, t := range w.tracks() {
		if p := t.take(last); p != nil {
			piece.Tracks = append(piece.Tracks, p)
		}
	}
	if len(piece.Tracks) == 0 {
		return nil, nil
	}
	w.b.Reset()
	if err := piece.Marshal(&w.b); err != nil {
		return nil, fmt.Errorf("make piece of recording: %w", err)
	}
	return w.b.Bytes(), nil
}

// take is what can be written: all but the newest, and that with last.
func (t *track) take(last bool) *fmp4.PartTrack {
	n := len(t.list)
	if n > 0 && last {
		t.list[n-1].Duration = uint32(t.step) //nolint:gosec // as above
		n++
	}
	if n--; n <= 0 {
		return nil
	}
	p := &fmp4.PartTrack{ID: t.id, BaseTime: uint64(t.at[0]), Samples: t.list[:n:n]} //nolint:gosec // not negative
	t.list, t.at = append([]*fmp4.Sample(nil), t.list[n:]...), append([]int64(nil), t.at[n:]...)
	return p
}
