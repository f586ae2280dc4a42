package gateway_test

import (
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"gtiv/daemon/apptest"
	"gtiv/daemon/gateway"
	"gtiv/protocol"
)

func TestABannedAddressIsClosedAndRefused(t *testing.T) {
	var banned atomic.Bool
	isBanned := func(a netip.Addr) bool { return banned.Load() && a.IsLoopback() }
	s := start(t, quick(), func(d *gateway.Deps) { d.Banned = isBanned })
	var open []*apptest.Client
	for _, over := range everyTransport {
		open = append(open, s.client(t, over, "1.2"))
	}
	if n := s.CloseBanned(isBanned); n != 0 {
		t.Errorf("%d connections were closed without a ban", n)
	}
	banned.Store(true)
	if n := s.CloseBanned(isBanned); n != len(open) {
		t.Errorf("%d connections were closed, want %d", n, len(open))
	}
	for i, c := range open {
		if _, err := c.Read(); err == nil {
			t.Errorf("%s is still open", everyTransport[i])
		}
	}
	eventually(t, "all gone", func() bool { return s.Connections() == 0 })
	app, err := apptest.DialApp(s.tcp, apptest.AppConfig{Token: "1.2", User: 1})
	if err == nil {
		defer app.Close()
		if !app.WaitError(apptest.Reset, soon) {
			t.Errorf("a banned app was not reset: %v", app.Errors())
		}
	}
	res, err := http.Get("http" + strings.TrimPrefix(s.ws, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("WebSocket from a banned address: %s", res.Status)
	}
	banned.Store(false)
	c := s.client(t, "tcp", "1.2")
	if n := s.Push(1, text(1, 0)); n != 1 {
		t.Errorf("pushed to %d connections after the ban", n)
	}
	expect(t, c, protocol.OpPrivate)
}
