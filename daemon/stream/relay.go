package stream

import (
	"context"
	"errors"
	"time"

	"gtiv/media"
	"gtiv/media/rtmp"
)

// A relay publishes a stream of ours on another server (push), or one of another
// server here (pull). Those that somebody started go on until they are stopped;
// those that belong to a room (Deps.Pushes) as long as it is on air.

// relayKey names a relay.
type relayKey struct {
	push      bool
	room, url string
}

type relay struct {
	ctx    context.Context //nolint:containedctx // its life
	cancel context.CancelFunc
	done   chan struct{}
	// Guarded by Server.mu: why the last try ended, and since when there is another.
	err   error
	since time.Time
}

// maxRelays bounds the relays of all rooms.
const maxRelays = 100

// Times between two tries of a relay.
const (
	relayFirst = time.Second
	relayMost  = time.Minute
)

var (
	errRelays = errors.New("too many relays")
	errDown   = errors.New("shutting down")
)

// startRelay starts a relay, which goes on until it is stopped. One that is there
// stays.
func (s *Server) startRelay(key relayKey) error {
	if err := rtmp.CheckAddress(key.url); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		return errDown
	}
	return s.startLocked(s.ctx, key)
}

// startLocked starts a relay that also ends with ctx, unless there is one that goes on.
func (s *Server) startLocked(ctx context.Context, key relayKey) error {
	if l := s.relays[key]; l != nil && l.ctx.Err() == nil {
		return nil
	}
	if len(s.relays) >= maxRelays {
		return errRelays
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &relay{ctx: ctx, cancel: cancel, done: make(chan struct{})}
	s.relays[key] = l
	s.work.Go(func() { // ends with stopRelay, or with ctx
		defer close(l.done)
		s.keep(ctx, key)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.relays[key] == l {
			delete(s.relays, key)
		}
	})
	return nil
}

// stopRelay stops a relay and waits for its end; false: there is none.
func (s *Server) stopRelay(key relayKey) bool {
	s.mu.Lock()
	l := s.relays[key]
	delete(s.relays, key)
	s.mu.Unlock()
	if l == nil {
		return false
	}
	l.cancel()
	<-l.done
	return true
}

// Push begins or ends at once what Deps.Pushes says of a room that is on air.
func (s *Server) Push(room, url string, on bool) {
	key := relayKey{push: true, room: room, url: url}
	if !on {
		s.stopRelay(key)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.outputs[room]; o != nil {
		if err := s.startLocked(o.ctx, key); err != nil {
			s.log.Warn("stream not pushed", "room", room, "err", err)
		}
	}
}

// pushAll begins the relays that belong to a room.
func (s *Server) pushAll(o *outputs) {
	if s.deps.Pushes == nil {
		return
	}
	for _, url := range s.deps.Pushes(o.ctx, o.stream.Name) {
		s.Push(o.stream.Name, url, true)
	}
}

// keep tries again and again.
func (s *Server) keep(ctx context.Context, key relayKey) {
	wait := relayFirst
	for ctx.Err() == nil {
		began := time.Now()
		s.note(key, began, nil)
		err := s.once(ctx, key)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > relayMost {
			wait = relayFirst
		}
		s.note(key, time.Time{}, err)
		s.log.Info("relay ended, trying again", "room", key.room, "push", key.push, "wait", wait, "err", err)
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, relayMost)
	}
}

// note keeps that a try began, or why it ended.
func (s *Server) note(key relayKey, began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.relays[key]
	if l == nil {
		return
	}
	if l.since = began; err != nil {
		l.err = err
	}
}

// relayWell is how long a try must last before it goes well.
const relayWell = 5 * time.Second

// PushState is how pushing a room to another server goes, in words; "" while the room
// is off air.
func (s *Server) PushState(room, url string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.relays[relayKey{push: true, room: room, url: url}]
	switch {
	case l == nil:
		return ""
	case l.err != nil && (l.since.IsZero() || time.Since(l.since) < relayWell):
		return "fails: " + l.err.Error()
	}
	return "goes well"
}

func (s *Server) once(ctx context.Context, key relayKey) error {
	kick, cancel := context.WithCancel(ctx)
	defer cancel()
	session := &media.Session{Room: key.room, Publish: !key.push, Protocol: media.ProtocolRelay, Began: time.Now(), Kick: cancel, Note: "relay"}
	remove, err := s.sessions.Add(session)
	if err != nil {
		return err
	}
	defer remove()
	l := &rtmp.Relay{Dial: s.deps.Dial, Session: session}
	if !key.push {
		return l.Pull(kick, key.url, s.hub, key.room)
	}
	stream := s.hub.Stream(key.room)
	if stream == nil {
		return errors.New("not on air")
	}
	return l.Push(kick, key.url, stream)
}
