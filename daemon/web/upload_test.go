package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/daemon/video/sample"
	"gtiv/daemon/web"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
)

// form writes fields in their order; a value that starts with @ is a file.
func form(t *testing.T, fields ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		var part io.Writer
		var err error
		content, isFile := strings.CutPrefix(fields[i+1], "@")
		if isFile {
			part, err = w.CreateFormFile(fields[i], "../a b.mp4")
		} else {
			part, err = w.CreateFormField(fields[i])
		}
		if err == nil {
			_, err = io.WriteString(part, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

func TestAVideoIsUploaded(t *testing.T) {
	s := newSite(t)
	for _, fields := range [][]string{
		{"file", "@12345", "title", "x #y", "tags", "a", "visibility", "private", "userId", "1"},
		{"userId", "1", "title", "x #y", "tags", "a", "visibility", "private", "file", "@12345", "more", "@not looked at"},
	} {
		s.fakes.calls = nil
		body, kind := form(t, fields...)
		w := s.do("POST", "/Video-Upload", body, "Content-Type", kind)
		rep := object(t, w)
		if w.Code != 200 || rep["VideoId"] != 7.0 || rep["State"] != "queued" || rep["video"] != "http://gtiv.example:2015/o/"+sample.Key+"/index.m3u8" ||
			rep["cover"] != "http://gtiv.example:2015/o/"+sample.Key+"/cover.jpg" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if want := []string{"Receive a b.mp4 5", "Submit x #y a private"}; !slices.Equal(s.fakes.calls, want) {
			t.Errorf("calls %q", s.fakes.calls)
		}
	}
}

// Why a file was refused is told as it is: a page shows it to its user.
func TestWhyAFileWasRefusedIsTold(t *testing.T) {
	s := newSite(t)
	body, kind := form(t, "file", "@12345", "title", "x")
	s.fakes.err = protocol.Errorf(protocol.CodeBadValue, "clipNotVideo")
	w := s.do("POST", "/video-upload", body, "Content-Type", kind)
	if want := protocol.Text("en", "clipNotVideo"); w.Code != 400 || object(t, w)["ApiMessage"] != want {
		t.Errorf("%d %s, want %q", w.Code, w.Body, want)
	}
	s.fakes.err = errInternal
	if w = s.do("POST", "/video-upload", body, "Content-Type", kind); w.Code != 500 {
		t.Errorf("no fault of the caller: %d %s", w.Code, w.Body)
	}
}

func TestAFormWithoutOneFileIsRefused(t *testing.T) {
	s := newSite(t)
	whole, kind := form(t, "file", "@12345", "title", "x")
	two, kind2 := form(t, "file", "@1", "file", "@2")
	none, kind3 := form(t, "title", "x")
	long, kind4 := form(t, "file", "@1", "title", strings.Repeat("x", 70_000))
	var many []string
	for range 80 {
		many = append(many, "title", "x")
	}
	parts, kind5 := form(t, many...)
	huge, kind6 := form(t, "file", "@"+strings.Repeat("x", 2<<20))
	for name, c := range map[string]struct {
		body, kind string
		status     int
	}{
		"no form":         {"{}", "application/json", 400},
		"no type":         {whole, "", 400},
		"no boundary":     {whole, "multipart/form-data", 400},
		"cut short":       {whole[:len(whole)-8], kind, 400},
		"cut in the file": {whole[:strings.Index(whole, "12345")+2], kind, 400},
		"two files":       {two, kind2, 400},
		"no file":         {none, kind3, 400},
		"long field":      {long, kind4, 413},
		"many fields":     {parts, kind5, 413},
		"too big":         {huge, kind6, 413},
		"garbage":         {"\x00\xff", kind, 400},
	} {
		s.fakes.calls = nil
		w := s.do("POST", "/video-upload", c.body, "Content-Type", c.kind)
		if w.Code != c.status || object(t, w)["ApiCode"] == 0.0 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		for _, call := range s.fakes.calls {
			if strings.HasPrefix(call, "Submit") {
				t.Errorf("%s: submitted", name)
			}
		}
	}
	if w := s.do("POST", "/video-upload", whole, "Content-Type", kind, "Authorization", ""); w.Code != 401 {
		t.Errorf("a guest: %d %s", w.Code, w.Body)
	}
}

func TestAnUploadMayTakeLongButNotPause(t *testing.T) {
	s := newSite(t)
	srv := httptest.NewServer(s)
	defer srv.Close()
	body, kind := form(t, "file", "@12345", "title", "x")
	pr, pw := io.Pipe()
	go func() {
		for i := range len(body) {
			if i%40 == 0 {
				time.Sleep(20 * time.Millisecond)
			}
			if _, err := io.WriteString(pw, body[i:i+1]); err != nil {
				return
			}
		}
		pw.Close()
	}()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/video-upload", pr)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Authorization", "good")
	rep, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer rep.Body.Close()
	if rep.StatusCode != 200 {
		b, _ := io.ReadAll(rep.Body)
		t.Errorf("%d %s", rep.StatusCode, b)
	}
}

func TestAVideoIsUploadedAgain(t *testing.T) {
	s := newSite(t)
	for field, want := range map[string]string{"VideoId=9": "Replace 9", "obsDir=" + sample.Key: "Replace 8",
		"VideoId=x": "", "obsDir=http://x/o/" + sample.Key + "/index.m3u8": "Replace 8", "obsDir=../../etc": ""} {
		name, value, _ := strings.Cut(field, "=")
		body, kind := form(t, name, value, "file", "@1")
		s.fakes.calls = nil
		w := s.do("POST", "/video-reupload", body, "Content-Type", kind)
		if got := slices.Contains(s.fakes.calls, want); got != (want != "") || (w.Code == 200) != (want != "") {
			t.Errorf("%s: %d %s, calls %q", field, w.Code, w.Body, s.fakes.calls)
		}
	}
}

func TestStatesAreToldInTheCallersLanguage(t *testing.T) {
	s := newSite(t, func(_ *web.Config, d *web.Deps) { d.Signer = &web.Signer{Key: []byte("k")} })
	rep := object(t, s.do("GET", "/video/status?videoId=3", "", "LanguageCode", "zh"))
	if rep["State"] != "failed" || rep["Percent"] != 3.0 || rep["Reason"] != "视频太长。" {
		t.Errorf("%v", rep)
	}
	list := object(t, s.do("GET", "/video/mine", ""))["List"].([]any)
	if len(list) != 3 {
		t.Fatalf("%v", list)
	}
	uri := func(i int) string { return list[i].(map[string]any)["Uri"].(string) }
	if uri(0) != sample.Key+"/index.m3u8" || uri(1) != "" || !strings.HasPrefix(uri(2), "s.") || list[2].(map[string]any)["Reason"] != "rude" {
		t.Errorf("%v", list)
	}
}

func TestSignaturesAreForOneViewerOneVideoAndSomeHours(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	signer := &web.Signer{Key: []byte("secret"), Now: func() time.Time { return now }}
	part, key, _ := strings.Cut(signer.Sign(sample.Key, 10001), "/")
	if key != sample.Key {
		t.Fatalf("key %s", key)
	}
	if viewer, ok := signer.Verify(part, key); !ok || viewer != 10001 {
		t.Errorf("%d %v", viewer, ok)
	}
	if again, _, _ := strings.Cut(signer.Sign(sample.Key, 10001), "/"); again != part {
		t.Error("two signatures within a minute differ: nothing is cached")
	}
	other := strings.Replace(key, "2", "3", 1)
	if _, ok := signer.Verify(part, other); ok {
		t.Error("it is good for another video")
	}
	f := strings.Split(part, ".")
	for _, p := range []string{"", "s.", "s...", part + "A", part[:len(part)-1], strings.Join([]string{f[0], "1", f[2], f[3]}, "."),
		strings.Join([]string{f[0], f[1], "zzzzzzz", f[3]}, "."), strings.TrimPrefix(part, "s."), "x." + part} {
		if _, ok := signer.Verify(p, key); ok {
			t.Errorf("%q is good", p)
		}
	}
	if _, ok := (&web.Signer{Key: []byte("other"), Now: signer.Now}).Verify(part, key); ok {
		t.Error("signed by somebody else")
	}
	now = now.Add(5 * time.Hour)
	if _, ok := signer.Verify(part, key); !ok {
		t.Error("gone after five hours")
	}
	now = now.Add(8 * time.Hour)
	if _, ok := signer.Verify(part, key); ok {
		t.Error("good after thirteen hours")
	}
}

// mediaSite has files in a store, and a public and a private video.
func mediaSite(t *testing.T) (*site, *web.Signer) {
	t.Helper()
	files, err := blob.Open(blob.Config{Dir: filepath.Join(t.TempDir(), "media"), MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{publicKey + "/index0.ts", publicKey + "/evil.html", privateKey + "/cover.jpg", "u/10001/2026-01-01/a.jpg",
		"u/10001/0123456789abcdef0123456789abcdef", "src/ab/abcdef"} {
		in, err := files.Incoming(100)
		if err == nil {
			_, err = io.WriteString(in, "\xff\xd8\xff\xe0 0123456789 "+key[:4])
		}
		if err == nil {
			_, err = files.Put(t.Context(), key, in)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	signer := &web.Signer{Key: []byte("secret")}
	s := newSite(t, func(_ *web.Config, d *web.Deps) {
		d.Signer, d.Blobs = signer, files
		d.Served = func(_ context.Context, viewer int64, key string) (store.Video, error) {
			if key == publicKey || key == privateKey && viewer == 10001 {
				return store.Video{Key: key}, nil
			}
			return store.Video{}, store.ErrNotFound
		}
	})
	return s, signer
}

const (
	publicKey  = "2026/00112233445566778899aabbccddeeff00112233"
	privateKey = "2026/ffffffffffffffffffffaabbccddeeff00112233"
)

func TestMediaIsServedToWhoMayHaveIt(t *testing.T) {
	s, signer := mediaSite(t)
	for path, want := range map[string]struct {
		status      int
		cache, kind string
	}{
		publicKey + "/index0.ts":                       {200, blob.CacheForever, "video/mp2t"},
		signer.Sign(privateKey, 10001) + "/cover.jpg":  {200, blob.CachePrivate, "image/jpeg"},
		signer.Sign(publicKey, 10002) + "/index0.ts":   {200, blob.CachePrivate, "video/mp2t"},
		"10001/2026-01-01/a.jpg":                       {200, blob.CacheForever, "image/jpeg"},
		"10001/0123456789abcdef0123456789abcdef":       {200, blob.Revalidate, "image/jpeg"},
		privateKey + "/cover.jpg":                      {404, "no-store", ""},
		signer.Sign(privateKey, 10002) + "/cover.jpg":  {404, "no-store", ""},
		publicKey + "/evil.html":                       {404, "no-store", ""},
		publicKey + "/none.ts":                         {404, "no-store", ""},
		publicKey:                                      {404, "no-store", ""},
		publicKey + "/":                                {404, "no-store", ""},
		"s.a.b.c/" + privateKey + "/cover.jpg":         {404, "no-store", ""},
		"src/ab/abcdef":                                {404, "no-store", ""},
		"10001/":                                       {404, "no-store", ""},
		"10001/2026-01-01":                             {404, "no-store", ""},
		"010001/2026-01-01/a.jpg":                      {404, "no-store", ""},
		"-1/2026-01-01/a.jpg":                          {404, "no-store", ""},
		"u/10001/2026-01-01/a.jpg":                     {404, "no-store", ""},
		"10001/..%2f..%2f" + privateKey + "/cover.jpg": {404, "no-store", ""},
		"10001/%2e%2e/10001/2026-01-01/a.jpg":          {404, "no-store", ""},
		strings.Repeat("x", 5000):                      {404, "no-store", ""},
		"s." + strings.Repeat("a/", 500) + "cover.jpg": {404, "no-store", ""},
	} {
		w := s.do("GET", "/o/"+path, "", "Authorization", "")
		h := w.Header()
		if w.Code != want.status || h.Get("Cache-Control") != want.cache || want.kind != "" && h.Get("Content-Type") != want.kind {
			t.Errorf("%.80s: %d %v %q", path, w.Code, h, w.Body)
		}
	}
	w := s.do("GET", "/o/"+publicKey+"/index0.ts", "", "Range", "bytes=5-8")
	if w.Code != 206 || w.Body.String() != "0123" || w.Header().Get("Etag") == "" {
		t.Errorf("range: %d %v %q", w.Code, w.Header(), w.Body)
	}
	if w := s.do("GET", "/o/"+publicKey+"/index0.ts", "", "If-None-Match", w.Header().Get("Etag")); w.Code != 304 {
		t.Errorf("unchanged: %d", w.Code)
	}
	if w := s.do("POST", "/o/"+publicKey+"/index0.ts", ""); w.Code != 404 {
		t.Errorf("post: %d", w.Code)
	}
}

func TestSlowUploadersDoNotTakeThePlacesOfOthers(t *testing.T) {
	s := newSite(t)
	var inside atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside.Add(1)
		defer inside.Add(-1)
		s.ServeHTTP(w, r)
	}))
	defer srv.Close()
	body, kind := form(t, "title", "x", "file", "@12345")
	begin := func() *io.PipeWriter {
		pr, pw := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/video-upload", pr)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Authorization", "good")
		go func() {
			if rep, err := srv.Client().Do(r); err == nil {
				rep.Body.Close()
			}
		}()
		if _, err := io.WriteString(pw, body[:len(body)/2]); err != nil {
			t.Fatal(err)
		}
		return pw
	}
	for range 4 {
		defer begin().Close()
	}
	for inside.Load() < 4 {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond) // they have their places then
	var w *httptest.ResponseRecorder
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if w = s.do("POST", "/video-upload", body, "Content-Type", kind); w.Code == 503 {
			break
		}
	}
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("a fifth upload at a time: %d %s", w.Code, w.Body)
	}
}

