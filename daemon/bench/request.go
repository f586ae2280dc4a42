package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gtiv/store"
)

// requests measures the cheapest request that needs a token, and logging in,
// which is dear on purpose.
func requests(ctx context.Context, b *bench) error {
	data, err := b.folder("request")
	if err != nil {
		return err
	}
	var who []person
	if err := withStore(ctx, data, func(s *store.Store) error {
		who, err = people(ctx, s, senders)
		return err
	}); err != nil {
		return err
	}
	s, err := b.serve(ctx, data)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := userInfo(ctx, b, s, who); err != nil {
		return fmt.Errorf("%w\n%s", err, s.log)
	}
	return logins(ctx, b, s)
}

// userInfo reads profiles over 64 keep-alive connections.
func userInfo(ctx context.Context, b *bench, s *server, who []person) error {
	span := pick(b, 4*time.Second, 2*time.Second)
	before, err := cpu(s.pid())
	if err != nil {
		return err
	}
	began := time.Now()
	errs, lats := make([]error, len(who)), make([]hist, len(who))
	var wg sync.WaitGroup
	for i := range who {
		wg.Go(func() {
			errs[i] = untilEnd(ctx, s.addr(portImbiz), httpRequest("GET", "/user/info", who[i].token, ""), began.Add(span), &lats[i])
		})
	}
	wg.Wait()
	t, all := tally{}, hist{}
	for i := range lats {
		all.merge(&lats[i])
	}
	t.add(int(all.N), time.Since(began)) //nolint:gosec // a count
	after, err := cpu(s.pid())
	if err = errors.Join(append(errs, err)...); err != nil {
		return err
	}
	b.add(row{Figure: "GET /user/info, 64 connections", Measured: fmt.Sprintf("%.0f/s, p50 %s, p99 %s, %.0f µs of server CPU each",
		t.rate(), ms(all.quantile(0.5)), ms(all.quantile(0.99)), float64((after-before).Microseconds())/float64(max(t.n, 1)))})
	return nil
}

// untilEnd repeats a request on one connection.
func untilEnd(ctx context.Context, addr string, request []byte, end time.Time, lat *hist) error {
	h, err := dialHTTP(ctx, addr)
	if err != nil {
		return err
	}
	defer h.close()
	for time.Now().Before(end) && ctx.Err() == nil {
		at := time.Now()
		if _, err := h.call(request); err != nil {
			return err
		}
		lat.add(time.Since(at))
	}
	return nil
}

// logins logs one account in, again and again. The server measures its hash a
// few seconds after the start, so this begins later.
func logins(ctx context.Context, b *bench, s *server) error {
	const name, password = "benchlogin", "a long enough password"
	h, err := dialHTTP(ctx, s.addr(portImbiz))
	if err != nil {
		return err
	}
	defer h.close()
	pause(ctx, 4*time.Second)
	body := fmt.Sprintf(`{"Username":%q,"Password":%q}`, name, password)
	if _, err := h.call(httpRequest("POST", "/user/register-by-username", "", body)); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	var lat hist
	before, err := cpu(s.pid())
	if err != nil {
		return err
	}
	for range pick(b, 10, 5) {
		at := time.Now()
		if _, err := h.call(httpRequest("POST", "/user/login", "", body)); err != nil {
			return fmt.Errorf("log in: %w", err)
		}
		lat.add(time.Since(at))
	}
	after, err := cpu(s.pid())
	if err != nil {
		return err
	}
	b.add(row{Figure: "POST /user/login (argon2id), one at a time", Measured: fmt.Sprintf("p50 %s, %s of server CPU each",
		ms(lat.quantile(0.5)), ms((after-before)/time.Duration(lat.N)))}) //nolint:gosec // a few
	return nil
}
