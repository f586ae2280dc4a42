package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"gtiv/protocol"
)

// LiveCmd is "gtiv live".
type LiveCmd struct {
	List      LiveListCmd      `cmd:"" help:"List live rooms, by id."`
	Show      LiveShowCmd      `cmd:"" help:"Show a live room, its stream and who watches."`
	Kick      LiveKickCmd      `cmd:"" help:"Take a stream off air, or send a viewer away."`
	Key       LiveKeyCmd       `cmd:"" help:"Show what a room is published with, or make another key."`
	Record    LiveRecordCmd    `cmd:"" help:"Say whether a live room is recorded; list and delete recordings."`
	Push      LivePushCmd      `cmd:"" help:"Push a room's stream to another RTMP server whenever it is on air."`
	Allow     LiveAllowCmd     `cmd:"" help:"Let a user stream where not everybody may ([live] who)."`
	Deny      LiveDenyCmd      `cmd:"" help:"Take that back."`
	Streamers LiveStreamersCmd `cmd:"" help:"List who may stream where not everybody may."`
}

// LiveListCmd is "gtiv live list".
type LiveListCmd struct {
	Target
	OnAir bool  `help:"Only rooms on air."`
	After int64 `help:"Go on after this id."`
	Limit int   `default:"50" help:"Rows of a page, 1 to 200."`
}

// Run lists a page of live rooms.
func (c *LiveListCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.Lives(ctx, protocol.LiveFilter{OnAir: c.OnAir, After: c.After, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	t := table{head: []string{"ID", "STATE", "OWNER", "TITLE", "ACCESS", "VIEWERS", "SINCE", "STREAM"}}
	for i := range reply.List {
		l := &reply.List[i]
		t.add(strconv.FormatInt(l.ID, 10), liveState(l), l.Username, oneLine(l.Title), l.Access, strconv.Itoa(l.Viewers), at(l.Began), liveStream(l.Stream))
	}
	return printPage(streams.Out, t, reply.Next)
}

func liveState(l *protocol.Live) string {
	switch {
	case l.OnAir:
		return "on air"
	case l.Closed:
		return "closed"
	}
	return "off air"
}

// liveStream is what a publisher sends, in few words.
func liveStream(st *protocol.LiveStream) string {
	if st == nil {
		return "-"
	}
	parts := []string{}
	if st.Video != "" {
		parts = append(parts, fmt.Sprintf("%s %d kbit/s", st.Video, st.VideoKbps))
	}
	if st.Audio != "" {
		parts = append(parts, fmt.Sprintf("%s %d kbit/s", st.Audio, st.AudioKbps))
	}
	return orDash(strings.Join(parts, ", "))
}

// LiveShowCmd is "gtiv live show".
type LiveShowCmd struct {
	Target
	ID int64 `arg:"" help:"The live room's id."`
}

// Run shows the room.
func (c *LiveShowCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	l, err := cl.Live(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, l)
	}
	d := l.Detail
	if d == nil {
		d = &protocol.LiveDetail{}
	}
	lines := [][2]string{
		{"Title", orDash(oneLine(l.Title))}, {"Owner", fmt.Sprintf("%s (%d)", fit(clean(l.Username), maxCell), l.Owner)},
		{"State", liveState(l)}, {"Who may watch", l.Access}, {"On air since", at(l.Began)}, {"Stream", liveStream(l.Stream)},
		{"Key frames", keyFrames(l.Stream)}, {"Viewers", strconv.Itoa(l.Viewers)}, {"In the chat", strconv.Itoa(d.Chat)}, {"Hearts", count(l.Hearts)},
		{"Pushed to", orDash(strings.Join(d.Pushes, ", "))},
	}
	if !l.BarredUntil.IsZero() {
		lines = append(lines, [2]string{"Note", "nobody may publish until " + at(l.BarredUntil) + " (gtiv live kick " + strconv.FormatInt(l.ID, 10) + " --pardon)"})
	}
	for _, n := range d.Notes {
		lines = append(lines, [2]string{"Note", n})
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(streams.Out, "%-15s%s\n", line[0], clean(line[1])); err != nil {
			return err
		}
	}
	return printSessions(streams.Out, d.Sessions)
}

func keyFrames(st *protocol.LiveStream) string {
	switch {
	case st == nil || st.KeyEvery == 0:
		return "-"
	case st.BFrames:
		return fmt.Sprintf("every %.1f s, with B-frames", float64(st.KeyEvery)/1000)
	}
	return fmt.Sprintf("every %.1f s", float64(st.KeyEvery)/1000)
}

func printSessions(w io.Writer, list []protocol.LiveSession) error {
	if len(list) == 0 {
		return nil
	}
	t := table{head: []string{"SESSION", "ROLE", "PROTOCOL", "ADDRESS", "USER", "SINCE", "BYTES", "NOTE"}}
	for _, s := range list {
		role, user := "viewer", "-"
		if s.Publish {
			role = "publisher"
		}
		if s.UserID != 0 {
			user = strconv.FormatInt(s.UserID, 10)
		}
		t.add(strconv.FormatInt(s.ID, 10), role, s.Protocol, orDash(s.Address), user, at(time.UnixMilli(s.Began)), size(s.Bytes), orDash(s.Note))
	}
	_, err := io.WriteString(w, "\n"+t.String())
	return err
}

// LiveKickCmd is "gtiv live kick".
type LiveKickCmd struct {
	Target
	ID      int64         `arg:"" help:"The live room's id."`
	Session int64         `help:"The session of \"gtiv live show\" that is meant; without it the publisher."`
	For     time.Duration `default:"10m" help:"How long who it is stays out, at most 24h."`
	Pardon  bool          `help:"Send nobody away: let everybody come back who was."`
}

// Run sends somebody away.
func (c *LiveKickCmd) Run(ctx context.Context, streams *IO) error {
	if c.For < time.Second || c.For > protocol.MaxLiveKickTime {
		return &UsageError{Text: "--for must be between 1s and 24h"}
	}
	cl := c.client()
	defer cl.Close()
	req := protocol.KickLive{ID: c.ID, Session: c.Session, Seconds: int64(c.For.Seconds())}
	if c.Pardon {
		req = protocol.KickLive{ID: c.ID, Pardon: true}
	}
	l, err := cl.KickLive(ctx, req)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, l)
	}
	text := fmt.Sprintf("The stream of %s (%d) is off air, and stays so for %s.\n", clean(oneLine(l.Title)), l.ID, c.For)
	switch {
	case c.Pardon:
		text = fmt.Sprintf("Whoever was sent away from %s (%d) may come back.\n", clean(oneLine(l.Title)), l.ID)
	case c.Session != 0:
		text = fmt.Sprintf("Session %d of %s (%d) was ended, and stays out for %s.\n", c.Session, clean(oneLine(l.Title)), l.ID, c.For)
	}
	_, err = io.WriteString(streams.Out, text)
	return err
}

