package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/protocol"
	"gtiv/tui/cli"
)

// commands is the command table of main, less the daemon's own.
type commands struct {
	Status   cli.StatusCmd   `cmd:""`
	User     cli.UserCmd     `cmd:""`
	Invite   cli.InviteCmd   `cmd:""`
	Report   cli.ReportCmd   `cmd:""`
	Room     cli.RoomCmd     `cmd:""`
	Video    cli.VideoCmd    `cmd:""`
	Live     cli.LiveCmd     `cmd:""`
	Queue    cli.QueueCmd    `cmd:""`
	Import   cli.ImportCmd   `cmd:""`
	Doctor   cli.DoctorCmd   `cmd:""`
	Ban      cli.BanCmd      `cmd:""`
	Announce cli.AnnounceCmd `cmd:""`
	Audit    cli.AuditCmd    `cmd:""`
	Version  cli.VersionCmd  `cmd:""`
}

// daemon answers on a control socket with canned replies and remembers what it
// was asked.
type daemon struct {
	socket string

	mu    sync.Mutex
	asked []string
}

func (d *daemon) last() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.asked) == 0 {
		return ""
	}
	return d.asked[len(d.asked)-1]
}

// commandCase is a command line, what it asks the daemon and a part of what it prints.
type commandCase struct{ args, asked, want string }

// does runs commands, in which "+" stands for a space within an argument, as text and
// with --json, which must be JSON.
func (d *daemon) does(t *testing.T, cases []commandCase) {
	t.Helper()
	for _, c := range cases {
		args := strings.Fields(c.args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "+", " ")
		}
		r := d.run(t, "", args...)
		if r.code != 0 || !strings.Contains(r.out, c.want) || r.err != "" || c.asked != "" && d.last() != c.asked {
			t.Errorf("gtiv %s: exit code %d, asked %s\n%s%s", c.args, r.code, d.last(), r.out, r.err)
		}
		if r := d.run(t, "", append(args, "--json")...); r.code != 0 || !json.Valid([]byte(r.out)) {
			t.Errorf("gtiv %s --json: exit code %d\n%s%s", c.args, r.code, r.out, r.err)
		}
	}
}

// fails runs command lines that must end with an exit code and say why.
func (d *daemon) fails(t *testing.T, codes map[string]int) {
	t.Helper()
	for args, code := range codes {
		if r := d.run(t, "", strings.Fields(args)...); r.code != code || r.err == "" {
			t.Errorf("gtiv %s: %+v", args, r)
		}
	}
}

// fakeDaemon serves replies, keyed by "METHOD /path?query" or "METHOD /path".
func fakeDaemon(t *testing.T, replies map[string]any) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "cli")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // temporary
	d := &daemon{socket: filepath.Join(dir, "gtiv.sock")}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", d.socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		key := r.Method + " " + r.URL.RequestURI()
		d.mu.Lock()
		d.asked = append(d.asked, strings.TrimSpace(key+" "+string(body)))
		d.mu.Unlock()
		reply, ok := replies[key]
		if !ok {
			reply, ok = replies[r.Method+" "+r.URL.Path]
		}
		w.Header().Set(protocol.ControlVersionHeader, fmt.Sprint(protocol.Version))
		if !ok {
			reply = protocol.ControlFailure{Error: &protocol.ControlError{Code: protocol.ControlNotFound, Message: "no \x1b[31msuch\u202e user", Hint: "look again"}}
			w.WriteHeader(http.StatusNotFound)
		}
		if err := json.NewEncoder(w).Encode(reply); err != nil {
			t.Error(err)
		}
	}))
	srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
	return d
}

type result struct {
	code     int
	out, err string
}

// run executes a command line against the daemon with input on standard input.
func (d *daemon) run(t *testing.T, input string, args ...string) result {
	t.Helper()
	t.Setenv("GTIV_SOCKET", d.socket)
	return execute(t, input, args...)
}

