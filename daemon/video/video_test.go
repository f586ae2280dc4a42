package video_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/daemon/video"
	"gtiv/protocol"
	"gtiv/store"
)

// stage is a video service on a real database, with a clock and dice that the
// test holds. Nothing runs beside it: the test flushes.
type stage struct {
	*video.Service
	t     *testing.T
	store *store.Store

	mu     sync.Mutex
	now    time.Time
	told   map[int64][]protocol.Notice
	videos int
}

func open(t *testing.T, cfg video.Config, change ...func(*video.Deps)) *stage {
	t.Helper()
	s := &stage{t: t, now: time.Now().Truncate(time.Second), told: map[int64][]protocol.Notice{}}
	clock := func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.now
	}
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "gtiv.db"), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s.store = db
	dice := rand.New(rand.NewPCG(1, 2))
	var diceMu sync.Mutex
	deps := video.Deps{
		Store: db, Now: clock,
		Notify: func(user int64, n protocol.Notice) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told[user] = append(s.told[user], n)
		},
		Random: func(n int) int {
			diceMu.Lock()
			defer diceMu.Unlock()
			return dice.IntN(n)
		},
	}
	for _, f := range change {
		f(&deps)
	}
	if s.Service, err = video.New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *stage) person(name string) video.Caller { return s.personOf(name, store.RoleUser) }

func (s *stage) personOf(name string, role int) video.Caller {
	s.t.Helper()
	a, err := s.store.CreateAccount(s.t.Context(), store.NewAccount{Username: name, Nickname: name, Role: role})
	if err != nil {
		s.t.Fatal(err)
	}
	return video.Caller{User: a.ID, Role: a.Role, Language: "en"}
}

func guest(n int) video.Caller {
	return video.Caller{Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})}
}

func (s *stage) clip(owner video.Caller, title, visibility string) int64 {
	s.t.Helper()
	v, err := s.Create(s.t.Context(), owner, video.Upload{Title: title, Visibility: visibility})
	if err != nil {
		s.t.Fatal(err)
	}
	s.videos++
	if _, err := s.Processed(s.t.Context(), v.ID, store.VideoResult{Key: fmt.Sprint("2026/", v.ID), Width: 1, Height: 1, DurationMS: 10_000}); err != nil {
		s.t.Fatal(err)
	}
	return v.ID
}

// clips makes n public videos of a few owners.
func (s *stage) clips(n int) []int64 {
	s.t.Helper()
	var owners []video.Caller
	for i := range 10 {
		owners = append(owners, s.person(fmt.Sprint("owner", s.videos, "x", i)))
	}
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = s.clip(owners[i%len(owners)], "x", "")
	}
	return ids
}

func (s *stage) home(c video.Caller) []video.Clip {
	s.t.Helper()
	list, err := s.Home(s.t.Context(), c)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(list) == 0 || len(list) > 5 {
		s.t.Fatalf("%d videos", len(list))
	}
	for i, v := range list {
		if slices.ContainsFunc(list[:i], func(w video.Clip) bool { return w.ID == v.ID }) {
			s.t.Fatalf("%d is twice on a page", v.ID)
		}
	}
	return list
}

// want fails unless err has this code.
func want(t testing.TB, what string, err error, code protocol.Code) {
	t.Helper()
	if protocol.CodeOf(err) != code {
		t.Errorf("%s: %v, want code %d", what, err, code)
	}
}

func TestAnEmptySiteShowsTheSample(t *testing.T) {
	s := open(t, video.Config{})
	alice := s.person("alice")
	for _, c := range []video.Caller{guest(1), alice} {
		for range 3 {
			if list := s.home(c); len(list) != 1 || list[0].ID != video.SampleID {
				t.Errorf("%+v", list)
			}
		}
	}
	if _, err := s.ToggleFollow(t.Context(), alice, store.BuiltInAccount); err != nil {
		t.Fatal(err)
	}
	if list := s.home(alice); !list[0].Follows {
		t.Error("a follow of the sample's owner is not shown")
	}
	for _, err := range []error{
		s.Support(t.Context(), alice, video.SampleID, true), s.Collect(t.Context(), alice, video.SampleID, true),
		s.Share(t.Context(), alice, video.SampleID), s.Played(t.Context(), alice, video.SampleID, 1), s.NotInterested(t.Context(), alice, video.SampleID),
	} {
		if err != nil {
			t.Errorf("the app gets an error for the sample: %v", err)
		}
	}
}

