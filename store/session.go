package store

import (
	"context"
	"time"
)

// LoginSession is one login of one device. Its token is stored as a hash only.
type LoginSession struct {
	ID, Account         int64
	Agent, Address      string
	CreatedAt, LastSeen int64
	RevokedAt           int64 // 0: valid
}

const sessionColumns = `l.id, l.account_id, l.agent, l.address, l.created_at, l.last_seen, l.revoked_at`

func scanSession(r scanner) (LoginSession, error) {
	var l LoginSession
	err := r.Scan(&l.ID, &l.Account, &l.Agent, &l.Address, &l.CreatedAt, &l.LastSeen, &l.RevokedAt)
	return l, err
}

// NewLogin is what a login writes.
type NewLogin struct {
	Account        int64
	TokenHash      []byte
	Agent, Address string
	Alone          bool // revoke the account's other sessions
	Language       string
}

// Login stores a new login session and the time of the login. It answers the
// session's id and the sessions that it ended. ErrNotFound: the account is gone
// (perhaps since the password was checked), or it is the built-in one.
func (s *Store) Login(ctx context.Context, n NewLogin) (id int64, ended []int64, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		var one int
		if err := tx.row(`SELECT 1 FROM account WHERE id = ? AND deleted_at = 0 AND id <> 10000`, n.Account).Scan(&one); err != nil {
			return err
		}
		res, err := tx.execResult(`INSERT INTO login_session (account_id, token_hash, agent, address, created_at, last_seen) VALUES (?, ?, ?, ?, ?, ?)`,
			n.Account, n.TokenHash, n.Agent, n.Address, tx.now, tx.now)
		if err != nil {
			return err
		}
		if id, err = res.LastInsertId(); err != nil {
			return err
		}
		if err := tx.exec(`UPDATE account SET last_login = ?, language = CASE WHEN ?2 = '' THEN language ELSE ?2 END WHERE id = ?3`, tx.now, n.Language, n.Account); err != nil {
			return err
		}
		if n.Language != "" {
			tx.onCommit(func() { s.languages.forget(n.Account) })
		}
		if n.Alone {
			ended, err = tx.revoke(n.Account, 0, id)
		}
		return err
	})
	return id, ended, err
}

// SessionByToken finds a login session, revoked ones too, and the account's
// role, language and ban.
func (s *Store) SessionByToken(ctx context.Context, tokenHash []byte) (LoginSession, Account, error) {
	var l LoginSession
	a, err := scanAccount(s.viewRow(ctx, `SELECT `+sessionColumns+`, `+accountColumns+` FROM login_session l JOIN account a ON a.id = l.account_id
		WHERE l.token_hash = ?`, tokenHash), &l.ID, &l.Account, &l.Agent, &l.Address, &l.CreatedAt, &l.LastSeen, &l.RevokedAt)
	return l, a, mapError(err)
}

// Sessions lists the valid sessions of an account, newest first.
func (s *Store) Sessions(ctx context.Context, account int64) ([]LoginSession, error) {
	rows, err := s.viewRows(ctx, `SELECT `+sessionColumns+` FROM login_session l WHERE l.account_id = ? AND l.revoked_at = 0 ORDER BY l.id DESC`, account)
	return collect(rows, err, scanSession)
}

// Revoke ends one session of an account, or all of them (session 0), and
// answers which.
func (s *Store) Revoke(ctx context.Context, account, session int64) ([]int64, error) {
	var gone []int64
	err := s.update(ctx, func(tx *Tx) error {
		var err error
		gone, err = tx.revoke(account, session, 0)
		return err
	})
	return gone, err
}

