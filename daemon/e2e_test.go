//go:build linux

package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gtiv/protocol"
	"gtiv/protocol/client"
)

// This file starts, kills and asks the real program, built with the race
// detector. The journeys through it are testdata/script/*.txtar.

// The ports of wire.md 1, without the offset.
const (
	portComet = 2004
	portSub   = 2005
	portTLS   = 2006
	portVideo = 2009
	portImbiz = 2015
	portLast  = 2017
)

// patience is how long a test waits for what should come at once: the machine
// may be busy with other tests.
const patience = 60 * time.Second

// program is the binary under test, built once.
var program struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if program.dir != "" {
		_ = os.RemoveAll(program.dir)
	}
	os.Exit(code)
}

// gtivBinary builds the program with the race detector.
func gtivBinary(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the whole program: not with -short")
	}
	program.once.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "gtiv-e2e"); program.err != nil {
			return
		}
		program.path = filepath.Join(program.dir, "gtiv")
		build := exec.Command("go", "build", "-race", "-o", program.path, "gtiv")
		build.Env = append(os.Environ(), "CGO_ENABLED=1")
		if out, err := build.CombinedOutput(); err != nil {
			program.err = fmt.Errorf("build gtiv: %w\n%s", err, out)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return program.path
}

// logBuffer keeps what the daemon logs, over all its starts.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// server is a data folder and the daemon that runs on it, if one does. It is
// for one goroutine, but for call.
type server struct {
	binary string
	dir    string // DIR of --data
	work   string // working directory of the process; "": the test's
	flags  []string
	env    []string // on top of the test's own environment, without GTIV_*
	log    logBuffer
	// allow are log lines of level ERROR that the test provokes.
	allow []*regexp.Regexp

	offset int
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process ended
	err    error         // of the process, once ended
	http   *http.Client
}

// newServer starts a daemon on an empty folder, and stops it after the test.
func newServer(t *testing.T, env ...string) *server {
	t.Helper()
	s := idleServer(t, env...)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// idleServer is newServer without the start.
func idleServer(t *testing.T, env ...string) *server {
	t.Helper()
	binary := gtivBinary(t)
	// The path of a unix socket must be short: t.TempDir has the test's name in it.
	dir, err := os.MkdirTemp("", "gtiv")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{binary: binary, dir: filepath.Join(dir, "data"), env: env}
	t.Cleanup(func() {
		s.kill()
		for _, problem := range s.problems() {
			t.Error(problem)
		}
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", tail(s.log.String(), 20_000))
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

func tail(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return "…" + text[len(text)-n:]
}

// problems finds in the log what no test may leave behind.
func (s *server) problems() []string {
	var found []string
	for line := range strings.Lines(s.log.String()) {
		bad := strings.Contains(line, "WARNING: DATA RACE") || strings.Contains(line, "panic:") ||
			strings.Contains(line, "fatal error:") || strings.Contains(line, "level=ERROR")
		if bad && !slices.ContainsFunc(s.allow, func(re *regexp.Regexp) bool { return re.MatchString(line) }) {
			found = append(found, "in the log: "+strings.TrimSpace(line))
		}
	}
	return found[:min(len(found), 10)]
}

// usedOffsets keeps parallel tests from taking the same ports.
var usedOffsets sync.Map

// freeOffset finds a block of ports nobody listens on. All lie below the range
// from which the kernel takes ports of outgoing connections.
func freeOffset() (int, error) {
	for range 500 {
		offset := 6000 + 20*rand.IntN(1200)
		if _, used := usedOffsets.LoadOrStore(offset, true); !used && blockFree(offset) {
			return offset, nil
		}
	}
	return 0, errors.New("no free block of ports")
}

func blockFree(offset int) bool {
	for port := portComet; port <= portLast; port++ {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset)))
		if err != nil {
			return false
		}
		_ = ln.Close()
	}
	return true
}

// start starts the daemon and waits until it is ready. Later starts use the
// same ports.
func (s *server) start() error {
	for first := s.offset == 0; ; {
		if s.offset == 0 {
			var err error
			if s.offset, err = freeOffset(); err != nil {
				return err
			}
		}
		before := len(s.log.String())
		err := s.launch()
		if err == nil {
			err = s.waitReady()
		}
		if err == nil || !first || !strings.Contains(s.log.String()[before:], "is in use") {
			return err
		}
		s.offset = 0 // somebody was faster
	}
}

// launch starts the process only.
func (s *server) launch() error {
	args := append([]string{"serve", "--data", s.dir, "--bind", "127.0.0.1", "--port-offset", strconv.Itoa(s.offset)}, s.flags...)
	s.cmd = exec.Command(s.binary, args...)
	s.cmd.Env = append(cleanEnv(), s.env...)
	s.cmd.Dir = s.work
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	// Nothing stays behind, however the test ends.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// Connections live on between calls, as the app's do; a new process gets new ones.
	s.http = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start gtiv: %w", err)
	}
	ended := make(chan struct{})
	s.ended = ended
	cmd := s.cmd
	go func() {
		s.err = cmd.Wait()
		close(ended)
	}()
	return nil
}

