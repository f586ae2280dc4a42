package control

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"gtiv/protocol"
	"gtiv/store"
)

// bans is what the handlers of banned addresses need of account.Service.
type bans interface {
	AddressBans(ctx context.Context) ([]store.AddressBan, error)
	BanAddress(ctx context.Context, address string, until time.Time, reason, by string) (store.AddressBan, error)
	UnbanAddress(ctx context.Context, address string) (prefix string, err error)
}

func (s *Server) listBans(ctx context.Context, _ *call) (any, error) {
	found, err := s.deps.Bans.AddressBans(ctx)
	if err != nil {
		return nil, err
	}
	reply := protocol.AddressBanList{List: []protocol.AddressBan{}}
	for _, b := range found {
		reply.List = append(reply.List, addressBan(b))
	}
	return reply, nil
}

func (s *Server) banAddress(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.BanAddress](c)
	if err != nil {
		return nil, err
	}
	switch {
	case req.Address == "":
		return nil, badRequest("Address is missing")
	case !req.Until.IsZero() && !req.Until.After(time.Now()):
		return nil, badRequest("the end of the ban is in the past")
	case utf8.RuneCountInString(req.Reason) > protocol.MaxControlReasonRunes:
		return nil, badRequest(fmt.Sprintf("the reason has more than %d characters", protocol.MaxControlReasonRunes))
	}
	b, err := s.deps.Bans.BanAddress(ctx, req.Address, req.Until, req.Reason, s.actor(c))
	if err != nil {
		return nil, err
	}
	until := "for ever"
	if !req.Until.IsZero() {
		until = "until " + req.Until.UTC().Format(time.RFC3339)
	}
	c.target, c.detail = "address "+b.Prefix, joinedText(until, req.Reason)
	return addressBan(b), nil
}

func (s *Server) unbanAddress(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.AddressRef](c)
	if err != nil {
		return nil, err
	}
	if req.Address == "" {
		return nil, badRequest("Address is missing")
	}
	prefix, err := s.deps.Bans.UnbanAddress(ctx, req.Address)
	if err != nil {
		return nil, err
	}
	c.target = "address " + prefix
	return protocol.AddressRef{Address: prefix}, nil
}

func addressBan(b store.AddressBan) protocol.AddressBan {
	return protocol.AddressBan{
		Address: b.Prefix, Reason: b.Reason, CreatedBy: b.CreatedBy, CreatedAt: atMs(b.CreatedAt), Until: atMs(b.ExpiresAt),
	}
}
