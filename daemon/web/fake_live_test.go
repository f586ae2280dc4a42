package web_test

import (
	"context"
	"fmt"
	"time"

	"gtiv/daemon/live"
	"gtiv/daemon/video/sample"
	"gtiv/protocol"
	"gtiv/store"
)

// fakeLive is apart, like fakeVideo: List has another form there.
type fakeLive struct{ *fakes }

func (f fakeLive) List(context.Context, int64) ([]live.Room, error) {
	return []live.Room{{ID: 1000000000, Owner: person(10000), Title: "t", Cover: sample.Key + "/cover.jpg"}}, f.call("List")
}

func (f fakeLive) OnAirNow(_ context.Context, _, cursor int64) ([]live.Room, int64, error) {
	return []live.Room{{ID: 1000000001, Owner: person(peer), Title: "t", OnAir: true, Access: store.AccessOpen}}, 7, f.call(fmt.Sprint("OnAirNow ", cursor))
}

func (f fakeLive) Own(context.Context, live.Caller) (store.LiveRoom, error) {
	return store.LiveRoom{ID: 1000000001, Title: "hello"}, nil
}

func (f fakeLive) Create(context.Context, live.Caller, string, string) (int64, error) {
	return 1000000001, f.call("Create")
}

func (f fakeLive) Edit(context.Context, live.Caller, int64, string, string) error {
	return f.call("Edit")
}

func (f fakeLive) Key(_ context.Context, _ live.Caller, room int64) (string, error) {
	return "k", f.call(fmt.Sprint("Key ", room))
}

func (f fakeLive) ResetKey(_ context.Context, _ live.Caller, room int64) (string, error) {
	return "k2", f.call(fmt.Sprint("ResetKey ", room))
}

func (f fakeLive) Close(context.Context, live.Caller, int64) error { return f.call("Close") }

func (f fakeLive) Chat(context.Context, live.Caller, live.Send) (live.Receipt, error) {
	return live.Receipt{ServerMsgID: "0190-id", Time: 1700000000123}, f.call("Chat")
}

func (f fakeLive) History(context.Context, live.Viewer, int64, string) ([]protocol.LiveMessage, error) {
	return nil, f.call("History")
}

func (f fakeLive) Online(int64) int { return 3 }

func (f fakeLive) DeleteMessage(context.Context, live.Caller, int64, string) error {
	return f.call("DeleteMessage")
}

func (f fakeLive) Mute(_ context.Context, _ live.Caller, _, _ int64, d time.Duration) error {
	return f.call("Mute " + d.String())
}

func (f fakeLive) Unmute(context.Context, live.Caller, int64, int64) error { return f.call("Unmute") }

func (f fakeLive) SetSlow(context.Context, live.Caller, int64, int) error { return f.call("SetSlow") }

func (f fakeLive) SetWords(context.Context, live.Caller, int64, string) error {
	return f.call("SetWords")
}

func (f fakeLive) Words(context.Context, live.Caller, int64) ([]string, error) {
	return []string{"spam"}, f.call("Words")
}

func (f fakeLive) SetModerators(context.Context, live.Caller, int64, string) error {
	return f.call("SetModerators")
}

func (f fakeLive) Moderators(context.Context, live.Viewer, int64) ([]store.Account, error) {
	return []store.Account{person(peer)}, f.call("Moderators")
}

func (f fakeLive) View(_ context.Context, v live.Viewer, room int64) (live.View, error) {
	return live.View{LiveRoom: store.LiveRoom{ID: room, Owner: peer, Title: "t", Access: store.AccessOpen}, Account: person(peer)}, f.call("View")
}

func (f fakeLive) Ranked(_ context.Context, _ live.Caller, room int64, _ int) (store.LiveRoom, error) {
	return store.LiveRoom{ID: room, Owner: 10001}, f.call("Ranked")
}

func (f fakeLive) SetAccess(_ context.Context, _ live.Caller, room int64, access string, _ bool) (store.LiveRoom, error) {
	return store.LiveRoom{ID: room, Access: access}, f.call("SetAccess " + access)
}

func (f fakeLive) MayKick(_ context.Context, _ live.Caller, _, target int64, detail string) error {
	return f.call(fmt.Sprint("MayKick ", target, " ", detail))
}

func (f fakeLive) Heart(_ context.Context, _ live.Caller, _ live.Viewer, _ int64, n int) error {
	return f.call(fmt.Sprint("Heart ", n))
}

// fakeStreams is a room on air with one publisher and one viewer.
type fakeStreams struct{ *fakes }

func (f fakeStreams) Cover(room int64) string { return fmt.Sprintf("%d/%d-1.jpg", room, room) }
func (f fakeStreams) Viewers(int64) int       { return 5 }
func (f fakeStreams) Notes(int64) []string    { return []string{"a note"} }
func (f fakeStreams) KickViewers(room int64)  { _ = f.call(fmt.Sprint("KickViewers ", room)) }

func (f fakeStreams) Stream(int64) (protocol.LiveStream, int64, bool) {
	return protocol.LiveStream{Protocol: "rtmp", Video: "avc1"}, 1700000000000, true
}

func (f fakeStreams) Sessions(int64) []protocol.LiveSession {
	return []protocol.LiveSession{{ID: 1, Publish: true, Protocol: "rtmp"}, {ID: 2, Protocol: "flv", Address: "192.0.2.1", UserID: peer}}
}

func (f fakeStreams) Kick(_, session int64, d time.Duration) bool {
	return f.call(fmt.Sprint("Kick ", d)) == nil && session == 2
}
