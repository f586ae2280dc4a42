package store

import (
	"context"
	"database/sql"
	"errors"
)

// Kinds of notices.
const (
	NoticeLike    = "like"
	NoticeComment = "comment"
	NoticeReply   = "reply"
	NoticeFollow  = "follow"
	NoticeMention = "mention"
	NoticeLive    = "live"
	NoticeSystem  = "system"
)

// Notice is something that a user is told.
type Notice struct {
	ID, User  int64
	Kind      string
	Actor     int64 // who did it
	Video     int64 // 0 none
	Comment   int64 // 0 none
	Text      string
	Read      bool
	CreatedAt int64
}

// Each user's newest notices are kept. What is beyond goes when about every
// trimEvery-th is written, which spares the others the look.
const (
	noticesKept = 1000
	trimEvery   = 64
)

// notify stores a notice and answers it; ID is 0 when there is nothing to tell:
// people are not told of themselves, of those they blocked, or twice of the same
// like.
func (tx *Tx) notify(n Notice) (Notice, error) {
	if n.User == n.Actor || n.User == BuiltInAccount {
		return Notice{}, nil
	}
	if n.Actor != 0 {
		rel, err := tx.relation(n.Actor, n.User)
		if err != nil || rel.blockedByPeer {
			return Notice{}, err
		}
	}
	n.CreatedAt = tx.now
	res, err := tx.execResult(`INSERT INTO notice (user_id, kind, actor_id, video_id, comment_id, text, created_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		n.User, n.Kind, n.Actor, n.Video, n.Comment, n.Text, n.CreatedAt)
	if err != nil {
		return Notice{}, err
	}
	if added, err := res.RowsAffected(); err != nil || added == 0 {
		return Notice{}, err
	}
	if n.ID, err = res.LastInsertId(); err != nil {
		return Notice{}, err
	}
	if n.ID%trimEvery == 0 {
		err = tx.exec(`DELETE FROM notice WHERE user_id = ?1 AND id <= (SELECT id FROM notice WHERE user_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`, n.User, noticesKept)
	}
	return n, err
}

// Notify stores notices that other features have for users, and answers those
// that were stored.
func (s *Store) Notify(ctx context.Context, list []Notice) ([]Notice, error) {
	var out []Notice
	err := s.update(ctx, func(tx *Tx) error {
		out = nil
		for _, n := range list {
			n, err := tx.notify(n)
			if err != nil {
				return err
			}
			if n.ID != 0 {
				out = append(out, n)
			}
		}
		return nil
	})
	return out, err
}

// NotifyVideo tells users that they are mentioned in the title of a video, if
// they may see it.
func (s *Store) NotifyVideo(ctx context.Context, video int64, users []int64) ([]Notice, error) {
	var out []Notice
	err := s.update(ctx, func(tx *Tx) error {
		out = nil
		v, err := tx.video(video)
		if err != nil {
			return err
		}
		out, err = tx.mention(users, Notice{Kind: NoticeMention, Actor: v.Owner, Video: video})
		return err
	})
	return out, err
}

// mention tells each of users who may see the notice's video.
func (tx *Tx) mention(users []int64, n Notice) ([]Notice, error) {
	var out []Notice
	for _, u := range users {
		visible, err := tx.seesVideo(u, n.Video)
		if err != nil {
			return nil, err
		}
		if !visible {
			continue
		}
		n.User = u
		stored, err := tx.notify(n)
		if err != nil {
			return nil, err
		}
		if stored.ID != 0 {
			out = append(out, stored)
		}
	}
	return out, nil
}

// seesVideo says whether an account may see a video.
func (tx *Tx) seesVideo(viewer, video int64) (bool, error) {
	var visible bool
	err := tx.row(`SELECT `+videoVisible+` AND EXISTS (SELECT 1 FROM account WHERE id = ?1 AND deleted_at = 0)
		FROM video v JOIN account a ON a.id = v.owner_id WHERE v.id = ?3`, viewer, tx.now, video).Scan(&visible)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return visible, err
}

// NoticeShown is a notice with what it is about. Video is the zero value when it
// is about none.
type NoticeShown struct {
	Notice
	Account Account // who did it
	Video   Video
	Comment string // its text, "" none or deleted
}

// noticeVisible is whether the user ?1 may still see what the notice n is about at
// the time ?2; the query joins its video v and the account a of its owner.
const noticeVisible = `(n.video_id = 0 OR v.id IS NOT NULL AND ` + videoVisible + `)`

// Notices lists a user's notices, newest first, behind the one with the id
// before (0: from the newest). Those about videos that the user may not see any
// more are left out.
func (s *Store) Notices(ctx context.Context, user, before int64, limit int) ([]NoticeShown, error) {
	if before <= 0 {
		before = 1 << 62
	}
	rows, err := s.viewRows(ctx, `SELECT n.id, n.user_id, n.kind, n.actor_id, n.video_id, n.comment_id, n.text, n.read, n.created_at,
		coalesce(v.id, 0), coalesce(v.owner_id, 0), coalesce(v.key, ''), coalesce(v.title, ''), coalesce(v.visibility, 0), coalesce(o.content, ''),
		coalesce(p.id, 0), coalesce(p.nickname, ''), coalesce(p.avatar, ''), coalesce(p.version, 0), coalesce(p.username, '')
		FROM notice n LEFT JOIN video v ON v.id = n.video_id LEFT JOIN account a ON a.id = v.owner_id
		LEFT JOIN comment o ON o.id = n.comment_id LEFT JOIN account p ON p.id = n.actor_id
		WHERE n.user_id = ?1 AND n.id < ?3 AND `+noticeVisible+` ORDER BY n.id DESC LIMIT ?4`,
		user, s.now().UnixMilli(), before, limit)
	return collect(rows, err, func(r scanner) (NoticeShown, error) {
		var n NoticeShown
		v, p := &n.Video, &n.Account
		err := r.Scan(&n.ID, &n.User, &n.Kind, &n.Actor, &n.Notice.Video, &n.Notice.Comment, &n.Text, &n.Read, &n.CreatedAt,
			&v.ID, &v.Owner, &v.Key, &v.Title, &v.Visibility, &n.Comment, &p.ID, &p.Nickname, &p.Avatar, &p.Version, &p.Username)
		return n, err
	})
}

// maxUnread bounds what is counted as unread.
const maxUnread = 1000

// UnreadNotices counts what a user has not read of what Notices lists.
func (s *Store) UnreadNotices(ctx context.Context, user int64) (int64, error) {
	var n int64
	err := s.viewRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM notice n LEFT JOIN video v ON v.id = n.video_id LEFT JOIN account a ON a.id = v.owner_id
		WHERE n.user_id = ?1 AND n.read = 0 AND `+noticeVisible+` LIMIT ?3)`, user, s.now().UnixMilli(), maxUnread).Scan(&n)
	return n, mapError(err)
}

// ReadNotices marks a user's notices up to an id as read, 0 all.
func (s *Store) ReadNotices(ctx context.Context, user, upTo int64) error {
	if upTo <= 0 {
		upTo = 1 << 62
	}
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`UPDATE notice SET read = 1 WHERE user_id = ? AND id <= ? AND read = 0`, user, upTo)
	})
}
