package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/daemon/live"
	"gtiv/protocol"
	"gtiv/store"
)

// stage is a live service on a real database, with a list in place of the
// gateway.
type stage struct {
	*live.Service
	t     *testing.T
	store *store.Store

	mu        sync.Mutex
	now       time.Time
	published []live.Frame
	disbanded int // frames published before the room was disbanded
	online    int
}

func open(t *testing.T, cfg live.Config, change ...func(*live.Deps)) *stage {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "gtiv.db")})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, store: db, now: time.Now(), disbanded: -1, online: 1}
	deps := live.Deps{
		Store:   db,
		Publish: func(_ int64, f live.Frame) { s.locked(func() { s.published = append(s.published, f) }) },
		Disband: func(int64) { s.locked(func() { s.disbanded = len(s.published) }) },
		Online: func(int64) (n int) {
			s.locked(func() { n = s.online })
			return n
		},
		Now: func() (now time.Time) {
			s.locked(func() { now = s.now })
			return now
		},
	}
	for _, f := range change {
		f(&deps)
	}
	if s.Service, err = live.New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stage) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *stage) pass(d time.Duration) { s.locked(func() { s.now = s.now.Add(d) }) }

func (s *stage) person(name string) live.Caller {
	s.t.Helper()
	a, err := s.store.CreateAccount(s.t.Context(), store.NewAccount{Username: name, Nickname: name, Role: store.RoleUser})
	if err != nil {
		s.t.Fatal(err)
	}
	return live.Caller{User: a.ID, Role: a.Role, Language: "en"}
}

// open makes a room that somebody reads.
func (s *stage) room(owner live.Caller) int64 {
	s.t.Helper()
	id, err := s.Create(s.t.Context(), owner, "t", "")
	if err != nil {
		s.t.Fatal(err)
	}
	if !s.Join(s.t.Context(), live.Viewer{}, id, func([]live.Frame) {}) {
		s.t.Fatal("not let in")
	}
	return id
}

func (s *stage) say(room int64, who live.Caller, text string) error {
	_, err := s.Chat(s.t.Context(), who, live.Send{Room: room, Content: text})
	return err
}

// want fails unless err has this code.
func want(t testing.TB, what string, err error, code protocol.Code) *protocol.Error {
	t.Helper()
	if protocol.CodeOf(err) != code {
		t.Errorf("%s: %v, want code %d", what, err, code)
	}
	e, _ := errors.AsType[*protocol.Error](err)
	return e
}

// frames waits for so many and answers them, with their bodies.
func (s *stage) frames(n int) ([]live.Frame, []protocol.LiveMessage) {
	s.t.Helper()
	var list []live.Frame
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.locked(func() { list = slices.Clone(s.published) })
		if len(list) >= n {
			break
		}
		if time.Now().After(end) {
			s.t.Fatalf("%d frames, want %d", len(list), n)
		}
	}
	messages := make([]protocol.LiveMessage, len(list))
	for i, f := range list {
		if err := json.Unmarshal(f.Body, &messages[i]); err != nil {
			s.t.Fatal(err)
		}
	}
	return list, messages
}

