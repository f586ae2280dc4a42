package apptest_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/apptest"
	"gtiv/protocol"
)

// script accepts one connection, answers op 8 once the client has sent
// something, and then runs the test's own part.
func script(t *testing.T, serve func(c *net.TCPConn)) *apptest.App {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	logged := make(chan struct{})
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write(protocol.AppendFrame(nil, protocol.OpAuthReply, 1, nil))
		<-logged
		serve(c.(*net.TCPConn))
	}()
	a, err := apptest.DialApp(ln.Addr().String(), apptest.AppConfig{Token: "t", User: 1, Heartbeat: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	if !a.WaitLogin(5 * time.Second) {
		t.Fatalf("no op 8: %v", a.Errors())
	}
	close(logged)
	return a
}

func push(from int64, content string) []byte {
	m := protocol.Message{ChatType: 1, FromUser: from, ToUsers: "1", Content: content, ServerMsgID: "id", Time: 1}
	return protocol.AppendFrame(nil, protocol.OpPrivate, 0, protocol.MessageJSON(&m, false))
}

func beat() []byte { return protocol.AppendFrame(nil, protocol.OpHeartbeatReply, 1, make([]byte, 4)) }

// The app's reader has the faults of wire.md 7.5: these are what the gateway's
// tests rest on.
func TestAppSuffersWhatTheRealOneSuffers(t *testing.T) {
	big := push(2, strings.Repeat("x", 4000))
	for name, c := range map[string]struct {
		bytes []byte
		want  apptest.Kind
	}{
		"data behind op 3":       {append(beat(), push(2, "x")...), apptest.Lost},
		"op 3 behind data":       {append(push(2, "x"), beat()...), apptest.Exception},
		"half a frame":           {push(2, "x")[:40], apptest.Exception},
		"frame over the buffer":  {push(2, strings.Repeat("x", 5000)), apptest.Exception},
		"two over the buffer":    {append(big, big...), apptest.Exception},
		"op 13":                  {protocol.AppendFrame(nil, protocol.OpChangeRoomOK, 1, nil), apptest.Exception},
		"a field that is null":   {protocol.AppendFrame(nil, 100, 0, []byte(`{"ChatType":1,"MsgType":0,"FromUser":"2","ToUsers":"1","Content":null,"ServerMsgId":"a","Time":1}`)), apptest.Exception},
		"a field that is absent": {protocol.AppendFrame(nil, 100, 0, []byte(`{"ChatType":1,"MsgType":0,"FromUser":"2","Content":"","ServerMsgId":"a","Time":1}`)), apptest.Exception},
		"room without RoomId":    {protocol.AppendFrame(nil, 101, 0, push(2, "x")[16:]), apptest.Exception},
	} {
		t.Run(name, func(t *testing.T) {
			a := script(t, func(conn *net.TCPConn) { _, _ = conn.Write(c.bytes) })
			if !a.WaitError(c.want, 5*time.Second) {
				t.Errorf("errors %v, want %s; messages %v", a.Errors(), c.want, a.Messages())
			}
		})
	}
}

func TestAppTellsAGracefulCloseFromAReset(t *testing.T) {
	a := script(t, func(c *net.TCPConn) { _ = c.CloseWrite() })
	if !a.WaitError(apptest.Spin, 5*time.Second) {
		t.Errorf("errors %v, want a spin", a.Errors())
	}
	a = script(t, func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() })
	if !a.WaitError(apptest.Reset, 5*time.Second) {
		t.Errorf("errors %v, want a reset", a.Errors())
	}
}

func TestAppReadsWhatItCan(t *testing.T) {
	a := script(t, func(c *net.TCPConn) {
		// Two frames in one read, one of them the app's own, which it drops.
		_, _ = c.Write(append(push(1, "own"), push(2, "  <hello>")...))
	})
	if !a.WaitMessages(1, 5*time.Second) || len(a.Errors()) != 0 {
		t.Fatalf("messages %v, errors %v", a.Messages(), a.Errors())
	}
	if m := a.Messages(); len(m) != 1 || m[0].Content != "  <hello>" || m[0].FromUser != "2" {
		t.Errorf("messages %+v", m)
	}
}
