package video_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/video"
	"gtiv/media/clip"
	"gtiv/protocol"
	"gtiv/store"
)

// told reads notices until one says this state.
func (w *workshop) toldState(state string) protocol.Notice {
	w.t.Helper()
	for {
		select {
		case n := <-w.notes:
			if n.State == state {
				return n
			}
		case <-time.After(10 * time.Second):
			w.t.Fatalf("the owner was never told that it is %s", state)
		}
	}
}

func TestModeratorsHideApproveAndDelete(t *testing.T) {
	w := openShop(t, shop{cfg: &video.ProcessConfig{MaxBytes: 8 << 20, Review: true}})
	ctx := t.Context()
	alice := w.person("alice")
	v := w.send(alice, "the #sea", makeClip(t))
	w.run()
	w.until(alice, v.ID, "review")
	d, err := w.Show(ctx, v.ID)
	if err != nil || d.Username != "alice" || d.Key != v.Key || d.Files == 0 || d.Bytes < d.SizeBytes || !slices.Equal(d.Tags, []string{"sea"}) || d.Percent != 100 {
		t.Errorf("%+v %v", d, err)
	}
	seen := func() bool { _, err := w.Info(ctx, guest(1), v.ID); return err == nil }
	if seen() {
		t.Error("seen before it was approved")
	}
	if a, err := w.Approve(ctx, v.ID); err != nil || a.State != store.VideoReady || !seen() {
		t.Errorf("approve: %+v %v", a, err)
	}
	w.toldState("ready")
	_, err = w.Approve(ctx, v.ID)
	want(t, "approve again", err, protocol.CodeConflict)
	if h, err := w.Hide(ctx, v.ID, "user"); err != nil || h.Reason != "user" || seen() {
		t.Errorf("hide: %+v %v", h, err)
	}
	if n := w.toldState("hidden"); n.Reason != "user" || n.VideoID != v.ID {
		t.Errorf("told %+v", n)
	}
	if st := w.until(alice, v.ID, "hidden"); video.ReasonText("en", st.State, st.Reason) != "user" {
		t.Errorf("%+v: a moderator's word became a text of ours", st)
	}
	if a, err := w.Approve(ctx, v.ID); err != nil || a.Reason != "" || !seen() {
		t.Errorf("approve what was hidden: %+v %v", a, err)
	}
	if _, err := w.Remove(ctx, v.ID); err != nil || seen() {
		t.Errorf("remove: %v", err)
	}
	w.toldState(video.StateDeleted)
	for what, do := range map[string]func() error{
		"show":    func() error { _, err := w.Show(ctx, v.ID); return err },
		"hide":    func() error { _, err := w.Hide(ctx, v.ID, ""); return err },
		"approve": func() error { _, err := w.Approve(ctx, v.ID); return err },
		"remove":  func() error { _, err := w.Remove(ctx, v.ID); return err },
		"remake":  func() error { _, err := w.Remake(ctx, v.ID); return err },
	} {
		want(t, what+" of what is gone", do(), protocol.CodeUnknown)
	}
}

// What is hidden before it was made is made once it is approved.
func TestAHiddenUploadIsMadeWhenItIsApproved(t *testing.T) {
	w := openShop(t, shop{})
	alice := w.person("alice")
	v := w.send(alice, "x", makeClip(t))
	if h, err := w.Hide(t.Context(), v.ID, "wait"); err != nil || h.State != store.VideoHidden {
		t.Fatalf("%+v %v", h, err)
	}
	w.run()
	w.wait("the job is done", func() bool { st := w.jobs.Stats(); return st.Depth+st.Leased == 0 })
	if a, err := w.Approve(t.Context(), v.ID); err != nil || a.State != store.VideoQueued {
		t.Fatalf("%+v %v", a, err)
	}
	w.until(alice, v.ID, "ready")
}

