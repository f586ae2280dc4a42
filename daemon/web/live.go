package web

import (
	"gtiv/daemon/web/api"
	"gtiv/protocol"
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
	for _, r := range rooms[:min(len(rooms), maxLiveRows)] {
		follows, err := s.follows(c, r.Owner.ID)
		if err != nil {
			return nil, err
		}
		item := protocol.LiveItem{
			RoomID: text(r.ID), UserID: r.Owner.ID, Title: r.Title, Cover: s.clipEndpoint(c) + r.Cover,
			Avatar: avatar(r.Owner), Nickname: r.Owner.Nickname, IsFollow: follows,
		}
		if r.OnAir {
			item.State = 1
		}
		rep.List = append(rep.List, item)
	}
	return rep, nil
}

// fallbackLiveList fills in where live streams are, which does not depend on
// any service.
func (s *Server) fallbackLiveList(c *api.Call, rep *protocol.LiveListReply) {
	b := s.base(c.Request)
	rep.RTMP = "rtmp://" + b.at(s.ports.RTMP) + "/live/"
	rep.HLS = b.live(s.ports.HLS)
	rep.FLV = b.live(s.ports.FLV)
}
