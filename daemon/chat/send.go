package chat

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"gtiv/protocol"
	"gtiv/store"
)

// Send is a private message on its way in.
type Send struct {
	To          int64
	Type        protocol.MessageType
	Content     string
	ClientMsgID string // "" none: then a retry is a second message
	ReplyTo     string
}

// Receipt is the answer to a send: what the push and the store hold.
type Receipt struct {
	ServerMsgID string
	Time        int64 // ms
	Seq         uint64
}

const (
	maxClientMsgID  = 64
	maxApplyRunes   = 200
	appliesPerHour  = 60
	appliesOfNew    = 5                   // that a new account may make in all
	longestNew      = 30 * 24 * time.Hour // that an account may be new, see limits.new_account_minutes
	maxReplyToBytes = 36
)

// stored says which types a client may send that are kept (wire.md 4.3, 9.1).
func stored(t protocol.MessageType) bool {
	switch t {
	case protocol.TypeText, protocol.TypePhoto, protocol.TypeVoice, protocol.TypeVideo, protocol.TypeShare,
		protocol.TypeCallerHung, protocol.TypeCalleeHung:
		return true
	}
	return false
}

// SendPrivate takes a private message (wire.md 4.3 push-mid). It returns after
// the message is on disk. Codes: CodeTooOften, CodeBadValue, CodeForbidden (not
// contacts, or a type that clients may not send), CodeUnknown (recall of what is
// not there), CodeConflict, CodeNoRoom.
func (s *Service) SendPrivate(ctx context.Context, c Caller, m Send) (Receipt, error) {
	if stored(m.Type) {
		old, ok := s.sentBefore(ctx, c, m.ClientMsgID)
		if ok && old.Kind == store.KindPrivate && old.To == m.To {
			return receipt(old), nil
		}
	}
	if err := s.takeSend(c); err != nil {
		return Receipt{}, err
	}
	if err := checkSend(c, &m); err != nil {
		return Receipt{}, err
	}
	switch {
	case stored(m.Type):
		return s.sendStored(ctx, c, m)
	case m.Type == protocol.TypeRecall:
		return s.recall(ctx, c, m)
	case m.Type == protocol.TypeApply:
		return s.apply(ctx, c, m)
	case m.Type == protocol.TypeCallInvite, m.Type == protocol.TypeCallTaken:
		return s.signal(ctx, c, m)
	case m.Type == protocol.TypeUnfriended:
		// The server emits it when the contact is deleted; the app's own copy
		// is answered and goes nowhere (wire.md 10.2).
		return s.ephemeral(), nil
	default:
		return Receipt{}, protocol.Errorf(protocol.CodeForbidden, "typeNotAllowed")
	}
}

// sentBefore finds what a retry repeats, which nothing may refuse: it was
// acknowledged. It comes first, before the rate, and costs one look into an index.
// The write looks again.
func (s *Service) sentBefore(ctx context.Context, c Caller, clientMsgID string) (store.Message, bool) {
	if clientMsgID == "" || len(clientMsgID) > maxClientMsgID {
		return store.Message{}, false
	}
	old, err := s.store.Sent(ctx, c.User, clientMsgID)
	return old, err == nil
}

// takeSend counts something that somebody writes, or does in a group. Who acts
// over the control socket is not counted.
func (s *Service) takeSend(c Caller) error {
	if c.User == 0 || c.User == protocol.BuiltInUserID {
		return nil
	}
	cfg := s.cfg.Load()
	if wait := s.sends.Take(strconv.FormatInt(c.User, 10), cfg.SendsPerSecond, cfg.SendBurst); wait > 0 {
		return protocol.TooOften(wait)
	}
	return nil
}

