package rtmp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
)

func read(b []byte) ([]message, error) {
	f := newFilter(bufio.NewReaderSize(bytes.NewReader(b), readBuffer), maxMedia)
	var list []message
	for {
		m, err := f.next()
		if err != nil {
			return list, err
		}
		list = append(list, m)
	}
}

func mustRead(t *testing.T, b []byte) []message {
	t.Helper()
	list, err := read(b)
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return list
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func TestWhatIsWrittenIsRead(t *testing.T) {
	for _, size := range []int{1, 128, 4096, ourChunk} {
		for _, at := range []uint32{0, 0xfffffe, 0xffffff, 0x1000000, 0xffffffff} {
			want := []message{
				{typeVideo, 1, at, bytes.Repeat([]byte{1, 2, 3}, 1000)}, {typeAudio, 1, at, []byte{5}}, {typeCommand, 0, 0, []byte{2, 0, 0}},
			}
			b := appendMessage(nil, 2, message{kind: typeSetChunkSize, body: number(uint32(size))}, startChunk)
			for i, m := range want {
				b = appendMessage(b, byte(5+i), m, size)
			}
			if got := mustRead(t, b); !reflect.DeepEqual(got, want) {
				t.Errorf("size %d, time %d: %d messages", size, at, len(got))
			}
		}
	}
}

// Encoders that do not repeat the extended time exist; the payload decides.
func TestExtendedTimesThatAreNotRepeated(t *testing.T) {
	body := bytes.Repeat([]byte{7}, 300)
	b := []byte{6, 0xff, 0xff, 0xff, 0, 1, 44, typeVideo, 1, 0, 0, 0, 1, 0, 0, 0}
	b = append(b, body[:128]...)
	b = append(append(b, 0xc6), body[:128]...)
	b = append(append(b, 0xc6), body[:44]...)
	if got := mustRead(t, b); len(got) != 1 || got[0].time != 1<<24 || !bytes.Equal(got[0].body, body) {
		t.Errorf("%d messages", len(got))
	}
}

func TestShortHeadersTakeOverFromTheChunkBefore(t *testing.T) {
	b := []byte{
		6, 0, 0, 100, 0, 0, 2, typeVideo, 1, 0, 0, 0, 'a', 'b',
		0x46, 0, 0, 40, 0, 0, 1, typeVideo, 'c', // time by 40, other length
		0x86, 0, 0, 20, 'd', // by 20
		0xc6, 'e', // by 20 again
		0xc6, 'f',
		0x46, 0xff, 0xff, 0xff, 0, 0, 1, typeVideo, 1, 0, 0, 0, 'g', // by 2^24
		0xc6, 1, 0, 0, 0, 'h', // again, repeated
	}
	want := []message{
		{9, 1, 100, []byte("ab")}, {9, 1, 140, []byte("c")}, {9, 1, 160, []byte("d")}, {9, 1, 180, []byte("e")}, {9, 1, 200, []byte("f")},
		{9, 1, 200 + 1<<24, []byte("g")}, {9, 1, 200 + 2<<24, []byte("h")},
	}
	if got := mustRead(t, b); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func TestMessagesMayInterleave(t *testing.T) {
	v, a := bytes.Repeat([]byte{1}, 200), bytes.Repeat([]byte{2}, 150)
	vc, ac := appendMessage(nil, 6, message{typeVideo, 1, 7, v}, 128), appendMessage(nil, 7, message{typeAudio, 1, 8, a}, 128)
	b := append(append(append(append([]byte{}, vc[:140]...), ac[:140]...), vc[140:]...), ac[140:]...)
	if got := mustRead(t, b); !reflect.DeepEqual(got, []message{{typeVideo, 1, 7, v}, {typeAudio, 1, 8, a}}) {
		t.Errorf("%d messages", len(got))
	}
}

func TestChunkStreamIDsOfAllLengths(t *testing.T) {
	tail := []byte{0, 0, 0, 0, 0, 1, typeAudio, 1, 0, 0, 0, 'x'}
	var b []byte
	for _, id := range [][]byte{{63}, {0, 0}, {0, 255}, {1, 0, 1}, {1, 255, 255}} {
		b = append(append(b, id...), tail...)
	}
	f := newFilter(bufio.NewReader(bytes.NewReader(b)), maxMedia)
	for range 5 {
		if _, err := f.next(); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []uint32{63, 64, 319, 320, 65599} {
		if f.streams[id] == nil {
			t.Errorf("no chunk stream %d", id)
		}
	}
}

func TestWhatIsLeftOut(t *testing.T) {
	v := bytes.Repeat([]byte{1}, 200)
	b := appendMessage(nil, 6, message{typeVideo, 1, 0, nil}, 128)
	cut := appendMessage(nil, 6, message{typeVideo, 1, 1, v}, 128)
	b = append(b, cut[:140]...) // and no more of it
	b = appendMessage(b, 2, message{kind: typeAbort, body: number(6)}, 128)
	b = appendMessage(b, 6, message{typeVideo, 1, 2, []byte{9}}, 128)
	if got := mustRead(t, b); !reflect.DeepEqual(got, []message{{typeVideo, 1, 2, []byte{9}}}) {
		t.Errorf("%v", got)
	}
	f := newFilter(bufio.NewReader(bytes.NewReader(b)), maxMedia)
	if _, err := f.next(); err != nil || f.pending != 0 {
		t.Errorf("%v, %d bytes pending", err, f.pending)
	}
}

func tag(kind byte, at uint32, body string) []byte {
	n := len(body)
	b := []byte{kind, byte(n >> 16), byte(n >> 8), byte(n), byte(at >> 16), byte(at >> 8), byte(at), byte(at >> 24), 0, 0, 0}
	return append(append(b, body...), number(uint32(n+11))...)
}

func TestAnAggregateIsSplit(t *testing.T) {
	body := append(append(append(tag(typeVideo, 5000, "v1"), tag(typeAudio, 5010, "a")...), tag(typeVideo, 5000, "")...), tag(typeVideo, 5040, "v2")...)
	b := appendMessage(nil, 6, message{typeAggregate, 1, 90_000, body}, 128)
	b = appendMessage(b, 6, message{typeAudio, 1, 90_100, []byte("z")}, 128)
	want := []message{
		{typeVideo, 1, 90_000, []byte("v1")}, {typeAudio, 1, 90_010, []byte("a")},
		{typeVideo, 1, 90_040, []byte("v2")}, {typeAudio, 1, 90_100, []byte("z")},
	}
	if got := mustRead(t, b); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	for _, bad := range [][]byte{body[:5], body[:12], tag(typeCommand, 0, "connect"), tag(typeAggregate, 0, "x")} {
		if _, err := read(appendMessage(nil, 6, message{typeAggregate, 1, 0, bad}, 128)); !errors.Is(err, errProtocol) {
			t.Errorf("% x: %v", bad, err)
		}
	}
}

func TestAMF3IsMadeAMF0(t *testing.T) {
	b := appendMessage(nil, 3, message{typeCommand3, 0, 0, append([]byte{0}, appendAMF(nil, "connect", 1)...)}, 128)
	b = appendMessage(b, 3, message{typeData3, 1, 0, append([]byte{0}, appendAMF(nil, "onMetaData")...)}, 128)
	got := mustRead(t, b)
	if len(got) != 2 || got[0].kind != typeCommand || got[0].body[0] != amfString || got[1].kind != typeData || metadata(got[1].body) == nil {
		t.Errorf("%v", got)
	}
}

func TestWhatIsRefused(t *testing.T) {
	many := []byte{}
	for id := range byte(40) {
		many = append(many, id+3, 0, 0, 0, 0, 0, 9, typeAudio, 1, 0, 0, 0)
		many = append(many, make([]byte, 9)...)
	}
	big := func(kind byte, n int) []byte {
		return []byte{6, 0, 0, 0, byte(n >> 16), byte(n >> 8), byte(n), kind, 1, 0, 0, 0}
	}
	pending := appendMessage(nil, 2, message{kind: typeSetChunkSize, body: number(1 << 20)}, 128)
	for id := range byte(12) {
		h := big(typeVideo, maxMedia)
		h[0] += id
		pending = append(append(pending, h...), make([]byte, 1<<20)...)
	}
	for name, b := range map[string][]byte{
		"chunk of nothing":     {0xc6},
		"too many streams":     many,
		"long command":         big(typeCommand, maxCommand+1),
		"long data":            big(typeData, maxCommand+1),
		"long media":           big(typeVideo, maxMedia+1),
		"chunk size 0":         appendMessage(nil, 2, message{kind: typeSetChunkSize, body: number(0)}, 128),
		"chunk size negative":  appendMessage(nil, 2, message{kind: typeSetChunkSize, body: number(1 << 31)}, 128),
		"short chunk size":     appendMessage(nil, 2, message{kind: typeSetChunkSize, body: []byte{1}}, 128),
		"short abort":          appendMessage(nil, 2, message{kind: typeAbort, body: []byte{1}}, 128),
		"message in a message": append(append(big(typeVideo, 200), make([]byte, 128)...), big(typeVideo, 200)...),
		"much unfinished":      pending,
	} {
		if _, err := read(b); !errors.Is(err, errProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := read(big(typeVideo, 100)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut short: %v", err)
	}
}

// What is promised costs nothing before it comes.
func TestPromisesCostNoMemory(t *testing.T) {
	b := []byte{}
	for id := range byte(30) {
		b = append(b, id+3, 0, 0, 0, 0x7f, 0xff, 0xff, typeVideo, 1, 0, 0, 0)
		b = append(b, make([]byte, 128)...)
	}
	n := testing.Benchmark(func(tb *testing.B) {
		for range tb.N {
			_, _ = read(b)
		}
	}).AllocedBytesPerOp()
	if n > 32*firstPiece+1<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(appendMessage(nil, 6, message{typeVideo, 1, 1 << 25, make([]byte, 300)}, 128))
	f.Add(appendMessage(nil, 6, message{typeAggregate, 1, 5, append(tag(typeVideo, 5, "abc"), tag(typeAudio, 9, "d")...)}, 128))
	f.Add(appendMessage(appendMessage(nil, 2, message{kind: typeSetChunkSize, body: number(5)}, 128), 3, message{typeCommand3, 0, 1, make([]byte, 20)}, 5))
	f.Add(appendMessage([]byte{6, 0, 0, 0, 0, 2, 0, typeVideo, 1, 0, 0, 0}, 2, message{kind: typeAbort, body: number(6)}, 128))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := read(b)
		if err == nil {
			t.Fatal("no end")
		}
		// What was understood is understood again, however it is cut up.
		size := 1 + rand.IntN(300)
		again := appendMessage(nil, 2, message{kind: typeSetChunkSize, body: number(uint32(size))}, startChunk)
		var want []message
		for _, m := range list {
			if len(m.body) == 0 || m.kind <= typeAbort || m.kind == typeAggregate || m.kind == typeCommand3 || m.kind == typeData3 {
				continue
			}
			want = append(want, m)
			again = appendMessage(again, 6, m, size)
		}
		if got := mustRead(t, again); !reflect.DeepEqual(got, want) {
			t.Errorf("%d messages of %d", len(got), len(want))
		}
	})
}
