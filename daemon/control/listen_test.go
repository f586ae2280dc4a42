package control_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/control"
	"gtiv/protocol/client"
)

func TestSocketIsOpenToAllAndGoneAfterwards(t *testing.T) {
	dir := t.TempDir()
	ln, err := control.Listen(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "gtiv.sock")
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o666 {
		t.Errorf("mode %v: %v", info.Mode(), err)
	}
	if _, err := control.Listen(t.Context(), dir, ""); err == nil || !strings.Contains(err.Error(), "another gtiv answers at "+path) {
		t.Errorf("a second daemon: %v", err)
	}
	for range 2 {
		if err := ln.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestSocketOfACrashedDaemonIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gtiv.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil { // as after kill -9: a file that nobody answers on
		t.Fatal(err)
	}
	ln, err := control.Listen(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := net.DialTimeout("unix", path, time.Second); err != nil {
		t.Errorf("dial: %v", err)
	}
}

func TestSomethingElseAtTheSocketsPlaceIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gtiv.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Listen(t.Context(), dir, ""); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("the file: %q %v", text, err)
	}
}

func TestUnderSystemdTheSocketLivesInTheRuntimeDirectory(t *testing.T) {
	data, run := t.TempDir(), t.TempDir()
	link := filepath.Join(data, "gtiv.sock")
	if err := os.Symlink("/nonexistent/old", link); err != nil { // of an earlier run
		t.Fatal(err)
	}
	ln, err := control.Listen(t.Context(), data, run+":/run/other")
	if err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != filepath.Join(run, "gtiv.sock") {
		t.Errorf("link to %q: %v", to, err)
	}
	if _, err := control.Listen(t.Context(), data, ""); err == nil {
		t.Error("a second daemon took the link")
	}
	if _, err := control.Listen(t.Context(), t.TempDir(), run); err == nil {
		t.Error("a second daemon took the runtime directory")
	}
	if c, err := net.DialTimeout("unix", link, time.Second); err != nil {
		t.Errorf("dial through the link: %v", err)
	} else if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{data, run} {
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind in %s: %v %v", dir, left, err)
		}
	}
}

// A data directory may be deeper than the 107 bytes of a unix address.
func TestDeepDataDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100), strings.Repeat("e", 100))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ln, err := control.Listen(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			err = c.Close()
		}
		accepted <- err
	}()
	_, err = client.New(client.Find("", dir)).Status(t.Context())
	if err == nil || strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("the client did not connect: %v", err)
	}
	if err := <-accepted; err != nil {
		t.Errorf("accept: %v", err)
	}
	if _, err := control.Listen(t.Context(), dir, ""); err == nil {
		t.Error("a second daemon was not noticed")
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
}
