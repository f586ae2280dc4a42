package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gtiv/store"
)

// group makes a room of these, the first of whom owns it.
func group(t *testing.T, s *store.Store, owner int64, others ...int64) int64 {
	t.Helper()
	m := ok(s.CreateRoom(t.Context(), store.NewRoom{
		Owner: owner, Invitees: others, Strangers: true, MemberLimit: 10, Name: func(n string) string { return n + "s" }, First: store.NewRoomMessage{From: owner},
	}))(t)
	return m.Room
}

func say(t *testing.T, s *store.Store, room, from int64, text string) store.Message {
	t.Helper()
	return ok(s.SendRoom(t.Context(), store.NewRoomMessage{Room: room, From: from, Content: text}))(t)
}

// Over the control socket nobody acts: what tells the members of it still has an
// author, whom clients can look up.
func TestWhatNobodyDoesInARoomComesFromTheBuiltInAccount(t *testing.T) {
	s := open(t)
	a, b, c := account(t, s, "anna"), account(t, s, "ben"), account(t, s, "carl")
	room := group(t, s, a, b, c)
	var got []store.Message
	note := store.NewRoomMessage{OnCommit: func(m store.Message) { got = append(got, m) }}
	say1 := func(string) store.NewRoomMessage { return note }
	site, name := store.By{Admin: true}, "new"
	_, err := s.Mute(t.Context(), site, room, b, 1<<60, say1)
	want(t, "mute", err, nil)
	want(t, "set", s.SetRoom(t.Context(), site, room, store.RoomChange{Name: &name}, say1), nil)
	want(t, "admins", s.SetAdmins(t.Context(), site, room, []int64{b}, func([]string) store.NewRoomMessage { return note }), nil)
	want(t, "transfer", s.Transfer(t.Context(), site, room, b, 0, say1), nil)
	want(t, "remove", s.RemoveMember(t.Context(), site, room, c, func(string, string) store.NewRoomMessage { return note }, nil), nil)
	want(t, "dissolve", s.Dissolve(t.Context(), site, room, note), nil)
	if len(got) != 6 {
		t.Fatalf("%d messages", len(got))
	}
	for i, m := range got {
		if m.From != store.BuiltInAccount {
			t.Errorf("message %d is from %d", i, m.From)
		}
	}
	if left := got[5].News.Left; !slices.Equal(left, []int64{a, b}) {
		t.Errorf("the last message goes to %v", left)
	}
	if list := ok(s.AuditEntries(t.Context(), store.AuditFilter{Limit: 9}))(t); len(list) != 0 {
		t.Errorf("audited twice: %+v", list) // the control socket keeps its own record
	}
}

