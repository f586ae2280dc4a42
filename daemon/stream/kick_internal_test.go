package stream

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gtiv/media"
)

func bare() *Server {
	return &Server{bars: map[bar]time.Time{}, may: map[asked]allowed{}, outputs: map[string]*outputs{}, sessions: media.NewRegistry(media.Limits{}, nil)}
}

// Who was sent away does not come back as somebody else, and others at home may stay.
func TestWhoWasSentAwayStaysOut(t *testing.T) {
	s := bare()
	home, away := netip.MustParseAddr("2001:db8:1:2::1"), netip.MustParseAddr("2001:db8:9::1")
	kicked := map[string]bool{}
	add := func(name string, user int64, from netip.Addr) *media.Session {
		v := &media.Session{Room: "r", Protocol: media.ProtocolFLV, User: user, Address: from, Kick: func() { kicked[name] = true }}
		if _, err := s.sessions.Add(v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	bad := add("bad", 7, home)
	add("bad elsewhere", 7, away)
	add("guest at home", 0, netip.MustParseAddr("2001:db8:1:2::9"))
	add("known at home", 8, home)
	add("guest elsewhere", 0, away)
	if s.Kick("r", 99, time.Minute) || len(kicked) != 0 {
		t.Fatal("somebody who is not there was sent away")
	}
	if !s.Kick("r", bad.ID, time.Minute) || !kicked["bad"] || !kicked["bad elsewhere"] || !kicked["guest at home"] || kicked["known at home"] || kicked["guest elsewhere"] {
		t.Fatal(kicked)
	}
	for _, c := range []struct {
		user int64
		from netip.Addr
		out  bool
	}{{7, away, true}, {7, home, true}, {0, home, true}, {0, netip.MustParseAddr("2001:db8:1:2:ffff::1"), true}, {8, home, false}, {0, away, false}} {
		if got := s.barred(viewerBar("r", c.user, c.from)); got != c.out {
			t.Errorf("%d from %s: barred %v", c.user, c.from, got)
		}
	}
	if s.barred(viewerBar("other", 7, home)) {
		t.Error("out of another room, too")
	}
	if s.KickPublisher("r", time.Minute) || !s.BarredUntil("r").IsZero() {
		t.Error("nobody publishes, and nobody may")
	}
	s.Pardon("r")
	if s.barred(viewerBar("r", 7, home)) {
		t.Error("not pardoned")
	}
}

// Tokens that are none are not remembered, however many come.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	s := bare()
	s.deps.MayWatch = func(context.Context, string, string) (int64, error) { return 0, nil }
	for range 100 {
		if _, err := s.mayWatch(t.Context(), "r", strings.Repeat("x", maxToken+1), netip.Addr{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.may) != 0 {
		t.Errorf("%d are remembered", len(s.may))
	}
	for i := range maxAllowed + 10 {
		_, _ = s.mayWatch(t.Context(), "r", string(rune('a'+i%26))+strings.Repeat("y", i%100)+time.Duration(i).String(), netip.Addr{})
	}
	if len(s.may) > maxAllowed {
		t.Errorf("%d are remembered", len(s.may))
	}
}

// Who may not watch any more is put out; guests, publishers and relays are not asked.
func TestWhoMayNotWatchAnyMoreIsPutOut(t *testing.T) {
	s := bare()
	kicked := map[int64]bool{}
	for user, publish := range map[int64]bool{0: false, 7: false, 8: false, 9: true} {
		v := &media.Session{Room: "r", Publish: publish, Protocol: media.ProtocolRTMP, User: user, Kick: func() { kicked[user] = true }}
		if _, err := s.sessions.Add(v); err != nil {
			t.Fatal(err)
		}
	}
	s.deps.MayWatch = func(context.Context, string, string) (int64, error) { return 0, errors.New("for some only") }
	s.deps.MayStillWatch = func(_ context.Context, _ string, user int64) bool { return user == 8 }
	s.askAgain(t.Context(), "r")
	if len(kicked) != 1 || !kicked[7] {
		t.Error(kicked)
	}
	clear(kicked)
	s.deps.MayWatch = func(context.Context, string, string) (int64, error) { return 0, nil }
	if s.askAgain(t.Context(), "r"); len(kicked) != 0 {
		t.Error("put out of what everybody may watch", kicked)
	}
}

// A stream that ends and begins again at once is pushed again, although the relay of
// before is still on its way out.
func TestARelayOfTheStreamBeforeMakesRoom(t *testing.T) {
	s := bare()
	s.relays, s.log = map[relayKey]*relay{}, slog.New(slog.DiscardHandler)
	s.hub = media.NewHub(nil, nil, nil)
	key := relayKey{push: true, room: "r", url: "rtmp://127.0.0.1/a/b"}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	old := &relay{ctx: over, cancel: cancel, done: make(chan struct{})}
	s.relays[key] = old
	ctx, stop := context.WithCancel(t.Context())
	start := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.startLocked(ctx, key); err != nil {
			t.Fatal(err)
		}
	}
	start()
	s.mu.Lock()
	fresh := s.relays[key]
	s.mu.Unlock()
	if fresh == old {
		t.Fatal("the stream is not pushed")
	}
	start()
	s.mu.Lock()
	if s.relays[key] != fresh {
		t.Error("it is pushed twice")
	}
	s.mu.Unlock()
	stop()
	s.work.Wait()
	if len(s.relays) != 0 {
		t.Error("a relay is left")
	}
}

func TestPagesDoNotReachTheControlAPI(t *testing.T) {
	c := bare().NewControls("secret", ControlDeps{})
	for header, status := range map[string]int{"": 200, "http://evil.example": 403, "null": 403, "http://127.0.0.1:2010": 403} {
		r := httptest.NewRequest("GET", "http://127.0.0.1:2010/streams?jwt=secret", nil)
		if header != "" {
			r.Header.Set("Origin", header)
		}
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("from %q: %d", header, w.Code)
		}
	}
	if relayName("../../x") || relayName("weird name") || relayName(strings.Repeat("x", 65)) || relayName("") || !relayName("1000000001") || !relayName("a-B_9") {
		t.Error("names of relays")
	}
}
