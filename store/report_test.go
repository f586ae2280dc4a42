package store_test

import (
	"testing"

	"gtiv/store"
)

func TestReportIsOpenOnce(t *testing.T) {
	s, c := openClock(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	p := store.Report{Reporter: a, Kind: "message", Target: "m1", Reason: "rude", Sender: b, Content: "x", MessageTime: 5}
	first := ok(s.CreateReport(t.Context(), p))(t)
	c.ms.Add(1)
	p.Reason = "very rude"
	if again := ok(s.CreateReport(t.Context(), p))(t); again != first {
		t.Errorf("a second one: %+v, first %+v", again, first)
	}
	p.Reporter = b
	second := ok(s.CreateReport(t.Context(), p))(t)
	list := ok(s.Reports(t.Context(), true, 0, 10))(t)
	if len(list) != 2 || list[0] != first || list[1] != second || first.Reason != "rude" || first.Content != "x" || first.Sender != b {
		t.Errorf("open: %+v", list)
	}
	done := ok(s.ResolveReport(t.Context(), first.ID, "root", "warned", "note"))(t)
	if done.ResolvedAt != c.ms.Load() || done.ResolvedBy != "root" || done.Action != "warned" || done.Note != "note" {
		t.Errorf("resolved: %+v", done)
	}
	if list := ok(s.Reports(t.Context(), false, 0, 10))(t); len(list) != 1 || list[0] != done {
		t.Errorf("resolved: %+v", list)
	}
	if list := ok(s.Reports(t.Context(), true, 0, 10))(t); len(list) != 1 || list[0] != second {
		t.Errorf("open: %+v", list)
	}
	if list := ok(s.Reports(t.Context(), true, second.ID, 10))(t); len(list) != 0 {
		t.Errorf("behind the last: %+v", list)
	}
	p.Reporter = a
	if third := ok(s.CreateReport(t.Context(), p))(t); third.ID != second.ID+1 {
		t.Errorf("a new one after the first was resolved: %+v", third)
	}
}

func TestReportsAreRefused(t *testing.T) {
	s := open(t)
	a := account(t, s, "anna")
	p := ok(s.CreateReport(t.Context(), store.Report{Reporter: a, Kind: "user", Target: "1", Reason: "r"}))(t)
	_, err := s.CreateReport(t.Context(), store.Report{Reporter: 99999, Kind: "user", Target: "1", Reason: "r"})
	want(t, "report of nobody", err, store.ErrNotFound)
	if _, err := s.CreateReport(t.Context(), store.Report{Reporter: a, Kind: "cat", Target: "1", Reason: "r"}); err == nil {
		t.Error("a report of a cat was stored")
	}
	_, err = s.ResolveReport(t.Context(), p.ID+1, "root", "", "")
	want(t, "resolve what is not there", err, store.ErrNotFound)
	ok(s.ResolveReport(t.Context(), p.ID, "root", "", ""))(t)
	_, err = s.ResolveReport(t.Context(), p.ID, "root", "", "")
	want(t, "resolve again", err, store.ErrConflict)
}
