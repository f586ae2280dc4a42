package web_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/web"
	"gtiv/protocol"
)

// tusClient speaks tus 1.0 to a server.
type tusClient struct {
	t     *testing.T
	url   string
	token string
}

func (c *tusClient) do(method, url, body string, header ...string) (*http.Response, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Authorization", c.token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rep, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer rep.Body.Close()
	b, err := io.ReadAll(rep.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return rep, string(b)
}

func meta(pairs ...string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.Join(list, ",")
}

func (c *tusClient) create(size int, pairs ...string) (*http.Response, string) {
	c.t.Helper()
	return c.do("POST", c.url+"/files/", "", "Upload-Length", strconv.Itoa(size), "Upload-Metadata", meta(pairs...))
}

func (c *tusClient) patch(url string, offset int, body string) (*http.Response, string) {
	c.t.Helper()
	return c.do("PATCH", url, body, "Content-Type", "application/offset+octet-stream", "Upload-Offset", strconv.Itoa(offset))
}

func newTus(t *testing.T) (*site, *tusClient, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tus")
	s := newSite(t, func(c *web.Config, _ *web.Deps) { c.TusDir = dir })
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, &tusClient{t, srv.URL, "good"}, dir
}

func TestAVideoIsUploadedInParts(t *testing.T) {
	s, c, _ := newTus(t)
	rep, body := c.create(10, "title", "x #y", "filename", "a.mp4", "visibility", "private")
	at := rep.Header.Get("Location")
	if rep.StatusCode != 201 || !strings.HasPrefix(at, c.url+"/files/10001-") {
		t.Fatalf("%d %v %s", rep.StatusCode, rep.Header, body)
	}
	if rep, body = c.patch(at, 0, "01234"); rep.StatusCode != 204 || rep.Header.Get("Upload-Offset") != "5" {
		t.Fatalf("%d %v %s", rep.StatusCode, rep.Header, body)
	}
	if rep, _ = c.patch(at, 3, "34567"); rep.StatusCode != 409 {
		t.Errorf("at a wrong place: %d", rep.StatusCode)
	}
	if rep, _ = c.do("HEAD", at, ""); rep.StatusCode != 200 || rep.Header.Get("Upload-Offset") != "5" {
		t.Errorf("%d %v", rep.StatusCode, rep.Header)
	}
	if rep, body = c.patch(at, 5, "56789"); rep.StatusCode != 200 || !strings.Contains(body, `"VideoId":7`) || rep.Header.Get("Upload-Offset") != "10" {
		t.Fatalf("%d %v %s", rep.StatusCode, rep.Header, body)
	}
	want := []string{"Begin 10001 10 x #y", "Adopt a.mp4 0123456789", "Submit x #y  private"}
	if !slices.Equal(s.fakes.calls, want) {
		t.Errorf("calls %q", s.fakes.calls)
	}
	// Who missed the answer learns that it is complete, and it is not taken twice.
	if rep, _ = c.do("HEAD", at, ""); rep.StatusCode != 200 || rep.Header.Get("Upload-Offset") != "10" || len(s.fakes.calls) != 3 {
		t.Errorf("%d %v, calls %q", rep.StatusCode, rep.Header, s.fakes.calls)
	}
	if rep, _ = c.do("DELETE", at, ""); rep.StatusCode != 204 {
		t.Errorf("%d", rep.StatusCode)
	}
	if rep, _ = c.do("HEAD", at, ""); rep.StatusCode != 404 {
		t.Errorf("deleted: %d", rep.StatusCode)
	}
}

func TestAnUploadInterruptedAtItsEndIsFinishedByTheNextLook(t *testing.T) {
	s, c, dir := newTus(t)
	rep, _ := c.create(10)
	at := rep.Header.Get("Location")
	c.patch(at, 0, "01234")
	name := filepath.Join(dir, at[strings.LastIndex(at, "/")+1:])
	if err := os.WriteFile(name, []byte("0123456789"), 0o600); err != nil { // as after kill -9
		t.Fatal(err)
	}
	if rep, _ = c.do("HEAD", at, ""); rep.Header.Get("Upload-Offset") != "10" || !slices.Contains(s.fakes.calls, "Adopt  0123456789") {
		t.Errorf("%d %v, calls %q", rep.StatusCode, rep.Header, s.fakes.calls)
	}
}

func TestUploadsInPartsAreBoundedAndTheirOwners(t *testing.T) {
	s, c, _ := newTus(t)
	guest := &tusClient{t, c.url, ""}
	if rep, body := guest.create(10); rep.StatusCode != 401 || !strings.Contains(body, "ApiCode") {
		t.Errorf("a guest: %d %s", rep.StatusCode, body)
	}
	rep, _ := c.create(10)
	at := rep.Header.Get("Location")
	for _, other := range []string{"/files/10002-abc", "/files/10001-..", "/files/10001-%2e%2e%2fx", "/files/10001", "/files/x", "/files/10001-abc/x"} {
		if rep, _ := c.do("HEAD", c.url+other, ""); rep.StatusCode != 404 {
			t.Errorf("%s: %d", other, rep.StatusCode)
		}
	}
	if rep, _ := guest.patch(at, 0, "01234"); rep.StatusCode != 401 {
		t.Errorf("a guest: %d", rep.StatusCode)
	}
	if rep, body := c.patch(at, 0, "bad 456789"); rep.StatusCode != 400 || !strings.Contains(body, "1400") {
		t.Errorf("no video: %d %s", rep.StatusCode, body)
	}
	if rep, _ := c.do("HEAD", at, ""); rep.StatusCode != 404 {
		t.Errorf("what was refused is still there: %d", rep.StatusCode)
	}
	rep, _ = c.create(10)
	if rep, _ := c.patch(rep.Header.Get("Location"), 0, "0123456789 and more"); rep.StatusCode/100 == 2 && rep.Header.Get("Upload-Offset") != "10" {
		t.Errorf("more than announced: %d %v", rep.StatusCode, rep.Header)
	}
	if rep, _ := c.create(10, "title", strings.Repeat("x", 5000)); rep.StatusCode != 400 {
		t.Errorf("long metadata: %d", rep.StatusCode)
	}
	if rep, _ := c.do("POST", c.url+"/files/", "", "Upload-Defer-Length", "1"); rep.StatusCode/100 == 2 {
		t.Errorf("without a length: %d", rep.StatusCode)
	}
	if rep, _ := c.do("GET", at, ""); rep.StatusCode/100 == 2 {
		t.Errorf("downloaded: %d", rep.StatusCode)
	}
	last := 0
	for range 10 {
		rep, _ := c.create(10)
		last = rep.StatusCode
	}
	if last != 429 {
		t.Errorf("the tenth unfinished upload: %d", last)
	}
	rep, _ = c.do("OPTIONS", c.url+"/files/", "", "Origin", "https://x.example", "Access-Control-Request-Method", "PATCH")
	h := rep.Header
	if rep.StatusCode/100 != 2 || !strings.Contains(h.Get("Tus-Extension"), "creation") || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "PATCH") ||
		!strings.Contains(h.Get("Access-Control-Expose-Headers"), "Upload-Offset") {
		t.Errorf("%d %v", rep.StatusCode, h)
	}
	s.fakes.err = nil
}

