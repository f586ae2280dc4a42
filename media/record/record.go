// Package record writes live streams to files: fragmented MP4 (ISO/IEC 14496-12 8.8)
// or FLV.
//
// A file grows by whole pieces of one to two seconds, each with one write, so that
// whatever ends the process leaves a file that plays up to its last piece. Finish
// cuts what is torn and, in MP4, fills in the index for which room was left, so that
// players can seek. Times begin at 0 with a key frame. When the parameters of the
// stream change, the file ends and the next one begins.
//
// The package has no goroutines and no locks. A recording reads the stream as viewers
// do: a disk that is slow makes it go on at the next key frame, and never the
// publisher wait.
package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"gtiv/media"
	"gtiv/media/codec"
)

// Format is that of a file.
type Format string

// The formats.
const (
	MP4 Format = "mp4"
	FLV Format = "flv"
)

const (
	pieceMin = 1000    // ms of a piece, which ends at the next key frame
	pieceMax = 2000    // ms without one
	maxPiece = 8 << 20 // bytes
	// jumpBack is how far the times of a kind may go back before the next file begins,
	// ms.
	jumpBack = 1000
	// syncEvery is how often a file is put on the disk, for when the power fails.
	syncEvery = 2 * time.Second
	// A recording may have freeParts files; beyond, each must have lasted partTime on
	// average.
	freeParts = 20
	partTime  = 10 * time.Second
)

// Errors of Run; compare with errors.Is.
var (
	// ErrCodec means that the stream has nothing that fits into the format.
	ErrCodec = errors.New("no codec that fits into the file")
	// ErrParts means that the stream changes so often that there would be too many
	// files.
	ErrParts = errors.New("the stream changes too often")
)

// Length is how much was recorded.
type Length struct {
	Bytes    int64
	Duration time.Duration
}

// Output takes the files of a recording. Its methods are called by one goroutine, and
// an error of Begin or Grow ends the recording.
type Output interface {
	// Begin makes the next file, empty and open for reading and writing.
	Begin() (*os.File, error)
	// Grow is asked before the file of now becomes so long.
	Grow(to Length) error
	// End is told that the file of now is finished and closed; why is what went wrong,
	// nil as a rule.
	End(l Length, why error)
}

// Options say how a stream is recorded.
type Options struct {
	Format Format
	// MaxBytes is about how long a file gets before the next one begins; 0 no limit.
	MaxBytes int64
}

// Run records a stream until that or ctx ends, which is no error. Errors: those of the
// output, of writing, ErrCodec, ErrParts.
func Run(ctx context.Context, s *media.Stream, o Options, out Output) error {
	r := s.Watch()
	defer r.Close()
	c := &recorder{o: o, out: out, headers: &media.Headers{}, params: &codec.Params{}, began: time.Now()}
	err := c.read(ctx, r)
	if c.part != nil {
		err = c.end(err)
	}
	return err
}

// muxer writes messages in a format. Times are ms since the file began.
type muxer interface {
	// set says what the file is begun with; before the first piece it may get more.
	set(h *media.Headers, p *codec.Params)
	// takes says whether a message belongs into the file.
	takes(m *media.Message) bool
	add(m *media.Message, at int64)
	// begin is what the file begins with.
	begin() ([]byte, error)
	// piece is what was added since the last one, as far as its length is known; all
	// with last. The bytes are good until the next call.
	piece(last bool) ([]byte, error)
}

// recorder is a recording. One goroutine uses it, that of Run.
type recorder struct {
	o       Options
	out     Output
	began   time.Time
	parts   int
	skipped int

	headers *media.Headers
	params  *codec.Params // of MP4
	waits   bool          // for a key frame
	part    *part         // nil: there is nothing to write yet
}

// part is a file, or what will be one once its first piece is written.
type part struct {
	mux     muxer
	f       *os.File // nil before the first piece
	first   int64    // stream time of its beginning
	newest  [2]int64 // of pictures and sound; -1 none yet
	opened  int64    // when the open piece began
	pending int      // bytes of it
	length  Length
	synced  time.Time
}

func (c *recorder) read(ctx context.Context, r *media.Reader) error {
	for {
		if ctx.Err() != nil {
			return nil
		}
		round, h, err := r.Next(ctx)
		if err != nil {
			return nil //nolint:nilerr // the stream is over, or the recording
		}
		if r.Skipped != c.skipped {
			c.skipped, c.waits = r.Skipped, true
		}
		if h != nil {
			if err := c.begin(h); err != nil {
				return err
			}
		}
		if err := c.round(round); err != nil {
			return err
		}
	}
}

