package upload_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/daemon/upload"
	"gtiv/store/blob"
)

const user = 10001

// site is a server with its store. Each test has its own.
type site struct {
	t     *testing.T
	cfg   upload.Config
	deps  upload.Deps
	store *blob.Store
	srv   *upload.Server
	url   string
	ahead atomic.Int64 // how far the clock is ahead, in ns
	token string
}

func newSite(t *testing.T, change func(*upload.Config, *upload.Deps)) *site {
	t.Helper()
	dir := t.TempDir()
	store, err := blob.Open(blob.Config{Dir: filepath.Join(dir, "media"), MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, store: store}
	s.cfg = upload.Config{Dir: filepath.Join(dir, "uploads"), Bucket: "media"}
	s.deps = upload.Deps{
		Blobs: store, Staging: store.Staging, Token: upload.Token{AccessKey: "gtiv", Secret: []byte("secret-of-sixteen-bytes")},
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now:    func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
	}
	if change != nil {
		change(&s.cfg, &s.deps)
	}
	s.token = s.deps.Token.Sign(upload.NewPolicy("media", user, time.Now().Add(2*time.Hour)))
	s.start()
	return s
}

// start starts the server, or another one on the same folders.
func (s *site) start() {
	s.t.Helper()
	srv, err := upload.New(s.cfg, s.deps)
	if err != nil {
		s.t.Fatal(err)
	}
	h := httptest.NewServer(srv)
	s.t.Cleanup(h.Close)
	s.srv, s.url = srv, h.URL
}

// answer is what comes back, of any call.
type answer struct {
	status             int
	Hash, Key, Error   string
	UploadID           string `json:"uploadId"`
	ExpireAt           int64  `json:"expireAt"`
	ETag               string `json:"etag"`
	MD5                string `json:"md5"`
	reqID, contentType string
}

func (s *site) do(method, path string, body io.Reader, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	a := answer{status: resp.StatusCode, reqID: resp.Header.Get("X-Reqid"), contentType: resp.Header.Get("Content-Type")}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		s.t.Fatalf("%s %s: %d, not JSON: %v", method, path, resp.StatusCode, err)
	}
	return a
}

