package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"gtiv/daemon/video"
	"gtiv/daemon/web/api"
	"gtiv/daemon/web/tus"
	"gtiv/protocol"
)

// tusPath is where resumable uploads of videos go (tus 1.0). The metadata of an
// upload are the fields of POST /video-upload (title, tags, visibility, filename);
// with videoId it is a POST /video-reupload.
const tusPath = "/files/"

func (s *Server) mountTus(dir string) error {
	var err error
	s.tus, err = tus.New(tus.Config{Dir: dir, Path: tusPath}, tus.Deps{
		Who: func(r *http.Request) (int64, error) {
			c, err := s.callerOf(r)
			return c.Principal.User, err
		},
		Address:  s.address,
		Location: func(r *http.Request, id string) string { return s.base(r).URL() + tusPath + id },
		Begin: func(r *http.Request, _, size int64, meta map[string]string) error {
			c, err := s.callerOf(r)
			if err != nil {
				return err
			}
			return s.deps.Uploads.Begin(r.Context(), viewer(c), size, uploadOf(meta))
		},
		Room:    s.deps.Uploads.Space,
		Head:    s.deps.Uploads.CheckHead,
		HeadLen: video.HeadLen,
		Finish:  s.finishTus,
		Refuse:  s.refuseTus,
		Logger:  s.log,
	})
	if err == nil {
		s.mux.Handle(tusPath, s.tus)
	}
	return err
}

func uploadOf(meta map[string]string) video.Upload {
	return video.Upload{Title: meta["title"], Tags: meta["tags"], Visibility: meta["visibility"]}
}

// callerOf finds out who sends a request that is no call.
func (s *Server) callerOf(r *http.Request) (*api.Call, error) {
	c := &api.Call{Request: r, Language: s.table.Language(r)}
	return c, s.table.Authenticate(c, api.User)
}

// finishTus makes a complete upload a video. It goes on when the client hangs up.
func (s *Server) finishTus(r *http.Request, upload, path string, meta map[string]string) (any, error) {
	c, err := s.callerOf(r)
	if err != nil {
		return nil, err
	}
	ctx := context.WithoutCancel(r.Context())
	file, err := s.deps.Uploads.Adopt(ctx, viewer(c), meta["filename"], path)
	if err != nil {
		return nil, err
	}
	defer file.Drop()
	if id := meta["videoId"]; id != "" {
		n, _ := strconv.ParseInt(id, 10, 64) // 0 is nobody's video
		v, err := s.deps.Uploads.Replace(ctx, viewer(c), file, n)
		if err != nil {
			return nil, s.mediaError(err)
		}
		return said(c, s.replaced(c, &v)), nil
	}
	u := uploadOf(meta)
	u.UploadID = upload
	v, err := s.deps.Uploads.Submit(ctx, viewer(c), file, u)
	if err != nil {
		return nil, s.mediaError(err)
	}
	return said(c, s.uploadReply(c, &v)), nil
}

// said gives a reply the head that calls get from the table.
func said(c *api.Call, rep *protocol.VideoUploadReply) *protocol.VideoUploadReply {
	rep.ApiMessage = protocol.Text(c.Language, "ok")
	return rep
}

// refuseTus turns an error into the status, the head and the wait of an answer.
func (s *Server) refuseTus(r *http.Request, err error) (int, any, time.Duration) {
	c, _ := s.callerOf(r) // who is not known reads the language that was asked for
	e, ok := errors.AsType[*protocol.Error](err)
	status := 0
	if t, is := errors.AsType[*tus.Error](err); is {
		e, ok, status = tusError(t), true, t.Status
	}
	if !ok {
		if r.Context().Err() == nil {
			s.log.Error("upload failed", "path", r.URL.Path, "err", err)
		}
		e, status = protocol.Errorf(protocol.CodeFailed, "internal"), http.StatusInternalServerError
	}
	if status == 0 {
		status = e.HTTPStatus()
	}
	head := protocol.Head{ApiCode: e.Code, ApiMessage: e.Text(c.Language), RetryAfter: int((e.RetryAfter + time.Second - 1) / time.Second)}
	return status, head, e.RetryAfter
}

// tusError says what a refusal by tus means to a person.
func tusError(t *tus.Error) *protocol.Error {
	e := &protocol.Error{Code: protocol.CodeBadValue, RetryAfter: t.RetryAfter}
	switch t.Code {
	case tus.ErrBusy:
		e.Code, e.Key = protocol.CodeNoRoom, "busy"
	case tus.ErrTooMany:
		e.Code, e.Key = protocol.CodeTooOften, "tusTooMany"
	case tus.ErrMetadata:
		e.Key = "tusMetadata"
	case tus.ErrNotFound:
		e.Code, e.Key = protocol.CodeUnknown, "tusNotFound"
	case "ERR_MISMATCHED_OFFSET":
		e.Code, e.Key = protocol.CodeConflict, "tusOffset"
	case "ERR_UPLOAD_LOCKED", "ERR_LOCK_TIMEOUT", "ERR_UPLOAD_INTERRUPTED":
		e.Code, e.Key = protocol.CodeConflict, "tusLocked"
	case "ERR_UPLOAD_SIZE_EXCEEDED", "ERR_MAX_SIZE_EXCEEDED":
		e.Key = "tusSize"
	case "ERR_READ_TIMEOUT":
		e.Code, e.Key, t.Status = protocol.CodeFailed, "tooSlow", http.StatusRequestTimeout
	case "ERR_UNEXPECTED_EOF", "ERR_CONNECTION_RESET":
		e.Key, t.Status = "tusCutShort", http.StatusBadRequest
	default: // of interest to programmers only
		e.Key, e.Args = "tusRequest", []string{t.Code}
	}
	return e
}
