//go:build linux

package daemon_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gtiv/daemon/apptest"
	"gtiv/protocol"
)

// anyCertificate takes the certificate that the daemon signed itself.
var anyCertificate = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // made a moment ago, on loopback

var insecureClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: anyCertificate}}

// couple registers two people who are friends.
func couple(t *testing.T, s *server) (alice, bob person) {
	t.Helper()
	alice, bob = must(s.register("alice"))(t), must(s.register("bob"))(t)
	if err := s.befriend(alice, bob); err != nil {
		t.Fatal(err)
	}
	return alice, bob
}

// connectApp connects the Android app and waits until it is logged in.
func connectApp(t *testing.T, s *server, p person) *apptest.App {
	t.Helper()
	app := must(apptest.DialApp(s.address(portComet), apptest.AppConfig{Token: p.token, User: p.id}))(t)
	t.Cleanup(app.Close)
	if !app.WaitLogin(patience) {
		t.Fatalf("no op 8: %v", app.Errors())
	}
	return app
}

// halfRequest is a send whose body is still on its way.
type halfRequest struct {
	net.Conn
	rest string
}

func beginSend(t *testing.T, s *server, from person, to int64, text string) *halfRequest {
	t.Helper()
	body := fmt.Sprintf(`{"Type":0,"Message":%q,"ToUsers":"%d"}`, text, to)
	c := must(net.Dial("tcp", s.address(portImbiz)))(t)
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	// The server's answer to "Expect" proves that it works on the request.
	_, err := fmt.Fprintf(c, "POST /imlogic/push-mid HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Type: application/json\r\n"+
		"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", s.address(portImbiz), from.token, len(body))
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if n, err := c.Read(line); err != nil || !strings.Contains(string(line[:n]), "100 Continue") {
		t.Fatalf("no 100 Continue but %q, %v", line[:n], err)
	}
	return &halfRequest{c, body}
}

func TestSIGTERMFinishesRequestsAndResetsApps(t *testing.T) {
	t.Parallel()
	s := newServer(t, "GTIV_DAEMON_GRACE=30s")
	alice, bob := couple(t, s)
	app := connectApp(t, s, bob)
	half := beginSend(t, s, alice, bob.id, "at the last moment")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !app.WaitError(apptest.Reset, patience) {
		t.Fatalf("the app was not reset: %v", app.Errors())
	}
	for _, e := range app.Errors() {
		if e.Kind != apptest.Reset {
			t.Errorf("the app suffered: %v", e)
		}
	}
	if !s.running() {
		t.Fatal("the daemon did not wait for a running request")
	}
	eventually(t, "new connections are refused while stopping", func() bool {
		c, err := net.Dial("tcp", s.address(portImbiz))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if _, err := half.Write([]byte(half.rest)); err != nil {
		t.Fatal(err)
	}
	res := must(http.ReadResponse(bufio.NewReader(half), nil))(t)
	defer res.Body.Close()
	var answer protocol.SendReply
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != 200 || answer.ServerMsgID == "" {
		t.Fatalf("the running request ended with %d %+v, %v", res.StatusCode, answer, err)
	}
	if err := s.waitEnd(); err != nil {
		t.Errorf("exit: %v", err)
	}
	// What was answered is there after the next start.
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	rep := must(s.call(request{method: "GET", path: "/chat/sync-private-message?LastMessageTime=0", token: bob.token}))(t)
	if !strings.Contains(string(rep.body), answer.ServerMsgID) {
		t.Errorf("the message is not in the sync: %s", rep)
	}
}

func TestSecondSIGTERMKills(t *testing.T) {
	t.Parallel()
	s := newServer(t, "GTIV_DAEMON_GRACE=45s")
	alice, bob := couple(t, s)
	app := connectApp(t, s, bob)
	beginSend(t, s, alice, bob.id, "never finished")
	for _, ready := range []func() bool{
		func() bool { return app.WaitError(apptest.Reset, patience) }, // it is stopping
		func() bool { return true },
	} {
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if !ready() {
			t.Fatal("the app was not reset")
		}
	}
	started := time.Now()
	var ee *exec.ExitError
	if err := s.waitEnd(); !errors.As(err, &ee) {
		t.Fatalf("the daemon ended with %v", err)
	}
	if ws, ok := ee.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGTERM {
		t.Errorf("the daemon ended with %v, not by the signal", ee)
	}
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("the second signal took %v", took)
	}
	if err := s.start(); err != nil {
		t.Error(err)
	}
}

// manager is a service manager's end of NOTIFY_SOCKET.
type manager struct {
	*net.UnixConn
	t *testing.T
}

// until reads notices until one has the line, and returns that notice.
func (m manager) until(line string) string {
	m.t.Helper()
	buf := make([]byte, 4096)
	_ = m.SetReadDeadline(time.Now().Add(patience))
	for {
		n, err := m.Read(buf)
		if err != nil {
			m.t.Fatalf("no %s: %v", line, err)
		}
		for l := range strings.Lines(string(buf[:n])) {
			if strings.HasPrefix(l, line) {
				return string(buf[:n])
			}
		}
	}
}

func TestServiceManagerIsToldEverything(t *testing.T) {
	t.Parallel()
	dir := must(os.MkdirTemp("", "gtiv"))(t) // short enough for a socket
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn := must(net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}))(t)
	t.Cleanup(func() { _ = conn.Close() })
	m := manager{conn, t}

	s := newServer(t, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC="+strconv.Itoa(int((3*time.Second).Microseconds())))
	m.until("READY=1")
	m.until("WATCHDOG=1")
	if text := m.until("STATUS="); !strings.Contains(text, "0 connections") {
		t.Errorf("status is %q", text)
	}
	m.until("WATCHDOG=1")

	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if text := m.until("RELOADING=1"); !strings.Contains(text, "MONOTONIC_USEC=") {
		t.Errorf("reloading is %q", text)
	}
	m.until("READY=1")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.until("STOPPING=1")
	if err := s.waitEnd(); err != nil {
		t.Error(err)
	}
}

