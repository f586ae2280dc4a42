//go:build linux

package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gtiv/protocol"
)

// legacyDump is what mysqldump wrote of an original server, and legacyFolders are the
// folders of its videos.
const legacyDump = "legacy/testdata/gtiv.sql"

var legacyFolders = []string{"2023/98a33734f5974bc89c11772bf25186c384e3a4ba", "2023/f014cf725bc160853d9860a24f40b138eac3dbe2"}

// legacyMedia makes the files of the original's videos as it made them (wire.md 12).
func legacyMedia(t *testing.T) string {
	t.Helper()
	media := t.TempDir()
	for n, name := range legacyFolders {
		dir := filepath.Join(media, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		source := filepath.Join(dir, "source.mp4")
		if err := os.WriteFile(source, clipFile(t, 4, n), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"-c", "copy", "-f", "hls", "-hls_time", "3", "-hls_list_size", "0", filepath.Join(dir, "index.m3u8")},
			{"-frames:v", "1", "-vf", "scale=800:-2", filepath.Join(dir, "cover.jpg")},
		} {
			out, err := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-loglevel", "error", "-nostdin", "-y", "-i", source}, args...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("ffmpeg: %v\n%s", err, out)
			}
		}
	}
	return media
}

// imports runs gtiv import gtiv.
func (s *server) imports(args ...string) (*protocol.ImportReport, error) {
	cmd := exec.Command(s.binary, append([]string{"import", "gtiv", legacyDump, "--data", s.dir, "--json"}, args...)...)
	cmd.Env = cleanEnv()
	out, err := cmd.Output()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Output returns it as it is
			err = fmt.Errorf("%w: %s", err, e.Stderr)
		}
		return nil, err
	}
	var r protocol.ImportReport
	return &r, json.Unmarshal(out, &r)
}

