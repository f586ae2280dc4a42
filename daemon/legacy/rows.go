package legacy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gtiv/daemon/account"
	"gtiv/daemon/video"
	"gtiv/store"
)

// This file says what becomes of a row of each table (wire.md 15).

// Bounds of texts, those that the daemon has for what people write.
const (
	maxIntro      = 500
	maxBirthday   = 32
	maxRoomName   = 20
	maxNotice     = 200
	maxTitle      = 200
	memberLimit   = 500 // of a group, unless it has more
	maxResolution = 1 << 16
)

// same looks at a user who came in before. A dump of another server would put
// everything that is tied to users in the wrong hands.
func (i *importer) same(r dumped, found store.Imported) error {
	if found.Gone {
		return nil // nothing is left to compare
	}
	have, err := i.im.Username(found.ID)
	if err != nil {
		return err
	}
	name := i.username(r)
	switch {
	case store.FoldName(have) == store.FoldName(name):
		return nil
	case found.Earlier:
		return fmt.Errorf("user %d was imported as %q before, and is %q in this dump: it is not of the same server", found.ID, have, name)
	}
	i.tables[r.Table].There--
	return i.refuse(r, "%q has the number of %q, who is in the dump, too", name, have)
}

func (i *importer) username(r dumped) string {
	return account.TidyUsername(r.text("username"), "user"+strconv.FormatInt(r.int("id"), 10))
}

func (i *importer) user(r dumped) error {
	var changes []string
	change := func(format string, args ...any) { changes = append(changes, fmt.Sprintf(format, args...)) }
	a := store.Account{
		ID: r.int("id"), Username: i.username(r), Role: store.RoleUser,
		Avatar: account.TidyAvatar(r.text("avatar")), Birthday: line(r.text("birthday"), maxBirthday), Intro: paragraph(r.text("intro"), maxIntro),
		Gender: int(r.bounded("gender", 0, 2)), LastLoginTime: r.bounded("last_login_time", 0, i.now/1000), CreatedAt: r.time("create_time", i.now),
		ContactsVersion: r.bounded("contacts_version", 0, 1<<30) + 1, // phones fetch their contacts again
	}
	if a.Username != strings.TrimSpace(r.text("username")) {
		change("the user name %q cannot be had here: it is %q now", r.text("username"), a.Username)
	}
	a.Nickname = account.TidyNickname(r.text("nickname"), a.Username)
	switch role := r.int("role"); role {
	case 0, store.RoleUser:
	case store.RoleAdmin, store.RoleDeveloper: // both could do everything
		a.Role = store.RoleAdmin
		change("%q is an administrator of the site", a.Username)
	default:
		change("the role %d of %q is unknown: it is an ordinary user", role, a.Username)
	}
	if hash, ok := account.LegacyHash(r.text("password")); ok {
		a.PasswordHash = hash
	} else {
		change("%q has no usable password: set one with gtiv user passwd", a.Username)
	}
	if a.TelCode, a.Tel = account.TidyPhone(r.text("tel_code"), r.text("tel")); a.Tel != "" {
		free, err := i.im.PhoneFree(a.TelCode, a.Tel)
		if err != nil {
			return err
		}
		if !free {
			a.TelCode, a.Tel = "", ""
			change("the phone number of %q is another's here: it was left out", a.Username)
		}
	}
	id, err := i.im.User(a)
	switch {
	case errors.Is(err, store.ErrNumberTaken):
		return i.refuse(r, "the number of %q is another's here, or too large", a.Username)
	case errors.Is(err, store.ErrConflict):
		return i.refuse(r, "the user name %q is another's", a.Username)
	case err != nil:
		return err
	}
	if id != a.ID {
		change("%q had the number of the built-in account and has the number %d here", a.Username, id)
	}
	i.came(r, changes)
	return nil
}

// known finds the account of a user; why is "" or why there is none.
func (i *importer) known(old int64) (id int64, why string, err error) {
	u, err := i.im.Find(store.ImportUser, old)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, fmt.Sprintf("there is no user %d", old), nil
	case err == nil && u.Gone:
		return 0, fmt.Sprintf("user %d was deleted here", old), nil
	}
	return u.ID, "", err
}

// pair finds the two users of a row; why is "" or why they are none.
func (i *importer) pair(r dumped, one, other string) (a, b int64, why string, err error) {
	if r.int(one) == r.int(other) {
		return 0, 0, fmt.Sprintf("it ties user %d to themselves", r.int(one)), nil
	}
	if a, why, err = i.known(r.int(one)); why == "" && err == nil {
		b, why, err = i.known(r.int(other))
	}
	return a, b, why, err
}

func (i *importer) contact(r dumped) error {
	user, peer, why, err := i.pair(r, "user_id", "contacts_user_id")
	if err != nil {
		return err
	}
	if why != "" {
		return i.refuse(r, "%s", why)
	}
	err = i.im.Contact(r.int("id"), user, peer, r.int("deleted") == 1, r.time("create_time", i.now))
	return i.tied(r, err, fmt.Sprintf("user %d has user %d as a contact already", user, peer))
}

func (i *importer) follow(r dumped) error {
	fan, master, why, err := i.pair(r, "fans", "master")
	if err != nil {
		return err
	}
	if why != "" {
		return i.refuse(r, "%s", why)
	}
	err = i.im.Follow(r.int("id"), fan, master, r.time("create_time", i.now))
	return i.tied(r, err, fmt.Sprintf("user %d follows user %d already", fan, master))
}

