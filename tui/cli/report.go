package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"gtiv/protocol"
)

// ReportCmd is "gtiv report".
type ReportCmd struct {
	List    ReportListCmd    `cmd:"" help:"List what users reported, oldest first."`
	Resolve ReportResolveCmd `cmd:"" help:"Close a report."`
}

// ReportListCmd is "gtiv report list".
type ReportListCmd struct {
	Target
	All   bool  `help:"Resolved ones, too."`
	After int64 `help:"Go on after this id."`
	Limit int   `default:"50" help:"Rows of a page, 1 to 200."`
}

// Run lists a page of open reports, or of all.
func (c *ReportListCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	states := []string{protocol.ReportsOpen}
	if c.All {
		states = []string{protocol.ReportsResolved, protocol.ReportsOpen}
	}
	all := &protocol.ReportList{List: []protocol.Report{}}
	for _, state := range states {
		reply, err := cl.Reports(ctx, protocol.ReportFilter{State: state, After: c.After, Limit: c.Limit})
		if err != nil {
			return err
		}
		all.List = append(all.List, reply.List...)
		if all.Next == 0 || reply.Next != 0 && reply.Next < all.Next {
			all.Next = reply.Next
		}
	}
	slices.SortFunc(all.List, func(a, b protocol.Report) int { return cmp.Compare(a.ID, b.ID) })
	if all.Next != 0 { // the rest belongs to the next page, where the other state goes on, too
		all.List = slices.DeleteFunc(all.List, func(p protocol.Report) bool { return p.ID > all.Next })
	}
	if c.JSON {
		return writeJSON(streams.Out, all)
	}
	return printReports(streams.Out, all)
}

func printReports(w io.Writer, reply *protocol.ReportList) error {
	t := table{head: []string{"ID", "STATE", "BY", "ABOUT", "REASON", "MESSAGE", "CREATED"}}
	for _, p := range reply.List {
		t.add(strconv.FormatInt(p.ID, 10), reportState(p), strconv.FormatInt(p.Reporter, 10), p.Kind+" "+p.Target, p.Reason,
			evidence(p), at(p.CreatedAt))
	}
	return printPage(w, t, reply.Next)
}

func reportState(p protocol.Report) string {
	if p.ResolvedAt.IsZero() {
		return "open"
	}
	return "resolved"
}

// evidence is who wrote what.
func evidence(p protocol.Report) string {
	if p.Sender == 0 {
		return "-"
	}
	return fmt.Sprintf("%d: %s", p.Sender, p.Content)
}

// ReportResolveCmd is "gtiv report resolve".
type ReportResolveCmd struct {
	Target
	ID     int64  `arg:"" help:"Report, from gtiv report list."`
	Action string `help:"What was done, such as \"warned\"."`
	Note   string `help:"A note for other moderators."`
}

// Run resolves the report.
func (c *ReportResolveCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	p, err := cl.ResolveReport(ctx, protocol.ResolveReport{ID: c.ID, Note: c.Note, Action: c.Action})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, p)
	}
	_, err = fmt.Fprintf(streams.Out, "Report %d is resolved.\n", p.ID)
	return err
}
