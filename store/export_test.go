package store

import "testing"

// Spoil changes the database behind the rules.
func Spoil(t testing.TB, s *Store, queries ...string) {
	t.Helper()
	if err := s.update(t.Context(), func(tx *Tx) error {
		for _, q := range queries {
			if err := tx.exec(q); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
