package chat

import (
	"path/filepath"
	"testing"

	"gtiv/store"
	"gtiv/store/queue"
)

// A sync reads who it is for first and the messages then. What was committed
// between the two may be behind the reader's removal.
func TestASyncEndsWhereTheReadersMembershipWasRead(t *testing.T) {
	st, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "gtiv.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	q, err := queue.Open(queue.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	s, err := New(Config{RoomMembers: 5, RoomName: 20}, Deps{
		Store: st, Cursors: q.Cursors(), Connected: func(int64) bool { return false },
		Push: func(int64, Push) int { return 0 }, PushSession: func(int64, Push) int { return 0 }, PushRoom: func(int64, RoomPush) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for _, name := range []string{"anna", "bob"} {
		a, err := st.CreateAccount(t.Context(), store.NewAccount{Username: name, Nickname: name, Role: store.RoleUser})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	owner := Caller{User: ids[0], Session: 1, Admin: true}
	r, err := s.Invite(t.Context(), owner, 0, ids[1:], "")
	if err != nil {
		t.Fatal(err)
	}
	say := func(text string) {
		t.Helper()
		if _, err := s.SendRoom(t.Context(), owner, RoomSend{Room: r.Room, Content: text}); err != nil {
			t.Fatal(err)
		}
	}
	say("before")
	p, err := st.RoomPosition(t.Context(), r.Room, ids[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveMember(t.Context(), owner, r.Room, ids[1]); err != nil {
		t.Fatal(err)
	}
	for range syncPage {
		say("behind the removal")
	}
	ask := query{c: Caller{User: ids[1], Session: 2}}
	if err := s.owedOf(t.Context(), &ask, p.Position, 0, roomSyncCap); err != nil {
		t.Fatal(err)
	}
	if len(ask.owed) != 2 || ask.owed[1].Content != "before" {
		t.Errorf("%d messages, the last is %q", len(ask.owed), ask.owed[len(ask.owed)-1].Content)
	}
	if cur, err := q.Cursors().Get(2, p.Conversation); err != nil || cur.Handed(p.Last+1) {
		t.Errorf("what was not asked for counts as handed over: %+v, %v", cur, err)
	}
}
