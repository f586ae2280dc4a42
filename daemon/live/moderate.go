package live

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"gtiv/daemon/filter"
	"gtiv/protocol"
	"gtiv/store"
)

const (
	maxTitle      = 60 // characters
	maxCover      = 500
	maxMute       = 366 * 24 * time.Hour
	maxSlow       = 3600 // seconds
	maxWords      = 200
	maxWord       = 40 // characters
	maxModerators = 50
	maxNamed      = 10 // in a notice
)

// Create makes the caller's live room, or opens it again. Everybody has one:
// while it is open, a second call answers it as it is.
func (s *Service) Create(ctx context.Context, c Caller, title, cover string) (int64, error) {
	title, err := checkTitle(title)
	if err == nil {
		err = checkCover(cover)
	}
	if err == nil {
		err = s.takeSend(c)
	}
	if err == nil {
		title, err = s.mayShow(ctx, c, title)
	}
	if err == nil {
		err = s.checkMayOwn(ctx, c)
	}
	if err != nil {
		return 0, err
	}
	done := make(chan struct{})
	changed := false
	r, err := s.store.CreateLive(ctx, c.User, title, cover, func(r store.LiveRoom) {
		changed = true
		s.hand(event{room: r.ID, done: done, change: func(r *room) { r.closed = false }})
	})
	if err != nil {
		return 0, liveError(err)
	}
	if changed {
		s.await(ctx, done)
	}
	return r.ID, nil
}

// checkMayOwn refuses who may not stream. Code: CodeForbidden.
func (s *Service) checkMayOwn(ctx context.Context, c Caller) error {
	may, err := s.mayOwn(ctx, c.User)
	if err == nil && !may {
		err = protocol.Errorf(protocol.CodeForbidden, "liveNotAllowed")
	}
	return err
}

// mayShow is a title as the whole site may see it, which is a text like others.
func (s *Service) mayShow(ctx context.Context, c Caller, title string) (string, error) {
	if err := s.oldEnough(ctx, c); err != nil {
		return "", err
	}
	if s.deps.Censor == nil {
		return title, nil
	}
	return s.deps.Censor(title)
}

func checkTitle(title string) (string, error) {
	title = strings.TrimSpace(title)
	if n := utf8.RuneCountInString(title); n < 1 || n > maxTitle {
		return "", badValue("Title", "usernameLength", "1", strconv.Itoa(maxTitle))
	}
	if !utf8.ValidString(title) || strings.ContainsFunc(title, unicode.IsControl) {
		return "", badValue("Title", "badText")
	}
	if !protocol.ShowsSomething(title) {
		return "", badValue("Title", "nothingToSee")
	}
	return title, nil
}

// checkCover lets only web addresses through: others load the picture.
func checkCover(cover string) error {
	if cover == "" {
		return nil
	}
	u, err := url.Parse(cover)
	if err != nil || len(cover) > maxCover || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
		strings.ContainsFunc(cover, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }) {
		return badValue("Cover", "badURL")
	}
	return nil
}

// act has something done in a room, and returns once the readers are told and
// it holds.
func (s *Service) act(ctx context.Context, c Caller, a store.LiveAction, change func(*room), do func(context.Context, store.LiveAction) error) error {
	if err := s.takeSend(c); err != nil {
		return err
	}
	return s.counted(ctx, c, a, change, do)
}

// counted is act for what was counted already.
func (s *Service) counted(ctx context.Context, c Caller, a store.LiveAction, change func(*room), do func(context.Context, store.LiveAction) error) error {
	done := make(chan struct{})
	a.Actor, a.Type = c.User, int(protocol.TypeInvited)
	a.OnCommit = func(notice store.LiveMessage) {
		s.hand(event{room: a.Room, message: notice, change: change, done: done})
	}
	if err := do(ctx, a); err != nil {
		return liveError(err)
	}
	s.await(ctx, done)
	return nil
}

// notice is a server text as it is stored.
func notice(key string, args ...string) string {
	return protocol.SystemText{Key: key, Args: args}.Encode()
}

// Edit changes title and cover; what is empty stays.
func (s *Service) Edit(ctx context.Context, c Caller, room int64, title, cover string) error {
	if title != "" {
		var err error
		if title, err = checkTitle(title); err != nil {
			return err
		}
	}
	if err := checkCover(cover); err != nil {
		return err
	}
	if err := s.takeSend(c); err != nil {
		return err
	}
	title, err := s.mayShow(ctx, c, title)
	if err != nil {
		return err
	}
	a := store.LiveAction{Room: room, Rank: store.LiveOwner}
	if c.Role >= store.RoleAdmin {
		a.Action, a.Detail = "live.edit", title
	}
	return s.counted(ctx, c, a, nil, func(ctx context.Context, a store.LiveAction) error { return s.store.EditLive(ctx, a, title, cover) })
}

