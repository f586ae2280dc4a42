package store

import (
	"context"
	"strconv"
	"time"
)

// States of a recording.
const (
	RecordingRuns   = 0
	RecordingDone   = 1
	RecordingFailed = 2 // there is no file
)

// Recording is a recording of a live stream, one file.
type Recording struct {
	ID, Room, Owner int64
	Title           string // of the room, at the beginning
	Format          string // "mp4" or "flv"
	State           int
	Reason          string // text key: why it ended early, or failed
	Began, Ended    int64  // ms
	DurationMS      int64
	Bytes           int64
	Video           int64 // the short video it was published as, 0 none
	DeletedAt       int64
}

// Key is the path of its file among those of all recordings.
func (r Recording) Key() string {
	return strconv.FormatInt(r.Room, 10) + "/" + r.Name()
}

// Name is the name of its file.
func (r Recording) Name() string {
	return time.UnixMilli(r.Began).UTC().Format("20060102-150405") + "-" + strconv.FormatInt(r.ID, 10) + "." + r.Format
}

const recordingColumns = `o.id, o.room_id, o.owner_id, o.title, o.format, o.state, o.reason, o.began, o.ended, o.duration_ms, o.bytes, o.video_id, o.deleted_at`

func scanRecording(row scanner) (Recording, error) {
	var r Recording
	err := row.Scan(&r.ID, &r.Room, &r.Owner, &r.Title, &r.Format, &r.State, &r.Reason, &r.Began, &r.Ended, &r.DurationMS, &r.Bytes, &r.Video, &r.DeletedAt)
	return r, err
}

// LiveRecord answers in which format a room's streams are recorded, "" not at all.
// ErrNotFound.
func (s *Store) LiveRecord(ctx context.Context, room int64) (string, error) {
	var format string
	err := s.viewRow(ctx, `SELECT record FROM live_room WHERE id = ?`, room).Scan(&format)
	return format, mapError(err)
}

// SetLiveRecord sets in which format a room's streams are recorded from now on, for
// its owner, or with owner 0 for whoever may do all. ErrNotFound, ErrForbidden
// (somebody else's room).
func (s *Store) SetLiveRecord(ctx context.Context, owner, room int64, format string) error {
	return s.update(ctx, func(tx *Tx) error {
		r, err := tx.live(room)
		if err != nil {
			return err
		}
		if owner != 0 && r.Owner != owner {
			return ErrForbidden
		}
		return tx.exec(`UPDATE live_room SET record = ?1 WHERE id = ?2 AND record <> ?1`, format, room)
	})
}

