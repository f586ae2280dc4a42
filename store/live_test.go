package store_test

import (
	"fmt"
	"strings"
	"testing"

	"gtiv/store"
)

// liveRoom makes an owner with a live room.
func liveRoom(t testing.TB, s *store.Store, owner string) store.LiveRoom {
	t.Helper()
	return ok(s.CreateLive(t.Context(), account(t, s, owner), owner+"'s room", "", nil))(t)
}

// liveSend writes a message of a live room.
func liveSend(t testing.TB, s *store.Store, room, from int64, text string) store.LiveMessage {
	t.Helper()
	return ok(s.SendLive(t.Context(), store.NewLiveMessage{Room: room, From: from, Content: text}))(t)
}

func TestEverybodyHasOneLiveRoom(t *testing.T) {
	s := open(t)
	first, second := liveRoom(t, s, "anna"), liveRoom(t, s, "bob")
	if first.ID != 1_000_000_001 || second.ID != 1_000_000_002 {
		t.Errorf("ids %d and %d", first.ID, second.ID)
	}
	changed := 0
	count := func(store.LiveRoom) { changed++ }
	again := ok(s.CreateLive(t.Context(), first.Owner, "another", "http://c/x.jpg", count))(t)
	if again != first || changed != 0 {
		t.Errorf("a second one: %+v", again)
	}
	want(t, "close", s.CloseLive(t.Context(), store.LiveAction{Actor: first.Owner, Room: first.ID}), nil)
	if r := ok(s.Live(t.Context(), first.ID))(t); !r.Closed {
		t.Errorf("not closed: %+v", r)
	}
	again = ok(s.CreateLive(t.Context(), first.Owner, "another", "http://c/x.jpg", count))(t)
	if again.ID != first.ID || again.Title != "another" || again.Cover != "http://c/x.jpg" || again.Closed || changed != 1 {
		t.Errorf("opened again: %+v", again)
	}
	if third := liveRoom(t, s, "carol"); third.ID != 1_000_000_003 {
		t.Errorf("id %d", third.ID)
	}
	_, err := s.CreateLive(t.Context(), account(t, s, "dora"), strings.Repeat("字", 60), "", nil)
	want(t, "60 characters", err, nil)
	if _, err = s.CreateLive(t.Context(), account(t, s, "erik"), strings.Repeat("字", 61), "", nil); err == nil {
		t.Error("61 characters were stored")
	}
	_, err = s.Live(t.Context(), 5)
	want(t, "unknown", err, store.ErrNotFound)
}

func TestLiveMessagesAreNumberedAndTrimmed(t *testing.T) {
	s, clock := openClock(t)
	r := liveRoom(t, s, "anna")
	bob := account(t, s, "bob")
	for i := 1; i <= 230; i++ {
		clock.ms.Add(int64(i%3 - 1)) // also backwards
		m := liveSend(t, s, r.ID, bob, fmt.Sprint(i))
		if m.Seq != uint64(i) || m.Nickname != "bob" { //nolint:gosec // small
			t.Fatalf("%+v", m)
		}
	}
	list := ok(s.LiveMessages(t.Context(), r.ID, 1000))(t)
	if len(list) != 200 || list[0].Content != "31" || list[199].Content != "230" {
		t.Fatalf("%d messages from %s", len(list), list[0].Content)
	}
	for i := 1; i < len(list); i++ {
		if list[i].Seq != list[i-1].Seq+1 || list[i].Time <= list[i-1].Time {
			t.Fatalf("%+v behind %+v", list[i], list[i-1])
		}
	}
	if last := ok(s.LiveMessages(t.Context(), r.ID, 50))(t); len(last) != 50 || last[0].Content != "181" {
		t.Errorf("the last 50 begin with %s", last[0].Content)
	}
}

func TestOldLiveMessagesExpireAndNumbersGoOn(t *testing.T) {
	s, clock := openClock(t)
	r, other := liveRoom(t, s, "anna"), liveRoom(t, s, "olga")
	for i := range 5 {
		clock.ms.Add(1000)
		liveSend(t, s, r.ID, r.Owner, fmt.Sprint(i))
	}
	liveSend(t, s, other.ID, r.Owner, "new")
	n, rooms, err := s.ExpireLive(t.Context(), clock.ms.Load()-1500, 2)
	if err != nil || n != 2 || len(rooms) != 1 || rooms[0] != r.ID {
		t.Errorf("%d in %v, %v", n, rooms, err)
	}
	if n, _, err = s.ExpireLive(t.Context(), clock.ms.Load()+1, 100); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
	if m := liveSend(t, s, r.ID, r.Owner, "x"); m.Seq != 6 || len(ok(s.LiveMessages(t.Context(), r.ID, 10))(t)) != 1 {
		t.Errorf("%+v", m)
	}
}

