package web

import (
	"strings"
	"time"

	"gtiv/daemon/live"
	"gtiv/daemon/video/sample"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
	"gtiv/store"
)

// maxLiveRows bounds the list (wire.md 5).
const maxLiveRows = 10

// handleLiveList serves GET /live/list.
func (s *Server) handleLiveList(c *api.Call, _ *protocol.NoRequest) (*protocol.LiveListReply, error) {
	rooms, err := s.deps.Live.List(c.Context(), c.Principal.User)
	if err != nil {
		return nil, err
	}
	rep := &protocol.LiveListReply{}
	s.fallbackLiveList(c, rep)
	token := s.viewerToken(c)
	if token != "" { // the app puts the room behind these (wire.md 11.1)
		rep.RTMP += token
		rep.HLS += token
		rep.FLV += token
	}
	for _, r := range rooms[:min(len(rooms), maxLiveRows)] {
		follows, err := s.follows(c, r.Owner.ID)
		if err != nil {
			return nil, err
		}
		rep.List = append(rep.List, s.liveItem(c, r, follows, token))
	}
	return rep, nil
}

// handleLiveOnAir serves GET /live/on-air.
func (s *Server) handleLiveOnAir(c *api.Call, req *protocol.LiveOnAirRequest) (*protocol.LiveOnAirReply, error) {
	rooms, next, err := s.deps.Live.OnAirNow(c.Context(), c.Principal.User, req.Cursor)
	if err != nil {
		return nil, err
	}
	rep := &protocol.LiveOnAirReply{Next: next}
	token := s.viewerToken(c)
	for _, r := range rooms {
		follows, err := s.follows(c, r.Owner.ID)
		if err != nil {
			return nil, err
		}
		rep.List = append(rep.List, s.liveItem(c, r, follows, token))
	}
	return rep, nil
}

// viewerToken is what makes the caller known to the servers of streams, with the
// slash behind it; "" for guests.
func (s *Server) viewerToken(c *api.Call) string {
	if c.Principal.User == 0 || s.deps.Signer == nil {
		return ""
	}
	return s.deps.Signer.LiveViewer(c.Principal.User) + "/"
}

// liveItem is a room in a list; token goes in front of what not everybody may have.
func (s *Server) liveItem(c *api.Call, r live.Room, follows bool, token string) protocol.LiveItem {
	item := protocol.LiveItem{
		RoomID: text(r.ID), UserID: r.Owner.ID, Title: r.Title, Cover: s.liveCover(c, r, token),
		Avatar: avatar(r.Owner), Nickname: r.Owner.Nickname, IsFollow: follows, Viewers: s.deps.Streams.Viewers(r.ID),
	}
	if r.OnAir {
		item.State = 1
	}
	return item
}

// liveCover is the picture of a room in the list: its own, else one of its stream,
// else its owner's, else that of the sample: the app wants an address (wire.md 5).
func (s *Server) liveCover(c *api.Call, r live.Room, token string) string {
	if r.Cover == "" && r.OnAir {
		if name := s.deps.Streams.Cover(r.ID); name != "" {
			if r.Access == store.AccessOpen {
				token = "" // the same address for all
			}
			return s.base(c.Request).URL() + "/live/" + token + name
		}
	}
	switch {
	case r.Cover == "" && avatar(r.Owner) != "":
		return avatar(r.Owner)
	case r.Cover == "":
		return s.clipEndpoint(c) + sample.Key + "/" + sample.Cover
	case strings.HasPrefix(r.Cover, "http"):
		return r.Cover
	}
	return s.clipEndpoint(c) + r.Cover
}

// fallbackLiveList fills in where live streams are, which does not depend on
// any service.
func (s *Server) fallbackLiveList(c *api.Call, rep *protocol.LiveListReply) {
	b := s.base(c.Request)
	rep.RTMP = "rtmp://" + b.at(s.ports.RTMP) + "/live/"
	rep.HLS = b.live(s.ports.HLS)
	rep.FLV = b.live(s.ports.FLV)
}

func liveCaller(c *api.Call) live.Caller {
	return live.Caller{User: c.Principal.User, Role: c.Principal.Role, Language: c.Language}
}

// handleLiveCreate serves POST /live/create.
func (s *Server) handleLiveCreate(c *api.Call, req *protocol.LiveCreateRequest) (*protocol.LiveCreateReply, error) {
	id, err := s.deps.Live.Create(c.Context(), liveCaller(c), req.Title, req.Cover)
	if err != nil {
		return nil, err
	}
	key, err := s.deps.Live.Key(c.Context(), liveCaller(c), id)
	if err != nil {
		return nil, err
	}
	return &protocol.LiveCreateReply{RoomID: text(id), LiveKey: s.liveKey(c, key)}, nil
}

func (s *Server) liveKey(c *api.Call, key string) protocol.LiveKey {
	b := s.base(c.Request)
	return protocol.LiveKey{Key: key, RTMP: "rtmp://" + b.at(s.ports.RTMP) + "/live/", RTMPS: "rtmps://" + b.at(s.ports.RTMPS) + "/live/"}
}

// handleLiveKey serves GET /live/key.
func (s *Server) handleLiveKey(c *api.Call, req *protocol.LiveKeyRequest) (*protocol.LiveKeyReply, error) {
	key, err := s.deps.Live.Key(c.Context(), liveCaller(c), req.RoomID)
	if err != nil {
		return nil, err
	}
	return &protocol.LiveKeyReply{LiveKey: s.liveKey(c, key)}, nil
}