func TestASmallSiteShowsTheSampleBesides(t *testing.T) {
	s := open(t, video.Config{})
	ids := s.clips(3)
	for _, c := range []video.Caller{guest(1), s.person("alice")} {
		for range 5 { // the first page is new, the others repeat it
			list := s.home(c)
			if len(list) != 4 || list[3].ID != video.SampleID {
				t.Fatalf("%d videos, last %d", len(list), list[len(list)-1].ID)
			}
			for _, id := range ids {
				if !slices.ContainsFunc(list, func(v video.Clip) bool { return v.ID == id }) {
					t.Errorf("%d is missing", id)
				}
			}
		}
	}
}

func TestNothingIsRepeatedWhileThereIsMore(t *testing.T) {
	s := open(t, video.Config{})
	const n = 200
	s.clips(n)
	for _, c := range []video.Caller{guest(1), guest(2), s.person("alice")} {
		seen := map[int64]int{}
		var order []int64
		for range n / 5 {
			for _, v := range s.home(c) {
				seen[v.ID]++
				order = append(order, v.ID)
			}
		}
		if len(seen) != n || len(order) != n {
			t.Errorf("%d of %d videos on %d places", len(seen), n, len(order))
		}
		// Then what was seen longest ago comes back.
		for _, v := range s.home(c) {
			if i := slices.Index(order, v.ID); i < 0 || i >= 40 {
				t.Errorf("%d came back, which was seen as number %d", v.ID, i)
			}
		}
	}
}

func TestWhatWasSeenIsRememberedOverARestart(t *testing.T) {
	s := open(t, video.Config{})
	s.clips(20)
	alice := s.person("alice")
	seen := s.home(alice)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := video.New(video.Config{}, video.Deps{Store: s.store})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		list, err := again.Home(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			if slices.ContainsFunc(seen, func(w video.Clip) bool { return w.ID == v.ID }) {
				t.Errorf("%d comes again", v.ID)
			}
		}
	}
}

func TestTheFeedLeavesOut(t *testing.T) {
	s := open(t, video.Config{})
	ctx := t.Context()
	alice, blocked, bob := s.person("alice"), s.person("blocked"), s.person("bob")
	s.clips(30)
	private, followers := s.clip(bob, "x", "private"), s.clip(bob, "x", "followers")
	hidden, deleted, unwanted := s.clip(bob, "x", ""), s.clip(bob, "x", ""), s.clip(bob, "x", "")
	own, theirs := s.clip(alice, "x", ""), s.clip(blocked, "x", "")
	s.home(guest(9)) // the pools are read; what follows changes behind them
	_, err := s.SetState(ctx, hidden, store.VideoHidden, "spam")
	if err := errors.Join(err, s.Delete(ctx, bob, deleted), s.NotInterested(ctx, alice, unwanted), s.store.Block(ctx, alice.User, blocked.User)); err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for range 6 {
		for _, v := range s.home(alice) {
			seen[v.ID] = true
		}
	}
	for name, id := range map[string]int64{"private": private, "followers": followers, "hidden": hidden, "deleted": deleted,
		"unwanted": unwanted, "own": own, "blocked": theirs} {
		if seen[id] {
			t.Errorf("the %s one is shown", name)
		}
	}
	for range 20 { // repeats, then
		for _, v := range s.home(alice) {
			if id := v.ID; id == unwanted || id == theirs || id == hidden || id == deleted || id == private || id == followers {
				t.Errorf("%d is shown among the repeats", id)
			}
		}
	}
}

