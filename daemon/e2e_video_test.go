//go:build linux

package daemon_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/store/blob/s3test"
)

// clipFile makes a clip of some seconds that phones play; seed makes it another one.
func clipFile(t testing.TB, seconds, seed int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-loglevel", "error", "-nostdin", "-y",
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=192x108:r=25:d=%d", seconds), "-f", "lavfi", "-i", fmt.Sprintf("sine=f=%d:d=%d", 300+seed, seconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac",
		"-metadata", "comment=made at home", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// post sends a form with a file.
func (s *server) post(by *http.Client, who person, path string, file []byte, fields ...string) (*reply, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			return nil, err
		}
	}
	part, err := w.CreateFormFile("file", "my clip.mp4")
	if err != nil {
		return nil, err
	}
	if _, err := part.Write(file); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return s.call(request{
		client: by, method: http.MethodPost, path: path, token: who.token, port: portVideo, body: b.String(),
		contentType: w.FormDataContentType(),
	})
}

func (s *server) get(who person, path string) (*reply, error) {
	return s.call(request{method: http.MethodGet, path: path, token: who.token, port: portVideo})
}

// uploadClip uploads a clip and waits until it is ready.
func (s *server) uploadClip(t testing.TB, who person, file []byte, fields ...string) (id string, rep *reply) {
	t.Helper()
	rep = must(s.post(s.http, who, "/video-upload", file, fields...))(t)
	if !rep.ok() {
		t.Fatal(rep)
	}
	id = rep.value("VideoId")
	eventually(t, "video "+id+" is ready", func() bool {
		st := must(s.get(who, "/video/status?videoId="+id))(t)
		if st.value("State") == "failed" {
			t.Fatal(st)
		}
		return st.value("State") == "ready"
	})
	return id, rep
}

