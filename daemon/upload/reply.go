package upload

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"gtiv/daemon/limit"
	"gtiv/store/blob"
)

// Codes of Qiniu beside those of HTTP
// (https://developer.qiniu.com/kodo/3928/error-responses). Its SDKs decide by
// them whether to try again.
const (
	statusCRC        = 406 // what came is not what was sent; tried again
	statusTooOften   = 573
	statusInternal   = 599
	statusNoUpload   = 612 // with this text the SDK starts the upload anew
	statusExists     = 614
	statusNoBucket   = 631
	textNoUpload     = "no such uploadId"
	textInternal     = "internal error"
	textUnavailable  = "files cannot be stored at the moment"
	textNoSpace      = "no space left on this server"
	textTypeRefused  = "limited mimeType: this file type is forbidden to upload"
	textImageRefused = "this image cannot be read or has too many pixels"
)

// refusal is an error that the client is told.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

var (
	errUnknown  = &refusal{http.StatusNotFound, "unknown path or method"}
	errBusy     = &refusal{http.StatusServiceUnavailable, "too many uploads at once"}
	errNoFile   = &refusal{http.StatusBadRequest, "no file in the form"}
	errNoBucket = &refusal{statusNoBucket, "no such bucket"}
	errNoUpload = &refusal{statusNoUpload, textNoUpload}
	errExists   = &refusal{statusExists, "file exists"}
	errTooBig   = &refusal{http.StatusRequestEntityTooLarge, "file is too large"}
	errType     = &refusal{http.StatusForbidden, textTypeRefused}
	errImage    = &refusal{http.StatusForbidden, textImageRefused}

	errLateToken = &refusal{http.StatusUnauthorized, "bad token: it must come before the file"}
)

func badRequest(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func tooOften(wait time.Duration) error {
	return &refusal{statusTooOften, "too many uploads, try again in " + wait.Round(time.Second).String()}
}

// reply writes v, or what is told of err. Qiniu's SDKs take an answer without
// X-Reqid and X-Log for that of somebody in between.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, v any, err error) {
	id := rand.Text()
	h := w.Header()
	h.Set("X-Reqid", id)
	h.Set("X-Log", "gtiv")
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	status := http.StatusOK
	if err != nil {
		var known bool
		known, status, v = s.errorReply(err)
		if !known {
			s.log.Error("upload", "err", err, "req", id, "remote", r.RemoteAddr)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			s.drain(w, r)
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // structs of texts and numbers
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) //nolint:errcheck // the client hung up
}

// drain reads what a client still sends, up to the size of a form: it would not
// look at the answer before.
func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	pace := limit.Pace{Idle: idleTime, Most: drainTime, Rate: minRate}
	_, _ = io.Copy(io.Discard, limit.NewPatient(w, http.MaxBytesReader(w, r.Body, s.cfg.MaxForm), pace)) //nolint:errcheck // that is its fault
}

type errorBody struct {
	Error string `json:"error"`
}

// errorReply is the one place that turns errors into answers. What is not known
// is to be logged.
func (s *Server) errorReply(err error) (known bool, status int, body errorBody) {
	if r, ok := errors.AsType[*refusal](err); ok {
		return true, r.status, errorBody{r.text}
	}
	_, tooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLong, errors.Is(err, blob.ErrTooBig):
		return true, errTooBig.status, errorBody{errTooBig.text}
	case errors.Is(err, blob.ErrConflict):
		return true, errExists.status, errorBody{errExists.text}
	case errors.Is(err, blob.ErrKey):
		return true, http.StatusBadRequest, errorBody{err.Error()}
	case errors.Is(err, blob.ErrNoSpace):
		return true, statusInternal, errorBody{textNoSpace} // health says so too
	case errors.Is(err, ErrMedia):
		return true, errType.status, errorBody{errType.text}
	case errors.Is(err, errBody), errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded):
		return true, http.StatusBadRequest, errorBody{"the request broke off"}
	}
	if errors.Is(err, blob.ErrUnavailable) {
		return false, http.StatusServiceUnavailable, errorBody{textUnavailable}
	}
	return false, statusInternal, errorBody{textInternal}
}

// errBody marks errors of reading what a client sends.
var errBody = errors.New("read request")

// bodyError marks an error of reading a request; what has a meaning of its own
// keeps it.
func bodyError(err error) error { return fmt.Errorf("%w: %w", errBody, err) }
