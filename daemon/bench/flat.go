package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gtiv/store"
)

// The figures of flatRooms: what one caller's questions cost does not depend on
// how much the others have.
const (
	flatMembers = 50 // of each of the caller's rooms
	flatOwn     = 5  // rooms of the caller
)

// flatSize is how much is stored.
type flatSize struct{ rooms, messages int }

// flatCost is what a request costs.
type flatCost struct {
	p50, p99 time.Duration
	cpu      time.Duration
}

func (c flatCost) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, %.0f µs of server CPU", ms(c.p50), ms(c.p99), float64(c.cpu.Nanoseconds())/1000)
}

// flatRooms measures the app's questions about groups with little stored and
// with much, and a send into a small room and a large one.
func flatRooms(ctx context.Context, b *bench) error {
	small, large := flatSize{10, 1000}, flatSize{pick(b, 10_000, 1000), pick(b, 1_000_000, 50_000)}
	few, err := flatRun(ctx, b, small)
	if err != nil {
		return err
	}
	many, err := flatRun(ctx, b, large)
	if err != nil {
		return err
	}
	for i, name := range []string{"GET /chat/room-msg, nothing new", "GET /chat/room-msg, 30 messages", "GET /room/member_list, 15 rows"} {
		b.add(row{
			Figure: fmt.Sprintf("%s, %d rooms with %d messages", name, large.rooms, large.messages), Target: "flat", Measured: many[i].String(),
			Peer:  fmt.Sprintf("%s: %d rooms with %d messages", few[i], small.rooms, small.messages),
			Ratio: ratio(float64(many[i].cpu), float64(few[i].cpu)),
		})
	}
	return roomSends(ctx, b)
}

// flatRun seeds a database and asks. The answers are of nothing new, of 30
// messages, and of 15 members.
func flatRun(ctx context.Context, b *bench, size flatSize) ([]flatCost, error) {
	data, err := b.folder("flat")
	if err != nil {
		return nil, err
	}
	me, room, err := seedFlat(ctx, b, data, size)
	if err != nil {
		return nil, fmt.Errorf("fill the database: %w", err)
	}
	s, err := b.serve(ctx, data)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	path := fmt.Sprintf("/chat/room-msg?RoomId=%d&LastMessageTime=", room)
	requests := []string{path + strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10), path + "0", fmt.Sprintf("/room/member_list?RoomId=%d", room)}
	costs := make([]flatCost, len(requests))
	for _, i := range []int{1, 0, 2} { // the 30 first: what was asked for once with a late time is delivered
		if costs[i], err = flatAsk(ctx, s, me, requests[i], pick(b, 2000, 500)); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, s.log)
		}
	}
	return costs, nil
}

// seedFlat makes the rooms, and messages in all of them alike.
func seedFlat(ctx context.Context, b *bench, data string, size flatSize) (me person, room int64, err error) {
	began := time.Now()
	if err := withStore(ctx, data, func(s *store.Store) error {
		who, err := people(ctx, s, 300)
		if err != nil {
			return err
		}
		me = who[0]
		for range flatOwn {
			if room, err = seedRoom(ctx, s, who[:flatMembers]); err != nil {
				return err
			}
		}
		return parallel(size.rooms-flatOwn, func(i int) error {
			from := 1 + i%(len(who)-4)
			_, err := seedRoom(ctx, s, who[from:from+3])
			return err
		})
	}); err != nil {
		return me, 0, err
	}
	r, err := openRaw(ctx, data)
	if err != nil {
		return me, 0, err
	}
	for done := size.rooms; done < size.messages && err == nil; {
		part := min(10_000, size.messages-done)
		err = r.batch(ctx, part)
		done += part
	}
	b.say("  %d rooms, %d messages in %.0f s", size.rooms, size.messages, time.Since(began).Seconds())
	return me, room, errors.Join(err, r.close())
}

// flatAsk asks the same n times, one after the other.
func flatAsk(ctx context.Context, s *server, me person, path string, n int) (flatCost, error) {
	h, err := dialHTTP(ctx, s.addr(portImbiz))
	if err != nil {
		return flatCost{}, err
	}
	defer h.close()
	request := httpRequest("GET", path, me.token, "")
	var lat hist
	var before time.Duration
	for i := range n + n/10 { // a tenth to warm up
		if i == n/10 {
			if before, err = cpu(s.pid()); err != nil {
				return flatCost{}, err
			}
		}
		at := time.Now()
		if _, err := h.call(request); err != nil {
			return flatCost{}, fmt.Errorf("%s: %w", path, err)
		}
		if i >= n/10 {
			lat.add(time.Since(at))
		}
	}
	after, err := cpu(s.pid())
	return flatCost{lat.quantile(0.5), lat.quantile(0.99), (after - before) / time.Duration(n)}, err
}

// roomSends measures sends into rooms of different sizes, nobody connected.
func roomSends(ctx context.Context, b *bench) error {
	data, err := b.folder("roomsend")
	if err != nil {
		return err
	}
	sizes := []int{10, groupMembers}
	rooms := make([]int64, len(sizes))
	var who []person
	if err := withStore(ctx, data, func(s *store.Store) error {
		if who, err = people(ctx, s, groupMembers); err != nil {
			return err
		}
		for i, n := range sizes {
			if rooms[i], err = seedRoom(ctx, s, who[:n]); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	s, err := b.serve(ctx, data)
	if err != nil {
		return err
	}
	defer s.stop()
	costs := make([]*groupRun, len(sizes))
	for i, n := range sizes {
		if costs[i], err = (&group{}).send(ctx, s, who[:10], rooms[i], 0, pick(b, 4*time.Second, 2*time.Second)); err != nil {
			return fmt.Errorf("send to a room of %d: %w\n%s", n, err, s.log)
		}
	}
	each := func(r *groupRun) float64 { return float64(r.cpu.Microseconds()) / float64(max(r.n, 1)) }
	b.add(row{
		Figure: "send into a room of 500 members, nobody connected, 10 senders: server CPU", Target: "independent of members",
		Measured: fmt.Sprintf("%.0f µs, %.0f/s", each(costs[1]), float64(costs[1].n)/costs[1].span.Seconds()),
		Peer:     fmt.Sprintf("%.0f µs, %.0f/s: a room of 10", each(costs[0]), float64(costs[0].n)/costs[0].span.Seconds()),
		Ratio:    ratio(each(costs[1]), each(costs[0])),
	})
	return nil
}
