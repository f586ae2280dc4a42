package protocol

import (
	"errors"
	"fmt"
	"time"
)

// Code is the business code of a reply, ApiCode on the wire (wire.md 2.3,
// design.md 5).
type Code int

// The fixed list of codes.
const (
	CodeOK          Code = 0
	CodeFailed      Code = 1    // the only failure that registering may answer
	CodeToken       Code = 1000 // no token, or not a valid one
	CodeForbidden   Code = 1100
	CodePassword    Code = 1201
	CodeTooOften    Code = 1300 // RetryAfter says when again
	CodeBadValue    Code = 1400
	CodeUnknown     Code = 1404
	CodeConflict    Code = 1409
	CodeNoRoom      Code = 1500 // capacity: disk, connections
	CodePhoneExists Code = 2000
	CodeVerifyCode  Code = 2001
	CodeInviteCode  Code = 2002
	CodeVerifyOften Code = 2003
	CodeVerifySend  Code = 2004
)

// HTTPStatus is the status that goes with a code wherever wire.md 2.4 does not
// ask for 200.
func (c Code) HTTPStatus() int {
	switch c {
	case CodeOK:
		return 200
	case CodeToken, CodePassword:
		return 401
	case CodeForbidden:
		return 403
	case CodeUnknown:
		return 404
	case CodeConflict, CodePhoneExists:
		return 409
	case CodeTooOften, CodeVerifyOften:
		return 429
	case CodeNoRoom:
		return 507
	case CodeVerifySend:
		return 502
	default:
		return 400
	}
}

// Error is a failure that a person is told about: a code, and a text that is
// written in the reader's language when it is answered. Everything else is
// internal: logged with its chain, answered with a general text.
type Error struct {
	Code       Code
	Key        string        // text key, see Text
	Args       []string      // fill {0}, {1}, … of the text
	RetryAfter time.Duration // with CodeTooOften, and where waiting helps
	Status     int           // of HTTP, 0: the code's
	Err        error         // the cause, for the log; may be nil
}

// HTTPStatus is the status of the answer.
func (e *Error) HTTPStatus() int {
	if e.Status != 0 {
		return e.Status
	}
	return e.Code.HTTPStatus()
}

// Errorf makes an Error from a text key and its arguments.
func Errorf(code Code, key string, args ...any) *Error {
	e := &Error{Code: code, Key: key}
	for _, a := range args {
		e.Args = append(e.Args, fmt.Sprint(a))
	}
	return e
}

// TooOften is the answer to somebody who must wait.
func TooOften(after time.Duration) *Error {
	after = max(after, time.Second).Round(time.Second)
	return &Error{Code: CodeTooOften, Key: "tooOften", Args: []string{fmt.Sprint(int(after.Seconds()))}, RetryAfter: after}
}

// TooNew is the answer to an account that may not do this before it is older.
func TooNew(after time.Duration) *Error {
	after = max(after, time.Second).Round(time.Second)
	minutes := int((after + time.Minute - 1) / time.Minute)
	return &Error{Code: CodeTooOften, Key: "accountTooNew", Args: []string{fmt.Sprint(minutes)}, RetryAfter: after}
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s (code %d)", Text(LanguageEnglish, e.Key, e.Args...), e.Code)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Text is what the person reads, in their language.
func (e *Error) Text(language string) string { return Text(language, e.Key, e.Args...) }

// CodeOf is the code an error answers with: its own, or CodeFailed.
func CodeOf(err error) Code {
	if err == nil {
		return CodeOK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeFailed
}
