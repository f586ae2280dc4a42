package control

import (
	"context"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	maxInviteUses    = 100_000
	maxInviteSeconds = 10 * 365 * 24 * 3600
)

func (s *Server) listInvites(ctx context.Context, _ *call) (any, error) {
	found, err := s.deps.Accounts.Invites(ctx)
	if err != nil {
		return nil, err
	}
	reply := protocol.InviteList{List: []protocol.Invite{}}
	for _, i := range found {
		reply.List = append(reply.List, invite(i))
	}
	return reply, nil
}

func (s *Server) createInvite(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.CreateInvite](c)
	if err != nil {
		return nil, err
	}
	switch {
	case req.Uses < 1 || req.Uses > maxInviteUses:
		return nil, badRequest(fmt.Sprintf("Uses must be between 1 and %d", maxInviteUses))
	case req.ValidSeconds < 0 || req.ValidSeconds > maxInviteSeconds:
		return nil, badRequest("an invitation is valid for 10 years at most; 0 is for ever")
	case utf8.RuneCountInString(req.Note) > protocol.MaxControlReasonRunes:
		return nil, badRequest(fmt.Sprintf("the note has more than %d characters", protocol.MaxControlReasonRunes))
	}
	const nobody = 0 // no account: made on the host
	i, err := s.deps.Accounts.CreateInvite(ctx, nobody, req.Note, req.Uses, time.Duration(req.ValidSeconds)*time.Second)
	if err != nil {
		return nil, err
	}
	c.target, c.detail = inviteTarget(i.Code), fmt.Sprintf("uses %d, valid %ds", req.Uses, req.ValidSeconds)
	return invite(i), nil
}

func (s *Server) revokeInvite(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.InviteRef](c)
	if err != nil {
		return nil, err
	}
	if req.Code == "" {
		return nil, badRequest("Code is missing")
	}
	if err := s.deps.Accounts.RevokeInvite(ctx, req.Code); err != nil {
		return nil, err
	}
	c.target = inviteTarget(req.Code)
	return struct{}{}, nil
}

// inviteTarget names an invitation in the log and the audit without giving the
// code away: who reads those could register with it.
func inviteTarget(code string) string {
	const shown = 4
	r := []rune(code)
	return "invite " + string(r[:min(shown, len(r)/2)]) + "…"
}

func invite(i store.Invite) protocol.Invite {
	state := "open"
	switch {
	case i.RevokedAt != 0:
		state = "revoked"
	case i.Uses >= i.MaxUses:
		state = "used"
	case i.ExpiresAt != 0 && i.ExpiresAt <= time.Now().UnixMilli():
		state = "expired"
	}
	out := protocol.Invite{
		Code: i.Code, Note: i.Note, State: state, Uses: i.Uses, MaxUses: i.MaxUses,
		CreatedAt: atMs(i.CreatedAt), RevokedAt: atMs(i.RevokedAt),
	}
	if i.ExpiresAt < math.MaxInt64 {
		out.ExpiresAt = atMs(i.ExpiresAt)
	}
	return out
}
