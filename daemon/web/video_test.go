package web_test

import (
	"strings"
	"testing"

	"gtiv/daemon/video/sample"
	"gtiv/daemon/web"
	"gtiv/protocol"
)

func TestTheAppLikesAndCollectsByForm(t *testing.T) {
	for _, path := range []string{"/video/support", "/video/collect"} {
		for body, on := range map[string]bool{"videoId=7&action=1": true, "videoId=7&action=0": false} {
			s := newSite(t)
			w := s.do("POST", path, body, "Content-Type", "application/x-www-form-urlencoded")
			if w.Code != 200 || s.fakes.acted != 7 || s.fakes.on != on {
				t.Errorf("%s %s: %d %s, did %v to %d", path, body, w.Code, w.Body, s.fakes.on, s.fakes.acted)
			}
		}
	}
	s := newSite(t)
	w := s.do("POST", "/video/incr-share-count", "videoId=7", "Content-Type", "application/x-www-form-urlencoded")
	if w.Code != 200 || s.fakes.acted != 7 {
		t.Errorf("share: %d %s", w.Code, w.Body)
	}
}

func TestK10ListsOfPeopleAreEmptyFromPage2(t *testing.T) {
	for _, path := range []string{"/user/follow-list", "/user/fans-list", "/user/support-list"} {
		s := newSite(t)
		first := object(t, s.do("GET", path+"?page=1", ""))["List"].([]any)
		if len(first) != 1 || first[0].(map[string]any)["CreateTime"] != 1700000000.0 || first[0].(map[string]any)["Id"] != 10002.0 {
			t.Errorf("%s: %v", path, first)
		}
		if second := object(t, s.do("GET", path+"?page=2", ""))["List"].([]any); len(second) != 0 {
			t.Errorf("%s page 2: %v", path, second)
		}
	}
}

func TestVideosThatAreNotForEverybodyAreSigned(t *testing.T) {
	signer := &web.Signer{Key: []byte("k")}
	signed := signer.Sign(sample.Key, 10001)
	for _, path := range []string{"/video/home", "/user/creation-videos?userId=10000&page=1", "/user/support-videos?userId=10001&page=1",
		"/user/collect-videos?userId=10001&page=1", "/video/info?videoId=1", "/tag/videos?Tag=x"} {
		s := newSite(t, func(_ *web.Config, d *web.Deps) { d.Signer = signer })
		if w := s.do("GET", path, ""); strings.Contains(w.Body.String(), signed) {
			t.Errorf("%s: a public video is signed: %s", path, w.Body)
		}
		s.fakes.private = true
		w := s.do("GET", path, "")
		if !strings.Contains(w.Body.String(), signed) || strings.Contains(w.Body.String(), `"Cover":"2`) {
			t.Errorf("%s: not signed: %s", path, w.Body)
		}
		s = newSite(t)
		s.fakes.private = true
		if w := s.do("GET", path, ""); w.Code != 200 || strings.Contains(w.Body.String(), signed) {
			t.Errorf("%s without a signer: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestADeletedCommentShowsNothing(t *testing.T) {
	s := newSite(t)
	w := s.do("GET", "/video/comments?VideoId=1", "", "Authorization", "")
	if w.Code != 200 || strings.Contains(w.Body.String(), "never shown") || !strings.Contains(w.Body.String(), `"Next":5`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Who may call what: guests may read, and nothing else.
func TestGuestsOnlyRead(t *testing.T) {
	s := newSite(t)
	for call, guest := range map[string]bool{
		"GET /video/home": true, "GET /video/info?videoId=1": true, "GET /user/creation-videos?userId=10000&page=1": true,
		"GET /user/support-videos?userId=10000&page=1": true, "GET /user/video-master-info?userId=10000": true,
		"GET /tag/videos?Tag=x": true, "GET /tag/trending": true, "GET /video/comments?VideoId=1": true, "POST /video/played?VideoId=1&WatchMs=1": true,
		"POST /video/support?videoId=1&action=1": false, "POST /video/collect?videoId=1&action=1": false, "POST /video/incr-share-count?videoId=1": false,
		"GET /user/follow?userId=10002": false, "POST /video/edit?VideoId=1": false, "POST /video/delete?VideoId=1": false,
		"POST /video/comment?VideoId=1&Content=x": false, "POST /video/comment-delete?CommentId=1": false,
		"POST /video/comment-like?CommentId=1&Action=1": false, "GET /search?Q=x&Kind=users": false, "GET /notice/list": false,
		"POST /notice/read": false, "POST /video/not-interested?VideoId=1": false, "GET /user/subscribe_list": false,
	} {
		method, target, _ := strings.Cut(call, " ")
		if w := s.do(method, target, ""); code(t, w) != protocol.CodeOK {
			t.Errorf("%s with a token: %d %s", call, w.Code, w.Body)
		}
		w := s.do(method, target, "", "Authorization", "")
		if ok := code(t, w) == protocol.CodeOK; ok != guest || !guest && (w.Code != 401 || code(t, w) != protocol.CodeToken) {
			t.Errorf("%s by a guest: %d %s", call, w.Code, w.Body)
		}
	}
}

func TestNoticesAreInTheCallersLanguage(t *testing.T) {
	s := newSite(t)
	item := object(t, s.do("GET", "/notice/list", "", "LanguageCode", "zh"))["List"].([]any)[0].(map[string]any)
	if item["Text"] != "Alice 赞了你的视频" || item["Kind"] != "like" || item["VideoId"] != 1.0 || item["CreateTime"] != 1700000000.0 {
		t.Errorf("%v", item)
	}
}
