package web_test

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/record"
	"gtiv/daemon/web"
	"gtiv/protocol"
	"gtiv/store"
)

// fakeRecords knows one recording of each state.
type fakeRecords struct{ *fakes }

func (f fakeRecords) Setting(_ context.Context, _ record.Caller, room int64) (record.Setting, error) {
	return record.Setting{Room: room, Mode: "off"}, f.call("Setting")
}

func (f fakeRecords) Set(_ context.Context, _ record.Caller, room int64, mode string) (record.Setting, error) {
	return record.Setting{Room: room, Mode: mode}, f.call("Set " + mode)
}

func recordings() []store.Recording {
	return []store.Recording{
		{ID: 9, Room: 1000000001, Owner: self, Title: "t", Format: "mp4", State: store.RecordingRuns, Began: 1700000000000},
		{ID: 8, Room: 1000000001, Owner: self, Title: "t", Format: "flv", State: store.RecordingDone, Reason: "recordQuota", DurationMS: 2600, Bytes: 5, Video: 3},
		{ID: 7, Room: 1000000001, Owner: self, Title: "t", Format: "mp4", State: store.RecordingFailed, Reason: "recordCodec"},
	}
}

func (f fakeRecords) List(context.Context, record.Caller, int64, int64) ([]store.Recording, int64, error) {
	return recordings(), 7, f.call("List")
}

func (f fakeRecords) Publish(_ context.Context, _ record.Caller, _ int64, title string) (int64, error) {
	return 3, f.call("Publish " + title)
}

func (f fakeRecords) Delete(context.Context, record.Caller, int64) error { return f.call("Delete") }

func (f fakeRecords) Open(context.Context, int64, int64) (*os.File, store.Recording, error) {
	return nil, store.Recording{}, protocol.Errorf(protocol.CodeUnknown, "noSuchRecording")
}

// shelf serves the files of recordings.
type shelf struct {
	fakeRecords
	dir    string
	viewer int64
}

func (s *shelf) Open(_ context.Context, viewer, id int64) (*os.File, store.Recording, error) {
	for _, r := range recordings() {
		if r.ID == id && viewer == s.viewer {
			f, err := os.Open(filepath.Join(s.dir, r.Name()))
			return f, r, err
		}
	}
	return nil, store.Recording{}, protocol.Errorf(protocol.CodeUnknown, "noSuchRecording")
}

func TestRecordingsAreListedAndServedToWhomTheirAddressIs(t *testing.T) {
	s := &shelf{dir: t.TempDir(), viewer: self}
	for _, r := range recordings()[:2] {
		if err := os.WriteFile(filepath.Join(s.dir, r.Name()), []byte("film of "+r.Format), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newSite(t, func(_ *web.Config, d *web.Deps) {
		s.fakes = &fakes{}
		d.Records, d.Signer = s, &web.Signer{Key: []byte("k"), Now: func() time.Time { return time.Unix(1700000000, 0) }}
	})
	rep := w.do("GET", "/live/record/list?RoomId=1000000001", "")
	list, _ := object(t, rep)["List"].([]any)
	if rep.Code != 200 || len(list) != 3 || object(t, rep)["Next"] != float64(7) {
		t.Fatal(rep.Code, rep.Body)
	}
	item := func(i int) map[string]any { return list[i].(map[string]any) }
	if item(0)["State"] != "recording" || item(1)["State"] != "done" || item(1)["Seconds"] != float64(3) || item(1)["VideoId"] != float64(3) ||
		item(1)["Reason"] != protocol.Text("en", "recordQuota") || item(2)["Url"] != "" || item(2)["Reason"] != protocol.Text("en", "recordCodec") {
		t.Error(rep.Body)
	}
	path := func(i int) string {
		u, _ := item(i)["Url"].(string)
		return u[strings.Index(u, "/live/"):]
	}
	get := func(path string, headers ...string) *httptest.ResponseRecorder {
		return w.do("GET", path, "", append([]string{"Authorization", ""}, headers...)...)
	}
	for i, want := range []struct{ typ, cache string }{{"video/mp4", "no-store"}, {"video/x-flv", "private, max-age=86400"}} {
		rep := get(path(i), "Range", "bytes=5-")
		h := rep.Header()
		if rep.Code != 206 || rep.Body.String() != "of "+strings.TrimPrefix(want.typ, "video/x-") && want.typ != "video/mp4" ||
			h.Get("Content-Type") != want.typ || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != want.cache ||
			!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %d %q %v", path(i), rep.Code, rep.Body, h)
		}
	}
	forged := strings.Replace(path(0), "record-9", "record-8", 1)
	for _, bad := range []string{forged, "/live/record/file/record-9.mp4", "/live/record/file/s.x.y.z/record-9.mp4", strings.Replace(path(1), ".flv", ".mp4", 1)} {
		if rep := get(bad); rep.Code != 404 {
			t.Errorf("%s: %d", bad, rep.Code)
		}
	}
	s.viewer = peer // it is somebody else's by now
	if rep := get(path(0)); rep.Code != 404 {
		t.Errorf("of somebody else: %d", rep.Code)
	}
}
