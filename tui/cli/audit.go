package cli

import (
	"context"
	"io"
	"time"

	"gtiv/protocol"
)

// AuditCmd is "gtiv audit".
type AuditCmd struct {
	Target
	Limit  int    `default:"50" help:"How many entries."`
	Action string `placeholder:"PREFIX" help:"Only actions that begin with this, such as user. or user.ban."`
}

// Run lists the newest changes, newest first, over as many pages as it takes.
func (c *AuditCmd) Run(ctx context.Context, streams *IO) error {
	if c.Limit < 1 {
		return &UsageError{Text: "--limit must be at least 1"}
	}
	cl := c.client()
	defer cl.Close()
	all := &protocol.AuditList{List: []protocol.AuditEntry{}}
	f := protocol.AuditFilter{Action: c.Action}
	for {
		f.Limit = min(c.Limit-len(all.List), protocol.MaxControlPage)
		reply, err := cl.Audit(ctx, f)
		if err != nil {
			return err
		}
		all.List, all.Next = append(all.List, reply.List...), reply.Next
		if reply.Next == 0 || len(reply.List) == 0 || len(all.List) >= c.Limit {
			break
		}
		f.Before = reply.Next
	}
	if c.JSON {
		return writeJSON(streams.Out, all)
	}
	t := table{head: []string{"TIME", "ACTION", "TARGET", "DETAIL", "WHO"}}
	for _, e := range all.List {
		t.add(e.Time.Local().Format(time.DateTime), e.Action, orDash(e.Target), orDash(e.Detail), e.Actor)
	}
	_, err := io.WriteString(streams.Out, t.String())
	return err
}
