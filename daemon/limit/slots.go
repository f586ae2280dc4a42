package limit

import (
	"net/netip"
	"sync"
)

// Slots bounds what happens at the same time: all of it, and by each key, so that
// one user who is slow on purpose does not take the places of all. The zero value
// has no places. One lock, held for a look into a map.
type Slots[K comparable] struct {
	all, each int

	mu   sync.Mutex
	used int
	by   map[K]int
}

// NewSlots makes all places, of which a key may have each.
func NewSlots[K comparable](all, each int) *Slots[K] {
	return &Slots[K]{all: all, each: each, by: map[K]int{}}
}

// Enter takes a place for key; leave gives it back and must be called once. Not ok
// means that there is none.
func (s *Slots[K]) Enter(key K) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used >= s.all || s.by[key] >= s.each {
		return nil, false
	}
	s.used++
	s.by[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.used--
		if s.by[key]--; s.by[key] == 0 {
			delete(s.by, key)
		}
	}, true
}

// Seats are Slots by user and by address at once: accounts are made quickly, and
// somebody with many must not take the places of all either.
type Seats struct {
	users     *Slots[int64]
	addresses *Slots[string]
}

// NewSeats makes all places, of which a user and an address may have so many.
func NewSeats(all, user, address int) *Seats {
	return &Seats{NewSlots[int64](all, user), NewSlots[string](all, address)}
}

// Enter is Slots.Enter.
func (s *Seats) Enter(user int64, a netip.Addr) (leave func(), ok bool) {
	up, ok := s.users.Enter(user)
	if !ok {
		return nil, false
	}
	out, ok := s.addresses.Enter(AddressKey(a))
	if !ok {
		up()
		return nil, false
	}
	return func() { out(); up() }, true
}
