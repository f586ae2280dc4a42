package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gtiv/protocol"
	"gtiv/tui/cli"
)

// inUTC makes times of a golden text those of one zone.
func inUTC(t *testing.T) {
	t.Helper()
	zone := time.Local //nolint:gosmopolitan // the golden text needs one zone
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = zone })
}

func TestVideoCommands(t *testing.T) {
	inUTC(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sea := protocol.Video{
		ID: 7, Owner: 10001, Username: "ann", Title: "the\nsea\x1b[31m", State: "review", Visibility: "public", Width: 720, Height: 1280,
		DurationMS: 61_200, SizeBytes: 5 << 20, Likes: 1234, CreatedAt: at,
	}
	shown := sea
	shown.Detail = &protocol.VideoDetail{
		Tags: []string{"sea", "海"}, UploadName: "a.mp4", Attempts: 1, Source: true, Key: "2026/k", Files: 12, FileBytes: 6 << 20,
		Link: "/o/s.1.2.3/2026/k/index.m3u8",
	}
	failed := protocol.Video{ID: 6, Username: "bob", State: "failed", Reason: "This video is too long.", DurationMS: 3_700_000}
	d := fakeDaemon(t, map[string]any{
		"GET /v1/videos?Limit=50": protocol.VideoList{List: []protocol.Video{sea, failed}, Next: 6},
		"GET /v1/videos?After=9&Limit=1&Oldest=true&State=failed&User=bob": protocol.VideoList{List: []protocol.Video{failed}},
		"GET /v1/videos/show?ID=7":                   shown,
		"POST /v1/videos/hide":                       sea,
		"POST /v1/videos/approve":                    protocol.Video{ID: 7, Owner: 10001, State: "ready"},
		"POST /v1/videos/delete":                     sea,
		"POST /v1/videos/reprocess":                  protocol.Reprocessed{Queued: 2, Gone: 1},
		"GET /v1/queues":                             protocol.QueueList{List: []protocol.Queue{{Name: "process", Depth: 1200, Leased: 1, Dead: 2, OldestSeconds: 90}, {Name: "ladder"}}},
		"POST /v1/queues/retry":                      protocol.QueueChanged{Jobs: 2},
		"POST /v1/queues/drop":                       protocol.QueueChanged{Jobs: 1},
		"GET /v1/doctor":                             protocol.Checkup{Checks: []protocol.Check{{Name: "disk", State: "warn", Text: "little", Hint: "Buy one."}}},
		"POST /v1/doctor/fix":                        protocol.Checkup{Checks: []protocol.Check{{Name: "counters", State: "ok", Text: "repaired", Items: []string{"a: 1"}, Fixed: true}}},
		"GET /v1/queues/jobs?Limit=50&Topic=process": protocol.QueueJobs{List: []protocol.QueueJob{{ID: "v8", State: "leased", Attempts: 1, EnqueuedAt: at, DueAt: at}}},
		"GET /v1/queues/jobs?Dead=true&Limit=50&Topic=process": protocol.QueueJobs{Next: "v9", List: []protocol.QueueJob{
			{ID: "v9", State: "dead", Attempts: 3, Reason: "exit status 1:\nout of ink\x1b[0m", DiedAt: at},
		}},
		"GET /v1/queues/jobs?After=v9&Dead=true&Limit=1&Topic=process": protocol.QueueJobs{},
	})
	d.does(t, []commandCase{
		{"video list", "GET /v1/videos?Limit=50", `ID  STATE   OWNER  TITLE        LENGTH   SIZE     LIKES  CREATED           REASON
7   review  ann    the sea[31m  1:01     5.0 MiB  1,234  2026-01-02 03:04  -
6   failed  bob                 1:01:40  0 B      0      -                 This video is too long.
More: --after 6
`},
		{"video list --state failed --user bob --oldest --after 9 --limit 1", "GET /v1/videos?After=9&Limit=1&Oldest=true&State=failed&User=bob", "6   failed"},
		{"video show 7", "GET /v1/videos/show?ID=7", `Title         the sea[31m
Owner         ann (10001)
State         review
Reason        -
Visible to    public
Tags          sea, 海
Picture       720 x 1280, 1:01
Counted       1,234 likes, 0 collections, 0 comments, 0 shares, 0 plays
Uploaded as   a.mp4
Uploaded file is still there
Attempts      1
Files         12 files, 6.0 MiB
Folder        2026/k
Created       2026-01-02 03:04
Published     -
Link          /o/s.1.2.3/2026/k/index.m3u8
Address       -
`},
		{"video hide 7 --reason rude", `POST /v1/videos/hide {"ID":7,"Reason":"rude"}`, "Video 7 of user 10001 is hidden.\n"},
		{"video approve 7", `POST /v1/videos/approve {"ID":7}`, "Video 7 of user 10001 is ready.\n"},
		{"video delete 7 --yes", `POST /v1/videos/delete {"ID":7}`, "Video 7 of user 10001 was deleted.\n"},
		{"video reprocess --failed", `POST /v1/videos/reprocess {"Failed":true}`, "2 videos queued.\n1 failed video cannot be made anew"},
		{"queue list", "GET /v1/queues", "process  1,200    1        2         1m 30s\n"},
		{"queue list process", "GET /v1/queues/jobs?Limit=50&Topic=process", "v9   dead    3         -                 -                 2026-01-02 03:04  exit status 1: out of ink[0m\n"},
		{"queue list process", "", "v8   leased  1         2026-01-02 03:04  2026-01-02 03:04  -                 -\nMore: --dead --after v9\n"},
		{"queue list process --dead --after v9 --limit 1", "GET /v1/queues/jobs?After=v9&Dead=true&Limit=1&Topic=process", "JOB"},
		{"queue retry process --all", `POST /v1/queues/retry {"Topic":"process","All":true}`, "2 jobs in line again.\n"},
		{"queue drop process v9", `POST /v1/queues/drop {"Topic":"process","ID":"v9"}`, "1 job forgotten.\n"},
		{"doctor", "GET /v1/doctor", "warn  disk         little\n                   Buy one.\n"},
		{"doctor --fix", "POST /v1/doctor/fix {}", "ok    counters     repaired\n                   a: 1\n"},
	})
	d.fails(t, map[string]int{
		"video": 2, "video show": 2, "video show sea": 2, "video list --state lost": 2, "video delete 7": 2, "video reprocess": 2,
		"video reprocess 7 --failed": 2, "queue list --dead": 2, "queue list process --after x": 2, "queue retry process": 2,
		"queue retry process v9 --all": 2, "queue drop process": 2, "queue drop process --all": 2,
		"video show 8": 1, "queue list nothing": 1, "doctor --data /nonexistent": 3, "video list --data /nonexistent": 3,
	})
}

func TestTheDoctorFailsWhenSomethingIsWrong(t *testing.T) {
	d := fakeDaemon(t, map[string]any{
		"GET /v1/doctor": protocol.Checkup{Checks: []protocol.Check{{Name: "disk", State: "ok", Text: "x"}, {Name: "database", State: "fail", Text: "torn\x1b[0m"}}},
	})
	if r := d.run(t, "", "doctor"); r.code != 1 || r.err != "" || !strings.HasSuffix(r.out, "FAIL  database     torn[0m\n") {
		t.Errorf("%+v", r)
	}
}

func TestTheDoctorExaminesAStoppedServer(t *testing.T) {
	var asked string
	var out, errs bytes.Buffer
	streams := &cli.IO{Out: &out, Err: &errs, Examine: func(_ context.Context, data, config string, fix bool) (*protocol.Checkup, error) {
		asked = strings.Join([]string{data, config, map[bool]string{true: "fix", false: "look"}[fix]}, " ")
		return &protocol.Checkup{Checks: []protocol.Check{{Name: "disk", State: "ok", Text: "x"}}}, nil
	}}
	dir := t.TempDir()
	if code := cli.Execute(t.Context(), &commands{}, []string{"doctor", "--data", dir, "--fix", "--config", "c.toml"}, streams); code != 0 || asked != dir+" c.toml fix" {
		t.Errorf("exit code %d, asked %q\n%s%s", code, asked, out.String(), errs.String())
	}
	t.Setenv("GTIV_SOCKET", filepath.Join(dir, "nobody"))
	asked = ""
	if code := cli.Execute(t.Context(), &commands{}, []string{"doctor"}, streams); code != 3 || asked != "" || !strings.Contains(errs.String(), "--data DIR") {
		t.Errorf("exit code %d, asked %q, %s", code, asked, errs.String())
	}
}

// answer runs a command on a terminal, where somebody types a line.
func (term *terminal) answer(t *testing.T, socket, line string, args ...string) result {
	t.Helper()
	t.Setenv("GTIV_SOCKET", socket)
	var out bytes.Buffer
	said := new(prompts)
	done := make(chan int, 1)
	go func() {
		done <- cli.Execute(t.Context(), &commands{}, args, &cli.IO{In: term.tty, Out: &out, Err: said})
	}()
	for !strings.Contains(said.String(), "[y/N]") {
		select {
		case code := <-done:
			t.Fatalf("exit code %d before it asked: %s", code, said.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if _, err := term.keys.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
	return result{<-done, out.String(), said.String()}
}

func TestDeletingIsConfirmed(t *testing.T) {
	sea := protocol.Video{ID: 7, Owner: 10001, Username: "ann", Title: "sea\x1b[31m"}
	d := fakeDaemon(t, map[string]any{"GET /v1/videos/show?ID=7": sea, "POST /v1/videos/delete": sea, "POST /v1/queues/drop": protocol.QueueChanged{}})
	for _, no := range []string{"", "n", "no", "yesterday"} {
		r := openTerminal(t).answer(t, d.socket, no, "video", "delete", "7")
		if r.code != 1 || d.last() != "GET /v1/videos/show?ID=7" || !strings.Contains(r.err, `Delete video 7 of ann, "sea[31m"`) || !strings.Contains(r.err, "nothing was done") {
			t.Errorf("%q: %+v, asked %s", no, r, d.last())
		}
	}
	for _, yes := range []string{"y", " YES"} {
		if r := openTerminal(t).answer(t, d.socket, yes, "video", "delete", "7"); r.code != 0 || d.last() != `POST /v1/videos/delete {"ID":7}` {
			t.Errorf("%q: %+v, asked %s", yes, r, d.last())
		}
	}
	if r := openTerminal(t).answer(t, d.socket, "y", "queue", "drop", "process", "--all"); r.code != 0 || d.last() != `POST /v1/queues/drop {"Topic":"process","All":true}` {
		t.Errorf("%+v, asked %s", r, d.last())
	}
}

// clipFolder makes a folder of files with these names and contents.
func clipFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestImportVideos(t *testing.T) {
	long := strings.Repeat("长", 80)
	dir := clipFolder(t, map[string]string{
		"my_first  clip\x1b.MP4": "one", "b.webm": "two", "notes.txt": "x", ".hidden.mp4": "x", "deep/" + long + ".mov": "three",
	})
	d := fakeDaemon(t, map[string]any{
		"GET /v1/videos/import":     protocol.Imported{},
		"POST /v1/videos/import":    protocol.Imported{Video: &protocol.Video{ID: 5, State: "queued"}},
		"GET /v1/videos/show?ID=5":  protocol.Video{ID: 5, State: "ready"},
		"GET /v1/videos/show?ID=55": protocol.Video{ID: 55, State: "failed"},
	})
	r := d.run(t, "", "import", "videos", dir, "--user", "ann", "--dry-run")
	if r.code != 0 || r.err != "" || r.out != `b.webm: would be imported as "b"
my_first  clip.MP4: would be imported as "my first clip"
2 files: 2 would be imported, 0 imported before, 0 would fail; passed over 1 other file; passed over 1 folder, which --recursive would look into.
` {
		t.Errorf("dry run: %+v", r)
	}
	r = d.run(t, "", "import", "videos", dir, "--user", "ann", "--recursive", "--visibility", "private", "--no-quota")
	if r.code != 0 || !strings.Contains(r.out, "deep/"+long+".mov: video 5 is ready\n") || !strings.HasSuffix(r.out, "3 files: 3 imported, 0 imported before, 0 failed; passed over 1 other file.\n") {
		t.Errorf("import: %+v", r)
	}
	d.mu.Lock()
	asked := strings.Join(d.asked, "\n")
	d.mu.Unlock()
	const hashOfTwo = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
	for _, want := range []string{
		"GET /v1/videos/import?Hash=" + hashOfTwo + "&Name=b.webm&NoQuota=true&Size=3&Title=b&User=ann&Visibility=private",
		"POST /v1/videos/import?Hash=" + hashOfTwo + "&Name=b.webm&NoQuota=true&Size=3&Title=b&User=ann&Visibility=private two",
	} {
		if !strings.Contains(asked, want) {
			t.Errorf("never asked %s, but\n%s", want, asked)
		}
	}
	if r := d.run(t, "", "import", "videos", dir, "--user", "ann", "--title-from", "none", "--no-wait", "--json"); r.code != 0 || !json.Valid([]byte(r.out)) ||
		!strings.Contains(r.out, `"Title": ""`) || !strings.Contains(r.out, `"State": "queued"`) || !strings.Contains(r.out, `"Imported": 2`) {
		t.Errorf("json: %+v", r)
	}
	for args, code := range map[string]int{
		"import": 2, "import videos": 2, "import videos " + dir: 2, "import videos /nonexistent --user ann": 2,
		"import videos " + dir + " --user ann --visibility all": 2, "import videos " + dir + " --user ann --data /nonexistent": 3,
	} {
		if r := d.run(t, "", strings.Fields(args)...); r.code != code || r.err == "" {
			t.Errorf("gtiv %s: %+v", args, r)
		}
	}
}

// Whatever becomes of one file, the others are imported; what concerns all stops.
func TestImportReportsEachFile(t *testing.T) {
	dir := clipFolder(t, map[string]string{"a.mp4": "a", "b.mp4": "b", "c.mp4": "c"})
	before := protocol.Imported{There: true, Video: &protocol.Video{ID: 4, State: "ready"}}
	d := fakeDaemon(t, map[string]any{
		"GET /v1/videos/import":    before,
		"POST /v1/videos/import":   protocol.Imported{Video: &protocol.Video{ID: 5, State: "queued"}},
		"GET /v1/videos/show?ID=5": protocol.Video{ID: 5, State: "failed", Reason: "The end is\nmissing."},
		"GET /v1/videos/import?Hash=3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d&Name=b.mp4&Size=1&Title=b&User=ann&Visibility=public": protocol.Imported{},
	})
	r := d.run(t, "", "import", "videos", dir, "--user", "ann")
	if r.code != 1 || r.err != "" || r.out != `a.mp4: imported before, video 4
c.mp4: imported before, video 4
b.mp4, video 5: The end is missing.
3 files: 0 imported, 2 imported before, 1 failed.
` {
		t.Errorf("%+v", r)
	}
	unknown := fakeDaemon(t, map[string]any{})
	if r := unknown.run(t, "", "import", "videos", dir, "--user", "ann"); r.code != 1 || r.out != "" || !strings.Contains(r.err, "no [31msuch user") {
		t.Errorf("%+v", r)
	}
}

func TestImportShowsABarOnATerminal(t *testing.T) {
	dir := clipFolder(t, map[string]string{"a.mp4": "aaaa", "b.mp4": "bbbb"})
	d := fakeDaemon(t, map[string]any{
		"GET /v1/videos/import":    protocol.Imported{},
		"POST /v1/videos/import":   protocol.Imported{Video: &protocol.Video{ID: 5, State: "queued"}},
		"GET /v1/videos/show?ID=5": protocol.Video{ID: 5, State: "ready"},
	})
	t.Setenv("GTIV_SOCKET", d.socket)
	term := openTerminal(t)
	var out bytes.Buffer
	code := cli.Execute(t.Context(), &commands{}, []string{"import", "videos", dir, "--user", "ann"}, &cli.IO{In: term.tty, Out: &out, Err: term.tty})
	if code != 0 || out.String() != "2 files: 2 imported, 0 imported before, 0 failed.\n" {
		t.Errorf("exit code %d: %s", code, out.String())
	}
	shown := func() string {
		term.mu.Lock()
		defer term.mu.Unlock()
		return term.echo.String()
	}
	for end := time.Now().Add(10 * time.Second); !strings.Contains(shown(), "[########################] 100%  2/2  8 B of 8 B  processing"); {
		if time.Now().After(end) {
			t.Fatalf("the terminal shows %q", shown())
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !strings.Contains(shown(), "[############------------]  50%  2/2  4 B of 8 B  b.mp4") {
		t.Errorf("the terminal shows %q", shown())
	}
}
