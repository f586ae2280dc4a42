package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"gtiv/store"
)

func TestInvite(t *testing.T) {
	s, c := openClock(t)
	made := ok(s.CreateInvite(t.Context(), store.Invite{Code: "abc", Note: "for ben", CreatedBy: 7, ExpiresAt: c.ms.Load() + 100, MaxUses: 1}))(t)
	if list := ok(s.Invites(t.Context()))(t); len(list) != 1 || list[0] != made || made.CreatedAt != c.ms.Load() {
		t.Errorf("list %+v, made %+v", list, made)
	}
	_, err := s.CreateInvite(t.Context(), store.Invite{Code: "abc", MaxUses: 1})
	want(t, "code twice", err, store.ErrConflict)
	usable := func(code string, want bool) {
		t.Helper()
		if got := ok(s.InviteUsable(t.Context(), code))(t); got != want {
			t.Errorf("usable %q: %v", code, got)
		}
	}
	usable("abc", true)
	usable("ABC", false)
	usable("", false)
	join := func(name, code string) error {
		_, err := s.CreateAccount(t.Context(), store.NewAccount{Username: name, Nickname: name, Role: store.RoleUser, Invite: code})
		return err
	}
	account(t, s, "taken")
	want(t, "a taken name does not use the code up", join("taken", "abc"), store.ErrConflict)
	want(t, "unknown code", join("ben", "xyz"), store.ErrNotFound)
	want(t, "join", join("ben", "abc"), nil)
	want(t, "used up", join("cleo", "abc"), store.ErrNotFound)
	usable("abc", false)
	ok(s.CreateInvite(t.Context(), store.Invite{Code: "old", ExpiresAt: c.ms.Load() + 100, MaxUses: 5}))(t)
	c.ms.Add(100)
	usable("old", false)
	want(t, "expired", join("cleo", "old"), store.ErrNotFound)
	ok(s.CreateInvite(t.Context(), store.Invite{Code: "bad", MaxUses: 5}))(t)
	want(t, "revoke", s.RevokeInvite(t.Context(), "bad"), nil)
	want(t, "revoke twice", s.RevokeInvite(t.Context(), "bad"), store.ErrNotFound)
	usable("bad", false)
	want(t, "revoked", join("cleo", "bad"), store.ErrNotFound)
	if list := ok(s.Invites(t.Context()))(t); len(list) != 3 || list[0].Code != "bad" || list[0].RevokedAt != c.ms.Load() {
		t.Errorf("newest first: %+v", list)
	}
}

func TestInviteIsNotUsedMoreOftenThanAllowed(t *testing.T) {
	s := open(t)
	ok(s.CreateInvite(t.Context(), store.Invite{Code: "five", MaxUses: 5}))(t)
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			_, err := s.CreateAccount(t.Context(), store.NewAccount{Username: fmt.Sprint("u", i), Nickname: "x", Role: store.RoleUser, Invite: "five"})
			if err == nil {
				made.Add(1)
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := ok(s.CountAccounts(t.Context()))(t); made.Load() != 5 || n != 5 {
		t.Errorf("%d said they joined, %d did, want 5", made.Load(), n)
	}
}
