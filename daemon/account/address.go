package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gtiv/store"
)

// The largest networks that can be banned.
const (
	widestBan4 = 8
	widestBan6 = 16
)

// addressSet is the banned networks, made for looking an address up. It does not
// change.
type addressSet struct {
	until        map[netip.Prefix]int64 // ms; Forever: no end
	bits4, bits6 []int                  // lengths that occur
}

func newAddressSet(list []store.AddressBan) (*addressSet, error) {
	set := &addressSet{until: make(map[netip.Prefix]int64, len(list))}
	for _, b := range list {
		p, err := netip.ParsePrefix(b.Prefix)
		if err != nil {
			return nil, fmt.Errorf("stored ban of an address: %w", err)
		}
		set.until[p] = b.ExpiresAt
		if b.ExpiresAt == 0 {
			set.until[p] = Forever
		}
		bits := &set.bits4
		if p.Addr().Is6() {
			bits = &set.bits6
		}
		if !slices.Contains(*bits, p.Bits()) {
			*bits = append(*bits, p.Bits())
		}
	}
	return set, nil
}

// contains says whether an address is banned at a time (ms): one look for each
// length of networks.
func (set *addressSet) contains(a netip.Addr, now int64) bool {
	if set == nil || len(set.until) == 0 {
		return false
	}
	a = a.Unmap().WithZone("")
	bits := set.bits4
	if a.Is6() {
		bits = set.bits6
	}
	for _, n := range bits {
		if p, err := a.Prefix(n); err == nil && set.until[p] > now {
			return true
		}
	}
	return false
}

// AddressBanned says whether nobody may come from an address. It costs next to
// nothing and asks no database.
func (s *Service) AddressBanned(a netip.Addr) bool {
	return s.addresses.Load().contains(a, s.now().UnixMilli())
}

// LoadAddressBans reads the bans from the database. It comes before the first
// AddressBanned.
func (s *Service) LoadAddressBans(ctx context.Context) error {
	s.addressMu.Lock()
	defer s.addressMu.Unlock()
	return s.loadAddresses(ctx)
}

// loadAddresses is LoadAddressBans under addressMu.
func (s *Service) loadAddresses(ctx context.Context) error {
	list, err := s.store.AddressBans(ctx)
	if err != nil {
		return fmt.Errorf("read bans of addresses: %w", err)
	}
	set, err := newAddressSet(list)
	if err != nil {
		return err
	}
	s.addresses.Store(set)
	return nil
}

// BanAddress keeps an address or a network away until a time, for ever if it is
// zero, and closes its connections. A second ban of the same replaces the first.
func (s *Service) BanAddress(ctx context.Context, address string, until time.Time, reason, by string) (store.AddressBan, error) {
	p, err := banPrefix(address)
	if err != nil {
		return store.AddressBan{}, err
	}
	b := store.AddressBan{Prefix: p.String(), Reason: clip(reason, 500), CreatedBy: by}
	if !until.IsZero() {
		if b.ExpiresAt = until.UnixMilli(); b.ExpiresAt <= s.now().UnixMilli() {
			return b, badName("Until", "badTime")
		}
	}
	s.addressMu.Lock()
	defer s.addressMu.Unlock()
	if b, err = s.store.SetAddressBan(ctx, b); err != nil {
		return b, DiskFull(err)
	}
	if err := s.loadAddresses(ctx); err != nil {
		return b, err
	}
	if s.deps.Evict != nil {
		s.deps.Evict(s.AddressBanned)
	}
	return b, nil
}

// UnbanAddress ends the ban of an address or a network, written as it was for
// BanAddress, and answers it as it is stored.
func (s *Service) UnbanAddress(ctx context.Context, address string) (prefix string, err error) {
	p, err := parsePrefix(address)
	if err != nil {
		return "", err
	}
	s.addressMu.Lock()
	defer s.addressMu.Unlock()
	err = s.store.DeleteAddressBan(ctx, p.String())
	if a, aerr := netip.ParseAddr(address); errors.Is(err, store.ErrNotFound) && aerr == nil && a.Is6() && !a.Is4In6() {
		p = netip.PrefixFrom(a, a.BitLen()) // as bans of IPv6 addresses were once
		err = s.store.DeleteAddressBan(ctx, p.String())
	}
	if err != nil {
		return "", unknown(err, "noSuchBan")
	}
	return p.String(), s.loadAddresses(ctx)
}

// AddressBans lists the bans of addresses that have not expired, newest first.
func (s *Service) AddressBans(ctx context.Context) ([]store.AddressBan, error) {
	return s.store.AddressBans(ctx)
}

// subscriber6 is what one subscriber has of IPv6: limits count by it, too.
const subscriber6 = 64

// parsePrefix reads an address or a network. An IPv6 address stands for its /64:
// whoever has it has the others. An IPv4 one that is written as IPv6 is IPv4 here:
// so are the addresses that are looked up.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		if a = a.Unmap(); a.Is6() {
			return a.Prefix(subscriber6)
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, badName("Address", "badAddress")
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// banPrefix is parsePrefix for what may be banned: not this host, and not half
// the world by a slip of the finger.
func banPrefix(text string) (netip.Prefix, error) {
	p, err := parsePrefix(text)
	if err != nil {
		return p, err
	}
	widest := widestBan4
	if p.Addr().Is6() {
		widest = widestBan6
	}
	if p.Bits() < widest {
		return p, badName("Address", "banTooWide")
	}
	for _, own := range []string{"127.0.0.0/8", "::1/128"} {
		if p.Overlaps(netip.MustParsePrefix(own)) {
			return p, badName("Address", "banLoopback")
		}
	}
	return p, nil
}
