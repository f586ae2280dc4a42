package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"gtiv/daemon/account"
	"gtiv/daemon/chat"
	"gtiv/daemon/live"
	"gtiv/daemon/video"
	"gtiv/daemon/web"
	"gtiv/store"
	"gtiv/store/queue"
)

// newReal is a server with the real services, on a database in a temporary
// folder, that pushes to nobody.
func newReal(t *testing.T) *web.Server {
	t.Helper()
	s, _ := newRealStore(t)
	return s
}

func newRealStore(t *testing.T) (*web.Server, *store.Store) {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "gtiv.db")})
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.Open(queue.Config{Dir: filepath.Join(dir, "queue")})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := chat.New(chat.Config{Language: "en"}, chat.Deps{
		Store: db, Cursors: q.Cursors(),
		Push: func(int64, chat.Push) int { return 0 }, PushSession: func(int64, chat.Push) int { return 0 }, PushRoom: func(int64, chat.RoomPush) {},
		Connected: func(int64) bool { return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	people, err := account.New(account.Config{Registration: account.RegistrationOpen, PasswordMin: 6, MemoryKiB: 64, Language: "en"}, account.Deps{
		Store: db, SealKey: make([]byte, 32), Kick: func(int64) {}, Forget: func(int64) {},
		Deliver: messages.Deliver, Unfriended: messages.Unfriended, Leaving: messages.QuitAll, QuitTexts: messages.QuitTexts(),
	})
	if err != nil {
		t.Fatal(err)
	}
	rooms, err := live.New(live.Config{}, live.Deps{
		Store: db, Publish: func(int64, live.Frame) {}, Disband: func(int64) {}, Online: func(int64) int { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	clips, err := video.New(video.Config{}, video.Deps{Store: db})
	if err != nil {
		t.Fatal(err)
	}
	s, err := web.New(web.Config{Ports: web.Ports{Comet: 2004, RTMP: 2011, HLS: 2012, FLV: 2013}}, web.Deps{
		Streams: fakeStreams{&fakes{}},
		Account: people, Chat: messages, Video: clips, Live: rooms, Clips: video.Files(), Records: fakeRecords{new(fakes)}, Uploads: fakeUpload{new(fakes)}, UploadToken: new(fakes).token,
		Online: func(int64) bool { return false }, SessionOnline: func(int64) bool { return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 2)
	go func() { done <- messages.Run(ctx) }()
	go func() { done <- people.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		_ = q.Close()
		_ = db.Close()
	})
	return s, db
}

// phone is one person's app.
type phone struct {
	t      *testing.T
	server *web.Server
	id     string
	token  string
}

func register(t *testing.T, s *web.Server, name string) *phone {
	t.Helper()
	p := &phone{t: t, server: s}
	info, ok := p.call("POST", "/user/register-by-username", "username="+name+"&password=secret-word")["Userinfo"].(map[string]any)
	if !ok {
		t.Fatal("not registered")
	}
	p.token, _ = info["Token"].(string)
	p.id = fmt.Sprint(int64(info["UserId"].(float64)))
	return p
}

// call makes a call that must succeed.
func (p *phone) call(method, target, body string) map[string]any {
	p.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", p.token)
	if !strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	p.server.ServeHTTP(w, r)
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != 200 || m["ApiCode"] != 0.0 {
		p.t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
	}
	return m
}

func first(t *testing.T, rep map[string]any) map[string]any {
	t.Helper()
	list, _ := rep["List"].([]any)
	if len(list) == 0 {
		t.Fatalf("an empty list: %v", rep)
	}
	return list[0].(map[string]any)
}

// TestTwoPeopleMeetAndWrite is wire.md 10.2 with the real services: search,
// request, acceptance, a message, and what the receiver fetches.
func TestTwoPeopleMeetAndWrite(t *testing.T) {
	s := newReal(t)
	alice, bob := register(t, s, "alice"), register(t, s, "bob")
	if found := alice.call("POST", "/user/search", `{"Username":"bob"}`); found["UserId"] != bob.id {
		t.Fatalf("found %v", found)
	}
	alice.call("POST", "/imlogic/push-mid", `{"Type":"7","Message":"hello, I am alice","ToUsers":"`+bob.id+`"}`)
	if asks := first(t, bob.call("GET", "/chat/addme-list", "")); asks["Msg"] != "hello, I am alice" || asks["Username"] != "alice" {
		t.Fatalf("application %v", asks)
	}
	bob.call("POST", "/contacts/add", `{"UserId":"`+alice.id+`","Type":1}`)
	if c := first(t, alice.call("GET", "/contacts/list", "")); c["UserId"] != bob.id || c["Deleted"] != 0.0 {
		t.Fatalf("contact %v", c)
	}
	if v := alice.call("GET", "/user/info", "")["ContactsVersion"]; v == 0.0 {
		t.Error("the contacts version did not move")
	}
	sent := alice.call("POST", "/imlogic/push-mid", `{"Type":0,"Message":"a<b> & 'c'","ToUsers":"`+bob.id+`"}`)
	list, _ := bob.call("GET", "/chat/sync-private-message?LastMessageTime=0", "")["List"].([]any)
	got, _ := list[len(list)-1].(map[string]any)
	if got["MsgId"] != sent["ServerMsgId"] || got["Time"] != sent["Time"] || got["MsgType"] != 0.0 {
		t.Errorf("sent %v, synced %v", sent, list)
	}
	page := alice.call("GET", "/user/video-master-info?userId="+bob.id, "")
	if page["IsFriend"] != true || page["IsFollow"] != false {
		t.Errorf("page %v", page)
	}
	alice.call("DELETE", "/contacts?UserId="+bob.id, "")
	if c := first(t, bob.call("GET", "/contacts/list", "")); c["Deleted"] != 1.0 {
		t.Errorf("after unfriending: %v", c)
	}
}

// TestAGuestSeesTheSample is what the app does before anybody logs in.
func TestAGuestSeesTheSample(t *testing.T) {
	guest := &phone{t: t, server: newReal(t), token: "of another server"}
	clip := first(t, guest.call("GET", "/video/home", ""))
	if clip["UserId"] != 10000.0 || clip["Width"] == 0.0 || clip["Nickname"] == "" {
		t.Errorf("clip %v", clip)
	}
	// Found by a reviewer: the owner of the sample had made no video.
	anna := register(t, guest.server, "anna")
	for who, n := range map[string]float64{"10000": 1, anna.id: 0} {
		for _, target := range []string{"/user/video-master-info?userId=", "/user/info?UserId="} {
			if got := anna.call("GET", target+who, "")["CreateVideoNum"]; got != n {
				t.Errorf("%s%s: CreateVideoNum %v, want %v", target, who, got, n)
			}
		}
	}
	grid := first(t, guest.call("GET", "/user/creation-videos?userId=10000&page=1", ""))
	if grid["Cover"] != clip["Cover"] {
		t.Errorf("grid %v", grid)
	}
	guest.call("GET", fmt.Sprintf("/video/info?videoId=%v", clip["Id"]), "")
	if n := guest.call("GET", "/user/video-master-info?userId=10000", "")["CreateVideoNum"]; n != 1.0 {
		t.Errorf("a guest sees CreateVideoNum %v", n)
	}
	if room := first(t, guest.call("GET", "/live/list", "")); room["State"] != 0.0 {
		t.Errorf("room %v", room)
	}
}

// TestAVideosLife is what people do with a video, from its publication to its
// end, with the real services.
func TestAVideosLife(t *testing.T) {
	s, db := newRealStore(t)
	alice, bob := register(t, s, "alice"), register(t, s, "bob")
	guest := &phone{t: t, server: s}
	owner, err := db.AccountByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	v, err := db.CreateVideo(t.Context(), store.NewVideo{Owner: owner.ID, Title: "我的短视频 #cats", Tags: []string{"cats"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.FinishVideo(t.Context(), v.ID, store.VideoResult{Key: "2026/k", Width: 3, Height: 4}); err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprint(v.ID)
	item := first(t, guest.call("GET", "/video/home", ""))
	if item["Uri"] != "2026/k/index.m3u8" || item["Cover"] != "2026/k/cover.jpg" || item["IsFollow"] != false || item["Width"] != 3.0 {
		t.Errorf("feed: %v", item)
	}
	for range 2 { // the app repeats itself
		bob.call("POST", "/video/support", "videoId="+id+"&action=1")
		bob.call("POST", "/video/collect", "videoId="+id+"&action=1")
		bob.call("GET", "/user/follow?userId="+alice.id, "")
	}
	bob.call("POST", "/video/incr-share-count", "videoId="+id)
	said := bob.call("POST", "/video/comment", `{"VideoId":`+id+`,"Content":"nice, @alice"}`)
	comment := fmt.Sprint(said["CommentId"])
	alice.call("POST", "/video/comment-like", `{"CommentId":`+comment+`,"Action":1}`)
	alice.call("POST", "/video/comment", `{"VideoId":"`+id+`","Content":"thanks","ReplyTo":"`+comment+`"}`)
	if c := first(t, guest.call("GET", "/video/comments?VideoId="+id, "")); c["Content"] != "nice, @alice" || c["SupportNum"] != 1.0 || c["ReplyNum"] != 1.0 {
		t.Errorf("comment: %v", c)
	}
	if c := first(t, guest.call("GET", "/video/comments?VideoId="+id+"&CommentId="+comment, "")); c["Content"] != "thanks" || c["ReplyTo"] == "" {
		t.Errorf("reply: %v", c)
	}
	info := bob.call("GET", "/video/info?videoId="+id, "")
	if info["SupportNum"] != 1.0 || info["CollectNum"] != 1.0 || info["IsFollow"] != true || info["IsSupport"] != true || info["CommentNum"] != 2.0 {
		t.Errorf("info: %v", info)
	}
	page := guest.call("GET", "/user/video-master-info?userId="+alice.id, "")
	if page["SupportNum"] != 1.0 || page["FansNum"] != 1.0 || page["CreateVideoNum"] != 1.0 || page["Intro"] == nil {
		t.Errorf("page: %v", page)
	}
	if me := bob.call("GET", "/user/info", ""); me["CollectVideoNum"] != 1.0 || me["FollowNum"] != 1.0 || me["SupportNum"] != 0.0 {
		t.Errorf("bob: %v", me)
	}
	for target, who := range map[string]*phone{
		"/user/creation-videos?page=1&userId=" + alice.id: guest, "/user/support-videos?page=1&userId=" + bob.id: guest,
		"/user/collect-videos?page=1&userId=" + bob.id: bob, "/tag/videos?Tag=CATS": guest,
	} {
		if item := first(t, who.call("GET", target, "")); item["Cover"] != "2026/k/cover.jpg" {
			t.Errorf("%s: %v", target, item)
		}
	}
	for target, want := range map[string]string{
		"/user/follow-list?page=1": alice.id, "/user/fans-list?page=1": bob.id, "/user/support-list?page=1": bob.id, "/user/subscribe_list": alice.id,
	} {
		who := bob
		if want == bob.id {
			who = alice
		}
		item := first(t, who.call("GET", target, ""))
		if got := fmt.Sprint(item["Id"], item["UserId"]); !strings.Contains(got, want) {
			t.Errorf("%s: %v", target, item)
		}
	}
	if found, _ := bob.call("GET", "/search?Kind=videos&Q=%E8%A7%86%E9%A2%91", "")["Videos"].([]any); len(found) != 1 {
		t.Errorf("search: %v", found)
	}
	kinds := ""
	list := alice.call("GET", "/notice/list", "")
	for _, n := range list["List"].([]any) {
		kinds += fmt.Sprint(n.(map[string]any)["Kind"], " ")
	}
	if kinds != "comment follow like " || list["Unread"] != 3.0 {
		t.Errorf("notices: %s", kinds)
	}
	alice.call("POST", "/notice/read", "{}")
	if n := alice.call("GET", "/notice/list", "")["Unread"]; n != 0.0 {
		t.Errorf("%v unread", n)
	}
	alice.call("POST", "/video/edit", `{"VideoId":`+id+`,"Visibility":"private"}`)
	if item := first(t, guest.call("GET", "/video/home", "")); item["Id"] != 1.0 {
		t.Errorf("a private video is in the feed: %v", item)
	}
	alice.call("POST", "/video/delete", `{"VideoId":`+id+`}`)
	if me := bob.call("GET", "/user/info", ""); me["CollectVideoNum"] != 0.0 {
		t.Errorf("bob afterwards: %v", me)
	}
}
