package store_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"gtiv/store"
)

func hash(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func login(t testing.TB, s *store.Store, id int64, token byte) int64 {
	t.Helper()
	l, ended, err := s.Login(t.Context(), store.NewLogin{Account: id, TokenHash: hash(token), Agent: "app", Address: "192.0.2.1"})
	if err != nil || len(ended) != 0 {
		t.Fatal(ended, err)
	}
	return l
}

func TestLoginAndSessionByToken(t *testing.T) {
	s, c := openClock(t)
	a := account(t, s, "anna")
	id, _, err := s.Login(t.Context(), store.NewLogin{Account: a, TokenHash: hash(1), Agent: "app", Address: "::1", Language: "zh"})
	want(t, "login", err, nil)
	l, acc, err := s.SessionByToken(t.Context(), hash(1))
	want(t, "token", err, nil)
	now := c.ms.Load()
	if l != (store.LoginSession{ID: id, Account: a, Agent: "app", Address: "::1", CreatedAt: now, LastSeen: now}) {
		t.Errorf("%+v", l)
	}
	if acc.ID != a || acc.Language != "zh" || acc.LastLoginTime != now/1000 {
		t.Errorf("%+v", acc)
	}
	login(t, s, a, 2)
	if got := get(t, s, a); got.Language != "zh" {
		t.Errorf("a login without a language changed it to %q", got.Language)
	}
	for _, token := range [][]byte{nil, {}, hash(9), hash(1)[:31]} {
		_, _, err = s.SessionByToken(t.Context(), token)
		want(t, "unknown token", err, store.ErrNotFound)
	}
	_, _, err = s.Login(t.Context(), store.NewLogin{Account: a, TokenHash: hash(1)})
	want(t, "token twice", err, store.ErrConflict)
}

func TestLoginOfWhoCannot(t *testing.T) {
	s := open(t)
	gone := account(t, s, "gone")
	want(t, "delete", third(s.DeleteAccount(t.Context(), gone, 0, store.QuitTexts{})), nil)
	for _, id := range []int64{gone, store.BuiltInAccount, 99999} {
		_, _, err := s.Login(t.Context(), store.NewLogin{Account: id, TokenHash: hash(1)})
		want(t, "login", err, store.ErrNotFound)
	}
}

func TestLoginAloneEndsTheOthers(t *testing.T) {
	s := open(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	one, two, bens := login(t, s, a, 1), login(t, s, a, 2), login(t, s, b, 3)
	id, ended, err := s.Login(t.Context(), store.NewLogin{Account: a, TokenHash: hash(4), Alone: true})
	want(t, "login", err, nil)
	slices.Sort(ended)
	if !slices.Equal(ended, []int64{one, two}) {
		t.Errorf("ended %v", ended)
	}
	if list := ok(s.Sessions(t.Context(), a))(t); len(list) != 1 || list[0].ID != id {
		t.Errorf("sessions %+v", list)
	}
	if list := ok(s.Sessions(t.Context(), b))(t); len(list) != 1 || list[0].ID != bens {
		t.Errorf("ben's sessions %+v", list)
	}
}

func TestRevoke(t *testing.T) {
	s, c := openClock(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	one, two, three := login(t, s, a, 1), login(t, s, a, 2), login(t, s, a, 3)
	if gone := ok(s.Revoke(t.Context(), b, one))(t); len(gone) != 0 {
		t.Errorf("ben revoked anna's session: %v", gone)
	}
	if gone := ok(s.Revoke(t.Context(), a, one))(t); !slices.Equal(gone, []int64{one}) {
		t.Errorf("revoked %v", gone)
	}
	if gone := ok(s.Revoke(t.Context(), a, one))(t); len(gone) != 0 {
		t.Errorf("revoked twice: %v", gone)
	}
	if gone := ok(s.Revoke(t.Context(), a, 0))(t); !slices.Equal(gone, []int64{two, three}) {
		t.Errorf("revoked %v", gone)
	}
	l, _, err := s.SessionByToken(t.Context(), hash(1))
	want(t, "revoked token is known", err, nil)
	if l.RevokedAt != c.ms.Load() {
		t.Errorf("%+v", l)
	}
	want(t, "forget", s.ForgetRevoked(t.Context(), time.Second), nil)
	want(t, "still known", third(s.SessionByToken(t.Context(), hash(1))), nil)
	c.ms.Add(1001)
	keep := login(t, s, a, 4)
	want(t, "forget", s.ForgetRevoked(t.Context(), time.Second), nil)
	want(t, "forgotten", third(s.SessionByToken(t.Context(), hash(1))), store.ErrNotFound)
	if list := ok(s.Sessions(t.Context(), a))(t); len(list) != 1 || list[0].ID != keep {
		t.Errorf("sessions %+v", list)
	}
}

func TestSeenNeverGoesBack(t *testing.T) {
	s, c := openClock(t)
	a := account(t, s, "anna")
	one, two := login(t, s, a, 1), login(t, s, a, 2)
	now := c.ms.Load()
	want(t, "nothing", s.Seen(t.Context(), nil), nil)
	want(t, "seen", s.Seen(t.Context(), map[int64]int64{one: now + 50, two: now - 50, 99999: 1}), nil)
	list := ok(s.Sessions(t.Context(), a))(t)
	if len(list) != 2 || list[0].ID != two || list[0].LastSeen != now || list[1].LastSeen != now+50 {
		t.Errorf("newest first: %+v", list)
	}
}

func TestSecondFactor(t *testing.T) {
	s := open(t)
	a := account(t, s, "anna")
	want(t, "confirm without a secret", s.ConfirmTOTP(t.Context(), a, 1, nil), store.ErrConflict)
	want(t, "secret", s.SetTOTPSecret(t.Context(), a, []byte("one")), nil)
	want(t, "another secret", s.SetTOTPSecret(t.Context(), a, []byte("two")), nil)
	if f := ok(s.TOTP(t.Context(), a))(t); f.On || string(f.Sealed) != "two" || get(t, s, a).TOTP {
		t.Errorf("not confirmed yet: %+v", f)
	}
	want(t, "confirm", s.ConfirmTOTP(t.Context(), a, 7, [][]byte{hash(1), hash(2)}), nil)
	want(t, "confirm twice", s.ConfirmTOTP(t.Context(), a, 8, nil), store.ErrConflict)
	want(t, "secret while on", s.SetTOTPSecret(t.Context(), a, []byte("three")), store.ErrConflict)
	if f := ok(s.TOTP(t.Context(), a))(t); !f.On || f.Step != 7 || f.Left != 2 || string(f.Sealed) != "two" || !get(t, s, a).TOTP {
		t.Errorf("confirmed: %+v", f)
	}
	want(t, "same step", s.UseTOTPStep(t.Context(), a, 7), store.ErrConflict)
	want(t, "next step", s.UseTOTPStep(t.Context(), a, 8), nil)
	want(t, "earlier step", s.UseTOTPStep(t.Context(), a, 6), store.ErrConflict)
	want(t, "code", s.UseRecoveryCode(t.Context(), a, hash(1)), nil)
	want(t, "code twice", s.UseRecoveryCode(t.Context(), a, hash(1)), store.ErrNotFound)
	want(t, "codes", s.ReplaceRecoveryCodes(t.Context(), a, [][]byte{hash(3), hash(4), hash(5)}), nil)
	want(t, "old code", s.UseRecoveryCode(t.Context(), a, hash(2)), store.ErrNotFound)
	if f := ok(s.TOTP(t.Context(), a))(t); f.Left != 3 {
		t.Errorf("%+v", f)
	}
	want(t, "disable", s.DisableTOTP(t.Context(), a), nil)
	if f := ok(s.TOTP(t.Context(), a))(t); f.On || f.Left != 0 || f.Sealed != nil || f.Step != 0 {
		t.Errorf("disabled: %+v", f)
	}
	_, err := s.TOTP(t.Context(), 99999)
	want(t, "of nobody", err, store.ErrNotFound)
}