// checkSend refuses what no type may have, and cleans the text.
func checkSend(c Caller, m *Send) error {
	content, readable := protocol.CleanText(m.Content)
	m.Content = content
	switch {
	case m.To <= 0:
		return protocol.Errorf(protocol.CodeUnknown, "noSuchUser")
	case m.To == c.User:
		return protocol.Errorf(protocol.CodeBadValue, "selfSend")
	case !readable:
		return badValue("Message", "badText")
	case len(m.ClientMsgID) > maxClientMsgID || !printable(m.ClientMsgID):
		return badValue("ClientMsgId", "badText")
	case len(m.ReplyTo) > maxReplyToBytes:
		return badValue("ReplyTo", "badText")
	case len(m.Content) > protocol.MaxPushBody || !protocol.FitsPush(pushSize(c.User, *m)):
		return protocol.Errorf(protocol.CodeBadValue, "messageTooLong")
	}
	return nil
}

func badValue(field, reason string) error {
	return &protocol.Error{Code: protocol.CodeBadValue, Key: "badValue", Args: []string{field, protocol.TextKey(reason)}}
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e }) < 0
}

// pushSize is the size of the push that the message will become. Ids and times
// have a fixed width, so it is known before the message is stored (wire.md F1).
func pushSize(from int64, m Send) int {
	return len(contractBody(store.Message{
		From: from, To: m.To, Type: int(m.Type), Content: m.Content,
		ServerMsgID: uuid.Nil.String(), Time: 1_000_000_000_000,
	}, m.Content))
}

// sendStored stores a message and leaves the rest to the publisher.
func (s *Service) sendStored(ctx context.Context, c Caller, m Send) (Receipt, error) {
	if err := checkContent(m.Type, m.Content); err != nil {
		return Receipt{}, err
	}
	if m.Type == protocol.TypeText {
		var err error
		if m.Content, err = s.deps.Censor.Apply(m.Content); err != nil {
			return Receipt{}, err
		}
		if err := checkSend(c, &m); err != nil { // a mask changes the size
			return Receipt{}, err
		}
	}
	out, err := s.store.SendPrivate(ctx, s.newMessage(c, m))
	return receipt(out), sendError(err)
}

func (s *Service) newMessage(c Caller, m Send) store.NewMessage {
	return store.NewMessage{
		From: c.User, To: m.To, Type: int(m.Type), Content: m.Content, ClientMsgID: m.ClientMsgID, ReplyTo: m.ReplyTo,
		OnCommit: func(out store.Message) { s.publish(committed{out, c.Session}) },
	}
}

func receipt(m store.Message) Receipt {
	return Receipt{ServerMsgID: m.ServerMsgID, Time: m.Time, Seq: m.Seq}
}

// sendError turns the store's sentinels into answers.
func sendError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotContact):
		return protocol.Errorf(protocol.CodeForbidden, "notContacts")
	case errors.Is(err, store.ErrConflict):
		return protocol.Errorf(protocol.CodeConflict, "clientMsgIdUsed")
	case errors.Is(err, store.ErrNotFound):
		return protocol.Errorf(protocol.CodeUnknown, "noSuchMessage")
	case errors.Is(err, store.ErrDiskFull):
		e := protocol.Errorf(protocol.CodeNoRoom, "diskFull")
		e.Err = err
		return e
	}
	return fmt.Errorf("store message: %w", err)
}

// recall takes a message back; the recall is itself a stored message, so that
// it reaches who is offline (wire.md 10.9).
func (s *Service) recall(ctx context.Context, c Caller, m Send) (Receipt, error) {
	notBefore := int64(0)
	if window := s.cfg.Load().RecallWindow; window > 0 {
		notBefore = s.now().Add(-window).UnixMilli()
	}
	out, err := s.store.RecallPrivate(ctx, s.newMessage(c, m), strings.TrimSpace(m.Content), notBefore)
	return receipt(out), sendError(err)
}

