package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"gtiv/daemon/web"
)

type fetched struct {
	*http.Response
	body string
}

// fetch does a real request over loopback. Headers come as pairs.
func fetch(t *testing.T, srv *httptest.Server, target string, headers ...string) fetched {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fetched{resp, string(body)}
}

// proxied trusts 10.0.0.0/8 and the documentation addresses of IPv6.
func proxied(c *web.Config, _ *web.Deps) {
	c.Site.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
}

func TestURLsAreThoseOfTheClient(t *testing.T) {
	public := func(c *web.Config, _ *web.Deps) { c.Site.PublicURL = "https://v.example/gtiv/" }
	offset := func(c *web.Config, _ *web.Deps) {
		c.Ports = web.Ports{Comet: 12004, RTMP: 12011, HLS: 12012, FLV: 12013}
	}
	tests := []struct {
		name                string
		change              func(*web.Config, *web.Deps)
		host, remote        string
		headers             []string
		endpoint, hls, rtmp string
		comet               string
	}{
		{
			"direct", nil, "gtiv.example:2009", "192.0.2.1:1", nil,
			"http://gtiv.example:2009/o/", "http://gtiv.example:2012/live/", "rtmp://gtiv.example:2011/live/", "gtiv.example:2004",
		},
		{
			"other ports", offset, "192.168.1.200:12009", "192.0.2.1:1", nil,
			"http://192.168.1.200:12009/o/", "http://192.168.1.200:12012/live/", "rtmp://192.168.1.200:12011/live/", "192.168.1.200:12004",
		},
		{
			"IPv6", nil, "[2001:db8::7]:2009", "192.0.2.1:1", nil,
			"http://[2001:db8::7]:2009/o/", "http://[2001:db8::7]:2012/live/", "rtmp://[2001:db8::7]:2011/live/", "[2001:db8::7]:2004",
		},
		{
			"without a port", nil, "gtiv.example", "192.0.2.1:1", nil,
			"http://gtiv.example/o/", "http://gtiv.example:2012/live/", "rtmp://gtiv.example:2011/live/", "gtiv.example:2004",
		},
		{
			"public URL", public, "evil.example:2009", "192.0.2.1:1", []string{"X-Forwarded-Host", "evil.example"},
			"https://v.example/gtiv/o/", "https://v.example/gtiv/live/", "rtmp://v.example:2011/live/", "v.example:2004",
		},
		{
			"trusted proxy", proxied, "127.0.0.1:2015", "10.1.2.3:1",
			[]string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "v.example"},
			"https://v.example/o/", "https://v.example/live/", "rtmp://v.example:2011/live/", "v.example:2004",
		},
		{
			"trusted proxy with a port", proxied, "gtiv:2015", "[2001:db8::1]:1",
			[]string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "v.example", "X-Forwarded-Port", "8443"},
			"https://v.example:8443/o/", "https://v.example:8443/live/", "rtmp://v.example:2011/live/", "v.example:2004",
		},
		{
			"trusted proxy with the usual port", proxied, "v.example:2015", "10.1.2.3:1",
			[]string{"X-Forwarded-Proto", "https", "X-Forwarded-Port", "443"},
			"https://v.example/o/", "https://v.example/live/", "rtmp://v.example:2011/live/", "v.example:2004",
		},
		{
			"the last value is the proxy's", proxied, "gtiv:2015", "10.1.2.3:1",
			[]string{"X-Forwarded-Host", "evil.example, v.example", "X-Forwarded-Proto", "gopher,https"},
			"https://v.example/o/", "https://v.example/live/", "rtmp://v.example:2011/live/", "v.example:2004",
		},
		{
			"hostile values of a trusted proxy", proxied, "v.example:2015", "10.1.2.3:1",
			[]string{"X-Forwarded-Host", "a/b@c", "X-Forwarded-Proto", "javascript", "X-Forwarded-Port", "0"},
			"http://v.example:2015/o/", "http://v.example:2012/live/", "rtmp://v.example:2011/live/", "v.example:2004",
		},
		{
			"anybody else's headers", proxied, "gtiv.example:2009", "192.0.2.1:1",
			[]string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "X-Forwarded-Port", "1"},
			"http://gtiv.example:2009/o/", "http://gtiv.example:2012/live/", "rtmp://gtiv.example:2011/live/", "gtiv.example:2004",
		},
		{
			"a hostile host", nil, `evil"><script>`, "192.0.2.1:1", nil,
			"http://localhost/o/", "http://localhost:2012/live/", "rtmp://localhost:2011/live/", "localhost:2004",
		},
		{
			"a host with a path", nil, "evil.example/x?", "192.0.2.1:1", nil,
			"http://localhost/o/", "http://localhost:2012/live/", "rtmp://localhost:2011/live/", "localhost:2004",
		},
		{
			"a host with a user", nil, "a@evil.example", "192.0.2.1:1", nil,
			"http://localhost/o/", "http://localhost:2012/live/", "rtmp://localhost:2011/live/", "localhost:2004",
		},
		{
			"a host with a wrong port", nil, "evil.example:99999", "192.0.2.1:1", nil,
			"http://localhost/o/", "http://localhost:2012/live/", "rtmp://localhost:2011/live/", "localhost:2004",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, func(c *web.Config, d *web.Deps) {
				if tt.change != nil {
					tt.change(c, d)
				}
			})
			get := func(path string) map[string]any {
				r := httptest.NewRequest("GET", path, nil)
				r.Host, r.RemoteAddr = tt.host, tt.remote
				for i := 0; i+1 < len(tt.headers); i += 2 {
					r.Header.Set(tt.headers[i], tt.headers[i+1])
				}
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				return object(t, w)
			}
			live := get("/live/list")
			got := []any{get("/video/home")["Endpoint"], live["Hls"], live["Rtmp"], get("/get-comet")["List"].([]any)[0]}
			for i, want := range []any{tt.endpoint, tt.hls, tt.rtmp, tt.comet} {
				if got[i] != want {
					t.Errorf("got %v, want %v", got[i], want)
				}
			}
		})
	}
}

