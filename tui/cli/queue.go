package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"gtiv/protocol"
)

// QueueCmd is "gtiv queue".
type QueueCmd struct {
	List  QueueListCmd  `cmd:"" help:"List the queues, or the jobs of one that wait or were given up."`
	Retry QueueRetryCmd `cmd:"" help:"Put a job that was given up in line again, or all."`
	Drop  QueueDropCmd  `cmd:"" help:"Forget a job that was given up, or all."`
}

// QueueListCmd is "gtiv queue list".
type QueueListCmd struct {
	Target
	Topic   string `arg:"" optional:"" help:"The queue."`
	Dead    bool   `help:"Only jobs that were given up."`
	Waiting bool   `help:"Only jobs that wait."`
	After   string `help:"Go on after this place; with --dead or --waiting."`
	Limit   int    `default:"50" help:"Rows of a page, 1 to 200."`
}

// jobs is what --json prints of a queue.
type jobs struct {
	Dead    *protocol.QueueJobs `json:",omitempty"`
	Waiting *protocol.QueueJobs `json:",omitempty"`
}

// Run lists queues or jobs.
func (c *QueueListCmd) Run(ctx context.Context, streams *IO) error {
	switch {
	case c.Topic == "" && (c.Dead || c.Waiting || c.After != ""):
		return &UsageError{Text: "name the queue whose jobs are wanted"}
	case c.After != "" && c.Dead == c.Waiting:
		return &UsageError{Text: "--after needs --dead or --waiting"}
	}
	cl := c.client()
	defer cl.Close()
	if c.Topic == "" {
		reply, err := cl.Queues(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(streams.Out, reply)
		}
		t := table{head: []string{"QUEUE", "WAITING", "IN WORK", "GIVEN UP", "OLDEST"}}
		for _, q := range reply.List {
			t.add(q.Name, count(q.Depth), count(q.Leased), count(q.Dead), age(q.OldestSeconds))
		}
		_, err = io.WriteString(streams.Out, t.String())
		return err
	}
	var found jobs
	for _, part := range []struct {
		wanted, dead bool
		to           **protocol.QueueJobs
	}{{c.Dead || !c.Waiting, true, &found.Dead}, {c.Waiting || !c.Dead, false, &found.Waiting}} {
		if !part.wanted {
			continue
		}
		reply, err := cl.QueueJobs(ctx, protocol.QueueJobFilter{Topic: c.Topic, Dead: part.dead, After: c.After, Limit: c.Limit})
		if err != nil {
			return err
		}
		*part.to = reply
	}
	if c.JSON {
		return writeJSON(streams.Out, found)
	}
	return printJobs(streams.Out, found)
}

func age(seconds int64) string {
	if seconds == 0 {
		return "-"
	}
	return span(time.Duration(seconds) * time.Second)
}

func printJobs(w io.Writer, found jobs) error {
	t := table{head: []string{"JOB", "STATE", "ATTEMPTS", "SINCE", "DUE", "GIVEN UP", "REASON"}}
	more := ""
	for _, part := range []struct {
		flag string
		jobs *protocol.QueueJobs
	}{{"--dead", found.Dead}, {"--waiting", found.Waiting}} {
		if part.jobs == nil {
			continue
		}
		for _, j := range part.jobs.List {
			t.add(j.ID, j.State, strconv.Itoa(j.Attempts), at(j.EnqueuedAt), at(j.DueAt), at(j.DiedAt), orDash(oneLine(j.Reason)))
		}
		if part.jobs.Next != "" {
			more += fmt.Sprintf("More: %s --after %s\n", part.flag, clean(part.jobs.Next))
		}
	}
	_, err := io.WriteString(w, t.String()+more)
	return err
}

// QueueRetryCmd is "gtiv queue retry".
type QueueRetryCmd struct {
	Target
	Topic string `arg:"" help:"The queue."`
	Job   string `arg:"" optional:"" help:"The job, from gtiv queue list QUEUE."`
	All   bool   `help:"All jobs of the queue that were given up."`
}

// Run puts jobs in line again.
func (c *QueueRetryCmd) Run(ctx context.Context, streams *IO) error {
	if (c.Job != "") == c.All {
		return &UsageError{Text: "name one job, or give --all"}
	}
	cl := c.client()
	defer cl.Close()
	r, err := cl.RetryJobs(ctx, protocol.QueueRef{Topic: c.Topic, ID: c.Job, All: c.All})
	if err != nil {
		return err
	}
	return c.showJobs(streams, r, "in line again")
}

func (t Target) showJobs(streams *IO, r *protocol.QueueChanged, what string) error {
	if t.JSON {
		return writeJSON(streams.Out, r)
	}
	_, err := fmt.Fprintf(streams.Out, "%s %s.\n", counted(r.Jobs, "job"), what)
	return err
}

// QueueDropCmd is "gtiv queue drop".
type QueueDropCmd struct {
	Target
	Topic string `arg:"" help:"The queue."`
	Job   string `arg:"" optional:"" help:"The job, from gtiv queue list QUEUE."`
	All   bool   `help:"All jobs of the queue that were given up."`
	Yes   bool   `help:"Do not ask before all are forgotten."`
}

// Run forgets jobs.
func (c *QueueDropCmd) Run(ctx context.Context, streams *IO) error {
	if (c.Job != "") == c.All {
		return &UsageError{Text: "name one job, or give --all"}
	}
	if c.All {
		if err := confirm(ctx, streams, c.Yes, fmt.Sprintf("Forget all jobs of %s that were given up?", clean(c.Topic))); err != nil {
			return err
		}
	}
	cl := c.client()
	defer cl.Close()
	r, err := cl.DropJobs(ctx, protocol.QueueRef{Topic: c.Topic, ID: c.Job, All: c.All})
	if err != nil {
		return err
	}
	return c.showJobs(streams, r, "forgotten")
}
