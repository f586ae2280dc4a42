package control

import (
	"errors"
	"net/http"

	"gtiv/protocol"
	"gtiv/store"
)

// httpError is a refusal of the server itself.
type httpError struct {
	status int
	*protocol.ControlError
}

func badRequest(text string) error {
	return &httpError{http.StatusBadRequest, &protocol.ControlError{Code: protocol.ControlBadRequest, Message: text}}
}

func deniedError(have, need protocol.Role) error {
	e := &protocol.ControlError{Code: protocol.ControlDenied, Message: "this needs the role " + need.String()}
	if have == protocol.RoleNone {
		e.Message = "your user may not administrate gtiv"
		e.Hint = "Try as root, or join one of the groups gtiv-admin, gtiv-moderator, gtiv-viewer."
	} else {
		e.Message += "; yours is " + have.String()
		e.Hint = "The group gtiv-" + need.String() + " gives it."
	}
	return &httpError{http.StatusForbidden, e}
}

func internalError() *protocol.ControlError {
	return &protocol.ControlError{Code: protocol.ControlInternal, Message: "something went wrong in the daemon", Hint: "Its log says more."}
}

// codes maps the codes of the features to those of the control socket.
var codes = map[protocol.Code]protocol.ControlCode{
	protocol.CodeFailed:      protocol.ControlBadRequest,
	protocol.CodeForbidden:   protocol.ControlDenied,
	protocol.CodePassword:    protocol.ControlBadRequest,
	protocol.CodeTooOften:    protocol.ControlTooOften,
	protocol.CodeBadValue:    protocol.ControlBadRequest,
	protocol.CodeUnknown:     protocol.ControlNotFound,
	protocol.CodeConflict:    protocol.ControlConflict,
	protocol.CodePhoneExists: protocol.ControlConflict,
	protocol.CodeNoRoom:      protocol.ControlNoRoom,
}

// explain turns an error into a status and a failure, and logs what the caller
// is not told.
func (s *Server) explain(r *http.Request, err error) (int, *protocol.ControlError) {
	if e, ok := errors.AsType[*httpError](err); ok {
		return e.status, e.ControlError
	}
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		code, known := codes[e.Code]
		if !known {
			code = protocol.ControlInternal
		}
		return e.Code.HTTPStatus(), &protocol.ControlError{Code: code, Message: e.Text(protocol.LanguageEnglish)}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound, &protocol.ControlError{Code: protocol.ControlNotFound, Message: "there is nothing of that name"}
	case errors.Is(err, store.ErrConflict):
		return http.StatusConflict, &protocol.ControlError{Code: protocol.ControlConflict, Message: "this exists already"}
	}
	s.deps.Logger.Error("control request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	return http.StatusInternalServerError, internalError()
}
