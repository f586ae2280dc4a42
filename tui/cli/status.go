package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gtiv/protocol"
)

// StatusCmd is "gtiv status".
type StatusCmd struct {
	Target
}

// Run shows how the daemon does, and fails when it is not well.
func (c *StatusCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	st, err := cl.Status(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(streams.Out, st)
	} else {
		_, err = fmt.Fprint(streams.Out, statusText(st))
	}
	if err == nil && !st.Healthy() {
		err = errShown{}
	}
	return err
}

func statusText(st *protocol.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "gtiv %s is %s (pid %d, up %s)\n\n", clean(orDash(st.Version)), clean(orDash(st.State)), st.PID,
		span(time.Duration(st.UptimeSeconds)*time.Second))
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-10s %s\n", name, clean(fmt.Sprintf(format, args...)))
	}
	line("online", "%s, %s", counted(st.UsersOnline, "user"), counted(st.Connections, "connection"))
	line("accounts", "%s", count(st.Accounts))
	line("messages", "%s", count(st.Messages))
	if len(st.Queues) > 0 {
		var q []string
		for _, t := range st.Queues {
			q = append(q, queueText(t))
		}
		line("queues", "%s", strings.Join(q, ", "))
	}
	line("memory", "%s, %s", size(st.RSSBytes), counted(st.Goroutines, "goroutine"))
	line("database", "%s", size(st.DatabaseBytes))
	line("data", "%s", st.DataDir)
	for i, p := range st.Ports {
		name := "ports"
		if i > 0 {
			name = ""
		}
		line(name, "%-10s %s/%s", p.Name, p.Address, p.Network)
	}
	if len(st.Health) > 0 {
		b.WriteString("\n")
	}
	for _, h := range st.Health {
		mark := "ok"
		if !h.OK {
			mark = "ILL"
		}
		fmt.Fprintf(&b, "  %-4s %s", mark, clean(h.Name))
		if h.Text != "" {
			fmt.Fprintf(&b, ": %s", clean(h.Text))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// queueText is a queue in a few words: what waits, and what is wrong with it.
func queueText(q protocol.Queue) string {
	text := q.Name + " " + count(q.Depth)
	var more []string
	if q.OldestSeconds > 0 {
		more = append(more, "oldest "+span(time.Duration(q.OldestSeconds)*time.Second))
	}
	if q.Dead > 0 {
		more = append(more, count(q.Dead)+" dead")
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, "; ") + ")"
	}
	return text
}
