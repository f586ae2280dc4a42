package video_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"gtiv/daemon/video"
	"gtiv/media/clip"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
	"gtiv/store/queue"
)

// workshop is a stage with a processor on real files, a real queue and ffmpeg.
type workshop struct {
	*stage
	*video.Processor
	blobs *blob.Store
	queue *queue.Store
	jobs  *queue.Topic
	later *queue.Topic
	log   *logText
	dir   string
	notes chan protocol.Notice
	now   atomic.Int64 // ns that the processor's clock is ahead
}

// logText is a log that a test reads.
type logText struct {
	mu  atomic.Pointer[[]byte]
	one chan struct{}
}

func (l *logText) Write(b []byte) (int, error) {
	l.one <- struct{}{}
	defer func() { <-l.one }()
	var old []byte
	if p := l.mu.Load(); p != nil {
		old = *p
	}
	all := append(slices.Clone(old), b...)
	l.mu.Store(&all)
	return len(b), nil
}

func (l *logText) String() string {
	if p := l.mu.Load(); p != nil {
		return string(*p)
	}
	return ""
}

// shop says how a workshop is made; zero values are usual.
type shop struct {
	dir     string // of the files; "" a new one
	cfg     *video.ProcessConfig
	clips   clip.Config
	minFree int64
}

func openShop(t *testing.T, o shop) *workshop {
	t.Helper()
	w := &workshop{stage: open(t, video.Config{}), dir: o.dir, notes: make(chan protocol.Notice, 1000), log: &logText{one: make(chan struct{}, 1)}}
	if w.dir == "" {
		w.dir = t.TempDir()
	}
	var err error
	if w.blobs, err = blob.Open(blob.Config{Dir: filepath.Join(w.dir, "media"), MinFree: max(o.minFree, 1)}); err != nil {
		t.Fatal(err)
	}
	w.renew(o)
	return w
}

// renew makes a processor with an empty queue, as after a restart that lost it.
func (w *workshop) renew(o shop) {
	w.t.Helper()
	t := w.t
	var err error
	if w.queue, err = queue.Open(queue.Config{Dir: filepath.Join(t.TempDir(), "queue"), MinFree: 1}); err != nil {
		t.Fatal(err)
	}
	opened := w.queue
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	options := queue.TopicOptions{MaxAttempts: 1 << 30, Backoff: func(int) time.Duration { return 10 * time.Millisecond }}
	w.jobs, w.later = w.queue.Topic("process", options), w.queue.Topic("ladder", options)
	o.clips.Threads, o.clips.MaxDuration = 2, time.Minute
	clips, err := clip.New(o.clips)
	if err != nil {
		t.Fatal(err)
	}
	cfg := video.ProcessConfig{MaxBytes: 8 << 20, Rungs: []int{64}}
	if o.cfg != nil {
		cfg = *o.cfg
	}
	if w.Processor, err = video.NewProcessor(cfg, video.ProcessDeps{
		Videos: w.Service, Store: w.store, Blobs: w.blobs, Staging: w.blobs.Staging, Clips: clips, Slow: clips, Jobs: w.jobs, Later: w.later,
		Notify: func(_ int64, n protocol.Notice) { w.notes <- n }, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
		Now: func() time.Time { return time.Now().Add(time.Duration(w.now.Load())) },
	}); err != nil {
		t.Fatal(err)
	}
}

// run runs the processor until the test, or stop, ends.
func (w *workshop) run() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- w.Processor.Run(ctx) }()
	stopped := false
	stop = func() {
		cancel()
		if !stopped {
			stopped = true
			if err := <-done; err != nil {
				w.t.Error(err)
			}
		}
	}
	w.t.Cleanup(stop)
	return stop
}

