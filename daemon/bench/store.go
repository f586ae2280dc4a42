package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gtiv/store"
)

// storeWriters is how many callers wait for the store at the same time.
const storeWriters = 256

// storeAlone measures the durable path without HTTP, and plain batches of as
// many rows into the same schema. Both in turn, three times, because the speed
// of the machine changes.
func storeAlone(ctx context.Context, b *bench) error {
	ours, theirs := tally{}, tally{}
	span := pick(b, 3*time.Second, time.Second)
	var lat hist
	err := b.profiling("store", func() error {
		data, err := b.folder("store")
		if err != nil {
			return err
		}
		var from, to []person
		if err := withStore(ctx, data, func(s *store.Store) error {
			from, to, err = pairs(ctx, s, storeWriters)
			return err
		}); err != nil {
			return err
		}
		for range 3 {
			err = errors.Join(
				withStore(ctx, data, func(s *store.Store) error { return writeAll(ctx, s, from, to, span, &ours, &lat) }),
				plainBatches(ctx, data, span/2, &theirs))
			if err != nil {
				return err
			}
		}
		return countMessages(ctx, data, storeWriters+ours.n+theirs.n)
	})
	if err != nil {
		return err
	}
	b.add(row{
		"store alone, 256 writers, 230 bytes, durable", "≥ 12000/s",
		fmt.Sprintf("%.0f/s, p50 %s, p99 %s", ours.rate(), ms(lat.quantile(0.5)), ms(lat.quantile(0.99))),
		fmt.Sprintf("%.0f/s: plain batches of 256 rows, same schema, same disk", theirs.rate()), ratio(ours.rate(), theirs.rate()),
	})
	return nil
}

// tally is a number of things done in a time.
type tally struct {
	n int
	d time.Duration
}

func (t *tally) add(n int, d time.Duration) { t.n += n; t.d += d }

func (t *tally) rate() float64 {
	if t.d == 0 {
		return 0
	}
	return float64(t.n) / t.d.Seconds()
}

// writeAll has everybody send for a time.
func writeAll(ctx context.Context, s *store.Store, from, to []person, span time.Duration, t *tally, all *hist) error {
	began := time.Now()
	counts, errs, lats := make([]int, len(from)), make([]error, len(from)), make([]hist, len(from))
	var wg sync.WaitGroup
	for i := range from {
		wg.Go(func() {
			for time.Since(began) < span && ctx.Err() == nil {
				at := time.Now()
				if _, err := s.SendPrivate(ctx, store.NewMessage{From: from[i].id, To: to[i].id, Content: message}); err != nil {
					errs[i] = err
					return
				}
				lats[i].add(time.Since(at))
				counts[i]++
			}
		})
	}
	wg.Wait()
	d := time.Since(began)
	for i := range counts {
		t.n += counts[i]
		all.merge(&lats[i])
	}
	t.d += d
	return errors.Join(errs...)
}

// plainBatches is the peer: what one transaction after the other of 256 rows
// reaches, with nobody waiting.
func plainBatches(ctx context.Context, data string, span time.Duration, t *tally) error {
	r, err := openRaw(ctx, data)
	if err != nil {
		return err
	}
	began := time.Now()
	for time.Since(began) < span && err == nil {
		if err = r.batch(ctx, storeWriters); err == nil {
			t.n += storeWriters
		}
	}
	t.d += time.Since(began)
	return errors.Join(err, r.close())
}

// countMessages fails when the database does not hold exactly want.
func countMessages(ctx context.Context, data string, want int) error {
	return withStore(ctx, data, func(s *store.Store) error {
		n, err := s.CountMessages(ctx)
		if err != nil {
			return err
		}
		if n != int64(want) {
			return fmt.Errorf("%d messages were acknowledged, %d are stored", want, n)
		}
		return nil
	})
}
