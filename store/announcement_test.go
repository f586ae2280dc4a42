package store_test

import (
	"fmt"
	"testing"

	"gtiv/store"
)

// received is what an account has from the built-in one.
func received(t *testing.T, s *store.Store, user int64) []store.Message {
	t.Helper()
	positions := ok(s.PrivatePositions(t.Context(), user))(t)
	for _, p := range positions {
		if p.Peer == store.BuiltInAccount {
			return ok(s.Incoming(t.Context(), p.Conversation, user, 0, 100))(t)
		}
	}
	return nil
}

func TestAnnouncementReachesEverybodyOnce(t *testing.T) {
	s, c := openClock(t)
	var users []int64
	for i := range 7 {
		users = append(users, account(t, s, fmt.Sprint("user", i)))
	}
	gone, banned, later := users[1], users[2], int64(0)
	_, _, err := s.DeleteAccount(t.Context(), gone, 0, store.QuitTexts{})
	want(t, "delete", err, nil)
	ok(s.Ban(t.Context(), banned, c.ms.Load()+1000, ""))(t)
	want(t, "block", s.Block(t.Context(), users[3], store.BuiltInAccount), nil)
	a := ok(s.CreateAnnouncement(t.Context(), "hello", "root"))(t)
	later = account(t, s, "later")
	if a.LastAccount != users[6] || a.Accounts != 6 || a.FinishedAt != 0 || a.CreatedAt != c.ms.Load() {
		t.Errorf("made: %+v", a)
	}
	pushed := 0
	step := func(after int64) store.Announcement {
		return ok(s.Announce(t.Context(), a.ID, after, 2, store.NewMessage{OnCommit: func(store.Message) { pushed++ }}))(t)
	}
	first := step(0)
	if again := step(0); again != first || first.DoneTo != users[3] || first.Sent != 2 {
		t.Errorf("first step: %+v, again: %+v", first, again)
	}
	if list := ok(s.UnfinishedAnnouncements(t.Context()))(t); len(list) != 1 || list[0] != first {
		t.Errorf("unfinished: %+v", list)
	}
	last := first
	for range 10 {
		last = step(last.DoneTo)
	}
	if last.FinishedAt == 0 || last.Sent != 5 || last.DoneTo != a.LastAccount || pushed != 5 {
		t.Errorf("at the end: %+v, %d pushed", last, pushed)
	}
	for _, u := range append(users, later) {
		n := 1
		if u == gone || u == banned || u == later {
			n = 0
		}
		list := received(t, s, u)
		if len(list) != n || n == 1 && (list[0].Content != "hello" || list[0].From != store.BuiltInAccount || list[0].Type != 0 || list[0].ClientMsgID != fmt.Sprintf("announce-%d-%d", a.ID, u)) {
			t.Errorf("account %d got %+v", u, list)
		}
	}
	if list := ok(s.Announcements(t.Context(), 10))(t); len(list) != 1 || list[0] != last {
		t.Errorf("all: %+v", list)
	}
	if list := ok(s.UnfinishedAnnouncements(t.Context()))(t); len(list) != 0 {
		t.Errorf("unfinished: %+v", list)
	}
	_, err = s.Announce(t.Context(), a.ID+1, 0, 2, store.NewMessage{})
	want(t, "announce what is not there", err, store.ErrNotFound)
}
