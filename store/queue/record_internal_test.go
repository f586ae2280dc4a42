package queue

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// Whatever is decoded survives another round.
func FuzzDecodeJob(f *testing.F) {
	f.Add(jobRecord{id: "a", attempts: 3, enqueued: 1_700_000_000_000, payload: []byte("x")}.encode())
	f.Add(jobRecord{id: "b", enqueued: -1}.encode())
	f.Add(deadRecord{jobRecord{id: "a", payload: []byte("x")}, 5, "reason"}.encode())
	f.Add([]byte{recordVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if j, err := decodeJob(b); err == nil {
			again, err := decodeJob(j.encode())
			if err != nil || again.id != j.id || again.attempts != j.attempts || again.enqueued != j.enqueued || !bytes.Equal(again.payload, j.payload) {
				t.Fatalf("%+v became %+v, %v", j, again, err)
			}
		}
		if d, err := decodeDead(b); err == nil {
			again, err := decodeDead(d.encode())
			if err != nil || again.reason != d.reason || again.died != d.died || again.id != d.id {
				t.Fatalf("%+v became %+v, %v", d, again, err)
			}
		}
		if l, err := decodeLine(b); err == nil {
			if again, err := decodeLine(l.encode()); err != nil || again != l {
				t.Fatalf("%+v became %+v, %v", l, again, err)
			}
		}
	})
}

func FuzzDecodeCursor(f *testing.F) {
	f.Add(Cursor{Base: 7}.encode())
	f.Add(Cursor{Base: 7, Spans: []Span{{9, 12, true}, {13, 13, false}, {math.MaxUint64, math.MaxUint64, true}}}.encode())
	f.Add([]byte{recordVersion, 0, 1, 1, 0, 1})
	f.Add([]byte{recordVersion, 0, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCursor(b)
		if err != nil {
			return
		}
		last := Span{To: c.Base, Confirmed: true}
		for _, s := range c.Spans {
			if s.From > s.To || s.From <= last.To || s.From == last.To+1 && s.Confirmed == last.Confirmed {
				t.Fatalf("bad form: %+v", c)
			}
			last = s
		}
		again, err := decodeCursor(c.encode())
		if err != nil || again.Base != c.Base || len(c.Spans) > maxSpans || len(c.Spans) > 0 && !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v became %+v, %v", c, again, err)
		}
	})
}

// A record that cannot be read must not block the jobs behind it.
func TestAnUnreadableJobIsDropped(t *testing.T) {
	s, err := Open(Config{Dir: filepath.Join(t.TempDir(), "queue")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	topic := s.Topic("push", TopicOptions{})
	for _, id := range []string{"a", "b"} {
		if err := topic.Put(t.Context(), id, nil, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	topic.mu.Lock()
	first := topic.behind
	topic.mu.Unlock()
	if err := SetRaw(s, topic.jobKey(first), []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	j, err := topic.Take(t.Context())
	if err != nil || j.ID != "b" {
		t.Fatal(j, err)
	}
	if st := topic.Stats(); st.Depth != 0 || st.Leased != 1 {
		t.Fatalf("%+v", st)
	}
	if err := topic.Put(t.Context(), "a", nil, time.Time{}); err != nil { // its id is free again
		t.Fatal(err)
	}
	if st := topic.Stats(); st.Depth != 1 {
		t.Fatalf("%+v", st)
	}
}

// The group that Badger refuses is halved until only the culprit fails.
func TestOneBadWriteDoesNotFailTheOthers(t *testing.T) {
	s, err := Open(Config{Dir: filepath.Join(t.TempDir(), "queue")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bad := errors.New("bad")
	group := make([]*write, 9)
	for i := range group {
		group[i] = &write{done: make(chan error, 1), apply: func(b *batch) error {
			if i == 4 {
				return bad
			}
			return b.set([]byte{'x', byte(i)}, make([]byte, 200<<10)) // together over the limit
		}}
	}
	// From this goroutine: nothing else is being written.
	s.commit(group)
	for i, w := range group {
		if err := <-w.done; (i == 4) != errors.Is(err, bad) || i != 4 && err != nil {
			t.Errorf("write %d: %v", i, err)
		}
	}
}
