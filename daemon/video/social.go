package video

import (
	"context"
	"errors"
	"strconv"
	"time"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	gridPage   = 12  // wire.md 5
	maxPage    = 500 // of a grid
	listLength = 500 // of the lists of people

	sharesPerHour = 10 // of one video by one user
	playAgain     = 10 * time.Second
)

// offset is where a page of a grid begins; false beyond the last that is shown.
func offset(page int) (int, bool) {
	page = max(page, 1)
	return (page - 1) * gridPage, page <= maxPage
}

// By lists the videos of a user that the caller may see, newest first; page
// counts from 1.
func (s *Service) By(ctx context.Context, c Caller, user int64, page int) ([]Clip, error) {
	if user == store.BuiltInAccount && page <= 1 {
		clip, err := s.sample(ctx, c.User)
		return []Clip{clip}, err
	}
	from, ok := offset(page)
	if !ok {
		return nil, nil
	}
	return s.store.VideosBy(ctx, c.User, user, from, gridPage)
}

// Supported lists the videos that a user likes and the caller may see.
func (s *Service) Supported(ctx context.Context, c Caller, user int64, page int) ([]Clip, error) {
	from, ok := offset(page)
	if !ok {
		return nil, nil
	}
	return s.store.SupportedBy(ctx, c.User, user, from, gridPage)
}

// Collected lists the videos that the caller collected; nobody else may know.
// Code: CodeForbidden.
func (s *Service) Collected(ctx context.Context, c Caller, user int64, page int) ([]Clip, error) {
	if user != c.User || c.User == 0 {
		return nil, protocol.Errorf(protocol.CodeForbidden, "forbidden")
	}
	from, ok := offset(page)
	if !ok {
		return nil, nil
	}
	return s.store.CollectedBy(ctx, user, from, gridPage)
}

// Created is the number of a user's videos: for themselves with those that only
// they see, because the app pages by it.
func (s *Service) Created(ctx context.Context, c Caller, a store.Account) (int64, error) {
	if c.User != a.ID {
		return Listed(a), nil
	}
	n, err := s.store.PrivateVideos(ctx, a.ID)
	return Listed(a) + n, err
}

// Listed is how many videos of an account others may find: those that its counter
// knows, and the sample, which is in no table, of the built-in account.
func Listed(a store.Account) int64 {
	if a.ID == store.BuiltInAccount {
		return a.CreateVideoNum + 1
	}
	return a.CreateVideoNum
}

// Support makes the caller like a video, or not any more. Codes: CodeUnknown,
// CodeTooOften, CodeNoRoom.
func (s *Service) Support(ctx context.Context, c Caller, id int64, on bool) error {
	if err := s.take(c); err != nil || id == SampleID {
		return err
	}
	changed, note, err := s.store.Support(ctx, c.User, id, on)
	if err == nil && changed {
		s.count(id, store.VideoCounts{})
		s.tell(note)
	}
	return videoError(err)
}

// Collect puts a video into the caller's collection, or takes it out.
func (s *Service) Collect(ctx context.Context, c Caller, id int64, on bool) error {
	if err := s.take(c); err != nil || id == SampleID {
		return err
	}
	changed, err := s.store.Collect(ctx, c.User, id, on)
	if err == nil && changed {
		s.count(id, store.VideoCounts{})
	}
	return videoError(err)
}

// Share counts that the caller shared a video. Codes: CodeUnknown, CodeTooOften.
func (s *Service) Share(ctx context.Context, c Caller, id int64) error {
	if err := s.take(c); err != nil || id == SampleID {
		return err
	}
	if _, err := s.Info(ctx, c, id); err != nil {
		return err
	}
	if wait := s.shares.Take(c.key()+" "+strconv.FormatInt(id, 10), sharesPerHour); wait > 0 {
		return protocol.TooOften(wait)
	}
	s.count(id, store.VideoCounts{Shares: 1})
	return nil
}

// Played counts that the caller watched a video for a time, which is no more than
// the video is long. A video counts once in ten seconds; what comes between is
// taken and not counted. Codes: CodeUnknown, CodeBadValue.
func (s *Service) Played(ctx context.Context, c Caller, id, watchMS int64) error {
	if watchMS < 0 {
		return badValue("WatchMs", "badNumber", "0", "86400000")
	}
	if err := s.take(c); err != nil || id == SampleID {
		return err
	}
	v, err := s.Info(ctx, c, id)
	if err != nil {
		return err
	}
	if s.plays.Take(c.key()+" "+strconv.FormatInt(id, 10), 1) > 0 {
		return nil
	}
	s.count(id, store.VideoCounts{Plays: 1, WatchMS: min(watchMS, v.DurationMS)})
	return nil
}

