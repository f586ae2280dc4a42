package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gtiv/protocol"
	"gtiv/store"
)

// roomSyncCap is how many messages one sync of a room answers (wire.md 9.2): the
// app multiplies its badge by their number.
const roomSyncCap = 30

// SyncRoom answers what a login session was not delivered of a room, newest
// first (wire.md 9.2). When it is more than one answer holds, it is the oldest of
// it; the rest follows with the next sync. last is the time (ms) of the newest
// message of the last answer, 0 if there was none; it confirms what was handed
// over and is not younger.
func (s *Service) SyncRoom(ctx context.Context, c Caller, room, last int64) (Batch, error) {
	p, err := s.store.RoomPosition(ctx, room, c.User)
	if errors.Is(err, store.ErrNotMember) {
		_, _, err = s.asMember(ctx, Caller{User: c.User}, room)
	}
	if err != nil {
		return Batch{}, s.roomError(err)
	}
	created, at, err := s.store.SessionTimes(ctx, c.Session)
	if err != nil {
		return Batch{}, fmt.Errorf("read session: %w", err)
	}
	if err := s.beginLost(ctx, c, at); err != nil {
		return Batch{}, err
	}
	q := query{c: c, last: last}
	base, err := s.roomBase(ctx, c, p, created, last)
	if err != nil {
		return Batch{}, err
	}
	if err := s.owedOf(ctx, &q, p.Position, base, roomSyncCap); err != nil {
		return Batch{}, err
	}
	owed := q.owed[:min(len(q.owed), roomSyncCap)]
	items := make([]Item, 0, len(owed))
	for _, m := range owed {
		items = append(items, s.roomItem(m.Message, c.Language))
	}
	slices.Reverse(items)
	return Batch{Items: items, Sent: func(ctx context.Context) { s.sent(ctx, c.Session, owed) }}, nil
}

// beginLost makes cursors for a session whose cursors were lost, should it sync a
// room first.
func (s *Service) beginLost(ctx context.Context, c Caller, delivered int64) error {
	known, err := s.deps.Cursors.Known(c.Session)
	if err != nil || known || delivered == 0 {
		return err
	}
	positions, err := s.store.PrivatePositions(ctx, c.User)
	if err != nil {
		return fmt.Errorf("list conversations: %w", err)
	}
	_, err = s.begin(ctx, c, positions, 0)
	return err
}

// roomBase is the number that a session's deliveries of a room begin behind. A
// session that is older than the membership gets all since then; a newer one,
// the first time, what its phone says it has not, or the newest few.
func (s *Service) roomBase(ctx context.Context, c Caller, p store.RoomPosition, created, last int64) (uint64, error) {
	cur, err := s.deps.Cursors.Get(c.Session, p.Conversation)
	if err != nil {
		return 0, fmt.Errorf("read cursor: %w", err)
	}
	base := p.JoinedSeq
	if cur.Base == 0 && p.JoinedAt < created {
		from := uint64(0)
		if last > 0 {
			if from, err = s.store.SeqAt(ctx, p.Conversation, last); err != nil {
				return 0, fmt.Errorf("place cursor: %w", err)
			}
		} else if p.Last > roomSyncCap {
			from = p.Last - roomSyncCap
		}
		base = max(base, from)
	}
	if base > cur.Base {
		s.deps.Cursors.Advance(c.Session, p.Conversation, base)
	}
	return base, nil
}

// roomItem is a message of a room as the app's offline sync gets it: what would
// have had an effect live is a line of text here (wire.md 9.2).
func (s *Service) roomItem(m store.Message, language string) Item {
	t := appType(protocol.MessageType(m.Type))
	switch t {
	case protocol.TypeText, protocol.TypePhoto, protocol.TypeVoice, protocol.TypeVideo:
	default:
		t = protocol.TypeInvited
	}
	content := roomContent(m, protocol.LanguageOf(language, s.cfg.Load().Language))
	return Item{MsgID: m.ServerMsgID, Type: t, From: m.From, Content: plainQuotes(t, content), Time: m.Time}
}

// roomsOwed adds to q what a session was never handed of its rooms, and lowers
// its floor by what it is not known to have of them. Rooms of which nobody knows
// what the phone has are left out.
func (s *Service) roomsOwed(ctx context.Context, q *query, created int64) error {
	rooms, err := s.store.RoomPositions(ctx, q.c.User)
	if err != nil {
		return fmt.Errorf("list rooms: %w", err)
	}
	for _, p := range rooms {
		cur, err := s.deps.Cursors.Get(q.c.Session, p.Conversation)
		if err != nil {
			return fmt.Errorf("read cursor: %w", err)
		}
		if cur.Base >= p.Last || cur.Base == 0 && p.JoinedAt < created {
			continue
		}
		base := max(cur.Base, p.JoinedSeq)
		if q.fresh {
			if err := s.owedOf(ctx, q, p.Position, base, maxCatchUp); err != nil {
				return err
			}
			continue
		}
		next, err := s.store.Incoming(ctx, p.Conversation, q.c.User, base, 1)
		if err != nil {
			return fmt.Errorf("read messages: %w", err)
		}
		if len(next) > 0 {
			q.floor = min(q.floor, next[0].Time-1)
		}
	}
	return nil
}

// roomBases are where a session begins in its rooms whose cursors were lost: at
// its floor.
func (s *Service) roomBases(ctx context.Context, c Caller, floor int64, bases map[int64]uint64) error {
	rooms, err := s.store.RoomPositions(ctx, c.User)
	if err != nil {
		return fmt.Errorf("list rooms: %w", err)
	}
	for _, p := range rooms {
		base, err := s.store.SeqAt(ctx, p.Conversation, floor)
		if err != nil {
			return fmt.Errorf("place cursor: %w", err)
		}
		bases[p.Conversation] = max(base, p.JoinedSeq)
	}
	return nil
}

// pushOwed makes the push of a message that a session missed.
func (s *Service) pushOwed(ctx context.Context, c Caller, m store.Message) Push {
	if m.Kind != store.KindRoom {
		return s.push(m, c.User, s.contentFor(ctx, m, c.User))
	}
	v := roomView{language: protocol.LanguageOf(c.Language, s.cfg.Load().Language)}
	return *roomPush(asLine(m), v)
}

// asLine makes a control message one that only says what happened: its effect
// may have been undone since.
func asLine(m store.Message) store.Message {
	switch protocol.MessageType(m.Type) {
	case protocol.TypeRoomName, protocol.TypeRoomAvatar, protocol.TypeRemoved, protocol.TypeLeft, protocol.TypeBan, protocol.TypeUnban:
		m.Type = int(protocol.TypeInvited)
	}
	return m
}
