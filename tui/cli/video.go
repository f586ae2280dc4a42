package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gtiv/protocol"
)

// VideoCmd is "gtiv video".
type VideoCmd struct {
	List      VideoListCmd      `cmd:"" help:"List videos in any state, newest first."`
	Show      VideoShowCmd      `cmd:"" help:"Show everything about a video, and a link to look at it."`
	Hide      VideoHideCmd      `cmd:"" help:"Take a video from everybody but its owner, who is told why."`
	Approve   VideoApproveCmd   `cmd:"" help:"Show a video that waits for review or is hidden."`
	Delete    VideoDeleteCmd    `cmd:"" help:"Delete a video for good."`
	Reprocess VideoReprocessCmd `cmd:"" help:"Make the files of a video anew of its uploaded file."`
}

// VideoListCmd is "gtiv video list".
type VideoListCmd struct {
	Target
	State  string `enum:",queued,processing,ready,failed,review,hidden" default:"" placeholder:"STATE" help:"Only videos that are queued, processing, ready, failed, review or hidden."`
	User   string `placeholder:"USER" help:"Only those of this user: id or user name; @NAME for a name of digits."`
	Oldest bool   `help:"Oldest first."`
	After  int64  `help:"Go on after this id."`
	Limit  int    `default:"50" help:"Rows of a page, 1 to 200."`
}

