package gateway

import "sync"

const registryShards = 32

// registry finds the connections of a number: of a user, of a login session.
// The lists are never changed in place, so that a reader iterates without the
// lock.
type registry struct {
	shards [registryShards]struct {
		mu   sync.RWMutex
		list map[int64][]*session
	}
}

// add appends s to the list of key. When the list is longer than limit (0: no
// limit), the oldest connection is taken out and returned.
func (r *registry) add(key int64, s *session, limit int) (oldest *session) {
	sh := &r.shards[uint64(key)%registryShards] //nolint:gosec // only spreads
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.list == nil {
		sh.list = make(map[int64][]*session)
	}
	old := sh.list[key]
	if limit > 0 && len(old) >= limit {
		oldest, old = old[0], old[1:]
	}
	next := make([]*session, len(old), len(old)+1)
	copy(next, old)
	sh.list[key] = append(next, s)
	return oldest
}

// remove takes s out of the list of key, if it is in it.
func (r *registry) remove(key int64, s *session) {
	sh := &r.shards[uint64(key)%registryShards] //nolint:gosec // only spreads
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.list[key]
	next := make([]*session, 0, len(old))
	for _, o := range old {
		if o != s {
			next = append(next, o)
		}
	}
	if len(next) == 0 {
		delete(sh.list, key)
		return
	}
	sh.list[key] = next
}

// get is the list of key, oldest first. It must not be changed.
func (r *registry) get(key int64) []*session {
	sh := &r.shards[uint64(key)%registryShards] //nolint:gosec // only spreads
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.list[key]
}

// keys is how many different numbers are in.
func (r *registry) keys() int {
	n := 0
	for i := range r.shards {
		r.shards[i].mu.RLock()
		n += len(r.shards[i].list)
		r.shards[i].mu.RUnlock()
	}
	return n
}
