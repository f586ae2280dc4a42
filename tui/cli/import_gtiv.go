package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gtiv/protocol"
)

// ImportGtivCmd is "gtiv import gtiv".
type ImportGtivCmd struct {
	Dump   string `arg:"" type:"existingfile" help:"File that mysqldump wrote, of all databases of GTIV; may be compressed with gzip."`
	DryRun bool   `short:"n" xor:"mode" help:"Change nothing and show what would come: the default. The server may run."`
	Apply  bool   `xor:"mode" help:"Do it. The server must not run."`
	Media  string `placeholder:"DIR" type:"existingdir" help:"Folder with the original's files of videos, YEAR/SHA1/index.m3u8 and so on."`
	Data   string `default:"./data" placeholder:"DIR" help:"Data directory of the server (default ${default})."`
	Config string `placeholder:"FILE" help:"Configuration file of the server, if it has one."`
	JSON   bool   `name:"json" help:"Write JSON."`
}

// Run imports, or shows what would come.
func (c *ImportGtivCmd) Run(ctx context.Context, streams *IO) error {
	if streams.ImportGtiv == nil {
		return errors.New("this program cannot import")
	}
	progress := func(text string) {
		if !c.JSON {
			fmt.Fprintf(streams.Err, "%s …\n", clean(text)) //nolint:errcheck // nowhere left to complain
		}
	}
	report, err := streams.ImportGtiv(ctx, protocol.ImportGtiv{
		Dump: c.Dump, Media: c.Media, Data: c.Data, Config: c.Config, Apply: c.Apply,
	}, progress)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, report)
	}
	_, err = io.WriteString(streams.Out, importText(report))
	return err
}

func importText(r *protocol.ImportReport) string {
	var b strings.Builder
	t := table{head: []string{"TABLE", "ROWS", "NEW", "CHANGED", "THERE BEFORE", "REFUSED"}}
	for _, k := range r.Tables {
		t.add(k.Name, count(k.Rows), count(k.New), count(k.Changed), count(k.There), count(k.Refused))
	}
	b.WriteString(t.String())
	if m := r.Media; m != nil {
		fmt.Fprintf(&b, "\nFiles: of %s (%s), missing of %d, there before of %d.\n", counted(int(m.Copied), "video"), size(m.Bytes), m.Missing, m.There)
	}
	if len(r.Ignored) > 0 {
		fmt.Fprintf(&b, "\nNot imported, because it has no place here: %s.\n", clean(strings.Join(r.Ignored, ", ")))
	}
	if len(r.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "Note: %s.\n", clean(n))
	}
	importProblems(&b, r, false, "\nRefused:\n")
	importProblems(&b, r, true, "\nImported, but not as it was:\n")
	if r.More > 0 {
		fmt.Fprintf(&b, "… and %s more.\n", count(r.More))
	}
	if r.Applied {
		b.WriteString("\nDone. Start the server now.\n")
	} else {
		b.WriteString("\nNothing was changed. To do it, stop the server and say --apply.\n")
	}
	return b.String()
}

func importProblems(b *strings.Builder, r *protocol.ImportReport, kept bool, head string) {
	for _, p := range r.Problems {
		if p.Kept != kept {
			continue
		}
		b.WriteString(head)
		head = ""
		fmt.Fprintf(b, "  %s %s, line %d: %s\n", clean(p.Table), strconv.FormatInt(p.Row, 10), p.Line, clean(p.Text))
	}
}
