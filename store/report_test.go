package store_test

import (
	"testing"
	"time"

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

func TestResolvedReportsAreForgottenInTime(t *testing.T) {
	s, c := openClock(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	var all []store.Report
	for _, target := range []string{"m1", "m2", "m3", "m4"} {
		all = append(all, ok(s.CreateReport(t.Context(), store.Report{Reporter: a, Kind: "message", Target: target, Reason: "r", Sender: b, Content: "x"}))(t))
	}
	const age = 180 * 24 * time.Hour
	for _, p := range all[:2] {
		ok(s.ResolveReport(t.Context(), p.ID, "root", "", ""))(t)
	}
	c.ms.Add(age.Milliseconds())
	ok(s.ResolveReport(t.Context(), all[2].ID, "root", "", ""))(t)
	if n := ok(s.ForgetReports(t.Context(), age, 10))(t); n != 0 {
		t.Errorf("%d went at the very end", n)
	}
	c.ms.Add(1)
	if n := ok(s.ForgetReports(t.Context(), age, 1))(t); n != 1 {
		t.Errorf("%d went of a batch of one", n)
	}
	if n := ok(s.ForgetReports(t.Context(), age, 10))(t); n != 1 {
		t.Errorf("then %d went", n)
	}
	left := ok(s.ReportsBy(t.Context(), a))(t)
	if len(left) != 2 || left[0].ID != all[2].ID || left[1] != all[3] {
		t.Errorf("left: %+v", left) // the one resolved late, and the open one however old
	}
	if list := ok(s.ReportsBy(t.Context(), b))(t); len(list) != 0 {
		t.Errorf("of somebody else: %+v", list)
	}
}
