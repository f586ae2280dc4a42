//go:build linux

package daemon_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"gtiv/daemon/apptest"
	"gtiv/protocol"
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
	b.until(`/AAC|Opus/.test(document.querySelector(".figures").innerText)`) // sound, too
	if way != "WebRTC" && eval[int](b, `document.querySelector("video").webkitAudioDecodedByteCount`) == 0 {
		b.t.Errorf("%s has no sound", way)
	}
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
		b.choose(w.value)
		took := b.watches(w.name, 320)
		t.Logf("%s after %v: %s", w.name, took.Round(time.Millisecond), eval[string](b, `document.querySelector(".figures").innerText.replaceAll("\n", " ") + " " + document.querySelector(".stage .live").innerText`))
		b.shot("desk-dark-" + w.value)
	}
}

// enter logs somebody in by the panel of the pages for live rooms.
func (b *browser) enter(name string) {
	b.t.Helper()
	b.tap("#login")
	b.until(`document.querySelector("#name") && !document.querySelector("#invite")`)
	b.write("#name", name)
	b.write("#password", passwordOfAll)
	b.tapText("dialog form button", "Log in")
	b.until(`document.querySelector("#top .me") && !document.querySelector("dialog[open]")`)
}

// chatHas waits until a line of the chat has a text.
func (b *browser) chatHas(text string) {
	b.t.Helper()
	b.until(`[...document.querySelectorAll(".messages li")].some((li) => li.innerText.includes(` + quote(text) + `))`)
}

func (b *browser) says(text string) {
	b.t.Helper()
	b.write("#say", text)
	b.tapText(".write button", "Send")
	b.until(`document.querySelector("#say").value === ""`)
}

// blocks makes requests fail whose address fits.
func (b *browser) blocks(patterns ...*network.BlockPattern) {
	b.t.Helper()
	b.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		if _, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{}); err != nil {
			return chromedp.Void{}, err
		}
		_, err := cdp.Call(ctx, t, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: patterns})
		return chromedp.Void{}, err
	})
}

func TestTwoPagesOfARoomChat(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice := must(s.register("alice"))(t)
	must(s.register("bob"))(t)
	id, key := s.openRoom(t, alice, `<img src=x onerror="document.title='hacked'">`)
	s.publish(t, key, "-bf", "0")
	guest, owner := newBrowser(t, "en"), newBrowser(t, "en")
	owner.desk(false)
	for _, b := range []*browser{guest, owner} {
		b.allow = append(b.allow, noSuch(403))
		b.open(s.livePage(id))
		b.watches("LL-HLS", 320)
	}
	owner.enter("alice")
	owner.says("welcome <b>all</b> 大家好")
	guest.chatHas("welcome <b>all</b> 大家好")
	guest.sees("Log in to write")
	if guest.visible("#say") {
		t.Error("a guest may write")
	}
	guest.enter("bob")
	guest.says("hello from my phone")
	owner.chatHas("hello from my phone")
	if eval[bool](guest, `document.title === "hacked" || document.querySelector("img[src=x]") !== null`) {
		t.Error("a title was taken for markup")
	}
	if n := eval[int](owner, `document.querySelectorAll(".messages .host").length`); n != 1 {
		t.Errorf("%d messages are the host's", n)
	}
	guest.shot("phone-chat")
	owner.shot("desk-light-chat")

	// The owner keeps order, by keyboard.
	owner.menuOfNewest()
	owner.sees("Mute for an hour")
	owner.shot("desk-light-menu")
	owner.tapText("dialog button", "Delete")
	guest.until(`!document.querySelector(".messages").innerText.includes("hello from my phone")`)
	guest.says("again")
	owner.chatHas("again")
	owner.menuOfNewest()
	owner.tapText("dialog button", "Mute for an hour")
	guest.chatHas("was muted")
	guest.write("#say", "and again")
	guest.tapText(".write button", "Send")
	guest.until(`document.querySelector(".chat .bad").innerText !== ""`)

	// Whoever comes later sees what was said; sound is one touch away.
	late := newBrowser(t, "zh-CN")
	late.allow = guest.allow
	late.dark(true)
	late.open(s.livePage(id))
	late.chatHas("welcome")
	late.watches("LL-HLS", 320)
	late.tap(".stage .sound")
	late.until(`!document.querySelector("video").muted && !document.querySelector("video").paused`)
	late.sees("登录后发言")
	late.shot("phone-dark-zh")
}