// makeClip makes a small clip with ffmpeg.
func makeClip(t testing.TB, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	if len(args) == 0 {
		args = []string{"-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=4", "-f", "lavfi", "-i", "sine=f=440:d=4",
			"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac"}
	}
	out, err := exec.CommandContext(t.Context(), "ffmpeg", append(append([]string{"-loglevel", "error", "-nostdin", "-y"}, args...), path)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *workshop) send(c video.Caller, title string, file []byte) store.Video {
	w.t.Helper()
	r, err := w.Receive(w.t.Context(), c, "../a\x00b.mp4", bytes.NewReader(file))
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := w.Submit(w.t.Context(), c, r, video.Upload{Title: title})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// until waits for a video to be in a state.
func (w *workshop) until(c video.Caller, id int64, state string) video.Status {
	w.t.Helper()
	var st video.Status
	w.wait("video in state "+state, func() bool {
		var err error
		if st, err = w.Status(w.t.Context(), c, id); err != nil {
			w.t.Fatal(err)
		}
		if st.State == "failed" && state != "failed" {
			w.t.Fatalf("failed: %+v\n%s", st, w.log)
		}
		return st.State == state
	})
	return st
}

func (w *workshop) wait(what string, ready func() bool) {
	w.t.Helper()
	for end := time.Now().Add(60 * time.Second); !ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain: %s\n%s", what, w.log)
		}
	}
}

func (w *workshop) files(prefix string) []string {
	w.t.Helper()
	list, err := w.blobs.List(w.t.Context(), prefix, "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, i := range list {
		names = append(names, strings.TrimPrefix(i.Key, prefix))
	}
	return names
}