// Run lists a page of videos.
func (c *VideoListCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.Videos(ctx, protocol.VideoFilter{State: c.State, User: c.User, Oldest: c.Oldest, After: c.After, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	t := table{head: []string{"ID", "STATE", "OWNER", "TITLE", "LENGTH", "SIZE", "LIKES", "CREATED", "REASON"}}
	for _, v := range reply.List {
		t.add(strconv.FormatInt(v.ID, 10), v.State, v.Username, oneLine(v.Title), length(v.DurationMS), size(v.SizeBytes), count(v.Likes),
			at(v.CreatedAt), orDash(oneLine(v.Reason)))
	}
	return printPage(streams.Out, t, reply.Next)
}

// oneLine is a text without its line breaks.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// length is the length of a video.
func length(ms int64) string {
	s := (ms + 500) / 1000
	switch {
	case ms == 0:
		return "-"
	case s >= 3600:
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// VideoShowCmd is "gtiv video show".
type VideoShowCmd struct {
	Target
	ID int64 `arg:"" help:"The video's id."`
}

// Run shows the video.
func (c *VideoShowCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	v, err := cl.Video(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, v)
	}
	d := v.Detail
	if d == nil {
		d = &protocol.VideoDetail{}
	}
	for _, line := range [][2]string{
		{"Title", orDash(oneLine(v.Title))}, {"Owner", fmt.Sprintf("%s (%d)", fit(clean(v.Username), maxCell), v.Owner)},
		{"State", videoState(v, d)}, {"Reason", orDash(oneLine(v.Reason))}, {"Visible to", v.Visibility},
		{"Tags", orDash(strings.Join(d.Tags, ", "))}, {"Picture", fmt.Sprintf("%d x %d, %s", v.Width, v.Height, length(v.DurationMS))},
		{"Counted", fmt.Sprintf("%s, %s, %s, %s, %s", counted(int(v.Likes), "like"), counted(int(v.Collections), "collection"),
			counted(int(v.Comments), "comment"), counted(int(v.Shares), "share"), counted(int(v.Plays), "play"))},
		{"Uploaded as", orDash(d.UploadName)}, {"Uploaded file", sourceText(d)}, {"Attempts", strconv.Itoa(d.Attempts)},
		{"Files", fmt.Sprintf("%s, %s", counted(d.Files, "file"), size(d.FileBytes))}, {"Folder", orDash(d.Key)},
		{"Created", at(v.CreatedAt)}, {"Published", at(v.PublishedAt)}, {"Link", orDash(d.Link)}, {"Address", orDash(d.URL)},
	} {
		if _, err := fmt.Fprintf(streams.Out, "%-14s%s\n", line[0], clean(line[1])); err != nil {
			return err
		}
	}
	return nil
}

func videoState(v *protocol.Video, d *protocol.VideoDetail) string {
	switch {
	case d.Replacing:
		return v.State + ", and is made anew"
	case v.State == "processing":
		return fmt.Sprintf("%s, %d%%", v.State, d.Percent)
	}
	return v.State
}

func sourceText(d *protocol.VideoDetail) string {
	if d.Source {
		return "is still there"
	}
	return "is gone"
}

// VideoHideCmd is "gtiv video hide".
type VideoHideCmd struct {
	Target
	ID     int64  `arg:"" help:"The video's id."`
	Reason string `help:"Shown to the owner."`
}

// Run hides the video.
func (c *VideoHideCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	v, err := cl.HideVideo(ctx, protocol.HideVideo{ID: c.ID, Reason: c.Reason})
	if err != nil {
		return err
	}
	return c.showVideo(streams, v, "is hidden")
}

// showVideo prints a video after a change.
func (t Target) showVideo(streams *IO, v *protocol.Video, what string) error {
	if t.JSON {
		return writeJSON(streams.Out, v)
	}
	_, err := fmt.Fprintf(streams.Out, "Video %d of user %d %s.\n", v.ID, v.Owner, what)
	return err
}

// VideoApproveCmd is "gtiv video approve".
type VideoApproveCmd struct {
	Target
	ID int64 `arg:"" help:"The video's id."`
}

// Run approves the video.
func (c *VideoApproveCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	v, err := cl.ApproveVideo(ctx, c.ID)
	if err != nil {
		return err
	}
	return c.showVideo(streams, v, "is "+clean(v.State))
}

// VideoDeleteCmd is "gtiv video delete".
type VideoDeleteCmd struct {
	Target
	ID  int64 `arg:"" help:"The video's id."`
	Yes bool  `help:"Do not ask."`
}

// Run deletes the video, once somebody has confirmed it.
func (c *VideoDeleteCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	if !c.Yes {
		question := fmt.Sprintf("Delete video %d?", c.ID)
		if isTerminal(streams.In) {
			v, err := cl.Video(ctx, c.ID)
			if err != nil {
				return err
			}
			question = fmt.Sprintf("Delete video %d of %s, %q, with its likes and comments?", v.ID, fit(clean(v.Username), maxCell), fit(clean(oneLine(v.Title)), maxCell))
		}
		if err := confirm(ctx, streams, c.Yes, question); err != nil {
			return err
		}
	}
	v, err := cl.DeleteVideo(ctx, c.ID)
	if err != nil {
		return err
	}
	return c.showVideo(streams, v, "was deleted")
}

// VideoReprocessCmd is "gtiv video reprocess".
type VideoReprocessCmd struct {
	Target
	ID     int64 `arg:"" optional:"" help:"The video's id."`
	Failed bool  `help:"All videos that failed and whose uploaded files are still there."`
}

// Run queues the video, or all that failed.
func (c *VideoReprocessCmd) Run(ctx context.Context, streams *IO) error {
	if (c.ID != 0) == c.Failed {
		return &UsageError{Text: "name one video, or give --failed"}
	}
	cl := c.client()
	defer cl.Close()
	all := &protocol.Reprocessed{}
	for {
		r, err := cl.ReprocessVideos(ctx, protocol.ReprocessVideos{ID: c.ID, Failed: c.Failed, After: all.Next})
		if err != nil {
			return err
		}
		if r.Next != 0 && r.Next <= all.Next {
			return fmt.Errorf("reprocess: the daemon's pages do not end (after %d)", r.Next)
		}
		all.Queued, all.Gone, all.Next = all.Queued+r.Queued, all.Gone+r.Gone, r.Next
		if r.Next == 0 {
			break
		}
	}
	if c.JSON {
		return writeJSON(streams.Out, all)
	}
	text := counted(all.Queued, "video") + " queued.\n"
	if all.Gone > 0 {
		text += fmt.Sprintf("%s cannot be made anew: the uploaded files are gone (video.keep_source).\n", counted(all.Gone, "failed video"))
	}
	_, err := io.WriteString(streams.Out, text)
	return err
}
