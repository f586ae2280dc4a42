package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/web/api"
	"gtiv/protocol"
)

type echoRequest struct {
	ID   int64 `json:"Id" required:"true"`
	Text string
}

type echoItem struct {
	Name  string
	Inner []int
}

type echoReply struct {
	protocol.Head
	ID     int64 `json:"Id"`
	Text   string
	List   []echoItem
	Nested struct{ Deep []string }
	Opt    *echoItem `json:",omitempty"`
}

func echo(_ *api.Call, req *echoRequest) (*echoReply, error) {
	return &echoReply{ID: req.ID, Text: req.Text, List: []echoItem{{Name: "a"}}, Opt: &echoItem{}}, nil
}

// fixture is a table with one user, whose token is "good", and an administrator,
// whose token is "admin". "broken" makes the look-up itself fail.
type fixture struct {
	table *api.Table
	log   *bytes.Buffer
}

func newFixture(t testing.TB, routes ...api.Route) *fixture {
	t.Helper()
	f := &fixture{log: new(bytes.Buffer)}
	var err error
	f.table, err = api.NewTable(api.Config{
		Language: func() string { return "en" }, MaxRequests: 1,
		Authenticate: func(_ context.Context, token, _ string) (api.Principal, error) {
			switch token {
			case "good":
				return api.Principal{User: 10001, Session: 7, Role: 10, Language: "zh"}, nil
			case "admin":
				return api.Principal{User: 10002, Session: 8, Role: 20}, nil
			case "broken":
				return api.Principal{}, errors.New("database is gone")
			}
			return api.Principal{}, protocol.Errorf(protocol.CodeToken, "needLogin")
		},
		Address: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
		Log:     slog.New(slog.NewTextHandler(f.log, nil)),
	}, routes)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// do answers a request. Headers come as pairs.
func (f *fixture) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "r1")
	if !f.table.Serve(w, r) {
		w.WriteHeader(599)
	}
	return w
}

func head(t *testing.T, w *httptest.ResponseRecorder) protocol.Head {
	t.Helper()
	var h protocol.Head
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil {
		t.Fatalf("%q: %v", w.Body, err)
	}
	return h
}

func TestAReplyHasItsHeadAndNoNulls(t *testing.T) {
	f := newFixture(t, api.Handle("GET", "/echo", api.Anyone, "", echo))
	w := f.do("GET", "/Echo?id=9007199254740993&Text=<%26>", "")
	want := `{"ApiCode":0,"ApiMessage":"Successed","Id":9007199254740993,"Text":"<&>","List":[{"Name":"a","Inner":[]}],` +
		`"Nested":{"Deep":[]},"Opt":{"Name":"","Inner":[]}}`
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s\nwant %s", w.Code, w.Body, want)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/json; charset=utf-8" {
		t.Errorf("content type %q", ct)
	}
}

func TestPathsAreExactButForCase(t *testing.T) {
	f := newFixture(t, api.Handle("GET", "/a/echo", api.Anyone, "", echo, api.Alias("DELETE", "/b")))
	for target, status := range map[string]int{"/A/ECHO?Id=1": 200, "/a/echo/?Id=1": 599, "/a": 599, "/a/ech": 599} {
		if w := f.do("GET", target, ""); w.Code != status {
			t.Errorf("%s: %d, want %d", target, w.Code, status)
		}
	}
	if w := f.do("DELETE", "/b?Id=1", ""); w.Code != 200 {
		t.Errorf("alias: %d", w.Code)
	}
	w := f.do("PUT", "/A/echo", "")
	if h := head(t, w); w.Code != 405 || h.ApiCode != protocol.CodeUnknown || w.Header().Get("Allow") != "GET, OPTIONS" {
		t.Errorf("other method: %d %+v %v", w.Code, h, w.Header())
	}
}

