package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/apptest"
	"gtiv/daemon/gateway"
	"gtiv/protocol"
)

const groupOp = protocol.Op(1_000_000_101)

// groupText is a message of a group, in both forms.
func groupText(seq uint64, from int64, content string) *gateway.Push {
	m := &protocol.Message{
		ChatType: protocol.ChatRoom, RoomID: 1_000_000_001, FromUser: from, Content: content,
		ServerMsgID: fmt.Sprint("id-", seq), Time: 1_800_000_000_000 + int64(seq), Conversation: "r:1000000001", Seq: seq,
	}
	return &gateway.Push{
		Op: groupOp, Body: protocol.MessageJSON(m, false), FeatureBody: protocol.MessageJSON(m, true), Conversation: 50, Seq: seq,
	}
}

// gathering makes a group of few members gather its messages.
func gathering() gateway.Config {
	c := quick()
	c.GroupDelayPerMember = 20 * time.Millisecond
	return c
}

// contentsUntil reads the contents of a group's frames until last has come.
func contentsUntil(t *testing.T, c *apptest.Client, last string) (list []string, batched bool) {
	t.Helper()
	for {
		f, err := c.Read()
		if err != nil {
			t.Fatalf("after %d frames: %v", len(list), err)
		}
		if f.Op != groupOp {
			t.Fatalf("op %d: %s", f.Op, f.Body)
		}
		_, rest, _ := strings.Cut(string(f.Body), `"Content":"`)
		content, _, _ := strings.Cut(rest, `"`)
		list, batched = append(list, content), batched || f.Batch
		if content == last {
			return list, batched
		}
	}
}

func numbered(n int, skip func(i int) bool) (list []string) {
	for i := range n {
		if skip == nil || !skip(i) {
			list = append(list, fmt.Sprint("m", i))
		}
	}
	return list
}

// Everybody gets everything once and in order, on every transport, in batches
// where they come fast; the cursors hear of every number.
func TestGroupMessagesReachAllInOrder(t *testing.T) {
	s := start(t, gathering())
	clients := map[string]*apptest.Client{}
	for i, over := range everyTransport {
		clients[over] = s.client(t, over, fmt.Sprintf("%d.%d", i+1, i+101))
	}
	feature := s.client(t, "ws", "4.104", "modern")
	app := s.app(t, 5, 105)
	members := []int64{1, 2, 3, 4, 5, 6}
	const n = 60
	for i := range n {
		s.PushGroup(7, gateway.GroupPush{Members: members, Author: 6, Push: groupText(uint64(i+1), 6, fmt.Sprint("m", i))})
	}
	for over, c := range clients {
		list, batched := contentsUntil(t, c, fmt.Sprint("m", n-1))
		if !slices.Equal(list, numbered(n, nil)) {
			t.Errorf("%s got %v", over, list)
		}
		if batched != (over == "ws") {
			t.Errorf("%s: inside op 9: %v", over, batched)
		}
	}
	if list, _ := contentsUntil(t, feature, fmt.Sprint("m", n-1)); !slices.Equal(list, numbered(n, nil)) {
		t.Errorf("the feature client got %v", list)
	}
	if !app.WaitMessages(n, 20*time.Second) || len(app.Errors()) > 0 {
		t.Fatalf("the app has %d messages, %v", len(app.Messages()), app.Errors())
	}
	for i, m := range app.Messages() {
		if m.Content != fmt.Sprint("m", i) {
			t.Fatalf("message %d of the app is %s", i, m.Content)
		}
	}
	for session := int64(101); session <= 105; session++ {
		eventually(t, fmt.Sprint("all is noted for ", session), func() bool { return slices.Equal(s.handedTo(session), upTo(n)) })
	}
}

func upTo(n int) (list []uint64) {
	for i := range n {
		list = append(list, uint64(i+1))
	}
	return list
}

// handedTo lists the numbers noted for a session, in order of the notes.
func (s *site) handedTo(session int64) (list []uint64) {
	s.locked(func() {
		for _, h := range s.handed {
			if h.session == session {
				list = append(list, h.seq)
			}
		}
	})
	return list
}

// An author's phones are not shown what they wrote, but it counts; other devices
// with features are.
func TestAuthorsOfAGroupAreNotShownTheirOwn(t *testing.T) {
	s := start(t, gathering())
	phone, modern, other := s.client(t, "tcp", "1.101"), s.client(t, "ws", "1.102", "modern"), s.client(t, "tcp", "2.103")
	members := []int64{1, 2}
	const n = 40
	for i := range n {
		s.PushGroup(7, gateway.GroupPush{
			Members: members, Author: int64(i%2 + 1), Push: groupText(uint64(i+1), int64(i%2+1), fmt.Sprint("m", i)),
		})
	}
	if list, _ := contentsUntil(t, other, "m38"); !slices.Equal(list, numbered(n, func(i int) bool { return i%2 == 1 })) {
		t.Errorf("the other got %v", list)
	}
	if list, _ := contentsUntil(t, phone, "m39"); !slices.Equal(list, numbered(n, func(i int) bool { return i%2 == 0 })) {
		t.Errorf("the author's phone got %v", list)
	}
	if list, _ := contentsUntil(t, modern, "m39"); !slices.Equal(list, numbered(n, nil)) {
		t.Errorf("the author's modern client got %v", list)
	}
	for session := int64(101); session <= 103; session++ {
		eventually(t, "own numbers are noted, too", func() bool {
			got := s.handedTo(session)
			slices.Sort(got)
			return slices.Equal(got, upTo(n))
		})
	}
}

