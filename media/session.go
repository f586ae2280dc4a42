package media

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Protocols of sessions.
const (
	ProtocolRTMP  = "rtmp"
	ProtocolFLV   = "flv"
	ProtocolWSFLV = "ws-flv"
	ProtocolHLS   = "hls"
	ProtocolLLHLS = "ll-hls"
	ProtocolWHIP  = "whip"
	ProtocolWHEP  = "whep"
	ProtocolRelay = "relay"
)

// Session is somebody who publishes or watches a stream. The fields above the
// counters do not change once it is in a Registry.
type Session struct {
	ID       int64 // set by Registry.Add
	Room     string
	Publish  bool
	Protocol string
	Address  netip.Addr
	User     int64  // 0: nobody knows
	Note     string // what an operator should know, such as why there is no sound
	Began    time.Time
	// Kick ends it; it may be called several times.
	Kick func()

	In, Out atomic.Int64 // bytes
}

// watches says whether it counts as a viewer: another server does not.
func (s *Session) watches() bool { return !s.Publish && s.Protocol != ProtocolRelay }

// AddressKey is what counts as one address: of IPv6 the network of 64 bits, which one
// customer has.
func AddressKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// Errors of Registry.Add; compare with errors.Is.
var (
	// ErrFull means that a stream, an address or the server has as many viewers as
	// it may have.
	ErrFull = errors.New("too many viewers")
)

// Limits of a Registry; 0 is none.
type Limits struct {
	Viewers    int // of all streams
	PerStream  int
	PerAddress int // viewers from one address
}

// Registry knows who publishes and who watches, whatever the protocol. One lock,
// held for a look into maps.
type Registry struct {
	mu      sync.Mutex
	limits  Limits
	last    int64
	all     map[int64]*Session
	viewers map[string]int // by room
	address map[netip.Addr]int
	count   int // of viewers
	changed func(room string, viewers int)
}

// NewRegistry makes one. changed is told, without locks held, how many watch a room
// when that has changed; nil: nobody is told.
func NewRegistry(l Limits, changed func(room string, viewers int)) *Registry {
	if changed == nil {
		changed = func(string, int) {}
	}
	return &Registry{limits: l, all: map[int64]*Session{}, viewers: map[string]int{}, address: map[netip.Addr]int{}, changed: changed}
}

// SetLimits replaces the limits, for those who come from now on.
func (r *Registry) SetLimits(l Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits = l
}

// Add registers a session; remove must be called when it ends and may be called
// twice. ErrFull.
func (r *Registry) Add(s *Session) (remove func(), err error) {
	r.mu.Lock()
	if s.watches() && r.full(s) {
		r.mu.Unlock()
		return nil, ErrFull
	}
	r.last++
	s.ID = r.last
	r.all[s.ID] = s
	n := r.tally(s, 1)
	r.mu.Unlock()
	if s.watches() {
		r.changed(s.Room, n)
	}
	return sync.OnceFunc(func() {
		r.mu.Lock()
		delete(r.all, s.ID)
		n := r.tally(s, -1)
		r.mu.Unlock()
		if s.watches() {
			r.changed(s.Room, n)
		}
	}), nil
}

func (r *Registry) full(s *Session) bool {
	over := func(n, most int) bool { return most > 0 && n >= most }
	return over(r.count, r.limits.Viewers) || over(r.viewers[s.Room], r.limits.PerStream) || over(r.address[AddressKey(s.Address)], r.limits.PerAddress)
}

// tally counts a viewer in or out and answers how many its room has.
func (r *Registry) tally(s *Session, d int) int {
	if !s.watches() {
		return r.viewers[s.Room]
	}
	r.count += d
	from := AddressKey(s.Address)
	if r.address[from] += d; r.address[from] <= 0 {
		delete(r.address, from)
	}
	n := r.viewers[s.Room] + d
	if r.viewers[s.Room] = n; n <= 0 {
		delete(r.viewers, s.Room)
	}
	return n
}

// Viewers counts those who watch a room.
func (r *Registry) Viewers(room string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.viewers[room]
}

// List answers the sessions of a room, or of all rooms with "", oldest first.
func (r *Registry) List(room string) []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*Session
	for _, s := range r.all {
		if room == "" || s.Room == room {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *Session) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Kick ends one session, false if it is not there.
func (r *Registry) Kick(id int64) bool {
	r.mu.Lock()
	s := r.all[id]
	r.mu.Unlock()
	if s == nil || s.Kick == nil {
		return false
	}
	s.Kick()
	return true
}

// KickRoom ends all sessions of a room that match, and counts them.
func (r *Registry) KickRoom(room string, match func(*Session) bool) int {
	n := 0
	for _, s := range r.List(room) {
		if match(s) && s.Kick != nil {
			s.Kick()
			n++
		}
	}
	return n
}
