//go:build linux

package daemon_test

import (
	"bytes"
	"context"
	"database/sql"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"

	"gtiv/protocol/client"
)

// cmdClip makes a short clip with ffmpeg.
func cmdClip(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) >= 2, "clip FILE SECONDS [FFMPEG-FLAG…]")
	flags := append([]string{
		"-hide_banner", "-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=" + args[1],
		"-f", "lavfi", "-i", "sine=duration=" + args[1], "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac",
	}, args[2:]...)
	out, err := exec.Command("ffmpeg", append(flags, ts.MkAbs(args[0]))...).CombinedOutput()
	if err != nil {
		ts.Fatalf("ffmpeg: %v\n%s", err, out)
	}
}

// cmdUpload uploads a file as a form.
func cmdUpload(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) >= 2, "upload WHO FILE [NAME=text…]")
	w := worldOf(ts)
	data, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, a := range args[2:] {
		name, value, _ := strings.Cut(a, "=")
		ts.Check(form.WriteField(name, value))
	}
	part, err := form.CreateFormFile("file", filepath.Base(args[1]))
	ts.Check(err)
	_, err = part.Write(data)
	ts.Check(err)
	ts.Check(form.Close())
	w.last, err = w.s.call(request{
		method: http.MethodPost, path: "/video-upload", token: w.who(ts, args[0]).token, body: body.String(), contentType: form.FormDataContentType(),
	})
	ts.Check(err)
	ts.Logf("%s", w.last)
	if w.last.ok() == neg {
		ts.Fatalf("upload of %s: %s", args[1], w.last)
	}
}

// cmdSQL changes the database behind the daemon's back.
func cmdSQL(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1, "sql STATEMENT")
	db, err := sql.Open("sqlite", "file:"+filepath.Join(worldOf(ts).s.dir, "gtiv.db")+"?_pragma=busy_timeout(5000)")
	ts.Check(err)
	_, err = db.Exec(args[0])
	ts.Check(err)
	ts.Check(db.Close())
}

// cmdChanged waits until the files of a video are in another folder.
func cmdChanged(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "changed VIDEO KEY")
	id, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	c := client.New(client.Find("", worldOf(ts).s.dir))
	defer c.Close()
	poll(ts, "the files are not in "+args[1], func() bool {
		v, err := c.Video(context.Background(), id)
		ts.Check(err)
		return v.Detail.Key != args[1] && v.State == "ready" && !v.Detail.Replacing
	})
}
