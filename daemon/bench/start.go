package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gtiv/store"
)

// settle is when the memory of a started server is read.
const settle = 10 * time.Second

// startEmpty measures the start on an empty folder.
func startEmpty(ctx context.Context, b *bench) error {
	return starts(ctx, b, "`gtiv serve` on an empty directory", "ready < 500 ms, RSS < 60 MiB", func() (string, error) { return b.folder("empty") })
}

// startFull measures it on a database with many messages.
func startFull(ctx context.Context, b *bench) error {
	n := pick(b, 1_000_000, 100_000)
	data, err := b.folder("full")
	if err != nil {
		return err
	}
	began := time.Now()
	if err := fill(ctx, data, n); err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	b.say("  wrote %d messages in %.0f s", n, time.Since(began).Seconds())
	return starts(ctx, b, fmt.Sprintf("`gtiv serve` with %d stored messages", n), "ready < 1 s", func() (string, error) { return data, nil })
}

// starts starts the server three times and reads its memory after the last.
func starts(ctx context.Context, b *bench, name, target string, folder func() (string, error)) error {
	var times []time.Duration
	for last := range 3 {
		data, err := folder()
		if err != nil {
			return err
		}
		s, err := b.serve(ctx, data)
		if err != nil {
			return err
		}
		times = append(times, s.ready)
		if last < 2 {
			s.stop()
			continue
		}
		pause(ctx, settle)
		resident, err := rss(s.pid())
		used, err2 := cpu(s.pid())
		s.stop()
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		slices.Sort(times)
		b.add(row{Figure: name, Target: target, Measured: fmt.Sprintf("ready in %s (worst of three %s), RSS %s and %.2f s of CPU after 10 s",
			ms(times[1]), ms(times[2]), mib(resident), used.Seconds())})
	}
	return nil
}

// fill makes a database with n messages in 1,000 conversations. Package store
// makes the schema and the people; the rows go in by plain transactions, because
// a store that waits for the disk after every few hundred takes minutes.
func fill(ctx context.Context, data string, n int) error {
	const conversations, rows = 1000, 10_000
	if err := withStore(ctx, data, func(s *store.Store) error {
		_, _, err := pairs(ctx, s, conversations)
		return err
	}); err != nil {
		return err
	}
	r, err := openRaw(ctx, data)
	if err != nil {
		return err
	}
	for done := conversations; done < n && err == nil; {
		part := min(rows, n-done)
		err = r.batch(ctx, part)
		done += part
	}
	if err := errors.Join(err, r.close()); err != nil {
		return err
	}
	return countMessages(ctx, data, n)
}