// form sends a form of fields, in this order; the field "file" is the file.
func (s *site) form(fields ...[2]string) answer {
	s.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, f := range fields {
		field := m.CreateFormField
		if f[0] == "file" {
			field = func(name string) (io.Writer, error) { return m.CreateFormFile(name, "name") }
		}
		w, err := field(f[0])
		if err == nil {
			_, err = io.WriteString(w, f[1])
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		s.t.Fatal(err)
	}
	return s.do("POST", "/", &b, "Content-Type: "+m.FormDataContentType())
}

// put sends a file as the SDK does.
func (s *site) put(key, content string) answer {
	s.t.Helper()
	return s.form([2]string{"token", s.token}, [2]string{"key", key}, [2]string{"file", content},
		[2]string{"crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(content))), 10)})
}

func (s *site) want(a answer, status int, text string) {
	s.t.Helper()
	if a.status != status || !strings.Contains(a.Error, text) {
		s.t.Errorf("answered %d %q, want %d %q", a.status, a.Error, status, text)
	}
	if a.reqID == "" || a.contentType != "application/json" {
		s.t.Errorf("X-Reqid %q, Content-Type %q", a.reqID, a.contentType)
	}
}

// stored reads a file of the user.
func (s *site) stored(key string) string {
	s.t.Helper()
	o, err := s.store.Open(s.t.Context(), upload.Prefix(user)+key)
	if err != nil {
		s.t.Fatal(err)
	}
	defer o.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(o.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// nothingLeft fails when temporary files are left.
func (s *site) nothingLeft() {
	s.t.Helper()
	dir, err := s.store.Folder()
	if err != nil {
		s.t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err := errors.Join(err, os.Remove(dir)); err != nil {
		s.t.Fatal(err)
	}
	if len(entries) != 1 {
		s.t.Errorf("%d files are left in the staging area", len(entries)-1)
	}
}

// sound is a file that is taken and stored as it is.
func sound(n int) string {
	return "#!AMR\n" + strings.Repeat("\x0cgtiv", n/5+1)[:n]
}

func TestFormUploadIsStoredUnderTheUser(t *testing.T) {
	s := newSite(t, nil)
	a := s.put("2026-11-23/a.amr", sound(5000))
	s.want(a, 200, "")
	etag := upload.NewETag()
	etag.Write([]byte(sound(5000))) //nolint:errcheck // never fails
	if a.Key != "2026-11-23/a.amr" || a.Hash != etag.String() {
		t.Errorf("answered %+v", a)
	}
	if got := s.stored("2026-11-23/a.amr"); got != sound(5000) {
		t.Errorf("stored %d bytes", len(got))
	}
	s.nothingLeft()
}

func TestFormFieldsMayComeBehindTheFileButNotTheToken(t *testing.T) {
	s := newSite(t, nil)
	s.want(s.form([2]string{"file", sound(10)}, [2]string{"key", "k.amr"}, [2]string{"token", s.token}), 401, "before the file")
	a := s.form([2]string{"token", s.token}, [2]string{"file", sound(10)}, [2]string{"x:mine", "1"}, [2]string{"key", "k.amr"}, [2]string{"token", "x"})
	s.want(a, 200, "")
	if s.stored("k.amr") != sound(10) {
		t.Error("other content")
	}
}

func TestFormWithoutKeyIsStoredUnderItsHash(t *testing.T) {
	s := newSite(t, nil)
	a := s.form([2]string{"token", s.token}, [2]string{"file", sound(10)})
	s.want(a, 200, "")
	if a.Key != a.Hash || s.stored(a.Key) != sound(10) {
		t.Errorf("answered %+v", a)
	}
}

func TestFormRefusals(t *testing.T) {
	s := newSite(t, func(_ *upload.Config, d *upload.Deps) {
		d.May = func(_ context.Context, u int64) error {
			if u != user {
				return errors.New("this account is banned")
			}
			return nil
		}
	})
	sign := func(p upload.Policy) [2]string { return [2]string{"token", s.deps.Token.Sign(p)} }
	later := time.Now().Add(time.Hour)
	file, key, good := [2]string{"file", sound(9)}, [2]string{"key", "k.amr"}, [2]string{"token", s.token}
	stranger := [2]string{"token", upload.Token{AccessKey: "gtiv", Secret: []byte("another secret of sixteen")}.Sign(upload.NewPolicy("media", user, later))}
	for name, c := range map[string]struct {
		fields [][2]string
		status int
		text   string
	}{
		"no token":        {[][2]string{key, file}, 401, "bad token"},
		"forged token":    {[][2]string{stranger, key, file}, 401, "bad token"},
		"forged, late":    {[][2]string{file, key, stranger}, 401, "bad token"},
		"expired token":   {[][2]string{sign(upload.NewPolicy("media", user, time.Now())), key, file}, 401, "expired token"},
		"nobody's token":  {[][2]string{sign(upload.NewPolicy("media", 0, later)), key, file}, 401, "nobody"},
		"banned user":     {[][2]string{sign(upload.NewPolicy("media", 666, later)), key, file}, 401, "banned"},
		"other bucket":    {[][2]string{sign(upload.NewPolicy("x", user, later)), key, file}, 631, "bucket"},
		"other key":       {[][2]string{sign(upload.NewPolicy("media:x.amr", user, later)), key, file}, 400, "another key"},
		"no file":         {[][2]string{good, key}, 400, "no file"},
		"two files":       {[][2]string{good, key, file, file}, 400, "two files"},
		"wrong crc32":     {[][2]string{good, key, file, {"crc32", "1"}}, 406, "crc32"},
		"crc32 no number": {[][2]string{good, key, file, {"crc32", "x"}}, 400, "crc32"},
		"key with dots":   {[][2]string{good, {"key", "../x.amr"}, file}, 400, "key"},
		"long key":        {[][2]string{good, {"key", strings.Repeat("k", 201)}, file}, 400, "key"},
		"long field":      {[][2]string{good, {"x:y", strings.Repeat("k", 9000)}, file}, 400, "too long"},
		"text":            {[][2]string{good, key, {"file", "hello"}}, 403, "mimeType"},
		"html":            {[][2]string{good, key, {"file", "<html><script>"}}, 403, "mimeType"},
		"zip":             {[][2]string{good, key, {"file", "PK\x03\x04........"}}, 403, "mimeType"},
		"playlist":        {[][2]string{good, key, {"file", "#EXTM3U\nfile:///etc/passwd"}}, 403, "mimeType"},
		"empty":           {[][2]string{good, key, {"file", ""}}, 403, "mimeType"},
		"broken image":    {[][2]string{good, key, {"file", "\xff\xd8\xff\xe0...."}}, 403, "image"},
	} {
		a := s.form(c.fields...)
		if a.status != c.status || !strings.Contains(a.Error, c.text) {
			t.Errorf("%s: answered %d %q", name, a.status, a.Error)
		}
		s.nothingLeft()
	}
	s.want(s.do("POST", "/", strings.NewReader("x"), "Content-Type: text/plain"), 400, "multipart")
	s.want(s.do("POST", "/", strings.NewReader("--x\r\n\r\n"), "Content-Type: multipart/form-data; boundary=b"), 401, "")
	s.want(s.do("GET", "/", nil), 404, "unknown")
}

func TestFormFileOverTheLimitIsRefused(t *testing.T) {
	s := newSite(t, nil)
	s.want(s.put("a.amr", sound(4<<20-6)), 200, "")
	s.want(s.put("b.amr", sound(4<<20-5)), 413, "too large")
	s.nothingLeft()
}

func TestOtherContentUnderAKeyIsRefusedUnlessItIsAnAvatar(t *testing.T) {
	s := newSite(t, nil)
	var told []string
	s.deps.Stored = func(u int64, key string, i blob.Info) { told = append(told, fmt.Sprint(u, " ", key, " ", i.Size)) }
	s.start()
	s.want(s.put("a.amr", sound(10)), 200, "")
	s.want(s.put("a.amr", sound(10)), 200, "") // sent again
	s.want(s.put("a.amr", sound(11)), 614, "file exists")
	s.want(s.put("a.amr/b.amr", sound(11)), 614, "file exists")
	const avatar = "0123456789abcdef0123456789abcdef"
	s.want(s.put(avatar, sound(10)), 200, "")
	s.want(s.put(avatar, sound(11)), 200, "")
	if s.stored(avatar) != sound(11) || s.stored("a.amr") != sound(10) {
		t.Error("other content")
	}
	if want := fmt.Sprint([]string{"10001 u/10001/a.amr 16", "10001 u/10001/" + avatar + " 16", "10001 u/10001/" + avatar + " 17"}); fmt.Sprint(told) != want {
		t.Errorf("told of %v", told)
	}
	s.nothingLeft()
}

func TestTwoUsersDoNotShareKeys(t *testing.T) {
	s := newSite(t, nil)
	s.want(s.put("a.amr", sound(10)), 200, "")
	s.token = s.deps.Token.Sign(upload.NewPolicy("media", 10002, time.Now().Add(time.Hour)))
	s.want(s.put("a.amr", sound(11)), 200, "")
	if s.stored("a.amr") != sound(10) {
		t.Error("overwritten by somebody else")
	}
}

func TestQuotaAndRateArePerUser(t *testing.T) {
	s := newSite(t, func(c *upload.Config, _ *upload.Deps) { c.DayBytes, c.Burst, c.Rate = 3000, 3, 0.001 })
	s.want(s.put("a.amr", sound(1994)), 200, "")
	s.want(s.put("b.amr", sound(1994)), 573, "too many")
	s.want(s.put("c.amr", sound(94)), 200, "")
	s.want(s.put("d.amr", sound(94)), 573, "too many") // the rate now
	s.token = s.deps.Token.Sign(upload.NewPolicy("media", 10002, time.Now().Add(time.Hour)))
	s.want(s.put("a.amr", sound(1994)), 200, "")
	s.nothingLeft()
}

func TestStripCleansSoundsAndVideos(t *testing.T) {
	s := newSite(t, func(_ *upload.Config, d *upload.Deps) {
		d.Strip = func(_ context.Context, path string) error {
			b, err := os.ReadFile(path)
			if err != nil || bytes.Contains(b, []byte("broken")) {
				return errors.Join(err, upload.ErrMedia)
			}
			return os.WriteFile(path, bytes.ReplaceAll(b, []byte("place"), nil), 0o600)
		}
	})
	s.want(s.put("a.mp4", "\x00\x00\x00\x18ftypisom my place in it"), 200, "")
	if got := s.stored("a.mp4"); got != "\x00\x00\x00\x18ftypisom my  in it" {
		t.Errorf("stored %q", got)
	}
	s.want(s.put("a.mp4", "\x00\x00\x00\x18ftypisom my place in it"), 200, "") // compared after it was cleaned
	s.want(s.put("b.mp4", "\x00\x00\x00\x18ftypisom broken"), 403, "mimeType")
	s.nothingLeft()
}

func TestFullDiskIsToldAndLeavesNothing(t *testing.T) {
	s := newSite(t, func(_ *upload.Config, d *upload.Deps) {
		full, err := blob.Open(blob.Config{Dir: t.TempDir(), MinFree: 1 << 60})
		if err != nil {
			t.Fatal(err)
		}
		d.Blobs, d.Staging = full, full.Staging
	})
	s.want(s.put("a.amr", sound(10)), 599, "no space")
	s.want(s.init("a.amr"), 599, "no space")
	s.nothingLeft()
}

// objects is the path of the resumable uploads of a key.
func objects(key string) string {
	return "/buckets/media/objects/" + base64.URLEncoding.EncodeToString([]byte(key)) + "/uploads"
}

func (s *site) auth() string { return "Authorization: UpToken " + s.token }

func (s *site) init(key string) answer {
	s.t.Helper()
	return s.do("POST", objects(key), nil, s.auth())
}

func (s *site) part(key, id string, number int, content string) answer {
	s.t.Helper()
	sum := md5.Sum([]byte(content))
	return s.do("PUT", fmt.Sprint(objects(key), "/", id, "/", number), strings.NewReader(content), s.auth(),
		"Content-MD5: "+hex.EncodeToString(sum[:]), "Content-Type: application/octet-stream")
}

// complete ends an upload with the parts 1 to n that have these ETags.
func (s *site) complete(key, id string, etags ...string) answer {
	s.t.Helper()
	var parts []map[string]any
	for i, e := range etags {
		parts = append(parts, map[string]any{"etag": e, "partNumber": i + 1})
	}
	b, err := json.Marshal(map[string]any{"parts": parts, "fname": "x", "mimeType": "", "metadata": map[string]string{}, "customVars": nil})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do("POST", objects(key)+"/"+id, bytes.NewReader(b), s.auth(), "Content-Type: application/json")
}

func TestResumableUploadSurvivesARestart(t *testing.T) {
	s := newSite(t, nil)
	key, content := "2026-11-23/x.amr", sound(9<<20)
	a := s.init(key)
	s.want(a, 200, "")
	if left := time.Until(time.Unix(a.ExpireAt, 0)); left < 47*time.Hour || left > 48*time.Hour {
		t.Errorf("expires in %v", left)
	}
	var etags []string
	for i := range 3 {
		from := i * 4 << 20
		p := s.part(key, a.UploadID, i+1, content[from:min(from+4<<20, len(content))])
		s.want(p, 200, "")
		if len(p.MD5) != 32 || p.ETag == "" {
			t.Errorf("part answered %+v", p)
		}
		etags = append(etags, p.ETag)
		s.start()
	}
	done := s.complete(key, a.UploadID, etags...)
	s.want(done, 200, "")
	etag := upload.NewETag()
	etag.Write([]byte(content)) //nolint:errcheck // never fails
	if done.Hash != etag.String() || done.Key != key || s.stored(key) != content {
		t.Errorf("answered %+v", done)
	}
	s.want(s.complete(key, a.UploadID, etags...), 612, "no such uploadId")
	s.nothingLeft()
	s.noUploads()
}

func (s *site) noUploads() {
	s.t.Helper()
	if err := s.srv.SweepUploads(); err != nil {
		s.t.Error(err)
	}
	if entries, err := os.ReadDir(s.cfg.Dir); err != nil || len(entries) != 0 {
		s.t.Errorf("%d users have unfinished uploads, %v", len(entries), err)
	}
}

func TestPartSentAgainTakesThePlaceOfTheFirst(t *testing.T) {
	s := newSite(t, func(c *upload.Config, _ *upload.Deps) { c.MaxSize = 100 })
	id := s.init("x.amr").UploadID
	first := s.part("x.amr", id, 1, sound(60))
	s.want(first, 200, "")
	s.want(s.part("x.amr", id, 1, sound(60)), 200, "") // the same
	second := s.part("x.amr", id, 1, sound(70))
	s.want(second, 200, "")
	s.want(s.complete("x.amr", id, first.ETag), 400, "part 1")
	s.want(s.complete("x.amr", id, second.ETag), 200, "")
	if s.stored("x.amr") != sound(70) {
		t.Error("other content")
	}
}

func TestResumableRefusals(t *testing.T) {
	s := newSite(t, func(c *upload.Config, _ *upload.Deps) { c.MaxSize, c.MaxUploads = 1000, 3 })
	id := s.init("x.amr").UploadID
	s.want(s.do("POST", objects("x.amr"), nil), 401, "UpToken")
	s.want(s.do("POST", objects("x.amr"), nil, "Authorization: UpToken a:b:c"), 401, "bad token")
	s.want(s.do("POST", "/buckets/other/objects/~/uploads", nil, s.auth()), 631, "bucket")
	s.want(s.do("POST", "/buckets/media/objects/!/uploads", nil, s.auth()), 400, "base64")
	s.want(s.init("../x"), 400, "key")
	s.want(s.part("x.amr", id, 0, "x"), 400, "part number")
	s.want(s.part("x.amr", id, 10001, "x"), 400, "part number")
	s.want(s.part("y.amr", id, 1, "x"), 400, "another key")
	s.want(s.part("x.amr", strings.Repeat("A", 26), 1, "x"), 612, "no such uploadId")
	s.want(s.part("x.amr", "..", 1, "x"), 404, "")
	s.want(s.part("x.amr", id, 1, sound(995)), 413, "too large")
	s.want(s.do("PUT", objects("x.amr")+"/"+id+"/1", strings.NewReader("x"), s.auth(), "Content-MD5: 00"), 406, "MD5")
	p := s.part("x.amr", id, 1, sound(900))
	s.want(p, 200, "")
	s.want(s.part("x.amr", id, 2, sound(200)), 413, "too large")
	s.want(s.complete("x.amr", id), 400, "no parts")
	s.want(s.complete("x.amr", id, p.ETag, p.ETag), 400, "part 2")
	s.want(s.do("POST", objects("x.amr")+"/"+id, strings.NewReader("{"), s.auth()), 400, "list of parts")
	s.want(s.do("DELETE", objects("x.amr")+"/"+id, nil, s.auth()), 200, "")
	s.want(s.part("x.amr", id, 1, "x"), 612, "no such uploadId")
	for range 3 {
		s.want(s.init("x.amr"), 200, "")
	}
	s.want(s.init("x.amr"), 573, "unfinished")
	s.nothingLeft()
}

func TestUploadOfAnotherUserIsNotFound(t *testing.T) {
	s := newSite(t, nil)
	id := s.init("x.amr").UploadID
	s.token = s.deps.Token.Sign(upload.NewPolicy("media", 10002, time.Now().Add(time.Hour)))
	s.want(s.part("x.amr", id, 1, sound(10)), 612, "no such uploadId")
}

func TestDamagedPartStartsTheUploadAnew(t *testing.T) {
	s := newSite(t, nil)
	id := s.init("x.amr").UploadID
	p := s.part("x.amr", id, 1, sound(10))
	files, err := filepath.Glob(filepath.Join(s.cfg.Dir, "10001", id, "00001-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.WriteFile(files[0], make([]byte, 16), 0o600); err != nil {
		t.Fatal(err)
	}
	s.want(s.complete("x.amr", id, p.ETag), 612, "no such uploadId")
	s.nothingLeft()
	s.noUploads()
}

func TestRefusedContentEndsTheUpload(t *testing.T) {
	s := newSite(t, nil)
	id := s.init("x.mp4").UploadID
	p := s.part("x.mp4", id, 1, "#EXTM3U\nhttp://127.0.0.1/")
	s.want(s.complete("x.mp4", id, p.ETag), 403, "mimeType")
	s.nothingLeft()
	s.noUploads()
}

func TestUnfinishedUploadsExpire(t *testing.T) {
	s := newSite(t, nil)
	id := s.init("x.amr").UploadID
	s.ahead.Store(int64(47 * time.Hour))
	if err := s.srv.SweepUploads(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, "10001", id)); err != nil {
		t.Errorf("after 47 hours: %v", err)
	}
	s.ahead.Store(int64(49 * time.Hour))
	s.token = s.deps.Token.Sign(upload.NewPolicy("media", user, time.Now().Add(100*time.Hour)))
	s.want(s.part("x.amr", id, 1, "x"), 612, "no such uploadId")
	s.noUploads()
}

func TestChatMediaExpiresAndTheRestStays(t *testing.T) {
	s := newSite(t, nil)
	const avatar = "0123456789abcdef0123456789abcdef"
	old := time.Now().Add(-40 * 24 * time.Hour)
	keys := []string{old.Format(time.DateOnly) + "/a.amr", "2999-01-01/b.amr", time.Now().Format(time.DateOnly) + "/c.amr", avatar, "notes/d.amr"}
	for _, k := range keys {
		s.want(s.put(k, sound(10)), 200, "")
	}
	left := func() string {
		list, err := s.store.List(t.Context(), "u/", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, i := range list {
			names = append(names, strings.TrimPrefix(i.Key, "u/10001/"))
		}
		return strings.Join(names, " ")
	}
	before := left()
	if n, err := s.srv.ExpireMedia(t.Context()); err != nil || n != 0 || left() != before {
		t.Errorf("%d expired at once, %v", n, err)
	}
	for _, k := range []string{keys[0], keys[1], keys[3], keys[4]} {
		path, done, err := s.store.Local(t.Context(), upload.Prefix(user)+k)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		done()
	}
	if n, err := s.srv.ExpireMedia(t.Context()); err != nil || n != 2 {
		t.Errorf("%d expired, %v", n, err)
	}
	if want := strings.Join([]string{avatar, keys[2], "notes/d.amr"}, " "); left() != want {
		t.Errorf("left: %s, want %s", left(), want)
	}
}

func TestUploadsOfDeletedAccountsGo(t *testing.T) {
	var gone atomic.Int64
	s := newSite(t, func(_ *upload.Config, d *upload.Deps) {
		d.Deleted = func(_ context.Context, u int64) (bool, error) { return u == gone.Load(), nil }
	})
	s.want(s.put("2026-11-23/a.amr", sound(10)), 200, "")
	s.want(s.init("x.amr"), 200, "")
	s.token = s.deps.Token.Sign(upload.NewPolicy("media", 10002, time.Now().Add(time.Hour)))
	s.want(s.put("a.amr", sound(10)), 200, "")
	left := func() int {
		list, err := s.store.List(t.Context(), "u/", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if n, err := s.srv.ForgetDeleted(t.Context()); err != nil || n != 0 || left() != 2 {
		t.Errorf("nobody was deleted: %d, %v", n, err)
	}
	gone.Store(user)
	if n, err := s.srv.ForgetDeleted(t.Context()); err != nil || n != 1 || left() != 1 {
		t.Errorf("%d, %v, %d files are left", n, err, left())
	}
	s.noUploads()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.srv.Run(ctx) }()
	gone.Store(10002)
	s.srv.Gone(10002)
	for end := time.Now().Add(10 * time.Second); left() != 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	cancel()
	if err := <-done; err != nil || left() != 0 {
		t.Errorf("%v, %d files are left", err, left())
	}
}

// What hangs up in the middle leaves nothing.
func TestHangUpInTheMiddleLeavesNothing(t *testing.T) {
	s := newSite(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 2000000\r\n\r\n"+
		"--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n"+s.token+"\r\n"+
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n"+sound(1_000_000))
	if err != nil {
		t.Fatal(err)
	}
	temporary := func() []string {
		files, err := filepath.Glob(filepath.Join(filepath.Dir(s.cfg.Dir), "media", "tmp", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	wait := func(n int) {
		for end := time.Now().Add(10 * time.Second); len(temporary()) != n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("there are %q, want %d", temporary(), n)
			}
		}
	}
	wait(1)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	wait(0)
}

// slowly sends the beginning of a form and goes on with nothing.
func (s *site) slowly(fields string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 2000000\r\n\r\n"+fields+
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n#"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) temporary() int {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(s.cfg.Dir), "media", "tmp", "in-*"))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(files)
}

func TestStrangersWhoSendSlowlyTakeNoPlace(t *testing.T) {
	s := newSite(t, nil)
	for range 300 {
		s.slowly("")
	}
	s.want(s.put("a.amr", sound(10)), 200, "")
	if n := s.temporary(); n != 0 {
		t.Errorf("%d files for strangers", n)
	}
}

func TestOneWhoSendsSlowlyTakesNotAllPlaces(t *testing.T) {
	s := newSite(t, func(_ *upload.Config, d *upload.Deps) {
		d.Address = func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") }
	})
	tokenOf := func(user int64) string {
		return s.deps.Token.Sign(upload.NewPolicy("media", user, time.Now().Add(time.Hour)))
	}
	wait := func(n int) {
		for end := time.Now().Add(10 * time.Second); s.temporary() != n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d uploads are under way, want %d", s.temporary(), n)
			}
		}
	}
	for range 16 {
		s.slowly("--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + s.token + "\r\n")
	}
	wait(16)
	s.want(s.put("a.amr", sound(10)), 503, "too many uploads")
	s.token = tokenOf(10002)
	s.want(s.put("a.amr", sound(10)), 200, "")
	for user := range int64(3) {
		for range 16 {
			s.slowly("--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + tokenOf(20000+user) + "\r\n")
		}
	}
	wait(64)
	s.want(s.put("b.amr", sound(10)), 503, "too many uploads")
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.srv.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	if _, err := upload.New(upload.Config{}, upload.Deps{}); err == nil {
		t.Error("an empty configuration was taken")
	}
}

func FuzzForm(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nx\r\n--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n#!AMR\n\r\n--b--"))
	store, err := blob.Open(blob.Config{Dir: f.TempDir(), MinFree: 1})
	if err != nil {
		f.Fatal(err)
	}
	srv, err := upload.New(upload.Config{Dir: f.TempDir(), Bucket: "media", MaxForm: 64 << 10}, upload.Deps{
		Blobs: store, Staging: store.Staging, Token: upload.Token{AccessKey: "gtiv", Secret: []byte("secret-of-sixteen-bytes")}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		var a answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code == 200 || w.Code == 599 || a.Error == "" {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	})
}
