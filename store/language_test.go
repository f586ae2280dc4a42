package store_test

import (
	"maps"
	"testing"

	"gtiv/store"
)

// What is remembered of people's languages is never older than their last choice.
func TestLanguages(t *testing.T) {
	s := open(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	check := func(what string, inA, inB string) {
		t.Helper()
		for range 2 { // from the database, and from memory
			if got := ok(s.Languages(t.Context(), []int64{a, b, 99999}))(t); !maps.Equal(got, map[int64]string{a: inA, b: inB}) {
				t.Errorf("%s: %v", what, got)
			}
		}
	}
	check("at first", "", "")
	want(t, "set", s.SetLanguage(t.Context(), a, "zh"), nil)
	check("after a choice", "zh", "")
	for i, l := range []string{"en", ""} { // a login without a language changes nothing
		_, _, err := s.Login(t.Context(), store.NewLogin{Account: b, TokenHash: append(make([]byte, 31), byte(i)), Language: l})
		want(t, "login", err, nil)
		check("after a login", "zh", "en")
	}
}
