package mediatest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"gtiv/media"
)

// Loop is a clip n times, one after the other.
func Loop(clip []Tag, n int) []Tag {
	var all []Tag
	long := clip[len(clip)-1].Time + 20
	for i := range n {
		for _, tag := range clip {
			if i > 0 && tag.Kind == media.Data {
				continue
			}
			tag.Time += uint32(i) * long //nolint:gosec // small
			all = append(all, tag)
		}
	}
	return all
}

// RTMP publishes a clip at its own pace to a server at addr, as app/name, in chunks of
// a size, until the clip, ctx or the connection ends. It knows as little as a server
// lets it.
func RTMP(ctx context.Context, addr, app, name string, chunk int, clip []Tag) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // its end
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	hello := make([]byte, 1+1536)
	hello[0] = 3
	if _, err := c.Write(hello); err != nil {
		return err
	}
	answer := make([]byte, 1+2*1536)
	if _, err := io.ReadFull(c, answer); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	w := &chunker{w: c, size: 128}
	said := make(chan error, 1)
	go func() { // ends with the connection
		said <- await(c, "NetStream.Publish.Start")
		_, _ = io.Copy(io.Discard, c) // acknowledgements
	}()
	text := func(s string) string { return "\x02" + string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }
	number := func(n byte) string { // of small ones
		return "\x00" + [...]string{"\x00\x00", "\x3f\xf0", "\x40\x00", "\x40\x08"}[n] + "\x00\x00\x00\x00\x00\x00"
	}
	w.raw(answer[1 : 1+1536])
	w.message(2, 1, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(chunk))) //nolint:gosec // small
	w.size = chunk
	w.message(3, 20, 0, 0, []byte(text("connect")+number(1)+"\x03\x00\x03app"+text(app)+"\x00\x00\x09"))
	w.message(3, 20, 0, 0, []byte(text("createStream")+number(2)+"\x05"))
	w.message(3, 20, 1, 0, []byte(text("publish")+number(3)+"\x05"+text(name)+text("live")))
	if w.err != nil {
		return w.err
	}
	select {
	case err := <-said:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	began := time.Now()
	for _, tag := range clip {
		select {
		case <-time.After(time.Duration(tag.Time-clip[0].Time)*time.Millisecond - time.Since(began)):
		case <-ctx.Done():
			return ctx.Err()
		}
		if w.message(byte(tag.Kind)-2, byte(tag.Kind), 1, tag.Time, tag.Body); w.err != nil {
			return w.err
		}
	}
	return nil
}

// await reads until a text came.
func await(r io.Reader, text string) error {
	var seen []byte
	for b := make([]byte, 4096); !bytes.Contains(seen, []byte(text)); {
		n, err := r.Read(b)
		if seen = append(seen, b[:n]...); err != nil || len(seen) > 64<<10 {
			return errors.Join(fmt.Errorf("the server said %.300q", seen), err)
		}
	}
	return nil
}

// chunker writes messages in chunks (RTMP 1.0, 5.3).
type chunker struct {
	w    io.Writer
	size int
	err  error
}

func (w *chunker) raw(b []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(b)
	}
}

// message writes one with a whole header, and times of four bytes in every chunk if
// need be.
func (w *chunker) message(id, kind byte, stream, at uint32, body []byte) {
	short, n := min(at, 0xffffff), len(body)
	var ext []byte
	if short == 0xffffff {
		ext = binary.BigEndian.AppendUint32(nil, at)
	}
	b := []byte{id, byte(short >> 16), byte(short >> 8), byte(short), byte(n >> 16), byte(n >> 8), byte(n), kind}
	b = binary.LittleEndian.AppendUint32(b, stream)
	for b = append(b, ext...); ; b = append(append(b, 0xc0|id), ext...) {
		part := body[:min(w.size, len(body))]
		b, body = append(b, part...), body[len(part):]
		if len(body) == 0 {
			break
		}
	}
	w.raw(b)
}
