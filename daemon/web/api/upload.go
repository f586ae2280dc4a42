package api

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"reflect"
	"time"

	"gtiv/daemon/limit"
	"gtiv/protocol"
)

const (
	// maxUploads bounds the uploads whose bodies are being read: they last as long
	// as their senders are slow.
	maxUploads = 64
	// maxUploadsEach is how many of them one user may have, maxUploadsAddress how
	// many may come from one address.
	maxUploadsEach    = 4
	maxUploadsAddress = 16
	// uploadIdle is how long a sender may send nothing, uploadTime how long one
	// upload may take, uploadRate how many bytes a second must come.
	uploadIdle = 30 * time.Second
	uploadTime = time.Hour
	uploadRate = 8 << 10
	// maxFields bounds all text fields of a form with a file, in bytes.
	maxFields = 64 << 10
	// fileField is the name of the field with the file (wire.md 5).
	fileField = "file"
)

// Upload says what becomes of the file of a form.
type Upload[F any] struct {
	// MaxBytes bounds the whole body, when the call is made.
	MaxBytes func() int64
	// Receive reads the file to its end. name is what its sender calls it.
	Receive func(c *Call, name string, r io.Reader) (F, error)
	// Drop gives up a file that was received and then not handled.
	Drop func(F)
}

// receiver is an Upload without its type.
type receiver struct {
	maxBytes func() int64
	receive  func(c *Call, name string, r io.Reader) (any, error)
	drop     func(any)
	invoke   func(c *Call, b *binder, file any) (any, error)
}

// HandleUpload declares a call whose body is multipart/form-data with one file
// (the field "file") and text fields, in any order. The file is read as it
// arrives and never kept in memory; h is called when the whole body is there. The
// call's deadline does not count while a body arrives that does not pause.
func HandleUpload[Req, Rep, F any](method, path string, who Who, summary string, u Upload[F],
	h func(c *Call, req *Req, file F) (*Rep, error), opts ...Option,
) Route {
	r := Handle(method, path, who, summary, func(*Call, *Req) (*Rep, error) { return nil, errNoFile }, opts...)
	r.upload = &receiver{
		maxBytes: u.MaxBytes,
		receive:  func(c *Call, name string, rd io.Reader) (any, error) { return u.Receive(c, name, rd) },
		drop:     func(f any) { u.Drop(f.(F)) },
		invoke: func(c *Call, b *binder, file any) (any, error) {
			req := new(Req)
			if err := b.fill(reflect.ValueOf(req).Elem()); err != nil {
				return nil, err
			}
			rep, err := h(c, req, file.(F))
			if err != nil {
				return nil, err
			}
			if rep == nil {
				rep = new(Rep)
			}
			return rep, nil
		},
	}
	return r
}

var errNoFile = &protocol.Error{Code: protocol.CodeBadValue, Key: "noFile"}

// runUpload serves a call made by HandleUpload.
func (t *Table) runUpload(w http.ResponseWriter, c *Call, route *Route, b *binder) (any, error) {
	leave, ok := t.uploads.Enter(c.Principal.User, c.Origin.Address)
	if !ok {
		return nil, errBusy
	}
	defer leave()
	u := route.upload
	if err := queryParams(b, c.Request.URL.RawQuery); err != nil {
		return nil, err
	}
	kind, opts, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || opts["boundary"] == "" {
		return nil, errNoFile
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // set again when all is there
	body := limit.NewPatient(w, http.MaxBytesReader(w, c.Request.Body, u.maxBytes()+maxFields),
		limit.Pace{Idle: uploadIdle, Most: uploadTime, Rate: uploadRate})
	file, err := u.form(c, b, multipart.NewReader(body, opts["boundary"]))
	if err != nil {
		return nil, err
	}
	if file == nil {
		return nil, errNoFile
	}
	setDeadlines(w, route) // from here on it is a call like others
	rep, err := u.invoke(c, b, file)
	if err != nil {
		u.drop(file)
	}
	return rep, err
}

// form reads the parts of a form. What was received before an error is dropped.
func (u *receiver) form(c *Call, b *binder, form *multipart.Reader) (file any, err error) {
	defer func() {
		if err != nil && file != nil {
			u.drop(file)
			file = nil
		}
	}()
	left := int64(maxFields)
	for range maxParts {
		part, err := form.NextRawPart()
		if err == io.EOF { //nolint:errorlint // a wrapped one is a form cut short
			return file, nil
		}
		if err != nil {
			return file, bodyError(err)
		}
		switch {
		case part.FormName() == fileField && file != nil:
			return file, errNoFile // which one?
		case part.FormName() == fileField:
			from := &noting{r: part}
			if file, err = u.receive(c, part.FileName(), from); err != nil {
				if from.err != nil {
					err = bodyError(from.err)
				}
				return nil, err
			}
		case part.FileName() != "": // another file: passed over
		default:
			text, err := io.ReadAll(io.LimitReader(part, left+1))
			if err != nil {
				return file, bodyError(err)
			}
			if left -= int64(len(text)); left < 0 {
				return file, errTooLarge
			}
			b.put(part.FormName(), value{string(text), kindText})
		}
	}
	return file, errTooLarge
}

// noting remembers why reading ended, if not at the end: what else goes wrong with
// a file is not the fault of the body.
type noting struct {
	r   io.Reader
	err error
}

func (n *noting) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a wrapped one is a form cut short
		n.err = err
	}
	return k, err
}
