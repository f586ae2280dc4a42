package chat

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gtiv/protocol"
	"gtiv/store"
)

// This file has the rules of groups: who may do what, and the messages that tell
// the others (wire.md 4.4, 10.3-10.8). The store checks rights inside its writes;
// here are the bounds, the words and the answers.

func (c Caller) by() store.By { return store.By{User: c.User, Admin: c.Admin} }

// announce publishes a control message, as from no login session, so that all
// devices of its author hear of it.
func (s *Service) announce(m store.Message) { s.publish(committed{m: m}) }

// note is a control message.
func (s *Service) note(t protocol.MessageType, key string, args ...string) store.NewRoomMessage {
	return store.NewRoomMessage{
		Type: int(t), System: true, Content: protocol.SystemText{Key: key, Args: args}.Encode(), OnCommit: s.announce,
	}
}

// roomError turns the store's sentinels into answers.
func (s *Service) roomError(err error) error {
	if _, ok := errors.AsType[*protocol.Error](err); ok || err == nil {
		return err
	}
	cfg := s.cfg.Load()
	for sentinel, e := range map[error]*protocol.Error{
		store.ErrNotFound:     protocol.Errorf(protocol.CodeUnknown, "noSuchRoom"),
		store.ErrNotMember:    protocol.Errorf(protocol.CodeForbidden, "notMember"),
		store.ErrRole:         protocol.Errorf(protocol.CodeForbidden, "roomRole"),
		store.ErrMuted:        protocol.Errorf(protocol.CodeForbidden, "mutedInRoom"),
		store.ErrRoomFull:     protocol.Errorf(protocol.CodeNoRoom, "userRoomMemberLimit", cfg.RoomMembers),
		store.ErrRemoved:      protocol.Errorf(protocol.CodeForbidden, "removedMember"),
		store.ErrTooManyRooms: protocol.Errorf(protocol.CodeNoRoom, "tooManyRooms", cfg.OwnedRooms),
		store.ErrNotContact:   protocol.Errorf(protocol.CodeForbidden, "notContacts"),
		store.ErrNoUser:       protocol.Errorf(protocol.CodeUnknown, "noSuchMember"),
		store.ErrConflict:     protocol.Errorf(protocol.CodeConflict, "clientMsgIdUsed"),
		store.ErrDiskFull:     {Code: protocol.CodeNoRoom, Key: "diskFull", Err: err},
	} {
		if errors.Is(err, sentinel) {
			return e
		}
	}
	return fmt.Errorf("room: %w", err)
}

// instead answers another text than usual for one sentinel.
func instead(err, sentinel error, code protocol.Code, key string) error {
	if errors.Is(err, sentinel) {
		return protocol.Errorf(code, key)
	}
	return err
}

// Invited is the answer to an invitation.
type Invited struct {
	Room       int64
	Name, Text string
}

// invited is the answer in the form of the app, which writes it into its database
// of groups (wire.md K2).
func (s *Service) invited(c Caller, m store.Message) Invited {
	return Invited{Room: m.Room, Name: m.News.Name, Text: plainQuotes(protocol.TypeInvited, s.plainText(c.Language, m))}
}

const maxInvitees = 2000 // of one call, before doubles are taken out

