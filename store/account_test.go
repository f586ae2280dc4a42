package store_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"gtiv/store"
)

func TestAccountIdsStartBehindTheBuiltInOne(t *testing.T) {
	s := open(t)
	if id := account(t, s, "first"); id != 10001 {
		t.Errorf("first account has id %d, want 10001", id)
	}
	if b := get(t, s, store.BuiltInAccount); b.PasswordHash != "" || b.Username != "gtiv" {
		t.Errorf("built-in account: %+v", b)
	}
}

func TestCreateAccount(t *testing.T) {
	s, c := openClock(t)
	n := store.NewAccount{Username: "Anna", PasswordHash: "h", Nickname: "An", Language: "zh", TelCode: "+86", Tel: "123", Role: store.RoleAdmin}
	a := ok(s.CreateAccount(t.Context(), n))(t)
	if a.Username != "Anna" || a.PasswordHash != "h" || a.Nickname != "An" || a.Language != "zh" || a.TelCode != "+86" || a.Tel != "123" ||
		a.Role != store.RoleAdmin || a.CreatedAt != c.ms.Load() || a.Version != 1 || a.ContactsVersion != 1 {
		t.Errorf("made: %+v", a)
	}
	if get(t, s, a.ID) != a {
		t.Errorf("stored: %+v", get(t, s, a.ID))
	}
	for _, name := range []string{"anna", "ANNA", "Ａｎｎａ", " anna "} {
		if got := ok(s.AccountByName(t.Context(), name))(t); got != a {
			t.Errorf("by name %q: %+v", name, got)
		}
		_, err := s.CreateAccount(t.Context(), store.NewAccount{Username: name, Nickname: "x", Role: store.RoleUser})
		want(t, "name is taken", err, store.ErrConflict)
	}
	_, err := s.CreateAccount(t.Context(), store.NewAccount{Username: "other", Nickname: "x", Role: store.RoleUser, TelCode: "+86", Tel: "123"})
	want(t, "phone is taken", err, store.ErrConflict)
	ok(s.CreateAccount(t.Context(), store.NewAccount{Username: "other", Nickname: "x", Role: store.RoleUser, TelCode: "+1", Tel: "123"}))(t)
	_, err = s.AccountByName(t.Context(), "nobody")
	want(t, "by unknown name", err, store.ErrNotFound)
	_, err = s.Account(t.Context(), 99999)
	want(t, "by unknown id", err, store.ErrNotFound)
}

