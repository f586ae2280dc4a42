package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// clean removes from a text of others what a terminal would act on or what
// misleads the eye: control characters (ESC and line breaks among them), format
// characters (direction marks, zero-width ones), line and paragraph separators,
// and broken UTF-8.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unsafeRune(r) {
			return -1
		}
		return r
	}, s)
}

// cleanLines is clean for a text of several lines, such as an error.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = clean(l)
	}
	return strings.Join(lines, "\n")
}

func unsafeRune(r rune) bool {
	return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Cs)
}

// escapeJSON writes unsafe characters of encoded JSON as \uXXXX. Beyond the
// layout's own line breaks they occur inside strings only.
func escapeJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r < utf8.RuneSelf && r != 0x7f || !unsafeRune(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, `\u%04x`, u)
		}
	}
	return out
}

// cells is the number of columns that a clean text takes on a terminal: two for
// East Asian wide characters and emoji, none for combining marks.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// fit shortens a text to at most n columns.
func fit(s string, n int) string {
	if cells(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		if used += runeCells(r); used > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// table is rows of cells under a heading. All cells are cleaned.
type table struct {
	head []string
	rows [][]string
}

const (
	maxCell = 48 // columns; --json has everything
	gap     = "  "
)

func (t *table) add(row ...string) { t.rows = append(t.rows, row) }

func (t *table) String() string {
	widths := make([]int, len(t.head))
	all := append([][]string{t.head}, t.rows...)
	for _, row := range all {
		for i, c := range row {
			row[i] = fit(clean(c), maxCell)
			widths[i] = max(widths[i], cells(row[i]))
		}
	}
	var b strings.Builder
	for _, row := range all {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(c + strings.Repeat(" ", widths[i]-cells(c)) + gap)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// at is a time for a table, in local time.
func at(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// orDash keeps a table's columns visible.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// count is a number with its digits in groups of three.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size is a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, units := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	for v >= unit && len(units) > 1 {
		v, units = v/unit, units[1:]
	}
	if v < 10 {
		return fmt.Sprintf("%.1f %s", v, units[0])
	}
	return fmt.Sprintf("%.0f %s", v, units[0])
}

// span is a length of time for people, in its two largest units.
func span(d time.Duration) string {
	s := int64(d.Seconds())
	day, hour, minute := s/86400, s/3600%24, s/60%60
	switch {
	case day > 0:
		return fmt.Sprintf("%dd %dh", day, hour)
	case hour > 0:
		return fmt.Sprintf("%dh %dm", hour, minute)
	case minute > 0:
		return fmt.Sprintf("%dm %ds", minute, s%60)
	default:
		return fmt.Sprintf("%ds", s)
	}
}

// counted is "1 session", "2 sessions".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(int64(n)) + " " + what + "s"
}

// duration is a flag like "90m", "24h", "7d" or "2w".
type duration time.Duration

// UnmarshalText reads the flag.
func (d *duration) UnmarshalText(text []byte) error {
	s := string(text)
	for suffix, unit := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		digits, ok := strings.CutSuffix(s, suffix)
		if n, err := strconv.ParseUint(digits, 10, 12); ok && err == nil {
			*d = duration(time.Duration(n) * unit) //nolint:gosec // at most 4095 weeks
			return nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a length of time like 90m, 24h, 7d or 2w", s)
	}
	*d = duration(v)
	return nil
}
