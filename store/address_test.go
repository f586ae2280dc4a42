package store_test

import (
	"testing"

	"gtiv/store"
)

func TestAddressBansAreReplacedAndExpire(t *testing.T) {
	s, c := openClock(t)
	first := ok(s.SetAddressBan(t.Context(), store.AddressBan{Prefix: "192.0.2.0/24", Reason: "spam", CreatedBy: "root"}))(t)
	c.ms.Add(10)
	second := ok(s.SetAddressBan(t.Context(), store.AddressBan{Prefix: "2001:db8::/64", ExpiresAt: c.ms.Load() + 5}))(t)
	list := ok(s.AddressBans(t.Context()))(t)
	if len(list) != 2 || list[0] != second || list[1] != first {
		t.Errorf("bans: %+v", list)
	}
	again := ok(s.SetAddressBan(t.Context(), store.AddressBan{Prefix: first.Prefix, Reason: "more spam"}))(t)
	c.ms.Add(5)
	if list := ok(s.AddressBans(t.Context()))(t); len(list) != 1 || list[0] != again {
		t.Errorf("after a while: %+v", list)
	}
	want(t, "forget", s.ForgetAddressBans(t.Context()), nil)
	want(t, "delete a forgotten one", s.DeleteAddressBan(t.Context(), second.Prefix), store.ErrNotFound)
	want(t, "delete", s.DeleteAddressBan(t.Context(), first.Prefix), nil)
	if list := ok(s.AddressBans(t.Context()))(t); len(list) != 0 {
		t.Errorf("after deleting: %+v", list)
	}
}
