package store

import (
	"context"
	"strings"
	"time"
)

// AuditEntry is one change that an operator or moderator made.
type AuditEntry struct {
	ID                            int64 // set when it is stored
	Time                          int64 // ms; set when it is stored
	Actor, Action, Target, Detail string
}

// Audit stores an entry.
func (s *Store) Audit(ctx context.Context, e AuditEntry) error {
	return s.update(ctx, func(tx *Tx) error { return tx.audit(e.Actor, e.Action, e.Target, e.Detail) })
}

// audit stores an entry as a part of the change it is about.
func (tx *Tx) audit(actor, action, target, detail string) error {
	return tx.exec(`INSERT INTO audit (time, actor, action, target, detail) VALUES (?, ?, ?, ?, ?)`, tx.now, actor, action, target, detail)
}

// ForgetAudit deletes what is older than age or has more than most newer entries,
// the oldest first, at most limit of them. It answers how many went.
func (s *Store) ForgetAudit(ctx context.Context, age time.Duration, most int64, limit int) (int, error) {
	n := 0
	err := s.update(ctx, func(tx *Tx) error {
		gone, err := tx.changed(`DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?)
			AND (time < ? OR id <= (SELECT max(id) FROM audit) - ?)`, limit, tx.now-age.Milliseconds(), most)
		n = int(gone)
		return err
	})
	return n, err
}

// AuditFilter selects entries.
type AuditFilter struct {
	Action string // what their action begins with; "" all
	Before int64  // id of the last entry of the page before; 0: from the newest
	Limit  int
}

// AuditEntries lists entries, newest first.
func (s *Store) AuditEntries(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	if f.Before <= 0 {
		f.Before = 1 << 62
	}
	prefix := strings.TrimPrefix(likePattern(f.Action), "%")
	rows, err := s.viewRows(ctx, `SELECT id, time, actor, action, target, detail FROM audit WHERE id < ? AND action LIKE ? ESCAPE '\' ORDER BY id DESC LIMIT ?`,
		f.Before, prefix, f.Limit)
	return collect(rows, err, func(r scanner) (AuditEntry, error) {
		var e AuditEntry
		err := r.Scan(&e.ID, &e.Time, &e.Actor, &e.Action, &e.Target, &e.Detail)
		return e, err
	})
}
