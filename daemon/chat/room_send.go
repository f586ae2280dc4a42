package chat

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"gtiv/protocol"
	"gtiv/store"
)

// RoomSend is a message to a room on its way in.
type RoomSend struct {
	Room        int64
	Type        protocol.MessageType
	Content     string
	ClientMsgID string
	ReplyTo     string
}

// roomBurst is how many seconds' worth of messages a room may get at once.
const roomBurst = 2

// SendRoom takes a message to a room (wire.md 4.3 push-room). It returns after
// the message is on disk. Codes: as SendPrivate; CodeForbidden also for who is no
// member, or is muted.
func (s *Service) SendRoom(ctx context.Context, c Caller, m RoomSend) (Receipt, error) {
	if keptInRoom(m.Type) {
		old, ok := s.sentBefore(ctx, c, m.ClientMsgID)
		if ok && old.Kind == store.KindRoom && old.Room == m.Room {
			return receipt(old), nil
		}
	}
	if err := s.takeSend(c); err != nil {
		return Receipt{}, err
	}
	if err := checkRoomSend(c, &m); err != nil {
		return Receipt{}, err
	}
	switch {
	case keptInRoom(m.Type):
		if err := checkContent(m.Type, m.Content); err != nil {
			return Receipt{}, err
		}
		if m.Type == protocol.TypeText {
			text, err := s.deps.Censor.Apply(m.Content)
			if err != nil {
				return Receipt{}, err
			}
			m.Content = text
			if err := checkRoomSend(c, &m); err != nil { // a mask changes the size
				return Receipt{}, err
			}
		}
		// Last, so that what is refused takes nothing from the others of the room.
		if err := s.roomRate(ctx, c, m.Room); err != nil {
			return Receipt{}, err
		}
		out, err := s.store.SendRoom(ctx, s.newRoomMessage(c, m))
		return receipt(out), s.roomError(err)
	case m.Type == protocol.TypeRecall:
		return s.recallRoom(ctx, c, m)
	case m.Type == protocol.TypeRoomName, m.Type == protocol.TypeRemoved, m.Type == protocol.TypeRoomAvatar, m.Type == protocol.TypeLeft:
		return s.swallow(ctx, c, m)
	default:
		return Receipt{}, protocol.Errorf(protocol.CodeForbidden, "typeNotAllowed")
	}
}

// keptInRoom says which types members may send.
func keptInRoom(t protocol.MessageType) bool {
	switch t {
	case protocol.TypeText, protocol.TypePhoto, protocol.TypeVoice, protocol.TypeVideo, protocol.TypeShare:
		return true
	}
	return false
}

// roomRate bounds the messages of one room. Who may not write there cannot use it
// up.
func (s *Service) roomRate(ctx context.Context, c Caller, room int64) error {
	rate := s.cfg.Load().RoomSends
	if rate <= 0 {
		return nil
	}
	v, err := s.Room(ctx, Caller{User: c.User}, room)
	if err != nil || v.Role == 0 || v.MutedAll || v.MutedUser {
		return nil //nolint:nilerr // the send itself will say why not
	}
	if wait := s.rooms.Take(strconv.FormatInt(room, 10), rate, int(max(rate*roomBurst, 1))); wait > 0 {
		return protocol.TooOften(wait)
	}
	return nil
}

// checkRoomSend refuses what no message of a room may have, and cleans the text.
func checkRoomSend(c Caller, m *RoomSend) error {
	content, readable := protocol.CleanText(m.Content)
	m.Content = content
	switch {
	case m.Room <= store.FirstRoom:
		return protocol.Errorf(protocol.CodeUnknown, "noSuchRoom")
	case !readable:
		return badValue("Message", "badText")
	case m.Type == protocol.TypeText && strings.TrimSpace(m.Content) == "":
		return protocol.Errorf(protocol.CodeBadValue, "missing", "Message")
	case len(m.ClientMsgID) > maxClientMsgID || !printable(m.ClientMsgID):
		return badValue("ClientMsgId", "badText")
	case len(m.ReplyTo) > maxReplyToBytes:
		return badValue("ReplyTo", "badText")
	case m.ReplyTo != "" && uuid.Validate(m.ReplyTo) != nil:
		return protocol.Errorf(protocol.CodeUnknown, "noSuchMessage")
	case len(m.Content) > protocol.MaxPushBody || !roomPushFits(c.User, *m):
		return protocol.Errorf(protocol.CodeBadValue, "messageTooLong")
	}
	return nil
}

// roomPushFits reports whether both forms that the message will have can be
// pushed. Ids and times have a fixed width, so it is known before.
func roomPushFits(from int64, m RoomSend) bool {
	row := store.Message{
		Kind: store.KindRoom, Room: m.Room, From: from, Type: int(m.Type), Content: m.Content, Seq: 1 << 40,
		ServerMsgID: uuid.Nil.String(), Time: 1_000_000_000_000, ClientMsgID: m.ClientMsgID, ReplyTo: m.ReplyTo,
	}
	v := roomView{language: protocol.LanguageEnglish}
	return protocol.FitsPush(len(roomBody(row, v))) && len(roomFeatureBody(row, v)) <= protocol.MaxPushBody
}

func (s *Service) newRoomMessage(c Caller, m RoomSend) store.NewRoomMessage {
	return store.NewRoomMessage{
		Room: m.Room, From: c.User, Type: int(m.Type), Content: m.Content, ClientMsgID: m.ClientMsgID, ReplyTo: m.ReplyTo,
		OnCommit: func(out store.Message) { s.publish(committed{out, c.Session}) },
	}
}

// recallRoom takes a message back: one's own within the window, or as an admin
// anybody's of no higher role (wire.md 10.9).
func (s *Service) recallRoom(ctx context.Context, c Caller, m RoomSend) (Receipt, error) {
	notBefore := int64(0)
	if window := s.cfg.Load().RecallWindow; window > 0 {
		notBefore = s.now().Add(-window).UnixMilli()
	}
	// The row is of a room that the caller is in, or the room is what is missing.
	if _, _, err := s.asMember(ctx, c, m.Room); err != nil {
		return Receipt{}, err
	}
	out, err := s.store.RecallRoom(ctx, c.by(), s.newRoomMessage(c, m), strings.TrimSpace(m.Content), notBefore)
	return receipt(out), s.roomError(instead(err, store.ErrNotFound, protocol.CodeUnknown, "noSuchMessage"))
}

// swallow answers what the app says itself about something that the server
// already told everybody (wire.md K8). Only the picture's address comes this way
// alone (K9).
func (s *Service) swallow(ctx context.Context, c Caller, m RoomSend) (Receipt, error) {
	if m.Type == protocol.TypeLeft {
		if !s.quits.recent(c.User, m.Room, s.now()) {
			if _, _, err := s.asMember(ctx, c, m.Room); err != nil {
				return Receipt{}, err
			}
			return Receipt{}, protocol.Errorf(protocol.CodeForbidden, "typeNotAllowed")
		}
		return s.ephemeral(), nil
	}
	if err := s.asRoomAdmin(ctx, c, m.Room); err != nil {
		return Receipt{}, err
	}
	if m.Type == protocol.TypeRoomAvatar {
		if !isWebURL(m.Content) {
			return Receipt{}, badValue("Message", "badURL")
		}
		if err := s.setAvatar(ctx, c, m.Room, m.Content); err != nil {
			return Receipt{}, err
		}
	}
	return s.ephemeral(), nil
}
