package live_test

import (
	"strings"
	"testing"
	"time"

	"gtiv/daemon/live"
	"gtiv/protocol"
	"gtiv/store"
)

func TestHeartsOfASecondAreOneMessage(t *testing.T) {
	s := open(t, live.Config{Language: "en"})
	ctx := t.Context()
	anna, bob := s.person("anna"), s.person("bob")
	room := s.room(anna)
	for range 4 {
		if err := s.Heart(ctx, bob, live.Viewer{User: bob.User}, room, 10); err != nil {
			t.Fatal(err)
		}
	}
	var got []live.Frame
	for range 50 {
		time.Sleep(100 * time.Millisecond)
		s.locked(func() { got = s.published })
		if len(got) > 0 {
			break
		}
	}
	if len(got) != 1 || got[0].Op != protocol.RoomOp(room) || got[0].Seq != 0 || !strings.Contains(string(got[0].Body), `"MsgType":22`) ||
		!strings.Contains(string(got[0].Body), `"Content":"40"`) {
		t.Fatalf("%+v", got)
	}
	v, err := s.View(ctx, live.Viewer{User: bob.User}, room)
	if err != nil || v.Hearts != 40 || v.Rank != store.LiveReader {
		t.Errorf("%+v %v", v, err)
	}
	// Many at once: as many as there is room for, then none.
	for range 2 {
		_ = s.Heart(ctx, bob, live.Viewer{User: bob.User}, room, 50)
	}
	want(t, "too many", s.Heart(ctx, bob, live.Viewer{}, room, 1), protocol.CodeTooOften)
	s.pass(time.Second)
	want(t, "later", s.Heart(ctx, bob, live.Viewer{}, room, 1), protocol.CodeOK)
	want(t, "too many in one call", s.Heart(ctx, anna, live.Viewer{}, room, 51), protocol.CodeBadValue)
	want(t, "less than none", s.Heart(ctx, anna, live.Viewer{}, room, -1), protocol.CodeBadValue)
	want(t, "no such room", s.Heart(ctx, anna, live.Viewer{}, 12, 1), protocol.CodeUnknown)
}

func TestWhoMayStream(t *testing.T) {
	s := open(t, live.Config{Language: "en"})
	ctx := t.Context()
	anna, bob := s.person("anna"), s.person("bob")
	room := s.room(anna)
	key, err := s.Key(ctx, anna, room)
	if err != nil {
		t.Fatal(err)
	}
	can := func(who string) (publish, stay, create bool) {
		s.SetConfig(live.Config{Language: "en", Who: who})
		_, err := s.ByKey(ctx, key)
		may, err2 := s.MayStay(ctx, room)
		if err2 != nil {
			t.Fatal(err2)
		}
		_, err3 := s.Create(ctx, bob, "mine", "")
		return err == nil, may, protocol.CodeOf(err3) == protocol.CodeOK
	}
	for _, c := range []struct {
		who                   string
		allowed               bool
		publish, stay, create bool
	}{
		{"", false, true, true, true}, {live.WhoAll, false, true, true, true}, {live.WhoApproved, false, false, false, false},
		{live.WhoApproved, true, true, true, false}, {live.WhoNobody, true, false, false, false},
	} {
		if err := s.SetStreamer(ctx, anna.User, c.allowed); err != nil {
			t.Fatal(err)
		}
		if publish, stay, create := can(c.who); publish != c.publish || stay != c.stay || create != c.create {
			t.Errorf("%+v: publish %v, stay %v, create %v", c, publish, stay, create)
		}
	}
	s.SetConfig(live.Config{Language: "en"})
	if _, err := s.store.Ban(ctx, anna.User, time.Now().Add(time.Hour).UnixMilli(), ""); err != nil {
		t.Fatal(err)
	}
	if may, err := s.MayStay(ctx, room); may || err != nil {
		t.Error("somebody banned is on air", err)
	}
	if _, err := s.ByKey(ctx, key); err == nil {
		t.Error("somebody banned publishes")
	}
}
