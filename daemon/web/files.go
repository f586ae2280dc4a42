package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"gtiv/daemon/upload"
	"gtiv/daemon/video/sample"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
)

// ClipPath is where the files of videos are served, and those that client apps
// uploaded.
const ClipPath = "/o/"

// The names in a video's folder that are part of the contract (wire.md 12).
const (
	playlistName = sample.Playlist
	coverName    = sample.Cover
)

// clipTypes is the allow-list of what lies in a video's directory (wire.md 12).
var clipTypes = map[string]string{
	".m3u8": "application/vnd.apple.mpegurl",
	".ts":   "video/mp2t",
	".jpg":  "image/jpeg",
}

// clipFile is one file with the headers it is served with.
type clipFile struct {
	data      []byte
	etag, typ string
}

// clipFiles reads all files once: they are part of the program and small.
func clipFiles(clips map[string]fs.FS) (map[string]clipFile, error) {
	files := map[string]clipFile{}
	for key, dir := range clips {
		entries, err := fs.ReadDir(dir, ".")
		if err != nil {
			return nil, fmt.Errorf("read clip %s: %w", key, err)
		}
		for _, e := range entries {
			typ, ok := clipTypes[path.Ext(e.Name())]
			if !ok {
				continue
			}
			data, err := fs.ReadFile(dir, e.Name())
			if err != nil {
				return nil, fmt.Errorf("read clip %s: %w", key, err)
			}
			sum := sha256.Sum256(data)
			files[key+"/"+e.Name()] = clipFile{data, `"` + hex.EncodeToString(sum[:12]) + `"`, typ}
		}
	}
	return files, nil
}

// clipHandler serves the files with ranges and ETags. What is under a video's
// key never changes, so clients may keep it for ever.
func (s *Server) clipHandler(files map[string]clipFile) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.notFound(w, r)
			return
		}
		name := strings.TrimPrefix(r.URL.Path, ClipPath)
		if f, ok := files[name]; ok {
			h := w.Header()
			h.Set("Content-Type", f.typ)
			h.Set("Etag", f.etag)
			h.Set("Cache-Control", blob.CacheForever)
			h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
			return
		}
		s.serveMedia(w, r, name)
	})
}

// serveMedia answers a file of a video, or one that a client app uploaded. What is
// not there and what the caller may not have look the same.
func (s *Server) serveMedia(w http.ResponseWriter, r *http.Request, name string) {
	key, o, err := s.mediaKey(r, name)
	if err == nil {
		err = blob.Serve(w, r, s.deps.Blobs, key, o)
	}
	switch {
	case err == nil:
	case errors.Is(err, blob.ErrNotFound), errors.Is(err, blob.ErrKey), errors.Is(err, store.ErrNotFound):
		s.notFound(w, r)
	case r.Context().Err() != nil: // the client hung up
	case errors.Is(err, blob.ErrUnavailable):
		e := s.unavailable(err)
		w.Header().Set("Retry-After", "30")
		api.WriteError(w, e.HTTPStatus(), e.Code, e.Text(s.table.Language(r)))
	default:
		s.log.Error("file not served", "path", r.URL.Path, "err", err)
		api.WriteError(w, http.StatusInternalServerError, protocol.CodeFailed, protocol.Text(s.table.Language(r), "internal"))
	}
}

// mediaError says so when it is not us who fail but what keeps the files.
func (s *Server) mediaError(err error) error {
	if errors.Is(err, blob.ErrUnavailable) {
		return s.unavailable(err)
	}
	return err
}

func (s *Server) unavailable(err error) *protocol.Error {
	s.log.Error("the store of media files does not answer", "err", err)
	return &protocol.Error{Code: protocol.CodeNoRoom, Key: "mediaDown", Status: http.StatusServiceUnavailable, RetryAfter: 30 * time.Second, Err: err}
}

// mediaKey finds out which file is meant and whether the caller may have it.
func (s *Server) mediaKey(r *http.Request, name string) (key string, o blob.Options, err error) {
	if s.deps.Blobs == nil {
		return "", o, blob.ErrNotFound
	}
	sign, rest := "", name
	if strings.HasPrefix(name, signMark) {
		sign, rest, _ = strings.Cut(name, "/")
	}
	if folder, file, ok := cutFolder(rest); ok {
		if o.Type = clipTypes[path.Ext(file)]; o.Type == "" {
			return "", o, blob.ErrNotFound
		}
		viewer := int64(0)
		if sign != "" {
			if viewer, ok = s.deps.Signer.Verify(sign, folder); !ok {
				return "", o, blob.ErrNotFound
			}
			o.CacheControl = blob.CachePrivate
		}
		_, err := s.deps.Served(r.Context(), viewer, folder)
		return folder + "/" + file, o, err
	}
	user, file, _ := strings.Cut(rest, "/")
	id, err := strconv.ParseInt(user, 10, 64)
	if err != nil || sign != "" || id <= 0 || user != strconv.FormatInt(id, 10) {
		return "", o, blob.ErrNotFound
	}
	if s.deps.Deleted != nil {
		if gone, err := s.deps.Deleted(r.Context(), id); err != nil || gone {
			return "", o, cmp.Or(err, error(blob.ErrNotFound))
		}
	}
	if upload.Replaceable(file) {
		o.CacheControl = blob.Revalidate
	}
	return upload.Prefix(id) + file, o, nil
}
