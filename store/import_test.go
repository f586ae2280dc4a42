package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"gtiv/store"
)

// One error and nothing of an import is there; until then it sees what it wrote.
func TestImportIsAllOrNothing(t *testing.T) {
	s := open(t)
	broken := errors.New("broken")
	err := s.Import(t.Context(), func(im *store.Import) error {
		if id, err := im.User(store.Account{ID: 77, Username: "x", Nickname: "x", Role: store.RoleUser}); err != nil || id != 77 {
			return fmt.Errorf("%d %w", id, err)
		}
		if f, err := im.Find(store.ImportUser, 77); err != nil || f.ID != 77 || f.Earlier || f.Gone {
			return fmt.Errorf("%+v %w", f, err)
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := s.Account(t.Context(), 77); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.FindImported(t.Context(), store.ImportUser, 77); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func TestNumbersOfWhatIsImported(t *testing.T) {
	s := open(t)
	err := s.Import(t.Context(), func(im *store.Import) error {
		for _, id := range []int64{5, 20_000, 1 << 40, -1} {
			im.Expect(store.ImportUser, id)
			im.Expect(store.ImportRoom, id)
			im.Expect(store.ImportVideo, id)
		}
		for old, want := range map[int64]int64{5: 5, 900_000_000: 900_000_000, 900_000_001: 0, 0: 0, -3: 0, 1 << 62: 0} {
			id, err := im.User(store.Account{ID: old, Username: fmt.Sprint("u", old), Nickname: "x", Role: store.RoleUser})
			if id != want || (want == 0) != errors.Is(err, store.ErrNumberTaken) {
				t.Errorf("user %d becomes %d: %v", old, id, err)
			}
		}
		if _, err := im.User(store.Account{ID: 6, Username: "U5", Nickname: "x", Role: store.RoleUser}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the same name: %v", err)
		}
		next := int64(store.FirstRoom + 20_000)
		for _, c := range [][2]int64{{1, store.FirstRoom + 1}, {store.FirstRoom + 1, 0}, {store.FirstRoom + 3, store.FirstRoom + 3}, {1 << 31, 0}, {0, 0}} {
			want := c[1]
			if want == 0 {
				next++
				want = next
			}
			if id, err := im.Room(c[0], store.Room{Name: "x", MemberLimit: 5}); err != nil || id != want {
				t.Errorf("room %d becomes %d, not %d: %v", c[0], id, want, err)
			}
		}
		for _, c := range [][2]int64{{1, 20_001}, {2, 2}, {9, 9}, {1 << 40, 20_002}} {
			if id, err := im.Video(c[0], store.Video{Owner: 5, Reason: "x"}); err != nil || id != c[1] {
				t.Errorf("video %d becomes %d, not %d: %v", c[0], id, c[1], err)
			}
		}
		_, err := im.Finish()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if wrong, err := s.RepairCounters(t.Context(), false); err != nil || len(wrong) > 0 {
		t.Errorf("%v %v", wrong, err)
	}
}

func TestCopyOfADatabaseInUse(t *testing.T) {
	from := filepath.Join(t.TempDir(), "a #1.db")
	s, err := store.Open(t.Context(), store.Config{Path: from})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, err := s.CreateAccount(t.Context(), store.NewAccount{Username: "anna", Nickname: "a", Role: store.RoleUser})
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "b.db")
	if err := store.Copy(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	b, err := store.Open(t.Context(), store.Config{Path: to})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Account(t.Context(), a.ID); err != nil || got.Username != "anna" {
		t.Errorf("%+v %v", got, err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := store.Copy(t.Context(), from, to); err == nil {
		t.Error("a copy over a database")
	}
	if err := store.Copy(t.Context(), filepath.Join(t.TempDir(), "none.db"), filepath.Join(t.TempDir(), "c.db")); err == nil {
		t.Error("a copy of nothing")
	}
}
