package store_test

import (
	"testing"
	"time"

	"gtiv/store"
)

func TestAuditListsNewestFirst(t *testing.T) {
	s, c := openClock(t)
	for _, action := range []string{"user.ban", "user.unban", "room.ban"} {
		want(t, "audit", s.Audit(t.Context(), store.AuditEntry{Time: 1, Actor: "root", Action: action, Target: "u1", Detail: "d"}), nil)
		c.ms.Add(1)
	}
	list := ok(s.AuditEntries(t.Context(), store.AuditFilter{Limit: 2}))(t)
	if len(list) != 2 || list[0] != (store.AuditEntry{ID: 3, Time: c.ms.Load() - 1, Actor: "root", Action: "room.ban", Target: "u1", Detail: "d"}) || list[1].Action != "user.unban" {
		t.Errorf("%+v", list)
	}
	list = ok(s.AuditEntries(t.Context(), store.AuditFilter{Limit: 2, Action: "user."}))(t)
	if len(list) != 2 || list[0].Action != "user.unban" || list[1].Action != "user.ban" {
		t.Errorf("user.: %+v", list)
	}
	if list = ok(s.AuditEntries(t.Context(), store.AuditFilter{Limit: 9, Before: list[0].ID}))(t); len(list) != 1 || list[0].ID != 1 {
		t.Errorf("the page behind: %+v", list)
	}
	if list = ok(s.AuditEntries(t.Context(), store.AuditFilter{Limit: 9, Action: "%"}))(t); len(list) != 0 {
		t.Errorf("%%: %+v", list)
	}
}

// The log does not grow for ever.
func TestOldAuditEntriesAreForgotten(t *testing.T) {
	s, c := openClock(t)
	write := func(n int) {
		for range n {
			want(t, "audit", s.Audit(t.Context(), store.AuditEntry{Actor: "x", Action: "x", Target: "x"}), nil)
		}
	}
	left := func() int { return len(ok(s.AuditEntries(t.Context(), store.AuditFilter{Limit: 100}))(t)) }
	write(5)
	c.ms.Add(1000)
	write(10)
	for _, step := range []struct{ age, most, limit, gone, left int }{
		{2000, 100, 10, 0, 15}, {500, 100, 3, 3, 12}, {500, 100, 10, 2, 10}, {500, 4, 100, 6, 4}, {500, 4, 100, 0, 4},
	} {
		n := ok(s.ForgetAudit(t.Context(), time.Duration(step.age)*time.Millisecond, int64(step.most), step.limit))(t)
		if n != step.gone || left() != step.left {
			t.Errorf("%+v: %d went, %d are left", step, n, left())
		}
	}
}
