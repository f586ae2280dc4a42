package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"

	"gtiv/daemon/apptest"
)

// glassWays are the ways of watching as the page calls them.
var glassWays = []struct{ way, name, shown, target string }{
	{"flv", "HTTP-FLV", "HTTP-FLV", "< 1 s"}, {"whep", "WHEP", "WebRTC", "< 0.3 s"}, {"ll", "low-latency HLS", "LL-HLS", "< 3 s"}, {"ts", "HLS (MPEG-TS)", "HLS", "< 9 s"},
}

// glassToGlass measures how old pictures are that Chromium shows on the page of a room:
// from before the encoder to the screen, with a key frame a second.
func glassToGlass(ctx context.Context, b *bench) error {
	sb := &streamBench{b: b}
	if err := sb.start(ctx, 1); err != nil {
		return err
	}
	defer sb.s.stop()
	cmd := exec.CommandContext(ctx, "ffmpeg", "-loglevel", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25", "-f", "lavfi", "-i", "sine=f=440:r=44100", //nolint:gosec // ours
		"-vf", apptest.AgeFilter(), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac",
		"-f", "flv", sb.ours().ingest)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill() //nolint:errcheck // it may have ended
		_ = cmd.Wait()         //nolint:errcheck // nothing to be learnt
	}()
	path, err := exec.LookPath("chromium")
	if err != nil {
		b.say("  no browser: %v", err)
		return nil
	}
	profile, err := b.folder("chromium")
	if err != nil {
		return err
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.Flag("autoplay-policy", "no-user-gesture-required")}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	page, cancel := chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(options...))
	defer cancel()
	sleep(ctx, 5*time.Second)
	if _, err := chromedp.Run(page, chromedp.Navigate(fmt.Sprintf("http://%s/live/%d/", sb.s.addr(portImbiz), sb.rooms[0]))); err != nil {
		return fmt.Errorf("open the page: %w", err)
	}
	// The page begins by itself, with the way that it likes best.
	if err := glassPlays(page, "LL-HLS"); err != nil {
		return fmt.Errorf("the page plays nothing: %w", err)
	}
	var errs []error
	for _, w := range glassWays {
		age, err := glassAge(page, w.way, w.shown)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
			continue
		}
		b.add(row{Figure: "from before the encoder to the screen (Chromium on the same machine, a key frame a second), by " + w.name, Target: w.target, Measured: fmt.Sprintf("%.2f s", age.Seconds())})
	}
	return errors.Join(errs...)
}

// glassAge chooses a way to watch and answers how old the pictures are some seconds
// later.
func glassAge(page context.Context, way, shown string) (time.Duration, error) {
	page, cancel := context.WithTimeout(page, time.Minute)
	defer cancel()
	if _, err := chromedp.Run(page, chromedp.Evaluate[bool](fmt.Sprintf(`(() => { const e = document.querySelector(".way"); e.value = %q; return e.dispatchEvent(new Event("change")); })()`, way))); err != nil {
		return 0, err
	}
	if err := glassPlays(page, shown); err != nil {
		return 0, err
	}
	sleep(page, 8*time.Second) // players catch up
	age, err := chromedp.Run(page, chromedp.Evaluate[int](apptest.AgeScript, chromedp.EvalAwaitPromise))
	return time.Duration(age) * time.Millisecond, err
}

// glassPlays waits until the page plays by a way.
func glassPlays(page context.Context, shown string) error {
	page, cancel := context.WithTimeout(page, time.Minute)
	defer cancel()
	playing := fmt.Sprintf(`[...document.querySelectorAll(".figures span")].some((s) => s.innerText === %q) && document.querySelector(".veil").hidden`, shown)
	for {
		ok, err := chromedp.Run(page, chromedp.Evaluate[bool](playing))
		if ok || err != nil {
			return err
		}
		if !sleep(page, 100*time.Millisecond) {
			return page.Err()
		}
	}
}
