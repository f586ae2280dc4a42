package protocol_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"gtiv/protocol"
)

func TestErrorIsReadInTheReadersLanguage(t *testing.T) {
	err := protocol.Errorf(protocol.CodeBadValue, "passwordLength", 8, 64)
	if got := err.Text("zh"); got != "密码长度须为 8 到 64 个字符" {
		t.Errorf("Chinese: %q", got)
	}
	if got := err.Error(); got != "The password must have 8 to 64 characters. (code 1400)" {
		t.Errorf("for the log: %q", got)
	}
}

func TestCodeOfLooksThroughWrapping(t *testing.T) {
	own := &protocol.Error{Code: protocol.CodeConflict, Key: "usernameTaken", Err: io.EOF}
	if got := protocol.CodeOf(fmt.Errorf("register: %w", own)); got != protocol.CodeConflict {
		t.Errorf("wrapped: %d", got)
	}
	if !errors.Is(own, io.EOF) {
		t.Error("the cause is hidden")
	}
	if got := protocol.CodeOf(io.EOF); got != protocol.CodeFailed {
		t.Errorf("foreign error: %d", got)
	}
	if got := protocol.CodeOf(nil); got != protocol.CodeOK {
		t.Errorf("no error: %d", got)
	}
}

func TestTooOftenSaysWhenAgain(t *testing.T) {
	for after, want := range map[time.Duration]string{
		0:                       "Too often. Please try again in 1 seconds.",
		90 * time.Second:        "Too often. Please try again in 90 seconds.",
		1600 * time.Millisecond: "Too often. Please try again in 2 seconds.",
	} {
		err := protocol.TooOften(after)
		if err.Text("en") != want || err.RetryAfter < time.Second || err.Code != protocol.CodeTooOften {
			t.Errorf("after %v: %q, %v, %d", after, err.Text("en"), err.RetryAfter, err.Code)
		}
	}
}

func TestFailuresNeverAnswerWithSuccess(t *testing.T) {
	for code := protocol.Code(1); code < 3000; code++ {
		if s := code.HTTPStatus(); s < 400 || s > 599 {
			t.Errorf("code %d answers %d", code, s)
		}
	}
	if s := protocol.CodeOK.HTTPStatus(); s != 200 {
		t.Errorf("success answers %d", s)
	}
}
