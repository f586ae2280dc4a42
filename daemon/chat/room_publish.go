package chat

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"gtiv/protocol"
	"gtiv/store"
)

// This file decides what each member of a room is shown of a message.

// roomView is what the form of a room's message depends on, beside the message.
type roomView struct {
	language string
	// itself: a ban or its end is shown as what it is, which locks or unlocks the
	// app's input bar, and not as a line of text (wire.md 10.6).
	itself bool
	// leaving: the reader is no member any more.
	leaving bool
}

// deliverRoom pushes a room's message to the members at the time of its commit,
// and says hello and goodbye to who came and went with it.
func (s *Service) deliverRoom(ctx context.Context, c committed) {
	m := c.m
	if c.session != 0 { // it may have no connection
		s.deps.Cursors.Hand(c.session, m.Conversation, m.Seq, m.Seq)
	}
	p := RoomPush{Members: m.News.Members.IDs(), Author: m.From, Conversation: m.Conversation}
	if !m.System && m.Type != int(protocol.TypeRecall) {
		p.Push = roomPush(m, roomView{language: s.cfg.Load().Language})
		p.Push.ExceptSession = c.session
	} else {
		s.eachView(ctx, m, &p)
	}
	if len(m.News.Joined) > 0 {
		p.First, p.Greet = m.News.Joined, func(user int64) *Push { return s.newRoomPush(m, user) }
	}
	if len(m.News.Left) > 0 {
		s.leaving.Lock()
		defer s.leaving.Unlock()
	}
	s.deps.PushRoom(m.Room, p)
}

// eachView fills in a push that is not the same for all members. Members of one
// kind share one, so that its frames are built once.
func (s *Service) eachView(ctx context.Context, m store.Message, p *RoomPush) {
	languages := s.languagesOf(ctx, m)
	made := map[roomView]*Push{}
	of := func(v roomView) *Push {
		if made[v] == nil {
			made[v] = roomPush(m, v)
		}
		return made[v]
	}
	ban := m.Type == int(protocol.TypeBan) || m.Type == int(protocol.TypeUnban)
	p.Each = func(user int64) *Push {
		v := roomView{language: languages(user)}
		member, _ := m.News.Members.Find(user)
		v.itself = ban && (m.Target == user || m.Target == 0 && member.Role < store.RoleRoomAdmin)
		return of(v)
	}
	if len(m.News.Left) == 0 {
		return
	}
	p.Gone, p.Part = m.News.Left, func(user int64) *Push {
		if m.Type == int(protocol.TypeLeft) && m.From == user {
			return nil // they know
		}
		last := *of(roomView{language: languages(user), itself: true, leaving: true})
		last.Conversation, last.Seq = 0, 0 // no cursor of theirs moves any more
		return &last
	}
}

// languagesOf answers in which language each member reads.
func (s *Service) languagesOf(ctx context.Context, m store.Message) func(user int64) string {
	usual := s.cfg.Load().Language
	users := m.News.Members.IDs()
	if len(m.News.Left) > 0 {
		users = slices.Concat(users, m.News.Left)
	}
	chosen, err := s.store.Languages(ctx, users)
	if err != nil {
		s.log.Warn("languages of a room's members not read", "room", m.Room, "err", err)
	}
	return func(user int64) string {
		if l := chosen[user]; l != "" {
			return l
		}
		return usual
	}
}

// newRoomPush tells somebody that they are in a room now (type 9). It comes from
// the inviter, or where they joined themselves from the built-in account: the app
// drops what comes from itself (wire.md 8.1).
func (s *Service) newRoomPush(m store.Message, user int64) *Push {
	from := m.From
	if from == user || from == 0 {
		from = protocol.BuiltInUserID
	}
	note := store.Message{
		From: from, To: user, Type: int(protocol.TypeNewRoom), Content: strconv.FormatInt(m.Room, 10),
		ServerMsgID: m.ServerMsgID, Time: m.Time,
	}
	return &Push{Type: protocol.TypeNewRoom, Body: contractBody(note, note.Content), FeatureBody: featureBody(note, user, note.Content)}
}

