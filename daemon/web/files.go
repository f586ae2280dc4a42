package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// clipPath is where the files of videos that ship in the binary are served.
const clipPath = "/o/"

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
		f, ok := files[strings.TrimPrefix(r.URL.Path, clipPath)]
		if !ok || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
			s.notFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.typ)
		h.Set("Etag", f.etag)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
	})
}
