package apptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"gtiv/protocol"

	"github.com/coder/websocket"
)

// Frame is one frame as a Client reads it.
type Frame struct {
	Op   protocol.Op
	Ver  uint16
	Seq  int32
	Body []byte
	// Batch is true for a frame that came inside an op 9.
	Batch bool
}

// ClientConfig says how to connect.
type ClientConfig struct {
	Token    string
	Platform string   // "" is treated as the app over TCP: use "test" otherwise
	Features []string // nil: none declared
	TLS      *tls.Config
	// Timeout bounds the dial and every Read and Write. Default 10 s.
	Timeout time.Duration
}

// Client is an exact client. It is not safe for concurrent reads; writes may
// run beside one reader. It starts no goroutine.
type Client struct {
	cfg   ClientConfig
	conn  net.Conn
	in    *bufio.Reader // of conn
	ws    *websocket.Conn
	queue []Frame // rest of an op 9
}

// Dial connects and logs in. The address is "host:port" for TCP, and for TLS
// when cfg.TLS is set, or a ws:// or wss:// URL.
func Dial(ctx context.Context, addr string, cfg ClientConfig) (*Client, error) {
	c, err := Connect(ctx, addr, cfg)
	if err != nil {
		return nil, err
	}
	if err := c.Login(); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Connect only connects.
func Connect(ctx context.Context, addr string, cfg ClientConfig) (*Client, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	c := &Client{cfg: cfg}
	var err error
	switch {
	case strings.HasPrefix(addr, "ws"):
		c.ws, _, err = websocket.Dial(ctx, addr, nil)
		if err == nil {
			c.ws.SetReadLimit(1 << 20)
		}
	case cfg.TLS != nil:
		c.conn, err = (&tls.Dialer{Config: cfg.TLS}).DialContext(ctx, "tcp", addr)
	default:
		c.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	if c.conn != nil {
		c.in = bufio.NewReaderSize(c.conn, 2048)
	}
	return c, nil
}

// AuthBody is the body of op 7 that the configuration makes.
func (c *Client) AuthBody() []byte {
	b := map[string]any{"userToken": c.cfg.Token, "platform": c.cfg.Platform}
	if c.cfg.Features != nil {
		b["features"] = c.cfg.Features
	}
	out, _ := json.Marshal(b) // strings marshal
	return out
}

// Login sends op 7 and waits for op 8.
func (c *Client) Login() error {
	if err := c.Write(protocol.OpAuth, 1, c.AuthBody()); err != nil {
		return err
	}
	f, err := c.Read()
	if err != nil {
		return fmt.Errorf("wait for op 8: %w", err)
	}
	if f.Op != protocol.OpAuthReply {
		return fmt.Errorf("op %d before op 8", f.Op)
	}
	return nil
}

// Write sends one frame.
func (c *Client) Write(op protocol.Op, seq int32, body []byte) error {
	return c.WriteRaw(protocol.AppendFrame(nil, op, seq, body))
}

// WriteRaw sends bytes as they are; over WebSocket as one binary message.
func (c *Client) WriteRaw(b []byte) error {
	if c.ws != nil {
		ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Timeout)
		defer cancel()
		return c.ws.Write(ctx, websocket.MessageBinary, b)
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.cfg.Timeout))
	_, err := c.conn.Write(b)
	return err
}

// Read reads the next frame within the configured timeout; the frames of an op
// 9 come one by one.
func (c *Client) Read() (Frame, error) { return c.ReadWithin(c.cfg.Timeout) }

// ReadWithin is Read with another timeout. Over WebSocket the connection is
// unusable after it has passed.
func (c *Client) ReadWithin(limit time.Duration) (Frame, error) {
	if len(c.queue) == 0 {
		if err := c.fill(limit); err != nil {
			return Frame{}, err
		}
	}
	f := c.queue[0]
	c.queue = c.queue[1:]
	return f, nil
}

func (c *Client) fill(limit time.Duration) error {
	if c.ws == nil {
		_ = c.conn.SetReadDeadline(time.Now().Add(limit))
		f, err := readFrame(c.in)
		if err != nil {
			return err
		}
		c.queue = append(c.queue, f)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	kind, b, err := c.ws.Read(ctx)
	if err != nil {
		return err
	}
	if kind != websocket.MessageBinary {
		return fmt.Errorf("message of kind %v", kind)
	}
	f, rest, err := cutFrame(b)
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("%d bytes behind the frame of a message: %w", len(rest), err)
	}
	if f.Op != protocol.OpRaw {
		c.queue = append(c.queue, f)
		return nil
	}
	return c.unpack(f.Body)
}

func (c *Client) unpack(b []byte) error {
	for len(b) > 0 {
		f, rest, err := cutFrame(b)
		if err != nil {
			return fmt.Errorf("inside op 9: %w", err)
		}
		f.Batch = true
		c.queue = append(c.queue, f)
		b = rest
	}
	return nil
}

func readFrame(r io.Reader) (Frame, error) {
	var head [protocol.HeaderBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Frame{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < protocol.HeaderBytes || size > 1<<20 || binary.BigEndian.Uint16(head[4:]) != protocol.HeaderBytes {
		return Frame{}, fmt.Errorf("bad frame header %x", head)
	}
	b := make([]byte, size)
	copy(b, head[:])
	if _, err := io.ReadFull(r, b[protocol.HeaderBytes:]); err != nil {
		return Frame{}, err
	}
	f, _, err := cutFrame(b)
	return f, err
}

func cutFrame(b []byte) (Frame, []byte, error) {
	if len(b) < protocol.HeaderBytes {
		return Frame{}, nil, fmt.Errorf("%d bytes of frame", len(b))
	}
	size := int(binary.BigEndian.Uint32(b))
	if size < protocol.HeaderBytes || size > len(b) {
		return Frame{}, nil, fmt.Errorf("frame of %d bytes in %d", size, len(b))
	}
	return Frame{
		Op: protocol.Op(binary.BigEndian.Uint32(b[8:])), Ver: binary.BigEndian.Uint16(b[6:]),
		Seq: int32(binary.BigEndian.Uint32(b[12:])), Body: b[protocol.HeaderBytes:size],
	}, b[size:], nil
}

// Conn is the raw connection, nil over WebSocket. Read may have taken more from
// it than it has returned.
func (c *Client) Conn() net.Conn { return c.conn }

// WS is the WebSocket, nil otherwise.
func (c *Client) WS() *websocket.Conn { return c.ws }

// Close drops the connection at once.
func (c *Client) Close() error {
	if c.ws != nil {
		return c.ws.CloseNow()
	}
	return c.conn.Close()
}
