package control_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gtiv/protocol"
	"gtiv/protocol/client"
	"gtiv/store"
)

// fakeLives knows live room 1000000001 of ann.
type fakeLives struct{ *fakeAccounts }

const annsRoom = 1000000001

func (f fakeLives) All(_ context.Context, q store.LiveFilter) ([]store.LiveShown, error) {
	r, err := f.Find(context.Background(), annsRoom)
	return []store.LiveShown{r}, errOr(err, f.called("lives %+v", q))
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (f fakeLives) Find(_ context.Context, room int64) (store.LiveShown, error) {
	if room != annsRoom {
		return store.LiveShown{}, protocol.Errorf(protocol.CodeUnknown, "noSuchLive")
	}
	return store.LiveShown{LiveRoom: store.LiveRoom{ID: room, Owner: 10001, Title: "walk", Access: "open", Hearts: 4}, Account: f.ann}, nil
}

func (f fakeLives) AnyKey(_ context.Context, room int64, reset bool) (string, error) {
	return "KEY", f.called("key %d %v", room, reset)
}

func (f fakeLives) Pushes(context.Context, int64) ([]string, error) {
	return []string{"rtmp://a.example/app/SECRET"}, nil
}

func (f fakeLives) SetPush(_ context.Context, room int64, url string, on bool) error {
	return f.called("push %d %s %v", room, url, on)
}

func (f fakeLives) SetStreamer(_ context.Context, user int64, may bool) error {
	return f.called("streamer %d %v", user, may)
}

func (f fakeLives) Streamers(_ context.Context, after int64, limit int) ([]store.Account, error) {
	return []store.Account{f.ann}, f.called("streamers %d %d", after, limit)
}

func (f fakeLives) Online(int64) int { return 9 }

// isCode says whether an answer was this error.
func isCode(err error, code protocol.ControlCode) bool {
	e, ok := errors.AsType[*protocol.ControlError](err)
	return ok && e.Code == code
}

// fakeStreams has it on air.
type fakeStreams struct{ *fakeAccounts }

func (f fakeStreams) Viewers(int64) int { return 3 }

func (f fakeStreams) Stream(int64) (protocol.LiveStream, int64, bool) {
	return protocol.LiveStream{Video: "avc1", VideoKbps: 2200}, 1_700_000_000_000, true
}

func (f fakeStreams) Notes(int64) []string { return []string{"B-frames"} }

func (f fakeStreams) Sessions(int64) []protocol.LiveSession {
	return []protocol.LiveSession{{ID: 5, Publish: true, Protocol: "rtmp", Address: "192.0.2.7"}}
}

func (f fakeStreams) Kick(room, session int64, d time.Duration) bool {
	return f.called("kick %d %d %s", room, session, d) == nil && session == 5
}

func (f fakeStreams) KickPublisher(room int64, d time.Duration) bool {
	return f.called("kick publisher %d %s", room, d) == nil && d != time.Hour
}

func (f fakeStreams) CheckPush(url string) error {
	if !strings.HasPrefix(url, "rtmp://") {
		return fmt.Errorf("address of another scheme")
	}
	return nil
}

func (f fakeStreams) Push(room int64, url string, on bool) {
	_ = f.called("now push %d %s %v", room, url, on)
}

func TestLiveRooms(t *testing.T) {
	w := start(t, nil)
	ctx := t.Context()
	page, err := w.Lives(ctx, protocol.LiveFilter{OnAir: true, After: 3, Limit: 10})
	if err != nil || len(page.List) != 1 || w.fake.last() != "lives {OnAir:true After:3 Limit:10}" {
		t.Fatal(page, err, w.fake.last())
	}
	l := page.List[0]
	if l.ID != annsRoom || l.Username != "ann" || !l.OnAir || l.Stream.VideoKbps != 2200 || l.Viewers != 3 || l.Hearts != 4 || l.Detail != nil {
		t.Errorf("%+v", l)
	}
	one, err := w.Live(ctx, annsRoom)
	if err != nil || len(one.Detail.Sessions) != 1 || one.Detail.Sessions[0].Address != "192.0.2.7" || one.Detail.Chat != 9 || one.Detail.Notes[0] != "B-frames" {
		t.Fatal(one, err)
	}
	if got := one.Detail.Pushes[0]; got != "rtmp://a.example/app/… (fails: refused)" {
		t.Errorf("another server's key is shown: %q", got)
	}
	if _, err := w.Live(ctx, 12); !isCode(err, protocol.ControlNotFound) {
		t.Errorf("unknown room: %v", err)
	}
	for _, c := range []struct {
		do    func(c *client.Client) error
		asked string
		code  protocol.ControlCode
		audit string
	}{
		{func(c *client.Client) error { _, err := c.KickLive(ctx, protocol.KickLive{ID: annsRoom}); return err }, "kick publisher 1000000001 10m0s", "", "live.kick live 1000000001 of user 10001 the publisher, 10m0s"},
		{func(c *client.Client) error {
			_, err := c.KickLive(ctx, protocol.KickLive{ID: annsRoom, Session: 5, Seconds: 60})
			return err
		}, "kick 1000000001 5 1m0s", "", "live.kick live 1000000001 of user 10001 session 5, 1m0s"},
		{func(c *client.Client) error {
			_, err := c.KickLive(ctx, protocol.KickLive{ID: annsRoom, Session: 6})
			return err
		}, "kick 1000000001 6 10m0s", protocol.ControlNotFound, ""},
		{func(c *client.Client) error {
			_, err := c.KickLive(ctx, protocol.KickLive{ID: annsRoom, Seconds: 3600})
			return err
		}, "kick publisher 1000000001 1h0m0s", protocol.ControlConflict, ""},
		{func(c *client.Client) error {
			_, err := c.KickLive(ctx, protocol.KickLive{ID: annsRoom, Seconds: 90_000})
			return err
		}, "", protocol.ControlBadRequest, ""},
		{func(c *client.Client) error {
			k, err := c.LiveKey(ctx, protocol.LiveKeyOf{ID: annsRoom, Reset: true})
			if err == nil && k.Key != "KEY" {
				err = fmt.Errorf("key %q", k.Key)
			}
			return err
		}, "key 1000000001 true", "", "live.key live 1000000001 of user 10001 reset"},
		{func(c *client.Client) error {
			_, err := c.PushLive(ctx, protocol.PushLive{ID: annsRoom, URL: "rtmp://b.example/live/SECRET"})
			return err
		}, "now push 1000000001 rtmp://b.example/live/SECRET true", "", "live.push live 1000000001 of user 10001 rtmp://b.example/live/…"},
		{func(c *client.Client) error {
			_, err := c.PushLive(ctx, protocol.PushLive{ID: annsRoom, URL: "http://b.example/"})
			return err
		}, "", protocol.ControlBadRequest, ""},
		{func(c *client.Client) error {
			_, err := c.AllowLive(ctx, protocol.AllowLive{User: "ann"})
			return err
		}, "streamer 10001 true", "", "live.allow user 10001 ann may stream"},
		{func(c *client.Client) error { _, err := c.Streamers(ctx, 2, 7); return err }, "streamers 2 7", "", ""},
	} {
		before, asked := len(w.audited()), w.fake.last()
		err := c.do(w.Client)
		if c.code == "" && err != nil || c.code != "" && !isCode(err, c.code) {
			t.Errorf("%s: %v", c.asked, err)
		}
		if c.asked != "" {
			asked = c.asked
		}
		if got := w.fake.last(); got != asked {
			t.Errorf("asked %q, want %q", got, asked)
		}
		rows := w.audited()[before:]
		if c.audit == "" && len(rows) != 0 || c.audit != "" && (len(rows) != 1 || rows[0].Action+" "+rows[0].Target+" "+rows[0].Detail != c.audit) {
			t.Errorf("%s: audited %+v", c.asked, rows)
		}
	}
}

func (f fakeStreams) BarredUntil(int64) time.Time { return time.UnixMilli(1_700_000_600_000) }

func (f fakeStreams) Pardon(room int64) { _ = f.called("pardon %d", room) }

func (f fakeStreams) PushState(int64, string) string { return "fails: refused" }
