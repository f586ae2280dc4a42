//go:build linux

package daemon_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gtiv/media/mediatest"
)

// This file publishes and watches live streams with a real browser, by a page of the
// test, which is of another origin than the server, as people's own pages are.

// livePage publishes and watches; seen are figures of what plays, by name.
const livePage = `<!doctype html><meta charset="utf-8"><body><script src="hls.js"></script><script src="mpegts.js"></script><script>
const seen = {}, stops = []; let failed = "", session = "";
const go = (f) => { f().catch((e) => failed += e.stack || e); return true };
const video = () => { const v = document.createElement("video"); v.muted = v.autoplay = v.playsInline = true; v.width = 160; document.body.append(v); return v };
const gathered = (pc) => new Promise((done) => { setTimeout(done, 1000);
	pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done() });
async function negotiate(pc, url, headers) {
	await pc.setLocalDescription(await pc.createOffer()); await gathered(pc);
	const r = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", ...headers }, body: pc.localDescription.sdp });
	if (r.status !== 201) throw new Error(r.status + " " + await r.text());
	await pc.setRemoteDescription({ type: "answer", sdp: await r.text() });
	return r.headers.get("Location");
}
async function publish(url, key) {
	const pc = new RTCPeerConnection();
	const m = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 180, frameRate: 15 }, audio: true });
	for (const t of m.getTracks()) pc.addTransceiver(t, { direction: "sendonly", streams: [m] });
	session = await negotiate(pc, url, { Authorization: "Bearer " + key });
	stops.push(() => { pc.close(); for (const t of m.getTracks()) t.stop() });
}
async function whep(name, url) {
	const pc = new RTCPeerConnection(), v = video();
	v.srcObject = new MediaStream(); pc.ontrack = (e) => v.srcObject.addTrack(e.track);
	for (const kind of ["video", "audio"]) pc.addTransceiver(kind, { direction: "recvonly" });
	const timer = setInterval(async () => { const f = { frames: 0, audio: 0, made: 0 };
		for (const s of (await pc.getStats()).values()) if (s.type === "inbound-rtp") {
			f.frames += s.framesDecoded || 0;
			if (s.kind === "audio") { f.audio = s.packetsReceived; f.made = (s.concealedSamples || 0) / Math.max(s.totalSamplesReceived, 1) } }
		seen[name] = f }, 200);
	stops.push(() => { clearInterval(timer); pc.close(); v.remove() });
	await negotiate(pc, url, {});
}
function watch(name, v, end) {
	const timer = setInterval(() => { seen[name] = { frames: v.getVideoPlaybackQuality().totalVideoFrames, audio: v.webkitAudioDecodedByteCount, at: v.currentTime } }, 200);
	stops.push(() => { clearInterval(timer); end(); v.remove() });
}
async function hls(name, url) {
	const v = video(), h = new Hls({ lowLatencyMode: true });
	h.on(Hls.Events.ERROR, (_, d) => { if (d.fatal) failed += name + ": " + d.details + " " + d.error });
	watch(name, v, () => h.destroy()); h.loadSource(url); h.attachMedia(v);

}
async function flv(name, url) {
	mpegts.LoggingControl.enableAll = false; // it warns of every change of the stream
	const v = video(), p = mpegts.createPlayer({ type: "flv", isLive: true, url });
	p.on(mpegts.Events.ERROR, (...e) => failed += name + ": " + e);
	watch(name, v, () => p.destroy()); p.attachMediaElement(v); p.load(); p.play();
}
const over = () => { while (stops.length) stops.pop()(); for (const k in seen) delete seen[k]; return true };
</script>`

