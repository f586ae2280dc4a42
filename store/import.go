package store

import (
	"context"
	"database/sql"
	"errors"
)

// This file brings in what another server kept. A whole import is one write: it is
// there as a whole or not at all, however it ends. It is for a database that
// nothing else is using.

// The tables of the original server that are imported (wire.md 15); these are the
// kinds of what came in.
const (
	ImportUser    = "user"
	ImportRoom    = "room"
	ImportMember  = "user_room"
	ImportContact = "contacts"
	ImportVideo   = "videos"
	ImportSupport = "video_support"
	ImportCollect = "video_collect"
	ImportFollow  = "follow"
)

// Numbers that imports give out. Beyond these the next ones would soon be at the
// end of what the app can count to, or among the numbers of something else.
const (
	maxImportedUser  = 900_000_000 // rooms begin at FirstRoom
	maxImportedRoom  = FirstRoom + 100_000_000
	maxImportedVideo = 1_000_000_000
)

// ErrNumberTaken means that the number of an account is another's here, or is none
// that an account may have.
var ErrNumberTaken = errors.New("the number is taken")

// Import is an import in progress. Only the function it was handed to may use it,
// in one goroutine. What it writes is first looked up: an error other than those
// named is the end of the import.
type Import struct {
	tx *Tx
	// Numbers up to these are not given to what needs another one.
	lastUser, lastRoom, lastVideo int64
}

// Import runs fn as one write.
func (s *Store) Import(ctx context.Context, fn func(*Import) error) error {
	return s.update(ctx, func(tx *Tx) error {
		defer tx.s.w.forget() // what is remembered of contacts and rooms may not be true any more
		return fn(&Import{tx: tx})
	})
}

// Expect says that something with this number will come, so that no other thing of
// its kind gets it before.
func (im *Import) Expect(kind string, old int64) {
	switch {
	case kind == ImportUser && old <= maxImportedUser:
		im.lastUser = max(im.lastUser, old)
	case kind == ImportRoom:
		im.lastRoom = max(im.lastRoom, roomNumber(old))
	case kind == ImportVideo && old <= maxImportedVideo:
		im.lastVideo = max(im.lastVideo, old)
	}
}

// Imported is what came in before.
type Imported struct {
	ID      int64
	Earlier bool // in another import than this one
	Gone    bool // its account was deleted here
}

// Find answers what became of a row; ErrNotFound if it did not come in.
func (im *Import) Find(kind string, old int64) (Imported, error) {
	var f Imported
	var at int64
	err := im.tx.row(`SELECT new_id, at FROM imported WHERE kind = ? AND old_id = ?`, kind, old).Scan(&f.ID, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return f, ErrNotFound
	}
	if err == nil && kind == ImportUser {
		err = im.tx.row(`SELECT deleted_at <> 0 FROM account WHERE id = ?`, f.ID).Scan(&f.Gone)
	}
	f.Earlier = at != im.tx.now
	return f, err
}

func (im *Import) remember(kind string, old, id int64) error {
	return im.tx.exec(`INSERT INTO imported (kind, old_id, new_id, at) VALUES (?, ?, ?, ?)`, kind, old, id, im.tx.now)
}

// double remembers a row that says what is so already, or it would come in when that
// was ended here.
func (im *Import) double(kind string, old int64) error {
	if err := im.remember(kind, old, 0); err != nil {
		return err
	}
	return ErrConflict
}

// Username is the user name of an account.
func (im *Import) Username(id int64) (string, error) {
	var name string
	err := im.tx.row(`SELECT username FROM account WHERE id = ?`, id).Scan(&name)
	return name, err
}

// PhoneFree says whether no account has a phone number.
func (im *Import) PhoneFree(telCode, tel string) (bool, error) {
	var taken bool
	err := im.tx.row(`SELECT EXISTS (SELECT 1 FROM account WHERE tel_code = ? AND tel = ? AND tel <> '')`, telCode, tel).Scan(&taken)
	return !taken, err
}