func TestNothingOfADeletedAccountIsServed(t *testing.T) {
	files, err := blob.Open(blob.Config{Dir: t.TempDir(), MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	in, err := files.Incoming(10)
	if err == nil {
		_, err = files.Put(t.Context(), "u/10001/a.jpg", in)
	}
	if err != nil {
		t.Fatal(err)
	}
	deleted := false
	s := newSite(t, func(_ *web.Config, d *web.Deps) {
		d.Blobs = files
		d.Deleted = func(_ context.Context, user int64) (bool, error) { return deleted && user == 10001, nil }
	})
	if w := s.do("GET", "/o/10001/a.jpg", ""); w.Code != 200 {
		t.Errorf("before: %d", w.Code)
	}
	deleted = true
	if w := s.do("GET", "/o/10001/a.jpg", ""); w.Code != 404 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

func TestAStoreThatDoesNotAnswerIsSaid(t *testing.T) {
	s := newSite(t, func(_ *web.Config, d *web.Deps) {
		d.Blobs = deadBucket{}
	})
	s.fakes.err = fmt.Errorf("stat x: %w", blob.ErrUnavailable)
	body, kind := form(t, "title", "x", "file", "@12345")
	for name, w := range map[string]*httptest.ResponseRecorder{
		"file": s.do("GET", "/o/10001/a.jpg", "", "LanguageCode", "zh"), "upload": s.do("POST", "/video-upload", body, "Content-Type", kind, "LanguageCode", "zh"),
	} {
		if w.Code != 503 || w.Header().Get("Retry-After") != "30" || !strings.Contains(w.Body.String(), `"ApiCode":1500`) || !strings.Contains(w.Body.String(), "无法存取文件") {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
	}
}

// deadBucket does not answer.
type deadBucket struct{ blob.Bucket }

func (deadBucket) Open(context.Context, string) (*blob.Object, error) {
	return nil, fmt.Errorf("open: %w", blob.ErrUnavailable)
}

func TestLikingAndCollectingIsDoingOrUndoing(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/video/support", "/video/collect"} {
		for action, code := range map[string]string{"0": `"ApiCode":0`, "1": `"ApiCode":0`, "2": `"ApiCode":1400`, "-1": `"ApiCode":1400`} {
			if w := s.do("POST", path, "videoId=1&action="+action, "Content-Type", "application/x-www-form-urlencoded"); !strings.Contains(w.Body.String(), code) {
				t.Errorf("%s %s: %d %s", path, action, w.Code, w.Body)
			}
		}
	}
}
