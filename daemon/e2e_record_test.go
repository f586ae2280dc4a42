//go:build linux

package daemon_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// films is a room whose streams are recorded.
type films struct {
	*server
	t         *testing.T
	owner     person
	room, key string
}

func newFilms(t *testing.T, s *server, name, mode string) *films {
	t.Helper()
	f := &films{server: s, t: t, owner: must(s.register(name))(t)}
	room := f.post("/live/create", `{"Title":"a walk"}`)
	f.room, f.key = room.value("RoomId"), room.value("Key")
	if rep := f.post("/live/record", `{"Record":"`+mode+`"}`); !rep.ok() || rep.value("Record") != mode || rep.value("RoomId") != f.room {
		t.Fatal(rep)
	}
	return f
}

func (f *films) post(path, body string) *reply {
	f.t.Helper()
	return must(f.call(request{method: http.MethodPost, path: path, token: f.owner.token, contentType: "application/json", body: body}))(f.t)
}

func (f *films) list() *reply {
	f.t.Helper()
	rep := must(f.server.get(f.owner, "/live/record/list"))(f.t)
	if !rep.ok() {
		f.t.Fatal(rep)
	}
	return rep
}

// count is how many recordings are in a state.
func (f *films) count(state string) int {
	rep, n := f.list(), 0
	for i := range 50 {
		if rep.value(fmt.Sprintf("List.%d.State", i)) == state {
			n++
		}
	}
	return n
}

// wait waits until so many recordings are in a state, and answers the list.
func (f *films) wait(n int, state string) *reply {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("%d recordings are %s", n, state), func() bool { return f.count(state) == n })
	return f.list()
}

// runs waits until a recording has a length.
func (f *films) runs(seconds int) {
	f.t.Helper()
	eventually(f.t, "a recording grows", func() bool {
		found, err := filepath.Glob(filepath.Join(f.dir, "record", f.room, "*"))
		if err != nil || len(found) == 0 {
			return false
		}
		out, err := exec.CommandContext(f.t.Context(), "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", found[len(found)-1]).Output()
		if err != nil {
			return false
		}
		d, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		return err == nil && d >= float64(seconds)
	})
}

// plays decodes what is at an address, of which nothing may be wrong, and answers how
// long it is.
func plays(t *testing.T, url string) float64 {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", url, "-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%s: %v %s", url, err, out)
	}
	return seconds(t, url)
}

// near compares lengths, on a machine that may be busy.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if got < want-0.7 || got > want+0.7 {
		t.Errorf("%s: %.2f s, want %.2f s", what, got, want)
	}
}

func listed(rep *reply, i int, field string) string {
	return rep.value(fmt.Sprintf("List.%d.%s", i, field))
}

func listedSeconds(t *testing.T, rep *reply, i int) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(listed(rep, i, "Seconds"), 64)
	if err != nil {
		t.Fatal(rep)
	}
	return n
}

