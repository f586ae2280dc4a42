//go:build linux

package daemon_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// publishing is an ffmpeg that publishes.
type publishing struct {
	cmd *exec.Cmd
	out bytes.Buffer
	end chan struct{}
}

// publish starts ffmpeg, which publishes pictures and a tone until the test ends.
func (s *server) publish(t *testing.T, key string, args ...string) *publishing {
	t.Helper()
	p := &publishing{end: make(chan struct{})}
	all := []string{
		"-loglevel", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-f", "lavfi", "-i", "sine=f=440:r=44100",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac",
	}
	all = append(all, args...)
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), "ffmpeg", append(all, "-f", "flv", "rtmp://"+s.address(2011)+"/live/"+key)...)
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
func probe(t *testing.T, url string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", url).CombinedOutput()
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
	time.Sleep(2 * time.Second)
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
