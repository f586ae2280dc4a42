package stream

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gtiv/media"
)

const (
	// viewerGone is after how long without a request a viewer of HLS has left.
	viewerGone = 30 * time.Second
	maxAgent   = 128 // bytes of a User-Agent that tell viewers apart
)

// viewerKey tells viewers of HLS apart: they have no connection of their own.
type viewerKey struct {
	room, protocol, agent string
	address               netip.Addr
	user                  int64 // 0: nobody knows
}

// viewer is one of them.
type viewer struct {
	session *media.Session
	remove  func()
	last    time.Time
}

// seen notes a request of a viewer, and answers what counts the bytes of the answer;
// nil: it was answered, because there are too many.
func (s *Server) seen(w http.ResponseWriter, r *http.Request, o *outputs, protocol string, user int64) http.ResponseWriter {
	agent := r.UserAgent()
	// A part of a string would keep the whole of it.
	key := viewerKey{o.stream.Name, protocol, strings.Clone(agent[:min(len(agent), maxAgent)]), s.deps.Address(r), user}
	now := time.Now()
	s.mu.Lock()
	v := s.viewers[key]
	if v != nil {
		v.last = now
		s.mu.Unlock()
		return &counting{w, v.session}
	}
	s.mu.Unlock()
	v = &viewer{last: now}
	v.session = &media.Session{
		Room: key.room, Protocol: protocol, Address: key.address, User: user, Began: now, Kick: func() { s.forget(key, v) },
	}
	remove, err := s.sessions.Add(v.session)
	if err != nil {
		busy(w)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v.remove = remove
	if old := s.viewers[key]; old != nil { // another request of the same was faster
		old.last = now
		go remove()
		return &counting{w, old.session}
	}
	s.viewers[key] = v
	return &counting{w, v.session}
}

// counting counts what a viewer gets.
type counting struct {
	http.ResponseWriter
	session *media.Session
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.session.Out.Add(int64(n))
	return n, err
}

// forget ends the session of a viewer, whose next request is looked at as the first.
func (s *Server) forget(key viewerKey, v *viewer) {
	s.mu.Lock()
	if s.viewers[key] == v {
		delete(s.viewers, key)
	}
	remove := v.remove
	s.mu.Unlock()
	if remove != nil {
		remove()
	}
}

// forgetRoom ends the sessions of all viewers of a stream that ended.
func (s *Server) forgetRoom(room string) {
	s.mu.Lock()
	var list []func()
	for key, v := range s.viewers {
		if key.room == room {
			delete(s.viewers, key)
			list = append(list, v.remove)
		}
	}
	s.mu.Unlock()
	for _, remove := range list {
		if remove != nil {
			remove()
		}
	}
}

// sweepViewers forgets those who ask for nothing any more.
func (s *Server) sweepViewers(ctx context.Context) {
	t := time.NewTicker(5 * time.Second)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			for _, remove := range s.goneViewers(now) {
				remove()
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) goneViewers(now time.Time) []func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []func()
	for key, v := range s.viewers {
		if now.Sub(v.last) > viewerGone {
			delete(s.viewers, key)
			list = append(list, v.remove)
		}
	}
	return list
}
