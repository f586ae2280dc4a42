package chat_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/chat"
	"gtiv/daemon/filter"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/queue"
)

func wantCode(t *testing.T, what string, err error, want protocol.Code) {
	t.Helper()
	if protocol.CodeOf(err) != want {
		t.Errorf("%s: %v, want code %d", what, err, want)
	}
}

// censored is a world whose censor is this.
func censored(t *testing.T, c filter.Censor) *world {
	t.Helper()
	return newWorldWith(t, chat.Config{}, time.Now, t.TempDir(), func(d *chat.Deps, _ *queue.Store) { d.Censor = c })
}

func TestRefusedTextsAreNotStored(t *testing.T) {
	w := censored(t, func(text string) (string, error) {
		if strings.Contains(text, "bad") {
			return "", protocol.Errorf(protocol.CodeBadValue, "wordRefused", "bad")
		}
		return text, nil
	})
	a, b := w.friends()
	c := w.account("carl")
	caller := chat.Caller{User: a, Session: a}
	_, err := w.chat.SendPrivate(t.Context(), caller, chat.Send{To: b, Content: "a bad thing"})
	wantCode(t, "text", err, protocol.CodeBadValue)
	_, err = w.chat.SendPrivate(t.Context(), caller, chat.Send{To: c, Type: protocol.TypeApply, Content: "bad me"})
	wantCode(t, "application", err, protocol.CodeBadValue)
	if list, err := w.store.Applications(t.Context(), c, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("applications %+v, %v", list, err)
	}
	photo := `{"uri":"http://h/bad.jpg","w":1,"h":1}`
	if _, err := w.chat.SendPrivate(t.Context(), caller, chat.Send{To: b, Type: protocol.TypePhoto, Content: photo}); err != nil {
		t.Errorf("photo: %v", err)
	}
	if got := contents(w.sync(b, 0)); got != photo {
		t.Errorf("stored: %s", got)
	}
}

func TestMaskedTextsAreStoredMasked(t *testing.T) {
	f := filter.New([]string{"bad"})
	w := censored(t, func(text string) (string, error) { return f.Mask(text), nil })
	a, b := w.friends()
	w.gw.connect(b, b)
	w.send(a, b, "a bad thing")
	if p := w.waitPush("a *** thing"); !strings.Contains(string(p.FeatureBody), "a *** thing") {
		t.Errorf("push to feature clients: %s", p.FeatureBody)
	}
	c := w.account("carl")
	if _, err := w.chat.SendPrivate(t.Context(), chat.Caller{User: a}, chat.Send{To: c, Type: protocol.TypeApply, Content: "bad me"}); err != nil {
		t.Fatal(err)
	}
	if list, err := w.store.Applications(t.Context(), c, 0, 10); err != nil || len(list) != 1 || list[0].Message != "*** me" {
		t.Errorf("applications %+v, %v", list, err)
	}
}

func TestNewAccountsApplyFiveTimes(t *testing.T) {
	wait := 90 * time.Second
	w := newWorldWith(t, chat.Config{}, time.Now, t.TempDir(), func(d *chat.Deps, _ *queue.Store) {
		d.TooNew = func(context.Context, int64) (time.Duration, error) { return wait, nil }
	})
	a := w.account("anna")
	apply := func(i int) error {
		_, err := w.chat.SendPrivate(t.Context(), chat.Caller{User: a}, chat.Send{To: w.account(fmt.Sprint("user", i)), Type: protocol.TypeApply, Content: "hi"})
		return err
	}
	for i := range 5 {
		if err := apply(i); err != nil {
			t.Fatalf("application %d: %v", i, err)
		}
	}
	err := apply(5)
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || e.Code != protocol.CodeTooOften || e.RetryAfter != wait || !strings.Contains(e.Text("en"), "2 minutes") {
		t.Errorf("the sixth: %v", err)
	}
	wait = 0
	if err := apply(6); err != nil {
		t.Errorf("when it is not new any more: %v", err)
	}
}

