package web_test

import (
	"strings"
	"testing"
	"time"

	"gtiv/daemon/live"
	"gtiv/daemon/web"
)

func TestTokensOfLiveStreams(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := &web.Signer{Key: []byte("secret"), Now: func() time.Time { return now }}
	viewer, link := s.LiveViewer(10001), s.LiveLink(1000000001, 3, now.Add(time.Hour))
	if got := s.Viewer(viewer, 1000000001); got != (live.Viewer{User: 10001}) {
		t.Errorf("viewer: %+v", got)
	}
	if got := s.Viewer(link, 1000000001); got != (live.Viewer{Link: true, Epoch: 3}) {
		t.Errorf("link: %+v", got)
	}
	if got := s.Viewer(link, 1000000002); got != (live.Viewer{}) {
		t.Errorf("a link opens another room: %+v", got)
	}
	other := &web.Signer{Key: []byte("other"), Now: s.Now}
	bad := []string{"", "v.", "l.", "v..", "l....", "v.7ps.x.y", "s." + viewer[2:], "l." + viewer[2:], "v." + link[2:], other.LiveViewer(10001), other.LiveLink(1000000001, 3, now.Add(time.Hour)),
		viewer + ".", "." + viewer, strings.ToUpper(viewer), viewer[:len(viewer)-1], strings.Replace(viewer, "7pt", "7pu", 1) + "x", s.Sign("live", 10001)}
	for i := range viewer { // every byte counts
		b := []byte(viewer)
		b[i] ^= 1
		bad = append(bad, string(b))
	}
	for _, token := range bad {
		if got := s.Viewer(token, 1000000001); got != (live.Viewer{}) {
			t.Errorf("%q: %+v", token, got)
		}
	}
	now = now.Add(time.Hour)
	if got := s.Viewer(link, 1000000001); got != (live.Viewer{}) {
		t.Errorf("an hour later the link is good: %+v", got)
	}
	if got := s.Viewer(viewer, 1); got.User != 10001 {
		t.Error("an hour later the viewer is unknown")
	}
	now = now.Add(48 * time.Hour)
	if got := s.Viewer(viewer, 1); got != (live.Viewer{}) {
		t.Errorf("two days later the viewer is known: %+v", got)
	}
}

func FuzzLiveToken(f *testing.F) {
	s := &web.Signer{Key: []byte("secret"), Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	f.Add(s.LiveViewer(10001))
	f.Add(s.LiveLink(1000000001, 3, time.Unix(1_800_000_000, 0)))
	f.Fuzz(func(t *testing.T, token string) {
		claim, ok := s.Live(token)
		if ok && claim.User == 0 && token != s.LiveLink(claim.Room, claim.Epoch, time.Unix(1_800_000_000, 0)) {
			t.Errorf("%q: %+v", token, claim)
		}
	})
}
