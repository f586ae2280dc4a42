package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gtiv/protocol"
	"gtiv/tui/cli"
)

func TestImportGtiv(t *testing.T) {
	dump, media := filepath.Join(t.TempDir(), "d.sql"), t.TempDir()
	if err := os.WriteFile(dump, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var asked protocol.ImportGtiv
	report := &protocol.ImportReport{
		Tables:  []protocol.ImportTable{{Name: "user", Rows: 12345, New: 12000, There: 300, Changed: 2, Refused: 45}},
		Media:   &protocol.ImportMedia{Copied: 1, Missing: 2, There: 3, Bytes: 5 << 20},
		Notes:   []string{"a \x1b[31mnote"},
		Ignored: []string{"country", "faq"},
		Problems: []protocol.ImportProblem{
			{Table: "user", Row: 7, Line: 70, Kept: true, Text: "evil \x1b]0;name"}, {Table: "follow", Row: 8, Line: 80, Text: "there is no user 9"},
		},
		More: 4,
	}
	var fails error
	execute := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := cli.Execute(t.Context(), &commands{}, append([]string{"import", "gtiv", dump}, args...), &cli.IO{
			Out: &out, Err: &errs,
			ImportGtiv: func(_ context.Context, ask protocol.ImportGtiv, progress func(string)) (*protocol.ImportReport, error) {
				asked = ask
				progress("reading users")
				return report, fails
			},
		})
		return code, out.String(), errs.String()
	}
	code, out, errs := execute()
	const want = `TABLE  ROWS    NEW     CHANGED  THERE BEFORE  REFUSED
user   12,345  12,000  2        300           45

Files: of 1 video (5.0 MiB), missing of 2, there before of 3.

Not imported, because it has no place here: country, faq.

Note: a [31mnote.

Refused:
  follow 8, line 80: there is no user 9

Imported, but not as it was:
  user 7, line 70: evil ]0;name
… and 4 more.

Nothing was changed. To do it, stop the server and say --apply.
`
	if code != 0 || out != want || errs != "reading users …\n" || asked != (protocol.ImportGtiv{Dump: dump, Data: "./data"}) {
		t.Errorf("%d %+v\n%s\n%s\nwant\n%s", code, asked, errs, out, want)
	}
	report.Applied = true
	code, out, _ = execute("--apply", "--media", media, "--data", "d", "--config", "c")
	if code != 0 || !strings.HasSuffix(out, "\nDone. Start the server now.\n") || asked != (protocol.ImportGtiv{Dump: dump, Media: media, Data: "d", Config: "c", Apply: true}) {
		t.Errorf("%d %+v\n%s", code, asked, out)
	}
	code, out, errs = execute("--dry-run", "--json")
	var got protocol.ImportReport
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || errs != "" || asked.Apply || len(got.Problems) != 2 || strings.Contains(out, "\x1b") {
		t.Errorf("%d %v %q\n%s", code, err, errs, out)
	}
	fails = &protocol.ControlError{Code: "inUse", Message: "it runs", Hint: "stop it"}
	if code, out, errs = execute("--apply"); code != 1 || out != "" || !strings.HasSuffix(errs, "gtiv: it runs\nstop it\n") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	fails = errors.New("line 3 of the dump: odd")
	if code, _, errs = execute("--json"); code != 1 || !strings.Contains(errs, "line 3") {
		t.Errorf("%d %q", code, errs)
	}
	if code, _, _ = execute("--apply", "--dry-run"); code != 2 {
		t.Errorf("both at once: %d", code)
	}
}
