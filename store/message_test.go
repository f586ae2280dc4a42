package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"gtiv/store"
)

func TestSendPrivateStoresOneRow(t *testing.T) {
	s, c := openClock(t)
	a, b := friends(t, s, "anna", "ben")
	first := send(t, s, a, b, "one")
	m, err := s.SendPrivate(t.Context(), store.NewMessage{From: b, To: a, Type: 3, Content: "two", ClientMsgID: "c1", ReplyTo: first.ServerMsgID})
	want(t, "send", err, nil)
	if m.Seq != 3 || m.From != b || m.To != a || m.Type != 3 || m.Content != "two" || m.ReplyTo != first.ServerMsgID ||
		m.Kind != store.KindPrivate || m.Time != c.ms.Load()+2 || m.Repeated || m.HiddenFrom != 0 {
		t.Errorf("sent: %+v", m)
	}
	if got := ok(s.MessageByID(t.Context(), m.ServerMsgID))(t); got != m {
		t.Errorf("stored: %+v\nsent:   %+v", got, m)
	}
	if list := ok(s.History(t.Context(), m.Conversation, 0, 10))(t); len(list) != 3 || list[0] != m || list[1] != first {
		t.Errorf("history: %+v", list)
	}
}

func TestSendToWhoIsNoContact(t *testing.T) {
	s := open(t)
	a, b := account(t, s, "anna"), account(t, s, "ben")
	for _, to := range []int64{a, b, 99999, 0, -1} {
		_, err := s.SendPrivate(t.Context(), store.NewMessage{From: a, To: to, Content: "x"})
		want(t, fmt.Sprint("send to ", to), err, store.ErrNotContact)
	}
	if p := ok(s.PrivatePositions(t.Context(), a))(t); len(p) != 0 {
		t.Errorf("a refused send left a conversation: %+v", p)
	}
}

func TestSendWithBadReplyTo(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	_, err := s.SendPrivate(t.Context(), store.NewMessage{From: a, To: b, Content: "x", ReplyTo: "no id"})
	want(t, "send", err, store.ErrNotFound)
	if m := send(t, s, a, b, "y"); m.Seq != 2 {
		t.Errorf("the refused send took a number: next is %d", m.Seq)
	}
}

func TestRetryAnswersTheFirstMessage(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	other := account(t, s, "cleo")
	befriend(t, s, a, other)
	m := store.NewMessage{From: a, To: b, Content: "once", ClientMsgID: "id-1"}
	first := ok(s.SendPrivate(t.Context(), m))(t)
	m.Content = "changed by the retry"
	again := ok(s.SendPrivate(t.Context(), m))(t)
	if !again.Repeated || again.ServerMsgID != first.ServerMsgID || again.Seq != first.Seq || again.Time != first.Time || again.Content != "once" {
		t.Errorf("retry: %+v\nfirst: %+v", again, first)
	}
	m.To = other
	_, err := s.SendPrivate(t.Context(), m)
	want(t, "same id to somebody else", err, store.ErrConflict)
	m.From, m.To = b, a
	if n := ok(s.SendPrivate(t.Context(), m))(t); n.Repeated || n.Seq != first.Seq+1 {
		t.Errorf("same id of another sender: %+v", n)
	}
}

func TestCheckRefusesWithoutTakingANumber(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	big := errors.New("too big")
	called := false
	_, err := s.SendPrivate(t.Context(), store.NewMessage{From: a, To: b, Content: "x", ClientMsgID: "c",
		Check:    func(m store.Message) error { return fmt.Errorf("%w: seq %d", big, m.Seq) },
		OnCommit: func(store.Message) { called = true }})
	want(t, "send", err, big)
	if m := send(t, s, a, b, "y"); m.Seq != 2 || called {
		t.Errorf("after a refused send: seq %d, OnCommit called %v", m.Seq, called)
	}
}

// OnCommit must see the messages of a conversation in the order of their
// numbers, each once, and only what is stored.
func TestOnCommitRunsInOrderOfSequenceNumbers(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	var mu sync.Mutex
	var seen []uint64
	note := func(m store.Message) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, m.Seq)
	}
	const writers, each = 16, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				from, to := a, b
				if i%2 == 1 {
					from, to = b, a
				}
				m := store.NewMessage{From: from, To: to, Content: "x", ClientMsgID: fmt.Sprint(w, "-", i), OnCommit: note}
				for range 2 { // the second is a retry
					if _, err := s.SendPrivate(t.Context(), m); err != nil {
						t.Error(err)
						return
					}
				}
				m.To, m.ClientMsgID = 424242, ""
				if _, err := s.SendPrivate(t.Context(), m); !errors.Is(err, store.ErrNotContact) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != writers*each {
		t.Fatalf("OnCommit ran %d times, want %d", len(seen), writers*each)
	}
	for i, seq := range seen {
		if seq != uint64(i)+2 { // 1 is the note of the acceptance
			t.Fatalf("call %d was for seq %d", i, seq)
		}
	}
}