// round takes the messages of a round.
func (c *recorder) round(round *media.Round) error {
	known := round.Headers
	for _, m := range round.Messages {
		var err error
		if m.Header {
			known = known.With(m)
			err = c.begin(known)
		} else {
			err = c.write(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin takes the headers that hold from now on. A file to which nothing was written
// yet may get another track; with other changes the next file begins.
func (c *recorder) begin(h *media.Headers) error {
	old := c.headers
	c.headers = h
	if !sameHeader(old.Video, h.Video) {
		c.waits = true
	}
	same := sameHeader(old.Video, h.Video) && sameHeader(old.Audio, h.Audio)
	if !same && c.o.Format == MP4 {
		p, err := codec.Parse(h)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCodec, err)
		}
		c.params = p
	}
	more := (old.Video == nil || sameHeader(old.Video, h.Video)) && (old.Audio == nil || sameHeader(old.Audio, h.Audio))
	switch {
	case c.part == nil:
	case c.part.f == nil && more:
		c.part.mux.set(h, c.params)
	case !same:
		return c.end(nil)
	}
	return nil
}

// sameHeader says whether two headers tell a decoder the same.
func sameHeader(a, b *media.Message) bool {
	return a == b || a != nil && b != nil && a.Codec == b.Codec && bytes.Equal(a.Content, b.Content)
}

// write records a message that is no header.
func (c *recorder) write(m *media.Message) error {
	if m.Kind == media.Data {
		return nil
	}
	if m.Kind == media.Video {
		if c.waits && !m.Key {
			return nil
		}
		c.waits = false
	}
	if p := c.part; p != nil {
		if c.full(m) || p.newest[index(m)]-m.Time > jumpBack {
			if err := c.end(nil); err != nil {
				return err
			}
		}
	}
	if c.part == nil && !c.open(m) {
		return nil
	}
	return c.add(m)
}

// index is where a kind has its place.
func index(m *media.Message) int {
	if m.Kind == media.Video {
		return 0
	}
	return 1
}

// full says whether the next file may begin with m, and should.
func (c *recorder) full(m *media.Message) bool {
	n := c.part.length.Bytes + int64(c.part.pending)
	if c.o.MaxBytes <= 0 || n < c.o.MaxBytes {
		return false
	}
	// Without key frames a file must end, too.
	return m.Kind == media.Video && m.Key || c.part.newest[0] < 0 || n > c.o.MaxBytes+c.o.MaxBytes/4+maxPiece
}

// open begins a part with m, if one can begin with it.
func (c *recorder) open(m *media.Message) bool {
	var mux muxer = newMP4()
	if c.o.Format == FLV {
		mux = &flvFile{}
	}
	mux.set(c.headers, c.params)
	if !mux.takes(m) || m.Kind == media.Video && !m.Key || m.Kind == media.Audio && c.headers.Video != nil {
		return false
	}
	c.part = &part{mux: mux, first: m.Time, opened: m.Time, newest: [2]int64{-1, -1}, synced: time.Now()}
	return true
}

func (c *recorder) add(m *media.Message) error {
	p := c.part
	at := m.Time - p.first
	if !p.mux.takes(m) || at < 0 {
		return nil
	}
	p.mux.add(m, at)
	p.newest[index(m)] = max(p.newest[index(m)], m.Time)
	p.pending += len(m.Content)
	since := m.Time - p.opened
	switch {
	case since >= pieceMax, p.pending >= maxPiece:
	case since >= pieceMin && (m.Kind == media.Video && m.Key || p.newest[0] < 0):
	default:
		return nil
	}
	p.opened, p.pending = m.Time, 0
	return c.flush(p, false)
}

// flush writes a piece; the last one has everything.
func (c *recorder) flush(p *part, last bool) error {
	b, err := p.mux.piece(last)
	if err != nil || len(b) == 0 {
		return err
	}
	grown := Length{p.length.Bytes + int64(len(b)), time.Duration(max(p.newest[0], p.newest[1])-p.first) * time.Millisecond}
	if p.f == nil {
		head, err := p.mux.begin()
		if err != nil {
			return err
		}
		if err := c.file(p, head); err != nil {
			return err
		}
		grown.Bytes += p.length.Bytes
	}
	if err := c.out.Grow(grown); err != nil {
		return err
	}
	if _, err := p.f.Write(b); err != nil {
		// Half a piece is cut by Finish.
		return fmt.Errorf("write recording: %w", err)
	}
	p.length = grown
	if now := time.Now(); now.Sub(p.synced) >= syncEvery {
		p.synced = now
		if err := p.f.Sync(); err != nil {
			return fmt.Errorf("sync recording: %w", err)
		}
	}
	return nil
}

// file makes the file of a part.
func (c *recorder) file(p *part, head []byte) error {
	if c.parts++; c.parts > freeParts && time.Since(c.began) < time.Duration(c.parts)*partTime {
		return ErrParts
	}
	f, err := c.out.Begin()
	if err != nil {
		return err
	}
	p.f = f
	if _, err := f.Write(head); err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	p.length.Bytes = int64(len(head))
	return nil
}

// end ends the part; why is what went wrong before. It answers that, or what went
// wrong at the end.
func (c *recorder) end(why error) error {
	p := c.part
	c.part = nil
	if p.f == nil && max(p.newest[0], p.newest[1])-p.first < pieceMin {
		return why // nobody would look at so little
	}
	if why == nil {
		why = c.flush(p, true)
	}
	if p.f == nil {
		return why
	}
	l, err := Finish(p.f, c.o.Format)
	if err = errors.Join(err, p.f.Close()); err != nil && why == nil {
		why = fmt.Errorf("finish recording: %w", err)
	}
	c.out.End(l, why)
	return why
}
