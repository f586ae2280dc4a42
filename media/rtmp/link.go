package rtmp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gtiv/media"
)

const (
	// writeTime is how long a peer may not take what it is sent.
	writeTime = 5 * time.Second
	// lingerTime and lingerBytes bound how long the end of a connection waits for the
	// peer to read the last words.
	lingerTime  = time.Second
	lingerBytes = 4 << 20
	// sendBuffer bounds what the kernel takes for a player who does not read, bytes.
	sendBuffer = 256 << 10
	// ourWindow is after how many bytes we expect an acknowledgement, and give one.
	ourWindow = 2_500_000
	// Bounds of what a peer may ask for instead, bytes.
	minWindow, maxWindow = 64 << 10, 1 << 30
	readBuffer           = 4 << 10
	publishBuffer        = 32 << 10
)

// Chunk streams of what we send. Players have habits about them, not needs.
const (
	chunkControl = 2
	chunkCommand = 3
	chunkData    = 5
	chunkAudio   = 6
	chunkVideo   = 7
)

// link is a connection on which RTMP is spoken, behind its handshake or not. One
// goroutine reads; anybody writes.
type link struct {
	net.Conn
	in      *filter
	counted *media.Session // its In and Out count bytes

	// Of the reader.
	patience time.Duration // how long a read may wait; 0: for ever
	readDL   time.Time     // when the deadline is moved
	window   int64         // bytes between acknowledgements
	acked    int64

	leaving atomic.Bool // reads end soon, whatever patience says

	mu      sync.Mutex // guards the fields below, and writing
	writeDL time.Time
	failed  error // a write failed: nothing is written any more
}

func newLink(c net.Conn, counted *media.Session, most int) *link {
	l := &link{Conn: c, counted: counted, window: ourWindow}
	l.in = newFilter(bufio.NewReaderSize((*linkReader)(l), readBuffer), most)
	return l
}

// linkReader is the innermost reader: it moves the deadline and counts.
type linkReader link

func (l *linkReader) Read(p []byte) (int, error) {
	if now := time.Now(); l.patience > 0 && now.After(l.readDL) && !l.leaving.Load() {
		l.readDL = now.Add(l.patience / 10)
		if err := l.SetReadDeadline(now.Add(l.patience)); err != nil {
			return 0, err
		}
		if l.leaving.Load() { // meanwhile
			(*link)(l).leave()
		}
	}
	n, err := l.Conn.Read(p)
	l.counted.In.Add(int64(n))
	return n, err
}

// wait makes reads wait for d at most from now on, each; 0: for ever. Called by the
// reader.
func (l *link) wait(d time.Duration) {
	l.patience, l.readDL = d, time.Time{}
	if d == 0 {
		_ = l.SetReadDeadline(time.Time{}) // fails when it is closed
	}
}

// until makes all reads end at t.
func (l *link) until(t time.Time) {
	l.patience = 0
	_ = l.SetReadDeadline(t) // fails when it is closed
}

// leave makes all reads end within a moment. It may be called by any goroutine.
func (l *link) leave() {
	l.leaving.Store(true)
	_ = l.SetReadDeadline(time.Now().Add(lingerTime)) // fails when it is closed
}

// next is the next message of the peer but for those about the connection itself,
// which are answered.
func (l *link) next() (message, error) {
	for {
		m, err := l.in.next()
		if err != nil {
			return m, err
		}
		if n := l.counted.In.Load(); n-l.acked >= l.window/2 {
			l.acked = n
			//nolint:gosec // counts modulo 2^32 (5.4.3)
			if err := l.control(typeAck, uint32(n)); err != nil {
				return m, err
			}
		}
		switch m.kind {
		case typeAck, typeBandwidth:
		case typeWindow:
			if len(m.body) >= 4 {
				l.window = min(max(int64(binary.BigEndian.Uint32(m.body)), minWindow), maxWindow)
			}
		case typeUserControl:
			if err := l.pong(m.body); err != nil {
				return m, err
			}
		default:
			return m, nil
		}
	}
}

