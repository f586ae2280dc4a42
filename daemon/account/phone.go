package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"gtiv/daemon/limit"
	"gtiv/protocol"
)

// Verifier proves that somebody owns a phone number. phone is the country code
// and the number in digits.
type Verifier interface {
	// Send makes a code and brings it to the phone.
	Send(ctx context.Context, phone string) error
	// Check uses up a code. A wrong or old one is a *protocol.Error with
	// CodeVerifyCode.
	Check(ctx context.Context, phone, code string) error
}

const (
	codeValid       = 5 * time.Minute
	codeTries       = 5
	maxPendingCodes = 1000
	codesPerHour    = 5 // per phone; per address ten times as many
)

// PendingCode is a code that waits to be entered, for administrators.
type PendingCode struct {
	Phone, Code string
	ExpiresAt   time.Time
	Tries       int // left
}

// operatorVerifier is the built-in Verifier: it has no way to send anything, so
// administrators see the codes on the control socket and pass them on.
type operatorVerifier struct {
	now func() time.Time
	mu  sync.Mutex
	m   map[string]*PendingCode // guarded by mu
}

func newOperatorVerifier(now func() time.Time) *operatorVerifier {
	return &operatorVerifier{now: now, m: map[string]*PendingCode{}}
}

func (v *operatorVerifier) Send(_ context.Context, phone string) error {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return fmt.Errorf("make verification code: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sweepLocked()
	if len(v.m) >= maxPendingCodes {
		return protocol.Errorf(protocol.CodeVerifySend, "tooOften", int(codeValid.Seconds()))
	}
	v.m[phone] = &PendingCode{Phone: phone, Code: fmt.Sprintf("%06d", n), ExpiresAt: v.now().Add(codeValid), Tries: codeTries}
	return nil
}

func (v *operatorVerifier) Check(_ context.Context, phone, code string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sweepLocked()
	wrong := protocol.Errorf(protocol.CodeVerifyCode, "badCode")
	c := v.m[phone]
	if c == nil {
		return wrong
	}
	// The generated client sends the code as a number, which loses zeros.
	code = strings.TrimSpace(code)
	if len(code) < len(c.Code) {
		code = strings.Repeat("0", len(c.Code)-len(code)) + code
	}
	if subtle.ConstantTimeCompare([]byte(code), []byte(c.Code)) == 1 {
		delete(v.m, phone)
		return nil
	}
	if c.Tries--; c.Tries <= 0 {
		delete(v.m, phone)
	}
	return wrong
}

func (v *operatorVerifier) sweepLocked() {
	now := v.now()
	for k, c := range v.m {
		if !now.Before(c.ExpiresAt) {
			delete(v.m, k)
		}
	}
}

func (v *operatorVerifier) pending() []PendingCode {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sweepLocked()
	list := make([]PendingCode, 0, len(v.m))
	for _, c := range v.m {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b PendingCode) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
	return list
}

// RequestPhoneCode has a code sent to a phone, before it registers.
func (s *Service) RequestPhoneCode(ctx context.Context, o Origin, telCode, tel string) error {
	telCode, tel, err := checkPhone(telCode, tel)
	if err != nil {
		return err
	}
	if cfg := s.cfg.Load(); cfg.Registration == RegistrationClosed || !cfg.PhoneRegistration {
		return protocol.Errorf(protocol.CodeForbidden, "registrationClosed")
	}
	if wait := s.codes.Take(limit.AddressKey(o.Address), 10*codesPerHour); wait > 0 {
		return tooManyCodes(wait)
	}
	if wait := s.codes.Take("phone "+telCode+tel, codesPerHour); wait > 0 {
		return tooManyCodes(wait)
	}
	return s.verifier.Send(ctx, telCode+tel)
}

func tooManyCodes(wait time.Duration) error {
	e := protocol.TooOften(wait)
	e.Code = protocol.CodeVerifyOften
	return e
}

// Codes lists the codes that wait, for administrators; none when another
// verifier sends them.
func (s *Service) Codes() []PendingCode {
	if v, ok := s.verifier.(*operatorVerifier); ok {
		return v.pending()
	}
	return nil
}