// ParseIDs reads a list of user ids with commas between them.
func ParseIDs(field, list string) ([]int64, error) {
	var ids []int64
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		id, err := strconv.ParseInt(part, 10, 64)
		if err != nil || id <= 0 || len(ids) >= maxInvitees {
			return nil, badValue(field, "badIDs")
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Invite makes a room (room 0), or invites into one (wire.md 10.3). Doubles and
// members count once.
func (s *Service) Invite(ctx context.Context, c Caller, room int64, invitees []int64, text string) (Invited, error) {
	switch {
	case len(invitees) == 0:
		return Invited{}, protocol.Errorf(protocol.CodeBadValue, "noInvitees")
	case contains(invitees, c.User):
		return Invited{}, protocol.Errorf(protocol.CodeBadValue, "selfInvite")
	}
	if err := s.takeSend(c); err != nil {
		return Invited{}, err
	}
	if room == 0 {
		return s.createRoom(ctx, c, invitees)
	}
	text, err := s.inviteText(ctx, c, room, text)
	if err != nil {
		return Invited{}, err
	}
	m, err := s.store.Invite(ctx, c.by(), room, invitees, func(inviter string, nicknames []string, muted bool) store.NewRoomMessage {
		n := s.note(protocol.TypeInvited, "membersInvited", inviter, joinNames(nicknames))
		n.From = c.User
		// The app writes it in its user's language. Who is muted may invite, but the
		// words are the server's.
		if text != "" && !muted {
			n.System, n.Content = false, text
		}
		return n
	})
	if err != nil {
		err = instead(err, store.ErrConflict, protocol.CodeConflict, "allMembers")
		return Invited{}, s.roomError(instead(err, store.ErrNoUser, protocol.CodeUnknown, "noSuchUser"))
	}
	return s.invited(c, m), nil
}

const maxInviteText = 500 // characters

// inviteText looks at what the inviter's phone says to the group: it is a message
// like others.
func (s *Service) inviteText(ctx context.Context, c Caller, room int64, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	text, err := checkText("Message", text, 0, maxInviteText)
	if err != nil {
		return "", err
	}
	text, err = s.deps.Censor.Apply(text)
	if err != nil {
		return "", err
	}
	return text, s.roomRate(ctx, c, room)
}

func contains(list []int64, v int64) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// maxNames bounds how many are named in one text.
const maxNames = 10

func joinNames(names []string) string {
	if len(names) > maxNames {
		return strings.Join(names[:maxNames], ", ") + " … (" + strconv.Itoa(len(names)) + ")"
	}
	return strings.Join(names, ", ")
}

func (s *Service) createRoom(ctx context.Context, c Caller, invitees []int64) (Invited, error) {
	if err := s.oldEnough(ctx, c); err != nil {
		return Invited{}, err
	}
	cfg := s.cfg.Load()
	if wait := s.creates.Take(strconv.FormatInt(c.User, 10), cfg.RoomsPerHour); wait > 0 {
		return Invited{}, protocol.TooOften(wait)
	}
	first := s.note(protocol.TypeText, "createNewRoom")
	first.From = c.User
	m, err := s.store.CreateRoom(ctx, store.NewRoom{
		Owner: c.User, Invitees: invitees, MemberLimit: cfg.RoomMembers, OwnedLimit: cfg.OwnedRooms, First: first, Strangers: c.Admin,
		Name: func(nick string) string {
			return clipRunes(plainQuotes(protocol.TypeText, protocol.Text(c.Language, "whoseRoom", nick)), cfg.RoomName)
		},
	})
	if err != nil {
		return Invited{}, s.roomError(instead(err, store.ErrNotFound, protocol.CodeUnknown, "noSuchUser"))
	}
	return s.invited(c, m), nil
}

func clipRunes(s string, most int) string {
	r := []rune(s)
	return string(r[:min(len(r), most)])
}

// plainText is the content of a message as a text in a language.
func (s *Service) plainText(language string, m store.Message) string {
	if !m.System {
		return m.Content
	}
	return protocol.RenderSystem(protocol.LanguageOf(language, s.cfg.Load().Language), m.Content)
}

// checkText cleans a text that people write and bounds it, in characters.
func checkText(field, text string, least, most int) (string, error) {
	text, readable := protocol.CleanText(text)
	n := utf8.RuneCountInString(text)
	switch {
	case !readable:
		return "", badValue(field, "badText")
	case n < least || n > most:
		return "", &protocol.Error{
			Code: protocol.CodeBadValue, Key: "badValue",
			Args: []string{field, protocol.TextKey("textLength", strconv.Itoa(least), strconv.Itoa(most))},
		}
	}
	return text, nil
}

// quits remembers who left which room a moment ago: the app then says so itself
// (wire.md 10.4). mu guards m.
type quits struct {
	mu sync.Mutex
	m  map[[2]int64]time.Time
}

const (
	quitMemory = 10 * time.Minute
	maxQuits   = 10_000
)

func (q *quits) add(user, room int64, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.m == nil || len(q.m) >= maxQuits {
		q.m = map[[2]int64]time.Time{}
	}
	q.m[[2]int64{user, room}] = now
}

func (q *quits) recent(user, room int64, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at, ok := q.m[[2]int64{user, room}]
	return ok && now.Sub(at) < quitMemory
}

// QuitRoom takes the caller out of a room. It always succeeds for members: an
// owner is followed by the oldest admin, else the oldest member; the last one
// dissolves the room.
func (s *Service) QuitRoom(ctx context.Context, c Caller, room int64) error {
	if err := s.takeSend(c); err != nil {
		return err
	}
	if err := s.store.Quit(ctx, c.User, room, s.QuitTexts()); err != nil {
		return s.roomError(err)
	}
	s.quits.add(c.User, room, s.now())
	return nil
}

// QuitTexts make what the members of a room are told when one leaves.
func (s *Service) QuitTexts() store.QuitTexts {
	return store.QuitTexts{
		Left: func(nick string) store.NewRoomMessage { return s.note(protocol.TypeLeft, "memberLeft", nick) },
		Heir: func(nick string) store.NewRoomMessage { return s.note(protocol.TypeInvited, "ownerChanged", nick) },
	}
}

// QuitAll takes a user out of all rooms, before the account is deleted.
func (s *Service) QuitAll(ctx context.Context, user int64) error {
	return s.roomError(s.store.QuitAll(ctx, user, s.QuitTexts()))
}

// RemoveMember takes a member with a lower role out of a room.
func (s *Service) RemoveMember(ctx context.Context, c Caller, room, target int64) error {
	if err := s.takeSend(c); err != nil {
		return err
	}
	err := s.store.RemoveMember(ctx, c.by(), room, target, func(_, nick string) store.NewRoomMessage {
		return s.note(protocol.TypeRemoved, "memberRemoved", nick)
	}, s.QuitTexts().Heir)
	return s.roomError(instead(err, store.ErrRole, protocol.CodeForbidden, "canNotRemoveMember"))
}

// banTimes are how long somebody is muted, by the Type of the request less one
// (wire.md 15).
var banTimes = [...]time.Duration{10 * time.Minute, time.Hour, 12 * time.Hour, 24 * time.Hour, 365 * 24 * time.Hour}

// MuteRoom mutes one member, or everybody (target 0), for the time of a ban type.
func (s *Service) MuteRoom(ctx context.Context, c Caller, room, target int64, banType int) error {
	if banType < 1 || banType > len(banTimes) {
		return badValue("Type", "roomBanDuration")
	}
	if err := s.takeSend(c); err != nil {
		return err
	}
	until := s.now().Add(banTimes[banType-1]).UnixMilli()
	_, err := s.store.Mute(ctx, c.by(), room, target, until, func(nick string) store.NewRoomMessage {
		if target == 0 {
			return s.note(protocol.TypeBan, "bannedAll")
		}
		return s.note(protocol.TypeBan, "bannedUser", nick, protocol.TextKey("bannedTimeType"+strconv.Itoa(banType)))
	})
	return s.muteError(c, target, err)
}

// UnmuteRoom lets one member, or everybody (target 0), write again.
func (s *Service) UnmuteRoom(ctx context.Context, c Caller, room, target int64) error {
	if err := s.takeSend(c); err != nil {
		return err
	}
	_, err := s.store.Mute(ctx, c.by(), room, target, 0, func(nick string) store.NewRoomMessage {
		if target == 0 {
			return s.note(protocol.TypeUnban, "relieveBannedAll")
		}
		return s.note(protocol.TypeUnban, "relievedUser", nick, protocol.TextKey("relieveBannedUser"))
	})
	return s.muteError(c, target, err)
}

// muteError says why somebody may not mute, or end a mute.
func (s *Service) muteError(c Caller, target int64, err error) error {
	switch target {
	case 0:
		return s.roomError(err)
	case c.User:
		return s.roomError(instead(err, store.ErrRole, protocol.CodeForbidden, "muteSelf"))
	}
	return s.roomError(instead(err, store.ErrRole, protocol.CodeForbidden, "canNotMuteMember"))
}

// RenameRoom gives a room a new name. An apostrophe is written as another one,
// because it would break the app's database (wire.md K2).
func (s *Service) RenameRoom(ctx context.Context, c Caller, room int64, name string) error {
	name = strings.TrimSpace(strings.ReplaceAll(name, "'", "’"))
	name, err := checkText("Name", name, 1, s.cfg.Load().RoomName)
	switch {
	case err != nil:
		return err
	case strings.ContainsAny(name, "\n\t"):
		return badValue("Name", "badText")
	case !protocol.ShowsSomething(name):
		return badValue("Name", "nothingToSee")
	}
	name, err = s.deps.Censor.Apply(name)
	if err != nil {
		return err
	}
	if err := s.takeSend(c); err != nil {
		return err
	}
	return s.roomError(s.store.SetRoom(ctx, c.by(), room, store.RoomChange{Name: &name}, func(operator string) store.NewRoomMessage {
		return s.note(protocol.TypeRoomName, "roomRenamed", operator, name)
	}))
}

const maxAvatar = 500 // bytes

// SetRoomAvatar changes a room's picture. Anything but a web address is ignored:
// the app names a file on the phone here and sends the address as a message
// (wire.md K9).
func (s *Service) SetRoomAvatar(ctx context.Context, c Caller, room int64, avatar string) error {
	if !isWebURL(avatar) {
		return nil
	}
	if err := s.takeSend(c); err != nil {
		return err
	}
	return s.setAvatar(ctx, c, room, avatar)
}

// setAvatar is SetRoomAvatar for what was counted as a message.
func (s *Service) setAvatar(ctx context.Context, c Caller, room int64, avatar string) error {
	if len(avatar) > maxAvatar || strings.ContainsFunc(avatar, func(r rune) bool { return r <= ' ' || r == '\'' || r == '"' || r == '<' || r == '\\' || r > '~' }) {
		return badValue("Avatar", "badURL")
	}
	return s.roomError(s.store.SetRoom(ctx, c.by(), room, store.RoomChange{Avatar: &avatar}, func(operator string) store.NewRoomMessage {
		return s.note(protocol.TypeRoomAvatar, "roomAvatarChanged", operator, avatar)
	}))
}

func isWebURL(s string) bool {
	return strings.HasPrefix(s, "http://") && len(s) > 7 || strings.HasPrefix(s, "https://") && len(s) > 8
}

// SetRoomNotice changes a room's notice; an empty one removes it.
func (s *Service) SetRoomNotice(ctx context.Context, c Caller, room int64, notice string) error {
	notice = strings.TrimSpace(notice)
	notice, err := checkText("Content", notice, 0, s.cfg.Load().RoomNotice)
	if err != nil {
		return err
	}
	notice, err = s.deps.Censor.Apply(notice)
	if err != nil {
		return err
	}
	if err := s.takeSend(c); err != nil {
		return err
	}
	return s.roomError(s.store.SetRoom(ctx, c.by(), room, store.RoomChange{Notice: &notice}, func(string) store.NewRoomMessage {
		if notice == "" {
			return s.note(protocol.TypeInvited, "noticeGone")
		}
		return s.note(protocol.TypeInvited, "noticeIs", notice)
	}))
}

// SetRoomOptions changes who may come; nil stays.
func (s *Service) SetRoomOptions(ctx context.Context, c Caller, room int64, approval, openInvite *bool) error {
	if err := s.takeSend(c); err != nil {
		return err
	}
	return s.roomError(s.store.SetRoom(ctx, c.by(), room, store.RoomChange{Approval: approval, OpenInvite: openInvite}, nil))
}

// SetAdmins makes users the complete set of a room's admins.
func (s *Service) SetAdmins(ctx context.Context, c Caller, room int64, users []int64) error {
	if err := s.takeSend(c); err != nil {
		return err
	}
	err := s.store.SetAdmins(ctx, c.by(), room, users, func(nicknames []string) store.NewRoomMessage {
		if len(nicknames) == 0 {
			return s.note(protocol.TypeInvited, "noAdmins")
		}
		return s.note(protocol.TypeInvited, "adminsAre", joinNames(nicknames))
	})
	return s.roomError(instead(err, store.ErrConflict, protocol.CodeConflict, "ownerAlready"))
}

// TransferRoom hands a room over.
func (s *Service) TransferRoom(ctx context.Context, c Caller, room, heir int64) error {
	if err := s.takeSend(c); err != nil {
		return err
	}
	err := s.store.Transfer(ctx, c.by(), room, heir, s.cfg.Load().OwnedRooms, func(nick string) store.NewRoomMessage {
		return s.note(protocol.TypeInvited, "ownerChanged", nick)
	})
	err = instead(err, store.ErrTooManyRooms, protocol.CodeNoRoom, "ownsTooMany")
	return s.roomError(instead(err, store.ErrConflict, protocol.CodeConflict, "ownerAlready"))
}

// DissolveRoom ends a room.
func (s *Service) DissolveRoom(ctx context.Context, c Caller, room int64) error {
	if err := s.takeSend(c); err != nil {
		return err
	}
	return s.roomError(s.store.Dissolve(ctx, c.by(), room, s.note(protocol.TypeBan, "dissolveRoom")))
}
