package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"
)

// Sentinels of live rooms.
var (
	ErrLiveClosed = errors.New("live room is closed")
	ErrMuted      = errors.New("muted")
	ErrForbidden  = errors.New("not allowed")
)

// Ranks in a live room. Somebody may act only on those below.
const (
	LiveReader    = 10
	LiveModerator = 20
	LiveOwner     = 30
	LiveSite      = 40 // a system administrator
)

const (
	liveKept = 200 // messages per room
	// LiveForever is the end of a mute that has none: the year 9999.
	LiveForever = 253_402_300_799_000
)

// LiveRoom is a live room.
type LiveRoom struct {
	ID, Owner    int64
	Title, Cover string
	OnAir        bool
	Closed       bool // by its owner, or because the owner's account is gone
	Slow         int  // seconds between two messages of one person
	// OpenedSeq is the last message before it was opened; those up to it are not
	// shown.
	OpenedSeq uint64
	Access    string // AccessOpen and so on
	LinkEpoch int64  // links signed for another one are good for nothing
	Hearts    int64
}

// LiveMessage is a stored message of a live room.
type LiveMessage struct {
	Room             int64
	Seq              uint64
	ServerMsgID      string // UUIDv7 text
	From             int64
	Type             int
	Content          string
	System           bool  // Content is a text key and arguments
	Time             int64 // ms, grows within the room
	Nickname, Avatar string
	Repeated         bool // an earlier send with the same ClientMsgID; nothing was written
}

// NewLiveMessage is what a send to a live room writes.
type NewLiveMessage struct {
	Room, From  int64
	Type        int
	Content     string
	ClientMsgID string // "" none
	// OnCommit runs in commit order, in the writer goroutine, and must not
	// block. Not called for a repeated send. May be nil.
	OnCommit func(LiveMessage)
}

// LiveAction is something a moderator does. Its check, its row in the audit log
// and its notice are one write with the change itself.
type LiveAction struct {
	Actor, Room    int64
	Target         int64  // the user it is done to, 0 none; must rank below the actor
	Rank           int    // the least rank that may do it
	OwnerOnly      bool   // not even a system administrator may
	Action, Detail string // for the audit log
	Type           int    // of the notice
	Notice         string // a system text for the room, "" none
	// OnCommit runs like that of NewLiveMessage; the notice is empty without one.
	OnCommit func(notice LiveMessage)
}

const liveColumns = `r.id, r.owner_id, r.title, r.cover, r.state, r.closed OR a.deleted_at <> 0 OR a.banned_until > ?1, r.slow_seconds, r.opened_seq,
	r.access, r.link_epoch, r.hearts`

func scanLive(row scanner) (LiveRoom, error) {
	var r LiveRoom
	err := row.Scan(&r.ID, &r.Owner, &r.Title, &r.Cover, &r.OnAir, &r.Closed, &r.Slow, &r.OpenedSeq, &r.Access, &r.LinkEpoch, &r.Hearts)
	return r, err
}

const liveByID = `SELECT ` + liveColumns + ` FROM live_room r JOIN account a ON a.id = r.owner_id WHERE r.id = ?2`

// Live finds a live room, closed ones too.
func (s *Store) Live(ctx context.Context, id int64) (LiveRoom, error) {
	r, err := scanLive(s.viewRow(ctx, liveByID, s.now().UnixMilli(), id))
	return r, mapError(err)
}

func (tx *Tx) live(id int64) (LiveRoom, error) { return scanLive(tx.row(liveByID, tx.now, id)) }

// LiveOf finds the live room of an account, closed ones too.
func (s *Store) LiveOf(ctx context.Context, owner int64) (LiveRoom, error) {
	r, err := scanLive(s.viewRow(ctx, liveByOwner, s.now().UnixMilli(), owner))
	return r, mapError(err)
}

const liveByOwner = `SELECT ` + liveColumns + ` FROM live_room r JOIN account a ON a.id = r.owner_id WHERE r.owner_id = ?2`

// LiveShown is a live room in a list, with its owner.
type LiveShown struct {
	LiveRoom
	Account Account
}

