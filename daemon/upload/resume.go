package upload

import (
	"crypto/md5" //nolint:gosec // the protocol's, against damage on the way
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gtiv/store/blob"
)

const (
	// uploadTime is how long a resumable upload may take.
	uploadTime = 48 * time.Hour
	// maxPart is the largest number of a part, maxParts how many there may be.
	maxPart  = 10_000
	maxParts = 2048
	// maxComplete bounds the list of parts in bytes.
	maxComplete = 512 << 10
	metaName    = "meta.json"
)

// call is a request of a resumable upload.
type call struct {
	policy Policy
	user   int64
	key    string // that the client wants, "" for the hash
}

// call checks the token and the path.
func (s *Server) call(r *http.Request) (call, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "UpToken ")
	if !ok {
		return call{}, &refusal{http.StatusUnauthorized, "bad token: want Authorization: UpToken <token>"}
	}
	policy, user, err := s.authorize(r.Context(), token)
	if err != nil {
		return call{}, err
	}
	if r.PathValue("bucket") != s.cfg.Bucket {
		return call{}, errNoBucket
	}
	key, err := objectKey(r.PathValue("object"))
	if err == nil && key != "" {
		_, err = storedKey(user, key)
	}
	return call{policy, user, key}, err
}

// meta is what is remembered of an unfinished upload, beside its parts.
type meta struct {
	Key     string
	Started time.Time
}

// initReply is the answer to the start of a resumable upload.
type initReply struct {
	UploadID string `json:"uploadId"`
	ExpireAt int64  `json:"expireAt"`
}

// handleInit serves POST /buckets/<bucket>/objects/<key>/uploads.
func (s *Server) handleInit(_ http.ResponseWriter, r *http.Request) (any, error) {
	c, err := s.call(r)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.start(c.user), s.deps.Staging.Room(0)); err != nil {
		return nil, err
	}
	defer s.uploads.lock(strconv.FormatInt(c.user, 10))()
	open, err := os.ReadDir(s.userDir(c.user))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if len(open) >= s.cfg.MaxUploads {
		return nil, &refusal{statusTooOften, "too many unfinished uploads"}
	}
	id, m := rand.Text(), meta{c.key, s.deps.Now()}
	if err := s.begin(filepath.Join(s.userDir(c.user), id), m); err != nil {
		return nil, fmt.Errorf("begin upload: %w", err)
	}
	return initReply{id, m.Started.Add(uploadTime).Unix()}, nil
}

// begin makes the folder of an upload.
func (s *Server) begin(dir string, m meta) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, metaName), b, 0o600)
}

func (s *Server) userDir(user int64) string {
	return filepath.Join(s.cfg.Dir, strconv.FormatInt(user, 10))
}

// resume finds the unfinished upload of a request, and locks it.
func (s *Server) resume(r *http.Request, c call) (dir string, unlock func(), err error) {
	id := r.PathValue("id")
	if len(id) != 26 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return "", nil, errNoUpload
	}
	unlock = s.uploads.lock(id)
	dir = filepath.Join(s.userDir(c.user), id)
	m, err := readMeta(dir)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && s.deps.Now().Sub(m.Started) > uploadTime:
		err = errNoUpload
	case err == nil && m.Key != c.key:
		err = badRequest("the upload is of another key")
	}
	if err != nil {
		unlock()
		return "", nil, err
	}
	return dir, unlock, nil
}

func readMeta(dir string) (meta, error) {
	var m meta
	b, err := os.ReadFile(filepath.Join(dir, metaName)) //nolint:gosec // a name of ours
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	return m, err
}

// partReply is the answer to a part.
type partReply struct {
	ETag string `json:"etag"`
	MD5  string `json:"md5"`
}

// handlePart serves PUT /buckets/<bucket>/objects/<key>/uploads/<id>/<part>.
func (s *Server) handlePart(w http.ResponseWriter, r *http.Request) (any, error) {
	c, err := s.call(r)
	if err != nil {
		return nil, err
	}
	leave, err := s.enter(r, c.user)
	if err != nil {
		return nil, err
	}
	defer leave()
	number, err := strconv.Atoi(r.PathValue("part"))
	if err != nil || number < 1 || number > maxPart {
		return nil, badRequest("part number: want 1 to %d", maxPart)
	}
	room, err := s.partRoom(r, c)
	if err != nil {
		return nil, err
	}
	in, sum, err := s.readBody(w, r, room)
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // swept, if it does not go now
	if err := checkMD5(r.Header.Get("Content-MD5"), sum); err != nil {
		return nil, err
	}
	if err := s.charge(c.user, in.Size()); err != nil {
		return nil, err
	}
	p := part{number, hex.EncodeToString(sum), in.Size()}
	if err := s.addPart(r, c, p, in); err != nil {
		return nil, err
	}
	return partReply{p.md5, p.md5}, nil
}

// partRoom is how large the next part may be. It is asked again once the part is
// there: others may come at the same time.
func (s *Server) partRoom(r *http.Request, c call) (int64, error) {
	dir, unlock, err := s.resume(r, c)
	if err != nil {
		return 0, err
	}
	defer unlock()
	_, size, err := readParts(dir)
	if err != nil {
		return 0, err
	}
	// A part that is sent again takes the place of the first.
	return s.cfg.MaxSize - max(0, size-r.ContentLength), errors.Join(s.deps.Staging.Room(r.ContentLength), tooLong(r.ContentLength, s.cfg.MaxSize))
}

func tooLong(n, most int64) error {
	if n > most {
		return errTooBig
	}
	return nil
}

// readBody writes the body of a request into a temporary file.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, most int64) (*blob.Incoming, []byte, error) {
	in, err := s.deps.Staging.Unhashed(most)
	if err != nil {
		return nil, nil, err
	}
	sum := md5.New() //nolint:gosec // see above
	if err := receive(io.MultiWriter(in, sum), s.body(w, r, most)); err != nil {
		return nil, nil, errors.Join(err, in.Close())
	}
	return in, sum.Sum(nil), nil
}

// checkMD5 compares with the header, which SDKs send in hex and RFC 1864 in
// base64.
func checkMD5(header string, sum []byte) error {
	if header == "" || strings.EqualFold(header, hex.EncodeToString(sum)) || header == base64.StdEncoding.EncodeToString(sum) {
		return nil
	}
	return &refusal{statusCRC, "the MD5 of the part is another one"}
}

// addPart moves a part to the others.
func (s *Server) addPart(r *http.Request, c call, p part, in *blob.Incoming) error {
	dir, unlock, err := s.resume(r, c)
	if err != nil {
		return err
	}
	defer unlock()
	parts, size, err := readParts(dir)
	if err != nil {
		return err
	}
	old, replaced := parts[p.number]
	switch {
	case replaced && old == p:
		return nil // sent again
	case size-old.size+p.size > s.cfg.MaxSize:
		return errTooBig
	case len(parts) >= maxParts && !replaced:
		return badRequest("too many parts")
	}
	if replaced { // first: there are never two of one number
		if err := os.Remove(filepath.Join(dir, old.name())); err != nil {
			return err
		}
	}
	return in.MoveTo(filepath.Join(dir, p.name()))
}

// handleAbort serves DELETE /buckets/<bucket>/objects/<key>/uploads/<id>.
func (s *Server) handleAbort(_ http.ResponseWriter, r *http.Request) (any, error) {
	c, err := s.call(r)
	if err != nil {
		return nil, err
	}
	dir, unlock, err := s.resume(r, c)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return struct{}{}, os.RemoveAll(dir)
}
