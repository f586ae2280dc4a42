//go:build linux

package daemon_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"gtiv/daemon/apptest"
	"gtiv/protocol"
)

// smallDisk puts the data folder of a server on a file system of its own.
func smallDisk(t *testing.T, s *server, size string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", s.dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		s.kill()
		if err := syscall.Unmount(s.dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fillDisk takes what is free; the answer gives it back.
func fillDisk(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f := must(os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600))(t)
	for size := 1 << 20; size > 0; size /= 2 {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// exitCode runs the program and returns how it ended and what it said.
func (s *server) exitCode(args ...string) (int, string) {
	cmd := exec.Command(s.binary, args...)
	cmd.Env = cleanEnv()
	out, err := cmd.CombinedOutput()
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		return ee.ExitCode(), string(out)
	}
	if err != nil {
		return -1, err.Error()
	}
	return 0, string(out)
}

var sayingItIsIll = regexp.MustCompile(`part is not well|disk|space`)

func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := idleServer(t, append(crashEnv, "GTIV_LOG_LEVEL=info")...)
	s.allow = append(s.allow, sayingItIsIll)
	smallDisk(t, s, "48m")
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	pid := s.cmd.Process.Pid
	alice, bob := couple(t, s)
	text := strings.Repeat("x", 2000)
	stored := map[string]int64{} // ServerMsgId → time of what was acknowledged
	keep := func(rep *reply) {
		t.Helper()
		var at int64
		if _, err := fmt.Sscan(rep.value("Time"), &at); err != nil {
			t.Fatalf("%v in %s", err, rep)
		}
		stored[rep.value("ServerMsgId")] = at
	}
	for round := range 2 {
		rep := must(s.send(alice, bob.id, text, ""))(t)
		if !rep.ok() {
			t.Fatalf("before the disk is full: %s", rep)
		}
		keep(rep)

		free := fillDisk(t, s.dir)
		refused := s.sendUntilRefused(t, alice, bob, text, keep)
		if refused.status != http.StatusInsufficientStorage || refused.value("ApiCode") != "1500" ||
			refused.value("ApiMessage") != protocol.Text("en", "diskFull") {
			t.Errorf("on a full disk a send is answered %s", refused)
		}
		s.lookAtFullDisk(t, alice)
		free()

		// Room again: everything works, without a restart.
		eventually(t, "sending works again", func() bool {
			rep := must(s.send(alice, bob.id, "room again", ""))(t)
			if rep.ok() {
				keep(rep)
			}
			return rep.ok()
		})
		eventually(t, "the daemon is well again", func() bool {
			code, _ := s.exitCode("status", "--data", s.dir)
			return code == 0
		})
		if _, err := s.login("alice", passwordOfAll); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if _, err := s.register(fmt.Sprint("new", round)); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
	if !s.running() || s.cmd.Process.Pid != pid {
		t.Fatal("the daemon died")
	}
	// Live delivery works, and a sync brings all that was acknowledged.
	bob2 := must(s.login("bob", passwordOfAll))(t)
	rep := must(s.call(request{method: http.MethodGet, path: "/chat/sync-private-message?LastMessageTime=0", token: bob2.token}))(t)
	for id := range stored {
		if !bytes.Contains(rep.body, []byte(id)) {
			t.Errorf("%s was acknowledged and is not in the sync", id)
		}
	}
	app := connectApp(t, s, bob2)
	last := must(s.send(alice, bob.id, "live", ""))(t)
	if !app.WaitMessages(1, patience) || app.Messages()[0].ServerMsgID != last.value("ServerMsgId") {
		t.Errorf("the app got %+v, %v", app.Messages(), app.Errors())
	}
	keep(last)
	app.Close()
	if err := s.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	found := map[string]int64{}
	for _, r := range readRows(t, s.dir) {
		found[r.id] = r.time
	}
	for id, at := range stored {
		if found[id] != at {
			t.Errorf("%s was acknowledged with time %d, the database has %d", id, at, found[id])
		}
	}
}

// sendUntilRefused fills what the database had left, and returns the refusal.
func (s *server) sendUntilRefused(t *testing.T, from, to person, text string, keep func(*reply)) *reply {
	t.Helper()
	for range 5000 {
		rep := must(s.send(from, to.id, text, ""))(t)
		if !rep.ok() {
			return rep
		}
		keep(rep)
	}
	t.Fatal("the disk never was full")
	return nil
}

// lookAtFullDisk looks at everything else while there is no room.
func (s *server) lookAtFullDisk(t *testing.T, alice person) {
	t.Helper()
	eventually(t, "status says degraded", func() bool {
		code, text := s.exitCode("status", "--data", s.dir)
		return code == 1 && strings.Contains(text, "degraded")
	})
	// In the reader's language.
	body := fmt.Sprintf(`{"Type":0,"Message":%q,"ToUsers":"%d"}`, strings.Repeat("y", 3000), alice.id+1)
	rep := must(s.call(request{
		method: http.MethodPost, path: "/imlogic/push-mid", token: alice.token, body: body, contentType: "application/json", language: "zh",
	}))(t)
	if want := protocol.Text("zh", "diskFull"); rep.value("ApiMessage") != want || rep.value("ApiCode") != "1500" {
		t.Errorf("in Chinese: %s, want %s", rep, want)
	}
	// What may crash the app answers 200 with the whole shape, also now (wire.md 2.4).
	login := must(s.call(request{
		method: http.MethodPost, path: "/user/login", body: fmt.Sprintf(`{"Username":"alice","Password":%q}`, passwordOfAll), contentType: "application/json",
	}))(t)
	if code := login.value("ApiCode"); login.status != http.StatusOK || code != "0" && code != "1500" {
		t.Errorf("login: %s", login)
	}
	register := must(s.call(request{
		method: http.MethodPost, path: "/user/register-by-username", body: fmt.Sprintf(`{"username":"%s","password":%q}`, strings.Repeat("n", 30), passwordOfAll),
		contentType: "application/json",
	}))(t)
	if code := register.value("ApiCode"); register.status != http.StatusOK || code != "0" && code != "1" {
		t.Errorf("register: %s", register)
	}
	// Reading goes on.
	for _, path := range []string{"/user/info", "/contacts/list", "/video/home", "/user/sessions"} {
		if rep := must(s.call(request{method: http.MethodGet, path: path, token: alice.token}))(t); !rep.ok() {
			t.Errorf("reading %s on a full disk: %s", path, rep)
		}
	}
	if rep := must(s.call(request{method: http.MethodGet, path: "/chat/sync-private-message?LastMessageTime=0", token: alice.token}))(t); !rep.ok() {
		t.Errorf("sync on a full disk: %s", rep)
	}
	app := connectApp(t, s, alice)
	app.Close()
	if !s.running() {
		t.Fatal("the daemon died")
	}
}

func TestStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := idleServer(t, crashEnv...)
	s.allow = append(s.allow, sayingItIsIll)
	smallDisk(t, s, "48m")

	// An empty folder: it must say why it does not start.
	free := fillDisk(t, s.dir)
	s.offset = must(freeOffset())(t)
	if err := s.start(); err == nil || !strings.Contains(err.Error(), "no space left") && !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("start with an empty folder on a full disk: %v", err)
	}
	s.kill()
	free()

	// One with a site in it, killed: it may start or say why not, and spoils nothing.
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	alice, bob := couple(t, s)
	sent := must(s.send(alice, bob.id, "before", ""))(t)
	if !sent.ok() {
		t.Fatal(sent)
	}
	s.kill()
	free = fillDisk(t, s.dir)
	if err := s.start(); err != nil && !strings.Contains(err.Error(), "no space left") && !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("start on a full disk: %v", err)
	} else {
		t.Logf("start on a full disk: %.300v", err)
	}
	s.kill()
	free()
	if err := s.start(); err != nil {
		t.Fatalf("start after there is room: %v", err)
	}
	rep := must(s.call(request{method: http.MethodGet, path: "/chat/sync-private-message?LastMessageTime=0", token: bob.token}))(t)
	if !bytes.Contains(rep.body, []byte(sent.value("ServerMsgId"))) {
		t.Errorf("the message is gone: %s", rep)
	}
	if rep := must(s.send(alice, bob.id, "after", ""))(t); !rep.ok() {
		t.Errorf("send after there is room: %s", rep)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	readRows(t, s.dir) // with its integrity check
}

