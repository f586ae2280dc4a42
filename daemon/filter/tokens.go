package filter

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// separator stands for any number of spaces, punctuation and symbols.
const separator rune = ' '

// token is a character as it is compared, and the bytes of the text it came
// from. One character can become several (ﬁ is f and i), which share them.
type token struct {
	r      rune
	lo, hi int32
}

// pattern is a word as it is compared.
type pattern struct {
	runes []rune
	whole bool // must be a whole word
	word  int32
}

// patternOf is a word in the form that texts are compared in.
func patternOf(word string) pattern {
	b := borrow()
	defer b.giveBack()
	b.read(word)
	p := pattern{whole: true}
	for _, t := range b.list {
		p.runes = append(p.runes, t.r)
		p.whole = p.whole && !solid(t.r)
	}
	return p
}

// span is a part of a text, in bytes.
type span struct{ lo, hi int32 }

// buffer holds the tokens of one text. Buffers are used again, but for those of
// very long texts.
type buffer struct {
	list    []token
	spans   []span
	scratch []byte
	gap     token // a separator that comes before the next token, if both its neighbours keep it
	hasGap  bool
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

const maxKeptTokens = 16 << 10

func borrow() *buffer { return buffers.Get().(*buffer) } //nolint:forcetypeassert // only buffers are put in

func (b *buffer) giveBack() {
	if cap(b.list) <= maxKeptTokens && cap(b.spans) <= maxKeptTokens {
		buffers.Put(b)
	}
}

// addSpan notes a span that is to be masked. They come in the order of their
// ends; what overlaps is joined.
func (b *buffer) addSpan(lo, hi int32) {
	for n := len(b.spans); n > 0 && b.spans[n-1].hi >= lo; n-- {
		lo = min(lo, b.spans[n-1].lo)
		b.spans = b.spans[:n-1]
	}
	b.spans = append(b.spans, span{lo, hi})
}

// read fills list with the tokens of text. Separators at both ends and beside
// characters of a script without spaces are left out.
func (b *buffer) read(text string) {
	b.list, b.hasGap = b.list[:0], false
	for i := 0; i < len(text); {
		i = b.next(text, i)
	}
}

// next reads the character at i and answers where the next one starts. Most
// characters stand for themselves; only the others are normalised, together
// with the marks that follow.
func (b *buffer) next(text string, i int) int {
	c := text[i]
	if c < utf8.RuneSelf && !markFollows(text, i+1) {
		b.put(rune(asciiFold[c]), i, i+1)
		return i + 1
	}
	r, n := utf8.DecodeRuneInString(text[i:])
	switch {
	case plainAsian(r, text[i+n:]):
		b.put(r, i, i+n)
		return i + n
	case r < simpleEnd && simple()[r] != 0 && !markFollows(text, i+n):
		b.put(simple()[r], i, i+n)
		return i + n
	case r >= 0xff01 && r <= 0xff5e && !markFollows(text, i+n): // full-width ASCII
		b.put(rune(asciiFold[r-0xfee0]), i, i+n)
		return i + n
	case r == utf8.RuneError && n <= 1, r >= 0x3000 && r <= 0x3002: // broken, or Chinese space and punctuation
		b.put(separator, i, i+n)
		return i + n
	}
	return b.normalise(text, i)
}

// normalise reads the characters from i to the next place where normalising can
// begin anew.
func (b *buffer) normalise(text string, i int) int {
	n := norm.NFKC.NextBoundaryInString(text[i:], true)
	if n <= 0 {
		n = len(text) - i
	}
	b.scratch = norm.NFKC.AppendString(b.scratch[:0], text[i:i+n])
	for rest := b.scratch; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		rest = rest[size:]
		if !invisible(r) {
			b.put(fold(r), i, i+n)
		}
	}
	return i + n
}