func TestRefusalsOfTusAreToldLikeAllOthers(t *testing.T) {
	s, c, _ := newTus(t)
	rep, _ := c.create(10)
	at := rep.Header.Get("Location")
	c.patch(at, 0, "01234")
	const kind, stream = "Content-Type", "application/offset+octet-stream"
	for name, r := range map[string]struct {
		method, url, body string
		header            []string
		status            int
		code, text        string
	}{
		"deferred length": {"POST", c.url + "/files/", "", []string{"Upload-Defer-Length", "1"}, 501, `"ApiCode":1400`, "ERR_NOT_IMPLEMENTED"},
		"no length":       {"POST", c.url + "/files/", "", nil, 400, `"ApiCode":1400`, "ERR_INVALID_UPLOAD_LENGTH"},
		"metadata":        {"POST", c.url + "/files/", "", []string{"Upload-Length", "10", "Upload-Metadata", meta("title", strings.Repeat("x", 5000))}, 400, `"ApiCode":1400`, "元数据"},
		"too much":        {"PATCH", at, "0123456789", []string{kind, stream, "Upload-Offset", "5"}, 413, `"ApiCode":1400`, "声明"},
		"another offset":  {"PATCH", at, "01", []string{kind, stream, "Upload-Offset", "7"}, 409, `"ApiCode":1409`, "位置"},
		"somebody else's": {"PATCH", c.url + "/files/10002-abc", "01", []string{kind, stream, "Upload-Offset", "0"}, 404, `"ApiCode":1404`, "没有"},
		"none":            {"PATCH", c.url + "/files/10001-abc", "01", []string{kind, stream, "Upload-Offset", "0"}, 404, `"ApiCode":1404`, "没有"},
		"another version": {"PATCH", at, "01", []string{"Tus-Resumable", "2.0.0"}, 412, `"ApiCode":1400`, "ERR_UNSUPPORTED_VERSION"},
		"another method":  {"PUT", at, "01", nil, 405, `"ApiCode":1400`, "ERR_METHOD"},
	} {
		rep, body := c.do(r.method, r.url, r.body, append(r.header, "LanguageCode", "zh")...)
		if rep.StatusCode != r.status || rep.Header.Get("Content-Type") != "application/json; charset=utf-8" || !strings.Contains(body, r.code) || !strings.Contains(body, r.text) {
			t.Errorf("%s: %d %v %s", name, rep.StatusCode, rep.Header, body)
		}
	}
	var body string
	for range 10 {
		rep, body = c.create(10)
	}
	if rep.StatusCode != 429 || !strings.Contains(body, `"ApiCode":1300`) || !strings.Contains(body, "unfinished") {
		t.Errorf("too many: %d %s", rep.StatusCode, body)
	}
	c.do("DELETE", at, "")
	s.fakes.err = protocol.TooOften(7 * time.Second)
	if rep, body = c.create(10); rep.StatusCode != 429 || rep.Header.Get("Retry-After") != "7" || !strings.Contains(body, `"RetryAfter":7`) {
		t.Errorf("too often: %d %v %s", rep.StatusCode, rep.Header, body)
	}
}
