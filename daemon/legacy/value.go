package legacy

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gtiv/store/mysqldump"
)

// dumped is a row of the dump, read as what it should be.
type dumped struct{ *mysqldump.Row }

func (r dumped) text(column string) string { return r.Get(column).Text }

// int is a whole number, 0 if it is none.
func (r dumped) int(column string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(r.text(column)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// bounded is a number between two others, 0 if it is not.
func (r dumped) bounded(column string, least, most int64) int64 {
	if n := r.int(column); n >= least && n <= most {
		return n
	}
	return 0
}

// time is a time in ms that is not in the future; now if there is none. The original
// wrote times without a zone: they are taken for UTC, as those of TIMESTAMP columns
// are in a dump.
func (r dumped) time(column string, now int64) int64 {
	text := r.text(column)
	t, err := time.Parse(time.DateTime, text) // takes fractions, too
	ms := t.UnixMilli()
	if err != nil {
		ms = r.bounded(column, 0, now/1000) * 1000 // of a server that kept seconds
	}
	if ms <= 0 || ms > now {
		return now
	}
	return ms
}

// line is a text without what cannot be shown, in one line of at most so many
// characters.
func line(text string, most int) string { return tidy(text, most, false) }

// paragraph is line for a text of several lines.
func paragraph(text string, most int) string { return tidy(text, most, true) }

func tidy(text string, most int, breaks bool) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && breaks:
			return r
		case r == '\n', r == '\t':
			return ' '
		case r == utf8.RuneError, unicode.Is(unicode.Cc, r), unicode.In(r, unicode.Zl, unicode.Zp):
			return -1
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
	text = strings.TrimSpace(text)
	if r := []rune(text); len(r) > most {
		text = strings.TrimSpace(string(r[:most]))
	}
	return text
}
