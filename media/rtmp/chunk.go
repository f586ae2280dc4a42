package rtmp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Types of messages (Adobe RTMP specification 1.0, 5.4, 7.1).
const (
	typeSetChunkSize = 1
	typeAbort        = 2
	typeAck          = 3
	typeUserControl  = 4
	typeWindow       = 5
	typeBandwidth    = 6
	typeAudio        = 8
	typeVideo        = 9
	typeData3        = 15
	typeCommand3     = 17
	typeData         = 18
	typeCommand      = 20
	typeAggregate    = 22
)

const (
	// startChunk is the size of chunks until another one is announced (5.4.1).
	startChunk = 128
	// ourChunk is the size that we announce: a picture is rarely cut.
	ourChunk = 60_000
	// maxCommand bounds messages that are not sound or pictures.
	maxCommand = 16 << 10
	// maxMedia bounds those that are, 8 MiB: more than any encoder makes.
	maxMedia = 8 << 20
	// maxEarly bounds them before anybody may publish.
	maxEarly = 64 << 10
	// maxChunkStreams bounds the chunk streams of a connection; encoders use 2 to 6.
	maxChunkStreams = 32
	// firstPiece is how much is allocated for a message before any of it came.
	firstPiece = 256 << 10
	// extended is the time that says that the real one follows (5.3.1.3).
	extended = 0xffffff
)

// errProtocol is the error of what is not RTMP, or more of it than is allowed.
var errProtocol = errors.New("protocol error")

// message is one message of a connection.
type message struct {
	kind   byte
	stream uint32
	time   uint32
	body   []byte
}

// chunkReader puts messages together from chunks. It takes care of SetChunkSize and
// Abort itself and leaves out messages without content, which many encoders send
// and many programs stumble over.
type chunkReader struct {
	r       *bufio.Reader
	streams map[uint32]*chunkStream
	size    int // of chunks
	media   int // most bytes of a media message
	pending int // bytes of all unfinished messages
}

// chunkStream is what a chunk may take over from the one before.
type chunkStream struct {
	time, delta uint32
	length      int
	kind        byte
	stream      uint32
	extended    bool
	field       uint32 // the extended time as it came
	open        bool   // a message is unfinished
	body        []byte
}

func newChunkReader(r *bufio.Reader, media int) *chunkReader {
	return &chunkReader{r: r, streams: map[uint32]*chunkStream{}, size: startChunk, media: media}
}

// next is the next message.
func (c *chunkReader) next() (message, error) {
	for {
		m, ok, err := c.chunk()
		if err != nil || ok {
			return m, err
		}
	}
}

// chunk reads one chunk; ok: it was the last one of a message that matters.
func (c *chunkReader) chunk() (m message, ok bool, err error) {
	format, id, err := c.basicHeader()
	if err != nil {
		return m, false, err
	}
	s := c.streams[id]
	if s == nil {
		if format > 1 {
			return m, false, fmt.Errorf("%w: chunk without the one it refers to", errProtocol)
		}
		if len(c.streams) >= maxChunkStreams {
			return m, false, fmt.Errorf("%w: more than %d chunk streams", errProtocol, maxChunkStreams)
		}
		s = &chunkStream{}
		c.streams[id] = s
	}
	if err := c.header(s, format); err != nil {
		return m, false, noEOF(err)
	}
	if err := c.payload(s); err != nil {
		return m, false, noEOF(err)
	}
	if len(s.body) < s.length {
		return m, false, nil
	}
	m = message{s.kind, s.stream, s.time, s.body}
	c.pending -= len(s.body)
	s.open, s.body = false, nil
	return c.control(m)
}

// noEOF: an end inside a chunk is none that was meant.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// basicHeader reads what every chunk begins with (5.3.1.1).
func (c *chunkReader) basicHeader() (format byte, id uint32, err error) {
	b, err := c.r.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	format, id = b>>6, uint32(b&0x3f)
	if id > 1 {
		return format, id, nil
	}
	var more [2]byte
	if _, err := io.ReadFull(c.r, more[:id+1]); err != nil {
		return 0, 0, noEOF(err)
	}
	return format, 64 + uint32(more[0]) + uint32(more[1])<<8, nil
}

// header reads the rest of a chunk's header (5.3.1.2) and begins a message if none is
// unfinished.
func (c *chunkReader) header(s *chunkStream, format byte) error {
	if s.open && format != 3 {
		return fmt.Errorf("%w: message begins inside another one", errProtocol)
	}
	var h [11]byte
	if _, err := io.ReadFull(c.r, h[:[4]int{11, 7, 3, 0}[format]]); err != nil {
		return err
	}
	t := uint32(h[0])<<16 | uint32(h[1])<<8 | uint32(h[2])
	if format < 2 {
		s.length, s.kind = int(h[3])<<16|int(h[4])<<8|int(h[5]), h[6]
	}
	if format == 0 {
		s.stream = binary.LittleEndian.Uint32(h[7:])
	}
	if format < 3 {
		if s.extended = t == extended; s.extended {
			if _, err := io.ReadFull(c.r, h[:4]); err != nil {
				return err
			}
			t = binary.BigEndian.Uint32(h[:])
			s.field = t
		}
	} else if s.extended {
		c.skipRepeated(s)
	}
	if s.open {
		return nil
	}
	switch format {
	case 0:
		s.time, s.delta = t, 0
	case 1, 2:
		s.time, s.delta = s.time+t, t
	case 3:
		s.time += s.delta
	}
	return c.begin(s)
}

