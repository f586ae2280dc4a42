package media_test

import (
	"errors"
	"net/netip"
	"testing"

	"gtiv/media"
)

func TestSessionsAreCountedAndBounded(t *testing.T) {
	counts := map[string]int{}
	r := media.NewRegistry(media.Limits{Viewers: 4, PerStream: 3, PerAddress: 2}, func(room string, n int) { counts[room] = n })
	viewer := func(room, from string) (func(), error) {
		return r.Add(&media.Session{Room: room, Address: netip.MustParseAddr(from)})
	}
	must := func(room, from string) func() {
		t.Helper()
		remove, err := viewer(room, from)
		if err != nil {
			t.Fatal(err)
		}
		return remove
	}
	leave := must("a", "192.0.2.1")
	must("a", "192.0.2.1")
	if _, err := viewer("b", "192.0.2.1"); !errors.Is(err, media.ErrFull) {
		t.Errorf("a third from one address: %v", err)
	}
	must("a", "192.0.2.2")
	if _, err := viewer("a", "192.0.2.3"); !errors.Is(err, media.ErrFull) {
		t.Errorf("a fourth of one stream: %v", err)
	}
	must("b", "192.0.2.3")
	if _, err := viewer("c", "192.0.2.4"); !errors.Is(err, media.ErrFull) {
		t.Errorf("a fifth: %v", err)
	}
	kicked := 0
	if _, err := r.Add(&media.Session{Room: "a", Publish: true, Address: netip.MustParseAddr("192.0.2.1"), Kick: func() { kicked++ }}); err != nil {
		t.Errorf("a publisher counts as a viewer: %v", err)
	}
	leave()
	leave()
	if r.Viewers("a") != 2 || counts["a"] != 2 || len(r.List("a")) != 3 || len(r.List("")) != 4 {
		t.Errorf("%d %v %v", r.Viewers("a"), counts, r.List(""))
	}
	if n := r.KickRoom("a", func(s *media.Session) bool { return s.Publish }); n != 1 || kicked != 1 || r.Kick(99) {
		t.Errorf("kicked %d, %d", n, kicked)
	}
	must("c", "192.0.2.1")
}

func TestACustomerOfIPv6IsOneAddress(t *testing.T) {
	r := media.NewRegistry(media.Limits{PerAddress: 2}, nil)
	for i, c := range []struct {
		address string
		ok      bool
	}{
		{"2001:db8:1:2::1", true}, {"2001:db8:1:2:3::9", true}, {"2001:db8:1:2::7", false}, {"2001:db8:1:3::1", true},
		{"192.0.2.1", true}, {"::ffff:192.0.2.1", true}, {"192.0.2.1", false}, {"192.0.2.2", true},
	} {
		_, err := r.Add(&media.Session{Room: "r", Address: netip.MustParseAddr(c.address)})
		if (err == nil) != c.ok {
			t.Errorf("%d, %s: %v", i, c.address, err)
		}
	}
	if media.AddressKey(netip.Addr{}) != (netip.Addr{}) {
		t.Error("no address is one")
	}
}
