package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Bounds of what is decoded; clients need depth 2 and some hundred bytes.
const (
	maxAMFDepth  = 8
	maxAMFBytes  = 64 << 10
	maxAMFValues = 4096
)

// Types of AMF0 values (Adobe AMF 0 specification, 2.1).
const (
	amfNumber      = 0x00
	amfBoolean     = 0x01
	amfString      = 0x02
	amfObject      = 0x03
	amfNull        = 0x05
	amfUndefined   = 0x06
	amfReference   = 0x07
	amfECMAArray   = 0x08
	amfObjectEnd   = 0x09
	amfStrictArray = 0x0a
	amfDate        = 0x0b
	amfLongString  = 0x0c
	amfUnsupported = 0x0d
	amfXML         = 0x0f
	amfTypedObject = 0x10
)

var errAMF = errors.New("malformed AMF0")

// object is an AMF0 object, or array with names; its order is kept.
type object []property

type property struct {
	name  string
	value any
}

// get is the value of a property, nil if there is none.
func (o object) get(name string) any {
	for _, p := range o {
		if p.name == name {
			return p.value
		}
	}
	return nil
}

// str is the value of a property that must be a string; "" if it is none.
func (o object) str(name string) string {
	s, _ := o.get(name).(string)
	return s
}

// decodeAMF decodes all values of b: float64, bool, string, nil, object and []any.
// What is nested too deep, too long, or promises more than is there is refused before
// anything is allocated for it.
func decodeAMF(b []byte) ([]any, error) {
	if len(b) > maxAMFBytes {
		return nil, fmt.Errorf("%w: %d bytes", errAMF, len(b))
	}
	d := &amfDecoder{b: b}
	var list []any
	for len(d.b) > 0 {
		v, err := d.value(0)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

type amfDecoder struct {
	b     []byte
	count int
}

func (d *amfDecoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.b) {
		return nil, fmt.Errorf("%w: it ends early", errAMF)
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b, nil
}

func (d *amfDecoder) value(depth int) (any, error) {
	if depth > maxAMFDepth {
		return nil, fmt.Errorf("%w: nested too deep", errAMF)
	}
	if d.count++; d.count > maxAMFValues {
		return nil, fmt.Errorf("%w: too many values", errAMF)
	}
	t, err := d.take(1)
	if err != nil {
		return nil, err
	}
	switch t[0] {
	case amfNumber:
		b, err := d.take(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case amfBoolean:
		b, err := d.take(1)
		if err != nil {
			return nil, err
		}
		return b[0] != 0, nil
	case amfString:
		return d.text(2)
	case amfLongString, amfXML:
		return d.text(4)
	case amfNull, amfUndefined, amfUnsupported:
		return nil, nil
	case amfReference:
		_, err := d.take(2)
		return nil, err
	case amfDate:
		_, err := d.take(10)
		return nil, err
	case amfObject:
		return d.properties(depth)
	case amfECMAArray:
		if _, err := d.take(4); err != nil { // the number is a hint, and often wrong
			return nil, err
		}
		return d.properties(depth)
	case amfTypedObject:
		if _, err := d.text(2); err != nil {
			return nil, err
		}
		return d.properties(depth)
	case amfStrictArray:
		return d.array(depth)
	}
	return nil, fmt.Errorf("%w: type %#x", errAMF, t[0])
}

// text is a string behind its length of n bytes.
func (d *amfDecoder) text(n int) (string, error) {
	b, err := d.take(n)
	if err != nil {
		return "", err
	}
	size := 0
	for _, c := range b {
		size = size<<8 | int(c)
		if size > maxAMFBytes {
			return "", fmt.Errorf("%w: it ends early", errAMF)
		}
	}
	if b, err = d.take(size); err != nil {
		return "", err
	}
	return string(b), nil
}

func (d *amfDecoder) properties(depth int) (object, error) {
	o := object{}
	for {
		name, err := d.text(2)
		if err != nil {
			return nil, err
		}
		if name == "" && len(d.b) > 0 && d.b[0] == amfObjectEnd {
			d.b = d.b[1:]
			return o, nil
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o = append(o, property{name, v})
	}
}

func (d *amfDecoder) array(depth int) ([]any, error) {
	b, err := d.take(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(d.b)) { // each value has a byte at least
		return nil, fmt.Errorf("%w: it ends early", errAMF)
	}
	var list []any
	for range n {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// appendAMF appends values: float64, int, bool, string, nil, object.
func appendAMF(b []byte, values ...any) []byte {
	for _, v := range values {
		switch v := v.(type) {
		case float64:
			b = append(b, amfNumber)
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
		case int:
			b = appendAMF(b, float64(v))
		case bool:
			b = append(b, amfBoolean, 0)
			if v {
				b[len(b)-1] = 1
			}
		case string:
			b = append(b, amfString)
			b = appendName(b, v)
		case object:
			b = append(b, amfObject)
			for _, p := range v {
				b = appendAMF(appendName(b, p.name), p.value)
			}
			b = append(b, 0, 0, amfObjectEnd)
		default:
			b = append(b, amfNull)
		}
	}
	return b
}

// appendName appends a string behind its length, cut off at what fits.
func appendName(b []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	b = binary.BigEndian.AppendUint16(b, uint16(len(s))) //nolint:gosec // cut off
	return append(b, s...)
}