func TestEveryTransportReachesTheSameChat(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice, bob := couple(t, s)
	features := apptest.ClientConfig{Token: bob.token, Platform: "test", Features: []string{"sync"}}
	overTLS := features
	overTLS.TLS = anyCertificate
	clients := map[string]*apptest.Client{}
	for name, d := range map[string]struct {
		addr string
		cfg  apptest.ClientConfig
	}{
		"tcp": {s.address(portComet), features},
		"tls": {s.address(portTLS), overTLS},
		"ws":  {"ws://" + s.address(portSub) + "/sub", features},
	} {
		c := must(apptest.Dial(t.Context(), d.addr, d.cfg))(t)
		defer c.Close()
		clients[name] = c
	}
	wss, _, err := websocket.Dial(t.Context(), "wss://"+s.address(portTLS)+"/sub", &websocket.DialOptions{HTTPClient: insecureClient})
	if err != nil {
		t.Fatal(err)
	}
	defer wss.CloseNow()
	auth := fmt.Sprintf(`{"userToken":%q,"platform":"web"}`, bob.token)
	if err := wss.Write(t.Context(), websocket.MessageBinary, protocol.AppendFrame(nil, protocol.OpAuth, 1, []byte(auth))); err != nil {
		t.Fatal(err)
	}
	if _, frame, err := wss.Read(t.Context()); err != nil || len(frame) != protocol.HeaderBytes || frame[11] != byte(protocol.OpAuthReply) {
		t.Fatalf("wss: %x, %v instead of op 8", frame, err)
	}
	app := connectApp(t, s, bob)

	sent := must(s.send(alice, bob.id, "to all of them", ""))(t)
	if !sent.ok() {
		t.Fatal(sent)
	}
	id := sent.value("ServerMsgId")
	for name, c := range clients {
		f, err := c.Read()
		if err == nil && strings.Contains(string(f.Body), `"MsgType":8,`) {
			f, err = c.Read() // bob's own acceptance may still be on its way to his other devices
		}
		if err != nil || f.Op != protocol.OpPrivate || !strings.Contains(string(f.Body), id) {
			t.Errorf("%s got op %d %s, %v", name, f.Op, f.Body, err)
		}
	}
	if _, frame, err := wss.Read(t.Context()); err != nil || !strings.Contains(string(frame), id) {
		t.Errorf("wss got %q, %v", frame, err)
	}
	if !app.WaitMessages(1, patience) || app.Messages()[0].ServerMsgID != id {
		t.Errorf("the app got %+v, %v", app.Messages(), app.Errors())
	}
	// The API is there over TLS, with URLs to match.
	rep := must(s.call(request{method: "GET", path: "/video/home", scheme: "https", port: portTLS, client: insecureClient}))(t)
	if !rep.ok() || !strings.HasPrefix(rep.value("Endpoint"), "https://"+s.address(portTLS)+"/") {
		t.Errorf("over TLS: %s", rep)
	}
}
