package web_test

import (
	"net/netip"
	"testing"

	"gtiv/daemon/chat"
	"gtiv/daemon/web"
	"gtiv/protocol"
)

func TestReportIsPassedOn(t *testing.T) {
	s := newSite(t)
	w := s.do("POST", "/report", `{"kind":"user","Target":10002,"Reason":"rude"}`)
	if w.Code != 200 || code(t, w) != 0 || s.fakes.report != (chat.Report{Kind: "user", Target: "10002", Reason: "rude"}) || s.fakes.caller.User != self {
		t.Errorf("%d %s: %+v", w.Code, w.Body, s.fakes.report)
	}
	for _, body := range []string{`{}`, `{"Kind":"user","Target":"1"}`, `{"Kind":["user"],"Target":"1","Reason":"x"}`} {
		if w := s.do("POST", "/report", body); w.Code != 400 || code(t, w) != protocol.CodeBadValue {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	if w := s.do("POST", "/report", `{"Kind":"user","Target":"1","Reason":"x"}`, "Authorization", ""); w.Code != 401 {
		t.Errorf("a guest: %d %s", w.Code, w.Body)
	}
}

func TestABannedAddressGetsNothingButKeepsTheAppAlive(t *testing.T) {
	s := newSite(t, func(c *web.Config, _ *web.Deps) {
		c.Site.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")} // httptest's clients
	})
	s.fakes.banned = netip.MustParseAddr("203.0.113.7")
	from := []string{"X-Forwarded-For", "203.0.113.7", "LanguageCode", "zh"}
	for _, path := range []string{"/user/info", "/get-comet", "/docs", "/", "/o/none", "/nosuch"} {
		w := s.do("GET", path, "", from...)
		if w.Code != 403 || w.Body.String() != `{"ApiCode":1100,"ApiMessage":"您的网络地址已被本服务器封禁"}` {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if w := s.do("GET", path, "", "X-Forwarded-For", "203.0.113.8"); w.Code == 403 {
			t.Errorf("%s from another address: %d %s", path, w.Code, w.Body)
		}
	}
	s.fakes.calls = nil
	for _, c := range s.Calls() {
		if !c.Always200 {
			continue
		}
		w := s.do(c.Method, c.Path, "", from...)
		rep := object(t, w)
		if w.Code != 200 {
			t.Errorf("%s: %d %s", c.Path, w.Code, w.Body)
		}
		for _, f := range c.Reply {
			if v, ok := rep[f.Name]; (!ok || v == nil) && !f.Optional {
				t.Errorf("%s: %s is missing in %s", c.Path, f.Name, w.Body)
			}
		}
		switch got := code(t, w); {
		case c.Path == "/video/home" && got == 0: // the app hangs on an empty feed
		case c.Path == "/user/register-by-username" && got == protocol.CodeFailed:
		case got != protocol.CodeForbidden:
			t.Errorf("%s: %s", c.Path, w.Body)
		}
	}
	if len(s.fakes.calls) > 0 {
		t.Errorf("a banned address reached %v", s.fakes.calls)
	}
}
