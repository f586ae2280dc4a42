package mysqldump

import (
	"bytes"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
)

// This file reads what statements are made of.

func (r *Reader) byte() (byte, error) {
	b, err := r.in.ReadByte()
	if b == '\n' && err == nil {
		r.line++
	}
	return b, err
}

// back unreads the last byte.
func (r *Reader) back() {
	if r.in.UnreadByte() != nil {
		return // nothing was read
	}
	if b, err := r.in.Peek(1); err == nil && b[0] == '\n' {
		r.line--
	}
}

func (r *Reader) peek() (byte, error) {
	b, err := r.in.Peek(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (r *Reader) peekSpaced() (byte, error) {
	if err := r.space(); err != nil {
		return 0, err
	}
	return r.peek()
}

func (r *Reader) byteSpaced() (byte, error) {
	if err := r.space(); err != nil {
		return 0, err
	}
	return r.byte()
}

// ahead says whether text comes next.
func (r *Reader) ahead(text string) bool {
	b, err := r.in.Peek(len(text))
	return err == nil && string(b) == text
}

// space passes over white space and comments. The end of the dump is no error: the
// next read finds it.
func (r *Reader) space() error {
	for {
		b, err := r.peek()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case b == ' ' || b == '\t' || b == '\r' || b == '\n' || b == '\f' || b == '\v':
			_, err = r.byte()
		case b == '#', b == '-' && r.dashes():
			err = r.lineComment()
		case b == '/' && r.ahead("/*"):
			err = r.blockComment()
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// dashes says whether a comment begins: MySQL wants white space behind the dashes,
// so that "5--1" is a difference.
func (r *Reader) dashes() bool {
	b, err := r.in.Peek(3)
	if err != nil {
		return len(b) == 2 && b[1] == '-'
	}
	return b[1] == '-' && b[2] <= ' '
}

var lastComment = []byte("-- Dump completed")

func (r *Reader) lineComment() error {
	if b, _ := r.in.Peek(len(lastComment)); bytes.Equal(b, lastComment) {
		r.complete = true
	}
	for {
		b, err := r.byte()
		if err == io.EOF || b == '\n' {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// blockComment passes over "/* … */". In those for the server quoted texts are
// texts: the body of a trigger may hold "*/" in one.
func (r *Reader) blockComment() error {
	server := r.ahead("/*!") || r.ahead("/*M!")
	begun := r.line
	r.in.Discard(2) //nolint:errcheck // they were peeked
	for last := byte(0); ; {
		b, err := r.byte()
		if err == io.EOF {
			return &SyntaxError{Line: begun, Text: "a comment that does not end"}
		}
		if err != nil {
			return err
		}
		switch {
		case last == '*' && b == '/':
			return nil
		case server && (b == '\'' || b == '"' || b == '`'):
			if err := r.quoted(b, nil); err != nil {
				return cut(err, r)
			}
			b = 0
		}
		last = b
	}
}

// code answers the next byte that is neither in a comment nor in quotes, and passes
// over what is. Of quotes it answers the first.
func (r *Reader) code() (byte, error) {
	b, err := r.peek()
	if err != nil {
		return 0, err
	}
	if b == '#' || b == '-' && r.dashes() || b == '/' && r.ahead("/*") {
		return ' ', r.space()
	}
	if b, err = r.byte(); err != nil {
		return 0, err
	}
	if b == '\'' || b == '"' || b == '`' {
		err = r.quoted(b, nil)
	}
	return b, err
}

// skip passes over the rest of the statement. The last statement of a dump need not
// have an end.
func (r *Reader) skip() error {
	for {
		if r.ahead(r.end) {
			_, err := r.in.Discard(len(r.end))
			return err
		}
		switch b, err := r.code(); {
		case err == io.EOF && b == 0:
			return nil // the next read says so
		case err != nil:
			return cut(err, r)
		}
	}
}

func letter(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' || b >= 0x80
}

// bare says whether a byte belongs to a name without quotes.
func bare(b byte) bool { return letter(b) || b >= '0' && b <= '9' || b == '$' }

// word reads a key word, in upper case.
func (r *Reader) word() (string, error) {
	w, err := r.bareName()
	return strings.ToUpper(w), err
}

func (r *Reader) bareName() (string, error) {
	var name []byte
	for {
		b, err := r.peek()
		if err == io.EOF || err == nil && !bare(b) {
			return string(name), nil
		}
		if err != nil {
			return "", err
		}
		if name = append(name, b); len(name) > maxName {
			return "", r.errorf("a name of more than %d bytes", maxName)
		}
		r.in.Discard(1) //nolint:errcheck // it was peeked
	}
}

// name reads a name, in quotes or without, in lower case: on some systems MySQL
// itself writes the names of tables in lower case.
func (r *Reader) name() (string, error) {
	b, err := r.peek()
	if err != nil {
		return "", err
	}
	if b != '`' && b != '"' {
		name, err := r.bareName()
		if err == nil && name == "" {
			err = r.errorf("%q where a name should be", b)
		}
		return strings.ToLower(name), err
	}
	if _, err := r.byte(); err != nil {
		return "", err
	}
	text := &text{most: maxName}
	if err := r.quoted(b, text); err != nil {
		return "", err
	}
	return strings.ToLower(string(text.b)), nil
}

func (r *Reader) spacedName() (string, error) {
	if err := r.space(); err != nil {
		return "", err
	}
	return r.name()
}

// text collects what is in quotes.
type text struct {
	b    []byte
	most int
}

// escapes are the letters that mean something behind a backslash; all others mean
// themselves.
var escapes = [256]byte{'0': 0, 'b': '\b', 'n': '\n', 'r': '\r', 't': '\t', 'Z': 26}

// quoted reads to the closing quote, which is q; the opening one was read. With a nil
// text it only passes over. Backslashes escape in texts, not in names.
func (r *Reader) quoted(q byte, t *text) error {
	for {
		b, err := r.byte()
		if err != nil {
			return err
		}
		switch {
		case b == q:
			next, err := r.peek()
			if err == io.EOF || err == nil && next != q {
				return nil
			}
			if err != nil {
				return err
			}
			r.in.Discard(1) //nolint:errcheck // it was peeked
		case b == '\\' && q != '`':
			if b, err = r.byte(); err != nil {
				return err
			}
			if (b == '%' || b == '_') && t != nil {
				t.b = append(t.b, '\\') // they are for patterns and stay as they are
			}
			if e := escapes[b]; e != 0 || b == '0' {
				b = e
			}
		}
		if t == nil {
			continue
		}
		if t.b = append(t.b, b); len(t.b) > t.most {
			return r.errorf("a text of more than %d bytes", t.most)
		}
	}
}

// value reads one value of a row.
func (r *Reader) value() (Value, error) {
	b, err := r.peekSpaced()
	if err != nil {
		return Value{}, err
	}
	switch {
	case b == '\'' || b == '"':
		return r.text()
	case b >= '0' && b <= '9' || b == '-' || b == '+' || b == '.':
		return r.number()
	case letter(b):
		return r.named()
	}
	return Value{}, r.errorf("%q where a value should be", b)
}

func (r *Reader) text() (Value, error) {
	q, err := r.byte()
	if err != nil {
		return Value{}, err
	}
	t := &text{most: MaxField}
	err = r.quoted(q, t)
	return Value{Text: string(t.b)}, err
}

// number reads a number as it is written, or bytes such as 0x616263.
func (r *Reader) number() (Value, error) {
	if r.ahead("0x") || r.ahead("0X") {
		r.in.Discard(2) //nolint:errcheck // they were peeked
		digits, err := r.run(2*MaxField, func(b byte) bool { return bare(b) })
		if err != nil {
			return Value{}, err
		}
		return r.bytes(digits)
	}
	text, err := r.run(maxName, func(b byte) bool {
		return b >= '0' && b <= '9' || b == '-' || b == '+' || b == '.' || b == 'e' || b == 'E'
	})
	return Value{Text: text}, err
}

func (r *Reader) bytes(digits string) (Value, error) {
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return Value{}, r.errorf("%.20q is not hexadecimal", digits)
	}
	return Value{Text: string(b)}, nil
}

// run reads bytes as long as they belong.
func (r *Reader) run(most int, belongs func(byte) bool) (string, error) {
	var text []byte
	for {
		b, err := r.peek()
		if err == io.EOF || err == nil && !belongs(b) {
			return string(text), nil
		}
		if err != nil {
			return "", err
		}
		if text = append(text, b); len(text) > most {
			return "", r.errorf("a value of more than %d bytes", most)
		}
		r.in.Discard(1) //nolint:errcheck // it was peeked
	}
}

// named reads NULL, TRUE, FALSE, and texts behind a word: _binary 'x', X'616263',
// b'01'.
func (r *Reader) named() (Value, error) {
	word, err := r.word()
	if err != nil {
		return Value{}, err
	}
	switch word {
	case "NULL":
		return Value{Null: true}, nil
	case "TRUE":
		return Value{Text: "1"}, nil
	case "FALSE":
		return Value{Text: "0"}, nil
	}
	b, err := r.peekSpaced()
	if err != nil {
		return Value{}, err
	}
	quote := b == '\'' || b == '"'
	switch {
	case word[0] == '_' && quote, word == "N" && quote:
		return r.text()
	case word[0] == '_' && b == '0':
		return r.number()
	case word == "X" && quote:
		v, err := r.text()
		if err != nil {
			return v, err
		}
		return r.bytes(v.Text)
	case word == "B" && quote:
		v, err := r.text()
		if err != nil {
			return v, err
		}
		return r.bits(v.Text)
	}
	return Value{}, r.errorf("%.20q is not a value that is understood", word)
}

// bits is the number that b'101' means.
func (r *Reader) bits(digits string) (Value, error) {
	n := uint64(0)
	for _, d := range []byte(digits) {
		if d != '0' && d != '1' || n >= 1<<63 {
			return Value{}, r.errorf("%.20q is not a number of bits", digits)
		}
		n = n<<1 | uint64(d-'0')
	}
	return Value{Text: itoa(n)}, nil
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }
