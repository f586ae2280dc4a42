package live

import (
	"context"
	"crypto/rand"
	"errors"

	"gtiv/store"
)

const (
	keyLength  = 48 // of a stream key (wire.md 11.2)
	keyLetters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// newKey makes a stream key.
func newKey() string {
	b := make([]byte, 0, keyLength)
	for len(b) < keyLength {
		var r [64]byte
		_, _ = rand.Read(r[:]) // never fails
		for _, c := range r {
			if int(c) < 4*len(keyLetters) && len(b) < keyLength { // all letters are as likely
				b = append(b, keyLetters[int(c)%len(keyLetters)])
			}
		}
	}
	return string(b)
}

// Key answers the key that the caller's room is published with. Codes: CodeUnknown
// (no room), CodeForbidden (somebody else's).
func (s *Service) Key(ctx context.Context, c Caller, room int64) (string, error) {
	room, err := s.ownRoom(ctx, c, room)
	if err != nil {
		return "", err
	}
	key, err := s.store.LiveKey(ctx, c.User, room, newKey())
	return key, liveError(err)
}

// ResetKey gives the caller's room another key, and takes off air who publishes with
// the old one. Codes as Key.
func (s *Service) ResetKey(ctx context.Context, c Caller, room int64) (string, error) {
	if err := s.takeSend(c); err != nil {
		return "", err
	}
	room, err := s.ownRoom(ctx, c, room)
	if err != nil {
		return "", err
	}
	key := newKey()
	if err := s.store.ResetLiveKey(ctx, c.User, room, key); err != nil {
		return "", liveError(err)
	}
	s.offAir(room)
	return key, nil
}

// AnyKey is Key of a room, whoever owns it, for administrators; with reset it is
// another one, and who publishes goes off air. Code: CodeUnknown.
func (s *Service) AnyKey(ctx context.Context, room int64, reset bool) (string, error) {
	if !reset {
		key, err := s.store.LiveKey(ctx, 0, room, newKey())
		return key, liveError(err)
	}
	key := newKey()
	if err := s.store.ResetLiveKey(ctx, 0, room, key); err != nil {
		return "", liveError(err)
	}
	s.offAir(room)
	return key, nil
}

// ownRoom is room, or with 0 the one of the caller.
func (s *Service) ownRoom(ctx context.Context, c Caller, room int64) (int64, error) {
	if room != 0 {
		return room, nil
	}
	r, err := s.store.LiveOf(ctx, c.User)
	return r.ID, liveError(err)
}

// Own answers the caller's room, which may be closed. Code: CodeUnknown.
func (s *Service) Own(ctx context.Context, c Caller) (store.LiveRoom, error) {
	r, err := s.store.LiveOf(ctx, c.User)
	return r, liveError(err)
}

// offAir ends the stream of a room.
func (s *Service) offAir(room int64) {
	if s.deps.OffAir != nil {
		s.deps.OffAir(room)
	}
}

// ErrNoStream means that nothing may be published with a key.
var ErrNoStream = errors.New("no live room for this key")

// ErrMayNotStream means that the owner of a key's room may not stream: the room is
// closed, the account banned, or the site lets others stream (Config.Who).
var ErrMayNotStream = errors.New("the owner of this key may not stream")

// ByKey finds the room that may be published with a key. ErrNoStream,
// ErrMayNotStream.
func (s *Service) ByKey(ctx context.Context, key string) (store.LiveRoom, error) {
	if len(key) != keyLength {
		return store.LiveRoom{}, ErrNoStream
	}
	r, err := s.store.LiveByKey(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return store.LiveRoom{}, ErrNoStream
	}
	if err != nil {
		return r, err
	}
	may, err := s.mayStream(ctx, r)
	if err == nil && !may {
		err = ErrMayNotStream
	}
	return r, err
}

// mayStream says whether a room may be on air: it is open and its owner may stream.
func (s *Service) mayStream(ctx context.Context, r store.LiveRoom) (bool, error) {
	if r.Closed {
		return false, nil
	}
	return s.mayOwn(ctx, r.Owner)
}

// mayOwn says whether an account may stream.
func (s *Service) mayOwn(ctx context.Context, user int64) (bool, error) {
	who := s.cfg.Load().Who
	if who == "" || who == WhoAll {
		return true, nil
	}
	allowed, role, err := s.store.Streamer(ctx, user)
	return role >= store.RoleAdmin || allowed && who == WhoApproved, err
}

// MayStay says whether a room that is on air may still be: its owner may have been
// banned meanwhile.
func (s *Service) MayStay(ctx context.Context, room int64) (bool, error) {
	r, err := s.store.Live(ctx, room)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return s.mayStream(ctx, r)
}

// OnAir notes that the stream of a room began or ended, and has its followers told.
func (s *Service) OnAir(ctx context.Context, room int64, on bool) error {
	tell, err := s.store.SetOnAir(ctx, room, on)
	if err != nil || !tell || s.deps.Tell == nil {
		return err
	}
	return s.putTell(ctx, room, 0)
}
