package store_test

import (
	"fmt"
	"testing"

	"gtiv/store"
)

// airRoom makes a live room of a new account with so many followers.
func airRoom(t *testing.T, s *store.Store, fans int) (room store.LiveRoom, ids []int64) {
	t.Helper()
	ctx := t.Context()
	owner := ok(s.CreateAccount(ctx, store.NewAccount{Username: "owner", Nickname: "o", Role: store.RoleUser}))(t).ID
	for i := range fans {
		fan := ok(s.CreateAccount(ctx, store.NewAccount{Username: fmt.Sprint("fan", i), Nickname: "f", Role: store.RoleUser}))(t).ID
		if _, _, err := s.ToggleFollow(ctx, fan, owner); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, fan)
	}
	return ok(s.CreateLive(ctx, owner, "walk", "", nil))(t), ids
}

func TestFollowersAreToldOnceInSteps(t *testing.T) {
	s, c := openClock(t)
	ctx := t.Context()
	room, fans := airRoom(t, s, 5)
	want(t, "block", s.Block(ctx, fans[1], room.Owner), nil)
	if !ok(s.SetOnAir(ctx, room.ID, true))(t) {
		t.Fatal("nobody is told")
	}
	if left := ok(s.Untold(ctx))(t); len(left) != 1 || left[room.ID] != 0 {
		t.Fatal(left)
	}
	told, after := map[int64]int{}, int64(0)
	for steps := 0; after != -1; steps++ {
		if steps > 5 {
			t.Fatal("it does not end")
		}
		list, next, err := s.TellFans(ctx, room.ID, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list {
			told[n.User]++
		}
		if list, _, err = s.TellFans(ctx, room.ID, after, 2); err != nil || len(list) != 0 {
			t.Fatalf("the step behind %d was done twice: %v %v", after, list, err)
		}
		after = next
	}
	for i, f := range fans {
		if want := map[bool]int{true: 0, false: 1}[i == 1]; told[f] != want { // who blocked the owner is not told
			t.Errorf("%d was told %d times", f, told[f])
		}
		if n := len(ok(s.Notices(ctx, f, 0, 10))(t)); n != told[f] {
			t.Errorf("%d has %d notices", f, n)
		}
	}
	if left := ok(s.Untold(ctx))(t); len(left) != 0 {
		t.Error(left)
	}
	// What breaks and comes back is no news; half an hour later it is.
	for _, minutes := range []int64{1, 28, 2} {
		c.ms.Add(minutes * 60_000)
		ok(s.SetOnAir(ctx, room.ID, false))(t)
		if tell := ok(s.SetOnAir(ctx, room.ID, true))(t); tell != (minutes == 2) {
			t.Errorf("after %d minutes: %v", minutes, tell)
		}
	}
	// What is over is told nobody any more.
	ok(s.SetOnAir(ctx, room.ID, false))(t)
	if list, next, err := s.TellFans(ctx, room.ID, 0, 2); err != nil || len(list) != 0 || next != -1 {
		t.Error(list, next, err)
	}
}

func TestWhoMayWatchARoom(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	room, fans := airRoom(t, s, 3)
	stranger := ok(s.CreateAccount(ctx, store.NewAccount{Username: "stranger", Nickname: "s", Role: store.RoleUser}))(t).ID
	admin := ok(s.CreateAccount(ctx, store.NewAccount{Username: "admin", Nickname: "a", Role: store.RoleAdmin}))(t).ID
	act := store.LiveAction{Actor: room.Owner, Room: room.ID, Rank: store.LiveOwner}
	want(t, "moderator", s.SetLiveModerators(ctx, act, []int64{fans[2]}), nil)
	want(t, "block", s.Block(ctx, room.Owner, fans[1]), nil)
	want(t, "a stranger", s.SetLiveAccess(ctx, store.LiveAction{Actor: stranger, Room: room.ID, Rank: store.LiveOwner}, store.AccessOpen, false), store.ErrForbidden)
	ok(s.SetOnAir(ctx, room.ID, true))(t)
	for _, c := range []struct {
		access string
		may    map[int64]bool
		listed map[int64]bool
	}{
		{store.AccessOpen, nil, map[int64]bool{0: true, stranger: true, fans[0]: true, fans[1]: true, room.Owner: true}},
		{
			store.AccessFollowers, map[int64]bool{room.Owner: true, fans[0]: true, fans[1]: false, fans[2]: true, stranger: false, admin: true},
			map[int64]bool{0: false, stranger: false, fans[0]: true, fans[1]: false, fans[2]: true, room.Owner: true},
		},
		{
			store.AccessLink, map[int64]bool{room.Owner: true, fans[0]: false, fans[2]: true, stranger: false, admin: true},
			map[int64]bool{0: false, stranger: false, fans[0]: false, fans[2]: true, room.Owner: true},
		},
	} {
		want(t, "access", s.SetLiveAccess(ctx, act, c.access, true), nil)
		for who, may := range c.may {
			if got := ok(s.LiveInvited(ctx, room.ID, who))(t); got != may {
				t.Errorf("%s: %d may watch: %v", c.access, who, got)
			}
		}
		for who, listed := range c.listed {
			if got := len(ok(s.Lives(ctx, who, 10))(t)) == 1; got != listed {
				t.Errorf("%s: in the list of %d: %v", c.access, who, got)
			}
			if got := len(ok(s.LivesOnAir(ctx, who, 0, 10))(t)) == 1; got != listed {
				t.Errorf("%s: on air for %d: %v", c.access, who, got)
			}
			if n := len(ok(s.LivesOnAir(ctx, who, room.ID, 10))(t)); n != 0 {
				t.Errorf("%s: %d behind the last", c.access, n)
			}
		}
	}
	if r := ok(s.Live(ctx, room.ID))(t); r.LinkEpoch != 3 || r.Access != store.AccessLink {
		t.Errorf("%+v", r)
	}
	want(t, "as it was", s.SetLiveAccess(ctx, act, "", false), nil)
	if r := ok(s.Live(ctx, room.ID))(t); r.LinkEpoch != 3 || r.Access != store.AccessLink {
		t.Errorf("%+v", r)
	}
}

func TestStreamersPushesAndHearts(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	room, _ := airRoom(t, s, 0)
	for _, may := range []bool{true, true, false} {
		want(t, "streamer", s.SetStreamer(ctx, room.Owner, may), nil)
		allowed, role, err := s.Streamer(ctx, room.Owner)
		if allowed != may || role != store.RoleUser || err != nil {
			t.Error(allowed, role, err)
		}
		if n := len(ok(s.Streamers(ctx, 0, 10))(t)); n != map[bool]int{true: 1}[may] {
			t.Errorf("%d streamers", n)
		}
	}
	want(t, "no such room", s.SetLivePush(ctx, 12, "rtmp://x/a/b", true), store.ErrNotFound)
	want(t, "not there", s.SetLivePush(ctx, room.ID, "rtmp://x/a/b", false), store.ErrNotFound)
	for i := range store.MaxPushes + 1 {
		err := s.SetLivePush(ctx, room.ID, fmt.Sprint("rtmp://x/a/", i), true)
		if i < store.MaxPushes {
			want(t, "push", err, nil)
		} else {
			want(t, "one too many", err, store.ErrTooMany)
		}
	}
	want(t, "again", s.SetLivePush(ctx, room.ID, "rtmp://x/a/0", true), nil)
	want(t, "off", s.SetLivePush(ctx, room.ID, "rtmp://x/a/0", false), nil)
	if n := len(ok(s.LivePushes(ctx, room.ID))(t)); n != store.MaxPushes-1 {
		t.Errorf("%d pushes", n)
	}
	want(t, "hearts", s.AddHearts(ctx, map[int64]int64{room.ID: 5, 12: 1}), nil)
	want(t, "hearts", s.AddHearts(ctx, map[int64]int64{room.ID: 2}), nil)
	if all := ok(s.AllLives(ctx, store.LiveFilter{Limit: 10}))(t); len(all) != 1 || all[0].Hearts != 7 || all[0].Account.Username != "owner" {
		t.Errorf("%+v", all)
	}
	if all := ok(s.AllLives(ctx, store.LiveFilter{Limit: 10, OnAir: true}))(t); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
