package account_test

import (
	"context"
	"crypto/md5" //nolint:gosec // the original server's
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/account"
	"gtiv/protocol"
	"gtiv/store"
)

// legacySum is how the original stored a password.
func legacySum(password string) string {
	sum := md5.Sum([]byte(password)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// imported makes an account as an import does.
func (w *world) imported(name, sum string) store.Account {
	w.t.Helper()
	hash, ok := account.LegacyHash(sum)
	if !ok {
		w.t.Fatalf("%s is refused", sum)
	}
	a, err := w.store.CreateAccount(w.t.Context(), store.NewAccount{Username: name, Nickname: name, PasswordHash: hash, Role: store.RoleUser})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) hashOf(id int64) string {
	w.t.Helper()
	a, err := w.store.Account(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return a.PasswordHash
}

func TestThePasswordsOfTheOriginalServer(t *testing.T) {
	w := newWorld(t, config())
	video, im := w.imported("wei", legacySum("s3cret"+"t3im")), w.imported("lan", strings.ToUpper(legacySum("密码'1"+"gtiv")))
	check := func(what, kind string) {
		t.Helper()
		for _, a := range []store.Account{video, im} {
			if h := w.hashOf(a.ID); !strings.HasPrefix(h, kind) {
				t.Errorf("%s: the hash of %s is %.14s…", what, a.Username, h)
			}
			for _, wrong := range []string{"", "wrong", "s3cret" + "t3im", legacySum("s3cret" + "t3im"), w.hashOf(a.ID)} {
				if _, err := w.s.Login(t.Context(), home, a.Username, wrong); protocol.CodeOf(err) != protocol.CodePassword && protocol.CodeOf(err) != protocol.CodeTooOften {
					t.Errorf("%s: %s logs in with %q: %v", what, a.Username, wrong, err)
				}
			}
		}
	}
	check("as imported", "$md5$")
	if _, err := w.s.Login(t.Context(), home, "WEI", "s3cret"); err != nil {
		t.Error(err)
	}
	if h := w.hashOf(video.ID); !strings.HasPrefix(h, "$argon2id$") {
		t.Errorf("after a login the hash is still %.14s…", h)
	}
	if _, err := w.s.Login(t.Context(), home, "wei", "s3cret"); err != nil {
		t.Errorf("the second login: %v", err)
	}

	// What nobody logged in to is hashed by Run.
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.s.Run(ctx) }()
	for end := time.Now().Add(time.Minute); strings.HasPrefix(w.hashOf(im.ID), "$md5$"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the password is not hashed")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if h := w.hashOf(im.ID); !strings.HasPrefix(h, "$md5+argon2id$") || strings.Contains(h, legacySum("密码'1"+"gtiv")) {
		t.Errorf("the hash is %s", h)
	}
	if list, err := w.store.UnhashedPasswords(t.Context(), 10); err != nil || len(list) != 0 {
		t.Errorf("%v %v are left", list, err)
	}
	if _, err := w.s.Login(t.Context(), home, "lan", "密码'1"); err != nil {
		t.Error(err)
	}
	check("after the logins", "$argon2id$")
}

func TestNoHashOfTheOriginalServer(t *testing.T) {
	for _, sum := range []string{"", "x", legacySum("a")[1:], legacySum("a") + "0", strings.Repeat("z", 32), "$argon2id$", legacySum("t3im"), legacySum("gtiv")} {
		if hash, ok := account.LegacyHash(sum); ok || hash != "" {
			t.Errorf("%q is taken as %q", sum, hash)
		}
	}
}

func TestNamesOfTheOriginalServerAreTidied(t *testing.T) {
	for in, want := range map[string]string{
		"anna": "anna", " 小明 ": "小明", "o'neil": "o’neil", "@boss": "boss", "deleted-5": "was-deleted-5", "deleted-x": "deleted-x", "8613800138000": "8613800138000",
		"a\x00b\u202ec\nd": "abcd", "\xff\xfe": "fallback", "  ": "fallback", "": "fallback", "@@": "fallback", strings.Repeat("字", 40): strings.Repeat("字", 32),
	} {
		if got := account.TidyUsername(in, "fallback"); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"Lily 👩‍👧": "Lily 👩‍👧", "D'Arcy": "D’Arcy", "\u200b": "fallback"} {
		if got := account.TidyNickname(in, "fallback"); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"http://x/a.jpg": "http://x/a.jpg", "file:///a": "", "x": "", "http://x/a b": ""} {
		if got := account.TidyAvatar(in); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
	}
}
