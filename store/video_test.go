package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"gtiv/store"
)

// readyVideo makes a video that is shown.
func readyVideo(t testing.TB, s *store.Store, owner int64, title string, visibility int, tags ...string) int64 {
	t.Helper()
	v, err := s.CreateVideo(t.Context(), store.NewVideo{Owner: owner, Title: title, Visibility: visibility, Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.FinishVideo(t.Context(), v.ID, store.VideoResult{Key: fmt.Sprint("2026/", v.ID), Width: 1, Height: 1, DurationMS: 10_000}); err != nil {
		t.Fatal(err)
	}
	return v.ID
}

// noDrift fails when a counter is wrong.
func noDrift(t testing.TB, s *store.Store) {
	t.Helper()
	report, err := s.RepairCounters(t.Context(), false)
	if err != nil || len(report) > 0 {
		t.Errorf("counters are wrong: %v %v", report, err)
	}
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestTheFirstVideoIsNotTheSample(t *testing.T) {
	s := open(t)
	if id := readyVideo(t, s, account(t, s, "a"), "x", 0); id != 2 {
		t.Errorf("id %d", id)
	}
}

func TestAVideoGoesThroughItsStates(t *testing.T) {
	s, c := openClock(t)
	ctx, owner := t.Context(), account(t, s, "a")
	count := func() int64 { return must[store.Account](t)(s.Account(ctx, owner)).CreateVideoNum }
	v := must[store.Video](t)(s.CreateVideo(ctx, store.NewVideo{Owner: owner, Title: "x", SourceHash: "h", SizeBytes: 5}))
	if v.State != store.VideoQueued || v.Attempts != 0 || count() != 0 {
		t.Errorf("created: %+v, %d", v, count())
	}
	if v = must[store.Video](t)(s.StartVideo(ctx, v.ID)); v.State != store.VideoProcessing || v.Attempts != 1 {
		t.Errorf("started: %+v", v)
	}
	if v = must[store.Video](t)(s.SetVideoState(ctx, v.ID, store.VideoFailed, "no picture")); v.Reason != "no picture" {
		t.Errorf("failed: %+v", v)
	}
	if _, err := s.SetVideoState(ctx, v.ID, store.VideoReady, ""); !errors.Is(err, store.ErrConflict) {
		t.Errorf("ready without files: %v", err)
	}
	if _, err := s.VideoBySource(ctx, owner, "h", "x"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a failed upload is found again: %v", err)
	}
	must[store.Video](t)(s.SetVideoState(ctx, v.ID, store.VideoQueued, ""))
	result := store.VideoResult{Hash: "h", Key: "2026/k", Width: 3, Height: 4, DurationMS: 5, SizeBytes: 6, BitRateKbps: 7}
	review := result
	review.Review = true
	if v = must[store.Video](t)(s.FinishVideo(ctx, v.ID, review)); v.State != store.VideoReview || v.PublishedAt != 0 || count() != 0 {
		t.Errorf("in review: %+v", v)
	}
	if v = must[store.Video](t)(s.SetVideoState(ctx, v.ID, store.VideoReady, "")); v.PublishedAt != c.ms.Load() || count() != 1 || v.Key != "2026/k" || v.BitRateKbps != 7 {
		t.Errorf("approved: %+v, %d", v, count())
	}
	published := v.PublishedAt
	c.ms.Add(1000)
	must[store.Video](t)(s.SetVideoState(ctx, v.ID, store.VideoHidden, "spam"))
	if _, err := s.ShownVideo(ctx, owner, v.ID); !errors.Is(err, store.ErrNotFound) || count() != 0 {
		t.Errorf("a hidden video is shown: %v, %d", err, count())
	}
	if v = must[store.Video](t)(s.FinishVideo(ctx, v.ID, result)); v.State != store.VideoHidden {
		t.Errorf("processing again shows what was hidden: %+v", v)
	}
	if v = must[store.Video](t)(s.SetVideoState(ctx, v.ID, store.VideoReady, "")); v.PublishedAt != published || count() != 1 {
		t.Errorf("shown again: %+v, %d", v, count())
	}
	other := must[store.Video](t)(s.CreateVideo(ctx, store.NewVideo{Owner: owner}))
	if _, err := s.FinishVideo(ctx, other.ID, result); !errors.Is(err, store.ErrConflict) {
		t.Errorf("two videos with the same files: %v", err)
	}
	if queued := must[[]store.Video](t)(s.VideosInState(ctx, store.VideoQueued, 0, 10)); len(queued) != 1 || queued[0].ID != other.ID {
		t.Errorf("queued: %+v", queued)
	}
	noDrift(t, s)
}

// Who sees what: every kind of viewer and every kind of video.
func TestWhoSeesAVideo(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	owner, fan, stranger := account(t, s, "owner"), account(t, s, "fan"), account(t, s, "stranger")
	blocker, blocked := account(t, s, "blocker"), account(t, s, "blocked")
	for _, f := range []int64{fan, blocker, blocked} {
		if _, _, err := s.ToggleFollow(ctx, f, owner); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Block(ctx, blocker, owner), s.Block(ctx, owner, blocked)); err != nil {
		t.Fatal(err)
	}
	viewers := []int64{0, stranger, fan, owner, blocker, blocked}
	names := []string{"guest", "stranger", "fan", "owner", "blocker", "blocked"}
	for _, tt := range []struct {
		name       string
		visibility int
		state      int
		sees       []bool
	}{
		{"public", store.VideoPublic, store.VideoReady, []bool{true, true, true, true, false, true}},
		{"followers", store.VideoFollowers, store.VideoReady, []bool{false, false, true, true, false, false}},
		{"private", store.VideoPrivate, store.VideoReady, []bool{false, false, false, true, false, false}},
		{"hidden", store.VideoPublic, store.VideoHidden, make([]bool, 6)},
		{"in review", store.VideoPublic, store.VideoReview, make([]bool, 6)},
		{"failed", store.VideoPublic, store.VideoFailed, make([]bool, 6)},
	} {
		id := readyVideo(t, s, owner, tt.name+" words", tt.visibility, "tag"+tt.name)
		if _, _, err := s.Support(ctx, owner, id, true); err != nil {
			t.Fatal(err)
		}
		must[store.Video](t)(s.SetVideoState(ctx, id, tt.state, ""))
		for i, viewer := range viewers {
			has := func(list []store.VideoShown, err error) bool {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				return slices.ContainsFunc(list, func(v store.VideoShown) bool { return v.ID == id })
			}
			_, err := s.ShownVideo(ctx, viewer, id)
			found, _, err2 := s.SearchVideos(ctx, viewer, tt.name, 0, 10)
			tagged, _, err3 := s.TaggedVideos(ctx, viewer, "tag"+tt.name, 0, 10)
			searchable := tt.sees[i] && tt.visibility != store.VideoPrivate
			for what, got := range map[string][2]bool{
				"info": {err == nil, tt.sees[i]}, "list": {has(s.ShownVideos(ctx, viewer, []int64{id})), tt.sees[i]},
				"grid": {has(s.VideosBy(ctx, viewer, owner, 0, 50)), tt.sees[i]}, "liked": {has(s.SupportedBy(ctx, viewer, owner, 0, 50)), tt.sees[i]},
				"search": {has(found, err2), searchable}, "tag": {has(tagged, err3), tt.sees[i]},
			} {
				if got[0] != got[1] {
					t.Errorf("%s, %s, %s: %v", tt.name, names[i], what, got[0])
				}
			}
			if viewer == 0 || viewer == owner {
				continue
			}
			if _, _, err := s.Support(ctx, viewer, id, true); (err == nil) != tt.sees[i] || err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s liked by %s: %v", tt.name, names[i], err)
			}
			if _, err := s.Collect(ctx, viewer, id, true); (err == nil) != tt.sees[i] {
				t.Errorf("%s collected by %s: %v", tt.name, names[i], err)
			}
			_, _, err = s.AddComment(ctx, store.NewComment{Video: id, User: viewer, Content: "x"})
			if may := tt.sees[i] && viewer != blocked; (err == nil) != may {
				t.Errorf("%s commented by %s: %v", tt.name, names[i], err)
			}
		}
	}
	noDrift(t, s)
}

func TestABannedOwnersVideosAreNotShown(t *testing.T) {
	s := open(t)
	owner := account(t, s, "a")
	id := readyVideo(t, s, owner, "x", 0)
	if _, err := s.Ban(t.Context(), owner, time.Now().Add(time.Hour).UnixMilli(), "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ShownVideo(t.Context(), 0, id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("shown: %v", err)
	}
}

// 50 users do and undo at the same time; the counters come out exact.
func TestCountersAreExactUnderConcurrency(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	owners := []int64{account(t, s, "o0"), account(t, s, "o1"), account(t, s, "o2")}
	videos := make([]int64, 6)
	for i := range videos {
		videos[i] = readyVideo(t, s, owners[i%3], "x", 0)
	}
	const users, steps = 50, 60
	people := make([]int64, users)
	for i := range people {
		people[i] = account(t, s, fmt.Sprint("p", i))
	}
	var mu sync.Mutex
	liked, collected := map[[2]int64]bool{}, map[[2]int64]bool{}
	var wg sync.WaitGroup
	for i, user := range people {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range steps {
				k := [2]int64{user, videos[r.IntN(len(videos))]}
				on := r.IntN(2) == 0
				var err error
				if r.IntN(2) == 0 {
					_, _, err = s.Support(ctx, k[0], k[1], on)
					mu.Lock()
					liked[k] = on
					mu.Unlock()
				} else {
					_, err = s.Collect(ctx, k[0], k[1], on)
					mu.Lock()
					collected[k] = on
					mu.Unlock()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	noDrift(t, s)
	count := func(m map[[2]int64]bool, fits func(user, video int64) bool) (n int64) {
		for k, on := range m {
			if on && fits(k[0], k[1]) {
				n++
			}
		}
		return n
	}
	for i, id := range videos {
		v := must[store.Video](t)(s.Video(ctx, id))
		is := func(_, video int64) bool { return video == id }
		if v.SupportNum != count(liked, is) || v.CollectNum != count(collected, is) {
			t.Errorf("video %d: %d likes, %d collections, want %d, %d", i, v.SupportNum, v.CollectNum, count(liked, is), count(collected, is))
		}
	}
	for i, o := range owners {
		a := must[store.Account](t)(s.Account(ctx, o))
		is := func(_, video int64) bool { return video == videos[i] || video == videos[i+3] }
		if a.SupportNum != count(liked, is) || a.CollectNum != count(collected, is) {
			t.Errorf("owner %d: %d, %d", i, a.SupportNum, a.CollectNum)
		}
	}
	for _, p := range people {
		a := must[store.Account](t)(s.Account(ctx, p))
		if want := count(collected, func(user, _ int64) bool { return user == p }); a.CollectVideoNum != want || a.SupportNum != 0 {
			t.Errorf("user %d: collected %d, want %d; liked %d", p, a.CollectVideoNum, want, a.SupportNum)
		}
	}
}

func TestRepeatedLikesChangeNothing(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	owner, fan := account(t, s, "o"), account(t, s, "f")
	id := readyVideo(t, s, owner, "x", 0)
	changed, _, err := s.Support(ctx, fan, id, false)
	if err != nil || changed {
		t.Errorf("taking back what was not: %v %v", changed, err)
	}
	for i := range 3 {
		changed, note, err := s.Support(ctx, fan, id, true)
		if err != nil || changed != (i == 0) || (note.ID != 0) != (i == 0) {
			t.Errorf("like %d: %v %+v %v", i, changed, note, err)
		}
	}
	for range 3 { // unliking and liking again leaves one notice
		_, _, _ = s.Support(ctx, fan, id, false)
		_, _, _ = s.Support(ctx, fan, id, true)
	}
	if list := must[[]store.NoticeShown](t)(s.Notices(ctx, owner, 0, 10)); len(list) != 1 || list[0].Kind != store.NoticeLike || list[0].Account.ID != fan {
		t.Errorf("notices: %+v", list)
	}
	if v := must[store.Video](t)(s.Video(ctx, id)); v.SupportNum != 1 {
		t.Errorf("%d likes", v.SupportNum)
	}
	if _, _, err := s.Support(ctx, fan, 99, true); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a like of nothing: %v", err)
	}
}

func TestFollowsToggleAndAreDebounced(t *testing.T) {
	s, c := openClock(t)
	ctx := t.Context()
	fan, master := account(t, s, "f"), account(t, s, "m")
	for i, tt := range []struct {
		after int64
		want  bool
	}{{0, true}, {500, true}, {400, true}, {600, false}, {10, false}, {1000, true}} {
		c.ms.Add(tt.after)
		got, _, err := s.ToggleFollow(ctx, fan, master)
		if err != nil || got != tt.want {
			t.Errorf("step %d: %v %v", i, got, err)
		}
	}
	f, m := must[store.Account](t)(s.Account(ctx, fan)), must[store.Account](t)(s.Account(ctx, master))
	if f.FollowNum != 1 || m.FansNum != 1 || f.FansNum != 0 || m.FollowNum != 0 {
		t.Errorf("%+v %+v", f, m)
	}
	for _, to := range []int64{fan, 99999, -1} {
		if _, _, err := s.ToggleFollow(ctx, fan, to); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("following %d: %v", to, err)
		}
	}
	if err := s.Block(ctx, master, fan); err != nil {
		t.Fatal(err)
	}
	c.ms.Add(2000)
	if on, _, err := s.ToggleFollow(ctx, fan, master); err != nil || on {
		t.Errorf("leaving who blocked: %v %v", on, err)
	}
	c.ms.Add(2000)
	if _, _, err := s.ToggleFollow(ctx, fan, master); !errors.Is(err, store.ErrForbidden) {
		t.Errorf("following who blocked: %v", err)
	}
	noDrift(t, s)
}

// A simple model of likes, collections, follows, comments and deletions says
// what the counters must be after any sequence of them.
func TestCountersFollowTheModel(t *testing.T) {
	for seed := range uint64(4) {
		s, c := openClock(t)
		m := newGraph(t, s, c, seed)
		for range 600 {
			m.step()
		}
		m.check()
	}
}

type graph struct {
	t       testing.TB
	s       *store.Store
	c       *clock
	r       *rand.Rand
	users   []int64
	videos  map[int64]int64 // owner by id
	private map[int64]bool
	likes   map[[2]int64]bool // user, video
	coll    map[[2]int64]bool
	follows map[[2]int64]bool
	said    map[int64][2]int64 // comment: user, video
}

func newGraph(t testing.TB, s *store.Store, c *clock, seed uint64) *graph {
	g := &graph{t: t, s: s, c: c, r: rand.New(rand.NewPCG(seed, 7)), videos: map[int64]int64{}, private: map[int64]bool{},
		likes: map[[2]int64]bool{}, coll: map[[2]int64]bool{}, follows: map[[2]int64]bool{}, said: map[int64][2]int64{}}
	for i := range 8 {
		g.users = append(g.users, account(t, s, fmt.Sprint("u", i)))
	}
	return g
}

func (g *graph) user() int64 { return g.users[g.r.IntN(len(g.users))] }

func (g *graph) video() int64 {
	ids := make([]int64, 0, len(g.videos))
	for id := range g.videos {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return 99
	}
	slices.Sort(ids)
	return ids[g.r.IntN(len(ids))]
}

func (g *graph) step() {
	ctx, u, v := g.t.Context(), g.user(), g.video()
	g.c.ms.Add(1500)
	owner, there := g.videos[v]
	visible := there && (!g.private[v] || owner == u)
	switch g.r.IntN(12) {
	case 0:
		g.videos[readyVideo(g.t, g.s, u, "x", 0)] = u
	case 1, 2, 3:
		on := g.r.IntN(3) > 0
		if _, _, err := g.s.Support(ctx, u, v, on); err == nil && (visible || !on) {
			g.set(g.likes, u, v, on)
		}
	case 4, 5:
		on := g.r.IntN(3) > 0
		if _, err := g.s.Collect(ctx, u, v, on); err == nil && (visible || !on) {
			g.set(g.coll, u, v, on)
		}
	case 6, 7:
		to := g.user()
		on, _, err := g.s.ToggleFollow(ctx, u, to)
		if (err == nil) != (u != to) {
			g.t.Errorf("follow: %v", err)
		}
		if err == nil {
			g.set(g.follows, u, to, on)
		}
	case 8:
		if o, _, err := g.s.AddComment(ctx, store.NewComment{Video: v, User: u, Content: "x"}); err == nil {
			g.said[o.ID] = [2]int64{u, v}
		}
	case 9:
		for id, by := range g.said {
			if _, err := g.s.DeleteComment(ctx, by[0], false, id); err != nil {
				g.t.Error(err)
			}
			delete(g.said, id)
			break
		}
	case 10:
		visibility := store.VideoPrivate * g.r.IntN(2)
		if _, err := g.s.EditVideo(ctx, owner, v, store.VideoEdit{Visibility: &visibility}); err == nil {
			g.private[v] = visibility == store.VideoPrivate
		}
	case 11:
		if g.r.IntN(4) == 0 && there {
			if _, err := g.s.DeleteVideo(ctx, owner, false, v); err != nil {
				g.t.Error(err)
			}
			g.forget(v)
		} else if g.r.IntN(20) == 0 && len(g.users) > 4 {
			g.leave(u)
		}
	}
}

func (g *graph) set(m map[[2]int64]bool, a, b int64, on bool) {
	if delete(m, [2]int64{a, b}); on {
		m[[2]int64{a, b}] = true
	}
}

func (g *graph) forget(video int64) {
	delete(g.videos, video)
	for _, m := range []map[[2]int64]bool{g.likes, g.coll} {
		for k := range m {
			if k[1] == video {
				delete(m, k)
			}
		}
	}
	for id, by := range g.said {
		if by[1] == video {
			delete(g.said, id)
		}
	}
}

// leave deletes an account.
func (g *graph) leave(user int64) {
	if _, _, err := g.s.DeleteAccount(g.t.Context(), user, 0, store.QuitTexts{}); err != nil {
		g.t.Error(err)
	}
	g.users = slices.DeleteFunc(g.users, func(u int64) bool { return u == user })
	for id, owner := range g.videos {
		if owner == user {
			g.forget(id)
		}
	}
	for _, m := range []map[[2]int64]bool{g.likes, g.coll, g.follows} {
		for k := range m {
			if k[0] == user {
				delete(m, k)
			}
		}
	}
	for k := range g.follows {
		if k[1] == user {
			delete(g.follows, k)
		}
	}
	for id, by := range g.said {
		if by[0] == user {
			delete(g.said, id)
		}
	}
}

func (g *graph) check() {
	g.t.Helper()
	ctx := g.t.Context()
	noDrift(g.t, g.s)
	type sums struct{ fans, follows, likes, collected, collects, videos int64 }
	for _, u := range g.users {
		var w sums
		for k := range g.follows {
			w.fans += one(k[1] == u)
			w.follows += one(k[0] == u)
		}
		for k := range g.likes {
			w.likes += one(g.videos[k[1]] == u)
		}
		for k := range g.coll {
			w.collected += one(g.videos[k[1]] == u)
			w.collects += one(k[0] == u)
		}
		for id, owner := range g.videos {
			w.videos += one(owner == u && !g.private[id])
		}
		a := must[store.Account](g.t)(g.s.Account(ctx, u))
		if got := (sums{a.FansNum, a.FollowNum, a.SupportNum, a.CollectNum, a.CollectVideoNum, a.CreateVideoNum}); got != w {
			g.t.Errorf("user %d: %+v, want %+v", u, got, w)
		}
	}
	for id := range g.videos {
		var likes, coll, said int64
		for k := range g.likes {
			likes += one(k[1] == id)
		}
		for k := range g.coll {
			coll += one(k[1] == id)
		}
		for _, by := range g.said {
			said += one(by[1] == id)
		}
		if v := must[store.Video](g.t)(g.s.Video(ctx, id)); v.SupportNum != likes || v.CollectNum != coll || v.CommentNum != said {
			g.t.Errorf("video %d: %d %d %d, want %d %d %d", id, v.SupportNum, v.CollectNum, v.CommentNum, likes, coll, said)
		}
	}
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func TestRepairCountersSetsThemRight(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	owner, fan := account(t, s, "o"), account(t, s, "f")
	id := readyVideo(t, s, owner, "x", 0)
	_, _, err := s.Support(ctx, fan, id, true)
	_, err2 := s.Collect(ctx, fan, id, true)
	_, _, err3 := s.ToggleFollow(ctx, fan, owner)
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	store.Spoil(t, s, `UPDATE account SET fans_num = 7, support_num = 0, collect_video_num = 9`, `UPDATE video SET support_num = 5, comment_num = 3`)
	report, err := s.RepairCounters(ctx, true)
	want := []store.CounterReport{{"account.fans_num", 3}, {"account.support_num", 1}, {"account.collect_video_num", 3},
		{"video.support_num", 1}, {"video.comment_num", 1}}
	if err != nil || !slices.Equal(report, want) {
		t.Errorf("%v %v, want %v", report, err, want)
	}
	noDrift(t, s)
	a, v := must[store.Account](t)(s.Account(ctx, owner)), must[store.Video](t)(s.Video(ctx, id))
	if a.FansNum != 1 || a.SupportNum != 1 || v.SupportNum != 1 || v.CommentNum != 0 {
		t.Errorf("%+v %+v", a, v)
	}
}

func TestDeletingAVideoTakesEverythingAlong(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	owner, fan := account(t, s, "o"), account(t, s, "f")
	id := readyVideo(t, s, owner, "猫 title", 0, "cats")
	_, _, _ = s.Support(ctx, fan, id, true)
	_, _ = s.Collect(ctx, fan, id, true)
	c, _, _ := s.AddComment(ctx, store.NewComment{Video: id, User: fan, Content: "secret"})
	if _, err := s.DeleteVideo(ctx, fan, false, id); !errors.Is(err, store.ErrForbidden) {
		t.Errorf("a stranger deleted it: %v", err)
	}
	must[store.Video](t)(s.DeleteVideo(ctx, fan, true, id)) // as a system administrator
	if audit := must[[]store.AuditEntry](t)(s.AuditEntries(ctx, store.AuditFilter{Limit: 5})); len(audit) != 1 || audit[0].Action != "video.delete" {
		t.Errorf("audit: %+v", audit)
	}
	noDrift(t, s)
	o, f := must[store.Account](t)(s.Account(ctx, owner)), must[store.Account](t)(s.Account(ctx, fan))
	if o.SupportNum != 0 || o.CollectNum != 0 || o.CreateVideoNum != 0 || f.CollectVideoNum != 0 {
		t.Errorf("%+v %+v", o, f)
	}
	if list := must[[]store.NoticeShown](t)(s.Notices(ctx, owner, 0, 10)); len(list) != 0 {
		t.Errorf("notices: %+v", list)
	}
	if _, err := s.LikeComment(ctx, owner, c.ID, true); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the comment is still there: %v", err)
	}
	gone := must[[]store.Video](t)(s.VideosToClean(ctx, 10))
	if len(gone) != 1 || gone[0].Key == "" {
		t.Fatalf("to clean: %+v", gone)
	}
	if err := s.VideoCleaned(ctx, id); err != nil {
		t.Fatal(err)
	}
	if gone := must[[]store.Video](t)(s.VideosToClean(ctx, 10)); len(gone) != 0 {
		t.Errorf("still to clean: %+v", gone)
	}
}

func TestCommentsRepliesAndTheirNotices(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	owner, a, b := account(t, s, "o"), account(t, s, "a"), account(t, s, "b")
	id := readyVideo(t, s, owner, "x", 0)
	say := func(user, replyTo int64, mentions ...int64) (store.Comment, []string) {
		t.Helper()
		c, notes, err := s.AddComment(ctx, store.NewComment{Video: id, User: user, ReplyTo: replyTo, Content: "x", Mentions: mentions})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, n := range notes {
			kinds = append(kinds, fmt.Sprint(n.Kind, n.User-owner))
		}
		return c, kinds
	}
	top, kinds := say(a, 0, b, owner)
	if !slices.Equal(kinds, []string{"comment0", "mention2"}) {
		t.Errorf("comment: %v", kinds)
	}
	reply, kinds := say(b, top.ID)
	if !slices.Equal(kinds, []string{"reply1", "comment0"}) || reply.Parent != top.ID {
		t.Errorf("reply: %v %+v", kinds, reply)
	}
	second, kinds := say(owner, reply.ID, b)
	if !slices.Equal(kinds, []string{"reply2"}) || second.Parent != top.ID || second.To != b {
		t.Errorf("reply to a reply: %v %+v", kinds, second)
	}
	if err := s.Block(ctx, owner, b); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.AddComment(ctx, store.NewComment{Video: id, User: b, Content: "x"}); !errors.Is(err, store.ErrForbidden) {
		t.Errorf("whom the owner blocked: %v", err)
	}
	if list := must[[]store.CommentShown](t)(s.Replies(ctx, owner, id, top.ID, 0, 10)); len(list) != 1 {
		t.Errorf("replies of the blocked are shown to the blocker: %+v", list)
	}
	if list := must[[]store.CommentShown](t)(s.Replies(ctx, 0, id, top.ID, 0, 10)); len(list) != 2 || list[0].ID != reply.ID || list[1].ToName != "b" {
		t.Errorf("replies: %+v", list)
	}
	if _, err := s.DeleteComment(ctx, b, false, top.ID); !errors.Is(err, store.ErrForbidden) {
		t.Errorf("deleted by a stranger: %v", err)
	}
	must[store.Comment](t)(s.DeleteComment(ctx, a, false, top.ID))
	list := must[[]store.CommentShown](t)(s.Comments(ctx, 0, id, 0, 10))
	if len(list) != 1 || !list[0].Gone || list[0].Content != "" || list[0].ReplyNum != 2 {
		t.Errorf("with replies: %+v", list)
	}
	must[store.Comment](t)(s.DeleteComment(ctx, owner, false, reply.ID))
	must[store.Comment](t)(s.DeleteComment(ctx, owner, false, second.ID))
	if list := must[[]store.CommentShown](t)(s.Comments(ctx, 0, id, 0, 10)); len(list) != 0 {
		t.Errorf("all gone: %+v", list)
	}
	if _, _, err := s.AddComment(ctx, store.NewComment{Video: id, User: a, ReplyTo: top.ID, Content: "x"}); !errors.Is(err, store.ErrNoComment) {
		t.Errorf("reply to a deleted one: %v", err)
	}
	noDrift(t, s)
}

func TestADeletedCommentWithRepliesIsCountedRightWhenItsVideoGoes(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	owner, fan := account(t, s, "o"), account(t, s, "f")
	id := readyVideo(t, s, owner, "x", 0)
	c, _, _ := s.AddComment(ctx, store.NewComment{Video: id, User: fan, Content: "one"})
	_, _, _ = s.AddComment(ctx, store.NewComment{Video: id, User: owner, ReplyTo: c.ID, Content: "two"})
	must[store.Comment](t)(s.DeleteComment(ctx, fan, false, c.ID))
	must[store.Video](t)(s.DeleteVideo(ctx, owner, false, id))
	noDrift(t, s)
}

func TestNoNoticeIsUnreadThatCannotBeSeen(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	owner, fan := account(t, s, "o"), account(t, s, "f")
	check := func(when string, want int) {
		t.Helper()
		list, n := must[[]store.NoticeShown](t)(s.Notices(ctx, fan, 0, 10)), must[int64](t)(s.UnreadNotices(ctx, fan))
		if len(list) != want || n != int64(want) {
			t.Errorf("%s: %d are listed, %d unread, want %d", when, len(list), n, want)
		}
	}
	id, second := readyVideo(t, s, owner, "one", 0), readyVideo(t, s, owner, "two", 0)
	for _, v := range []int64{id, second} {
		must[[]store.Notice](t)(s.NotifyVideo(ctx, v, []int64{fan}))
	}
	_, _, _ = s.AddComment(ctx, store.NewComment{Video: id, User: owner, Content: "@f", Mentions: []int64{fan}})
	check("at first", 3)
	must[store.Video](t)(s.DeleteVideo(ctx, owner, false, id))
	check("one video is deleted", 1)
	must[store.Video](t)(s.SetVideoState(ctx, second, store.VideoHidden, "rude"))
	check("the other is hidden", 0)
	must[store.Video](t)(s.SetVideoState(ctx, second, store.VideoReady, ""))
	check("it is shown again", 1)
	private := store.VideoPrivate
	must[store.Video](t)(s.EditVideo(ctx, owner, second, store.VideoEdit{Visibility: &private}))
	check("it is private", 0)
}

func TestNoticesAreReadAndBounded(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	user, actor := account(t, s, "u"), account(t, s, "v")
	list := make([]store.Notice, 1300)
	for i := range list {
		list[i] = store.Notice{User: user, Kind: store.NoticeLive, Actor: actor}
	}
	made := must[[]store.Notice](t)(s.Notify(ctx, list))
	unread := must[int64](t)(s.UnreadNotices(ctx, user))
	if unread < 1000 || unread > 1064 {
		t.Errorf("%d are kept", unread)
	}
	page := must[[]store.NoticeShown](t)(s.Notices(ctx, user, 0, 10))
	next := must[[]store.NoticeShown](t)(s.Notices(ctx, user, page[9].ID, 10))
	if page[0].ID != made[len(made)-1].ID || next[0].ID != page[9].ID-1 {
		t.Errorf("pages begin at %d, %d", page[0].ID, next[0].ID)
	}
	if err := s.ReadNotices(ctx, user, page[1].ID); err != nil {
		t.Fatal(err)
	}
	if n := must[int64](t)(s.UnreadNotices(ctx, user)); n != 1 {
		t.Errorf("%d unread", n)
	}
	if made := must[[]store.Notice](t)(s.Notify(ctx, []store.Notice{{User: user, Kind: store.NoticeLive, Actor: user}})); len(made) != 0 {
		t.Errorf("told of oneself: %+v", made)
	}
}

func TestSearchFindsWordsAndChinese(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	owner := account(t, s, "摄影师小王")
	for _, title := range []string{"我的短视频", "Café crème brûlée", "東京タワーの夜景", "한국 여행 브이로그", "hello-world 2026", "สวัสดีชาวโลก", "a_b <b>\"' OR 1"} {
		readyVideo(t, s, owner, title, 0, "旅行")
	}
	find := func(q string) string {
		t.Helper()
		list, _, err := s.SearchVideos(ctx, 0, q, 0, 10)
		if err != nil {
			t.Errorf("%q: %v", q, err)
		}
		titles := ""
		for _, v := range list {
			titles += v.Title
		}
		return titles
	}
	for q, want := range map[string]string{
		"视频": "我的短视频", "短视": "我的短视频", "短视频": "我的短视频", "频": "我的短视频", "短": "我的短视频", "视短": "", "我视频": "",
		"CAFÉ": "Café crème brûlée", "brû café": "Café crème brûlée", "夜景": "東京タワーの夜景", "タワー": "東京タワーの夜景", "여행": "한국 여행 브이로그",
		"hel": "hello-world 2026", "world 20": "hello-world 2026", "ello": "", "ชาว": "สวัสดีชาวโลก", "": "", "\"": "", "*": "",
		"NEAR(": "", "b OR c": "", "words:x": "", "-": "", "ＨＥＬＬＯ": "hello-world 2026",
	} {
		if got := find(q); got != want {
			t.Errorf("%q finds %q, want %q", q, got, want)
		}
	}
	people, _, err := s.SearchAccounts(ctx, "小王", 0, 10)
	if err != nil || len(people) != 1 || people[0].ID != owner {
		t.Errorf("people: %v %v", people, err)
	}
	if err := s.SetProfile(ctx, owner, "nickname", "老李"); err != nil {
		t.Fatal(err)
	}
	if people, _, _ := s.SearchAccounts(ctx, "老李", 0, 10); len(people) != 1 {
		t.Errorf("a new nickname is not found")
	}
	if tags, _, err := s.SearchTags(ctx, "旅", 0, 10); err != nil || len(tags) != 1 || tags[0].Name != "旅行" || tags[0].Videos != 7 {
		t.Errorf("tags: %+v %v", tags, err)
	}
	if _, _, err := s.DeleteAccount(ctx, owner, 0, store.QuitTexts{}); err != nil {
		t.Fatal(err)
	}
	if people, _, _ := s.SearchAccounts(ctx, "老李", 0, 10); len(people) != 0 || find("视频") != "" {
		t.Error("a deleted account is found")
	}
}

func TestSearchPagesToTheEnd(t *testing.T) {
	s := open(t)
	owner, other := account(t, s, "o"), account(t, s, "p")
	want := 0
	for i := range 260 {
		visibility := store.VideoPublic
		if i%3 == 0 {
			visibility = store.VideoFollowers // in the index, and not for everybody
		} else {
			want++
		}
		readyVideo(t, s, []int64{owner, other}[i%2], "word", visibility)
	}
	seen := map[int64]bool{}
	for next, first := int64(0), true; first || next != 0; first = false {
		var list []store.VideoShown
		var err error
		if list, next, err = s.SearchVideos(t.Context(), 0, "wor", next, 7); err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			if seen[v.ID] {
				t.Errorf("%d came twice", v.ID)
			}
			seen[v.ID] = true
		}
	}
	if len(seen) != want {
		t.Errorf("%d of %d", len(seen), want)
	}
}

func TestTheSearchIndexIsMadeAfterAnUpgrade(t *testing.T) {
	cfg := store.Config{Path: t.TempDir() + "/gtiv.db"}
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	id := account(t, s, "老王")
	readyVideo(t, s, id, "短视频", 0, "标签")
	store.Spoil(t, s, `DELETE FROM account_search`, `DELETE FROM video_search`, `DELETE FROM tag_search`, `DELETE FROM setting WHERE key = 'search'`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openWith(t, cfg)
	people, _, err := s.SearchAccounts(t.Context(), "老王", 0, 10)
	videos, _, err2 := s.SearchVideos(t.Context(), 0, "视频", 0, 10)
	tags, _, err3 := s.SearchTags(t.Context(), "标签", 0, 10)
	if err := errors.Join(err, err2, err3); err != nil || len(people) != 1 || len(videos) != 1 || len(tags) != 1 {
		t.Errorf("%d people, %d videos, %d tags, %v", len(people), len(videos), len(tags), err)
	}
}

func TestSeenVideosAreBounded(t *testing.T) {
	s := open(t)
	viewer := account(t, s, "v")
	for i := range int64(30) {
		var list []store.SeenVideo
		for j := range int64(20) {
			list = append(list, store.SeenVideo{ID: 2 + 20*i + j, At: 1 + 20*i + j})
		}
		if err := s.SaveSeen(t.Context(), map[int64][]store.SeenVideo{viewer: list}); err != nil {
			t.Fatal(err)
		}
	}
	if seen := must[[]store.SeenVideo](t)(s.SeenVideos(t.Context(), viewer)); len(seen) != store.VideosKept || seen[0].ID != 601 {
		t.Errorf("%d, newest %+v", len(seen), seen[0])
	}
}

// A refused write must not have written: it would cost the others their batch.
func TestRefusedVideoWritesWroteNothing(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	a, b := account(t, s, "a"), account(t, s, "b")
	id := readyVideo(t, s, a, "x", store.VideoPrivate)
	commits := func() uint64 { return s.Stats().Commits }
	title := "y"
	for name, f := range map[string]func(context.Context) error{
		"like":    func(ctx context.Context) error { _, _, err := s.Support(ctx, b, id, true); return err },
		"collect": func(ctx context.Context) error { _, err := s.Collect(ctx, b, id, true); return err },
		"follow":  func(ctx context.Context) error { _, _, err := s.ToggleFollow(ctx, a, a); return err },
		"comment": func(ctx context.Context) error {
			_, _, err := s.AddComment(ctx, store.NewComment{Video: id, User: b, Content: "x"})
			return err
		},
		"edit": func(ctx context.Context) error {
			_, err := s.EditVideo(ctx, b, id, store.VideoEdit{Title: &title})
			return err
		},
		"delete":         func(ctx context.Context) error { _, err := s.DeleteVideo(ctx, b, false, id); return err },
		"delete comment": func(ctx context.Context) error { _, err := s.DeleteComment(ctx, b, false, 77); return err },
		"like comment":   func(ctx context.Context) error { _, err := s.LikeComment(ctx, b, 77, true); return err },
		"ready":          func(ctx context.Context) error { _, err := s.SetVideoState(ctx, 99, store.VideoReady, ""); return err },
	} {
		before := commits()
		if err := f(ctx); err == nil {
			t.Errorf("%s was not refused", name)
		}
		// A refusal is committed with its batch: nothing had to be rolled back.
		if commits() != before+1 {
			t.Errorf("%s rolled its batch back", name)
		}
	}
}
