package cli

import (
	"context"
	"fmt"
	"strconv"

	"gtiv/protocol"
)

// LiveRecordCmd is "gtiv live record".
type LiveRecordCmd struct {
	Set    LiveRecordSetCmd    `cmd:"" default:"withargs" help:"Show or set whether a live room is recorded."`
	List   LiveRecordListCmd   `cmd:"" help:"List recordings, newest first."`
	Delete LiveRecordDeleteCmd `cmd:"" help:"Delete a recording for good; one that runs ends."`
}

// LiveRecordSetCmd is "gtiv live record ROOM [MODE]".
type LiveRecordSetCmd struct {
	Target
	Room int64  `arg:"" help:"The live room's id."`
	Mode string `arg:"" optional:"" enum:",on,mp4,flv,off" default:"" help:"on (MP4), flv or off; without it, what it is now."`
}

// Run shows or sets it.
func (c *LiveRecordSetCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	mode := c.Mode
	if mode == "on" {
		mode = "mp4"
	}
	var v *protocol.LiveRecord
	var err error
	if mode == "" {
		v, err = cl.LiveRecord(ctx, c.Room)
	} else {
		v, err = cl.SetLiveRecord(ctx, protocol.LiveRecord{Room: c.Room, Record: mode})
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, v)
	}
	text := "is recorded as " + clean(v.Record)
	if v.Record == "off" {
		text = "is not recorded"
	}
	_, err = fmt.Fprintf(streams.Out, "Live room %d %s.\n", v.Room, text)
	return err
}

// LiveRecordListCmd is "gtiv live record list".
type LiveRecordListCmd struct {
	Target
	Room  int64 `placeholder:"ID" help:"Only those of this live room."`
	After int64 `help:"Go on after this id."`
	Limit int   `default:"50" help:"Rows of a page, 1 to 200."`
}

// Run lists a page of recordings.
func (c *LiveRecordListCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.Recordings(ctx, protocol.RecordingFilter{Room: c.Room, After: c.After, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	t := table{head: []string{"ID", "ROOM", "STATE", "BEGAN", "LENGTH", "SIZE", "VIDEO", "FILE", "REASON"}}
	for _, r := range reply.List {
		video := ""
		if r.Video != 0 {
			video = strconv.FormatInt(r.Video, 10)
		}
		t.add(strconv.FormatInt(r.ID, 10), strconv.FormatInt(r.Room, 10), r.State, at(r.Began), length(r.DurationMS), size(r.Bytes), orDash(video),
			r.File, orDash(oneLine(r.Reason)))
	}
	return printPage(streams.Out, t, reply.Next)
}

// LiveRecordDeleteCmd is "gtiv live record delete".
type LiveRecordDeleteCmd struct {
	Target
	ID  int64 `arg:"" help:"The recording's id."`
	Yes bool  `help:"Do not ask."`
}

// Run deletes the recording, once somebody has confirmed it.
func (c *LiveRecordDeleteCmd) Run(ctx context.Context, streams *IO) error {
	if err := confirm(ctx, streams, c.Yes, fmt.Sprintf("Delete recording %d?", c.ID)); err != nil {
		return err
	}
	cl := c.client()
	defer cl.Close()
	r, err := cl.DeleteRecording(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, r)
	}
	_, err = fmt.Fprintf(streams.Out, "Recording %d of live room %d was deleted.\n", r.ID, r.Room)
	return err
}
