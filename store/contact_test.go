package store_test

import (
	"slices"
	"testing"

	"gtiv/store"
)

func ids(list []store.Account) []int64 {
	out := []int64{}
	for _, a := range list {
		out = append(out, a.ID)
	}
	return out
}

func TestApplyAndAccept(t *testing.T) {
	s, c := openClock(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	if stored := ok(s.Apply(t.Context(), a, b, "first"))(t); !stored {
		t.Error("application was not stored")
	}
	c.ms.Add(5)
	ok(s.Apply(t.Context(), a, b, "second"))(t)
	list := ok(s.Applications(t.Context(), b, 0, 10))(t)
	if len(list) != 1 || list[0].Message != "second" || list[0].CreatedAt != c.ms.Load() || list[0].From.ID != a {
		t.Fatalf("applications: %+v", list)
	}
	var pushed store.Message
	note, err := s.AcceptApplication(t.Context(), b, a, 0, store.NewMessage{Type: 8, Content: "k", System: true, OnCommit: func(m store.Message) { pushed = m }})
	want(t, "accept", err, nil)
	if note.From != b || note.To != a || note.Seq != 1 || note.Type != 8 || !note.System || pushed != note {
		t.Errorf("note %+v, pushed %+v", note, pushed)
	}
	for _, p := range [][2]int64{{a, b}, {b, a}} {
		list := ok(s.Contacts(t.Context(), p[0]))(t)
		if len(list) != 1 || list[0].User.ID != p[1] || list[0].Deleted {
			t.Errorf("contacts of %d: %+v", p[0], list)
		}
		if v := get(t, s, p[0]).ContactsVersion; v != 2 {
			t.Errorf("contacts version of %d is %d, want 2", p[0], v)
		}
	}
	if !ok(s.AreContacts(t.Context(), a, b))(t) || len(ok(s.Applications(t.Context(), b, 0, 10))(t)) != 0 {
		t.Error("not contacts, or the application is still there")
	}
	_, err = s.Apply(t.Context(), a, b, "again")
	want(t, "apply to a contact", err, store.ErrConflict)
	_, err = s.AcceptApplication(t.Context(), b, a, 0, store.NewMessage{Type: 8})
	want(t, "accept twice", err, store.ErrNotFound)
}

func TestApplyToNobody(t *testing.T) {
	s := open(t)
	a, gone := account(t, s, "anna"), account(t, s, "gone")
	want(t, "delete", third(s.DeleteAccount(t.Context(), gone, 0, store.QuitTexts{})), nil)
	for _, to := range []int64{a, gone, 0, -5, 99999} {
		_, err := s.Apply(t.Context(), a, to, "hi")
		want(t, "apply", err, store.ErrNotFound)
	}
}

func third[T, U any](_ T, _ U, err error) error { return err }

func TestBothApplyOneAccepts(t *testing.T) {
	s := open(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	ok(s.Apply(t.Context(), a, b, "x"))(t)
	befriend(t, s, b, a)
	for _, u := range []int64{a, b} {
		if list := ok(s.Applications(t.Context(), u, 0, 10))(t); len(list) != 0 {
			t.Errorf("still pending for %d: %+v", u, list)
		}
	}
}

func TestAcceptOfAnOldApplication(t *testing.T) {
	s, c := openClock(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	ok(s.Apply(t.Context(), a, b, "x"))(t)
	_, err := s.AcceptApplication(t.Context(), b, a, c.ms.Load()+1, store.NewMessage{Type: 8})
	want(t, "accept", err, store.ErrNotFound)
	if ok(s.AreContacts(t.Context(), a, b))(t) {
		t.Error("contacts all the same")
	}
}

// If the note cannot be stored, nothing of the acceptance may remain.
func TestAcceptIsAllOrNothing(t *testing.T) {
	s := open(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	ok(s.Apply(t.Context(), a, b, "x"))(t)
	_, err := s.AcceptApplication(t.Context(), b, a, 0, store.NewMessage{Type: 8, Check: func(store.Message) error { return store.ErrConflict }})
	want(t, "accept", err, store.ErrConflict)
	if ok(s.AreContacts(t.Context(), a, b))(t) || len(ok(s.Applications(t.Context(), b, 0, 10))(t)) != 1 || get(t, s, a).ContactsVersion != 1 {
		t.Error("half an acceptance")
	}
	_, err = s.SendPrivate(t.Context(), store.NewMessage{From: a, To: b, Content: "x"})
	want(t, "send", err, store.ErrNotContact)
}

func TestRefuse(t *testing.T) {
	s := open(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	want(t, "refuse nothing", s.RefuseApplication(t.Context(), b, a), store.ErrNotFound)
	ok(s.Apply(t.Context(), a, b, "x"))(t)
	want(t, "refuse by the applicant", s.RefuseApplication(t.Context(), a, b), store.ErrNotFound)
	want(t, "refuse", s.RefuseApplication(t.Context(), b, a), nil)
	want(t, "refuse twice", s.RefuseApplication(t.Context(), b, a), store.ErrNotFound)
}

func TestDeleteContactAndComeBack(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	if told := ok(s.DeleteContact(t.Context(), a, b))(t); !told {
		t.Error("ben still had anna and must be told")
	}
	list := ok(s.Contacts(t.Context(), b))(t)
	if len(list) != 1 || !list[0].Deleted || len(ok(s.Contacts(t.Context(), a))(t)) != 0 {
		t.Errorf("contacts of ben: %+v", list)
	}
	if get(t, s, a).ContactsVersion != 3 || get(t, s, b).ContactsVersion != 3 {
		t.Error("contacts versions did not grow")
	}
	for _, p := range [][2]int64{{a, b}, {b, a}} {
		_, err := s.SendPrivate(t.Context(), store.NewMessage{From: p[0], To: p[1], Content: "x"})
		want(t, "send", err, store.ErrNotContact)
	}
	_, err := s.DeleteContact(t.Context(), a, b)
	want(t, "delete twice", err, store.ErrNotFound)
	if told := ok(s.DeleteContact(t.Context(), b, a))(t); told {
		t.Error("anna had removed ben herself")
	}
	befriend(t, s, a, b)
	if m := send(t, s, a, b, "hello again"); m.Seq != 3 {
		t.Errorf("the conversation did not go on: seq %d", m.Seq)
	}
}

func TestBlock(t *testing.T) {
	s, c := openClock(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	d := account(t, s, "dora")
	ok(s.Apply(t.Context(), a, b, "x"))(t)
	for range 2 {
		want(t, "block", s.Block(t.Context(), b, a), nil)
		c.ms.Add(1)
	}
	want(t, "block another", s.Block(t.Context(), b, d), nil)
	if list := ok(s.Applications(t.Context(), b, 0, 10))(t); len(list) != 0 {
		t.Errorf("the blocked one's application is still there: %+v", list)
	}
	if stored := ok(s.Apply(t.Context(), a, b, "x"))(t); stored || len(ok(s.Applications(t.Context(), b, 0, 10))(t)) != 0 {
		t.Error("an application of the blocked one was stored")
	}
	if got := ids(ok(s.Blocked(t.Context(), b))(t)); !slices.Equal(got, []int64{d, a}) {
		t.Errorf("blocked: %v", got)
	}
	if !ok(s.IsBlocked(t.Context(), b, a))(t) || ok(s.IsBlocked(t.Context(), a, b))(t) {
		t.Error("blocking points the wrong way")
	}
	want(t, "unblock", s.Unblock(t.Context(), b, a), nil)
	want(t, "unblock again", s.Unblock(t.Context(), b, a), nil)
	if stored := ok(s.Apply(t.Context(), a, b, "x"))(t); !stored {
		t.Error("the application after unblocking was not stored")
	}
	want(t, "block nobody", s.Block(t.Context(), b, 99999), store.ErrNotFound)
	want(t, "block myself", s.Block(t.Context(), b, b), store.ErrNotFound)
}

func TestApplicationsAreBoundedAndExpire(t *testing.T) {
	s, c := openClock(t)
	b := account(t, s, "ben")
	start := c.ms.Load()
	var from []int64
	for _, name := range []string{"a1", "a2", "a3", "a4"} {
		from = append(from, account(t, s, name))
		ok(s.Apply(t.Context(), from[len(from)-1], b, name))(t)
		c.ms.Add(1000)
	}
	senders := func(since int64, limit int) []int64 {
		out := []int64{}
		for _, p := range ok(s.Applications(t.Context(), b, since, limit))(t) {
			out = append(out, p.From.ID)
		}
		return out
	}
	if got := senders(start+1000, 2); !slices.Equal(got, from[1:3]) {
		t.Errorf("since the second, two: %v, want %v", got, from[1:3])
	}
	want(t, "expire", s.ExpireApplications(t.Context(), start+2000), nil)
	if got := senders(0, 10); !slices.Equal(got, from[2:]) {
		t.Errorf("left: %v, want %v", got, from[2:])
	}
}

func TestFollowingOfNobody(t *testing.T) {
	s := open(t)
	a := account(t, s, "anna")
	if len(ok(s.Following(t.Context(), a, 0, 10))(t)) != 0 || ok(s.IsFollowing(t.Context(), a, 10000))(t) {
		t.Error("follows without having followed")
	}
}

func TestContactsAreSortedByNickname(t *testing.T) {
	s := open(t)
	me := account(t, s, "me")
	for _, name := range []string{"zoe", "adam", "mia"} {
		befriend(t, s, account(t, s, name), me)
	}
	names := ""
	for _, c := range ok(s.Contacts(t.Context(), me))(t) {
		names += c.User.Nickname + " "
	}
	if names != "adam mia zoe " {
		t.Errorf("order: %s", names)
	}
}
