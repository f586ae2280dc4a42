package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gtiv/protocol"
	"gtiv/protocol/client"
)

// DoctorCmd is "gtiv doctor".
type DoctorCmd struct {
	Target
	Fix    bool   `help:"Repair what can be repaired."`
	Config string `placeholder:"FILE" help:"Configuration file, for a server that does not run."`
}

// Run examines the running server, or with --data one that does not run, and fails
// when something is wrong.
func (c *DoctorCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	found, err := cl.Doctor(ctx, c.Fix)
	if down, ok := errors.AsType[*client.NotReachableError](err); ok && streams.Examine != nil {
		if c.Data == "" || c.Socket != "" {
			down.Hint += " With --data DIR the files of a server that does not run are examined."
			return down
		}
		found, err = streams.Examine(ctx, c.Data, c.Config, c.Fix)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(streams.Out, found)
	} else {
		_, err = fmt.Fprint(streams.Out, checkupText(found))
	}
	if err == nil && !found.Healthy() {
		err = errShown{}
	}
	return err
}

func checkupText(found *protocol.Checkup) string {
	var b strings.Builder
	for _, k := range found.Checks {
		state := k.State
		if state == protocol.CheckFail {
			state = "FAIL"
		}
		fmt.Fprintf(&b, "%-4s  %-11s  %s\n", clean(state), clean(k.Name), clean(oneLine(k.Text)))
		for _, i := range k.Items {
			fmt.Fprintf(&b, "%19s%s\n", "", clean(oneLine(i)))
		}
		if k.Hint != "" {
			fmt.Fprintf(&b, "%19s%s\n", "", clean(oneLine(k.Hint)))
		}
	}
	return b.String()
}
