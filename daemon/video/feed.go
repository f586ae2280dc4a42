package video

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gtiv/store"
)

// Sizes of the feed. The fresh pool is larger than all that a viewer can have
// seen or refused, so that whoever has not seen everything finds something new.
const (
	feedPage   = 5            // wire.md 5
	feedTry    = feedPage + 1 // one may be gone since the pools were read
	freshPool  = 1200
	topPool    = 300
	poolsAge   = 2 * time.Second
	maxViewers = 4000
	maxBlocked = 1000
	maxWaiting = 20_000 // viewers whose videos are to be written
)

// pools is what the feed chooses from. It does not change.
type pools struct {
	fresh, top  []store.VideoRef
	last        int64 // largest id of a video
	lastAccount int64
	at          time.Time
}

// poolsNow answers the pools. Who finds them old reads them again, while the
// others go on with the old ones.
func (s *Service) poolsNow(ctx context.Context) (*pools, error) {
	p := s.pools.Load()
	fresh := p != nil && !s.stale.Load() && s.now().Sub(p.at) < poolsAge
	if fresh {
		return p, nil
	}
	if p == nil {
		s.pooling.Lock()
	} else if !s.pooling.TryLock() {
		return p, nil
	}
	defer s.pooling.Unlock()
	if p = s.pools.Load(); p != nil && !s.stale.Load() && s.now().Sub(p.at) < poolsAge {
		return p, nil // somebody else just did
	}
	s.stale.Store(false)
	p = &pools{at: s.now()}
	var errs [3]error
	p.fresh, errs[0] = s.store.FreshVideos(ctx, freshPool)
	p.top, errs[1] = s.store.TopVideos(ctx, topPool)
	p.last, p.lastAccount, errs[2] = s.store.LastIDs(ctx)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("read the pools of the feed: %w", err)
	}
	s.pools.Store(p)
	return p, nil
}

// Changed has the next feed look at the videos again, after one came or went.
func (s *Service) Changed() { s.stale.Store(true) }

// viewer is what is remembered of somebody who looks at the feed.
type viewer struct {
	mu   sync.Mutex // guards what follows
	read bool       // from the database
	seen []int64    // newest last, at most store.VideosKept
	not  []int64    // not interested
}

// viewers are those who looked last.
type viewers struct {
	mu sync.Mutex
	m  map[string]*list.Element
	l  list.List
}

type viewerEntry struct {
	key string
	v   *viewer
}

func (vs *viewers) get(key string) *viewer {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if e := vs.m[key]; e != nil {
		vs.l.MoveToFront(e)
		return e.Value.(*viewerEntry).v //nolint:forcetypeassert // only these are put in
	}
	if vs.m == nil {
		vs.m = map[string]*list.Element{}
	}
	v := &viewer{}
	vs.m[key] = vs.l.PushFront(&viewerEntry{key, v})
	if vs.l.Len() > maxViewers {
		last := vs.l.Back()
		vs.l.Remove(last)
		delete(vs.m, last.Value.(*viewerEntry).key) //nolint:forcetypeassert // as above
	}
	return v
}

// look answers what a viewer saw and does not want. Of guests only the memory
// knows, by address.
func (s *Service) look(ctx context.Context, c Caller) (v *viewer, seen, not []int64, err error) {
	v = s.viewers.get(c.key())
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.read && c.User != 0 {
		list, err := s.store.SeenVideos(ctx, c.User)
		if err != nil {
			return nil, nil, nil, err
		}
		if v.not, err = s.store.NotInterested(ctx, c.User); err != nil {
			return nil, nil, nil, err
		}
		for _, old := range slices.Backward(list) {
			v.seen = append(v.seen, old.ID)
		}
		// What was shown while this was forgotten and is not written yet.
		s.mu.Lock()
		for _, late := range s.seen[c.User] {
			v.note(late.ID)
		}
		s.mu.Unlock()
	}
	v.read = true
	return v, slices.Clone(v.seen), slices.Clone(v.not), nil
}

