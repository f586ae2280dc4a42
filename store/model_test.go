package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"gtiv/store"
)

// The model is the store written down in maps, without SQL. Random operations
// run on both; every answer and, now and then, everything that can be read must
// be the same.

type pair [2]int64

func ordered(a, b int64) pair { return pair{min(a, b), max(a, b)} }

type modelConv struct {
	last     uint64
	lastTime int64
	msgs     []*store.Message // kept ones, by number
}

type model struct {
	t      *testing.T
	seed   uint64
	random *rand.Rand
	path   string
	s      *store.Store
	clock  *clock

	users   []int64
	contact map[pair]bool // user, peer → peer removed user
	block   map[pair]bool
	apps    map[pair]int64 // receiver, applicant → time
	convs   map[pair]*modelConv
	order   []*store.Message         // kept ones, by arrival
	client  map[string]store.Message // sender/client id → as first answered
	pushed  []store.Message
	tried   []store.NewMessage // sends with a client id, to retry
	serial  int
	done    map[string]int // what happened how often
}

func TestStoreBehavesLikeTheModel(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			runModel(t, seed, 1000)
		})
	}
}

func runModel(t *testing.T, seed uint64, operations int) {
	t.Helper()
	m := &model{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), path: filepath.Join(t.TempDir(), "gtiv.db"), clock: newClock(), //nolint:gosec // a test
		contact: map[pair]bool{}, block: map[pair]bool{}, apps: map[pair]int64{}, convs: map[pair]*modelConv{}, client: map[string]store.Message{}, done: map[string]int{},
	}
	m.reopen()
	for range 8 {
		m.newUser()
	}
	steps := []struct {
		weight int
		do     func()
	}{
		{12, m.apply}, {14, m.accept}, {2, m.refuse}, {3, m.deleteContact}, {3, m.blockOne}, {4, m.unblockOne},
		{60, m.send}, {12, m.retry}, {8, m.recall}, {3, m.expire}, {3, m.cut}, {1, m.deleteAccount}, {10, m.tick}, {1, m.reopen}, {4, m.compare},
	}
	var deck []func()
	for _, s := range steps {
		for range s.weight {
			deck = append(deck, s.do)
		}
	}
	for range operations {
		deck[m.random.IntN(len(deck))]()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for _, what := range []string{"send: <nil>", "retry: <nil>", "retry after unfriending", "recall: <nil>", "send to no contact: not contacts"} {
		if m.done[what] < 5 {
			t.Errorf("seed %d: %q happened %d times only", seed, what, m.done[what])
		}
	}
	m.expireAll()
	m.reopen()
	m.compare()
	for _, c := range m.convs {
		if len(c.msgs) != 0 || c.last == 0 {
			t.Fatalf("model: %+v", c)
		}
	}
	for range 200 {
		m.send()
	}
	m.compare()
}

// same fails the test unless the store's error is the one that the model says.
func (m *model) same(what string, got, want error) {
	m.t.Helper()
	m.done[fmt.Sprint(what, ": ", want)]++
	wantf(m.t, got, want, "seed %d: %s", m.seed, what)
}

func wantf(t *testing.T, got, sentinel error, format string, args ...any) {
	t.Helper()
	want(t, fmt.Sprintf(format, args...), got, sentinel)
}

func (m *model) reopen() {
	if m.s != nil {
		m.same("close", m.s.Close(), nil)
	}
	m.s = openWith(m.t, store.Config{Path: m.path, Now: m.clock.now})
}

func (m *model) newUser() {
	m.serial++
	m.users = append(m.users, account(m.t, m.s, fmt.Sprint("user", m.serial)))
}

// tick moves the clock, sometimes far, sometimes back.
func (m *model) tick() {
	switch m.random.IntN(10) {
	case 0:
		m.clock.ms.Add(-int64(m.random.IntN(100_000)))
	case 1:
		m.clock.ms.Add(int64(m.random.IntN(100_000)))
	default:
		m.clock.ms.Add(int64(m.random.IntN(50)))
	}
}

// two picks two users, rarely the same one.
func (m *model) two() (int64, int64) {
	a, b := m.users[m.random.IntN(len(m.users))], m.users[m.random.IntN(len(m.users))]
	if a == b && m.random.IntN(4) > 0 {
		return m.two()
	}
	return a, b
}

func (m *model) contacts(a, b int64) bool {
	gone1, ok1 := m.contact[pair{a, b}]
	gone2, ok2 := m.contact[pair{b, a}]
	return ok1 && ok2 && !gone1 && !gone2
}

func (m *model) apply() {
	from, to := m.two()
	stored, err := m.s.Apply(m.t.Context(), from, to, "hi")
	switch {
	case from == to:
		m.same("apply to myself", err, store.ErrNotFound)
	case m.contacts(from, to):
		m.same("apply to a contact", err, store.ErrConflict)
	default:
		m.same("apply", err, nil)
		if stored == m.block[pair{to, from}] {
			m.t.Errorf("apply %d → %d: stored %v", from, to, stored)
		}
		if stored {
			m.apps[pair{to, from}] = m.clock.ms.Load()
		}
	}
}