func TestTheFeedShowsWhatIsFollowed(t *testing.T) {
	s := open(t, video.Config{})
	alice, bob := s.person("alice"), s.person("bob")
	id := s.clip(bob, "x", "followers")
	s.pass(time.Hour)
	s.clips(300)
	if on, err := s.ToggleFollow(t.Context(), alice, bob.User); err != nil || !on {
		t.Fatal(on, err)
	}
	list := s.home(alice)
	i := slices.IndexFunc(list, func(v video.Clip) bool { return v.ID == id })
	if i < 0 || !list[i].Follows {
		t.Errorf("not on the first page: %d", i)
	}
}

// The authors one follows take turns, wherever their ids are.
func TestAllWhoAreFollowedAreShown(t *testing.T) {
	s := open(t, video.Config{})
	alice := s.person("alice")
	s.clips(300)
	var masters []video.Caller
	for i := range 25 {
		m := s.person(fmt.Sprint("m", i))
		s.clip(m, "x", "followers")
		s.pass(2 * time.Second)
		if on, err := s.ToggleFollow(t.Context(), alice, m.User); err != nil || !on {
			t.Fatal(on, err)
		}
		masters = append(masters, m)
	}
	shown := map[int64]bool{}
	for range 60 {
		for _, v := range s.home(alice) {
			if v.Visibility == store.VideoFollowers {
				shown[v.Owner] = true
			}
		}
	}
	if len(shown) < len(masters)*4/5 {
		t.Errorf("%d of %d in 60 pages", len(shown), len(masters))
	}
}

