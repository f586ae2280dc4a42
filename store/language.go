package store

import (
	"context"
	"encoding/json"
	"sync"
)

// languageCache remembers in which languages people read: every server text of a
// group needs those of all members. mu guards the fields below.
type languageCache struct {
	mu      sync.Mutex
	m       map[int64]string
	changes uint64 // grows when anybody's language changes
}

// maxLanguages bounds the cache, at some 50 bytes each.
const maxLanguages = 200_000

// find answers what is known of users, who is not, and the state of the cache for
// add.
func (c *languageCache) find(users []int64) (known map[int64]string, unknown []int64, changes uint64) {
	known = make(map[int64]string, len(users))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range users {
		if l, ok := c.m[u]; ok {
			known[u] = l
		} else {
			unknown = append(unknown, u)
		}
	}
	return known, unknown, c.changes
}

// add keeps what was read after find, unless somebody's language changed since.
func (c *languageCache) add(read map[int64]string, changes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes != changes {
		return
	}
	if c.m == nil || len(c.m)+len(read) > maxLanguages {
		c.m = make(map[int64]string, len(read))
	}
	for u, l := range read {
		c.m[u] = l
	}
}

// forget drops what is known of a user, whose language changed.
func (c *languageCache) forget(user int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	delete(c.m, user)
}

// Languages answers which languages users have chosen, "" for none. Mostly it
// asks no database.
func (s *Store) Languages(ctx context.Context, users []int64) (map[int64]string, error) {
	known, unknown, changes := s.languages.find(users)
	if len(unknown) == 0 {
		return known, nil
	}
	list, err := json.Marshal(unknown)
	if err != nil {
		return known, err
	}
	type choice struct {
		user     int64
		language string
	}
	rows, err := s.viewRows(ctx, `SELECT a.id, a.language FROM json_each(?) j CROSS JOIN account a ON a.id = j.value`, string(list))
	found, err := collect(rows, err, func(r scanner) (choice, error) {
		var c choice
		err := r.Scan(&c.user, &c.language)
		return c, err
	})
	if err != nil {
		return known, err
	}
	read := make(map[int64]string, len(found))
	for _, c := range found {
		read[c.user], known[c.user] = c.language, c.language
	}
	s.languages.add(read, changes)
	return known, nil
}
