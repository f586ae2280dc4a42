// Package filter finds unwanted words in what people write. A Filter does not
// change once it is made and is safe for concurrent use; a nil Filter finds
// nothing. The package starts no goroutines.
//
// Texts and words are compared in one form (see tokens): compatibility
// normalised, case folded, without characters that show nothing. A word of a
// script that writes spaces between words ("class") is found as a whole word
// only. A word with characters of a script that does not (Chinese, Japanese,
// Korean, Thai, …) is found anywhere, also when spaces or punctuation were put
// between its characters.
//
// All words are searched for at once, by the automaton of Aho and Corasick: the
// time depends on the length of the text, not on the number of words.
package filter

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Bounds of a list of words.
const (
	MaxWords     = 20_000
	MaxWordRunes = 64
	maxListBytes = 8 << 20
	maxProblems  = 10 // that are told of one list
)

// Censor decides about a text before it is stored: it answers the text as it
// may be stored, or an error that its writer is told. A nil Censor lets
// everything through; see Apply.
type Censor func(text string) (string, error)

// Apply is c(text), and the text itself when there is no censor.
func (c Censor) Apply(text string) (string, error) {
	if c == nil {
		return text, nil
	}
	return c(text)
}

// Filter finds the words it was made of.
type Filter struct {
	m     machine
	words []string // as they were given, by number
}

// New makes a filter of words. Those that Check refuses, and those beyond
// MaxWords, are left out.
func New(words []string) *Filter {
	f := &Filter{}
	var patterns []pattern
	for _, w := range words {
		if len(f.words) == MaxWords {
			break
		}
		if p := patternOf(w); Check(w) == nil {
			p.word = int32(len(f.words)) //nolint:gosec // at most MaxWords
			patterns = append(patterns, p)
			f.words = append(f.words, strings.TrimSpace(w))
		}
	}
	f.m.build(patterns)
	return f
}

// Check says what is wrong with a word, or nil.
func Check(word string) error {
	switch {
	case !utf8.ValidString(word):
		return errors.New("is not readable text")
	case utf8.RuneCountInString(strings.TrimSpace(word)) > MaxWordRunes:
		return fmt.Errorf("has more than %d characters", MaxWordRunes)
	case len(patternOf(word).runes) == 0:
		return errors.New("has neither letters nor digits")
	}
	return nil
}

// Read reads a list: one word a line, empty lines and those that start with #
// left out. Every problem names its line. With an error it answers the words that
// can be read.
func Read(r io.Reader) ([]string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxListBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxListBytes {
		return nil, fmt.Errorf("is larger than %d MiB", maxListBytes>>20)
	}
	var words []string
	var problems []error
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	lines.Buffer(nil, maxListBytes+1)
	for n := 1; lines.Scan(); n++ {
		w := strings.TrimSpace(lines.Text())
		if w == "" || strings.HasPrefix(w, "#") {
			continue
		}
		if err := Check(w); err != nil {
			if len(problems) < maxProblems {
				problems = append(problems, fmt.Errorf("line %d %w", n, err))
			}
			continue
		}
		if len(words) == MaxWords {
			problems = append(problems, fmt.Errorf("line %d is one more than %d words", n, MaxWords))
			break
		}
		words = append(words, w)
	}
	return words, errors.Join(append(problems, lines.Err())...)
}

// Len is the number of words.
func (f *Filter) Len() int {
	if f == nil {
		return 0
	}
	return len(f.words)
}

// Match finds a word in text and answers it as it stands in the list.
func (f *Filter) Match(text string) (word string, found bool) {
	if f.Len() == 0 || text == "" {
		return "", false
	}
	b := borrow()
	defer b.giveBack()
	b.read(text)
	f.m.run(b.list, func(_, _ int, n int32) bool {
		word, found = f.words[n], true
		return false
	})
	return word, found
}

// maxRounds bounds the work on one text. Masking a word can bring together the
// characters around it to another one; a text that was built to go on like that
// is masked as a whole.
const maxRounds = 4

// Mask replaces the words in text by asterisks, one for each character. What it
// answers does not match, and is not longer than text.
func (f *Filter) Mask(text string) string {
	if f.Len() == 0 {
		return text
	}
	for range maxRounds {
		masked, found := f.mask(text)
		if !found {
			return text
		}
		text = masked
	}
	if _, found := f.Match(text); found {
		return strings.Repeat("*", utf8.RuneCountInString(text))
	}
	return text
}

// mask does one round.
func (f *Filter) mask(text string) (masked string, found bool) {
	b := borrow()
	defer b.giveBack()
	b.read(text)
	var out strings.Builder
	from := 0 // of what is not in out yet
	b.spans = b.spans[:0]
	f.m.run(b.list, func(first, last int, _ int32) bool {
		b.addSpan(b.list[first].lo, b.list[last].hi)
		return true
	})
	for _, s := range b.spans {
		out.WriteString(text[from:s.lo])
		for _, r := range text[s.lo:s.hi] {
			if !invisible(r) {
				out.WriteByte('*')
			}
		}
		from = int(s.hi)
	}
	out.WriteString(text[from:])
	return out.String(), len(b.spans) > 0
}
