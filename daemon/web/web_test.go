package web_test

import (
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

	"gtiv/daemon/account"
	"gtiv/daemon/chat"
	"gtiv/daemon/video"
	"gtiv/daemon/video/sample"
	"gtiv/daemon/web"
	"gtiv/protocol"
	"gtiv/store"
)

// self and peer are the two users of the tests; self's token is "good".
const (
	self = 10001
	peer = 10002
)

var errInternal = errors.New("disk on fire")

// fakes stand in for all services. err makes every method fail, panics makes
// them panic, enter is called first by all.
type fakes struct {
	err    error
	panics bool
	enter  func()
	calls  []string
	sent   chat.Send
	caller chat.Caller
	origin account.Origin
	accept bool
	peer   int64
	lang   string
	page   [2]int
	noted  int // answers that were sent
	remote string

	acted   int64 // video, comment or user that something was done to
	on      bool
	private bool // videos are not for everybody

	roomSent chat.RoomSend
	invited  []int64
	banned   netip.Addr
	report   chat.Report
}

func (f *fakes) call(name string) error {
	if f.enter != nil {
		f.enter()
	}
	if f.panics {
		panic("a bug")
	}
	f.calls = append(f.calls, name)
	return f.err
}

func person(id int64) store.Account {
	return store.Account{
		ID: id, Username: "alice", Nickname: "Alice", Avatar: "http://a.example/x.jpg", Role: 10, Gender: 1,
		Version: 3, ContactsVersion: 9, LastLoginTime: 1700000000, Tel: "123", PasswordHash: "$argon2id$secret",
	}
}

func login() *account.Login {
	return &account.Login{Account: person(self), Session: 7, Token: "good"}
}

func (f *fakes) RegisterByUsername(_ context.Context, o account.Origin, _, _, _ string) (*account.Login, error) {
	f.origin = o
	return login(), f.call("RegisterByUsername")
}

func (f *fakes) RegisterByPhone(_ context.Context, _ account.Origin, telCode, tel, code, _, _ string) (*account.Login, error) {
	return login(), f.call("RegisterByPhone " + telCode + " " + tel + " " + code)
}

func (f *fakes) RequestPhoneCode(context.Context, account.Origin, string, string) error {
	return f.call("RequestPhoneCode")
}

func (f *fakes) Login(context.Context, account.Origin, string, string) (*account.Login, error) {
	return login(), f.call("Login")
}

func (f *fakes) Authenticate(_ context.Context, token string) (account.Principal, error) {
	switch token {
	case "good":
		return account.Principal{User: self, Session: 7, Role: 10, Language: "en"}, nil
	case "revoked":
		return account.Principal{User: self, Session: 6}, account.ErrRevoked
	}
	return account.Principal{}, account.ErrUnknownToken
}

func (f *fakes) AddressBanned(a netip.Addr) bool { return a == f.banned }

func (f *fakes) Report(_ context.Context, c chat.Caller, r chat.Report) error {
	f.caller, f.report = c, r
	return f.call("Report")
}

func (f *fakes) NoteLanguage(_ context.Context, _ account.Principal, sent string) { f.lang = sent }

func (f *fakes) Info(_ context.Context, id int64) (store.Account, error) {
	return person(id), f.call("Info")
}

func (f *fakes) SetField(_ context.Context, _ account.Principal, field, _ string) error {
	return f.call("SetField " + field)
}

func (f *fakes) Search(context.Context, account.Principal, string) (store.Account, error) {
	return person(peer), f.call("Search")
}

func (f *fakes) Subscriptions(_ context.Context, _ account.Principal, page, rows int) ([]store.Account, error) {
	f.page = [2]int{page, rows}
	return []store.Account{person(peer)}, f.call("Subscriptions")
}

func (f *fakes) ChangePassword(context.Context, account.Principal, account.Origin, string, string) error {
	return f.call("ChangePassword")
}

func (f *fakes) Sessions(context.Context, account.Principal) ([]store.LoginSession, error) {
	return []store.LoginSession{{ID: 7, Account: self}, {ID: 8, Account: self}}, f.call("Sessions")
}

func (f *fakes) RevokeSession(context.Context, account.Principal, int64) error {
	return f.call("RevokeSession")
}

func (f *fakes) SetSingleDevice(context.Context, account.Principal, bool) error {
	return f.call("SetSingleDevice")
}

func (f *fakes) Delete(context.Context, account.Principal, account.Origin, string) error {
	return f.call("Delete")
}

