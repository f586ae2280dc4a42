package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/daemon/apptest"
	"gtiv/daemon/gateway"
	"gtiv/protocol"
)

// unhurt fails when the app lost anything or would have reconnected.
func unhurt(t *testing.T, a *apptest.App) {
	t.Helper()
	for _, e := range a.Errors() {
		t.Errorf("the app suffered: %v", e)
	}
}

func TestAppGetsABurstCompleteInOrderAndPaced(t *testing.T) {
	s := start(t, quick())
	a := s.app(t, 1, 11)
	const n = 60
	for i := range uint64(n) {
		if s.Push(1, text(i+1, 300)) != 1 {
			t.Fatalf("push %d was not queued", i)
		}
	}
	if !a.WaitMessages(n, soon) {
		t.Fatalf("%d of %d messages, errors %v", len(a.Messages()), n, a.Errors())
	}
	for i, m := range a.Messages() {
		if m.ServerMsgID != fmt.Sprintf("id-%d", i+1) {
			t.Fatalf("message %d is %s", i, m.ServerMsgID)
		}
	}
	reads := a.Reads()[1:] // the first is op 8
	for i, r := range reads {
		if r.Bytes > 1400 {
			t.Errorf("F2: read of %d bytes", r.Bytes)
		}
		if i > 0 && r.At.Sub(reads[i-1].At) < 30*time.Millisecond {
			t.Errorf("F3: %v between two reads", r.At.Sub(reads[i-1].At))
		}
	}
	if gap := reads[0].At.Sub(a.Reads()[0].At); gap < 100*time.Millisecond {
		t.Errorf("F4: data %v behind op 8", gap)
	}
	unhurt(t, a)
}

func TestAppFrameOfExactlyTheBufferAndNothingLarger(t *testing.T) {
	s := start(t, quick())
	a := s.app(t, 1, 11)
	if n := s.Push(1, text(1, protocol.MaxPushBody+1)); n != 0 {
		t.Errorf("F1: a frame over 4096 bytes was queued on %d connections", n)
	}
	for i := range uint64(5) {
		s.Push(1, text(i+2, protocol.MaxPushBody))
	}
	if !a.WaitMessages(5, soon) {
		t.Fatalf("%d messages, errors %v", len(a.Messages()), a.Errors())
	}
	for _, r := range a.Reads()[1:] {
		if r.Bytes != 4096 {
			t.Errorf("F2: a frame of 4096 bytes came as %d", r.Bytes)
		}
	}
	unhurt(t, a)
	if got := s.Stats().Unreadable; got != 1 {
		t.Errorf("%d pushes counted as unreadable, want 1", got)
	}
}

// 4093 to 4095 bytes overrun the app's buffer (wire.md 7.5 F3): a frame of that
// size does not go to it.
func TestAppIsNeverGivenAFrameThatOverrunsItsBuffer(t *testing.T) {
	s := start(t, quick())
	a := s.app(t, 1, 11)
	for n := protocol.MaxPushBody - 3; n < protocol.MaxPushBody; n++ {
		if got := s.Push(1, text(uint64(n), n)); got != 0 { //nolint:gosec // small
			t.Errorf("F3: a frame of %d bytes was queued", protocol.HeaderBytes+n)
		}
	}
	s.Push(1, text(1, protocol.MaxPushBody-4))
	if !a.WaitMessages(1, soon) {
		t.Fatalf("no message, errors %v", a.Errors())
	}
	unhurt(t, a)
}