// playerFile is a player that the page needs, as the server's own pages have it.
func playerFile(t *testing.T, pattern string) []byte {
	t.Helper()
	list, err := filepath.Glob(filepath.Join("web", "pages", pattern))
	if err != nil || len(list) != 1 {
		t.Fatal(pattern, list, err)
	}
	b, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newStudio is a browser with a camera that shows the page.
func newStudio(t *testing.T) *browser {
	t.Helper()
	mux := http.NewServeMux()
	file := func(path, kind string, b []byte) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(b) // the browser is gone
		})
	}
	file("/{$}", "text/html", []byte(livePage))
	file("/hls.js", "text/javascript", playerFile(t, "common/hls*.js"))
	file("/mpegts.js", "text/javascript", playerFile(t, "live/mpegts*.js"))
	file("/favicon.ico", "image/x-icon", nil)
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	b := newBrowser(t, "en", chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	b.open(web.URL + "/")
	return b
}

// start runs an asynchronous function of the page.
func (b *browser) start(call string) {
	b.t.Helper()
	eval[bool](b, "go(() => "+call+")")
}

// shows waits until what plays under a name has that many pictures, and sound.
func (b *browser) shows(name string, frames int) {
	b.t.Helper()
	f := "seen[" + quote(name) + "]"
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if e := eval[string](b, "failed"); e != "" {
			b.fatal(name + ": " + e)
		}
		figures := eval[map[string]float64](b, f+" || {}")
		if figures["frames"] >= float64(frames) && figures["audio"] > 20 {
			b.t.Logf("%s: %v", name, figures)
			if figures["made"] > 0.3 {
				b.t.Errorf("%s: %.0f %% of the sound was made up", name, 100*figures["made"])
			}
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s: only %v", name, figures)
		}
	}
}

// lowLatency is the name of low-latency HLS in tests.
const lowLatency = "low latency"

// liveURL is an address of a stream.
func (s *server) liveURL(port int, path string) string {
	return "http://" + s.address(port) + "/live/" + path
}

// ways are the addresses by which players that are no browsers watch a room.
func (s *server) ways(id string) map[string]string {
	return map[string]string{
		"HLS": s.liveURL(2012, id+".m3u8"), lowLatency: s.liveURL(2012, id+"/index.m3u8"),
		"FLV": s.liveURL(2013, id+".flv"), "RTMP": "rtmp://" + s.address(2011) + "/live/" + id,
	}
}

// onAir says whether HLS has a room's stream.
func (s *server) onAir(t *testing.T, id string) bool {
	status, _ := fetch(t, s.liveURL(2012, id+".m3u8"))
	return status == http.StatusOK
}

const anOffer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 H264/90000\r\n"

func TestABrowserPublishes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id, key := s.room(t, "alice")
	_, other := s.room(t, "bob")
	for name, c := range map[string]struct {
		key  string
		want int
	}{"no key": {"", 401}, "a wrong key": {strings.Repeat("x", 48), 403}, "that of another room": {other, 403}} {
		r := request{method: http.MethodPost, path: "/live/" + id + "/whip", port: 2012, contentType: "application/sdp", body: anOffer}
		if c.key != "" {
			r.token = "Bearer " + c.key
		}
		if rep := must(s.call(r))(t); rep.status != c.want {
			t.Errorf("%s: %s", name, rep)
		}
	}
	b := newStudio(t)
	b.start("publish(" + quote(s.liveURL(2012, id+"/whip")) + ", " + quote(key) + ")")
	b.until("session || failed")
	location := eval[string](b, "session")
	if !strings.HasPrefix(location, "/live/"+id+"/whip/") {
		b.fatal("Location " + location + ", " + eval[string](b, "failed"))
	}
	eventually(t, "it is on air", func() bool { return s.onAir(t, id) })
	b.start("whep('WHEP', " + quote(s.liveURL(2012, id+"/whep")) + ")")
	for name, url := range s.ways(id) {
		if got := probe(t, url); !strings.Contains(got, "h264,320") || !strings.Contains(got, "aac") || strings.Contains(got, "opus") {
			t.Errorf("%s: %s", name, got)
		}
	}
	b.shows("WHEP", 60)
	// A browser sends key frames when it is asked only: then segments are short.
	eventually(t, "four segments", func() bool {
		_, list := fetch(t, s.liveURL(2012, id+".m3u8"))
		return strings.Count(string(list), "#EXTINF") == 4
	})
	_, list := fetch(t, s.liveURL(2012, id+".m3u8"))
	if !regexp.MustCompile(`TARGETDURATION:[2-5]\n`).Match(list) {
		t.Errorf("%s", list)
	}
	r := request{method: http.MethodPatch, path: location, port: 2012, contentType: "application/trickle-ice-sdpfrag", body: "a=mid:0\r\na=candidate:1 1 UDP 2130706431 127.0.0.1 9 typ host\r\n"}
	if rep := must(s.call(r))(t); rep.status != http.StatusNoContent {
		t.Errorf("PATCH: %s", rep)
	}
	if rep := must(s.call(request{method: http.MethodDelete, path: location, port: 2012}))(t); rep.status != http.StatusOK {
		t.Errorf("DELETE: %s", rep)
	}
	eventually(t, "it is off air", func() bool { return !s.onAir(t, id) })
	eventually(t, "no ffmpeg is left", func() bool { return len(mediatest.Children(t, s.cmd.Process.Pid, "")) == 0 })
	eval[bool](b, "over()")
}

