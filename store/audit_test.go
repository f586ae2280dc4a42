package store_test

import (
	"testing"

	"gtiv/store"
)

func TestAuditListsNewestFirst(t *testing.T) {
	s, c := openClock(t)
	for _, action := range []string{"ban", "unban", "delete"} {
		want(t, "audit", s.Audit(t.Context(), store.AuditEntry{Time: 1, Actor: "root", Action: action, Target: "u1", Detail: "d"}), nil)
		c.ms.Add(1)
	}
	list := ok(s.AuditEntries(t.Context(), 2))(t)
	if len(list) != 2 || list[0] != (store.AuditEntry{Time: c.ms.Load() - 1, Actor: "root", Action: "delete", Target: "u1", Detail: "d"}) || list[1].Action != "unban" {
		t.Errorf("%+v", list)
	}
}
