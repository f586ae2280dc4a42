package control

import (
	"context"

	"gtiv/protocol"
	"gtiv/store"
)

func (s *Server) listAudit(ctx context.Context, c *call) (any, error) {
	q := c.url.Query()
	before, limit, err := page(q, "Before")
	if err != nil {
		return nil, err
	}
	found, err := s.deps.AuditLog(ctx, store.AuditFilter{Action: q.Get("Action"), Before: before, Limit: limit})
	if err != nil {
		return nil, err
	}
	reply := protocol.AuditList{List: []protocol.AuditEntry{}}
	for _, e := range found {
		reply.List = append(reply.List, protocol.AuditEntry{
			ID: e.ID, Time: atMs(e.Time), Actor: e.Actor, Action: e.Action, Target: e.Target, Detail: e.Detail,
		})
	}
	if len(found) == limit {
		reply.Next = found[limit-1].ID
	}
	return reply, nil
}