// menuOfNewest opens the menu of the newest message by keyboard.
func (b *browser) menuOfNewest() {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS(".messages")), chromedp.KeyEvent(kb.ArrowUp))
	// chromedp would type a line break, too, into what has the focus by then.
	eval[bool](b, `document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }))`)
}

// visible says whether something is on screen.
func (b *browser) visible(css string) bool {
	b.t.Helper()
	return eval[bool](b, `document.querySelector(`+quote(css)+`)?.checkVisibility() === true`)
}

func TestThePageOfARoomGoesOn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice := must(s.register("alice"))(t)
	id, key := s.openRoom(t, alice, "on and off")
	first := s.publish(t, key, "-bf", "0")
	b := newBrowser(t, "en")
	b.allow = append(b.allow, noSuch(404), regexp.MustCompile(`net::ERR_`), regexp.MustCompile(`Failed to load resource`))
	b.blocks(&network.BlockPattern{URLPattern: "*://*:*/*/index.m3u8*", Block: true})
	b.open(s.livePage(id))
	t.Logf("HTTP-FLV %v after LL-HLS could not", b.watches("HTTP-FLV", 320).Round(time.Millisecond))
	b.blocks(&network.BlockPattern{URLPattern: "*://*:*/*/index.m3u8*", Block: true}, &network.BlockPattern{URLPattern: "*://*:*/*.flv*", Block: true})
	b.do(chromedp.Reload())
	t.Logf("WebRTC %v after both could not", b.watches("WebRTC", 320).Round(time.Millisecond))
	b.blocks()

	// The publisher ends, and comes back.
	first.stop()
	b.sees("Off air.")
	s.publish(t, key, "-bf", "0", "-vf", "scale=640:360")
	t.Logf("plays %v after it is published again", b.watches("LL-HLS", 640).Round(time.Millisecond))

	// What somebody chose is chosen the next time; B-frames cannot go by WebRTC.
	b.choose("whep")
	b.watches("WebRTC", 640)
	b.do(chromedp.Reload())
	b.watches("WebRTC", 640)
	second := s.publish(t, key, "-tune", "film", "-bf", "2")
	b.watches("LL-HLS", 320)
	second.stop()

	// There is no such room, and a room that is closed.
	b.open(s.livePage("1000009999"))
	b.sees(protocol.Text("en", "noSuchLive"))
}

// choose takes a way to watch from the menu.
func (b *browser) choose(way string) {
	b.t.Helper()
	b.do(chromedp.SetValue(chromedp.CSS(".way"), way))
	eval[bool](b, `document.querySelector(".way").dispatchEvent(new Event("change"))`)
}

func TestTheStudioStreamsFromTheBrowser(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	must(s.register("alice"))(t)
	b := newBrowser(t, "en", chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true))
	b.allow = append(b.allow, noSuch(404))
	b.desk(true)
	studio := "http://" + s.address(portImbiz) + "/live/"
	b.open(studio)
	b.sees("Nobody is on air right now.")
	b.shot("studio-guest")
	b.enter("alice")
	b.sees("Your live room")
	b.write("#title", "From my desk")
	b.tapText("form button", "Open the room")
	b.sees("Stream from this browser")
	b.until(`document.querySelector("#key")?.value.length === 48`)
	if typ := eval[string](b, `document.querySelector("#key").type`); typ != "password" {
		t.Errorf("the key is shown: %s", typ)
	}
	key := eval[string](b, `document.querySelector("#key").value`)
	eval[bool](b, `document.addEventListener("copy", () => { window.copied = document.activeElement.value }) === undefined`)
	b.tapText(".shown:has(#key) button", "Copy")
	b.sees("Copied.")
	b.tapText(".shown:has(#key) button", "Show")
	b.until(`document.querySelector("#key").type === "text"`)
	b.tap("#reset") // the browser agrees to what is asked
	b.until(`document.querySelector("#key").value !== ` + quote(key))
	b.shot("studio-dark")

	b.tap("#go")
	b.sees("LIVE")
	b.until(`document.querySelector(".publish .figures").innerText.includes("fps")`)
	room := eval[string](b, `document.querySelector(".head a").href.match(/\d+\/$/)[0].slice(0, -1)`)
	flv := "http://" + s.address(portImbiz) + "/live/" + room + ".flv"
	// Without a bound ffprobe looks at 90 s of a FLV whose sound it does not know.
	got, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-analyzeduration", "3M", "-show_entries", "stream=codec_name", "-of", "csv=p=0", flv).CombinedOutput()
	if err != nil || !strings.Contains(string(got), "h264") {
		t.Errorf("what the browser sends: %s %v", got, err)
	}
	b.shot("studio-on-air")
	viewer := newBrowser(t, "en")
	viewer.allow = append(viewer.allow, noSuch(404)) // when the stream has ended
	viewer.open(s.livePage(room))
	viewer.until(`document.querySelector("video").videoWidth > 300 && document.querySelector(".veil").hidden`)
	viewer.shot("phone-whip")
	b.do(chromedp.EmulateViewport(phoneWidth, phoneHeight))
	b.shot("studio-phone")
	b.tap("#stop")
	b.sees("OFF AIR")
	viewer.sees("Off air.")
}

