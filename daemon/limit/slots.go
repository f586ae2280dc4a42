package limit

import "sync"

// Slots bounds what happens at the same time: all of it, and by each key, so that
// one user who is slow on purpose does not take the places of all. The zero value
// has no places. One lock, held for a look into a map.
type Slots struct {
	all, each int

	mu   sync.Mutex
	used int
	by   map[int64]int
}

// NewSlots makes all places, of which a key may have each.
func NewSlots(all, each int) *Slots { return &Slots{all: all, each: each, by: map[int64]int{}} }

// Enter takes a place for key; leave gives it back and must be called once. Not ok
// means that there is none.
func (s *Slots) Enter(key int64) (leave func(), ok bool) {
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