func TestAppHeartbeatRepliesStandAloneBetweenData(t *testing.T) {
	s := start(t, quick())
	a := s.app(t, 1, 11)
	const n = 40
	for i := range uint64(n) {
		s.Push(1, text(i+1, 900))
		// Several heartbeat threads of one app (7.4), all over the stream of data.
		for range 3 {
			if err := a.Heartbeat(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Duration(i%5) * 20 * time.Millisecond)
	}
	if !a.WaitMessages(n, soon) {
		t.Fatalf("%d messages, errors %v", len(a.Messages()), a.Errors())
	}
	if err := a.Heartbeat(); err != nil {
		t.Fatal(err)
	}
	if !a.Wait(soon, func(a *apptest.App) bool { return a.Beats() > 0 }) {
		t.Error("a heartbeat in the silence behind the data was not answered")
	}
	s.Push(1, text(n+1, 900))
	if !a.WaitMessages(n+1, soon) {
		t.Error("the message behind the op 3 is missing")
	}
	checkAlone(t, a, 110*time.Millisecond)
	unhurt(t, a)
}

// checkAlone checks F4: op 3 and 8 alone in a read, with silence around.
func checkAlone(t *testing.T, a *apptest.App, silence time.Duration) {
	t.Helper()
	reads := a.Reads()
	for i, r := range reads {
		for _, op := range r.Ops {
			if (op == protocol.OpHeartbeatReply || op == protocol.OpAuthReply) && len(r.Ops) > 1 {
				t.Errorf("F4: read %d holds %v", i, r.Ops)
			}
		}
		if i == 0 || r.Ops[0] != protocol.OpHeartbeatReply && reads[i-1].Ops[0] >= protocol.OpPrivate {
			continue
		}
		if gap := r.At.Sub(reads[i-1].At); gap < silence {
			t.Errorf("F4: %v between ops %v and %v", gap, reads[i-1].Ops, r.Ops)
		}
	}
}

func TestAppHeartbeatsInARowAreAnsweredByOne(t *testing.T) {
	s := start(t, quick())
	a := s.app(t, 1, 11)
	for range 10 {
		if err := a.Heartbeat(); err != nil {
			t.Fatal(err)
		}
	}
	if !a.Wait(soon, func(a *apptest.App) bool { return a.Beats() > 0 }) {
		t.Fatal("no answer")
	}
	if a.Wait(500*time.Millisecond, func(a *apptest.App) bool { return a.Beats() > 1 }) {
		t.Errorf("%d answers to one bunch of heartbeats", a.Beats())
	}
	for _, r := range a.Reads() {
		if r.Ops[0] == protocol.OpHeartbeatReply && r.Bytes != 20 {
			t.Errorf("op 3 of %d bytes, want 20", r.Bytes)
		}
	}
	unhurt(t, a)
}

func TestAppNeverSeesAnotherOp(t *testing.T) {
	s := start(t, quick())
	a := s.app(t, 1, 11)
	raw, err := apptest.Dial(t.Context(), s.tcp, apptest.ClientConfig{Token: "2.22", Platform: "android", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	for _, op := range []protocol.Op{0, 4, 7, 9, 12, 14, 16, 18, 20, 21, 99, 100, 5000} {
		if err := raw.Write(op, 1, []byte("1,2")); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := raw.ReadWithin(400 * time.Millisecond); err == nil {
		t.Errorf("F5: answered op %d", f.Op)
	}
	for _, p := range []*gateway.Push{
		{Op: protocol.OpNotice, Body: []byte(`{"Kind":"typing"}`)},
		{Op: 13, Body: text(1, 0).Body},
		{Op: protocol.OpPrivate, Body: []byte(`{"ChatType":1}`)},
		{Op: protocol.OpPrivate, Body: []byte(strings.Replace(string(text(1, 0).Body), `"Content":"1 "`, `"Content":null`, 1))},
		{Op: protocol.RoomOp(9), Body: text(1, 0).Body}, // a room message without RoomId
		{Op: protocol.OpPrivate, Body: []byte(`[]`)},
		{Op: protocol.OpPrivate},
	} {
		if n := s.Push(1, p); n != 0 {
			t.Errorf("F6: op %d %s was queued", p.Op, p.Body)
		}
	}
	s.Push(1, text(2, 0))
	if !a.WaitMessages(1, soon) {
		t.Fatal("the good push did not come")
	}
	unhurt(t, a)
}

func TestAppIsLeftInPeaceAfterASlowPush(t *testing.T) {
	s := start(t, quick())
	a := s.app(t, 1, 11)
	s.Push(1, text(1, 0))
	slow := text(2, 0)
	slow.Slow = true
	s.Push(1, slow)
	s.Push(1, text(3, 0))
	if err := a.Heartbeat(); err != nil {
		t.Fatal(err)
	}
	if !a.WaitMessages(3, soon) {
		t.Fatal("messages missing")
	}
	m := a.Messages()
	if gap := m[2].At.Sub(m[1].At); gap < 290*time.Millisecond {
		t.Errorf("F7: %v behind a slow push", gap)
	}
	unhurt(t, a)
}

func TestAppThatReadsLateNeverGetsControlAndDataTogether(t *testing.T) {
	// The reader sleeps, as it does during HTTP, longer than any gap but shorter
	// than the pause behind a slow push.
	s := start(t, quick())
	a := s.appWith(t, apptest.AppConfig{
		Token: "1.11", User: 1, Heartbeat: 50 * time.Millisecond, Stop: func() { time.Sleep(30 * time.Millisecond) },
	})
	for i := range uint64(30) {
		s.Push(1, text(i+1, 200))
		time.Sleep(15 * time.Millisecond)
	}
	if !a.WaitMessages(30, soon) {
		t.Fatalf("%d messages, errors %v", len(a.Messages()), a.Errors())
	}
	unhurt(t, a)
}

func TestAppHearsSomethingInALongSilence(t *testing.T) {
	cfg := quick()
	cfg.App.Silence = 300 * time.Millisecond
	s := start(t, cfg)
	a := s.app(t, 1, 11) // sends no heartbeat, as after a check-online reconnect
	if !a.Wait(soon, func(a *apptest.App) bool { return a.Beats() >= 3 }) {
		t.Fatal("no op 3 unasked")
	}
	reads := a.Reads()
	for i := 1; i < 4; i++ {
		if gap := reads[i].At.Sub(reads[i-1].At); gap < 280*time.Millisecond || gap > 2*time.Second {
			t.Errorf("silence of %v", gap)
		}
	}
	unhurt(t, a)
}

func TestAppThatSendsNothingIsResetWhenIdle(t *testing.T) {
	cfg := quick()
	cfg.Idle = 250 * time.Millisecond
	s := start(t, cfg)
	a := s.app(t, 1, 11)
	if !a.WaitError(apptest.Reset, soon) {
		t.Fatalf("errors %v, want a reset", a.Errors())
	}
	eventually(t, "user offline", func() bool { return !s.Online(1) && s.Connections() == 0 })
}

func TestAppIsToldAndResetOnKick(t *testing.T) {
	s := start(t, quick(), func(d *gateway.Deps) { d.RevokedText = func(string) string { return "bye" } })
	a, other := s.app(t, 1, 11), s.app(t, 1, 12)
	if n := s.Kick(11); n != 1 {
		t.Fatalf("kicked %d connections", n)
	}
	if s.SessionOnline(11) || !s.SessionOnline(12) {
		t.Error("the wrong login session is online")
	}
	if !a.WaitError(apptest.Reset, soon) {
		t.Fatalf("errors %v, want a reset", a.Errors())
	}
	m := a.Messages()
	if len(m) != 1 || m[0].MsgType != int(protocol.TypeElsewhere) || m[0].Content != "bye" || m[0].FromUser != "0" || m[0].ChatType != 1 || m[0].ToUsers != "1" {
		t.Fatalf("messages %+v", m)
	}
	if gap := a.Errors()[0].At.Sub(m[0].At); gap < 145*time.Millisecond {
		t.Errorf("reset %v behind the last push", gap)
	}
	if other.Wait(100*time.Millisecond, func(a *apptest.App) bool { return len(a.Errors()) > 0 }) {
		t.Errorf("the other login session suffered: %v", other.Errors())
	}
}

// Found by a reviewer: the farewell was in the site's language, not the reader's.
func TestKickSpeaksTheReadersLanguage(t *testing.T) {
	s := start(t, quick(), func(d *gateway.Deps) {
		d.RevokedText = func(language string) string { return "bye in " + language }
		d.Authenticate = func(_ context.Context, token string) (gateway.Identity, error) {
			return gateway.Identity{User: 1, Session: 11, Language: token}, nil
		}
	})
	for _, language := range []string{"zh", "en"} {
		a, err := apptest.DialApp(s.tcp, apptest.AppConfig{Token: language, User: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if !a.WaitLogin(soon) {
			t.Fatalf("no op 8, errors %v", a.Errors())
		}
		if n := s.Kick(11); n != 1 {
			t.Fatalf("kicked %d connections", n)
		}
		if !a.WaitMessages(1, soon) || a.Messages()[0].Content != "bye in "+language {
			t.Errorf("%s: told %+v", language, a.Messages())
		}
	}
}

// A session that ends between the question for its token and its entry into what
// Kick finds must not live on.
func TestASessionThatEndsWhileItLogsInIsToldAndReset(t *testing.T) {
	var asked atomic.Int32
	s := start(t, quick(), func(d *gateway.Deps) {
		d.Authenticate = func(context.Context, string) (gateway.Identity, error) {
			if asked.Add(1) > 1 {
				return gateway.Identity{User: 1, Session: 11}, gateway.ErrRevoked
			}
			return gateway.Identity{User: 1, Session: 11}, nil
		}
	})
	a, err := apptest.DialApp(s.tcp, apptest.AppConfig{Token: "any", User: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if !a.WaitError(apptest.Reset, soon) {
		t.Fatalf("errors %v, want a reset", a.Errors())
	}
	if got := a.Messages(); len(got) != 1 || got[0].MsgType != 16 {
		t.Errorf("told %+v", got)
	}
}

func TestAppWithARevokedTokenIsToldAndReset(t *testing.T) {
	s := start(t, quick())
	a, err := apptest.DialApp(s.tcp, apptest.AppConfig{Token: "revoked 1.11", User: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if !a.WaitError(apptest.Reset, soon) {
		t.Fatalf("errors %v, want a reset", a.Errors())
	}
	if a.Logins() != 1 || len(a.Messages()) != 1 || a.Messages()[0].MsgType != 16 || len(a.Errors()) != 1 {
		t.Fatalf("logins %d, messages %+v, errors %v", a.Logins(), a.Messages(), a.Errors())
	}
	checkAlone(t, a, 110*time.Millisecond)
	s.locked(func() {
		if len(s.opened)+len(s.closed) != 0 {
			t.Error("a revoked session was reported as opened")
		}
	})
}

func TestAppIsResetOnShutdown(t *testing.T) {
	s := start(t, quick())
	a := s.app(t, 1, 11)
	s.stop()
	if !a.WaitError(apptest.Reset, soon) || len(a.Errors()) != 1 {
		t.Fatalf("errors %v, want one reset", a.Errors())
	}
}

func TestAppIsNotResetRightBehindAPush(t *testing.T) {
	for name, end := range map[string]func(s *site){
		"close":    func(s *site) { s.CloseSession(11) },
		"shutdown": func(s *site) { go s.stop() },
	} {
		s := start(t, quick())
		a := s.app(t, 1, 11)
		s.Push(1, text(1, 0))
		if !a.WaitMessages(1, soon) {
			t.Fatal("no message")
		}
		end(s)
		if !a.WaitError(apptest.Reset, soon) {
			t.Fatalf("%s: errors %v, want a reset", name, a.Errors())
		}
		if gap := a.Errors()[0].At.Sub(a.Messages()[0].At); gap < 140*time.Millisecond {
			t.Errorf("%s: reset %v behind the last push", name, gap)
		}
		s.stop()
	}
}

func TestAppComesBackAfterAReset(t *testing.T) {
	s := start(t, quick())
	a := s.appWith(t, apptest.AppConfig{Token: "1.11", User: 1, Heartbeat: -1, Reconnect: true, ReconnectAfter: 20 * time.Millisecond})
	s.CloseSession(11)
	if !a.Wait(soon, func(a *apptest.App) bool { return a.Logins() == 2 }) {
		t.Fatalf("%d logins, errors %v", a.Logins(), a.Errors())
	}
	eventually(t, "push after the return", func() bool { return s.Push(1, text(1, 0)) == 1 })
	if !a.WaitMessages(1, soon) {
		t.Fatal("no message after the return")
	}
}

func TestAppThatStopsReadingIsReset(t *testing.T) {
	cfg := quick()
	cfg.QueueFrames = 20
	s := start(t, cfg)
	gate := make(chan struct{})
	stopped := make(chan struct{}, 1000)
	a := s.appWith(t, apptest.AppConfig{Token: "1.11", User: 1, Heartbeat: -1, Stop: func() {
		stopped <- struct{}{}
		if len(stopped) > 1 {
			<-gate
		}
	}})
	eventually(t, "overflow", func() bool { s.Push(1, text(1, 4000)); return s.Stats().Overflows > 0 })
	close(gate)
	if !a.WaitError(apptest.Reset, soon) {
		t.Fatalf("errors %v, want a reset", a.Errors())
	}
}

func TestPlainClientWithoutPlatformMayJoinARoomAndIsPaced(t *testing.T) {
	s := start(t, quick())
	a := s.app(t, 1, 11)
	// The op that the app never sends, on a connection the gateway takes for one.
	if err := a.Write(protocol.OpChangeRoom, []byte("live_5")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "joined", func() bool { return s.RoomOnline("live_5") == 1 })
	m := protocol.Message{ChatType: protocol.ChatLive, RoomID: 5, FromUser: 7, Content: strings.Repeat("y", 500), ServerMsgID: "x"}
	for range 20 {
		s.Publish("live_5", gateway.Broadcast{Op: protocol.RoomOp(5), Body: protocol.MessageJSON(&m, false)})
	}
	if !a.WaitMessages(20, soon) {
		t.Fatalf("%d messages, errors %v", len(a.Messages()), a.Errors())
	}
	for _, r := range a.Reads() {
		if r.Bytes > 1400 {
			t.Errorf("read of %d bytes", r.Bytes)
		}
	}
	unhurt(t, a)
}
