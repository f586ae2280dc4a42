package control_test

import (
	"context"
	"errors"
	"testing"

	"gtiv/daemon/record"
	"gtiv/protocol"
	"gtiv/store"
)

// fakeRecords notes what it is asked.
type fakeRecords struct{ *fakeAccounts }

func (f fakeRecords) AnySetting(_ context.Context, room int64) (record.Setting, error) {
	return record.Setting{Room: room, Mode: "flv"}, f.called("setting %d", room)
}

func (f fakeRecords) SetAny(_ context.Context, room int64, mode string) (record.Setting, error) {
	if mode == "x" {
		return record.Setting{}, protocol.Errorf(protocol.CodeBadValue, "badRecord")
	}
	return record.Setting{Room: room, Mode: mode}, f.called("set %d %s", room, mode)
}

func film() store.Recording {
	return store.Recording{
		ID: 5, Room: 1000000001, Owner: 10001, Title: "t", Format: "mp4", State: store.RecordingDone, Reason: "recordQuota", Began: 1_700_000_000_000,
		DurationMS: 5000, Bytes: 9, Video: 7,
	}
}

func (f fakeRecords) All(_ context.Context, room, before int64, limit int) ([]store.Recording, error) {
	return []store.Recording{film()}, f.called("recordings %d %d %d", room, before, limit)
}

func (f fakeRecords) Remove(_ context.Context, id int64) (store.Recording, error) {
	return film(), f.called("remove recording %d", id)
}

func TestRecordingsThroughTheClient(t *testing.T) {
	w := start(t, nil)
	ctx := t.Context()
	if v := must[*protocol.LiveRecord](t)(w.LiveRecord(ctx, 1000000001)); w.fake.last() != "setting 1000000001" || v.Record != "flv" {
		t.Errorf("%s: %+v", w.fake.last(), v)
	}
	list := must[*protocol.RecordingList](t)(w.Recordings(ctx, protocol.RecordingFilter{Room: 1000000001, After: 8, Limit: 1}))
	if r := list.List[0]; w.fake.last() != "recordings 1000000001 8 1" || list.Next != 5 || r.File != "1000000001/20231114-221320-5.mp4" || r.State != "done" ||
		r.Reason != protocol.Text("en", "recordQuota") || r.Video != 7 {
		t.Errorf("%s: %+v", w.fake.last(), list)
	}
	if list = must[*protocol.RecordingList](t)(w.Recordings(ctx, protocol.RecordingFilter{})); w.fake.last() != "recordings 0 0 50" || list.Next != 0 {
		t.Errorf("%s: %+v", w.fake.last(), list)
	}
	if len(w.audited()) != 0 {
		t.Errorf("reading was audited: %+v", w.audited())
	}
	if v := must[*protocol.LiveRecord](t)(w.SetLiveRecord(ctx, protocol.LiveRecord{Room: 1000000001, Record: "mp4"})); w.fake.last() != "set 1000000001 mp4" || v.Record != "mp4" {
		t.Errorf("%s: %+v", w.fake.last(), v)
	}
	if r := must[*protocol.Recording](t)(w.DeleteRecording(ctx, 5)); w.fake.last() != "remove recording 5" || r.ID != 5 {
		t.Errorf("%s: %+v", w.fake.last(), r)
	}
	if a := w.audited(); len(a) != 2 || a[0].Action != "live.record" || a[0].Target != "live 1000000001" || a[1].Action != "recording.delete" {
		t.Errorf("%+v", w.audited())
	}
	for _, err := range []error{
		second(w.LiveRecord(ctx, -1)), second(w.SetLiveRecord(ctx, protocol.LiveRecord{})), second(w.SetLiveRecord(ctx, protocol.LiveRecord{Room: 1, Record: "x"})),
		second(w.DeleteRecording(ctx, 0)), second(w.Recordings(ctx, protocol.RecordingFilter{Room: -1})), second(w.Recordings(ctx, protocol.RecordingFilter{Limit: 500})),
	} {
		if e, ok := errors.AsType[*protocol.ControlError](err); !ok || e.Code != protocol.ControlBadRequest {
			t.Errorf("%v", err)
		}
	}
}