// Close ends a room: its readers are told and put out.
func (s *Service) Close(ctx context.Context, c Caller, id int64) error {
	a := store.LiveAction{Room: id, Rank: store.LiveOwner, Action: "live.close", Notice: notice("liveClosed")}
	if err := s.act(ctx, c, a, func(r *room) {
		s.end(r)
	}, s.store.CloseLive); err != nil {
		return err
	}
	s.offAir(id)
	return nil
}

// end puts the readers out of a room. What was said until then is not shown to
// those of the next time.
func (s *Service) end(r *room) {
	r.closed, r.ring, r.frames = true, nil, nil
	s.deps.Disband(r.id)
}

// DeleteMessage removes a message for good, and from the screens of the
// readers. Its author may, and moderators.
func (s *Service) DeleteMessage(ctx context.Context, c Caller, id int64, serverMsgID string) error {
	target, err := uuid.Parse(serverMsgID)
	if err != nil {
		return protocol.Errorf(protocol.CodeUnknown, "noSuchMessage")
	}
	serverMsgID = target.String() // as the readers know it
	if _, err := s.store.Live(ctx, id); err != nil {
		return liveError(err)
	}
	a := store.LiveAction{Room: id, Rank: store.LiveModerator, Action: "live.delete", Detail: serverMsgID}
	err = s.act(ctx, c, a, func(r *room) {
		r.drop(serverMsgID)
		s.deps.Publish(id, s.deletion(c, id, serverMsgID))
	}, func(ctx context.Context, a store.LiveAction) error {
		err := s.store.DeleteLiveMessage(ctx, a, serverMsgID)
		if errors.Is(err, store.ErrNotFound) {
			return protocol.Errorf(protocol.CodeUnknown, "noSuchMessage")
		}
		return err
	})
	return err
}

// deletion is the frame that takes a message from the screens.
func (s *Service) deletion(c Caller, id int64, serverMsgID string) Frame {
	m := store.LiveMessage{
		Room: id, From: c.User, Type: int(protocol.TypeRecall), ServerMsgID: newID(), Time: s.now().UnixMilli(),
	}
	return Frame{Op: protocol.RoomOp(id), Body: body(m, serverMsgID)}
}

// Mute keeps a user from writing in a room for a time; 0 is for ever.
func (s *Service) Mute(ctx context.Context, c Caller, id, user int64, d time.Duration) error {
	if d < 0 || d > maxMute {
		return badValue("Seconds", "badNumber", "0", strconv.Itoa(int(maxMute.Seconds())))
	}
	target, err := s.person(ctx, user)
	if err != nil {
		return err
	}
	until, text := int64(store.LiveForever), notice("liveMutedForever", target.Nickname)
	seconds := strconv.Itoa(int(d.Seconds()))
	switch {
	case d == time.Second:
		text = notice("liveMutedSecond", target.Nickname)
	case d == time.Minute:
		text = notice("liveMutedMinute", target.Nickname)
	case d > 0 && d%time.Minute == 0:
		text = notice("liveMutedMinutes", target.Nickname, strconv.Itoa(int(d.Minutes())))
	case d > 0:
		text = notice("liveMuted", target.Nickname, seconds)
	}
	if d > 0 {
		until = s.now().Add(d).UnixMilli()
	}
	a := store.LiveAction{Room: id, Target: user, Rank: store.LiveModerator, Action: "live.mute", Detail: seconds + " s", Notice: text}
	if d == 0 {
		a.Detail = "for ever"
	}
	return s.act(ctx, c, a, nil, func(ctx context.Context, a store.LiveAction) error { return s.store.MuteLive(ctx, a, until) })
}

// Unmute lets a user write again. CodeUnknown also when they may already.
func (s *Service) Unmute(ctx context.Context, c Caller, id, user int64) error {
	target, err := s.person(ctx, user)
	if err != nil {
		return err
	}
	if _, err := s.store.Live(ctx, id); err != nil {
		return liveError(err)
	}
	a := store.LiveAction{
		Room: id, Target: user, Rank: store.LiveModerator, Action: "live.unmute", Notice: notice("liveUnmuted", target.Nickname),
	}
	return s.act(ctx, c, a, nil, func(ctx context.Context, a store.LiveAction) error {
		err := s.store.UnmuteLive(ctx, a)
		if errors.Is(err, store.ErrNotFound) {
			return protocol.Errorf(protocol.CodeUnknown, "liveNotMuted")
		}
		return err
	})
}

// person finds an account that somebody can be.
func (s *Service) person(ctx context.Context, user int64) (store.Account, error) {
	a, err := s.store.Account(ctx, user)
	if errors.Is(err, store.ErrNotFound) || err == nil && (a.DeletedAt != 0 || a.ID == store.BuiltInAccount) {
		return a, protocol.Errorf(protocol.CodeUnknown, "noSuchUser")
	}
	if err != nil {
		return a, fmt.Errorf("find user: %w", err)
	}
	return a, nil
}