// User makes an account with the number that it had, because phones remember it, and
// answers that. Only who had the number of the built-in account gets another one: a
// site of 10,000 people has somebody who does, who is not to be left behind. Errors:
// ErrNumberTaken, ErrConflict (the user name is taken, or reserved).
func (im *Import) User(a Account) (int64, error) {
	old := a.ID
	if old == BuiltInAccount {
		var last int64
		if err := im.tx.row(`SELECT seq FROM sqlite_sequence WHERE name = 'account'`).Scan(&last); err != nil {
			return 0, err
		}
		a.ID = max(last, im.lastUser) + 1
	}
	if a.ID <= 0 || a.ID > maxImportedUser {
		return 0, ErrNumberTaken
	}
	var number, name bool
	key := FoldName(a.Username)
	if err := im.tx.row(`SELECT EXISTS (SELECT 1 FROM account WHERE id = ?1), EXISTS (SELECT 1 FROM account WHERE username_key = ?2)
		OR EXISTS (SELECT 1 FROM reserved_name WHERE username_key = ?2 AND free_at > ?3)`, a.ID, key, im.tx.now).Scan(&number, &name); err != nil {
		return 0, err
	}
	switch {
	case number:
		return 0, ErrNumberTaken
	case name:
		return 0, ErrConflict
	}
	if err := im.tx.exec(`INSERT INTO account (id, username, username_key, tel_code, tel, password_hash, role, nickname, avatar, birthday, gender, intro,
		contacts_version, last_login, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, a.ID, a.Username, key, a.TelCode, a.Tel, a.PasswordHash, a.Role,
		a.Nickname, a.Avatar, a.Birthday, a.Gender, a.Intro, a.ContactsVersion, a.LastLoginTime*1000, a.CreatedAt); err != nil {
		return 0, err
	}
	if err := im.tx.index(accountSearch, a.ID, a.Username, a.Nickname); err != nil {
		return 0, err
	}
	return a.ID, im.remember(ImportUser, old, a.ID)
}

// roomNumber is the number that a room has here, 0 if that must be a new one. The
// original counted rooms from 1 as it did users; here they have numbers of their own
// (wire.md K7).
func roomNumber(old int64) int64 {
	switch {
	case old > 0 && old <= maxImportedRoom-FirstRoom:
		return FirstRoom + old
	case old > FirstRoom && old <= maxImportedRoom:
		return old
	}
	return 0
}

// Room makes a room without members and answers its number.
func (im *Import) Room(old int64, r Room) (int64, error) {
	id := roomNumber(old)
	var taken bool
	if err := im.tx.row(`SELECT EXISTS (SELECT 1 FROM room WHERE id = ?1) OR EXISTS (SELECT 1 FROM live_room WHERE id = ?1)`, id).Scan(&taken); err != nil {
		return 0, err
	}
	if id == 0 || taken {
		var err error
		if id, err = im.tx.newRoomID(); err != nil {
			return 0, err
		}
		id = max(id, im.lastRoom+1)
	}
	if err := im.tx.exec(`INSERT INTO room (id, name, avatar, notice, member_limit, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		id, r.Name, r.Avatar, r.Notice, r.MemberLimit, BuiltInAccount, r.CreatedAt); err != nil {
		return 0, err
	}
	if err := im.tx.exec(`INSERT INTO conversation (kind, a, b) VALUES (2, ?, 0) ON CONFLICT DO NOTHING`, id); err != nil {
		return 0, err
	}
	return id, im.remember(ImportRoom, old, id)
}

// Member puts an account into a room. A second owner becomes an administrator, which
// role says. Errors: ErrConflict (it is in there), ErrNotFound (the room was
// dissolved).
func (im *Import) Member(old, room int64, m Member) (role int, err error) {
	var there, owned, alive bool
	if err := im.tx.row(`SELECT EXISTS (SELECT 1 FROM room_member WHERE room_id = ?1 AND user_id = ?2),
		EXISTS (SELECT 1 FROM room_member WHERE room_id = ?1 AND role = 30), EXISTS (SELECT 1 FROM room WHERE id = ?1 AND dissolved_at = 0)`,
		room, m.User).Scan(&there, &owned, &alive); err != nil {
		return 0, err
	}
	switch {
	case !alive:
		return 0, ErrNotFound
	case there:
		return 0, im.double(ImportMember, old)
	case m.Role == RoleOwner && owned:
		m.Role = RoleRoomAdmin
	}
	if err := im.tx.exec(`INSERT INTO room_member (room_id, user_id, role, joined_at, joined_seq) VALUES (?, ?, ?, ?, 0)`, room, m.User, m.Role, m.JoinedAt); err != nil {
		return 0, err
	}
	if err := im.tx.bumpContacts(m.User); err != nil {
		return 0, err
	}
	return m.Role, im.remember(ImportMember, old, 0)
}

// Contact puts peer into user's list; deleted says that peer removed user. Of two
// rows of the same pair the one that is not deleted counts: the original left the
// old one when people became contacts again. Errors: ErrConflict (peer is in there).
func (im *Import) Contact(old, user, peer int64, deleted bool, at int64) error {
	var there, gone bool
	err := im.tx.row(`SELECT 1, deleted FROM contact WHERE user_id = ? AND peer_id = ?`, user, peer).Scan(&there, &gone)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		err = im.tx.exec(`INSERT INTO contact (user_id, peer_id, deleted, created_at) VALUES (?, ?, ?, ?)`, user, peer, deleted, at)
	case err == nil && gone && !deleted:
		err = im.tx.exec(`UPDATE contact SET deleted = 0 WHERE user_id = ? AND peer_id = ?`, user, peer)
	case err == nil:
		return im.double(ImportContact, old)
	}
	if err != nil {
		return err
	}
	if err := im.tx.bumpContacts(user); err != nil {
		return err
	}
	return im.remember(ImportContact, old, 0)
}

