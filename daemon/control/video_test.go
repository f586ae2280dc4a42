package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/daemon/control"
	"gtiv/daemon/video"
	"gtiv/protocol"
	"gtiv/store"
)

// fakeVideos remembers what it was asked, in the list of fakeAccounts, and knows
// video 7 of ann.
type fakeVideos struct {
	*fakeAccounts
	mu   sync.Mutex
	file []byte // imported last
	err  error
}

func seven() store.Video {
	return store.Video{
		ID: 7, Owner: 10001, Title: "sea", State: store.VideoReview, Key: "2026/k", Width: 720, Height: 1280, DurationMS: 5000, SizeBytes: 9,
		SourceName: "a.mp4", Attempts: 1, SupportNum: 3, CreatedAt: 1_700_000_000_000,
	}
}

func (f *fakeVideos) List(_ context.Context, q store.VideoFilter) ([]store.VideoNamed, error) {
	v := seven()
	v.State, v.Reason = store.VideoFailed, "clipTooLong"
	return []store.VideoNamed{{Video: v, Username: "ann"}}, f.called("videos %+v", q)
}

func (f *fakeVideos) Show(_ context.Context, id int64) (video.Detail, error) {
	if id != 7 {
		return video.Detail{}, protocol.Errorf(protocol.CodeUnknown, "noSuchVideo")
	}
	return video.Detail{
		VideoNamed: store.VideoNamed{Video: seven(), Username: "ann"}, Status: video.Status{State: "review", Percent: 100},
		Tags: []string{"sea"}, Source: true, Files: 4, Bytes: 99,
	}, f.called("show %d", id)
}

func (f *fakeVideos) change(what string, id int64) (store.Video, error) {
	if f.err != nil {
		return store.Video{}, f.err
	}
	return seven(), f.called("%s %d", what, id)
}

func (f *fakeVideos) Hide(_ context.Context, id int64, reason string) (store.Video, error) {
	return f.change("hide "+reason, id)
}

func (f *fakeVideos) Approve(_ context.Context, id int64) (store.Video, error) {
	return f.change("approve", id)
}

func (f *fakeVideos) Remove(_ context.Context, id int64) (store.Video, error) {
	return f.change("remove", id)
}

func (f *fakeVideos) Remake(_ context.Context, id int64) (store.Video, error) {
	return f.change("remake", id)
}

func (f *fakeVideos) RemakeFailed(_ context.Context, after int64) (video.Remade, error) {
	return video.Remade{Queued: 2, Gone: 1, Next: 9}, f.called("remake failed %d", after)
}

func (f *fakeVideos) CheckImport(_ context.Context, i video.Import) (store.Video, bool, error) {
	if i.Hash == "known" {
		return seven(), true, nil
	}
	return store.Video{}, false, errors.Join(f.err, f.called("check %+v", i))
}

func (f *fakeVideos) Import(_ context.Context, i video.Import, r io.Reader) (store.Video, bool, error) {
	if f.err != nil {
		return store.Video{}, false, f.err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return store.Video{}, false, err
	}
	f.mu.Lock()
	f.file = b
	f.mu.Unlock()
	return seven(), false, f.called("import %s %d", i.Name, i.Owner)
}

// fakeQueues knows the topic work and its dead job j.
type fakeQueues struct{ *fakeAccounts }

func (f fakeQueues) List() []protocol.Queue {
	return []protocol.Queue{{Name: "work", Depth: 2, Dead: 1}}
}

func (f fakeQueues) Jobs(_ context.Context, q protocol.QueueJobFilter) (protocol.QueueJobs, error) {
	if q.Topic != "work" {
		return protocol.QueueJobs{}, protocol.Errorf(protocol.CodeUnknown, "noSuchTopic", q.Topic)
	}
	return protocol.QueueJobs{List: []protocol.QueueJob{{ID: "j", State: "dead", Reason: "why"}}, Next: "j"}, f.called("jobs %+v", q)
}

