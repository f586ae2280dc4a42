package account

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"gtiv/protocol"
	"gtiv/store"
)

// Filter selects accounts of List.
type Filter struct {
	Query          string // part of the user name or nickname, or an id
	After          int64  // id behind which to go on
	Limit          int
	Banned, Admins bool
}

const maxList = 1000

// List lists accounts by id, and the id to go on behind, 0 at the end.
func (s *Service) List(ctx context.Context, f Filter) ([]store.Account, int64, error) {
	if f.Limit <= 0 || f.Limit > maxList {
		f.Limit = maxList
	}
	list, err := s.store.Accounts(ctx, store.Filter(f))
	if err != nil || len(list) < f.Limit {
		return list, 0, err
	}
	return list, list[len(list)-1].ID, nil
}

// Find finds an account by id or user name. An id wins over a user name of
// digits, which phone accounts have: "@" in front says that it is a name.
func (s *Service) Find(ctx context.Context, who string) (store.Account, error) {
	name, isName := strings.CutPrefix(who, "@")
	if id, err := strconv.ParseInt(who, 10, 64); err == nil && !isName && allDigits(who) {
		a, err := s.store.Account(ctx, id)
		if !errors.Is(err, store.ErrNotFound) {
			return a, DiskFull(err)
		}
	}
	a, err := s.store.AccountByName(ctx, name)
	return a, unknown(err, "noSuchUser")
}

// Add makes an account whatever registration says. An empty nickname is the
// user name.
func (s *Service) Add(ctx context.Context, username, password, nickname string, role int) (store.Account, error) {
	name, err := checkUsername(username)
	if err != nil {
		return store.Account{}, err
	}
	if nickname == "" {
		nickname = name
	}
	if nickname, err = s.checkNickname(nickname); err != nil {
		return store.Account{}, err
	}
	if err := s.checkPassword(password); err != nil {
		return store.Account{}, err
	}
	if role != store.RoleUser && role != store.RoleAdmin && role != store.RoleDeveloper {
		return store.Account{}, badName("Role", "badRole")
	}
	return s.create(ctx, password, store.NewAccount{Username: name, Nickname: nickname, Role: role})
}

// SetPassword gives an account a new password and ends all its login sessions.
func (s *Service) SetPassword(ctx context.Context, user int64, password string) error {
	return s.setPassword(ctx, user, password, 0)
}

// Ban keeps an account out until a time, for ever if it is zero, and ends its
// login sessions.
func (s *Service) Ban(ctx context.Context, user int64, until time.Time, reason string) error {
	end := int64(Forever)
	if !until.IsZero() {
		if end = until.UnixMilli(); end <= s.now().UnixMilli() {
			return badName("Until", "badTime")
		}
	}
	gone, err := s.store.Ban(ctx, user, end, clip(reason, 500))
	if err != nil {
		return unknown(err, "noSuchUser")
	}
	s.dropped(gone)
	s.gone(ctx, user)
	return nil
}

// Unban lets an account in again.
func (s *Service) Unban(ctx context.Context, user int64) error {
	_, err := s.store.Ban(ctx, user, 0, "")
	return unknown(err, "noSuchUser")
}

// SessionsOf lists the login sessions of an account.
func (s *Service) SessionsOf(ctx context.Context, user int64) ([]store.LoginSession, error) {
	return s.store.Sessions(ctx, user)
}

// Revoke ends one login session of an account, or all (session 0), and answers
// how many it were.
func (s *Service) Revoke(ctx context.Context, user, session int64) (int, error) {
	gone, err := s.store.Revoke(ctx, user, session)
	if err != nil {
		return 0, DiskFull(err)
	}
	if session != 0 && len(gone) == 0 {
		return 0, protocol.Errorf(protocol.CodeUnknown, "noSuchSession")
	}
	s.dropped(gone)
	return len(gone), nil
}

const (
	inviteChars   = 10
	maxInviteUses = 100_000
)

// CreateInvite makes an invitation code that works uses times, for ever if valid
// is 0.
func (s *Service) CreateInvite(ctx context.Context, by int64, note string, uses int, valid time.Duration) (store.Invite, error) {
	if uses < 1 || uses > maxInviteUses {
		return store.Invite{}, badName("Uses", "badNumber", "1", strconv.Itoa(maxInviteUses))
	}
	if valid < 0 {
		return store.Invite{}, badName("Valid", "badTime")
	}
	i := store.Invite{Note: clip(note, 200), CreatedBy: by, MaxUses: uses}
	if valid > 0 {
		i.ExpiresAt = s.now().Add(valid).UnixMilli()
	}
	i.Code = strings.ToUpper(recoveryAlphabet.EncodeToString(randomBytes(7))[:inviteChars])
	i, err := s.store.CreateInvite(ctx, i)
	return i, DiskFull(err)
}

// normalInvite is an invitation code as it is stored, however it was typed.
func normalInvite(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(clip(code, 64)))
}

// Invites lists all invitation codes, newest first.
func (s *Service) Invites(ctx context.Context) ([]store.Invite, error) { return s.store.Invites(ctx) }

// RevokeInvite makes an invitation code useless.
func (s *Service) RevokeInvite(ctx context.Context, code string) error {
	return unknown(s.store.RevokeInvite(ctx, normalInvite(code)), "noSuchInvite")
}

// Audit stores what an operator did.
func (s *Service) Audit(ctx context.Context, e store.AuditEntry) error { return s.store.Audit(ctx, e) }
