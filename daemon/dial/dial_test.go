package dial_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"gtiv/daemon/dial"
)

func TestOnlyPublicAddressesAreReached(t *testing.T) {
	d := &dial.Dialer{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for address, ok := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "10.1.2.3": true, "::ffff:10.1.2.3": true,
		"127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "10.2.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"0.0.0.0": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "224.0.0.1": false, "255.255.255.255": false,
		"100.64.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "::7f00:1": false, "fec0::1": false, "2002:7f00:1::": false,
	} {
		if err := d.Check(netip.MustParseAddr(address)); (err == nil) != ok || err != nil && !errors.Is(err, dial.ErrForbidden) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A name is looked at by what it resolves to.
func TestNamesDoNotHideAddresses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := (&dial.Dialer{}).DialContext(t.Context(), "tcp", "localhost:"+port); !errors.Is(err, dial.ErrForbidden) {
		t.Errorf("%v %v", c, err)
	}
	own := &dial.Dialer{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	c, err := own.DialContext(t.Context(), "tcp", "localhost:"+port)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