// fetch is a plain GET of a URL.
func fetch(t testing.TB, url string) (status int, body []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := httpForAll.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer rep.Body.Close()
	b, err := io.ReadAll(rep.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rep.StatusCode, b
}

var lastSegment = regexp.MustCompile(`^index([0-9]+)\.ts$`)

// appCaches does what the app does to keep a video (wire.md 12): the playlist's line
// before the last names the last segment, and all segments lie beside it. It
// answers the folder.
func appCaches(t testing.TB, playlist string) string {
	t.Helper()
	status, text := fetch(t, playlist)
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if status != 200 || len(lines) < 2 || lines[len(lines)-1] != "#EXT-X-ENDLIST" || !strings.HasSuffix(string(text), "#EXT-X-ENDLIST\n") {
		t.Fatalf("%s: %d %q", playlist, status, text)
	}
	m := lastSegment.FindStringSubmatch(lines[len(lines)-2])
	if m == nil {
		t.Fatalf("the line before the last is %q", lines[len(lines)-2])
	}
	last, _ := strconv.Atoi(m[1]) //nolint:errcheck // digits
	dir := t.TempDir()
	for i := range last + 1 {
		name := fmt.Sprintf("index%d.ts", i)
		status, segment := fetch(t, strings.Replace(playlist, "index.m3u8", name, 1))
		if status != 200 || len(segment) == 0 || len(segment)%188 != 0 {
			t.Fatalf("%s: %d, %d bytes", name, status, len(segment))
		}
		if err := os.WriteFile(filepath.Join(dir, name), segment, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "index.m3u8"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// seconds is how long ffprobe says a playlist is.
func seconds(t testing.TB, playlist string) float64 {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "default=nk=1:nw=1", playlist).CombinedOutput()
	if err != nil {
		t.Fatalf("ffprobe: %v\n%s", err, out)
	}
	d, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		t.Fatalf("ffprobe: %s", out)
	}
	return d
}

func TestAVideoFromUploadToDeletion(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice, bob := must(s.register("alice"))(t), must(s.register("bob"))(t)
	id, rep := s.uploadClip(t, alice, clipFile(t, 7, 1), "title", "hello #world", "userId", "1")
	home := must(s.get(person{}, "/video/home"))(t)
	if home.value("List.0.Id") != id || home.value("List.0.UserId") != strconv.FormatInt(alice.id, 10) || home.value("List.0.Width") != "192" {
		t.Fatal(home)
	}
	playlist := home.value("Endpoint") + home.value("List.0.Uri")
	if playlist != rep.value("video") {
		t.Errorf("%s was promised, it is %s", rep.value("video"), playlist)
	}
	dir := appCaches(t, playlist)
	if d := seconds(t, filepath.Join(dir, "index.m3u8")); d < 6.5 || d > 7.5 {
		t.Errorf("%.2f s", d)
	}
	if status, cover := fetch(t, home.value("Endpoint")+home.value("List.0.Cover")); status != 200 || !bytes.HasPrefix(cover, []byte("\xff\xd8")) || len(cover) > 100_000 {
		t.Errorf("cover: %d, %d bytes", status, len(cover))
	}

	// A private one needs a signature, and only its owner gets one.
	secret, rep := s.uploadClip(t, alice, clipFile(t, 2, 2), "title", "diary", "visibility", "private")
	signed := rep.value("video")
	if !strings.Contains(signed, "/o/s.") {
		t.Errorf("not signed: %s", signed)
	}
	appCaches(t, signed)
	bare := regexp.MustCompile(`/s\.[^/]+`).ReplaceAllString(signed, "")
	if status, _ := fetch(t, bare); status != 404 {
		t.Errorf("a private video without a signature: %d", status)
	}
	if info := must(s.get(bob, "/video/info?videoId="+secret))(t); info.ok() {
		t.Error(info)
	}
	if info := must(s.get(alice, "/video/info?videoId="+secret))(t); !info.ok() || !strings.Contains(info.value("VideoUri"), "/o/s.") {
		t.Error(info)
	}
	if rep := must(s.call(request{method: http.MethodPost, port: portVideo, path: "/video/edit", token: alice.token, body: `{"VideoId":` + secret + `,"Visibility":"public"}`, contentType: "application/json"}))(t); !rep.ok() {
		t.Error(rep)
	}
	if status, _ := fetch(t, bare); status != 200 {
		t.Errorf("now public: %d", status)
	}

	// Deleted is deleted, for those who know the address, too.
	if rep := must(s.call(request{method: http.MethodPost, port: portVideo, path: "/video/delete", token: alice.token, body: `{"VideoId":` + id + `}`, contentType: "application/json"}))(t); !rep.ok() {
		t.Error(rep)
	}
	if status, _ := fetch(t, playlist); status != 404 {
		t.Errorf("deleted: %d", status)
	}
}

func TestVideosLiveInAnS3Bucket(t *testing.T) {
	t.Parallel()
	gtivBinary(t) // skips with -short
	url, stop, err := s3test.Start()
	if err != nil {
		t.Fatalf("NO S3 SERVER TO TEST AGAINST: %v", err)
	}
	defer stop()
	if err := s3test.MakeBucket(t.Context(), url, "videos"); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "GTIV_MEDIA_STORE=s3", "GTIV_MEDIA_S3_ENDPOINT="+url, "GTIV_MEDIA_S3_BUCKET=videos", "GTIV_MEDIA_S3_KEY="+s3test.Key,
		"GTIV_MEDIA_S3_SECRET="+s3test.Secret, "GTIV_MEDIA_S3_PATH_STYLE=true", "GTIV_MEDIA_S3_PREFIX=site/", "GTIV_VIDEO_LADDER=false")
	alice := must(s.register("alice"))(t)
	id, rep := s.uploadClip(t, alice, clipFile(t, 4, 1), "title", "far away", "visibility", "private")
	dir := appCaches(t, rep.value("video"))
	if d := seconds(t, filepath.Join(dir, "index.m3u8")); d < 3.5 || d > 4.5 {
		t.Errorf("%.2f s", d)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "media", "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("left on the disk: %v %v", left, err)
	}
	if rep := must(s.call(request{method: http.MethodPost, port: portVideo, path: "/video/delete", token: alice.token, contentType: "application/json",
		body: `{"VideoId":` + id + `}`}))(t); !rep.ok() {
		t.Error(rep)
	}
	if status, _ := fetch(t, rep.value("video")); status != 404 {
		t.Errorf("deleted: %d", status)
	}
}

func TestVideosOfAllKindsPlay(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice := must(s.register("alice"))(t)
	sound := []string{"-f", "lavfi", "-i", "sine=d=4"}
	for name, args := range map[string][]string{
		"hevc.mp4":    {"-f", "lavfi", "-i", "testsrc2=s=192x108:r=25:d=4", "SOUND", "-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-c:a", "aac"},
		"vp9.webm":    {"-f", "lavfi", "-i", "testsrc2=s=192x108:r=25:d=4", "SOUND", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"},
		"silent.mp4":  {"-f", "lavfi", "-i", "testsrc2=s=192x108:r=25:d=4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"},
		"odd.mp4":     {"-f", "lavfi", "-i", "testsrc2=s=191x107:r=25:d=4", "SOUND", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p", "-c:a", "aac"},
		"longgop.mp4": {"-f", "lavfi", "-i", "testsrc2=s=192x108:r=25:d=14", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "1000"},
	} {
		var full []string
		for _, a := range args {
			if a == "SOUND" {
				full = append(full, sound...)
			} else {
				full = append(full, a)
			}
		}
		path := filepath.Join(t.TempDir(), name)
		if out, err := exec.CommandContext(t.Context(), "ffmpeg", append(append([]string{"-loglevel", "error", "-nostdin", "-y"}, full...), path)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, rep := s.uploadClip(t, alice, b, "title", name)
		dir := appCaches(t, rep.value("video"))
		want := 4.0
		if name == "longgop.mp4" {
			want = 14
		}
		if d := seconds(t, filepath.Join(dir, "index.m3u8")); d < want-0.5 || d > want+0.5 {
			t.Errorf("%s: %.2f s", name, d)
		}
	}
}

// jpegWithPlace is a small picture with text in its metadata.
func jpegWithPlace(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.jpg")
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=64x48", "-frames:v", "1", path).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	comment := "taken at home"
	return slices.Concat(b[:2], []byte{0xff, 0xfe, 0, byte(len(comment) + 2)}, []byte(comment), b[2:])
}

func TestChatMediaIsUploadedAsQiniusSDKDoes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice := must(s.register("alice"))(t)
	token := must(s.call(request{method: http.MethodGet, path: "/obstore/client_token?Type=2&ObjectKey=", token: alice.token}))(t)
	base := token.value("RemoteBaseUrl")
	if !token.ok() || !strings.HasSuffix(base, fmt.Sprintf("/o/%d", alice.id)) {
		t.Fatal(token)
	}
	upload := func(key string, file []byte) *reply {
		return must(s.post(s.http, person{}, "/", file, "token", token.value("ImObsToken"), "key", key))(t)
	}
	picture := jpegWithPlace(t)
	if rep := upload("2026-11-27/abc.jpeg", picture); rep.status != 200 || rep.value("key") != "2026-11-27/abc.jpeg" {
		t.Fatal(rep)
	}
	status, got := fetch(t, base+"/2026-11-27/abc.jpeg")
	if status != 200 || !bytes.HasPrefix(got, []byte("\xff\xd8")) || bytes.Contains(got, []byte("home")) {
		t.Errorf("%d, %d bytes, the place is in it: %v", status, len(got), bytes.Contains(got, []byte("home")))
	}
	clip := clipFile(t, 1, 3)
	if !bytes.Contains(clip, []byte("made at home")) {
		t.Fatal("the clip of the test says nothing")
	}
	if rep := upload("2026-11-27/clip.mp4", clip); rep.status != 200 {
		t.Fatal(rep)
	}
	if status, got := fetch(t, base+"/2026-11-27/clip.mp4"); status != 200 || len(got) != len(clip) || bytes.Contains(got, []byte("made at home")) {
		t.Errorf("%d, %d bytes of %d", status, len(got), len(clip))
	}
	for name, bad := range map[string][]byte{"x.html": []byte("<script>alert(1)</script>"), "x.jpg": []byte("<script>alert(1)</script>"), "../../x.jpg": picture} {
		if rep := upload(name, bad); rep.status == 200 {
			t.Errorf("%s was taken: %s", name, rep)
		}
	}
	if rep := must(s.post(s.http, person{}, "/", picture, "token", "gtiv:x:y", "key", "a.jpg"))(t); rep.status != 401 {
		t.Errorf("a forged token: %s", rep)
	}
}

// tusUpload uploads by tus in parts and answers the reply to the last one, or nil
// when the daemon went away.
func (s *server) tusUpload(who person, file []byte, title string, part int) (map[string]any, error) {
	do := func(method, url string, body []byte, header map[string]string) (*http.Response, []byte, error) {
		r, err := http.NewRequest(method, url, bytes.NewReader(body)) //nolint:noctx // the client has a timeout
		if err != nil {
			return nil, nil, err
		}
		r.Header.Set("Tus-Resumable", "1.0.0")
		r.Header.Set("Authorization", who.token)
		for k, v := range header {
			r.Header.Set(k, v)
		}
		rep, err := httpForAll.Do(r)
		if err != nil {
			return nil, nil, err
		}
		defer rep.Body.Close()
		b, err := io.ReadAll(rep.Body)
		return rep, b, err
	}
	var at string
	for at == "" {
		rep, body, err := do("POST", "http://"+s.address(portVideo)+"/files/", nil, map[string]string{
			"Upload-Length": strconv.Itoa(len(file)), "Upload-Metadata": "title " + base64.StdEncoding.EncodeToString([]byte(title)),
		})
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if rep.StatusCode != 201 {
			return nil, fmt.Errorf("create: %d %s", rep.StatusCode, body)
		}
		at = rep.Header.Get("Location")
	}
	for {
		rep, _, err := do("HEAD", at, nil, nil)
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if rep.StatusCode != 200 {
			return nil, fmt.Errorf("head: %d", rep.StatusCode)
		}
		offset, err := strconv.Atoi(rep.Header.Get("Upload-Offset"))
		if err != nil {
			return nil, err
		}
		if offset == len(file) {
			return nil, nil // complete, the answer was lost
		}
		rep, body, err := do("PATCH", at, file[offset:min(offset+part, len(file))], map[string]string{
			"Upload-Offset": strconv.Itoa(offset), "Content-Type": "application/offset+octet-stream",
		})
		if err != nil {
			continue
		}
		if rep.StatusCode == 200 {
			var v map[string]any
			return v, json.Unmarshal(body, &v)
		}
		if rep.StatusCode != 204 {
			return nil, fmt.Errorf("patch: %d %s", rep.StatusCode, body)
		}
	}
}

// TestCrashWhileVideosAreUploadedAndMade kills the daemon while three people upload
// by form and by tus. What was acknowledged becomes a video that plays, once.
func TestCrashWhileVideosAreUploadedAndMade(t *testing.T) {
	t.Parallel()
	s := newServer(t, append(crashEnv, "GTIV_VIDEO_UPLOADS_PER_HOUR=0")...)
	var mu sync.Mutex
	wanted := map[string]person{} // titles that were acknowledged
	var problems []string
	stop := make(chan struct{})
	var work sync.WaitGroup
	files := [][]byte{clipFile(t, 2, 1), clipFile(t, 3, 2), clipFile(t, 2, 3)}
	for i := range files {
		who := must(s.register(fmt.Sprintf("maker%d", i)))(t)
		work.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(50*time.Millisecond + rand.N(400*time.Millisecond)):
				}
				title := fmt.Sprintf("clip %d of %d", n, i)
				var err error
				ok := false
				if n%2 == 0 {
					var rep *reply
					rep, err = s.post(httpForAll, who, "/video-upload", files[i], "title", title)
					ok = err == nil && rep.ok()
					if err == nil && !ok {
						err = fmt.Errorf("refused: %s", rep)
					} else {
						err = nil
					}
				} else {
					_, err = s.tusUpload(who, files[i], title, 30_000)
					ok = err == nil
				}
				mu.Lock()
				if ok {
					wanted[title] = who
				}
				if err != nil && len(problems) < 5 {
					problems = append(problems, title+": "+err.Error())
				}
				mu.Unlock()
			}
		})
	}
	for range rounds(t, 6) {
		wait(t.Context(), 200*time.Millisecond+rand.N(1500*time.Millisecond))
		s.kill()
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	work.Wait()
	for _, p := range problems {
		t.Error(p)
	}
	if len(wanted) < 3 {
		t.Fatalf("only %d uploads", len(wanted))
	}
	t.Logf("%d uploads were acknowledged", len(wanted))
	found := map[string]int{}
	makers := map[int64]person{}
	for _, who := range wanted {
		makers[who.id] = who
	}
	for _, who := range makers {
		for cursor := "0"; ; {
			var rep *reply
			for end := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
				rep = must(s.get(who, "/video/mine?Cursor="+cursor))(t)
				if !strings.Contains(string(rep.body), `"State":"queued"`) && !strings.Contains(string(rep.body), `"State":"processing"`) {
					break
				}
				if time.Now().After(end) {
					t.Fatal("not everything was processed")
				}
			}
			var page struct {
				Endpoint string
				List     []struct {
					VideoId                   int64 //nolint:revive // the wire's spelling
					Title, State, Reason, Uri string
				}
				Next int64
			}
			if err := json.Unmarshal(rep.body, &page); err != nil {
				t.Fatal(err)
			}
			for i, v := range page.List {
				found[v.Title]++
				if v.State == "failed" && unlucky(s.log.String(), v.VideoId) {
					continue // three kills in a row hit this one: a dead letter, as it should be
				}
				if v.State != "ready" {
					t.Errorf("%s: %s %s", v.Title, v.State, v.Reason)
				} else if i%5 == 0 {
					appCaches(t, page.Endpoint+v.Uri)
				}
			}
			if page.Next == 0 {
				break
			}
			cursor = strconv.FormatInt(page.Next, 10)
		}
	}
	for title := range wanted {
		if found[title] != 1 {
			t.Errorf("%s is there %d times", title, found[title])
		}
	}
}

// unlucky says whether a video was given up because each try ended with the process.
func unlucky(log string, id int64) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, fmt.Sprintf("job=v%d ", id)) && strings.Contains(line, "tries ended with the process") {
			return true
		}
	}
	return false
}
