// Package flv serves live streams as FLV over HTTP and over WebSocket.
//
// A viewer costs one goroutine and one write for each round of the stream
// (media.Round), whose bytes are made once for all of them. Over HTTP/1 the
// connection is taken from net/http, so that nothing is copied or framed on its
// way. A viewer who does not read for writeTime is cut off; one who is slow goes on
// at the next key frame.
//
// The package has no goroutines and no locks of its own.
package flv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"gtiv/media"
)

const (
	writeTime = 10 * time.Second
	// sendBuffer bounds what the kernel takes for a viewer who does not read, bytes.
	sendBuffer = 256 << 10
	// ContentType is the media type of FLV.
	ContentType = "video/x-flv"
)

// Header is what a file begins with (FLV specification E.2): audio and video as the
// headers of the stream say, and the size of no tag before it.
func Header(h *media.Headers) []byte {
	flags := byte(0)
	if h.Audio != nil {
		flags |= 4
	}
	if h.Video != nil {
		flags |= 1
	}
	if flags == 0 {
		flags = 5
	}
	return []byte{'F', 'L', 'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0}
}

// Tags is a round as FLV tags. It is shared: nobody changes it.
func Tags(r *media.Round) []byte { return r.Bytes(media.WireFLV, makeTags) }

func makeTags(r *media.Round) []byte {
	n := 0
	for _, m := range r.Messages {
		n += len(m.Body) + 15
	}
	b := make([]byte, 0, n)
	for _, m := range r.Messages {
		b = appendTag(b, m)
	}
	return b
}

// setDataFrame is the AMF0 string in front of metadata on its way to a server, which
// does not belong into a file.
const setDataFrame = "\x02\x00\x0d@setDataFrame"

func appendTag(b []byte, m *media.Message) []byte {
	if m.Kind == media.Data && len(m.Body) > len(setDataFrame) && string(m.Body[:len(setDataFrame)]) == setDataFrame {
		plain := *m
		plain.Body = m.Body[len(setDataFrame):]
		return plain.AppendFLV(b)
	}
	return m.AppendFLV(b)
}

// AppendTag appends a message as a tag with another time, for files that begin at 0.
func AppendTag(b []byte, m *media.Message, t int64) []byte {
	at := *m
	at.Time = t
	return appendTag(b, &at)
}

// Headers are the tags that a decoder needs before the round at time t.
func Headers(h *media.Headers, t int64) []byte {
	var b []byte
	for _, m := range h.List() {
		if m.Kind == media.Data {
			b = AppendTag(b, m, 0) // ffmpeg takes later ones for subtitles
			continue
		}
		b = AppendTag(b, m, t)
	}
	return b
}

// first is what is sent before a round that comes with headers.
func first(round *media.Round, h *media.Headers, beginning bool) []byte {
	var b []byte
	if beginning {
		b = Header(h)
	}
	return append(b, Headers(h, round.Time())...)
}

// sink takes the bytes of one viewer.
type sink interface {
	write(b []byte) error
}

// copyTo sends a stream to a viewer until either ends.
func copyTo(ctx context.Context, to sink, s *media.Stream, sent func(n int)) error {
	r := s.Read()
	defer r.Close()
	for beginning := true; ; beginning = false {
		round, h, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if h != nil {
			b := first(round, h, beginning)
			if err := to.write(b); err != nil {
				return err
			}
			sent(len(b))
		}
		b := Tags(round)
		if len(b) == 0 {
			continue
		}
		if err := to.write(b); err != nil {
			return err
		}
		sent(len(b))
	}
}

// connSink writes to a connection and moves its deadline along.
type connSink struct {
	net.Conn
	next time.Time // when the deadline is moved
}

func (c *connSink) write(b []byte) error {
	if now := time.Now(); now.After(c.next) {
		c.next = now.Add(writeTime / 5)
		if err := c.SetWriteDeadline(now.Add(writeTime)); err != nil {
			return err
		}
	}
	_, err := c.Write(b)
	return err
}

// streamSink writes an answer that stays one: HTTP/2, and writers of tests.
type streamSink struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (s *streamSink) write(b []byte) error {
	if err := s.c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.c.Flush()
}

// ServeHTTP answers a request with the stream until the stream, the client or ctx
// ends. Headers that were set before are sent, too. sent counts bytes.
func ServeHTTP(ctx context.Context, w http.ResponseWriter, r *http.Request, s *media.Stream, sent func(n int)) error {
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	if r.ProtoMajor != 1 {
		return copyTo(ctx, &streamSink{w, http.NewResponseController(w)}, s, sent)
	}
	h.Set("Connection", "close")
	conn, _, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		h.Del("Connection")
		return copyTo(ctx, &streamSink{w, http.NewResponseController(w)}, s, sent)
	}
	if err != nil {
		return fmt.Errorf("take connection: %w", err)
	}
	defer conn.Close() //nolint:errcheck // its end
	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	to := &connSink{Conn: conn}
	if c, ok := conn.(interface{ SetWriteBuffer(n int) error }); ok {
		_ = c.SetWriteBuffer(sendBuffer) // as it is then
	}
	if err := to.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if err := to.write(head(h)); err != nil {
		return err
	}
	return copyTo(ctx, to, s, sent)
}

// head is the head of an answer whose end is that of its connection (RFC 9112 6.3).
func head(h http.Header) []byte {
	b := []byte("HTTP/1.1 200 OK\r\n")
	for name, values := range h {
		for _, v := range values {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
			b = append(b, "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// wsSink writes messages of a WebSocket.
type wsSink struct {
	ctx context.Context //nolint:containedctx // of one call of ServeWebSocket
	c   *websocket.Conn
}

func (s *wsSink) write(b []byte) error {
	ctx, cancel := context.WithTimeout(s.ctx, writeTime)
	defer cancel()
	return s.c.Write(ctx, websocket.MessageBinary, b)
}

// ServeWebSocket answers a WebSocket handshake with the stream, a message for each
// round. Any page may open it.
func ServeWebSocket(ctx context.Context, w http.ResponseWriter, r *http.Request, s *media.Stream, sent func(n int)) error {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return fmt.Errorf("websocket handshake: %w", err)
	}
	defer c.CloseNow() //nolint:errcheck // its end
	ctx = c.CloseRead(ctx)
	err = copyTo(ctx, &wsSink{ctx, c}, s, sent)
	if errors.Is(err, media.ErrEnded) || errors.Is(err, media.ErrKicked) {
		_ = c.Close(websocket.StatusNormalClosure, "the stream ended")
	}
	return err
}