func TestAHostileHostGivesWayToTheAddressOfTheConnection(t *testing.T) {
	s := newSite(t)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/video/home", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "a@b"
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	w := httptest.NewRecorder()
	_, _ = w.Write(body)
	if got := object(t, w)["Endpoint"]; got != srv.URL+"/o/" {
		t.Errorf("endpoint %v, want that of %s", got, srv.URL)
	}
}

func TestPublicURLsAreChecked(t *testing.T) {
	s := newSite(t)
	for _, u := range []string{"v.example", "ftp://v.example", "https://", "https://a b", "https://u:p@v.example", "https://v.example?x=1", "https://v.example:0"} {
		if err := s.SetSite(web.Site{PublicURL: u}); err == nil {
			t.Errorf("%s was taken", u)
		}
	}
	if err := s.SetSite(web.Site{PublicURL: "https://new.example"}); err != nil {
		t.Fatal(err)
	}
	if got := object(t, s.do("GET", "/video/home", ""))["Endpoint"]; got != "https://new.example/o/" {
		t.Errorf("after a reload: %v", got)
	}
}

func TestTheClientsAddressIsNotWhatItClaims(t *testing.T) {
	s := newSite(t, proxied)
	for _, tt := range []struct {
		remote, forwarded, want string
	}{
		{"192.0.2.1:1", "", "192.0.2.1"},
		{"192.0.2.1:1", "1.2.3.4", "192.0.2.1"},                     // not a proxy: a lie
		{"10.0.0.1:1", "1.2.3.4", "1.2.3.4"},                        //
		{"10.0.0.1:1", "9.9.9.9, 1.2.3.4", "1.2.3.4"},               // the client forged the first
		{"10.0.0.1:1", "1.2.3.4, 10.0.0.2, 2001:db8::3", "1.2.3.4"}, // a chain of ours
		{"10.0.0.1:1", "10.0.0.3", "10.0.0.3"},                      // all ours
		{"10.0.0.1:1", "", "10.0.0.1"},                              //
		{"10.0.0.1:1", "1.2.3.4, garbage", "10.0.0.1"},              //
		{"10.0.0.1:1", "1.2.3.4:5678", "1.2.3.4"},                   // some add the port
		{"[2001:db8::1]:1", "[2a00::1]:9", "2a00::1"},               //
		{"[::ffff:10.0.0.1]:1", "::ffff:1.2.3.4", "1.2.3.4"},        //
		{"[fe80::1%eth0]:1", "", "fe80::1"},                         //
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.remote
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := s.ClientAddress(r).String(); got != tt.want {
			t.Errorf("%+v: got %s", tt, got)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "@" // a unix socket
	if s.ClientAddress(r).IsValid() {
		t.Error("an address from nowhere")
	}
}
