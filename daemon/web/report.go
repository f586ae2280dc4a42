package web

import (
	"gtiv/daemon/chat"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
)

// handleReport serves POST /report.
func (s *Server) handleReport(c *api.Call, req *protocol.ReportRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.Report(c.Context(), caller(c), chat.Report{Kind: req.Kind, Target: req.Target, Reason: req.Reason})
}
