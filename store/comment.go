package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// ErrNoComment: there is no such comment, or it was deleted.
var ErrNoComment = errors.New("no such comment")

// Comment is a comment on a video, or a reply to one.
type Comment struct {
	ID, Video int64
	Parent    int64 // the comment it belongs to, 0 none
	User      int64
	To        int64 // whom a reply answers
	Content   string
	LikeNum   int64
	ReplyNum  int64
	CreatedAt int64
	Gone      bool // deleted; shown while there are replies
}

const commentColumns = `o.id, o.video_id, o.parent_id, o.user_id, o.to_id, o.content, o.like_num, o.reply_num, o.created_at, o.gone`

func (c *Comment) fields() []any {
	return []any{&c.ID, &c.Video, &c.Parent, &c.User, &c.To, &c.Content, &c.LikeNum, &c.ReplyNum, &c.CreatedAt, &c.Gone}
}

func scanComment(row scanner) (Comment, error) {
	var c Comment
	err := row.Scan(c.fields()...)
	return c, err
}

// NewComment is what commenting writes.
type NewComment struct {
	Video, User int64
	ReplyTo     int64 // a comment, or a reply; 0 none
	Content     string
	Mentions    []int64
}

// AddComment stores a comment and the notices that go with it: to the owner of
// the video, to whom a reply answers, to those mentioned. Nobody gets two.
// Errors: ErrNotFound (the writer may not see the video), ErrForbidden (its owner
// blocked the writer), ErrNoComment (nothing to reply to).
func (s *Store) AddComment(ctx context.Context, n NewComment) (c Comment, notes []Notice, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		var err error
		c, notes, err = tx.addComment(n)
		return err
	})
	return c, notes, err
}

