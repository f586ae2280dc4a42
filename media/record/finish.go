package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// Finish makes a file whole that is not written to any more, whatever ended that: what
// is torn at its end is cut, and an MP4 file gets its duration and its index. It may
// be done again. A file with nothing to play in it has length 0.
func Finish(f *os.File, format Format) (Length, error) {
	info, err := f.Stat()
	if err != nil {
		return Length{}, fmt.Errorf("finish recording: %w", err)
	}
	var l Length
	var s *scan
	if format == FLV {
		l, err = scanFLV(f, info.Size())
	} else if s, err = scanMP4(f, info.Size()); err == nil {
		l = s.length()
	}
	if err != nil || l.Duration == 0 {
		return Length{}, err
	}
	if l.Bytes < info.Size() {
		err = f.Truncate(l.Bytes)
	}
	if s != nil && err == nil {
		err = s.index()
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return Length{}, fmt.Errorf("finish recording: %w", err)
	}
	return l, nil
}

// scan is what is found in an MP4 file of ours.
type scan struct {
	f        *os.File
	end      int64         // of what is whole
	mvhd     int64         // where it is
	free     int64         // where room for the index, or the index, is
	room     int64         // bytes of it
	scales   map[int]int64 // by track
	tracks   []int         // the one whose key frames count first
	pieces   []pieceInfo
	duration time.Duration
}

// pieceInfo is one fragment, or some that follow each other.
type pieceInfo struct {
	size int64
	key  bool // begins with a picture that needs no other
	of   [maxTracks]span
}

// span is what a piece has of a track, in ticks.
type span struct {
	some    bool
	at, end int64
	shift   int64 // how much later than at the first sample is shown
}

const maxTracks = 2

const (
	boxHead = 8
	// maxMoof bounds the head of a fragment of at most maxPiece, however small its
	// samples are.
	maxMoof = 8 << 20
	maxInit = 1 << 20
)

// box is the head of a box.
type box struct {
	at, size int64
	kind     string
}

func (b box) end() int64 { return b.at + b.size }

// boxAt reads the head of a box that is whole below limit.
func boxAt(r io.ReaderAt, at, limit int64) (box, bool) {
	var b [boxHead]byte
	if at+boxHead > limit {
		return box{}, false
	}
	if _, err := r.ReadAt(b[:], at); err != nil {
		return box{}, false
	}
	x := box{at: at, size: int64(binary.BigEndian.Uint32(b[:])), kind: string(b[4:])}
	return x, x.size >= boxHead && x.end() <= limit
}

// scanMP4 reads the heads of all boxes, up to the first that is not whole.
func scanMP4(f *os.File, size int64) (*scan, error) {
	s := &scan{f: f, scales: map[int]int64{}}
	for at := int64(0); ; {
		b, ok := boxAt(f, at, size)
		if !ok {
			return s, nil
		}
		next := b.end()
		switch b.kind {
		case "moov":
			if err := s.init(b); err != nil {
				return s, nil //nolint:nilerr // torn
			}
		case "free", "sidx":
			if s.free == 0 {
				s.free = at
			}
		case "moof":
			data, ok := boxAt(f, next, size)
			if !ok || data.kind != "mdat" || s.moof(b) != nil {
				return s, nil
			}
			next = data.end()
			s.pieces[len(s.pieces)-1].size = next - at
			s.end = next
		case "ftyp":
		default:
			return s, nil // zeros, after a loss of power
		}
		if len(s.pieces) == 0 {
			s.room = next - s.free
		}
		at = next
	}
}

// init reads what the file begins with.
func (s *scan) init(moov box) error {
	if moov.end() > maxInit {
		return errors.New("too long")
	}
	var init fmp4.Init
	if err := init.Unmarshal(io.NewSectionReader(s.f, 0, moov.end())); err != nil {
		return err
	}
	for _, t := range init.Tracks {
		s.scales[t.ID] = int64(t.TimeScale)
		s.tracks = append(s.tracks, t.ID)
		if t.Codec.IsVideo() {
			slices.Reverse(s.tracks)
		}
	}
	if len(s.tracks) > maxTracks {
		return errBox
	}
	if b, ok := boxAt(s.f, moov.at+boxHead, moov.end()); ok && b.kind == "mvhd" {
		s.mvhd = b.at
	}
	return nil
}