func TestWhoMayCall(t *testing.T) {
	who := func(c *api.Call, _ *protocol.NoRequest) (*echoReply, error) {
		return &echoReply{ID: c.Principal.User}, nil
	}
	f := newFixture(
		t,
		api.Handle("GET", "/anyone", api.Anyone, "", who), api.Handle("GET", "/guest", api.Guest, "", who),
		api.Handle("GET", "/user", api.User, "", who), api.Handle("GET", "/admin", api.Admin, "", who),
		api.Handle("GET", "/full", api.User, "", who, api.Always200()),
	)
	tests := []struct {
		path, token string
		status      int
		code        protocol.Code
		user        int64
	}{
		{"/anyone", "good", 200, 0, 0},
		{"/anyone", "bad", 200, 0, 0},
		{"/guest", "", 200, 0, 0},
		{"/guest", "bad", 200, 0, 0},
		{"/guest", "broken", 200, 0, 0},
		{"/guest", "good", 200, 0, 10001},
		{"/user", "", 401, 1000, 0},
		{"/user", "bad", 401, 1000, 0},
		{"/user", "broken", 500, 1, 0},
		{"/user", "good", 200, 0, 10001},
		{"/user", "Bearer good", 200, 0, 10001},
		{"/user", strings.Repeat("x", 5000), 401, 1000, 0},
		{"/admin", "good", 403, 1100, 0},
		{"/admin", "admin", 200, 0, 10002},
		{"/full", "", 200, 1000, 0},
		{"/full", "bad", 200, 1000, 0},
		{"/full", "broken", 200, 1, 0},
	}
	for _, tt := range tests {
		w := f.do("GET", tt.path, "", "Authorization", tt.token)
		var rep echoReply
		if err := json.Unmarshal(w.Body.Bytes(), &rep); err != nil {
			t.Fatal(err)
		}
		if w.Code != tt.status || rep.ApiCode != tt.code || rep.ID != tt.user {
			t.Errorf("%s with %.20q: %d %s", tt.path, tt.token, w.Code, w.Body)
		}
	}
}

func TestFailuresAnswerTheHeadAlone(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		body   string
	}{
		{"for a person", protocol.Errorf(protocol.CodeUnknown, "noSuchUser"), 404, `{"ApiCode":1404,"ApiMessage":"There is no such user."}`},
		{"too often", protocol.TooOften(1500 * time.Millisecond), 429, `{"ApiCode":1300,"ApiMessage":"Too often. Please try again in 2 seconds.","RetryAfter":2}`},
		{"internal", errors.New("secret path /var/x"), 500, `{"ApiCode":1,"ApiMessage":"Something went wrong on the server. Please try again."}`},
	}
	for _, tt := range tests {
		f := newFixture(t, api.Handle("POST", "/x", api.Anyone, "", func(*api.Call, *protocol.NoRequest) (*echoReply, error) { return nil, tt.err }))
		w := f.do("POST", "/x", "")
		if w.Code != tt.status || w.Body.String() != tt.body {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
		if tt.status == 429 && w.Header().Get("Retry-After") != "2" {
			t.Errorf("%s: no Retry-After", tt.name)
		}
		if n := strings.Count(f.log.String(), "level=ERROR"); (n == 1) != (tt.status == 500) || n > 1 {
			t.Errorf("%s: %d errors in the log: %s", tt.name, n, f.log)
		}
		if tt.status == 500 && !strings.Contains(f.log.String(), "req=r1") {
			t.Errorf("the log does not name the request: %s", f.log)
		}
	}
}

