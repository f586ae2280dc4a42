// Package account has the rules of accounts: sign-up, login and login sessions,
// profile, contacts, the second factor, invitations, and what an administrator
// does to an account.
//
// Passwords are argon2id hashes, tokens 256 random bits that are stored hashed
// (design.md 10). The package keeps no truth in memory: what it caches (valid
// tokens) is dropped before a change is answered. Failures that a person must
// know are *protocol.Error; everything else is internal.
//
// Goroutines: those of Run. Locks: each type has its own, none are nested;
// addressMu is held while bans of addresses are written and read again.
package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"gtiv/daemon/filter"
	"gtiv/daemon/limit"
	"gtiv/protocol"
	"gtiv/store"
)

// Who may sign up.
const (
	RegistrationOpen   = "open"
	RegistrationInvite = "invite"
	RegistrationClosed = "closed"
)

// Config is what an operator sets. It can be replaced while running.
type Config struct {
	Registration         string        // open, invite or closed
	PhoneRegistration    bool          // by phone number, besides by user name
	RegistrationsPerHour int           // per address; 0 no limit
	LoginFailures        int           // per account and address, then a growing delay; 0 no limit
	SingleDevice         bool          // a login ends the account's other sessions, whatever the account chose
	NameReserved         time.Duration // a deleted account's name is kept this long
	PasswordMin          int           // characters
	MemoryKiB            uint32        // of one password hash
	Language             string        // of texts for people whose language is unknown
	SiteName             string        // shown by authenticator apps
	NewAccount           time.Duration // how long an account is new, see TooNew; 0 never
}

// Deps is what the service needs. All fields but QuitTexts, Gone, Censor,
// Evict, Verifier, Logger and Now are required.
type Deps struct {
	Store *store.Store
	// SealKey seals second-factor secrets in the database; 32 bytes.
	SealKey []byte
	// Kick tells the connections of a revoked login session and closes them.
	Kick func(session int64)
	// Forget drops what is kept in memory or in queues of a revoked session.
	Forget func(session int64)
	// Deliver pushes a stored message to its receiver.
	Deliver func(m store.Message)
	// Unfriended tells peer that user removed them (type 13).
	Unfriended func(user, peer int64)
	// Leaving takes a user out of what other features keep of them, before the
	// account is deleted.
	Leaving func(ctx context.Context, user int64) error
	// QuitTexts make what the members of a group are told when the account goes
	// that came into it after Leaving.
	QuitTexts store.QuitTexts
	// Gone hears of accounts that were banned or deleted, afterwards.
	Gone func(ctx context.Context, user int64)
	// Censor decides about names.
	Censor filter.Censor
	// Evict closes the connections of banned addresses.
	Evict func(banned func(netip.Addr) bool)
	// Verifier checks phone numbers; nil: codes are shown to administrators.
	Verifier Verifier
	Logger   *slog.Logger
	Now      func() time.Time
}

// Errors of Authenticate.
var (
	ErrUnknownToken = errors.New("unknown token")
	ErrRevoked      = errors.New("login session was revoked")
)

// Origin is where a request comes from.
type Origin struct {
	Address  netip.Addr
	Agent    string // user agent, for the list of sessions
	Language string // as the client sent it, "" if it did not
}

// Principal is who calls. User 0 is a guest.
type Principal struct {
	User, Session int64
	Role          int
	Language      string // last known language of the account, "" is the site's
}

// Login is the answer to a login or a sign-up.
type Login struct {
	Account store.Account
	Session int64
	Token   string
}

// Service has the rules. Make it with New; Run must run beside it.
type Service struct {
	cfg   atomic.Pointer[Config]
	deps  Deps
	store *store.Store
	log   *slog.Logger
	now   func() time.Time

	hasher   *hasher
	tokens   *tokenCache
	verifier Verifier
	seal     *sealer

	registrations *limit.Window
	failures      *limit.Failures // per account and address
	sprays        *limit.Window   // failures per address, whatever the account
	codes         *limit.Window
	exports       *limit.Window

	ages      ages
	addresses atomic.Pointer[addressSet]
	addressMu sync.Mutex // one change of addresses at a time
}

