package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/queue"
)

// Item is a message as the app's offline sync gets it (wire.md 9.1).
type Item struct {
	MsgID   string
	Type    protocol.MessageType
	From    int64
	Content string
	Time    int64 // ms
}

const (
	maxSyncItems = 2000
	maxSyncBytes = 4 << 20
	syncPage     = 500 // messages read at once
)

// Batch is what one sync answers.
type Batch struct {
	Items []Item
	// Sent notes that the answer is on its way. Until then nothing in it counts as
	// handed over: the answer of a daemon that is killed in between is not lost.
	Sent func(ctx context.Context)
}

// SyncPrivate answers what a login session was not delivered yet, oldest first
// (wire.md 9.1). What was handed over but not confirmed is answered again only
// if it is younger than last, the newest time (ms) the phone has; that parameter
// also confirms what was handed over and is not younger. A session that is seen
// for the first time, or whose cursors were lost, gets what is younger than last.
func (s *Service) SyncPrivate(ctx context.Context, c Caller, last int64) (Batch, error) {
	all, err := s.owed(ctx, c, last, false)
	if err != nil {
		return Batch{}, err
	}
	owed := cutOwed(all)
	if len(owed) < len(all) {
		s.Connected(c) // the rest is pushed, if the phone is connected
	}
	items := make([]Item, 0, len(owed))
	for _, m := range owed {
		content := m.Content
		if m.System {
			content = protocol.RenderSystem(protocol.LanguageOf(c.Language, s.cfg.Load().Language), content)
		}
		items = append(items, Item{
			MsgID: m.ServerMsgID, Type: appType(protocol.MessageType(m.Type)), From: m.From, Content: content, Time: m.Time,
		})
	}
	return Batch{Items: items, Sent: func(ctx context.Context) { s.sent(ctx, c.Session, owed) }}, nil
}

// sent notes what a sync answered. It is flushed: daemons that are killed again
// and again would otherwise answer the same for ever.
func (s *Service) sent(ctx context.Context, session int64, owed []due) {
	runs := map[int64]queue.Span{} // by conversation: many small steps would not fit into a cursor
	for _, m := range owed {
		r, ok := runs[m.Conversation]
		if ok && r.To+1 != m.since {
			s.deps.Cursors.Hand(session, m.Conversation, r.From, r.To)
			ok = false
		}
		if !ok {
			r.From = m.since
		}
		r.To = m.Seq
		runs[m.Conversation] = r
	}
	for conv, r := range runs {
		s.deps.Cursors.Hand(session, conv, r.From, r.To)
	}
	if err := s.deps.Cursors.Flush(ctx); err != nil && !errors.Is(err, queue.ErrNoSpace) {
		s.log.Warn("what was synced is not kept yet", "session", session, "err", err)
	}
}

// due is a message that a session has not got, and since, the first of the
// numbers right before it that are no messages for this reader: own ones,
// recalled and hidden ones. Those share its fate.
type due struct {
	store.Message
	since uint64
}

// cutOwed bounds one answer. The oldest go first; the rest stays owed.
func cutOwed(owed []due) []due {
	slices.SortStableFunc(owed, func(a, b due) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.ServerMsgID, b.ServerMsgID))
	})
	size := 0
	for i, m := range owed {
		if size += len(m.Content); i >= maxSyncItems || size > maxSyncBytes {
			return owed[:i]
		}
	}
	return owed
}

// owed collects the messages a session has not got, over all its private
// conversations, and confirms what last proves. With fresh, what was handed over
// and not confirmed is left out, and those of its rooms are in it.
func (s *Service) owed(ctx context.Context, c Caller, last int64, fresh bool) ([]due, error) {
	q := query{c: c, last: last, fresh: fresh, floor: s.now().Add(-floorMargin).UnixMilli()}
	positions, err := s.store.PrivatePositions(ctx, c.User)
	if err != nil {
		return nil, fmt.Errorf("list conversations: %w", err)
	}
	bases, err := s.begin(ctx, c, positions, last)
	if err != nil {
		return nil, err
	}
	for _, p := range positions {
		if err := s.owedOf(ctx, &q, p, bases[p.Conversation], maxSyncItems); err != nil {
			return nil, err
		}
	}
	created, _, err := s.store.SessionTimes(ctx, c.Session)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read session: %w", err)
	}
	if err := s.roomsOwed(ctx, &q, created); err != nil {
		return nil, err
	}
	s.floors.set(c.Session, q.floor)
	if bases != nil { // its first: there must be one however soon the daemon is killed
		if err := s.store.SetDelivered(ctx, map[int64]int64{c.Session: q.floor}); err != nil && !errors.Is(err, store.ErrDiskFull) {
			return nil, fmt.Errorf("write first delivery floor: %w", err)
		}
	}
	return q.owed, nil
}

// query is one question for what a session is owed, and its answer.
type query struct {
	c     Caller
	last  int64
	fresh bool

	owed  []due
	floor int64 // everything up to this time (ms) is delivered
}