func TestPanicInOnCommitCostsNobodyAnything(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	m, err := s.SendPrivate(t.Context(), store.NewMessage{From: a, To: b, Content: "x", OnCommit: func(store.Message) { panic("push") }})
	want(t, "send", err, nil)
	if next := send(t, s, a, b, "y"); next.Seq != m.Seq+1 {
		t.Errorf("next is %d after %d", next.Seq, m.Seq)
	}
}

func TestTimeGrowsWhenTheClockJumpsBack(t *testing.T) {
	s, c := openClock(t)
	a, b := friends(t, s, "anna", "ben")
	last := send(t, s, a, b, "now").Time
	for _, jump := range []int64{-3_600_000, 0, 5, -1, 7_200_000, -9_999_999} {
		c.ms.Add(jump)
		m := send(t, s, b, a, "x")
		if m.Time <= last {
			t.Fatalf("after a jump of %d: time %d, the one before had %d", jump, m.Time, last)
		}
		last = m.Time
	}
}

func TestBlockedSendersMessagesAreHidden(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	want(t, "block", s.Block(t.Context(), b, a), nil)
	m := send(t, s, a, b, "psst")
	if m.HiddenFrom != b || m.Seq != 2 {
		t.Errorf("sent: %+v", m)
	}
	if back := send(t, s, b, a, "hello"); back.HiddenFrom != 0 {
		t.Errorf("the blocker's own message is hidden: %+v", back)
	}
	want(t, "unblock", s.Unblock(t.Context(), b, a), nil)
	later := send(t, s, a, b, "again")
	in := ok(s.Incoming(t.Context(), m.Conversation, b, 0, 10))(t)
	if len(in) != 1 || in[0].Seq != later.Seq {
		t.Errorf("ben reads %+v, want the last message alone", in)
	}
}

func TestRecall(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	m := send(t, s, a, b, "oops")
	var pushed []store.Message
	recall := store.NewMessage{From: a, To: b, Type: 6, ClientMsgID: "r1", OnCommit: func(m store.Message) { pushed = append(pushed, m) }}
	r := ok(s.RecallPrivate(t.Context(), recall, strings.ToUpper(m.ServerMsgID), m.Time))(t)
	if r.Seq != m.Seq+1 || r.Type != 6 || r.Content != m.ServerMsgID {
		t.Errorf("recall: %+v", r)
	}
	if got := ok(s.MessageByID(t.Context(), m.ServerMsgID))(t); got.Gone != store.Recalled || got.Content != "" {
		t.Errorf("target: %+v", got)
	}
	again := ok(s.RecallPrivate(t.Context(), recall, m.ServerMsgID, 0))(t)
	if !again.Repeated || again.Seq != r.Seq || len(pushed) != 1 {
		t.Errorf("retry: %+v, pushed %d", again, len(pushed))
	}
	in := ok(s.Incoming(t.Context(), m.Conversation, b, 0, 10))(t)
	if len(in) != 1 || in[0].Seq != r.Seq {
		t.Errorf("ben reads %+v, want the recall alone (the acceptance is his own)", in)
	}
}

func TestRecallIsRefused(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	c := account(t, s, "cleo")
	befriend(t, s, a, c)
	m, theirs := send(t, s, a, b, "mine"), send(t, s, b, a, "theirs")
	system := ok(s.History(t.Context(), m.Conversation, 2, 1))(t)[0]
	done := send(t, s, a, b, "gone")
	r := ok(s.RecallPrivate(t.Context(), store.NewMessage{From: a, To: b, Type: 6}, done.ServerMsgID, 0))(t)
	plain := ok(s.SendPrivate(t.Context(), store.NewMessage{From: a, To: b, Content: "x", ClientMsgID: "used"}))(t)
	for _, tc := range []struct {
		name, target, client string
		from, to, notBefore  int64
		err                  error
	}{
		{"no id", "garbage", "", a, b, 0, store.ErrNotFound},
		{"unknown", "0190aaaa-0000-7000-8000-000000000000", "", a, b, 0, store.ErrNotFound},
		{"of the other", theirs.ServerMsgID, "", a, b, 0, store.ErrNotFound},
		{"in another conversation", m.ServerMsgID, "", a, c, 0, store.ErrNotFound},
		{"too old", m.ServerMsgID, "", a, b, m.Time + 1, store.ErrNotFound},
		{"twice", done.ServerMsgID, "", a, b, 0, store.ErrNotFound},
		{"of a recall", r.ServerMsgID, "", a, b, 0, store.ErrNotFound},
		{"of a system message", system.ServerMsgID, "", b, a, 0, store.ErrNotFound},
		{"client id of a plain message", plain.ServerMsgID, "used", a, b, 0, store.ErrConflict},
	} {
		_, err := s.RecallPrivate(t.Context(), store.NewMessage{From: tc.from, To: tc.to, Type: 6, ClientMsgID: tc.client}, tc.target, tc.notBefore)
		want(t, "recall "+tc.name, err, tc.err)
	}
	want(t, "unfriend", second(s.DeleteContact(t.Context(), a, b)), nil)
	_, err := s.RecallPrivate(t.Context(), store.NewMessage{From: a, To: b, Type: 6}, m.ServerMsgID, 0)
	want(t, "recall after unfriending", err, store.ErrNotContact)
	if got := ok(s.MessageByID(t.Context(), m.ServerMsgID))(t); got.Content != "mine" || got.Gone != store.Here {
		t.Errorf("a refused recall changed its target: %+v", got)
	}
}

