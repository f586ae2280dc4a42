package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
)

// Who may see a video.
const (
	VideoPublic    = 0
	VideoFollowers = 1 // its owner's fans, but for those the owner blocked
	VideoPrivate   = 2 // its owner
)

// States of a video. Only what is ready is shown.
const (
	VideoQueued     = 0
	VideoProcessing = 1
	VideoReady      = 2
	VideoFailed     = 3
	VideoReview     = 4 // processed, waits for a moderator
	VideoHidden     = 5 // by a moderator
)

// Video is a short video.
type Video struct {
	ID, Owner  int64
	Title      string
	Key        string // directory of its files; "" until known
	Visibility int
	State      int
	Reason     string // why it failed or was hidden
	Attempts   int    // how often its processing was begun

	Width, Height int
	DurationMS    int64
	SizeBytes     int64
	BitRateKbps   int64
	SourceHash    string
	SourceName    string
	Replacement   string // hash of the uploaded file that takes the place of its own, once processed
	Ladder        bool   // the master playlist is there

	SupportNum, CollectNum, ShareNum, CommentNum, PlayNum int64
	WatchMS                                               int64

	CreatedAt, PublishedAt, DeletedAt int64
}

// listed says whether others may find the video: then it counts among its
// owner's, and the search knows it.
func (v *Video) listed() bool {
	return v.State == VideoReady && v.Visibility != VideoPrivate && v.DeletedAt == 0
}

// videoColumns are read by scanVideo; the query names video as v.
const videoColumns = `v.id, v.owner_id, v.title, v.key, v.visibility, v.state, v.reason, v.attempts, v.width, v.height, v.duration_ms,
	v.size_bytes, v.bit_rate_kbps, v.source_hash, v.source_name, v.support_num, v.collect_num, v.share_num, v.comment_num, v.play_num,
	v.watch_ms, v.created_at, v.published_at, v.deleted_at, v.replacement, v.ladder`

func (v *Video) fields() []any {
	return []any{
		&v.ID, &v.Owner, &v.Title, &v.Key, &v.Visibility, &v.State, &v.Reason, &v.Attempts, &v.Width, &v.Height, &v.DurationMS,
		&v.SizeBytes, &v.BitRateKbps, &v.SourceHash, &v.SourceName, &v.SupportNum, &v.CollectNum, &v.ShareNum, &v.CommentNum, &v.PlayNum,
		&v.WatchMS, &v.CreatedAt, &v.PublishedAt, &v.DeletedAt, &v.Replacement, &v.Ladder,
	}
}

func scanVideo(row scanner) (Video, error) {
	var v Video
	err := row.Scan(v.fields()...)
	return v, err
}

// videoVisible is whether viewer ?1 (0: a guest) may see video v of account a
// at the time ?2. Nobody is shown the videos of those they blocked.
const videoVisible = `v.state = 2 AND v.deleted_at = 0 AND a.deleted_at = 0 AND a.banned_until <= ?2 AND (v.owner_id = ?1 OR
	(v.visibility = 0 OR v.visibility = 1 AND EXISTS (SELECT 1 FROM follow WHERE fan_id = ?1 AND master_id = v.owner_id)
		AND NOT EXISTS (SELECT 1 FROM block WHERE user_id = v.owner_id AND peer_id = ?1))
	AND NOT EXISTS (SELECT 1 FROM block WHERE user_id = ?1 AND peer_id = v.owner_id))`

// VideoShown is a video as a viewer sees it.
type VideoShown struct {
	Video
	Account   Account // the owner
	Follows   bool    // the viewer follows the owner, or is the owner
	Supported bool    // the viewer likes it
	Collected bool
}

// shownColumns are read by scanShown; ?1 is the viewer.
const shownColumns = videoColumns + `, v.owner_id = ?1 OR EXISTS (SELECT 1 FROM follow WHERE fan_id = ?1 AND master_id = v.owner_id),
	EXISTS (SELECT 1 FROM video_support WHERE user_id = ?1 AND video_id = v.id),
	EXISTS (SELECT 1 FROM video_collect WHERE user_id = ?1 AND video_id = v.id), ` + accountColumns