// Events of user control messages (7.1.7).
const (
	eventStreamBegin  = 0
	eventStreamEOF    = 1
	eventPing         = 6
	eventPong         = 7
	lenEventWithValue = 6
)

func (l *link) pong(b []byte) error {
	if len(b) < lenEventWithValue || binary.BigEndian.Uint16(b) != eventPing {
		return nil
	}
	return l.event(eventPong, binary.BigEndian.Uint32(b[2:]))
}

// event sends a user control message.
func (l *link) event(event uint16, value uint32) error {
	return l.write(appendEvent(nil, event, value))
}

func appendEvent(b []byte, event uint16, value uint32) []byte {
	body := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, event), value)
	return appendMessage(b, chunkControl, message{kind: typeUserControl, body: body}, ourChunk)
}

// control sends a message whose body is a number.
func (l *link) control(kind byte, value uint32) error {
	return l.write(appendMessage(nil, chunkControl, message{kind: kind, body: binary.BigEndian.AppendUint32(nil, value)}, ourChunk))
}

// command sends a command.
func (l *link) command(stream uint32, values ...any) error {
	return l.write(appendCommand(nil, stream, values...))
}

func appendCommand(b []byte, stream uint32, values ...any) []byte {
	return appendMessage(b, chunkCommand, message{kind: typeCommand, stream: stream, body: appendAMF(nil, values...)}, ourChunk)
}

// Levels of a status.
const (
	levelStatus = "status"
	levelError  = "error"
)

// appendStatus appends an onStatus (7.2.2).
func appendStatus(b []byte, stream uint32, level, code, description string) []byte {
	return appendCommand(b, stream, "onStatus", 0, nil, object{{"level", level}, {"code", code}, {"description", description}})
}

func (l *link) status(stream uint32, level, code, description string) error {
	return l.write(appendStatus(nil, stream, level, code, description))
}

// write sends whole chunks, or a part of the handshake. It may be called by any
// goroutine. After a failure the connection is closed: half a chunk may be out.
func (l *link) write(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil || len(b) == 0 {
		return l.failed
	}
	if now := time.Now(); now.After(l.writeDL) {
		l.writeDL = now.Add(writeTime / 5)
		l.failed = l.SetWriteDeadline(now.Add(writeTime))
	}
	if l.failed == nil {
		var n int
		n, l.failed = l.Conn.Write(b)
		l.counted.Out.Add(int64(n))
	}
	if errors.Is(l.failed, os.ErrDeadlineExceeded) {
		l.failed = errSlow
	}
	if l.failed != nil {
		_ = l.Conn.Close() // its error says nothing more
	}
	return l.failed
}

// broken is the error of the write that failed, nil if none did.
func (l *link) broken() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// linger ends the sending side and gives the peer a moment to read what it was sent
// last, which a plain close may take away from it.
func (l *link) linger() {
	c, ok := l.Conn.(interface{ CloseWrite() error })
	if !ok || c.CloseWrite() != nil {
		return
	}
	l.leave()
	_, _ = io.CopyN(io.Discard, l.Conn, lingerBytes)
}

// part is linger for who has another goroutine that reads: that one ends.
func (l *link) part() {
	c, ok := l.Conn.(interface{ CloseWrite() error })
	if !ok || c.CloseWrite() != nil {
		_ = l.Close() // its end
		return
	}
	l.leave()
}

// upgrade prepares for much that comes in: media of any size, read in big pieces.
func (l *link) upgrade() {
	l.in.media = maxMedia
	l.in.r = bufio.NewReaderSize(l.in.r, publishBuffer)
}

// bound bounds what the kernel takes for a peer who does not read.
func (l *link) bound() {
	c := l.Conn
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	if t, ok := c.(interface{ SetWriteBuffer(n int) error }); ok {
		_ = t.SetWriteBuffer(sendBuffer) // as it is then
	}
}
