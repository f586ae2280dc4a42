package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"gtiv/protocol"
)

// BanCmd is "gtiv ban".
type BanCmd struct {
	Add    BanAddCmd    `cmd:"" help:"Keep an address or a network away and close its connections."`
	List   BanListCmd   `cmd:"" help:"List banned addresses."`
	Remove BanRemoveCmd `cmd:"" help:"Let an address in again."`
}

// BanAddCmd is "gtiv ban add".
type BanAddCmd struct {
	Target
	Address string   `arg:"" help:"IP address (of IPv6 its /64 is banned), or a network such as 192.0.2.0/24."`
	For     duration `placeholder:"TIME" help:"How long, such as 24h, 7d or 2w; for ever if left out."`
	Reason  string   `help:"A note for other moderators."`
}

// Run bans the address.
func (c *BanAddCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	req := protocol.BanAddress{Address: c.Address, Reason: c.Reason}
	if c.For > 0 {
		req.Until = time.Now().Add(time.Duration(c.For))
	}
	b, err := cl.BanAddress(ctx, req)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, b)
	}
	if _, err = fmt.Fprintf(streams.Out, "%s is banned %s.\n", clean(b.Address), banEnd(*b)); err != nil {
		return err
	}
	if a, err := netip.ParseAddr(c.Address); err == nil && a.Is6() && strings.HasSuffix(b.Address, "/64") {
		_, err = fmt.Fprintf(streams.Out, "That is the whole /64 of the address, which one subscriber has; for the address alone, ban %s/128.\n", a)
		return err
	}
	return nil
}

func banEnd(b protocol.AddressBan) string {
	if b.Until.IsZero() {
		return "for ever"
	}
	return "until " + at(b.Until)
}

// BanListCmd is "gtiv ban list".
type BanListCmd struct {
	Target
}

// Run lists the bans.
func (c *BanListCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.AddressBans(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	t := table{head: []string{"ADDRESS", "BANNED", "SINCE", "BY", "REASON"}}
	for _, b := range reply.List {
		t.add(b.Address, banEnd(b), at(b.CreatedAt), orDash(b.CreatedBy), orDash(b.Reason))
	}
	_, err = io.WriteString(streams.Out, t.String())
	return err
}

// BanRemoveCmd is "gtiv ban remove".
type BanRemoveCmd struct {
	Target
	Address string `arg:"" help:"The address or network, as gtiv ban list shows it."`
}

// Run ends the ban.
func (c *BanRemoveCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.UnbanAddress(ctx, c.Address)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	_, err = fmt.Fprintf(streams.Out, "%s is not banned any more.\n", clean(reply.Address))
	return err
}