func execute(t *testing.T, input string, args ...string) result {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stdin")
	if err := os.WriteFile(path, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out, errs bytes.Buffer
	code := cli.Execute(t.Context(), &commands{}, args, &cli.IO{In: in, Out: &out, Err: &errs, Version: "v1.2.3"})
	return result{code, out.String(), errs.String()}
}

func TestExitCodes(t *testing.T) {
	d := fakeDaemon(t, map[string]any{
		"GET /v1/status":      protocol.Status{State: protocol.StateReady},
		"POST /v1/users/ban":  protocol.User{Username: "ann", Banned: true},
		"POST /v1/invites":    protocol.Invite{Code: "abc"},
		"GET /v1/users":       protocol.UserList{},
		"POST /v1/users":      protocol.User{Username: "ann"},
		"GET /v1/codes":       protocol.PhoneCodeList{},
		"GET /v1/invites":     protocol.InviteList{},
		"POST /v1/users/code": nil,
	})
	for _, c := range []struct {
		args string
		code int
	}{
		{"", 0},
		{"--help", 0},
		{"user --help", 0},
		{"user ban --help", 0},
		{"version", 0},
		{"version --json", 0},
		{"status", 0},
		{"user list", 0},
		{"user list ann --banned --admins --limit 5 --after 7", 0},
		{"user add ann", 0},
		{"user ban ann --for 7d --reason spam", 0},
		{"invite create --uses 3 --valid 0s", 0},
		{"user unban ann", 1},                              // the daemon says no
		{"user passwd ann", 1},                             // nothing on standard input
		{"user add ann --password-stdin", 1},               // likewise
		{"nosuch", 2},                                      //
		{"user", 2},                                        // a noun without a verb
		{"user nosuch", 2},                                 //
		{"user ban", 2},                                    // no user
		{"user ban ann --for soon", 2},                     //
		{"user ban ann --for -5m", 2},                      //
		{"user ban ann --nosuch", 2},                       //
		{"user add ann --password secret", 2},              // never in argv
		{"user revoke ann", 2},                             // neither session nor --all
		{"user revoke ann 5 --all", 2},                     // both
		{"user revoke ann x", 2},                           //
		{"user list --limit many", 2},                      //
		{"user passwd ann --generate --password-stdin", 2}, //
		{"status extra", 2},                                //
		{"status --socket /nonexistent/gtiv.sock", 3},      //
		{"user list --data /nonexistent", 3},               //
		{"user add ann --json --socket /nonexistent/a.sock", 3},
	} {
		r := d.run(t, "", strings.Fields(c.args)...)
		if r.code != c.code {
			t.Errorf("gtiv %s: exit code %d, want %d\n%s%s", c.args, r.code, c.code, r.out, r.err)
		}
		if (r.code == 0) != (r.err == "") || r.code == 0 && r.out == "" {
			t.Errorf("gtiv %s (%d): stdout %q stderr %q", c.args, r.code, r.out, r.err)
		}
		if strings.Contains(c.args, "--json") && r.code != 0 && !json.Valid([]byte(r.err)) {
			t.Errorf("gtiv %s: stderr is not JSON: %q", c.args, r.err)
		}
	}
}

func TestErrorsAsTextAndAsJSON(t *testing.T) {
	d := fakeDaemon(t, nil)
	r := d.run(t, "", "user", "unban", "ann")
	if r.err != "gtiv: no [31msuch user\nlook again\n" {
		t.Errorf("text %q", r.err)
	}
	for args, want := range map[string]protocol.ControlError{
		"user unban ann --json":         {Code: "notFound", Message: "no \x1b[31msuch\u202e user", Hint: "look again"},
		"user revoke ann --json":        {Code: "usage", Message: "name one session, or give --all"},
		"nosuch --json":                 {Code: "usage", Message: "unexpected argument nosuch"},
		"status --json --socket /no/so": {Code: "notReachable", Message: "the daemon cannot be reached at /no/so: connect: no such file or directory"},
	} {
		r := d.run(t, "", strings.Fields(args)...)
		var f protocol.ControlFailure
		if err := json.Unmarshal([]byte(r.err), &f); err != nil || f.Error == nil || f.Error.Code != want.Code || f.Error.Message != want.Message || f.Error.Hint == "" {
			t.Errorf("gtiv %s: %q (%v)", args, r.err, err)
		}
		if strings.ContainsAny(r.err, "\x1b\u202e") {
			t.Errorf("gtiv %s: a terminal would act on %q", args, r.err)
		}
	}
}

func TestStatusShowsTheStateAndFailsWhenIll(t *testing.T) {
	st := protocol.Status{
		State: protocol.StateReady, PID: 4711, Version: "v1.2.3", UptimeSeconds: 90_061, DataDir: "/var/lib/gtiv",
		Connections: 3, UsersOnline: 1, Accounts: 1234, Messages: 1_234_567, RSSBytes: 150 << 20, DatabaseBytes: 2048, Goroutines: 77,
		Queues: []protocol.Queue{{Name: "push", Depth: 5, Dead: 2, OldestSeconds: 185}, {Name: "process", Depth: 0}, {Name: "x", Dead: 1}},
		Ports:  []protocol.Port{{Name: "comet", Network: "tcp", Address: "0.0.0.0:2004"}, {Name: "imbiz", Network: "tcp", Address: "[::]:2015"}},
		Health: []protocol.Health{{Name: "store", OK: true}, {Name: "queue", OK: true, Text: "5 waiting"}},
	}
	r := fakeDaemon(t, map[string]any{"GET /v1/status": st}).run(t, "", "status")
	want := `gtiv v1.2.3 is ready (pid 4711, up 1d 1h)

  online     1 user, 3 connections
  accounts   1,234
  messages   1,234,567
  queues     push 5 (oldest 3m 5s; 2 dead), process 0, x 0 (1 dead)
  memory     150 MiB, 77 goroutines
  database   2.0 KiB
  data       /var/lib/gtiv
  ports      comet      0.0.0.0:2004/tcp
             imbiz      [::]:2015/tcp

  ok   store
  ok   queue: 5 waiting
`
	if r.code != 0 || r.out != want {
		t.Errorf("exit code %d\n%s\nwant\n%s", r.code, r.out, want)
	}
	st.State, st.Health[0] = protocol.StateDegraded, protocol.Health{Name: "store", Text: "disk\x1b[2J full"}
	d := fakeDaemon(t, map[string]any{"GET /v1/status": st})
	if r := d.run(t, "", "status"); r.code != 1 || !strings.Contains(r.out, "is degraded") || !strings.Contains(r.out, "  ILL  store: disk[2J full\n") || r.err != "" {
		t.Errorf("degraded: %+v", r)
	}
	var back protocol.Status
	if r := d.run(t, "", "status", "--json"); r.code != 1 || json.Unmarshal([]byte(r.out), &back) != nil || back.Healthy() || back.PID != 4711 {
		t.Errorf("degraded as JSON: %+v", r)
	}
}

func TestUserTableIsAlignedAndClean(t *testing.T) {
	zone := time.Local //nolint:gosmopolitan // the golden text needs one zone
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = zone })
	made := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	list := protocol.UserList{Next: 10003, List: []protocol.User{
		{ID: 10001, Username: "ann", Nickname: "小明同学", Role: "user", CreatedAt: made, Online: true},
		{ID: 10002, Username: "eve\x1b]0;owned\x07", Nickname: "\u202eabc\u200b\n\u009b1m", Role: "admin", CreatedAt: made, LastLogin: made, Banned: true},
		{ID: 10003, Username: "e\u0301😀", Nickname: strings.Repeat("长", 40), Role: "user", CreatedAt: made, DeletedAt: made},
	}}
	d := fakeDaemon(t, map[string]any{"GET /v1/users": list})
	r := d.run(t, "", "user", "list")
	want := "ID     USER         NICKNAME                                         ROLE   STATE    CREATED           LAST LOGIN\n" +
		"10001  ann          小明同学                                         user   online   2026-03-01 12:30  -\n" +
		"10002  eve]0;owned  abc1m                                            admin  banned   2026-03-01 12:30  2026-03-01 12:30\n" +
		"10003  e\u0301😀          " + strings.Repeat("长", 23) + "…  user   deleted  2026-03-01 12:30  -\n" +
		"More: --after 10003, or --all\n"
	if r.code != 0 || r.out != want {
		t.Errorf("got\n%s\nwant\n%s", r.out, want)
	}
	r = d.run(t, "", "user", "list", "--json")
	var back protocol.UserList
	if err := json.Unmarshal([]byte(r.out), &back); err != nil || back.List[1].Username != list.List[1].Username || back.List[1].Nickname != list.List[1].Nickname {
		t.Errorf("JSON loses characters: %v %s", err, r.out)
	}
	if strings.ContainsAny(r.out, "\x1b\x07\u202e\u200b\u009b") || !strings.Contains(r.out, `\u202e`) || !strings.Contains(r.out, `"CreatedAt": "2026-03-01T12:30:00Z"`) {
		t.Errorf("JSON %s", r.out)
	}
}

