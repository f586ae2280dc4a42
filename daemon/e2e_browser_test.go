//go:build linux

package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The screen of a phone, in CSS pixels.
const phoneWidth, phoneHeight = 390, 844

// browser is a headless Chromium with the screen of a phone, that shows one page.
type browser struct {
	t   *testing.T
	ctx context.Context
	// allow are messages of the console that the test provokes.
	allow []*regexp.Regexp

	mu       sync.Mutex
	problems []string
}

// newBrowser starts one, whose user reads that language, with more options. What the page complains
// of in the console fails the test.
func newBrowser(t *testing.T, language string, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		t.Fatal("there is no Chromium (make test installs it)")
	}
	b := &browser{t: t}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.Env("LANGUAGE=" + language), chromedp.Flag("lang", language), chromedp.Flag("accept-lang", language),
		chromedp.UserDataDir(t.TempDir()),
	}
	options = append(options, more...)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	ctx, cancel := chromedp.NewContext(t.Context(), chromedp.WithAllocatorOptions(options...), chromedp.WithListener(b.hear), chromedp.WithErrorf(t.Logf))
	b.ctx = ctx
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.problems {
			if !slices.ContainsFunc(b.allow, func(re *regexp.Regexp) bool { return re.MatchString(p) }) {
				t.Error("in the console: " + p)
			}
		}
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil { // starts it, for as long as ctx lasts
		t.Fatalf("start chromium: %v", err)
	}
	b.do(chromedp.EmulateViewport(phoneWidth, phoneHeight, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait))
	return b
}

// hear notes what is wrong, and agrees to whatever the page asks.
func (b *browser) hear(ev any) {
	note := func(text string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.problems = append(b.problems, text)
	}
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(ev.ExceptionDetails)
		note("exception: " + string(text))
	case *runtime.EventConsoleAPICalled:
		if ev.Type == "error" || ev.Type == "warning" || ev.Type == "assert" {
			text, _ := json.Marshal(ev.Args)
			note(fmt.Sprintf("%s: %s", ev.Type, text))
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == "error" || ev.Entry.Level == "warning" {
			note(fmt.Sprintf("%s: %s %s", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL))
		}
	case *page.EventJavascriptDialogOpening:
		go func() { // this is called where answers are read
			_, _ = chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (cdp.Empty, error) {
				return cdp.Call(ctx, t, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
			})
		}()
	}
}

// do runs actions, and shows the page when one fails.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.fatal(err.Error())
	}
}

// fatal ends the test with what is on screen.
func (b *browser) fatal(what string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	b.t.Fatalf("%s\non the page: %.2000s", what, text)
}

// eval answers what a piece of JavaScript is.
func eval[T any](b *browser, js string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.fatal(js + ": " + err.Error())
	}
	return v
}

// until waits until a condition holds on the page, and answers how long it took.
func (b *browser) until(condition string) time.Duration {
	b.t.Helper()
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !eval[bool](b, "(() => { try { return Boolean("+condition+") } catch { return false } })()") { // what is not there yet is no mistake
		if time.Since(start) > patience {
			b.fatal("it never came true that " + condition)
		}
		<-tick.C
	}
	return time.Since(start)
}

// open goes to an address.
func (b *browser) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// tap touches the first element that fits.
func (b *browser) tap(css string) {
	b.t.Helper()
	b.do(chromedp.Tap(chromedp.CSS(css)))
}

// tapText touches the element with that text.
func (b *browser) tapText(css, text string) {
	b.t.Helper()
	found := fmt.Sprintf("[...document.querySelectorAll(%s)].find((e) => e.checkVisibility() && e.innerText.trim() === %s)", quote(css), quote(text))
	b.until(found)
	b.do(chromedp.Tap(chromedp.JSPath(found)))
}

func quote(s string) string {
	q, _ := json.Marshal(s) // strings marshal
	return string(q)
}

// write puts a text in the place of what an input has.
func (b *browser) write(css, text string) {
	b.t.Helper()
	b.do(chromedp.WaitEnabled(chromedp.CSS(css)))
	eval[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%s); e.focus(); e.select(); return true })()`, quote(css)))
	b.do(chromedp.KeyEvent(text))
}

// sees waits until a text is on the page.
func (b *browser) sees(text string) {
	b.t.Helper()
	b.until("document.body.innerText.includes(" + quote(text) + ")")
}

// swipe moves a finger up the screen, fast.
func (b *browser) swipe() {
	b.t.Helper()
	b.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		touch := func(kind input.DispatchTouchEventType, points ...*input.TouchPoint) error {
			if points == nil {
				points = []*input.TouchPoint{}
			}
			_, err := cdp.Call(ctx, t, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: kind, TouchPoints: points})
			return err
		}
		const from, to, step = phoneHeight * 0.8, phoneHeight * 0.2, 60.0
		err := touch(input.DispatchTouchEventTypeTouchStart, &input.TouchPoint{X: phoneWidth / 2, Y: from})
		for y := from - step; y > to && err == nil; y -= step {
			err = touch(input.DispatchTouchEventTypeTouchMove, &input.TouchPoint{X: phoneWidth / 2, Y: y})
		}
		if err == nil {
			err = touch(input.DispatchTouchEventTypeTouchEnd)
		}
		return chromedp.Void{}, err
	})
}

// slowUploads bounds what the browser sends, in bytes per second.
func (b *browser) slowUploads(rate float64) {
	b.t.Helper()
	b.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: rate}},
		})
		return chromedp.Void{}, err
	})
}
