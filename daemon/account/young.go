package account

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gtiv/store"
)

// maxCachedAges bounds what is remembered of accounts' ages; above it they are
// read again.
const maxCachedAges = 100_000

// ages remembers when accounts were made (ms), 0 for administrators, who are
// never new. mu guards made.
type ages struct {
	mu   sync.Mutex
	made map[int64]int64
}

func (a *ages) get(user int64) (made int64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	made, ok = a.made[user]
	return made, ok
}

func (a *ages) put(user, made int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.made == nil || len(a.made) >= maxCachedAges {
		a.made = map[int64]int64{}
	}
	a.made[user] = made
}

// TooNew says how long an account has still to wait before it may do what new
// accounts may not (limits.new_account_minutes); 0 is not at all. It costs a map
// look-up as a rule. The caller answers protocol.TooNew.
func (s *Service) TooNew(ctx context.Context, user int64) (wait time.Duration, err error) {
	age := s.cfg.Load().NewAccount
	if age <= 0 {
		return 0, nil
	}
	made, ok := s.ages.get(user)
	if !ok {
		a, err := s.store.Account(ctx, user)
		if err != nil {
			return 0, fmt.Errorf("find age of account: %w", unknown(err, "noSuchUser"))
		}
		if a.Role == store.RoleUser {
			made = a.CreatedAt
		}
		s.ages.put(user, made)
	}
	return max(time.UnixMilli(made).Add(age).Sub(s.now()), 0), nil
}
