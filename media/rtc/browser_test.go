package rtc_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gtiv/media"
	"gtiv/media/mediatest"
)

// page publishes and watches as pages do, and knows figures of it.
const page = `<!doctype html><body><script>
const wait = pc => new Promise(done => { if (pc.iceGatheringState === "complete") done();
	pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done(); setTimeout(done, 1000) });
async function negotiate(pc, path, headers) {
	await pc.setLocalDescription(await pc.createOffer()); await wait(pc);
	const r = await fetch(path, {method: "POST", headers: {"Content-Type": "application/sdp", ...headers}, body: pc.localDescription.sdp});
	if (r.status !== 201) throw new Error(r.status + await r.text());
	await pc.setRemoteDescription({type: "answer", sdp: await r.text()});
}
let figures = {}, failed = "";
async function watch() {
	const pc = new RTCPeerConnection(), v = document.createElement("video"); v.muted = v.autoplay = v.playsInline = true; document.body.append(v);
	v.srcObject = new MediaStream(); pc.ontrack = e => v.srcObject.addTrack(e.track);
	pc.addTransceiver("video", {direction: "recvonly"}); pc.addTransceiver("audio", {direction: "recvonly"});
	await negotiate(pc, "/live/room/whep", {});
	setInterval(async () => { for (const s of (await pc.getStats()).values()) if (s.type === "inbound-rtp") figures[s.kind] = s }, 200);
}
async function publish() {
	const pc = new RTCPeerConnection(), m = await navigator.mediaDevices.getUserMedia({video: true, audio: true});
	for (const t of m.getTracks()) pc.addTransceiver(t, {direction: "sendonly", streams: [m]});
	await negotiate(pc, "/live/room/whip", {Authorization: "Bearer the-key"});
}
const go = f => { f().catch(e => failed = String(e)); return true };
</script>`

// chromium opens the page in a headless Chromium and answers what asks it.
func chromium(t *testing.T, s *site) func(js string) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("there is no Chromium (make test installs it)")
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewContext(t.Context(), chromedp.WithAllocatorOptions(options...), chromedp.WithErrorf(t.Logf))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(s.url+"/")); err != nil {
		t.Fatal(err)
	}
	return func(js string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		v, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+js+")"))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (s *site) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte(page)) // a test
}

// inbound is what Chromium says of a track.
type inbound struct {
	FramesDecoded, FreezeCount, PacketsLost     int
	TotalSamplesReceived, ConcealedSamples      float64
	JitterBufferDelay, JitterBufferEmittedCount float64
}

func TestChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	s := newSite(t, nil)
	ask := chromium(t, s)
	check := func(what string) {
		t.Helper()
		if e := ask("failed"); e != "" {
			t.Fatalf("%s: %s", what, e)
		}
	}
	t.Run("watches", func(t *testing.T) {
		stop := s.publish("room", mediatest.Clip(t, 2))
		defer stop()
		ask("go(watch)")
		var f map[string]inbound
		s.eventually("pictures and sound", func() bool {
			check("watch")
			if err := json.Unmarshal([]byte(ask("JSON.stringify(figures)")), &f); err != nil {
				t.Fatal(err)
			}
			return f["video"].FramesDecoded > 100 && f["audio"].TotalSamplesReceived > 48_000*4
		})
		t.Logf("%+v", f)
		if v, a := f["video"], f["audio"]; v.PacketsLost > 0 || a.PacketsLost > 0 || a.ConcealedSamples > a.TotalSamplesReceived/4 {
			t.Error("packets were lost, or sound was made up")
		}
	})
	s.eventually("the stream ended", func() bool { return s.hub.Stream("room") == nil })
	t.Run("publishes", func(t *testing.T) {
		ask("go(publish)")
		s.eventually("the stream is there", func() bool {
			check("publish")
			m := s.hub.Stream("room")
			return m != nil && m.Stats().Pictures > 60 && m.Stats().Sounds > 150
		})
		m := s.hub.Stream("room")
		st := m.Stats()
		t.Logf("%+v", st)
		if st.Audio != media.AAC || st.Alt != media.Opus || st.BFrames || st.KeyEvery <= 0 || st.KeyEvery > 3000 {
			t.Errorf("%+v", st)
		}
		checkFLV(t, m)
	})
}