func (i *importer) mark(r dumped) error {
	old := r.int("video_id")
	user, why, err := i.known(r.int("user_id"))
	if err != nil {
		return err
	}
	if why != "" {
		return i.refuse(r, "%s", why)
	}
	v, err := i.im.Find(store.ImportVideo, old)
	if errors.Is(err, store.ErrNotFound) {
		return i.refuse(r, "there is no video %d", old)
	}
	if err != nil {
		return err
	}
	err = i.im.Mark(r.Table, r.int("id"), user, v.ID, r.time("create_time", i.now))
	if errors.Is(err, store.ErrNotFound) {
		return i.refuse(r, "video %d was deleted here", old)
	}
	return i.tied(r, err, fmt.Sprintf("user %d has this with video %d already", user, old))
}

// tied counts a row that ties two things together.
func (i *importer) tied(r dumped, err error, double string) error {
	if errors.Is(err, store.ErrConflict) {
		return i.refuse(r, "%s", double)
	}
	if err == nil {
		i.came(r, nil)
	}
	return err
}

func (i *importer) room(r dumped) error {
	old := r.int("id")
	room := store.Room{
		Name:   strings.ReplaceAll(line(r.text("room_name"), maxRoomName), "'", "\u2019"), // wire.md K2
		Avatar: account.TidyAvatar(r.text("avatar")), Notice: paragraph(r.text("notice"), maxNotice),
		MemberLimit: int(r.bounded("member_limit", 1, memberLimit)), CreatedAt: r.time("create_time", i.now),
	}
	if room.MemberLimit == 0 {
		room.MemberLimit = memberLimit
	}
	if room.Name == "" {
		room.Name = "Group " + strconv.FormatInt(old, 10)
	}
	id, err := i.im.Room(old, room)
	if err != nil {
		return err
	}
	var changes []string
	if id != old && id != store.FirstRoom+old {
		changes = append(changes, fmt.Sprintf("the group %q has the number %d here", room.Name, id))
	}
	i.came(r, changes)
	return nil
}

// turns are the rows of user_room that have user and group the wrong way round
// (wire.md 18.14): all that the original itself wrote, but a site may have repaired
// its program. When both readings make sense, those rows decide that can be read in
// one way only; such rows are put off to the end.
type turns struct {
	straight, turned int64 // rows that can be read in one way only
	open             int64 // rows that were put off
	last             bool  // it is their turn
}

// member reads a row in the way that makes sense.
func (i *importer) member(r dumped) error {
	user, room := r.int("user_id"), r.int("room_id")
	straight, err := i.makesSense(user, room)
	if err != nil {
		return err
	}
	turned, err := i.makesSense(room, user)
	if err != nil {
		return err
	}
	switch {
	case straight && turned && !i.turns.last:
		i.turns.open++
		return nil
	case i.turns.last && straight != turned, i.turns.last && !straight:
		return nil // was read before
	case straight && turned:
		turned = i.turns.turned >= i.turns.straight
	case straight:
		i.turns.straight++
	case turned:
		i.turns.turned++
	}
	if turned {
		user, room = room, user
	}
	return i.counted(store.ImportMember, r, func(dumped) error { return i.memberOf(r, user, room) })
}

func (i *importer) makesSense(user, room int64) (bool, error) {
	for kind, id := range map[string]int64{store.ImportUser: user, store.ImportRoom: room} {
		_, err := i.im.Find(kind, id)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

func (i *importer) memberOf(r dumped, user, old int64) error {
	room, err := i.im.Find(store.ImportRoom, old)
	if errors.Is(err, store.ErrNotFound) {
		return i.refuse(r, "there is no group %d", old)
	}
	if err != nil {
		return err
	}
	id, why, err := i.known(user)
	if err != nil {
		return err
	}
	if why != "" {
		return i.refuse(r, "%s", why)
	}
	want := store.RoleMember
	if role := int(r.int("role")); role == store.RoleRoomAdmin || role == store.RoleOwner {
		want = role
	}
	role, err := i.im.Member(r.int("id"), room.ID, store.Member{User: id, Role: want, JoinedAt: r.time("create_time", i.now)})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return i.refuse(r, "group %d was dissolved here", old)
	case errors.Is(err, store.ErrConflict):
		return i.refuse(r, "user %d is a member of group %d already", user, old)
	case err != nil:
		return err
	}
	var changes []string
	if role != want {
		changes = append(changes, fmt.Sprintf("user %d owned group %d beside another: it is an administrator of it now", user, old))
	}
	i.came(r, changes)
	return nil
}

func (i *importer) videoRow(r dumped) error {
	old := r.int("id")
	owner, why, err := i.known(r.int("user_id"))
	if err != nil {
		return err
	}
	if why != "" {
		return i.refuse(r, "%s", why)
	}
	title := line(r.text("title"), maxTitle)
	id, err := i.im.Video(old, store.Video{
		Owner: owner, Title: title, Reason: Reason,
		Width: int(r.bounded("width", 0, maxResolution)), Height: int(r.bounded("height", 0, maxResolution)),
		DurationMS: r.bounded("duration", 0, 1<<20) * 1000, BitRateKbps: r.bounded("bit_rate", 0, 1<<30),
		ShareNum: r.bounded("share_num", 0, 1<<40), CreatedAt: r.time("created_time", i.now),
	})
	if err == nil {
		err = i.im.Tags(id, video.Hashtags(title))
	}
	if err != nil {
		return err
	}
	var changes []string
	if id != old {
		changes = append(changes, fmt.Sprintf("the video has the number %d here", id))
	}
	i.came(r, changes)
	return nil
}
