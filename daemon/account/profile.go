package account

import (
	"context"
	"fmt"
	"net/url"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	maxAvatarBytes = 1024
	defaultRows    = 15
	maxRows        = 50
)

// Info finds an account. Any logged-in user may read any; the caller shows only
// what is public.
func (s *Service) Info(ctx context.Context, id int64) (store.Account, error) {
	a, err := s.store.Account(ctx, id)
	return a, unknown(err, "noSuchUser")
}

// SetField changes the caller's avatar or nickname.
func (s *Service) SetField(ctx context.Context, p Principal, field, value string) error {
	var err error
	switch field {
	case "nickname":
		value, err = s.checkNickname(value)
	case "avatar":
		err = checkAvatar(value)
	default:
		return protocol.Errorf(protocol.CodeFailed, "badValue", "Field", "avatar | nickname") // code 1, wire.md 4.1
	}
	if err != nil {
		return err
	}
	return unknown(s.store.SetProfile(ctx, p.User, field, value), "noSuchUser")
}

// checkAvatar lets only web addresses through: others load the avatar.
func checkAvatar(value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || len(value) > maxAvatarBytes || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return badName("Value", "badURL")
	}
	for _, r := range value {
		if badRune(r, false) || r == ' ' {
			return badName("Value", "badURL")
		}
	}
	return nil
}

// Search finds an account by its exact user name. Nobody is CodeUnknown: the
// app shows "not found" for every code above 0 (wire.md M6).
func (s *Service) Search(ctx context.Context, _ Principal, username string) (store.Account, error) {
	a, err := s.store.AccountByName(ctx, username)
	if err == nil && (a.DeletedAt != 0 || a.ID == store.BuiltInAccount) {
		err = store.ErrNotFound
	}
	return a, unknown(err, "noSuchUser")
}

// Subscriptions lists whom the caller follows; page counts from 1.
func (s *Service) Subscriptions(ctx context.Context, p Principal, page, rows int) ([]store.Account, error) {
	if rows <= 0 {
		rows = defaultRows
	}
	rows = min(rows, maxRows)
	page = min(max(page, 1), 1_000_000)
	return s.store.Following(ctx, p.User, (page-1)*rows, rows)
}

// IsFriend says whether two users are contacts, IsFollowing whether viewer
// follows user; nobody is either of a guest.
func (s *Service) IsFriend(ctx context.Context, viewer, user int64) (bool, error) {
	if viewer == 0 {
		return false, nil
	}
	return s.store.AreContacts(ctx, viewer, user)
}

// IsFollowing says whether viewer follows user.
func (s *Service) IsFollowing(ctx context.Context, viewer, user int64) (bool, error) {
	if viewer == 0 {
		return false, nil
	}
	return s.store.IsFollowing(ctx, viewer, user)
}

// Delete makes the caller's account unusable and anonymous, after the password
// was given again.
func (s *Service) Delete(ctx context.Context, p Principal, o Origin, password string) error {
	if _, err := s.reauthenticate(ctx, p, o, password); err != nil {
		return err
	}
	if err := s.deps.Leaving(ctx, p.User); err != nil {
		return fmt.Errorf("leave before the account goes: %w", err)
	}
	freeAt := s.now().Add(s.cfg.Load().NameReserved).UnixMilli()
	sessions, peers, err := s.store.DeleteAccount(ctx, p.User, freeAt, s.deps.QuitTexts)
	if err != nil {
		return unknown(err, "noSuchUser")
	}
	s.dropped(sessions)
	for _, peer := range peers {
		s.deps.Unfriended(p.User, peer)
	}
	s.gone(ctx, p.User)
	return nil
}
