package protocol

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CleanText answers a text that people write as it is kept: its line breaks are
// \n. Not ok is what is not UTF-8, or has control characters besides line breaks
// and tabs, which no keyboard makes and readers stumble over.
func CleanText(s string) (clean string, ok bool) {
	if !utf8.ValidString(s) {
		return s, false
	}
	if strings.Contains(s, "\r") {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	return s, !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) })
}

// ShowsSomething reports whether a text has a character that can be seen.
func ShowsSomething(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.In(r, unicode.C, unicode.Z, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) && r != '\u2800'
	})
}
