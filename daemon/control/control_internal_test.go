package control

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gtiv/protocol"
	"gtiv/protocol/client"
	"gtiv/store"
)

func TestKeepRoutesSorted(t *testing.T) {
	sorted := slices.IsSortedFunc(routes, func(a, b route) int { return strings.Compare(a.path+" "+a.method, b.path+" "+b.method) })
	if !sorted {
		t.Error("routes are not sorted by path, then method")
	}
	seen := map[string]bool{}
	for _, r := range routes {
		key := r.method + " " + r.path
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
		if r.role < protocol.RoleViewer || r.handle == nil || !strings.HasPrefix(r.path, "/v1/") {
			t.Errorf("%s: incomplete: %+v", key, r)
		}
		if (r.method == "GET") != (r.action == "") {
			t.Errorf("%s: what changes something is a POST and is audited", key)
		}
	}
}

func TestExceptionsAreRoutes(t *testing.T) {
	known := map[string]bool{}
	for _, r := range routes {
		known[r.path], known[r.method+" "+r.path] = true, true
	}
	for path := range patience {
		if !known[path] {
			t.Errorf("patience names %s, which is no route", path)
		}
	}
	for key := range files {
		if !known[key] {
			t.Errorf("files names %s, which is no route", key)
		}
	}
}

func TestWhoModerates(t *testing.T) {
	for _, r := range routes {
		want := protocol.RoleModerator
		switch noun := strings.Split(r.path, "/")[2]; noun {
		case "announcements", "doctor":
			want = protocol.RoleAdmin
		case "reports", "bans", "audit", "rooms":
		case "live":
			if r.path == "/v1/live/key" || r.path == "/v1/live/push" { // both are about keys
				want = protocol.RoleAdmin
			}
		case "videos":
			if verb := r.path[strings.LastIndexByte(r.path, '/')+1:]; verb == "reprocess" || verb == "import" {
				want = protocol.RoleAdmin
			}
		case "queues":
			switch r.path {
			case "/v1/queues":
				want = protocol.RoleViewer
			case "/v1/queues/retry", "/v1/queues/drop":
				want = protocol.RoleAdmin
			}
		default:
			continue
		}
		if r.role != want {
			t.Errorf("%s %s needs %s, want %s", r.method, r.path, r.role, want)
		}
	}
}

// fakeDirectory is a host with the groups 801 gtiv-admin, 802 gtiv-moderator
// and 803 gtiv-viewer.
type fakeDirectory struct {
	members map[uint32][]uint32 // by uid
	asked   *int
}

func (f fakeDirectory) groupID(name string) (uint32, bool) {
	id, ok := map[string]uint32{"gtiv-admin": 801, "gtiv-moderator": 802, "gtiv-viewer": 803}[name]
	return id, ok
}

func (f fakeDirectory) groupsOf(uid uint32) []uint32 {
	if f.asked != nil {
		*f.asked++
	}
	return f.members[uid]
}

func (f fakeDirectory) userName(uid uint32) (string, bool) { return "somebody", uid != 9 }

