package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/web"
	"gtiv/protocol"
)

var (
	errRefused  = protocol.Errorf(protocol.CodePassword, "badPassword")
	errTooOften = protocol.TooOften(30 * time.Second)
)

// newOverloaded is a site that is busy with its one request at a time.
func newOverloaded(t *testing.T) *site {
	t.Helper()
	s := newSite(t, func(c *web.Config, _ *web.Deps) { c.MaxRequests = 1 })
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s.fakes.enter = func() {
		close(entered)
		<-leave
	}
	go func() {
		defer close(done)
		s.do("GET", "/user/info", "")
	}()
	<-entered
	t.Cleanup(func() {
		close(leave)
		<-done
	})
	return s
}

func TestLoginAnswersWithStatus200AndCode1201(t *testing.T) {
	s := newSite(t)
	s.fakes.err = errRefused
	w := s.do("POST", "/user/login", `{"Username":"a","Password":"b"}`)
	if w.Code != 200 || w.Body.String() != `{"ApiCode":1201,"ApiMessage":"Wrong user name or password."}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.fakes.err = errTooOften
	w = s.do("POST", "/user/login", `{"Username":"a","Password":"b"}`)
	if w.Code != 200 || code(t, w) != 1300 || object(t, w)["RetryAfter"] != 30.0 || w.Header().Get("Retry-After") != "30" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestLoginMakesTheAppFetchItsContacts(t *testing.T) {
	s := newSite(t)
	info, _ := object(t, s.do("POST", "/user/login", `{"Username":"a","Password":"b"}`))["Userinfo"].(map[string]any)
	if info["ContactsVersion"] != 0.0 || info["Token"] != "good" || info["Avatar"] != "http://a.example/x.jpg?v=3" {
		t.Errorf("%v", info)
	}
}

func TestRegisterFailsWithCode1Only(t *testing.T) {
	s := newSite(t)
	for _, err := range []error{errRefused, errTooOften, errInternal, protocol.Errorf(protocol.CodeConflict, "usernameTaken")} {
		s.fakes.err = err
		w := s.do("POST", "/user/register-by-username", "username=al&password=hunter2", "Content-Type", "application/x-www-form-urlencoded")
		if w.Code != 200 || code(t, w) != protocol.CodeFailed || strings.Contains(w.Body.String(), "Userinfo") ||
			strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%v: %d %s", err, w.Code, w.Body)
		}
	}
}

func TestAFailedPushCarriesNothingButTheHead(t *testing.T) {
	s := newSite(t)
	for err, status := range map[error]int{errRefused: 401, errTooOften: 429, errInternal: 500} {
		s.fakes.err = err
		w := s.do("POST", "/imlogic/push-mid", `{"Type":"0","Message":"x","ToUsers":"10002"}`)
		if w.Code != status || strings.Contains(w.Body.String(), "Time") || strings.Contains(w.Body.String(), "ServerMsgId") {
			t.Errorf("%v: %d %s", err, w.Code, w.Body)
		}
	}
}

func TestAnInvalidTokenIsAnsweredWith401AndTheHead(t *testing.T) {
	s := newSite(t)
	for _, token := range []string{"", "nonsense", "revoked"} {
		w := s.do("GET", "/user/info", "", "Authorization", token, "LanguageCode", "zh")
		if w.Code != 401 || w.Body.String() != `{"ApiCode":1000,"ApiMessage":"请先登录"}` {
			t.Errorf("%q: %d %s", token, w.Code, w.Body)
		}
	}
}

// The mismatches of wire.md 6 between the app and the original server.

func TestM1ContactsAreDeletedOnBothPathsInBothWays(t *testing.T) {
	for _, tt := range []struct{ target, body string }{
		{"/contacts?UserId=10002", ""},
		{"/contacts", `{"UserId":"10002"}`},
		{"/contacts/delete?UserId=10002", ""},
		{"/contacts/delete", `{"UserId":10002}`},
		{"/Contacts/Delete", `{"userId":10002}`},
	} {
		s := newSite(t)
		if w := s.do("DELETE", tt.target, tt.body); w.Code != 200 || s.fakes.peer != peer {
			t.Errorf("%+v: %d %s, deleted %d", tt, w.Code, w.Body, s.fakes.peer)
		}
	}
}

func TestM3OnlyType1AcceptsAFriend(t *testing.T) {
	for body, accept := range map[string]bool{
		`{"UserId":"10002","Type":1}`: true, `{"UserId":"10002","Type":"1"}`: true,
		`{"UserId":"10002","Type":2}`: false, `{"UserId":"10002","Type":0}`: false,
	} {
		s := newSite(t)
		if w := s.do("POST", "/contacts/add", body); w.Code != 200 || s.fakes.accept != accept || s.fakes.peer != peer {
			t.Errorf("%s: %d, accepted %v", body, w.Code, s.fakes.accept)
		}
	}
}

func TestM4RoomInfoIsCompleteForAnyID(t *testing.T) {
	s := newSite(t)
	w := s.do("GET", "/room/info?RoomId=10002", "")
	want := `{"ApiCode":0,"ApiMessage":"Successed","BannedAll":false,"BannedUser":false,"Id":"10002","Video":"","Avatar":"",` +
		`"MemberNum":0,"RoomName":"","RoomType":0,"ShowVideo":0,"IsMember":false,"Role":0,"DefaultGame":""}`
	if w.Body.String() != want {
		t.Errorf("%s", w.Body)
	}
}

func TestM5UserInfoIsTheUnionAndLeaksNothing(t *testing.T) {
	s := newSite(t)
	w := s.do("GET", "/user/info?UserId=10002", "")
	rep := object(t, w)
	if rep["UserId"] != "10002" || rep["Birthday"] != "" || rep["Version"] != 3.0 || rep["LastLoginTime"] != 0.0 {
		t.Errorf("%s", w.Body)
	}
	for _, secret := range []string{"argon2", `"Tel"`, "Token", "123"} {
		if strings.Contains(w.Body.String(), secret) {
			t.Errorf("%s is in %s", secret, w.Body)
		}
	}
	if rep := object(t, s.do("GET", "/user/info", "")); rep["UserId"] != "10001" || rep["LastLoginTime"] == 0.0 {
		t.Errorf("own: %v", rep)
	}
}

func TestM6NobodyFoundIsAFailure(t *testing.T) {
	s := newSite(t)
	s.fakes.err = protocol.Errorf(protocol.CodeUnknown, "noSuchUser")
	w := s.do("POST", "/user/search", `{"Username":"x"}`)
	if w.Code != 200 || code(t, w) <= 0 || object(t, w)["Username"] != "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestM7SyncedMessagesCarryTheirID(t *testing.T) {
	s := newSite(t)
	w := s.do("GET", "/chat/sync-private-message?LastMessageTime=1700000000000", "", "LanguageCode", "zh")
	want := `{"ApiCode":0,"ApiMessage":"Successed","List":[{"MsgId":"0190-id","MsgType":0,"FromUser":10002,"Content":"a<b>&'","Time":1700000000001}]}`
	if w.Body.String() != want || s.fakes.caller.Language != "zh" || s.fakes.caller.Session != 7 {
		t.Errorf("%s for %+v", w.Body, s.fakes.caller)
	}
	if s.fakes.noted != 1 {
		t.Errorf("an answer was noted as sent %d times", s.fakes.noted)
	}
	s.fakes.err = errors.New("broken")
	if s.do("GET", "/chat/sync-private-message?LastMessageTime=1", ""); s.fakes.noted != 1 {
		t.Errorf("an answer that failed was noted as sent")
	}
}

func TestM9TheUploadTokenIsTheCallersAndLastsTwoHours(t *testing.T) {
	s := newSite(t)
	rep := object(t, s.do("GET", "/obstore/client_token?Type=2&ObjectKey=", ""))
	if rep["ImObsToken"] != "key:mac:10001" || rep["RemoteBaseUrl"] != "http://gtiv.example:2015/o/10001" {
		t.Errorf("%v", rep)
	}
	s.fakes.remote = "https://cdn.example"
	if rep := object(t, s.do("GET", "/obstore/client_token?Type=2&ObjectKey=", "")); rep["RemoteBaseUrl"] != "https://cdn.example" {
		t.Errorf("%v", rep)
	}
}

func TestM10CheckOnlineTakesTheAppsEmptyForm(t *testing.T) {
	s := newSite(t)
	for body, online := range map[string]bool{"": true, "User=10002": true, "User=10003": false, "User=": true} {
		w := s.do("POST", "/imlogic/check-online", body, "Content-Type", "application/x-www-form-urlencoded")
		if w.Code != 200 || object(t, w)["Online"] != online {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	}
}

func TestM11RegisteringAndLoggingInGiveTheSameAccount(t *testing.T) {
	s := newSite(t)
	a := s.do("POST", "/user/register-by-username", "username=al&password=secret", "Content-Type", "application/x-www-form-urlencoded")
	b := s.do("POST", "/user/login", `{"Username":"al","Password":"secret"}`)
	if a.Body.String() != b.Body.String() {
		t.Errorf("%s\n%s", a.Body, b.Body)
	}
}

func TestM13NothingMissedIsAnEmptyList(t *testing.T) {
	s := newSite(t)
	for _, target := range []string{"/chat/sync-private-message?LastMessageTime=0", "/chat/room-msg?RoomId=1000000001&LastMessageTime=0", "/room/list"} {
		if _, ok := object(t, s.do("GET", target, ""))["List"].([]any); !ok {
			t.Errorf("%s: no list", target)
		}
	}
}

func TestM14RegisterTakesNumbersAndStrings(t *testing.T) {
	for _, body := range []string{
		`{"Tel":"0138","TelCode":"86","VerifyCode":"012345","Password":"x"}`,
		`{"Tel":"0138","TelCode":86,"VerifyCode":"012345","Password":"x"}`,
	} {
		s := newSite(t)
		w := s.do("POST", "/user/register", body)
		if w.Code != 200 || len(s.fakes.calls) != 1 || s.fakes.calls[0] != "RegisterByPhone 86 0138 012345" {
			t.Errorf("%s: %d %s %v", body, w.Code, w.Body, s.fakes.calls)
		}
	}
}

func TestInviteKeepsItsRoomIDANumber(t *testing.T) {
	s := newSite(t)
	s.fakes.err = errors.New("broken")
	for _, body := range []string{`{"UserIds":"10002"}`, `{"UserIds":"10002,x"}`, `{"UserIds":["10002"]}`, `{"RoomId":"x","UserIds":"10002"}`} {
		w := s.do("POST", "/room/invite", body)
		rep := object(t, w)
		if w.Code != 200 || rep["RoomId"] != "0" || rep["Message"] != "" || rep["RoomName"] != "" || rep["ApiCode"] == 0.0 {
			t.Errorf("%s: %v", body, rep)
		}
	}
}

func TestMembersComeInPages(t *testing.T) {
	s := newSite(t)
	for query, want := range map[string][2]int{
		"": {1, 15}, "&Page=2&Rows=50": {2, 50}, "&Page=0&Rows=0": {1, 15}, "&Page=-3&Rows=5000": {1, 50},
	} {
		if w := s.do("GET", "/room/member_list?RoomId=1000000001"+query, ""); w.Code != 200 || s.fakes.page != want {
			t.Errorf("%s: %d, page %v", query, w.Code, s.fakes.page)
		}
	}
}

func TestRoomOptionsThatAreMissingStay(t *testing.T) {
	s := newSite(t)
	for body, want := range map[string]protocol.Code{`{"RoomId":1000000001,"Approval":true}`: 0, `{"RoomId":1000000001}`: 0, `{"RoomId":1000000001,"Approval":"perhaps"}`: 1400} {
		if w := s.do("POST", "/room/options", body); code(t, w) != want {
			t.Errorf("%s: %s", body, w.Body)
		}
	}
}

func TestOnlyTheCollectorSeesACollection(t *testing.T) {
	s := newSite(t)
	w := s.do("GET", "/user/collect-videos?userId=10002&page=1", "")
	if w.Code != 200 || code(t, w) != protocol.CodeForbidden {
		t.Errorf("%s", w.Body)
	}
}

func TestThePageOfSomebodySaysHowTheyRelate(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		user, token    string
		follow, friend bool
	}{
		{"10001", "good", true, true},   // own page
		{"10002", "good", false, true},  // a contact
		{"10003", "good", false, false}, // a stranger
		{"10002", "", false, false},     // for a guest
	} {
		rep := object(t, s.do("GET", "/user/video-master-info?userId="+tt.user, "", "Authorization", tt.token))
		if rep["IsFollow"] != tt.follow || rep["IsFriend"] != tt.friend {
			t.Errorf("%+v: %v", tt, rep)
		}
	}
}

func TestTheExportIsADownload(t *testing.T) {
	s := newSite(t)
	w := s.do("GET", "/user/export", "")
	if w.Code != 200 || w.Body.String() != "PK" || w.Header().Get("Content-Type") != "application/zip" ||
		w.Header().Get("Content-Disposition") != `attachment; filename="gtiv-10001.zip"` {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	s.fakes.err = errTooOften
	w = s.do("GET", "/user/export", "")
	if w.Code != 429 || code(t, w) != 1300 || w.Header().Get("Content-Disposition") != "" {
		t.Errorf("refused: %d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestDeletingNeedsTheOwnName(t *testing.T) {
	s := newSite(t)
	if w := s.do("POST", "/user/delete", `{"Username":"bob","Password":"x"}`); w.Code != 403 {
		t.Errorf("another name: %d", w.Code)
	}
	for _, body := range []string{`{"Username":"Alice","Password":"x"}`, `{"Password":"x"}`} {
		if w := s.do("POST", "/user/delete", body); w.Code != 200 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

func TestTheNewerCallsReachTheirService(t *testing.T) {
	for _, tt := range []struct{ method, target, body, call, want string }{
		{"POST", "/user/password", `{"OldPassword":"a","NewPassword":"b"}`, "ChangePassword", ""},
		{"GET", "/user/sessions", "", "Sessions", `{"SessionId":7,"Agent":"","Address":"","CreatedAt":0,"LastSeen":0,"Current":true},{"SessionId":8,`},
		{"POST", "/user/session-revoke", `{"SessionId":8}`, "RevokeSession", ""},
		{"DELETE", "/user/sessions?SessionId=8", "", "RevokeSession", ""},
		{"POST", "/user/single-device", `{"On":true}`, "SetSingleDevice", ""},
		{"GET", "/user/totp", "", "TOTPStatus", `"On":true,"RecoveryLeft":8`},
		{"POST", "/user/totp-setup", `{"Password":"x"}`, "TOTPSetup", `"Secret":"ABC","Url":"otpauth://totp/x"`},
		{"POST", "/user/totp-confirm", `{"Code":123456}`, "TOTPConfirm", `"List":["one"]`},
		{"POST", "/user/totp-disable", `{"Password":"x","Code":"012345"}`, "TOTPDisable", ""},
		{"POST", "/user/totp-recovery", `{"Password":"x","Code":"012345"}`, "TOTPRecovery", `"List":["two"]`},
		{"POST", "/user/phone-code", `{"TelCode":86,"Tel":"138"}`, "RequestPhoneCode", ""},
		{"POST", "/contacts/block", `{"UserId":10002}`, "Block", ""},
		{"POST", "/contacts/unblock", `{"UserId":10002}`, "Unblock", ""},
		{"GET", "/contacts/blocked", "", "Blocked", `"List":[{"UserId":"10002"`},
	} {
		s := newSite(t)
		w := s.do(tt.method, tt.target, tt.body)
		if w.Code != 200 || code(t, w) != 0 || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s", tt.target, w.Code, w.Body)
		}
		if len(s.fakes.calls) != 1 || s.fakes.calls[0] != tt.call {
			t.Errorf("%s called %v", tt.target, s.fakes.calls)
		}
		s.fakes.err = errInternal
		if w := s.do(tt.method, tt.target, tt.body); w.Code != 500 || code(t, w) != 1 {
			t.Errorf("%s, failing: %d %s", tt.target, w.Code, w.Body)
		}
	}
}

func TestPagesOfListsAreBounded(t *testing.T) {
	s := newSite(t)
	for target, want := range map[string][2]int{
		"/user/subscribe_list": {1, 15}, "/user/subscribe_list?Page=-3&Rows=1000": {1, 50}, "/user/subscribe_list?Page=2&Rows=5": {2, 5},
	} {
		if s.do("GET", target, ""); s.fakes.page != want {
			t.Errorf("%s: %v", target, s.fakes.page)
		}
	}
}

func TestTheOriginOfACallReachesTheService(t *testing.T) {
	s := newSite(t)
	s.do("POST", "/user/register-by-username", "username=a&password=b", "Content-Type", "application/x-www-form-urlencoded",
		"User-Agent", strings.Repeat("x", 500), "LanguageCode", "zh-CN")
	o := s.fakes.origin
	if o.Address.String() != "192.0.2.1" || len(o.Agent) != 200 || o.Language != "zh" {
		t.Errorf("%+v", o)
	}
	// Found by a reviewer: the site's language was stored as the account's choice.
	s.do("POST", "/user/register-by-username", "username=a&password=b", "Content-Type", "application/x-www-form-urlencoded")
	if got := s.fakes.origin.Language; got != "" {
		t.Errorf("a client that named no language chose %q", got)
	}
	s.do("GET", "/user/info", "", "LanguageCode", "zh")
	if s.fakes.lang != "zh" {
		t.Errorf("language noted: %q", s.fakes.lang)
	}
}

func TestTheSampleVideoPlaysFromItsEndpoint(t *testing.T) {
	s := newSite(t)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	rep := httptest.NewRecorder()
	r := httptest.NewRequest("GET", srv.URL+"/video/home", nil)
	s.ServeHTTP(rep, r)
	home := object(t, rep)
	item, _ := home["List"].([]any)[0].(map[string]any)
	endpoint, _ := home["Endpoint"].(string)
	uri, _ := item["Uri"].(string)
	if !strings.HasSuffix(endpoint, "/") || strings.HasPrefix(uri, "/") {
		t.Fatalf("endpoint %q, uri %q", endpoint, uri)
	}
	resp := fetch(t, srv, endpoint+uri)
	lines := strings.Split(strings.TrimSpace(resp.body), "\n")
	last := lines[len(lines)-2]
	if resp.Header.Get("Content-Type") != "application/vnd.apple.mpegurl" || !strings.HasPrefix(last, "index") {
		t.Fatalf("%v %q", resp.Header, resp.body)
	}
	dir := strings.TrimSuffix(endpoint+uri, "index.m3u8")
	segment := fetch(t, srv, dir+last)
	if segment.StatusCode != 200 || segment.Header.Get("Content-Type") != "video/mp2t" || segment.body[0] != 0x47 {
		t.Errorf("segment: %d %v", segment.StatusCode, segment.Header)
	}
	cover := fetch(t, srv, dir+"cover.jpg")
	if cover.Header.Get("Content-Type") != "image/jpeg" || !strings.Contains(cover.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("cover: %v", cover.Header)
	}
	if again := fetch(t, srv, dir+"cover.jpg", "If-None-Match", cover.Header.Get("Etag")); again.StatusCode != 304 {
		t.Errorf("unchanged: %d", again.StatusCode)
	}
	if part := fetch(t, srv, dir+"cover.jpg", "Range", "bytes=0-1"); part.StatusCode != 206 || part.body != "\xff\xd8" {
		t.Errorf("range: %d %q", part.StatusCode, part.body)
	}
	for _, target := range []string{dir + "make.sh", dir, srv.URL + "/o/", srv.URL + "/o/../web.go", dir + "%2e%2e/meta.go"} {
		if r := fetch(t, srv, target); r.StatusCode != 404 {
			t.Errorf("%s: %d", target, r.StatusCode)
		}
	}
}

func TestLiveListSaysWhereStreamsAre(t *testing.T) {
	rep := object(t, newSite(t).do("GET", "/live/list", "", "Authorization", ""))
	item, _ := rep["List"].([]any)[0].(map[string]any)
	cover, _ := item["Cover"].(string)
	if rep["Rtmp"] != "rtmp://gtiv.example:2011/live/" || rep["Hls"] != "http://gtiv.example:2012/live/" ||
		rep["Flv"] != "http://gtiv.example:2013/live/" || item["State"] != 0.0 || item["RoomId"] != "1000000000" ||
		!strings.HasPrefix(cover, "http://gtiv.example:2015/o/") {
		t.Errorf("%v", rep)
	}
}

func TestTheAppsVersionAndCountries(t *testing.T) {
	s := newSite(t)
	if rep := object(t, s.do("GET", "/app/version?Type=1", "")); rep["Version"] != "0.1.2" || rep["Url"] != "http://x/app.apk" {
		t.Errorf("%v", rep)
	}
	if rep := object(t, s.do("GET", "/app/version?Type=2", "")); rep["Version"] != "" || rep["ApiCode"] != 0.0 {
		t.Errorf("another app: %v", rep)
	}
	if w := s.do("GET", "/app/country", "", "LanguageCode", "zh"); !strings.Contains(w.Body.String(), `{"TelCode":86,"Country":"中国"}`) {
		t.Errorf("%.300s", w.Body)
	}
}

func BenchmarkUserInfo(b *testing.B) {
	s := newSite(b)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodGet, "/user/info?UserId=10002", nil)
		r.Header.Set("Authorization", "good")
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
}
