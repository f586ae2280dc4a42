package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strings"

	"gtiv/protocol"
)

// Limits inside a body that fits MaxBody.
const (
	maxDepth = 32 // of JSON
	maxParts = 64 // of a multipart form
)

var (
	errTooLarge = errors.New("body too large")
	errSlow     = errors.New("body too slow")
	errSyntax   = errors.New("not a JSON object")
)

// readParams offers everything the request carries to b: the query first, then
// the body, so that the body wins. Both are read on every method (wire.md 3).
func readParams(b *binder, w http.ResponseWriter, r *http.Request, maxBody int64) error {
	if err := queryParams(b, r.URL.RawQuery); err != nil {
		return err
	}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	if r.ContentLength > maxBody {
		return errTooLarge
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	kind, opts, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // a wrong one is as good as none
	if kind == "multipart/form-data" {
		return bodyError(multipartParams(b, multipart.NewReader(r.Body, opts["boundary"])))
	}
	body, err := readBody(r)
	if err != nil {
		return bodyError(err)
	}
	return bodyParams(b, kind, body)
}

// readBody reads a body of known size into one allocation.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 {
		return io.ReadAll(r.Body)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

// bodyParams reads a body of known kind. What looks like a JSON object is one,
// whatever the header says: clients send wrong ones (wire.md 6 M10).
func bodyParams(b *binder, kind string, body []byte) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	if kind == "application/x-www-form-urlencoded" && body[0] != '{' {
		return queryParams(b, string(body))
	}
	if bytes.Equal(body, []byte("null")) {
		return nil
	}
	if err := jsonParams(b, body); err != nil {
		return protocol.Errorf(protocol.CodeBadValue, "badJSON")
	}
	return nil
}

func bodyError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlow
	}
	if errors.Is(err, errTooLarge) {
		return err
	}
	return &protocol.Error{Code: protocol.CodeBadValue, Key: "badBody", Err: err}
}

// queryParams reads "a=b&c=d" of a query or a form body.
func queryParams(b *binder, query string) error {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		name, text, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			text, err = url.QueryUnescape(text)
		}
		if err != nil {
			return protocol.Errorf(protocol.CodeBadValue, "badForm")
		}
		b.put(name, value{text, kindText})
	}
	return nil
}

// multipartParams reads the text fields of a form; files are passed over.
func multipartParams(b *binder, form *multipart.Reader) error {
	for range maxParts {
		part, err := form.NextRawPart()
		if err == io.EOF { //nolint:errorlint // a wrapped one is a form cut short
			return nil
		}
		if err != nil {
			return err
		}
		if part.FileName() != "" {
			continue
		}
		text, err := io.ReadAll(part) // bounded by the body
		if err != nil {
			return err
		}
		b.put(part.FormName(), value{string(text), kindText})
	}
	return errTooLarge
}

// jsonParams reads the members of one JSON object.
func jsonParams(b *binder, body []byte) error {
	if !json.Valid(body) { // from here on only the structure has to be followed
		return errSyntax
	}
	s := scanner{rest: body}
	if !s.skip('{') {
		return errSyntax
	}
	for !s.skip('}') {
		s.skip(',')
		name, err := unquote(s.take())
		if err != nil {
			return err
		}
		s.skip(':')
		raw := s.take()
		if raw == nil {
			return errSyntax // too deep
		}
		v, err := jsonValue(raw)
		if err != nil {
			return err
		}
		b.put(name, v)
	}
	return nil
}

func jsonValue(raw []byte) (value, error) {
	switch raw[0] {
	case '"':
		text, err := unquote(raw)
		return value{text, kindText}, err
	case 't', 'f':
		return value{string(raw), kindBool}, nil
	case 'n':
		return value{}, nil
	case '{', '[':
		return value{kind: kindNested}, nil
	}
	return value{string(raw), kindNumber}, nil
}

func unquote(raw []byte) (string, error) {
	if len(raw) < 2 {
		return "", errSyntax
	}
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return clean(string(inner)), nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}

// scanner walks over JSON that is known to be valid.
type scanner struct{ rest []byte }

// skip passes white space, and c if it comes next.
func (s *scanner) skip(c byte) bool {
	s.rest = bytes.TrimLeft(s.rest, " \t\r\n")
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// take returns the next value. It is nil when it is nested too deeply.
func (s *scanner) take() []byte {
	s.rest = bytes.TrimLeft(s.rest, " \t\r\n")
	n := 0
	switch {
	case len(s.rest) == 0:
		return nil
	case s.rest[0] == '"':
		n = stringEnd(s.rest)
	case s.rest[0] == '{' || s.rest[0] == '[':
		if n = nestedEnd(s.rest); n == 0 {
			return nil
		}
	default:
		if n = bytes.IndexAny(s.rest, ",]} \t\r\n"); n < 0 {
			n = len(s.rest)
		}
	}
	taken := s.rest[:n]
	s.rest = s.rest[n:]
	return taken
}

// stringEnd is the length of the string that b starts with.
func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// nestedEnd is the length of the array or object that b starts with, 0 when it
// is deeper than maxDepth.
func nestedEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			if depth++; depth > maxDepth {
				return 0
			}
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}