// begin gives a session that has no cursors its first ones, and answers them;
// nil for a session that has some. A new session gets what is younger than last,
// the newest time its phone has. One whose cursors were lost with the queue gets
// what is younger than its floor: some of it again, but nothing is left out.
// When the disk has no room for cursors, the filter serves this one time.
func (s *Service) begin(ctx context.Context, c Caller, positions []store.Position, last int64) (map[int64]uint64, error) {
	known, err := s.deps.Cursors.Known(c.Session)
	if err != nil || known {
		return nil, err
	}
	least, lost := last, false
	switch at, err := s.store.Delivered(ctx, c.Session); {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("read delivery floor: %w", err)
	case at > 0:
		least, lost = at, true
	}
	bases := make(map[int64]uint64, len(positions))
	for _, p := range positions {
		base := uint64(0)
		if least > 0 {
			if base, err = s.store.SeqAt(ctx, p.Conversation, least); err != nil {
				return nil, fmt.Errorf("place cursor: %w", err)
			}
		}
		bases[p.Conversation] = base
	}
	if lost {
		if err := s.roomBases(ctx, c, least, bases); err != nil {
			return nil, err
		}
	}
	if err := s.deps.Cursors.Begin(ctx, c.Session, bases); err != nil && !errors.Is(err, queue.ErrNoSpace) {
		return nil, fmt.Errorf("begin cursors: %w", err)
	}
	return bases, nil
}

// owedOf answers q for one conversation, with some more messages than most at
// the most. least is where a session without cursors starts. What was committed
// after p was read is left out: the reader may be no member any more.
func (s *Service) owedOf(ctx context.Context, q *query, p store.Position, least uint64, most int) error {
	cur, err := s.deps.Cursors.Get(q.c.Session, p.Conversation)
	if err != nil {
		return fmt.Errorf("read cursor: %w", err)
	}
	cur.Base = max(cur.Base, least)
	w := walk{s: s, q: q, cur: cur, conversation: p.Conversation, next: cur.Base + 1, state: delivered}
	for after := cur.Base; after < p.Last && w.found <= most; {
		page, err := s.store.Incoming(ctx, p.Conversation, q.c.User, after, syncPage)
		if err != nil {
			return fmt.Errorf("read messages: %w", err)
		}
		end := len(page) < syncPage
		if i := slices.IndexFunc(page, func(m store.Message) bool { return m.Seq > p.Last }); i >= 0 {
			page, end = page[:i], true
		}
		for _, m := range page {
			w.take(m)
			after = m.Seq
		}
		if end {
			w.pass(p.Last)
			break
		}
	}
	return nil
}

// state is what a session has of a message.
type state int

const (
	missing state = iota
	handed        // written, not proved to have arrived
	delivered
)

// judge decides by the cursor and by what the phone said.
func (q *query) judge(cur queue.Cursor, m store.Message) state {
	switch {
	case cur.Delivered(m.Seq), cur.Handed(m.Seq) && m.Time <= q.last:
		return delivered
	case cur.Handed(m.Seq):
		return handed
	}
	return missing
}

// walk goes through the numbers of a conversation, upwards.
type walk struct {
	s            *Service
	q            *query
	cur          queue.Cursor
	conversation int64
	next         uint64
	state        state // of the last message
	found        int
}

// take judges the next message for this reader. The numbers before it that are
// none share its fate: a cursor has no room for many changes between the two.
func (w *walk) take(m store.Message) {
	w.state = w.q.judge(w.cur, m)
	switch {
	case w.state == missing, w.state == handed && !w.q.fresh:
		w.q.owed = append(w.q.owed, due{m, w.next})
		w.found++
		w.next = m.Seq + 1
	default:
		w.pass(m.Seq)
	}
	if w.state != delivered {
		w.q.floor = min(w.q.floor, m.Time-1)
	}
}

// pass takes the numbers up to and including upTo as what the last message is.
func (w *walk) pass(upTo uint64) {
	if upTo < w.next {
		return
	}
	if w.state == delivered {
		w.s.deps.Cursors.Confirm(w.q.c.Session, w.conversation, w.next, upTo)
	} else {
		w.s.deps.Cursors.Hand(w.q.c.Session, w.conversation, w.next, upTo)
	}
	w.next = upTo + 1
}

// Handed notes that frames were written to a session's socket. Called by the
// gateway.
func (s *Service) Handed(session, conversation int64, from, to uint64) {
	s.deps.Cursors.Hand(session, conversation, from, to)
}

// Confirmed notes that a session proved to have read frames. Called by the
// gateway.
func (s *Service) Confirmed(session, conversation int64, from, to uint64) {
	s.deps.Cursors.Confirm(session, conversation, from, to)
}

// Forget drops the cursors of a revoked session.
func (s *Service) Forget(ctx context.Context, session int64) error {
	return s.deps.Cursors.Drop(ctx, session)
}
