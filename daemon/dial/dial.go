// Package dial opens connections to addresses that somebody named: webhooks,
// relays. It looks at the address that is really connected to, after the name was
// resolved, so that no name leads into the host's own networks.
//
// It has no goroutines and no state.
package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// ErrForbidden means that an address may not be connected to.
var ErrForbidden = errors.New("address is not allowed")

// timeout bounds one connection.
const timeout = 10 * time.Second

// Dialer opens connections.
type Dialer struct {
	// Allow are networks that may be reached although they are not public.
	Allow []netip.Prefix
}

// notPublic are networks that are nobody's or one's own, besides those that netip
// knows (RFC 6890).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}

// Check returns ErrForbidden unless an address may be connected to.
func (d *Dialer) Check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	for _, p := range d.Allow {
		if p.Contains(a) {
			return nil
		}
	}
	public := a.IsValid() && a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
	for _, p := range notPublic {
		public = public && !p.Contains(a)
	}
	if !public {
		return fmt.Errorf("%w: %s", ErrForbidden, a)
	}
	return nil
}

// DialContext opens a connection, as net.Dialer does.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	nd := net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %s", ErrForbidden, address)
		}
		return d.Check(a.Addr())
	}}
	return nd.DialContext(ctx, network, address)
}