func TestUserListFollowsPages(t *testing.T) {
	d := fakeDaemon(t, map[string]any{
		"GET /v1/users?Limit=50":         protocol.UserList{List: []protocol.User{{ID: 1}}, Next: 1},
		"GET /v1/users?After=1&Limit=50": protocol.UserList{List: []protocol.User{{ID: 2}}},
	})
	var l protocol.UserList
	if r := d.run(t, "", "user", "list", "--all", "--json"); json.Unmarshal([]byte(r.out), &l) != nil || len(l.List) != 2 || l.Next != 0 {
		t.Errorf("got %+v", r)
	}
	endless := fakeDaemon(t, map[string]any{"GET /v1/users": protocol.UserList{Next: 1}})
	if r := endless.run(t, "", "user", "list", "--all"); r.code != 1 || !strings.Contains(r.err, "do not end") {
		t.Errorf("endless pages: %+v", r)
	}
}

func TestUserCommandsAsk(t *testing.T) {
	now := time.Now()
	d := fakeDaemon(t, map[string]any{
		"POST /v1/users":          protocol.User{ID: 10001, Username: "ann"},
		"POST /v1/users/password": protocol.User{ID: 10001, Username: "ann"},
		"POST /v1/users/ban":      protocol.User{ID: 10001, Username: "ann", Banned: true},
		"POST /v1/users/unban":    protocol.User{ID: 10001, Username: "ann"},
		"POST /v1/users/revoke":   protocol.Revoked{Sessions: 2},
		"GET /v1/users/sessions":  protocol.SessionList{User: protocol.User{ID: 10001, Username: "ann"}, List: []protocol.LoginSession{{ID: 5, Agent: "a\x1bpp", CreatedAt: now}}},
		"GET /v1/codes":           protocol.PhoneCodeList{List: []protocol.PhoneCode{{Phone: "+86 13800001111", Code: "123456"}, {Phone: "+1 2222", Code: "777777"}}},
		"POST /v1/invites":        protocol.Invite{Code: "wxyz-1"},
		"POST /v1/invites/revoke": struct{}{},
		"GET /v1/invites":         protocol.InviteList{List: []protocol.Invite{{Code: "wxyz-1", State: "open", MaxUses: 3, Note: "for \tBob"}}},
	})
	for _, c := range []struct{ args, input, asked, out string }{
		{"user add ann --password-stdin --nickname Ann --admin", "pa ss\r\nrest", `POST /v1/users {"Username":"ann","Password":"pa ss","Nickname":"Ann","Admin":true}`, "Made ann (10001).\n"},
		{"user passwd ann", "line", `POST /v1/users/password {"User":"ann","Password":"line"}`, "The password of ann (10001) was changed and all sessions were ended.\n"},
		{"user ban ann --reason x", "", `POST /v1/users/ban {"User":"ann","Reason":"x"}`, "ann (10001) is banned for ever.\n"},
		{"user unban 10001", "", `POST /v1/users/unban {"User":"10001"}`, "ann (10001) may log in again.\n"},
		{"user revoke ann --all", "", `POST /v1/users/revoke {"User":"ann"}`, "2 sessions ended.\n"},
		{"user revoke ann 5", "", `POST /v1/users/revoke {"User":"ann","Session":5}`, "2 sessions ended.\n"},
		{"user sessions ann", "", "GET /v1/users/sessions?User=ann", "  app  "},
		{"user code", "", "GET /v1/codes", "777777"},
		{"user code 0001111", "", "GET /v1/codes", "123456"},
		{"invite create", "", `POST /v1/invites {"Uses":1,"ValidSeconds":604800}`, "wxyz-1\n"},
		{"invite create --uses 3 --valid 2w --note n", "", `POST /v1/invites {"Note":"n","Uses":3,"ValidSeconds":1209600}`, "wxyz-1\n"},
		{"invite list", "", "GET /v1/invites", "open   0/3   -        -        for Bob\n"},
		{"invite revoke wxyz-1", "", `POST /v1/invites/revoke {"Code":"wxyz-1"}`, "The invitation was revoked.\n"},
	} {
		r := d.run(t, c.input, strings.Fields(c.args)...)
		if r.code != 0 || d.last() != c.asked || !strings.Contains(r.out, c.out) {
			t.Errorf("gtiv %s\n asked %s\n printed %d %q %q", c.args, d.last(), r.code, r.out, r.err)
		}
		if j := d.run(t, c.input, append(strings.Fields(c.args), "--json")...); j.code != 0 || !json.Valid([]byte(j.out)) {
			t.Errorf("gtiv %s --json: %+v", c.args, j)
		}
	}
	if r := d.run(t, "", "user", "code", "0001111"); strings.Contains(r.out, "777777") {
		t.Errorf("the code of another phone: %s", r.out)
	}
	if r := d.run(t, "", "user", "ban", "ann", "--for", "1d"); r.code == 0 {
		var b protocol.BanUser
		_, body, _ := strings.Cut(d.last(), "{")
		if err := json.Unmarshal([]byte("{"+body), &b); err != nil || b.Until.Sub(now) < 23*time.Hour || b.Until.Sub(now) > 25*time.Hour {
			t.Errorf("ban for a day: %s", d.last())
		}
	}
}