func TestTheFeedShowsWhatEngages(t *testing.T) {
	s := open(t, video.Config{})
	owner := s.person("owner")
	star := s.clip(owner, "x", "")
	s.pass(24 * time.Hour)
	s.clips(400)
	for i := range 20 {
		fan := s.person(fmt.Sprint("fan", i))
		if err := errors.Join(s.Support(t.Context(), fan, star, true), s.Collect(t.Context(), fan, star, true)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.pass(time.Minute)
	found := 0
	for i := range 40 {
		for range 3 {
			if slices.ContainsFunc(s.home(guest(i)), func(v video.Clip) bool { return v.ID == star }) {
				found++
			}
		}
	}
	if found < 10 { // by chance it would be 1 or 2
		t.Errorf("%d of 40 saw it", found)
	}
}

func TestANewVideoIsShownAtOnce(t *testing.T) {
	s := open(t, video.Config{})
	s.clips(10)
	s.home(guest(1))
	id := s.clip(s.person("bob"), "x", "")
	found := false
	for range 3 {
		found = found || slices.ContainsFunc(s.home(guest(2)), func(v video.Clip) bool { return v.ID == id })
	}
	if !found {
		t.Error("not shown")
	}
}

func TestAnOwnersPageOfMany(t *testing.T) {
	s := open(t, video.Config{})
	bob := s.person("bob")
	for range 20 {
		s.clip(bob, "x", "")
	}
	if list := s.home(guest(1)); len(list) != 5 {
		t.Errorf("one owner fills no page: %d", len(list))
	}
	first, err := s.By(t.Context(), guest(1), bob.User, 1)
	second, err2 := s.By(t.Context(), guest(1), bob.User, 2)
	if err := errors.Join(err, err2); err != nil || len(first) != 12 || len(second) != 8 || first[0].ID < second[0].ID {
		t.Errorf("%d and %d, %v", len(first), len(second), err)
	}
	for _, page := range []int{0, -5, 3, 1 << 30} {
		if list, err := s.By(t.Context(), guest(1), bob.User, page); err != nil || page > 1 && len(list) > 0 {
			t.Errorf("page %d: %d %v", page, len(list), err)
		}
	}
}

// Who may do what: each kind of caller with each call on each kind of video.
func TestPermissions(t *testing.T) {
	s := open(t, video.Config{})
	ctx := t.Context()
	owner, follower, stranger := s.person("owner"), s.person("follower"), s.person("stranger")
	admin := s.personOf("root", store.RoleAdmin)
	if _, err := s.ToggleFollow(ctx, follower, owner.User); err != nil {
		t.Fatal(err)
	}
	callers := []struct {
		name string
		c    video.Caller
	}{{"stranger", stranger}, {"follower", follower}, {"owner", owner}, {"admin", admin}}
	const ok, no, gone = protocol.CodeOK, protocol.CodeForbidden, protocol.CodeUnknown
	sees := map[string][]protocol.Code{"public": {ok, ok, ok, ok}, "followers": {gone, ok, ok, gone}, "private": {gone, gone, ok, gone}}
	owns := map[string][]protocol.Code{"public": {no, no, ok, no}, "followers": {gone, no, ok, gone}, "private": {gone, gone, ok, gone}}
	removes := map[string][]protocol.Code{"public": {no, no, ok, ok}, "followers": {gone, no, ok, ok}, "private": {gone, gone, ok, ok}}
	for visibility := range sees {
		for i, who := range callers {
			for name, tt := range map[string]struct {
				do    func(id int64) error
				codes []protocol.Code
			}{
				"info":           {func(id int64) error { _, err := s.Info(ctx, who.c, id); return err }, sees[visibility]},
				"support":        {func(id int64) error { return s.Support(ctx, who.c, id, true) }, sees[visibility]},
				"collect":        {func(id int64) error { return s.Collect(ctx, who.c, id, true) }, sees[visibility]},
				"share":          {func(id int64) error { return s.Share(ctx, who.c, id) }, sees[visibility]},
				"played":         {func(id int64) error { return s.Played(ctx, who.c, id, 5) }, sees[visibility]},
				"not interested": {func(id int64) error { return s.NotInterested(ctx, who.c, id) }, sees[visibility]},
				"comment":        {func(id int64) error { _, err := s.Comment(ctx, who.c, id, "hi", 0); return err }, sees[visibility]},
				"comments":       {func(id int64) error { _, _, err := s.Comments(ctx, who.c, id, 0, 0); return err }, sees[visibility]},
				"edit":           {func(id int64) error { return s.Edit(ctx, who.c, id, video.Edit{Title: "y"}) }, owns[visibility]},
				"delete":         {func(id int64) error { return s.Delete(ctx, who.c, id) }, removes[visibility]},
			} {
				want(t, fmt.Sprintf("%s of a %s video by the %s", name, visibility, who.name), tt.do(s.clip(owner, "x", visibility)), tt.codes[i])
			}
		}
	}
	for name, f := range map[string]func(c video.Caller, comment int64) error{
		"delete": func(c video.Caller, comment int64) error { return s.DeleteComment(ctx, c, comment) },
		"like":   func(c video.Caller, comment int64) error { return s.LikeComment(ctx, c, comment, true) },
	} {
		id := s.clip(owner, "x", "")
		for i, c := range []video.Caller{stranger, follower, owner, admin} {
			said, err := s.Comment(ctx, follower, id, "hi", 0)
			if err != nil {
				t.Fatal(err)
			}
			code := ok
			if name == "delete" && i == 0 {
				code = no
			}
			want(t, fmt.Sprintf("%s of a comment by %d", name, i), f(c, said.ID), code)
		}
	}
	_, err := s.Collected(ctx, stranger, owner.User, 1)
	want(t, "a stranger's collection", err, no)
	_, err = s.Collected(ctx, guest(1), 0, 1)
	want(t, "a guest's collection", err, no)
	for what, err := range map[string]error{
		"unknown video": s.Support(ctx, owner, 9999, true), "negative": s.Collect(ctx, owner, -1, true),
		"unknown comment": s.LikeComment(ctx, owner, 9999, true), "deleting nothing": s.Delete(ctx, admin, 9999),
	} {
		want(t, what, err, gone)
	}
}

func TestBadInput(t *testing.T) {
	s := open(t, video.Config{CommentsPerMinute: 1000}, func(d *video.Deps) {
		d.Censor = func(text string) (string, error) {
			if strings.Contains(text, "refused") {
				return "", protocol.Errorf(protocol.CodeBadValue, "wordRefused", "refused")
			}
			return strings.ReplaceAll(text, "darn", "****"), nil
		}
	})
	ctx, alice := t.Context(), s.person("alice")
	id := s.clip(alice, "x", "")
	const bad = protocol.CodeBadValue
	for content, code := range map[string]protocol.Code{
		"": bad, "  \n ": bad, strings.Repeat("字", 500): 0, strings.Repeat("字", 501): bad, "a\x00b": bad, "\xff": bad, "refused": bad, "two\nlines": 0,
	} {
		_, err := s.Comment(ctx, alice, id, content, 0)
		want(t, fmt.Sprintf("comment %.20q", content), err, code)
	}
	if c, err := s.Comment(ctx, alice, id, " darn it ", 0); err != nil || c.Content != "**** it" {
		t.Errorf("%q %v", c.Content, err)
	}
	_, err := s.Comment(ctx, alice, id, "x", 9999)
	want(t, "reply to nothing", err, protocol.CodeUnknown)
	for _, u := range []video.Upload{
		{Title: strings.Repeat("字", 201)}, {Title: "refused"}, {Visibility: "secret"}, {Tags: "a b c d e f g h i j k"}, {Tags: strings.Repeat("a", 41)},
		{Tags: "a!b"}, {Tags: "darn"}, {Title: "a\x1bb"},
	} {
		_, err := s.Create(ctx, alice, u)
		want(t, fmt.Sprintf("%+.60v", u), err, bad)
	}
	want(t, "edit", s.Edit(ctx, alice, id, video.Edit{Visibility: "x"}), bad)
	want(t, "edit title", s.Edit(ctx, alice, id, video.Edit{Title: "refused"}), bad)
	_, err = s.ToggleFollow(ctx, alice, alice.User)
	want(t, "follow oneself", err, bad)
	_, err = s.ToggleFollow(ctx, alice, 9999)
	want(t, "follow nobody", err, protocol.CodeUnknown)
	want(t, "negative time", s.Played(ctx, alice, id, -1), bad)
	for _, q := range []struct{ kind, q string }{{"users", ""}, {"users", strings.Repeat("x", 65)}, {"cats", "x"}, {"", "x"}} {
		_, err := s.Search(ctx, alice, q.kind, q.q, 0)
		want(t, fmt.Sprintf("search %q", q), err, bad)
	}
	if f, err := s.Search(ctx, alice, "videos", `"*(`, -9); err != nil || len(f.Videos) != 0 {
		t.Errorf("search of signs: %v", err)
	}
	_, _, err = s.Tagged(ctx, alice, " # ", 0)
	want(t, "no tag", err, bad)
}

func TestRatesAreLimited(t *testing.T) {
	s := open(t, video.Config{ActionsPerSecond: 1, ActionBurst: 30, CommentsPerMinute: 3, SearchesPerMinute: 3})
	ctx, alice, bob := t.Context(), s.person("alice"), s.person("bob")
	id := s.clip(bob, "x", "")
	const often = protocol.CodeTooOften
	for i := range 13 {
		code := protocol.CodeOK
		if i >= 10 {
			code = often
		}
		want(t, fmt.Sprint("share ", i), s.Share(ctx, alice, id), code)
	}
	for i := range 4 {
		_, err := s.Comment(ctx, alice, id, "x", 0)
		_, err2 := s.Search(ctx, alice, "users", "x", 0)
		code := protocol.CodeOK
		if i == 3 {
			code = often
		}
		want(t, fmt.Sprint("comment ", i), err, code)
		want(t, fmt.Sprint("search ", i), err2, code)
	}
	var err error
	for range 30 {
		err = s.Support(ctx, alice, id, true)
	}
	want(t, "likes", err, often)
	want(t, "somebody else", s.Support(ctx, bob, id, true), 0)
}

func TestNewAccountsDoNotComment(t *testing.T) {
	s := open(t, video.Config{}, func(d *video.Deps) {
		d.TooNew = func(context.Context, int64) (time.Duration, error) { return time.Minute, nil }
	})
	alice := s.person("alice")
	_, err := s.Comment(t.Context(), alice, s.clip(alice, "x", ""), "x", 0)
	want(t, "comment", err, protocol.CodeTooOften)
}

func TestPlaysAndSharesAreCounted(t *testing.T) {
	s := open(t, video.Config{})
	ctx, alice, bob := t.Context(), s.person("alice"), s.person("bob")
	id := s.clip(bob, "x", "")
	for _, ms := range []int64{4000, 3000} { // the second is too soon
		if err := s.Played(ctx, alice, id, ms); err != nil {
			t.Fatal(err)
		}
	}
	s.pass(time.Minute)
	if err := errors.Join(s.Played(ctx, alice, id, 1<<50), s.Played(ctx, guest(1), id, 500), s.Share(ctx, alice, id)); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Info(ctx, alice, id); err != nil || v.PlayNum != 3 || v.WatchMS != 14_500 || v.ShareNum != 1 {
		t.Errorf("%+v %v", v.Video, err)
	}
	if err := errors.Join(s.Played(ctx, bob, id, 1), s.Delete(ctx, bob, id), s.Flush(ctx)); err != nil {
		t.Error(err)
	}
}

func TestTagsAndMentions(t *testing.T) {
	for text, want := range map[string]string{
		"a #Cat #cat ＃猫咪, #x_1!": "Cat 猫咪 x_1", "看#旅行 吧": "旅行", "a#b": "", "##": "", "# x": "", "#" + strings.Repeat("x", 41): "",
		"#a #b #c #d #e #f #g #h #i #j #k": "a b c d e f g h i j",
	} {
		if got := strings.Join(video.Hashtags(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	s := open(t, video.Config{Language: "en"})
	ctx, alice, bob, wang := t.Context(), s.person("alice"), s.person("bob.b"), s.person("小王")
	v, err := s.Create(ctx, alice, video.Upload{Title: "hi @Bob.B. and @小王, not me@alice.example #Fun", Tags: "#猫, dogs"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Processed(ctx, v.ID, store.VideoResult{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Comment(ctx, bob, v.ID, "@小王 look @小王 @nobody", 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for who, texts := range map[int64]string{bob.User: "alice mentioned you.", wang.User: "bob.b mentioned you.", alice.User: "bob.b commented on your video."} {
		if got := s.told[who]; len(got) != 1 || got[0].Text != texts || got[0].Kind != "notice" || got[0].Id == "" {
			t.Errorf("%d was told %+v, want %q", who, got, texts)
		}
	}
	list, unread, next, err := s.Notices(ctx, wang, 0)
	if err != nil || len(list) != 2 || unread != 2 || next != 0 || list[0].Comment != "@小王 look @小王 @nobody" {
		t.Errorf("%+v %d %d %v", list, unread, next, err)
	}
	if err := s.ReadNotices(ctx, wang, 0); err != nil {
		t.Fatal(err)
	}
	if _, unread, _, _ = s.Notices(ctx, wang, 0); unread != 0 {
		t.Errorf("%d unread", unread)
	}
	tags := func() string {
		list, err := s.store.VideoTags(ctx, v.ID)
		if err != nil {
			t.Error(err)
		}
		slices.Sort(list)
		return strings.Join(list, " ")
	}
	if got := tags(); got != "Fun dogs 猫" {
		t.Errorf("tags %q", got)
	}
	if err := s.Edit(ctx, alice, v.ID, video.Edit{Title: "now #serious"}); err != nil || tags() != "dogs serious 猫" {
		t.Errorf("after a new title: %q %v", tags(), err)
	}
	if err := s.Edit(ctx, alice, v.ID, video.Edit{Tags: "one"}); err != nil || tags() != "one serious" {
		t.Errorf("after new tags: %q %v", tags(), err)
	}
	if list, _, err := s.Tagged(ctx, guest(1), "#ONE", 0); err != nil || len(list) != 1 {
		t.Errorf("tagged: %d %v", len(list), err)
	}
	if trend, err := s.Trending(ctx); err != nil || len(trend) != 2 || trend[0].Videos != 1 {
		t.Errorf("trend: %+v %v", trend, err)
	}
}

func TestWhoIsNotConnectedIsNotTold(t *testing.T) {
	var bob video.Caller
	s := open(t, video.Config{}, func(d *video.Deps) { d.Online = func(user int64) bool { return user == bob.User } })
	alice := s.person("alice")
	bob = s.person("bob")
	for _, owner := range []video.Caller{alice, bob} {
		for range 2 { // told once, of the newest
			if err := s.Support(t.Context(), map[bool]video.Caller{true: bob, false: alice}[owner.User == alice.User], s.clip(owner, "x", ""), true); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.told[alice.User]) != 0 || len(s.told[bob.User]) != 1 || s.told[bob.User][0].Text != "alice likes your video." {
		t.Errorf("%+v", s.told)
	}
}

func TestSearchPutsTheExactNameFirst(t *testing.T) {
	s := open(t, video.Config{})
	ctx, ann := t.Context(), s.person("ann")
	s.person("anna")
	s.person("annette")
	s.clip(ann, "我的短视频 #cats", "")
	f, err := s.Search(ctx, ann, "users", "@Ann", 0)
	if err != nil || len(f.Users) != 3 || f.Users[0].ID != ann.User {
		t.Errorf("%+v %v", f.Users, err)
	}
	if f, err := s.Search(ctx, ann, "videos", "视频", 0); err != nil || len(f.Videos) != 1 {
		t.Errorf("%+v %v", f.Videos, err)
	}
	if f, err := s.Search(ctx, ann, "tags", "#cat", 0); err != nil || len(f.Tags) != 1 {
		t.Errorf("%+v %v", f.Tags, err)
	}
}

func TestOnlyTheOwnerCountsPrivateVideos(t *testing.T) {
	s := open(t, video.Config{})
	bob := s.person("bob")
	s.clip(bob, "x", "")
	s.clip(bob, "x", "private")
	a, err := s.store.Account(t.Context(), bob.User)
	if err != nil {
		t.Fatal(err)
	}
	own, err := s.Created(t.Context(), bob, a)
	others, err2 := s.Created(t.Context(), guest(1), a)
	if err := errors.Join(err, err2); err != nil || own != 2 || others != 1 {
		t.Errorf("%d %d %v", own, others, err)
	}
}

func TestManyLookAtOnce(t *testing.T) {
	s := open(t, video.Config{})
	ids := s.clips(60)
	var people []video.Caller
	for i := range 8 {
		people = append(people, s.person(fmt.Sprint("p", i)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var wg sync.WaitGroup
	for i, p := range people {
		wg.Go(func() {
			for j := range 20 {
				if _, err := s.Home(t.Context(), p); err != nil {
					t.Error(err)
				}
				if _, err := s.Home(t.Context(), guest(i)); err != nil {
					t.Error(err)
				}
				id := ids[(i*7+j)%len(ids)]
				if err := errors.Join(s.Support(t.Context(), p, id, j%2 == 0), s.Played(t.Context(), p, id, 5), s.NotInterested(t.Context(), p, id)); err != nil {
					t.Error(err)
				}
			}
			if j := i % 2; j == 0 {
				if err := s.Flush(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if report, err := s.store.RepairCounters(t.Context(), false); err != nil || len(report) > 0 {
		t.Errorf("%v %v", report, err)
	}
}

func FuzzTags(f *testing.F) {
	for _, text := range []string{"#a #b", "＃猫咪", "#\xff", "#a\u0301 #", "##a#b", "#ﬁ #fi"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tags := video.Hashtags(text)
		keys := map[string]bool{}
		for _, tag := range tags {
			if tag == "" || strings.ContainsAny(tag, "#＃ @,\n") || !strings.Contains(text, tag) || keys[store.FoldName(tag)] {
				t.Errorf("%q: %q", text, tags)
			}
			keys[store.FoldName(tag)] = true
		}
		if len(tags) > 10 {
			t.Errorf("%q: %d tags", text, len(tags))
		}
	})
}
