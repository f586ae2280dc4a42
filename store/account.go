package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
)

// Roles of accounts (wire.md 15).
const (
	RoleUser      = 10
	RoleAdmin     = 20
	RoleDeveloper = 100
)

// BuiltInAccount owns the sample video and cannot log in.
const BuiltInAccount = 10000

// Account is a user. The numbers are the counters of wire.md 15.
type Account struct {
	ID              int64
	Username        string
	TelCode, Tel    string
	PasswordHash    string
	Role            int
	Nickname        string
	Avatar          string
	Birthday        string
	Gender          int
	Intro           string
	Language        string
	Version         int64
	ContactsVersion int64
	FansNum         int64
	FollowNum       int64
	CollectNum      int64
	SupportNum      int64
	CollectVideoNum int64
	CreateVideoNum  int64
	SingleDevice    bool
	TOTP            bool
	LastLoginTime   int64 // seconds
	CreatedAt       int64
	DeletedAt       int64
	BannedUntil     int64
	BanReason       string
}

// accountColumns are read by scanAccount; the query names account as a.
const accountColumns = `a.id, a.username, a.tel_code, a.tel, a.password_hash, a.role, a.nickname, a.avatar, a.birthday, a.gender, a.intro,
	a.language, a.version, a.contacts_version, a.fans_num, a.follow_num, a.collect_num, a.support_num, a.collect_video_num,
	a.create_video_num, a.single_device, a.totp_on, a.last_login, a.created_at, a.deleted_at, a.banned_until, a.ban_reason`

// scanAccount reads accountColumns; before are columns that the query selects
// in front of them.
func scanAccount(row scanner, before ...any) (Account, error) {
	var a Account
	var lastLogin int64
	err := row.Scan(append(before, &a.ID, &a.Username, &a.TelCode, &a.Tel, &a.PasswordHash, &a.Role, &a.Nickname, &a.Avatar, &a.Birthday,
		&a.Gender, &a.Intro, &a.Language, &a.Version, &a.ContactsVersion, &a.FansNum, &a.FollowNum, &a.CollectNum, &a.SupportNum,
		&a.CollectVideoNum, &a.CreateVideoNum, &a.SingleDevice, &a.TOTP, &lastLogin, &a.CreatedAt, &a.DeletedAt, &a.BannedUntil, &a.BanReason)...)
	a.LastLoginTime = lastLogin / 1000
	return a, err
}

// NewAccount is what registering writes.
type NewAccount struct {
	Username, PasswordHash, Nickname, Language string
	TelCode, Tel                               string
	Role                                       int
	Invite                                     string // code to use up, "" none
}

// CreateAccount makes an account. Errors: ErrConflict (name or phone taken, or
// the name is reserved), ErrNotFound (the invite cannot be used).
func (s *Store) CreateAccount(ctx context.Context, n NewAccount) (Account, error) {
	var a Account
	err := s.update(ctx, func(tx *Tx) error {
		var err error
		a, err = tx.createAccount(n)
		return err
	})
	return a, err
}

