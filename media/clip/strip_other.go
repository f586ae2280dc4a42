package clip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// This file removes metadata from files that are not of the MP4 family.

// Elements of Matroska (RFC 9559) that Strip looks at or into.
const (
	idVoid        = 0xec
	idSegment     = 0x18538067
	idInfo        = 0x1549a966
	idCluster     = 0x1f43b675
	idCRC         = 0xbf // of what is changed here
	idTags        = 0x1254c367
	idAttachments = 0x1941a469 // pictures, mostly
	idChapters    = 0x1043a770
	idDateUTC     = 0x4461
	idTitle       = 0x7ba9
	idMuxingApp   = 0x4d80
	idWritingApp  = 0x5741
	idFilename    = 0x7384
	idPrevName    = 0x3c83ab
	idNextName    = 0x3e83bb
	idTracks      = 0x1654ae6b
	idTrackEntry  = 0xae
	idTrackName   = 0x536e
)

// matroska strips the elements between two places. Nothing is moved.
func (s *stripper) matroska(at, end int64, depth int) error {
	if depth > maxBoxDepth {
		return &RefusedError{Reason: Bomb, Detail: "elements in elements in elements"}
	}
	for at < end {
		e, err := s.element(at, end)
		if err != nil {
			return err
		}
		switch e.id {
		case idSegment, idInfo, idTracks, idTrackEntry:
			err = s.matroska(e.body, e.end, depth+1)
		case idTags, idAttachments, idChapters, idDateUTC, idTitle, idFilename, idPrevName, idNextName, idTrackName, idCRC:
			err = s.void(e)
		case idMuxingApp, idWritingApp: // must be there
			err = s.fill(e.body, e.end, ' ')
		case idCluster:
			if e.open { // a live recording: what follows may be inside or behind it
				at = e.body
				continue
			}
		}
		if err != nil {
			return err
		}
		at = e.end
	}
	return nil
}

// ebml is an element: its id, where it begins, its content and its end. Open ones
// do not say where they end.
type ebml struct {
	id               uint64
	start, body, end int64
	open             bool
}

// element reads the head of the element at a place. One that goes beyond what it is
// in is taken to end there: files of recordings that broke off are like that.
func (s *stripper) element(at, end int64) (ebml, error) {
	if s.seen++; s.seen > maxElements {
		return ebml{}, &RefusedError{Reason: Bomb, Detail: "too many elements"}
	}
	var h [12]byte
	n, err := s.f.ReadAt(h[:min(int64(len(h)), end-at)], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return ebml{}, fmt.Errorf("read element: %w", err)
	}
	idLen := vintLen(h[0])
	if n < 2 || idLen > 4 || idLen >= n {
		return ebml{}, broken("an element without a head")
	}
	e := ebml{start: at}
	for _, b := range h[:idLen] {
		e.id = e.id<<8 | uint64(b)
	}
	sizeLen := vintLen(h[idLen])
	if sizeLen > 8 || idLen+sizeLen > n {
		return ebml{}, broken("an element without its size")
	}
	size := uint64(h[idLen]) & (0xff >> sizeLen)
	all := size == 0xff>>sizeLen
	for _, b := range h[idLen+1 : idLen+sizeLen] {
		size = size<<8 | uint64(b)
		all = all && b == 0xff
	}
	e.body = at + int64(idLen+sizeLen)
	e.end, e.open = end, all
	if !all && size <= uint64(end-e.body) { //nolint:gosec // not negative
		e.end = e.body + int64(size) //nolint:gosec // bounded above
	}
	return e, nil
}

// vintLen is how long a number is that begins with this byte; 9: it is none.
func vintLen(b byte) int {
	n := 1
	for ; n <= 8 && b&(0x80>>(n-1)) == 0; n++ {
	}
	return n
}

// void makes an element an empty one of the same size.
func (s *stripper) void(e ebml) error {
	size := e.end - e.start
	head := []byte{idVoid, 0x80 | byte(size-2)} //nolint:gosec // small, or replaced
	if size-2 > 126 {
		if size < 9 {
			return broken("a short element")
		}
		head = binary.BigEndian.AppendUint64(head[:1], 1<<56|uint64(size-9)) //nolint:gosec // not negative
	}
	if _, err := s.f.WriteAt(head, e.start); err != nil {
		return fmt.Errorf("strip file: %w", err)
	}
	return s.fill(e.start+int64(len(head)), e.end, 0)
}