func TestALiveSendIsRepeatedNotDoubled(t *testing.T) {
	s := open(t)
	r, other := liveRoom(t, s, "anna"), liveRoom(t, s, "olga")
	bob := account(t, s, "bob")
	published := 0
	m := store.NewLiveMessage{Room: r.ID, From: bob, Content: "x", ClientMsgID: "c1", OnCommit: func(store.LiveMessage) { published++ }}
	first := ok(s.SendLive(t.Context(), m))(t)
	second := ok(s.SendLive(t.Context(), m))(t)
	if second.ServerMsgID != first.ServerMsgID || !second.Repeated || published != 1 {
		t.Errorf("%+v, published %d times", second, published)
	}
	m.Room = other.ID
	_, err := s.SendLive(t.Context(), m)
	want(t, "in another room", err, store.ErrConflict)
	m.Room = 77
	_, err = s.SendLive(t.Context(), m)
	want(t, "no such room", err, store.ErrNotFound)
}

func TestWhoMayDoWhatInALiveRoom(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	r := liveRoom(t, s, "anna")
	bob, mod, mod2 := account(t, s, "bob"), account(t, s, "mod"), account(t, s, "mod2")
	admin := ok(s.CreateAccount(ctx, store.NewAccount{Username: "admin", Nickname: "admin", Role: store.RoleAdmin}))(t).ID
	act := func(actor, target int64) store.LiveAction {
		return store.LiveAction{Actor: actor, Room: r.ID, Target: target, Rank: store.LiveModerator, Action: "test", Notice: `{"k":"x"}`}
	}
	owner := act(r.Owner, 0)
	owner.Rank, owner.OwnerOnly = store.LiveOwner, true
	want(t, "name moderators", s.SetLiveModerators(ctx, owner, []int64{mod, mod2}), nil)
	owner.Actor = admin
	want(t, "owner only", s.SetLiveModerators(ctx, owner, nil), store.ErrForbidden)
	for _, c := range []struct {
		actor, target int64
		want          error
	}{
		{bob, mod, store.ErrForbidden}, {mod, bob, nil}, {mod, mod2, store.ErrForbidden}, {mod, r.Owner, store.ErrForbidden},
		{r.Owner, mod, nil}, {r.Owner, r.Owner, store.ErrForbidden}, {mod, admin, store.ErrForbidden}, {admin, r.Owner, nil},
		{admin, admin, store.ErrForbidden}, {mod, 99999, store.ErrNotFound},
	} {
		audited := len(ok(s.AuditEntries(ctx, store.AuditFilter{Limit: 1000}))(t))
		spoken := len(ok(s.LiveMessages(ctx, r.ID, 1000))(t))
		want(t, fmt.Sprintf("%d mutes %d", c.actor, c.target), s.MuteLive(ctx, act(c.actor, c.target), store.LiveForever), c.want)
		muted := ok(s.LiveMuted(ctx, r.ID, c.target))(t)
		more := len(ok(s.AuditEntries(ctx, store.AuditFilter{Limit: 1000}))(t)) - audited
		notices := len(ok(s.LiveMessages(ctx, r.ID, 1000))(t)) - spoken
		if done := c.want == nil; done != muted || done != (more == 1) || done != (notices == 1) {
			t.Errorf("%d mutes %d: muted %v, %d audit rows, %d notices", c.actor, c.target, muted, more, notices)
		}
		_ = s.UnmuteLive(ctx, act(admin, c.target))
	}
	if e := ok(s.AuditEntries(ctx, store.AuditFilter{Limit: 1}))(t)[0]; e.Actor != fmt.Sprintf("user %d", admin) || !strings.HasPrefix(e.Target, fmt.Sprintf("live %d user ", r.ID)) {
		t.Errorf("%+v", e)
	}
	want(t, "who is not muted", s.UnmuteLive(ctx, act(admin, bob)), store.ErrNotFound)
}

func TestAMuteKeepsFromWritingUntilItEnds(t *testing.T) {
	s, clock := openClock(t)
	r := liveRoom(t, s, "anna")
	bob := account(t, s, "bob")
	a := store.LiveAction{Actor: r.Owner, Room: r.ID, Target: bob}
	want(t, "mute", s.MuteLive(t.Context(), a, clock.ms.Load()+1000), nil)
	_, err := s.SendLive(t.Context(), store.NewLiveMessage{Room: r.ID, From: bob, Content: "x"})
	want(t, "muted", err, store.ErrMuted)
	clock.ms.Add(1000)
	liveSend(t, s, r.ID, bob, "x")
}

