package api

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"gtiv/protocol"
)

// plan is what is known of a request type before the first request.
type plan struct {
	name   string
	fields []field
}

// field is one parameter.
type field struct {
	name     string
	index    []int
	kind     reflect.Kind // String, Bool, Int…
	bits     int          // of an integer
	required bool
	doc      string
	example  string
	enum     []string
}

// planOf reads the tags of a request type: json (the name), required, doc,
// example, enum. Only flat structs of strings, integers and booleans are
// requests: everything can then come in a query, too.
func planOf(t reflect.Type) (*plan, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("request %s is not a struct", t)
	}
	p := &plan{name: t.Name()}
	for _, sf := range reflect.VisibleFields(t) {
		if !sf.IsExported() || sf.Anonymous {
			continue
		}
		f := field{
			name: nameOf(sf), index: sf.Index, kind: sf.Type.Kind(),
			required: sf.Tag.Get("required") == "true", doc: sf.Tag.Get("doc"), example: sf.Tag.Get("example"),
		}
		if e := sf.Tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, ",")
		}
		switch f.kind {
		case reflect.String, reflect.Bool:
		case reflect.Int, reflect.Int32, reflect.Int64:
			f.bits = sf.Type.Bits()
		default:
			return nil, fmt.Errorf("request field %s.%s is a %s", t, sf.Name, sf.Type)
		}
		p.fields = append(p.fields, f)
	}
	return p, nil
}

// nameOf is the name of a field on the wire.
func nameOf(sf reflect.StructField) string {
	if n, _, _ := strings.Cut(sf.Tag.Get("json"), ","); n != "" {
		return n
	}
	return sf.Name
}

// valueKind says how a value was written.
type valueKind uint8

const (
	kindNone   valueKind = iota // null, or not there
	kindText                    // a string, or anything from a query or form
	kindNumber                  // a JSON number, as text
	kindBool                    // true or false
	kindNested                  // an array or object
)

type value struct {
	text string
	kind valueKind
}

// rank orders the ways a name may fit: the exact spelling wins over another
// case; among equals the last one wins.
const (
	rankNone = iota
	rankFold
	rankExact
)

type slot struct {
	value
	rank int
}

// binder collects the values of one request.
type binder struct {
	plan  *plan
	slots []slot
}

func newBinder(p *plan) *binder { return &binder{plan: p, slots: make([]slot, len(p.fields))} }

// put offers a parameter; unknown ones are ignored. A value of another field
// that only differs in case does not take an exact one's place.
func (b *binder) put(name string, v value) {
	for i := range b.plan.fields {
		rank := rankNone
		switch want := b.plan.fields[i].name; {
		case want == name:
			rank = rankExact
		case len(want) == len(name) && strings.EqualFold(want, name):
			rank = rankFold
		}
		if rank == rankNone {
			continue
		}
		if rank >= b.slots[i].rank {
			b.slots[i] = slot{v, rank}
		}
		return
	}
}

// fill writes the values into dst, a struct of the plan's type.
func (b *binder) fill(dst reflect.Value) error {
	for i := range b.plan.fields {
		f, v := &b.plan.fields[i], b.slots[i].value
		if v.kind == kindNone || (v.text == "" && v.kind == kindText && f.kind != reflect.String) {
			if f.required {
				return protocol.Errorf(protocol.CodeBadValue, "missing", f.name)
			}
			continue
		}
		if err := f.set(dst.FieldByIndex(f.index), v); err != nil {
			return err
		}
	}
	return nil
}

// set converts a value. Errors name the field and never repeat the value.
func (f *field) set(dst reflect.Value, v value) error {
	if v.kind == kindNested {
		return protocol.Errorf(protocol.CodeBadValue, "notPlain", f.name)
	}
	switch f.kind {
	case reflect.String:
		dst.SetString(clean(v.text))
	case reflect.Bool:
		t, ok := parseBool(v.text)
		if !ok {
			return protocol.Errorf(protocol.CodeBadValue, "notBool", f.name)
		}
		dst.SetBool(t)
	default:
		n, err := parseInt(v.text)
		if err != nil {
			return protocol.Errorf(protocol.CodeBadValue, "notNumber", f.name)
		}
		if dst.OverflowInt(n) {
			return protocol.Errorf(protocol.CodeBadValue, "outOfRange", f.name)
		}
		dst.SetInt(n)
	}
	return nil
}

// clean replaces what is not UTF-8: SQLite and the JSON of the answers must
// not get it.
func clean(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func parseBool(s string) (v, ok bool) {
	switch strings.ToLower(s) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

// maxExactFloat is the largest number below which a float64 holds every integer.
const maxExactFloat = 1 << 53

// parseInt reads an integer exactly. The client's BigDecimal may also write
// whole numbers as 2.0 or 1E+3.
func parseInt(s string) (int64, error) {
	s = strings.TrimSpace(s)
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil || !strings.ContainsAny(s, ".eE") || len(s) > 32 {
		return n, err
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || x != math.Trunc(x) || math.Abs(x) >= maxExactFloat {
		return 0, strconv.ErrSyntax
	}
	return int64(x), nil
}