func TestHowOldThePicturesAre(t *testing.T) {
	s := newServer(t) // not beside others: this is about time
	alice := must(s.register("alice"))(t)
	id, key := s.openRoom(t, alice, "what time is it?")
	s.publish(t, key, "-bf", "0", "-vf", apptest.AgeFilter())
	b := newBrowser(t, "en")
	b.allow = append(b.allow, noSuch(404))
	b.open(s.livePage(id))
	b.watches("LL-HLS", 320)
	for way, most := range map[string]int{"ll": 3000, "flv": 1000, "whep": 300} {
		b.choose(way)
		b.until(fmt.Sprintf(`[...document.querySelectorAll(".figures span")].some((s) => s.innerText === %s) && document.querySelector(".veil").hidden`, quote(map[string]string{"ll": "LL-HLS", "flv": "HTTP-FLV", "whep": "WebRTC"}[way])))
		age := 0
		eventually(t, way+" shows pictures that are not old", func() bool { // players catch up
			ctx, cancel := context.WithTimeout(b.ctx, patience)
			defer cancel()
			var err error
			if age, err = chromedp.Run(ctx, chromedp.Evaluate[int](apptest.AgeScript, chromedp.EvalAwaitPromise)); err != nil {
				t.Fatal(err)
			}
			return age <= most
		})
		t.Logf("%s: %d ms; the page says %s", way, age, eval[string](b, `document.querySelector(".figures").innerText.split("\n").at(-1)`))
	}
}

func TestThePageOfARoomWorksUnderAnotherAddress(t *testing.T) {
	t.Parallel()
	s, public := behindProxy(t)
	alice := must(s.register("alice"))(t)
	_, key := s.openRoom(t, alice, "over the proxy")
	s.publish(t, key, "-bf", "0", "-vf", "scale=180:320")
	b := newBrowser(t, "en")
	b.allow = append(b.allow, noSuch(404), regexp.MustCompile(`/favicon\.ico$`))
	b.open(public + "/live")
	b.tapText(".rooms b", "over the proxy")
	b.watches("LL-HLS", 180)
	b.enter("alice")
	b.says("hello")
	b.chatHas("hello")
	b.shot("phone-tall")
	for _, way := range []string{"flv", "whep"} {
		b.choose(way)
		b.until(`document.querySelector(".figures span:nth-last-child(2)").innerText === ` + quote(map[string]string{"flv": "HTTP-FLV", "whep": "WebRTC"}[way]))
	}
	b.do(chromedp.EmulateViewport(phoneHeight, phoneWidth, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateLandscape))
	b.shot("phone-landscape")
}

