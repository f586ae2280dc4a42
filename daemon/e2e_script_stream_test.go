//go:build linux

package daemon_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdAir publishes pictures and a tone with ffmpeg until "offair" or the end. With
// "!" the server must not take it.
func cmdAir(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) >= 1, "air KEY [FFMPEG-FLAG…]")
	w := worldOf(ts)
	flags := []string{
		"-loglevel", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-f", "lavfi", "-i", "sine=f=440:r=44100",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac",
	}
	flags = append(append(flags, args[1:]...), "-f", "flv", "rtmp://"+w.s.address(2011)+"/live/"+args[0])
	cmd := exec.Command("ffmpeg", flags...)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	if neg {
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
			ts.Fatalf("%s was taken", args[0])
		}
		return
	}
	if w.air != nil {
		ts.Fatalf("offair first")
	}
	w.air, w.airEnded = cmd, ended
	ts.Defer(func() { w.offAir() })
}

func (w *world) offAir() {
	if w.air != nil {
		_ = w.air.Process.Kill()
		<-w.airEnded
		w.air = nil
	}
}

// cmdOffAir ends ffmpeg. With "ended" the server must have ended it.
func cmdOffAir(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	usage(ts, w.air != nil && (len(args) == 0 || args[0] == "ended"), "offair [ended]")
	if len(args) == 1 {
		select {
		case <-w.airEnded:
		case <-time.After(patience):
			ts.Fatalf("the server did not end it")
		}
	}
	w.offAir()
}

// cmdPlays says that ffprobe finds pictures and sound at addresses, or with "!" that
// there is nothing to find.
func cmdPlays(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) >= 1, "plays URL…")
	for _, url := range args {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		out, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-rw_timeout", "15000000", "-show_entries", "stream=codec_name", "-of", "csv=p=0", url).CombinedOutput()
		cancel()
		// Probing starts in the middle of a stream: what is in front of the first whole
		// picture is complained of and decoded all the same.
		video, audio := bytes.Contains(out, []byte("h264")), bytes.Contains(out, []byte("aac"))
		if ok := err == nil && video && audio; ok == neg {
			ts.Fatalf("%s", fmt.Sprintf("%s: %v\n%s", url, err, out))
		}
	}
}
