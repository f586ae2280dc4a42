package mediatest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4/pkg/media/oggreader"
)

// OpusPackets are packets of 20 ms of Opus that ffmpeg makes of a sound of lavfi. args
// are more of the encoder's.
func OpusPackets(t testing.TB, sound string, args ...string) [][]byte {
	t.Helper()
	all := append([]string{"-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", sound, "-c:a", "libopus", "-ac", "2", "-page_duration", "20000"}, args...)
	out, err := exec.CommandContext(t.Context(), "ffmpeg", append(all, "-f", "ogg", "pipe:1")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := oggreader.NewWith(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for {
		p, _, err := r.ParseNextPage()
		if err != nil {
			return list
		}
		if len(p) > 0 && !bytes.HasPrefix(p, []byte("OpusTags")) {
			list = append(list, p)
		}
	}
}

// Children are the processes, still running, that a process started and whose
// arguments have a word.
func Children(t testing.TB, parent int, word string) (list []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		b, err := os.ReadFile(file)
		_, rest, ok := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		if err != nil || !ok || len(f) < 2 || f[1] != strconv.Itoa(parent) || f[0] == "Z" {
			continue
		}
		args, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		if pid, e := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && e == nil && strings.Contains(string(args), word) {
			list = append(list, pid)
		}
	}
	return list
}
