package clip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Bounds of the walk over the boxes of a file.
const (
	maxBoxes    = 20_000
	maxBoxDepth = 8
	maxElements = 200_000 // of Matroska, whose clusters are some
)

// Strip removes from a file of the MP4 family, in place, what it says besides its
// streams: where and when and with what it was made, comments, pictures (ISO/IEC
// 14496-12 boxes udta, meta and uuid, and streams of metadata). Nothing is moved:
// the boxes become free space, filled with zeros, and times of creation zero. In
// Matroska tags, attachments, chapters and names become void elements; in Ogg the
// comments become spaces. MPEG sound loses its tags (ID3, APE): in front they become
// padding, at the end they are cut. Other files have none. A RefusedError means that the file is
// broken.
func Strip(f *os.File) error {
	head := make([]byte, SniffLen)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read file: %w", err)
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	if format, err := Sniff(head[:n]); err != nil || format != MOV {
		return stripOther(f, head[:n], end)
	}
	s := stripper{f: f}
	return s.boxes(0, end, 0)
}

type stripper struct {
	f    *os.File
	seen int
}

// mp4Box is one box: its type, where it begins, its content and its end.
type mp4Box struct {
	kind             string
	start, body, end int64
}

func broken(detail string) error { return &RefusedError{Reason: Broken, Detail: detail} }

// next reads the head of the box at a place.
func (s *stripper) next(at, end int64) (mp4Box, error) {
	if s.seen++; s.seen > maxBoxes {
		return mp4Box{}, &RefusedError{Reason: Bomb, Detail: "too many boxes"}
	}
	var h [16]byte
	if end-at < 8 {
		return mp4Box{}, broken("a box without a head")
	}
	if _, err := s.f.ReadAt(h[:8], at); err != nil {
		return mp4Box{}, fmt.Errorf("read box: %w", err)
	}
	b := mp4Box{kind: string(h[4:8]), start: at, body: at + 8}
	size := int64(binary.BigEndian.Uint32(h[:4]))
	switch size {
	case 0: // to the end
		size = end - at
	case 1:
		if end-at < 16 {
			return mp4Box{}, broken("a box without its size")
		}
		if _, err := s.f.ReadAt(h[8:], at+8); err != nil {
			return mp4Box{}, fmt.Errorf("read box: %w", err)
		}
		large := binary.BigEndian.Uint64(h[8:])
		if large > uint64(end-at) { //nolint:gosec // not negative
			return mp4Box{}, broken("a box longer than what it is in")
		}
		size, b.body = int64(large), at+16 //nolint:gosec // bounded above
	}
	if size < b.body-at || size > end-at {
		return mp4Box{}, broken("a box longer than what it is in")
	}
	b.end = at + size
	return b, nil
}

// boxes strips the boxes between two places.
func (s *stripper) boxes(at, end int64, depth int) error {
	if depth > maxBoxDepth {
		return &RefusedError{Reason: Bomb, Detail: "boxes in boxes in boxes"}
	}
	for at < end {
		if depth > 0 && end-at < 8 {
			return nil // some programs end a box with four zeros
		}
		b, err := s.next(at, end)
		if err != nil {
			return err
		}
		switch b.kind {
		case "udta", "meta", "uuid", "XMP_", "ID32":
			err = s.free(b)
		case "mvhd", "tkhd", "mdhd":
			err = s.times(b)
		case "moov", "moof", "traf", "edts", "mdia":
			err = s.boxes(b.body, b.end, depth+1)
		case "trak":
			err = s.track(b, depth)
		}
		if err != nil {
			return err
		}
		at = b.end
	}
	return nil
}

// times zeroes when something was made and changed: version and flags, then two
// numbers of 4 bytes, or 8 in version 1.
func (s *stripper) times(b mp4Box) error {
	var v [1]byte
	if b.end-b.body < 4 {
		return nil // nothing in it
	}
	if _, err := s.f.ReadAt(v[:], b.body); err != nil {
		return fmt.Errorf("read box: %w", err)
	}
	size := int64(8)
	if v[0] == 1 {
		size = 16
	}
	return s.fill(b.body+4, min(b.body+4+size, b.end), 0)
}

// track strips a track, or all of one that holds metadata.
func (s *stripper) track(b mp4Box, depth int) error {
	kind, err := s.handler(b.body, b.end)
	if err != nil {
		return err
	}
	if kind == "meta" || kind == "mdta" {
		return s.free(b)
	}
	return s.boxes(b.body, b.end, depth+1)
}

// handler finds the kind of a track: trak/mdia/hdlr.
func (s *stripper) handler(at, end int64) (string, error) {
	for end-at >= 8 {
		b, err := s.next(at, end)
		if err != nil {
			return "", err
		}
		switch b.kind {
		case "mdia":
			return s.handler(b.body, b.end)
		case "hdlr":
			var h [12]byte
			if b.end-b.body < 12 {
				return "", broken("a short hdlr")
			}
			_, err := s.f.ReadAt(h[:], b.body)
			return string(h[8:]), err
		}
		at = b.end
	}
	return "", nil
}

// free makes a box free space.
func (s *stripper) free(b mp4Box) error {
	if _, err := s.f.WriteAt([]byte("free"), b.start+4); err != nil {
		return fmt.Errorf("strip file: %w", err)
	}
	return s.fill(b.body, b.end, 0)
}
