package control

import (
	"context"
	"fmt"

	"gtiv/protocol"
	"gtiv/store"
)

// announcements is what the handlers of announcements need of chat.Service.
type announcements interface {
	Announce(ctx context.Context, text, by string) (store.Announcement, error)
	Announcements(ctx context.Context, limit int) ([]store.Announcement, error)
}

func (s *Server) listAnnouncements(ctx context.Context, _ *call) (any, error) {
	found, err := s.deps.Announcements.Announcements(ctx, protocol.DefaultControlPage)
	if err != nil {
		return nil, err
	}
	reply := protocol.AnnouncementList{List: []protocol.Announcement{}}
	for _, a := range found {
		reply.List = append(reply.List, announcement(a))
	}
	return reply, nil
}

func (s *Server) announce(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.Announce](c)
	if err != nil {
		return nil, err
	}
	a, err := s.deps.Announcements.Announce(ctx, req.Text, s.actor(c))
	if err != nil {
		return nil, err
	}
	c.target, c.detail = fmt.Sprintf("announcement %d", a.ID), fmt.Sprintf("to %d accounts", a.Accounts)
	return announcement(a), nil
}

func announcement(a store.Announcement) protocol.Announcement {
	return protocol.Announcement{
		ID: a.ID, Text: a.Text, CreatedBy: a.CreatedBy, CreatedAt: atMs(a.CreatedAt),
		Accounts: a.Accounts, Sent: a.Sent, FinishedAt: atMs(a.FinishedAt),
	}
}
