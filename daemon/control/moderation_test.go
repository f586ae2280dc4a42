package control_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/chat"
	"gtiv/protocol"
	"gtiv/store"
)

func (f *fakeAccounts) AddressBans(context.Context) ([]store.AddressBan, error) {
	return []store.AddressBan{{Prefix: "192.0.2.0/24", Reason: "spam", CreatedBy: "root", CreatedAt: 1_700_000_000_000}}, f.called("bans")
}

func (f *fakeAccounts) BanAddress(_ context.Context, address string, until time.Time, reason, by string) (store.AddressBan, error) {
	b := store.AddressBan{Prefix: address + "/32", Reason: reason, CreatedBy: by, CreatedAt: 1}
	if !until.IsZero() {
		b.ExpiresAt = until.UnixMilli()
	}
	return b, f.called("ban address %s %v %s", address, until.IsZero(), reason)
}

func (f *fakeAccounts) UnbanAddress(_ context.Context, address string) (string, error) {
	return address + "/32", f.called("unban address %s", address)
}

func (f *fakeAccounts) Reports(_ context.Context, open bool, after int64, limit int) ([]store.Report, error) {
	p := store.Report{ID: 7, Reporter: 10001, Kind: "message", Target: "m", Reason: "rude", CreatedAt: 1_700_000_000_000, Sender: 10002, Content: "x", MessageTime: 1}
	return []store.Report{p}, f.called("reports %v %d %d", open, after, limit)
}

func (f *fakeAccounts) ResolveReport(_ context.Context, id int64, by, action, note string) (store.Report, error) {
	return store.Report{ID: id, Kind: "user", Target: "10002", ResolvedAt: 1, ResolvedBy: by, Action: action, Note: note}, f.called("resolve %d %s %s", id, action, note)
}

func (f *fakeAccounts) Announce(_ context.Context, text, by string) (store.Announcement, error) {
	return store.Announcement{ID: 3, Text: text, CreatedBy: by, Accounts: 12}, f.called("announce %s", text)
}

func (f *fakeAccounts) Announcements(_ context.Context, limit int) ([]store.Announcement, error) {
	return []store.Announcement{{ID: 3, Text: "hello", Accounts: 12, Sent: 5}}, f.called("announcements %d", limit)
}

func (f *fakeAccounts) AuditLog(_ context.Context, q store.AuditFilter) ([]store.AuditEntry, error) {
	return []store.AuditEntry{{ID: 9, Time: 1_700_000_000_000, Actor: "root", Action: "user.ban", Target: "user 1", Detail: "d"}}, f.called("audit %+v", q)
}

// later is when a mute ends, in whole milliseconds.
var later = time.Now().Add(time.Hour).Truncate(time.Millisecond)

func (f *fakeAccounts) AllRooms(_ context.Context, query string, after int64, limit int) ([]store.Room, error) {
	return []store.Room{{ID: 1000000001, Name: "choir", MemberNum: 2, BannedUntil: 1}}, f.called("rooms %s %d %d", query, after, limit)
}

func (f *fakeAccounts) RoomOf(_ context.Context, room int64) (chat.RoomDetail, error) {
	return chat.RoomDetail{
		Room:   store.Room{ID: room, Name: "choir", BannedUntil: later.UnixMilli()},
		Admins: []store.RoomMemberRow{{Member: store.Member{User: 10001, Role: 30}}, {Member: store.Member{User: 10002, Role: 20}}},

		RoomCounts: store.RoomCounts{Links: 3, Messages: 99},
	}, f.called("room %d", room)
}

func (f *fakeAccounts) MembersOf(_ context.Context, room int64, offset, limit int) ([]store.RoomMemberRow, error) {
	return []store.RoomMemberRow{
		{Member: store.Member{User: 10001, Role: 30, BannedUntil: 1}}, {Member: store.Member{User: 10003, Role: 10, BannedUntil: later.UnixMilli()}},
	}, f.called("members %d %d %d", room, offset, limit)
}

