package video

import (
	"context"
	"errors"
	"fmt"

	"gtiv/protocol"
	"gtiv/store"
)

const commentPage = 20

// Comment writes a comment on a video; replyTo is the comment it answers, 0 none.
// Codes: CodeBadValue, CodeUnknown, CodeForbidden (the owner blocked the caller),
// CodeTooOften, CodeNoRoom.
func (s *Service) Comment(ctx context.Context, c Caller, id int64, content string, replyTo int64) (store.Comment, error) {
	if wait := s.comments.Take(c.key(), s.cfg.Load().CommentsPerMinute); wait > 0 {
		return store.Comment{}, protocol.TooOften(wait)
	}
	content, err := s.checkText("Content", content, 1, maxComment)
	if err != nil {
		return store.Comment{}, err
	}
	if err := s.oldEnough(ctx, c); err != nil {
		return store.Comment{}, err
	}
	mentions, err := s.mentioned(ctx, content)
	if err != nil {
		return store.Comment{}, err
	}
	out, notes, err := s.store.AddComment(ctx, store.NewComment{Video: id, User: c.User, ReplyTo: replyTo, Content: content, Mentions: mentions})
	if err != nil {
		return store.Comment{}, videoError(err)
	}
	s.count(id, store.VideoCounts{})
	s.tell(notes...)
	return out, nil
}

// oldEnough holds new accounts back where the site wants that.
func (s *Service) oldEnough(ctx context.Context, c Caller) error {
	if s.deps.TooNew == nil {
		return nil
	}
	wait, err := s.deps.TooNew(ctx, c.User)
	if err != nil {
		return fmt.Errorf("age of the account: %w", err)
	}
	if wait <= 0 {
		return nil
	}
	return protocol.TooNew(wait)
}

// Comments is a page of the comments on a video, newest first, or of the replies
// to a comment, oldest first. next is the cursor of the next page, 0 at the end.
// Code: CodeUnknown.
func (s *Service) Comments(ctx context.Context, c Caller, id, comment, cursor int64) (list []store.CommentShown, next int64, err error) {
	if _, err := s.Info(ctx, c, id); err != nil {
		return nil, 0, err
	}
	if comment == 0 {
		list, err = s.store.Comments(ctx, c.User, id, cursor, commentPage)
	} else {
		list, err = s.store.Replies(ctx, c.User, id, comment, max(cursor, 0), commentPage)
	}
	if err == nil && len(list) == commentPage {
		next = list[len(list)-1].ID
	}
	return list, next, err
}

// DeleteComment removes a comment: its author may, the owner of the video, and
// system administrators. Codes: CodeUnknown, CodeForbidden, CodeTooOften.
func (s *Service) DeleteComment(ctx context.Context, c Caller, id int64) error {
	if err := s.take(c); err != nil {
		return err
	}
	gone, err := s.store.DeleteComment(ctx, c.User, c.admin(), id)
	if err != nil {
		return commentError(err)
	}
	s.count(gone.Video, store.VideoCounts{})
	return nil
}

// LikeComment makes the caller like a comment, or not any more.
func (s *Service) LikeComment(ctx context.Context, c Caller, id int64, on bool) error {
	if err := s.take(c); err != nil {
		return err
	}
	_, err := s.store.LikeComment(ctx, c.User, id, on)
	return commentError(err)
}

func commentError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		err = store.ErrNoComment
	}
	return videoError(err)
}
