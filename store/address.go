package store

import "context"

// AddressBan keeps an address, or a network, away.
type AddressBan struct {
	Prefix               string // "192.0.2.7/32"
	Reason, CreatedBy    string
	CreatedAt, ExpiresAt int64 // ms; ExpiresAt 0: never
}

// SetAddressBan stores a ban; one of the same prefix is replaced.
func (s *Store) SetAddressBan(ctx context.Context, b AddressBan) (AddressBan, error) {
	err := s.update(ctx, func(tx *Tx) error {
		b.CreatedAt = tx.now
		return tx.exec(`INSERT INTO address_ban (prefix, reason, created_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET reason = excluded.reason, created_by = excluded.created_by, created_at = excluded.created_at,
			expires_at = excluded.expires_at`, b.Prefix, b.Reason, b.CreatedBy, b.CreatedAt, b.ExpiresAt)
	})
	return b, err
}

// DeleteAddressBan ends a ban. ErrNotFound: there is none of this prefix.
func (s *Store) DeleteAddressBan(ctx context.Context, prefix string) error {
	return s.mustChange(ctx, `DELETE FROM address_ban WHERE prefix = ?`, prefix)
}

// AddressBans lists the bans that have not expired, newest first.
func (s *Store) AddressBans(ctx context.Context) ([]AddressBan, error) {
	rows, err := s.viewRows(ctx, `SELECT prefix, reason, created_by, created_at, expires_at FROM address_ban
		WHERE expires_at = 0 OR expires_at > ? ORDER BY created_at DESC, prefix`, s.now().UnixMilli())
	return collect(rows, err, func(r scanner) (AddressBan, error) {
		var b AddressBan
		err := r.Scan(&b.Prefix, &b.Reason, &b.CreatedBy, &b.CreatedAt, &b.ExpiresAt)
		return b, err
	})
}

// ForgetAddressBans deletes the bans that have expired.
func (s *Store) ForgetAddressBans(ctx context.Context) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`DELETE FROM address_ban WHERE expires_at > 0 AND expires_at <= ?`, tx.now)
	})
}