// fill writes one byte over everything between two places.
func (s *stripper) fill(at, end int64, b byte) error {
	block := bytes.Repeat([]byte{b}, int(max(0, min(end-at, 64<<10))))
	for at < end {
		n, err := s.f.WriteAt(block[:min(int64(len(block)), end-at)], at)
		if err != nil {
			return fmt.Errorf("strip file: %w", err)
		}
		at += int64(n)
	}
	return nil
}

// maxTags bounds the tags at the end of a sound that are removed.
const maxTags = 16

// mp3 blanks the tag in front (ID3v2: it becomes padding) and cuts those at the end
// (ID3v1, APEv2, ID3v2 with a footer).
func (s *stripper) mp3(end int64) error {
	at := int64(0)
	for range maxTags {
		var h [10]byte
		if end-at < 10 {
			break
		}
		if _, err := s.f.ReadAt(h[:], at); err != nil {
			return fmt.Errorf("read tag: %w", err)
		}
		if string(h[:3]) != "ID3" || (h[6]|h[7]|h[8]|h[9])&0x80 != 0 {
			break
		}
		size := synchsafe(h[6:])
		stop := min(at+10+size, end)
		// No flags: neither an extended header nor a footer is there any more.
		if h[5]&0x10 != 0 {
			footer := min(stop+10, end)
			if err := s.fill(stop, footer, 0); err != nil {
				return err
			}
			stop = footer
			size = stop - at - 10
		}
		if err := s.fill(at+10, stop, 0); err != nil {
			return err
		}
		copy(h[5:], []byte{0, byte(size >> 21 & 0x7f), byte(size >> 14 & 0x7f), byte(size >> 7 & 0x7f), byte(size & 0x7f)}) //nolint:gosec // masked
		if _, err := s.f.WriteAt(h[:], at); err != nil {
			return fmt.Errorf("strip file: %w", err)
		}
		at = stop
	}
	cut := end
	for range maxTags {
		n, err := s.endTag(at, cut)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		cut -= n
	}
	if cut < end {
		if err := s.f.Truncate(cut); err != nil {
			return fmt.Errorf("strip file: %w", err)
		}
	}
	return nil
}

// endTag is the length of the tag at the end of what is between two places, 0 if
// there is none.
func (s *stripper) endTag(at, end int64) (int64, error) {
	tail := make([]byte, min(128, end-at))
	if _, err := s.f.ReadAt(tail, end-int64(len(tail))); err != nil {
		return 0, fmt.Errorf("read tag: %w", err)
	}
	if len(tail) == 128 && string(tail[:3]) == "TAG" {
		return 128, nil
	}
	if n := len(tail); n >= 32 && string(tail[n-32:n-24]) == "APETAGEX" {
		f := tail[n-32:]
		size := int64(binary.LittleEndian.Uint32(f[12:])) // with the footer
		if binary.LittleEndian.Uint32(f[20:])&(1<<31) != 0 {
			size += 32 // the header
		}
		return min(max(size, 32), end-at), nil
	}
	if n := len(tail); n >= 10 && string(tail[n-10:n-7]) == "3DI" {
		return min(synchsafe(tail[n-4:])+20, end-at), nil
	}
	return 0, nil
}

// synchsafe is a number of ID3v2: four times seven bits.
func synchsafe(b []byte) int64 {
	return int64(b[0]&0x7f)<<21 | int64(b[1]&0x7f)<<14 | int64(b[2]&0x7f)<<7 | int64(b[3]&0x7f)
}

// maxPages bounds how far comments are looked for in Ogg.
const maxPages = 64