func TestAStreamIsRecordedPublishedAndDeleted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFilms(t, s, "alice", "off")
	pub := s.publish(t, f.key)
	eventually(t, "the room is on air", func() bool { return probe(t, "rtmp://"+s.address(2011)+"/live/"+f.room) != "" })
	if rep := f.post("/live/record", `{"RoomId":`+f.room+`,"Record":"mp4"}`); !rep.ok() { // while it is on air
		t.Fatal(rep)
	}
	f.runs(4)
	rep := f.wait(1, "recording")
	running := listed(rep, 0, "Url")
	if d := plays(t, running); d < 3 {
		t.Errorf("what is being recorded has %.2f s", d)
	}
	if rep := f.post("/live/record/publish", `{"Id":`+listed(rep, 0, "Id")+`}`); rep.value("ApiCode") != "1409" {
		t.Errorf("published while it runs: %s", rep)
	}
	if rep := f.post("/live/record", `{"Record":"off"}`); !rep.ok() {
		t.Fatal(rep)
	}
	rep = f.wait(1, "done") // at once, though the stream goes on
	if listed(rep, 0, "Reason") != "" || listed(rep, 0, "Title") != "a walk" || listed(rep, 0, "Format") != "mp4" {
		t.Error(rep)
	}
	id, url := listed(rep, 0, "Id"), listed(rep, 0, "Url")
	near(t, "the recording", plays(t, url), listedSeconds(t, rep, 0))
	if status, b := fetch(t, url); status != 200 || strconv.Itoa(len(b)) != listed(rep, 0, "Bytes") || !bytes.Contains(b[:4000], []byte("sidx")) {
		t.Errorf("%d, %d bytes of %s", status, len(b), rep)
	}

	// The other format, by itself when the room goes on air again.
	pub.stop()
	if rep := f.post("/live/record", `{"Record":"flv"}`); !rep.ok() {
		t.Fatal(rep)
	}
	second := s.publish(t, f.key)
	f.wait(1, "recording")
	f.runs(3)
	second.stop()
	rep = f.wait(2, "done")
	if listed(rep, 0, "Format") != "flv" {
		t.Fatal(rep)
	}
	near(t, "the FLV", plays(t, listed(rep, 0, "Url")), listedSeconds(t, rep, 0))

	// As a short video, once.
	video := f.post("/live/record/publish", `{"Id":`+id+`,"Title":"my walk"}`)
	if !video.ok() {
		t.Fatal(video)
	}
	if again := f.post("/live/record/publish", `{"Id":`+id+`}`); again.value("VideoId") != video.value("VideoId") {
		t.Errorf("%s, then %s", video, again)
	}
	eventually(t, "the video is ready", func() bool {
		st := must(s.get(f.owner, "/video/status?videoId="+video.value("VideoId")))(t)
		if st.value("State") == "failed" {
			t.Fatal(st)
		}
		return st.value("State") == "ready"
	})
	home := must(s.get(person{}, "/video/home"))(t)
	if listed(home, 0, "Id") != video.value("VideoId") {
		t.Fatal(home)
	}
	near(t, "the video", seconds(t, filepath.Join(appCaches(t, home.value("Endpoint")+listed(home, 0, "Uri")), "index.m3u8")), listedSeconds(t, rep, 1))
	if got := f.list(); listed(got, 1, "VideoId") != video.value("VideoId") || listed(got, 0, "VideoId") != "0" {
		t.Error(got)
	}
	plays(t, url) // the recording is still there

	// Others have none of it.
	bob := must(s.register("bob"))(t)
	for _, r := range []request{
		{method: http.MethodGet, path: "/live/record/list?RoomId=" + f.room}, {method: http.MethodGet, path: "/live/record?RoomId=" + f.room},
		{method: http.MethodPost, path: "/live/record/delete", body: `{"Id":` + id + `}`},
		{method: http.MethodPost, path: "/live/record/publish", body: `{"Id":` + id + `}`},
		{method: http.MethodPost, path: "/live/record", body: `{"RoomId":` + f.room + `,"Record":"mp4"}`},
	} {
		r.token, r.contentType = bob.token, "application/json"
		if rep := must(s.call(r))(t); rep.ok() || rep.value("ApiCode") != "1100" && rep.value("ApiCode") != "1404" {
			t.Errorf("%s by somebody else: %s", r.path, rep)
		}
	}
	// Deleted is deleted, the video stays.
	if rep := f.post("/live/record/delete", `{"Id":`+id+`}`); !rep.ok() {
		t.Error(rep)
	}
	if status, _ := fetch(t, url); status != 404 {
		t.Errorf("deleted: %d", status)
	}
	f.wait(1, "done")
	if status, _ := fetch(t, home.value("Endpoint")+listed(home, 0, "Uri")); status != 200 {
		t.Errorf("the video went with its recording: %d", status)
	}
	left, err := filepath.Glob(filepath.Join(s.dir, "record", "*", "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left: %v %v", left, err)
	}
	if info, err := os.Stat(left[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

func TestWhatWasRecordedBeforeAKillPlays(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f, g := newFilms(t, s, "alice", "mp4"), newFilms(t, s, "bob", "flv")
	began := time.Now()
	s.publish(t, f.key)
	s.publish(t, g.key)
	f.runs(5)
	g.runs(4)
	s.kill()
	lasted := time.Since(began).Seconds()
	stray := filepath.Join(s.dir, "record", f.room, "20260101-000000-99999.mp4")
	if err := os.WriteFile(stray, []byte("nobody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Half a piece, as a kill in the midst of a write leaves it.
	found, err := filepath.Glob(filepath.Join(s.dir, "record", f.room, "2*-1.mp4"))
	if err != nil || len(found) != 1 {
		found, err = filepath.Glob(filepath.Join(s.dir, "record", f.room, "2*-2.mp4"))
	}
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	tail := must(os.OpenFile(found[0], os.O_APPEND|os.O_WRONLY, 0))(t)
	_, err = tail.WriteString("\x00\x00\x10\x00moof half of it")
	if err != nil || tail.Close() != nil {
		t.Fatal(err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*films{f, g} {
		rep := r.wait(1, "done")
		d := plays(t, listed(rep, 0, "Url"))
		near(t, "the list", listedSeconds(t, rep, 0), d)
		if d < 4 || d < lasted-12 || d > lasted+1 {
			t.Errorf("%.2f s were recorded within %.2f s", d, lasted)
		}
	}
	eventually(t, "a file of no recording goes", func() bool { _, err := os.Stat(stray); return err != nil })
	// And once more, into the next file.
	pub := s.publish(t, f.key)
	f.wait(1, "recording")
	eventually(t, "the second file grows", func() bool {
		found, _ := filepath.Glob(filepath.Join(s.dir, "record", f.room, "*.mp4")) //nolint:errcheck // a good pattern
		return len(found) == 2
	})
	pub.stop()
	f.wait(2, "done")
	// A file that somebody took away is no recording any more.
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	rep := f.wait(1, "failed")
	if listed(rep, 1, "Reason") == "" || listed(rep, 1, "Url") != "" {
		t.Error(rep)
	}
}

func TestARecordingEndsWithAReason(t *testing.T) {
	t.Parallel()
	s := newServer(t, "GTIV_LIVE_GRACE=0s", "GTIV_LIVE_RECORD_QUOTA=600KiB", "GTIV_LIVE_RECORD_MAX_BYTES=1MiB", "GTIV_VIDEO_MAX_DURATION=2s")
	f := newFilms(t, s, "alice", "mp4")
	pub := s.publish(t, f.key, "-b:v", "1M", "-minrate", "1M", "-maxrate", "1M", "-bufsize", "500k", "-nal-hrd", "cbr")
	rep := f.wait(1, "done")
	if reason := listed(rep, 0, "Reason"); !strings.Contains(reason, "room") {
		t.Errorf("over the quota: %q", reason)
	}
	near(t, "up to the quota", plays(t, listed(rep, 0, "Url")), listedSeconds(t, rep, 0))
	select {
	case <-pub.end:
		t.Errorf("the stream ended with its recording: %s", &pub.out)
	default:
	}
	if rep := f.post("/live/record/publish", `{"Id":`+listed(rep, 0, "Id")+`}`); rep.value("ApiCode") != "1400" || !strings.Contains(rep.value("ApiMessage"), "2 seconds") {
		t.Errorf("longer than a video may be: %s", rep)
	}
	pub.stop()
	// The next one cannot begin, and says so once, however often it is tried.
	for range 2 {
		tries := strings.Count(s.log.String(), `msg="recording ended"`)
		next := s.publish(t, f.key)
		eventually(t, "it was tried", func() bool { return strings.Count(s.log.String(), `msg="recording ended"`) > tries })
		next.stop()
		eventually(t, "it is off air", func() bool { return !s.onAir(t, f.room) })
	}
	f.wait(1, "failed")
	rep = f.list()
	if f.count("failed") != 1 || f.count("done") != 1 {
		t.Error(rep)
	}
}

func TestAnotherPictureBeginsAnotherFile(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFilms(t, s, "alice", "mp4")
	s.publish(t, f.key)
	f.runs(3)
	second := s.publish(t, f.key, "-s", "640x360") // takes over
	f.wait(1, "done")
	f.wait(1, "recording")
	f.runs(3)
	second.stop()
	rep := f.wait(2, "done")
	for i, want := range []string{"h264,640", "h264,320"} {
		url := listed(rep, i, "Url")
		near(t, want, plays(t, url), listedSeconds(t, rep, i))
		if got := probe(t, url); !strings.Contains(got, want) {
			t.Errorf("%s is not %s", got, want)
		}
	}
}

func TestSoundAloneIsRecorded(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFilms(t, s, "alice", "mp4")
	pub := s.publish(t, f.key, "-vn")
	f.runs(4)
	pub.stop()
	rep := f.wait(1, "done")
	near(t, "sound", plays(t, listed(rep, 0, "Url")), listedSeconds(t, rep, 0))
}

func TestAFullDiskEndsTheRecordingAndNotTheStream(t *testing.T) {
	t.Parallel()
	s := idleServer(t, append(crashEnv, "GTIV_LOG_LEVEL=info")...)
	s.allow = append(s.allow, sayingItIsIll)
	smallDisk(t, s, "48m")
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	f := newFilms(t, s, "alice", "mp4")
	pub := s.publish(t, f.key)
	f.runs(3)
	free := fillDisk(t, s.dir)
	eventually(t, "the recording ends", func() bool { return strings.Contains(s.log.String(), `msg="recording ended"`) })
	if got := probe(t, "rtmp://"+s.address(2011)+"/live/"+f.room); !strings.Contains(got, "h264,320") {
		t.Errorf("the stream on a full disk: %s", got)
	}
	free()
	rep := f.wait(1, "done")
	if reason := listed(rep, 0, "Reason"); !strings.Contains(reason, "disk is full") {
		t.Errorf("why it ended: %q", reason)
	}
	near(t, "what was recorded", plays(t, listed(rep, 0, "Url")), listedSeconds(t, rep, 0))
	if rep := f.post("/live/record", `{"Record":"mp4"}`); !rep.ok() { // there is room again
		t.Fatal(rep)
	}
	f.wait(1, "recording")
	// Operators look after it, too.
	if code, text := s.exitCode("live", "record", f.room, "off", "--data", s.dir); code != 0 || !strings.Contains(text, "is not recorded") {
		t.Errorf("%d %s", code, text)
	}
	f.wait(2, "done")
	if code, text := s.exitCode("live", "record", "list", "--room", f.room, "--data", s.dir); code != 0 || strings.Count(text, f.room+"/") != 2 {
		t.Errorf("%d %s", code, text)
	}
	select {
	case <-pub.end:
		t.Errorf("the publisher ended: %s", &pub.out)
	default:
	}
}

func TestABrowserPlaysARecordingAndSeeksInIt(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFilms(t, s, "alice", "mp4")
	pub := s.publish(t, f.key)
	f.runs(8)
	running := listed(f.wait(1, "recording"), 0, "Url")
	b := newBrowser(t, "en")
	b.open(running)
	b.until(`document.querySelector("video").readyState >= 2`)
	pub.stop()
	rep := f.wait(1, "done")
	b.open(listed(rep, 0, "Url"))
	b.until(`document.querySelector("video").readyState >= 2`)
	near(t, "what the browser knows of its length", eval[float64](b, `document.querySelector("video").duration`), listedSeconds(t, rep, 0))
	eval[bool](b, `(() => { const v = document.querySelector("video"); v.pause(); v.currentTime = 6; return true })()`)
	b.until(`!document.querySelector("video").seeking && document.querySelector("video").readyState >= 2`)
	if at := eval[float64](b, `document.querySelector("video").currentTime`); at < 5.9 || at > 6.1 {
		t.Errorf("it went to %.2f s", at)
	}
	if width := eval[int](b, `document.querySelector("video").videoWidth`); width != 320 {
		t.Errorf("%d pixels wide", width)
	}
}
