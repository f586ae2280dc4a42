package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gtiv/daemon/account"
	"gtiv/daemon/live"
	"gtiv/daemon/record"
	"gtiv/daemon/web"
	"gtiv/daemon/web/api"
	"gtiv/media"
	"gtiv/protocol"
	"gtiv/store"
)

// studio is the real live service on a real database behind the real calls. A
// token is the name of an account.
type studio struct {
	*site
	t      *testing.T
	store  *store.Store
	people map[string]account.Principal
	films  string         // folder of recordings
	room   map[string]any // RoomId of the room under test
	made   int            // accounts
}

// known answers for the tokens of a studio.
type known struct {
	*fakes
	s *studio
}

func (k known) Authenticate(_ context.Context, token string) (account.Principal, error) {
	if p, ok := k.s.people[token]; ok {
		return p, nil
	}
	return account.Principal{}, account.ErrUnknownToken
}

func newStudio(t *testing.T) *studio {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "gtiv.db")})
	if err != nil {
		t.Fatal(err)
	}
	rooms, err := live.New(live.Config{Language: "en"}, live.Deps{
		Store: db, Publish: func(int64, live.Frame) {}, Disband: func(int64) {}, Online: func(int64) int { return 2 },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- rooms.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = db.Close()
	})
	s := &studio{t: t, store: db, films: t.TempDir(), people: map[string]account.Principal{}}
	films, err := record.New(t.Context(), record.Config{}, record.Deps{
		Store: db, Dir: s.films, Stream: func(int64) *media.Stream { return nil }, Room: func(int64) error { return nil },
		Submit: func(context.Context, record.Caller, record.Video) (int64, error) { return 3, nil },
		Video:  func(context.Context, int64) (bool, error) { return true, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.site = newSite(t, func(_ *web.Config, d *web.Deps) {
		d.Account, d.Live, d.Records, d.Signer = known{&fakes{}, s}, rooms, films, &web.Signer{Key: []byte("secret")}
	})
	return s
}

// join makes an account.
func (s *studio) join(name string, role int) int64 {
	s.t.Helper()
	s.made++
	a, err := s.store.CreateAccount(s.t.Context(), store.NewAccount{Username: fmt.Sprint(name, "-", s.made), Nickname: name, Role: role})
	if err != nil {
		s.t.Fatal(err)
	}
	s.people[name] = account.Principal{User: a.ID, Session: a.ID, Role: role}
	return a.ID
}

func (s *studio) id(name string) string { return fmt.Sprint(s.people[name].User) }

// call makes a request as somebody ("" for nobody), in Chinese. Parameters come
// in the query or, for POST, as JSON.
func (s *studio) call(who, endpoint string, params map[string]any) *httptest.ResponseRecorder {
	s.t.Helper()
	method, path, _ := strings.Cut(endpoint, " ")
	all := maps.Clone(s.room)
	maps.Copy(all, params)
	headers := []string{"Authorization", who, "LanguageCode", "zh", "Content-Type", "application/json"}
	if method == "GET" {
		path += "?"
		for k, v := range all {
			path += fmt.Sprintf("%s=%v&", k, v)
		}
		return s.do(method, path, "", headers...)
	}
	body, err := json.Marshal(all)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(method, path, string(body), headers...)
}

// must is call for what has to work.
func (s *studio) must(who, endpoint string, params map[string]any) map[string]any {
	s.t.Helper()
	w := s.call(who, endpoint, params)
	if w.Code != 200 || code(s.t, w) != 0 {
		s.t.Fatalf("%s as %s: %d %s", endpoint, who, w.Code, w.Body)
	}
	return object(s.t, w)
}

// stage makes a room with one person of each kind in it, each of whom has said
// something, and answers the ids of these messages.
func (s *studio) stage() map[string]any {
	s.t.Helper()
	s.people = map[string]account.Principal{}
	s.room = map[string]any{}
	for _, name := range []string{"owner", "reader", "muted", "moderator", "moderator2", "reader2", "muted2"} {
		s.join(name, store.RoleUser)
	}
	s.join("admin", store.RoleAdmin)
	s.room["RoomId"] = s.must("owner", "POST /live/create", map[string]any{"Title": "t"})["RoomId"]
	s.must("owner", "POST /live/moderators", map[string]any{"UserIds": s.id("moderator") + "," + s.id("moderator2")})
	said := map[string]any{}
	for name := range s.people {
		said[name] = s.must(name, "POST /live/chat", map[string]any{"Message": "by " + name})["ServerMsgId"]
	}
	s.must("owner", "POST /live/mute", map[string]any{"UserId": s.id("muted")})
	s.must("owner", "POST /live/mute", map[string]any{"UserId": s.id("muted2"), "Seconds": 600})
	said["film"] = s.film()
	return said
}

// film makes a recording of the room, and answers its id.
func (s *studio) film() int64 {
	s.t.Helper()
	room, err := strconv.ParseInt(fmt.Sprint(s.room["RoomId"]), 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.store.CreateRecording(s.t.Context(), room, "mp4", "", 10)
	if err == nil {
		err = s.store.EndRecording(s.t.Context(), r.ID, 5, 5000, "")
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(s.films, filepath.Dir(r.Key())), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(s.films, r.Key()), []byte("movie"), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return r.ID
}

// verdicts of a call for guest, reader, muted, moderator, owner, system admin.
var askers = []string{"", "reader", "muted", "moderator", "owner", "admin"}

func TestWhoMayCallWhatInALiveRoom(t *testing.T) {
	s := newStudio(t)
	const ok, no, login, gone = protocol.CodeOK, protocol.CodeForbidden, protocol.CodeToken, protocol.CodeUnknown
	everybody, users := []protocol.Code{ok, ok, ok, ok, ok, ok}, []protocol.Code{login, ok, ok, ok, ok, ok}
	order, owners := []protocol.Code{login, no, no, ok, ok, ok}, []protocol.Code{login, no, no, no, ok, ok}
	type params = map[string]any
	cases := []struct {
		endpoint string
		audit    string
		params   func(said params) params
		want     []protocol.Code
	}{
		{"GET /live/list", "", nil, everybody},
		{"GET /live/history", "", nil, everybody},
		{"POST /live/create", "", func(params) params { return params{"Title": "mine"} }, users},
		{"GET /live/mine", "", nil, []protocol.Code{login, protocol.CodeUnknown, protocol.CodeUnknown, protocol.CodeUnknown, ok, protocol.CodeUnknown}},
		{"POST /live/edit", "", func(params) params { return params{"Title": "new"} }, owners},
		{"POST /live/close", "live.close", nil, owners},
		{"POST /live/chat", "", func(params) params { return params{"Message": "hi"} }, []protocol.Code{login, ok, no, ok, ok, ok}},
		{"POST /live/delete-message", "live.delete", func(said params) params { return params{"ServerMsgId": said["reader2"]} }, order},
		{"POST /live/delete-message", "live.delete", func(said params) params { return params{"ServerMsgId": said["moderator2"]} }, owners},
		{"POST /live/delete-message", "", func(said params) params { return params{"ServerMsgId": said["owner"]} }, owners},
		{"POST /live/mute", "live.mute", func(params) params { return params{"UserId": s.id("reader2"), "Seconds": 60} }, order},
		{"POST /live/mute", "live.mute", func(params) params { return params{"UserId": s.id("moderator2")} }, owners},
		{"POST /live/mute", "live.mute", func(params) params { return params{"UserId": s.id("owner")} }, []protocol.Code{login, no, no, no, no, ok}},
		{"POST /live/mute", "live.mute", func(params) params { return params{"UserId": s.id("admin")} }, []protocol.Code{login, no, no, no, no, no}},
		{"POST /live/unmute", "live.unmute", func(params) params { return params{"UserId": s.id("muted2")} }, order},
		{"POST /live/slow", "live.slow", func(params) params { return params{"Seconds": 10} }, order},
		{"GET /live/words", "", nil, order},
		{"POST /live/words", "live.words", func(params) params { return params{"Words": "spam,eggs"} }, order},
		{"GET /live/key", "", nil, []protocol.Code{login, no, no, no, ok, no}},
		{"POST /live/key", "", nil, []protocol.Code{login, no, no, no, ok, no}},
		{"GET /live/info", "", nil, everybody},
		{"GET /live/on-air", "", nil, everybody},
		{"POST /live/heart", "", func(params) params { return params{"Count": 3} }, users},
		{"POST /live/access", "live.access", func(params) params { return params{"Access": "followers"} }, owners},
		{"POST /live/link", "", nil, owners},
		{"GET /live/sessions", "", nil, order},
		{"POST /live/kick", "live.kick", func(params) params { return params{"Id": 2} }, order},
		{"GET /live/record", "", nil, []protocol.Code{login, no, no, no, ok, no}},
		{"POST /live/record", "", func(params) params { return params{"Record": "flv"} }, []protocol.Code{login, no, no, no, ok, no}},
		{"GET /live/record/list", "", nil, owners},
		{"POST /live/record/publish", "", func(said params) params { return params{"Id": said["film"]} }, []protocol.Code{login, gone, gone, gone, ok, gone}},
		{"POST /live/record/delete", "", func(said params) params { return params{"Id": said["film"]} }, []protocol.Code{login, gone, gone, gone, ok, ok}},
		{"GET /live/moderators", "", nil, users},
		{"POST /live/moderators", "live.moderators", func(params) params { return params{"UserIds": s.id("reader")} }, []protocol.Code{login, no, no, no, ok, no}},
	}
	covered := map[string]bool{}
	for _, c := range cases {
		covered[c.endpoint] = true
		for i, who := range askers {
			said := s.stage()
			before := s.audited()
			var p params
			if c.params != nil {
				p = c.params(said)
			}
			w := s.call(who, c.endpoint, p)
			if got := code(t, w); got != c.want[i] {
				t.Errorf("%s %v as %q: %d %s, want %d", c.endpoint, p, who, w.Code, w.Body, c.want[i])
			}
			rows := s.audited()[len(before):]
			switch done := c.want[i] == ok; {
			case !done && len(rows) > 0:
				t.Errorf("%s as %q was refused and audited: %v", c.endpoint, who, rows)
			case done && c.audit != "" && !slices.Equal(rows, []string{"user " + s.id(who) + " " + c.audit}):
				t.Errorf("%s as %q: audited %v", c.endpoint, who, rows)
			}
		}
	}
	for _, d := range s.Calls() {
		if strings.HasPrefix(d.Path, "/live/") && !covered[d.Method+" "+d.Path] {
			t.Errorf("nobody says who may call %s %s", d.Method, d.Path)
		}
		if strings.HasPrefix(d.Path, "/live/") && d.Who == api.Anyone {
			t.Errorf("%s: anyone", d.Path)
		}
	}
}

// audited lists who did what, oldest first.
func (s *studio) audited() []string {
	s.t.Helper()
	entries, err := s.store.AuditEntries(s.t.Context(), store.AuditFilter{Limit: 100_000})
	if err != nil {
		s.t.Fatal(err)
	}
	list := []string{}
	for _, e := range slices.Backward(entries) {
		list = append(list, e.Actor+" "+e.Action)
	}
	return list
}

// everything is all that could have changed.
func (s *studio) everything() string {
	s.t.Helper()
	ctx := s.t.Context()
	rooms, err := s.store.Lives(ctx, 0, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range rooms {
		list, err1 := s.store.LiveMessages(ctx, r.ID, 1000)
		words, err2 := s.store.LiveWords(ctx, r.ID)
		moderators, err3 := s.store.LiveModerators(ctx, r.ID)
		if err1 != nil || err2 != nil || err3 != nil {
			s.t.Fatal(err1, err2, err3)
		}
		fmt.Fprintln(&b, r.LiveRoom, list, words, len(moderators))
	}
	fmt.Fprintln(&b, s.audited())
	return b.String()
}

func TestBadInputIsToldClearlyAndChangesNothing(t *testing.T) {
	s := newStudio(t)
	said := s.stage()
	other := s.must("reader2", "POST /live/create", map[string]any{"Title": "another"})["RoomId"]
	const bad, unknown, no = protocol.CodeBadValue, protocol.CodeUnknown, protocol.CodeForbidden
	type params = map[string]any
	long := func(n int) string { return strings.Repeat("字", n) }
	lines := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "w%d\n", i)
		}
		return b.String()
	}
	cases := []struct {
		endpoint string
		params   params
		want     protocol.Code
	}{
		{"POST /live/chat", params{"Message": ""}, bad},
		{"POST /live/chat", params{"Message": " \n"}, bad},
		{"POST /live/chat", params{"Message": long(301)}, bad},
		{"POST /live/chat", params{"Message": []string{"a"}}, bad},
		{"POST /live/chat", params{"Message": "x", "Type": 20}, no},
		{"POST /live/chat", params{"Message": "x", "Type": "one"}, bad},
		{"POST /live/chat", params{"Message": "x", "RoomId": "live_1"}, bad},
		{"POST /live/chat", params{"Message": "x", "RoomId": []int{1}}, bad},
		{"POST /live/chat", params{"Message": "x", "RoomId": 1000000000}, unknown},
		{"POST /live/chat", params{"Message": "x", "RoomId": -1}, unknown},
		{"POST /live/chat", params{"Message": "x", "RoomId": json.Number("99999999999999999999")}, bad},
		{"POST /live/chat", params{"Message": "x", "ClientMsgId": "a b"}, bad},
		{"POST /live/create", params{"Title": ""}, bad},
		{"POST /live/create", params{"Title": long(61)}, bad},
		{"POST /live/create", params{"Title": "a\x07b"}, bad},
		{"POST /live/create", params{"Title": []string{"a"}}, bad},
		{"POST /live/create", params{"Title": "x", "Cover": "javascript:alert(1)"}, bad},
		{"POST /live/create", params{"Title": "x", "Cover": "http://x/" + long(500)}, bad},
		{"POST /live/edit", params{"Title": long(61)}, bad},
		{"POST /live/edit", params{"Cover": "file:///x"}, bad},
		{"POST /live/edit", params{"Title": "x", "RoomId": 12}, unknown},
		{"POST /live/edit", params{"Title": "x", "RoomId": other}, no},
		{"POST /live/close", params{"RoomId": other}, no},
		{"POST /live/access", params{"Access": "friends"}, bad},
		{"POST /live/access", params{"Access": "open", "RoomId": other}, no},
		{"POST /live/link", params{"Seconds": -1}, bad},
		{"POST /live/link", params{"Seconds": int64(1) << 40}, bad},
		{"POST /live/link", params{"RoomId": other}, no},
		{"POST /live/kick", params{"Id": 99}, unknown},
		{"POST /live/kick", params{"Id": "x"}, bad},
		{"POST /live/kick", params{"Id": 2, "RoomId": other}, no},
		{"POST /live/heart", params{"Count": 51}, bad},
		{"POST /live/heart", params{"Count": 1, "RoomId": 12}, unknown},
		{"GET /live/info", params{"RoomId": 12}, unknown},
		{"GET /live/sessions", params{"RoomId": other}, no},
		{"POST /live/close", params{"RoomId": "abc"}, bad},
		{"POST /live/close", params{"RoomId": 1000000999}, unknown},
		{"POST /live/delete-message", params{"ServerMsgId": "x"}, unknown},
		{"POST /live/delete-message", params{"ServerMsgId": said["reader"], "RoomId": other}, unknown},
		{"POST /live/delete-message", params{"ServerMsgId": said["reader"], "RoomId": 5}, unknown},
		{"POST /live/mute", params{"UserId": "bob"}, bad},
		{"POST /live/mute", params{"UserId": 999999}, unknown},
		{"POST /live/mute", params{"UserId": store.BuiltInAccount}, unknown},
		{"POST /live/mute", params{"UserId": s.id("reader"), "Seconds": -1}, bad},
		{"POST /live/mute", params{"UserId": s.id("reader"), "Seconds": int64(1) << 40}, bad},
		{"POST /live/mute", params{"UserId": s.id("reader"), "RoomId": other}, no},
		{"POST /live/unmute", params{"UserId": s.id("reader")}, unknown},
		{"POST /live/slow", params{"Seconds": 3601}, bad},
		{"POST /live/slow", params{"Seconds": -1}, bad},
		{"POST /live/slow", params{"Seconds": 1.5}, bad},
		{"POST /live/slow", params{"Seconds": 5, "RoomId": other}, no},
		{"POST /live/words", params{"Words": lines(201)}, bad},
		{"POST /live/words", params{"Words": long(41)}, bad},
		{"POST /live/words", params{"Words": []string{"a"}}, bad},
		{"POST /live/words", params{"Words": "x", "RoomId": other}, no},
		{"GET /live/words", params{"RoomId": 7}, unknown},
		{"POST /live/moderators", params{"UserIds": "10001;10002"}, bad},
		{"POST /live/moderators", params{"UserIds": "10001,999999"}, unknown},
		{"POST /live/moderators", params{"UserIds": strings.ReplaceAll(strings.TrimSpace(lines(60)), "\n", ",")}, bad},
		{"POST /live/moderators", params{"UserIds": []string{"10001"}}, bad},
		{"GET /live/moderators", params{"RoomId": 7}, unknown},
		{"GET /live/history", params{"RoomId": 7}, unknown},
		{"GET /live/history", params{"RoomId": "x"}, bad},
	}
	before := s.everything()
	for _, c := range cases {
		w := s.call("owner", c.endpoint, c.params)
		rep := object(t, w)
		if code(t, w) != c.want || w.Code != c.want.HTTPStatus() {
			t.Errorf("%s %.80v: %d %s, want %d", c.endpoint, c.params, w.Code, w.Body, c.want)
		}
		text, _ := rep["ApiMessage"].(string)
		if !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x4e00 && r < 0xa000 }) {
			t.Errorf("%s %.80v: not in Chinese: %q", c.endpoint, c.params, text)
		}
	}
	if after := s.everything(); after != before {
		t.Errorf("something changed:\n%s\nwas\n%s", after, before)
	}
}