// CreateRecording notes that a recording of a room begins, or with a reason that none
// can; that takes the place of the same reason before. ErrQuota: its owner has as many as one may have.
func (s *Store) CreateRecording(ctx context.Context, room int64, format, reason string, most int) (Recording, error) {
	var out Recording
	err := s.update(ctx, func(tx *Tx) error {
		r, err := tx.live(room)
		if err != nil {
			return err
		}
		var have int
		if err := tx.row(`SELECT count(*) FROM recording INDEXED BY recording_owner WHERE owner_id = ? AND deleted_at = 0`, r.Owner).Scan(&have); err != nil {
			return err
		}
		if have >= most {
			return ErrQuota
		}
		state, ended := RecordingRuns, int64(0)
		if reason != "" {
			state, ended = RecordingFailed, tx.now
			if err := tx.exec(dropFailures, room, reason); err != nil {
				return err
			}
		}
		res, err := tx.execResult(`INSERT INTO recording (room_id, owner_id, title, format, state, reason, began, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			room, r.Owner, r.Title, format, state, reason, tx.now, ended)
		if err != nil {
			return err
		}
		id, err := res.LastInsertId()
		if err != nil {
			return err
		}
		out, err = scanRecording(tx.row(recordingByID, id))
		return err
	})
	return out, err
}

// dropFailures makes room for another failure for the same reason: a stream that is
// published again and again must not fill the list.
const dropFailures = `DELETE FROM recording WHERE room_id = ? AND deleted_at = 0 AND state = 2 AND bytes = 0 AND reason = ?`

const recordingByID = `SELECT ` + recordingColumns + ` FROM recording o WHERE o.id = ? AND o.deleted_at = 0`

// Recording finds a recording that was not deleted.
func (s *Store) Recording(ctx context.Context, id int64) (Recording, error) {
	r, err := scanRecording(s.viewRow(ctx, recordingByID, id))
	return r, mapError(err)
}

// RecordingGrew notes how long a recording is by now.
func (s *Store) RecordingGrew(ctx context.Context, id, bytes, durationMS int64) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`UPDATE recording SET bytes = ?, duration_ms = ? WHERE id = ? AND state = 0`, bytes, durationMS, id)
	})
}

// EndRecording notes how a recording that runs ended. One without a file is failed,
// or with no reason for it never was. One that was deleted meanwhile stays deleted.
// ErrNotFound.
func (s *Store) EndRecording(ctx context.Context, id, bytes, durationMS int64, reason string) error {
	return s.update(ctx, func(tx *Tx) error {
		if bytes == 0 && reason == "" {
			return tx.exec(`DELETE FROM recording WHERE id = ? AND state = 0`, id)
		}
		state := RecordingDone
		if bytes == 0 {
			state = RecordingFailed
			r, err := scanRecording(tx.row(recordingByID, id))
			if err != nil {
				return err
			}
			if err := tx.exec(dropFailures, r.Room, reason); err != nil {
				return err
			}
		}
		return tx.exec(`UPDATE recording SET state = ?, reason = ?, bytes = ?, duration_ms = ?, ended = ? WHERE id = ? AND state = 0`,
			state, reason, bytes, durationMS, tx.now, id)
	})
}

// LoseRecording notes that the file of a recording is not there.
func (s *Store) LoseRecording(ctx context.Context, id int64, reason string) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`UPDATE recording SET state = 2, reason = ?, bytes = 0, ended = CASE WHEN ended = 0 THEN ? ELSE ended END WHERE id = ?`, reason, tx.now, id)
	})
}

// PublishRecording notes as which short video a recording was published.
func (s *Store) PublishRecording(ctx context.Context, id, video int64) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`UPDATE recording SET video_id = ? WHERE id = ?`, video, id)
	})
}

// Recordings lists the recordings of a room, or with room 0 all, newest first, behind
// the one with the id before (0: from the newest).
func (s *Store) Recordings(ctx context.Context, room, before int64, limit int) ([]Recording, error) {
	if before <= 0 {
		before = 1 << 62
	}
	if room == 0 {
		rows, err := s.viewRows(ctx, `SELECT `+recordingColumns+` FROM recording o WHERE o.deleted_at = 0 AND o.id < ? ORDER BY o.id DESC LIMIT ?`, before, limit)
		return collect(rows, err, scanRecording)
	}
	rows, err := s.viewRows(ctx, `SELECT `+recordingColumns+` FROM recording o INDEXED BY recording_room
		WHERE o.room_id = ? AND o.deleted_at = 0 AND o.id < ? ORDER BY o.id DESC LIMIT ?`, room, before, limit)
	return collect(rows, err, scanRecording)
}

// RecordingBytes is how much the recordings of an account take.
func (s *Store) RecordingBytes(ctx context.Context, owner int64) (int64, error) {
	var n int64
	err := s.viewRow(ctx, `SELECT coalesce(sum(bytes), 0) FROM recording INDEXED BY recording_owner WHERE owner_id = ? AND deleted_at = 0`, owner).Scan(&n)
	return n, mapError(err)
}

// RunningRecordings lists recordings that have not ended, by id behind after.
func (s *Store) RunningRecordings(ctx context.Context, after int64, limit int) ([]Recording, error) {
	rows, err := s.viewRows(ctx, `SELECT `+recordingColumns+` FROM recording o INDEXED BY recording_running
		WHERE o.state = 0 AND o.deleted_at = 0 AND o.id > ? ORDER BY o.id LIMIT ?`, after, limit)
	return collect(rows, err, scanRecording)
}

// DeleteRecording marks a recording, whose file is to be removed. Errors: ErrNotFound.
func (s *Store) DeleteRecording(ctx context.Context, id int64) error {
	return s.mustChange(ctx, `UPDATE recording SET deleted_at = unixepoch() * 1000 WHERE id = ? AND deleted_at = 0`, id)
}

// ExpireRecordings deletes recordings that ended before cutoff (ms), oldest first, at
// most limit, and answers how many.
func (s *Store) ExpireRecordings(ctx context.Context, cutoff int64, limit int) (int, error) {
	n := int64(0)
	err := s.update(ctx, func(tx *Tx) (err error) {
		n, err = tx.changed(`UPDATE recording SET deleted_at = ?1 WHERE id IN (SELECT id FROM recording INDEXED BY recording_ended
			WHERE state > 0 AND deleted_at = 0 AND ended < ?2 ORDER BY ended LIMIT ?3)`, tx.now, cutoff, limit)
		return err
	})
	return int(n), err
}

// GoneRecordings lists recordings that were deleted, by id behind after.
func (s *Store) GoneRecordings(ctx context.Context, after int64, limit int) ([]Recording, error) {
	rows, err := s.viewRows(ctx, `SELECT `+recordingColumns+` FROM recording o INDEXED BY recording_gone WHERE o.deleted_at > 0 AND o.id > ? ORDER BY o.id LIMIT ?`, after, limit)
	return collect(rows, err, scanRecording)
}

// ForgetRecording removes the row of a recording that was deleted and has no file any
// more.
func (s *Store) ForgetRecording(ctx context.Context, id int64) error {
	return s.update(ctx, func(tx *Tx) error { return tx.exec(`DELETE FROM recording WHERE id = ? AND deleted_at > 0`, id) })
}

// forgetRecordings deletes the recordings of an account that is deleted.
func (tx *Tx) forgetRecordings(owner int64) error {
	if err := tx.exec(`UPDATE live_room SET record = '' WHERE owner_id = ?`, owner); err != nil {
		return err
	}
	return tx.exec(`UPDATE recording SET deleted_at = ?, title = '-' WHERE owner_id = ? AND deleted_at = 0`, tx.now, owner)
}
