package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

const (
	minMemoryKiB = 19 * 1024 // OWASP's least for argon2id with one lane
	maxMemoryKiB = 1024 * 1024
	minPasses    = 2
	maxPasses    = 12
	hashAtOnce   = 2 // bounds memory and CPU whatever the number of logins
	saltBytes    = 16
	keyBytes     = 32
	// hashTarget is how long a hash may take: long for a thief, short for a
	// phone that gives up after 10 s behind two queued ones.
	hashTarget = 150 * time.Millisecond
	// calibrateAfter keeps the measurement out of the first moments.
	calibrateAfter = 3 * time.Second
)

// hasher makes and checks argon2id password hashes in the PHC string format.
// At most hashAtOnce run at a time.
type hasher struct {
	slots  chan struct{}
	memory atomic.Uint32 // KiB
	passes atomic.Uint32
	dummy  atomic.Pointer[string]
}

func newHasher() *hasher {
	h := &hasher{slots: make(chan struct{}, hashAtOnce)}
	h.memory.Store(minMemoryKiB)
	h.passes.Store(minPasses)
	return h
}

func (h *hasher) setMemory(kib uint32) {
	h.memory.Store(min(max(kib, minMemoryKiB), maxMemoryKiB))
}

// acquire waits for a slot, at most as long as ctx.
func (h *hasher) acquire(ctx context.Context) (release func(), err error) {
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for password check: %w", ctx.Err())
	}
}

// hash makes the stored form of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return newHash(password, h.memory.Load(), h.passes.Load()), nil
}

func newHash(password string, memory, passes uint32) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt) //nolint:errcheck // never fails since Go 1.24
	key := argon2.IDKey([]byte(password), salt, passes, memory, 1, keyBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, memory, passes, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// check compares a password with its stored form. An unknown account is checked
// against a dummy, so that both take the same time. upgrade says that the hash
// is weaker than what is made today.
func (h *hasher) check(ctx context.Context, password, stored string) (ok, upgrade bool, err error) {
	if isLegacy(stored) {
		ok, err = h.checkLegacy(ctx, password, stored)
		return ok, ok, err
	}
	known := stored != ""
	if !known {
		if stored, err = h.dummyHash(ctx); err != nil {
			return false, false, err
		}
	}
	p, err := parseHash(stored)
	if err != nil {
		return false, false, err
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return false, false, err
	}
	defer release()
	ok = p.matches(password) && known
	return ok, ok && (p.memory < h.memory.Load() || p.passes < h.passes.Load()), nil
}

// dummyHash is a hash that no password matches, made once.
func (h *hasher) dummyHash(ctx context.Context) (string, error) {
	if d := h.dummy.Load(); d != nil {
		return *d, nil
	}
	d, err := h.hash(ctx, rand.Text())
	if err != nil {
		return "", err
	}
	h.dummy.Store(&d)
	return d, nil
}

type hashParams struct {
	memory, passes uint32
	salt, key      []byte
}

func (p hashParams) matches(password string) bool {
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, 1, uint32(len(p.key))) //nolint:gosec // bounded by parseHash
	return subtle.ConstantTimeCompare(key, p.key) == 1
}

func parseHash(s string) (hashParams, error) {
	var p hashParams
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return p, fmt.Errorf("stored password has an unknown form")
	}
	var version int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return p, fmt.Errorf("stored password has argon2 version %q", parts[2])
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &p.memory, &p.passes); err != nil {
		return p, fmt.Errorf("stored password has parameters %q: %w", parts[3], err)
	}
	if p.memory < 8 || p.memory > maxMemoryKiB || p.passes < 1 || p.passes > 100 {
		return p, fmt.Errorf("stored password has parameters %q out of bounds", parts[3])
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return p, fmt.Errorf("stored password's salt: %w", err)
	}
	if p.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(p.key) < 16 || len(p.key) > 64 {
		return p, fmt.Errorf("stored password's key is damaged")
	}
	return p, nil
}

// calibrate measures one hash and chooses the number of passes so that a hash
// takes about hashTarget on this machine. It gives the memory back.
func (h *hasher) calibrate(ctx context.Context, log *slog.Logger) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(calibrateAfter):
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return
	}
	defer release()
	m := h.memory.Load()
	start := time.Now()
	argon2.IDKey([]byte("calibration"), make([]byte, saltBytes), minPasses, m, 1, keyBytes)
	perPass := max(time.Since(start)/minPasses, time.Microsecond)
	passes := min(max(uint32(hashTarget/perPass), minPasses), maxPasses) //nolint:gosec // small
	h.passes.Store(passes)
	debug.FreeOSMemory()
	log.Debug("password hash calibrated", "memory_kib", m, "passes", passes, "dur", perPass*time.Duration(passes))
}
