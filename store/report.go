package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Report is what somebody told the moderators.
type Report struct {
	ID, Reporter         int64
	Kind, Target, Reason string
	CreatedAt            int64 // ms; set when it is stored
	// What was copied of a reported message.
	Sender      int64
	Content     string
	MessageTime int64 // ms
	// How it ended; ResolvedAt 0: it is open.
	ResolvedAt               int64
	ResolvedBy, Action, Note string
}

const reportColumns = `id, reporter_id, kind, target, reason, created_at, sender_id, content, message_time, resolved_at, resolved_by, action, note`

func scanReport(r scanner) (Report, error) {
	var p Report
	err := r.Scan(&p.ID, &p.Reporter, &p.Kind, &p.Target, &p.Reason, &p.CreatedAt, &p.Sender, &p.Content, &p.MessageTime,
		&p.ResolvedAt, &p.ResolvedBy, &p.Action, &p.Note)
	return p, err
}

// CreateReport stores a report. When the reporter has an open one of the same
// target, that one is answered and nothing is stored.
func (s *Store) CreateReport(ctx context.Context, p Report) (Report, error) {
	var out Report
	err := s.update(ctx, func(tx *Tx) error {
		old, err := scanReport(tx.row(`SELECT `+reportColumns+` FROM report
			WHERE reporter_id = ? AND kind = ? AND target = ? AND resolved_at = 0`, p.Reporter, p.Kind, p.Target))
		if !errors.Is(err, sql.ErrNoRows) {
			out = old
			return err
		}
		out = p
		out.CreatedAt = tx.now
		res, err := tx.execResult(`INSERT INTO report (reporter_id, kind, target, reason, created_at, sender_id, content, message_time)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, p.Reporter, p.Kind, p.Target, p.Reason, tx.now, p.Sender, p.Content, p.MessageTime)
		if err != nil {
			return err
		}
		out.ID, err = res.LastInsertId()
		return err
	})
	return out, err
}

// Reports lists open or resolved reports with an id above after, oldest first,
// at most limit.
func (s *Store) Reports(ctx context.Context, open bool, after int64, limit int) ([]Report, error) {
	query := `SELECT ` + reportColumns + ` FROM report WHERE resolved_at > 0 AND id > ? ORDER BY id LIMIT ?`
	if open {
		query = `SELECT ` + reportColumns + ` FROM report WHERE resolved_at = 0 AND id > ? ORDER BY id LIMIT ?`
	}
	rows, err := s.viewRows(ctx, query, after, limit)
	return collect(rows, err, scanReport)
}

// ReportsBy lists what one user reported, oldest first.
func (s *Store) ReportsBy(ctx context.Context, user int64) ([]Report, error) {
	rows, err := s.viewRows(ctx, `SELECT `+reportColumns+` FROM report WHERE reporter_id = ? ORDER BY id`, user)
	return collect(rows, err, scanReport)
}

// ForgetReports deletes reports that were resolved longer ago than age, with what
// was copied of messages, at most limit of them. It answers how many went.
func (s *Store) ForgetReports(ctx context.Context, age time.Duration, limit int) (int, error) {
	n := 0
	err := s.update(ctx, func(tx *Tx) error {
		gone, err := tx.changed(`DELETE FROM report WHERE id IN (SELECT id FROM report WHERE resolved_at > 0 AND resolved_at < ? LIMIT ?)`,
			tx.now-age.Milliseconds(), limit)
		n = int(gone)
		return err
	})
	return n, err
}

// ResolveReport ends a report and answers it. Errors: ErrNotFound; ErrConflict
// (it was resolved before).
func (s *Store) ResolveReport(ctx context.Context, id int64, by, action, note string) (Report, error) {
	var out Report
	err := s.update(ctx, func(tx *Tx) error {
		var err error
		if out, err = scanReport(tx.row(`SELECT `+reportColumns+` FROM report WHERE id = ?`, id)); err != nil {
			return err
		}
		if out.ResolvedAt != 0 {
			return ErrConflict
		}
		out.ResolvedAt, out.ResolvedBy, out.Action, out.Note = tx.now, by, action, note
		return tx.exec(`UPDATE report SET resolved_at = ?, resolved_by = ?, action = ?, note = ? WHERE id = ?`, tx.now, by, action, note, id)
	})
	return out, err
}
