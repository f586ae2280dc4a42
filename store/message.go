package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Kinds of conversations.
const (
	KindPrivate = 1
	KindRoom    = 2
)

// What became of a message.
const (
	Here     = 0
	Recalled = 1
	Deleted  = 2
)

// Message is a stored message.
type Message struct {
	Conversation int64 // row id of the conversation
	Kind         int
	Room         int64 // rooms only
	Seq          uint64
	ServerMsgID  string // UUIDv7 text
	From, To     int64  // To: private only
	Target       int64  // whom a control message of a room is about, 0 nobody
	Type         int
	Content      string
	System       bool  // Content is a text key and arguments
	Time         int64 // ms, grows within the conversation
	Gone         int
	HiddenFrom   int64 // this user had blocked the sender
	ClientMsgID  string
	ReplyTo      string
	Repeated     bool // an earlier send with the same ClientMsgID; nothing was written

	News *News // rooms only, on the way from the disk; not stored
}

// News is what goes with a room's message on its way to the members.
type News struct {
	Members      *Members // of the room, with this message
	Joined, Left []int64  // who came and who went with it; Left is not in Members
	Name, Avatar string   // of the room, as they are now
}

// NewMessage is what a private send writes.
type NewMessage struct {
	From, To    int64
	Type        int
	Content     string
	System      bool
	ClientMsgID string // "" none
	ReplyTo     string // ServerMsgID, "" none
	// Check refuses the message once its row is known (its push would be too
	// big); nothing is written then. May be nil.
	Check func(Message) error
	// OnCommit runs in commit order, in the writer goroutine, and must not
	// block. Not called for a repeated send. May be nil.
	OnCommit func(Message)
}

// conversationRow is what the writer remembers of a conversation.
type conversationRow struct {
	id       int64
	kind     int
	a, b     int64
	last     uint64 // sequence number of the newest message
	lastTime int64
}

type convKey struct {
	kind int
	a, b int64
}

// SendPrivate stores a message between two contacts: one row, the next sequence
// number. Errors: ErrNotContact (no contact, deleted by either side, or an
// account is gone), ErrConflict (the ClientMsgID was used for another
// conversation). A repeated ClientMsgID answers the first message again.
func (s *Store) SendPrivate(ctx context.Context, m NewMessage) (Message, error) {
	var out Message
	err := s.update(ctx, func(tx *Tx) error {
		var err error
		out, err = tx.sendPrivate(m)
		return err
	})
	return out, err
}

func (tx *Tx) sendPrivate(m NewMessage) (Message, error) {
	if m.ClientMsgID != "" {
		if old, err := tx.repeated(m); err != nil || old.Seq > 0 {
			return old, err
		}
	}
	// The relation comes before the conversation is made: a refused send must
	// not have written anything, or it would cost its whole batch.
	rel, err := tx.relation(m.From, m.To)
	if err != nil {
		return Message{}, err
	}
	if !rel.contacts {
		return Message{}, ErrNotContact
	}
	conv, err := tx.privateConversation(m.From, m.To)
	if err != nil {
		return Message{}, err
	}
	return tx.appendPrivate(conv, m, rel)
}

func (tx *Tx) appendPrivate(conv *conversationRow, m NewMessage, rel relation) (Message, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Message{}, fmt.Errorf("make message id: %w", err)
	}
	out := Message{
		Conversation: conv.id, Kind: KindPrivate, Seq: conv.last + 1, ServerMsgID: id.String(),
		From: m.From, To: m.To, Type: m.Type, Content: m.Content, System: m.System,
		Time: max(tx.now, conv.lastTime+1), ClientMsgID: m.ClientMsgID, ReplyTo: m.ReplyTo,
	}
	if rel.blockedByPeer {
		out.HiddenFrom = m.To
	}
	if m.Check != nil {
		if err := m.Check(out); err != nil {
			return Message{}, err
		}
	}
	if err := tx.insertMessage(&out, id); err != nil {
		return Message{}, err
	}
	conv.last, conv.lastTime = out.Seq, out.Time
	if m.OnCommit != nil {
		tx.onCommit(func() { m.OnCommit(out) })
	}
	return out, nil
}