func (f fakeQueues) Retry(_ context.Context, topic, id string) (int, error) {
	return 3, f.called("retry %s %s", topic, id)
}

func (f fakeQueues) Drop(_ context.Context, topic, id string) (int, error) {
	if id == "nothing" {
		return 0, nil
	}
	return 1, f.called("drop %s %s", topic, id)
}

// withVideos starts a server with fakes that keep their calls apart from those of
// the others.
func withVideos(t *testing.T) (*world, *fakeVideos) {
	t.Helper()
	var videos *fakeVideos
	w := start(t, func(d *control.Deps) {
		videos = &fakeVideos{fakeAccounts: d.Accounts.(*fakeAccounts)}
		d.Videos, d.Queues = videos, fakeQueues{videos.fakeAccounts}
	})
	return w, videos
}

func TestVideosThroughTheClient(t *testing.T) {
	w, _ := withVideos(t)
	ctx := t.Context()
	list := must[*protocol.VideoList](t)(w.Videos(ctx, protocol.VideoFilter{State: "failed", User: "ann", Oldest: true, After: 5, Limit: 1}))
	if got := w.fake.last(); got != "videos {State:3 Owner:10001 Oldest:true After:5 Limit:1}" {
		t.Errorf("asked %s", got)
	}
	if v := list.List[0]; list.Next != 7 || v.Username != "ann" || v.State != "failed" || v.Reason != "This video is too long." || v.Likes != 3 || v.Detail != nil {
		t.Errorf("list %+v", list)
	}
	must[*protocol.VideoList](t)(w.Videos(ctx, protocol.VideoFilter{}))
	if got := w.fake.last(); got != "videos {State:-1 Owner:0 Oldest:false After:0 Limit:50}" {
		t.Errorf("asked %s", got)
	}
	v := must[*protocol.Video](t)(w.Video(ctx, 7))
	if d := v.Detail; v.State != "review" || d == nil || d.Link != "/o/s.10001/2026/k/index.m3u8" || d.URL != "https://x"+d.Link || d.Files != 4 ||
		!d.Source || d.UploadName != "a.mp4" || len(d.Tags) != 1 || v.CreatedAt.UnixMilli() != 1_700_000_000_000 {
		t.Errorf("video %+v %+v", v, v.Detail)
	}
	if q := must[*protocol.QueueList](t)(w.Queues(ctx)); len(q.List) != 1 || q.List[0].Dead != 1 {
		t.Errorf("queues %+v", q)
	}
	jobs := must[*protocol.QueueJobs](t)(w.QueueJobs(ctx, protocol.QueueJobFilter{Topic: "work", Dead: true, After: "i", Limit: 1}))
	if w.fake.last() != "jobs {Topic:work Dead:true After:i Limit:1}" || jobs.Next != "j" || jobs.List[0].Reason != "why" {
		t.Errorf("%s: %+v", w.fake.last(), jobs)
	}
	if c := must[*protocol.Checkup](t)(w.Doctor(ctx, false)); !c.Healthy() || c.Checks[0].Name != "disk" {
		t.Errorf("checkup %+v", c)
	}
	if r := must[*protocol.Imported](t)(w.CheckImport(ctx, protocol.ImportVideo{User: "ann", Title: "t&", Name: "n", Size: 5, NoQuota: true})); r.Video != nil || r.There ||
		w.fake.last() != "check {Owner:10001 Title:t& Tags: Visibility: Name:n Hash: Size:5 NoQuota:true}" {
		t.Errorf("%s: %+v", w.fake.last(), r)
	}
	if r := must[*protocol.Imported](t)(w.CheckImport(ctx, protocol.ImportVideo{User: "ann", Hash: "known"})); r.Video == nil || r.Video.ID != 7 || !r.There {
		t.Errorf("%+v", r)
	}
	if len(w.audited()) != 0 {
		t.Errorf("reading was audited: %+v", w.audited())
	}
}

