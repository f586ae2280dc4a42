package chat

import (
	"context"
	"strconv"

	"gtiv/protocol"
	"gtiv/store"
)

// committed is a message on its way from the disk to the connections.
type committed struct {
	m       store.Message
	session int64 // that sent it, 0 for the server
}

// Deliver pushes a stored message that another part of the server wrote. Called
// by the store's writer, in commit order.
func (s *Service) Deliver(m store.Message) { s.publish(committed{m: m}) }

// publish hands a committed message to the publisher. Called by the store's
// writer; it waits only when the publisher is thousands of messages behind.
func (s *Service) publish(c committed) {
	select {
	case s.line <- c:
	case <-s.stopped:
	}
}

func (s *Service) publishAll(ctx context.Context) {
	for {
		select {
		case c := <-s.line:
			s.deliver(ctx, c)
		case <-ctx.Done():
			return
		}
	}
}

// deliver pushes one message to its receiver's connections, and to the feature
// clients among the sender's other ones. Who must not see it (the sender's
// phones, which drop their own messages, and who blocked the sender) still has
// its number counted as handed, so that their cursors stay free of holes.
func (s *Service) deliver(ctx context.Context, c committed) {
	m := c.m
	if m.Kind == store.KindRoom {
		s.deliverRoom(ctx, c)
		return
	}
	if c.session != 0 { // it may have no connection
		s.deps.Cursors.Hand(c.session, m.Conversation, m.Seq, m.Seq)
	}
	s.deps.Push(m.From, Push{
		Type: protocol.MessageType(m.Type), FeatureBody: featureBody(m, m.From, s.contentFor(ctx, m, m.From)),
		Conversation: m.Conversation, Seq: m.Seq, Silent: true, ExceptSession: c.session,
	})
	if m.HiddenFrom == m.To {
		s.deps.Push(m.To, Push{Conversation: m.Conversation, Seq: m.Seq, Silent: true})
		return
	}
	s.deps.Push(m.To, s.push(m, m.To, s.contentFor(ctx, m, m.To)))
}

// contentFor is the content as a reader sees it: server texts are written in
// the reader's language.
func (s *Service) contentFor(ctx context.Context, m store.Message, reader int64) string {
	if !m.System {
		return m.Content
	}
	language := s.cfg.Load().Language
	if a, err := s.store.Account(ctx, reader); err == nil && a.Language != "" {
		language = a.Language
	}
	return protocol.RenderSystem(language, m.Content)
}

// push is the frame of a stored message for one reader.
func (s *Service) push(m store.Message, reader int64, content string) Push {
	return Push{
		Type: protocol.MessageType(m.Type), Body: contractBody(m, content), FeatureBody: featureBody(m, reader, content),
		Conversation: m.Conversation, Seq: m.Seq,
		Slow: m.Type == int(protocol.TypeAccepted) || m.Type == int(protocol.TypeApply),
	}
}

func wireMessage(m store.Message, content string) *protocol.Message {
	return &protocol.Message{
		ChatType: protocol.ChatPrivate, MsgType: protocol.MessageType(m.Type), FromUser: m.From,
		ToUsers: strconv.FormatInt(m.To, 10), Content: content, ServerMsgID: m.ServerMsgID, Time: m.Time,
	}
}

// contractBody is the push as the app reads it.
func contractBody(m store.Message, content string) []byte {
	w := wireMessage(m, content)
	w.MsgType = appType(w.MsgType)
	return protocol.MessageJSON(w, false)
}

// appType is the type the app is shown: it does not store type 18, whose content
// is that of type 3 (wire.md K5).
func appType(t protocol.MessageType) protocol.MessageType {
	if t == protocol.TypeShare {
		return protocol.TypeVideo
	}
	return t
}

// featureBody is the push for feature clients of reader.
func featureBody(m store.Message, reader int64, content string) []byte {
	w := wireMessage(m, content)
	if m.Seq > 0 {
		w.Conversation = protocol.PrivateConversation(m.From + m.To - reader)
		w.Seq, w.ClientMsgID, w.ReplyTo = m.Seq, m.ClientMsgID, m.ReplyTo
	}
	return protocol.MessageJSON(w, true)
}