// frames are how many pictures were shown under a name.
func (b *browser) frames(name string) int {
	b.t.Helper()
	return int(eval[map[string]float64](b, "seen["+quote(name)+"] || {}")["frames"])
}

// beyondBuffers is more pictures than a player can have of the publisher before: four
// segments of two seconds, 25 pictures each.
const beyondBuffers = 220

func TestPublishersOfBothKindsTakeOver(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id, key := s.room(t, "alice")
	s.publish(t, key)
	eventually(t, "it is on air", func() bool { return s.onAir(t, id) })
	b := newStudio(t)
	b.allow = append(b.allow, noSuch(404)) // parts of the stream before
	b.start("hls('HLS', " + quote(s.liveURL(2012, id+".m3u8")) + ")")
	b.start("hls(" + quote(lowLatency) + ", " + quote(s.liveURL(2012, id+"/index.m3u8")) + ")")
	b.start("whep('WHEP', " + quote(s.liveURL(2012, id+"/whep")) + ")")
	players := map[string]*exec.Cmd{}
	for name, url := range s.ways(id) {
		if name == "FLV" || name == "RTMP" {
			c := exec.CommandContext(t.Context(), "ffmpeg", "-v", "fatal", "-i", url, "-t", "25", "-f", "null", "-")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			players[name] = c
		}
	}
	goOn := func(pictures int) {
		t.Helper()
		for _, name := range []string{"WHEP", "HLS", lowLatency} {
			b.shows(name, b.frames(name)+pictures)
		}
	}
	goOn(40)
	b.start("publish(" + quote(s.liveURL(2012, id+"/whip")) + ", " + quote(key) + ")")
	eventually(t, "the browser publishes", func() bool { return eval[string](b, "session") != "" })
	goOn(beyondBuffers)
	s.publish(t, key)
	goOn(beyondBuffers)
	for name, c := range players {
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	eval[bool](b, "over()")
}

func TestBFramesAreNotForWebRTC(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id, key := s.room(t, "alice")
	s.publish(t, key, "-tune", "film", "-bf", "2")
	eventually(t, "it is on air", func() bool { return s.onAir(t, id) })
	rep := must(s.call(request{method: http.MethodPost, path: "/live/" + id + "/whep", port: 2012, contentType: "application/sdp", body: anOffer}))(t)
	if rep.status != http.StatusNotAcceptable || !strings.Contains(string(rep.body), `"error":"b-frames"`) || !strings.Contains(string(rep.body), "set the encoder") {
		t.Error(rep)
	}
}
