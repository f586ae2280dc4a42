package upload

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"

	"gtiv/store/blob"
)

const (
	// maxField bounds a field of a form, maxFields their number.
	maxField  = 8 << 10
	maxFields = 64
	// formRoom is what a form may have beside its file.
	formRoom = 64 << 10
)

// form is a form upload that is being read. The SDKs send the token before the
// file; other fields come in any order.
type form struct {
	fields map[string]string
	policy Policy // of the token
	user   int64  // its owner, 0 as long as there was none
	leave  func() // gives the place back
	file   *blob.Incoming
	etag   *ETag
	crc    uint32
}

// handleForm serves POST /, the upload of a small file.
func (s *Server) handleForm(w http.ResponseWriter, r *http.Request) (any, error) {
	f := &form{fields: map[string]string{}}
	defer f.close()
	if err := s.readForm(w, r, f); err != nil {
		return nil, err
	}
	if f.user == 0 {
		_, _, err := s.authorize(r.Context(), f.fields["token"])
		return nil, cmp.Or(err, error(errNoFile))
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	if err := s.start(f.user); err != nil {
		return nil, err
	}
	if err := s.charge(f.user, f.file.Size()); err != nil {
		return nil, err
	}
	return s.keep(r.Context(), f.policy, f.user, f.fields["key"], f.file, f.etag.String())
}

func (f *form) close() {
	if f.file != nil {
		_ = f.file.Close() //nolint:errcheck // swept, if it does not go now
	}
	if f.leave != nil {
		f.leave()
	}
}

func (s *Server) readForm(w http.ResponseWriter, r *http.Request, f *form) error {
	r.Body = io.NopCloser(s.body(w, r, s.cfg.MaxForm+formRoom))
	mr, err := r.MultipartReader()
	if err != nil {
		return badRequest("want a multipart form: %v", err)
	}
	for range maxFields {
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return formError(err)
		}
		if err := s.readPart(r, f, part); err != nil {
			return err
		}
	}
	return badRequest("too many fields")
}

// formError tells malformed forms from those that broke off or are too long.
func formError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return bodyError(err)
	}
	return badRequest("malformed form: %v", err)
}

// readPart reads a field. A file is read only for somebody we know: strangers get
// neither a place nor room on the disk.
func (s *Server) readPart(r *http.Request, f *form, part *multipart.Part) error {
	if name := part.FormName(); name != "file" {
		return f.readField(name, part)
	}
	if f.file != nil {
		return badRequest("two files in one form")
	}
	token, ok := f.fields["token"]
	if !ok {
		return errLateToken
	}
	var err error
	if f.policy, f.user, err = s.authorize(r.Context(), token); err != nil {
		return err
	}
	if f.leave, err = s.enter(r, f.user); err != nil {
		return err
	}
	return s.readFile(f, part)
}

func (f *form) readField(name string, part io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(part, maxField+1))
	if err != nil {
		return bodyError(err)
	}
	if len(b) > maxField {
		return badRequest("field %.20q is too long", name)
	}
	f.fields[name] = string(b)
	return nil
}

func (s *Server) readFile(f *form, part io.Reader) error {
	in, err := s.deps.Staging.Unhashed(s.cfg.MaxForm)
	if err != nil {
		return err
	}
	f.file, f.etag = in, NewETag()
	crc := crc32.NewIEEE()
	if err := receive(io.MultiWriter(in, f.etag, crc), part); err != nil {
		return err
	}
	f.crc = crc.Sum32()
	return nil
}

// receive copies what a client sends, and tells its errors from ours.
func receive(to io.Writer, from io.Reader) error {
	w := &noting{w: to}
	_, err := io.Copy(w, from)
	if err != nil && w.err == nil {
		return bodyError(err)
	}
	return err
}

// noting remembers the error of a writer.
type noting struct {
	w   io.Writer
	err error
}

func (n *noting) Write(p []byte) (int, error) {
	k, err := n.w.Write(p)
	n.err = err
	return k, err
}

// check says whether the file is what was sent.
func (f *form) check() error {
	want := f.fields["crc32"]
	if want == "" {
		return nil
	}
	n, err := strconv.ParseUint(want, 10, 32)
	if err != nil {
		return badRequest("field crc32 is no number")
	}
	if uint32(n) != f.crc {
		return &refusal{statusCRC, fmt.Sprintf("crc32 is %d, not %d", f.crc, n)}
	}
	return nil
}
