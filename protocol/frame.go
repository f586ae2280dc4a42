package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes of the frame of the long connection, in bytes (wire.md 7.1, 7.5 F1).
const (
	HeaderBytes = 16
	// MaxInBody bounds the body of a frame that a client sends.
	MaxInBody = 4096
	// MaxPushBody bounds the body of a push: the app reads 4096 bytes at once
	// and never carries a rest over, so 4080 is all that fits behind the header.
	MaxPushBody = 4080
	// MaxAppBytes bounds what the app may find in one read, unless it is all of
	// the 4096: it looks for the next length behind the last frame, and 1 to 3
	// bytes before the end of its buffer that overruns it (wire.md 7.5 F3).
	MaxAppBytes = 4092

	frameVersion = 1
)

// FitsPush reports whether the body of a push may have n bytes. Messages for
// which it says no are refused when they are sent, for all clients, so that
// delivery has no holes.
func FitsPush(n int) bool { return HeaderBytes+n <= MaxAppBytes || n == MaxPushBody }

// ErrFrame reports bytes that are not a frame. The connection is beyond repair.
var ErrFrame = errors.New("bad frame")

// Header is the fixed head of every frame, big-endian on the wire.
type Header struct {
	BodyLen int // bytes that follow
	Ver     uint16
	Op      Op
	Seq     int32
}

// ParseHeader reads the head of a client's frame. It refuses what wire.md 7.1
// calls fatal: another header length, or a body over MaxInBody.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderBytes {
		return Header{}, fmt.Errorf("%w: %d bytes of header", ErrFrame, len(b))
	}
	packLen := binary.BigEndian.Uint32(b)
	headerLen := binary.BigEndian.Uint16(b[4:])
	if headerLen != HeaderBytes {
		return Header{}, fmt.Errorf("%w: header length %d", ErrFrame, headerLen)
	}
	if packLen < HeaderBytes || packLen > HeaderBytes+MaxInBody {
		return Header{}, fmt.Errorf("%w: packet length %d", ErrFrame, packLen)
	}
	return Header{
		BodyLen: int(packLen) - HeaderBytes,
		Ver:     binary.BigEndian.Uint16(b[6:]),
		Op:      Op(binary.BigEndian.Uint32(b[8:])), //nolint:gosec // a bit pattern, not a number
		Seq:     int32(binary.BigEndian.Uint32(b[12:])),
	}, nil
}

// ParseFrame reads one whole frame, as a WebSocket message carries it. The body
// points into b. Bytes behind the frame are refused.
func ParseFrame(b []byte) (Header, []byte, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return Header{}, nil, err
	}
	if len(b) != HeaderBytes+h.BodyLen {
		return Header{}, nil, fmt.Errorf("%w: %d bytes, header says %d", ErrFrame, len(b), HeaderBytes+h.BodyLen)
	}
	return h, b[HeaderBytes:], nil
}

// AppendFrame appends a frame to dst. Pushes use seq 0; answers echo the
// client's version and sequence number through AppendReply.
func AppendFrame(dst []byte, op Op, seq int32, body []byte) []byte {
	return appendFrame(dst, frameVersion, op, seq, body)
}

// AppendReply appends the answer to a client's frame: ver and seq are echoed.
func AppendReply(dst []byte, to Header, op Op, body []byte) []byte {
	return appendFrame(dst, to.Ver, op, to.Seq, body)
}

func appendFrame(dst []byte, ver uint16, op Op, seq int32, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(HeaderBytes+len(body))) //nolint:gosec // bodies are bounded far below
	dst = binary.BigEndian.AppendUint16(dst, HeaderBytes)
	dst = binary.BigEndian.AppendUint16(dst, ver)
	dst = binary.BigEndian.AppendUint32(dst, uint32(op))  //nolint:gosec // bit pattern
	dst = binary.BigEndian.AppendUint32(dst, uint32(seq)) //nolint:gosec // bit pattern
	return append(dst, body...)
}