func TestOneOfManyGetsTheName(t *testing.T) {
	s := open(t)
	var made, refused atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			switch _, err := s.CreateAccount(t.Context(), store.NewAccount{Username: "anna", Nickname: "x", Role: store.RoleUser}); {
			case err == nil:
				made.Add(1)
			default:
				want(t, "create", err, store.ErrConflict)
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 || refused.Load() != 31 {
		t.Errorf("made %d, refused %d", made.Load(), refused.Load())
	}
}

func TestAccountsAreFilteredAndPaged(t *testing.T) {
	s, c := openClock(t)
	anna, ben, gone := account(t, s, "anna%x"), account(t, s, "ben_y"), account(t, s, "gone")
	boss := ok(s.CreateAccount(t.Context(), store.NewAccount{Username: "boss", Nickname: "anna's boss", Role: store.RoleAdmin}))(t).ID
	want(t, "delete", third(s.DeleteAccount(t.Context(), gone, 0, store.QuitTexts{})), nil)
	ok(s.Ban(t.Context(), ben, c.ms.Load()+1000, "spam"))(t)
	for _, tc := range []struct {
		f    store.Filter
		want []int64
	}{
		{store.Filter{After: 10000}, []int64{anna, ben, boss}},
		{store.Filter{After: 10000, Limit: 2}, []int64{anna, ben}},
		{store.Filter{After: ben}, []int64{boss}},
		{store.Filter{Query: "anna"}, []int64{anna, boss}},
		{store.Filter{Query: "%"}, []int64{anna}},
		{store.Filter{Query: "_"}, []int64{ben}},
		{store.Filter{Query: `\`}, []int64{}},
		{store.Filter{Query: fmt.Sprint(ben)}, []int64{ben}},
		{store.Filter{Query: fmt.Sprint(gone)}, []int64{}},
		{store.Filter{Banned: true}, []int64{ben}},
		{store.Filter{Admins: true}, []int64{boss}},
		{store.Filter{Query: "' OR 1=1 --"}, []int64{}},
	} {
		if tc.f.Limit == 0 {
			tc.f.Limit = 100
		}
		if got := ids(ok(s.Accounts(t.Context(), tc.f))(t)); !slices.Equal(got, tc.want) {
			t.Errorf("%+v: %v, want %v", tc.f, got, tc.want)
		}
	}
	if n := ok(s.CountAccounts(t.Context()))(t); n != 3 {
		t.Errorf("%d accounts, want 3", n)
	}
	c.ms.Add(1000)
	if list := ok(s.Accounts(t.Context(), store.Filter{Banned: true, Limit: 9}))(t); len(list) != 0 {
		t.Errorf("banned after the ban ended: %v", ids(list))
	}
}

func TestProfileChangesCountVersions(t *testing.T) {
	s := open(t)
	a := account(t, s, "anna")
	want(t, "nickname", s.SetProfile(t.Context(), a, "nickname", "An"), nil)
	want(t, "avatar", s.SetProfile(t.Context(), a, "avatar", "/a.png"), nil)
	want(t, "another field", s.SetProfile(t.Context(), a, "role", "100"), store.ErrNotFound)
	want(t, "nobody", s.SetProfile(t.Context(), 99999, "avatar", "x"), store.ErrNotFound)
	want(t, "language", s.SetLanguage(t.Context(), a, "zh"), nil)
	want(t, "language of nobody", s.SetLanguage(t.Context(), 99999, "zh"), store.ErrNotFound)
	want(t, "single device", s.SetSingleDevice(t.Context(), a, true), nil)
	want(t, "single device of nobody", s.SetSingleDevice(t.Context(), 99999, true), store.ErrNotFound)
	got := get(t, s, a)
	if got.Nickname != "An" || got.Avatar != "/a.png" || got.Version != 3 || got.Role != store.RoleUser || got.Language != "zh" || !got.SingleDevice {
		t.Errorf("%+v", got)
	}
}

func TestSetPasswordRevokesTheOtherSessions(t *testing.T) {
	s := open(t)
	a := account(t, s, "anna")
	one, two := login(t, s, a, 1), login(t, s, a, 2)
	gone := ok(s.SetPassword(t.Context(), a, "new", two))(t)
	if !slices.Equal(gone, []int64{one}) || get(t, s, a).PasswordHash != "new" {
		t.Errorf("revoked %v, account %+v", gone, get(t, s, a))
	}
	if gone := ok(s.SetPassword(t.Context(), a, "newer", 0))(t); !slices.Equal(gone, []int64{two}) {
		t.Errorf("revoked %v, want %d", gone, two)
	}
	for _, id := range []int64{store.BuiltInAccount, 99999} {
		_, err := s.SetPassword(t.Context(), id, "x", 0)
		want(t, "password", err, store.ErrNotFound)
	}
}

func TestUpgradeHashLosesAgainstANewPassword(t *testing.T) {
	s := open(t)
	a := account(t, s, "anna")
	ok(s.SetPassword(t.Context(), a, "old", 0))(t)
	want(t, "upgrade", s.UpgradeHash(t.Context(), a, "old", "better"), nil)
	want(t, "late upgrade", s.UpgradeHash(t.Context(), a, "old", "worse"), store.ErrNotFound)
	if h := get(t, s, a).PasswordHash; h != "better" {
		t.Errorf("hash %q", h)
	}
}

func TestBanRevokesAndEnds(t *testing.T) {
	s, c := openClock(t)
	a := account(t, s, "anna")
	l := login(t, s, a, 1)
	until := c.ms.Load() + 5000
	if gone := ok(s.Ban(t.Context(), a, until, "spam"))(t); !slices.Equal(gone, []int64{l}) {
		t.Errorf("revoked %v", gone)
	}
	if got := get(t, s, a); got.BannedUntil != until || got.BanReason != "spam" {
		t.Errorf("%+v", got)
	}
	l = login(t, s, a, 2)
	if gone := ok(s.Ban(t.Context(), a, 0, ""))(t); len(gone) != 0 || get(t, s, a).BannedUntil != 0 {
		t.Errorf("ending a ban revoked %v", gone)
	}
	if list := ok(s.Sessions(t.Context(), a))(t); len(list) != 1 || list[0].ID != l {
		t.Errorf("sessions %+v", list)
	}
	for _, id := range []int64{store.BuiltInAccount, 99999} {
		_, err := s.Ban(t.Context(), id, until, "x")
		want(t, "ban", err, store.ErrNotFound)
	}
}

func TestDeleteAccount(t *testing.T) {
	s, c := openClock(t)
	a, b := friends(t, s, "anna", "ben")
	d := account(t, s, "dora")
	befriend(t, s, a, d)
	ok(s.DeleteContact(t.Context(), d, a))(t)
	ok(s.Apply(t.Context(), account(t, s, "fan"), a, "x"))(t)
	m := send(t, s, a, b, "remember me")
	l := login(t, s, a, 1)
	version := get(t, s, b).ContactsVersion
	sessions, peers, err := s.DeleteAccount(t.Context(), a, c.ms.Load()+1000, store.QuitTexts{})
	want(t, "delete", err, nil)
	if !slices.Equal(sessions, []int64{l}) || !slices.Equal(peers, []int64{b}) {
		t.Errorf("sessions %v, peers %v", sessions, peers)
	}
	got := get(t, s, a)
	if got.Username != fmt.Sprint("deleted-", a) || got.Nickname != got.Username || got.DeletedAt != c.ms.Load() || got.PasswordHash != "" {
		t.Errorf("%+v", got)
	}
	list := ok(s.Contacts(t.Context(), b))(t)
	if len(list) != 1 || !list[0].Deleted || get(t, s, b).ContactsVersion != version+1 || len(ok(s.Contacts(t.Context(), a))(t)) != 0 {
		t.Errorf("contacts of ben: %+v", list)
	}
	if old := ok(s.MessageByID(t.Context(), m.ServerMsgID))(t); old.Content != "remember me" {
		t.Errorf("message: %+v", old)
	}
	_, err = s.SendPrivate(t.Context(), store.NewMessage{From: b, To: a, Content: "x"})
	want(t, "send to the deleted one", err, store.ErrNotContact)
	want(t, "delete twice", third(s.DeleteAccount(t.Context(), a, 0, store.QuitTexts{})), store.ErrNotFound)
	want(t, "delete the built-in one", third(s.DeleteAccount(t.Context(), store.BuiltInAccount, 0, store.QuitTexts{})), store.ErrNotFound)
	want(t, "profile of the deleted one", s.SetProfile(t.Context(), a, "nickname", "x"), store.ErrNotFound)
}

func TestNameOfADeletedAccountIsFreeLater(t *testing.T) {
	s, c := openClock(t)
	a := account(t, s, "Anna")
	want(t, "delete", third(s.DeleteAccount(t.Context(), a, c.ms.Load()+1000, store.QuitTexts{})), nil)
	n := store.NewAccount{Username: "anna", Nickname: "x", Role: store.RoleUser}
	_, err := s.CreateAccount(t.Context(), n)
	want(t, "too early", err, store.ErrConflict)
	want(t, "FreeNames", s.FreeNames(t.Context()), nil)
	_, err = s.CreateAccount(t.Context(), n)
	want(t, "still too early", err, store.ErrConflict)
	c.ms.Add(1000)
	want(t, "FreeNames", s.FreeNames(t.Context()), nil)
	b := ok(s.CreateAccount(t.Context(), n))(t)
	// The second owner can go just as well.
	want(t, "delete again", third(s.DeleteAccount(t.Context(), b.ID, 0, store.QuitTexts{})), nil)
}

// Somebody may call himself what a deleted account will be called.
func TestNobodyCanStandInTheWayOfADeletion(t *testing.T) {
	s := open(t)
	a := account(t, s, "anna")
	account(t, s, fmt.Sprint("deleted-", a))
	want(t, "delete", third(s.DeleteAccount(t.Context(), a, 0, store.QuitTexts{})), nil)
}

func FuzzFoldName(f *testing.F) {
	for _, s := range []string{"Anna", "Ａｎｎａ", "ẞ", "ﬀ", "İ", " x ", "\xff", "¨", "ͅ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key := store.FoldName(name)
		if again := store.FoldName(key); again != key {
			t.Errorf("%q folds to %q, and that to %q", name, key, again)
		}
	})
}
