package store

import (
	"context"
	"database/sql"
	"errors"
)

// Contact is a row of somebody's contact list.
type Contact struct {
	User    Account
	Deleted bool // the peer removed me
}

// Application is a pending friend application.
type Application struct {
	From      Account
	Message   string
	CreatedAt int64
}

// relation is what the writer must know of two users before it stores a message
// from one to the other.
type relation struct {
	contacts      bool // in each other's list, neither side deleted
	blockedByPeer bool // the receiver blocked the sender
}

type relKey struct{ from, to int64 }

// relCache remembers relations for the writer. It is emptied when it is full:
// relations are cheap to read again.
type relCache map[relKey]relation

const maxCachedRelations = 50000

func newRelCache() relCache { return relCache{} }

func (c relCache) drop(x, y int64) {
	delete(c, relKey{x, y})
	delete(c, relKey{y, x})
}

func (tx *Tx) relation(from, to int64) (relation, error) {
	rels := tx.s.w.rels
	if r, ok := rels[relKey{from, to}]; ok {
		return r, nil
	}
	var r relation
	err := tx.row(`SELECT
		EXISTS (SELECT 1 FROM contact WHERE user_id = ?1 AND peer_id = ?2 AND deleted = 0)
		AND EXISTS (SELECT 1 FROM contact WHERE user_id = ?2 AND peer_id = ?1 AND deleted = 0),
		EXISTS (SELECT 1 FROM block WHERE user_id = ?2 AND peer_id = ?1)`, from, to).Scan(&r.contacts, &r.blockedByPeer)
	if err != nil {
		return r, err
	}
	if len(rels) >= maxCachedRelations {
		clear(rels)
	}
	rels[relKey{from, to}] = r
	return r, nil
}

// AreContacts says whether two users are in each other's lists, neither side
// deleted.
func (s *Store) AreContacts(ctx context.Context, x, y int64) (bool, error) {
	var ok bool
	err := s.viewRow(ctx, `SELECT EXISTS (SELECT 1 FROM contact WHERE user_id = ?1 AND peer_id = ?2 AND deleted = 0)
		AND EXISTS (SELECT 1 FROM contact WHERE user_id = ?2 AND peer_id = ?1 AND deleted = 0)`, x, y).Scan(&ok)
	return ok, mapError(err)
}

// IsBlocked says whether user has blocked peer.
func (s *Store) IsBlocked(ctx context.Context, user, peer int64) (bool, error) {
	var ok bool
	err := s.viewRow(ctx, `SELECT EXISTS (SELECT 1 FROM block WHERE user_id = ? AND peer_id = ?)`, user, peer).Scan(&ok)
	return ok, mapError(err)
}

// Apply stores a friend application; a second one replaces the first. The
// answer is false when the receiver blocked the applicant: then nothing is
// stored and nobody need know. Errors: ErrConflict (they are contacts already),
// ErrNotFound (one of them is gone, or both are the same).
func (s *Store) Apply(ctx context.Context, applicant, receiver int64, message string) (bool, error) {
	stored := false
	err := s.update(ctx, func(tx *Tx) error {
		stored = false
		// Looked up first: an unknown receiver must not cost the batch a rollback.
		var both bool
		err := tx.row(`SELECT count(*) = 2 FROM account WHERE id IN (?, ?) AND deleted_at = 0`, applicant, receiver).Scan(&both)
		if err != nil {
			return err
		}
		if !both {
			return ErrNotFound
		}
		rel, err := tx.relation(applicant, receiver)
		if err != nil {
			return err
		}
		if rel.contacts {
			return ErrConflict
		}
		if stored = !rel.blockedByPeer; !stored {
			return nil
		}
		return tx.exec(`INSERT INTO application (receiver_id, applicant_id, message, created_at) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET message = excluded.message, created_at = excluded.created_at`,
			receiver, applicant, message, tx.now)
	})
	return stored, err
}

// Applications lists what is pending for a user and not older than since (ms),
// oldest first, at most limit.
func (s *Store) Applications(ctx context.Context, user, since int64, limit int) ([]Application, error) {
	rows, err := s.viewRows(ctx, `SELECT p.message, p.created_at, `+accountColumns+` FROM application p JOIN account a ON a.id = p.applicant_id
		WHERE p.receiver_id = ? AND p.created_at >= ? ORDER BY p.created_at LIMIT ?`, user, since, limit)
	return collect(rows, err, func(r scanner) (Application, error) {
		var p Application
		var err error
		p.From, err = scanAccount(r, &p.Message, &p.CreatedAt)
		return p, err
	})
}

// AcceptApplication makes two users contacts of each other and stores the
// message (type 8) that tells the applicant, all or nothing. ErrNotFound: there
// is no application younger than since.
func (s *Store) AcceptApplication(ctx context.Context, user, applicant, since int64, note NewMessage) (Message, error) {
	var out Message
	err := s.update(ctx, func(tx *Tx) error {
		if err := tx.takeApplication(user, applicant, since); err != nil {
			return err
		}
		for _, p := range [][2]int64{{user, applicant}, {applicant, user}} {
			if err := tx.exec(`INSERT INTO contact (user_id, peer_id, created_at) VALUES (?, ?, ?)
				ON CONFLICT DO UPDATE SET deleted = 0`, p[0], p[1], tx.now); err != nil {
				return err
			}
		}
		// If both had applied, one answer serves both.
		if err := tx.exec(`DELETE FROM application WHERE receiver_id = ? AND applicant_id = ?`, applicant, user); err != nil {
			return err
		}
		if err := tx.bumpContacts(user, applicant); err != nil {
			return err
		}
		tx.s.w.rels.drop(user, applicant)
		note.From, note.To = user, applicant
		var err error
		out, err = tx.sendPrivate(note)
		return err
	})
	return out, err
}