func (tx *Tx) insertMessage(m *Message, id uuid.UUID) error {
	var client, reply any
	if m.ClientMsgID != "" {
		client = m.ClientMsgID
	}
	if m.ReplyTo != "" {
		r, err := uuid.Parse(m.ReplyTo)
		if err != nil {
			return ErrNotFound
		}
		reply = r[:]
	}
	return tx.exec(`INSERT INTO message (conversation_id, seq, server_msg_id, sender_id, type, time, system, hidden_from, content, client_msg_id, reply_to, target_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.Conversation, int64(m.Seq), id[:], m.From, m.Type, m.Time, m.System, m.HiddenFrom, m.Content, client, reply, m.Target)
}

// repeated looks for an earlier send of a private message with this client id.
// Seq is 0 if none.
func (tx *Tx) repeated(m NewMessage) (Message, error) {
	old, err := tx.sentAs(m.From, m.ClientMsgID)
	if err == nil && old.Seq > 0 && (old.Kind != KindPrivate || old.To != m.To) {
		return Message{}, errClientID
	}
	return old, err
}

var errClientID = fmt.Errorf("%w: client message id was used in another conversation", ErrConflict)

// sentAs finds the message that a sender gave this client id. Seq is 0 if none.
func (tx *Tx) sentAs(from int64, clientMsgID string) (Message, error) {
	old, err := scanMessage(tx.row(messageByClientID, from, clientMsgID))
	if errors.Is(err, sql.ErrNoRows) {
		return Message{}, nil
	}
	old.Repeated = err == nil
	return old, err
}

// Sent finds what a user sent with a ClientMsgID.
func (s *Store) Sent(ctx context.Context, user int64, clientMsgID string) (Message, error) {
	m, err := scanMessage(s.viewRow(ctx, messageByClientID, user, clientMsgID))
	return m, mapError(err)
}

const messageByClientID = `SELECT ` + messageColumns + ` FROM message JOIN conversation c ON c.id = conversation_id
	WHERE sender_id = ? AND client_msg_id = ?`

// privateConversation finds or makes the conversation of two users.
func (tx *Tx) privateConversation(x, y int64) (*conversationRow, error) {
	return tx.conversation(convKey{KindPrivate, min(x, y), max(x, y)})
}

func (tx *Tx) conversation(key convKey) (*conversationRow, error) {
	if c, ok := tx.s.w.convs.get(key); ok {
		return c, nil
	}
	c := &conversationRow{kind: key.kind, a: key.a, b: key.b}
	err := tx.row(`SELECT c.id, max(c.expired_seq, coalesce(m.seq, 0)), max(c.expired_time, coalesce(m.time, 0))
		FROM conversation c LEFT JOIN message m ON m.id = (SELECT id FROM message WHERE conversation_id = c.id ORDER BY seq DESC LIMIT 1)
		WHERE c.kind = ? AND c.a = ? AND c.b = ?`, key.kind, key.a, key.b).Scan(&c.id, &c.last, &c.lastTime)
	if errors.Is(err, sql.ErrNoRows) {
		res, err := tx.execResult(`INSERT INTO conversation (kind, a, b) VALUES (?, ?, ?)`, key.kind, key.a, key.b)
		if err != nil {
			return nil, err
		}
		if c.id, err = res.LastInsertId(); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	tx.s.w.convs.put(key, c)
	return c, nil
}

// messageColumns are read by scanMessage; the query joins conversation as c.
const messageColumns = `conversation_id, c.kind, c.a, c.b, seq, server_msg_id, sender_id, type, time, gone, system,
	hidden_from, content, coalesce(client_msg_id, ''), reply_to, target_id`

func scanMessage(row scanner) (Message, error) {
	var m Message
	var a, b int64
	var id uuid.UUID
	var reply []byte
	err := row.Scan(&m.Conversation, &m.Kind, &a, &b, &m.Seq, (*blobID)(&id), &m.From, &m.Type, &m.Time, &m.Gone, &m.System,
		&m.HiddenFrom, &m.Content, &m.ClientMsgID, &reply, &m.Target)
	if err != nil {
		return Message{}, err
	}
	m.ServerMsgID = id.String()
	if len(reply) == len(id) {
		m.ReplyTo = uuid.UUID(reply).String()
	}
	if m.Kind == KindRoom {
		m.Room = a
	} else {
		m.To = a + b - m.From
	}
	return m, nil
}

// blobID scans the 16 bytes of an id.
type blobID uuid.UUID

func (b *blobID) Scan(v any) error {
	p, ok := v.([]byte)
	if !ok || len(p) != len(b) {
		return fmt.Errorf("message id is %T", v)
	}
	copy(b[:], p)
	return nil
}

// RecallPrivate takes back a message that from sent to peer: its content is
// removed for good, a tombstone stays, and a message of type recallType with
// the id as content follows it in the conversation. Errors: ErrNotFound (no
// such message of this sender, or recalled before), ErrNotContact, ErrConflict
// (the ClientMsgID was used for something else). notBefore is the oldest time
// (ms) that may still be recalled, 0 for any.
func (s *Store) RecallPrivate(ctx context.Context, m NewMessage, target string, notBefore int64) (Message, error) {
	var out Message
	id, err := uuid.Parse(target)
	if err != nil {
		return out, ErrNotFound
	}
	err = s.update(ctx, func(tx *Tx) error {
		out, err = tx.recallPrivate(m, id, notBefore)
		return err
	})
	return out, err
}

func (tx *Tx) recallPrivate(m NewMessage, target uuid.UUID, notBefore int64) (Message, error) {
	if m.ClientMsgID != "" {
		old, err := tx.repeated(m)
		if err == nil && old.Seq > 0 && (old.Type != m.Type || old.Content != target.String()) {
			return Message{}, fmt.Errorf("%w: client message id was used for another message", ErrConflict)
		}
		if err != nil || old.Seq > 0 {
			return old, err
		}
	}
	// Looked up first, so that a refused recall has written nothing.
	old, err := scanMessage(tx.row(`SELECT `+messageColumns+` FROM message JOIN conversation c ON c.id = conversation_id
		WHERE server_msg_id = ?`, target[:]))
	if err != nil {
		return Message{}, err
	}
	if old.From != m.From || old.Kind != KindPrivate || old.To != m.To || old.Gone != Here || old.System || old.Type == m.Type || old.Time < notBefore {
		return Message{}, ErrNotFound
	}
	m.Content = target.String()
	out, err := tx.sendPrivate(m)
	if err != nil {
		return Message{}, err
	}
	return out, tx.exec(`UPDATE message SET gone = ?, content = '', mentions = NULL WHERE server_msg_id = ?`, Recalled, target[:])
}

// MessageByID finds a message. The caller checks who may see it.
func (s *Store) MessageByID(ctx context.Context, serverMsgID string) (Message, error) {
	id, err := uuid.Parse(serverMsgID)
	if err != nil {
		return Message{}, ErrNotFound
	}
	m, err := scanMessage(s.viewRow(ctx, `SELECT `+messageColumns+` FROM message JOIN conversation c ON c.id = conversation_id
		WHERE server_msg_id = ?`, id[:]))
	return m, mapError(err)
}

// Position is where a conversation stands.
type Position struct {
	Conversation int64
	Peer         int64  // private only
	Last         uint64 // sequence number of the newest message
	LastTime     int64
}

// PrivatePositions lists the private conversations of a user.
func (s *Store) PrivatePositions(ctx context.Context, user int64) ([]Position, error) {
	const columns = `SELECT c.id, c.a + c.b - ?1, max(c.expired_seq, coalesce(m.seq, 0)), max(c.expired_time, coalesce(m.time, 0))
		FROM conversation c LEFT JOIN message m ON m.id = (SELECT id FROM message WHERE conversation_id = c.id ORDER BY seq DESC LIMIT 1)`
	const query = columns + ` WHERE c.kind = 1 AND c.a = ?1 UNION ALL ` + columns + ` WHERE c.kind = 1 AND c.b = ?1 AND c.b > 0`
	rows, err := s.viewRows(ctx, query, user)
	return collect(rows, err, func(r scanner) (Position, error) {
		var p Position
		err := r.Scan(&p.Conversation, &p.Peer, &p.Last, &p.LastTime)
		return p, err
	})
}

// Incoming reads messages of a conversation behind a sequence number that
// others sent to reader and that reader may see, oldest first, at most limit.
// Tombstones and hidden messages are left out.
func (s *Store) Incoming(ctx context.Context, conversation, reader int64, after uint64, limit int) ([]Message, error) {
	rows, err := s.viewRows(ctx, `SELECT `+messageColumns+` FROM message JOIN conversation c ON c.id = conversation_id
		WHERE conversation_id = ? AND seq > ? AND sender_id <> ? AND gone = 0 AND hidden_from <> ? ORDER BY seq LIMIT ?`,
		conversation, int64(after), reader, reader, limit)
	return collect(rows, err, scanMessage)
}

// SeqAt is the highest sequence number of a conversation whose message is not
// younger than time (ms); 0 if there is none.
func (s *Store) SeqAt(ctx context.Context, conversation, time int64) (uint64, error) {
	var seq uint64
	// Times grow with sequence numbers, and those are dense, so halving finds
	// it in a few steps; a walk from the top could be a long one. lo is always
	// old enough (or nothing), what is above hi never.
	err := s.viewRow(ctx, `WITH RECURSIVE span (lo, hi) AS (
			SELECT coalesce((SELECT min(seq) FROM message WHERE conversation_id = ?1) - 1, (SELECT expired_seq FROM conversation WHERE id = ?1), 0),
				coalesce((SELECT max(seq) FROM message WHERE conversation_id = ?1), 0)
			UNION ALL
			SELECT iif(m.time <= ?2, m.seq, lo), iif(m.time <= ?2, hi, m.seq - 1)
			FROM span CROSS JOIN message m ON m.conversation_id = ?1 AND m.seq = (lo + hi + 1) / 2 WHERE lo < hi)
		SELECT max(lo) FROM span`, conversation, time).Scan(&seq)
	return seq, mapError(err)
}

// History reads a private conversation as user sees it, newest first, below a
// sequence number (0: from the top).
func (s *Store) History(ctx context.Context, conversation int64, below uint64, limit int) ([]Message, error) {
	if below == 0 {
		below = 1 << 62
	}
	rows, err := s.viewRows(ctx, `SELECT `+messageColumns+` FROM message JOIN conversation c ON c.id = conversation_id
		WHERE conversation_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?`, conversation, int64(below), limit)
	return collect(rows, err, scanMessage)
}

// CountMessages is the number of stored messages, cheap to ask.
func (s *Store) CountMessages(ctx context.Context) (int64, error) {
	var n int64
	// Row ids are dense but for what expired from the low end.
	err := s.viewRow(ctx, `SELECT coalesce((SELECT max(id) FROM message) - (SELECT min(id) FROM message) + 1, 0)`).Scan(&n)
	return n, mapError(err)
}

// ExpireMessages deletes messages older than cutoff (ms), oldest first, at most
// limit of them, and remembers how far each conversation was cut so that
// sequence numbers stay dense. It answers how many went.
func (s *Store) ExpireMessages(ctx context.Context, cutoff int64, limit int) (int, error) {
	n := 0
	err := s.update(ctx, func(tx *Tx) error {
		n = 0
		rows, err := tx.rows(`SELECT id, conversation_id, seq, time FROM message ORDER BY id LIMIT ?`, limit)
		type cut struct {
			id, conv  int64
			seq, time int64
		}
		old, err := collect(rows, err, func(r scanner) (cut, error) {
			var c cut
			err := r.Scan(&c.id, &c.conv, &c.seq, &c.time)
			return c, err
		})
		if err != nil {
			return err
		}
		for _, c := range old {
			if c.time >= cutoff {
				// Not the end: a conversation that the clock once put into
				// the future must not keep the others' messages.
				continue
			}
			if err := tx.expire(c.id, c.conv, c.seq, c.time); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

func (tx *Tx) expire(id, conv, seq, time int64) error {
	if err := tx.exec(`UPDATE conversation SET expired_seq = max(expired_seq, ?), expired_time = max(expired_time, ?) WHERE id = ?`, seq, time, conv); err != nil {
		return err
	}
	return tx.exec(`DELETE FROM message WHERE id = ?`, id)
}

// ConversationsOver lists conversations that hold more than limit messages, as
// id → newest sequence number to cut (inclusive), at most max of them.
func (s *Store) ConversationsOver(ctx context.Context, limit uint64, most int) (map[int64]uint64, error) {
	rows, err := s.viewRows(ctx, `SELECT c.id, (SELECT max(seq) FROM message WHERE conversation_id = c.id) - ?1 FROM conversation c
		WHERE (SELECT max(seq) FROM message WHERE conversation_id = c.id) - (SELECT min(seq) FROM message WHERE conversation_id = c.id) >= ?1 LIMIT ?2`, int64(limit), most)
	type over struct {
		id  int64
		cut uint64
	}
	found, err := collect(rows, err, func(r scanner) (over, error) {
		var o over
		err := r.Scan(&o.id, &o.cut)
		return o, err
	})
	m := map[int64]uint64{}
	for _, o := range found {
		m[o.id] = o.cut
	}
	return m, err
}

// CutConversation deletes the messages of a conversation up to and including a
// sequence number, at most limit of them, and answers how many went.
func (s *Store) CutConversation(ctx context.Context, conversation int64, upTo uint64, limit int) (int, error) {
	n := 0
	err := s.update(ctx, func(tx *Tx) error {
		rows, err := tx.rows(`SELECT id, seq, time FROM message WHERE conversation_id = ? AND seq <= ? ORDER BY seq LIMIT ?`, conversation, int64(upTo), limit)
		type cut struct{ id, seq, time int64 }
		old, err := collect(rows, err, func(r scanner) (cut, error) {
			var c cut
			err := r.Scan(&c.id, &c.seq, &c.time)
			return c, err
		})
		if err != nil {
			return err
		}
		for _, c := range old {
			if err := tx.expire(c.id, conversation, c.seq, c.time); err != nil {
				return err
			}
		}
		n = len(old)
		return nil
	})
	return n, err
}

// likePattern escapes what LIKE gives a meaning to.
func likePattern(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}
