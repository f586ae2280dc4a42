package upload

import (
	"crypto/md5" //nolint:gosec // the protocol's, against damage on the way
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"gtiv/store/blob"
)

// part is a part of an unfinished upload. All that is known of it is in the name
// of its file.
type part struct {
	number int
	md5    string
	size   int64
}

func (p part) name() string { return fmt.Sprintf("%05d-%s-%d", p.number, p.md5, p.size) }

// parsePart is the opposite of name.
func parsePart(name string) (p part, ok bool) {
	if n, err := fmt.Sscanf(strings.ReplaceAll(name, "-", " "), "%d %s %d", &p.number, &p.md5, &p.size); n != 3 || err != nil {
		return part{}, false
	}
	return p, p.name() == name
}

// readParts answers the parts by number, and their size together.
func readParts(dir string) (map[int]part, int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, err
	}
	parts, size := map[int]part{}, int64(0)
	for _, e := range entries {
		p, ok := parsePart(e.Name())
		if !ok {
			continue
		}
		parts[p.number] = p
		size += p.size
	}
	return parts, size, nil
}

// completeRequest is the body of the end of a resumable upload; what else SDKs
// send (fname, mimeType, metadata, customVars) has no meaning here.
type completeRequest struct {
	Parts []struct {
		ETag       string `json:"etag"`
		PartNumber int    `json:"partNumber"`
	} `json:"parts"`
}

// handleComplete serves POST /buckets/<bucket>/objects/<key>/uploads/<id>.
func (s *Server) handleComplete(w http.ResponseWriter, r *http.Request) (any, error) {
	c, err := s.call(r)
	if err != nil {
		return nil, err
	}
	leave, err := s.enter(r, c.user)
	if err != nil {
		return nil, err
	}
	defer leave()
	var req completeRequest
	b, err := io.ReadAll(s.body(w, r, maxComplete))
	if err != nil {
		return nil, bodyError(err)
	}
	if err := json.Unmarshal(b, &req); err != nil {
		return nil, badRequest("invalid list of parts: %v", err)
	}
	dir, unlock, err := s.resume(r, c)
	if err != nil {
		return nil, err
	}
	defer unlock()
	v, err := s.complete(r, c, dir, req)
	if err == nil || hopeless(err) {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return v, err
}

// hopeless says whether the same parts would be refused again.
func hopeless(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.status != http.StatusBadRequest
}

func (s *Server) complete(r *http.Request, c call, dir string, req completeRequest) (any, error) {
	parts, err := chosen(dir, req)
	if err != nil {
		return nil, err
	}
	in, hash, err := s.assemble(dir, parts)
	if err != nil {
		return nil, err
	}
	return s.keep(r.Context(), c.policy, c.user, c.key, in, hash)
}

// chosen are the parts that the client names, in their order.
func chosen(dir string, req completeRequest) ([]part, error) {
	have, _, err := readParts(dir)
	if err != nil {
		return nil, err
	}
	if len(req.Parts) == 0 {
		return nil, badRequest("no parts")
	}
	var parts []part
	for _, want := range req.Parts {
		p, ok := have[want.PartNumber]
		if !ok || p.md5 != want.ETag {
			return nil, badRequest("part %d is not here", want.PartNumber)
		}
		if len(parts) > 0 && p.number <= parts[len(parts)-1].number {
			return nil, badRequest("parts are not in order")
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// assemble makes one file of the parts.
func (s *Server) assemble(dir string, parts []part) (*blob.Incoming, string, error) {
	in, err := s.deps.Staging.Unhashed(s.cfg.MaxSize)
	if err != nil {
		return nil, "", err
	}
	etag := NewETag()
	for _, p := range parts {
		if err := appendPart(io.MultiWriter(in, etag), filepath.Join(dir, p.name()), p.md5); err != nil {
			return nil, "", errors.Join(err, in.Close())
		}
	}
	return in, etag.String(), nil
}

// appendPart copies a part. They are not synced, so that after a loss of power one
// may be damaged: then the SDK starts anew.
func appendPart(to io.Writer, path, want string) error {
	f, err := os.Open(path) //nolint:gosec // a name of ours
	if err != nil {
		return err
	}
	defer f.Close()  //nolint:errcheck // only read
	sum := md5.New() //nolint:gosec // see above
	if _, err := io.Copy(io.MultiWriter(to, sum), f); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != want {
		return errNoUpload
	}
	return nil
}