func (f *fakeAccounts) Dissolve(_ context.Context, room int64) (string, error) {
	return "choir", f.called("dissolve %d", room)
}

func TestRoomsThroughTheClient(t *testing.T) {
	w := start(t, nil)
	ctx := t.Context()
	list := must[*protocol.RoomList](t)(w.Rooms(ctx, protocol.RoomFilter{Query: "c", After: 4, Limit: 1}))
	if w.fake.last() != "rooms c 4 1" || list.Next != 1000000001 || list.List[0].Members != 2 || !list.List[0].MutedUntil.IsZero() {
		t.Errorf("%s: %+v", w.fake.last(), list)
	}
	if r := must[*protocol.Room](t)(w.Room(ctx, 1000000001)); w.fake.last() != "room 1000000001" || r.Owner != 10001 || len(r.Admins) != 1 || r.Links != 3 || r.Messages != 99 || !r.MutedUntil.Equal(later) {
		t.Errorf("%s: %+v", w.fake.last(), r)
	}
	if m := must[*protocol.RoomMemberList](t)(w.RoomMembers(ctx, 1000000001, 2, 2)); w.fake.last() != "members 1000000001 2 2" || m.Next != 4 || m.List[0].Role != "owner" ||
		!m.List[0].MutedUntil.IsZero() || !m.List[1].MutedUntil.Equal(later) {
		t.Errorf("%s: %+v", w.fake.last(), m)
	}
	if r := must[*protocol.Room](t)(w.DissolveRoom(ctx, 1000000001)); w.fake.last() != "dissolve 1000000001" || r.Name != "choir" {
		t.Errorf("%s: %+v", w.fake.last(), r)
	}
	for _, err := range []error{second(w.Room(ctx, -1)), second(w.RoomMembers(ctx, 0, 0, 0)), second(w.DissolveRoom(ctx, 0)), second(w.Rooms(ctx, protocol.RoomFilter{Limit: 500}))} {
		if e, ok := errors.AsType[*protocol.ControlError](err); !ok || e.Code != protocol.ControlBadRequest {
			t.Errorf("%v", err)
		}
	}
}

func TestModerationThroughTheClient(t *testing.T) {
	w := start(t, nil)
	ctx := t.Context()
	reports := must[*protocol.ReportList](t)(w.Reports(ctx, protocol.ReportFilter{State: "resolved", After: 5, Limit: 1}))
	if p := reports.List[0]; w.fake.last() != "reports false 5 1" || reports.Next != 7 || p.Sender != 10002 || p.Content != "x" || p.Reason != "rude" || !p.ResolvedAt.IsZero() {
		t.Errorf("%s: %+v", w.fake.last(), reports)
	}
	if reports = must[*protocol.ReportList](t)(w.Reports(ctx, protocol.ReportFilter{})); w.fake.last() != "reports true 0 50" || reports.Next != 0 {
		t.Errorf("%s: %+v", w.fake.last(), reports)
	}
	bans := must[*protocol.AddressBanList](t)(w.AddressBans(ctx))
	if b := bans.List[0]; b.Address != "192.0.2.0/24" || b.Reason != "spam" || !b.Until.IsZero() {
		t.Errorf("%+v", bans)
	}
	list := must[*protocol.AnnouncementList](t)(w.Announcements(ctx))
	if a := list.List[0]; a.ID != 3 || a.Sent != 5 || a.Accounts != 12 || !a.FinishedAt.IsZero() {
		t.Errorf("%+v", list)
	}
	audit := must[*protocol.AuditList](t)(w.Audit(ctx, protocol.AuditFilter{Action: "user.", Before: 20, Limit: 1}))
	if e := audit.List[0]; w.fake.last() != "audit {Action:user. Before:20 Limit:1}" || audit.Next != 9 || e.Action != "user.ban" || e.Time.Unix() != 1_700_000_000 {
		t.Errorf("%s: %+v", w.fake.last(), audit)
	}
	if len(w.audited()) != 0 {
		t.Errorf("reading was audited: %+v", w.audited())
	}
}