func TestRolesByUserAndGroup(t *testing.T) {
	g := newGroups(fakeDirectory{members: map[uint32][]uint32{11: {100, 801}, 12: {802}, 13: {803, 802}, 14: {100}}})
	g.self = 990
	for _, c := range []struct {
		name string
		peer peer
		want protocol.Role
	}{
		{"root", peer{uid: 0}, protocol.RoleAdmin},
		{"the daemon's user", peer{uid: 990}, protocol.RoleAdmin},
		{"nobody special", peer{uid: 1000, groups: []uint32{1000, 0}}, protocol.RoleNone},
		{"unknown to the database", peer{uid: 65534}, protocol.RoleNone},
		{"process in the admin group", peer{uid: 1000, groups: []uint32{1000, 801}}, protocol.RoleAdmin},
		{"process in the moderator group", peer{uid: 1000, groups: []uint32{802}}, protocol.RoleModerator},
		{"process in the viewer group", peer{uid: 1000, groups: []uint32{803, 5}}, protocol.RoleViewer},
		{"the highest of several", peer{uid: 1000, groups: []uint32{803, 801, 802}}, protocol.RoleAdmin},
		{"database: admin", peer{uid: 11, groups: []uint32{11}}, protocol.RoleAdmin},
		{"database: moderator", peer{uid: 12}, protocol.RoleModerator},
		{"database: two groups", peer{uid: 13}, protocol.RoleModerator},
		{"database: another group", peer{uid: 14}, protocol.RoleNone},
		{"process above the database", peer{uid: 12, groups: []uint32{801}}, protocol.RoleAdmin},
	} {
		if got := g.roleOf(c.peer); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if a, b := g.userName(11), g.userName(9); a != "somebody" || b != "9" {
		t.Errorf("names %q %q", a, b)
	}
}

func TestGroupsAreCachedForAMoment(t *testing.T) {
	asked := 0
	dir := fakeDirectory{members: map[uint32][]uint32{}, asked: &asked}
	g := newGroups(dir)
	g.self = 990
	now := time.Unix(1_000_000, 0)
	g.now = func() time.Time { return now }
	for range 5 {
		g.roleOf(peer{uid: 1000})
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	dir.members[1000] = []uint32{801}
	now = now.Add(cacheFor)
	if got := g.roleOf(peer{uid: 1000}); got != protocol.RoleAdmin || asked != 2 {
		t.Errorf("after usermod: %s, asked %d times", got, asked)
	}
}

func TestOwnGroupsAreSeenThroughTheSocket(t *testing.T) {
	if uid, ok := (systemDirectory{}).userName(0); !ok || uid != "root" {
		t.Errorf("root is called %q", uid)
	}
	if _, ok := (systemDirectory{}).groupID("no-such-group-here"); ok {
		t.Error("found a group that does not exist")
	}
}

// asOther is the socket that the child of TestOtherUsersOverARealSocket asks.
const asOther = "GTIV_TEST_CONTROL_SOCKET"

// TestOtherUsersOverARealSocket connects as other users, which only root can
// start: the kernel's word on user and groups decides.
func TestOtherUsersOverARealSocket(t *testing.T) {
	if socket := os.Getenv(asOther); socket != "" { // the child
		_, err := client.New(socket).Status(t.Context())
		if err == nil {
			_, err = client.New(socket).Reload(t.Context())
		}
		os.Stderr.WriteString("answer: " + errText(err) + "\n") //nolint:errcheck // the parent reads it
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to start processes of other users")
	}
	dir := openDir(t)
	s, err := New(quietDeps(t))
	if err != nil {
		t.Fatal(err)
	}
	s.groups = newGroups(fakeDirectory{members: map[uint32][]uint32{}})
	socket := runServer(t, s, dir)
	program := copyOfTestBinary(t, dir)
	for _, c := range []struct {
		name   string
		groups []uint32
		want   string
	}{
		{"in no group", nil, "your user may not administrate gtiv"},
		{"viewer", []uint32{100, 803}, "this needs the role admin; yours is viewer"},
		{"admin among 40 groups", append(many(40), 801), "nil"},
	} {
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestOtherUsersOverARealSocket$") //nolint:gosec // ourselves
		cmd.Env = []string{asOther + "=" + socket}
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321, Groups: c.groups}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "answer: "+c.want+"\n") {
			t.Errorf("%s: got %q (%v), want %q", c.name, out, err, c.want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return "nil"
	}
	return err.Error()
}

func many(n int) []uint32 {
	var g []uint32
	for i := range n {
		g = append(g, uint32(10_000+i)) //nolint:gosec // small
	}
	return g
}

// openDir is a directory that other users can enter; t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // temporary
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyOfTestBinary(t *testing.T, dir string) string {
	t.Helper()
	src, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	path := filepath.Join(dir, "test")
	dst, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func quietDeps(t *testing.T) Deps {
	t.Helper()
	return Deps{
		Accounts: struct{ accounts }{}, // never asked, nor are the next nine
		Bans:     struct{ bans }{}, Reports: struct{ reports }{}, Rooms: struct{ rooms }{}, Announcements: struct{ announcements }{},
		Videos: struct{ videos }{}, Lives: struct{ lives }{}, Streams: struct{ streams }{}, Records: struct{ records }{}, Queues: struct{ queues }{},
		VideoLink: func(string, int64) (string, string) { return "", "" },
		Doctor:    func(context.Context, bool) (protocol.Checkup, error) { return protocol.Checkup{}, nil },
		AuditLog:  func(context.Context, store.AuditFilter) ([]store.AuditEntry, error) { return nil, nil },
		Online:    func(int64) bool { return false },
		Status:    func(context.Context) protocol.Status { return protocol.Status{State: protocol.StateReady} },
		Config:    func() string { return "" },
		Reload:    func(context.Context) (applied, needRestart []string, err error) { return nil, nil, nil },
		Audit:     func(context.Context, store.AuditEntry) error { return nil },
		Grace:     time.Second,
		Logger:    slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// runServer serves in dir until the test ends and returns the socket's path.
func runServer(t *testing.T, s *Server, dir string) string {
	t.Helper()
	ln, err := Listen(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return filepath.Join(dir, protocol.ControlSocketName)
}

// TestAUserWithoutARoleCannotUseUpTheFiles opens connections as another user,
// in the child, and keeps them open.
func TestAUserWithoutARoleCannotUseUpTheFiles(t *testing.T) {
	if socket := os.Getenv(asOther); socket != "" { // the child
		os.Stderr.WriteString("answer: " + strconv.Itoa(countOpen(t, socket)) + "\n") //nolint:errcheck // the parent reads it
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to start processes of other users")
	}
	dir := openDir(t)
	s, err := New(quietDeps(t))
	if err != nil {
		t.Fatal(err)
	}
	socket := runServer(t, s, dir)
	if n := countOpen(t, socket); n != 100 {
		t.Errorf("root has %d connections of 100", n)
	}
	program := copyOfTestBinary(t, dir)
	asChild := func() string {
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestAUserWithoutARoleCannotUseUpTheFiles$") //nolint:gosec // ourselves
		cmd.Env = []string{asOther + "=" + socket}
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	const want = "answer: 64\n"
	if got := asChild(); !strings.Contains(got, want) {
		t.Errorf("got %q", got)
	}
	// Those connections ended with the child; the server forgets them soon.
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(asChild(), want); {
		if time.Now().After(deadline) {
			t.Fatal("closed connections are still counted")
		}
	}
	if _, err := client.New(socket).Status(t.Context()); err != nil {
		t.Errorf("root: %v", err)
	}
}

// countOpen opens 100 connections at the same time and says how many of them
// the server answers on.
func countOpen(t *testing.T, socket string) int {
	t.Helper()
	var d net.Dialer
	open := 0
	for range 100 {
		c, err := d.DialContext(t.Context(), "unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:revive // all stay open until the count is done
		_, err = io.WriteString(c, "GET /v1/status HTTP/1.1\r\nHost: gtiv\r\n\r\n")
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 12))
		}
		if err == nil {
			open++
		}
	}
	return open
}

func TestAPanicCostsOneRequest(t *testing.T) {
	d := quietDeps(t) // its Accounts are nil inside: calling them panics
	s, err := New(d)
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(runServer(t, s, openDir(t)))
	defer c.Close()
	if _, err := c.Users(t.Context(), protocol.UserFilter{}); err == nil || err.Error() != internalError().Message {
		t.Errorf("got %v", err)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("the next request: %v", err)
	}
}

func TestRequestsOfUnknownOriginAreRefused(t *testing.T) {
	s, err := New(quietDeps(t))
	if err != nil {
		t.Fatal(err)
	}
	// Without a unix connection there is no peer, as behind a misused handler.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gtiv/v1/status", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.answer(req); err == nil {
		t.Error("answered a request without a peer")
	}
}
