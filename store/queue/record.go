package queue

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"unicode/utf8"
)

// First byte of every key.
//
//	j topic 0 due seq   a waiting job
//	i topic 0 id        where that job is: due seq
//	a topic 0 seq       attempts begun, when the job was leased
//	d topic 0 id        a dead job
//	t topic             the topic's line
//	c session conv      a cursor
//	s session           marker: the session has cursors
//	h, m                health check, number of the last commit
const (
	kindJob     = 'j'
	kindID      = 'i'
	kindAttempt = 'a'
	kindDead    = 'd'
	kindLine    = 't'
	kindCursor  = 'c'
	kindSession = 's'
	kindHealth  = 'h'
	kindCommits = 'm'
)

const (
	// MaxPayload is the longest payload of a job in bytes.
	MaxPayload = 256 << 10
	maxID      = 200
	maxName    = 64
	maxReason  = 1024

	recordVersion = 1
)

var errRecord = errors.New("record is malformed")

// mark is a job's place in the line: time due in unix ms, then put order.
type mark struct{ due, seq uint64 }

// nowhere is behind every job.
var nowhere = mark{math.MaxUint64, math.MaxUint64}

func (m mark) before(o mark) bool {
	return m.due < o.due || m.due == o.due && m.seq < o.seq
}

func (m mark) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, m.due), m.seq)
}

func decodeMark(b []byte) (mark, bool) {
	if len(b) != 16 {
		return mark{}, false
	}
	return mark{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, true
}

func topicKey(kind byte, name string) []byte {
	b := make([]byte, 0, len(name)+18)
	return append(append(append(b, kind), name...), 0)
}

func validName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
}

// line is what a topic keeps of itself, written with each commit that touches it.
type line struct {
	head    mark   // nothing alive is before it
	nextSeq uint64 // last number given out
	waiting uint64 // jobs on disk that are neither done nor dead
	dead    uint64
}

func (l line) encode() []byte {
	b := l.head.append([]byte{recordVersion})
	b = binary.AppendUvarint(b, l.nextSeq)
	b = binary.AppendUvarint(b, l.waiting)
	return binary.AppendUvarint(b, l.dead)
}

func decodeLine(b []byte) (line, error) {
	r := reader{b: b}
	r.version()
	head, ok := decodeMark(r.take(16))
	l := line{head: head, nextSeq: r.uvarint(), waiting: r.uvarint(), dead: r.uvarint()}
	if r.bad || !ok || len(r.b) != 0 {
		return line{}, errRecord
	}
	return l, nil
}

// jobRecord is a job as stored.
type jobRecord struct {
	id       string
	attempts uint64 // finished ones
	enqueued int64  // unix ms
	payload  []byte
}

func (j jobRecord) encode() []byte {
	b := make([]byte, 0, 24+len(j.id)+len(j.payload))
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, j.attempts)
	b = binary.AppendVarint(b, j.enqueued)
	b = binary.AppendUvarint(b, uint64(len(j.id)))
	return append(append(b, j.id...), j.payload...)
}

// decodeJob keeps no reference to b but through the payload.
func decodeJob(b []byte) (jobRecord, error) {
	r := reader{b: b}
	r.version()
	j := jobRecord{attempts: r.uvarint(), enqueued: r.varint()}
	j.id = string(r.bounded(maxID))
	if j.payload = r.b; r.bad || j.id == "" || len(j.payload) > MaxPayload {
		return jobRecord{}, errRecord
	}
	return j, nil
}

// deadRecord is a dead job as stored; its id is in the key too.
type deadRecord struct {
	jobRecord
	died   int64 // unix ms
	reason string
}

func (d deadRecord) encode() []byte {
	b := []byte{recordVersion}
	b = binary.AppendVarint(b, d.died)
	b = binary.AppendUvarint(b, uint64(len(d.reason)))
	b = append(b, d.reason...)
	return append(b, d.jobRecord.encode()...)
}

func decodeDead(b []byte) (deadRecord, error) {
	r := reader{b: b}
	r.version()
	d := deadRecord{died: r.varint(), reason: string(r.bounded(maxReason))}
	if r.bad {
		return deadRecord{}, errRecord
	}
	var err error
	d.jobRecord, err = decodeJob(r.b)
	return d, err
}

// cutReason bounds a reason without cutting a rune in two.
func cutReason(err error) string {
	if err == nil {
		return ""
	}
	s := strings.ToValidUTF8(err.Error(), "?")
	if len(s) <= maxReason {
		return s
	}
	n := maxReason
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func (c Cursor) encode() []byte {
	b := binary.AppendUvarint([]byte{recordVersion}, c.Base)
	b = binary.AppendUvarint(b, uint64(len(c.Spans)))
	for _, s := range c.Spans {
		b = binary.AppendUvarint(b, s.From)
		b = binary.AppendUvarint(b, s.To-s.From)
		b = append(b, boolByte(s.Confirmed))
	}
	return b
}

// decodeCursor rebuilds the cursor with its own rules, so that whatever the
// bytes say, the result is a sorted and bounded one.
func decodeCursor(b []byte) (Cursor, error) {
	r := reader{b: b}
	r.version()
	c := Cursor{Base: r.uvarint()}
	n := r.uvarint()
	if n > maxSpans {
		return Cursor{}, errRecord
	}
	last := c.Base
	for range n {
		from, length := r.uvarint(), r.uvarint()
		flag := r.take(1)
		if r.bad || from <= last || length > math.MaxUint64-from || flag[0] > 1 {
			return Cursor{}, errRecord
		}
		last = from + length
		c.paint(from, last, flag[0] == 1)
	}
	if r.bad || len(r.b) != 0 {
		return Cursor{}, errRecord
	}
	return c, nil
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// reader walks over a record; after the first fault it returns zeroes.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) version() {
	if v := r.take(1); r.bad || v[0] != recordVersion {
		r.fail()
	}
}

func (r *reader) fail() { r.bad, r.b = true, nil }

func (r *reader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.fail()
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) bounded(limit uint64) []byte {
	n := r.uvarint()
	if n > limit {
		r.fail()
		return nil
	}
	return r.take(int(n))
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}