// Lives lists the rooms that are not closed and that viewer (0: a guest) may watch
// without a link, those on air first, then those changed last.
func (s *Store) Lives(ctx context.Context, viewer int64, limit int) ([]LiveShown, error) {
	rows, err := s.viewRows(ctx, `SELECT r.id, r.owner_id, r.title, r.cover, r.state, r.slow_seconds, r.access, `+accountColumns+`
		FROM live_room r INDEXED BY live_room_list CROSS JOIN account a ON a.id = r.owner_id
		WHERE r.closed = 0 AND a.deleted_at = 0 AND a.banned_until <= ?1 AND (r.access = 'open' OR ?2 > 0 AND `+liveInvited+`)
		ORDER BY r.state DESC, r.updated_at DESC LIMIT ?3`, s.now().UnixMilli(), viewer, limit)
	return collect(rows, err, scanLiveShown)
}

// LivesOnAir lists the rooms on air that viewer (0: a guest) may watch without a link,
// by id, behind the one with the id after.
func (s *Store) LivesOnAir(ctx context.Context, viewer, after int64, limit int) ([]LiveShown, error) {
	rows, err := s.viewRows(ctx, `SELECT r.id, r.owner_id, r.title, r.cover, r.state, r.slow_seconds, r.access, `+accountColumns+`
		FROM live_room r INDEXED BY live_room_air CROSS JOIN account a ON a.id = r.owner_id
		WHERE r.state = 1 AND r.id > ?3 AND r.closed = 0 AND a.deleted_at = 0 AND a.banned_until <= ?1 AND (r.access = 'open' OR ?2 > 0 AND `+liveInvited+`)
		ORDER BY r.id LIMIT ?4`, s.now().UnixMilli(), viewer, after, limit)
	return collect(rows, err, scanLiveShown)
}

func scanLiveShown(r scanner) (LiveShown, error) {
	var l LiveShown
	var err error
	l.Account, err = scanAccount(r, &l.ID, &l.Owner, &l.Title, &l.Cover, &l.OnAir, &l.Slow, &l.Access)
	return l, err
}

// liveInvited is whether the account ?2 may watch the room r although it is not open.
const liveInvited = `(r.owner_id = ?2 OR EXISTS (SELECT 1 FROM live_moderator m WHERE m.live_id = r.id AND m.user_id = ?2)
	OR r.access = 'followers' AND EXISTS (SELECT 1 FROM follow f WHERE f.fan_id = ?2 AND f.master_id = r.owner_id)
		AND NOT EXISTS (SELECT 1 FROM block b WHERE b.user_id = r.owner_id AND b.peer_id = ?2))`

// CreateLive makes the owner's live room, or opens it again when it was closed.
// A room that is open is answered as it is. OnCommit runs when anything changed.
func (s *Store) CreateLive(ctx context.Context, owner int64, title, cover string, onCommit func(LiveRoom)) (LiveRoom, error) {
	var out LiveRoom
	err := s.update(ctx, func(tx *Tx) error {
		var err error
		out, err = tx.createLive(owner, title, cover, onCommit)
		return err
	})
	return out, err
}

func (tx *Tx) createLive(owner int64, title, cover string, onCommit func(LiveRoom)) (LiveRoom, error) {
	old, err := scanLive(tx.row(liveByOwner, tx.now, owner))
	if err == nil && !old.Closed {
		return old, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return LiveRoom{}, err
	}
	id := old.ID
	if id == 0 {
		if id, err = tx.newRoomID(); err != nil {
			return LiveRoom{}, err
		}
	}
	if err := tx.exec(`INSERT INTO live_room (id, owner_id, title, cover, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
		ON CONFLICT (id) DO UPDATE SET title = excluded.title, cover = excluded.cover, closed = 0, updated_at = excluded.updated_at,
			opened_seq = coalesce((SELECT max(seq) FROM live_message WHERE live_id = excluded.id), 0)`,
		id, owner, title, cover, tx.now); err != nil {
		return LiveRoom{}, err
	}
	out, err := tx.live(id)
	if err == nil && onCommit != nil {
		tx.onCommit(func() { onCommit(out) })
	}
	return out, err
}

