package record_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gtiv/daemon/record"
	"gtiv/media"
	"gtiv/media/mediatest"
	"gtiv/protocol"
	"gtiv/store"
)

// archive is a service on a real database with one room, whose clock can be moved.
type archive struct {
	*record.Service
	t     *testing.T
	store *store.Store
	hub   *media.Hub
	dir   string
	owner record.Caller
	room  int64
	deps  record.Deps

	mu    sync.Mutex
	later time.Duration
	full  error
	told  []protocol.Notice
	stop  func()
}

func newArchive(t *testing.T, cfg record.Config) *archive {
	t.Helper()
	a := &archive{t: t, dir: filepath.Join(t.TempDir(), "record"), hub: media.NewHub(nil, nil, nil)}
	var err error
	if a.store, err = store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "gtiv.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.store.Close() })
	who, err := a.store.CreateAccount(t.Context(), store.NewAccount{Username: "anna", Nickname: "anna", Role: store.RoleUser})
	if err != nil {
		t.Fatal(err)
	}
	room, err := a.store.CreateLive(t.Context(), who.ID, "walk", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	a.owner, a.room = record.Caller{User: who.ID, Role: who.Role}, room.ID
	a.deps = record.Deps{
		Store: a.store, Dir: a.dir, Stream: func(room int64) *media.Stream { return a.hub.Stream(fmt.Sprint(room)) },
		Room: func(int64) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.full
		},
		Submit: func(_ context.Context, _ record.Caller, v record.Video) (int64, error) {
			if info, err := os.Stat(v.Path); err != nil || info.Size() != v.Size {
				return 0, fmt.Errorf("%v %w", info, err)
			}
			return 77, nil
		},
		Video: func(context.Context, int64) (bool, error) { return true, nil },
		Notify: func(_ int64, n protocol.Notice) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.told = append(a.told, n)
		},
		Now: func() time.Time {
			a.mu.Lock()
			defer a.mu.Unlock()
			return time.Now().Add(a.later)
		},
	}
	a.start(cfg)
	t.Cleanup(func() { a.stop() })
	return a
}

// start begins a service, as a start of the daemon does.
func (a *archive) start(cfg record.Config) {
	a.t.Helper()
	s, err := record.New(a.t.Context(), cfg, a.deps)
	if err != nil {
		a.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(a.t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	a.Service = s
	a.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			a.t.Error(err)
		}
	})
}

func (a *archive) set(mode string) {
	a.t.Helper()
	if _, err := a.Set(a.t.Context(), a.owner, 0, mode); err != nil {
		a.t.Fatal(err)
	}
}

func (a *archive) list() []store.Recording {
	a.t.Helper()
	list, _, err := a.List(a.t.Context(), a.owner, 0, 0)
	if err != nil {
		a.t.Fatal(err)
	}
	return list
}

// air publishes a clip quickly, and waits until what is recorded of it is there.
func (a *archive) air(seconds int) {
	a.t.Helper()
	before := len(a.list())
	p, _ := a.hub.Publish(a.t.Context(), fmt.Sprint(a.room))
	a.OnAir(a.room)
	if err := mediatest.Publish(a.t.Context(), p, mediatest.Clip(a.t, seconds), 4); err != nil {
		a.t.Fatal(err)
	}
	p.Close()
	a.until("a recording is over", func() bool {
		list := a.list()
		return len(list) > before && list[0].State != store.RecordingRuns
	})
}

func (a *archive) until(what string, ok func() bool) {
	a.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatalf("it never came true that %s: %+v", what, a.list())
		}
	}
}

func (a *archive) files() []string {
	a.t.Helper()
	list, err := filepath.Glob(filepath.Join(a.dir, "*", "*"))
	if err != nil {
		a.t.Fatal(err)
	}
	return list
}