func TestAMessageIsOneFrameForAll(t *testing.T) {
	s := open(t, live.Config{})
	anna := s.person("anna")
	if err := s.store.SetProfile(t.Context(), anna.User, "avatar", "http://a/x.jpg"); err != nil {
		t.Fatal(err)
	}
	id := s.room(anna)
	r, err := s.Chat(t.Context(), anna, live.Send{Room: id, Content: "<héllo> & 'you'", ClientMsgID: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Chat(t.Context(), anna, live.Send{Room: id, Content: "<héllo> & 'you'", ClientMsgID: "c1"})
	if err != nil || again != r {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	want(t, "second", s.say(id, anna, "second"), 0)
	list, _ := s.frames(2)
	body := fmt.Sprintf(`{"ChatType":3,"MsgType":0,"RoomId":"%d","FromUser":"%d","ToUsers":"","Content":"<héllo> & 'you'","ServerMsgId":"%s","Time":%d,`+
		`"Conversation":"l:%d","Seq":1,"Nickname":"anna","Avatar":"http://a/x.jpg"}`, id, anna.User, r.ServerMsgID, r.Time, id)
	if string(list[0].Body) != body || list[0].ByLanguage != nil || list[0].Op != protocol.Op(100+id) || list[0].Seq != 1 || len(list) != 2 || list[1].Seq != 2 {
		t.Errorf("%d frames, the first is %d %s", len(list), list[0].Op, list[0].Body)
	}
	history, err := s.History(t.Context(), live.Viewer{}, id, "zh")
	if err != nil || len(history) != 2 || string(history[0].JSON()) != body {
		t.Errorf("%+v, %v", history, err)
	}
}

func TestServerTextsAreWrittenInEveryLanguage(t *testing.T) {
	s := open(t, live.Config{Language: "zh"})
	anna, bob := s.person("anna"), s.person("bob")
	id := s.room(anna)
	want(t, "mute", s.Mute(t.Context(), anna, id, bob.User, 10*time.Minute), 0)
	want(t, "slow", s.SetSlow(t.Context(), anna, id, 5), 0)
	list, _ := s.frames(2)
	for i, text := range []string{"bob was muted for 10 minutes.", "Slow mode: everybody may write once in 5 seconds."} {
		if en, zh := string(list[i].ByLanguage["en"]), string(list[i].ByLanguage["zh"]); !strings.Contains(en, text) || zh == en || string(list[i].Body) != zh {
			t.Errorf("%s / %s / %s", en, zh, list[i].Body)
		}
	}
	for _, language := range protocol.Languages() {
		history, err := s.History(t.Context(), live.Viewer{}, id, language)
		if err != nil || len(history) != 2 || history[0].MsgType != protocol.TypeInvited || string(history[0].JSON()) != string(list[0].ByLanguage[language]) {
			t.Errorf("%s: %+v, %v", language, history, err)
		}
	}
}

func TestClosingSaysSoAndPutsEverybodyOut(t *testing.T) {
	s := open(t, live.Config{})
	anna, bob := s.person("anna"), s.person("bob")
	id := s.room(anna)
	want(t, "bob", s.Close(t.Context(), bob, id), protocol.CodeForbidden)
	want(t, "anna", s.Close(t.Context(), anna, id), 0)
	if _, messages := s.frames(1); messages[0].Content != protocol.Text("en", "liveClosed") || s.disbanded != 1 {
		t.Errorf("%+v, disbanded after %d", messages, s.disbanded)
	}
	if s.Join(t.Context(), live.Viewer{}, id, func([]live.Frame) { t.Error("let in") }) {
		t.Error("let in")
	}
	want(t, "write", s.say(id, bob, "x"), protocol.CodeUnknown)
	_, err := s.History(t.Context(), live.Viewer{}, id, "en")
	want(t, "history", err, protocol.CodeUnknown)
	again, err := s.Create(t.Context(), anna, "again", "")
	if err != nil || again != id || !s.Join(t.Context(), live.Viewer{}, id, func(last []live.Frame) {
		if len(last) != 0 {
			t.Errorf("%d messages are left", len(last))
		}
	}) {
		t.Errorf("opened again: %d, %v", again, err)
	}
	want(t, "write", s.say(id, bob, "x"), 0)
}

func TestARoomWhoseOwnerIsBannedIsClosedForThatTime(t *testing.T) {
	s := open(t, live.Config{})
	anna, bob := s.person("anna"), s.person("bob")
	id := s.room(anna)
	if _, err := s.store.Ban(t.Context(), anna.User, store.LiveForever, "x"); err != nil {
		t.Fatal(err)
	}
	want(t, "write", s.say(id, bob, "x"), protocol.CodeUnknown)
	if s.disbanded != 0 || s.Join(t.Context(), live.Viewer{}, id, func([]live.Frame) {}) {
		t.Error("the readers are still there")
	}
	if _, err := s.store.Ban(t.Context(), anna.User, 0, ""); err != nil {
		t.Fatal(err)
	}
	if !s.Join(t.Context(), live.Viewer{}, id, func([]live.Frame) {}) {
		t.Error("not let in")
	}
	want(t, "write", s.say(id, bob, "x"), 0)
}

func TestADeletedMessageLeavesTheScreensAndTheHistory(t *testing.T) {
	s := open(t, live.Config{})
	anna, bob := s.person("anna"), s.person("bob")
	id := s.room(anna)
	r, err := s.Chat(t.Context(), bob, live.Send{Room: id, Content: "x"})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "keep", s.say(id, bob, "y"), 0)
	want(t, "delete", s.DeleteMessage(t.Context(), anna, id, strings.ToUpper(r.ServerMsgID)), 0)
	list, messages := s.frames(3)
	if m := messages[2]; m.MsgType != protocol.TypeRecall || m.Content != r.ServerMsgID || m.Seq != 0 || list[2].Seq != 0 || m.ServerMsgID == "" {
		t.Errorf("%+v", m)
	}
	history, err := s.History(t.Context(), live.Viewer{}, id, "en")
	if err != nil || len(history) != 1 || history[0].Content != "y" {
		t.Errorf("%+v, %v", history, err)
	}
}

func TestSlowModeHoldsReadersBackAndNobodyElse(t *testing.T) {
	s := open(t, live.Config{})
	ctx := t.Context()
	anna, bob, mod := s.person("anna"), s.person("bob"), s.person("mod")
	id := s.room(anna)
	want(t, "moderator", s.SetModerators(ctx, anna, id, fmt.Sprint(mod.User)), 0)
	want(t, "slow", s.SetSlow(ctx, mod, id, 10), 0)
	first, err := s.Chat(ctx, bob, live.Send{Room: id, Content: "x", ClientMsgID: "b"})
	want(t, "bob's first", err, 0)
	s.pass(4 * time.Second)
	if again, err := s.Chat(ctx, bob, live.Send{Room: id, Content: "x", ClientMsgID: "b"}); err != nil || again != first {
		t.Errorf("a retry: %+v, %v", again, err)
	}
	if e := want(t, "bob's second", s.say(id, bob, "x"), protocol.CodeTooOften); e == nil || e.RetryAfter != 6*time.Second {
		t.Errorf("%+v", e)
	}
	for range 3 {
		want(t, "owner", s.say(id, anna, "x"), 0)
		want(t, "moderator", s.say(id, mod, "x"), 0)
		want(t, "administrator", s.say(id, live.Caller{User: s.person(fmt.Sprint("admin", time.Now().UnixNano())).User, Role: store.RoleAdmin}, "x"), 0)
	}
	s.pass(6 * time.Second)
	want(t, "bob's third", s.say(id, bob, "x"), 0)
	want(t, "no longer a moderator", s.SetModerators(ctx, anna, id, ""), 0)
	want(t, "mod's first", s.say(id, mod, "x"), 0)
	want(t, "mod's second", s.say(id, mod, "x"), protocol.CodeTooOften)
	want(t, "slow off", s.SetSlow(ctx, anna, id, 0), 0)
	want(t, "mod's third", s.say(id, mod, "x"), 0)
}

func TestRatesOfAPersonAndOfARoom(t *testing.T) {
	s := open(t, live.Config{SendsPerSecond: 1, SendBurst: 3, RoomSendsPerSecond: 2})
	anna, bob := s.person("anna"), s.person("bob")
	id := s.room(anna) // takes one
	for range 2 {
		want(t, "anna", s.say(id, anna, "x"), 0)
	}
	if e := want(t, "anna's third", s.say(id, anna, "x"), protocol.CodeTooOften); e == nil || e.RetryAfter != time.Second {
		t.Errorf("%+v", e)
	}
	for range 2 {
		want(t, "bob", s.say(id, bob, "x"), 0)
	}
	want(t, "the room is full", s.say(id, bob, "x"), protocol.CodeTooOften)
	s.pass(time.Second)
	want(t, "a second later", s.say(id, bob, "x"), 0)
	s.SetConfig(live.Config{})
	for range live.DefaultRoomSends {
		want(t, "without a limit per person", s.say(id, anna, "x"), 0)
		s.pass(time.Second / live.DefaultRoomSends)
	}
}

func TestTheRoomsWordsRefuseWhateverTheirSpelling(t *testing.T) {
	s := open(t, live.Config{})
	anna := s.person("anna")
	id := s.room(anna)
	want(t, "words", s.SetWords(t.Context(), anna, id, "Spam, 广告\r\n two words \n\n,spam"), 0)
	list, err := s.Words(t.Context(), anna, id)
	if err != nil || !slices.Equal(list, []string{"spam", "two words", "广告"}) {
		t.Errorf("%q, %v", list, err)
	}
	for _, text := range []string{"buy SPAM now", "ｓｐａｍ", "看广告吗", "two words"} {
		if e := want(t, text, s.say(id, anna, text), protocol.CodeBadValue); e == nil || e.Key != "wordRefused" {
			t.Errorf("%s: %v", text, e)
		}
	}
	want(t, "harmless", s.say(id, anna, "two other words"), 0)
	want(t, "no words", s.SetWords(t.Context(), anna, id, ""), 0)
	want(t, "allowed again", s.say(id, anna, "spam"), 0)
}

func TestTheSitesFilterAndTheAgeOfAccounts(t *testing.T) {
	var young int64
	s := open(t, live.Config{}, func(d *live.Deps) {
		d.Censor = func(text string) (string, error) {
			if strings.Contains(text, "evil") {
				return "", protocol.Errorf(protocol.CodeBadValue, "wordRefused")
			}
			return strings.ReplaceAll(text, "darn", "****"), nil
		}
		d.TooNew = func(_ context.Context, user int64) (time.Duration, error) {
			if user == young {
				return 90 * time.Second, nil
			}
			return 0, nil
		}
	})
	anna, bob := s.person("anna"), s.person("bob")
	young = bob.User
	id := s.room(anna)
	if e := want(t, "young", s.say(id, bob, "x"), protocol.CodeTooOften); e == nil || e.RetryAfter != 90*time.Second || !strings.Contains(e.Text("en"), "in 2 minutes") {
		t.Errorf("%+v", e)
	}
	want(t, "refused", s.say(id, anna, "evil"), protocol.CodeBadValue)
	want(t, "masked", s.say(id, anna, "darn it"), 0)
	if _, messages := s.frames(1); messages[0].Content != "**** it" {
		t.Errorf("%+v", messages)
	}
}

func TestOldMessagesAreRemoved(t *testing.T) {
	s := open(t, live.Config{Retention: time.Hour})
	anna := s.person("anna")
	id := s.room(anna)
	for range 3 {
		want(t, "say", s.say(id, anna, "x"), 0)
	}
	s.frames(3)
	s.pass(2 * time.Hour)
	if err := s.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if history, err := s.History(t.Context(), live.Viewer{}, id, "en"); err == nil && len(history) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("they are still shown")
		}
	}
}

