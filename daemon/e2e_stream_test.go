//go:build linux

package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gtiv/protocol"
)

// room opens a live room of somebody new and answers its number and its key.
func (s *server) room(t *testing.T, owner string) (id, key string) {
	t.Helper()
	p := must(s.register(owner))(t)
	r := must(s.call(request{method: http.MethodPost, path: "/live/create", token: p.token, contentType: "application/json", body: `{"Title":"hello"}`}))(t)
	if id, key = r.value("RoomId"), r.value("Key"); id == "" || key == "" {
		t.Fatal(r)
	}
	return id, key
}

// publishing is an ffmpeg that publishes.
type publishing struct {
	cmd *exec.Cmd
	out bytes.Buffer
	end chan struct{}
}

// publish starts ffmpeg, which publishes pictures and a tone until the test ends.
func (s *server) publish(t *testing.T, key string, args ...string) *publishing {
	t.Helper()
	return s.publishTo(t, "rtmp://"+s.address(2011)+"/live/"+key, args...)
}

func (s *server) publishTo(t *testing.T, url string, args ...string) *publishing {
	t.Helper()
	p := &publishing{end: make(chan struct{})}
	all := []string{
		"-loglevel", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-f", "lavfi", "-i", "sine=f=440:r=44100",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac",
	}
	all = append(all, args...)
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), "ffmpeg", append(all, "-f", "flv", url)...)
	p.cmd.Stderr = &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.end)
	}()
	t.Cleanup(p.stop)
	return p
}

func (p *publishing) stop() {
	_ = p.cmd.Process.Kill()
	<-p.end
}

// probe is what ffprobe finds in a stream.
func probe(t *testing.T, url string, args ...string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffprobe", append(args, "-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", url)...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return string(out)
}

func TestALiveStreamIsWatchedInEveryWay(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice := must(s.register("alice"))(t)
	room := must(s.call(request{method: http.MethodPost, path: "/live/create", token: alice.token, contentType: "application/json", body: `{"Title":"hello"}`}))(t)
	id, key := room.value("RoomId"), room.value("Key")
	if len(key) != 48 || !strings.HasSuffix(room.value("Rtmp"), "/live/") {
		t.Fatal(room)
	}
	state := func() string {
		list := must(s.get(person{}, "/live/list"))(t)
		for i := range 5 {
			if list.value(fmt.Sprintf("List.%d.RoomId", i)) == id {
				return list.value(fmt.Sprintf("List.%d.State", i))
			}
		}
		return "none"
	}
	if state() != "0" {
		t.Errorf("on air before anything was published: %s", state())
	}
	wrong := s.publish(t, strings.Repeat("x", 48))
	select {
	case <-wrong.end:
	case <-time.After(20 * time.Second):
		t.Error("a wrong key publishes")
	}
	pub := s.publish(t, key, "-output_ts_offset", "16775")
	eventually(t, "the room is on air", func() bool { return state() == "1" })
	list := must(s.get(person{}, "/live/list"))(t)
	var wg sync.WaitGroup
	for name, url := range map[string]string{
		"HLS": list.value("Hls") + id + ".m3u8", "low latency": list.value("Hls") + id + "/index.m3u8",
		"FLV": list.value("Flv") + id + ".flv", "RTMP": list.value("Rtmp") + id,
	} {
		wg.Go(func() {
			if got := probe(t, url); !strings.Contains(got, "h264,320") || !strings.Contains(got, "aac") {
				t.Errorf("%s: %s", name, got)
			}
		})
	}
	wg.Wait()
	// Somebody else with the key takes over; viewers go on.
	watching := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", list.value("Flv")+id+".flv", "-t", "6", "-f", "null", "-")
	var said bytes.Buffer
	watching.Stderr = &said
	if err := watching.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a viewer watches", func() bool {
		return strings.Contains(string(must(s.get(alice, "/live/sessions?RoomId="+id))(t).body), `"Protocol":"flv"`)
	})
	second := s.publish(t, key)
	if err := watching.Wait(); err != nil {
		t.Errorf("a viewer did not go on: %v %s", err, &said)
	}
	select {
	case <-pub.end:
	case <-time.After(20 * time.Second):
		t.Error("the first publisher goes on")
	}
	// Another key ends it.
	if rep := must(s.call(request{method: http.MethodPost, path: "/live/key", token: alice.token}))(t); !rep.ok() || rep.value("Key") == key {
		t.Error(rep)
	}
	select {
	case <-second.end:
	case <-time.After(20 * time.Second):
		t.Error("the old key publishes on")
	}
	eventually(t, "the room is off air", func() bool { return state() == "0" })
	for _, url := range []string{list.value("Hls") + id + ".m3u8", list.value("Flv") + id + ".flv"} {
		if status, _ := fetch(t, url); status != 404 {
			t.Errorf("%s off air: %d", url, status)
		}
	}
}

