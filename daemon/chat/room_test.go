package chat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/daemon/chat"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/queue"
)

// usual are the bounds of groups that a daemon has without a configuration.
func usual() chat.Config {
	return chat.Config{RoomMembers: 500, OwnedRooms: 100, RoomName: 20, RoomNotice: 200}
}

// phone is a user with a login session that is stored.
type phone struct {
	user int64
	c    chat.Caller
}

func (w *world) phone(name string) phone {
	w.t.Helper()
	a, err := w.store.CreateAccount(w.t.Context(), store.NewAccount{Username: name, Nickname: name, Role: store.RoleUser})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.another(a.ID)
}

// another is one more session of a user.
func (w *world) another(user int64) phone {
	w.t.Helper()
	hash := make([]byte, 32)
	copy(hash, fmt.Sprint(user, time.Now().UnixNano()))
	session, _, err := w.store.Login(w.t.Context(), store.NewLogin{Account: user, TokenHash: hash})
	if err != nil {
		w.t.Fatal(err)
	}
	return phone{user, chat.Caller{User: user, Session: session}}
}

// room makes a group of which the first is the owner.
func (w *world) room(owner phone, others ...phone) int64 {
	w.t.Helper()
	var ids []int64
	for _, o := range others {
		ids = append(ids, o.user)
	}
	by := owner.c
	by.Admin = true // who may invite strangers
	r, err := w.chat.Invite(w.t.Context(), by, 0, ids, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Room
}

func (w *world) say(p phone, room int64, text string) chat.Receipt {
	w.t.Helper()
	r, err := w.chat.SendRoom(w.t.Context(), p.c, chat.RoomSend{Room: room, Content: text})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// syncRoom is a sync of a room whose answer arrives.
func (w *world) syncRoom(p phone, room, last int64) []chat.Item {
	w.t.Helper()
	b, err := w.chat.SyncRoom(w.t.Context(), p.c, room, last)
	if err != nil {
		w.t.Fatal(err)
	}
	b.Sent(w.t.Context())
	return b.Items
}

// settle waits until everything committed so far was published.
func settle(w *world, p phone, room int64) {
	w.t.Helper()
	w.gw.connect(p.user, p.c.Session)
	w.say(p, room, "settled")
	flush(w)
	w.gw.disconnect(p.user)
	w.gw.take(p.user)
}

// What was read live and proved by a heartbeat never comes again, whatever the
// phone names as its time: live pushes do not move it (wire.md 9.2).
func TestARoomsDeliveredMessagesAreNotRepeated(t *testing.T) {
	w := newWorld(t, usual())
	a, b := w.phone("a"), w.phone("b")
	room := w.room(a, b)
	if got := len(w.syncRoom(b, room, 0)); got != 1 {
		t.Fatalf("%d messages at first", got)
	}
	flush(w)
	w.gw.connect(b.user, b.c.Session)
	for i := range 5 {
		w.say(a, room, fmt.Sprint("m", i))
	}
	flush(w)
	pushed := w.gw.take(b.user)
	if len(pushed) != 5 {
		t.Fatalf("%d pushes", len(pushed))
	}
	for _, p := range pushed[:3] {
		w.chat.Confirmed(b.c.Session, p.Conversation, p.Seq, p.Seq)
	}
	if got := contents(w.syncRoom(b, room, 0)); got != "m4 m3 The group was created." {
		t.Errorf("the sync has %q", got)
	}
}

func TestARoomSyncWhoseAnswerWasLostIsAnsweredAgain(t *testing.T) {
	w := newWorld(t, usual())
	a, b := w.phone("a"), w.phone("b")
	room := w.room(a, b)
	w.syncRoom(b, room, 0)
	r := w.say(a, room, "hello")
	if lost, err := w.chat.SyncRoom(t.Context(), b.c, room, r.Time+5); err != nil || contents(lost.Items) != "hello" {
		t.Fatal(lost.Items, err)
	}
	if got := contents(w.syncRoom(b, room, r.Time+5)); got != "hello" {
		t.Errorf("after the lost answer: %q", got)
	}
	if got := contents(w.syncRoom(b, room, r.Time+5)); got != "" {
		t.Errorf("after that: %q", got)
	}
}

// The cursors of rooms that were lost with the queue begin at the floor: nothing
// is missing, and not everything comes again.
func TestLostCursorsLoseNoRoomMessage(t *testing.T) {
	clock := &offset{}
	w := newWorldAt(t, usual(), clock.now)
	a, b := w.phone("a"), w.phone("b")
	room := w.room(a, b)
	sync := func(last int64) []chat.Item {
		t.Helper()
		if _, err := w.syncAs(b.c, 0); err != nil { // the app syncs private messages first
			t.Fatal(err)
		}
		return w.syncRoom(b, room, last)
	}
	sync(0)
	var last chat.Receipt
	for i := range 5 {
		last = w.say(a, room, fmt.Sprint("old", i))
	}
	sync(0)
	clock.add(10*time.Second + 200*time.Millisecond) // a floor is ten seconds behind; messages have the real time
	sync(last.Time)                                  // proves them
	sync(last.Time)                                  // moves the floor behind them
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if at, err := w.store.Delivered(t.Context(), b.c.Session); err != nil || at > last.Time && at < time.Now().UnixMilli() {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the floor was not written")
		}
	}
	w.say(a, room, "new")
	if err := w.queue.Cursors().Drop(t.Context(), b.c.Session); err != nil {
		t.Fatal(err)
	}
	if err := w.queue.Cursors().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := contents(sync(last.Time)); !strings.HasPrefix(got, "new") || strings.Contains(got, "old0") {
		t.Errorf("after the loss: %q", got)
	}
}

// What was sent to a room between the sync and the long connection is pushed.
func TestRoomsAreCaughtUp(t *testing.T) {
	clock := &offset{}
	w := newWorldAt(t, usual(), clock.now)
	a, b := w.phone("a"), w.phone("b")
	room := w.room(a, b)
	if _, err := w.syncAs(b.c, 0); err != nil {
		t.Fatal(err)
	}
	w.syncRoom(b, room, 0)
	w.say(a, room, "in between")
	if err := w.chat.RenameRoom(t.Context(), a.c, room, "new name"); err != nil {
		t.Fatal(err)
	}
	settle(w, a, room)
	w.gw.connect(b.user, b.c.Session)
	clock.add(time.Second)
	w.chat.Connected(b.c)
	clock.add(catchUpWait)
	w.chat.Connected(b.c)
	for _, want := range []string{"in between", "a changed the name of the group to new name.", "settled"} {
		p := <-w.gw.arrivals
		var m struct {
			Content, RoomId string //nolint:revive // the wire's spelling
			MsgType         int
		}
		if err := json.Unmarshal(p.Body, &m); err != nil || m.RoomId != fmt.Sprint(room) {
			t.Fatalf("%s, %v", p.Body, err)
		}
		if m.Content != want || m.MsgType == int(protocol.TypeRoomName) {
			t.Errorf("pushed %q, want %q: %s", m.Content, want, p.Body)
		}
	}
	if got := contents(w.syncRoom(b, room, 1)); strings.Contains(got, "before") {
		t.Errorf("the sync repeats %q", got)
	}
}

// Somebody is taken out while what they missed is being pushed: the goodbye is
// the last that they get of the room.
func TestNobodyIsCaughtUpBehindTheGoodbye(t *testing.T) {
	clock := &offset{}
	var w *world
	var a, b phone
	var room int64
	var once sync.Once
	w = newWorldWith(t, usual(), clock.now, t.TempDir(), func(d *chat.Deps, _ *queue.Store) {
		push := d.PushSession
		d.PushSession = func(session int64, p chat.Push) int {
			n := push(session, p)
			once.Do(func() {
				if err := w.chat.RemoveMember(t.Context(), a.c, room, b.user); err != nil {
					t.Error(err)
				}
			})
			return n
		}
	})
	a, b = w.phone("a"), w.phone("b")
	room = w.room(a, b)
	if _, err := w.syncAs(b.c, 0); err != nil {
		t.Fatal(err)
	}
	w.syncRoom(b, room, 0)
	for i := range 3 {
		w.say(a, room, fmt.Sprint("missed", i))
	}
	settle(w, a, room)
	w.gw.connect(b.user, b.c.Session)
	clock.add(time.Second)
	w.chat.Connected(b.c)
	clock.add(catchUpWait)
	w.chat.Connected(b.c)
	var got []protocol.MessageType
	for deadline := time.After(5 * time.Second); !slices.Contains(got, protocol.TypeRemoved); {
		select {
		case p := <-w.gw.arrivals:
			got = append(got, p.Type)
		case <-deadline:
			t.Fatalf("no goodbye: %v", got)
		}
	}
	time.Sleep(100 * time.Millisecond)
	if pushed := w.gw.take(b.user); len(pushed) != 2 || pushed[1].Type != protocol.TypeRemoved {
		t.Errorf("%d frames, the goodbye is not the second and last", len(pushed))
	}
}

func TestRoomTextsAreInTheReadersLanguage(t *testing.T) {
	w := newWorld(t, usual())
	a, b, c := w.phone("a"), w.phone("b"), w.phone("c")
	if err := w.store.SetLanguage(t.Context(), b.user, "zh"); err != nil {
		t.Fatal(err)
	}
	room := w.room(a, b, c)
	flush(w)
	for _, p := range []phone{b, c} {
		w.gw.connect(p.user, p.c.Session)
	}
	if err := w.chat.MuteRoom(t.Context(), a.c, room, 0, 1); err != nil {
		t.Fatal(err)
	}
	w.say(a, room, "x")
	flush(w)
	for user, want := range map[int64]string{b.user: "全员禁言", c.user: "Everybody is muted."} {
		if p := w.gw.take(user); len(p) == 0 || !strings.Contains(string(p[0].Body), want) {
			t.Errorf("%d was pushed %d frames, not %q", user, len(p), want)
		}
	}
	if got := contents(w.syncRoom(phone{b.user, chat.Caller{User: b.user, Session: b.c.Session, Language: "zh"}}, room, 0)); !strings.Contains(got, "全员禁言") {
		t.Errorf("synced %q", got)
	}
}

func TestTheLongestRoomMessageFitsTheApp(t *testing.T) {
	w := newWorld(t, usual())
	a, b := w.phone("a"), w.phone("b")
	room := w.room(a, b)
	w.gw.connect(b.user, b.c.Session)
	refused, longest := 0, 0
	for n := 3600; n < 4100; n++ {
		// An apostrophe becomes three bytes on its way to the app.
		_, err := w.chat.SendRoom(t.Context(), a.c, chat.RoomSend{Room: room, Content: strings.Repeat("x", n) + "''"})
		if err != nil {
			refused++
			continue
		}
		longest = n
	}
	flush(w)
	if refused == 0 || longest == 0 {
		t.Fatalf("refused %d, longest %d", refused, longest)
	}
	for _, p := range w.gw.take(b.user) {
		if len(p.Body) > protocol.MaxPushBody || len(p.FeatureBody) > protocol.MaxPushBody {
			t.Fatalf("bodies of %d and %d bytes", len(p.Body), len(p.FeatureBody))
		}
	}
}

// Media keep their JSON valid when an apostrophe is taken out of an address.
func TestNoApostropheReachesTheApp(t *testing.T) {
	w := newWorld(t, usual())
	a, b := w.phone("a"), w.phone("b")
	room := w.room(a, b)
	flush(w)
	w.gw.connect(b.user, b.c.Session)
	for _, m := range []chat.RoomSend{
		{Content: "it's"}, {Type: protocol.TypePhoto, Content: `{"uri":"http://h/it's.jpg","w":1,"h":1}`},
	} {
		m.Room = room
		if _, err := w.chat.SendRoom(t.Context(), a.c, m); err != nil {
			t.Fatal(err)
		}
	}
	flush(w)
	for _, p := range w.gw.take(b.user) {
		if strings.Contains(string(p.Body), "'") || !strings.Contains(string(p.FeatureBody), "it's") {
			t.Errorf("%s / %s", p.Body, p.FeatureBody)
		}
	}
	for _, i := range w.syncRoom(b, room, 0) {
		if strings.Contains(i.Content, "'") {
			t.Errorf("synced %q", i.Content)
		}
	}
}

func TestRoomBadInput(t *testing.T) {
	w := newWorld(t, chat.Config{RoomMembers: 4, OwnedRooms: 2, RoomName: 20, RoomNotice: 200})
	a, b, c := w.phone("a"), w.phone("b"), w.phone("c")
	room := w.room(a, b)
	ctx, me := t.Context(), a.c
	site := me
	site.Admin = true
	invite := func(room int64, ids ...int64) error { _, err := w.chat.Invite(ctx, site, room, ids, ""); return err }
	send := func(m chat.RoomSend) error { _, err := w.chat.SendRoom(ctx, me, m); return err }
	ban := func(target int64, typ int) error { return w.chat.MuteRoom(ctx, me, room, target, typ) }
	for name, test := range map[string]struct {
		err  error
		code protocol.Code
	}{
		"nobody invited":         {invite(0), protocol.CodeBadValue},
		"oneself invited":        {invite(0, a.user), protocol.CodeBadValue},
		"unknown invitee":        {invite(0, 99999), protocol.CodeUnknown},
		"the built-in account":   {invite(0, store.BuiltInAccount), protocol.CodeUnknown},
		"five in a room of four": {invite(0, b.user, c.user, 10050, 10051), protocol.CodeNoRoom},
		"unknown room":           {invite(1000005000, b.user), protocol.CodeUnknown},
		"a member again":         {invite(room, b.user), protocol.CodeConflict},
		"a room that is none":    {send(chat.RoomSend{Room: 5, Content: "x"}), protocol.CodeUnknown},
		"negative room":          {send(chat.RoomSend{Room: -1, Content: "x"}), protocol.CodeUnknown},
		"unknown type":           {send(chat.RoomSend{Room: room, Type: 99, Content: "x"}), protocol.CodeForbidden},
		"broken photo":           {send(chat.RoomSend{Room: room, Type: protocol.TypePhoto, Content: "x"}), protocol.CodeBadValue},
		"recall of nothing":      {send(chat.RoomSend{Room: room, Type: protocol.TypeRecall, Content: "x"}), protocol.CodeUnknown},
		"answer to nothing":      {send(chat.RoomSend{Room: room, Content: "x", ReplyTo: "no-id"}), protocol.CodeUnknown},
		"a client id with space": {send(chat.RoomSend{Room: room, Content: "x", ClientMsgID: "a b"}), protocol.CodeBadValue},
		"ban type 0":             {ban(b.user, 0), protocol.CodeBadValue},
		"ban type 6":             {ban(b.user, 6), protocol.CodeBadValue},
		"ban of oneself":         {ban(a.user, 1), protocol.CodeForbidden},
		"ban of a stranger":      {ban(c.user, 1), protocol.CodeUnknown},
		"empty name":             {w.chat.RenameRoom(ctx, me, room, "  "), protocol.CodeBadValue},
		"name of 21":             {w.chat.RenameRoom(ctx, me, room, strings.Repeat("好", 21)), protocol.CodeBadValue},
		"name of two lines":      {w.chat.RenameRoom(ctx, me, room, "a\nb"), protocol.CodeBadValue},
		"notice of 201":          {w.chat.SetRoomNotice(ctx, me, room, strings.Repeat("x", 201)), protocol.CodeBadValue},
		"notice with a zero":     {w.chat.SetRoomNotice(ctx, me, room, "\x00{\"k\":\"ok\"}"), protocol.CodeBadValue},
		"an address with quotes": {w.chat.SetRoomAvatar(ctx, me, room, "http://h/'x"), protocol.CodeBadValue},
		"admin who is none":      {w.chat.SetAdmins(ctx, me, room, []int64{c.user}), protocol.CodeUnknown},
		"removing oneself":       {w.chat.RemoveMember(ctx, me, room, a.user), protocol.CodeForbidden},
		"removing a stranger":    {w.chat.RemoveMember(ctx, me, room, c.user), protocol.CodeUnknown},
	} {
		if got := protocol.CodeOf(test.err); test.err == nil || got != test.code {
			t.Errorf("%s: code %d, want %d: %v", name, got, test.code, test.err)
		}
	}
	if got := w.syncRoom(b, room, 0); len(got) != 1 {
		t.Errorf("something was said: %v", contents(got))
	}
	w.room(a, b)
	if err := invite(0, b.user); protocol.CodeOf(err) != protocol.CodeNoRoom {
		t.Errorf("a third room of two: %v", err)
	}
	for _, list := range []string{"x", "1,,x", "-1", "0", "99999999999999999999", "1;2", strings.Repeat("1,", 3000)} {
		if _, err := chat.ParseIDs("UserIds", list); protocol.CodeOf(err) != protocol.CodeBadValue {
			t.Errorf("%.20q: %v", list, err)
		}
	}
}

// The members' rate does not count who is none, and a refused text takes nothing.
func TestARoomsRateIsItsMembers(t *testing.T) {
	cfg := usual()
	cfg.RoomSends = 2
	w := newWorldAt(t, cfg, func() time.Time { return time.UnixMilli(1_800_000_000_000) })
	a, b, c := w.phone("a"), w.phone("b"), w.phone("c")
	room := w.room(a, b)
	for range 10 {
		if _, err := w.chat.SendRoom(t.Context(), c.c, chat.RoomSend{Room: room, Content: "x"}); protocol.CodeOf(err) != protocol.CodeForbidden {
			t.Fatal(err)
		}
	}
	if err := w.chat.MuteRoom(t.Context(), a.c, room, b.user, 1); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := w.chat.SendRoom(t.Context(), b.c, chat.RoomSend{Room: room, Content: "x"}); protocol.CodeOf(err) != protocol.CodeForbidden {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		_, err := w.chat.SendRoom(t.Context(), a.c, chat.RoomSend{Room: room, Content: "x"})
		if want := i >= 4; (protocol.CodeOf(err) == protocol.CodeTooOften) != want {
			t.Errorf("message %d: %v", i, err)
		}
	}
}

func TestReportsOfRoomMessagesNeedAReader(t *testing.T) {
	w := newWorld(t, usual())
	a, b, c := w.phone("a"), w.phone("b"), w.phone("c")
	room := w.room(a, b)
	early := w.say(a, room, "early")
	if _, err := w.chat.Invite(t.Context(), chat.Caller{User: a.user, Admin: true}, room, []int64{c.user}, ""); err != nil {
		t.Fatal(err)
	}
	late := w.say(a, room, "late")
	report := func(p phone, id string) protocol.Code {
		return protocol.CodeOf(w.chat.Report(t.Context(), p.c, chat.Report{Kind: protocol.ReportMessage, Target: id, Reason: "rude"}))
	}
	if got := [4]protocol.Code{report(b, early.ServerMsgID), report(c, early.ServerMsgID), report(c, late.ServerMsgID), report(w.phone("d"), late.ServerMsgID)}; got !=
		[4]protocol.Code{0, protocol.CodeUnknown, 0, protocol.CodeUnknown} {
		t.Errorf("codes %v", got)
	}
}

// Where nobody of the site acts, the members still hear it from an account that
// is there.
func TestARoomThatNobodyDissolvesEndsForItsMembers(t *testing.T) {
	w := newWorld(t, usual())
	a, b := w.phone("a"), w.phone("b")
	room := w.room(a, b)
	flush(w)
	w.gw.connect(b.user, b.c.Session)
	if err := w.chat.DissolveRoom(t.Context(), chat.Caller{Admin: true}, room); err != nil {
		t.Fatal(err)
	}
	p := w.waitPush("The group was dissolved.")
	if body := string(p.Body); p.Type != protocol.TypeBan || !strings.Contains(body, `"FromUser":"10000"`) {
		t.Errorf("%d %s", p.Type, body)
	}
	if _, err := w.chat.RoomOf(t.Context(), room); protocol.CodeOf(err) != protocol.CodeUnknown {
		t.Errorf("afterwards: %v", err)
	}
}

// still is a clock that only the test moves.
type still struct{ ms atomic.Int64 }

func newStill() *still {
	c := &still{}
	c.ms.Store(1_800_000_000_000)
	return c
}

func (c *still) now() time.Time       { return time.UnixMilli(c.ms.Load()) }
func (c *still) add(by time.Duration) { c.ms.Add(by.Milliseconds()) }

// A muted member wrote to the group by inviting somebody with a text.
func TestTheTextOfAnInvitationIsAMessageLikeOthers(t *testing.T) {
	cfg := usual()
	cfg.RoomSends, cfg.SendsPerSecond, cfg.SendBurst = 2, 1, 10
	clock := newStill()
	w := newWorldAt(t, cfg, clock.now)
	a, b, d := w.phone("a"), w.phone("b"), w.phone("d")
	room := w.room(a, b)
	yes := true
	if err := w.chat.SetRoomOptions(t.Context(), a.c, room, nil, &yes); err != nil {
		t.Fatal(err)
	}
	invite := func(by phone, text string) (chat.Invited, error) {
		t.Helper()
		in, err := w.chat.Invite(t.Context(), by.c, room, []int64{d.user}, text)
		if err == nil {
			if err := w.chat.QuitAll(t.Context(), d.user); err != nil {
				t.Fatal(err)
			}
		}
		return in, err
	}
	for _, target := range []int64{b.user, 0} {
		if err := w.chat.MuteRoom(t.Context(), a.c, room, target, 1); err != nil {
			t.Fatal(err)
		}
		if in, err := invite(b, "buy now"); err != nil || in.Text != "b invited d to the group." {
			t.Errorf("muted, said %q, %v", in.Text, err)
		}
		if err := w.chat.UnmuteRoom(t.Context(), a.c, room, target); err != nil {
			t.Fatal(err)
		}
	}
	if in, err := invite(b, "look who is here"); err != nil || in.Text != "look who is here" {
		t.Errorf("said %q, %v", in.Text, err)
	}
	for range 3 {
		if _, err := invite(b, "again"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := invite(b, "again"); protocol.CodeOf(err) != protocol.CodeTooOften {
		t.Errorf("beyond the rate of the room: %v", err)
	}
	for range 3 {
		if _, err := invite(b, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := invite(b, ""); protocol.CodeOf(err) != protocol.CodeTooOften {
		t.Errorf("beyond the rate of the account: %v", err)
	}
}

// What somebody does in a group counts like a message.
func TestWhatIsDoneInARoomHasARate(t *testing.T) {
	cfg := usual()
	cfg.SendsPerSecond, cfg.SendBurst = 1, 1
	clock := newStill()
	w := newWorldAt(t, cfg, clock.now)
	a, b, c := w.phone("a"), w.phone("b"), w.phone("c")
	room := w.room(a, b)
	yes := true
	ctx := t.Context()
	link := func() error { _, err := w.chat.CreateLink(ctx, a.c, room, 0, 0); return err }
	for name, do := range map[string]func() error{
		"invite":   func() error { _, err := w.chat.Invite(ctx, a.c, room, []int64{c.user}, ""); return err },
		"create":   func() error { _, err := w.chat.Invite(ctx, a.c, 0, []int64{c.user}, ""); return err },
		"remove":   func() error { return w.chat.RemoveMember(ctx, a.c, room, b.user) },
		"mute":     func() error { return w.chat.MuteRoom(ctx, a.c, room, 0, 1) },
		"unmute":   func() error { return w.chat.UnmuteRoom(ctx, a.c, room, 0) },
		"rename":   func() error { return w.chat.RenameRoom(ctx, a.c, room, "x") },
		"avatar":   func() error { return w.chat.SetRoomAvatar(ctx, a.c, room, "http://h/a") },
		"notice":   func() error { return w.chat.SetRoomNotice(ctx, a.c, room, "x") },
		"options":  func() error { return w.chat.SetRoomOptions(ctx, a.c, room, &yes, nil) },
		"admins":   func() error { return w.chat.SetAdmins(ctx, a.c, room, nil) },
		"transfer": func() error { return w.chat.TransferRoom(ctx, a.c, room, b.user) },
		"link":     link,
		"revoke":   func() error { return w.chat.RevokeLink(ctx, a.c, room, "x") },
		"answer":   func() error { return w.chat.AnswerRequest(ctx, a.c, room, c.user, true) },
		"dissolve": func() error { return w.chat.DissolveRoom(ctx, a.c, room) },
		"quit":     func() error { return w.chat.QuitRoom(ctx, a.c, room) },
		"push avatar": func() error {
			return errOf(w.chat.SendRoom(ctx, a.c, chat.RoomSend{Room: room, Type: protocol.TypeRoomAvatar, Content: "http://h/b"}))
		},
	} {
		clock.add(time.Minute) // nobody is held back by the last call
		if err := link(); err != nil {
			t.Fatal(err)
		}
		if err := do(); protocol.CodeOf(err) != protocol.CodeTooOften {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestHowManyRoomsOneMakesAnHour(t *testing.T) {
	cfg := usual()
	cfg.RoomsPerHour = 3
	clock := newStill()
	w := newWorldAt(t, cfg, clock.now)
	a, b := w.phone("a"), w.phone("b")
	by := a.c
	by.Admin = true
	create := func() error { return errOf(w.chat.Invite(t.Context(), by, 0, []int64{b.user}, "")) }
	for i := range 4 {
		if err := create(); (protocol.CodeOf(err) == protocol.CodeTooOften) != (i == 3) {
			t.Errorf("room %d: %v", i+1, err)
		}
	}
	clock.add(2 * time.Hour)
	if err := create(); err != nil {
		t.Error(err)
	}
}

// Who says the same again says nothing new.
func TestWhatChangesNothingIsNotSaid(t *testing.T) {
	w := newWorld(t, usual())
	a, b := w.phone("a"), w.phone("b")
	room := w.room(a, b)
	ctx := t.Context()
	for range 3 {
		for _, err := range []error{
			w.chat.UnmuteRoom(ctx, a.c, room, b.user), w.chat.UnmuteRoom(ctx, a.c, room, 0),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 3 {
		for _, err := range []error{
			w.chat.MuteRoom(ctx, a.c, room, b.user, 5), w.chat.MuteRoom(ctx, a.c, room, 0, 1), w.chat.RenameRoom(ctx, a.c, room, "x"),
			w.chat.SetRoomNotice(ctx, a.c, room, "y"), w.chat.SetAdmins(ctx, a.c, room, nil),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.chat.MuteRoom(ctx, a.c, room, b.user, 1); err != nil {
		t.Fatal(err)
	}
	want := "User b is muted for 10 minutes|Notice: y|a changed the name of the group to x.|Everybody is muted.|User b is muted permanently|The group was created."
	var got []string
	for _, i := range w.syncRoom(b, room, 0) {
		got = append(got, i.Content)
	}
	if strings.Join(got, "|") != want {
		t.Errorf("said %q", got)
	}
	mutes, err := w.store.AuditEntries(ctx, store.AuditFilter{Action: "room.mute", Limit: 10})
	if err != nil || len(mutes) != 3 {
		t.Errorf("audited %+v, %v", mutes, err)
	}
}

// A mute was lifted by leaving and coming back.
func TestAMuteDoesNotEndByLeaving(t *testing.T) {
	w := newWorld(t, usual())
	a, b, c := w.phone("a"), w.phone("b"), w.phone("c")
	room := w.room(a, b, c)
	ctx := t.Context()
	link, err := w.chat.CreateLink(ctx, a.c, room, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.chat.MuteRoom(ctx, a.c, room, b.user, 5); err != nil {
		t.Fatal(err)
	}
	say := func() protocol.Code {
		return protocol.CodeOf(errOf(w.chat.SendRoom(ctx, b.c, chat.RoomSend{Room: room, Content: "x"})))
	}
	for range 2 {
		if err := w.chat.QuitRoom(ctx, b.c, room); err != nil {
			t.Fatal(err)
		}
		if _, joined, err := w.chat.JoinRoom(ctx, b.c, link.Code, ""); err != nil || !joined {
			t.Fatal(joined, err)
		}
		if got := say(); got != protocol.CodeForbidden {
			t.Errorf("writes again: code %d", got)
		}
	}
	muted, err := w.chat.Muted(ctx, a.c, room)
	if err != nil || len(muted) != 1 || muted[0].User != b.user {
		t.Errorf("muted: %+v, %v", muted, err)
	}
	if err := w.chat.UnmuteRoom(ctx, a.c, room, b.user); err != nil {
		t.Fatal(err)
	}
	if got := say(); got != 0 {
		t.Errorf("after the end of the mute: code %d", got)
	}
}

// Who was taken out came straight back, by any link or by any friend.
func TestWhoWasRemovedComesBackOnlyThroughAnAdmin(t *testing.T) {
	w := newWorld(t, usual())
	a, b, c := w.phone("a"), w.phone("b"), w.phone("c")
	room := w.room(a, b, c)
	ctx := t.Context()
	yes, no := true, false
	link, err := w.chat.CreateLink(ctx, a.c, room, 0, 0)
	if err == nil {
		err = w.chat.SetRoomOptions(ctx, a.c, room, nil, &yes)
	}
	if err != nil {
		t.Fatal(err)
	}
	join := func() (bool, error) { _, joined, err := w.chat.JoinRoom(ctx, b.c, link.Code, ""); return joined, err }
	invite := func(by phone) error { return errOf(w.chat.Invite(ctx, by.c, room, []int64{b.user}, "")) }
	remove := func() {
		t.Helper()
		if err := w.chat.RemoveMember(ctx, a.c, room, b.user); err != nil {
			t.Fatal(err)
		}
		if _, err := join(); protocol.CodeOf(err) != protocol.CodeForbidden {
			t.Errorf("by the link: %v", err)
		}
		if err := invite(c); protocol.CodeOf(err) != protocol.CodeForbidden {
			t.Errorf("by a member: %v", err)
		}
	}
	remove()
	if err := invite(a); err != nil {
		t.Errorf("by the owner: %v", err)
	}
	remove()
	if err := w.chat.SetRoomOptions(ctx, a.c, room, &yes, nil); err != nil {
		t.Fatal(err)
	}
	if joined, err := join(); joined || err != nil {
		t.Errorf("a request: %v, %v", joined, err)
	}
	if err := w.chat.AnswerRequest(ctx, a.c, room, b.user, true); err != nil {
		t.Errorf("approved: %v", err)
	}
	if err := w.chat.SetRoomOptions(ctx, a.c, room, &no, nil); err != nil {
		t.Fatal(err)
	}
	for _, back := range []func() error{func() error { return errOf(join()) }, func() error { return invite(c) }} {
		if err := w.chat.QuitRoom(ctx, b.c, room); err != nil {
			t.Fatal(err)
		}
		if err := back(); err != nil {
			t.Errorf("after leaving: %v", err)
		}
	}
}

// The site stands above the owner of a group.
func TestTheSiteMutesAndRemovesOwners(t *testing.T) {
	w := newWorld(t, usual())
	a, b, c := w.phone("a"), w.phone("b"), w.phone("c")
	site := w.phone("site")
	site.c.Admin = true
	room := w.room(a, b, c)
	ctx := t.Context()
	if err := w.chat.SetAdmins(ctx, a.c, room, []int64{c.user}); err != nil {
		t.Fatal(err)
	}
	say := func(p phone) protocol.Code {
		return protocol.CodeOf(errOf(w.chat.SendRoom(ctx, p.c, chat.RoomSend{Room: room, Content: "x"})))
	}
	for _, p := range []phone{a, c} {
		if err := w.chat.MuteRoom(ctx, site.c, room, p.user, 2); err != nil {
			t.Fatal(err)
		}
		if v, err := w.chat.Room(ctx, p.c, room); err != nil || !v.MutedUser || say(p) != protocol.CodeForbidden {
			t.Errorf("%d writes: %v", p.user, err)
		}
	}
	for _, err := range []error{w.chat.UnmuteRoom(ctx, a.c, room, c.user), w.chat.MuteRoom(ctx, a.c, room, c.user, 1), w.chat.UnmuteRoom(ctx, a.c, room, a.user)} {
		if protocol.CodeOf(err) != protocol.CodeForbidden {
			t.Errorf("the owner changed it: %v", err)
		}
	}
	if err := w.chat.UnmuteRoom(ctx, site.c, room, c.user); err != nil || say(c) != 0 {
		t.Errorf("unmuted: %v", err)
	}
	flush(w)
	for _, p := range []phone{a, b} {
		w.gw.connect(p.user, p.c.Session)
	}
	if err := w.chat.RemoveMember(ctx, site.c, room, a.user); err != nil {
		t.Fatal(err)
	}
	flush(w)
	if got := w.gw.take(a.user); len(got) != 1 || got[0].Type != protocol.TypeRemoved {
		t.Errorf("the owner was told %d things", len(got))
	}
	var heard []string
	for _, p := range w.gw.take(b.user) {
		heard = append(heard, string(p.FeatureBody))
	}
	if len(heard) != 2 || !strings.Contains(heard[0], "a was removed from the group.") || !strings.Contains(heard[1], "c is the owner of the group now.") {
		t.Errorf("the others were told %q", heard)
	}
	if list, err := w.chat.Admins(ctx, b.c, room); err != nil || len(list) != 1 || list[0].User != c.user || list[0].Role != store.RoleOwner {
		t.Errorf("admins %+v, %v", list, err)
	}
	for _, p := range []phone{b, c} { // the last one is an owner, too
		if err := w.chat.RemoveMember(ctx, site.c, room, p.user); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.chat.RoomOf(ctx, room); protocol.CodeOf(err) != protocol.CodeUnknown {
		t.Errorf("the empty room: %v", err)
	}
}

// The word filter and the rates refused the retry of what was acknowledged.
func TestARetryIsNeverRefused(t *testing.T) {
	cfg := usual()
	cfg.SendsPerSecond, cfg.SendBurst, cfg.RoomSends = 0.001, 3, 0.001
	var forbidden atomic.Bool
	w := newWorldWith(t, cfg, time.Now, t.TempDir(), func(d *chat.Deps, _ *queue.Store) {
		d.Censor = func(text string) (string, error) {
			if forbidden.Load() && text == "word" {
				return "", protocol.Errorf(protocol.CodeBadValue, "wordRefused", text)
			}
			return text, nil
		}
	})
	x, y := w.friends()
	a := w.another(x)
	room := w.room(a, w.another(y))
	group := func() (chat.Receipt, error) {
		return w.chat.SendRoom(t.Context(), a.c, chat.RoomSend{Room: room, Content: "word", ClientMsgID: "c1"})
	}
	private := func() (chat.Receipt, error) {
		return w.chat.SendPrivate(t.Context(), a.c, chat.Send{To: y, Content: "word", ClientMsgID: "c2"})
	}
	for name, send := range map[string]func() (chat.Receipt, error){"group": group, "private": private} {
		forbidden.Store(false)
		first, err := send()
		if err != nil {
			t.Fatal(err)
		}
		forbidden.Store(true)
		for range 3 {
			if again, err := send(); err != nil || again != first {
				t.Errorf("%s: %+v, then %+v, %v", name, first, again, err)
			}
		}
	}
	_, err := w.chat.SendPrivate(t.Context(), a.c, chat.Send{To: y, Content: "x", ClientMsgID: "c1"})
	wantCode(t, "the id of another conversation", err, protocol.CodeTooOften)
}

func TestTextsHaveNoControlCharacters(t *testing.T) {
	w := newWorld(t, usual())
	x, y := w.friends()
	a, b := w.another(x), w.another(y)
	room := w.room(a, b)
	ctx := t.Context()
	group := func(text string) error {
		return errOf(w.chat.SendRoom(ctx, a.c, chat.RoomSend{Room: room, Content: text}))
	}
	for name, write := range map[string]func(text string) error{
		"group":   group,
		"private": func(text string) error { return errOf(w.chat.SendPrivate(ctx, a.c, chat.Send{To: y, Content: text})) },
		"name":    func(text string) error { return w.chat.RenameRoom(ctx, a.c, room, text) },
		"notice":  func(text string) error { return w.chat.SetRoomNotice(ctx, a.c, room, text) },
		"report": func(text string) error {
			return w.chat.Report(ctx, a.c, chat.Report{Kind: "user", Target: fmt.Sprint(y), Reason: text})
		},
	} {
		for _, text := range []string{"a\x00b", "a\x1b[2Jb", "a\u0085b"} {
			wantCode(t, fmt.Sprintf("%s: %q", name, text), write(text), protocol.CodeBadValue)
		}
	}
	for _, blank := range []string{"", " \r\n"} {
		wantCode(t, fmt.Sprintf("a blank message %q", blank), group(blank), protocol.CodeBadValue)
	}
	wantCode(t, "an invisible name", w.chat.RenameRoom(ctx, a.c, room, "\u3000 \u200b"), protocol.CodeBadValue)
	for _, err := range []error{group("one\r\ntwo\rthree\n\tfour"), w.chat.SetRoomNotice(ctx, a.c, room, "it's\r\nnew\r\n")} {
		if err != nil {
			t.Error(err)
		}
	}
	if got := contents(w.syncRoom(b, room, 0)); !strings.HasPrefix(got, "Notice: it’s\nnew one\ntwo\nthree\n\tfour ") {
		t.Errorf("kept %q", got)
	}
	if n, err := w.chat.Notice(ctx, b.c, room); n != "it’s\nnew" || err != nil {
		t.Errorf("the notice is %q, %v", n, err)
	}
}

func TestAnswersAboutRoomsAreClear(t *testing.T) {
	w := newWorld(t, usual())
	a, b, c, d := w.phone("a"), w.phone("b"), w.phone("c"), w.phone("d")
	room := w.room(a, b)
	ctx := t.Context()
	site := a.c
	site.Admin = true
	in, err := w.chat.Invite(ctx, site, room, []int64{c.user}, "it's c")
	if err != nil || in.Text != "it’s c" {
		t.Errorf("the app is answered %q, %v", in.Text, err)
	}
	text := func(err error) string {
		e, _ := errors.AsType[*protocol.Error](err)
		if e == nil {
			return fmt.Sprint(err)
		}
		return e.Text("en")
	}
	for want, err := range map[string]error{
		"This user owns the group already.":                            w.chat.SetAdmins(ctx, a.c, room, []int64{a.user}),
		"This user is not a member of the group.":                      w.chat.SetAdmins(ctx, a.c, room, []int64{d.user}),
		"You cannot mute yourself, nor end your own mute.":             w.chat.MuteRoom(ctx, a.c, room, a.user, 1),
		"Only the owner or an administrator of the group may do this.": w.chat.MuteRoom(ctx, b.c, room, 0, 1),
		"You are not allowed to mute this member, or to end the mute.": w.chat.MuteRoom(ctx, b.c, room, a.user, 1),
		"Name is not valid: has nothing that can be seen":              w.chat.RenameRoom(ctx, a.c, room, "\u3164"),
	} {
		if got := text(err); got != want {
			t.Errorf("answered %q, want %q", got, want)
		}
	}
	// An outsider cannot tell a group from none.
	for name, ask := range map[string]func(room int64) error{
		"members": func(r int64) error { return errOf(w.chat.Members(ctx, d.c, r, "", 1, 9)) },
		"ids":     func(r int64) error { return errOf(w.chat.MemberIDs(ctx, d.c, r)) },
		"member":  func(r int64) error { return errOf(w.chat.Member(ctx, d.c, r, a.user)) },
		"notice":  func(r int64) error { return errOf(w.chat.Notice(ctx, d.c, r)) },
		"admins":  func(r int64) error { return errOf(w.chat.Admins(ctx, d.c, r)) },
		"muted":   func(r int64) error { return errOf(w.chat.Muted(ctx, d.c, r)) },
		"links":   func(r int64) error { return errOf(w.chat.Links(ctx, d.c, r)) },
		"sync":    func(r int64) error { return errOf(w.chat.SyncRoom(ctx, d.c, r, 0)) },
		"report": func(r int64) error {
			return w.chat.Report(ctx, d.c, chat.Report{Kind: "room", Target: fmt.Sprint(r), Reason: "x"})
		},
	} {
		if here, none := text(ask(room)), text(ask(room+999)); here != none {
			t.Errorf("%s: %q of a group, %q of none", name, here, none)
		}
	}
	if list, err := w.chat.Reports(ctx, true, 0, 9); err != nil || len(list) != 1 {
		t.Errorf("%d reports, %v", len(list), err)
	}
}

// Who waits may change what they wrote, though the link was for one.
func TestARequestByALinkForOneCanBeChanged(t *testing.T) {
	w := newWorld(t, usual())
	a, b, c, d := w.phone("a"), w.phone("b"), w.phone("c"), w.phone("d")
	room := w.room(a, b)
	ctx, yes := t.Context(), true
	link, err := w.chat.CreateLink(ctx, a.c, room, 0, 1)
	if err == nil {
		err = w.chat.SetRoomOptions(ctx, a.c, room, &yes, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{"first", "second"} {
		if _, joined, err := w.chat.JoinRoom(ctx, c.c, link.Code, message); err != nil || joined {
			t.Errorf("%s: joined %v, %v", message, joined, err)
		}
	}
	if _, _, err := w.chat.JoinRoom(ctx, d.c, link.Code, ""); protocol.CodeOf(err) != protocol.CodeUnknown {
		t.Errorf("somebody else: %v", err)
	}
	list, err := w.chat.Requests(ctx, a.c, room)
	if err != nil || len(list) != 1 || list[0].Message != "second" {
		t.Errorf("%+v, %v", list, err)
	}
}