// cleanEnv is the test's environment without what would change the daemon.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GTIV_") || strings.HasPrefix(v, "NOTIFY_SOCKET=") || strings.HasPrefix(v, "WATCHDOG_") ||
			strings.HasPrefix(v, "RUNTIME_DIRECTORY=")
	})
}

func (s *server) waitReady() error {
	limit := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if st, err := s.status(); err == nil && st.PID == s.cmd.Process.Pid {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the daemon ended before it was ready: %v\n%s", s.err, tail(s.log.String(), 4000))
		case <-limit:
			return fmt.Errorf("the daemon did not get ready\n%s", tail(s.log.String(), 4000))
		case <-tick.C:
		}
	}
}

// status asks over the control socket.
func (s *server) status() (*protocol.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := client.New(client.Find("", s.dir))
	defer c.Close()
	return c.Status(ctx)
}

// running is whether the process is there.
func (s *server) running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// kill is kill -9.
func (s *server) kill() {
	if s.running() {
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
}

// stop is SIGTERM, after which the daemon must end in peace.
func (s *server) stop() error {
	if !s.running() {
		return fmt.Errorf("the daemon does not run: %v", s.err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.waitEnd()
}

func (s *server) waitEnd() error {
	select {
	case <-s.ended:
		return s.err
	case <-time.After(patience):
		return errors.New("the daemon does not end")
	}
}

// address is where a port of wire.md 1 is.
func (s *server) address(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+s.offset))
}

// request is a call as a client sends it.
type request struct {
	method, path, token string
	body                string
	contentType         string
	language            string
	port                int // imbiz unless set
	client              *http.Client
	scheme              string
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
	json   any // nil when the body is no JSON
}

// call sends a request. Any goroutine may use it while the server runs.
func (s *server) call(r request) (*reply, error) {
	if r.port == 0 {
		r.port = portImbiz
	}
	if r.client == nil {
		r.client = s.http
	}
	if r.scheme == "" {
		r.scheme = "http"
	}
	req, err := http.NewRequest(r.method, r.scheme+"://"+s.address(r.port)+r.path, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	// As the app does: the headers are there, empty or not (wire.md 2.1).
	req.Header.Set("Authorization", r.token)
	req.Header.Set("LastLoginTime", "0")
	if r.language != "" {
		req.Header.Set("LanguageCode", r.language)
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", r.path, err)
	}
	rep := &reply{status: res.StatusCode, header: res.Header, body: body}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&rep.json) != nil {
		rep.json = nil
	}
	return rep, nil
}

func (r *reply) String() string { return fmt.Sprintf("HTTP %d: %.2000s", r.status, r.body) }

// ok is a success in every respect.
func (r *reply) ok() bool { return r.status == http.StatusOK && r.value("ApiCode") == "0" }

// get finds a value by a path such as "List.0.UserId"; "List.len" is a length.
func (r *reply) get(path string) (any, bool) {
	v := r.json
	for step := range strings.SplitSeq(path, ".") {
		switch o := v.(type) {
		case map[string]any:
			inner, ok := o[step]
			if !ok {
				return nil, false
			}
			v = inner
		case []any:
			if step == "len" {
				v = json.Number(strconv.Itoa(len(o)))
				continue
			}
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(o) {
				return nil, false
			}
			v = o[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// value is a value as text, "(missing)" when it is not there.
func (r *reply) value(path string) string {
	switch path {
	case "http":
		return strconv.Itoa(r.status)
	case "body":
		return string(r.body)
	}
	if name, ok := strings.CutPrefix(path, "header."); ok {
		return r.header.Get(name)
	}
	v, ok := r.get(path)
	if !ok {
		return "(missing)"
	}
	if text, ok := v.(string); ok {
		return text
	}
	text, _ := json.Marshal(v) // it was JSON before
	return string(text)
}

// kindOf names the JSON type of a value.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case json.Number:
		return "number"
	case bool:
		return "bool"
	case []any:
		return "array"
	}
	return "object"
}

// person is an account of a test, on one device.
type person struct {
	id    int64
	token string
}

const passwordOfAll = "secret-of-all"

// register signs somebody up.
func (s *server) register(name string) (person, error) {
	return s.enter("/user/register-by-username", name, passwordOfAll)
}

// login opens another session.
func (s *server) login(name, password string) (person, error) {
	return s.enter("/user/login", name, password)
}

func (s *server) enter(path, name, password string) (person, error) {
	body, _ := json.Marshal(map[string]string{"username": name, "password": password})
	r, err := s.call(request{method: http.MethodPost, path: path, body: string(body), contentType: "application/json"})
	if err != nil {
		return person{}, err
	}
	if !r.ok() {
		return person{}, fmt.Errorf("%s %s: %s", path, name, r)
	}
	id, err := strconv.ParseInt(r.value("Userinfo.UserId"), 10, 64)
	return person{id: id, token: r.value("Userinfo.Token")}, err
}

// send sends a private message as the app does.
func (s *server) send(from person, to int64, text, clientMsgID string) (*reply, error) {
	return s.sendBy(s.http, from, to, text, clientMsgID)
}

// sendBy is send with another HTTP client.
func (s *server) sendBy(by *http.Client, from person, to int64, text, clientMsgID string) (*reply, error) {
	body := map[string]string{"Type": "0", "Message": text, "ToUsers": strconv.FormatInt(to, 10)}
	if clientMsgID != "" {
		body["ClientMsgId"] = clientMsgID
	}
	b, _ := json.Marshal(body) // strings marshal
	return s.call(request{
		method: http.MethodPost, path: "/imlogic/push-mid", token: from.token, body: string(b), contentType: "application/json", client: by,
	})
}

// befriend makes two people contacts: one applies, the other accepts.
func (s *server) befriend(a, b person) error {
	apply := fmt.Sprintf(`{"Type":7,"Message":"hello","ToUsers":"%d"}`, b.id)
	accept := fmt.Sprintf(`{"UserId":"%d","Type":1}`, a.id)
	for _, r := range []request{
		{method: http.MethodPost, path: "/imlogic/push-mid", token: a.token, body: apply, contentType: "application/json"},
		{method: http.MethodPost, path: "/contacts/add", token: b.token, body: accept, contentType: "application/json"},
	} {
		rep, err := s.call(r)
		if err != nil {
			return err
		}
		if !rep.ok() {
			return fmt.Errorf("befriend: %s: %s", r.path, rep)
		}
	}
	return nil
}

// must fails the test on an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("it never came true that %s", what)
		}
		<-tick.C
	}
}