// SetSlow sets the seconds that everybody must wait between two messages; the
// owner and moderators need not.
func (s *Service) SetSlow(ctx context.Context, c Caller, id int64, seconds int) error {
	if seconds < 0 || seconds > maxSlow {
		return badValue("Seconds", "badNumber", "0", strconv.Itoa(maxSlow))
	}
	text := notice("liveSlow", strconv.Itoa(seconds))
	switch seconds {
	case 0:
		text = notice("liveSlowOff")
	case 1:
		text = notice("liveSlowSecond")
	}
	a := store.LiveAction{Room: id, Rank: store.LiveModerator, Action: "live.slow", Detail: strconv.Itoa(seconds) + " s", Notice: text}
	return s.act(ctx, c, a, func(r *room) { r.slow = time.Duration(seconds) * time.Second },
		func(ctx context.Context, a store.LiveAction) error { return s.store.SetLiveSlow(ctx, a, seconds) })
}

// SetWords replaces what nobody may write in a room: a list with line breaks or
// commas between.
func (s *Service) SetWords(ctx context.Context, c Caller, id int64, list string) error {
	words, err := splitWords(list)
	if err != nil {
		return err
	}
	a := store.LiveAction{Room: id, Rank: store.LiveModerator, Action: "live.words", Detail: strconv.Itoa(len(words)) + " words"}
	return s.act(ctx, c, a, func(r *room) { r.words = filter.New(words) },
		func(ctx context.Context, a store.LiveAction) error { return s.store.SetLiveWords(ctx, a, words) })
}

func splitWords(list string) ([]string, error) {
	words := []string{}
	for w := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' || r == '，' }) {
		if w = store.FoldName(w); w == "" {
			continue
		}
		if utf8.RuneCountInString(w) > maxWord {
			return nil, badValue("Words", "usernameLength", "1", strconv.Itoa(maxWord))
		}
		words = append(words, w)
	}
	slices.Sort(words)
	words = slices.Compact(words)
	if len(words) > maxWords {
		return nil, badValue("Words", "tooMany", strconv.Itoa(maxWords))
	}
	return words, nil
}

// Words lists what nobody may write in a room, for those who keep order there.
func (s *Service) Words(ctx context.Context, c Caller, id int64) ([]string, error) {
	r, err := s.store.Live(ctx, id)
	if err != nil {
		return nil, liveError(err)
	}
	rank, err := s.store.LiveRank(ctx, r, c.User)
	if err == nil && rank < store.LiveModerator {
		err = store.ErrForbidden
	}
	if err != nil {
		return nil, liveError(err)
	}
	list, err := s.store.LiveWords(ctx, id)
	return list, liveError(err)
}

// SetModerators replaces a room's moderators: ids with commas between. Only the
// owner may.
func (s *Service) SetModerators(ctx context.Context, c Caller, id int64, list string) error {
	people, err := s.people(ctx, c, list)
	if err != nil {
		return err
	}
	users, ids, set := []int64{}, []string{}, map[int64]bool{}
	for _, p := range people {
		users, ids, set[p.ID] = append(users, p.ID), append(ids, strconv.FormatInt(p.ID, 10)), true
	}
	a := store.LiveAction{
		Room: id, Rank: store.LiveOwner, OwnerOnly: true, Action: "live.moderators", Detail: strings.Join(ids, ","), Notice: naming(people),
	}
	return s.act(ctx, c, a, func(r *room) { r.moderators = set },
		func(ctx context.Context, a store.LiveAction) error { return s.store.SetLiveModerators(ctx, a, users) })
}

// naming is the notice of who the moderators are; of many only the first are
// named, so that it fits a frame.
func naming(people []store.Account) string {
	if len(people) == 0 {
		return notice("liveNoModerators")
	}
	names := []string{}
	for _, p := range people[:min(len(people), maxNamed)] {
		names = append(names, p.Nickname)
	}
	if len(people) > maxNamed {
		names = append(names, "…")
	}
	return notice("liveModerators", strings.Join(names, ", "))
}

// people finds the accounts of a list of ids, each once. The caller is left out.
func (s *Service) people(ctx context.Context, c Caller, list string) ([]store.Account, error) {
	ids := []int64{}
	for f := range strings.SplitSeq(list, ",") {
		if f = strings.TrimSpace(f); f == "" {
			continue
		}
		id, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return nil, badValue("UserIds", "badIdList")
		}
		if id != c.User && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		if len(ids) > maxModerators {
			return nil, badValue("UserIds", "tooMany", strconv.Itoa(maxModerators))
		}
	}
	people := make([]store.Account, 0, len(ids))
	for _, id := range ids {
		a, err := s.person(ctx, id)
		if err != nil {
			return nil, err
		}
		people = append(people, a)
	}
	return people, nil
}

// Moderators lists a room's moderators.
func (s *Service) Moderators(ctx context.Context, v Viewer, id int64) ([]store.Account, error) {
	if err := s.MayWatch(ctx, v, id); err != nil {
		return nil, err
	}
	list, err := s.store.LiveModerators(ctx, id)
	return list, liveError(err)
}