func TestWhoIsMutedUsesUpNothing(t *testing.T) {
	s := open(t, live.Config{RoomSendsPerSecond: 1})
	anna, bob := s.person("anna"), s.person("bob")
	id := s.room(anna)
	want(t, "mute", s.Mute(t.Context(), anna, id, bob.User, 0), 0)
	for range 10 {
		want(t, "muted", s.say(id, bob, "x"), protocol.CodeForbidden)
	}
	want(t, "anna", s.say(id, anna, "x"), 0)
	want(t, "unmute", s.Unmute(t.Context(), anna, id, bob.User), 0)
	want(t, "bob", s.say(id, bob, "x"), 0)
}

// The longest message of the person with the longest picture still fits a frame.
func TestEveryMessageFitsAFrame(t *testing.T) {
	s := open(t, live.Config{})
	anna := s.person(strings.Repeat("字", 30))
	if err := s.store.SetProfile(t.Context(), anna.User, "avatar", "http://a/"+strings.Repeat("x", 4000)); err != nil {
		t.Fatal(err)
	}
	id := s.room(anna)
	for _, text := range []string{strings.Repeat("😀", 300), strings.Repeat("\\", 300)} {
		want(t, "long", s.say(id, anna, text), 0)
	}
	var ids []string
	for i := range 50 {
		ids = append(ids, fmt.Sprint(s.person(strings.Repeat("名", 30)+fmt.Sprint(i)).User))
	}
	want(t, "moderators", s.SetModerators(t.Context(), anna, id, strings.Join(ids, ",")), 0)
	list, _ := s.frames(3)
	for _, f := range list {
		for _, body := range append([][]byte{f.Body}, f.ByLanguage["en"], f.ByLanguage["zh"]) {
			if len(body) > protocol.MaxPushBody {
				t.Errorf("%d bytes", len(body))
			}
		}
	}
}

