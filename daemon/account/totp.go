package account

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	totpDigits    = 6
	totpPeriod    = 30 * time.Second // RFC 6238 section 4.1
	totpSkew      = 1                // steps a clock may be off, either way
	recoveryCodes = 10
	recoveryChars = 10 // 50 bits
	maxCodeBytes  = 16
)

var recoveryAlphabet = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// TOTPSetup makes a new second-factor secret that waits for TOTPConfirm. The URL
// is for authenticator apps (otpauth://).
func (s *Service) TOTPSetup(ctx context.Context, p Principal, o Origin, password string) (secret, url string, err error) {
	a, err := s.reauthenticate(ctx, p, o, password)
	if err != nil {
		return "", "", err
	}
	issuer := s.cfg.Load().SiteName
	if issuer == "" {
		issuer = "gtiv"
	}
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: strings.ReplaceAll(issuer, ":", " "), AccountName: strings.ReplaceAll(a.Username, ":", " "),
		Period: uint(totpPeriod / time.Second), Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1, SecretSize: 20,
	})
	if err != nil {
		return "", "", fmt.Errorf("make second-factor secret: %w", err)
	}
	err = s.store.SetTOTPSecret(ctx, p.User, s.seal.seal(p.User, key.Secret()))
	if errors.Is(err, store.ErrConflict) {
		return "", "", protocol.Errorf(protocol.CodeConflict, "totpActive")
	}
	if err != nil {
		return "", "", DiskFull(err)
	}
	return key.Secret(), key.URL(), nil
}

// TOTPConfirm turns the second factor on with a first code, and answers the
// recovery codes, which are shown this once.
func (s *Service) TOTPConfirm(ctx context.Context, p Principal, code string) ([]string, error) {
	if wait := s.failures.Try(fmt.Sprintf("totp\x00%d", p.User), s.cfg.Load().LoginFailures); wait > 0 {
		return nil, protocol.TooOften(wait)
	}
	t, err := s.store.TOTP(ctx, p.User)
	if err != nil {
		return nil, unknown(err, "noSuchUser")
	}
	if t.On || t.Sealed == nil {
		return nil, protocol.Errorf(protocol.CodeConflict, map[bool]string{true: "totpActive", false: "totpInactive"}[t.On])
	}
	step, err := s.matchStep(p.User, t, code)
	if err != nil {
		return nil, err
	}
	codes, hashes := newRecoveryCodes()
	if err := s.store.ConfirmTOTP(ctx, p.User, step, hashes); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return nil, protocol.Errorf(protocol.CodeConflict, "totpActive")
		}
		return nil, DiskFull(err)
	}
	s.failures.Success(fmt.Sprintf("totp\x00%d", p.User))
	return codes, nil
}

// TOTPDisable turns the second factor off.
func (s *Service) TOTPDisable(ctx context.Context, p Principal, o Origin, password, code string) error {
	if err := s.bothFactors(ctx, p, o, password, code); err != nil {
		return err
	}
	return DiskFull(s.store.DisableTOTP(ctx, p.User))
}

// TOTPRecovery replaces the recovery codes by a new set.
func (s *Service) TOTPRecovery(ctx context.Context, p Principal, o Origin, password, code string) ([]string, error) {
	if err := s.bothFactors(ctx, p, o, password, code); err != nil {
		return nil, err
	}
	codes, hashes := newRecoveryCodes()
	return codes, DiskFull(s.store.ReplaceRecoveryCodes(ctx, p.User, hashes))
}

// TOTPStatus says whether the second factor is on and how many recovery codes
// are left.
func (s *Service) TOTPStatus(ctx context.Context, p Principal) (on bool, recoveryLeft int, err error) {
	t, err := s.store.TOTP(ctx, p.User)
	return t.On, t.Left, unknown(err, "noSuchUser")
}