// second drops the value of a call.
func second[T any](_ T, err error) error { return err }

func TestMessageByIDOfGarbage(t *testing.T) {
	s := open(t)
	for _, id := range []string{"", "x", "0190aaaa-0000-7000-8000-000000000000", strings.Repeat("f", 5000)} {
		_, err := s.MessageByID(t.Context(), id)
		want(t, "MessageByID", err, store.ErrNotFound)
	}
}

func TestHistoryPages(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	var conv int64
	for i := range 9 {
		conv = send(t, s, a, b, fmt.Sprint(i)).Conversation
	}
	var below, next uint64 = 0, 10
	for {
		page := ok(s.History(t.Context(), conv, below, 4))(t)
		if len(page) == 0 {
			break
		}
		for _, m := range page {
			if m.Seq != next {
				t.Fatalf("got seq %d, want %d", m.Seq, next)
			}
			next--
			below = m.Seq
		}
	}
	if next != 0 {
		t.Errorf("pages ended above seq %d", next)
	}
	if in := ok(s.Incoming(t.Context(), conv, b, 3, 2))(t); len(in) != 2 || in[0].Seq != 4 || in[1].Seq != 5 {
		t.Errorf("incoming behind 3, two: %+v", in)
	}
	if none := ok(s.History(t.Context(), 987654, 0, 10))(t); len(none) != 0 {
		t.Errorf("history of no conversation: %+v", none)
	}
}

func TestSeqAt(t *testing.T) {
	s, c := openClock(t)
	a, b := friends(t, s, "anna", "ben")
	start := c.ms.Load()
	var conv int64
	for i := 2; i <= 40; i++ {
		c.ms.Store(start + int64(i)*1000)
		conv = send(t, s, a, b, "x").Conversation
	}
	check := func(time int64, want uint64) {
		t.Helper()
		if got := ok(s.SeqAt(t.Context(), conv, time))(t); got != want {
			t.Errorf("SeqAt(start%+d) = %d, want %d", time-start, got, want)
		}
	}
	check(0, 0)
	check(start-1, 0)
	check(start, 1)
	for i := 2; i <= 40; i++ {
		check(start+int64(i)*1000-1, uint64(i)-1)
		check(start+int64(i)*1000, uint64(i))
	}
	check(1<<62, 40)
	ok(s.CutConversation(t.Context(), conv, 30, 100))(t)
	check(start, 30) // what expired is behind everybody
	check(start+31_000, 31)
	check(start+35_500, 35)
	ok(s.CutConversation(t.Context(), conv, 40, 100))(t)
	check(start+35_500, 40)
	if n := ok(s.SeqAt(t.Context(), 987654, 1<<62))(t); n != 0 {
		t.Errorf("SeqAt of no conversation: %d", n)
	}
}

func TestPrivatePositions(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	c := account(t, s, "cleo")
	befriend(t, s, b, c)
	m := send(t, s, a, b, "x")
	n := send(t, s, c, b, "y")
	list := ok(s.PrivatePositions(t.Context(), b))(t)
	got := map[int64]store.Position{}
	for _, p := range list {
		got[p.Peer] = p
	}
	if len(list) != 2 || got[a] != (store.Position{Conversation: m.Conversation, Peer: a, Last: 2, LastTime: m.Time}) ||
		got[c] != (store.Position{Conversation: n.Conversation, Peer: c, Last: 2, LastTime: n.Time}) {
		t.Errorf("positions of ben: %+v", list)
	}
}

