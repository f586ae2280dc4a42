package store

import (
	"strings"
	"testing"
)

func TestSearchWords(t *testing.T) {
	for text, want := range map[string]string{
		"Hello, WORLD": "hello world", "短视频": "短视 视频 频", "看vlog吧": "看 vlog 吧", "": "", "!?": "", "ＡＢ１": "ab1",
	} {
		if got := strings.TrimSpace(searchWords(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for q, want := range map[string]string{
		"hel wor": `"hel"* AND "wor"*`, "视频": `"视频"`, "短视频": `"短视 视频"`, "频": `"频"*`, `a"b`: `"a"* AND "b"*`, " ": "",
	} {
		if got := searchQuery(q); got != want {
			t.Errorf("%q: %q, want %q", q, got, want)
		}
	}
}

// Whatever somebody types is a query that SQLite takes, and a text is found by
// itself as long as it is short.
func FuzzSearch(f *testing.F) {
	for _, q := range []string{"hello world", "短视频", `"*(NEAR`, "a\x00b", "\u0301e", "👩‍👩‍👧", "ﬁ ß İ", "ก็", "한국어", "-", "OR AND NOT"} {
		f.Add(q)
	}
	s := openTest(f)
	a, err := s.CreateAccount(f.Context(), NewAccount{Username: "x", Nickname: "x", Role: RoleUser})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, q string) {
		if len([]rune(q)) > 30 { // folding can make it longer
			return
		}
		if err := s.SetProfile(t.Context(), a.ID, "nickname", q); err != nil {
			t.Skip(err)
		}
		list, _, err := s.SearchAccounts(t.Context(), q, 0, 10)
		if err != nil {
			t.Fatalf("%q: %v", q, err)
		}
		if searchQuery(q) != "" && len(list) != 1 {
			t.Errorf("%q is not found by itself: words %q, query %q", q, searchWords(q), searchQuery(q))
		}
	})
}