// Follow makes fan follow master. Errors: ErrConflict (it is so already).
func (im *Import) Follow(old, fan, master, at int64) error {
	return im.pair(ImportFollow, old, `INSERT INTO follow (fan_id, master_id, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, fan, master, at)
}

// Mark makes user like or collect a video, which is said by kind. Errors: ErrConflict
// (it is so already), ErrNotFound (the video was deleted).
func (im *Import) Mark(kind string, old, user, video, at int64) error {
	var owner int64
	err := im.tx.row(`SELECT owner_id FROM video WHERE id = ? AND deleted_at = 0`, video).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	insert := `INSERT INTO video_support (user_id, video_id, owner_id, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`
	if kind == ImportCollect {
		insert = `INSERT INTO video_collect (user_id, video_id, owner_id, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`
	}
	return im.pair(kind, old, insert, user, video, owner, at)
}

func (im *Import) pair(kind string, old int64, insert string, args ...any) error {
	n, err := im.tx.changed(insert, args...)
	if err != nil {
		return err
	}
	if n == 0 {
		return im.double(kind, old)
	}
	return im.remember(kind, old, 0)
}

// Video notes a video whose files are not there: it is a failed one for the given
// reason, which nobody but its owner is shown, until FinishVideo says where they
// are. It answers its number, the one that it had if that is free.
func (im *Import) Video(old int64, v Video) (int64, error) {
	id := old
	var taken bool
	var last int64
	if err := im.tx.row(`SELECT EXISTS (SELECT 1 FROM video WHERE id = ?), (SELECT seq FROM sqlite_sequence WHERE name = 'video')`, id).Scan(&taken, &last); err != nil {
		return 0, err
	}
	if id <= 1 || id > maxImportedVideo || taken { // 1 is the sample
		id = max(last, im.lastVideo) + 1
	}
	if err := im.tx.exec(`INSERT INTO video (id, owner_id, title, state, reason, width, height, duration_ms, bit_rate_kbps, share_num, created_at, published_at)
		VALUES (?, ?, ?, 3, ?, ?, ?, ?, ?, ?, ?, ?)`, id, v.Owner, v.Title, v.Reason, v.Width, v.Height, v.DurationMS, v.BitRateKbps, v.ShareNum,
		v.CreatedAt, v.CreatedAt); err != nil {
		return 0, err
	}
	return id, im.remember(ImportVideo, old, id)
}

// Tags gives a video its tags.
func (im *Import) Tags(video int64, names []string) error { return im.tx.setTags(video, names) }

// Audit records who did it.
func (im *Import) Audit(by, detail string) error {
	return im.tx.audit(by, "import.gtiv", "server", detail)
}

// ImportRepairs is what Finish set right.
type ImportRepairs struct {
	OneSided  int64 // contacts in the list of one side only: the other side counts as gone
	Empty     int64 // rooms without members: dissolved
	Ownerless int64 // rooms that got an owner: the one with the highest role who was there first
}

// Finish sets right what one row cannot show, and all counters.
func (im *Import) Finish() (ImportRepairs, error) {
	var done ImportRepairs
	for _, q := range []struct {
		n     *int64
		query string
		args  []any
	}{
		{&done.OneSided, `UPDATE contact SET deleted = 1 WHERE deleted = 0
			AND NOT EXISTS (SELECT 1 FROM contact o WHERE o.user_id = contact.peer_id AND o.peer_id = contact.user_id)`, nil},
		{&done.Empty, `UPDATE room SET dissolved_at = ? WHERE dissolved_at = 0 AND id IN (SELECT new_id FROM imported WHERE kind = 'room')
			AND NOT EXISTS (SELECT 1 FROM room_member WHERE room_id = room.id)`, []any{im.tx.now}},
		{&done.Ownerless, `UPDATE room_member SET role = 30, banned_until = 0 WHERE (room_id, user_id) IN (SELECT i.new_id,
			(SELECT m.user_id FROM room_member m WHERE m.room_id = i.new_id ORDER BY m.role DESC, m.joined_at, m.user_id LIMIT 1)
			FROM imported i WHERE i.kind = 'room' AND NOT EXISTS (SELECT 1 FROM room_member WHERE room_id = i.new_id AND role = 30))`, nil},
		{nil, `UPDATE room SET created_by = coalesce((SELECT user_id FROM room_member WHERE room_id = room.id AND role = 30), created_by),
			member_limit = max(member_limit, (SELECT count(*) FROM room_member WHERE room_id = room.id))
			WHERE created_by = ? AND id IN (SELECT new_id FROM imported WHERE kind = 'room')`, []any{BuiltInAccount}},
	} {
		n, err := im.tx.changed(q.query, q.args...)
		if err != nil {
			return done, err
		}
		if q.n != nil {
			*q.n = n
		}
	}
	for _, c := range counters() {
		if _, err := im.tx.repair(c, true); err != nil {
			return done, err
		}
	}
	return done, im.tx.exec(`UPDATE video SET score = ` + videoScore + ` WHERE published_at > 0 AND id IN (SELECT new_id FROM imported WHERE kind = 'videos')`)
}

// FindImported is the number here of what came in, ErrNotFound if it did not.
func (s *Store) FindImported(ctx context.Context, kind string, old int64) (int64, error) {
	var id int64
	err := s.viewRow(ctx, `SELECT new_id FROM imported WHERE kind = ? AND old_id = ?`, kind, old).Scan(&id)
	return id, mapError(err)
}

// KeyTaken says whether a folder of media belongs to a video, or belonged to one and
// is still there.
func (s *Store) KeyTaken(ctx context.Context, key string) (bool, error) {
	var taken bool
	err := s.viewRow(ctx, `SELECT EXISTS (SELECT 1 FROM video WHERE key = ?1 AND key <> '') OR EXISTS (SELECT 1 FROM media_gone WHERE key = ?1)`, key).Scan(&taken)
	return taken, mapError(err)
}

// Copy copies a database as it is at this moment, also while a daemon works on it.
// The copy must not exist.
func Copy(ctx context.Context, from, to string) error {
	if err := makePrivate(to); err != nil { // VACUUM INTO takes an empty file
		return err
	}
	db, err := openPool(from, 1, "mode=ro", "busy_timeout(5000)")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return errors.Join(mapError(err), db.Close())
}
