package queue

import "github.com/dgraph-io/badger/v4"

// Stored reads a cursor from disk, past the memory.
func Stored(s *Store, session, conv int64) Cursor {
	var cur Cursor
	_ = s.view(func(txn *badger.Txn) error {
		v, err := getValue(txn, cursorKey(session, conv))
		if err == nil && v != nil {
			cur, err = decodeCursor(v)
		}
		return err
	})
	return cur
}

// SetLimits makes the bounds per shard small. Call it before anything else.
func SetLimits(c *Cursors, sessions, cursors int) { c.sessionLimit, c.cursorLimit = sessions, cursors }

// InMemory counts the sessions in memory.
func InMemory(c *Cursors) int {
	n := 0
	for i := range c.shards {
		c.shards[i].mu.Lock()
		n += len(c.shards[i].sessions)
		c.shards[i].mu.Unlock()
	}
	return n
}

// Crossed returns how many keys and tombstones the topic's reads went over.
func Crossed(t *Topic) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.crossed
}

// Flatten is what housekeep does when it is worth it.
func Flatten(s *Store) { s.flatten() }

// SetRaw replaces a stored value, as damage would.
func SetRaw(s *Store, key, value []byte) error {
	return s.db.Update(func(txn *badger.Txn) error { return txn.Set(key, value) })
}