func TestGeneratedPasswordsAreShownOnceAndDiffer(t *testing.T) {
	d := fakeDaemon(t, map[string]any{
		"POST /v1/users":          protocol.User{ID: 10001, Username: "ann"},
		"POST /v1/users/password": protocol.User{ID: 10001, Username: "ann"},
	})
	seen := map[string]bool{}
	for _, args := range []string{"user add ann --json", "user add ann --json", "user passwd ann --generate --json"} {
		r := d.run(t, "ignored\n", strings.Fields(args)...)
		var reply struct{ Username, Password string }
		if err := json.Unmarshal([]byte(r.out), &reply); err != nil || len(reply.Password) != 19 || reply.Username != "ann" || seen[reply.Password] {
			t.Fatalf("gtiv %s: %+v", args, r)
		}
		seen[reply.Password] = true
		if !strings.Contains(d.last(), reply.Password) {
			t.Errorf("another password was set: %s", d.last())
		}
	}
	r := d.run(t, "", "user", "add", "ann")
	if !strings.Contains(r.out, "Password: ") || !strings.Contains(r.out, "will not be shown again") {
		t.Errorf("got %q", r.out)
	}
	if r := d.run(t, "given\n", "user", "add", "ann", "--password-stdin", "--json"); strings.Contains(r.out, "given") {
		t.Errorf("repeats the password that was given: %s", r.out)
	}
}

func TestPasswordsFromStandardInputAreBounded(t *testing.T) {
	d := fakeDaemon(t, map[string]any{"POST /v1/users/password": protocol.User{}})
	for input, want := range map[string]string{
		strings.Repeat("x", 5000): "too long",
		"\n":                      "no password",
		"\xff\xfe\n":              "UTF-8",
	} {
		if r := d.run(t, input, "user", "passwd", "ann"); r.code != 1 || !strings.Contains(r.err, want) {
			t.Errorf("%.10q: %+v", input, r)
		}
	}
	if d.last() != "" {
		t.Errorf("asked %s", d.last())
	}
}
