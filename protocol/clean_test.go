package protocol_test

import (
	"testing"

	"gtiv/protocol"
)

func TestCleanText(t *testing.T) {
	for _, c := range []struct {
		text, clean string
		ok          bool
	}{
		{"", "", true}, {"a\r\nb\rc\n\td", "a\nb\nc\n\td", true}, {"👩\u200d🚀 \u202e", "👩\u200d🚀 \u202e", true}, {"你好", "你好", true},
		{"a\x00b", "a\x00b", false}, {"\x1b[31m", "\x1b[31m", false}, {"\u0085", "\u0085", false}, {"\x7f", "\x7f", false}, {"\xff", "\xff", false},
	} {
		if got, ok := protocol.CleanText(c.text); got != c.clean || ok != c.ok {
			t.Errorf("%q: %q %v", c.text, got, ok)
		}
	}
}

func TestShowsSomething(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, " \t\n": false, "\u3000 \u200b": false, "\u2060\ufeff": false, "\u3164\u115f\uffa0": false, "\u2800": false, "\ufe0f": false, "\u034f": false,
		"a": true, " 好 ": true, "👍": true, "\u200bx": true, ".": true,
	} {
		if protocol.ShowsSomething(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}