func TestModerationIsAudited(t *testing.T) {
	w := start(t, nil)
	ctx := t.Context()
	until := time.Now().Add(time.Hour)
	for _, c := range []struct {
		do                           func() error
		call, action, target, detail string
	}{
		{func() error {
			_, err := w.ResolveReport(ctx, protocol.ResolveReport{ID: 7, Action: "warned", Note: "n"})
			return err
		}, "resolve 7 warned n", "report.resolve", "report 7 of user 10002", "warned: n"},
		{func() error {
			_, err := w.BanAddress(ctx, protocol.BanAddress{Address: "192.0.2.7", Reason: "spam"})
			return err
		}, "ban address 192.0.2.7 true spam", "ban.add", "address 192.0.2.7/32", "for ever: spam"},
		{func() error {
			_, err := w.BanAddress(ctx, protocol.BanAddress{Address: "192.0.2.7", Until: until})
			return err
		}, "ban address 192.0.2.7 false ", "ban.add", "address 192.0.2.7/32", "until " + until.UTC().Format(time.RFC3339)},
		{func() error {
			_, err := w.UnbanAddress(ctx, "192.0.2.7")
			return err
		}, "unban address 192.0.2.7", "ban.remove", "address 192.0.2.7/32", ""},
		{func() error {
			_, err := w.Announce(ctx, "hello")
			return err
		}, "announce hello", "announcement.create", "announcement 3", "to 12 accounts"},
		{func() error {
			_, err := w.DissolveRoom(ctx, 1000000001)
			return err
		}, "dissolve 1000000001", "room.dissolve", "room 1000000001", "choir"},
	} {
		if err := c.do(); err != nil || w.fake.last() != c.call {
			t.Errorf("%s: %v, called %q, want %q", c.action, err, w.fake.last(), c.call)
			continue
		}
		a := w.audited()
		actor := regexp.MustCompile(fmt.Sprintf(`^\S+ \(uid %d, pid %d\)$`, os.Getuid(), os.Getpid()))
		if e := a[len(a)-1]; e.Action != c.action || e.Target != c.target || e.Detail != c.detail || !actor.MatchString(e.Actor) {
			t.Errorf("audit %+v", e)
		}
	}
	if len(w.audited()) != 6 {
		t.Errorf("%d audit entries", len(w.audited()))
	}
}

func TestModerationRefusesWrongInput(t *testing.T) {
	w := start(t, nil)
	ctx := t.Context()
	long := strings.Repeat("长", 501)
	for name, err := range map[string]error{
		"State":         second(w.Reports(ctx, protocol.ReportFilter{State: "x"})),
		"After":         second(w.Reports(ctx, protocol.ReportFilter{After: -1})),
		"Limit":         second(w.Audit(ctx, protocol.AuditFilter{Limit: 201})),
		"Before":        second(w.Audit(ctx, protocol.AuditFilter{Before: -1})),
		"ID is missing": second(w.ResolveReport(ctx, protocol.ResolveReport{})),
		"the note":      second(w.ResolveReport(ctx, protocol.ResolveReport{ID: 1, Note: long})),
		"the action":    second(w.ResolveReport(ctx, protocol.ResolveReport{ID: 1, Action: long})),
		"Address":       second(w.BanAddress(ctx, protocol.BanAddress{})),
		"the reason":    second(w.BanAddress(ctx, protocol.BanAddress{Address: "192.0.2.1", Reason: long})),
		"in the past":   second(w.BanAddress(ctx, protocol.BanAddress{Address: "192.0.2.1", Until: time.Now().Add(-time.Minute)})),
		"Address is":    second(w.UnbanAddress(ctx, "")),
	} {
		e, ok := errors.AsType[*protocol.ControlError](err)
		if !ok || e.Code != protocol.ControlBadRequest || !strings.Contains(e.Message, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.fake.last() != "" || len(w.audited()) != 0 {
		t.Errorf("called %s, audited %+v", w.fake.last(), w.audited())
	}
}

func second[T any](_ T, err error) error { return err }