// An original server moves here: its users log in with their old passwords and find
// everything.
func TestAnOriginalServerMovesHere(t *testing.T) {
	t.Parallel()
	media := legacyMedia(t)
	s := idleServer(t)
	if _, err := s.imports(); err == nil || !strings.Contains(err.Error(), "is not the data folder of a gtiv") {
		t.Errorf("without a data folder: %v", err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	// While the server runs there is only the dry run.
	try, err := s.imports("--media", media)
	if err != nil || try.Applied || try.Tables[0].New != 8 || try.Media.Copied != 3 {
		t.Fatalf("%+v %v", try, err)
	}
	if _, err := s.login("wei", "s3cret"); err == nil {
		t.Error("a dry run made an account")
	}
	if _, err := s.imports("--apply"); err == nil || !strings.Contains(err.Error(), "already uses") || !strings.Contains(err.Error(), "Stop the server") {
		t.Errorf("while the server runs: %v", err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if again, err := s.imports("--media", media); err != nil || fmt.Sprint(again.Tables, again.Problems, again.Notes, *again.Media) != fmt.Sprint(try.Tables, try.Problems, try.Notes, *try.Media) {
		t.Errorf("the dry run of a stopped server is another one: %v", err)
	}
	done, err := s.imports("--media", media, "--apply")
	if err != nil || !done.Applied || fmt.Sprint(done.Tables, done.Problems) != fmt.Sprint(try.Tables, try.Problems) {
		t.Fatalf("%+v %v\nthe dry run said\n%+v", done, err, try)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Run("people", func(t *testing.T) { checkMovedPeople(t, s) })
	t.Run("videos", func(t *testing.T) { checkMovedVideos(t, s) })

	// Nobody is logged out, and nothing doubled, by doing it again.
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	again, err := s.imports("--media", media, "--apply")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range again.Tables {
		if k.New != 0 {
			t.Errorf("the second import has %+v", k)
		}
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Run("people after the second import", func(t *testing.T) { checkMovedPeople(t, s) })
	t.Run("videos after the second import", func(t *testing.T) { checkMovedVideos(t, s) })
}

// missing is the value of a field that is not there.
const missing = "(missing)"

func checkMovedPeople(t *testing.T, s *server) {
	for name, password := range map[string]string{"lan": "密码123", "o’neil": "pass word", "8613800138000": "phone1"} {
		if _, err := s.login(name, password); err != nil {
			t.Error(err)
		}
	}
	for name, password := range map[string]string{"wei": "wrong", "nopass": "", "emptypass": "", "gtiv": "", "lan": "密码123t3im"} {
		if p, err := s.login(name, password); err == nil {
			t.Errorf("%s logs in with %q as %d", name, password, p.id)
		}
	}
	for range 2 { // the second time the password is kept in another form
		if _, err := s.login("wei", "s3cret"); err != nil {
			t.Fatal(err)
		}
	}
	wei := must(s.login("wei", "s3cret"))(t)
	if wei.id != 1 {
		t.Errorf("wei is %d", wei.id)
	}
	for path, want := range map[string]map[string]string{
		"/user/info":                   {"Nickname": "小明 😀", "UserRole": "20", "FansNum": "2", "FollowNum": "1", "SupportNum": "2", "Birthday": "1990-01-02"},
		"/contacts/list":               {"List.2.UserId": "2", "List.2.Nickname": "蓝天👩\u200d👧", "List.2.Deleted": "0", "List.0.UserId": "3", "List.0.Deleted": "1", "List.1.UserId": "6"},
		"/room/list":                   {"List.0.RoomId": "1000000005", "List.1.RoomId": "1000000001", "List.1.RoomName": "家人群 ❤️", "List.1.MemberNum": "3"},
		"/room/info?RoomId=1000000001": {"IsMember": "true", "Role": "30", "MemberNum": "3"},
	} {
		rep := must(s.call(request{method: http.MethodGet, path: path, token: wei.token}))(t)
		for field, value := range want {
			if rep.value(field) != value {
				t.Errorf("%s: %s is %q, want %q\n%s", path, field, rep.value(field), value, rep)
			}
		}
	}
	for path, want := range map[string][]string{"/user/fans-list?page=1": {"3", "2"}, "/user/follow-list?page=1": {"2"}} {
		rep := must(s.get(wei, path))(t)
		for n, id := range append(want, missing) {
			if got := rep.value(fmt.Sprintf("List.%d.Id", n)); got != id {
				t.Errorf("%s: %d is %q, want %q\n%s", path, n, got, id, rep)
			}
		}
	}
	if rep := must(s.send(wei, 2, "你好", fmt.Sprintf("hello-%d", s.cmd.Process.Pid)))(t); !rep.ok() {
		t.Errorf("a message to a friend: %s", rep)
	}
	if rep := must(s.send(wei, 3, "?", "gone"))(t); rep.ok() {
		t.Errorf("a message to who left: %s", rep)
	}
}

func checkMovedVideos(t *testing.T, s *server) {
	lan := must(s.login("lan", "密码123"))(t)
	seen := map[string]bool{}
	for range 5 {
		rep := must(s.get(person{}, "/video/home"))(t)
		for n := 0; rep.value(fmt.Sprintf("List.%d.Id", n)) != missing; n++ {
			id := rep.value(fmt.Sprintf("List.%d.Id", n))
			if seen[id] {
				continue
			}
			seen[id] = true
			dir := appCaches(t, rep.value("Endpoint")+rep.value(fmt.Sprintf("List.%d.Uri", n)))
			if d := seconds(t, filepath.Join(dir, "index.m3u8")); d < 1 {
				t.Errorf("video %s is %f s long", id, d)
			}
			if status, _ := fetch(t, rep.value("Endpoint")+rep.value(fmt.Sprintf("List.%d.Cover", n))); status != http.StatusOK {
				t.Errorf("the cover of video %s: %d", id, status)
			}
		}
	}
	for _, id := range []string{"3", "5", "8"} {
		if !seen[id] {
			t.Errorf("video %s is not in the feed: %v", id, seen)
		}
	}
	for _, id := range []string{"2", "6"} {
		if seen[id] {
			t.Errorf("video %s has no files and is in the feed", id)
		}
	}
	rep := must(s.get(lan, "/user/support-videos?userId=2&page=1"))(t)
	if rep.value("List.0.VideoId") != "8" && rep.value("List.1.VideoId") != "8" || rep.value("List.2.VideoId") != missing {
		t.Errorf("likes: %s", rep)
	}
	if rep := must(s.get(lan, "/user/collect-videos?userId=2&page=1"))(t); rep.value("List.0.VideoId") != "3" {
		t.Errorf("collection: %s", rep)
	}
	if rep := must(s.get(lan, "/video/status?videoId=6"))(t); rep.value("State") != "failed" || !strings.Contains(rep.value("Reason"), "did not come along") {
		t.Errorf("a video without files: %s", rep)
	}
}