// NotInterested keeps a video out of the caller's feed.
func (s *Service) NotInterested(ctx context.Context, c Caller, id int64) error {
	if err := s.take(c); err != nil || id == SampleID {
		return err
	}
	if _, err := s.Info(ctx, c, id); err != nil {
		return err
	}
	v, _, _, err := s.look(ctx, c)
	if err != nil {
		return err
	}
	if err := s.store.SetNotInterested(ctx, c.User, id); err != nil {
		return videoError(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.not = append(v.not, id)
	if over := len(v.not) - store.VideosKept; over > 0 {
		v.not = v.not[over:]
	}
	return nil
}

// ToggleFollow makes the caller follow a user, or not any more, and answers how
// it is then. Codes: CodeBadValue (oneself), CodeUnknown, CodeForbidden (the user
// blocked the caller), CodeTooOften.
func (s *Service) ToggleFollow(ctx context.Context, c Caller, user int64) (bool, error) {
	if err := s.take(c); err != nil {
		return false, err
	}
	if user == c.User {
		return false, protocol.Errorf(protocol.CodeBadValue, "followSelf")
	}
	following, note, err := s.store.ToggleFollow(ctx, c.User, user)
	if errors.Is(err, store.ErrNotFound) {
		return false, protocol.Errorf(protocol.CodeUnknown, "noSuchUser")
	}
	if err == nil {
		s.tell(note)
	}
	return following, videoError(err)
}

// Follows lists whom the caller follows, Fans who follows them, Supporters who
// liked their videos; newest first, all on page 1: the app crashes on any other
// (wire.md 17 K10).
func (s *Service) Follows(ctx context.Context, c Caller) ([]store.Person, error) {
	return s.store.Follows(ctx, c.User, listLength)
}

// Fans lists who follows the caller.
func (s *Service) Fans(ctx context.Context, c Caller) ([]store.Person, error) {
	return s.store.Fans(ctx, c.User, listLength)
}

// Supporters lists who liked the caller's videos.
func (s *Service) Supporters(ctx context.Context, c Caller) ([]store.Person, error) {
	return s.store.Supporters(ctx, c.User, listLength)
}

// count gathers counts of a video. Its score is worked out again in any case.
func (s *Service) count(id int64, c store.VideoCounts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.counts[id]
	s.counts[id] = store.VideoCounts{Shares: old.Shares + c.Shares, Plays: old.Plays + c.Plays, WatchMS: old.WatchMS + c.WatchMS}
}

// flushPart is how many videos or viewers one write takes: others wait for it.
const flushPart = 200

// Flush writes what was gathered and sends what is to be told. What cannot be
// written is kept for the next time.
func (s *Service) Flush(ctx context.Context) error {
	s.mu.Lock()
	counts, seen, told := s.counts, s.seen, s.told
	s.counts, s.seen, s.told = map[int64]store.VideoCounts{}, map[int64][]store.SeenVideo{}, map[int64]store.Notice{}
	s.mu.Unlock()
	s.sendNotices(ctx, told)
	err := inParts(counts, func(part map[int64]store.VideoCounts) error { return s.store.AddVideoCounts(ctx, part) })
	for id, c := range counts { // what is left
		s.count(id, c)
	}
	err2 := inParts(seen, func(part map[int64][]store.SeenVideo) error { return s.store.SaveSeen(ctx, part) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for viewer, list := range seen {
		s.seen[viewer] = append(list, s.seen[viewer]...)
	}
	return errors.Join(err, err2)
}

// inParts hands parts of m to write and takes what was written out of m.
func inParts[V any](m map[int64]V, write func(part map[int64]V) error) error {
	for len(m) > 0 {
		part := make(map[int64]V, flushPart)
		for k, v := range m {
			if len(part) == flushPart {
				break
			}
			part[k] = v
		}
		if err := write(part); err != nil {
			return err
		}
		for k := range part {
			delete(m, k)
		}
	}
	return nil
}
