//go:build linux

package daemon_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"gtiv/daemon/video/sample"
	"gtiv/protocol"
)

// This file goes through the page for short videos as people do: a real browser,
// the real program, real clips.

// onDisk keeps a file that the browser uploads.
func onDisk(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// page is the address of the page.
func (s *server) page() string { return "http://" + s.address(portImbiz) + "/video/" }

// onScreen is the clip that fills the feed.
const onScreen = `[...document.querySelectorAll(".clip")].find((c) => Math.abs(c.getBoundingClientRect().top) < 2)`

// plays waits until the clip on screen really plays, and answers its title.
func (b *browser) plays() string {
	b.t.Helper()
	video := onScreen + `.querySelector("video")`
	b.until(video + ".readyState > 2 && !" + video + ".paused && " + video + ".videoWidth > 0")
	at := eval[float64](b, video+".currentTime")
	b.until(fmt.Sprintf("%s.currentTime > %f && %s.getVideoPlaybackQuality().totalVideoFrames > 3", video, at, video))
	if playing := eval[int](b, `[...document.querySelectorAll("video")].filter((v) => !v.paused).length`); playing != 1 {
		b.t.Errorf("%d videos play at once", playing)
	}
	return eval[string](b, onScreen+".clip.Title")
}

// press touches a button of the clip on screen.
func (b *browser) press(title string) {
	b.t.Helper()
	b.do(chromedp.Tap(chromedp.JSPath(onScreen + ".querySelector(" + quote(`[title="`+title+`"]`) + ")")))
}

// signUp registers somebody.
func (b *browser) signUp(name string) {
	b.t.Helper()
	b.tapText("nav a", "Log in")
	b.tapText("a", "I am new here")
	b.until(`document.querySelector("#invite")`) // the other form has these fields, too
	b.write("#name", name)
	b.write("#password", passwordOfAll)
	b.tapText("form button", "Sign up")
	b.until(`document.querySelector("nav").innerText.includes("Mine")`)
}

// logIn logs somebody in.
func (b *browser) logIn(name, password string) {
	b.t.Helper()
	b.tapText("nav a", "Log in")
	b.until(`document.querySelector("#name") && !document.querySelector("#invite")`)
	b.write("#name", name)
	b.write("#password", password)
	b.tapText("form button", "Log in")
}

// upload sends a file by the form.
func (b *browser) upload(file, title string) {
	b.t.Helper()
	b.tapText("nav a", "Upload")
	b.until(`document.querySelector("#file:enabled")`)
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	b.write("#title", title)
	b.tap("form button.main")
}

func TestSomebodyPostsAVideoAndOthersScrollToIt(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	bob := must(s.register("bob"))(t)
	for n := range 2 {
		s.uploadClip(t, bob, clipFile(t, 4, n), "title", "of bob "+strconv.Itoa(n))
	}
	b := newBrowser(t, "en")
	b.open(s.page())
	b.plays() // a guest sees something, too
	b.signUp("alice")

	// What the form says while the file goes out and is processed.
	b.tapText("nav a", "Upload")
	b.until(`document.querySelector("#state")`)
	eval[bool](b, `(() => { window.told = []; new MutationObserver(() => { const s = document.querySelector("#state"); if (s) told.push(s.innerText); })
		.observe(document.querySelector("#view"), { subtree: true, childList: true, characterData: true }); return true })()`)
	file := clipFile(t, 6, 2)
	b.slowUploads(float64(len(file)) / 2)
	b.upload(onDisk(t, "holiday.mp4", file), "of alice #first")
	b.until(`/^#\/v\/\d+$/.test(location.hash)`)
	b.slowUploads(-1)
	told := eval[[]string](b, "told")
	if n := len(regexp.MustCompile(`(^|,)Uploading [1-9]\d? %`).FindAllString(strings.Join(told, ","), -1)); n < 2 {
		t.Errorf("the progress was told %d times: %q", n, told)
	}
	if title := b.plays(); title != "of alice #first" {
		t.Errorf("shown %q after the upload", title)
	}

	// Somebody else finds it, and the others.
	b.tapText("nav a", "Mine")
	b.tapText("button", "Log out")
	b.until(`document.querySelector("nav").innerText.includes("Log in")`)
	b.signUp("carol")
	b.tapText("nav a", "Feed")
	seen := map[string]bool{}
	for swipes := 0; ; swipes++ {
		start := time.Now()
		title := b.plays()
		t.Logf("%q plays %v after the swipe", title, time.Since(start).Round(time.Millisecond))
		if title != sample.Title {
			seen[title] = true
		}
		if len(seen) == 3 {
			break
		}
		if swipes == 6 {
			t.Fatalf("after %d swipes: %v", swipes, seen)
		}
		b.until(onScreen + `.nextElementSibling.querySelector("video").readyState > 1`) // it is ready before it is wanted
		b.swipe()
		b.until(onScreen + ".clip.Title !== " + quote(title))
	}
	if !seen["of alice #first"] {
		t.Errorf("played %v", seen)
	}

	b.press("Comments")
	b.sees("Nothing here yet.")
	b.write("dialog input", "well <b>done</b> 很好")
	b.tapText("dialog button", "Send")
	b.sees("well <b>done</b> 很好")
	commented := eval[int](b, onScreen+".clip.Id")
	r := must(s.call(request{method: "GET", path: "/video/comments?VideoId=" + strconv.Itoa(commented)}))(t)
	if r.value("List.0.Content") != "well <b>done</b> 很好" {
		t.Errorf("stored: %s", r)
	}
}

// noSuch is what the browser itself writes when a call is refused.
func noSuch(status int) *regexp.Regexp {
	return regexp.MustCompile("Failed to load resource: the server responded with a status of " + strconv.Itoa(status))
}

func TestThePageDoesWhatPeopleDoWithVideos(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice := must(s.register("alice"))(t)
	const evil = `<img src=x onerror="document.title='hacked'"> #夏天`
	id, _ := s.uploadClip(t, alice, clipFile(t, 4, 1), "title", evil)
	b := newBrowser(t, "en")
	b.allow = append(b.allow, noSuch(400), noSuch(404))

	// A guest with a link sees that one video, and must log in to do anything.
	b.open(s.page() + "#/v/" + id)
	if title := b.plays(); title != evil {
		t.Errorf("title %q", title)
	}
	b.sees(`<img src=x onerror=`)
	b.press("Like")
	b.until(`location.hash === "#/login"`)
	b.write("#name", "alice")
	b.write("#password", "not-her-password")
	b.tapText("form button", "Log in")
	b.sees(protocol.Text("en", "badPassword"))
	b.tapText("a", "I am new here")
	b.until(`document.querySelector("#invite")`)
	b.write("#name", "bob")
	b.write("#password", "x")
	b.tapText("form button", "Sign up")
	b.sees("The password must have")
	b.write("#password", passwordOfAll)
	b.tapText("form button", "Sign up")
	b.until(`location.hash === "#/v/` + id + `"`) // where he came from
	b.plays()

	for _, name := range []string{"Like", "Keep"} {
		b.press(name)
		b.until(onScreen + ".querySelector('[title=" + name + "]').innerText.trim() === '1'")
	}
	b.tapText(".follow", "Follow")
	b.sees("Following")
	rep := must(s.call(request{method: "GET", path: "/video/info?videoId=" + id}))(t)
	if rep.value("SupportNum") != "1" || rep.value("CollectNum") != "1" {
		t.Errorf("liked and kept: %s", rep)
	}

	// Comments, replies, likes of them.
	b.press("Comments")
	b.sees("Nothing here yet.")
	for _, line := range []string{"first <b>comment</b>", "an answer @alice", "an answer to the answer"} {
		b.write("dialog input", line)
		b.tapText("dialog button", "Send")
		b.sees(line)
		b.until(`document.querySelector("dialog input").value === ""`)
		b.do(chromedp.Tap(chromedp.JSPath(`[...document.querySelectorAll(".comment")].at(-1).querySelectorAll(".tools button")[1]`)))
		b.sees("Reply to @")
	}
	b.tapText(".replies button", "Like 0")
	b.sees("Like 1")
	b.tapText(".replies button", "Delete")
	b.until(`document.querySelectorAll(".replies .comment").length === 1`)
	b.do(chromedp.Tap(chromedp.JSPath(`document.querySelectorAll(".comment .tools button")[2]`)))
	b.sees("(deleted)") // its answer stays
	b.tap(`dialog [aria-label="Close"]`)

	b.press("More")
	b.tapText("dialog button", "Report")
	b.write("dialog textarea", "dull")
	b.tapText("dialog button", "Send")
	b.sees("The moderators will look at it.")

	// He finds her by search; two Chinese characters are enough.
	b.tapText("nav a", "Search")
	b.sees("#夏天")
	b.write("input[type=search]", "夏天")
	b.tapText("form button", "Search")
	b.until(`document.querySelectorAll(".grid a").length === 1`)
	b.do(chromedp.SetValue(chromedp.CSS("select"), "users"))
	b.write("input[type=search]", "alice")
	b.tapText("form button", "Search")
	b.tap(`a[href="#/u/` + strconv.FormatInt(alice.id, 10) + `"]`)
	b.sees("1 followers")
	b.until(`document.querySelectorAll(".grid a").length === 1`)
	b.tapText("nav a", "Mine")
	b.sees("Nothing here yet.")
	b.tapText("button", "Log out")
	b.until(`document.querySelector("nav").innerText.includes("Log in")`)
	b.plays() // back in the feed

	// She is told of all that.
	b.logIn("alice", passwordOfAll)
	b.until(`document.querySelector("nav b")`)
	b.tap(`nav a[href="#/notices"]`)
	for _, text := range []string{"follows you", "likes your video", "commented on your video"} {
		b.sees(text)
	}
	b.until(`!document.querySelector("nav b")`) // read

	// Her own videos.
	b.tapText("nav a", "Mine")
	b.sees("1 likes")
	b.tapText("button", "Change name")
	b.write("dialog input", "Alice <i>")
	b.tapText("dialog button", "Save")
	b.until(`document.querySelector("h1").innerText === "Alice <i>"`)
	b.tapText("button", "Edit")
	b.until(`document.querySelector("dialog select")`)
	b.do(chromedp.SetValue(chromedp.CSS("dialog select"), "private"))
	b.write("dialog input", "new title")
	b.tapText("dialog button", "Save")
	b.sees("Only me")
	b.sees("new title")
	b.tap(`a[href="#/v/` + id + `"]`)
	if title := b.plays(); title != "new title" { // by signed addresses now
		t.Errorf("title %q", title)
	}

	// Files that are no videos are refused with the reason.
	b.upload(onDisk(t, "text.mp4", []byte("this is a text\n")), "bad")
	b.sees(protocol.Text("en", "clipNotVideo"))
	b.upload(onDisk(t, "empty.mp4", nil), "bad")
	b.sees(protocol.Text("en", "clipEmpty"))
	b.upload(onDisk(t, "zeros.mp4", make([]byte, 8<<20)), "bad")
	b.sees(protocol.Text("en", "clipNotVideo"))
	cut := clipFile(t, 4, 3)
	b.upload(onDisk(t, "cut.mp4", cut[:len(cut)/2]), "bad")
	b.sees("Failed: ")
	b.tapText("nav a", "Mine")
	b.sees("Failed: ")
	b.tapText("button", "Delete")
	b.until(`document.querySelectorAll(".buttons").length === 1`)

	if eval[bool](b, `document.title === "hacked" || document.querySelector("img[src=x]") !== null`) {
		t.Error("a title was taken for markup")
	}
	b.tapText("button", "Log out")
	b.until(`document.querySelector("nav").innerText.includes("Log in")`)
	b.open("about:blank")
	b.open(s.page() + "#/v/" + id)
	b.sees(protocol.Text("en", "noSuchVideo")) // it is hers alone
}

// behindProxy starts a server behind a proxy that takes a part of the path away, as
// people set them up, and answers the address that the world knows.
func behindProxy(t *testing.T) (s *server, public string) {
	t.Helper()
	var target atomic.Pointer[url.URL]
	proxy := httptest.NewUnstartedServer(http.StripPrefix("/gtiv", &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target.Load()); r.SetXForwarded() },
		FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), // viewers leave
	}))
	proxy.Start()
	t.Cleanup(proxy.Close)
	public = proxy.URL + "/gtiv"
	s = newServer(t, "GTIV_SITE_PUBLIC_URL="+public)
	target.Store(must(url.Parse("http://" + s.address(portImbiz)))(t))
	return s, public
}