func scanShown(row scanner) (VideoShown, error) {
	var v VideoShown
	var err error
	v.Account, err = scanAccount(row, append(v.fields(), &v.Follows, &v.Supported, &v.Collected)...)
	return v, err
}

// NewVideo is what an upload writes.
type NewVideo struct {
	Owner                  int64
	Title                  string
	Tags                   []string // as written; doubles count once
	Visibility             int
	SizeBytes              int64
	SourceHash, SourceName string
	UploadID               string // of a resumable upload, "" none; one that is known answers its video
	Quota                  int64  // most that the owner's videos may take, bytes; 0 no limit
	Imported               bool   // by an administrator; see ImportedVideo
}

// videoByUpload finds what a resumable upload became, deleted or not.
const videoByUpload = `SELECT ` + videoColumns + ` FROM video v WHERE v.upload_id = ? AND v.upload_id <> '' AND v.owner_id = ?`

// CreateVideo notes a video that is to be processed (VideoQueued). ErrQuota.
func (s *Store) CreateVideo(ctx context.Context, n NewVideo) (Video, error) {
	var out Video
	err := s.update(ctx, func(tx *Tx) error {
		if n.UploadID != "" {
			var err error
			if out, err = scanVideo(tx.row(videoByUpload, n.UploadID, n.Owner)); !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		if err := tx.quota(n.Owner, n.SizeBytes, n.Quota); err != nil {
			return err
		}
		res, err := tx.execResult(`INSERT INTO video (owner_id, title, visibility, size_bytes, source_hash, source_name, created_at, upload_id)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, n.Owner, n.Title, n.Visibility, n.SizeBytes, n.SourceHash, n.SourceName, tx.now, n.UploadID)
		if err != nil {
			return err
		}
		id, err := res.LastInsertId()
		if err != nil {
			return err
		}
		if err := tx.setTags(id, n.Tags); err != nil {
			return err
		}
		if n.Imported {
			if err := tx.noteImport(n.Owner, n.SourceHash, n.Title, id); err != nil {
				return err
			}
		}
		out, err = tx.video(id)
		return err
	})
	return out, err
}

const videoByID = `SELECT ` + videoColumns + ` FROM video v WHERE v.id = ? AND v.deleted_at = 0`

func (tx *Tx) video(id int64) (Video, error) { return scanVideo(tx.row(videoByID, id)) }

// Video finds a video that was not deleted, whatever its state.
func (s *Store) Video(ctx context.Context, id int64) (Video, error) {
	v, err := scanVideo(s.viewRow(ctx, videoByID, id))
	return v, mapError(err)
}

// VideoBySource finds a video of owner that was made, with this title, of a file
// with this hash that it still has, and did not fail.
func (s *Store) VideoBySource(ctx context.Context, owner int64, hash, title string) (Video, error) {
	v, err := scanVideo(s.viewRow(ctx, `SELECT `+videoColumns+` FROM video v
		WHERE v.source_hash = ? AND v.source_hash <> '' AND v.deleted_at = 0 AND v.owner_id = ? AND v.title = ? AND v.state <> 3 ORDER BY v.id LIMIT 1`,
		hash, owner, title))
	return v, mapError(err)
}

// VideoUploadedSince finds the newest video of owner that was uploaded after a time
// (ms) with this title and visibility as a file with this hash, that it still has,
// and did not fail.
func (s *Store) VideoUploadedSince(ctx context.Context, owner int64, hash, title string, visibility int, since int64) (Video, error) {
	v, err := scanVideo(s.viewRow(ctx, `SELECT `+videoColumns+` FROM video v WHERE v.source_hash = ? AND v.source_hash <> '' AND v.deleted_at = 0
		AND v.owner_id = ? AND v.title = ? AND v.visibility = ? AND v.created_at > ? AND v.state <> 3 ORDER BY v.id DESC LIMIT 1`,
		hash, owner, title, visibility, since))
	return v, mapError(err)
}

// changeVideo lets f change a video that was not deleted, and keeps the counters,
// the score and the search in step with it.
func (s *Store) changeVideo(ctx context.Context, id int64, f func(tx *Tx, v *Video) error) (Video, error) {
	var out Video
	err := s.update(ctx, func(tx *Tx) error {
		old, err := tx.video(id)
		if err != nil {
			return err
		}
		out = old
		if err := f(tx, &out); err != nil {
			return err
		}
		return tx.saveVideo(old, &out)
	})
	return out, err
}

func (tx *Tx) saveVideo(old Video, v *Video) error {
	if v.State == VideoReady && v.PublishedAt == 0 {
		v.PublishedAt = tx.now
	}
	if err := tx.exec(`UPDATE video SET title = ?, key = ?, visibility = ?, state = ?, reason = ?, attempts = ?, width = ?, height = ?,
		duration_ms = ?, size_bytes = ?, bit_rate_kbps = ?, published_at = ?, replacement = ? WHERE id = ?`, v.Title, v.Key, v.Visibility, v.State, v.Reason,
		v.Attempts, v.Width, v.Height, v.DurationMS, v.SizeBytes, v.BitRateKbps, v.PublishedAt, v.Replacement, v.ID); err != nil {
		return err
	}
	if v.PublishedAt != old.PublishedAt {
		if err := tx.exec(`UPDATE video SET score = `+videoScore+` WHERE id = ?`, v.ID); err != nil {
			return err
		}
	}
	if err := tx.countVideo(v.Owner, old.listed(), v.listed()); err != nil {
		return err
	}
	if v.listed() != old.listed() || v.listed() && v.Title != old.Title {
		return tx.indexVideo(v)
	}
	return nil
}

// countVideo keeps the number of videos that others may find.
func (tx *Tx) countVideo(owner int64, before, after bool) error {
	switch {
	case before == after:
		return nil
	case after:
		return tx.exec(`UPDATE account SET create_video_num = create_video_num + 1 WHERE id = ?`, owner)
	}
	return tx.exec(`UPDATE account SET create_video_num = max(create_video_num - 1, 0) WHERE id = ?`, owner)
}

// StartVideo notes that the processing of a video begins once more. What a moderator
// hid stays hidden.
func (s *Store) StartVideo(ctx context.Context, id int64) (Video, error) {
	return s.changeVideo(ctx, id, func(_ *Tx, v *Video) error {
		if v.State != VideoHidden {
			v.State, v.Reason = VideoProcessing, ""
		}
		v.Attempts++
		return nil
	})
}

// VideoResult is what processing made of an upload.
type VideoResult struct {
	Hash          string // of the uploaded file it was made of
	Key           string
	Width, Height int
	DurationMS    int64
	SizeBytes     int64
	BitRateKbps   int64
	Review        bool // a moderator looks first
}

// FinishVideo notes that a video was processed; unless it is to be reviewed it is
// shown from now on. A moderator's decision stands: what was hidden meanwhile
// stays hidden. ErrConflict: the key belongs to another video, or another file was
// uploaded meanwhile.
func (s *Store) FinishVideo(ctx context.Context, id int64, r VideoResult) (Video, error) {
	return s.changeVideo(ctx, id, func(tx *Tx, v *Video) error {
		if v.SourceHash != r.Hash {
			return ErrConflict
		}
		var taken bool
		if err := tx.row(`SELECT EXISTS (SELECT 1 FROM video WHERE key = ?1 AND key <> '' AND id <> ?2)`, r.Key, id).Scan(&taken); err != nil {
			return err
		}
		if taken {
			return ErrConflict
		}
		v.Key, v.Width, v.Height, v.DurationMS, v.SizeBytes, v.BitRateKbps = r.Key, r.Width, r.Height, r.DurationMS, r.SizeBytes, r.BitRateKbps
		switch {
		case v.State == VideoHidden:
		case r.Review && v.PublishedAt == 0:
			v.State, v.Reason = VideoReview, ""
		default:
			v.State, v.Reason = VideoReady, ""
		}
		return nil
	})
}

// SetVideoState fails, hides, shows or queues a video, for processing and for
// moderators.
func (s *Store) SetVideoState(ctx context.Context, id int64, state int, reason string) (Video, error) {
	return s.changeVideo(ctx, id, func(_ *Tx, v *Video) error {
		if state == VideoReady && v.Key == "" {
			return ErrConflict // there is nothing to show
		}
		if state == VideoQueued {
			v.Attempts, v.Replacement = 0, ""
		}
		v.State, v.Reason = state, reason
		return nil
	})
}

// VideoEdit changes what its fields point to.
type VideoEdit struct {
	Title      *string
	Visibility *int
	Tags       *[]string
}

// EditVideo changes a video of owner. Errors: ErrNotFound, ErrForbidden (it is
// somebody else's).
func (s *Store) EditVideo(ctx context.Context, owner, id int64, e VideoEdit) (Video, error) {
	return s.changeVideo(ctx, id, func(tx *Tx, v *Video) error {
		if v.Owner != owner {
			return ErrForbidden
		}
		if e.Title != nil {
			v.Title = *e.Title
		}
		if e.Visibility != nil {
			v.Visibility = *e.Visibility
		}
		if e.Tags != nil {
			return tx.setTags(id, *e.Tags)
		}
		return nil
	})
}

// DeleteVideo removes a video with its likes, its comments and its places in
// collections, all counters included. The row stays, for its files. by must own
// it unless admin; what an admin does is audited. Errors: ErrNotFound,
// ErrForbidden.
func (s *Store) DeleteVideo(ctx context.Context, by int64, admin bool, id int64) (Video, error) {
	var out Video
	err := s.update(ctx, func(tx *Tx) error {
		v, err := tx.video(id)
		if err != nil {
			return err
		}
		if v.Owner != by && !admin {
			return ErrForbidden
		}
		if err := tx.dropVideo(v); err != nil {
			return err
		}
		if v.Owner != by && by != 0 { // the control socket keeps its own record
			if err := tx.audit("user "+itoa(by), "video.delete", "video "+itoa(id), "of user "+itoa(v.Owner)); err != nil {
				return err
			}
		}
		v.DeletedAt = tx.now
		out = v
		return nil
	})
	return out, err
}

func (tx *Tx) dropVideo(v Video) error {
	if err := tx.countVideo(v.Owner, v.listed(), false); err != nil {
		return err
	}
	for _, q := range []struct {
		query string
		args  []any
	}{
		{`UPDATE account SET support_num = max(support_num - ?, 0), collect_num = max(collect_num - ?, 0) WHERE id = ?`,
			[]any{v.SupportNum, v.CollectNum, v.Owner}},
		{`UPDATE account SET collect_video_num = max(collect_video_num - 1, 0) WHERE id IN (SELECT user_id FROM video_collect WHERE video_id = ?)`, []any{v.ID}},
		{`DELETE FROM video_support WHERE video_id = ?`, []any{v.ID}},
		{`DELETE FROM video_collect WHERE video_id = ?`, []any{v.ID}},
		{`DELETE FROM video_tag WHERE video_id = ?`, []any{v.ID}},
		{`DELETE FROM video_search WHERE rowid = ?`, []any{v.ID}},
		{`DELETE FROM notice WHERE video_id = ? AND video_id > 0`, []any{v.ID}},
		{`UPDATE comment SET gone = 1, content = '', reply_num = 0 WHERE video_id = ?`, []any{v.ID}},
		{`UPDATE video SET deleted_at = ?, support_num = 0, collect_num = 0, comment_num = 0, title = '' WHERE id = ?`, []any{tx.now, v.ID}},
	} {
		if err := tx.exec(q.query, q.args...); err != nil {
			return err
		}
	}
	return nil
}

// forgetVideos removes what an account that is deleted made, liked, collected and
// wrote.
func (tx *Tx) forgetVideos(user int64) error {
	rows, err := tx.rows(`SELECT `+videoColumns+` FROM video v WHERE v.owner_id = ? AND v.deleted_at = 0`, user)
	list, err := collect(rows, err, scanVideo)
	if err != nil {
		return err
	}
	for _, v := range list {
		if err := tx.dropVideo(v); err != nil {
			return err
		}
	}
	for _, q := range []string{
		`UPDATE video SET support_num = max(support_num - 1, 0) WHERE id IN (SELECT video_id FROM video_support WHERE user_id = ?)`,
		`UPDATE account SET support_num = max(support_num - (SELECT count(*) FROM video_support WHERE user_id = ?1 AND owner_id = account.id), 0)
			WHERE id IN (SELECT owner_id FROM video_support WHERE user_id = ?1)`,
		`DELETE FROM video_support WHERE user_id = ?`,
		`UPDATE video SET collect_num = max(collect_num - 1, 0) WHERE id IN (SELECT video_id FROM video_collect WHERE user_id = ?)`,
		`UPDATE account SET collect_num = max(collect_num - (SELECT count(*) FROM video_collect WHERE user_id = ?1 AND owner_id = account.id), 0)
			WHERE id IN (SELECT owner_id FROM video_collect WHERE user_id = ?1)`,
		`DELETE FROM video_collect WHERE user_id = ?`,
		`UPDATE account SET collect_video_num = 0 WHERE id = ?`,
		`UPDATE comment SET like_num = max(like_num - 1, 0) WHERE id IN (SELECT comment_id FROM comment_like WHERE user_id = ?)`,
		`DELETE FROM comment_like WHERE user_id = ?`,
		`DELETE FROM notice WHERE user_id = ?`,
		`DELETE FROM video_seen WHERE viewer_id = ?`,
		`DELETE FROM not_interested WHERE user_id = ?`,
		`DELETE FROM account_search WHERE rowid = ?`,
		`DELETE FROM video_import WHERE owner_id = ?`,
	} {
		if err := tx.exec(q, user); err != nil {
			return err
		}
	}
	rows, err = tx.rows(`SELECT `+commentColumns+` FROM comment o WHERE o.user_id = ? AND o.gone = 0`, user)
	comments, err := collect(rows, err, scanComment)
	if err != nil {
		return err
	}
	for _, c := range comments {
		if err := tx.dropComment(c); err != nil {
			return err
		}
	}
	return nil
}

// VideosToClean lists deleted videos whose files are still there, by id.
func (s *Store) VideosToClean(ctx context.Context, limit int) ([]Video, error) {
	rows, err := s.viewRows(ctx, `SELECT `+videoColumns+` FROM video v INDEXED BY video_gone WHERE v.id > 0 AND v.deleted_at > 0 AND v.key <> '' ORDER BY v.id LIMIT ?`, limit)
	return collect(rows, err, scanVideo)
}

// VideoCleaned notes that the files of a deleted video are gone.
func (s *Store) VideoCleaned(ctx context.Context, id int64) error {
	return s.mustChange(ctx, `UPDATE video SET key = '' WHERE id = ? AND deleted_at > 0`, id)
}

// VideosInState lists videos that are not ready, by id behind after.
func (s *Store) VideosInState(ctx context.Context, state int, after int64, limit int) ([]Video, error) {
	rows, err := s.viewRows(ctx, `SELECT `+videoColumns+` FROM video v WHERE v.state = ? AND v.state <> 2 AND v.deleted_at = 0 AND v.id > ? ORDER BY v.id LIMIT ?`,
		state, after, limit)
	return collect(rows, err, scanVideo)
}

// ShownVideo finds a video that viewer may see. ErrNotFound: there is none.
func (s *Store) ShownVideo(ctx context.Context, viewer, id int64) (VideoShown, error) {
	v, err := scanShown(s.viewRow(ctx, `SELECT `+shownColumns+` FROM video v JOIN account a ON a.id = v.owner_id WHERE v.id = ?3 AND `+videoVisible,
		viewer, s.now().UnixMilli(), id))
	return v, mapError(err)
}

// ShownVideos answers those of the videos that viewer may see, in their order.
func (s *Store) ShownVideos(ctx context.Context, viewer int64, ids []int64) ([]VideoShown, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.viewRows(ctx, `SELECT `+shownColumns+` FROM json_each(?3) j CROSS JOIN video v ON v.id = j.value CROSS JOIN account a ON a.id = v.owner_id
		WHERE `+videoVisible+` ORDER BY j.key`, viewer, s.now().UnixMilli(), jsonIDs(ids))
	return collect(rows, err, scanShown)
}

func jsonIDs(ids []int64) string {
	b, _ := json.Marshal(ids) //nolint:errchkjson // numbers
	return string(b)
}

// VideosBy lists what viewer may see of an owner's videos, newest first.
func (s *Store) VideosBy(ctx context.Context, viewer, owner int64, offset, limit int) ([]VideoShown, error) {
	rows, err := s.viewRows(ctx, `SELECT `+shownColumns+` FROM video v INDEXED BY video_owner CROSS JOIN account a ON a.id = v.owner_id
		WHERE v.owner_id = ?3 AND `+videoVisible+` ORDER BY v.published_at DESC, v.id DESC LIMIT ?4 OFFSET ?5`,
		viewer, s.now().UnixMilli(), owner, limit, offset)
	return collect(rows, err, scanShown)
}

// OwnVideos lists all videos of an owner that were not deleted, in any state,
// newest first, behind the one with the id before (0: from the newest).
func (s *Store) OwnVideos(ctx context.Context, owner, before int64, limit int) ([]Video, error) {
	rows, err := s.viewRows(ctx, `SELECT `+videoColumns+` FROM video v INDEXED BY video_owner
		WHERE v.owner_id = ?1 AND v.deleted_at = 0 AND (?2 = 0 OR v.id < ?2) ORDER BY v.id DESC LIMIT ?3`, owner, before, limit)
	return collect(rows, err, scanVideo)
}

// PrivateVideos is how many ready videos of an owner only the owner sees: they
// are not among CreateVideoNum.
func (s *Store) PrivateVideos(ctx context.Context, owner int64) (int64, error) {
	var n int64
	err := s.viewRow(ctx, `SELECT count(*) FROM video WHERE owner_id = ? AND deleted_at = 0 AND state = 2 AND visibility = 2`, owner).Scan(&n)
	return n, mapError(err)
}

// SupportedBy lists the videos that user likes and viewer may see, those liked
// last first.
func (s *Store) SupportedBy(ctx context.Context, viewer, user int64, offset, limit int) ([]VideoShown, error) {
	rows, err := s.viewRows(ctx, `SELECT `+shownColumns+` FROM video_support s CROSS JOIN video v ON v.id = s.video_id CROSS JOIN account a ON a.id = v.owner_id
		WHERE s.user_id = ?3 AND `+videoVisible+` ORDER BY s.created_at DESC, s.video_id DESC LIMIT ?4 OFFSET ?5`,
		viewer, s.now().UnixMilli(), user, limit, offset)
	return collect(rows, err, scanShown)
}

// CollectedBy lists the videos that user collected and still may see, newest
// first.
func (s *Store) CollectedBy(ctx context.Context, user int64, offset, limit int) ([]VideoShown, error) {
	rows, err := s.viewRows(ctx, `SELECT `+shownColumns+` FROM video_collect s CROSS JOIN video v ON v.id = s.video_id CROSS JOIN account a ON a.id = v.owner_id
		WHERE s.user_id = ?1 AND `+videoVisible+` ORDER BY s.created_at DESC, s.video_id DESC LIMIT ?3 OFFSET ?4`,
		user, s.now().UnixMilli(), limit, offset)
	return collect(rows, err, scanShown)
}

// setTags replaces the tags of a video.
func (tx *Tx) setTags(video int64, names []string) error {
	if err := tx.exec(`DELETE FROM video_tag WHERE video_id = ?`, video); err != nil {
		return err
	}
	var keys []string
	for _, name := range names {
		key := FoldName(name)
		if key == "" || slices.Contains(keys, key) {
			continue
		}
		keys = append(keys, key)
		id, err := tx.tag(key, name)
		if err != nil {
			return err
		}
		if err := tx.exec(`INSERT INTO video_tag (tag_id, video_id) VALUES (?, ?)`, id, video); err != nil {
			return err
		}
	}
	return nil
}

// tag finds or makes a tag.
func (tx *Tx) tag(key, name string) (int64, error) {
	var id int64
	err := tx.row(`SELECT id FROM tag WHERE key = ?`, key).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	res, err := tx.execResult(`INSERT INTO tag (key, name) VALUES (?, ?)`, key, name)
	if err != nil {
		return 0, err
	}
	if id, err = res.LastInsertId(); err != nil {
		return 0, err
	}
	return id, tx.index(tagSearch, id, name)
}

// VideoTags lists the tags of a video.
func (s *Store) VideoTags(ctx context.Context, id int64) ([]string, error) {
	rows, err := s.viewRows(ctx, `SELECT t.name FROM video_tag g CROSS JOIN tag t ON t.id = g.tag_id WHERE g.video_id = ? ORDER BY t.id`, id)
	return collect(rows, err, scanText)
}

func scanText(r scanner) (string, error) {
	var t string
	err := r.Scan(&t)
	return t, err
}
