package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gtiv/store"
)

// senders is how many keep-alive connections send at the same time.
const senders = 64

// sendOverHTTP measures durable private sends through the whole of gtiv, first
// to nobody, then to receivers that are connected. At the end gtiv is killed,
// and every acknowledged message must be in the database.
func sendOverHTTP(ctx context.Context, b *bench) error {
	data, err := b.folder("send")
	if err != nil {
		return err
	}
	var from, to []person
	if err := withStore(ctx, data, func(s *store.Store) error {
		from, to, err = pairs(ctx, s, senders)
		return err
	}); err != nil {
		return err
	}
	s, err := b.serve(ctx, data)
	if err != nil {
		return err
	}
	acked, err := bothSends(ctx, b, s, from, to)
	s.kill()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.log)
	}
	if err := countMessages(ctx, data, senders+acked); err != nil {
		return fmt.Errorf("after kill -9: %w", err)
	}
	return nil
}

// bothSends answers how many sends were acknowledged.
func bothSends(ctx context.Context, b *bench, s *server, from, to []person) (int, error) {
	span := pick(b, 8*time.Second, 3*time.Second)
	readers, err := connectReaders(ctx, s.addr(portComet), to)
	if err != nil {
		return 0, err
	}
	defer readers.close()
	warm, err := sendFor(ctx, s, from, to, time.Second) // fills the caches of the server
	if err != nil {
		return 0, err
	}
	online, err := sendFor(ctx, s, from, to, span)
	if err != nil {
		return 0, err
	}
	delivered, err := readers.check(ctx, append(warm.ids, online.ids...))
	if err != nil {
		return 0, err
	}
	readers.close()
	plain := tally{}
	if err := plainCommits(ctx, b, span/4, &plain); err != nil {
		return 0, err
	}
	alone, err := sendFor(ctx, s, from, to, span)
	if err != nil {
		return 0, err
	}
	alone.show(b, "durable private sends over HTTP, 64 senders, nobody online", &plain)
	online.show(b, "the same, every receiver online", &plain)
	b.add(row{Figure: "delivery of these, from send to frame read", Target: "all, none doubled", Measured: fmt.Sprintf("%d of %d, p50 %s, p99 %s",
		delivered.N, warm.n+online.n, ms(delivered.quantile(0.5)), ms(delivered.quantile(0.99)))})
	return warm.n + alone.n + online.n, nil
}

// sent is what came of sending for a time.
type sent struct {
	tally
	lat hist
	ids []string // ServerMsgIds, as acknowledged
	cpu time.Duration
}

func (r *sent) show(b *bench, name string, plain *tally) {
	b.add(row{
		name, "≥ 3000/s, p99 < 50 ms",
		fmt.Sprintf("%.0f/s, p50 %s, p99 %s, %.0f µs of server CPU each", r.rate(), ms(r.lat.quantile(0.5)), ms(r.lat.quantile(0.99)),
			float64(r.cpu.Microseconds())/float64(max(r.n, 1))),
		fmt.Sprintf("%.0f/s: one transaction per message, one after the other, no HTTP", plain.rate()), ratio(r.rate(), plain.rate()),
	})
}

// sendFor has every sender send to its friend for a time, each message after
// the acknowledgement of the one before.
func sendFor(ctx context.Context, s *server, from, to []person, span time.Duration) (*sent, error) {
	parts, errs := make([]sent, len(from)), make([]error, len(from))
	before, err := cpu(s.pid())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range from {
		wg.Go(func() { errs[i] = parts[i].send(ctx, s.addr(portImbiz), from[i], to[i], began.Add(span)) })
	}
	wg.Wait()
	all := &sent{tally: tally{d: time.Since(began)}}
	after, err := cpu(s.pid())
	all.cpu = after - before
	for i := range parts {
		all.n += parts[i].n
		all.ids = append(all.ids, parts[i].ids...)
		all.lat.merge(&parts[i].lat)
	}
	return all, errors.Join(append(errs, err)...)
}

func (r *sent) send(ctx context.Context, addr string, from, to person, end time.Time) error {
	h, err := dialHTTP(ctx, addr)
	if err != nil {
		return err
	}
	defer h.close()
	for time.Now().Before(end) && ctx.Err() == nil {
		at := time.Now()
		content := fmt.Sprintf("%019d%s", at.UnixNano(), message[19:])
		reply, err := h.call(httpRequest("POST", "/imlogic/push-mid", from.token, fmt.Sprintf(`{"Type":0,"Message":"%s","ToUsers":"%d"}`, content, to.id)))
		if err != nil {
			return fmt.Errorf("push-mid: %w", err)
		}
		r.lat.add(time.Since(at))
		r.ids = append(r.ids, reply.ServerMsgId)
		r.n++
	}
	return nil
}

// plainCommits is the peer: a transaction and its fsync for every message.
func plainCommits(ctx context.Context, b *bench, span time.Duration, t *tally) error {
	data, err := b.folder("plain")
	if err != nil {
		return err
	}
	if err := withStore(ctx, data, func(s *store.Store) error {
		_, _, err := pairs(ctx, s, senders)
		return err
	}); err != nil {
		return err
	}
	r, err := openRaw(ctx, data)
	if err != nil {
		return err
	}
	began := time.Now()
	for time.Since(began) < span && err == nil {
		if err = r.batch(ctx, 1); err == nil {
			t.n++
		}
	}
	t.d += time.Since(began)
	return errors.Join(err, r.close())
}
