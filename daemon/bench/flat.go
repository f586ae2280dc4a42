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

// flatCost is what came of asking one thing again and again.
type flatCost struct {
	lat hist
	cpu time.Duration
}

func (c *flatCost) each() time.Duration { return c.cpu / time.Duration(max(c.lat.N, 1)) } //nolint:gosec // a count

func (c *flatCost) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, %.0f µs of server CPU", ms(c.lat.quantile(0.5)), ms(c.lat.quantile(0.99)), float64(c.each().Nanoseconds())/1000)
}

// flatSide is a server with so much stored, and one of its users.
type flatSide struct {
	*server
	size flatSize
	me   person
	room int64
}

// flatRooms measures the app's questions about groups with little stored and
// with much, and a send into a small room and a large one.
func flatRooms(ctx context.Context, b *bench) error {
	sides := []*flatSide{
		{size: flatSize{10, 1000}},
		{size: flatSize{pick(b, 10_000, 1000), pick(b, 1_000_000, 50_000)}},
	}
	for _, s := range sides {
		if err := s.open(ctx, b); err != nil {
			return err
		}
		defer s.stop()
	}
	pause(ctx, settle) // a server that just started measures its hash, and tidies up
	if err := flatQuestions(ctx, b, sides[0], sides[1]); err != nil {
		return fmt.Errorf("%w\n%s%s", err, sides[0].log, sides[1].log)
	}
	return roomSends(ctx, b)
}

// flatQuestions asks both, in turn, so that what else the machine does concerns
// both alike. The answers are of 30 messages, of nothing new, of 15
// members, and of nothing again.
func flatQuestions(ctx context.Context, b *bench, small, large *flatSide) error {
	late := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)
	for _, q := range []struct{ name, path string }{
		// The 30 first: what was asked for once with a late time is delivered.
		{"GET /chat/room-msg, 30 messages", "/chat/room-msg?LastMessageTime=0&RoomId="},
		{"GET /chat/room-msg, nothing new", "/chat/room-msg?LastMessageTime=" + late + "&RoomId="},
		{"GET /room/member_list, 15 rows", "/room/member_list?RoomId="},
		// It looks at all groups of the caller, too.
		{"GET /chat/sync-private-message, nothing new", "/chat/sync-private-message?LastMessageTime=" + late + "&RoomId="},
	} {
		var few, many flatCost
		for i := range 11 {
			for s, cost := range map[*flatSide]*flatCost{small: &few, large: &many} {
				if err := s.ask(ctx, q.path+strconv.FormatInt(s.room, 10), pick(b, 400, 100), cost); err != nil {
					return err
				}
			}
			if i == 0 { // to warm up
				few, many = flatCost{}, flatCost{}
			}
		}
		b.add(row{
			Figure: fmt.Sprintf("%s, %d rooms with %d messages", q.name, large.size.rooms, large.size.messages), Target: "flat", Measured: many.String(),
			Peer:  fmt.Sprintf("%s: %d rooms with %d messages", &few, small.size.rooms, small.size.messages),
			Ratio: ratio(float64(many.each()), float64(few.each())),
		})
	}
	return nil
}

// open fills a database and starts a server on it.
func (f *flatSide) open(ctx context.Context, b *bench) error {
	data, err := b.folder("flat")
	if err != nil {
		return err
	}
	if f.me, f.room, err = seedFlat(ctx, b, data, f.size); err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	f.server, err = b.serve(ctx, data)
	return err
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

// ask asks the same n times, one after the other.
func (f *flatSide) ask(ctx context.Context, path string, n int, cost *flatCost) error {
	h, err := dialHTTP(ctx, f.addr(portImbiz))
	if err != nil {
		return err
	}
	defer h.close()
	request := httpRequest("GET", path, f.me.token, "")
	before, err := cpu(f.pid())
	if err != nil {
		return err
	}
	for range n {
		at := time.Now()
		if _, err := h.call(request); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		cost.lat.add(time.Since(at))
	}
	after, err := cpu(f.pid())
	cost.cpu += after - before
	return err
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
