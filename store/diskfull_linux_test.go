package store_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gtiv/store"
)

// smallDisk mounts a file system of its own for the test.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	want(t, "mount", syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"), nil)
	t.Cleanup(func() { // runs after the store was closed
		want(t, "unmount", syscall.Unmount(dir, syscall.MNT_DETACH), nil)
	})
	return dir
}

// fill takes all free space of a folder; the answer gives it back.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f := ok(os.Create(path))(t)
	for size := 1 << 20; size > 0; size /= 2 {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
	want(t, "close", f.Close(), nil)
	return func() { want(t, "remove", os.Remove(path), nil) }
}

func TestDiskFullAndBack(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "gtiv.db")
	s := openAt(t, path)
	a, b := friends(t, s, "anna", "ben")
	text := strings.Repeat("x", 3000)
	stored := map[uint64]string{1: "ok"}
	for round := range 3 {
		stored[send(t, s, a, b, text).Seq] = text
		free := fill(t, dir)
		failed := 0
		for range 4000 {
			m, err := s.SendPrivate(t.Context(), store.NewMessage{From: a, To: b, Content: text})
			if err == nil {
				stored[m.Seq] = text
				continue
			}
			want(t, "send on a full disk", err, store.ErrDiskFull)
			if failed++; failed == 20 {
				break
			}
		}
		if failed == 0 {
			t.Fatal("the disk never was full")
		}
		want(t, "Healthy", s.Healthy(t.Context()), store.ErrDiskFull)
		if list := ok(s.Contacts(t.Context(), a))(t); len(list) != 1 {
			t.Error("reading does not work on a full disk")
		}
		free()
		want(t, "Healthy after there is room again", s.Healthy(t.Context()), nil)
		m := send(t, s, b, a, fmt.Sprint("round ", round))
		if m.Seq != uint64(len(stored))+1 {
			t.Fatalf("next number is %d, stored are %d", m.Seq, len(stored))
		}
		stored[m.Seq] = m.Content
		if round == 1 {
			want(t, "close", s.Close(), nil)
			s = openAt(t, path)
		}
	}
	conv := ok(s.PrivatePositions(t.Context(), a))(t)[0].Conversation
	list := ok(s.History(t.Context(), conv, 0, 1<<20))(t)
	if len(list) != len(stored) {
		t.Fatalf("%d rows, %d were acknowledged", len(list), len(stored))
	}
	for i, m := range list {
		if m.Seq != uint64(len(list)-i) || m.Content != stored[m.Seq] {
			t.Fatalf("row %d: seq %d, %d bytes", i, m.Seq, len(m.Content))
		}
	}
}

// Opening on a full disk must say so, and spoil nothing.
func TestOpenOnAFullDisk(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "gtiv.db")
	s := openAt(t, path)
	a, b := friends(t, s, "anna", "ben")
	send(t, s, a, b, "x")
	// A copy taken while it runs is what a kill leaves: with a WAL.
	killed := filepath.Join(dir, "killed.db")
	for _, suffix := range []string{"", "-wal"} {
		want(t, "copy", copyFile(killed+suffix, path+suffix), nil)
	}
	free := fill(t, dir)
	for _, p := range []string{killed, filepath.Join(dir, "new.db")} {
		if s, err := store.Open(t.Context(), store.Config{Path: p}); err == nil {
			_, err = s.SendPrivate(t.Context(), store.NewMessage{From: a, To: b, Content: strings.Repeat("x", 100_000)})
			want(t, "send", err, store.ErrDiskFull)
			want(t, "close", s.Close(), nil)
		} else if !errors.Is(err, store.ErrDiskFull) {
			t.Errorf("open %s: %v", filepath.Base(p), err)
		}
	}
	free()
	again := openAt(t, killed)
	if m := send(t, again, a, b, "y"); m.Seq != 3 {
		t.Errorf("next number is %d, want 3", m.Seq)
	}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
