package video

import (
	"context"
	"strconv"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	noticePage = 30
	maxTold    = 20_000 // users that wait to be told; more look by themselves
)

// noticeTexts are what a person reads, by the kind of notice.
var noticeTexts = map[string]string{
	store.NoticeLike: "noticeLike", store.NoticeComment: "noticeComment", store.NoticeReply: "noticeReply",
	store.NoticeFollow: "noticeFollow", store.NoticeMention: "noticeMention", store.NoticeLive: "noticeLive",
}

// NoticeText is a notice in a language.
func NoticeText(language string, n store.Notice, actor string) string {
	if n.Kind == store.NoticeSystem {
		return protocol.RenderSystem(language, n.Text)
	}
	return protocol.Text(language, noticeTexts[n.Kind], actor)
}

// tell has the clients of the users told soon.
func (s *Service) tell(list ...store.Notice) {
	if s.deps.Notify == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range list {
		if _, waits := s.told[n.User]; n.ID != 0 && (waits || len(s.told) < maxTold) {
			s.told[n.User] = n
		}
	}
}

// sendNotices tells each user of the newest notice.
func (s *Service) sendNotices(ctx context.Context, told map[int64]store.Notice) {
	for user, n := range told {
		if s.deps.Online != nil && !s.deps.Online(user) {
			continue
		}
		to, err := s.store.Account(ctx, user)
		if err != nil {
			continue // the notice is in the list all the same
		}
		actor, err := s.store.Account(ctx, n.Actor)
		if err != nil && n.Actor != 0 {
			continue
		}
		language := protocol.LanguageOf(to.Language, s.cfg.Load().Language)
		s.deps.Notify(user, protocol.Notice{Kind: protocol.NoticeText, Id: strconv.FormatInt(n.ID, 10), Text: NoticeText(language, n, actor.Nickname)})
	}
}

// Notices is a page of the caller's notices, newest first, behind the one with
// the id cursor. next is the cursor of the next page, 0 at the end.
func (s *Service) Notices(ctx context.Context, c Caller, cursor int64) (list []store.NoticeShown, unread, next int64, err error) {
	if list, err = s.store.Notices(ctx, c.User, cursor, noticePage); err != nil {
		return nil, 0, 0, err
	}
	if len(list) == noticePage {
		next = list[len(list)-1].ID
	}
	unread, err = s.store.UnreadNotices(ctx, c.User)
	return list, unread, next, err
}

// ReadNotices marks the caller's notices up to an id as read, 0 all.
func (s *Service) ReadNotices(ctx context.Context, c Caller, upTo int64) error {
	if err := s.take(c); err != nil {
		return err
	}
	return videoError(s.store.ReadNotices(ctx, c.User, upTo))
}
