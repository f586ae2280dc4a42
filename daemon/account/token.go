package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"gtiv/store"
)

const (
	tokenBytes      = 32
	maxTokenText    = 256
	maxCachedTokens = 50_000
	// seenEvery is how exact last-seen times are.
	seenEvery = time.Minute
)

// newToken makes a token and its stored hash. Its text is safe in headers and
// JSON (wire.md 2.1).
func newToken() (token string, hash []byte) {
	b := make([]byte, tokenBytes)
	rand.Read(b) //nolint:errcheck // never fails since Go 1.24
	token = base64.RawURLEncoding.EncodeToString(b)
	return token, hashToken(token)
}

func hashToken(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// Authenticate finds out who a token belongs to. Errors: ErrUnknownToken;
// ErrRevoked, with the principal it once was; ErrUnknownToken too for an account
// that is gone. It is called for every request and costs a map look-up as a rule.
func (s *Service) Authenticate(ctx context.Context, token string) (Principal, error) {
	if token == "" || len(token) > maxTokenText {
		return Principal{}, ErrUnknownToken
	}
	key := sha256.Sum256([]byte(token))
	now := s.now()
	if p, ok := s.tokens.get(key, now); ok {
		return p, nil
	}
	generation := s.tokens.generation()
	l, a, err := s.store.SessionByToken(ctx, key[:])
	if errors.Is(err, store.ErrNotFound) {
		return Principal{}, ErrUnknownToken
	}
	if err != nil {
		return Principal{}, fmt.Errorf("look up token: %w", err)
	}
	p := Principal{User: a.ID, Session: l.ID, Role: a.Role, Language: a.Language}
	if l.RevokedAt != 0 || a.DeletedAt != 0 || a.BannedUntil > now.UnixMilli() {
		return p, ErrRevoked
	}
	s.tokens.put(key, p, generation, now)
	return p, nil
}

// tokenCache remembers valid tokens and when they were used. mu guards the
// fields below it.
type tokenCache struct {
	mu        sync.Mutex
	gen       uint64 // grows with every drop: a look-up begun before must not fill in after it
	byHash    map[[32]byte]*cachedToken
	bySession map[int64][32]byte
	seen      map[int64]int64 // session → ms, not written yet
}

type cachedToken struct {
	p    Principal
	seen time.Time
}

func newTokenCache() *tokenCache {
	return &tokenCache{byHash: map[[32]byte]*cachedToken{}, bySession: map[int64][32]byte{}, seen: map[int64]int64{}}
}

func (c *tokenCache) get(key [32]byte, now time.Time) (Principal, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.byHash[key]
	if t == nil {
		return Principal{}, false
	}
	if now.Sub(t.seen) >= seenEvery {
		t.seen = now
		c.seen[t.p.Session] = now.UnixMilli()
	}
	return t.p, true
}

func (c *tokenCache) generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen
}

func (c *tokenCache) put(key [32]byte, p Principal, generation uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen != generation {
		return
	}
	if len(c.byHash) >= maxCachedTokens { // read again when needed
		clear(c.byHash)
		clear(c.bySession)
	}
	c.byHash[key] = &cachedToken{p: p, seen: now}
	c.bySession[p.Session] = key
	c.seen[p.Session] = now.UnixMilli()
}

// drop forgets sessions. After it no old answer comes out of the cache.
func (c *tokenCache) drop(sessions ...int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	for _, id := range sessions {
		if key, ok := c.bySession[id]; ok {
			delete(c.byHash, key)
			delete(c.bySession, id)
		}
	}
}

// setLanguage keeps the cached language of a session true.
func (c *tokenCache) setLanguage(session int64, language string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.byHash[c.bySession[session]]; t != nil {
		t.p.Language = language
	}
}

func (c *tokenCache) takeSeen() map[int64]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) == 0 {
		return nil
	}
	m := c.seen
	c.seen = map[int64]int64{}
	return m
}
