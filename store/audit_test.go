package store_test

import (
	"testing"

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
