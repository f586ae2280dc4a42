package web_test

import (
	"context"
	"time"

	"gtiv/daemon/chat"
	"gtiv/store"
)

// The fakes of what groups need; each notes its call.

func (f *fakes) SendRoom(_ context.Context, c chat.Caller, m chat.RoomSend) (chat.Receipt, error) {
	f.caller, f.roomSent = c, m
	return chat.Receipt{ServerMsgID: "0190-id", Time: 1700000000123, Seq: 4}, f.call("SendRoom")
}

func (f *fakes) SyncRoom(_ context.Context, c chat.Caller, _, lastMessageTime int64) (chat.Batch, error) {
	f.caller = c
	return chat.Batch{
		Items: []chat.Item{{MsgID: "0190-id", From: peer, Content: "r", Time: lastMessageTime + 1}},
		Sent:  func(context.Context) { f.noted++ },
	}, f.call("SyncRoom")
}

func (f *fakes) Invite(_ context.Context, c chat.Caller, _ int64, invitees []int64, _ string) (chat.Invited, error) {
	f.caller, f.invited = c, invitees
	return chat.Invited{Room: 1000000001, Name: "n", Text: "t"}, f.call("Invite")
}

func (f *fakes) Rooms(_ context.Context, c chat.Caller) ([]store.Room, error) {
	f.caller = c
	return []store.Room{group()}, f.call("Rooms")
}

func (f *fakes) Room(_ context.Context, c chat.Caller, room int64) (chat.RoomView, error) {
	f.caller = c
	if room < store.FirstRoom {
		return chat.RoomView{Room: store.Room{ID: room}}, f.call("Room")
	}
	return chat.RoomView{Room: group(), Role: 20, MutedUser: true}, f.call("Room")
}

func (f *fakes) Member(_ context.Context, c chat.Caller, _, user int64) (store.RoomMemberRow, error) {
	f.caller = c
	return memberRow(user), f.call("Member")
}

func (f *fakes) Members(_ context.Context, c chat.Caller, _ int64, _ string, page, rows int) ([]store.RoomMemberRow, error) {
	f.caller, f.page = c, [2]int{page, rows}
	return []store.RoomMemberRow{memberRow(peer)}, f.call("Members")
}

func (f *fakes) MemberIDs(_ context.Context, _ chat.Caller, _ int64) ([]int64, error) {
	return []int64{peer}, f.call("MemberIDs")
}

func (f *fakes) Admins(_ context.Context, _ chat.Caller, _ int64) ([]store.RoomMemberRow, error) {
	return []store.RoomMemberRow{memberRow(peer)}, f.call("Admins")
}

func (f *fakes) Muted(_ context.Context, _ chat.Caller, _ int64) ([]store.RoomMemberRow, error) {
	return []store.RoomMemberRow{memberRow(peer)}, f.call("Muted")
}

func (f *fakes) Notice(_ context.Context, _ chat.Caller, _ int64) (string, error) {
	return "n", f.call("Notice")
}

func (f *fakes) RenameRoom(_ context.Context, c chat.Caller, _ int64, _ string) error {
	f.caller = c
	return f.call("RenameRoom")
}

func (f *fakes) SetRoomAvatar(_ context.Context, c chat.Caller, _ int64, _ string) error {
	f.caller = c
	return f.call("SetRoomAvatar")
}

func (f *fakes) SetRoomNotice(_ context.Context, c chat.Caller, _ int64, _ string) error {
	f.caller = c
	return f.call("SetRoomNotice")
}

func (f *fakes) SetRoomOptions(_ context.Context, c chat.Caller, _ int64, _, _ *bool) error {
	f.caller = c
	return f.call("SetRoomOptions")
}

func (f *fakes) SetAdmins(_ context.Context, c chat.Caller, _ int64, _ []int64) error {
	f.caller = c
	return f.call("SetAdmins")
}

func (f *fakes) MuteRoom(_ context.Context, c chat.Caller, _, _ int64, _ int) error {
	f.caller = c
	return f.call("MuteRoom")
}

func (f *fakes) UnmuteRoom(_ context.Context, c chat.Caller, _, _ int64) error {
	f.caller = c
	return f.call("UnmuteRoom")
}

func (f *fakes) RemoveMember(_ context.Context, c chat.Caller, _, _ int64) error {
	f.caller = c
	return f.call("RemoveMember")
}

func (f *fakes) QuitRoom(_ context.Context, c chat.Caller, _ int64) error {
	f.caller = c
	return f.call("QuitRoom")
}

func (f *fakes) TransferRoom(_ context.Context, c chat.Caller, _, _ int64) error {
	f.caller = c
	return f.call("TransferRoom")
}

func (f *fakes) DissolveRoom(_ context.Context, c chat.Caller, _ int64) error {
	f.caller = c
	return f.call("DissolveRoom")
}

func (f *fakes) CreateLink(_ context.Context, c chat.Caller, room int64, _ time.Duration, uses int) (store.Link, error) {
	return store.Link{Code: "c", Room: room, MaxUses: uses}, f.call("CreateLink")
}

func (f *fakes) Links(_ context.Context, c chat.Caller, _ int64) ([]store.Link, error) {
	return []store.Link{{Code: "c"}}, f.call("Links")
}

func (f *fakes) RevokeLink(_ context.Context, c chat.Caller, _ int64, _ string) error {
	f.caller = c
	return f.call("RevokeLink")
}

func (f *fakes) JoinRoom(_ context.Context, _ chat.Caller, _, _ string) (store.Room, bool, error) {
	return group(), true, f.call("JoinRoom")
}

func (f *fakes) Requests(_ context.Context, _ chat.Caller, _ int64) ([]store.RoomRequest, error) {
	return []store.RoomRequest{{From: person(peer)}}, f.call("Requests")
}

func (f *fakes) AnswerRequest(_ context.Context, c chat.Caller, _, _ int64, _ bool) error {
	f.caller = c
	return f.call("AnswerRequest")
}

func group() store.Room {
	return store.Room{ID: 1000000001, Name: "n", MemberNum: 2, MemberLimit: 500}
}

func memberRow(user int64) store.RoomMemberRow {
	return store.RoomMemberRow{
		Member:  store.Member{User: user, Role: 20, JoinedAt: 1700000000000, BannedUntil: 1700000060000},
		Account: person(user),
	}
}