// 1 to 3 bytes before the end of its buffer a frame overruns the app (wire.md 7.5
// F3), and is published to nobody.
func TestNoMessageIsOfASizeThatIsNotPublished(t *testing.T) {
	s := open(t, live.Config{})
	anna := s.person("anna")
	if err := s.store.SetProfile(t.Context(), anna.User, "avatar", "http://a/"+strings.Repeat("x", 3700)); err != nil {
		t.Fatal(err)
	}
	id := s.room(anna)
	want(t, "short", s.say(id, anna, "x"), 0)
	first, _ := s.frames(1)
	for size := protocol.MaxPushBody - 5; size <= protocol.MaxPushBody+1; size++ {
		want(t, "long", s.say(id, anna, strings.Repeat("x", size-len(first[0].Body)+1)), 0)
	}
	list, _ := s.frames(8)
	for _, f := range list {
		if !protocol.FitsPush(len(f.Body)) {
			t.Errorf("%d bytes", len(f.Body))
		}
	}
}

// Readers enter, and rooms are forgotten and read again, while others write.
func TestEnteringWhileOthersWrite(t *testing.T) {
	s := open(t, live.Config{RoomSendsPerSecond: 1e6})
	anna := s.person("anna")
	id := s.room(anna)
	const messages = 400
	var work sync.WaitGroup
	work.Go(func() {
		for i := range messages {
			if err := s.say(id, anna, fmt.Sprint(i)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 3 {
		work.Go(func() {
			for seen := uint64(0); seen < messages; time.Sleep(time.Millisecond) {
				s.Join(t.Context(), live.Viewer{}, id, func(last []live.Frame) {
					// What was published before this moment, and nothing else, is in it.
					s.locked(func() {
						published := s.published
						if n := len(last); n > 0 && (len(published) == 0 || last[n-1].Seq != published[len(published)-1].Seq) {
							t.Errorf("the backlog ends with %d of %d", last[n-1].Seq, len(published))
						}
					})
					for i := 1; i < len(last); i++ {
						if last[i].Seq != last[i-1].Seq+1 {
							t.Errorf("%d behind %d", last[i].Seq, last[i-1].Seq)
						}
					}
					if len(last) > 0 {
						seen = last[len(last)-1].Seq
					}
				})
				if t.Failed() {
					return
				}
			}
		})
	}
	work.Wait()
}

func TestRoomsThatNobodyReadsAreForgottenAndReadAgain(t *testing.T) {
	s := open(t, live.Config{})
	anna := s.person("anna")
	id := s.room(anna)
	want(t, "words", s.SetWords(t.Context(), anna, id, "spam"), 0)
	want(t, "first", s.say(id, anna, "first"), 0)
	s.locked(func() { s.online = 0 })
	var others []int64
	for i := range 1100 { // more than are kept
		a := s.person(fmt.Sprint("p", i))
		r, err := s.Create(t.Context(), a, "t", "")
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, r)
	}
	for _, r := range others {
		if _, err := s.History(t.Context(), live.Viewer{}, r, "en"); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "the filter is still there", s.say(id, anna, "spam"), protocol.CodeBadValue)
	want(t, "second", s.say(id, anna, "second"), 0)
	s.frames(2)
	history, err := s.History(t.Context(), live.Viewer{}, id, "en")
	if err != nil || len(history) != 2 || history[0].Content != "first" || history[1].Content != "second" {
		t.Errorf("%+v, %v", history, err)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	if _, err := live.New(live.Config{}, live.Deps{}); err == nil {
		t.Error("no dependencies, no error")
	}
}

// The readers stayed until somebody wrote.
func TestTheReadersOfABannedOwnerLeaveAtOnce(t *testing.T) {
	s := open(t, live.Config{})
	anna, bob := s.person("anna"), s.person("bob")
	id := s.room(anna)
	want(t, "write", s.say(id, bob, "x"), 0)
	s.frames(1)
	s.OwnerGone(t.Context(), bob.User) // who has no room
	s.OwnerGone(t.Context(), anna.User)
	if s.disbanded != -1 {
		t.Fatal("disbanded though nobody is gone")
	}
	if _, err := s.store.Ban(t.Context(), anna.User, store.LiveForever, "x"); err != nil {
		t.Fatal(err)
	}
	s.OwnerGone(t.Context(), anna.User)
	if s.disbanded != 1 || s.Join(t.Context(), live.Viewer{}, id, func([]live.Frame) {}) {
		t.Errorf("disbanded after %d frames", s.disbanded)
	}
}

func TestWhatWasSaidBeforeARoomWasOpenedAgainIsNotShown(t *testing.T) {
	s := open(t, live.Config{})
	anna, bob := s.person("anna"), s.person("bob")
	id := s.room(anna)
	want(t, "write", s.say(id, bob, "long ago"), 0)
	want(t, "mute", s.Mute(t.Context(), anna, id, bob.User, time.Hour), 0)
	want(t, "close", s.Close(t.Context(), anna, id), 0)
	s.room(anna)
	fresh, err := live.New(live.Config{}, live.Deps{
		Store: s.store, Publish: func(int64, live.Frame) {}, Disband: func(int64) {}, Online: func(int64) int { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, service := range map[string]*live.Service{"in memory": s.Service, "from the database": fresh} {
		if list, err := service.History(t.Context(), live.Viewer{}, id, "en"); err != nil || len(list) != 0 {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
	}
	want(t, "a mute that was not lifted", s.say(id, bob, "x"), protocol.CodeForbidden)
	want(t, "write", s.say(id, anna, "new"), 0)
	s.frames(4)
	if list, err := s.History(t.Context(), live.Viewer{}, id, "en"); err != nil || len(list) != 1 || list[0].Content != "new" {
		t.Errorf("%+v, %v", list, err)
	}
}

// Titles are seen by the whole site.
func TestTitlesAreTextsLikeOthers(t *testing.T) {
	wait := time.Duration(0)
	s := open(t, live.Config{}, func(d *live.Deps) {
		d.Censor = func(text string) (string, error) {
			if strings.Contains(text, "bad") {
				return "", protocol.Errorf(protocol.CodeBadValue, "wordRefused", "bad")
			}
			return strings.ReplaceAll(text, "ugly", "****"), nil
		}
		d.TooNew = func(context.Context, int64) (time.Duration, error) { return wait, nil }
	})
	anna := s.person("anna")
	create := func(title string) error { _, err := s.Create(t.Context(), anna, title, ""); return err }
	want(t, "a bad title", create("so bad"), protocol.CodeBadValue)
	want(t, "an invisible title", create("\u3000 \u200b"), protocol.CodeBadValue)
	wait = time.Hour
	want(t, "by a new account", create("x"), protocol.CodeOf(protocol.TooNew(wait)))
	wait = 0
	want(t, "a title", create("ugly"), 0)
	id := s.room(anna)
	want(t, "edit", s.Edit(t.Context(), anna, id, "so bad", ""), protocol.CodeBadValue)
	wait = time.Hour
	want(t, "edit by a new account", s.Edit(t.Context(), anna, id, "x", ""), protocol.CodeOf(protocol.TooNew(wait)))
	if r, err := s.store.Live(t.Context(), id); err != nil || r.Title != "****" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestLiveTextsHaveNoControlCharacters(t *testing.T) {
	s := open(t, live.Config{})
	anna := s.person("anna")
	id := s.room(anna)
	for _, text := range []string{"a\x00b", "\x1b[2J", "\u0085x"} {
		want(t, text, s.say(id, anna, text), protocol.CodeBadValue)
	}
	want(t, "two lines", s.say(id, anna, "a\r\nb"), 0)
	if _, m := s.frames(1); m[0].Content != "a\nb" {
		t.Errorf("%q", m[0].Content)
	}
}

func TestARetryIsAnsweredWhateverTheRate(t *testing.T) {
	s := open(t, live.Config{SendsPerSecond: 0.001, SendBurst: 2}) // one opens the room
	anna := s.person("anna")
	id := s.room(anna)
	first, err := s.Chat(t.Context(), anna, live.Send{Room: id, Content: "x", ClientMsgID: "c"})
	again, err2 := s.Chat(t.Context(), anna, live.Send{Room: id, Content: "x", ClientMsgID: "c"})
	if err != nil || err2 != nil || first != again {
		t.Errorf("%+v %v, %+v %v", first, err, again, err2)
	}
}
