package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/account"
	"gtiv/protocol"
	"gtiv/store"
)

// newModerated is a world with a censor that masks, or refuses, "bad".
func newModerated(t testing.TB, cfg account.Config, change func(*account.Deps)) *world {
	t.Helper()
	w := newWorld(t, cfg)
	deps := account.Deps{
		Store: w.store, SealKey: make([]byte, 32), Now: w.clock, Kick: func(int64) {}, Forget: func(int64) {},
		Deliver: func(store.Message) {}, Unfriended: func(int64, int64) {}, Leaving: func(context.Context, int64) error { return nil },
	}
	change(&deps)
	var err error
	if w.s, err = account.New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestNamesAreCensored(t *testing.T) {
	refuse := true
	w := newModerated(t, config(), func(d *account.Deps) {
		d.Censor = func(text string) (string, error) {
			if refuse && strings.Contains(text, "bad") {
				return "", protocol.Errorf(protocol.CodeBadValue, "wordRefused", "bad")
			}
			return strings.ReplaceAll(text, "bad", "***"), nil
		}
	})
	p, _ := w.register("anna")
	wantCode(t, "nickname", w.s.SetField(t.Context(), p, "nickname", "bad anna"), protocol.CodeBadValue)
	_, err := w.s.Add(t.Context(), "ben", "secret-ben", "bad ben", store.RoleUser)
	wantCode(t, "nickname of a new account", err, protocol.CodeBadValue)
	refuse = false
	if err := w.s.SetField(t.Context(), p, "nickname", "bad anna"); err != nil {
		t.Fatal(err)
	}
	if a, err := w.s.Info(t.Context(), p.User); err != nil || a.Nickname != "*** anna" {
		t.Errorf("nickname %q, %v", a.Nickname, err)
	}
	for _, refuse = range []bool{true, false} {
		_, err := w.s.RegisterByUsername(t.Context(), home, "badcarl", "secret-carl", "")
		wantCode(t, fmt.Sprintf("user name, refused %v", refuse), err, protocol.CodeBadValue)
	}
}

func TestAccountsAreNewForAWhile(t *testing.T) {
	cfg := config()
	cfg.NewAccount = 10 * time.Minute
	w := newWorld(t, cfg)
	p, _ := w.register("anna")
	admin, err := w.s.Add(t.Context(), "root1", "secret-root", "", store.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	want := func(what string, user int64, want time.Duration) {
		t.Helper()
		got, err := w.s.TooNew(t.Context(), user)
		if err != nil || got > want || got < want-time.Second {
			t.Errorf("%s: %v %v, want %v", what, got, err, want)
		}
	}
	want("at once", p.User, 10*time.Minute)
	want("an administrator", admin.ID, 0)
	w.advance(4 * time.Minute)
	want("later", p.User, 6*time.Minute)
	w.advance(6 * time.Minute)
	want("old enough", p.User, 0)
	if _, err := w.s.TooNew(t.Context(), 99999); protocol.CodeOf(err) != protocol.CodeUnknown {
		t.Errorf("nobody: %v", err)
	}
	cfg.NewAccount = 0
	if err := w.s.SetConfig(cfg); err != nil {
		t.Fatal(err)
	}
	q, _ := w.register("ben")
	want("when it is off", q.User, 0)
}

func TestBannedAddresses(t *testing.T) {
	var evicted []bool
	w := newModerated(t, config(), func(d *account.Deps) {
		d.Evict = func(banned func(netip.Addr) bool) {
			evicted = append(evicted, banned(netip.MustParseAddr("192.0.2.9")))
		}
	})
	ban := func(address string, until time.Time) (store.AddressBan, error) {
		return w.s.BanAddress(t.Context(), address, until, "spam", "root")
	}
	for _, address := range []string{"192.0.2.0/24", "198.51.100.7", "2001:db8:1:2::/64", "::ffff:203.0.113.0/120"} {
		if _, err := ban(address, time.Time{}); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := ban("10.1.2.3/16", w.clock().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	check := func(want map[string]bool) {
		t.Helper()
		for address, banned := range want {
			if got := w.s.AddressBanned(netip.MustParseAddr(address)); got != banned {
				t.Errorf("%s is banned: %v", address, got)
			}
		}
	}
	check(map[string]bool{
		"192.0.2.9": true, "::ffff:192.0.2.9": true, "192.0.3.1": false, "198.51.100.7": true, "198.51.100.8": false,
		"2001:db8:1:2::5": true, "2001:db8:1:3::5": false, "203.0.113.200": true, "10.1.255.255": true, "10.2.0.0": false,
		"127.0.0.1": false, "fe80::1%eth0": false,
	})
	if w.s.AddressBanned(netip.Addr{}) {
		t.Error("no address at all is banned")
	}
	if len(evicted) != 5 || !evicted[0] {
		t.Errorf("connections were closed %d times: %v", len(evicted), evicted)
	}
	w.advance(time.Hour)
	check(map[string]bool{"10.1.2.3": false, "192.0.2.9": true})

	if prefix, err := w.s.UnbanAddress(t.Context(), "192.0.2.77/24"); err != nil || prefix != "192.0.2.0/24" {
		t.Errorf("%s %v", prefix, err)
	}
	check(map[string]bool{"192.0.2.9": false, "198.51.100.7": true})
	_, err := w.s.UnbanAddress(t.Context(), "192.0.2.0/24")
	wantCode(t, "unban again", err, protocol.CodeUnknown)
	list, err := w.s.AddressBans(t.Context())
	if err != nil || len(list) != 3 {
		t.Errorf("%+v %v", list, err)
	}
	for _, bad := range []string{"", "nonsense", "127.0.0.1", "127.1.2.0/24", "::1", "::/16", "0.0.0.0/0", "10.0.0.0/7", "2000::/15", "fe80::1%eth0", "192.0.2.0/33", "::ffff:127.0.0.1"} {
		_, err := ban(bad, time.Time{})
		wantCode(t, "ban of "+bad, err, protocol.CodeBadValue)
	}
	_, err = ban("192.0.2.1", w.clock())
	wantCode(t, "a ban that is over", err, protocol.CodeBadValue)
	if again, err := w.s.AddressBans(t.Context()); err != nil || len(again) != len(list) {
		t.Errorf("refused bans were stored: %+v %v", again, err)
	}
}

func TestBannedAddressesSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gtiv.db")
	bad := netip.MustParseAddr("192.0.2.9")
	for round := range 2 {
		st, err := store.Open(t.Context(), store.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		s, err := account.New(config(), account.Deps{
			Store: st, SealKey: make([]byte, 32), Kick: func(int64) {}, Forget: func(int64) {},
			Deliver: func(store.Message) {}, Unfriended: func(int64, int64) {}, Leaving: func(context.Context, int64) error { return nil },
		})
		if err = errors.Join(err, s.LoadAddressBans(t.Context())); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			_, err = s.BanAddress(t.Context(), "192.0.2.9", time.Time{}, "", "root")
		}
		if err != nil || !s.AddressBanned(bad) {
			t.Errorf("round %d: banned %v, %v", round, s.AddressBanned(bad), err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkAddressBanned(b *testing.B) {
	w := newWorld(b, config())
	for i := range 200 {
		if _, err := w.s.BanAddress(b.Context(), fmt.Sprintf("198.18.%d.0/%d", i, 20+i%9), time.Time{}, "", ""); err != nil {
			b.Fatal(err)
		}
	}
	a := netip.MustParseAddr("192.0.2.9")
	for b.Loop() {
		w.s.AddressBanned(a)
	}
}

// A ban of one IPv6 address kept nobody away: a subscriber has 2^64 of them.
func TestABannedIPv6AddressIsItsNetwork(t *testing.T) {
	w := newModerated(t, config(), func(*account.Deps) {})
	ctx := t.Context()
	b, err := w.s.BanAddress(ctx, "2001:db8::1", time.Time{}, "", "root")
	if err != nil || b.Prefix != "2001:db8::/64" || !w.s.AddressBanned(netip.MustParseAddr("2001:db8::abcd")) {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err := w.s.BanAddress(ctx, "2001:db8:1::1/128", time.Time{}, "", "root"); err != nil || b.Prefix != "2001:db8:1::1/128" {
		t.Errorf("%+v, %v", b, err)
	}
	for address, want := range map[string]string{"2001:db8::2": "2001:db8::/64", "2001:db8:1::1": "2001:db8:1::1/128"} {
		if got, err := w.s.UnbanAddress(ctx, address); err != nil || got != want {
			t.Errorf("unban %s: %s, %v", address, got, err)
		}
	}
	_, err = w.s.UnbanAddress(ctx, "2001:db8::2")
	wantCode(t, "unban again", err, protocol.CodeUnknown)
}
