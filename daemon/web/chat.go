package web

import (
	"context"

	"gtiv/daemon/chat"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
)

// handlePushMid serves POST /imlogic/push-mid.
func (s *Server) handlePushMid(c *api.Call, req *protocol.SendRequest) (*protocol.SendReply, error) {
	r, err := s.deps.Chat.SendPrivate(c.Context(), caller(c), chat.Send{
		To: req.ToUsers, Type: req.Type, Content: req.Message, ClientMsgID: req.ClientMsgID, ReplyTo: req.ReplyTo,
	})
	if err != nil {
		return nil, err
	}
	return &protocol.SendReply{Time: r.Time, ServerMsgID: r.ServerMsgID}, nil
}

// handleCheckOnline serves POST /imlogic/check-online. Without a user it answers
// for the login session that asks: another device of the same user must not
// make the app believe that its own connection lives (design.md 4).
func (s *Server) handleCheckOnline(c *api.Call, req *protocol.CheckOnlineRequest) (*protocol.CheckOnlineReply, error) {
	if req.User == 0 {
		return &protocol.CheckOnlineReply{Online: s.deps.SessionOnline(c.Principal.Session)}, nil
	}
	return &protocol.CheckOnlineReply{Online: s.deps.Online(req.User)}, nil
}

// handleSyncPrivate serves GET /chat/sync-private-message.
func (s *Server) handleSyncPrivate(c *api.Call, req *protocol.SyncPrivateRequest) (*protocol.MessagesReply, error) {
	batch, err := s.deps.Chat.SyncPrivate(c.Context(), caller(c), req.LastMessageTime)
	if err != nil {
		return nil, err
	}
	return messages(c, batch), nil
}

// messages answers a sync, and has it noted once it is on its way, whatever
// becomes of the client then.
func messages(c *api.Call, b chat.Batch) *protocol.MessagesReply {
	rep := &protocol.MessagesReply{List: make([]protocol.MessageItem, 0, len(b.Items))}
	for _, m := range b.Items {
		rep.List = append(rep.List, protocol.MessageItem{
			MsgID: m.MsgID, MsgType: m.Type, FromUser: m.From, Content: m.Content, Time: m.Time,
		})
	}
	c.OnSent(func() { b.Sent(context.WithoutCancel(c.Context())) })
	return rep
}

// handleRoomMessages serves GET /chat/room-msg.
func (s *Server) handleRoomMessages(c *api.Call, req *protocol.SyncRoomRequest) (*protocol.MessagesReply, error) {
	batch, err := s.deps.Chat.SyncRoom(c.Context(), caller(c), req.RoomID, req.LastMessageTime)
	if err != nil {
		return nil, err
	}
	return messages(c, batch), nil
}

// handlePushRoom serves POST /imlogic/push-room.
func (s *Server) handlePushRoom(c *api.Call, req *protocol.SendRoomRequest) (*protocol.SendReply, error) {
	r, err := s.deps.Chat.SendRoom(c.Context(), caller(c), chat.RoomSend{
		Room: req.RoomID, Type: req.Type, Content: req.Message, ClientMsgID: req.ClientMsgID, ReplyTo: req.ReplyTo,
	})
	if err != nil {
		return nil, err
	}
	return &protocol.SendReply{Time: r.Time, ServerMsgID: r.ServerMsgID}, nil
}