func TestADeletedLiveMessageIsGoneForGood(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	r, other := liveRoom(t, s, "anna"), liveRoom(t, s, "olga")
	bob, carol := account(t, s, "bob"), account(t, s, "carol")
	m := liveSend(t, s, r.ID, bob, "secret")
	a := store.LiveAction{Actor: carol, Room: r.ID, Rank: store.LiveModerator, Action: "live.delete"}
	want(t, "somebody else's", s.DeleteLiveMessage(ctx, a, m.ServerMsgID), store.ErrForbidden)
	a.Actor, a.Room = other.Owner, other.ID
	want(t, "through another room", s.DeleteLiveMessage(ctx, a, m.ServerMsgID), store.ErrNotFound)
	a.Actor, a.Room = bob, r.ID
	want(t, "one's own", s.DeleteLiveMessage(ctx, a, m.ServerMsgID), nil)
	want(t, "twice", s.DeleteLiveMessage(ctx, a, m.ServerMsgID), store.ErrNotFound)
	want(t, "garbage", s.DeleteLiveMessage(ctx, a, "x"), store.ErrNotFound)
	if n := len(ok(s.AuditEntries(ctx, store.AuditFilter{Limit: 10}))(t)); n != 0 {
		t.Errorf("%d audit rows for one's own message", n)
	}
	m = liveSend(t, s, r.ID, bob, "next")
	list := ok(s.LiveMessages(ctx, r.ID, 10))(t)
	if m.Seq != 2 || len(list) != 1 {
		t.Errorf("%+v", list)
	}
	want(t, "close", s.CloseLive(ctx, store.LiveAction{Actor: r.Owner, Room: r.ID, Notice: `{"k":"x"}`}), nil)
	a.Actor = r.Owner
	want(t, "in a closed room, by its owner", s.DeleteLiveMessage(ctx, a, m.ServerMsgID), nil)
	if e := ok(s.AuditEntries(ctx, store.AuditFilter{Limit: 10}))(t); len(e) != 1 || e[0].Action != "live.delete" {
		t.Errorf("%+v", e)
	}
}

func TestAClosedLiveRoomTakesNothing(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	r := liveRoom(t, s, "anna")
	a := store.LiveAction{Actor: r.Owner, Room: r.ID}
	want(t, "close", s.CloseLive(ctx, a), nil)
	_, err := s.SendLive(ctx, store.NewLiveMessage{Room: r.ID, From: r.Owner, Content: "x"})
	want(t, "send", err, store.ErrLiveClosed)
	want(t, "slow mode", s.SetLiveSlow(ctx, a, 5), store.ErrLiveClosed)
	want(t, "close again", s.CloseLive(ctx, a), store.ErrLiveClosed)
}

func TestTheListOfLiveRooms(t *testing.T) {
	s, clock := openClock(t)
	ctx := t.Context()
	var rooms []store.LiveRoom
	for _, name := range []string{"anna", "bob", "carol", "dora", "erik"} {
		clock.ms.Add(1000)
		rooms = append(rooms, liveRoom(t, s, name))
	}
	want(t, "close", s.CloseLive(ctx, store.LiveAction{Actor: rooms[1].Owner, Room: rooms[1].ID}), nil)
	if _, _, err := s.DeleteAccount(ctx, rooms[2].Owner, 0, store.QuitTexts{}); err != nil {
		t.Fatal(err)
	}
	if r := ok(s.LiveOf(ctx, rooms[2].Owner))(t); !r.Closed || r.ID != rooms[2].ID || r.Title != "-" {
		t.Errorf("the room of a deleted account: %+v", r)
	}
	liveSend(t, s, rooms[4].ID, rooms[0].Owner, "said")
	if said := ok(s.LiveMessagesBy(ctx, rooms[0].Owner))(t); len(said) != 1 || said[0].Content != "said" || said[0].Room != rooms[4].ID {
		t.Errorf("%+v", said)
	}
	want(t, "edit", s.EditLive(ctx, store.LiveAction{Actor: rooms[0].Owner, Room: rooms[0].ID}, "", "http://c/x.jpg"), nil)
	list := ok(s.Lives(ctx, 0, 10))(t)
	if len(list) != 3 || list[0].ID != rooms[4].ID && list[0].ID != rooms[0].ID || list[0].Account.ID != list[0].Owner {
		t.Fatalf("%+v", list)
	}
	for _, l := range list {
		if l.ID == rooms[0].ID && (l.Title != "anna's room" || l.Cover != "http://c/x.jpg") {
			t.Errorf("edited: %+v", l.LiveRoom)
		}
	}
	if n := len(ok(s.Lives(ctx, 0, 2))(t)); n != 2 {
		t.Errorf("%d of at most 2", n)
	}
}

func TestWordsOfALiveRoomAreReplaced(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	r := liveRoom(t, s, "anna")
	a := store.LiveAction{Actor: r.Owner, Room: r.ID, Action: "live.words"}
	want(t, "set", s.SetLiveWords(ctx, a, []string{"spam", "广告"}), nil)
	want(t, "set again", s.SetLiveWords(ctx, a, []string{"eggs"}), nil)
	if list := ok(s.LiveWords(ctx, r.ID))(t); len(list) != 1 || list[0] != "eggs" {
		t.Errorf("%q", list)
	}
}
