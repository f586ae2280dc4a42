package live

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	maxMessage     = 300 // characters
	maxClientMsgID = 64
)

// Send is a message on its way in.
type Send struct {
	Room        int64
	Type        protocol.MessageType
	Content     string
	ClientMsgID string // "" none: then a retry is a second message
	// Viewer says by what the sender may watch the room; its User is not looked at.
	Viewer Viewer
}

// Receipt is the answer to a send: what the push and the store hold.
type Receipt struct {
	ServerMsgID string
	Time        int64 // ms
}

// Chat takes a message of a live room. It returns after the message is on disk.
// Codes: CodeTooOften (the sender, slow mode or the room), CodeBadValue,
// CodeForbidden (muted, or a type that clients may not send), CodeUnknown,
// CodeConflict, CodeNoRoom.
func (s *Service) Chat(ctx context.Context, c Caller, m Send) (Receipt, error) {
	if old, ok := s.sentBefore(ctx, c, m); ok {
		return old, nil
	}
	if err := s.takeSend(c); err != nil {
		return Receipt{}, err
	}
	if err := checkSend(&m); err != nil {
		return Receipt{}, err
	}
	m.Viewer.User = c.User
	if err := s.MayWatch(ctx, m.Viewer, m.Room); protocol.CodeOf(err) == protocol.CodeForbidden { // the write says the rest
		return Receipt{}, err
	}
	if err := s.oldEnough(ctx, c); err != nil {
		return Receipt{}, err
	}
	if s.deps.Censor != nil {
		var err error
		if m.Content, err = s.deps.Censor(m.Content); err != nil {
			return Receipt{}, err
		}
	}
	// The write looks again. Who is muted must not use up the room's messages.
	muted, err := s.store.LiveMuted(ctx, m.Room, c.User)
	if err == nil && muted {
		err = store.ErrMuted
	}
	if err != nil {
		return Receipt{}, liveError(err)
	}
	if err := s.inOpen(ctx, m.Room, func(r *room) error { return s.mayWrite(r, c, m.Content) }); err != nil {
		return Receipt{}, err
	}
	out, err := s.store.SendLive(ctx, store.NewLiveMessage{
		Room: m.Room, From: c.User, Type: int(m.Type), Content: m.Content, ClientMsgID: m.ClientMsgID,
		OnCommit: func(out store.LiveMessage) { s.hand(event{room: out.Room, message: out}) },
	})
	if errors.Is(err, store.ErrLiveClosed) {
		s.lookAgain(ctx, m.Room)
	}
	return receipt(out), liveError(err)
}

func receipt(m store.LiveMessage) Receipt {
	return Receipt{ServerMsgID: m.ServerMsgID, Time: m.Time}
}

// sentBefore finds the answer to a retry, which nothing may refuse: what it
// repeats was acknowledged. The write looks again.
func (s *Service) sentBefore(ctx context.Context, c Caller, m Send) (Receipt, bool) {
	if m.ClientMsgID == "" || len(m.ClientMsgID) > maxClientMsgID {
		return Receipt{}, false
	}
	old, err := s.store.LiveSent(ctx, c.User, m.ClientMsgID)
	return receipt(old), err == nil && old.Room == m.Room
}

// OwnerGone ends the room of an account that was banned or deleted: who reads
// there is put out at once. Called after the ban is on disk.
func (s *Service) OwnerGone(ctx context.Context, user int64) {
	row, err := s.store.LiveOf(ctx, user)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return
	case err != nil:
		s.log.WarnContext(ctx, "live room of a banned account not ended", "user", user, "err", err)
		return
	}
	if row.Closed {
		s.offAir(row.ID)
	}
	s.mu.Lock()
	used := s.rooms[row.ID] != nil
	s.mu.Unlock()
	if row.Closed && used { // else it has no readers
		s.lookAgain(ctx, row.ID)
	}
}

// lookAgain ends a room that the store calls closed though nobody closed it: the
// account of its owner is gone.
func (s *Service) lookAgain(ctx context.Context, id int64) {
	err := s.with(ctx, id, func(r *room) error {
		if r.closed {
			return nil
		}
		row, err := s.store.Live(ctx, id)
		if err == nil && row.Closed {
			r.closed = true
			s.deps.Disband(id)
		}
		return err
	})
	if err != nil {
		s.log.WarnContext(ctx, "live room not looked at", "room", id, "err", err)
	}
}

// takeSend counts something that somebody writes or does.
func (s *Service) takeSend(c Caller) error {
	cfg := s.cfg.Load()
	if wait := s.sends.Take(strconv.FormatInt(c.User, 10), cfg.SendsPerSecond, cfg.SendBurst); wait > 0 {
		return protocol.TooOften(wait)
	}
	return nil
}

// checkSend refuses what no message may be, and cleans the text.
func checkSend(m *Send) error {
	content, readable := protocol.CleanText(m.Content)
	m.Content = content
	switch {
	case m.Type != protocol.TypeText:
		return protocol.Errorf(protocol.CodeForbidden, "typeNotAllowed")
	case strings.TrimSpace(m.Content) == "":
		return protocol.Errorf(protocol.CodeBadValue, "missing", "Message")
	case !readable:
		return badValue("Message", "badText")
	case utf8.RuneCountInString(m.Content) > maxMessage:
		return protocol.Errorf(protocol.CodeBadValue, "messageTooLong")
	case len(m.ClientMsgID) > maxClientMsgID || !printable(m.ClientMsgID):
		return badValue("ClientMsgId", "badText")
	}
	return nil
}

func badValue(field, reason string, args ...string) error {
	return &protocol.Error{Code: protocol.CodeBadValue, Key: "badValue", Args: []string{field, protocol.TextKey(reason, args...)}}
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e }) < 0
}

// oldEnough holds new accounts back where the site wants that.
func (s *Service) oldEnough(ctx context.Context, c Caller) error {
	if s.deps.TooNew == nil {
		return nil
	}
	wait, err := s.deps.TooNew(ctx, c.User)
	if err != nil {
		return fmt.Errorf("age of the account: %w", err)
	}
	if wait <= 0 {
		return nil
	}
	return protocol.TooNew(wait)
}

// mayWrite is what the room itself says to a message. Whatever is refused uses
// up nothing.
func (s *Service) mayWrite(r *room, c Caller, content string) error {
	if word, found := r.refuses(content); found {
		return protocol.Errorf(protocol.CodeBadValue, "wordRefused", word)
	}
	now, exempt := s.now(), r.exempt(c)
	if wait := r.mustWait(c.User, now); wait > 0 && !exempt {
		return protocol.TooOften(wait)
	}
	rate := s.cfg.Load().RoomSendsPerSecond
	if wait := s.roomSends.Take(strconv.FormatInt(r.id, 10), rate, int(2*rate)); wait > 0 {
		return protocol.TooOften(wait)
	}
	if !exempt {
		r.speaks(c.User, now)
	}
	return nil
}