// LiveKeyCmd is "gtiv live key".
type LiveKeyCmd struct {
	Target
	ID    int64 `arg:"" help:"The live room's id."`
	Reset bool  `help:"Make another key. The old one is good for nothing then, and who publishes goes off air."`
}

// Run shows the key.
func (c *LiveKeyCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	k, err := cl.LiveKey(ctx, protocol.LiveKeyOf{ID: c.ID, Reset: c.Reset})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, k)
	}
	_, err = fmt.Fprintln(streams.Out, clean(k.Key))
	return err
}

// LivePushCmd is "gtiv live push".
type LivePushCmd struct {
	Target
	ID  int64  `arg:"" help:"The live room's id."`
	URL string `arg:"" help:"rtmp://HOST/APP/KEY or rtmps://HOST/APP/KEY; with --off, what \"gtiv live show\" shows of it will do."`
	Off bool   `help:"Do not any more."`
}

// Run adds or removes a server.
func (c *LivePushCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	l, err := cl.PushLive(ctx, protocol.PushLive{ID: c.ID, URL: c.URL, Off: c.Off})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, l)
	}
	what := "is pushed there whenever it is on air"
	if c.Off {
		what = "is not pushed there any more"
	}
	_, err = fmt.Fprintf(streams.Out, "The stream of %s (%d) %s.\n", clean(oneLine(l.Title)), l.ID, what)
	return err
}

// LiveAllowCmd is "gtiv live allow".
type LiveAllowCmd struct {
	Target
	User string `arg:"" help:"Id or user name; @NAME for a name of digits."`
}

// Run lets the user stream.
func (c *LiveAllowCmd) Run(ctx context.Context, streams *IO) error {
	return allowLive(ctx, &c.Target, streams, protocol.AllowLive{User: c.User})
}

// LiveDenyCmd is "gtiv live deny".
type LiveDenyCmd struct {
	Target
	User string `arg:"" help:"Id or user name; @NAME for a name of digits."`
}

// Run takes the right back.
func (c *LiveDenyCmd) Run(ctx context.Context, streams *IO) error {
	return allowLive(ctx, &c.Target, streams, protocol.AllowLive{User: c.User, Deny: true})
}

func allowLive(ctx context.Context, t *Target, streams *IO, req protocol.AllowLive) error {
	cl := t.client()
	defer cl.Close()
	u, err := cl.AllowLive(ctx, req)
	if err != nil {
		return err
	}
	if t.JSON {
		return writeJSON(streams.Out, u)
	}
	may := "may"
	if req.Deny {
		may = "may not"
	}
	_, err = fmt.Fprintf(streams.Out, "%s (%d) %s stream where not everybody may.\n", clean(u.Username), u.ID, may)
	return err
}

// LiveStreamersCmd is "gtiv live streamers".
type LiveStreamersCmd struct {
	Target
	After int64 `help:"Go on after this id."`
	Limit int   `default:"50" help:"Rows of a page, 1 to 200."`
}

// Run lists a page of them.
func (c *LiveStreamersCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.Streamers(ctx, c.After, c.Limit)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	t := table{head: []string{"ID", "USERNAME", "NICKNAME"}}
	for _, u := range reply.List {
		t.add(strconv.FormatInt(u.ID, 10), u.Username, u.Nickname)
	}
	return printPage(streams.Out, t, reply.Next)
}