// note remembers that a video was shown. v.mu is held.
func (v *viewer) note(id int64) {
	if i := slices.Index(v.seen, id); i >= 0 {
		v.seen = slices.Delete(v.seen, i, i+1)
	}
	v.seen = append(v.seen, id)
	if over := len(v.seen) - store.VideosKept; over > 0 {
		v.seen = slices.Delete(v.seen, 0, over)
	}
}

// shown notes what is answered, in memory at once and in the database soon.
func (s *Service) shown(c Caller, v *viewer, clips []Clip) {
	v.mu.Lock()
	for _, clip := range clips {
		if clip.ID != SampleID {
			v.note(clip.ID)
		}
	}
	v.mu.Unlock()
	if c.User == 0 {
		return
	}
	at := s.now().UnixMilli()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[c.User] == nil && len(s.seen) >= maxWaiting {
		return // the database does not take anything; memory is not for that
	}
	for _, clip := range clips {
		if clip.ID != SampleID {
			s.seen[c.User] = append(s.seen[c.User], store.SeenVideo{ID: clip.ID, At: at})
		}
	}
	if list := s.seen[c.User]; len(list) > store.VideosKept {
		s.seen[c.User] = slices.Clone(list[len(list)-store.VideosKept:])
	}
}

// Home is the next page of a viewer's feed: never nothing. It chooses among the
// most engaged, the newest, those of whom the viewer follows, and any; it leaves
// out what the viewer saw lately, does not want, made, and the videos of those
// whom the viewer blocked. When nothing new is left, it repeats what was seen
// longest ago; when there is too little of that, too, the sample is shown.
func (s *Service) Home(ctx context.Context, c Caller) ([]Clip, error) {
	v, seen, not, err := s.look(ctx, c)
	if err != nil {
		return nil, err
	}
	p, err := s.poolsNow(ctx)
	if err != nil {
		return nil, err
	}
	ch := &chooser{s: s, c: c, p: p, seen: seen, not: not, skip: slices.Concat(seen, not)}
	slices.Sort(ch.skip)
	if c.User != 0 {
		if ch.blocked, err = s.store.BlockedIDs(ctx, c.User, maxBlocked); err != nil {
			return nil, err
		}
	}
	clips, err := ch.page(ctx)
	if err != nil {
		return nil, err
	}
	s.shown(c, v, clips)
	return clips, nil
}

// chooser chooses one page for one viewer.
type chooser struct {
	s         *Service
	c         Caller
	p         *pools
	seen, not []int64
	skip      []int64 // both, sorted
	blocked   []int64 // sorted

	followed, any []store.VideoRef
	tried         []int64
	owners        []int64 // of what is on the page
	clips         []Clip
}

// rounds bounds how often candidates are looked up: some may be gone, or be of
// accounts that are banned.
const rounds = 3

func (ch *chooser) page(ctx context.Context) ([]Clip, error) {
	if err := ch.readPools(ctx); err != nil {
		return nil, err
	}
	for range rounds {
		ids := ch.choose()
		if len(ids) == 0 {
			break
		}
		if err := ch.add(ctx, ids); err != nil {
			return nil, err
		}
		if len(ch.clips) >= feedPage {
			return ch.clips, nil
		}
	}
	return ch.fillUp(ctx)
}

// readPools reads the pools of this viewer: the newest videos of some of those
// they follow, and those behind random ids.
func (ch *chooser) readPools(ctx context.Context) error {
	const masters, newest, probes, each = 3, 5, 2, 3
	random := ch.s.deps.Random
	if ch.c.User != 0 {
		span := max(ch.p.lastAccount-store.BuiltInAccount+1, 1)
		from := store.BuiltInAccount + int64(random(int(span)))
		list, err := ch.s.store.FollowedFrom(ctx, ch.c.User, from, masters)
		if err == nil && len(list) < masters {
			var more []int64
			more, err = ch.s.store.FollowedFrom(ctx, ch.c.User, 0, masters-len(list))
			list = append(list, more...)
		}
		if err != nil {
			return err
		}
		slices.Sort(list)
		for _, m := range slices.Compact(list) {
			refs, err := ch.s.store.NewestBy(ctx, m, newest)
			if err != nil {
				return err
			}
			ch.followed = append(ch.followed, refs...)
		}
	}
	// Few videos are all among the newest.
	if len(ch.p.fresh) < freshPool || ch.p.last <= SampleID {
		return nil
	}
	for range probes {
		refs, err := ch.s.store.VideosFrom(ctx, 1+int64(random(int(ch.p.last))), each)
		if err != nil {
			return err
		}
		ch.any = append(ch.any, refs...)
	}
	return nil
}