func (f *fakes) Export(_ context.Context, _ account.Principal, w io.Writer) error {
	if err := f.call("Export"); err != nil {
		return err
	}
	_, err := w.Write([]byte("PK"))
	return err
}

func (f *fakes) TOTPSetup(context.Context, account.Principal, account.Origin, string) (string, string, error) {
	return "ABC", "otpauth://totp/x", f.call("TOTPSetup")
}

func (f *fakes) TOTPConfirm(context.Context, account.Principal, string) ([]string, error) {
	return []string{"one"}, f.call("TOTPConfirm")
}

func (f *fakes) TOTPDisable(context.Context, account.Principal, account.Origin, string, string) error {
	return f.call("TOTPDisable")
}

func (f *fakes) TOTPRecovery(context.Context, account.Principal, account.Origin, string, string) ([]string, error) {
	return []string{"two"}, f.call("TOTPRecovery")
}

func (f *fakes) TOTPStatus(context.Context, account.Principal) (bool, int, error) {
	return true, 8, f.call("TOTPStatus")
}

func (f *fakes) Contacts(context.Context, account.Principal) ([]store.Contact, error) {
	return []store.Contact{{User: person(peer)}, {User: person(10003), Deleted: true}}, f.call("Contacts")
}

func (f *fakes) Applications(context.Context, account.Principal) ([]store.Application, error) {
	return []store.Application{{From: person(peer), Message: "hi", CreatedAt: 1700000000123}}, f.call("Applications")
}

func (f *fakes) AnswerApplication(_ context.Context, _ account.Principal, applicant int64, accept bool) error {
	f.peer, f.accept = applicant, accept
	return f.call("AnswerApplication")
}

func (f *fakes) DeleteContact(_ context.Context, _ account.Principal, id int64) error {
	f.peer = id
	return f.call("DeleteContact")
}

func (f *fakes) Block(context.Context, account.Principal, int64) error   { return f.call("Block") }
func (f *fakes) Unblock(context.Context, account.Principal, int64) error { return f.call("Unblock") }

func (f *fakes) Blocked(context.Context, account.Principal) ([]store.Account, error) {
	return []store.Account{person(peer)}, f.call("Blocked")
}

func (f *fakes) IsFriend(_ context.Context, viewer, user int64) (bool, error) {
	return viewer == self && user == peer, f.call("IsFriend")
}

func (f *fakes) IsFollowing(context.Context, int64, int64) (bool, error) {
	return false, f.call("IsFollowing")
}

func (f *fakes) SendPrivate(_ context.Context, c chat.Caller, m chat.Send) (chat.Receipt, error) {
	f.caller, f.sent = c, m
	return chat.Receipt{ServerMsgID: "0190-id", Time: 1700000000123, Seq: 4}, f.call("SendPrivate")
}

func (f *fakes) SyncPrivate(_ context.Context, c chat.Caller, last int64) (chat.Batch, error) {
	f.caller = c
	return chat.Batch{
		Items: []chat.Item{{MsgID: "0190-id", From: peer, Content: "a<b>&'", Time: last + 1}},
		Sent:  func(context.Context) { f.noted++ },
	}, f.call("SyncPrivate")
}

// site is a server with fakes behind it.
type site struct {
	*web.Server
	fakes *fakes
	log   *strings.Builder
}

func newSite(t testing.TB, change ...func(*web.Config, *web.Deps)) *site {
	t.Helper()
	f := &fakes{}
	log := new(strings.Builder)
	cfg := web.Config{
		Site:    web.Site{Name: "Test", Language: "en", AppVersion: "0.1.2", AppURL: "http://x/app.apk"},
		Ports:   web.Ports{Comet: 2004, RTMP: 2011, HLS: 2012, FLV: 2013},
		Version: "1.0",
	}
	deps := web.Deps{
		Account: f, Chat: f, Video: fakeVideo{f}, Live: fakeLive{f}, Records: fakeRecords{f}, Uploads: fakeUpload{f}, UploadToken: f.token,
		Online:        func(user int64) bool { return user == peer },
		SessionOnline: func(session int64) bool { return session == 7 },
		Clips:         video.Files(),
		Streams:       fakeStreams{f},
		Logger:        slog.New(slog.NewTextHandler(log, nil)),
		Now:           func() time.Time { return time.Unix(1700000000, 0) },
	}
	for _, c := range change {
		c(&cfg, &deps)
	}
	s, err := web.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return &site{s, f, log}
}

// do answers a request as the user "good", unless the headers, which come as
// pairs, say otherwise.
func (s *site) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "gtiv.example:2015"
	r.Header.Set("Authorization", "good")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// object reads an answer as JSON.
