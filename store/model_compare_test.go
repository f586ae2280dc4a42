package store_test

import (
	"maps"
	"slices"
	"sort"

	"gtiv/store"
)

// compare reads everything and compares it.
func (m *model) compare() {
	positions := map[pair]store.Position{}
	for _, u := range m.users {
		list := ok(m.s.PrivatePositions(m.t.Context(), u))(m.t)
		for _, p := range list {
			positions[ordered(u, p.Peer)] = p
		}
		m.compareUser(u, len(list))
	}
	keys := slices.SortedFunc(maps.Keys(m.convs), func(a, b pair) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys { // in order, so that a seed repeats its run
		c := m.convs[key]
		p, seen := positions[key]
		if !seen {
			continue // both are deleted accounts
		}
		if p.Last != c.last || p.LastTime != c.lastTime {
			m.t.Errorf("position %+v, want %d at %d", p, c.last, c.lastTime)
		}
		m.compareConversation(key, p.Conversation, c)
	}
}

func (m *model) compareUser(u int64, conversations int) {
	n := 0
	for key := range m.convs {
		if key[0] == u || key[1] == u {
			n++
		}
	}
	if n != conversations {
		m.t.Errorf("user %d has %d conversations, want %d", u, conversations, n)
	}
	list := ok(m.s.Contacts(m.t.Context(), u))(m.t)
	for _, c := range list {
		if gone, exists := m.contact[pair{u, c.User.ID}]; !exists || gone != c.Deleted {
			m.t.Errorf("contact %d of %d: %+v", c.User.ID, u, c)
		}
	}
	blocked, apps := ok(m.s.Blocked(m.t.Context(), u))(m.t), ok(m.s.Applications(m.t.Context(), u, 0, 1000))(m.t)
	if len(list) != count(m.contact, u) || len(apps) != count(m.apps, u) || len(blocked) != count(m.block, u) {
		m.t.Errorf("user %d: %d contacts, %d applications, %d blocked; want %d, %d, %d",
			u, len(list), len(apps), len(blocked), count(m.contact, u), count(m.apps, u), count(m.block, u))
	}
}

func count[V any](of map[pair]V, user int64) int {
	n := 0
	for k := range of {
		if k[0] == user {
			n++
		}
	}
	return n
}

func (m *model) compareConversation(key pair, id int64, c *modelConv) {
	rows := ok(m.s.History(m.t.Context(), id, 0, 1<<20))(m.t)
	slices.Reverse(rows)
	if len(rows) != len(c.msgs) {
		m.t.Errorf("%v: %d rows, want %d", key, len(rows), len(c.msgs))
		return
	}
	for i, x := range c.msgs {
		if rows[i] != *x || i > 0 && (x.Seq != c.msgs[i-1].Seq+1 || x.Time <= c.msgs[i-1].Time) {
			m.t.Errorf("%v row %d: %+v\nwant %+v", key, i, rows[i], *x)
		}
	}
	for _, reader := range key {
		m.compareIncoming(id, reader, c)
	}
	at := m.clock.ms.Load() - int64(m.random.IntN(100_000))
	older := sort.Search(len(c.msgs), func(i int) bool { return c.msgs[i].Time > at })
	wantSeq := c.last - uint64(len(c.msgs)) + uint64(older)
	if got := ok(m.s.SeqAt(m.t.Context(), id, at))(m.t); got != wantSeq {
		m.t.Errorf("%v: SeqAt %d is %d, want %d", key, at, got, wantSeq)
	}
}

func (m *model) compareIncoming(id, reader int64, c *modelConv) {
	after, limit := uint64(m.random.IntN(int(c.last)+1)), 1+m.random.IntN(50)
	var expect []store.Message
	for _, x := range c.msgs {
		if x.Seq > after && x.From != reader && x.Gone == store.Here && x.HiddenFrom != reader && len(expect) < limit {
			expect = append(expect, *x)
		}
	}
	if got := ok(m.s.Incoming(m.t.Context(), id, reader, after, limit))(m.t); !slices.Equal(got, expect) {
		m.t.Errorf("incoming of %d behind %d: %+v\nwant %+v", reader, after, got, expect)
	}
}
