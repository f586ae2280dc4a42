package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"gtiv/protocol"
)

// AnnounceCmd is "gtiv announce".
type AnnounceCmd struct {
	Target
	Text string `arg:"" optional:"" help:"The message; without one, announcements are listed with how far they are."`
}

// Run sends an announcement, or lists them.
func (c *AnnounceCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	if c.Text == "" {
		reply, err := cl.Announcements(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(streams.Out, reply)
		}
		return printAnnouncements(streams.Out, reply)
	}
	a, err := cl.Announce(ctx, c.Text)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, a)
	}
	_, err = fmt.Fprintf(streams.Out, "Announcement %d is on its way to %s; gtiv announce shows how far it is.\n", a.ID, counted(int(a.Accounts), "account"))
	return err
}

func printAnnouncements(w io.Writer, reply *protocol.AnnouncementList) error {
	t := table{head: []string{"ID", "CREATED", "STATE", "SENT", "TEXT"}}
	for _, a := range reply.List {
		state := "on its way"
		if !a.FinishedAt.IsZero() {
			state = "done " + at(a.FinishedAt)
		}
		t.add(strconv.FormatInt(a.ID, 10), at(a.CreatedAt), state, count(a.Sent)+"/"+count(a.Accounts), a.Text)
	}
	_, err := io.WriteString(w, t.String())
	return err
}
