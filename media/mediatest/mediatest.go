// Package mediatest publishes clips made by ffmpeg, for tests of what serves
// streams.
package mediatest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"gtiv/media"
)

// Tag is one FLV tag.
type Tag struct {
	Kind media.Kind
	Time uint32
	Body []byte
}

// Clip makes a clip of so many seconds with ffmpeg: pictures and a tone, a key frame
// each second. args replace the encoder's.
func Clip(t testing.TB, seconds int, args ...string) []Tag {
	t.Helper()
	if len(args) == 0 {
		args = []string{"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac"}
	}
	all := append([]string{"-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=192x108:r=25:d=%d", seconds),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=f=440:r=44100:d=%d", seconds)}, args...)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append(all, "-f", "flv", "-flvflags", "no_duration_filesize", "pipe:1")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tags, err := Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return tags
}

// Read reads an FLV file.
func Read(r io.Reader) ([]Tag, error) {
	if _, err := io.ReadFull(r, make([]byte, 13)); err != nil {
		return nil, err
	}
	var list []Tag
	for {
		var h [11]byte
		if _, err := io.ReadFull(r, h[:]); err == io.EOF { //nolint:errorlint // the end
			return list, nil
		} else if err != nil {
			return nil, err
		}
		body := make([]byte, int(h[1])<<16|int(h[2])<<8|int(h[3]))
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
			return nil, err
		}
		list = append(list, Tag{media.Kind(h[0]), binary.BigEndian.Uint32([]byte{h[7], h[4], h[5], h[6]}), body})
	}
}

// Publish publishes a clip at its own pace, faster by a factor, until its end or that
// of ctx.
func Publish(ctx context.Context, p *media.Publisher, clip []Tag, faster float64) error {
	began := time.Now()
	for _, tag := range clip {
		wait := time.Duration(float64(tag.Time)*float64(time.Millisecond)/faster) - time.Since(began)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		m, err := media.ParseMessage(tag.Kind, tag.Body)
		if err != nil {
			return err
		}
		if err := p.Push(m, tag.Time); err != nil {
			return err
		}
	}
	return nil
}
