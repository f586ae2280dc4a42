package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// NewRoomMessage is what is written into a room.
type NewRoomMessage struct {
	Room        int64
	From        int64
	Type        int
	Content     string
	System      bool
	Target      int64 // whom it is about, 0 nobody
	ClientMsgID string
	ReplyTo     string
	// OnCommit runs in commit order, in the writer goroutine, and must not block.
	// Not called for a repeated send. May be nil.
	OnCommit func(Message)
}

// SendRoom stores a member's message: one row, whatever the number of members.
// Errors: ErrNotFound, ErrNotMember, ErrMuted, ErrConflict (the ClientMsgID was
// used in another conversation). A repeated ClientMsgID answers the first message
// again.
func (s *Store) SendRoom(ctx context.Context, m NewRoomMessage) (Message, error) {
	var out Message
	err := s.update(ctx, func(tx *Tx) error {
		var err error
		out, err = tx.sendRoom(m)
		return err
	})
	return out, err
}

func (tx *Tx) sendRoom(m NewRoomMessage) (Message, error) {
	if old, err := tx.repeatedInRoom(m); err != nil || old.Seq > 0 {
		return old, err
	}
	r, member, err := tx.roomAs(m.Room, By{User: m.From}, RoleMember)
	if err != nil {
		return Message{}, err
	}
	if r.muted(member, tx.now) {
		return Message{}, ErrMuted
	}
	return tx.appendRoom(r, m, News{})
}

func (r *roomRow) muted(m Member, now int64) bool {
	all, own := r.Muted(m, now)
	return all || own
}

// repeatedInRoom looks for an earlier send with this client id. Seq is 0 if none.
func (tx *Tx) repeatedInRoom(m NewRoomMessage) (Message, error) {
	if m.ClientMsgID == "" {
		return Message{}, nil
	}
	old, err := tx.sentAs(m.From, m.ClientMsgID)
	if err == nil && old.Seq > 0 && (old.Kind != KindRoom || old.Room != m.Room) {
		return Message{}, errClientID
	}
	return old, err
}

// appendRoom gives m the room's next number. more carries what is not stored:
// who came and went.
func (tx *Tx) appendRoom(r *roomRow, m NewRoomMessage, more News) (Message, error) {
	conv, err := tx.roomConversation(r.ID)
	if err != nil {
		return Message{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Message{}, fmt.Errorf("make message id: %w", err)
	}
	out := Message{
		Conversation: conv.id, Kind: KindRoom, Room: r.ID, Seq: conv.last + 1, ServerMsgID: id.String(), From: m.From,
		Target: m.Target, Type: m.Type, Content: m.Content, System: m.System, Time: max(tx.now, conv.lastTime+1),
		ClientMsgID: m.ClientMsgID, ReplyTo: m.ReplyTo,
		News: &more,
	}
	more.Members, more.Name, more.Avatar = r.members, r.Name, r.Avatar
	if err := tx.insertMessage(&out, id); err != nil {
		return Message{}, err
	}
	conv.last, conv.lastTime = out.Seq, out.Time
	if m.OnCommit != nil {
		tx.onCommit(func() { m.OnCommit(out) })
	}
	return out, nil
}

func (tx *Tx) roomConversation(room int64) (*conversationRow, error) {
	return tx.conversation(convKey{KindRoom, room, 0})
}

// RoomMessagesBy reads what a user wrote in a room and is still there, below a
// sequence number (0: from the newest), newest first, at most limit.
func (s *Store) RoomMessagesBy(ctx context.Context, room, user int64, below uint64, limit int) ([]Message, error) {
	if below == 0 {
		below = 1 << 62
	}
	rows, err := s.viewRows(ctx, `SELECT `+messageColumns+` FROM message JOIN conversation c ON c.id = conversation_id
		WHERE c.kind = 2 AND c.a = ? AND c.b = 0 AND seq < ? AND sender_id = ? AND gone = 0 ORDER BY seq DESC LIMIT ?`, room, int64(below), user, limit)
	return collect(rows, err, scanMessage)
}

// RecallRoom takes back a message of a room: its content is removed for good, a
// tombstone stays, and m, the recall, follows. Ordinary members take back their
// own, if it is not older than notBefore (ms, 0 any); admins those of everybody
// whose role is not higher. Errors as SendRoom; ErrNotFound also if there is no
// such message, or it was recalled before.
func (s *Store) RecallRoom(ctx context.Context, by By, m NewRoomMessage, target string, notBefore int64) (Message, error) {
	var out Message
	id, err := uuid.Parse(target)
	if err != nil {
		return out, ErrNotFound
	}
	err = s.update(ctx, func(tx *Tx) error {
		out, err = tx.recallRoom(by, m, id, notBefore)
		return err
	})
	return out, err
}

func (tx *Tx) recallRoom(by By, m NewRoomMessage, target uuid.UUID, notBefore int64) (Message, error) {
	m.Content = target.String()
	old, err := tx.repeatedInRoom(m)
	if err == nil && old.Seq > 0 && (old.Type != m.Type || old.Content != m.Content) {
		return Message{}, fmt.Errorf("%w: client message id was used for another message", ErrConflict)
	}
	if err != nil || old.Seq > 0 {
		return old, err
	}
	r, member, err := tx.roomAs(m.Room, by, RoleMember)
	if err != nil {
		return Message{}, err
	}
	old, err = scanMessage(tx.row(`SELECT `+messageColumns+` FROM message JOIN conversation c ON c.id = conversation_id
		WHERE server_msg_id = ?`, target[:]))
	if err != nil {
		return Message{}, err
	}
	if old.Kind != KindRoom || old.Room != m.Room || old.Gone != Here || old.System || old.Type == m.Type || old.Seq <= member.JoinedSeq {
		return Message{}, ErrNotFound
	}
	if old.From != m.From {
		author, _ := r.members.Find(old.From)
		if member.Role < RoleRoomAdmin || member.Role < author.Role {
			return Message{}, ErrRole
		}
	} else if old.Time < notBefore && member.Role < RoleRoomAdmin {
		return Message{}, ErrNotFound
	}
	m.Target = old.From
	out, err := tx.appendRoom(r, m, News{})
	if err != nil {
		return Message{}, err
	}
	if old.From != m.From {
		if err := tx.auditRoom(by, "room.recall", r.ID, "message of user "+itoa(old.From)); err != nil {
			return Message{}, err
		}
	}
	return out, tx.exec(`UPDATE message SET gone = ?, content = '', mentions = NULL WHERE server_msg_id = ?`, Recalled, target[:])
}
