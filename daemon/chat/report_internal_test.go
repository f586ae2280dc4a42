package chat

import (
	"context"
	"testing"

	"gtiv/store"
)

func TestMessagesOfRoomsAreSeenByWhomTheRoomAllows(t *testing.T) {
	m := store.Message{Kind: store.KindRoom, Room: 7, From: 1}
	closed := &Service{}
	open := &Service{deps: Deps{MayRead: func(_ context.Context, user, room int64) (bool, error) { return user == 1 && room == 7, nil }}}
	for _, c := range []struct {
		s    *Service
		user int64
		want bool
	}{{closed, 1, false}, {open, 1, true}, {open, 2, false}} {
		if got, err := c.s.maySee(t.Context(), c.user, m); got != c.want || err != nil {
			t.Errorf("user %d: %v %v", c.user, got, err)
		}
	}
}