func TestNumbersGoOnAfterEverythingExpired(t *testing.T) {
	s, c := openClock(t)
	a, b := friends(t, s, "anna", "ben")
	for range 5 {
		send(t, s, a, b, "x")
	}
	last := send(t, s, a, b, "last")
	if n := ok(s.ExpireMessages(t.Context(), last.Time+1, 4))(t); n != 4 {
		t.Errorf("first step expired %d, want its limit 4", n)
	}
	if n := ok(s.ExpireMessages(t.Context(), last.Time+1, 100))(t); n != 3 {
		t.Errorf("second step expired %d, want the other 3", n)
	}
	if n := ok(s.CountMessages(t.Context()))(t); n != 0 {
		t.Errorf("%d messages left", n)
	}
	if p := ok(s.PrivatePositions(t.Context(), a))(t); len(p) != 1 || p[0].Last != last.Seq || p[0].LastTime != last.Time {
		t.Errorf("position: %+v", p)
	}
	c.ms.Add(-10_000_000)
	if m := send(t, s, b, a, "next"); m.Seq != last.Seq+1 || m.Time <= last.Time {
		t.Errorf("next: %+v, last: %+v", m, last)
	}
}

// A clock that once ran ahead must not keep other conversations for ever.
func TestExpiryPassesMessagesFromTheFuture(t *testing.T) {
	s, c := openClock(t)
	a, b := friends(t, s, "anna", "ben")
	d := account(t, s, "dora")
	befriend(t, s, a, d)
	now := c.ms.Load()
	c.ms.Add(365 * 86_400_000)
	future := send(t, s, a, b, "from the future")
	c.ms.Store(now + 10)
	old := send(t, s, a, d, "old")
	if n := ok(s.ExpireMessages(t.Context(), now+1000, 100))(t); n != 3 {
		t.Errorf("expired %d, want 3", n)
	}
	_, err := s.MessageByID(t.Context(), old.ServerMsgID)
	want(t, "the old one", err, store.ErrNotFound)
	if _, err := s.MessageByID(t.Context(), future.ServerMsgID); err != nil {
		t.Error(err)
	}
}

func TestCutConversationsOverTheLimit(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	c := account(t, s, "cleo")
	befriend(t, s, a, c)
	var conv int64
	for range 9 {
		conv = send(t, s, a, b, "x").Conversation
	}
	if over := ok(s.ConversationsOver(t.Context(), 10, 5))(t); len(over) != 0 {
		t.Errorf("over 10: %v", over)
	}
	over := ok(s.ConversationsOver(t.Context(), 7, 5))(t)
	if len(over) != 1 || over[conv] != 3 {
		t.Fatalf("over 7: %v, want %d: 3", over, conv)
	}
	if n := ok(s.CutConversation(t.Context(), conv, over[conv], 2))(t); n != 2 {
		t.Errorf("cut %d, want its limit 2", n)
	}
	if n := ok(s.CutConversation(t.Context(), conv, over[conv], 2))(t); n != 1 {
		t.Errorf("cut %d, want 1", n)
	}
	if list := ok(s.History(t.Context(), conv, 0, 100))(t); len(list) != 7 || list[6].Seq != 4 {
		t.Errorf("left: %+v", list)
	}
	if m := send(t, s, a, b, "x"); m.Seq != 11 {
		t.Errorf("next is %d, want 11", m.Seq)
	}
}

func TestSendWithCancelledContextIsAllOrNothing(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	stored := map[uint64]bool{}
	for range 100 {
		m, err := s.SendPrivate(gone, store.NewMessage{From: a, To: b, Content: "x"})
		if err == nil {
			stored[m.Seq] = true
			continue
		}
		want(t, "send", err, context.Canceled)
	}
	m := send(t, s, a, b, "after")
	if m.Seq != uint64(len(stored))+2 {
		t.Errorf("%d sends answered success, yet the next number is %d", len(stored), m.Seq)
	}
}

// 64 writers and readers at once; the readers must never see a hole.
func TestManyWritersAndReaders(t *testing.T) {
	s := open(t)
	a, b := friends(t, s, "anna", "ben")
	conv := send(t, s, a, b, "x").Conversation
	const writers, each = 64, 20
	stop := make(chan struct{})
	var readers, wg sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for {
				list, err := s.History(t.Context(), conv, 0, 5000)
				if err != nil || list[0].Seq != uint64(len(list)) {
					t.Errorf("a reader saw %d rows, %v", len(list), err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for w := range writers {
		wg.Go(func() {
			var last uint64
			for range each {
				from, to := a, b
				if w%2 == 1 {
					from, to = b, a
				}
				m, err := s.SendPrivate(t.Context(), store.NewMessage{From: from, To: to, Content: "x"})
				if err != nil || m.Seq <= last {
					t.Errorf("seq %d after %d: %v", m.Seq, last, err)
					return
				}
				last = m.Seq
			}
		})
	}
	wg.Wait()
	close(stop)
	readers.Wait()
	if list := ok(s.History(t.Context(), conv, 0, 5000))(t); len(list) != 2+writers*each {
		t.Errorf("%d rows, want %d", len(list), 2+writers*each)
	}
	if st := s.Stats(); st.Commits >= st.Writes {
		t.Errorf("%d commits for %d writes: nothing was folded", st.Commits, st.Writes)
	}
}