// revoke ends session (0: all) of an account, except keep.
func (tx *Tx) revoke(account, session, keep int64) ([]int64, error) {
	rows, err := tx.rows(`SELECT id FROM login_session WHERE account_id = ?1 AND revoked_at = 0 AND (?2 = 0 OR id = ?2) AND id <> ?3`, account, session, keep)
	gone, err := collect(rows, err, scanInt)
	if err != nil {
		return nil, err
	}
	for _, id := range gone {
		if err := tx.exec(`UPDATE login_session SET revoked_at = ? WHERE id = ?`, tx.now, id); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// Seen writes when sessions were last used: session → time (ms).
func (s *Store) Seen(ctx context.Context, times map[int64]int64) error {
	if len(times) == 0 {
		return nil
	}
	return s.update(ctx, func(tx *Tx) error {
		for id, t := range times {
			if err := tx.exec(`UPDATE login_session SET last_seen = max(last_seen, ?) WHERE id = ?`, t, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delivered is the time (ms) up to which a session is known to have got all its
// messages; 0 if it never was.
func (s *Store) Delivered(ctx context.Context, session int64) (int64, error) {
	var t int64
	err := s.viewRow(ctx, `SELECT delivered FROM login_session WHERE id = ?`, session).Scan(&t)
	return t, mapError(err)
}

// SessionTimes is when a session began, and up to when it is known to have got
// all its messages (ms; 0 if it never was).
func (s *Store) SessionTimes(ctx context.Context, session int64) (created, delivered int64, err error) {
	err = s.viewRow(ctx, `SELECT created_at, delivered FROM login_session WHERE id = ?`, session).Scan(&created, &delivered)
	return created, delivered, mapError(err)
}

// SetDelivered writes these times: session → time (ms). They only grow.
func (s *Store) SetDelivered(ctx context.Context, times map[int64]int64) error {
	if len(times) == 0 {
		return nil
	}
	return s.update(ctx, func(tx *Tx) error {
		for id, t := range times {
			if err := tx.exec(`UPDATE login_session SET delivered = max(delivered, ?) WHERE id = ?`, t, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetRevoked deletes sessions that were revoked longer ago than age. Until
// then their tokens are known, so that the app is told why it is out.
func (s *Store) ForgetRevoked(ctx context.Context, age time.Duration) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`DELETE FROM login_session WHERE revoked_at > 0 AND revoked_at < ?`, tx.now-age.Milliseconds())
	})
}

// TOTP is the second factor of an account.
type TOTP struct {
	Sealed []byte // the secret, sealed by the caller; nil: never set up
	On     bool
	Step   int64 // last time step a code was used for
	Left   int   // recovery codes not used yet
}

// TOTP reads the second factor.
func (s *Store) TOTP(ctx context.Context, account int64) (TOTP, error) {
	var t TOTP
	err := s.viewRow(ctx, `SELECT totp_secret, totp_on, totp_step, (SELECT count(*) FROM recovery_code WHERE account_id = a.id)
		FROM account a WHERE id = ?`, account).Scan(&t.Sealed, &t.On, &t.Step, &t.Left)
	return t, mapError(err)
}

// SetTOTPSecret stores a secret that waits for confirmation. ErrConflict: the
// second factor is on already.
func (s *Store) SetTOTPSecret(ctx context.Context, account int64, sealed []byte) error {
	err := s.mustChange(ctx, `UPDATE account SET totp_secret = ?, totp_step = 0 WHERE id = ? AND totp_on = 0`, sealed, account)
	if err == ErrNotFound { //nolint:errorlint // mustChange returns it bare
		return ErrConflict
	}
	return err
}

// ConfirmTOTP turns the second factor on with its recovery codes (hashes).
func (s *Store) ConfirmTOTP(ctx context.Context, account, step int64, codes [][]byte) error {
	return s.update(ctx, func(tx *Tx) error {
		n, err := tx.changed(`UPDATE account SET totp_on = 1, totp_step = ? WHERE id = ? AND totp_secret IS NOT NULL AND totp_on = 0`, step, account)
		if err != nil {
			return err
		}
		if n == 0 {
			tx.wrote = false
			return ErrConflict
		}
		return tx.replaceCodes(account, codes)
	})
}

// ReplaceRecoveryCodes gives an account a new set.
func (s *Store) ReplaceRecoveryCodes(ctx context.Context, account int64, codes [][]byte) error {
	return s.update(ctx, func(tx *Tx) error { return tx.replaceCodes(account, codes) })
}

func (tx *Tx) replaceCodes(account int64, codes [][]byte) error {
	if err := tx.exec(`DELETE FROM recovery_code WHERE account_id = ?`, account); err != nil {
		return err
	}
	for _, c := range codes {
		if err := tx.exec(`INSERT INTO recovery_code (account_id, code_hash) VALUES (?, ?)`, account, c); err != nil {
			return err
		}
	}
	return nil
}

// DisableTOTP turns the second factor off and forgets its secret.
func (s *Store) DisableTOTP(ctx context.Context, account int64) error {
	return s.update(ctx, func(tx *Tx) error {
		if err := tx.exec(`DELETE FROM recovery_code WHERE account_id = ?`, account); err != nil {
			return err
		}
		return tx.exec(`UPDATE account SET totp_secret = NULL, totp_on = 0, totp_step = 0 WHERE id = ?`, account)
	})
}

// UseTOTPStep marks a time step as used. ErrConflict: it, or a later one, was
// used before; a code works once.
func (s *Store) UseTOTPStep(ctx context.Context, account, step int64) error {
	err := s.mustChange(ctx, `UPDATE account SET totp_step = ?1 WHERE id = ?2 AND totp_step < ?1`, step, account)
	if err == ErrNotFound { //nolint:errorlint // mustChange returns it bare
		return ErrConflict
	}
	return err
}

// UseRecoveryCode uses up a recovery code. ErrNotFound: there is no such code.
func (s *Store) UseRecoveryCode(ctx context.Context, account int64, hash []byte) error {
	return s.mustChange(ctx, `DELETE FROM recovery_code WHERE account_id = ? AND code_hash = ?`, account, hash)
}