func (s *Service) bothFactors(ctx context.Context, p Principal, o Origin, password, code string) error {
	a, err := s.reauthenticate(ctx, p, o, password)
	if err != nil {
		return err
	}
	if !a.TOTP {
		return protocol.Errorf(protocol.CodeConflict, "totpInactive")
	}
	key := fmt.Sprintf("totp\x00%d", p.User)
	if wait := s.failures.Try(key, s.cfg.Load().LoginFailures); wait > 0 {
		return protocol.TooOften(wait)
	}
	if err := s.useCode(ctx, p.User, code); err != nil {
		return err
	}
	s.failures.Success(key)
	return nil
}

// reading is one way to understand a secret with a code behind it.
type reading struct{ password, code string }

// readings takes the code off the end of a secret (wire.md knows one password
// field only): six digits, or a recovery code with or without the dash that it
// is shown with. Without it the end may look like both.
func readings(secret string) []reading {
	var list []reading
	flat := strings.TrimRight(secret, " ")
	if n := len(flat) - totpDigits; n >= 0 && allDigits(flat[n:]) {
		list = append(list, reading{flat[:n], flat[n:]})
	}
	for _, n := range []int{len(flat) - recoveryChars - 1, len(flat) - recoveryChars} {
		if n >= 0 && len(normalRecovery(flat[n:])) == recoveryChars && (len(flat)-n == recoveryChars || flat[n+recoveryChars/2] == '-') {
			list = append(list, reading{flat[:n], flat[n:]})
		}
	}
	return list
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// normalRecovery is a recovery code without dash and case, "" if it is none.
func normalRecovery(code string) string {
	code = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(code), "-", ""))
	if len(code) != recoveryChars || strings.Trim(code, "abcdefghijkmnpqrstuvwxyz23456789") != "" {
		return ""
	}
	return code
}

// useCode checks a time code or a recovery code and uses it up.
func (s *Service) useCode(ctx context.Context, user int64, code string) error {
	wrong := protocol.Errorf(protocol.CodePassword, "badPassword")
	if r := normalRecovery(code); r != "" {
		err := s.store.UseRecoveryCode(ctx, user, hashRecovery(r))
		if errors.Is(err, store.ErrNotFound) {
			return wrong
		}
		return DiskFull(err)
	}
	t, err := s.store.TOTP(ctx, user)
	if err != nil {
		return fmt.Errorf("read second factor: %w", err)
	}
	step, err := s.matchStep(user, t, code)
	if err != nil {
		return err
	}
	err = s.store.UseTOTPStep(ctx, user, step)
	if errors.Is(err, store.ErrConflict) {
		return wrong // used before
	}
	return DiskFull(err)
}

// matchStep finds the time step that a code belongs to.
func (s *Service) matchStep(user int64, t store.TOTP, code string) (int64, error) {
	secret, err := s.seal.open(user, t.Sealed)
	if err != nil {
		return 0, err
	}
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	opts := totp.ValidateOpts{Period: uint(totpPeriod / time.Second), Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
	now := s.now()
	for _, skew := range []int{0, -totpSkew, totpSkew} {
		at := now.Add(time.Duration(skew) * totpPeriod)
		if ok, err := totp.ValidateCustom(code, secret, at, opts); err == nil && ok {
			return at.Unix() / int64(totpPeriod/time.Second), nil
		}
	}
	return 0, protocol.Errorf(protocol.CodePassword, "badPassword")
}

// newRecoveryCodes makes a set, as text for the person and hashed for the
// database. The codes are random enough that a plain hash protects them.
func newRecoveryCodes() (codes []string, hashes [][]byte) {
	for range recoveryCodes {
		c := recoveryAlphabet.EncodeToString(randomBytes(7))[:recoveryChars]
		codes = append(codes, c[:recoveryChars/2]+"-"+c[recoveryChars/2:])
		hashes = append(hashes, hashRecovery(c))
	}
	return codes, hashes
}

func hashRecovery(code string) []byte {
	h := sha256.Sum256([]byte("gtiv recovery " + code))
	return h[:]
}
