package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"time"

	"gtiv/protocol"
)

// shape is what is known of a reply type before the first request.
type shape struct {
	name   string
	typ    reflect.Type
	fields []ReplyField
	fix    func(v reflect.Value) // makes nil slices empty; nil: nothing to do
}

// ReplyField is one field of a reply, for the documentation.
type ReplyField struct {
	Name     string
	Type     string // "string", "integer", "boolean", "array of …", "object"
	Optional bool
	Doc      string
	Example  string
	Fields   []ReplyField // of an object, or of each item of an array
	typ      reflect.Type
}

func shapeOf(t reflect.Type) *shape {
	return &shape{name: t.Name(), typ: t, fields: replyFields(t), fix: fixOf(t)}
}

// fixOf prepares the walk over a type that leaves no nil slice behind: the app
// crashes on null (wire.md 2.4). It is nil for types without slices.
func fixOf(t reflect.Type) func(reflect.Value) {
	switch t.Kind() {
	case reflect.Slice:
		item := fixOf(t.Elem())
		empty := reflect.MakeSlice(t, 0, 0)
		return func(v reflect.Value) {
			if v.IsNil() {
				v.Set(empty)
			}
			for i := 0; item != nil && i < v.Len(); i++ {
				item(v.Index(i))
			}
		}
	case reflect.Pointer:
		if inner := fixOf(t.Elem()); inner != nil {
			return func(v reflect.Value) {
				if !v.IsNil() {
					inner(v.Elem())
				}
			}
		}
	case reflect.Struct:
		return fixOfStruct(t)
	}
	return nil
}

func fixOfStruct(t reflect.Type) func(reflect.Value) {
	type step struct {
		index int
		fix   func(reflect.Value)
	}
	var steps []step
	for i := range t.NumField() {
		if fix := fixOf(t.Field(i).Type); fix != nil && t.Field(i).IsExported() {
			steps = append(steps, step{i, fix})
		}
	}
	if len(steps) == 0 {
		return nil
	}
	return func(v reflect.Value) {
		for _, s := range steps {
			s.fix(v.Field(s.index))
		}
	}
}

// encoder is a reused buffer with its JSON encoder.
type encoder struct {
	buf bytes.Buffer
	enc *json.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.enc = json.NewEncoder(&e.buf)
	e.enc.SetEscapeHTML(false)
	return e
}}

// maxKeptBuffer keeps one large reply from staying in memory for ever.
const maxKeptBuffer = 64 << 10

// writeJSON answers v. Nothing is written when v cannot be encoded. A client that
// hung up is no error: it cannot be told.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	e := encoders.Get().(*encoder)
	defer func() {
		if e.buf.Cap() <= maxKeptBuffer {
			encoders.Put(e)
		}
	}()
	e.buf.Reset()
	if err := e.enc.Encode(v); err != nil {
		return err
	}
	body := bytes.TrimRight(e.buf.Bytes(), "\n")
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

var (
	jsonType = []string{"application/json; charset=utf-8"}
	noStore  = []string{"no-store"}
)

// WriteError answers a failure outside the table: the head and its status.
func WriteError(w http.ResponseWriter, status int, code protocol.Code, text string) {
	_ = writeJSON(w, status, &protocol.HeadReply{Head: protocol.Head{ApiCode: code, ApiMessage: text}})
}

// setRetry tells how long to wait, in the head and in the header.
func setRetry(w http.ResponseWriter, head *protocol.Head, after time.Duration) {
	if after <= 0 {
		return
	}
	seconds := int((after + time.Second - 1) / time.Second)
	head.RetryAfter = seconds
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
}

// complete makes all lists of a reply non-nil. Other types than the shape's own,
// the bare head of a failure, have none.
func (s *shape) complete(rep any) {
	if s.fix == nil {
		return
	}
	if v := reflect.ValueOf(rep).Elem(); v.Type() == s.typ {
		s.fix(v)
	}
}
