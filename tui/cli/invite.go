package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"gtiv/protocol"
)

// InviteCmd is "gtiv invite".
type InviteCmd struct {
	Create InviteCreateCmd `cmd:"" help:"Make an invitation code."`
	List   InviteListCmd   `cmd:"" help:"List invitation codes."`
	Revoke InviteRevokeCmd `cmd:"" help:"Make an invitation code worthless."`
}

// InviteCreateCmd is "gtiv invite create".
type InviteCreateCmd struct {
	Target
	Uses  int      `default:"1" help:"How many may register with it."`
	Valid duration `placeholder:"TIME" default:"7d" help:"How long it is valid, such as 24h or 7d; 0s for ever. Default: ${default}."`
	Note  string   `help:"A note for yourself."`
}

// Run makes the code; alone on its line, for scripts without --json.
func (c *InviteCreateCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	req := protocol.CreateInvite{Note: c.Note, Uses: c.Uses, ValidSeconds: int64(time.Duration(c.Valid) / time.Second)}
	i, err := cl.CreateInvite(ctx, req)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, i)
	}
	_, err = fmt.Fprintln(streams.Out, clean(i.Code))
	return err
}

// InviteListCmd is "gtiv invite list".
type InviteListCmd struct {
	Target
}

// Run lists the codes.
func (c *InviteListCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.Invites(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	t := table{head: []string{"CODE", "STATE", "USED", "CREATED", "EXPIRES", "NOTE"}}
	for _, i := range reply.List {
		t.add(i.Code, i.State, fmt.Sprintf("%d/%d", i.Uses, i.MaxUses), at(i.CreatedAt), at(i.ExpiresAt), orDash(i.Note))
	}
	_, err = io.WriteString(streams.Out, t.String())
	return err
}

// InviteRevokeCmd is "gtiv invite revoke".
type InviteRevokeCmd struct {
	Target
	Code string `arg:"" help:"The code."`
}

// Run revokes the code.
func (c *InviteRevokeCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	if err := cl.RevokeInvite(ctx, c.Code); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, protocol.InviteRef{Code: c.Code})
	}
	_, err := fmt.Fprintln(streams.Out, "The invitation was revoked.")
	return err
}