// skipRepeated skips the extended time of a chunk that has no other header. Most
// encoders repeat it there, as the specification says; some do not, so it counts
// only when it is the same.
func (c *chunkReader) skipRepeated(s *chunkStream) {
	if b, err := c.r.Peek(4); err == nil && binary.BigEndian.Uint32(b) == s.field {
		_, _ = c.r.Discard(4) // is there
	}
}

func (c *chunkReader) begin(s *chunkStream) error {
	most := maxCommand
	switch s.kind {
	case typeAudio, typeVideo, typeAggregate:
		most = c.media
	}
	if s.length > most {
		return fmt.Errorf("%w: message of type %d with %d bytes", errProtocol, s.kind, s.length)
	}
	s.open = true
	s.body = make([]byte, 0, min(s.length, firstPiece))
	return nil
}

func (c *chunkReader) payload(s *chunkStream) error {
	have := len(s.body)
	n := min(c.size, s.length-have)
	if c.pending += n; c.pending > c.media+maxMedia/8 {
		return fmt.Errorf("%w: too many unfinished messages", errProtocol)
	}
	// What is promised costs memory only as it comes.
	for n > 0 {
		if len(s.body) == cap(s.body) {
			grown := make([]byte, len(s.body), min(2*cap(s.body), s.length))
			copy(grown, s.body)
			s.body = grown
		}
		at := len(s.body)
		piece := min(n, cap(s.body)-at)
		s.body = s.body[:at+piece]
		if _, err := io.ReadFull(c.r, s.body[at:]); err != nil {
			return err
		}
		n -= piece
	}
	return nil
}

// control does what messages about chunks ask for.
func (c *chunkReader) control(m message) (message, bool, error) {
	switch m.kind {
	case typeSetChunkSize:
		if len(m.body) < 4 {
			return m, false, fmt.Errorf("%w: chunk size", errProtocol)
		}
		n := binary.BigEndian.Uint32(m.body)
		if n == 0 || n > 1<<31-1 {
			return m, false, fmt.Errorf("%w: chunk size %d", errProtocol, n)
		}
		c.size = int(min(n, 1<<24-1)) // no message is longer
		return m, false, nil
	case typeAbort:
		if len(m.body) < 4 {
			return m, false, fmt.Errorf("%w: abort", errProtocol)
		}
		if s := c.streams[binary.BigEndian.Uint32(m.body)]; s != nil && s.open {
			c.pending -= len(s.body)
			s.open, s.body = false, nil
		}
		return m, false, nil
	}
	return m, len(m.body) > 0, nil
}

// appendMessage appends a message as chunks of at most size bytes, each complete in
// itself: nothing is taken over from the message before, so that the same bytes can
// go to anybody at any time.
func appendMessage(b []byte, id byte, m message, size int) []byte {
	t, n := min(m.time, extended), len(m.body)
	b = append(b, id, byte(t>>16), byte(t>>8), byte(t), byte(n>>16), byte(n>>8), byte(n), m.kind)
	b = binary.LittleEndian.AppendUint32(b, m.stream)
	for body := m.body; ; b = append(b, 0xc0|id) {
		if t == extended {
			b = binary.BigEndian.AppendUint32(b, m.time)
		}
		n := min(size, len(body))
		b = append(b, body[:n]...)
		if body = body[n:]; len(body) == 0 {
			return b
		}
	}
}

// Lengths inside an aggregate: of the header of a tag, and of the size behind it.
const (
	tagHeader  = 11
	tagTrailer = 4
)

// split cuts an aggregate (7.1.6) into its messages. Their times are as far from
// that of the aggregate as they are from that of the first one.
func split(m message) ([]message, error) {
	var list []message
	var first uint32
	for b := m.body; len(b) > 0; {
		if len(b) < tagHeader {
			return nil, fmt.Errorf("%w: aggregate ends early", errProtocol)
		}
		kind, n := b[0], int(b[1])<<16|int(b[2])<<8|int(b[3])
		t := binary.BigEndian.Uint32([]byte{b[7], b[4], b[5], b[6]})
		if len(b) < tagHeader+n {
			return nil, fmt.Errorf("%w: aggregate ends early", errProtocol)
		}
		if len(b) == len(m.body) {
			first = t
		}
		switch media := kind == typeAudio || kind == typeVideo; {
		case n == 0:
		case media, kind == typeData && n <= maxCommand:
			list = append(list, message{kind, m.stream, m.time + t - first, b[tagHeader : tagHeader+n : tagHeader+n]})
		default:
			return nil, fmt.Errorf("%w: message of type %d with %d bytes in an aggregate", errProtocol, kind, n)
		}
		b = b[min(len(b), tagHeader+n+tagTrailer):]
	}
	return list, nil
}

// filter makes messages what the rest of the package expects: AMF0 where AMF3 has
// some in it, aggregates in pieces, sizes within bounds.
type filter struct {
	*chunkReader
	queue []message
}

func newFilter(r *bufio.Reader, media int) *filter {
	return &filter{chunkReader: newChunkReader(r, media)}
}

// next is the next message; its kind is none of AMF3, aggregates or chunks.
func (f *filter) next() (message, error) {
	var m message
	for m.kind == 0 {
		if len(f.queue) > 0 {
			m, f.queue = f.queue[0], f.queue[1:]
			break
		}
		var err error
		if m, err = f.chunkReader.next(); err != nil {
			return m, err
		}
		if m.kind == typeAggregate {
			if f.queue, err = split(m); err != nil {
				return m, err
			}
			m.kind = 0
		}
	}
	switch m.kind {
	// A byte that says in which form the rest is; then AMF0 in all that was ever seen.
	case typeCommand3:
		m.kind, m.body = typeCommand, m.body[1:]
	case typeData3:
		m.kind, m.body = typeData, m.body[1:]
	}
	return m, nil
}