func TestTheLiveControlAPI(t *testing.T) {
	t.Parallel()
	s := newServer(t, "GTIV_LIVE_RELAY_NETWORKS=127.0.0.0/8")
	alice := must(s.register("alice"))(t)
	room := must(s.call(request{method: http.MethodPost, path: "/live/create", token: alice.token, contentType: "application/json", body: `{"Title":"hello"}`}))(t)
	id, key := room.value("RoomId"), room.value("Key")
	b, err := os.ReadFile(filepath.Join(s.dir, "secrets", "control.token"))
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(string(b))
	ask := func(path string) *reply {
		return must(s.call(request{method: http.MethodGet, path: path, token: "Bearer " + token, port: 2010}))(t)
	}
	if rep := must(s.call(request{method: http.MethodGet, path: "/control/get?room=" + id, token: "x", port: 2010}))(t); rep.status != 403 || rep.value("status") != "403" {
		t.Errorf("without the token: %s", rep)
	}
	if rep := ask("/control/get?room=" + id); rep.status != 200 || rep.value("data") != key {
		t.Error(rep)
	}
	for path, status := range map[string]int{"/control/get": 400, "/control/get?room=5": 404, "/control/get?room=x": 404, "/stat/livestat?room=live/9": 404,
		"/control/push?oper=start": 400, "/control/pull?oper=stop&app=live&name=" + id + "&url=rtmp://127.0.0.1/live/x": 404,
		"/control/push?oper=start&app=live&name=" + id + "&url=file:///etc/passwd": 400} {
		if rep := ask(path); rep.status != status || rep.value("status") != strconv.Itoa(status) {
			t.Errorf("%s: %s", path, rep)
		}
	}
	if rep := ask("/stat/livestat"); rep.status != 200 || !strings.Contains(string(rep.body), `"publishers":null,"players":null`) {
		t.Error(rep)
	}
	s.publish(t, key)
	eventually(t, "a publisher in the statistics", func() bool {
		return strings.Contains(string(ask("/stat/livestat?room=live/"+id).body), `"key":"live/`+id)
	})
	// Its stream goes to a second room by a relay to ourselves.
	bob := must(s.register("bob"))(t)
	other := must(s.call(request{method: http.MethodPost, path: "/live/create", token: bob.token, contentType: "application/json", body: `{"Title":"copy"}`}))(t)
	target := "rtmp://" + s.address(2011) + "/live/" + other.value("Key")
	if rep := ask("/control/push?oper=start&app=live&name=" + id + "&url=" + target); rep.status != 200 {
		t.Fatal(rep)
	}
	eventually(t, "the copy is on air", func() bool {
		return strings.Contains(string(ask("/streams").body), `"key":"live/`+other.value("RoomId")+`"`)
	})
	if rep := ask("/control/push?oper=stop&app=live&name=" + id + "&url=" + target); rep.status != 200 {
		t.Error(rep)
	}
	eventually(t, "the copy is off air", func() bool {
		return !strings.Contains(string(ask("/streams").body), `"key":"live/`+other.value("RoomId")+`"`)
	})
	if rep := ask("/control/reset?room=" + id); rep.status != 200 || rep.value("data") == key {
		t.Error(rep)
	}
	eventually(t, "nobody publishes with the old key", func() bool { return !strings.Contains(string(ask("/streams").body), `"key":"live/`+id+`"`) })
}

func TestRTMPS(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id, key := s.room(t, "alice")
	st := must(s.status())(t)
	if !slices.ContainsFunc(st.Ports, func(p protocol.Port) bool { return p.Name == "rtmps" && p.Address == s.address(2016) }) {
		t.Errorf("ports %v", st.Ports)
	}
	url := "rtmps://" + s.address(2016) + "/live/"
	s.publishTo(t, url+key, "-tls_verify", "0")
	eventually(t, "it is on air", func() bool {
		status, _ := fetch(t, "http://"+s.address(2012)+"/live/"+id+".m3u8")
		return status == 200
	})
	if got := probe(t, url+id, "-tls_verify", "0"); !strings.Contains(got, "h264,320") || !strings.Contains(got, "aac") {
		t.Error(got)
	}
	// Who has no TLS to offer costs their connection only.
	for _, hello := range []string{"\x03" + strings.Repeat("x", 1536), "GET / HTTP/1.1\r\n\r\n"} {
		c, err := net.Dial("tcp", s.address(2016))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(hello)); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%.20q: %v", hello, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if status, _ := fetch(t, "http://"+s.address(2012)+"/live/"+id+".m3u8"); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
}
