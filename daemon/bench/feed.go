package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"gtiv/store"
)

// Sizes of the feed figures. Viewers are few: what is measured is the feed, not
// how long requests wait for a processor.
const (
	feedOwners  = 1000
	feedViewers = 2
)

// feedSite is a running gtiv with so many videos.
type feedSite struct {
	videos  int
	server  *server
	viewers []person
	lat     hist
}

// feed measures the feed at 1,000 and at 100,000 videos, in turn, and likes. At
// the end gtiv is killed, and every acknowledged like must be in the counters.
func feed(ctx context.Context, b *bench) error {
	sites := []*feedSite{{videos: 1000}, {videos: pick(b, 100_000, 20_000)}}
	for _, f := range sites {
		if err := f.start(ctx, b); err != nil {
			return err
		}
		defer f.server.stop()
	}
	span := pick(b, 2*time.Second, time.Second)
	for round := range pick(b, 7, 3) {
		for _, f := range sites {
			lat, err := f.watch(ctx, span)
			if err != nil {
				return fmt.Errorf("%w\n%s", err, f.server.log)
			}
			if round > 0 { // the first fills caches
				f.lat.merge(lat)
			}
		}
	}
	small, large := &sites[0].lat, &sites[1].lat
	show := func(h *hist) string {
		return fmt.Sprintf("p50 %s, p99 %s", ms(h.quantile(0.5)), ms(h.quantile(0.99)))
	}
	b.add(row{fmt.Sprintf("GET /video/home, %d videos, %d viewers", sites[1].videos, feedViewers), "p99 < 5 ms, ratio ≤ 1.3", show(large),
		show(small) + fmt.Sprintf(": %d videos", sites[0].videos),
		ratio(large.quantile(0.99).Seconds(), small.quantile(0.99).Seconds())})
	sites[1].server.stop()
	return sites[0].like(ctx, b)
}

// start makes the site.
func (f *feedSite) start(ctx context.Context, b *bench) error {
	data, err := b.folder("feed")
	if err != nil {
		return err
	}
	began := time.Now()
	if err := withStore(ctx, data, func(s *store.Store) error {
		f.viewers, err = people(ctx, s, feedOwners)
		if err != nil {
			return err
		}
		// Everybody follows some others.
		return parallel(feedOwners, func(i int) error {
			for k := range 5 {
				if _, _, err := s.ToggleFollow(ctx, f.viewers[i].id, f.viewers[(i+1+7*k)%feedOwners].id); err != nil {
					return fmt.Errorf("follow: %w", err)
				}
			}
			return nil
		})
	}); err != nil {
		return err
	}
	if err := f.fill(ctx, data); err != nil {
		return fmt.Errorf("make videos: %w", err)
	}
	b.say("  made %d videos in %.1f s", f.videos, time.Since(began).Seconds())
	f.server, err = b.serve(ctx, data)
	return err
}

// fill writes videos by plain statements, as published over the last months and
// liked by some.
func (f *feedSite) fill(ctx context.Context, data string) error {
	r, err := openRaw(ctx, data)
	if err != nil {
		return err
	}
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return errors.Join(err, r.close())
	}
	dice, now := rand.New(rand.NewPCG(1, 1)), time.Now().UnixMilli() //nolint:gosec // the same site in every run
	for i := range f.videos {
		at := now - dice.Int64N(90*24*3600*1000)
		if _, err = tx.ExecContext(ctx, `INSERT INTO video (owner_id, title, key, state, width, height, duration_ms, created_at, published_at, score)
			VALUES (?1, ?2, ?3, 2, 720, 1280, 20000, ?4, ?4, ?5 + ?4 / 43200000.0)`,
			f.viewers[dice.IntN(feedOwners)].id, fmt.Sprint("video ", i, " #tag", i%100), fmt.Sprintf("2026/%040x", i), at, dice.ExpFloat64()*3); err != nil {
			break
		}
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `UPDATE account SET create_video_num = (SELECT count(*) FROM video WHERE owner_id = account.id)`)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback(), r.close())
	}
	return errors.Join(tx.Commit(), r.close())
}

