package store_test

import (
	"errors"
	"slices"
	"testing"

	"gtiv/store"
)

func TestAllVideosArePaged(t *testing.T) {
	s := open(t)
	ctx, a, b := t.Context(), account(t, s, "a"), account(t, s, "b")
	var all []int64
	for i := range 10 {
		owner := []int64{a, b}[i%2]
		if i < 4 {
			all = append(all, readyVideo(t, s, owner, "x", store.VideoPrivate))
			continue
		}
		v := must[store.Video](t)(s.CreateVideo(ctx, store.NewVideo{Owner: owner, Title: "x"}))
		all = append(all, v.ID)
		if i >= 8 {
			must[store.Video](t)(s.SetVideoState(ctx, v.ID, store.VideoFailed, "why"))
		}
	}
	must[store.Video](t)(s.DeleteVideo(ctx, 0, true, all[5]))
	list := func(f store.VideoFilter) (ids []int64) {
		t.Helper()
		for f.Limit = 2; ; {
			page := must[[]store.VideoNamed](t)(s.AllVideos(ctx, f))
			for _, v := range page {
				ids = append(ids, v.ID-all[0])
				if v.Username != map[int64]string{a: "a", b: "b"}[v.Owner] {
					t.Errorf("video %d of %d is said to be of %s", v.ID, v.Owner, v.Username)
				}
			}
			if len(page) < f.Limit {
				return ids
			}
			f.After = page[len(page)-1].ID
		}
	}
	for _, c := range []struct {
		f    store.VideoFilter
		want []int64
	}{
		{store.VideoFilter{State: store.AnyState}, []int64{9, 8, 7, 6, 4, 3, 2, 1, 0}},
		{store.VideoFilter{State: store.AnyState, Oldest: true}, []int64{0, 1, 2, 3, 4, 6, 7, 8, 9}},
		{store.VideoFilter{State: store.VideoReady}, []int64{3, 2, 1, 0}},
		{store.VideoFilter{State: store.VideoQueued, Oldest: true}, []int64{4, 6, 7}},
		{store.VideoFilter{State: store.VideoQueued}, []int64{7, 6, 4}},
		{store.VideoFilter{State: store.VideoFailed, Owner: a}, []int64{8}},
		{store.VideoFilter{State: store.AnyState, Owner: b}, []int64{9, 7, 3, 1}},
		{store.VideoFilter{State: store.VideoReady, Owner: b, Oldest: true}, []int64{1, 3}},
		{store.VideoFilter{State: store.VideoHidden}, nil},
	} {
		if got := list(c.f); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.f, got, c.want)
		}
	}
}

func TestModeratingKeepsCounters(t *testing.T) {
	s := open(t)
	ctx, a := t.Context(), account(t, s, "a")
	id := readyVideo(t, s, a, "x", store.VideoPublic)
	count := func() int64 { return must[store.Account](t)(s.Account(ctx, a)).CreateVideoNum }
	if v, err := s.ModerateVideo(ctx, id, []int{store.VideoReview}, store.VideoReady, ""); !errors.Is(err, store.ErrConflict) || v.State != store.VideoReady {
		t.Errorf("%+v %v", v, err)
	}
	if v := must[store.Video](t)(s.ModerateVideo(ctx, id, []int{store.VideoReady}, store.VideoHidden, "rude")); v.Reason != "rude" || count() != 0 {
		t.Errorf("%+v, %d videos", v, count())
	}
	if must[store.Video](t)(s.ModerateVideo(ctx, id, []int{store.VideoHidden}, store.VideoReady, "")); count() != 1 {
		t.Errorf("%d videos", count())
	}
	if _, err := s.ModerateVideo(ctx, id+1, []int{store.VideoReady}, store.VideoHidden, ""); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.RemakeVideo(ctx, id); !errors.Is(err, store.ErrConflict) {
		t.Errorf("without a source: %v", err)
	}
	noDrift(t, s)
}

func TestFoldersAreKnown(t *testing.T) {
	s := open(t)
	ctx, a := t.Context(), account(t, s, "a")
	id := readyVideo(t, s, a, "x", store.VideoPublic)
	key := must[store.Video](t)(s.Video(ctx, id)).Key
	other := readyVideo(t, s, a, "y", store.VideoPublic)
	must[store.Video](t)(s.DeleteVideo(ctx, 0, true, other))
	first := must[[]store.VideoKey](t)(s.VideoKeys(ctx, "", 1))
	rest := must[[]store.VideoKey](t)(s.VideoKeys(ctx, first[0].Key, 10))
	if first[0] != (store.VideoKey{Key: key, ID: id}) || len(rest) != 1 || rest[0].ID != other || !rest[0].Deleted {
		t.Errorf("%+v %+v", first, rest)
	}
	for key, want := range map[string]bool{key: true, rest[0].Key: true, "2026/nobody": false, "": false} {
		if got := must[bool](t)(s.KeyUsed(ctx, key)); got != want {
			t.Errorf("%q is used: %v", key, got)
		}
	}
}

func TestImportsAreRemembered(t *testing.T) {
	s := open(t)
	ctx, a := t.Context(), account(t, s, "a")
	v := must[store.Video](t)(s.CreateVideo(ctx, store.NewVideo{Owner: a, Title: "x", SourceHash: "h", Imported: true}))
	if err := s.ForgetSource(ctx, v.ID, "h"); err != nil {
		t.Fatal(err)
	}
	if got := must[store.Video](t)(s.ImportedVideo(ctx, a, "h", "x")); got.ID != v.ID {
		t.Errorf("%+v", got)
	}
	for _, c := range [][2]string{{"h", "y"}, {"i", "x"}} {
		if _, err := s.ImportedVideo(ctx, a, c[0], c[1]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v: %v", c, err)
		}
	}
	other := must[store.Video](t)(s.CreateVideo(ctx, store.NewVideo{Owner: a, Title: "x", SourceHash: "h", Imported: true}))
	if got := must[store.Video](t)(s.ImportedVideo(ctx, a, "h", "x")); got.ID != other.ID {
		t.Errorf("the newest counts: %+v", got)
	}
	if err := s.NoteImport(ctx, a, "h", "x", v.ID); err != nil {
		t.Fatal(err)
	}
	must[store.Video](t)(s.DeleteVideo(ctx, 0, true, v.ID))
	if _, err := s.ImportedVideo(ctx, a, "h", "x"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

func TestTheDatabaseIsWell(t *testing.T) {
	s, c := openClock(t)
	ctx := t.Context()
	readyVideo(t, s, account(t, s, "a"), "x", store.VideoPublic)
	if faults := must[[]string](t)(s.QuickCheck(ctx)); len(faults) > 0 {
		t.Errorf("%v", faults)
	}
	if at := must[int64](t)(s.NewestTime(ctx)); at != c.now().UnixMilli() {
		t.Errorf("newest record at %d, the clock says %d", at, c.now().UnixMilli())
	}
}
