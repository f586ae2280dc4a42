package account

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"gtiv/daemon/limit"
	"gtiv/protocol"
	"gtiv/store"
)

// RegisterByUsername makes an account and logs it in.
func (s *Service) RegisterByUsername(ctx context.Context, o Origin, username, password, invite string) (*Login, error) {
	name, err := checkUsername(username)
	if err != nil {
		return nil, err
	}
	if allowed, err := s.deps.Censor.Apply(name); err != nil || allowed != name {
		return nil, refusedName(allowed, err)
	}
	return s.register(ctx, o, password, invite, store.NewAccount{Username: name, Nickname: defaultNickname()})
}

// defaultNickname is what a new account is called until it says otherwise
// (wire.md 5).
func defaultNickname() string { return fmt.Sprintf("User%04d", rand.IntN(10000)) } //nolint:gosec // not a secret

// RegisterByPhone makes an account for a phone number whose code was verified
// (wire.md 4.1).
func (s *Service) RegisterByPhone(ctx context.Context, o Origin, telCode, tel, code, password, invite string) (*Login, error) {
	telCode, tel, err := checkPhone(telCode, tel)
	if err != nil {
		return nil, err
	}
	if !s.cfg.Load().PhoneRegistration {
		return nil, protocol.Errorf(protocol.CodeForbidden, "registrationClosed")
	}
	if err := s.mayRegister(ctx, invite); err != nil { // before the code is used up
		return nil, err
	}
	if err := s.checkPassword(password); err != nil {
		return nil, err
	}
	phone := telCode + tel
	if _, err := s.store.AccountByName(ctx, phone); err == nil {
		return nil, protocol.Errorf(protocol.CodePhoneExists, "phoneExists")
	}
	if err := s.verifier.Check(ctx, phone, code); err != nil {
		return nil, err
	}
	l, err := s.register(ctx, o, password, invite, store.NewAccount{Username: phone, Nickname: "+" + phone, TelCode: telCode, Tel: tel})
	if protocol.CodeOf(err) == protocol.CodeConflict {
		return nil, protocol.Errorf(protocol.CodePhoneExists, "phoneExists")
	}
	return l, err
}

func (s *Service) register(ctx context.Context, o Origin, password, invite string, n store.NewAccount) (*Login, error) {
	if err := s.mayRegister(ctx, invite); err != nil {
		return nil, err
	}
	if err := s.checkPassword(password); err != nil {
		return nil, err
	}
	if _, err := s.store.AccountByName(ctx, n.Username); err == nil { // spares the hash
		return nil, protocol.Errorf(protocol.CodeConflict, "usernameTaken")
	}
	if wait := s.registrations.Take(limit.AddressKey(o.Address), s.cfg.Load().RegistrationsPerHour); wait > 0 {
		return nil, protocol.TooOften(wait)
	}
	if s.cfg.Load().Registration == RegistrationInvite {
		n.Invite = normalInvite(invite)
	}
	n.Role = store.RoleUser
	if o.Language != "" {
		n.Language = protocol.LanguageOf(o.Language, s.cfg.Load().Language)
	}
	a, err := s.create(ctx, password, n)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, o, a)
}

// create hashes the password and stores the account.
func (s *Service) create(ctx context.Context, password string, n store.NewAccount) (store.Account, error) {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return store.Account{}, err
	}
	n.PasswordHash = hash
	a, err := s.store.CreateAccount(ctx, n)
	switch {
	case errors.Is(err, store.ErrConflict):
		return a, protocol.Errorf(protocol.CodeConflict, "usernameTaken")
	case errors.Is(err, store.ErrNotFound):
		return a, protocol.Errorf(protocol.CodeInviteCode, "badInvite")
	}
	return a, DiskFull(err)
}

// mayRegister says whether sign-up is open to the bearer of this invitation.
func (s *Service) mayRegister(ctx context.Context, invite string) error {
	switch s.cfg.Load().Registration {
	case RegistrationOpen:
		return nil
	case RegistrationInvite:
		ok, err := s.store.InviteUsable(ctx, normalInvite(invite))
		if err != nil {
			return fmt.Errorf("check invitation: %w", err)
		}
		if !ok {
			return protocol.Errorf(protocol.CodeInviteCode, "badInvite")
		}
		return nil
	default:
		return protocol.Errorf(protocol.CodeForbidden, "registrationClosed")
	}
}

// checkPhone cleans a phone number: digits only, country code without + or 00
// (ITU E.164: at most 15 digits in all).
func checkPhone(telCode, tel string) (string, string, error) {
	code := strings.TrimPrefix(strings.TrimPrefix(onlyDigits(telCode), "00"), "0")
	number := strings.TrimLeft(onlyDigits(tel), "0")
	if code == "" || len(code) > 4 {
		return "", "", badName("TelCode", "badPhone")
	}
	if len(number) < 4 || len(code)+len(number) > 15 {
		return "", "", badName("Tel", "badPhone")
	}
	return code, number, nil
}

// onlyDigits drops what people put between digits; anything else makes it empty.
func onlyDigits(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == '+' || r == ' ' || r == '-' || r == '(' || r == ')' || r == '.':
		default:
			return ""
		}
	}
	return b.String()
}