// New checks what it is given and makes the service.
func New(cfg Config, deps Deps) (*Service, error) {
	switch {
	case deps.Store == nil, deps.Kick == nil, deps.Forget == nil, deps.Deliver == nil, deps.Unfriended == nil, deps.Leaving == nil:
		return nil, errors.New("account: a dependency is missing")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	seal, err := newSealer(deps.SealKey)
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	s := &Service{
		deps: deps, store: deps.Store, log: deps.Logger, now: deps.Now,
		hasher: newHasher(), tokens: newTokenCache(), verifier: deps.Verifier, seal: seal,
		registrations: limit.NewWindow(time.Hour, deps.Now),
		failures:      limit.NewFailures(15*time.Minute, deps.Now),
		sprays:        limit.NewWindow(sprayWindow, deps.Now),
		codes:         limit.NewWindow(time.Hour, deps.Now),
		exports:       limit.NewWindow(time.Hour, deps.Now),
	}
	if s.verifier == nil {
		s.verifier = newOperatorVerifier(deps.Now)
	}
	if err := s.SetConfig(cfg); err != nil {
		return nil, err
	}
	return s, nil
}

// SetConfig replaces the configuration, for a reload.
func (s *Service) SetConfig(cfg Config) error {
	switch cfg.Registration {
	case RegistrationOpen, RegistrationInvite, RegistrationClosed:
	default:
		return fmt.Errorf("account: registration %q is not open, invite or closed", cfg.Registration)
	}
	s.hasher.setMemory(cfg.MemoryKiB)
	s.cfg.Store(&cfg)
	return nil
}

// Run does the background work: writes last-seen times, calibrates the password
// hash, hashes imported passwords, forgets what has expired. It returns when ctx
// ends.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.writeSeen(ctx) })
	g.Go(func() error { return s.keepHouse(ctx) })
	g.Go(func() error {
		s.hasher.calibrate(ctx, s.log)
		s.rehashLegacy(ctx)
		return nil
	})
	return g.Wait()
}

// writeSeen stores when sessions were last used, at most once a second.
func (s *Service) writeSeen(ctx context.Context) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			// A last write of its own: the store closes after the features.
			s.flushSeen(context.WithoutCancel(ctx))
			return nil
		case <-t.C:
			s.flushSeen(ctx)
		}
	}
}

func (s *Service) flushSeen(ctx context.Context) {
	if err := s.store.Seen(ctx, s.tokens.takeSeen()); err != nil && ctx.Err() == nil {
		s.log.Warn("last-seen times not written", "err", err)
	}
}

const (
	applicationAge  = 30 * 24 * time.Hour // wire.md 4.3 addme-list
	revokedTokenAge = 30 * 24 * time.Hour
)

// keepHouse forgets old applications, revoked sessions, reserved names and bans
// of addresses.
func (s *Service) keepHouse(ctx context.Context) error {
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		err := errors.Join(
			s.store.ExpireApplications(ctx, s.now().Add(-applicationAge).UnixMilli()),
			s.store.ForgetRevoked(ctx, revokedTokenAge),
			s.store.FreeNames(ctx),
			s.store.ForgetAddressBans(ctx),
		)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("expired accounts data not removed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// gone tells the others of an account that nobody can use now.
func (s *Service) gone(ctx context.Context, user int64) {
	if s.deps.Gone != nil {
		s.deps.Gone(context.WithoutCancel(ctx), user)
	}
}

// dropped ends revoked sessions everywhere: their tokens stop working at once,
// their connections are told and closed.
func (s *Service) dropped(sessions []int64) {
	s.tokens.drop(sessions...)
	for _, id := range sessions {
		s.deps.Kick(id)
		s.deps.Forget(id)
	}
}

// unknown turns the store's "not found" into an answer for a person.
func unknown(err error, key string) error {
	if errors.Is(err, store.ErrNotFound) {
		return protocol.Errorf(protocol.CodeUnknown, key)
	}
	return DiskFull(err)
}

// DiskFull turns the store's "disk full" into an answer for a person and leaves
// other errors as they are.
func DiskFull(err error) error {
	if errors.Is(err, store.ErrDiskFull) {
		e := protocol.Errorf(protocol.CodeNoRoom, "diskFull")
		e.Err = err
		return e
	}
	return err
}
