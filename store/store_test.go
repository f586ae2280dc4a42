package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/store"
)

// TestMain lets the crash test run this binary as the process that it kills.
func TestMain(m *testing.M) {
	if path := os.Getenv("GTIV_STORE_CRASH"); path != "" {
		if err := crashChild(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		return
	}
	os.Exit(m.Run())
}

// clock is a clock that a test sets.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(1_700_000_000_000)
	return c
}

func (c *clock) now() time.Time { return time.UnixMilli(c.ms.Load()) }

// open makes a database in a folder of the test.
func open(t testing.TB) *store.Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "gtiv.db"))
}

func openAt(t testing.TB, path string) *store.Store {
	t.Helper()
	return openWith(t, store.Config{Path: path})
}

// openClock makes a database whose time a test sets.
func openClock(t testing.TB) (*store.Store, *clock) {
	t.Helper()
	c := newClock()
	return openWith(t, store.Config{Path: filepath.Join(t.TempDir(), "gtiv.db"), Now: c.now}), c
}

func openWith(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func account(t testing.TB, s *store.Store, name string) int64 {
	t.Helper()
	a, err := s.CreateAccount(t.Context(), store.NewAccount{Username: name, Nickname: name, Role: store.RoleUser})
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

// friends makes two accounts that are contacts.
func friends(t testing.TB, s *store.Store, x, y string) (int64, int64) {
	t.Helper()
	a, b := account(t, s, x), account(t, s, y)
	befriend(t, s, a, b)
	return a, b
}

func befriend(t testing.TB, s *store.Store, a, b int64) {
	t.Helper()
	if _, err := s.Apply(t.Context(), a, b, "hi"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AcceptApplication(t.Context(), b, a, 0, store.NewMessage{Type: 8, Content: "ok", System: true}); err != nil {
		t.Fatal(err)
	}
}

func send(t testing.TB, s *store.Store, from, to int64, text string) store.Message {
	t.Helper()
	m, err := s.SendPrivate(t.Context(), store.NewMessage{From: from, To: to, Content: text})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// want fails the test unless err is the sentinel (nil: no error).
func want(t testing.TB, what string, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("%s: got error %v, want %v", what, err, sentinel)
	}
}

// ok fails the test on an error, else passes the value on.
func ok[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// get reads the account and fails the test if it cannot.
func get(t testing.TB, s *store.Store, id int64) store.Account {
	t.Helper()
	return ok(s.Account(t.Context(), id))(t)
}

func TestFilesBelongToTheOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gtiv.db")
	s := openAt(t, path)
	account(t, s, "anna") // makes the WAL
	for _, suffix := range []string{"", "-wal", "-shm"} {
		fi, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("mode of gtiv.db%s is %v, want 0600", suffix, fi.Mode().Perm())
		}
	}
}

func TestOpenTakesOthersRightsFromACopiedDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gtiv.db")
	want(t, "close", openAt(t, path).Close(), nil)
	want(t, "chmod", os.Chmod(path, 0o644), nil)
	openAt(t, path)
	if fi := ok(os.Stat(path))(t); fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", fi.Mode().Perm())
	}
}

func TestOpenInFolderWithOddName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b%20c?d#e&f;g 短")
	want(t, "mkdir", os.Mkdir(dir, 0o700), nil)
	path := filepath.Join(dir, "x?y.db")
	s := openAt(t, path)
	id := account(t, s, "anna")
	want(t, "close", s.Close(), nil)
	names := ok(os.ReadDir(dir))(t)
	if len(names) != 1 || names[0].Name() != "x?y.db" {
		t.Fatalf("files after close: %v, want x?y.db alone", names)
	}
	if got := get(t, openAt(t, path), id); got.Username != "anna" {
		t.Errorf("reopened: %+v", got)
	}
}

func TestOpenOfWhatIsNoDatabaseFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gtiv.db")
	text := make([]byte, 8192)
	copy(text, "this is no database at all")
	want(t, "write", os.WriteFile(path, text, 0o600), nil)
	if s, err := store.Open(t.Context(), store.Config{Path: path}); err == nil {
		s.Close()
		t.Fatal("a text file was opened as a database")
	}
	if _, err := store.Open(t.Context(), store.Config{Path: filepath.Join(path, "below", "x.db")}); err == nil {
		t.Fatal("a path below a file was opened")
	}
}

func TestEverythingAnswersErrClosedAfterClose(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	want(t, "first close", s.Close(), nil)
	want(t, "second close", s.Close(), nil)
	_, err := s.SendPrivate(t.Context(), store.NewMessage{From: a, To: b, Content: "x"})
	want(t, "SendPrivate", err, store.ErrClosed)
	_, err = s.Account(t.Context(), a)
	want(t, "Account", err, store.ErrClosed)
	_, err = s.Contacts(t.Context(), a)
	want(t, "Contacts", err, store.ErrClosed)
	want(t, "Healthy", s.Healthy(t.Context()), store.ErrClosed)
}

func TestHealthyCommitsAndStatsCount(t *testing.T) {
	s := open(t)
	before := s.Stats()
	want(t, "Healthy", s.Healthy(t.Context()), nil)
	after := s.Stats()
	if after.Commits != before.Commits+1 || after.Writes != before.Writes+1 {
		t.Errorf("before %+v, after %+v: want one commit more", before, after)
	}
	if after.Bytes == 0 || after.WALBytes == 0 {
		t.Errorf("sizes are not read: %+v", after)
	}
}

func TestReadsWithCancelledContextLeaveThePoolUsable(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 200 {
		_, _ = s.Account(gone, a)
		_, _ = s.Contacts(gone, a)
		_, _ = s.PrivatePositions(gone, b)
	}
	send(t, s, a, b, "still here")
	if list := ok(s.Contacts(t.Context(), a))(t); len(list) != 1 {
		t.Errorf("contacts %+v, want one", list)
	}
}

func TestSettings(t *testing.T) {
	s := open(t)
	if v := ok(s.Setting(t.Context(), "epoch"))(t); v != "" {
		t.Errorf("setting before it was set: %q", v)
	}
	for _, v := range []string{"one", "two", ""} {
		want(t, "SetSetting", s.SetSetting(t.Context(), "epoch", v), nil)
		if got := ok(s.Setting(t.Context(), "epoch"))(t); got != v {
			t.Errorf("setting %q, want %q", got, v)
		}
	}
}