func TestChangesOfVideosAndQueuesAreAudited(t *testing.T) {
	w, _ := withVideos(t)
	ctx := t.Context()
	for _, c := range []struct {
		do                           func() error
		call, action, target, detail string
	}{
		{func() error { return second(w.HideVideo(ctx, protocol.HideVideo{ID: 7, Reason: "rude"})) }, "hide rude 7", "video.hide", "video 7 of user 10001", "rude"},
		{func() error { return second(w.ApproveVideo(ctx, 7)) }, "approve 7", "video.approve", "video 7 of user 10001", ""},
		{func() error { return second(w.DeleteVideo(ctx, 7)) }, "remove 7", "video.delete", "video 7 of user 10001", "sea"},
		{func() error { return second(w.ReprocessVideos(ctx, protocol.ReprocessVideos{ID: 7})) }, "remake 7", "video.reprocess", "video 7 of user 10001", ""},
		{func() error {
			r, err := w.ReprocessVideos(ctx, protocol.ReprocessVideos{Failed: true, After: 3})
			if err == nil && *r != (protocol.Reprocessed{Queued: 2, Gone: 1, Next: 9}) {
				err = fmt.Errorf("got %+v", r)
			}
			return err
		}, "remake failed 3", "video.reprocess", "videos that failed", "2 queued"},
		{func() error {
			file := bytes.Repeat([]byte("x"), protocol.MaxControlBodyBytes*3)
			return second(w.ImportVideo(ctx, protocol.ImportVideo{User: "ann", Name: "a.mp4", Size: int64(len(file))}, bytes.NewReader(file)))
		}, "import a.mp4 10001", "video.import", "video 7 of user 10001", "a.mp4"},
		{func() error { return second(w.RetryJobs(ctx, protocol.QueueRef{Topic: "work", All: true})) }, "retry work ", "queue.retry", "topic work", "3 jobs"},
		{func() error { return second(w.DropJobs(ctx, protocol.QueueRef{Topic: "work", ID: "j"})) }, "drop work j", "queue.drop", "topic work", "job j"},
		{func() error { return second(w.Doctor(ctx, true)) }, "drop work j", "doctor.fix", "", "fixed disk"},
	} {
		before := len(w.audited())
		if err := c.do(); err != nil || w.fake.last() != c.call {
			t.Errorf("%s: %v, called %q, want %q", c.action, err, w.fake.last(), c.call)
			continue
		}
		a := w.audited()
		if e := a[len(a)-1]; len(a) != before+1 || e.Action != c.action || e.Target != c.target || e.Detail != c.detail {
			t.Errorf("audit %+v", e)
		}
	}
	n := len(w.audited())
	if err := second(w.DropJobs(ctx, protocol.QueueRef{Topic: "work", ID: "nothing"})); err != nil || len(w.audited()) != n {
		t.Errorf("what changed nothing was audited, or failed: %v", err)
	}
}