// apply stores a friend application and shows it to the receiver (wire.md 10.2).
func (s *Service) apply(ctx context.Context, c Caller, m Send) (Receipt, error) {
	if utf8.RuneCountInString(m.Content) > maxApplyRunes {
		return Receipt{}, protocol.Errorf(protocol.CodeBadValue, "messageTooLong")
	}
	content, err := s.deps.Censor.Apply(m.Content)
	if err != nil {
		return Receipt{}, err
	}
	m.Content = content
	if err := s.checkNew(ctx, c.User); err != nil {
		return Receipt{}, err
	}
	if wait := s.applies.Take(strconv.FormatInt(c.User, 10), appliesPerHour); wait > 0 {
		return Receipt{}, protocol.TooOften(wait)
	}
	to, err := s.store.Account(ctx, m.To)
	if errors.Is(err, store.ErrNotFound) || err == nil && (to.DeletedAt != 0 || to.ID == store.BuiltInAccount) {
		return Receipt{}, protocol.Errorf(protocol.CodeUnknown, "noSuchUser")
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("find receiver of application: %w", err)
	}
	shown, err := s.store.Apply(ctx, c.User, m.To, m.Content)
	if errors.Is(err, store.ErrConflict) {
		return Receipt{}, protocol.Errorf(protocol.CodeConflict, "areContacts")
	}
	if err != nil {
		return Receipt{}, sendError(err)
	}
	r := s.ephemeral()
	if shown {
		s.pushEphemeral(c.User, m.To, m.Type, m.Content, r)
	}
	return r, nil
}

// oldEnough refuses an account that is new (limits.new_account_minutes).
func (s *Service) oldEnough(ctx context.Context, c Caller) error {
	if s.deps.TooNew == nil || c.Admin {
		return nil
	}
	wait, err := s.deps.TooNew(ctx, c.User)
	if err != nil || wait == 0 {
		return err
	}
	return protocol.TooNew(wait)
}

// checkNew counts an application of a new account, and refuses the sixth.
func (s *Service) checkNew(ctx context.Context, user int64) error {
	if s.deps.TooNew == nil {
		return nil
	}
	wait, err := s.deps.TooNew(ctx, user)
	if err != nil || wait == 0 {
		return err
	}
	if s.firsts.Take(strconv.FormatInt(user, 10), appliesOfNew) > 0 {
		return protocol.TooNew(wait)
	}
	return nil
}

// signal passes on what is about a call and is not kept. Only contacts may ring,
// because the app crashes otherwise (wire.md K14); who is blocked rings nowhere.
func (s *Service) signal(ctx context.Context, c Caller, m Send) (Receipt, error) {
	ok, err := s.store.AreContacts(ctx, c.User, m.To)
	if err != nil {
		return Receipt{}, fmt.Errorf("check contacts: %w", err)
	}
	if !ok {
		return Receipt{}, protocol.Errorf(protocol.CodeForbidden, "notContacts")
	}
	blocked, err := s.store.IsBlocked(ctx, m.To, c.User)
	if err != nil {
		return Receipt{}, fmt.Errorf("check block: %w", err)
	}
	r := s.ephemeral()
	if !blocked {
		s.pushEphemeral(c.User, m.To, m.Type, m.Content, r)
	}
	return r, nil
}

// ephemeral is the receipt of what is not stored.
func (s *Service) ephemeral() Receipt {
	id, err := uuid.NewV7()
	if err != nil {
		id = uuid.New()
	}
	return Receipt{ServerMsgID: id.String(), Time: s.now().UnixMilli()}
}

// Unfriended tells peer that user removed them (wire.md 10.2, type 13).
func (s *Service) Unfriended(user, peer int64) {
	s.pushEphemeral(user, peer, protocol.TypeUnfriended, "0", s.ephemeral())
}

// pushEphemeral pushes something that is not stored and not tracked.
func (s *Service) pushEphemeral(from, to int64, t protocol.MessageType, content string, r Receipt) {
	m := store.Message{From: from, To: to, Type: int(t), Content: content, ServerMsgID: r.ServerMsgID, Time: r.Time}
	s.deps.Push(to, Push{Type: t, Body: contractBody(m, content), FeatureBody: featureBody(m, to, content), Slow: t == protocol.TypeApply})
}
