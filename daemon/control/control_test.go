package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gtiv/daemon/account"
	"gtiv/daemon/control"
	"gtiv/protocol"
	"gtiv/protocol/client"
	"gtiv/store"
)

// fakeAccounts remembers what it was asked and knows the user ann, 10001, and
// the administrator root1, 10002.
type fakeAccounts struct {
	mu    sync.Mutex
	calls []string
	ann   store.Account
	err   error
}

func newFake() *fakeAccounts {
	return &fakeAccounts{ann: store.Account{
		ID: 10001, Username: "ann", Nickname: "Ann", Role: store.RoleUser, TelCode: "86", Tel: "13800000000",
		CreatedAt: 1_700_000_000_000, LastLoginTime: 1_700_000_100,
	}}
}

func (f *fakeAccounts) called(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.err
}

func (f *fakeAccounts) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		return ""
	}
	return f.calls[len(f.calls)-1]
}

func (f *fakeAccounts) List(_ context.Context, q account.Filter) ([]store.Account, int64, error) {
	return []store.Account{f.ann}, 77, f.called("list %+v", q)
}

func (f *fakeAccounts) Find(_ context.Context, who string) (store.Account, error) {
	if who != "ann" && who != "10001" {
		return store.Account{}, fmt.Errorf("find: %w", store.ErrNotFound)
	}
	return f.ann, nil
}

func (f *fakeAccounts) Info(_ context.Context, id int64) (store.Account, error) {
	if id != f.ann.ID {
		return store.Account{}, fmt.Errorf("find: %w", store.ErrNotFound)
	}
	return f.ann, nil
}

func (f *fakeAccounts) Add(_ context.Context, username, password, nickname string, role int) (store.Account, error) {
	if username == "taken" {
		return store.Account{}, protocol.Errorf(protocol.CodeConflict, "usernameTaken")
	}
	err := f.called("add %s %s %s %d", username, password, nickname, role)
	return store.Account{ID: 10003, Username: username, Nickname: nickname, Role: role}, err
}

func (f *fakeAccounts) SetPassword(_ context.Context, user int64, password string) error {
	return f.called("password %d %s", user, password)
}

func (f *fakeAccounts) Ban(_ context.Context, user int64, until time.Time, reason string) error {
	f.ann.BannedUntil, f.ann.BanReason = math.MaxInt64, reason
	if !until.IsZero() {
		f.ann.BannedUntil = until.UnixMilli()
	}
	return f.called("ban %d %v %s", user, until.IsZero(), reason)
}

func (f *fakeAccounts) Unban(_ context.Context, user int64) error {
	f.ann.BannedUntil = 0
	return f.called("unban %d", user)
}

func (f *fakeAccounts) SessionsOf(_ context.Context, user int64) ([]store.LoginSession, error) {
	return []store.LoginSession{{ID: 5, Account: user, Agent: "app", Address: "192.0.2.1", CreatedAt: 1_700_000_000_000, LastSeen: 1_700_000_000_001}}, f.called("sessions %d", user)
}

func (f *fakeAccounts) Revoke(_ context.Context, user, session int64) (int, error) {
	return 2, f.called("revoke %d %d", user, session)
}

func (f *fakeAccounts) Codes() []account.PendingCode {
	return []account.PendingCode{{Phone: "+86 138", Code: "123456", ExpiresAt: time.Unix(1_700_000_000, 0), Tries: 4}}
}

func (f *fakeAccounts) CreateInvite(_ context.Context, by int64, note string, uses int, valid time.Duration) (store.Invite, error) {
	return store.Invite{Code: "SECRETCODE", Note: note, MaxUses: uses, CreatedAt: 1_700_000_000_000}, f.called("invite %d %s %d %s", by, note, uses, valid)
}

func (f *fakeAccounts) Invites(context.Context) ([]store.Invite, error) {
	return []store.Invite{
		{Code: "a", MaxUses: 1}, {Code: "b", MaxUses: 1, Uses: 1}, {Code: "c", MaxUses: 1, ExpiresAt: 1}, {Code: "d", MaxUses: 1, RevokedAt: 1},
	}, f.called("invites")
}

func (f *fakeAccounts) RevokeInvite(_ context.Context, code string) error {
	return f.called("revoke invite %s", code)
}

// world is a running control server with everything it did.
type world struct {
	*client.Client
	fake   *fakeAccounts
	socket string
	mu     sync.Mutex
	audit  []store.AuditEntry
	log    *bytes.Buffer
	stop   func() error
}