// pending picks an application, now and then one that does not exist.
func (m *model) pending() (user, applicant int64) {
	if len(m.apps) == 0 || m.random.IntN(10) == 0 {
		return m.two()
	}
	keys := slices.SortedFunc(maps.Keys(m.apps), func(a, b pair) int { return slices.Compare(a[:], b[:]) })
	k := keys[m.random.IntN(len(keys))]
	return k[0], k[1]
}

func (m *model) accept() {
	user, applicant := m.pending()
	at, exists := m.apps[pair{user, applicant}]
	since := m.clock.ms.Load() - 200_000
	n := store.NewMessage{From: user, To: applicant, Type: 8, System: true, Content: "ok", OnCommit: m.push}
	got, err := m.s.AcceptApplication(m.t.Context(), user, applicant, since, n)
	if !exists || at < since {
		m.same("accept nothing", err, store.ErrNotFound)
		return
	}
	m.same("accept", err, nil)
	delete(m.apps, pair{user, applicant})
	delete(m.apps, pair{applicant, user})
	m.contact[pair{user, applicant}], m.contact[pair{applicant, user}] = false, false
	m.stored(n, got)
}

func (m *model) refuse() {
	user, applicant := m.pending()
	err := m.s.RefuseApplication(m.t.Context(), user, applicant)
	if _, exists := m.apps[pair{user, applicant}]; !exists {
		m.same("refuse nothing", err, store.ErrNotFound)
		return
	}
	m.same("refuse", err, nil)
	delete(m.apps, pair{user, applicant})
}

func (m *model) deleteContact() {
	a, b := m.two()
	told, err := m.s.DeleteContact(m.t.Context(), a, b)
	if _, exists := m.contact[pair{a, b}]; !exists {
		m.same("delete no contact", err, store.ErrNotFound)
		return
	}
	m.same("delete contact", err, nil)
	delete(m.contact, pair{a, b})
	gone, exists := m.contact[pair{b, a}]
	if told != (exists && !gone) {
		m.t.Errorf("told %v", told)
	}
	if exists {
		m.contact[pair{b, a}] = true
	}
}

func (m *model) blockOne() {
	a, b := m.two()
	err := m.s.Block(m.t.Context(), a, b)
	if a == b {
		m.same("block myself", err, store.ErrNotFound)
		return
	}
	m.same("block", err, nil)
	m.block[pair{a, b}] = true
	delete(m.apps, pair{a, b})
}

func (m *model) unblockOne() {
	a, b := m.two()
	m.same("unblock", m.s.Unblock(m.t.Context(), a, b), nil)
	delete(m.block, pair{a, b})
}

func (m *model) push(msg store.Message) { m.pushed = append(m.pushed, msg) }

// correspondents picks who writes to whom: mostly contacts.
func (m *model) correspondents() (int64, int64) {
	for range 10 {
		if a, b := m.two(); m.contacts(a, b) {
			return a, b
		}
	}
	return m.two()
}

func (m *model) send() {
	from, to := m.correspondents()
	m.serial++
	n := store.NewMessage{From: from, To: to, Type: m.random.IntN(4), Content: fmt.Sprint("text ", m.serial), OnCommit: m.push}
	if m.random.IntN(2) == 0 {
		n.ClientMsgID = fmt.Sprint("c", m.serial)
		m.tried = append(m.tried, n)
	}
	m.sendThis(n)
}

// retry repeats an earlier send, whatever happened to the pair since.
func (m *model) retry() {
	if len(m.tried) > 0 {
		n := m.tried[m.random.IntN(len(m.tried))]
		if m.random.IntN(10) == 0 {
			_, n.To = m.two()
		}
		m.sendThis(n)
	}
}

func clientKey(n store.NewMessage) string { return fmt.Sprint(n.From, "/", n.ClientMsgID) }

func (m *model) sendThis(n store.NewMessage) {
	got, err := m.s.SendPrivate(m.t.Context(), n)
	first, repeated := m.client[clientKey(n)]
	switch {
	case n.ClientMsgID != "" && repeated && first.To != n.To:
		m.same("client id for another one", err, store.ErrConflict)
	case n.ClientMsgID != "" && repeated:
		m.same("retry", err, nil)
		if !m.contacts(n.From, n.To) {
			m.done["retry after unfriending"]++
		}
		if !got.Repeated || got.ServerMsgID != first.ServerMsgID || got.Seq != first.Seq || got.Time != first.Time {
			m.t.Errorf("retry answered %+v, first was %+v", got, first)
		}
	case !m.contacts(n.From, n.To):
		m.same("send to no contact", err, store.ErrNotContact)
	default:
		m.same("send", err, nil)
		m.stored(n, got)
	}
	if len(m.pushed) != 0 {
		m.t.Errorf("pushed what was not stored: %+v", m.pushed)
	}
}

