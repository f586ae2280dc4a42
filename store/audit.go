package store

import "context"

// AuditEntry is one change that an operator or moderator made.
type AuditEntry struct {
	Time                          int64 // ms; set when it is stored
	Actor, Action, Target, Detail string
}

// Audit stores an entry.
func (s *Store) Audit(ctx context.Context, e AuditEntry) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.audit(e.Actor, e.Action, e.Target, e.Detail)
	})
}

// audit records a change together with it.
func (tx *Tx) audit(actor, action, target, detail string) error {
	return tx.exec(`INSERT INTO audit (time, actor, action, target, detail) VALUES (?, ?, ?, ?, ?)`, tx.now, actor, action, target, detail)
}

// AuditEntries lists the newest entries, newest first.
func (s *Store) AuditEntries(ctx context.Context, limit int) ([]AuditEntry, error) {
	rows, err := s.viewRows(ctx, `SELECT time, actor, action, target, detail FROM audit ORDER BY id DESC LIMIT ?`, limit)
	return collect(rows, err, func(r scanner) (AuditEntry, error) {
		var e AuditEntry
		err := r.Scan(&e.Time, &e.Actor, &e.Action, &e.Target, &e.Detail)
		return e, err
	})
}
