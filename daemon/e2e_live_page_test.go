//go:build linux

package daemon_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// This file goes through the pages for live rooms as people do: a real browser, the
// real program, real streams.

// livePage is the address of the page of a room.
func (s *server) livePage(room string) string {
	return "http://" + s.address(portImbiz) + "/live/" + room + "/"
}

// openRoom makes somebody's live room.
func (s *server) openRoom(t *testing.T, p person, title string) (id, key string) {
	t.Helper()
	r := must(s.call(request{method: http.MethodPost, path: "/live/create", token: p.token, contentType: "application/json", body: `{"Title":` + quote(title) + `}`}))(t)
	if !r.ok() {
		t.Fatal(r)
	}
	return r.value("RoomId"), r.value("Key")
}

// desk gives the browser the screen of a desk, in the dark or not.
func (b *browser) desk(dark bool) {
	b.t.Helper()
	b.do(chromedp.EmulateReset(), chromedp.EmulateViewport(1280, 800))
	b.dark(dark)
}

func (b *browser) dark(on bool) {
	b.t.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	b.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return chromedp.Void{}, err
	})
}

// shot keeps a picture of the screen for people, if GTIV_SHOTS names a folder.
func (b *browser) shot(name string) {
	b.t.Helper()
	folder := os.Getenv("GTIV_SHOTS")
	if folder == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		b.t.Error(err)
	}
}

// watches waits until the page shows moving pictures of a width, by one of the ways,
// and answers how long that took.
func (b *browser) watches(way string, width int) time.Duration {
	b.t.Helper()
	start := time.Now()
	b.until(fmt.Sprintf(`[...document.querySelectorAll(".figures span")].some((s) => s.innerText === %s) && document.querySelector("video").videoWidth === %d && document.querySelector(".veil").hidden`, quote(way), width))
	took := time.Since(start)
	at := eval[float64](b, `document.querySelector("video").currentTime`)
	frames := eval[int](b, `document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames`)
	b.until(fmt.Sprintf(`document.querySelector("video").currentTime > %f && document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > %d`, at+1, frames+15))
	return took
}

// ways are the ways to watch, as the page calls them.
var ways = []struct{ value, name string }{{"ll", "LL-HLS"}, {"flv", "HTTP-FLV"}, {"whep", "WebRTC"}, {"ts", "HLS"}}

func TestThePageOfARoomPlaysInEveryWay(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice := must(s.register("alice"))(t)
	id, key := s.openRoom(t, alice, "Morning walk")
	b := newBrowser(t, "en")
	b.desk(true)
	b.open(s.livePage(id))
	b.sees("Off air.")
	b.sees("Morning walk")
	b.shot("off-air")
	s.publish(t, key, "-bf", "0")
	t.Logf("plays %v after ffmpeg was started", b.watches("LL-HLS", 320).Round(time.Millisecond))
	for _, w := range ways {
		b.do(chromedp.SetValue(chromedp.CSS(".way"), w.value))
		eval[bool](b, `document.querySelector(".way").dispatchEvent(new Event("change"))`)
		took := b.watches(w.name, 320)
		time.Sleep(5 * time.Second)
		t.Logf("%s after %v: %s", w.name, took.Round(time.Millisecond), eval[string](b, `document.querySelector(".figures").innerText.replaceAll("\n", " ") + " " + document.querySelector(".stage .live").innerText`))
		b.shot("desk-dark-" + w.value)
	}
}