// ogg blanks the comments of a sound (Vorbis, Opus) that are in whole pages: their
// texts become spaces, and the page gets its checksum anew.
func (s *stripper) ogg(end int64) error {
	at := int64(0)
	comments := map[uint32]*oggComment{} // by stream
	for range maxPages {
		page, next, err := s.oggPage(at, end)
		if err != nil || page == nil {
			return err
		}
		serial := binary.LittleEndian.Uint32(page[14:])
		segments := int(page[26])
		body := page[27+segments:]
		c := comments[serial]
		if c == nil {
			c = &oggComment{}
			comments[serial] = c
		}
		if c.blank(page[27:27+segments], body) {
			clear(page[22:26])
			binary.LittleEndian.PutUint32(page[22:], oggSum(page))
			if _, err := s.f.WriteAt(page, at); err != nil {
				return fmt.Errorf("strip file: %w", err)
			}
		}
		at = next
	}
	return nil
}

// oggPage reads a page; nil: there is no more.
func (s *stripper) oggPage(at, end int64) (page []byte, next int64, err error) {
	var h [27 + 255]byte
	n, err := s.f.ReadAt(h[:min(int64(len(h)), max(0, end-at))], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("read page: %w", err)
	}
	if n < 27 || string(h[:4]) != "OggS" || n < 27+int(h[26]) {
		return nil, 0, nil
	}
	size := 27 + int(h[26])
	for _, l := range h[27:size] {
		size += int(l)
	}
	if int64(size) > end-at {
		return nil, 0, nil
	}
	page = make([]byte, size)
	if _, err := s.f.ReadAt(page, at); err != nil {
		return nil, 0, fmt.Errorf("read page: %w", err)
	}
	return page, at + int64(size), nil
}

// oggComment follows one stream to its second packet, the comments.
type oggComment struct {
	packet int    // that is being read
	head   []byte // its first bytes
	left   int64  // comments, -1: the number comes; -2: the vendor comes
	num    []byte // of a length that is being read
	in     bool   // it is a packet of comments, behind its magic
	text   int64  // bytes of a text that are still to come
}

// blank blanks what is of the comments in a page; true: there was some.
func (c *oggComment) blank(lengths, body []byte) (changed bool) {
	at := 0
	for _, l := range lengths {
		part := body[at : at+int(l)]
		at += int(l)
		if c.packet == 1 && c.feed(part) {
			changed = true
		}
		if l < 255 {
			c.packet++
		}
	}
	return changed
}

// feed reads a piece of the packet of comments: its magic, the vendor, the number of
// comments, and the comments, each behind its length.
func (c *oggComment) feed(p []byte) (changed bool) {
	for i := 0; i < len(p); i++ {
		switch {
		case !c.in:
			c.head = append(c.head, p[i])
			switch {
			case string(c.head) == "\x03vorbis", string(c.head) == "OpusTags":
				c.in, c.left = true, -2
			case len(c.head) >= 8:
				c.packet = 2 // something else
				return changed
			}
		case c.text > 0:
			n := int(min(c.text, int64(len(p)-i)))
			for k := i; k < i+n; k++ {
				p[k] = ' '
			}
			c.text -= int64(n)
			i += n - 1
			changed = true
		case c.left == 0:
			return changed
		default:
			if c.num = append(c.num, p[i]); len(c.num) < 4 {
				continue
			}
			n := int64(binary.LittleEndian.Uint32(c.num))
			c.num = c.num[:0]
			switch c.left {
			case -1:
				c.left = n
			case -2:
				c.left, c.text = -1, n
			default:
				c.left--
				c.text = n
			}
		}
	}
	return changed
}

// oggSum is the checksum of a page (RFC 3533): CRC-32 with 0x04c11db7, not reflected.
func oggSum(page []byte) uint32 {
	var sum uint32
	for _, b := range page {
		sum ^= uint32(b) << 24
		for range 8 {
			top := sum&(1<<31) != 0
			if sum <<= 1; top {
				sum ^= 0x04c11db7
			}
		}
	}
	return sum
}

// stripOther strips a file that is not of the MP4 family.
func stripOther(f *os.File, head []byte, end int64) error {
	s := stripper{f: f}
	switch {
	case bytes.HasPrefix(head, []byte("\x1a\x45\xdf\xa3")):
		return s.matroska(0, end, 0)
	case bytes.HasPrefix(head, []byte("OggS")):
		return s.ogg(end)
	case bytes.HasPrefix(head, []byte("ID3")), len(head) > 1 && head[0] == 0xff && head[1]&0xe0 == 0xe0: // MPEG sound, AAC in ADTS
		return s.mp3(end)
	}
	return nil
}