func TestWhatSomebodyWroteIsFoundAfterTheyLeft(t *testing.T) {
	s := open(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	left, kept, closed := group(t, s, a, b), group(t, s, a, b), group(t, s, b, a)
	for _, room := range []int64{left, kept, closed} {
		say(t, s, room, a, "of another")
		for _, text := range []string{"one", "two", "three"} {
			say(t, s, room, b, text)
		}
	}
	recalled := say(t, s, kept, b, "recalled")
	ok(s.RecallRoom(t.Context(), store.By{User: b}, store.NewRoomMessage{Room: kept, From: b, Type: 6}, recalled.ServerMsgID, 0))(t)
	note := func(string) store.NewRoomMessage { return store.NewRoomMessage{Content: "left"} }
	want(t, "quit", s.Quit(t.Context(), b, left, store.QuitTexts{Left: note, Heir: note}), nil)
	want(t, "dissolve", s.Dissolve(t.Context(), store.By{User: b}, closed, store.NewRoomMessage{Content: "closed"}), nil)

	if rooms := ok(s.RoomsEver(t.Context(), b))(t); !slices.Equal(rooms, []int64{left, kept, closed}) {
		t.Errorf("rooms %v", rooms)
	}
	in := ok(s.Memberships(t.Context(), b))(t)
	if len(in) != 1 || in[0].ID != kept || in[0].Name != "annas" || in[0].Member.User != b || in[0].Member.Role != store.RoleMember || in[0].Member.JoinedAt == 0 {
		t.Errorf("memberships %+v", in)
	}
	for room, want := range map[int64][]string{
		left: {"left", "three", "two", "one"}, kept: {recalled.ServerMsgID, "three", "two", "one"}, closed: {"closed", "three", "two", "one"},
	} {
		var texts []string
		for below := uint64(0); ; {
			page := ok(s.RoomMessagesBy(t.Context(), room, b, below, 2))(t)
			for _, m := range page {
				texts, below = append(texts, m.Content), m.Seq
			}
			if len(page) < 2 {
				break
			}
		}
		// The first message of a room is its owner's.
		if room == closed {
			want = append(want, "")
		}
		if !slices.Equal(texts, want) {
			t.Errorf("room %d: %q, want %q", room, texts, want)
		}
	}
	want(t, "delete", third(s.DeleteAccount(t.Context(), b, 0, store.QuitTexts{})), nil)
	if rooms := ok(s.RoomsEver(t.Context(), b))(t); len(rooms) != 0 {
		t.Errorf("rooms of a deleted account: %v", rooms)
	}
}

func TestRoomCounts(t *testing.T) {
	s, c := openClock(t)
	a := account(t, s, "anna")
	room := group(t, s, a)
	say(t, s, room, a, "x")
	for code, until := range map[string]int64{"ever": 0, "soon": c.ms.Load() + 10} {
		ok(s.CreateLink(t.Context(), store.By{User: a}, store.Link{Code: code, Room: room, ExpiresAt: until}))(t)
	}
	if n := ok(s.RoomCounts(t.Context(), room))(t); n != (store.RoomCounts{Links: 2, Messages: 2}) {
		t.Errorf("%+v", n)
	}
	c.ms.Add(20)
	if n := ok(s.RoomCounts(t.Context(), room))(t); n != (store.RoomCounts{Links: 1, Messages: 2}) {
		t.Errorf("after a link ended: %+v", n)
	}
	if n := ok(s.RoomCounts(t.Context(), 1))(t); n != (store.RoomCounts{}) {
		t.Errorf("of no room: %+v", n)
	}
}

// Whatever somebody does because of a role is in the audit log, and nothing else.
func TestWhatModeratorsDoInARoomIsAudited(t *testing.T) {
	s := open(t)
	a, b, c, d := account(t, s, "anna"), account(t, s, "ben"), account(t, s, "carl"), account(t, s, "dora")
	room := group(t, s, a, b)
	ctx := t.Context()
	note := func(string) store.NewRoomMessage { return store.NewRoomMessage{} }
	notes := func(string, []string) store.NewRoomMessage { return store.NewRoomMessage{} }
	invited := func(string, []string, bool) store.NewRoomMessage { return store.NewRoomMessage{} }
	name, avatar, notice, yes := "new", "http://h/a", "hello", true
	for _, by := range []store.By{{User: a}, {User: d, Admin: true}} {
		code := "secret" + fmt.Sprint(by.User)
		for range 2 { // the second time nothing changes
			want(t, "set", s.SetRoom(ctx, by, room, store.RoomChange{Name: &name, Avatar: &avatar, Notice: &notice}, note), nil)
			want(t, "options", s.SetRoom(ctx, by, room, store.RoomChange{Approval: ptr(true), OpenInvite: &yes}, nil), nil)
		}
		ok(s.CreateLink(ctx, by, store.Link{Code: code, Room: room, MaxUses: 3}))(t)
		for _, accept := range []bool{false, true} {
			_, _, err := s.JoinByLink(ctx, c, code, "", notes)
			want(t, "ask", err, nil)
			want(t, "answer", s.AnswerRequest(ctx, by, room, c, accept, notes), nil)
		}
		want(t, "revoke", s.RevokeLink(ctx, by, room, code), nil)
		want(t, "quit", s.Quit(ctx, c, room, store.QuitTexts{}), nil)
		ok(s.Invite(ctx, store.By{User: by.User, Admin: true}, room, []int64{c}, invited))(t)
		want(t, "quit", s.Quit(ctx, c, room, store.QuitTexts{}), nil)
		name, avatar, notice, yes = name+"er", avatar+"b", "", !yes
	}
	log := ok(s.AuditEntries(ctx, store.AuditFilter{Limit: 100}))(t)
	slices.Reverse(log)
	var got []string
	for _, e := range log {
		got = append(got, e.Actor+": "+e.Action+" "+e.Detail)
		if e.Target != "room "+fmt.Sprint(room) || strings.Contains(e.Detail, "secret") {
			t.Errorf("%+v", e)
		}
	}
	owner, site := fmt.Sprintf("user %d: ", a), fmt.Sprintf("user %d (site admin): ", d)
	wanted := []string{
		owner + "room.name new", owner + "room.avatar http://h/a", owner + "room.notice hello", owner + "room.options approval on",
		owner + "room.options open invitations on", owner + "room.link secr… for 3", owner + fmt.Sprintf("room.answer user %d refused", c),
		owner + fmt.Sprintf("room.answer user %d accepted", c), owner + "room.link-revoke secr… for 3",
		fmt.Sprintf("user %d (site admin): room.invite users %d", a, c),
		site + "room.name newer", site + "room.avatar http://h/ab", site + "room.notice ", site + "room.options open invitations off",
		site + "room.link secr… for 3", site + fmt.Sprintf("room.answer user %d refused", c), site + fmt.Sprintf("room.answer user %d accepted", c),
		site + "room.link-revoke secr… for 3", site + fmt.Sprintf("room.invite users %d", c),
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("the log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
}

func ptr[T any](v T) *T { return &v }