func TestAlways200KeepsStatusAndShape(t *testing.T) {
	fails := map[string]func(*api.Call, *echoRequest) (*echoReply, error){
		"person":   func(*api.Call, *echoRequest) (*echoReply, error) { return nil, protocol.TooOften(time.Minute) },
		"internal": func(*api.Call, *echoRequest) (*echoReply, error) { return nil, errors.New("x") },
		"panic":    func(*api.Call, *echoRequest) (*echoReply, error) { panic("x") },
		"bad":      echo,
	}
	for name, h := range fails {
		f := newFixture(t, api.Handle("POST", "/x", api.Anyone, "", h, api.Always200(), api.FailCode(1),
			api.Fallback(func(_ *api.Call, rep *echoReply) { rep.Text = "fallback" })))
		target := "/x?Id=1"
		if name == "bad" {
			target = "/x?Id=z"
		}
		w := f.do("POST", target, "")
		var rep map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &rep); err != nil {
			t.Fatal(err)
		}
		if w.Code != 200 || rep["ApiCode"] != 1.0 || rep["Text"] != "fallback" || rep["List"] == nil || rep["ApiMessage"] == "" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestAFallbackThatPanicsDoesNotTakeTheAnswerWithIt(t *testing.T) {
	f := newFixture(t, api.Handle("GET", "/x", api.Anyone, "", echo, api.Always200(),
		api.Fallback(func(*api.Call, *echoReply) { panic("fallback") })))
	if w := f.do("GET", "/x", ""); w.Code != 200 || head(t, w).ApiCode != protocol.CodeBadValue {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAPanicIsAnsweredAndLoggedWithItsStack(t *testing.T) {
	f := newFixture(t, api.Handle("GET", "/x", api.Anyone, "", func(*api.Call, *protocol.NoRequest) (*echoReply, error) {
		panic("oh no")
	}))
	if w := f.do("GET", "/x", ""); w.Code != 500 || head(t, w).ApiCode != protocol.CodeFailed {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if s := f.log.String(); !strings.Contains(s, "oh no") || !strings.Contains(s, "table_test.go") {
		t.Errorf("log: %s", s)
	}
}

func TestTooManyAtOnceAreTurnedAway(t *testing.T) {
	enter, leave := make(chan struct{}), make(chan struct{})
	wait := func(*api.Call, *protocol.NoRequest) (*echoReply, error) {
		enter <- struct{}{}
		<-leave
		return nil, nil
	}
	f := newFixture(t, api.Handle("GET", "/wait", api.Anyone, "", wait),
		api.Handle("GET", "/full", api.Anyone, "", echo, api.Always200()))
	done := make(chan int)
	go func() { done <- f.do("GET", "/wait", "").Code }()
	<-enter
	if w := f.do("GET", "/wait", ""); w.Code != 503 || head(t, w).ApiCode != protocol.CodeNoRoom || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := f.do("GET", "/full?Id=1", ""); w.Code != 200 || head(t, w).ApiCode != protocol.CodeNoRoom {
		t.Errorf("always 200: %d %s", w.Code, w.Body)
	}
	close(leave)
	if code := <-done; code != 200 {
		t.Errorf("the first: %d", code)
	}
	if w := f.do("GET", "/full?Id=1", ""); head(t, w).ApiCode != protocol.CodeOK {
		t.Errorf("afterwards: %s", w.Body)
	}
}

func TestTheLanguageIsTheCallersOwn(t *testing.T) {
	f := newFixture(t, api.Handle("GET", "/x", api.User, "", func(c *api.Call, _ *protocol.NoRequest) (*echoReply, error) {
		return &echoReply{Text: c.Language + " (" + c.Origin.Language + ")"}, nil
	}))
	for _, tt := range []struct{ token, header, want string }{
		{"good", "", "zh ()"},     // what the account last used
		{"good", "en", "en (en)"}, // what it asks for now
		{"admin", "", "en ()"},    // the default, which is nobody's choice
		{"admin", "zh-CN", "zh (zh)"},
	} {
		w := f.do("GET", "/x", "", "Authorization", tt.token, "LanguageCode", tt.header)
		if !strings.Contains(w.Body.String(), `"Text":"`+tt.want+`"`) {
			t.Errorf("%+v: %s", tt, w.Body)
		}
	}
}

func TestACallHasADeadline(t *testing.T) {
	f := newFixture(t, api.Handle("GET", "/x", api.Anyone, "", func(c *api.Call, _ *protocol.NoRequest) (*echoReply, error) {
		<-c.Context().Done()
		return nil, c.Context().Err()
	}, api.Deadline(time.Millisecond)))
	if w := f.do("GET", "/x", ""); w.Code != 500 {
		t.Errorf("%d", w.Code)
	}
}

func TestABodyThatComesTooSlowlyIsGivenUp(t *testing.T) {
	f := newFixture(t, api.Handle("POST", "/x", api.Anyone, "", echo, api.Deadline(50*time.Millisecond)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.table.Serve(w, r) }))
	t.Cleanup(srv.Close)
	body, feed := io.Pipe()
	t.Cleanup(func() { _ = feed.Close() })
	go func() { _, _ = feed.Write([]byte(`{"Id":`)) }()
	req, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL+"/x", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestTooLargeABodyIs413(t *testing.T) {
	f := newFixture(t, api.Handle("POST", "/x", api.Anyone, "", echo))
	w := f.do("POST", "/x", `{"Text":"`+strings.Repeat("x", 64<<10)+`"}`)
	if w.Code != 413 || head(t, w).ApiCode != protocol.CodeBadValue {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestADownloadFailsCleanlyBeforeItsFirstByteAndHardAfterIt(t *testing.T) {
	early := func(*api.Call, *protocol.NoRequest, http.ResponseWriter) error { return errors.New("x") }
	late := func(_ *api.Call, _ *protocol.NoRequest, w http.ResponseWriter) error {
		_, _ = w.Write([]byte("PK"))
		return errors.New("x")
	}
	whole := func(_ *api.Call, _ *protocol.NoRequest, w http.ResponseWriter) error {
		_, err := w.Write([]byte("PK"))
		return err
	}
	f := newFixture(
		t, api.HandleRaw("GET", "/early", api.Anyone, "", "application/zip", early),
		api.HandleRaw("GET", "/late", api.Anyone, "", "application/zip", late),
		api.HandleRaw("GET", "/whole", api.Anyone, "", "application/zip", whole),
	)
	if w := f.do("GET", "/early", ""); w.Code != 500 || head(t, w).ApiCode != protocol.CodeFailed {
		t.Errorf("early: %d %s", w.Code, w.Body)
	}
	if w := f.do("GET", "/whole", ""); w.Code != 200 || w.Body.String() != "PK" || w.Header().Get("Content-Type") != "application/zip" {
		t.Errorf("whole: %d %s %v", w.Code, w.Body, w.Header())
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("late: recovered %v", p)
		}
	}()
	f.do("GET", "/late", "")
}

func TestWrongDeclarationsAreRefused(t *testing.T) {
	cfg := api.Config{
		Language: func() string { return "" }, MaxRequests: 1, Log: slog.New(slog.DiscardHandler),
		Authenticate: func(context.Context, string, string) (api.Principal, error) { return api.Principal{}, nil },
		Address:      func(*http.Request) netip.Addr { return netip.Addr{} },
	}
	one := api.Handle("GET", "/x", api.Anyone, "", echo)
	for name, routes := range map[string][]api.Route{
		"twice":      {one, one},
		"upper case": {api.Handle("GET", "/X", api.Anyone, "", echo)},
		"no slash":   {api.Handle("GET", "x", api.Anyone, "", echo)},
	} {
		if _, err := api.NewTable(cfg, routes); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := api.NewTable(api.Config{}, nil); err == nil {
		t.Error("an empty configuration was taken")
	}
	mustPanic(t, "no head", func() {
		api.Handle("GET", "/x", api.Anyone, "", func(*api.Call, *echoRequest) (*echoItem, error) { return nil, nil })
	})
	mustPanic(t, "other fallback", func() {
		api.Handle("GET", "/x", api.Anyone, "", echo, api.Fallback(func(*api.Call, *echoItem) {}))
	})
}

func mustPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", name)
		}
	}()
	f()
}

func BenchmarkGet(b *testing.B) {
	f := newFixture(b, api.Handle("GET", "/echo", api.Guest, "", echo))
	bench(b, func(w http.ResponseWriter, r *http.Request) { f.table.Serve(w, r) }, "GET", "/echo?Id=5&Text=abc", "")
}

func BenchmarkPost(b *testing.B) {
	f := newFixture(b, api.Handle("POST", "/echo", api.User, "", echo))
	bench(b, func(w http.ResponseWriter, r *http.Request) { f.table.Serve(w, r) }, "POST", "/echo", `{"Id":"5","Text":"abc"}`)
}

// BenchmarkPlainGet and BenchmarkPlainPost are the same by hand.
func BenchmarkPlainGet(b *testing.B) {
	bench(b, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		writePlain(w, echoRequest{ID: int64(len(q.Get("Id"))), Text: q.Get("Text")})
	}, "GET", "/echo?Id=5&Text=abc", "")
}

func BenchmarkPlainPost(b *testing.B) {
	bench(b, func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			ID   string `json:"Id"`
			Text string
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&req); err != nil {
			http.Error(w, "bad", 400)
			return
		}
		writePlain(w, echoRequest{ID: int64(len(req.ID)), Text: req.Text})
	}, "POST", "/echo", `{"Id":"5","Text":"abc"}`)
}

func writePlain(w http.ResponseWriter, req echoRequest) {
	rep, _ := echo(nil, &req)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(rep)
}

func bench(b *testing.B, h http.HandlerFunc, method, target, body string) {
	b.ReportAllocs()
	w := &nullWriter{header: http.Header{}}
	for b.Loop() {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Authorization", "good")
		h(w, r)
		clear(w.header)
	}
}

type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(int)             {}