func TestReportsCopyWhatTheReporterSaw(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	c := w.account("carl")
	sent := w.send(a, b, "insult")
	report := func(user int64, kind, target, reason string) error {
		return w.chat.Report(t.Context(), chat.Caller{User: user}, chat.Report{Kind: kind, Target: target, Reason: reason})
	}
	for range 2 { // the second one changes nothing
		if err := report(b, "message", strings.ToUpper(sent.ServerMsgID), "  rude "); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.store.CreateRoom(t.Context(), store.NewRoom{
		Owner: a, MemberLimit: 2, Name: func(string) string { return "n" }, First: store.NewRoomMessage{From: a},
	}); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"1000000001", "+1000000001"} {
		if err := report(b, "room", target, "spam"); err != nil {
			t.Fatal(err)
		}
	}
	if err := report(b, "user", strconv.FormatInt(a, 10), strings.Repeat("长", 500)); err != nil {
		t.Fatal(err)
	}
	list, err := w.chat.Reports(t.Context(), true, 0, 10)
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	if p := list[0]; p.Kind != "message" || p.Target != sent.ServerMsgID || p.Reason != "rude" || p.Reporter != b || p.Sender != a || p.Content != "insult" || p.MessageTime != sent.Time {
		t.Errorf("%+v", p)
	}
	if p := list[1]; p.Kind != "room" || p.Target != "1000000001" || p.Content != "" {
		t.Errorf("%+v", p)
	}

	recalled := w.send(a, b, "gone")
	if _, err := w.chat.SendPrivate(t.Context(), chat.Caller{User: a}, chat.Send{To: b, Type: protocol.TypeRecall, Content: recalled.ServerMsgID}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Block(t.Context(), b, a); err != nil {
		t.Fatal(err)
	}
	unseen := w.send(a, b, "hidden")
	for _, bad := range []struct {
		user                 int64
		kind, target, reason string
		code                 protocol.Code
	}{
		{c, "message", sent.ServerMsgID, "x", protocol.CodeUnknown}, // not theirs
		{b, "message", recalled.ServerMsgID, "x", protocol.CodeUnknown},
		{b, "message", unseen.ServerMsgID, "x", protocol.CodeUnknown},
		{b, "message", "no id", "x", protocol.CodeUnknown},
		{b, "user", "99999", "x", protocol.CodeUnknown},
		{b, "user", strconv.FormatInt(b, 10), "x", protocol.CodeBadValue},
		{b, "user", "bob", "x", protocol.CodeBadValue},
		{b, "video", "-1", "x", protocol.CodeBadValue},
		{b, "live", "99999999999999999999", "x", protocol.CodeBadValue},
		{b, "cat", "1", "x", protocol.CodeBadValue},
		{b, "user", "1", " ", protocol.CodeBadValue},
		{b, "user", "1", strings.Repeat("长", 501), protocol.CodeBadValue},
		{b, "user", "1", "\xff", protocol.CodeBadValue},
	} {
		wantCode(t, fmt.Sprintf("%+v", bad), report(bad.user, bad.kind, bad.target, bad.reason), bad.code)
	}
	if again, err := w.chat.Reports(t.Context(), true, 0, 100); err != nil || len(again) != len(list) {
		t.Errorf("refused reports were stored: %+v, %v", again, err)
	}

	if p, err := w.chat.ResolveReport(t.Context(), list[0].ID, "root", "warned", "n"); err != nil || p.ResolvedBy != "root" || p.Action != "warned" {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = w.chat.ResolveReport(t.Context(), list[0].ID, "root", "", "")
	wantCode(t, "resolve again", err, protocol.CodeConflict)
	_, err = w.chat.ResolveReport(t.Context(), 999, "root", "", "")
	wantCode(t, "resolve what is not there", err, protocol.CodeUnknown)
}

// What was copied of messages goes with the report, half a year after it was
// resolved; open ones stay.
func TestResolvedReportsGoInTime(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Add(-180*24*time.Hour - time.Hour)
	old, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "gtiv.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	a, err := old.CreateAccount(t.Context(), store.NewAccount{Username: "anna", Nickname: "anna", Role: store.RoleUser})
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for i := range 453 { // more than two batches, the last two of which stay
		p, err := old.CreateReport(t.Context(), store.Report{Reporter: a.ID, Kind: "message", Target: fmt.Sprint("m", i), Reason: "rude", Content: "insult"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.ID)
	}
	open, late := ids[451], ids[452]
	for _, id := range ids[:451] {
		if _, err := old.ResolveReport(t.Context(), id, "root", "", ""); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(2 * time.Hour)
	_, err = old.ResolveReport(t.Context(), late, "root", "", "")
	if err := errors.Join(err, old.Close()); err != nil {
		t.Fatal(err)
	}

	w := newWorldWith(t, chat.Config{}, time.Now, dir, func(*chat.Deps, *queue.Store) {})
	end := time.Now().Add(20 * time.Second)
	for {
		list, err := w.store.ReportsBy(t.Context(), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 2 && list[0].ID == open && list[1].ID == late {
			return
		}
		if time.Now().After(end) || len(list) < 2 {
			t.Fatalf("%d reports are left", len(list))
		}
		time.Sleep(time.Millisecond)
	}
}

func TestTwentyReportsAnHour(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a := w.account("anna")
	report := func(i int) error {
		v, err := w.store.CreateVideo(t.Context(), store.NewVideo{Owner: a})
		if err != nil {
			t.Fatal(err)
		}
		target := strconv.FormatInt(v.ID, 10)
		hidden := w.chat.Report(t.Context(), chat.Caller{User: w.account("viewer" + target)}, chat.Report{Kind: "video", Target: target, Reason: "x"})
		wantCode(t, "a video that is not shown", hidden, protocol.CodeUnknown)
		if _, err := w.store.FinishVideo(t.Context(), v.ID, store.VideoResult{Key: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
		return w.chat.Report(t.Context(), chat.Caller{User: a}, chat.Report{Kind: "video", Target: target, Reason: "x"})
	}
	for i := range 20 {
		if err := report(i + 1); err != nil {
			t.Fatalf("report %d: %v", i+1, err)
		}
	}
	wantCode(t, "the 21st", report(21), protocol.CodeTooOften)
}

// announcing is a world whose announcements go through a topic.
func announcing(t *testing.T, dir string) *world {
	t.Helper()
	return newWorldWith(t, chat.Config{}, time.Now, dir, func(d *chat.Deps, q *queue.Store) {
		d.Announcements = q.Topic("announce", queue.TopicOptions{})
	})
}

func (w *world) announcement() store.Announcement {
	w.t.Helper()
	list, err := w.chat.Announcements(w.t.Context(), 10)
	if err != nil || len(list) != 1 {
		w.t.Fatalf("%+v, %v", list, err)
	}
	return list[0]
}

func (w *world) waitAnnouncement(what string, ok func(store.Announcement) bool) store.Announcement {
	w.t.Helper()
	end := time.Now().Add(20 * time.Second)
	for {
		a := w.announcement()
		if ok(a) {
			return a
		}
		if time.Now().After(end) {
			w.t.Fatalf("never %s: %+v", what, a)
		}
		time.Sleep(time.Millisecond)
	}
}

func finished(a store.Announcement) bool { return a.FinishedAt != 0 }

// An announcement to 1,000 accounts whose daemon dies in the middle, with the
// queue, and some of whose jobs are done twice.
func TestAnnouncementSurvivesInterruptionWithoutDoubles(t *testing.T) {
	dir := t.TempDir()
	w := announcing(t, dir)
	var users []int64
	for i := range 1000 {
		users = append(users, w.account(fmt.Sprint("user", i)))
	}
	online := users[999]
	w.gw.connect(online, online)
	if _, err := w.chat.Announce(t.Context(), "  hello all ", "root"); err != nil {
		t.Fatal(err)
	}
	w.waitAnnouncement("begun", func(a store.Announcement) bool { return a.Sent > 0 })
	later := w.account("later")
	w.end()
	if err := os.RemoveAll(filepath.Join(dir, "queue")); err != nil {
		t.Fatal(err)
	}

	w = announcing(t, dir)
	w.gw.connect(online, online)
	again := func(after int64) {
		topic := w.queue.Topic("announce", queue.TopicOptions{})
		if err := topic.Put(t.Context(), "", fmt.Appendf(nil, `{"ID":1,"After":%d}`, after), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	again(0)
	again(users[199])
	a := w.waitAnnouncement("finished", finished)
	again(0)
	again(users[399])
	if a.Sent != 1000 || a.Accounts != 1000 {
		t.Errorf("at the end: %+v", a)
	}
	for _, user := range users {
		items := w.sync(user, 0)
		if len(items) != 1 && user != online {
			t.Fatalf("account %d got %+v", user, items)
		}
		if user != online && (items[0].Content != "hello all" || items[0].From != store.BuiltInAccount || items[0].Type != protocol.TypeText) {
			t.Errorf("account %d got %+v", user, items[0])
		}
	}
	if items := w.sync(later, 0); len(items) != 0 {
		t.Errorf("who came later got %+v", items)
	}
}

func TestAnnouncementIsPushed(t *testing.T) {
	w := announcing(t, t.TempDir())
	a := w.account("anna")
	w.gw.connect(a, a)
	if _, err := w.chat.Announce(t.Context(), "hello", "root"); err != nil {
		t.Fatal(err)
	}
	p := w.waitPush("hello")
	if p.Seq != 1 || !strings.Contains(string(p.Body), `"FromUser":"10000"`) || len(p.Body) > protocol.MaxPushBody {
		t.Errorf("%+v %s", p, p.Body)
	}
}

func TestAnnouncementsThatAreRefused(t *testing.T) {
	w := announcing(t, t.TempDir())
	for what, text := range map[string]string{"empty": " \n", "too long": strings.Repeat("x", protocol.MaxPushBody), "garbage": "\xff"} {
		_, err := w.chat.Announce(t.Context(), text, "root")
		wantCode(t, what, err, protocol.CodeBadValue)
	}
	if list, err := w.chat.Announcements(t.Context(), 10); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := newWorld(t, chat.Config{}).chat.Announce(t.Context(), "hello", "root"); err == nil {
		t.Error("announced without a topic")
	}
}

// A mask is shorter than what it covers. What fills the app's buffer exactly may
// then be of a size that overruns it (wire.md 7.5 F3).
func TestMaskedTextsThatOverrunTheAppAreRefused(t *testing.T) {
	w := censored(t, func(text string) (string, error) { return strings.ReplaceAll(text, "字", "*"), nil })
	a, b := w.friends()
	w.gw.connect(b, b)
	caller := chat.Caller{User: a, Session: a}
	w.send(a, b, "x")
	rest := protocol.MaxPushBody - (len(w.waitPush("x").Body) - 1)
	for _, content := range []string{strings.Repeat("x", rest-3) + "字", strings.Repeat("x", rest)} {
		want := protocol.CodeOK
		if strings.HasSuffix(content, "字") {
			want = protocol.CodeBadValue
		}
		_, err := w.chat.SendPrivate(t.Context(), caller, chat.Send{To: b, Content: content})
		wantCode(t, "ends with "+content[len(content)-3:], err, want)
	}
}

// What is said in live rooms could not be reported.
func TestReportsOfLiveMessages(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.account("anna"), w.account("bob")
	ctx := t.Context()
	room, err := w.store.CreateLive(ctx, a, "t", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	sent := func(from int64, text string) string {
		t.Helper()
		m, err := w.store.SendLive(ctx, store.NewLiveMessage{Room: room.ID, From: from, Content: text})
		if err != nil {
			t.Fatal(err)
		}
		return m.ServerMsgID
	}
	bad, gone := sent(b, "insult"), sent(b, "gone")
	if err := w.store.DeleteLiveMessage(ctx, store.LiveAction{Actor: b, Room: room.ID}, gone); err != nil {
		t.Fatal(err)
	}
	var said store.LiveMessage
	if err := w.store.CloseLive(ctx, store.LiveAction{Actor: a, Room: room.ID, Notice: "{}", OnCommit: func(m store.LiveMessage) { said = m }}); err != nil {
		t.Fatal(err)
	}
	for target, code := range map[string]protocol.Code{strings.ToUpper(bad): 0, gone: protocol.CodeUnknown, said.ServerMsgID: protocol.CodeUnknown} {
		wantCode(t, target, w.chat.Report(ctx, chat.Caller{User: a}, chat.Report{Kind: "message", Target: target, Reason: "rude"}), code)
	}
	list, err := w.chat.Reports(ctx, true, 0, 10)
	if err != nil || len(list) != 1 || list[0].Target != bad || list[0].Sender != b || list[0].Content != "insult" || list[0].MessageTime == 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
