package video

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	searchPage   = 20
	maxQuery     = 64 // characters
	trendingTags = 20
	trendWindow  = 7 * 24 * time.Hour
	trendAge     = time.Minute
)

// Found is a page of what was looked for: one of the lists.
type Found struct {
	Users  []store.Account
	Videos []Clip
	Tags   []store.Tag
	Next   int64 // cursor of the next page, 0 at the end
}

// Search finds users, videos or tags. Codes: CodeBadValue, CodeTooOften.
func (s *Service) Search(ctx context.Context, c Caller, kind, q string, cursor int64) (Found, error) {
	var f Found
	if wait := s.searches.Take(c.key(), s.cfg.Load().SearchesPerMinute); wait > 0 {
		return f, protocol.TooOften(wait)
	}
	if q = strings.TrimSpace(q); q == "" || utf8.RuneCountInString(q) > maxQuery {
		return f, badValue("Q", "textLength", "1", itoa(maxQuery))
	}
	var err error
	switch kind {
	case "users":
		f.Users, f.Next, err = s.searchUsers(ctx, q, cursor)
	case "videos":
		f.Videos, f.Next, err = s.store.SearchVideos(ctx, c.User, q, cursor, searchPage)
	case "tags":
		f.Tags, f.Next, err = s.store.SearchTags(ctx, strings.TrimLeft(q, "#＃"), cursor, searchPage)
	default:
		err = badValue("Kind", "badSearchKind")
	}
	return f, err
}

// searchUsers puts whoever has exactly this user name first.
func (s *Service) searchUsers(ctx context.Context, q string, cursor int64) ([]store.Account, int64, error) {
	list, next, err := s.store.SearchAccounts(ctx, q, cursor, searchPage)
	if err != nil {
		return nil, 0, err
	}
	exact, err := s.store.AccountByName(ctx, strings.TrimLeft(q, "@＠"))
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && (exact.DeletedAt != 0 || exact.ID == store.BuiltInAccount):
		return list, next, nil // nobody is called so
	case err != nil:
		return nil, 0, err
	}
	list = slices.DeleteFunc(list, func(a store.Account) bool { return a.ID == exact.ID })
	if cursor <= 0 {
		list = append([]store.Account{exact}, list...)
	}
	return list, next, nil
}

// Tagged is a page of the videos with a tag, newest first.
func (s *Service) Tagged(ctx context.Context, c Caller, tag string, cursor int64) (list []Clip, next int64, err error) {
	tag = strings.TrimLeft(strings.TrimSpace(tag), "#＃")
	if tag == "" || utf8.RuneCountInString(tag) > maxTagRunes {
		return nil, 0, badValue("Tag", "textLength", "1", itoa(maxTagRunes))
	}
	return s.store.TaggedVideos(ctx, c.User, tag, cursor, gridPage)
}

// trend is what was found last. mu is held while it is read again: that is
// seldom, and who waits gets the new one.
type trend struct {
	mu   sync.Mutex
	list []store.Tag
	at   time.Time
}

// Trending are the tags that were used most in the last week.
func (s *Service) Trending(ctx context.Context) ([]store.Tag, error) {
	s.trend.mu.Lock()
	defer s.trend.mu.Unlock()
	now := s.now()
	if !s.trend.at.IsZero() && now.Sub(s.trend.at) < trendAge {
		return s.trend.list, nil
	}
	list, err := s.store.TrendingTags(ctx, now.Add(-trendWindow).UnixMilli(), trendingTags)
	if err == nil {
		s.trend.list, s.trend.at = list, now
	}
	return list, err
}