// leftovers are temporary files.
func (w *workshop) leftovers() []string {
	w.t.Helper()
	list, err := os.ReadDir(filepath.Join(w.dir, "media", "tmp"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestAnUploadBecomesAVideo(t *testing.T) {
	w := openShop(t, shop{})
	alice := w.person("alice")
	file := makeClip(t)
	sent := w.send(alice, "hello #world", file)
	if st, err := w.Status(t.Context(), alice, sent.ID); err != nil || st.State != "queued" || sent.Key == "" {
		t.Errorf("%+v %v %+v", st, err, sent)
	}
	if _, err := w.Status(t.Context(), w.person("bob"), sent.ID); protocol.CodeOf(err) != protocol.CodeUnknown {
		t.Errorf("somebody else's: %v", err)
	}
	w.run()
	w.until(alice, sent.ID, "ready")
	v, err := w.store.Video(t.Context(), sent.ID)
	if err != nil || v.Key != sent.Key || v.Width != 128 || v.Height != 96 || v.DurationMS < 3900 || v.SourceName != "../ab.mp4" || v.Attempts != 1 {
		t.Errorf("%+v %v", v, err)
	}
	w.wait("renditions", func() bool { return slices.Contains(w.files(v.Key+"/"), "master.m3u8") })
	for _, name := range []string{"index.m3u8", "index0.ts", "cover.jpg", "storyboard.jpg", "64p/index.m3u8", "64p/index0.ts"} {
		if !slices.Contains(w.files(v.Key+"/"), name) {
			t.Errorf("no %s among %v", name, w.files(v.Key+"/"))
		}
	}
	clips, err := w.Home(t.Context(), guest(1))
	if err != nil || !slices.ContainsFunc(clips, func(c video.Clip) bool { return c.ID == v.ID }) {
		t.Errorf("not in the feed: %v %v", clips, err)
	}
	w.wait("release of the uploaded file", func() bool {
		v, err := w.store.Video(t.Context(), v.ID)
		return err == nil && v.SourceHash == "" && v.Ladder
	})
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left in the staging area: %v", left)
	}
	var states []string
	for len(w.notes) > 0 {
		n := <-w.notes
		if n.Kind != protocol.NoticeVideo || n.VideoID != v.ID {
			t.Errorf("%+v", n)
		}
		states = append(states, n.State)
	}
	if len(states) < 2 || states[0] != "processing" || states[len(states)-1] != "ready" {
		t.Errorf("told %v", states)
	}
}

func TestTwoPeopleUploadTheSameFileAndOneUploadsItTwice(t *testing.T) {
	w := openShop(t, shop{})
	alice, bob := w.person("alice"), w.person("bob")
	file := makeClip(t)
	a, b := w.send(alice, "x", file), w.send(bob, "x", file)
	if a.ID == b.ID || a.Key == b.Key {
		t.Errorf("%+v and %+v", a, b)
	}
	if again := w.send(alice, "x", file); again.ID != a.ID || again.Key != a.Key {
		t.Errorf("sent again it became another video: %+v", again)
	}
	other := w.send(alice, "another title", file)
	if other.ID == a.ID {
		t.Error("another title is not another video")
	}
	if again := w.send(alice, "another title", file); again.ID != other.ID {
		t.Error("sent again under its other title it became another video")
	}
	if n := len(w.files("src/")); n != 1 {
		t.Errorf("%d files are kept", n)
	}
	w.run()
	w.until(alice, a.ID, "ready")
	w.until(bob, b.ID, "ready")
	if err := w.Delete(t.Context(), alice, a.ID); err != nil {
		t.Fatal(err)
	}
	if len(w.files(b.Key+"/")) == 0 {
		t.Error("the other one's files are gone")
	}
}

func TestFilesThatAreNoVideosAreRefusedAtOnce(t *testing.T) {
	w := openShop(t, shop{})
	alice := w.person("alice")
	for name, c := range map[string]struct {
		file io.Reader
		code protocol.Code
		key  string
	}{
		"empty":    {strings.NewReader(""), protocol.CodeBadValue, "clipEmpty"},
		"text":     {strings.NewReader("this is no video, whatever it is called"), protocol.CodeBadValue, "clipNotVideo"},
		"zip":      {strings.NewReader("PK\x03\x04" + strings.Repeat("x", 5000)), protocol.CodeBadValue, "clipNotVideo"},
		"playlist": {strings.NewReader("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"), protocol.CodeBadValue, "clipNotVideo"},
		"too big":  {bytes.NewReader(append(makeClip(t), make([]byte, 9<<20)...)), protocol.CodeBadValue, "videoTooBig"},
	} {
		_, err := w.Receive(t.Context(), alice, "x.mp4", c.file)
		e, ok := errors.AsType[*protocol.Error](err)
		if !ok || e.Code != c.code || e.Key != c.key {
			t.Errorf("%s: %v", name, err)
		}
	}
	cut := io.MultiReader(bytes.NewReader(makeClip(t)[:5000]), iotest.ErrReader(errors.New("hung up")))
	if _, err := w.Receive(t.Context(), alice, "x.mp4", cut); err == nil {
		t.Error("half a file was taken")
	}
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestFilesThatCannotBeVideosFailWithAReason(t *testing.T) {
	w := openShop(t, shop{})
	alice := w.person("alice")
	whole := makeClip(t)
	w.run()
	for name, c := range map[string]struct {
		file []byte
		key  string
	}{
		"truncated": {whole[:len(whole)/2], "clipTruncated"},
		"long":      {makeClip(t, "-f", "lavfi", "-i", "color=s=32x32:r=1:d=70", "-c:v", "libx264", "-preset", "ultrafast"), "clipTooLong"},
		"sound":     {makeClip(t, "-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac"), "clipNoVideo"},
	} {
		v := w.send(alice, name, c.file)
		st := w.until(alice, v.ID, "failed")
		if st.Reason != c.key {
			t.Errorf("%s: %+v", name, st)
		}
		got, err := w.store.Video(t.Context(), v.ID)
		if err != nil || got.SourceHash != "" || got.SizeBytes != 0 {
			t.Errorf("%s takes room still: %+v %v", name, got, err)
		}
	}
	w.wait("empty queue", func() bool { s := w.jobs.Stats(); return s.Depth+s.Leased == 0 })
	if dead := w.jobs.Stats().Dead; dead != 0 {
		t.Errorf("%d dead jobs: these were the files' fault", dead)
	}
}

// script writes a program that takes ffmpeg's place.
func script(t *testing.T, path, text string) {
	t.Helper()
	// Renamed into place: a file that is being written cannot be run.
	if err := os.WriteFile(path+".new", []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestAVideoThatFailsThreeTimesIsADeadLetterAndCanBeTriedAgain(t *testing.T) {
	ffmpeg := filepath.Join(t.TempDir(), "ffmpeg")
	script(t, ffmpeg, "echo 'the encoder is on strike' >&2; exit 1")
	w := openShop(t, shop{clips: clip.Config{FFmpeg: ffmpeg}})
	alice := w.person("alice")
	v := w.send(alice, "x", makeClip(t))
	w.run()
	if st := w.until(alice, v.ID, "failed"); st.Reason != "videoFailed" {
		t.Errorf("%+v", st)
	}
	w.wait("dead letter", func() bool { return w.jobs.Stats().Dead == 1 })
	dead, err := w.jobs.Dead(t.Context(), "", 10)
	if err != nil || len(dead) != 1 || dead[0].Attempts != video.MaxTries || !strings.Contains(dead[0].Reason, "on strike") {
		t.Fatalf("%+v %v", dead, err)
	}
	script(t, ffmpeg, `exec /usr/bin/ffmpeg "$@"`)
	if err := w.jobs.RetryDead(t.Context(), dead[0].ID); err != nil {
		t.Fatal(err)
	}
	w.wait("another try", func() bool {
		st, err := w.Status(t.Context(), alice, v.ID)
		return err == nil && st.State == "ready"
	})
}

func TestWithoutFFmpegUploadsWait(t *testing.T) {
	ffmpeg := filepath.Join(t.TempDir(), "ffmpeg")
	w := openShop(t, shop{clips: clip.Config{FFmpeg: ffmpeg}})
	alice := w.person("alice")
	w.run()
	v := w.send(alice, "x", makeClip(t))
	time.Sleep(50 * time.Millisecond)
	if st, err := w.Status(t.Context(), alice, v.ID); err != nil || st.State != "queued" || st.Reason != "noFFmpeg" {
		t.Errorf("%+v %v", st, err)
	}
	script(t, ffmpeg, `exec /usr/bin/ffmpeg "$@"`)
	w.until(alice, v.ID, "ready")
	if got, err := w.store.Video(t.Context(), v.ID); err != nil || got.Attempts != 1 {
		t.Errorf("waiting counted as a try: %+v %v", got, err)
	}
}

func TestAFullDiskLosesNothing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("mounting is not possible here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w := openShop(t, shop{dir: dir, minFree: 4 << 20})
	alice := w.person("alice")
	v := w.send(alice, "x", makeClip(t))
	// Somebody else fills the disk.
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 21<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Receive(t.Context(), alice, "x", bytes.NewReader(makeClip(t))); protocol.CodeOf(err) != protocol.CodeNoRoom {
		t.Errorf("upload to a full disk: %v", err)
	}
	w.run()
	time.Sleep(100 * time.Millisecond)
	if st, err := w.Status(t.Context(), alice, v.ID); err != nil || st.State != "queued" || st.Reason != "videoWaitsForDisk" {
		t.Errorf("%+v %v", st, err)
	}
	if err := os.Remove(big); err != nil {
		t.Fatal(err)
	}
	w.until(alice, v.ID, "ready")
}

func TestADiskThatFillsUpInTheMiddleIsNoFaultOfTheVideo(t *testing.T) {
	ffmpeg := filepath.Join(t.TempDir(), "ffmpeg")
	full := filepath.Join(t.TempDir(), "full")
	if err := os.WriteFile(full, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	script(t, ffmpeg, `[ -e '`+full+`' ] && { echo 'av_interleaved_write_frame(): No space left on device' >&2; exit 1; }; exec /usr/bin/ffmpeg "$@"`)
	w := openShop(t, shop{clips: clip.Config{FFmpeg: ffmpeg}})
	alice := w.person("alice")
	v := w.send(alice, "x", makeClip(t))
	w.run()
	w.wait("some tries", func() bool { return strings.Count(w.log.String(), "video job failed") > 2*video.MaxTries })
	if st, err := w.Status(t.Context(), alice, v.ID); err != nil || st.State == "failed" {
		t.Errorf("%+v %v", st, err)
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	w.until(alice, v.ID, "ready")
}

func TestWhatWasBeingMadeIsMadeAfterARestart(t *testing.T) {
	ffmpeg := filepath.Join(t.TempDir(), "ffmpeg")
	script(t, ffmpeg, "exec sleep 60")
	o := shop{clips: clip.Config{FFmpeg: ffmpeg}}
	w := openShop(t, o)
	alice := w.person("alice")
	v := w.send(alice, "x", makeClip(t))
	stop := w.run()
	w.wait("processing", func() bool {
		st, err := w.Status(t.Context(), alice, v.ID)
		return err == nil && st.State == "processing"
	})
	stop()
	script(t, ffmpeg, `exec /usr/bin/ffmpeg "$@"`)
	w.renew(o) // the database knows
	w.run()
	w.wait("ready", func() bool {
		st, err := w.Status(t.Context(), alice, v.ID)
		return err == nil && st.State == "ready"
	})
	w.wait("an empty staging area", func() bool { return len(w.leftovers()) == 0 }) // the renditions use it, too
}

func TestAVideoGetsAnotherFile(t *testing.T) {
	w := openShop(t, shop{cfg: &video.ProcessConfig{MaxBytes: 8 << 20}})
	alice, bob := w.person("alice"), w.person("bob")
	v := w.send(alice, "x", makeClip(t))
	w.run()
	w.until(alice, v.ID, "ready")
	if err := w.Support(t.Context(), bob, v.ID, true); err != nil {
		t.Fatal(err)
	}
	other := makeClip(t, "-f", "lavfi", "-i", "testsrc=s=96x128:r=25:d=2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
	replace := func(c video.Caller, file []byte) error {
		r, err := w.Receive(t.Context(), c, "b.mp4", bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Drop()
		_, err = w.Replace(t.Context(), c, r, v.ID)
		return err
	}
	if err := replace(bob, other); protocol.CodeOf(err) != protocol.CodeForbidden {
		t.Errorf("by somebody else: %v", err)
	}
	whole := makeClip(t)
	if err := replace(alice, whole[:len(whole)/2]); err != nil {
		t.Fatal(err)
	}
	w.wait("refusal", func() bool {
		st, err := w.Status(t.Context(), alice, v.ID)
		return err == nil && st.State == "ready" && st.Reason == "clipTruncated"
	})
	if got, err := w.store.Video(t.Context(), v.ID); err != nil || got.Key != v.Key || got.Width != 128 {
		t.Errorf("a bad replacement changed it: %+v %v", got, err)
	}
	if err := replace(alice, other); err != nil {
		t.Fatal(err)
	}
	w.wait("replacement", func() bool {
		got, err := w.store.Video(t.Context(), v.ID)
		return err == nil && got.Width == 96
	})
	got, err := w.store.Video(t.Context(), v.ID)
	if err != nil || got.Key == v.Key || got.SupportNum != 1 || got.State != store.VideoReady || got.Reason != "" || len(w.files(got.Key+"/")) == 0 {
		t.Errorf("%+v %v", got, err)
	}
	if len(w.files(v.Key+"/")) == 0 {
		t.Error("the old files are gone while phones may be playing them")
	}
	if old, err := w.store.ServedVideo(t.Context(), 0, false, v.Key); err != nil || old.ID != v.ID {
		t.Errorf("the old files are not served any more: %+v %v", old, err)
	}
	w.pass(2 * time.Hour)
	if _, err := w.store.ServedVideo(t.Context(), 0, false, v.Key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("and after an hour they are: %v", err)
	}
	gone, err := w.store.GoneMedia(t.Context(), 10)
	if err != nil || !slices.Equal(gone, []string{v.Key}) {
		t.Errorf("%v %v", gone, err)
	}
}

// slowFFmpeg waits while a file is there before it does its work.
func slowFFmpeg(t *testing.T) (ffmpeg string, goOn func()) {
	t.Helper()
	ffmpeg = filepath.Join(t.TempDir(), "ffmpeg")
	wait := filepath.Join(t.TempDir(), "wait")
	if err := os.WriteFile(wait, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	script(t, ffmpeg, `while [ -e '`+wait+`' ]; do sleep 0.05; done; exec /usr/bin/ffmpeg "$@"`)
	return ffmpeg, func() {
		if err := os.Remove(wait); err != nil {
			t.Fatal(err)
		}
	}
}

// small is another clip than makeClip's.
func small(t *testing.T) []byte {
	t.Helper()
	return makeClip(t, "-f", "lavfi", "-i", "testsrc=s=96x128:r=25:d=2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
}

func (w *workshop) replace(c video.Caller, id int64, file []byte) store.Video {
	w.t.Helper()
	r, err := w.Receive(w.t.Context(), c, "b.mp4", bytes.NewReader(file))
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Drop()
	v, err := w.Replace(w.t.Context(), c, r, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *workshop) processing(c video.Caller, id int64) {
	w.t.Helper()
	w.wait("processing", func() bool {
		st, err := w.Status(w.t.Context(), c, id)
		return err == nil && st.State == "processing"
	})
}

func TestAnotherFileDuringTheFirstProcessingIsTheOneThatIsShown(t *testing.T) {
	for name, first := range map[string]func() []byte{
		"whole": func() []byte { return makeClip(t) }, "broken": func() []byte { b := makeClip(t); return b[:len(b)/2] },
	} {
		ffmpeg, goOn := slowFFmpeg(t)
		w := openShop(t, shop{clips: clip.Config{FFmpeg: ffmpeg}})
		alice := w.person("alice")
		v := w.send(alice, "x", first())
		w.run()
		if name == "whole" {
			w.processing(alice, v.ID)
		}
		promised := w.replace(alice, v.ID, small(t))
		goOn()
		w.wait("ready", func() bool {
			got, err := w.store.Video(t.Context(), v.ID)
			return err == nil && got.State == store.VideoReady
		})
		got, err := w.store.Video(t.Context(), v.ID)
		if err != nil || got.Width != 96 || got.Key != promised.Key {
			t.Errorf("%s: %+v %v, promised %s", name, got, err, promised.Key)
		}
		w.wait("only its own files", func() bool { return len(w.files(v.Key+"/")) == 0 })
		w.wait("renditions of its own", func() bool {
			got, err := w.store.Video(t.Context(), v.ID)
			return err == nil && got.Ladder && got.SourceHash == ""
		})
	}
}

func TestAFileUploadedWhileAnotherReplacementIsMadeIsMadeToo(t *testing.T) {
	ffmpeg, goOn := slowFFmpeg(t)
	w := openShop(t, shop{clips: clip.Config{FFmpeg: ffmpeg}, cfg: &video.ProcessConfig{MaxBytes: 8 << 20}})
	alice := w.person("alice")
	goOn()
	v := w.send(alice, "x", makeClip(t))
	w.run()
	w.until(alice, v.ID, "ready")
	wait := filepath.Join(t.TempDir(), "wait")
	if err := os.WriteFile(wait, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	script(t, ffmpeg, `while [ -e '`+wait+`' ]; do sleep 0.05; done; exec /usr/bin/ffmpeg "$@"`)
	w.replace(alice, v.ID, makeClip(t, "-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"))
	w.processing(alice, v.ID)
	w.replace(alice, v.ID, small(t))
	if err := os.Remove(wait); err != nil {
		t.Fatal(err)
	}
	w.wait("the newest file", func() bool {
		got, err := w.store.Video(t.Context(), v.ID)
		return err == nil && got.Width == 96 && got.Replacement == ""
	})
	w.until(alice, v.ID, "ready")
}

func TestTheOwnerCannotUndoAModeratorsHide(t *testing.T) {
	w := openShop(t, shop{})
	alice := w.person("alice")
	v := w.send(alice, "x", makeClip(t))
	if _, err := w.Hide(t.Context(), v.ID, "spam"); err != nil {
		t.Fatal(err)
	}
	w.replace(alice, v.ID, small(t))
	w.run()
	w.wait("an empty queue", func() bool { s := w.jobs.Stats(); return s.Depth+s.Leased == 0 })
	if got, err := w.store.Video(t.Context(), v.ID); err != nil || got.State != store.VideoHidden || got.Reason != "spam" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := w.Approve(t.Context(), v.ID); err != nil {
		t.Fatal(err)
	}
	w.until(alice, v.ID, "ready")
	if got, err := w.store.Video(t.Context(), v.ID); err != nil || got.Width != 96 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestTheSameFileForOthersIsAnotherVideo(t *testing.T) {
	w := openShop(t, shop{})
	alice := w.person("alice")
	file := makeClip(t)
	send := func(visibility, upload string) store.Video {
		r, err := w.Receive(t.Context(), alice, "a.mp4", bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Drop()
		v, err := w.Submit(t.Context(), alice, r, video.Upload{Visibility: visibility, UploadID: upload})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	public, private := send("", ""), send("private", "")
	if public.ID == private.ID || private.Visibility != store.VideoPrivate {
		t.Errorf("%+v %+v", public, private)
	}
	if again := send("private", ""); again.ID != private.ID {
		t.Error("a retry is another video")
	}
	tus := send("private", "u1")
	w.run()
	w.wait("its file to be let go", func() bool {
		v, err := w.store.Video(t.Context(), tus.ID)
		return err == nil && v.SourceHash == "" && v.Key != ""
	})
	if again := send("private", "u1"); again.ID != tus.ID {
		t.Error("an upload that is handed over twice is two videos")
	}
}

func TestParallelUploadsKeepToTheQuota(t *testing.T) {
	file := makeClip(t)
	w := openShop(t, shop{cfg: &video.ProcessConfig{MaxBytes: 8 << 20, Quota: int64(len(file)) * 5 / 2}})
	alice := w.person("alice")
	var list []video.Received
	for range 4 { // all arrive before the first is written down
		r, err := w.Receive(t.Context(), alice, "a.mp4", bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	ok := 0
	for i, r := range list {
		_, err := w.Submit(t.Context(), alice, r, video.Upload{Title: strings.Repeat("x", i+1)})
		r.Drop()
		switch protocol.CodeOf(err) {
		case protocol.CodeOK:
			ok++
		case protocol.CodeNoRoom:
		default:
			t.Error(err)
		}
	}
	if ok != 2 {
		t.Errorf("%d fit into the quota of two and a half", ok)
	}
}

func TestDeletingAVideoStopsItsProcessing(t *testing.T) {
	ffmpeg, goOn := slowFFmpeg(t)
	w := openShop(t, shop{clips: clip.Config{FFmpeg: ffmpeg}})
	alice := w.person("alice")
	v := w.send(alice, "x", makeClip(t))
	w.run()
	w.processing(alice, v.ID)
	if err := w.Delete(t.Context(), alice, v.ID); err != nil {
		t.Fatal(err)
	}
	w.wait("an empty queue", func() bool { s := w.jobs.Stats(); return s.Depth+s.Leased+s.Dead == 0 })
	goOn()
	if left := w.files(v.Key + "/"); len(left) > 0 {
		t.Errorf("files of it: %v", left)
	}
}

func TestFilesOfDeletedVideosGo(t *testing.T) {
	w := openShop(t, shop{})
	alice := w.person("alice")
	v := w.send(alice, "x", makeClip(t))
	stop := w.run()
	w.until(alice, v.ID, "ready")
	stop()
	if err := w.Delete(t.Context(), alice, v.ID); err != nil {
		t.Fatal(err)
	}
	w.now.Store(int64(2 * time.Hour))
	w.run()
	w.wait("removal", func() bool { return len(w.files(v.Key+"/")) == 0 && len(w.files("src/")) == 0 })
}

func TestAFolderThatCannotBeRemovedKeepsNoOtherOne(t *testing.T) {
	w := openShop(t, shop{})
	alice := w.person("alice")
	const good = "2026/00112233445566778899aabbccddeeff00112233"
	for _, key := range []string{"2026/.no-key", good} {
		v, err := w.store.CreateVideo(t.Context(), store.NewVideo{Owner: alice.User, Title: key})
		if err == nil {
			_, err = w.store.FinishVideo(t.Context(), v.ID, store.VideoResult{Key: key})
		}
		if err == nil {
			err = w.Delete(t.Context(), alice, v.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	in, err := w.blobs.Incoming(10)
	if err == nil {
		_, err = w.blobs.Put(t.Context(), good+"/index.m3u8", in)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.run()
	w.wait("removal", func() bool { return len(w.files(good+"/")) == 0 })
}

func TestQuotaAndRateBoundUploads(t *testing.T) {
	file := makeClip(t)
	w := openShop(t, shop{cfg: &video.ProcessConfig{MaxBytes: 8 << 20, Quota: int64(len(file)) * 3 / 2, UploadsPerHour: 3}})
	alice := w.person("alice")
	v := w.send(alice, "x", file)
	_, err := w.Receive(t.Context(), alice, "x", bytes.NewReader(makeClip(t)))
	if e, ok := errors.AsType[*protocol.Error](err); !ok || e.Key != "videoQuota" || e.Code != protocol.CodeNoRoom {
		t.Errorf("over the quota: %v", err)
	}
	if err := w.Delete(t.Context(), alice, v.ID); err != nil {
		t.Fatal(err)
	}
	w.send(alice, "y", file)
	if _, err := w.Receive(t.Context(), alice, "x", bytes.NewReader(file)); protocol.CodeOf(err) != protocol.CodeTooOften {
		t.Errorf("the fourth within an hour: %v", err)
	}
}

func TestWithReviewNobodySeesItBeforeAModerator(t *testing.T) {
	w := openShop(t, shop{cfg: &video.ProcessConfig{MaxBytes: 8 << 20, Review: true}})
	alice := w.person("alice")
	v := w.send(alice, "x", makeClip(t))
	w.run()
	w.until(alice, v.ID, "review")
	key := v.Key
	if _, err := w.store.ServedVideo(t.Context(), 0, false, key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("its files are served to guests: %v", err)
	}
	if _, err := w.store.ServedVideo(t.Context(), alice.User, false, key); err != nil {
		t.Errorf("its files are not served to its owner: %v", err)
	}
	if _, err := w.SetState(t.Context(), v.ID, store.VideoReady, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.ServedVideo(t.Context(), 0, false, key); err != nil {
		t.Errorf("approved: %v", err)
	}
}

func TestNothingIsLeftOfADeletedVideoInCountersAndNotices(t *testing.T) {
	s := open(t, video.Config{})
	ctx, alice, carol := t.Context(), s.person("alice"), s.person("carol")
	v, err := s.store.CreateVideo(ctx, store.NewVideo{Owner: alice.User})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.FinishVideo(ctx, v.ID, store.VideoResult{Key: "2026/k"}); err != nil {
		t.Fatal(err)
	}
	first, err := s.Comment(ctx, alice, v.ID, "hello @carol", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Comment(ctx, carol, v.ID, "hi", first.ID); err != nil {
		t.Fatal(err)
	}
	if _, unread, _, err := s.Notices(ctx, carol, 0); err != nil || unread != 1 {
		t.Errorf("carol was mentioned: %d %v", unread, err)
	}
	if err := s.DeleteComment(ctx, alice, first.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, alice, v.ID); err != nil {
		t.Fatal(err)
	}
	if list, unread, _, err := s.Notices(ctx, carol, 0); err != nil || unread != 0 || len(list) != 0 {
		t.Errorf("%v, %d unread, %v", list, unread, err)
	}
	wrong, err := s.store.RepairCounters(ctx, false)
	if err != nil || len(wrong) != 0 {
		t.Errorf("%v %v", wrong, err)
	}
}