// Found by a reviewer: connections to the HTTP ports could use up all files
// that the process may open; then chat and the control socket refused everybody.
func TestHTTPDoesNotTakeEverybodysFiles(t *testing.T) {
	t.Parallel()
	s := idleServer(t)
	script := filepath.Join(t.TempDir(), "gtiv")
	text := fmt.Sprintf("#!/bin/sh\nulimit -n 300\nexec %q \"$@\"\n", s.binary)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil { //nolint:gosec // to be run
		t.Fatal(err)
	}
	s.binary = script
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	alice, bob := couple(t, s)
	for i := range 900 {
		c := must(net.Dial("tcp", s.address([]int{portImbiz, portVideo, portTLS}[i%3])))(t)
		defer c.Close()
	}
	// Connections that were not closed at once are held now.
	connectApp(t, s, bob)
	eventually(t, "silent connections make room on the TLS port", func() bool {
		c, err := apptest.Dial(t.Context(), s.address(portTLS), apptest.ClientConfig{
			Token: alice.token, Platform: "test", Features: []string{"sync"}, TLS: anyCertificate,
		})
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	if code, out := s.exitCode("status", "--data", s.dir); code != 0 {
		t.Errorf("gtiv status: %d, %s", code, out)
	}
	if strings.Contains(s.log.String(), "too many open files") {
		t.Error("the daemon ran out of files")
	}
}
