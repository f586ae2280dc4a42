package gateway

import (
	"errors"
	"io"
	"net"
	"sync"

	"gtiv/protocol"
)

// readerBytes is the buffer that every connection owns: enough for a heartbeat
// and most requests. Longer bodies borrow one.
const readerBytes = 256

// bigBody is a borrowed buffer for one whole frame. It is longer than the read
// limit of the WebSocket library, so that it is the library that sees a message
// as too long and says so.
type bigBody [protocol.HeaderBytes + protocol.MaxInBody + 2]byte

var bigBodies = sync.Pool{New: func() any { return new(bigBody) }}

// stream reads frames from TCP or TLS.
type stream struct {
	src  io.Reader
	buf  []byte
	r, w int // unread bytes in buf
	big  *bigBody
}

func newStream(src io.Reader) *stream { return &stream{src: src, buf: make([]byte, readerBytes)} }

// next reads one frame. A frame of a length that cannot be ends the stream
// before anything is reserved for it.
func (st *stream) next() (protocol.Header, []byte, error) {
	st.release()
	if err := st.fill(protocol.HeaderBytes); err != nil {
		return protocol.Header{}, nil, err
	}
	h, err := protocol.ParseHeader(st.buf[st.r:st.w])
	if err != nil {
		return h, nil, err
	}
	if protocol.HeaderBytes+h.BodyLen > len(st.buf) {
		body, err := st.readBig(h.BodyLen)
		return h, body, err
	}
	if err := st.fill(protocol.HeaderBytes + h.BodyLen); err != nil {
		return h, nil, err
	}
	body := st.buf[st.r+protocol.HeaderBytes : st.r+protocol.HeaderBytes+h.BodyLen]
	st.r += protocol.HeaderBytes + h.BodyLen
	return h, body, nil
}

// fill reads until n bytes are there, which fit the buffer.
func (st *stream) fill(n int) error {
	if st.r == st.w {
		st.r, st.w = 0, 0
	}
	if st.r+n > len(st.buf) {
		st.w = copy(st.buf, st.buf[st.r:st.w])
		st.r = 0
	}
	for st.w-st.r < n {
		m, err := st.src.Read(st.buf[st.w:])
		st.w += m
		if err != nil && st.w-st.r < n {
			return err
		}
	}
	return nil
}

// readBig reads a body that does not fit the own buffer.
func (st *stream) readBig(n int) ([]byte, error) {
	st.r += protocol.HeaderBytes
	st.big, _ = bigBodies.Get().(*bigBody)
	have := copy(st.big[:n], st.buf[st.r:st.w])
	st.r += have
	if _, err := io.ReadFull(st.src, st.big[have:n]); err != nil {
		return nil, err
	}
	return st.big[:n], nil
}

// release gives a borrowed buffer back; the last body is not valid any more.
func (st *stream) release() {
	if st.big != nil {
		bigBodies.Put(st.big)
		st.big = nil
	}
}

// endingFor is how a connection ends after a failed read.
func endingFor(err error) ending {
	switch {
	case errors.Is(err, errTextMessage):
		return endText
	case errors.Is(err, protocol.ErrFrame):
		return endGarbage
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return endGone
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return endGone
	}
	if isPeerClose(err) {
		return endGone
	}
	return endGarbage
}

// bucket is a token bucket.
type bucket struct {
	tokens float64
	at     int64
}

func (b *bucket) take(now int64, rate, burst int) bool {
	b.tokens = min(float64(burst), b.tokens+float64(now-b.at)*float64(rate)/1e9)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
