package protocol_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"testing"

	"gtiv/protocol"
)

func TestFrameOnTheWire(t *testing.T) {
	// The reply to a heartbeat, byte by byte (wire.md 7.1, 7.2).
	h := protocol.Header{Ver: 1, Seq: 1, Op: protocol.OpHeartbeat}
	got := protocol.AppendReply(nil, h, protocol.OpHeartbeatReply, []byte{0, 0, 0, 0})
	if want := "00000014" + "0010" + "0001" + "00000003" + "00000001" + "00000000"; hex.EncodeToString(got) != want {
		t.Errorf("heartbeat reply %x, want %s", got, want)
	}
	got = protocol.AppendFrame(nil, protocol.RoomOp(protocol.FirstRoomID), 0, []byte("{}"))
	if want := "00000012" + "0010" + "0001" + "3b9aca64" + "00000000" + "7b7d"; hex.EncodeToString(got) != want {
		t.Errorf("room push %x, want %s", got, want)
	}
}

func TestFrameRoundTrip(t *testing.T) {
	for _, c := range []struct {
		op   protocol.Op
		seq  int32
		body string
	}{
		{protocol.OpAuth, 1, `{"userToken":"t","platform":"android"}`},
		{protocol.OpHeartbeat, 1, "10001_"},
		{protocol.OpAuthReply, 0, ""},
		{math.MaxInt32, math.MaxInt32, "x"},
		{math.MinInt32, math.MinInt32, "\x00\xff"},
		{protocol.OpPrivate, 0, string(bytes.Repeat([]byte("b"), protocol.MaxInBody))},
	} {
		h, body, err := protocol.ParseFrame(protocol.AppendFrame(nil, c.op, c.seq, []byte(c.body)))
		if err != nil {
			t.Errorf("op %d: %v", c.op, err)
			continue
		}
		want := protocol.Header{BodyLen: len(c.body), Ver: 1, Op: c.op, Seq: c.seq}
		if h != want || string(body) != c.body {
			t.Errorf("got %+v %q, want %+v %q", h, body, want, c.body)
		}
	}
}

func TestReplyEchoesVersionAndSequence(t *testing.T) {
	asked := protocol.Header{BodyLen: 5, Ver: 7, Op: protocol.OpSync, Seq: -3}
	h, _, err := protocol.ParseFrame(protocol.AppendReply(nil, asked, protocol.OpSyncReply, nil))
	if want := (protocol.Header{Ver: 7, Op: protocol.OpSyncReply, Seq: -3}); err != nil || h != want {
		t.Errorf("got %+v %v, want %+v", h, err, want)
	}
}

func TestFramesAreAppended(t *testing.T) {
	one := protocol.AppendFrame(nil, protocol.OpPrivate, 0, []byte("a"))
	two := protocol.AppendFrame(bytes.Clone(one), protocol.OpPrivate, 0, []byte("bc"))
	if !bytes.HasPrefix(two, one) || len(two) != 2*protocol.HeaderBytes+3 {
		t.Fatalf("%x does not continue %x", two, one)
	}
	if _, body, err := protocol.ParseFrame(two[len(one):]); err != nil || string(body) != "bc" {
		t.Errorf("second frame: %q %v", body, err)
	}
}

func TestLargestPushFillsTheAppsBuffer(t *testing.T) {
	f := protocol.AppendFrame(nil, protocol.OpPrivate, 0, make([]byte, protocol.MaxPushBody))
	if len(f) != 4096 {
		t.Errorf("largest push has %d bytes, the app reads 4096 (wire.md 7.5 F1)", len(f))
	}
}

// The app walks its buffer frame by frame and reads the next length behind the
// last one: 1 to 3 bytes before the end of the buffer that overruns it.
func TestAPushLeavesRoomForTheNextLengthOrNone(t *testing.T) {
	for n, want := range map[int]bool{0: true, 1: true, 4076: true, 4077: false, 4078: false, 4079: false, 4080: true, 4081: false} {
		if got := protocol.FitsPush(n); got != want {
			t.Errorf("a body of %d bytes: %v, want %v (wire.md 7.5 F1, F3)", n, got, want)
		}
	}
}

// frame is a well-formed heartbeat with a three-byte body, changed by edit.
func frame(edit func(b []byte) []byte) []byte {
	return edit(protocol.AppendFrame(nil, protocol.OpHeartbeat, 1, []byte("abc")))
}

func badFrames() map[string][]byte {
	set := func(i int, v byte) []byte {
		return frame(func(b []byte) []byte { b[i] = v; return b })
	}
	return map[string][]byte{
		"nothing":                  nil,
		"half a header":            frame(func(b []byte) []byte { return b[:15] }),
		"header length 15":         set(5, 15),
		"header length 17":         set(5, 17),
		"header length 0":          set(5, 0),
		"header length 272":        set(4, 1),
		"packet length 0":          set(3, 0),
		"packet length 15":         set(3, 15),
		"packet length over 2 GiB": set(0, 0x80),
		"packet length 4 GiB":      frame(func(b []byte) []byte { copy(b, "\xff\xff\xff\xff"); return b }),
		"body over the limit":      protocol.AppendFrame(nil, protocol.OpSend, 1, make([]byte, protocol.MaxInBody+1)),
		"body cut short":           frame(func(b []byte) []byte { return b[:len(b)-1] }),
		"header only":              frame(func(b []byte) []byte { return b[:protocol.HeaderBytes] }),
		"a byte behind the frame":  frame(func(b []byte) []byte { return append(b, 0) }),
		"another frame behind it":  frame(func(b []byte) []byte { return append(b, b...) }),
		"little-endian packet length": frame(func(b []byte) []byte {
			b[0], b[3] = b[3], b[0]
			return b
		}),
	}
}

func TestBadFramesAreRefused(t *testing.T) {
	for name, b := range badFrames() {
		if h, _, err := protocol.ParseFrame(b); !errors.Is(err, protocol.ErrFrame) {
			t.Errorf("%s: %+v, error %v", name, h, err)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	for _, b := range badFrames() {
		f.Add(b)
	}
	f.Add(frame(func(b []byte) []byte { return b }))
	f.Add(protocol.AppendFrame(nil, protocol.OpAuth, 1, []byte(`{"userToken":"t","platform":"android"}`)))
	f.Add(protocol.AppendFrame(nil, protocol.OpSend, math.MinInt32, make([]byte, protocol.MaxInBody)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, body, err := protocol.ParseFrame(b)
		if err != nil {
			if !errors.Is(err, protocol.ErrFrame) || body != nil || h != (protocol.Header{}) {
				t.Fatalf("%x: %+v %x %v", b, h, body, err)
			}
			return
		}
		if len(body) != h.BodyLen || h.BodyLen > protocol.MaxInBody {
			t.Fatalf("%x: body of %d bytes, header says %d", b, len(body), h.BodyLen)
		}
		if again := protocol.AppendReply(nil, h, h.Op, body); !bytes.Equal(again, b) {
			t.Fatalf("%x was written back as %x", b, again)
		}
	})
}