// choose picks what is looked up next: some of each pool, then whatever is new.
func (ch *chooser) choose() []int64 {
	var ids, owners []int64
	take := func(pool []store.VideoRef, n, width int, twice bool) {
		var fit []store.VideoRef
		for _, r := range pool {
			if len(fit) == width {
				break
			}
			if ch.fits(r) && !slices.Contains(ids, r.ID) && (twice || !slices.Contains(owners, r.Owner) && !slices.Contains(ch.owners, r.Owner)) {
				fit = append(fit, r)
			}
		}
		for n = min(n, feedTry-len(ids)); n > 0 && len(fit) > 0; {
			i := ch.s.deps.Random(len(fit))
			r := fit[i]
			fit = slices.Delete(fit, i, i+1)
			if !twice && slices.Contains(owners, r.Owner) {
				continue
			}
			ids, owners = append(ids, r.ID), append(owners, r.Owner)
			n--
		}
	}
	take(ch.followed, 1, 8, false)
	take(ch.p.top, 2, 20, false)
	take(ch.p.fresh, 1, 20, false)
	take(ch.any, 1, 6, false)
	ch.mix(ids)
	// The rest stands by, and makes up for pools that are empty.
	take(ch.p.top, 1, 40, false)
	take(ch.p.fresh, feedTry, 40, false)
	take(ch.any, feedTry, feedTry, true)
	take(ch.p.fresh, feedTry, feedTry, true)
	ch.tried = append(ch.tried, ids...)
	return ids
}

func (ch *chooser) mix(ids []int64) {
	for i := len(ids) - 1; i > 0; i-- {
		j := ch.s.deps.Random(i + 1)
		ids[i], ids[j] = ids[j], ids[i]
	}
}

func (ch *chooser) fits(r store.VideoRef) bool {
	if _, found := slices.BinarySearch(ch.skip, r.ID); found || r.Owner == ch.c.User || slices.Contains(ch.tried, r.ID) {
		return false
	}
	_, blocked := slices.BinarySearch(ch.blocked, r.Owner)
	return !blocked
}

// add looks videos up and puts those that the viewer may see on the page.
func (ch *chooser) add(ctx context.Context, ids []int64) error {
	clips, err := ch.s.store.ShownVideos(ctx, ch.c.User, ids)
	if err != nil {
		return fmt.Errorf("read videos of the feed: %w", err)
	}
	clips = clips[:min(len(clips), feedPage-len(ch.clips))]
	for _, clip := range clips {
		ch.owners = append(ch.owners, clip.Owner)
	}
	ch.clips = append(ch.clips, clips...)
	return nil
}

// fillUp is for those who have seen everything: what they saw longest ago, their
// own videos, the sample.
func (ch *chooser) fillUp(ctx context.Context) ([]Clip, error) {
	const lookedAt = 40
	var ids []int64
	for _, id := range ch.seen {
		if len(ids) < lookedAt && !slices.Contains(ch.tried, id) && !slices.Contains(ch.not, id) {
			ids = append(ids, id)
		}
	}
	if err := ch.add(ctx, ids); err != nil {
		return nil, err
	}
	if len(ch.clips) < feedPage && ch.c.User != 0 {
		own, err := ch.s.store.NewestBy(ctx, ch.c.User, feedPage)
		if err != nil {
			return nil, err
		}
		ids = ids[:0]
		for _, r := range own {
			if !slices.ContainsFunc(ch.clips, func(c Clip) bool { return c.ID == r.ID }) {
				ids = append(ids, r.ID)
			}
		}
		if err := ch.add(ctx, ids); err != nil {
			return nil, err
		}
	}
	if len(ch.clips) < feedPage {
		clip, err := ch.s.sample(ctx, ch.c.User)
		if err != nil {
			return nil, err
		}
		ch.clips = append(ch.clips, clip)
	}
	return ch.clips, nil
}
