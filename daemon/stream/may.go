package stream

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"gtiv/media"
)

// This file asks the rules: who may watch, and what may stay on air.

// mayWatch asks the rules, and keeps out who was sent away.
func (s *Server) mayWatch(ctx context.Context, room, token string, from netip.Addr) (user int64, err error) {
	user, known := s.asked(room, token)
	if !known {
		if user, err = s.deps.MayWatch(ctx, room, token); err != nil {
			return user, err
		}
		s.remember(room, token, user)
	}
	if s.barred(viewerBar(room, user, from)) {
		err = errBarred
	}
	return user, err
}

// asked names a question to Deps.MayWatch.
type asked struct{ room, token string }

// allowed is who was allowed to watch.
type allowed struct {
	user  int64
	until time.Time
}

const (
	// allowedFor is how long nobody asks again: who watches by HLS makes several
	// requests a second.
	allowedFor = time.Second
	maxAllowed = 5_000
	maxToken   = 128 // bytes; what is longer is none
)

// asked answers who somebody is that may watch; false: the rules must be asked.
func (s *Server) asked(room, token string) (user int64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, known := s.may[asked{room, token}]
	return a.user, known && time.Now().Before(a.until)
}

// remember notes that somebody may watch.
func (s *Server) remember(room, token string, user int64) {
	if len(token) > maxToken {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.may) >= maxAllowed {
		clear(s.may)
	}
	s.may[asked{strings.Clone(room), strings.Clone(token)}] = allowed{user, time.Now().Add(allowedFor)}
}

// askAgain ends sessions of viewers who are known and may not watch any more. Who
// came by a link is asked when they come.
func (s *Server) askAgain(ctx context.Context, room string) {
	if s.deps.MayStillWatch == nil {
		return
	}
	if _, err := s.deps.MayWatch(ctx, room, ""); err == nil {
		return // everybody may
	}
	for _, v := range s.sessions.List(room) {
		if !v.Publish && v.User != 0 && v.Protocol != media.ProtocolRelay && !s.deps.MayStillWatch(ctx, room, v.User) && ctx.Err() == nil {
			v.Kick()
		}
	}
}

// stayEvery is how often it is looked whether streams may still be on air.
const stayEvery = 5 * time.Second

// sweepStreams ends streams that may not be on air any more.
func (s *Server) sweepStreams(ctx context.Context) {
	for pause(ctx, stayEvery) {
		for _, o := range s.onAir() {
			s.mu.Lock()
			o.sampleLocked(time.Now())
			s.mu.Unlock()
			s.askAgain(ctx, o.stream.Name)
			if !s.deps.MayStay(ctx, o.stream.Name) && ctx.Err() == nil {
				s.log.Info("stream may not be on air any more", "room", o.stream.Name)
				s.OffAir(o.stream.Name)
			}
		}
	}
}
