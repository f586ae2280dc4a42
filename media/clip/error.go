package clip

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// Reason says why a file was refused. It is stable and fit to be the key of a
// text.
type Reason string

// The reasons there are.
const (
	NotVideo    Reason = "notVideo"    // not a file of a known video format
	NoVideo     Reason = "noVideo"     // nothing to look at in it, only sound for instance
	Unsupported Reason = "unsupported" // a codec that is not decoded here
	TooLong     Reason = "tooLong"     // longer than Config.MaxDuration
	TooLarge    Reason = "tooLarge"    // more pixels than Config.MaxPixels or MaxSide
	Truncated   Reason = "truncated"   // its end is missing
	Broken      Reason = "broken"      // it cannot be read
	Bomb        Reason = "bomb"        // made to exhaust the server
)

// Reasons lists all reasons.
func Reasons() []Reason {
	return []Reason{NotVideo, NoVideo, Unsupported, TooLong, TooLarge, Truncated, Broken, Bomb}
}

// RefusedError is answered for a file of which no clip will ever be made;
// trying again is no use.
type RefusedError struct {
	Reason Reason
	Detail string // for the log and the administrator, in English
}

// Error says the reason and the detail.
func (e *RefusedError) Error() string { return fmt.Sprintf("refused as %s: %s", e.Reason, e.Detail) }

func refuse(r Reason, format string, args ...any) error {
	return &RefusedError{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// ErrTimeout is inside the FFmpegError of a process that ran too long.
var ErrTimeout = errors.New("it took too long")

// FFmpegError is answered when ffmpeg or ffprobe failed. It may be worth
// another try. When the disk was full, errors.Is finds syscall.ENOSPC in it.
type FFmpegError struct {
	Tail string // what it said last, at most 20 lines
	Err  error  // how it ended
}

// Error says how the process ended and its last words.
func (e *FFmpegError) Error() string {
	if e.Tail == "" {
		return fmt.Sprintf("ffmpeg: %v", e.Err)
	}
	return fmt.Sprintf("ffmpeg: %v: %s", e.Err, e.Tail)
}

// Unwrap is how it ended.
func (e *FFmpegError) Unwrap() error { return e.Err }

func ffmpegError(tail string, err error) error {
	if strings.Contains(tail, "No space left on device") {
		err = errors.Join(err, syscall.ENOSPC)
	}
	return &FFmpegError{Tail: tail, Err: err}
}

const (
	tailBytes = 8 << 10
	tailLines = 20
)

// tail is a writer that remembers the end of what is written.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-tailBytes):]...)
	t.b = slices.Delete(t.b, 0, max(0, len(t.b)-tailBytes))
	return len(p), nil
}

// String is the last lines, as valid UTF-8.
func (t *tail) String() string {
	lines := bytes.Split(bytes.TrimSpace(t.b), []byte("\n"))
	lines = lines[max(0, len(lines)-tailLines):]
	return strings.ToValidUTF8(string(bytes.Join(lines, []byte("\n"))), "?")
}
