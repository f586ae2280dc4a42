package stream

import (
	"errors"
	"net/netip"
	"time"

	"gtiv/media"
)

// bar is somebody who was sent away from a room: a viewer, by account or, of those
// whom nobody knows, by address; or whoever publishes it.
type bar struct {
	room    string
	publish bool
	user    int64
	address netip.Addr
}

const maxBars = 10_000

var errBarred = errors.New("sent away by a moderator")

func viewerBar(room string, user int64, from netip.Addr) bar {
	if user != 0 {
		return bar{room: room, user: user}
	}
	return bar{room: room, address: media.AddressKey(from)}
}

func (s *Server) barred(b bar) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, there := s.bars[b]
	return there && time.Now().Before(until)
}

// keepOut bars somebody for a time, 0 until now.
func (s *Server) keepOut(b bar, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(s.bars) >= maxBars {
		for old, until := range s.bars {
			if now.After(until) || len(s.bars) >= maxBars {
				delete(s.bars, old)
			}
		}
	}
	s.bars[b] = now.Add(d)
}

// Kick ends a session of a room and keeps who it is out of the room for a time. A
// viewer loses all their sessions there. False: there is no such session.
func (s *Server) Kick(room string, id int64, d time.Duration) bool {
	var found *media.Session
	for _, v := range s.sessions.List(room) {
		if v.ID == id {
			found = v
		}
	}
	if found == nil {
		return false
	}
	if found.Publish {
		s.KickPublisher(room, d)
		found.Kick()
		return true
	}
	if found.Protocol == media.ProtocolRelay {
		found.Kick()
		return true
	}
	b := viewerBar(room, found.User, found.Address)
	s.keepOut(b, d)
	guest := viewerBar(room, 0, found.Address)
	if found.User != 0 { // and does not come back as a guest
		s.keepOut(guest, d)
	}
	s.sessions.KickRoom(room, func(v *media.Session) bool {
		at := viewerBar(room, v.User, v.Address)
		return !v.Publish && v.Protocol != media.ProtocolRelay && (at == b || at == guest)
	})
	return true
}

// KickPublisher ends the stream of a room and lets nobody publish it for a time;
// false: it is not on air, and nothing changes.
func (s *Server) KickPublisher(room string, d time.Duration) bool {
	if s.find(room) == nil {
		return false
	}
	s.keepOut(bar{room: room, publish: true}, d)
	s.OffAir(room)
	return true
}

// BarredUntil is until when nobody may publish a room; the zero time: everybody with
// its key may.
func (s *Server) BarredUntil(room string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if until := s.bars[bar{room: room, publish: true}]; time.Now().Before(until) {
		return until
	}
	return time.Time{}
}

// Pardon lets everybody come back who was sent away from a room.
func (s *Server) Pardon(room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := range s.bars {
		if b.room == room {
			delete(s.bars, b)
		}
	}
}

// KickViewers ends all sessions of viewers of a room; they may come back if they
// may watch.
func (s *Server) KickViewers(room string) int {
	s.mu.Lock()
	clear(s.may)
	s.mu.Unlock()
	return s.sessions.KickRoom(room, func(v *media.Session) bool { return !v.Publish && v.Protocol != media.ProtocolRelay })
}