func TestTheListShowsRealRoomsBehindTheSample(t *testing.T) {
	s := newStudio(t)
	s.stage()
	s.must("owner", "POST /live/edit", map[string]any{"Title": "Morning walk", "Cover": "https://c.example/x.jpg"})
	list, _ := s.must("", "GET /live/list", nil)["List"].([]any)
	if len(list) != 2 {
		t.Fatalf("%v", list)
	}
	first, _ := list[0].(map[string]any)
	second, _ := list[1].(map[string]any)
	if first["RoomId"] != "1000000000" || first["State"] != 0.0 {
		t.Errorf("%v", first)
	}
	if second["RoomId"] != s.room["RoomId"] || second["Title"] != "Morning walk" || second["Cover"] != "https://c.example/x.jpg" ||
		second["State"] != 0.0 || second["Nickname"] != "owner" || second["IsFollow"] != false {
		t.Errorf("%v", second)
	}
	s.must("owner", "POST /live/close", nil)
	if list, _ := s.must("", "GET /live/list", nil)["List"].([]any); len(list) != 1 {
		t.Errorf("closed and listed: %v", list)
	}
	for i := range 15 {
		s.join(fmt.Sprint("more", i), store.RoleUser)
		s.must(fmt.Sprint("more", i), "POST /live/create", map[string]any{"Title": "t"})
	}
	if list, _ := s.must("", "GET /live/list", nil)["List"].([]any); len(list) != 10 {
		t.Errorf("%d rooms are listed", len(list))
	}
}
