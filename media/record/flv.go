package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"gtiv/media"
	"gtiv/media/codec"
	"gtiv/media/flv"
)

// flvFile writes FLV. Messages go in as they came, whatever their codecs are.
type flvFile struct {
	headers *media.Headers
	b       []byte
	newest  [2]int64 // of pictures and sound, ms
}

func (w *flvFile) set(h *media.Headers, _ *codec.Params) { w.headers = h }

// takes leaves out what a decoder could not begin with: messages of a codec that has
// a header, without that header.
func (w *flvFile) takes(m *media.Message) bool {
	h := w.headers.Video
	if m.Kind == media.Audio {
		h = w.headers.Audio
	}
	if h != nil {
		return m.Codec == h.Codec
	}
	switch m.Codec {
	case media.H264, media.HEVC, media.AV1, media.AAC, media.Opus, media.FLAC:
		return false
	}
	return true
}

func (w *flvFile) add(m *media.Message, at int64) {
	t := &w.newest[index(m)]
	*t = max(*t, at)
	w.b = flv.AppendTag(w.b, m, *t)
}

func (w *flvFile) begin() ([]byte, error) {
	return append(flv.Header(w.headers), flv.Headers(w.headers, 0)...), nil
}

func (w *flvFile) piece(bool) ([]byte, error) {
	b := w.b
	w.b = b[:0]
	return b, nil
}

const (
	flvHead = 13 // bytes before the first tag
	tagHead = 11
	tagTail = 4
)

// scanFLV finds the end of the last whole tag, and its time.
func scanFLV(f *os.File, size int64) (Length, error) {
	var head [flvHead]byte
	if _, err := f.ReadAt(head[:], 0); errors.Is(err, io.EOF) || err == nil && string(head[:4]) != "FLV\x01" {
		return Length{}, nil
	} else if err != nil {
		return Length{}, fmt.Errorf("read recording: %w", err)
	}
	l := Length{Bytes: flvHead}
	for {
		var b [tagHead]byte
		if l.Bytes+tagHead+tagTail > size {
			return l, nil
		}
		if _, err := f.ReadAt(b[:], l.Bytes); err != nil {
			return Length{}, fmt.Errorf("read recording: %w", err)
		}
		end := l.Bytes + tagHead + int64(b[1])<<16 + int64(b[2])<<8 + int64(b[3]) + tagTail
		if kind := media.Kind(b[0]); end > size || kind != media.Audio && kind != media.Video && kind != media.Data {
			return l, nil
		}
		t := int64(b[7])<<24 | int64(b[4])<<16 | int64(b[5])<<8 | int64(b[6])
		l.Bytes, l.Duration = end, max(l.Duration, time.Duration(t)*time.Millisecond)
	}
}
