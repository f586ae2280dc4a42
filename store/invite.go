package store

import "context"

// Invite is an invitation code.
type Invite struct {
	Code, Note           string
	CreatedBy            int64
	CreatedAt, ExpiresAt int64 // ExpiresAt 0: never
	MaxUses, Uses        int
	RevokedAt            int64
}

// CreateInvite stores a new code. ErrConflict: the code exists.
func (s *Store) CreateInvite(ctx context.Context, i Invite) (Invite, error) {
	err := s.update(ctx, func(tx *Tx) error {
		i.CreatedAt = tx.now
		return tx.exec(`INSERT INTO invite (code, note, created_by, created_at, expires_at, max_uses) VALUES (?, ?, ?, ?, ?, ?)`,
			i.Code, i.Note, i.CreatedBy, i.CreatedAt, i.ExpiresAt, i.MaxUses)
	})
	return i, err
}

// Invites lists all codes, newest first.
func (s *Store) Invites(ctx context.Context) ([]Invite, error) {
	rows, err := s.viewRows(ctx, `SELECT code, note, created_by, created_at, expires_at, max_uses, uses, revoked_at FROM invite ORDER BY created_at DESC, code LIMIT 1000`)
	return collect(rows, err, func(r scanner) (Invite, error) {
		var i Invite
		err := r.Scan(&i.Code, &i.Note, &i.CreatedBy, &i.CreatedAt, &i.ExpiresAt, &i.MaxUses, &i.Uses, &i.RevokedAt)
		return i, err
	})
}

// RevokeInvite makes a code useless. ErrNotFound: there is no such valid code.
func (s *Store) RevokeInvite(ctx context.Context, code string) error {
	return s.mustChange(ctx, `UPDATE invite SET revoked_at = ? WHERE code = ? AND revoked_at = 0`, s.now().UnixMilli(), code)
}

// InviteUsable says whether a code could be used now. Registering checks again
// when it uses the code up.
func (s *Store) InviteUsable(ctx context.Context, code string) (bool, error) {
	var ok bool
	err := s.viewRow(ctx, `SELECT EXISTS (SELECT 1 FROM invite WHERE code = ?1 AND revoked_at = 0 AND uses < max_uses AND (expires_at = 0 OR expires_at > ?2))`,
		code, s.now().UnixMilli()).Scan(&ok)
	return ok, mapError(err)
}

func (tx *Tx) useInvite(code string) error {
	before := tx.wrote
	n, err := tx.changed(`UPDATE invite SET uses = uses + 1 WHERE code = ? AND revoked_at = 0 AND uses < max_uses AND (expires_at = 0 OR expires_at > ?)`, code, tx.now)
	if err != nil {
		return err
	}
	if n == 0 {
		tx.wrote = before
		return ErrNotFound
	}
	return nil
}