func (tx *Tx) createAccount(n NewAccount) (Account, error) {
	key := FoldName(n.Username)
	// Looked up first: a name that is taken must not cost the batch a rollback.
	var taken bool
	err := tx.row(`SELECT EXISTS (SELECT 1 FROM account WHERE username_key = ?1) OR EXISTS (SELECT 1 FROM reserved_name WHERE username_key = ?1 AND free_at > ?2)
		OR (?4 <> '' AND EXISTS (SELECT 1 FROM account WHERE tel_code = ?3 AND tel = ?4 AND tel <> ''))`, key, tx.now, n.TelCode, n.Tel).Scan(&taken)
	if err != nil {
		return Account{}, err
	}
	if taken {
		return Account{}, ErrConflict
	}
	if n.Invite != "" {
		if err := tx.useInvite(n.Invite); err != nil {
			return Account{}, err
		}
	}
	res, err := tx.execResult(`INSERT INTO account (username, username_key, tel_code, tel, password_hash, role, nickname, language, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, n.Username, key, n.TelCode, n.Tel, n.PasswordHash, n.Role, n.Nickname, n.Language, tx.now)
	if err != nil {
		return Account{}, err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return Account{}, err
	}
	if err := tx.index(accountSearch, id, n.Username, n.Nickname); err != nil {
		return Account{}, err
	}
	return tx.account(id)
}

func (tx *Tx) account(id int64) (Account, error) {
	return scanAccount(tx.row(`SELECT `+accountColumns+` FROM account a WHERE a.id = ?`, id))
}

// Account finds an account by id, deleted ones too.
func (s *Store) Account(ctx context.Context, id int64) (Account, error) {
	a, err := scanAccount(s.viewRow(ctx, `SELECT `+accountColumns+` FROM account a WHERE a.id = ?`, id))
	return a, mapError(err)
}

// AccountByName finds an account by user name, compared as FoldName does.
func (s *Store) AccountByName(ctx context.Context, username string) (Account, error) {
	a, err := scanAccount(s.viewRow(ctx, `SELECT `+accountColumns+` FROM account a WHERE a.username_key = ?`, FoldName(username)))
	return a, mapError(err)
}

// Filter selects accounts for an operator.
type Filter struct {
	Query          string // part of the user name or nickname, or an id
	After          int64  // id of the last account of the page before
	Limit          int
	Banned, Admins bool
}

// Accounts lists accounts by id, without deleted ones.
func (s *Store) Accounts(ctx context.Context, f Filter) ([]Account, error) {
	id, _ := strconv.ParseInt(f.Query, 10, 64)
	rows, err := s.viewRows(ctx, `SELECT `+accountColumns+` FROM account a
		WHERE a.id > ?1 AND a.deleted_at = 0
		AND (?2 = '' OR a.id = ?3 OR a.username LIKE ?4 ESCAPE '\' OR a.nickname LIKE ?4 ESCAPE '\')
		AND (?5 = 0 OR a.banned_until > ?6) AND (?7 = 0 OR a.role >= 20)
		ORDER BY a.id LIMIT ?8`,
		f.After, f.Query, id, likePattern(f.Query), f.Banned, s.now().UnixMilli(), f.Admins, f.Limit)
	return collect(rows, err, func(r scanner) (Account, error) { return scanAccount(r) })
}

// CountAccounts is the number of accounts that are not deleted.
func (s *Store) CountAccounts(ctx context.Context) (int64, error) {
	var n int64
	err := s.viewRow(ctx, `SELECT count(*) FROM account WHERE deleted_at = 0 AND id <> 10000`).Scan(&n)
	return n, mapError(err)
}

// SetProfile changes one field of the profile, "avatar" or "nickname".
func (s *Store) SetProfile(ctx context.Context, id int64, field, value string) error {
	query := map[string]string{
		"avatar":   `UPDATE account SET avatar = ?, version = version + 1 WHERE id = ? AND deleted_at = 0`,
		"nickname": `UPDATE account SET nickname = ?, version = version + 1 WHERE id = ? AND deleted_at = 0`,
	}[field]
	if query == "" {
		return ErrNotFound
	}
	if field != "nickname" {
		return s.mustChange(ctx, query, value, id)
	}
	return s.update(ctx, func(tx *Tx) error {
		var username string
		if err := tx.row(`SELECT username FROM account WHERE id = ? AND deleted_at = 0`, id).Scan(&username); err != nil {
			return err
		}
		if err := tx.exec(query, value, id); err != nil {
			return err
		}
		return tx.index(accountSearch, id, username, value)
	})
}

// mustChange runs one statement that must touch a row, else ErrNotFound.
func (s *Store) mustChange(ctx context.Context, query string, args ...any) error {
	return s.update(ctx, func(tx *Tx) error {
		n, err := tx.changed(query, args...)
		if err != nil {
			return err
		}
		if n == 0 {
			tx.wrote = false // nothing to roll back
			return ErrNotFound
		}
		return nil
	})
}

// SetLanguage remembers the language a user last used.
func (s *Store) SetLanguage(ctx context.Context, id int64, language string) error {
	return s.update(ctx, func(tx *Tx) error {
		n, err := tx.changed(`UPDATE account SET language = ? WHERE id = ?`, language, id)
		if err != nil {
			return err
		}
		if n == 0 {
			tx.wrote = false // nothing to roll back
			return ErrNotFound
		}
		tx.onCommit(func() { s.languages.forget(id) })
		return nil
	})
}

// SetSingleDevice changes whether a login ends the user's other ones.
func (s *Store) SetSingleDevice(ctx context.Context, id int64, on bool) error {
	return s.mustChange(ctx, `UPDATE account SET single_device = ? WHERE id = ?`, on, id)
}

// SetPassword replaces the password and revokes all login sessions but keep (0:
// all). It answers the revoked ones.
func (s *Store) SetPassword(ctx context.Context, id int64, hash string, keep int64) ([]int64, error) {
	var gone []int64
	err := s.update(ctx, func(tx *Tx) error {
		n, err := tx.changed(`UPDATE account SET password_hash = ? WHERE id = ? AND deleted_at = 0 AND id <> 10000`, hash, id)
		if err != nil {
			return err
		}
		if n == 0 {
			tx.wrote = false
			return ErrNotFound
		}
		gone, err = tx.revoke(id, 0, keep)
		return err
	})
	return gone, err
}

// UpgradeHash replaces the stored form of an unchanged password.
func (s *Store) UpgradeHash(ctx context.Context, id int64, old, hash string) error {
	return s.mustChange(ctx, `UPDATE account SET password_hash = ? WHERE id = ? AND password_hash = ?`, hash, id, old)
}

// UnhashedPassword is the password of an imported account, as the server that it
// came from kept it.
type UnhashedPassword struct {
	Account int64
	Hash    string
}

// UnhashedPasswords lists some of them.
func (s *Store) UnhashedPasswords(ctx context.Context, limit int) ([]UnhashedPassword, error) {
	rows, err := s.viewRows(ctx, `SELECT id, password_hash FROM account INDEXED BY account_unhashed WHERE substr(password_hash, 1, 5) = '$md5$' ORDER BY id LIMIT ?`, limit)
	return collect(rows, err, func(r scanner) (UnhashedPassword, error) {
		var p UnhashedPassword
		err := r.Scan(&p.Account, &p.Hash)
		return p, err
	})
}

// Ban bans an account until a time (ms) and revokes its sessions, which it
// answers.
func (s *Store) Ban(ctx context.Context, id, until int64, reason string) ([]int64, error) {
	var gone []int64
	err := s.update(ctx, func(tx *Tx) error {
		n, err := tx.changed(`UPDATE account SET banned_until = ?, ban_reason = ? WHERE id = ? AND deleted_at = 0 AND id <> 10000`, until, reason, id)
		if err != nil {
			return err
		}
		if n == 0 {
			tx.wrote = false
			return ErrNotFound
		}
		if until == 0 {
			return nil
		}
		gone, err = tx.revoke(id, 0, 0)
		return err
	})
	return gone, err
}

// DeleteAccount makes an account unusable and anonymous: its name, nickname,
// avatar and phone go, it leaves all contact lists and rooms (texts tell the
// others), its sessions are revoked (and answered). Its messages stay in the conversations of the others under
// the anonymous name; its videos, recordings and comments go. The user name is free again
// after freeAt (ms).
func (s *Store) DeleteAccount(ctx context.Context, id, freeAt int64, texts QuitTexts) (sessions, peers []int64, err error) {
	err = s.update(ctx, func(tx *Tx) error {
		var key string
		if err := tx.row(`SELECT username_key FROM account WHERE id = ? AND deleted_at = 0 AND id <> 10000`, id).Scan(&key); err != nil {
			return err
		}
		if err := tx.quitEverything(id, texts); err != nil {
			return err
		}
		if err := tx.anonymise(id, key, freeAt); err != nil {
			return err
		}
		var err error
		if peers, err = tx.leaveContacts(id); err != nil {
			return err
		}
		if err := tx.forgetLive(id); err != nil {
			return err
		}
		if err := tx.forgetRecordings(id); err != nil {
			return err
		}
		if err := tx.exec(`DELETE FROM room_former WHERE user_id = ?`, id); err != nil {
			return err
		}
		if err := tx.forgetVideos(id); err != nil {
			return err
		}
		sessions, err = tx.revoke(id, 0, 0)
		return err
	})
	return sessions, peers, err
}

func (tx *Tx) anonymise(id int64, key string, freeAt int64) error {
	name := "deleted-" + strconv.FormatInt(id, 10)
	// FoldName trims, so nobody can register the key and be in the way.
	nameKey := " " + name
	if err := tx.exec(`INSERT INTO reserved_name (username_key, free_at) VALUES (?, ?) ON CONFLICT DO UPDATE SET free_at = excluded.free_at`, key, freeAt); err != nil {
		return err
	}
	if err := tx.exec(`DELETE FROM recovery_code WHERE account_id = ?`, id); err != nil {
		return err
	}
	return tx.exec(`UPDATE account SET username = ?1, username_key = ?4, nickname = ?1, avatar = '', birthday = '', gender = 0, intro = '', tel_code = '',
		tel = '', password_hash = '', totp_secret = NULL, totp_on = 0, deleted_at = ?2, version = version + 1 WHERE id = ?3`, name, tx.now, id, nameKey)
}

// leaveContacts takes a user out of all contact lists and answers who had them.
func (tx *Tx) leaveContacts(id int64) ([]int64, error) {
	rows, err := tx.rows(`SELECT user_id FROM contact WHERE peer_id = ? AND deleted = 0`, id)
	peers, err := collect(rows, err, scanInt)
	if err != nil {
		return nil, err
	}
	for _, q := range []string{
		`UPDATE account SET fans_num = max(fans_num - 1, 0) WHERE id IN (SELECT master_id FROM follow WHERE fan_id = ?)`,
		`UPDATE account SET follow_num = max(follow_num - 1, 0) WHERE id IN (SELECT fan_id FROM follow WHERE master_id = ?)`,
		`UPDATE account SET fans_num = 0, follow_num = 0 WHERE id = ?`,
		`DELETE FROM contact WHERE user_id = ?`,
		`UPDATE contact SET deleted = 1 WHERE peer_id = ?`,
		`DELETE FROM application WHERE receiver_id = ?1 OR applicant_id = ?1`,
		`DELETE FROM block WHERE user_id = ?`,
		`DELETE FROM follow WHERE fan_id = ?1 OR master_id = ?1`,
	} {
		if err := tx.exec(q, id); err != nil {
			return nil, err
		}
	}
	for _, p := range peers {
		tx.s.w.rels.drop(id, p)
	}
	return peers, tx.bumpContacts(peers...)
}

func scanInt(r scanner) (int64, error) {
	var n int64
	err := r.Scan(&n)
	return n, err
}

// FreeNames forgets reserved names whose time has come.
func (s *Store) FreeNames(ctx context.Context) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`DELETE FROM reserved_name WHERE free_at <= ?`, tx.now)
	})
}

// Setting reads a stored setting; "" if there is none.
func (s *Store) Setting(ctx context.Context, key string) (string, error) {
	var v string
	err := s.viewRow(ctx, `SELECT value FROM setting WHERE key = ?`, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, mapError(err)
}

// SetSetting stores a setting.
func (s *Store) SetSetting(ctx context.Context, key, value string) error {
	return s.update(ctx, func(tx *Tx) error {
		return tx.exec(`INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`, key, value)
	})
}
