package web

import (
	"gtiv/daemon/web/api"
	"gtiv/protocol"
)

// handleLiveMine serves GET /live/mine.
func (s *Server) handleLiveMine(c *api.Call, _ *protocol.NoRequest) (*protocol.LiveMineReply, error) {
	r, err := s.deps.Live.Own(c.Context(), liveCaller(c))
	if err != nil {
		return nil, err
	}
	return &protocol.LiveMineReply{RoomID: text(r.ID), Title: r.Title, Cover: r.Cover, Closed: r.Closed, Slow: r.Slow}, nil
}