// RefuseApplication deletes a pending application. ErrNotFound: there is none.
func (s *Store) RefuseApplication(ctx context.Context, user, applicant int64) error {
	return s.update(ctx, func(tx *Tx) error { return tx.takeApplication(user, applicant, 0) })
}

func (tx *Tx) takeApplication(user, applicant, since int64) error {
	var one int
	err := tx.row(`SELECT 1 FROM application WHERE receiver_id = ? AND applicant_id = ? AND created_at >= ?`, user, applicant, since).Scan(&one)
	if err != nil {
		return err
	}
	return tx.exec(`DELETE FROM application WHERE receiver_id = ? AND applicant_id = ?`, user, applicant)
}

func (tx *Tx) bumpContacts(users ...int64) error {
	for _, u := range users {
		if err := tx.exec(`UPDATE account SET contacts_version = contacts_version + 1 WHERE id = ?`, u); err != nil {
			return err
		}
	}
	return nil
}

// DeleteContact removes peer from user's list and marks user as gone in peer's.
// It answers whether peer still had user, so that peer must be told.
// ErrNotFound: peer is not in the list.
func (s *Store) DeleteContact(ctx context.Context, user, peer int64) (bool, error) {
	told := false
	err := s.update(ctx, func(tx *Tx) error {
		var one int
		if err := tx.row(`SELECT 1 FROM contact WHERE user_id = ? AND peer_id = ?`, user, peer).Scan(&one); err != nil {
			return err
		}
		if err := tx.exec(`DELETE FROM contact WHERE user_id = ? AND peer_id = ?`, user, peer); err != nil {
			return err
		}
		n, err := tx.changed(`UPDATE contact SET deleted = 1 WHERE user_id = ? AND peer_id = ? AND deleted = 0`, peer, user)
		if err != nil {
			return err
		}
		told = n > 0
		tx.s.w.rels.drop(user, peer)
		return tx.bumpContacts(user, peer)
	})
	return told, err
}

// Contacts lists a user's contacts by nickname.
func (s *Store) Contacts(ctx context.Context, user int64) ([]Contact, error) {
	rows, err := s.viewRows(ctx, `SELECT c.deleted, `+accountColumns+` FROM contact c JOIN account a ON a.id = c.peer_id
		WHERE c.user_id = ? ORDER BY a.nickname, a.id`, user)
	return collect(rows, err, func(r scanner) (Contact, error) {
		var c Contact
		var err error
		c.User, err = scanAccount(r, &c.Deleted)
		return c, err
	})
}

// Block makes user's blocking of peer true. Blocking twice changes nothing. A
// pending application of the blocked one is dropped. ErrNotFound: there is no
// such peer, or it is the user.
func (s *Store) Block(ctx context.Context, user, peer int64) error {
	return s.update(ctx, func(tx *Tx) error {
		var one int
		if err := tx.row(`SELECT 1 FROM account WHERE id = ? AND id <> ?`, peer, user).Scan(&one); err != nil {
			return err
		}
		tx.s.w.rels.drop(user, peer)
		if err := tx.exec(`DELETE FROM application WHERE receiver_id = ? AND applicant_id = ?`, user, peer); err != nil {
			return err
		}
		return tx.exec(`INSERT INTO block (user_id, peer_id, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, user, peer, tx.now)
	})
}

// Unblock ends a blocking. Unblocking who is not blocked changes nothing.
func (s *Store) Unblock(ctx context.Context, user, peer int64) error {
	return s.update(ctx, func(tx *Tx) error {
		tx.s.w.rels.drop(user, peer)
		return tx.exec(`DELETE FROM block WHERE user_id = ? AND peer_id = ?`, user, peer)
	})
}

// Blocked lists whom a user blocked, newest first.
func (s *Store) Blocked(ctx context.Context, user int64) ([]Account, error) {
	rows, err := s.viewRows(ctx, `SELECT `+accountColumns+` FROM block k JOIN account a ON a.id = k.peer_id
		WHERE k.user_id = ? ORDER BY k.created_at DESC`, user)
	return collect(rows, err, func(r scanner) (Account, error) { return scanAccount(r) })
}

// Following lists whom a user follows, by newest, offset rows skipped.
func (s *Store) Following(ctx context.Context, user int64, offset, limit int) ([]Account, error) {
	rows, err := s.viewRows(ctx, `SELECT `+accountColumns+` FROM follow f JOIN account a ON a.id = f.master_id
		WHERE f.fan_id = ? ORDER BY f.created_at DESC, f.master_id LIMIT ? OFFSET ?`, user, limit, offset)
	return collect(rows, err, func(r scanner) (Account, error) { return scanAccount(r) })
}

// IsFollowing says whether fan follows master.
func (s *Store) IsFollowing(ctx context.Context, fan, master int64) (bool, error) {
	var one int
	err := s.viewRow(ctx, `SELECT 1 FROM follow WHERE fan_id = ? AND master_id = ?`, fan, master).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, mapError(err)
}

// ExpireApplications deletes applications older than cutoff (ms).
func (s *Store) ExpireApplications(ctx context.Context, cutoff int64) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`DELETE FROM application WHERE created_at < ?`, cutoff)
	})
}