func (w *world) audited() []store.AuditEntry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.audit
}

// lockedWriter lets the test read the log while the server writes it.
type lockedWriter struct{ w *world }

func (l lockedWriter) Write(b []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.log.Write(b)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func start(t *testing.T, change func(*control.Deps)) *world {
	t.Helper()
	w := &world{fake: newFake(), log: new(bytes.Buffer)}
	deps := control.Deps{
		Accounts: w.fake, Bans: w.fake, Reports: w.fake, Rooms: w.fake, Announcements: w.fake, AuditLog: w.fake.AuditLog,
		Videos: &fakeVideos{fakeAccounts: w.fake}, Lives: fakeLives{w.fake}, Streams: fakeStreams{w.fake}, Records: fakeRecords{w.fake}, Queues: fakeQueues{w.fake},
		VideoLink: func(key string, owner int64) (string, string) {
			path := fmt.Sprintf("/o/s.%d/%s/index.m3u8", owner, key)
			return path, "https://x" + path
		},
		Doctor: func(_ context.Context, fix bool) (protocol.Checkup, error) {
			return protocol.Checkup{Checks: []protocol.Check{{Name: "disk", State: protocol.CheckOK, Fixed: fix}}}, nil
		},
		Online: func(user int64) bool { return user == 10001 },
		Status: func(context.Context) protocol.Status {
			return protocol.Status{State: protocol.StateReady, PID: os.Getpid(), Version: "v1", Accounts: 3}
		},
		Config: func() string { return "[site]\n" },
		Reload: func(context.Context) (applied, needRestart []string, err error) {
			return []string{"site.name"}, nil, nil
		},
		Audit: func(_ context.Context, e store.AuditEntry) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.audit = append(w.audit, e)
			return nil
		},
		Version: "v1.2.3",
		Grace:   2 * time.Second,
		Logger:  slog.New(slog.NewTextHandler(lockedWriter{w}, nil)),
	}
	if change != nil {
		change(&deps)
	}
	s, err := control.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ln, err := control.Listen(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	w.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	w.socket = filepath.Join(dir, "gtiv.sock")
	w.Client = client.New(w.socket)
	t.Cleanup(func() {
		w.Close()
		if err := w.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestReadingThroughTheClient(t *testing.T) {
	w := start(t, nil)
	ctx := t.Context()
	if st := must[*protocol.Status](t)(w.Status(ctx)); !st.Healthy() || st.PID != os.Getpid() || st.Accounts != 3 || st.Health == nil {
		t.Errorf("status %+v", st)
	}
	if c := must[*protocol.ConfigReply](t)(w.Config(ctx)); c.TOML != "[site]\n" {
		t.Errorf("config %+v", c)
	}
	users := must[*protocol.UserList](t)(w.Users(ctx, protocol.UserFilter{Query: "a&b=c", After: 5, Limit: 7, Banned: true, Admins: true}))
	want := protocol.User{
		ID: 10001, Username: "ann", Nickname: "Ann", Role: "user", Phone: "+86 13800000000", Online: true,
		CreatedAt: time.UnixMilli(1_700_000_000_000).UTC(), LastLogin: time.Unix(1_700_000_100, 0).UTC(),
	}
	if len(users.List) != 1 || !reflect.DeepEqual(users.List[0], want) || users.Next != 77 {
		t.Errorf("users %+v", users)
	}
	if got := w.fake.last(); got != "list {Query:a&b=c After:5 Limit:7 Banned:true Admins:true}" {
		t.Errorf("filter %q", got)
	}
	s := must[*protocol.SessionList](t)(w.Sessions(ctx, "ann"))
	if s.User.ID != 10001 || len(s.List) != 1 || s.List[0].Address != "192.0.2.1" || !s.List[0].RevokedAt.IsZero() {
		t.Errorf("sessions %+v", s)
	}
	if c := must[*protocol.PhoneCodeList](t)(w.Codes(ctx)); len(c.List) != 1 || c.List[0].Code != "123456" || c.List[0].Tries != 4 {
		t.Errorf("codes %+v", c)
	}
	states := ""
	for _, i := range must[*protocol.InviteList](t)(w.Invites(ctx)).List {
		states += i.State + " "
	}
	if states != "open used expired revoked " {
		t.Errorf("invites %q", states)
	}
	if a := w.audited(); len(a) != 0 {
		t.Errorf("reading was audited: %+v", a)
	}
}

func TestEveryChangeIsCarriedOutAuditedAndLogged(t *testing.T) {
	w := start(t, nil)
	ctx := t.Context()
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	for _, c := range []struct {
		do                           func() error
		call, action, target, detail string
	}{
		{func() error {
			_, err := w.AddUser(ctx, protocol.AddUser{Username: "bob", Password: "pass word", Nickname: "Bob", Admin: true})
			return err
		}, "add bob pass word Bob 20", "user.add", "user 10003 bob", "role admin"},
		{func() error {
			_, err := w.SetPassword(ctx, protocol.SetPassword{User: "ann", Password: "new"})
			return err
		}, "password 10001 new", "user.password", "user 10001 ann", ""},
		{func() error {
			u, err := w.Ban(ctx, protocol.BanUser{User: "10001", Reason: "spam"})
			if err == nil && (!u.Banned || !u.BannedUntil.IsZero() || u.BanReason != "spam") {
				err = fmt.Errorf("got %+v", u)
			}
			return err
		}, "ban 10001 true spam", "user.ban", "user 10001 ann", "for ever: spam"},
		{func() error {
			u, err := w.Ban(ctx, protocol.BanUser{User: "ann", Until: until})
			if err == nil && !u.BannedUntil.Equal(until) {
				err = fmt.Errorf("got %+v", u)
			}
			return err
		}, "ban 10001 false ", "user.ban", "user 10001 ann", "until " + until.UTC().Format(time.RFC3339)},
		{func() error {
			u, err := w.Unban(ctx, "ann")
			if err == nil && u.Banned {
				err = fmt.Errorf("got %+v", u)
			}
			return err
		}, "unban 10001", "user.unban", "user 10001 ann", ""},
		{func() error {
			n, err := w.Revoke(ctx, protocol.RevokeSessions{User: "ann"})
			if err == nil && n.Sessions != 2 {
				err = fmt.Errorf("got %+v", n)
			}
			return err
		}, "revoke 10001 0", "user.revoke", "user 10001 ann", "2 sessions"},
		{func() error {
			_, err := w.Revoke(ctx, protocol.RevokeSessions{User: "ann", Session: 5})
			return err
		}, "revoke 10001 5", "user.revoke", "user 10001 ann", "session 5"},
		{func() error {
			i, err := w.CreateInvite(ctx, protocol.CreateInvite{Note: "for Bob", Uses: 3, ValidSeconds: 3600})
			if err == nil && i.Code != "SECRETCODE" {
				err = fmt.Errorf("got %+v", i)
			}
			return err
		}, "invite 0 for Bob 3 1h0m0s", "invite.create", "invite SECR…", "uses 3, valid 3600s"},
		{func() error { return w.RevokeInvite(ctx, "SECRETCODE") }, "revoke invite SECRETCODE", "invite.revoke", "invite SECR…", ""},
		{func() error {
			r, err := w.Reload(ctx)
			if err == nil && (len(r.Applied) != 1 || r.NeedRestart == nil) {
				err = fmt.Errorf("got %+v", r)
			}
			return err
		}, "revoke invite SECRETCODE", "config.reload", "", "applied site.name"},
	} {
		before := len(w.audited())
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.action, err)
			continue
		}
		if got := w.fake.last(); got != c.call {
			t.Errorf("%s: called %q, want %q", c.action, got, c.call)
		}
		a := w.audited()
		if len(a) != before+1 {
			t.Errorf("%s: %d audit entries", c.action, len(a)-before)
			continue
		}
		e := a[len(a)-1]
		actor := regexp.MustCompile(fmt.Sprintf(`^\S+ \(uid %d, pid %d\)$`, os.Getuid(), os.Getpid()))
		if !actor.MatchString(e.Actor) || e.Action != c.action || e.Target != c.target || e.Detail != c.detail || e.Time == 0 {
			t.Errorf("audit %+v", e)
		}
	}
	log := w.logged()
	if n := strings.Count(log, "changed by control socket"); n != 10 {
		t.Errorf("%d changes logged:\n%s", n, log)
	}
	if strings.Contains(log, "pass word") || strings.Contains(log, "SECRETCODE") {
		t.Errorf("a secret was logged:\n%s", log)
	}
}

func TestFailuresAreTypedAgainInTheClient(t *testing.T) {
	w := start(t, nil)
	ctx := t.Context()
	failed := func(name string, err error, code protocol.ControlCode, text string) {
		t.Helper()
		e, ok := errors.AsType[*protocol.ControlError](err)
		if !ok || e.Code != code || !strings.Contains(e.Message, text) {
			t.Errorf("%s: got %v (%+v), want %s %q", name, err, e, code, text)
		}
	}
	_, err := w.Unban(ctx, "nobody")
	failed("unknown user", err, protocol.ControlNotFound, "nothing of that name")
	_, err = w.Unban(ctx, "")
	failed("no user", err, protocol.ControlBadRequest, "User is missing")
	_, err = w.AddUser(ctx, protocol.AddUser{Username: "taken"})
	failed("taken name", err, protocol.ControlConflict, "taken")
	_, err = w.Users(ctx, protocol.UserFilter{Limit: 201})
	failed("limit", err, protocol.ControlBadRequest, "Limit")
	_, err = w.Users(ctx, protocol.UserFilter{After: -1})
	failed("after", err, protocol.ControlBadRequest, "After")
	_, err = w.Ban(ctx, protocol.BanUser{User: "ann", Until: time.Now().Add(-time.Minute)})
	failed("past", err, protocol.ControlBadRequest, "in the past")
	_, err = w.Ban(ctx, protocol.BanUser{User: "ann", Reason: strings.Repeat("长", 201)})
	failed("long reason", err, protocol.ControlBadRequest, "reason")
	_, err = w.CreateInvite(ctx, protocol.CreateInvite{})
	failed("uses", err, protocol.ControlBadRequest, "Uses")
	_, err = w.CreateInvite(ctx, protocol.CreateInvite{Uses: 1, ValidSeconds: math.MaxInt64})
	failed("valid", err, protocol.ControlBadRequest, "10 years")
	failed("code", w.RevokeInvite(ctx, ""), protocol.ControlBadRequest, "Code")
	_, err = w.AddUser(ctx, protocol.AddUser{Username: strings.Repeat("x", 70<<10)})
	failed("large", err, protocol.ControlBadRequest, "larger than 65536 bytes")
	w.fake.err = errors.New("disk on fire at /var/lib/secret")
	_, err = w.Users(ctx, protocol.UserFilter{})
	failed("internal", err, protocol.ControlInternal, "went wrong")
	if strings.Contains(err.Error(), "fire") || !strings.Contains(w.logged(), "disk on fire") {
		t.Errorf("an internal error belongs in the log only: %v\n%s", err, w.logged())
	}
	if a := w.audited(); len(a) != 0 {
		t.Errorf("what failed was audited: %+v", a)
	}
}

func TestReloadTellsWhatIsWrong(t *testing.T) {
	w := start(t, func(d *control.Deps) {
		d.Reload = func(context.Context) (applied, needRestart []string, err error) {
			return nil, nil, errors.New("gtiv.toml:3: log.level: must be loud")
		}
	})
	if _, err := w.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "gtiv.toml:3") {
		t.Errorf("got %v", err)
	}
}

func TestAChangeSurvivesABrokenAuditLog(t *testing.T) {
	w := start(t, func(d *control.Deps) {
		d.Audit = func(context.Context, store.AuditEntry) error { return errors.New("no space") }
	})
	if _, err := w.Unban(t.Context(), "ann"); err != nil {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(w.logged(), "cannot write the audit log") {
		t.Errorf("log:\n%s", w.logged())
	}
}

// raw sends a request past the client.
func raw(t *testing.T, socket, method, target, body string, header map[string]string) (*http.Response, string) {
	t.Helper()
	var d net.Dialer
	h := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
	}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://gtiv"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if k == "Host" {
			req.Host = v
		} else {
			req.Header.Set(k, v)
		}
	}
	resp, err := h.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestHostileRequests(t *testing.T) {
	w := start(t, nil)
	for _, c := range []struct {
		name, method, target, body string
		header                     map[string]string
		status                     int
	}{
		{"plain", "GET", "/v1/status", "", nil, 200},
		{"curl's host", "GET", "/v1/status", "", map[string]string{"Host": "localhost:80"}, 200},
		{"foreign host", "GET", "/v1/status", "", map[string]string{"Host": "evil.example"}, 403},
		{"origin", "GET", "/v1/status", "", map[string]string{"Origin": "null"}, 403},
		{"empty origin", "GET", "/v1/status", "", map[string]string{"Origin": ""}, 403},
		{"referer", "POST", "/v1/users/unban", `{"User":"ann"}`, map[string]string{"Referer": "http://gtiv/"}, 403},
		{"unknown path", "GET", "/v2/status", "", nil, 404},
		{"trailing slash", "GET", "/v1/status/", "", nil, 404},
		{"other method", "DELETE", "/v1/status", "", nil, 405},
		{"change by GET", "GET", "/v1/users/unban?User=ann", "", nil, 405},
		{"no body", "POST", "/v1/users/unban", "", nil, 400},
		{"garbage", "POST", "/v1/users/unban", "\x00{{{", nil, 400},
		{"array", "POST", "/v1/users/unban", "[]", nil, 400},
		{"wrong type", "POST", "/v1/users/unban", `{"User":5}`, nil, 400},
		{"unknown field", "POST", "/v1/users/unban", `{"User":"ann","Force":true}`, nil, 400},
		{"two values", "POST", "/v1/users/unban", `{"User":"ann"}{"User":"ann"}`, nil, 400},
		{"deep", "POST", "/v1/users/unban", strings.Repeat("[", 60_000), nil, 400},
		{"large", "POST", "/v1/users/unban", `{"User":"` + strings.Repeat("a", 70_000) + `"}`, nil, 413},
	} {
		resp, body := raw(t, w.socket, c.method, c.target, c.body, c.header)
		var f protocol.ControlFailure
		err := json.Unmarshal([]byte(body), &f)
		if resp.StatusCode != c.status || err != nil || (c.status != 200) != (f.Error != nil && f.Error.Message != "" && f.Error.Code != "") {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, body)
		}
		if resp.Header.Get("Gtiv-Version") != "1" || resp.Header.Get("Gtiv-Build") != "v1.2.3" {
			t.Errorf("%s: headers %v", c.name, resp.Header)
		}
	}
	if got := w.fake.last(); got != "" {
		t.Errorf("a refused request reached the service: %s", got)
	}
}

