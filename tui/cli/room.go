package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gtiv/protocol"
)

// RoomCmd is "gtiv room".
type RoomCmd struct {
	List     RoomListCmd     `cmd:"" help:"List groups, by id."`
	Show     RoomShowCmd     `cmd:"" help:"Show a group."`
	Members  RoomMembersCmd  `cmd:"" help:"List the members of a group, the owner first."`
	Dissolve RoomDissolveCmd `cmd:"" help:"End a group; its members are told."`
}

// RoomListCmd is "gtiv room list".
type RoomListCmd struct {
	Target
	Query string `help:"Only groups with this in their name."`
	After int64  `help:"Go on after this id."`
	Limit int    `default:"50" help:"Rows of a page, 1 to 200."`
}

// Run lists a page of groups.
func (c *RoomListCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.Rooms(ctx, protocol.RoomFilter{Query: c.Query, After: c.After, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	t := table{head: []string{"ID", "NAME", "MEMBERS", "CREATED"}}
	for _, r := range reply.List {
		t.add(strconv.FormatInt(r.ID, 10), r.Name, fmt.Sprintf("%d/%d", r.Members, r.MemberLimit), at(r.CreatedAt))
	}
	return printPage(streams.Out, t, reply.Next)
}

// printPage prints a table and how to get the next one.
func printPage(w io.Writer, t table, next int64) error {
	text := t.String()
	if next != 0 {
		text += fmt.Sprintf("More: --after %d\n", next)
	}
	_, err := io.WriteString(w, text)
	return err
}

// RoomShowCmd is "gtiv room show".
type RoomShowCmd struct {
	Target
	ID int64 `arg:"" help:"The group's id."`
}

// Run shows the group.
func (c *RoomShowCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	r, err := cl.Room(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, r)
	}
	admins := make([]string, len(r.Admins))
	for i, id := range r.Admins {
		admins[i] = strconv.FormatInt(id, 10)
	}
	for _, line := range [][2]string{
		{"Name", r.Name}, {"Members", fmt.Sprintf("%d of at most %d", r.Members, r.MemberLimit)},
		{"Owner", strconv.FormatInt(r.Owner, 10)}, {"Admins", orDash(strings.Join(admins, ", "))}, {"Messages", count(r.Messages)},
		{"Notice", orDash(strings.Join(strings.Fields(r.Notice), " "))}, {"All muted until", at(r.MutedUntil)},
		{"Joining by link", joining(r)}, {"May be invited", invited(r)}, {"Created", at(r.CreatedAt)},
	} {
		if _, err := fmt.Fprintf(streams.Out, "%-16s%s\n", line[0], clean(line[1])); err != nil {
			return err
		}
	}
	return nil
}

func joining(r *protocol.Room) string {
	text := fmt.Sprintf("%s, at once", counted(r.Links, "link"))
	if r.Approval {
		text = fmt.Sprintf("%s, an administrator decides (%d waiting)", counted(r.Links, "link"), r.Waiting)
	}
	return text
}

func invited(r *protocol.Room) string {
	if r.OpenInvite {
		return "anybody"
	}
	return "contacts of members"
}

// RoomMembersCmd is "gtiv room members".
type RoomMembersCmd struct {
	Target
	ID    int64 `arg:"" help:"The group's id."`
	After int64 `help:"Pass over so many."`
	Limit int   `default:"50" help:"Rows of a page, 1 to 200."`
}

// Run lists a page of members.
func (c *RoomMembersCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.RoomMembers(ctx, c.ID, c.After, c.Limit)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	t := table{head: []string{"ID", "USERNAME", "NICKNAME", "ROLE", "JOINED", "MUTED UNTIL"}}
	for _, m := range reply.List {
		t.add(strconv.FormatInt(m.ID, 10), m.Username, m.Nickname, m.Role, at(m.JoinedAt), at(m.MutedUntil))
	}
	return printPage(streams.Out, t, reply.Next)
}

// RoomDissolveCmd is "gtiv room dissolve".
type RoomDissolveCmd struct {
	Target
	ID int64 `arg:"" help:"The group's id."`
}

// Run ends the group.
func (c *RoomDissolveCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	r, err := cl.DissolveRoom(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, r)
	}
	_, err = fmt.Fprintf(streams.Out, "The group %s (%d) was dissolved.\n", clean(r.Name), r.ID)
	return err
}
