package live

import (
	"context"
	"errors"
	"strconv"

	"gtiv/protocol"
	"gtiv/store"
)

// This file holds what administrators do with live rooms from outside.

// All lists live rooms of any kind.
func (s *Service) All(ctx context.Context, f store.LiveFilter) ([]store.LiveShown, error) {
	return s.store.AllLives(ctx, f)
}

// Find answers a live room of any kind. Code: CodeUnknown.
func (s *Service) Find(ctx context.Context, room int64) (store.LiveShown, error) {
	r, err := s.store.Live(ctx, room)
	if err != nil {
		return store.LiveShown{}, liveError(err)
	}
	a, err := s.store.Account(ctx, r.Owner)
	return store.LiveShown{LiveRoom: r, Account: a}, err
}

// Pushes lists the servers that a room's stream is pushed to.
func (s *Service) Pushes(ctx context.Context, room int64) ([]string, error) {
	return s.store.LivePushes(ctx, room)
}

// maxPushURL bounds the address of another server.
const maxPushURL = 500

// SetPush adds a server that a room's stream is pushed to, or takes it away. Codes:
// CodeBadValue, CodeUnknown, CodeNoRoom.
func (s *Service) SetPush(ctx context.Context, room int64, url string, on bool) error {
	if len(url) > maxPushURL {
		return badValue("URL", "badURL")
	}
	err := s.store.SetLivePush(ctx, room, url, on)
	if errors.Is(err, store.ErrTooMany) {
		return protocol.Errorf(protocol.CodeNoRoom, "livePushMost", strconv.Itoa(store.MaxPushes))
	}
	return liveError(err)
}

// SetStreamer says whether an account may stream where not everybody may.
func (s *Service) SetStreamer(ctx context.Context, user int64, may bool) error {
	return liveError(s.store.SetStreamer(ctx, user, may))
}

// Streamers lists the accounts that may stream where not everybody may.
func (s *Service) Streamers(ctx context.Context, after int64, limit int) ([]store.Account, error) {
	return s.store.Streamers(ctx, after, limit)
}