// Who was removed gets one goodbye and nothing that still waited; who was
// invited gets the hello first; each in its place among the messages.
func TestAGroupSaysHelloAndGoodbyeInOrder(t *testing.T) {
	s := start(t, gathering())
	stays, goes, comes := s.client(t, "tcp", "1.101"), s.client(t, "tcp", "2.102"), s.client(t, "tcp", "3.103")
	before, between, after := []int64{1, 2}, []int64{1}, []int64{1, 3}
	s.PushGroup(7, gateway.GroupPush{Members: before, Push: groupText(1, 9, "m0")})
	s.PushGroup(7, gateway.GroupPush{Members: before, Push: groupText(2, 9, "m1")})
	s.PushGroup(7, gateway.GroupPush{
		Members: between, Conversation: 50, Each: func(int64) *gateway.Push { return groupText(3, 9, "removed") },
		Gone: []int64{2}, Part: func(int64) *gateway.Push { return groupText(0, 9, "goodbye") },
	})
	s.PushGroup(7, gateway.GroupPush{Members: between, Push: groupText(4, 9, "m3")})
	s.PushGroup(7, gateway.GroupPush{
		Members: after, Push: groupText(5, 9, "joined"), First: []int64{3},
		Greet: func(int64) *gateway.Push { return groupText(0, 9, "hello") },
	})
	s.PushGroup(7, gateway.GroupPush{Members: after, Push: groupText(6, 9, "end")})
	for c, want := range map[*apptest.Client]string{stays: "m0 m1 removed m3 joined end", goes: "m0 m1 goodbye", comes: "hello joined end"} {
		last := want[strings.LastIndex(want, " ")+1:]
		if list, _ := contentsUntil(t, c, last); strings.Join(list, " ") != want {
			t.Errorf("got %v, want %s", list, want)
		}
	}
	if err := goes.Write(protocol.OpHeartbeat, 1, nil); err != nil {
		t.Fatal(err)
	}
	expect(t, goes, protocol.OpHeartbeatReply)
}

// The app reads slowly: what still waits for it when it is removed is dropped.
func TestWhatWaitsForARemovedAppIsDropped(t *testing.T) {
	cfg := quick()
	cfg.App.Gap = 500 * time.Millisecond
	s := start(t, cfg)
	app := s.app(t, 2, 102)
	eventually(t, "the app is in", func() bool { return app.Logins() == 1 })
	both := []int64{1, 2}
	pad := strings.Repeat("x", 1200) // one a write
	for i := range 8 {
		s.PushGroup(7, gateway.GroupPush{Members: both, Push: groupText(uint64(i+1), 9, fmt.Sprint("m", i, pad))})
	}
	if !app.WaitMessages(1, 5*time.Second) {
		t.Fatal("nothing came")
	}
	s.PushGroup(7, gateway.GroupPush{
		Members: []int64{1}, Conversation: 50, Each: func(int64) *gateway.Push { return nil },
		Gone: []int64{2}, Part: func(int64) *gateway.Push { return groupText(0, 9, "goodbye") },
	})
	app.Wait(10*time.Second, func(a *apptest.App) bool {
		list := a.Messages()
		return len(list) > 0 && list[len(list)-1].Content == "goodbye"
	})
	if n := len(app.Messages()); n > 3 || app.Messages()[n-1].Content != "goodbye" || len(app.Errors()) > 0 {
		t.Errorf("%d messages, %v", n, app.Errors())
	}
}

// A caller waits when thousands of messages of one group wait, and never after
// the end.
func TestAGroupThatCannotFollowSlowsItsSender(t *testing.T) {
	cfg := quick()
	cfg.GroupDelayPerMember, cfg.GroupDelayMax = time.Minute, time.Minute
	s := start(t, cfg)
	members := []int64{1, 2}
	done := make(chan int)
	go func() {
		n := 0
		for ; n < 5000; n++ {
			s.PushGroup(7, gateway.GroupPush{Members: members, Push: groupText(uint64(n+1), 9, "x")})
		}
		done <- n
	}()
	select {
	case n := <-done:
		t.Fatalf("%d messages were queued", n)
	case <-time.After(300 * time.Millisecond):
	}
	s.stop()
	select {
	case <-done:
	case <-time.After(soon):
		t.Error("the caller waits for ever")
	}
}
