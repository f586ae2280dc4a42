package tus

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is a refusal by this package or by tusd. Code is tusd's, such as
// "ERR_MISMATCHED_OFFSET"; clients of tus look at the status.
type Error struct {
	Code       string
	Detail     string // in English
	Status     int
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// Codes of this package beside tusd's.
const (
	ErrBusy     = "ERR_BUSY"     // too many requests at once
	ErrTooMany  = "ERR_TOO_MANY" // unfinished uploads
	ErrMetadata = "ERR_METADATA" // too much of it
	ErrNotFound = "ERR_UPLOAD_NOT_FOUND"
	errMethod   = "ERR_METHOD"
)

// translator holds back what tusd answers in plain English, so that it can be said
// in the caller's language.
type translator struct {
	http.ResponseWriter
	status int // of what is held back
	text   []byte
}

// Unwrap lets deadlines through.
func (t *translator) Unwrap() http.ResponseWriter { return t.ResponseWriter }

const maxHeld = 1000 // bytes of text

func (t *translator) WriteHeader(status int) {
	kind := t.Header().Get("Content-Type")
	if status >= http.StatusBadRequest && !strings.HasPrefix(kind, "application/json") {
		t.status = status
		return
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *translator) Write(b []byte) (int, error) {
	if t.status == 0 {
		return t.ResponseWriter.Write(b)
	}
	t.text = append(t.text, b[:min(len(b), maxHeld-len(t.text))]...)
	return len(b), nil
}

// held is the refusal that was held back, nil if there is none.
func (t *translator) held() error {
	if t.status == 0 {
		return nil
	}
	code, detail, ok := strings.Cut(strings.TrimSpace(string(t.text)), ": ")
	switch {
	case ok && strings.HasPrefix(code, "ERR_INTERNAL"):
		return fmt.Errorf("tus: %s", detail)
	case !ok && t.status == http.StatusMethodNotAllowed:
		code = errMethod
	case !ok && t.status == http.StatusNotFound: // the answer to HEAD has no text
		code = ErrNotFound
	}
	return &Error{Code: code, Detail: detail, Status: t.status}
}

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
