package gateway

// maxUnconfirmed bounds what is remembered per connection. What falls out is
// never confirmed by a heartbeat; a later sync does that, or repeats it.
const maxUnconfirmed = 256

// written is a run of messages of one conversation that went to the socket.
type written struct {
	conversation int64
	from, to     uint64
	since, at    int64 // writes of the first and the last one
}

// rememberLocked notes a message that was written, for clients that cannot
// acknowledge.
func (s *session) rememberLocked(it *item, now int64) {
	if it.seq == 0 {
		return
	}
	// A run is short in time, or a steady stream would never grow old enough.
	if n := len(s.unconfirmed); n > 0 {
		l := &s.unconfirmed[n-1]
		if l.conversation == it.conversation && l.to+1 == it.first() && now-l.since < int64(s.g.cfg.ConfirmAfter)/8 {
			l.to, l.at = it.seq, now
			return
		}
	}
	if len(s.unconfirmed) == maxUnconfirmed {
		s.unconfirmed = s.unconfirmed[1:]
	}
	s.unconfirmed = append(s.unconfirmed, written{it.conversation, it.first(), it.seq, now, now})
}

// pass notes a message that this client is never shown. It may overtake what
// still waits in the queue: nobody will ask for it.
func (s *session) pass(p *Push) {
	if p.Seq == 0 || s.info.Features {
		return
	}
	s.mu.Lock()
	open := s.phase == phaseOpen
	if open {
		s.rememberLocked(&item{conversation: p.Conversation, seq: p.Seq}, s.g.now())
	}
	s.mu.Unlock()
	if open {
		s.g.deps.Handed(s.info.Session, p.Conversation, p.Seq, p.Seq)
	}
}

// confirm reports what was written long enough ago that this heartbeat proves
// its arrival: a heartbeat that was already on its way proves nothing
// (design.md 4).
func (s *session) confirm(now int64) {
	s.mu.Lock()
	n := 0
	for n < len(s.unconfirmed) && s.unconfirmed[n].at <= now-int64(s.g.cfg.ConfirmAfter) {
		n++
	}
	old := s.unconfirmed[:n]
	if s.unconfirmed = s.unconfirmed[n:]; len(s.unconfirmed) == 0 {
		s.unconfirmed = nil
	}
	s.mu.Unlock()
	for _, w := range old {
		s.g.deps.Confirmed(s.info.Session, w.conversation, w.from, w.to)
	}
}