// plainAsian says whether r has no case and is in normal form, whatever follows.
func plainAsian(r rune, rest string) bool {
	switch {
	case r >= 0x4e00 && r <= 0x9fff: // Chinese
		return true
	case r >= 0x3041 && r <= 0x3096, r >= 0x30a1 && r <= 0x30fa, r == 0x30fc: // Japanese, but for the voicing marks
		return !strings.HasPrefix(rest, "\u3099") && !strings.HasPrefix(rest, "\u309a")
	case r >= 0xac00 && r <= 0xd7a3: // Korean, but for a final consonant
		return rest == "" || rest[0] != 0xe1
	}
	return false
}

// simpleEnd is where the scripts begin whose characters join others than the
// marks that markFollows knows.
const simpleEnd = 0x600

// simple has, for the characters below simpleEnd that are in normal form, what
// they are compared as, and 0 for the others.
var simple = sync.OnceValue(func() *[simpleEnd]rune {
	t := new([simpleEnd]rune)
	for r := rune(utf8.RuneSelf); r < simpleEnd; r++ {
		if s := string(r); norm.NFKC.String(s) == s && !invisible(r) && !unicode.Is(unicode.M, r) {
			t[r] = fold(r)
		}
	}
	return t
})

// markFollows says whether a mark that could join the character before it (an
// accent) may be at i: U+0300 to U+037F start with these bytes.
func markFollows(text string, i int) bool {
	return i < len(text) && (text[i] == 0xcc || text[i] == 0xcd)
}

// put adds a character: itself, or the separator.
func (b *buffer) put(r rune, lo, hi int) {
	t := token{r, int32(lo), int32(hi)} //nolint:gosec // texts are far shorter than 2 GiB
	if r == separator {
		b.gap, b.hasGap = t, len(b.list) > 0
		return
	}
	if b.hasGap && !solid(r) && !solid(b.list[len(b.list)-1].r) {
		b.list = append(b.list, b.gap)
	}
	b.hasGap = false
	b.list = append(b.list, t)
}

// asciiFold is what each ASCII character is compared as.
var asciiFold = func() (t [utf8.RuneSelf]byte) {
	for c := range t {
		switch r := rune(c); {
		case r >= 'A' && r <= 'Z':
			t[c] = byte(r - 'A' + 'a')
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			t[c] = byte(r)
		default:
			t[c] = byte(separator)
		}
	}
	return t
}()

// fold is the form in which a normalised character is compared: the same for
// all its cases, and one for everything that is no part of a word.
func fold(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		return rune(asciiFold[r])
	case !unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.No):
		return separator
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	if least < utf8.RuneSelf { // the Kelvin sign is a k
		return rune(asciiFold[least])
	}
	return least
}

// invisible finds characters that show nothing and do not part words: format
// characters (zero-width ones, direction marks, soft hyphens), fillers and
// variation selectors.
func invisible(r rune) bool {
	switch {
	case r < 0xad:
		return false
	case r == 0xad, r == 0x034f, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r == 0x3164, r == 0xffa0:
		return true
	case r >= 0x180b && r <= 0x180f, r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0000 && r <= 0xe0fff:
		return true
	case r >= 0x2e80 && r < 0xfe00:
		return false
	}
	return unicode.Is(unicode.Cf, r)
}

// solid finds characters of scripts that put no spaces between words, or, as
// Korean, grow their words by endings.
func solid(r rune) bool {
	switch {
	case r < 0x0e00:
		return false
	case r >= 0x2e80 && r <= 0xa4cf: // Chinese, Japanese, Yi
		return true
	case r >= 0xac00 && r <= 0xd7ff, r >= 0x1100 && r <= 0x11ff, r >= 0xa960 && r <= 0xa97f: // Korean
		return true
	case r >= 0xf900 && r <= 0xfaff, r >= 0x20000 && r <= 0x3ffff: // Chinese
		return true
	case r <= 0x0eff, r >= 0x1000 && r <= 0x109f, r >= 0x1780 && r <= 0x17ff: // Thai, Lao; Burmese; Khmer
		return true
	}
	return false
}
