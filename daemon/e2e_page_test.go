//go:build linux

package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gtiv/daemon/video/sample"
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