func TestThePageWorksUnderAnotherAddress(t *testing.T) {
	t.Parallel()
	s, public := behindProxy(t)
	alice := must(s.register("alice"))(t)
	id, _ := s.uploadClip(t, alice, clipFile(t, 4, 1), "title", "over the proxy")

	b := newBrowser(t, "zh-CN")
	b.allow = append(b.allow, regexp.MustCompile(`/favicon\.ico$`)) // the proxy has none
	b.open(public + "/")
	b.tap(`a[href="video/"]`)
	b.sees("推荐")
	if lang := eval[string](b, "document.documentElement.lang"); lang != "zh" {
		t.Errorf("language %q", lang)
	}
	b.plays()
	b.open(public + "/video#/register") // without the slash
	b.until(`document.querySelector("#invite")`)
	b.write("#name", "bob")
	b.write("#password", passwordOfAll)
	b.tapText("form button", "注册")
	b.until(`document.querySelector("nav").innerText.includes("我的")`)
	b.tapText("nav a", "发布")
	b.until(`document.querySelector("#file:enabled")`)
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{onDisk(t, "a.mp4", clipFile(t, 4, 2))}))
	b.write("#title", "我的视频")
	b.tap("form button.main")
	b.until(`/^#\/v\/\d+$/.test(location.hash)`)
	if title := b.plays(); title != "我的视频" {
		t.Errorf("title %q", title)
	}
	// Asked directly, the page gets its media from the public address.
	b.open(s.page() + "#/v/" + id)
	b.plays()
	b.open("about:blank")

	// On a desk there is a keyboard.
	b.do(chromedp.EmulateReset(), chromedp.EmulateViewport(1280, 800))
	b.open(s.page())
	first := b.plays()
	b.until(onScreen + ".nextElementSibling")
	b.do(chromedp.KeyEvent(kb.ArrowDown))
	b.until(onScreen + ".clip.Title !== " + quote(first))
	b.plays()
	b.do(chromedp.KeyEvent(" "))
	b.until(onScreen + `.querySelector("video").paused`)
	b.do(chromedp.KeyEvent(kb.ArrowUp))
	b.until(onScreen + ".clip.Title === " + quote(first))
	b.plays()
	b.do(chromedp.KeyEvent("m"))
	b.until(`!` + onScreen + `.querySelector("video").muted`)
}