func TestVideosRefuseWrongInput(t *testing.T) {
	w, _ := withVideos(t)
	ctx := t.Context()
	long := strings.Repeat("长", 201)
	for name, err := range map[string]error{
		"State":           second(w.Videos(ctx, protocol.VideoFilter{State: "lost"})),
		"After":           second(w.Videos(ctx, protocol.VideoFilter{After: -1})),
		"Limit":           second(w.Videos(ctx, protocol.VideoFilter{Limit: 201})),
		"ID is not":       second(w.Video(ctx, 0)),
		"ID is missing":   second(w.HideVideo(ctx, protocol.HideVideo{})),
		"the reason":      second(w.HideVideo(ctx, protocol.HideVideo{ID: 7, Reason: long})),
		"ID":              second(w.ApproveVideo(ctx, -1)),
		"missing":         second(w.DeleteVideo(ctx, 0)),
		"name a video":    second(w.ReprocessVideos(ctx, protocol.ReprocessVideos{})),
		"all that failed": second(w.ReprocessVideos(ctx, protocol.ReprocessVideos{ID: 7, Failed: true})),
		"Topic":           second(w.QueueJobs(ctx, protocol.QueueJobFilter{})),
		"After is too":    second(w.QueueJobs(ctx, protocol.QueueJobFilter{Topic: "work", After: strings.Repeat("x", 501)})),
		"Topic is":        second(w.RetryJobs(ctx, protocol.QueueRef{ID: "j"})),
		"name a job":      second(w.RetryJobs(ctx, protocol.QueueRef{Topic: "work"})),
		"or all":          second(w.DropJobs(ctx, protocol.QueueRef{Topic: "work", ID: "j", All: true})),
		"User is missing": second(w.CheckImport(ctx, protocol.ImportVideo{})),
		"Size":            second(w.CheckImport(ctx, protocol.ImportVideo{User: "ann", Size: -1})),
		"Title is too":    second(w.CheckImport(ctx, protocol.ImportVideo{User: "ann", Title: strings.Repeat("x", 5000)})),
		"Size is":         second(w.ImportVideo(ctx, protocol.ImportVideo{User: "ann", Size: -1}, strings.NewReader(""))),
	} {
		e, ok := errors.AsType[*protocol.ControlError](err)
		if !ok || e.Code != protocol.ControlBadRequest || !strings.Contains(e.Message, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"no such user":  second(w.Videos(ctx, protocol.VideoFilter{User: "bob"})),
		"no such video": second(w.Video(ctx, 8)),
		"no topic":      second(w.QueueJobs(ctx, protocol.QueueJobFilter{Topic: "x"})),
		"unknown user":  second(w.CheckImport(ctx, protocol.ImportVideo{User: "bob"})),
	} {
		if e, ok := errors.AsType[*protocol.ControlError](err); !ok || e.Code != protocol.ControlNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.fake.last() != "" || len(w.audited()) != 0 {
		t.Errorf("called %s, audited %+v", w.fake.last(), w.audited())
	}
}

// Whoever sends a large file reads why it was refused, although nobody wanted the
// rest of it.
func TestARefusedImportIsAnswered(t *testing.T) {
	w, videos := withVideos(t)
	for code, want := range map[protocol.Code]protocol.ControlCode{
		protocol.CodeBadValue: protocol.ControlBadRequest, protocol.CodeNoRoom: protocol.ControlNoRoom, protocol.CodeTooOften: protocol.ControlTooOften,
		protocol.CodeConflict: protocol.ControlConflict,
	} {
		videos.err = protocol.Errorf(code, "clipNotVideo")
		file := bytes.NewReader(make([]byte, 8<<20))
		_, err := w.ImportVideo(t.Context(), protocol.ImportVideo{User: "ann", Name: "a.mp4", Size: file.Size()}, file)
		if e, ok := errors.AsType[*protocol.ControlError](err); !ok || e.Code != want {
			t.Errorf("%d: %v", code, err)
		}
	}
	if len(w.audited()) != 0 {
		t.Errorf("audited %+v", w.audited())
	}
}

// A file that comes slowly is not cut off by the time that other requests have; one
// that breaks off is no fault of the daemon.
func TestAnImportTakesItsTime(t *testing.T) {
	if testing.Short() {
		t.Skip("waits longer than a request may take")
	}
	t.Parallel()
	w, videos := withVideos(t)
	pr, pw := io.Pipe()
	go func() {
		for range 3 {
			time.Sleep(4 * time.Second)
			_, _ = pw.Write([]byte("slow"))
		}
		_ = pw.Close()
	}()
	if _, err := w.ImportVideo(t.Context(), protocol.ImportVideo{User: "ann", Name: "a.mp4", Size: 12}, pr); err != nil || string(videos.file) != "slowslowslow" {
		t.Errorf("%v, %q", err, videos.file)
	}
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "POST /v1/videos/import?User=ann&Size=100 HTTP/1.1\r\nHost: gtiv\r\nContent-Length: "+strconv.Itoa(100)+"\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if _, err := w.Status(t.Context()); err != nil {
		t.Error(err)
	}
	if log := w.logged(); strings.Contains(log, "level=ERROR") {
		t.Errorf("log of pid %d:\n%s", os.Getpid(), log)
	}
}
