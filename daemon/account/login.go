package account

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"gtiv/daemon/limit"
	"gtiv/protocol"
	"gtiv/store"
)

// Forever is the end of a ban that has none, in ms.
const Forever = math.MaxInt64

// An address may fail sprayFactor times as often as one account from it, within
// sprayWindow: many people can share it.
const (
	sprayFactor = 10
	sprayWindow = 15 * time.Minute
)

// Login checks a name and a password and opens a login session. With a second
// factor on, the code is appended to the password, because the app has no field
// for it. Codes: CodePassword, CodeTooOften, CodeForbidden (banned).
func (s *Service) Login(ctx context.Context, o Origin, username, password string) (*Login, error) {
	cfg := s.cfg.Load()
	from := limit.AddressKey(o.Address)
	key := store.FoldName(username) + "\x00" + from
	if wait := s.failures.Try(key, cfg.LoginFailures); wait > 0 {
		return nil, protocol.TooOften(wait)
	}
	// An address that tries many names is slowed down too, later; a login of its
	// own in between does not clear it, it only is not counted.
	if wait := s.sprays.Take(from, sprayFactor*cfg.LoginFailures); wait > 0 {
		return nil, protocol.TooOften(wait)
	}
	a, err := s.checkLogin(ctx, username, password)
	if protocol.CodeOf(err) != protocol.CodePassword {
		s.sprays.Undo(from)
	}
	if err != nil {
		return nil, err
	}
	s.failures.Success(key)
	if a.BannedUntil > s.now().UnixMilli() {
		return nil, banned(a)
	}
	return s.open(ctx, o, a)
}

// checkLogin finds the account of a user name and checks its secret.
func (s *Service) checkLogin(ctx context.Context, username, secret string) (store.Account, error) {
	a, err := s.store.AccountByName(ctx, username)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return a, fmt.Errorf("log in: %w", err)
	}
	return a, s.checkSecret(ctx, a, secret)
}

// banned tells a user until when, if the ban has an end, and why, if there is a
// reason.
func banned(a store.Account) error {
	reason := ""
	if a.BanReason != "" {
		reason = protocol.TextKey("banReason", a.BanReason)
	}
	if a.BannedUntil >= Forever/2 {
		return protocol.Errorf(protocol.CodeForbidden, "accountBanned", reason)
	}
	until := time.UnixMilli(a.BannedUntil).UTC().Format("2006-01-02 15:04 UTC")
	return protocol.Errorf(protocol.CodeForbidden, "accountBannedUntil", until, reason)
}

// open starts a login session of an account.
func (s *Service) open(ctx context.Context, o Origin, a store.Account) (*Login, error) {
	token, hash := newToken()
	language := ""
	if o.Language != "" {
		language = protocol.LanguageOf(o.Language, s.cfg.Load().Language)
	}
	id, ended, err := s.store.Login(ctx, store.NewLogin{
		Account: a.ID, TokenHash: hash, Agent: clip(o.Agent, 200), Address: o.Address.Unmap().String(),
		Alone: s.cfg.Load().SingleDevice || a.SingleDevice, Language: language,
	})
	if err != nil {
		return nil, DiskFull(fmt.Errorf("open login session: %w", err))
	}
	s.dropped(ended)
	// The time answered is this login's, not the one before (wire.md 18.19).
	a.LastLoginTime = s.now().Unix()
	return &Login{Account: a, Session: id, Token: token}, nil
}

// clip cuts text to at most n bytes at a character.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && text[n]&0xc0 == 0x80 {
		n--
	}
	return text[:n]
}

// checkSecret checks the password, and the second factor behind it.
func (s *Service) checkSecret(ctx context.Context, a store.Account, secret string) error {
	wrong := protocol.Errorf(protocol.CodePassword, "badPassword")
	if len(secret) > 4*maxPasswordRunes+maxCodeBytes {
		return wrong
	}
	if !a.TOTP {
		return s.checkPlain(ctx, a, secret)
	}
	with := readings(secret)
	for _, r := range with {
		err := s.checkPlain(ctx, a, r.password)
		if err == nil {
			return s.useCode(ctx, a.ID, r.code)
		}
		if protocol.CodeOf(err) != protocol.CodePassword {
			return err
		}
	}
	if len(with) > 0 {
		return wrong
	}
	if err := s.checkPlain(ctx, a, secret); err != nil {
		return err
	}
	return protocol.Errorf(protocol.CodePassword, "needTwoFactor")
}

