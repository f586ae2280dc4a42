package rtmp

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestAMFGoesThereAndBack(t *testing.T) {
	want := []any{"connect", 1.0, object{{"app", "live"}, {"x", nil}, {"ok", true}, {"in", object{{"n", -2.5}}}}, nil, false}
	got, err := decodeAMF(appendAMF(nil, want...))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v", got, err)
	}
	if o := got[2].(object); o.str("app") != "live" || o.str("ok") != "" || o.get("none") != nil {
		t.Errorf("%v", o)
	}
}

func TestAllTypesOfAMF(t *testing.T) {
	b := []byte{amfUndefined, amfUnsupported, amfReference, 0, 1}
	b = append(b, amfDate, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, amfLongString, 0, 0, 0, 2, 'a', 'b', amfXML, 0, 0, 0, 1, 'c')
	b = append(b, amfECMAArray, 0xff, 0xff, 0xff, 0xff, 0, 1, 'k', amfBoolean, 7, 0, 0, amfObjectEnd)
	b = append(b, amfTypedObject, 0, 1, 'T', 0, 0, amfObjectEnd)
	b = append(b, amfStrictArray, 0, 0, 0, 2, amfNull, amfBoolean, 0)
	want := []any{nil, nil, nil, nil, "ab", "c", object{{"k", true}}, object{}, []any{nil, false}}
	if got, err := decodeAMF(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v", got, err)
	}
}

func TestAMFThatIsRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"unknown type":         {0x33},
		"AMF3":                 {0x11, 1},
		"end of no object":     {amfObjectEnd},
		"short number":         {amfNumber, 1},
		"short string":         {amfString, 0, 9, 'a'},
		"huge string":          {amfLongString, 0xff, 0xff, 0xff, 0xff},
		"huge array":           {amfStrictArray, 0xff, 0xff, 0xff, 0xff},
		"object without end":   {amfObject, 0, 1, 'a', amfNull},
		"nest of objects":      bytes.Repeat([]byte{amfObject, 0, 1, 'a'}, 4000),
		"nest of arrays":       bytes.Repeat([]byte{amfStrictArray, 0, 0, 0, 1}, 3000),
		"nest of named arrays": bytes.Repeat([]byte{amfECMAArray, 0, 0, 0, 1, 0, 1, 'a'}, 2000),
		"nest of both":         bytes.Repeat([]byte{amfStrictArray, 0, 0, 0, 1, amfObject, 0, 1, 'a'}, 1500),
		"many values":          bytes.Repeat([]byte{amfNull}, 60_000),
		"long":                 append([]byte{amfLongString, 0, 1, 0, 0}, strings.Repeat("a", 1<<16)...),
	} {
		if _, err := decodeAMF(b); !errors.Is(err, errAMF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMetadata(t *testing.T) {
	o := object{{"width", 1920.0}}
	bare := appendAMF(nil, "onMetaData", o)
	for name, b := range map[string][]byte{"bare": bare, "to be kept": appendAMF(nil, "@setDataFrame", "onMetaData", o)} {
		if got := metadata(b); !bytes.Equal(got, bare) {
			t.Errorf("%s: % x", name, got)
		}
	}
	for name, b := range map[string][]byte{
		"other": appendAMF(nil, "onTextData", o), "empty": nil, "cut": bare[:len(bare)-2], "clear": appendAMF(nil, "@clearDataFrame", "onMetaData"),
	} {
		if got := metadata(b); got != nil {
			t.Errorf("%s: % x", name, got)
		}
	}
}

func FuzzAMF(f *testing.F) {
	f.Add(appendAMF(nil, "connect", 1, object{{"app", "live"}, {"o", object{{"n", 2}}}}, nil, true))
	f.Add([]byte{amfStrictArray, 0, 0, 0, 2, amfDate, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, amfTypedObject, 0, 0, 0, 0, 9})
	f.Add(bytes.Repeat([]byte{amfECMAArray, 0, 0, 0, 1, 0, 1, 'a'}, 9))
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := decodeAMF(b)
		if err != nil {
			return
		}
		for i, v := range values {
			if _, ok := v.([]any); ok {
				values[i] = nil // is not written
			}
		}
		if _, err := decodeAMF(appendAMF(nil, values...)); err != nil && len(b) < maxAMFBytes/2 {
			t.Error(err)
		}
	})
}