func (tx *Tx) addComment(n NewComment) (Comment, []Notice, error) {
	v, err := tx.video(n.Video)
	if err != nil {
		return Comment{}, nil, err
	}
	if visible, err := tx.seesVideo(n.User, n.Video); err != nil || !visible {
		return Comment{}, nil, errors.Join(err, ErrNotFound)
	}
	if rel, err := tx.relation(n.User, v.Owner); err != nil || rel.blockedByPeer {
		return Comment{}, nil, errors.Join(err, ErrForbidden)
	}
	c := Comment{Video: n.Video, User: n.User, Content: n.Content, CreatedAt: tx.now}
	if n.ReplyTo != 0 {
		to, err := tx.comment(n.ReplyTo)
		if errors.Is(err, sql.ErrNoRows) || err == nil && to.Video != n.Video {
			return Comment{}, nil, ErrNoComment
		}
		if err != nil {
			return Comment{}, nil, err
		}
		c.To, c.Parent = to.User, to.Parent
		if c.Parent == 0 {
			c.Parent = to.ID
		}
	}
	res, err := tx.execResult(`INSERT INTO comment (video_id, parent_id, user_id, to_id, content, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		c.Video, c.Parent, c.User, c.To, c.Content, c.CreatedAt)
	if err != nil {
		return Comment{}, nil, err
	}
	if c.ID, err = res.LastInsertId(); err != nil {
		return Comment{}, nil, err
	}
	if err := tx.exec(`UPDATE video SET comment_num = comment_num + 1 WHERE id = ?`, c.Video); err != nil {
		return Comment{}, nil, err
	}
	if c.Parent != 0 {
		if err := tx.exec(`UPDATE comment SET reply_num = reply_num + 1 WHERE id = ?`, c.Parent); err != nil {
			return Comment{}, nil, err
		}
	}
	notes, err := tx.commentNotices(c, v.Owner, n.Mentions)
	return c, notes, err
}

// commentNotices tells who must know of a comment.
func (tx *Tx) commentNotices(c Comment, owner int64, mentions []int64) ([]Notice, error) {
	n := Notice{Kind: NoticeMention, Actor: c.User, Video: c.Video, Comment: c.ID}
	var out []Notice
	for _, to := range []struct {
		user int64
		kind string
	}{{c.To, NoticeReply}, {owner, NoticeComment}} {
		if to.user == 0 || to.kind == NoticeComment && to.user == c.To {
			continue
		}
		one := n
		one.User, one.Kind = to.user, to.kind
		stored, err := tx.notify(one)
		if err != nil {
			return nil, err
		}
		if stored.ID != 0 {
			out = append(out, stored)
		}
	}
	rest := slices.DeleteFunc(slices.Clone(mentions), func(u int64) bool { return u == owner || u == c.To })
	told, err := tx.mention(rest, n)
	return append(out, told...), err
}

// comment finds a comment that was not deleted.
func (tx *Tx) comment(id int64) (Comment, error) {
	return scanComment(tx.row(`SELECT `+commentColumns+` FROM comment o WHERE o.id = ? AND o.gone = 0`, id))
}

// DeleteComment removes the content of a comment. Its author may, the owner of
// the video, and an admin, which is audited. Errors: ErrNotFound, ErrForbidden.
func (s *Store) DeleteComment(ctx context.Context, by int64, admin bool, id int64) (Comment, error) {
	var out Comment
	err := s.update(ctx, func(tx *Tx) error {
		c, err := tx.comment(id)
		if err != nil {
			return err
		}
		v, err := tx.video(c.Video)
		if err != nil {
			return err
		}
		if c.User != by && v.Owner != by {
			if !admin {
				return ErrForbidden
			}
			if by != 0 {
				if err := tx.audit("user "+itoa(by), "comment.delete", "comment "+itoa(id), "of user "+itoa(c.User)); err != nil {
					return err
				}
			}
		}
		out = c
		return tx.dropComment(c)
	})
	return out, err
}

func (tx *Tx) dropComment(c Comment) error {
	for _, q := range []struct {
		query string
		args  []any
	}{
		{`UPDATE comment SET gone = 1, content = '', like_num = 0 WHERE id = ?`, []any{c.ID}},
		{`DELETE FROM comment_like WHERE comment_id = ?`, []any{c.ID}},
		{`UPDATE comment SET reply_num = max(reply_num - 1, 0) WHERE id = ?`, []any{c.Parent}},
		{`UPDATE video SET comment_num = max(comment_num - 1, 0) WHERE id = ?`, []any{c.Video}},
		{`DELETE FROM notice WHERE user_id IN (?1, (SELECT owner_id FROM video WHERE id = ?2)) AND comment_id = ?3`, []any{c.To, c.Video, c.ID}},
	} {
		if err := tx.exec(q.query, q.args...); err != nil {
			return err
		}
	}
	return nil
}

// LikeComment makes a user like a comment, or not any more. ErrNotFound: the user
// may not see it.
func (s *Store) LikeComment(ctx context.Context, user, id int64, on bool) (changed bool, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		changed = false
		c, err := tx.comment(id)
		if err != nil {
			return err
		}
		if visible, err := tx.seesVideo(user, c.Video); err != nil || !visible {
			return errors.Join(err, ErrNotFound)
		}
		var have bool
		if err := tx.row(`SELECT EXISTS (SELECT 1 FROM comment_like WHERE user_id = ? AND comment_id = ?)`, user, id).Scan(&have); err != nil || have == on {
			return err
		}
		changed = true
		if on {
			if err := tx.exec(`INSERT INTO comment_like (user_id, comment_id) VALUES (?, ?)`, user, id); err != nil {
				return err
			}
			return tx.exec(`UPDATE comment SET like_num = like_num + 1 WHERE id = ?`, id)
		}
		if err := tx.exec(`DELETE FROM comment_like WHERE user_id = ? AND comment_id = ?`, user, id); err != nil {
			return err
		}
		return tx.exec(`UPDATE comment SET like_num = max(like_num - 1, 0) WHERE id = ?`, id)
	})
	return changed, err
}

// CommentShown is a comment as a viewer sees it.
type CommentShown struct {
	Comment
	Account Account // who wrote it
	ToName  string  // nickname of whom it answers
	Liked   bool    // by the viewer
}

const commentShownColumns = commentColumns + `, coalesce((SELECT nickname FROM account WHERE id = o.to_id), ''),
	EXISTS (SELECT 1 FROM comment_like WHERE user_id = ?1 AND comment_id = o.id), ` + accountColumns

// notBlocked leaves out whom the viewer ?1 blocked.
const notBlocked = `NOT EXISTS (SELECT 1 FROM block WHERE user_id = ?1 AND peer_id = o.user_id)`

func scanCommentShown(row scanner) (CommentShown, error) {
	var c CommentShown
	var err error
	c.Account, err = scanAccount(row, append(c.fields(), &c.ToName, &c.Liked)...)
	return c, err
}

// Comments lists the comments on a video, newest first, behind the one with the
// id before (0: from the newest). Deleted ones are shown while they have replies.
func (s *Store) Comments(ctx context.Context, viewer, video, before int64, limit int) ([]CommentShown, error) {
	if before <= 0 {
		before = 1 << 62
	}
	rows, err := s.viewRows(ctx, `SELECT `+commentShownColumns+` FROM comment o INDEXED BY comment_list CROSS JOIN account a ON a.id = o.user_id
		WHERE o.video_id = ?2 AND o.parent_id = 0 AND o.id < ?3 AND (o.gone = 0 OR o.reply_num > 0) AND `+notBlocked+` ORDER BY o.id DESC LIMIT ?4`,
		viewer, video, before, limit)
	return collect(rows, err, scanCommentShown)
}

// Replies lists the replies to a comment, oldest first, behind the one with the
// id after.
func (s *Store) Replies(ctx context.Context, viewer, video, comment, after int64, limit int) ([]CommentShown, error) {
	rows, err := s.viewRows(ctx, `SELECT `+commentShownColumns+` FROM comment o INDEXED BY comment_list CROSS JOIN account a ON a.id = o.user_id
		WHERE o.video_id = ?2 AND o.parent_id = ?3 AND o.id > ?4 AND o.gone = 0 AND `+notBlocked+` ORDER BY o.id LIMIT ?5`,
		viewer, video, comment, after, limit)
	return collect(rows, err, scanCommentShown)
}

// CommentsBy lists all comments of a user that were not deleted, oldest first.
func (s *Store) CommentsBy(ctx context.Context, user int64) ([]Comment, error) {
	rows, err := s.viewRows(ctx, `SELECT `+commentColumns+` FROM comment o WHERE o.user_id = ? AND o.gone = 0 ORDER BY o.id`, user)
	return collect(rows, err, scanComment)
}