// checkPlain checks the password alone, and stores it anew when today's hash is
// stronger.
func (s *Service) checkPlain(ctx context.Context, a store.Account, password string) error {
	ok, upgrade, err := s.hasher.check(ctx, password, a.PasswordHash)
	if err != nil {
		return fmt.Errorf("check password: %w", err)
	}
	if !ok {
		return protocol.Errorf(protocol.CodePassword, "badPassword")
	}
	if upgrade {
		if err := s.upgrade(ctx, a, password); err != nil {
			s.log.Warn("password hash not renewed", "user", a.ID, "err", err)
		}
	}
	return nil
}

func (s *Service) upgrade(ctx context.Context, a store.Account, password string) error {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.store.UpgradeHash(ctx, a.ID, a.PasswordHash, hash)
}

// reauthenticate asks for the password again before something weighty. It
// counts failures as a login does.
func (s *Service) reauthenticate(ctx context.Context, p Principal, o Origin, password string) (store.Account, error) {
	key := fmt.Sprintf("again\x00%d", p.User)
	if wait := s.failures.Try(key, s.cfg.Load().LoginFailures); wait > 0 {
		return store.Account{}, protocol.TooOften(wait)
	}
	a, err := s.store.Account(ctx, p.User)
	if err != nil {
		return a, unknown(err, "noSuchUser")
	}
	if err := s.checkPlain(ctx, a, password); err != nil {
		return a, err
	}
	s.failures.Success(key)
	return a, nil
}

// ChangePassword replaces the password and ends all other login sessions.
func (s *Service) ChangePassword(ctx context.Context, p Principal, o Origin, old, fresh string) error {
	if _, err := s.reauthenticate(ctx, p, o, old); err != nil {
		return err
	}
	return s.setPassword(ctx, p.User, fresh, p.Session)
}

func (s *Service) setPassword(ctx context.Context, user int64, password string, keep int64) error {
	if err := s.checkPassword(password); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	gone, err := s.store.SetPassword(ctx, user, hash, keep)
	if err != nil {
		return unknown(err, "noSuchUser")
	}
	s.dropped(gone)
	return nil
}

// Sessions lists the caller's login sessions, newest first.
func (s *Service) Sessions(ctx context.Context, p Principal) ([]store.LoginSession, error) {
	return s.store.Sessions(ctx, p.User)
}

// RevokeSession ends one of the caller's login sessions, the present one too.
func (s *Service) RevokeSession(ctx context.Context, p Principal, session int64) error {
	if session <= 0 {
		return protocol.Errorf(protocol.CodeUnknown, "noSuchSession")
	}
	gone, err := s.store.Revoke(ctx, p.User, session)
	if err != nil {
		return DiskFull(err)
	}
	if len(gone) == 0 {
		return protocol.Errorf(protocol.CodeUnknown, "noSuchSession")
	}
	s.dropped(gone)
	return nil
}

// SetSingleDevice changes whether a login ends the caller's other sessions.
func (s *Service) SetSingleDevice(ctx context.Context, p Principal, on bool) error {
	return unknown(s.store.SetSingleDevice(ctx, p.User, on), "noSuchUser")
}

// NoteLanguage remembers the language of a caller's texts when it changed.
func (s *Service) NoteLanguage(ctx context.Context, p Principal, sent string) {
	language := protocol.LanguageOf(sent, s.cfg.Load().Language)
	if sent == "" || p.User == 0 || language == p.Language {
		return
	}
	if err := s.store.SetLanguage(ctx, p.User, language); err != nil {
		s.log.Warn("language not stored", "user", p.User, "err", err)
		return
	}
	s.tokens.setLanguage(p.Session, language)
}