// EditLive changes title and cover; "" leaves one as it is.
func (s *Store) EditLive(ctx context.Context, a LiveAction, title, cover string) error {
	return s.moderate(ctx, a, func(tx *Tx) error {
		return tx.exec(`UPDATE live_room SET title = iif(?1 = '', title, ?1), cover = iif(?2 = '', cover, ?2), updated_at = ?3 WHERE id = ?4`,
			title, cover, tx.now, a.Room)
	})
}

// CloseLive closes a room: nobody reads or writes there until it is created
// again. Then what was said before is not shown; mutes, moderators, words and slow
// mode are as they were.
func (s *Store) CloseLive(ctx context.Context, a LiveAction) error {
	return s.moderate(ctx, a, func(tx *Tx) error {
		return tx.exec(`UPDATE live_room SET closed = 1, state = 0, updated_at = ? WHERE id = ?`, tx.now, a.Room)
	})
}

// SetLiveSlow sets the seconds between two messages of one person, 0 for none.
func (s *Store) SetLiveSlow(ctx context.Context, a LiveAction, seconds int) error {
	return s.moderate(ctx, a, func(tx *Tx) error {
		return tx.exec(`UPDATE live_room SET slow_seconds = ? WHERE id = ?`, seconds, a.Room)
	})
}

