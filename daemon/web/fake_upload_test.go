package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"gtiv/daemon/video"
	"gtiv/protocol"
	"gtiv/store"
)

// fakeUpload takes every file.
type fakeUpload struct{ *fakes }

func (f fakeUpload) MaxBytes() int64 { return 1 << 20 }

func (f fakeUpload) Begin(_ context.Context, c video.Caller, size int64, u video.Upload) error {
	return f.call(fmt.Sprintf("Begin %d %d %s", c.User, size, u.Title))
}

func (f fakeUpload) Space(int64) error { return nil }

func (f fakeUpload) CheckHead(head []byte) error {
	if bytes.HasPrefix(head, []byte("bad")) {
		return protocol.Errorf(protocol.CodeBadValue, "clipNotVideo")
	}
	return nil
}

func (f fakeUpload) Adopt(_ context.Context, _ video.Caller, name, path string) (video.Received, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return video.Received{}, err
	}
	return video.Received{}, f.call(fmt.Sprintf("Adopt %s %s", name, b))
}

func (f fakeUpload) Receive(_ context.Context, _ video.Caller, name string, r io.Reader) (video.Received, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return video.Received{}, err
	}
	return video.Received{}, f.call(fmt.Sprintf("Receive %s %d", name, len(b)))
}

func (f fakeUpload) Submit(_ context.Context, c video.Caller, _ video.Received, u video.Upload) (store.Video, error) {
	v := clip().Video
	v.ID, v.Owner, v.State = 7, c.User, store.VideoQueued
	return v, f.call("Submit " + u.Title + " " + u.Tags + " " + u.Visibility)
}

func (f fakeUpload) Replace(_ context.Context, _ video.Caller, _ video.Received, id int64) (store.Video, error) {
	v := clip().Video
	v.ID = id
	return v, f.call(fmt.Sprint("Replace ", id))
}

func (f fakeUpload) OwnByKey(_ context.Context, _ video.Caller, key string) (int64, error) {
	return 8, f.call("OwnByKey " + key)
}

func (f fakeUpload) Status(_ context.Context, _ video.Caller, id int64) (video.Status, error) {
	return video.Status{State: "failed", Percent: 3, Reason: "clipTooLong"}, f.call(fmt.Sprint("Status ", id))
}

func (f fakeUpload) Own(context.Context, video.Caller, int64) ([]video.Own, int64, error) {
	ready := clip().Video
	ready.State = store.VideoReady
	waiting := clip().Video
	waiting.Key = ""
	hidden := clip().Video
	hidden.State = store.VideoHidden
	return []video.Own{
		{Video: ready, Status: video.Status{State: "ready", Percent: 100}}, {Video: waiting, Status: video.Status{State: "queued"}},
		{Video: hidden, Status: video.Status{State: "hidden", Reason: "rude"}},
	}, 5, f.call("Own")
}

// token is the upload token of the tests.
func (f *fakes) token(user int64, _ time.Duration) (token, base string) {
	return fmt.Sprintf("key:mac:%d", user), f.remote
}
