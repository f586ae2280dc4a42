package chat

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"time"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	linkBytes     = 12 // 96 bits: nobody guesses one
	maxLinkAge    = 10 * 365 * 24 * time.Hour
	maxLinkUses   = 1_000_000
	maxLinkText   = 200 // characters of a request to join
	joinsPerHour  = 60
	maxLinkLength = 64
)

// CreateLink makes a link into a room, for its admins. valid 0 is for ever, uses
// 0 any number.
func (s *Service) CreateLink(ctx context.Context, c Caller, room int64, valid time.Duration, uses int) (store.Link, error) {
	switch {
	case valid < 0 || valid > maxLinkAge:
		return store.Link{}, badRange("ValidSeconds", 0, int(maxLinkAge/time.Second))
	case uses < 0 || uses > maxLinkUses:
		return store.Link{}, badRange("Uses", 0, maxLinkUses)
	}
	if err := s.takeSend(c); err != nil {
		return store.Link{}, err
	}
	b := make([]byte, linkBytes)
	rand.Read(b) //nolint:errcheck // never fails since Go 1.24
	l := store.Link{Code: base64.RawURLEncoding.EncodeToString(b), Room: room, MaxUses: uses}
	if valid > 0 {
		l.ExpiresAt = s.now().Add(valid).UnixMilli()
	}
	l, err := s.store.CreateLink(ctx, c.by(), l)
	return l, s.roomError(instead(err, store.ErrRoomFull, protocol.CodeNoRoom, "linkLimit"))
}

func badRange(field string, least, most int) error {
	return &protocol.Error{
		Code: protocol.CodeBadValue, Key: "badValue",
		Args: []string{field, protocol.TextKey("badNumber", strconv.Itoa(least), strconv.Itoa(most))},
	}
}

// Links lists the links of a room, for its admins.
func (s *Service) Links(ctx context.Context, c Caller, room int64) ([]store.Link, error) {
	if err := s.asRoomAdmin(ctx, c, room); err != nil {
		return nil, err
	}
	return s.store.Links(ctx, room)
}

// RevokeLink makes a link worthless.
func (s *Service) RevokeLink(ctx context.Context, c Caller, room int64, code string) error {
	if err := s.takeSend(c); err != nil {
		return err
	}
	if err := s.asRoomAdmin(ctx, c, room); err != nil {
		return err
	}
	return s.roomError(instead(s.store.RevokeLink(ctx, c.by(), room, code), store.ErrNotFound, protocol.CodeUnknown, "noSuchLink"))
}

// JoinRoom joins by a link. Where the admins decide, joined is false and the
// caller waits.
func (s *Service) JoinRoom(ctx context.Context, c Caller, code, message string) (room store.Room, joined bool, err error) {
	if wait := s.joins.Take(strconv.FormatInt(c.User, 10), joinsPerHour); wait > 0 {
		return room, false, protocol.TooOften(wait)
	}
	if err := s.oldEnough(ctx, c); err != nil {
		return room, false, err
	}
	if message, err = checkText("Message", message, 0, maxLinkText); err != nil {
		return room, false, err
	}
	if message, err = s.deps.Censor.Apply(message); err != nil {
		return room, false, err
	}
	if code == "" || len(code) > maxLinkLength {
		return room, false, protocol.Errorf(protocol.CodeUnknown, "noSuchLink")
	}
	room, joined, err = s.store.JoinByLink(ctx, c.User, code, message, func(_ string, nicknames []string) store.NewRoomMessage {
		n := s.note(protocol.TypeInvited, "memberJoined", joinNames(nicknames))
		n.From = c.User
		return n
	})
	err = instead(err, store.ErrNotFound, protocol.CodeUnknown, "noSuchLink")
	err = instead(err, store.ErrRemoved, protocol.CodeForbidden, "youWereRemovedByAdmin")
	err = instead(err, store.ErrNoUser, protocol.CodeUnknown, "noSuchUser")
	err = instead(err, store.ErrTooManyRequests, protocol.CodeNoRoom, "requestsFull")
	return room, joined, s.roomError(instead(err, store.ErrConflict, protocol.CodeConflict, "isMember"))
}

// Requests lists who waits for a room's admins.
func (s *Service) Requests(ctx context.Context, c Caller, room int64) ([]store.RoomRequest, error) {
	if err := s.asRoomAdmin(ctx, c, room); err != nil {
		return nil, err
	}
	return s.store.RoomRequests(ctx, room)
}

// AnswerRequest lets somebody in who waits, or turns them away.
func (s *Service) AnswerRequest(ctx context.Context, c Caller, room, user int64, accept bool) error {
	if err := s.takeSend(c); err != nil {
		return err
	}
	err := s.store.AnswerRequest(ctx, c.by(), room, user, accept, func(_ string, nicknames []string) store.NewRoomMessage {
		n := s.note(protocol.TypeInvited, "memberJoined", joinNames(nicknames))
		n.From = c.User
		return n
	})
	return s.roomError(instead(err, store.ErrNoUser, protocol.CodeUnknown, "noSuchRequest"))
}