// stored checks a message that the store says is new, and notes it.
func (m *model) stored(n store.NewMessage, got store.Message) {
	key := ordered(n.From, n.To)
	c := m.convs[key]
	if c == nil {
		c = &modelConv{}
		m.convs[key] = c
	}
	expect := store.Message{
		Conversation: got.Conversation, Kind: store.KindPrivate, Seq: c.last + 1, ServerMsgID: got.ServerMsgID, From: n.From, To: n.To,
		Type: n.Type, Content: n.Content, System: n.System, Time: max(m.clock.ms.Load(), c.lastTime+1), ClientMsgID: n.ClientMsgID,
	}
	if m.block[pair{n.To, n.From}] {
		expect.HiddenFrom = n.To
	}
	if got != expect {
		m.t.Errorf("stored %+v\nwant   %+v", got, expect)
	}
	if len(m.pushed) != 1 || m.pushed[0] != expect {
		m.t.Errorf("pushed %+v\nwant   %+v", m.pushed, expect)
	}
	m.pushed = nil
	c.last, c.lastTime = expect.Seq, expect.Time
	kept := expect
	c.msgs, m.order = append(c.msgs, &kept), append(m.order, &kept)
	if n.ClientMsgID != "" {
		m.client[clientKey(n)] = expect
	}
}

func (m *model) recall() {
	if len(m.order) == 0 {
		return
	}
	target := m.order[m.random.IntN(len(m.order))]
	n := store.NewMessage{From: target.From, To: target.To, Type: 6, OnCommit: m.push}
	if m.random.IntN(8) == 0 {
		n.From, n.To = n.To, n.From
	}
	notBefore := m.clock.ms.Load() - 150_000
	got, err := m.s.RecallPrivate(m.t.Context(), n, target.ServerMsgID, notBefore)
	switch {
	case n.From != target.From || target.Gone != store.Here || target.System || target.Type == 6 || target.Time < notBefore:
		m.same("recall", err, store.ErrNotFound)
	case !m.contacts(n.From, n.To):
		m.same("recall", err, store.ErrNotContact)
	default:
		m.same("recall", err, nil)
		n.Content = target.ServerMsgID
		m.stored(n, got)
		target.Gone, target.Content = store.Recalled, ""
	}
}

// drop takes messages out of the model.
func (m *model) drop(gone func(*store.Message) bool) {
	m.order = slices.DeleteFunc(m.order, gone)
	for _, c := range m.convs {
		c.msgs = slices.DeleteFunc(c.msgs, func(x *store.Message) bool {
			if gone(x) && x.ClientMsgID != "" {
				delete(m.client, fmt.Sprint(x.From, "/", x.ClientMsgID))
			}
			return gone(x)
		})
	}
}

func (m *model) expire() {
	limit, cutoff := 1+m.random.IntN(30), m.clock.ms.Load()-int64(m.random.IntN(200_000))
	old := map[*store.Message]bool{}
	for _, x := range m.order[:min(limit, len(m.order))] {
		if x.Time < cutoff {
			old[x] = true
		}
	}
	n, err := m.s.ExpireMessages(m.t.Context(), cutoff, limit)
	m.same("expire", err, nil)
	if n != len(old) {
		m.t.Errorf("expired %d, want %d", n, len(old))
	}
	m.drop(func(x *store.Message) bool { return old[x] })
}

func (m *model) expireAll() {
	n, err := m.s.ExpireMessages(m.t.Context(), 1<<60, 1<<20)
	m.same("expire all", err, nil)
	if n != len(m.order) {
		m.t.Errorf("expired %d of %d", n, len(m.order))
	}
	m.drop(func(*store.Message) bool { return true })
}

// cut shortens the conversations that are over a limit.
func (m *model) cut() {
	limit := uint64(5 + m.random.IntN(20))
	over, err := m.s.ConversationsOver(m.t.Context(), limit, 1000)
	m.same("over", err, nil)
	long := 0
	for _, c := range m.convs {
		if uint64(len(c.msgs)) > limit {
			long++
		}
	}
	if len(over) != long {
		m.t.Errorf("%d conversations over %d, want %d", len(over), limit, long)
	}
	for id, upTo := range over {
		n, err := m.s.CutConversation(m.t.Context(), id, upTo, 1000)
		m.same("cut", err, nil)
		before := len(m.order)
		m.drop(func(x *store.Message) bool { return x.Conversation == id && x.Seq <= upTo })
		if n != before-len(m.order) {
			m.t.Errorf("cut %d, want %d", n, before-len(m.order))
		}
	}
}

// deleteAccount replaces a user by a new one.
func (m *model) deleteAccount() {
	i := m.random.IntN(len(m.users))
	id := m.users[i]
	_, peers, err := m.s.DeleteAccount(m.t.Context(), id, 0, store.QuitTexts{})
	m.same("delete account", err, nil)
	var had []int64
	for k, gone := range m.contact {
		if k[1] == id {
			if !gone {
				had = append(had, k[0])
			}
			m.contact[k] = true
		}
		if k[0] == id {
			delete(m.contact, k)
		}
	}
	slices.Sort(had)
	slices.Sort(peers)
	if !slices.Equal(had, peers) {
		m.t.Errorf("told %v, want %v", peers, had)
	}
	for k := range m.apps {
		if k[0] == id || k[1] == id {
			delete(m.apps, k)
		}
	}
	m.users = slices.Delete(m.users, i, i+1)
	m.newUser()
}