var errBox = errors.New("malformed box")

// moof reads the head of a fragment.
func (s *scan) moof(b box) error {
	if b.size > maxMoof || len(s.scales) == 0 {
		return errBox
	}
	buf := make([]byte, b.size)
	if _, err := s.f.ReadAt(buf, b.at); err != nil {
		return err
	}
	var p pieceInfo
	err := children(buf[boxHead:], func(kind string, body []byte) error {
		if kind != "traf" {
			return nil
		}
		t, err := readTrack(body)
		i := slices.Index(s.tracks, t.id)
		if err != nil || i < 0 {
			return errors.Join(err, errBox)
		}
		p.of[i] = span{true, t.at, t.at + t.ticks, t.shift}
		p.key = p.key || i == 0 && t.key
		s.duration = max(s.duration, time.Duration(float64(t.at+t.ticks)/float64(s.scales[t.id])*float64(time.Second)))
		return nil
	})
	if err == nil {
		s.pieces = append(s.pieces, p)
	}
	return err
}

// children hands out the boxes in a box.
func children(b []byte, each func(kind string, body []byte) error) error {
	for len(b) > 0 {
		if len(b) < boxHead {
			return errBox
		}
		size := int(binary.BigEndian.Uint32(b))
		if size < boxHead || size > len(b) {
			return errBox
		}
		if err := each(string(b[4:8]), b[boxHead:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// trackInfo is what a fragment has of a track.
type trackInfo struct {
	id        int
	at, ticks int64
	shift     int64 // of the first sample
	key       bool  // the first sample needs no other
}

// readTrack reads a traf box as fmp4 writes it: times and lengths stand in it.
func readTrack(b []byte) (trackInfo, error) {
	var t trackInfo
	err := children(b, func(kind string, b []byte) error {
		need := map[string]int{"tfhd": 8, "tfdt": 12, "trun": 8}[kind]
		if len(b) < need {
			return errBox
		}
		switch kind {
		case "tfhd":
			t.id = int(binary.BigEndian.Uint32(b[4:]))
		case "tfdt":
			if t.at = int64(binary.BigEndian.Uint64(b[4:])); b[0] != 1 || t.at < 0 || t.at > math.MaxInt64/2 { //nolint:gosec // looked at
				return errBox
			}
		case "trun":
			return t.run(b)
		}
		return nil
	})
	return t, err
}

// run adds up a trun box (ISO/IEC 14496-12 8.8.8).
func (t *trackInfo) run(b []byte) error {
	const offset, first, duration, flagged, shifted, nonSync = 1, 4, 0x100, 0x400, 0x800, 1 << 16
	flags := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	count := int(binary.BigEndian.Uint32(b[4:]))
	b = b[8:]
	for _, f := range []int{offset, first} {
		if flags&f != 0 {
			b = b[min(4, len(b)):]
		}
	}
	fields := 0
	place := map[int]int{} // of the fields of a sample
	for _, f := range []int{duration, 0x200, flagged, shifted} {
		if flags&f != 0 {
			place[f] = fields
			fields++
		}
	}
	if flags&duration == 0 || count == 0 || len(b) != count*fields*4 {
		return errBox
	}
	field := func(i, f int) uint32 { return binary.BigEndian.Uint32(b[4*(i*fields+place[f]):]) }
	t.key = flags&flagged == 0 || field(0, flagged)&nonSync == 0
	if flags&shifted != 0 {
		t.shift = int64(int32(field(0, shifted))) //nolint:gosec // it is signed
	}
	for i := range count {
		t.ticks += int64(field(i, duration))
	}
	return nil
}

func (s *scan) length() Length { return Length{s.end, s.duration} }

const (
	indexHead  = 40 // bytes of an index without entries
	indexEntry = 12
	mvhdLength = boxHead + 16 // where the duration is in it
)

// index fills in the duration and, in place of the room that was left for it, where
// players find which time (ISO/IEC 14496-12 8.16.3). Each track has one: players that
// find one of a track look for all others in it, too.
func (s *scan) index() error {
	if s.mvhd > 0 {
		b := binary.BigEndian.AppendUint32(nil, uint32(min(s.duration.Milliseconds(), math.MaxUint32-1))) //nolint:gosec // bounded
		if _, err := s.f.WriteAt(b, s.mvhd+mvhdLength); err != nil {
			return err
		}
	}
	n := int64(len(s.tracks))
	most := (s.room - boxHead - n*indexHead) / (n * indexEntry)
	if s.free == 0 || most < 1 {
		return nil
	}
	entries := s.fold(int(most))
	for _, e := range entries {
		if e.size > math.MaxInt32 {
			return nil // no room for such numbers: players look for themselves
		}
	}
	b := make([]byte, 0, s.room)
	for i := range s.tracks {
		b = s.appendIndex(b, i, entries)
	}
	b = append(b, freeBox(int(s.room)-len(b))...)
	_, err := s.f.WriteAt(b, s.free)
	return err
}

// appendIndex appends the index of a track.
func (s *scan) appendIndex(b []byte, track int, entries []pieceInfo) []byte {
	size := indexHead + indexEntry*len(entries)
	first, end := entries[0].of[track], len(b)+size
	b = binary.BigEndian.AppendUint32(b, uint32(size)) //nolint:gosec // of the room
	b = append(b, "sidx\x01\x00\x00\x00"...)
	b = binary.BigEndian.AppendUint32(b, uint32(s.tracks[track]))              //nolint:gosec // 1 or 2
	b = binary.BigEndian.AppendUint32(b, uint32(s.scales[s.tracks[track]]))    //nolint:gosec // was 32 bits
	b = binary.BigEndian.AppendUint64(b, uint64(max(first.at+first.shift, 0))) //nolint:gosec // not negative
	b = binary.BigEndian.AppendUint64(b, uint64(s.room)-uint64(end))           //nolint:gosec // what lies between
	b = binary.BigEndian.AppendUint32(b, uint32(len(entries)))                 //nolint:gosec // 16 bits
	for i, e := range entries {
		until := e.of[track].end
		if i+1 < len(entries) {
			until = entries[i+1].of[track].at
		}
		b = binary.BigEndian.AppendUint32(b, uint32(e.size))                                            //nolint:gosec // 31 bits
		b = binary.BigEndian.AppendUint32(b, uint32(min(max(until-e.of[track].at, 0), math.MaxUint32))) //nolint:gosec // bounded
		b = binary.BigEndian.AppendUint32(b, 0x90000000)                                                // begins with a key frame
	}
	return b
}

// fold makes entries of the index, at most so many, each of one or more pieces, and
// beginning with a key frame where there are any.
func (s *scan) fold(most int) []pieceInfo {
	var list []pieceInfo
	for i, p := range s.pieces {
		if i == 0 || p.key {
			list = append(list, p)
			continue
		}
		list[len(list)-1].join(p)
	}
	for len(list) > min(most, math.MaxUint16) {
		half := list[:0]
		for i, p := range list {
			if i%2 == 0 {
				half = append(half, p)
				continue
			}
			half[len(half)-1].join(p)
		}
		list = half
	}
	// What has nothing of a track has it where the one before ended.
	for i := range list {
		for t := range list[i].of {
			if o := &list[i].of[t]; !o.some && i > 0 {
				o.at = list[i-1].of[t].end
				o.end = o.at
			}
		}
	}
	return list
}

// join adds a piece that follows.
func (p *pieceInfo) join(next pieceInfo) {
	p.size += next.size
	for i, o := range next.of {
		switch {
		case !o.some:
		case !p.of[i].some:
			p.of[i] = o
		default:
			p.of[i].end = o.end
		}
	}
}
