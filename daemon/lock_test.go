package daemon_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"gtiv/daemon"
)

func TestSecondDaemonOnTheSameDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	l, err := daemon.LockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = daemon.LockData(dir)
	if e, ok := errors.AsType[*daemon.InUseError](err); !ok || e.PID != os.Getpid() || e.Dir != dir {
		t.Fatalf("got %v", err)
	}
	if want := "another gtiv (pid " + strconv.Itoa(os.Getpid()) + ") already uses " + dir; err.Error() != want {
		t.Errorf("got %q", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := daemon.LockData(dir)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Error(err)
	}
}

func TestLockOfAKilledDaemonIsFree(t *testing.T) {
	if dir := os.Getenv("GTIV_TEST_LOCK"); dir != "" { // the child
		if _, err := daemon.LockData(dir); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("locked\n") //nolint:errcheck // the parent waits for it
		select {}
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLockOfAKilledDaemonIsFree$") //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), "GTIV_TEST_LOCK="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "locked\n" {
		t.Fatalf("child said %q: %v", line, err)
	}
	_, err = daemon.LockData(dir)
	if e, ok := errors.AsType[*daemon.InUseError](err); !ok || e.PID != cmd.Process.Pid {
		t.Fatalf("got %v, want the child's pid %d", err, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	l, err := daemon.LockData(dir)
	if err != nil {
		t.Fatalf("after the kill: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

func TestLockFileWithoutAPid(t *testing.T) {
	dir := t.TempDir()
	l, err := daemon.LockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release() //nolint:errcheck // the test is over
	if err := os.WriteFile(filepath.Join(dir, "gtiv.lock"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.LockData(dir); err == nil || err.Error() != "another gtiv already uses "+dir {
		t.Errorf("got %v", err)
	}
	if _, err := daemon.LockData(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}