// watch has the viewers page through their feeds for a time.
func (f *feedSite) watch(ctx context.Context, span time.Duration) (*hist, error) {
	errs, lats := make([]error, feedViewers), make([]hist, feedViewers)
	end := time.Now().Add(span)
	var wg sync.WaitGroup
	for i := range feedViewers {
		wg.Go(func() {
			errs[i] = untilEnd(ctx, f.server.addr(portImbiz), httpRequest("GET", "/video/home", f.viewers[i].token, ""), end, &lats[i])
		})
	}
	wg.Wait()
	all := &hist{}
	for i := range lats {
		all.merge(&lats[i])
	}
	return all, errors.Join(errs...)
}

// like has everybody like videos, and take some back, over 64 connections.
func (f *feedSite) like(ctx context.Context, b *bench) error {
	span := pick(b, 6*time.Second, 2*time.Second)
	errs, lats, likes := make([]error, senders), make([]hist, senders), make([]map[int]bool, senders)
	before, err := cpu(f.server.pid())
	if err != nil {
		return err
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() { likes[i], errs[i] = f.likeFor(ctx, i, began.Add(span), &lats[i]) })
	}
	wg.Wait()
	t, all, want := tally{}, hist{}, 0
	for i := range lats {
		all.merge(&lats[i])
		for _, on := range likes[i] {
			if on {
				want++
			}
		}
	}
	t.add(int(all.N), time.Since(began)) //nolint:gosec // a count
	after, err := cpu(f.server.pid())
	f.server.kill()
	if err = errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("%w\n%s", err, f.server.log)
	}
	b.add(row{Figure: "likes and their undoing over HTTP, 64 connections", Target: "≥ 3000/s", Measured: fmt.Sprintf("%.0f/s, p50 %s, p99 %s, %.0f µs of server CPU each",
		t.rate(), ms(all.quantile(0.5)), ms(all.quantile(0.99)), float64((after-before).Microseconds())/float64(max(t.n, 1)))})
	return f.countLikes(ctx, want)
}

// likeFor likes for one user; every fourth time it takes back the like before. It
// answers how each video was left.
func (f *feedSite) likeFor(ctx context.Context, user int, end time.Time, lat *hist) (map[int]bool, error) {
	h, err := dialHTTP(ctx, f.server.addr(portImbiz))
	if err != nil {
		return nil, err
	}
	defer h.close()
	dice, likes := rand.New(rand.NewPCG(2, uint64(user))), map[int]bool{} //nolint:gosec // the same in every run
	for id := 2; time.Now().Before(end) && ctx.Err() == nil; {
		on := dice.IntN(4) > 0
		if on {
			id = 2 + dice.IntN(f.videos)
		}
		body := fmt.Sprintf(`{"videoId":%d,"action":%d}`, id, map[bool]int{true: 1}[on])
		at := time.Now()
		if _, err := h.call(httpRequest("POST", "/video/support", f.viewers[user].token, body)); err != nil {
			return nil, fmt.Errorf("support: %w", err)
		}
		lat.add(time.Since(at))
		likes[id] = on
	}
	return likes, nil
}

// countLikes compares the database with what was acknowledged.
func (f *feedSite) countLikes(ctx context.Context, want int) error {
	return withStore(ctx, f.server.data, func(s *store.Store) error {
		report, err := s.RepairCounters(ctx, false)
		if err != nil {
			return err
		}
		if len(report) > 0 {
			return fmt.Errorf("after kill -9 counters are wrong: %v", report)
		}
		have := int64(0)
		for _, p := range f.viewers {
			a, err := s.Account(ctx, p.id)
			if err != nil {
				return err
			}
			have += a.SupportNum
		}
		if have != int64(want) {
			return fmt.Errorf("%d likes were acknowledged, %d are stored", want, have)
		}
		return nil
	})
}