func TestGarbageInsteadOfHTTPCostsOneConnection(t *testing.T) {
	w := start(t, nil)
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("\x00\x00\x00\x10garbage\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	if _, err := w.Status(t.Context()); err != nil {
		t.Errorf("the next client: %v", err)
	}
}

func TestRunningRequestsFinishWhenTheServerStops(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	w := start(t, func(d *control.Deps) {
		d.Status = func(context.Context) protocol.Status {
			close(entered)
			<-release
			return protocol.Status{State: protocol.StateDraining}
		}
	})
	got := make(chan error, 1)
	go func() {
		_, err := w.Status(t.Context())
		got <- err
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	close(release)
	if err := <-got; err != nil {
		t.Errorf("the running request: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := os.Lstat(w.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	_, err := w.Status(t.Context())
	if e, ok := errors.AsType[*client.NotReachableError](err); !ok || e.ExitCode() != 3 || !strings.Contains(e.Hint, "gtiv serve") {
		t.Errorf("after the end: %v", err)
	}
}

func TestGraceBoundsTheStop(t *testing.T) {
	entered := make(chan struct{})
	w := start(t, func(d *control.Deps) {
		d.Grace = 50 * time.Millisecond
		d.Status = func(ctx context.Context) protocol.Status {
			close(entered)
			<-ctx.Done()
			return protocol.Status{}
		}
	})
	go func() { _, _ = w.Status(t.Context()) }() // fails, rightly
	<-entered
	if err := w.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestNewNeedsEveryDependency(t *testing.T) {
	if _, err := control.New(control.Deps{}); err == nil {
		t.Error("accepted nothing at all")
	}
}

// misnamed finds somebody else under every id, as names of digits did.
type misnamed struct{ *fakeAccounts }

func (m misnamed) Find(ctx context.Context, who string) (store.Account, error) {
	if who == "10001" {
		return store.Account{ID: 10002, Username: who}, nil
	}
	return m.fakeAccounts.Find(ctx, who)
}

// Found by a reviewer: the answer to a ban was about the account whose user name
// is the id of who was banned.
func TestTheAnswerToAChangeIsAboutWhoWasChanged(t *testing.T) {
	w := start(t, func(d *control.Deps) { d.Accounts = misnamed{newFake()} })
	banned, err := w.Ban(t.Context(), protocol.BanUser{User: "ann"})
	if err != nil || banned.ID != 10001 || !banned.Banned {
		t.Errorf("ban: %+v, %v", banned, err)
	}
	freed, err := w.Unban(t.Context(), "ann")
	if err != nil || freed.ID != 10001 || freed.Banned {
		t.Errorf("unban: %+v, %v", freed, err)
	}
}