func TestTheStudioSaysWhoMayWatch(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice := must(s.register("alice"))(t)
	must(s.register("bob"))(t)
	id, key := s.openRoom(t, alice, "For some only")
	s.publish(t, key, "-bf", "0")
	owner, guest := newBrowser(t, "en"), newBrowser(t, "en")
	owner.desk(false)
	for _, b := range []*browser{owner, guest} {
		b.allow = append(b.allow, noSuch(403), noSuch(404), noSuch(503))
	}
	owner.open("http://" + s.address(portImbiz) + "/live/#/studio")
	owner.enter("alice")
	owner.until(`document.querySelector(".stats").innerText.includes("H.264") && document.querySelector(".preview video:not(.local)").videoWidth === 320`)
	guest.open(s.livePage(id))
	guest.watches("LL-HLS", 320)
	owner.until(`document.querySelectorAll(".sessions .row").length >= 3`) // the publisher, the guest and herself
	owner.shot("studio-light-full")

	// Followers only: the guest is put out, logs in, follows and is in.
	owner.tap("input[name=access][value=followers]")
	owner.sees("Saved.")
	guest.sees(protocol.Text("en", "liveFollowersOnly"))
	guest.shot("phone-refused")
	guest.tapText(".veil button", "Log in")
	guest.until(`document.querySelector("#name")`)
	guest.write("#name", "bob")
	guest.write("#password", passwordOfAll)
	guest.tapText("dialog form button", "Log in")
	guest.tapText(".veil button", "Follow")
	guest.watches("LL-HLS", 320)
	guest.tap(".heart")
	guest.tap(".heart")
	owner.until(`document.querySelector(".counts").innerText.includes("2 hearts")`)

	// By a link: whoever has it, and nobody else.
	owner.tap("input[name=access][value=link]")
	owner.sees("Saved.")
	owner.tapText("button", "Make a link")
	owner.until(`document.querySelector("#link")?.value.includes("/live/")`)
	link := eval[string](owner, `document.querySelector("#link").value`)
	other := newBrowser(t, "en")
	other.allow = append(other.allow, noSuch(404), noSuch(403), noSuch(503))
	other.open(s.livePage(id))
	other.sees(protocol.Text("en", "noSuchLive"))
	other.open(link)
	other.watches("LL-HLS", 320)
	for _, w := range ways {
		other.choose(w.value)
		other.watches(w.name, 320)
	}
	owner.shot("studio-light-link")

	// Somebody is sent away.
	owner.until(`[...document.querySelectorAll(".sessions .row")].some((r) => r.innerText.includes("WebRTC") || r.innerText.includes("HLS"))`)
	other.choose("flv")
	other.watches("HTTP-FLV", 320)
	kick := `[...document.querySelectorAll(".sessions .row")].find((r) => r.innerText.includes("HTTP-FLV") && r.innerText.includes("Guest"))?.querySelector("button")`
	owner.until(`document.body.innerText.includes("Sent away.") || (` + kick + `?.click(), false)`) // the list is drawn anew now and then
	other.until(`!document.querySelector(".veil").hidden`)
}

func TestTheStudioShowsRecordings(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice := must(s.register("alice"))(t)
	id, key := s.openRoom(t, alice, "For the record")
	b := newBrowser(t, "en")
	b.allow = append(b.allow, noSuch(404)) // a stream that has ended
	b.desk(true)
	b.open("http://" + s.address(portImbiz) + "/live/#/studio")
	b.enter("alice")
	b.sees("Nothing was recorded yet.")
	b.do(chromedp.SetValue(chromedp.CSS("#record"), "mp4"))
	eval[bool](b, `document.querySelector("#record").dispatchEvent(new Event("change"))`)
	b.sees("Saved.")
	p := s.publish(t, key, "-bf", "0")
	b.sees("being recorded")
	(&films{server: s, t: t, owner: alice, room: id}).runs(3)
	p.stop()
	b.until(`[...document.querySelectorAll(".recording button")].some((e) => e.innerText === "Play")`)
	eval[bool](b, `document.querySelector(".recording").scrollIntoView() === undefined`)
	b.shot("studio-recordings")
	b.tapText(".recording button", "Play")
	b.until(`document.querySelector(".recorded").videoWidth === 320 && document.querySelector(".recorded").currentTime > 0.5`)
	b.tap(`dialog [aria-label="Close"]`)
	b.tapText(".recording button", "Publish")
	b.tapText("dialog form button", "Publish")
	b.sees("Published as a short video")
	b.tapText(".recording button", "Delete")
	b.until(`!document.querySelector(".recording")`)
}