// SetLiveWords replaces what nobody may write in a room.
func (s *Store) SetLiveWords(ctx context.Context, a LiveAction, words []string) error {
	return s.moderate(ctx, a, func(tx *Tx) error {
		if err := tx.exec(`DELETE FROM live_word WHERE live_id = ?`, a.Room); err != nil {
			return err
		}
		for _, w := range words {
			if err := tx.exec(`INSERT INTO live_word (live_id, word) VALUES (?, ?)`, a.Room, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// SetLiveModerators replaces a room's moderators.
func (s *Store) SetLiveModerators(ctx context.Context, a LiveAction, users []int64) error {
	return s.moderate(ctx, a, func(tx *Tx) error {
		if err := tx.exec(`DELETE FROM live_moderator WHERE live_id = ?`, a.Room); err != nil {
			return err
		}
		for _, u := range users {
			if err := tx.exec(`INSERT INTO live_moderator (live_id, user_id) VALUES (?, ?)`, a.Room, u); err != nil {
				return err
			}
		}
		return nil
	})
}

// MuteLive keeps the action's target from writing until a time (ms).
func (s *Store) MuteLive(ctx context.Context, a LiveAction, until int64) error {
	return s.moderate(ctx, a, func(tx *Tx) error {
		if err := tx.exec(`DELETE FROM live_mute WHERE live_id = ? AND until <= ?`, a.Room, tx.now); err != nil {
			return err
		}
		return tx.exec(`INSERT INTO live_mute (live_id, user_id, until) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET until = excluded.until`, a.Room, a.Target, until)
	})
}

// UnmuteLive lets the action's target write again. ErrNotFound: it may already.
func (s *Store) UnmuteLive(ctx context.Context, a LiveAction) error {
	return s.update(ctx, func(tx *Tx) error {
		if err := tx.mayModerate(a); err != nil {
			return err
		}
		if muted, err := tx.liveMuted(a.Room, a.Target); err != nil || !muted {
			return errors.Join(err, ErrNotFound)
		}
		if err := tx.exec(`DELETE FROM live_mute WHERE live_id = ? AND user_id = ?`, a.Room, a.Target); err != nil {
			return err
		}
		return tx.moderated(a)
	})
}

// moderate makes a change of a room that is open, if the actor may.
func (s *Store) moderate(ctx context.Context, a LiveAction, change func(*Tx) error) error {
	return s.update(ctx, func(tx *Tx) error {
		if err := tx.mayModerate(a); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		return tx.moderated(a)
	})
}

// mayModerate looks before anything is written. Errors: ErrNotFound (no such
// room or target), ErrLiveClosed, ErrForbidden.
func (tx *Tx) mayModerate(a LiveAction) error {
	r, err := tx.live(a.Room)
	if err != nil {
		return err
	}
	rank, err := tx.liveRank(r, a.Actor)
	if err != nil {
		return err
	}
	if rank < a.Rank || a.OwnerOnly && r.Owner != a.Actor {
		return ErrForbidden
	}
	if a.Target != 0 {
		below, err := tx.liveRank(r, a.Target)
		if err != nil {
			return err
		}
		if below >= rank {
			return ErrForbidden
		}
	}
	if r.Closed {
		return ErrLiveClosed
	}
	return nil
}

// moderated writes what every action leaves behind.
func (tx *Tx) moderated(a LiveAction) error {
	if a.Action != "" {
		target := "live " + strconv.FormatInt(a.Room, 10)
		if a.Target != 0 {
			target += " user " + strconv.FormatInt(a.Target, 10)
		}
		if err := tx.exec(`INSERT INTO audit (time, actor, action, target, detail) VALUES (?, ?, ?, ?, ?)`,
			tx.now, "user "+strconv.FormatInt(a.Actor, 10), a.Action, target, a.Detail); err != nil {
			return err
		}
	}
	var notice LiveMessage
	if a.Notice != "" {
		var err error
		if notice, err = tx.appendLive(NewLiveMessage{Room: a.Room, From: a.Actor, Type: a.Type, Content: a.Notice}, true); err != nil {
			return err
		}
	}
	if a.OnCommit != nil {
		tx.onCommit(func() { a.OnCommit(notice) })
	}
	return nil
}

// liveRank is what a user is in a room; ErrNotFound when there is no such user.
func (tx *Tx) liveRank(r LiveRoom, user int64) (int, error) {
	return liveRank(tx.row(liveRankQuery, user, r.ID), r, user)
}

const liveRankQuery = `SELECT role, EXISTS (SELECT 1 FROM live_moderator WHERE live_id = ?2 AND user_id = ?1) FROM account WHERE id = ?1`

func liveRank(row scanner, r LiveRoom, user int64) (int, error) {
	var role int
	var moderator bool
	if err := row.Scan(&role, &moderator); err != nil {
		return 0, err
	}
	switch {
	case role >= RoleAdmin:
		return LiveSite, nil
	case r.Owner == user:
		return LiveOwner, nil
	case moderator:
		return LiveModerator, nil
	}
	return LiveReader, nil
}

// LiveRank is what a user is in a room.
func (s *Store) LiveRank(ctx context.Context, r LiveRoom, user int64) (int, error) {
	rank, err := liveRank(s.viewRow(ctx, liveRankQuery, user, r.ID), r, user)
	return rank, mapError(err)
}

func (tx *Tx) liveMuted(room, user int64) (bool, error) {
	var muted bool
	err := tx.row(liveMutedQuery, room, user, tx.now).Scan(&muted)
	return muted, err
}

const liveMutedQuery = `SELECT EXISTS (SELECT 1 FROM live_mute WHERE live_id = ? AND user_id = ? AND until > ?)`

// LiveMuted says whether a user may not write in a room now.
func (s *Store) LiveMuted(ctx context.Context, room, user int64) (bool, error) {
	var muted bool
	err := s.viewRow(ctx, liveMutedQuery, room, user, s.now().UnixMilli()).Scan(&muted)
	return muted, mapError(err)
}

// SendLive stores a message of a live room. Errors: ErrNotFound, ErrLiveClosed,
// ErrMuted, ErrConflict (the ClientMsgID was used in another room). A repeated
// ClientMsgID answers the first message again as long as that is kept.
func (s *Store) SendLive(ctx context.Context, m NewLiveMessage) (LiveMessage, error) {
	var out LiveMessage
	err := s.update(ctx, func(tx *Tx) error {
		var err error
		out, err = tx.sendLive(m)
		return err
	})
	return out, err
}

func (tx *Tx) sendLive(m NewLiveMessage) (LiveMessage, error) {
	r, err := tx.live(m.Room)
	if err != nil {
		return LiveMessage{}, err
	}
	if m.ClientMsgID != "" {
		if old, err := tx.repeatedLive(m); err != nil || old.Seq > 0 {
			return old, err
		}
	}
	if r.Closed {
		return LiveMessage{}, ErrLiveClosed
	}
	muted, err := tx.liveMuted(m.Room, m.From)
	if err != nil {
		return LiveMessage{}, err
	}
	if muted {
		return LiveMessage{}, ErrMuted
	}
	out, err := tx.appendLive(m, false)
	if err == nil && m.OnCommit != nil {
		tx.onCommit(func() { m.OnCommit(out) })
	}
	return out, err
}

const liveMessageColumns = `m.live_id, m.seq, m.server_msg_id, m.sender_id, m.type, m.time, m.system, m.content, a.nickname, a.avatar`

func scanLiveMessage(row scanner) (LiveMessage, error) {
	var m LiveMessage
	var id uuid.UUID
	err := row.Scan(&m.Room, &m.Seq, (*blobID)(&id), &m.From, &m.Type, &m.Time, &m.System, &m.Content, &m.Nickname, &m.Avatar)
	m.ServerMsgID = id.String()
	return m, err
}

const liveByClientID = `SELECT ` + liveMessageColumns + ` FROM live_message m JOIN account a ON a.id = m.sender_id
	WHERE m.sender_id = ? AND m.client_msg_id = ?`

// LiveSent finds what a user sent with a ClientMsgID.
func (s *Store) LiveSent(ctx context.Context, user int64, clientMsgID string) (LiveMessage, error) {
	m, err := scanLiveMessage(s.viewRow(ctx, liveByClientID, user, clientMsgID))
	return m, mapError(err)
}

// LiveMessageByID finds what somebody wrote in a live room and was not deleted.
func (s *Store) LiveMessageByID(ctx context.Context, serverMsgID string) (LiveMessage, error) {
	id, err := uuid.Parse(serverMsgID)
	if err != nil {
		return LiveMessage{}, ErrNotFound
	}
	m, err := scanLiveMessage(s.viewRow(ctx, `SELECT `+liveMessageColumns+` FROM live_message m JOIN account a ON a.id = m.sender_id
		WHERE m.server_msg_id = ? AND m.gone = 0 AND m.system = 0`, id[:]))
	return m, mapError(err)
}

// repeatedLive looks for an earlier send with this client id. Seq is 0 if none.
func (tx *Tx) repeatedLive(m NewLiveMessage) (LiveMessage, error) {
	old, err := scanLiveMessage(tx.row(liveByClientID, m.From, m.ClientMsgID))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return LiveMessage{}, nil
	case err != nil:
		return LiveMessage{}, err
	case old.Room != m.Room:
		return LiveMessage{}, fmt.Errorf("%w: client message id was used in another room", ErrConflict)
	}
	old.Repeated = true
	return old, nil
}

// appendLive writes the next message of a room and forgets the oldest.
func (tx *Tx) appendLive(m NewLiveMessage, system bool) (LiveMessage, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return LiveMessage{}, fmt.Errorf("make message id: %w", err)
	}
	out := LiveMessage{Room: m.Room, ServerMsgID: id.String(), From: m.From, Type: m.Type, Content: m.Content, System: system}
	var last, lastTime int64
	err = tx.row(`SELECT seq, time FROM live_message WHERE live_id = ? ORDER BY seq DESC LIMIT 1`, m.Room).Scan(&last, &lastTime)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return LiveMessage{}, err
	}
	out.Seq, out.Time = uint64(last+1), max(tx.now, lastTime+1) //nolint:gosec // counts up from 1
	if err := tx.row(`SELECT nickname, avatar FROM account WHERE id = ?`, m.From).Scan(&out.Nickname, &out.Avatar); err != nil {
		return LiveMessage{}, err
	}
	var client any
	if m.ClientMsgID != "" {
		client = m.ClientMsgID
	}
	if err := tx.exec(`INSERT INTO live_message (live_id, seq, server_msg_id, sender_id, type, time, system, content, client_msg_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, m.Room, last+1, id[:], m.From, m.Type, out.Time, system, m.Content, client); err != nil {
		return LiveMessage{}, err
	}
	return out, tx.exec(`DELETE FROM live_message WHERE live_id = ? AND seq <= ?`, m.Room, last+1-liveKept)
}

// LiveMessages reads the newest messages of a room since it was opened, oldest
// first, at most limit. Deleted ones are left out.
func (s *Store) LiveMessages(ctx context.Context, room int64, limit int) ([]LiveMessage, error) {
	rows, err := s.viewRows(ctx, `SELECT `+liveMessageColumns+` FROM live_message m CROSS JOIN account a ON a.id = m.sender_id
		WHERE m.live_id = ?1 AND m.gone = 0 AND m.seq > (SELECT opened_seq FROM live_room WHERE id = ?1) ORDER BY m.seq DESC LIMIT ?2`, room, limit)
	list, err := collect(rows, err, scanLiveMessage)
	slices.Reverse(list)
	return list, err
}

// ExpireLive removes the content of messages older than cutoff (ms), oldest
// first, at most limit of them, and answers how many and in which rooms.
func (s *Store) ExpireLive(ctx context.Context, cutoff int64, limit int) (n int, rooms []int64, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		n, rooms = 0, nil
		rows, err := tx.rows(`SELECT live_id, seq FROM live_message WHERE gone = 0 AND time < ? ORDER BY time LIMIT ?`, cutoff, limit)
		type place struct{ room, seq int64 }
		old, err := collect(rows, err, func(r scanner) (place, error) {
			var p place
			err := r.Scan(&p.room, &p.seq)
			return p, err
		})
		if err != nil {
			return err
		}
		for _, p := range old {
			if err := tx.exec(`UPDATE live_message SET gone = ?, content = '' WHERE live_id = ? AND seq = ?`, Deleted, p.room, p.seq); err != nil {
				return err
			}
			if !slices.Contains(rooms, p.room) {
				rooms = append(rooms, p.room)
			}
		}
		n = len(old)
		return nil
	})
	return n, rooms, err
}

// LiveMessagesBy reads what a user wrote in live rooms and is still kept.
func (s *Store) LiveMessagesBy(ctx context.Context, user int64) ([]LiveMessage, error) {
	rows, err := s.viewRows(ctx, `SELECT `+liveMessageColumns+` FROM live_message m CROSS JOIN account a ON a.id = m.sender_id
		WHERE m.sender_id = ? AND m.gone = 0 AND m.system = 0 ORDER BY m.live_id, m.seq`, user)
	return collect(rows, err, scanLiveMessage)
}

// forgetLive closes the room of an account that is deleted.
func (tx *Tx) forgetLive(owner int64) error {
	return tx.exec(`UPDATE live_room SET closed = 1, state = 0, title = '-', cover = '', updated_at = ? WHERE owner_id = ?`, tx.now, owner)
}

// DeleteLiveMessage removes the content of a message for good. Its author may,
// and who ranks above the author and not below the action's rank, also when the
// room is closed. Only the latter is audited. Errors: ErrNotFound (no such
// message in this room, deleted before, or a notice), ErrForbidden.
func (s *Store) DeleteLiveMessage(ctx context.Context, a LiveAction, serverMsgID string) error {
	id, err := uuid.Parse(serverMsgID)
	if err != nil {
		return ErrNotFound
	}
	return s.update(ctx, func(tx *Tx) error {
		var author int64
		if err := tx.row(`SELECT sender_id FROM live_message WHERE server_msg_id = ? AND live_id = ? AND gone = 0 AND system = 0`, id[:], a.Room).Scan(&author); err != nil {
			return err
		}
		act := a // a copy: this function may run twice
		if author == a.Actor {
			act.Action = ""
		} else {
			act.Target = author
			if err := tx.mayModerate(act); err != nil && !errors.Is(err, ErrLiveClosed) {
				return err
			}
		}
		if err := tx.exec(`UPDATE live_message SET gone = ?, content = '' WHERE server_msg_id = ?`, Deleted, id[:]); err != nil {
			return err
		}
		return tx.moderated(act)
	})
}

// LiveWords lists what nobody may write in a room.
func (s *Store) LiveWords(ctx context.Context, room int64) ([]string, error) {
	rows, err := s.viewRows(ctx, `SELECT word FROM live_word WHERE live_id = ? ORDER BY word`, room)
	return collect(rows, err, func(r scanner) (string, error) {
		var w string
		err := r.Scan(&w)
		return w, err
	})
}

// LiveModerators lists a room's moderators.
func (s *Store) LiveModerators(ctx context.Context, room int64) ([]Account, error) {
	rows, err := s.viewRows(ctx, `SELECT `+accountColumns+` FROM live_moderator l CROSS JOIN account a ON a.id = l.user_id
		WHERE l.live_id = ? AND a.deleted_at = 0 ORDER BY l.user_id`, room)
	return collect(rows, err, func(r scanner) (Account, error) { return scanAccount(r) })
}
