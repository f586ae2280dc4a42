package control

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"unicode/utf8"

	"gtiv/protocol"
	"gtiv/store"
)

// reports is what the handlers of reports need of chat.Service.
type reports interface {
	Reports(ctx context.Context, open bool, after int64, limit int) ([]store.Report, error)
	ResolveReport(ctx context.Context, id int64, by, action, note string) (store.Report, error)
}

func (s *Server) listReports(ctx context.Context, c *call) (any, error) {
	q := c.url.Query()
	state := q.Get("State")
	if state != "" && state != protocol.ReportsOpen && state != protocol.ReportsResolved {
		return nil, badRequest("State must be open or resolved")
	}
	after, limit, err := page(q, "After")
	if err != nil {
		return nil, err
	}
	found, err := s.deps.Reports.Reports(ctx, state != protocol.ReportsResolved, after, limit)
	if err != nil {
		return nil, err
	}
	reply := protocol.ReportList{List: []protocol.Report{}}
	for _, p := range found {
		reply.List = append(reply.List, report(p))
	}
	if len(found) == limit {
		reply.Next = found[limit-1].ID
	}
	return reply, nil
}

// page reads where a page begins and how long it is.
func page(q url.Values, from string) (begin int64, limit int, err error) {
	limit = protocol.DefaultControlPage
	if v := q.Get(from); v != "" {
		if begin, err = strconv.ParseInt(v, 10, 64); err != nil || begin < 0 {
			return 0, 0, badRequest(from + " is not an id")
		}
	}
	if v := q.Get("Limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > protocol.MaxControlPage {
			return 0, 0, badRequest(fmt.Sprintf("Limit must be between 1 and %d", protocol.MaxControlPage))
		}
	}
	return begin, limit, nil
}

func (s *Server) resolveReport(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.ResolveReport](c)
	if err != nil {
		return nil, err
	}
	if req.ID <= 0 {
		return nil, badRequest("ID is missing")
	}
	for name, text := range map[string]string{"note": req.Note, "action": req.Action} {
		if utf8.RuneCountInString(text) > protocol.MaxControlNoteRunes {
			return nil, badRequest(fmt.Sprintf("the %s has more than %d characters", name, protocol.MaxControlNoteRunes))
		}
	}
	p, err := s.deps.Reports.ResolveReport(ctx, req.ID, s.actor(c), req.Action, req.Note)
	if err != nil {
		return nil, err
	}
	c.target, c.detail = fmt.Sprintf("report %d of %s %s", p.ID, p.Kind, p.Target), joinedText(req.Action, req.Note)
	return report(p), nil
}

// actor names the caller, as the audit log does.
func (s *Server) actor(c *call) string { return actor(s.groups.userName(c.peer.uid), c.peer) }

// joinedText is both texts, or the one there is.
func joinedText(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ": " + b
}

func report(p store.Report) protocol.Report {
	return protocol.Report{
		ID: p.ID, Reporter: p.Reporter, Kind: p.Kind, Target: p.Target, Reason: p.Reason, CreatedAt: atMs(p.CreatedAt),
		Sender: p.Sender, Content: p.Content, SentAt: atMs(p.MessageTime),
		ResolvedAt: atMs(p.ResolvedAt), ResolvedBy: p.ResolvedBy, Action: p.Action, Note: p.Note,
	}
}