func TestVideosAreMadeAnew(t *testing.T) {
	cfg := video.ProcessConfig{MaxBytes: 8 << 20, KeepSource: true}
	w := openShop(t, shop{cfg: &cfg})
	ctx := t.Context()
	alice := w.person("alice")
	v := w.send(alice, "x", makeClip(t))
	w.run()
	w.until(alice, v.ID, "ready")
	cfg.Review = true // who made it ready has seen it
	w.Processor.SetConfig(cfg)
	keys := []string{v.Key}
	for range 2 {
		before := keys[len(keys)-1]
		if r, err := w.Remake(ctx, v.ID); err != nil || r.State != store.VideoReady || r.Key != before {
			t.Fatalf("%+v %v", r, err)
		}
		w.wait("other files", func() bool { now, err := w.store.Video(ctx, v.ID); return err == nil && now.Key != before })
		now, err := w.store.Video(ctx, v.ID)
		if err != nil || now.State != store.VideoReady || now.Replacement != "" || slices.Contains(keys, now.Key) || len(w.files(now.Key+"/")) == 0 {
			t.Fatalf("%+v %v", now, err)
		}
		keys = append(keys, now.Key)
	}
	if err := w.blobs.Delete(ctx, "src/"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Remake(ctx, v.ID)
	want(t, "without its file", err, protocol.CodeConflict)
}

func TestWhatFailedIsMadeAnew(t *testing.T) {
	ffmpeg := t.TempDir() + "/ffmpeg"
	script(t, ffmpeg, "exit 1")
	w := openShop(t, shop{clips: clip.Config{FFmpeg: ffmpeg}})
	ctx := t.Context()
	alice := w.person("alice")
	file := makeClip(t)
	a, b := w.send(alice, "a", file), w.send(alice, "b", append(slices.Clone(file), 0))
	cut := w.send(alice, "cut", file[:len(file)/2])
	w.run()
	for _, v := range []store.Video{a, b, cut} {
		w.until(alice, v.ID, "failed")
	}
	w.wait("dead letters", func() bool { return w.jobs.Stats().Dead == 2 })
	script(t, ffmpeg, `exec /usr/bin/ffmpeg "$@"`)
	r, err := w.RemakeFailed(ctx, 0)
	if err != nil || r != (video.Remade{Queued: 2, Gone: 1}) || w.jobs.Stats().Dead != 0 {
		t.Errorf("%+v %v, %+v", r, err, w.jobs.Stats())
	}
	w.wait("both are ready", func() bool {
		n := 0
		for _, v := range []store.Video{a, b} {
			if now, err := w.store.Video(ctx, v.ID); err == nil && now.State == store.VideoReady {
				n++
			}
		}
		return n == 2
	})
	_, err = w.Hide(ctx, cut.ID, "")
	want(t, "hide what failed", err, protocol.CodeConflict)
}

// Found while replacing was looked at: a file that was uploaded again within the
// hour in which its old folder is kept went with that folder.
func TestTheSameFileTwiceWithinTheHourStays(t *testing.T) {
	w := openShop(t, shop{cfg: &video.ProcessConfig{MaxBytes: 8 << 20}})
	ctx := t.Context()
	alice := w.person("alice")
	one := makeClip(t)
	two := makeClip(t, "-f", "lavfi", "-i", "testsrc=s=96x128:r=25:d=2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
	v := w.send(alice, "x", one)
	w.run()
	w.until(alice, v.ID, "ready")
	for i, file := range [][]byte{two, one} {
		r, err := w.Receive(ctx, alice, "b.mp4", bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.Replace(ctx, alice, r, v.ID); err != nil {
			t.Fatal(err)
		}
		w.wait("replacement", func() bool {
			now, err := w.store.Video(ctx, v.ID)
			return err == nil && now.Width == []int{96, 128}[i] && now.Replacement == ""
		})
	}
	now, err := w.store.Video(ctx, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Hour)
	if gone, err := w.store.GoneMedia(ctx, 10); err != nil || slices.Contains(gone, now.Key) || len(gone) != 2 {
		t.Errorf("the files of %s are to go: %v %v", now.Key, gone, err)
	}
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestImports(t *testing.T) {
	w := openShop(t, shop{cfg: &video.ProcessConfig{MaxBytes: 1 << 20, Quota: 2 << 20}})
	ctx := t.Context()
	alice := w.person("alice")
	file := makeClip(t)
	i := video.Import{Owner: alice.User, Title: " sea ", Visibility: "private", Name: "a\x00.mp4", Hash: hashOf(file), Size: int64(len(file))}
	if v, there, err := w.CheckImport(ctx, i); err != nil || there || v.ID != 0 {
		t.Fatalf("%+v %v %v", v, there, err)
	}
	v, there, err := w.Import(ctx, i, bytes.NewReader(file))
	if err != nil || there || v.Title != "sea" || v.Visibility != store.VideoPrivate || v.State != store.VideoQueued || v.SourceName != "a.mp4" {
		t.Fatalf("%+v %v %v", v, there, err)
	}
	w.run()
	w.until(alice, v.ID, "ready")
	w.wait("the uploaded file was let go", func() bool { now, err := w.store.Video(ctx, v.ID); return err == nil && now.SourceHash == "" })
	for _, again := range []func() (store.Video, bool, error){
		func() (store.Video, bool, error) { return w.CheckImport(ctx, i) },
		func() (store.Video, bool, error) { return w.Import(ctx, i, bytes.NewReader(file)) },
	} {
		if a, there, err := again(); err != nil || !there || a.ID != v.ID {
			t.Errorf("again: %+v %v %v", a, there, err)
		}
	}
	other := i
	other.Title = "ocean"
	if _, there, err := w.CheckImport(ctx, other); err != nil || there {
		t.Errorf("another title: %v %v", there, err)
	}
	if _, err := w.Remove(ctx, v.ID); err != nil {
		t.Fatal(err)
	}
	if _, there, err := w.CheckImport(ctx, i); err != nil || there {
		t.Errorf("deleted: %v %v", there, err)
	}

	cut := file[:len(file)/2]
	c := video.Import{Owner: alice.User, Title: "cut", Hash: hashOf(cut), Size: int64(len(cut))}
	first, _, err := w.Import(ctx, c, bytes.NewReader(cut))
	if err != nil {
		t.Fatal(err)
	}
	w.until(alice, first.ID, "failed")
	if second, there, err := w.Import(ctx, c, bytes.NewReader(cut)); err != nil || there || second.ID != first.ID || second.State != store.VideoQueued {
		t.Errorf("what failed is tried again as the same video: %+v %v %v", second, there, err)
	}
	w.until(alice, first.ID, "failed")
}

func TestImportsAreBounded(t *testing.T) {
	w := openShop(t, shop{cfg: &video.ProcessConfig{MaxBytes: 1 << 20, Quota: 3 << 20, UploadsPerHour: 1}})
	ctx := t.Context()
	alice := w.person("alice")
	file := makeClip(t)
	i := video.Import{Owner: alice.User, Size: int64(len(file))}
	for what, c := range map[string]struct {
		i    video.Import
		code protocol.Code
	}{
		"too large":  {video.Import{Owner: alice.User, Size: 1<<20 + 1}, protocol.CodeBadValue},
		"title":      {video.Import{Owner: alice.User, Title: strings.Repeat("x", 201)}, protocol.CodeBadValue},
		"visibility": {video.Import{Owner: alice.User, Visibility: "all"}, protocol.CodeBadValue},
		"hash":       {video.Import{Owner: alice.User, Hash: "AB"}, protocol.CodeBadValue},
	} {
		_, _, err := w.CheckImport(ctx, c.i)
		want(t, what, err, c.code)
	}
	_, _, err := w.Import(ctx, i, strings.NewReader("text"))
	want(t, "no video", err, protocol.CodeBadValue)
	_, _, err = w.Import(ctx, i, strings.NewReader(""))
	want(t, "nothing", err, protocol.CodeBadValue)
	wrong := i
	wrong.Hash = hashOf([]byte("x"))
	_, _, err = w.Import(ctx, wrong, bytes.NewReader(file))
	want(t, "another file", err, protocol.CodeConflict)
	_, _, err = w.Import(ctx, i, io.MultiReader(bytes.NewReader(file), bytes.NewReader(make([]byte, 1<<20))))
	want(t, "larger than it said", err, protocol.CodeBadValue)
	_, _, err = w.Import(ctx, i, &broken{file})
	if err == nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken off: %v", err)
	}
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	// Nothing is processed here: after some, the rest has to wait. The limit for
	// uploads of users does not count.
	for n := range 4 {
		if _, _, err := w.Import(ctx, i, bytes.NewReader(append(slices.Clone(file), byte(n)))); err != nil {
			t.Fatalf("import %d: %v", n, err)
		}
	}
	_, _, err = w.CheckImport(ctx, i)
	want(t, "queue is full", err, protocol.CodeTooOften)
	if _, err := w.store.SetVideoState(ctx, 2, store.VideoFailed, ""); err != nil {
		t.Fatal(err)
	}
}

type broken struct{ rest []byte }

func (b *broken) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func TestImportsNeedRoomAndFFmpeg(t *testing.T) {
	ctx := t.Context()
	w := openShop(t, shop{minFree: 1 << 60})
	_, _, err := w.CheckImport(ctx, video.Import{Owner: w.person("alice").User})
	want(t, "full disk", err, protocol.CodeNoRoom)
	w = openShop(t, shop{clips: clip.Config{FFmpeg: "/nowhere/ffmpeg"}})
	_, _, err = w.CheckImport(ctx, video.Import{Owner: w.person("alice").User})
	want(t, "no ffmpeg", err, protocol.CodeNoRoom)

	w = openShop(t, shop{cfg: &video.ProcessConfig{MaxBytes: 1 << 20, Quota: 10}})
	alice := w.person("alice")
	file := makeClip(t)
	i := video.Import{Owner: alice.User, Size: int64(len(file))}
	_, _, err = w.CheckImport(ctx, i)
	want(t, "quota", err, protocol.CodeNoRoom)
	i.NoQuota = true
	if _, _, err := w.Import(ctx, i, bytes.NewReader(file)); err != nil {
		t.Errorf("without quota: %v", err)
	}
}