// handleResetLiveKey serves POST /live/key.
func (s *Server) handleResetLiveKey(c *api.Call, req *protocol.LiveKeyRequest) (*protocol.LiveKeyReply, error) {
	key, err := s.deps.Live.ResetKey(c.Context(), liveCaller(c), req.RoomID)
	if err != nil {
		return nil, err
	}
	return &protocol.LiveKeyReply{LiveKey: s.liveKey(c, key)}, nil
}

// handleLiveMine serves GET /live/mine.
func (s *Server) handleLiveMine(c *api.Call, _ *protocol.NoRequest) (*protocol.LiveMineReply, error) {
	r, err := s.deps.Live.Own(c.Context(), liveCaller(c))
	if err != nil {
		return nil, err
	}
	return &protocol.LiveMineReply{RoomID: text(r.ID), Title: r.Title, Cover: r.Cover, Closed: r.Closed, Slow: r.Slow}, nil
}

// handleLiveEdit serves POST /live/edit.
func (s *Server) handleLiveEdit(c *api.Call, req *protocol.LiveEditRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Live.Edit(c.Context(), liveCaller(c), req.RoomID, req.Title, req.Cover)
}

// handleLiveClose serves POST /live/close.
func (s *Server) handleLiveClose(c *api.Call, req *protocol.LiveRoomRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Live.Close(c.Context(), liveCaller(c), req.RoomID)
}

// handleLiveChat serves POST /live/chat.
func (s *Server) handleLiveChat(c *api.Call, req *protocol.LiveChatRequest) (*protocol.SendReply, error) {
	r, err := s.deps.Live.Chat(c.Context(), liveCaller(c), live.Send{
		Room: req.RoomID, Type: req.Type, Content: req.Message, ClientMsgID: req.ClientMsgID, Viewer: s.liveViewer(c, req.Token, req.RoomID),
	})
	if err != nil {
		return nil, err
	}
	return &protocol.SendReply{Time: r.Time, ServerMsgID: r.ServerMsgID}, nil
}

// handleLiveHistory serves GET /live/history.
func (s *Server) handleLiveHistory(c *api.Call, req *protocol.LiveWatchRequest) (*protocol.LiveHistoryReply, error) {
	list, err := s.deps.Live.History(c.Context(), s.liveViewer(c, req.Token, req.RoomID), req.RoomID, c.Language)
	if err != nil {
		return nil, err
	}
	return &protocol.LiveHistoryReply{Online: s.deps.Live.Online(req.RoomID), List: list}, nil
}

// handleLiveDeleteMessage serves POST /live/delete-message.
func (s *Server) handleLiveDeleteMessage(c *api.Call, req *protocol.LiveMessageRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Live.DeleteMessage(c.Context(), liveCaller(c), req.RoomID, req.ServerMsgID)
}

// maxSeconds keeps a number of seconds from overflowing a time.Duration.
const maxSeconds = 1 << 32

// handleLiveMute serves POST /live/mute.
func (s *Server) handleLiveMute(c *api.Call, req *protocol.LiveMuteRequest) (*protocol.HeadReply, error) {
	d := time.Duration(max(min(req.Seconds, maxSeconds), -1)) * time.Second
	return nil, s.deps.Live.Mute(c.Context(), liveCaller(c), req.RoomID, req.UserID, d)
}

// handleLiveUnmute serves POST /live/unmute.
func (s *Server) handleLiveUnmute(c *api.Call, req *protocol.LiveUserRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Live.Unmute(c.Context(), liveCaller(c), req.RoomID, req.UserID)
}

// handleLiveSlow serves POST /live/slow.
func (s *Server) handleLiveSlow(c *api.Call, req *protocol.LiveSlowRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Live.SetSlow(c.Context(), liveCaller(c), req.RoomID, req.Seconds)
}

// handleSetLiveWords serves POST /live/words.
func (s *Server) handleSetLiveWords(c *api.Call, req *protocol.LiveWordsRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Live.SetWords(c.Context(), liveCaller(c), req.RoomID, req.Words)
}

// handleLiveWords serves GET /live/words.
func (s *Server) handleLiveWords(c *api.Call, req *protocol.LiveRoomRequest) (*protocol.LiveWordsReply, error) {
	list, err := s.deps.Live.Words(c.Context(), liveCaller(c), req.RoomID)
	if err != nil {
		return nil, err
	}
	return &protocol.LiveWordsReply{List: list}, nil
}

// handleSetLiveModerators serves POST /live/moderators.
func (s *Server) handleSetLiveModerators(c *api.Call, req *protocol.LiveModeratorsRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Live.SetModerators(c.Context(), liveCaller(c), req.RoomID, req.UserIDs)
}

// handleLiveModerators serves GET /live/moderators.
func (s *Server) handleLiveModerators(c *api.Call, req *protocol.LiveWatchRequest) (*protocol.LiveModeratorsReply, error) {
	list, err := s.deps.Live.Moderators(c.Context(), s.liveViewer(c, req.Token, req.RoomID), req.RoomID)
	if err != nil {
		return nil, err
	}
	rep := &protocol.LiveModeratorsReply{}
	for _, a := range list {
		rep.List = append(rep.List, protocol.LiveModerator{UserID: text(a.ID), Nickname: a.Nickname, Avatar: avatar(a)})
	}
	return rep, nil
}
