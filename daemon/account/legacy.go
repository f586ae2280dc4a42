package account

import (
	"context"
	"crypto/md5" //nolint:gosec // the original server's, see below
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"gtiv/store"
)

// This file has the passwords that came from the original server. It kept the MD5
// of a password and a constant suffix, one of two (wire.md M11), which is cracked
// as fast as a disk is read. Accounts that are imported have that MD5 for as long
// as it takes to hash it with argon2id in its turn, which Run does: a hash takes
// 40 ms, so that an import of 100,000 accounts would take more than an hour if it
// did that itself, with the site closed. At the first login the password is known
// and is stored as any other.
//
// The two forms are "$md5$<32 hex>" and "$md5+argon2id$…", the argon2id of these
// hex digits.
const (
	unhashedKind = "$md5$"
	rehashedKind = "$md5+"
)

// legacySuffixes are those of the two programs of the original.
var legacySuffixes = [...]string{"t3im", "gtiv"}

func legacySum(password, suffix string) string {
	sum := md5.Sum([]byte(password + suffix)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// LegacyHash is the stored form of a password that the original server kept as the
// MD5 sum. It refuses what is none, and the sum of no password at all: the original
// let such accounts be made.
func LegacyHash(sum string) (string, bool) {
	sum = strings.ToLower(strings.TrimSpace(sum))
	if b, err := hex.DecodeString(sum); err != nil || len(b) != md5.Size {
		return "", false
	}
	for _, suffix := range legacySuffixes {
		if sum == legacySum("", suffix) {
			return "", false
		}
	}
	return unhashedKind + sum, true
}

func isLegacy(stored string) bool {
	return strings.HasPrefix(stored, unhashedKind) || strings.HasPrefix(stored, rehashedKind)
}

// checkLegacy is check for passwords of the original server. Both suffixes must be
// tried, so that a wrong password takes twice the time of one of another account;
// that tells who was imported, and no more.
func (h *hasher) checkLegacy(ctx context.Context, password, stored string) (bool, error) {
	release, err := h.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	if sum, ok := strings.CutPrefix(stored, unhashedKind); ok {
		// As slow as if it were hashed: how long it takes must not tell that it is not.
		argon2.IDKey([]byte(password), make([]byte, saltBytes), h.passes.Load(), h.memory.Load(), 1, keyBytes)
		found := 0
		for _, suffix := range legacySuffixes {
			found |= subtle.ConstantTimeCompare([]byte(legacySum(password, suffix)), []byte(sum))
		}
		return found == 1, nil
	}
	p, err := parseHash("$" + strings.TrimPrefix(stored, rehashedKind))
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(legacySuffixes[:], func(suffix string) bool { return p.matches(legacySum(password, suffix)) }), nil
}

// rehash is the second form of the first one. It is as cheap as a hash may be: the
// next login makes a better one.
func (h *hasher) rehash(ctx context.Context, unhashed string) (string, error) {
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	hash := newHash(strings.TrimPrefix(unhashed, unhashedKind), minMemoryKiB, minPasses)
	return rehashedKind + strings.TrimPrefix(hash, "$"), nil
}

const (
	rehashAfter = 5 * time.Second // leaves the first moments to who comes back
	rehashBatch = 100
)

// rehashLegacy hashes what an import brought, one after the other and half of the
// time, so that logins find a place. There is nothing more to do once it was through:
// imports happen while the daemon does not run.
func (s *Service) rehashLegacy(ctx context.Context) {
	wait := rehashAfter
	done := 0
	for {
		if !sleep(ctx, wait) {
			return
		}
		list, err := s.store.UnhashedPasswords(ctx, rehashBatch)
		for i := 0; err == nil && i < len(list); i++ {
			begun := s.now()
			if err = s.rehashOne(ctx, list[i]); err == nil && !sleep(ctx, min(s.now().Sub(begun), time.Second)) {
				return
			}
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Warn("imported passwords not hashed", "err", err)
			wait = time.Minute
			continue
		case len(list) == 0:
			if done > 0 {
				s.log.Info("imported passwords hashed", "accounts", done)
			}
			return
		}
		done += len(list)
		wait = 0
	}
}

func (s *Service) rehashOne(ctx context.Context, p store.UnhashedPassword) error {
	hash, err := s.hasher.rehash(ctx, p.Hash)
	if err != nil {
		return err
	}
	err = s.store.UpgradeHash(ctx, p.Account, p.Hash, hash)
	if errors.Is(err, store.ErrNotFound) {
		return nil // the user logged in meanwhile, or is gone
	}
	return err
}

// sleep waits and answers false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