func TestOldRecordingsGo(t *testing.T) {
	t.Parallel()
	a := newArchive(t, record.Config{Keep: 24 * time.Hour})
	a.set("mp4")
	a.air(3)
	if len(a.files()) != 1 {
		t.Fatal(a.files())
	}
	for days, left := range []int{1, 0} {
		a.mu.Lock()
		a.later = time.Duration(days)*24*time.Hour + time.Minute
		a.mu.Unlock()
		if err := a.Clean(t.Context()); err != nil || len(a.files()) != left || len(a.list()) != left {
			t.Errorf("after %d days: %v %v %v", days, a.files(), a.list(), err)
		}
	}
	if folders, err := os.ReadDir(a.dir); err != nil || len(folders) != 0 {
		t.Errorf("left: %v %v", folders, err)
	}
}

func TestRecordingsGoWithTheirOwner(t *testing.T) {
	t.Parallel()
	a := newArchive(t, record.Config{})
	a.set("flv")
	a.air(3)
	id := a.list()[0].ID
	for until, want := range map[int64]protocol.Code{store.LiveForever: protocol.CodeUnknown, 0: protocol.CodeOK} {
		if _, err := a.store.Ban(t.Context(), a.owner.User, until, ""); err != nil {
			t.Fatal(err)
		}
		f, _, err := a.Open(t.Context(), a.owner.User, id)
		if protocol.CodeOf(err) != want {
			t.Errorf("banned until %d: %v", until, err)
		}
		if err == nil {
			_ = f.Close()
		}
	}
	if _, err := a.store.Ban(t.Context(), a.owner.User, 0, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.store.DeleteAccount(t.Context(), a.owner.User, 0, store.QuitTexts{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Open(t.Context(), a.owner.User, id); protocol.CodeOf(err) != protocol.CodeUnknown {
		t.Errorf("of a deleted account: %v", err)
	}
	if err := a.Clean(t.Context()); err != nil || len(a.files()) != 0 {
		t.Errorf("%v %v", a.files(), err)
	}
	if mode, err := a.AnySetting(t.Context(), a.room); err != nil || mode.Mode != "off" {
		t.Errorf("%+v %v", mode, err)
	}
}

func TestAFullDiskEndsRecordingWithAReason(t *testing.T) {
	t.Parallel()
	a := newArchive(t, record.Config{})
	a.full = errors.New("full")
	a.set("mp4")
	for range 2 {
		p, _ := a.hub.Publish(t.Context(), fmt.Sprint(a.room))
		a.OnAir(a.room)
		if err := mediatest.Publish(t.Context(), p, mediatest.Clip(t, 3), 4); err != nil {
			t.Fatal(err) // the stream goes on
		}
		p.Close()
	}
	a.until("both tries are over", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.told) == 2 })
	list := a.list()
	if len(list) != 1 || list[0].State != store.RecordingFailed || list[0].Reason != "recordDisk" || len(a.files()) != 0 {
		t.Errorf("%+v %v", list, a.files())
	}
	if n := a.told[0]; n.Kind != protocol.NoticeLive || n.Reason != "recordDisk" || n.State != "recordEnded" {
		t.Errorf("%+v", n)
	}
	if _, err := a.Publish(t.Context(), a.owner, list[0].ID, ""); protocol.CodeOf(err) != protocol.CodeConflict {
		t.Errorf("published: %v", err)
	}
	if err := a.Delete(t.Context(), a.owner, list[0].ID); err != nil || len(a.list()) != 0 {
		t.Errorf("%v %v", err, a.list())
	}
}

func TestWhatAStreamIsRecordedAsCanChange(t *testing.T) {
	t.Parallel()
	a := newArchive(t, record.Config{})
	p, _ := a.hub.Publish(t.Context(), fmt.Sprint(a.room))
	a.OnAir(a.room) // it is off
	clip, done := mediatest.Clip(t, 24), make(chan error, 1)
	go func() { done <- mediatest.Publish(context.WithoutCancel(t.Context()), p, clip, 2) }()
	for _, mode := range []string{"mp4", "flv", "flv"} {
		a.set(mode)
		a.until("it is recorded as "+mode, func() bool { list := a.list(); return len(list) > 0 && list[0].Format == mode })
	}
	time.Sleep(time.Second)
	a.set("off")
	list := a.list()
	if len(list) != 2 || list[0].Format != "flv" || list[1].Format != "mp4" || list[0].State != store.RecordingDone || list[1].State != store.RecordingDone {
		t.Fatalf("%+v", list)
	}
	// One that runs is deleted: it ends.
	a.set("mp4")
	a.until("it is recorded again", func() bool { return len(a.list()) == 3 })
	if err := a.Delete(t.Context(), a.owner, a.list()[0].ID); err != nil || len(a.list()) != 2 || len(a.files()) != 2 {
		t.Errorf("%v %v %v", err, a.list(), a.files())
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	a.set("off")
	if _, err := a.Set(t.Context(), a.owner, 0, "avi"); protocol.CodeOf(err) != protocol.CodeBadValue {
		t.Errorf("avi: %v", err)
	}
	if _, err := a.SetAny(t.Context(), 5, "mp4"); protocol.CodeOf(err) != protocol.CodeUnknown {
		t.Errorf("no room: %v", err)
	}
	// As a video, and again.
	for range 2 {
		if id, err := a.Publish(t.Context(), a.owner, list[1].ID, "x"); err != nil || id != 77 {
			t.Errorf("%d %v", id, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(a.dir, "publish-*")); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}

func TestAStopFinishesTheFile(t *testing.T) {
	t.Parallel()
	a := newArchive(t, record.Config{})
	a.set("mp4")
	p, _ := a.hub.Publish(t.Context(), fmt.Sprint(a.room))
	a.OnAir(a.room)
	if err := mediatest.Publish(t.Context(), p, mediatest.Clip(t, 4), 4); err != nil {
		t.Fatal(err)
	}
	a.until("it is recorded", func() bool { return len(a.list()) == 1 })
	a.stop()
	if list := a.list(); list[0].State != store.RecordingDone || list[0].Reason != "" || list[0].DurationMS < 3500 {
		t.Errorf("%+v", list)
	}
	a.set("off") // nothing waits for what does not run
}

func TestNobodyChangesThingsAllTheTime(t *testing.T) {
	t.Parallel()
	a := newArchive(t, record.Config{})
	for range 200 {
		if _, err := a.Set(t.Context(), a.owner, 0, "off"); err != nil {
			if protocol.CodeOf(err) != protocol.CodeTooOften {
				t.Error(err)
			}
			return
		}
	}
	t.Error("200 times in a minute")
}

func TestTheNextStartFinishesWhatWasLeft(t *testing.T) {
	t.Parallel()
	a := newArchive(t, record.Config{})
	a.set("mp4")
	a.air(3)
	a.stop()
	whole, err := os.ReadFile(a.files()[0])
	if err != nil {
		t.Fatal(err)
	}
	lost := a.list()[0]
	// Rows that a kill leaves: with a file, with one that has nothing in it, without.
	var rows []store.Recording
	for i := range 3 {
		r, err := a.store.CreateRecording(t.Context(), a.room, "mp4", "", 99)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
		path := filepath.Join(a.dir, r.Key())
		if i < 2 {
			if err := os.WriteFile(path, whole[:[]int{len(whole), 100}[i]], 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Remove(filepath.Join(a.dir, lost.Key())); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fmt.Sprintf("%d/20200101-000000-999.flv", a.room), "publish-9", fmt.Sprintf("%d/mine.txt", a.room)} {
		if err := os.WriteFile(filepath.Join(a.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.start(record.Config{})
	a.until("two are left", func() bool {
		list := a.list()
		return len(list) == 2 && len(a.files()) == 2 && list[1].State == store.RecordingFailed
	})
	list := a.list()
	if list[0].ID != rows[0].ID || list[0].State != store.RecordingDone || list[0].Bytes != int64(len(whole)) || list[0].DurationMS < 2500 {
		t.Errorf("%+v", list[0])
	}
	if list[1].ID != lost.ID || list[1].State != store.RecordingFailed || list[1].Reason != "recordLost" {
		t.Errorf("%+v", list[1])
	}
	if left, err := filepath.Glob(filepath.Join(a.dir, "publish-*")); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}