func object(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	return m
}

func code(t *testing.T, w *httptest.ResponseRecorder) protocol.Code {
	t.Helper()
	c, ok := object(t, w)["ApiCode"].(float64)
	if !ok {
		t.Fatalf("no ApiCode in %s", w.Body)
	}
	return protocol.Code(c)
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	if _, err := web.New(web.Config{}, web.Deps{}); err == nil {
		t.Error("no dependencies, no error")
	}
}

func TestPreflightAllowsEverything(t *testing.T) {
	s := newSite(t)
	w := s.do("OPTIONS", "/any/thing", "", "Access-Control-Request-Headers", "authorization, x-own")
	h := w.Header()
	if w.Code != 200 || w.Body.Len() != 0 || h.Get("Access-Control-Allow-Origin") != "*" ||
		h.Get("Access-Control-Allow-Methods") != "POST, GET, OPTIONS, PUT, DELETE, HEAD, PATCH" ||
		!strings.Contains(h.Get("Access-Control-Allow-Headers"), "x-own") {
		t.Errorf("%d %v", w.Code, h)
	}
	w = s.do("OPTIONS", "/", "", "Access-Control-Request-Headers", "a\"; b")
	if strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), `"`) {
		t.Errorf("repeated: %v", w.Header())
	}
}

func TestEveryAnswerHasTheCommonHeaders(t *testing.T) {
	s := newSite(t)
	seen := map[string]bool{}
	for _, target := range []string{"/", "/docs", "/user/info", "/nowhere", "/o/" + sample.Key + "/index.m3u8", "/favicon.ico"} {
		h := s.do("GET", target, "").Header()
		id := h.Get("X-Request-Id")
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Access-Control-Allow-Origin") != "*" || id == "" || seen[id] {
			t.Errorf("%s: %v", target, h)
		}
		seen[id] = true
	}
}

func TestUnknownPathsAnswerTheHeadOrAPage(t *testing.T) {
	s := newSite(t)
	w := s.do("POST", "/no/such?password=x", "")
	if w.Code != 404 || code(t, w) != protocol.CodeUnknown || strings.Contains(w.Body.String(), "password") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = s.do("GET", "/no/such/<script>", "", "Accept", "text/html,*/*")
	if w.Code != 404 || !strings.Contains(w.Body.String(), "<h1>Not found") || strings.Contains(w.Body.String(), "<script") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := s.do("GET", "/favicon.ico", ""); w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("favicon: %d", w.Code)
	}
}

func TestAPanicOfAPageIsAnswered(t *testing.T) {
	s := newSite(t, func(_ *web.Config, d *web.Deps) {
		d.Mount = map[string]http.Handler{"/boom": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })}
	})
	if w := s.do("GET", "/boom", ""); w.Code != 500 || code(t, w) != protocol.CodeFailed {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(s.log.String(), "boom") {
		t.Errorf("log: %s", s.log)
	}
}

func TestMountedHandlersAndTheWebSocketAreReached(t *testing.T) {
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	}
	s := newSite(t, func(_ *web.Config, d *web.Deps) {
		d.WebSocket = say("ws")
		d.Mount = map[string]http.Handler{"/live/": say("live")}
	})
	for target, want := range map[string]string{"/sub": "ws", "/live/1.m3u8": "live"} {
		if w := s.do("GET", target, ""); w.Body.String() != want {
			t.Errorf("%s: %q", target, w.Body)
		}
	}
}

func TestAWebSocketCanTakeTheConnectionOver(t *testing.T) {
	s := newSite(t, func(_ *web.Config, d *web.Deps) {
		d.WebSocket = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 204 taken\r\n\r\n")
			_ = conn.Close()
		})
	})
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	resp, err := srv.Client().Get(srv.URL + "/sub")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Status != "204 taken" {
		t.Errorf("status %q", resp.Status)
	}
}

// deadlines remembers the last write deadline of a connection.
type deadlines struct {
	*httptest.ResponseRecorder
	write time.Time
}

func (d *deadlines) SetReadDeadline(time.Time) error { return nil }

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write = t
	return nil
}

func TestACallsDeadlineDoesNotCutAStreamOnTheSameConnection(t *testing.T) {
	s := newSite(t)
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	s.ServeHTTP(w, httptest.NewRequest("GET", "/video/home", nil))
	if w.write.IsZero() {
		t.Error("a call has no deadline")
	}
	s.ServeHTTP(w, httptest.NewRequest("GET", "/o/x", nil))
	if !w.write.IsZero() {
		t.Errorf("a stream has one: %v", w.write)
	}
}
