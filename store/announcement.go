package store

import (
	"context"
	"fmt"
)

// Announcement is a message from the server to every account.
type Announcement struct {
	ID              int64
	Text, CreatedBy string
	CreatedAt       int64 // ms
	LastAccount     int64 // the newest account it goes to
	Accounts        int64 // how many there were, more or less
	DoneTo          int64 // everybody up to this account has it
	Sent            int64 // messages stored
	FinishedAt      int64 // ms; 0: not yet
}

const announcementColumns = `id, text, created_by, created_at, last_account, accounts, done_to, sent, finished_at`

func scanAnnouncement(r scanner) (Announcement, error) {
	var a Announcement
	err := r.Scan(&a.ID, &a.Text, &a.CreatedBy, &a.CreatedAt, &a.LastAccount, &a.Accounts, &a.DoneTo, &a.Sent, &a.FinishedAt)
	return a, err
}

// CreateAnnouncement stores an announcement to the accounts that are there now.
// Announce sends it.
func (s *Store) CreateAnnouncement(ctx context.Context, text, by string) (Announcement, error) {
	a := Announcement{Text: text, CreatedBy: by}
	var err error
	if a.Accounts, err = s.CountAccounts(ctx); err != nil { // not in the writer: it reads all of them
		return a, err
	}
	err = s.update(ctx, func(tx *Tx) error {
		a.CreatedAt = tx.now
		if err := tx.row(`SELECT max(id) FROM account`).Scan(&a.LastAccount); err != nil {
			return err
		}
		res, err := tx.execResult(`INSERT INTO announcement (text, created_by, created_at, last_account, accounts) VALUES (?, ?, ?, ?, ?)`,
			a.Text, a.CreatedBy, a.CreatedAt, a.LastAccount, a.Accounts)
		if err != nil {
			return err
		}
		a.ID, err = res.LastInsertId()
		return err
	})
	return a, err
}

// Announcements lists the newest announcements, newest first.
func (s *Store) Announcements(ctx context.Context, limit int) ([]Announcement, error) {
	rows, err := s.viewRows(ctx, `SELECT `+announcementColumns+` FROM announcement ORDER BY id DESC LIMIT ?`, limit)
	return collect(rows, err, scanAnnouncement)
}

// UnfinishedAnnouncements lists those that have not been sent to everybody,
// oldest first.
func (s *Store) UnfinishedAnnouncements(ctx context.Context) ([]Announcement, error) {
	rows, err := s.viewRows(ctx, `SELECT `+announcementColumns+` FROM announcement WHERE finished_at = 0 ORDER BY id`)
	return collect(rows, err, scanAnnouncement)
}

// Announce stores the announcement as a private message from the built-in
// account to the next accounts behind after, at most limit of them, all or
// nothing, whether or not they are contacts or have blocked it. Deleted and
// banned accounts are left out. It answers how far the announcement is now; for
// a step that was done before nothing is written. Nobody gets it twice: each
// message has a ClientMsgID of its announcement and its receiver. m has what all
// of them have in common. ErrNotFound: there is no such announcement.
func (s *Store) Announce(ctx context.Context, id, after int64, limit int, m NewMessage) (Announcement, error) {
	var out Announcement
	err := s.update(ctx, func(tx *Tx) error {
		a, err := scanAnnouncement(tx.row(`SELECT `+announcementColumns+` FROM announcement WHERE id = ?`, id))
		if out = a; err != nil || a.FinishedAt != 0 || after < a.DoneTo {
			return err
		}
		out, err = tx.announce(a, limit, m)
		return err
	})
	return out, err
}

func (tx *Tx) announce(a Announcement, limit int, m NewMessage) (Announcement, error) {
	rows, err := tx.rows(`SELECT id FROM account WHERE id > ? AND id <= ? AND id <> 10000 AND deleted_at = 0 AND banned_until <= ?
		ORDER BY id LIMIT ?`, a.DoneTo, a.LastAccount, tx.now, limit)
	users, err := collect(rows, err, scanInt)
	if err != nil {
		return a, err
	}
	m.From, m.Content = BuiltInAccount, a.Text
	for _, user := range users {
		m.To, m.ClientMsgID = user, fmt.Sprintf("announce-%d-%d", a.ID, user)
		sent, err := tx.sendAnyway(m)
		if err != nil {
			return a, err
		}
		if !sent.Repeated {
			a.Sent++
		}
		a.DoneTo = user
	}
	if len(users) < limit {
		a.DoneTo, a.FinishedAt = a.LastAccount, tx.now
	}
	return a, tx.exec(`UPDATE announcement SET done_to = ?, sent = ?, finished_at = ? WHERE id = ?`, a.DoneTo, a.Sent, a.FinishedAt, a.ID)
}

// sendAnyway is sendPrivate for messages of the server, which ask for no
// relation.
func (tx *Tx) sendAnyway(m NewMessage) (Message, error) {
	if old, err := tx.repeated(m); err != nil || old.Seq > 0 {
		return old, err
	}
	conv, err := tx.privateConversation(m.From, m.To)
	if err != nil {
		return Message{}, err
	}
	return tx.appendPrivate(conv, m, relation{contacts: true})
}