func roomPush(m store.Message, v roomView) *Push {
	return &Push{
		Type: protocol.MessageType(m.Type), Body: roomBody(m, v), FeatureBody: roomFeatureBody(m, v),
		Conversation: m.Conversation, Seq: m.Seq, Room: m.Room,
	}
}

func roomWire(m store.Message, t protocol.MessageType, content string) *protocol.Message {
	return &protocol.Message{
		ChatType: protocol.ChatRoom, MsgType: t, RoomID: m.Room, FromUser: m.From,
		Content: content, ServerMsgID: m.ServerMsgID, Time: m.Time,
	}
}

// roomBody is the push as the app reads it, with all its defects in mind.
func roomBody(m store.Message, v roomView) []byte {
	t := appType(protocol.MessageType(m.Type))
	w := roomWire(m, t, roomContent(m, v.language))
	switch t {
	case protocol.TypeBan, protocol.TypeUnban:
		if !v.itself {
			w.MsgType = protocol.TypeInvited
		} else if m.Target != 0 {
			w.ToUsers = strconv.FormatInt(m.Target, 10)
		}
	case protocol.TypeRoomName, protocol.TypeRoomAvatar:
		w.Content = roomDetail(m, v.language)
	case protocol.TypeRemoved:
		// Every viewer of a type 15 believes to be the one (K6).
		if v.leaving {
			w.Content = removedJSON(m, protocol.Text(v.language, "youWereRemoved"))
		} else {
			w.MsgType, w.FromUser = protocol.TypeLeft, m.Target
		}
	case protocol.TypeRecall:
		w.MsgType = protocol.TypeInvited // K19
	}
	w.Content = plainQuotes(w.MsgType, w.Content)
	return protocol.MessageJSON(w, false)
}

// roomFeatureBody is the push for feature clients: exactly what was stored.
func roomFeatureBody(m store.Message, v roomView) []byte {
	w := roomWire(m, protocol.MessageType(m.Type), roomContent(m, v.language))
	switch w.MsgType {
	case protocol.TypeRoomName, protocol.TypeRoomAvatar:
		w.Content = roomDetail(m, v.language)
	case protocol.TypeRemoved:
		w.Content = removedJSON(m, w.Content)
	case protocol.TypeRecall:
		w.Content = m.Content
	}
	if m.Target != 0 {
		w.ToUsers = strconv.FormatInt(m.Target, 10)
	}
	w.Conversation, w.Seq, w.ClientMsgID, w.ReplyTo = protocol.RoomConversation(m.Room), m.Seq, m.ClientMsgID, m.ReplyTo
	if v.leaving {
		w.Seq = 0
	}
	return protocol.MessageJSON(w, true)
}

// roomContent is a message as a text to read.
func roomContent(m store.Message, language string) string {
	switch {
	case m.Type == int(protocol.TypeRecall):
		return protocol.Text(language, "recalledMessage")
	case m.System:
		return protocol.RenderSystem(language, m.Content)
	}
	return m.Content
}

// roomDetail is what a change of name or picture holds for programs: type 14 is
// JSON, type 21 the address (wire.md 8.2).
func roomDetail(m store.Message, language string) string {
	s, ok := protocol.ParseSystem(m.Content)
	if !ok || len(s.Args) != 2 {
		return roomContent(m, language)
	}
	if m.Type == int(protocol.TypeRoomAvatar) {
		return s.Args[1]
	}
	return compact(struct {
		Operator string `json:"operator"`
		Name     string `json:"name"`
	}{s.Args[0], s.Args[1]})
}

func removedJSON(m store.Message, text string) string {
	return compact(struct {
		Content string `json:"content"`
		UserID  int64  `json:"userId"`
	}{text, m.Target})
}

func compact(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("chat: encode: " + err.Error()) // plain structs always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// plainQuotes takes apostrophes out of what the app writes into its database of
// groups by putting strings together (wire.md K2). In addresses they are encoded.
func plainQuotes(t protocol.MessageType, content string) string {
	switch t {
	case protocol.TypePhoto, protocol.TypeVoice, protocol.TypeVideo, protocol.TypeRoomAvatar:
		return strings.ReplaceAll(content, "'", "%27")
	}
	return strings.ReplaceAll(content, "'", "’")
}
