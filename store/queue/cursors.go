package queue

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
)

const (
	shardCount = 64
	// Bounds of what is kept in memory, over all shards: sessions, and cursors at
	// about 150 bytes each.
	maxSessions = 20_000
	maxCursors  = 400_000

	maxPending = 32
	maxDropped = 256 // per shard
)

// Cursors keeps the delivery cursors of all login sessions: in memory those used
// last, on disk all of them, at most Config.FlushEvery later.
//
// Hand, Confirm and Advance are on the path of every message. They take the lock
// of one of 64 shards for a few map look-ups and, as a rule, allocate nothing.
// For a session that is not in memory they note what happened in a short list
// and return; it is replayed over the stored cursors when the session is loaded,
// by a reader or by the next flush. Only when 32 notes have gathered does the
// caller itself load the session. No lock is held while the disk is read.
type Cursors struct {
	s      *Store
	shards [shardCount]shard

	writeMu sync.Mutex // one of Flush, Begin, Drop at a time
	asked   atomic.Bool
	ask     chan struct{} // holds one token while something is dirty

	// Per shard; fields so that tests can make them small.
	sessionLimit, cursorLimit int
}

type shard struct {
	mu       sync.Mutex // guards the fields below and the sessions in it
	sessions map[int64]*login
	newest   *login // ends of the list by last use
	oldest   *login
	cursors  int
	dirty    []*login
	dropped  map[int64]struct{}
	droppedQ []int64
}

// login is one login session in memory.
type login struct {
	id           int64
	newer, older *login
	loaded       bool
	known        bool // the marker is on disk
	convs        map[int64]*tracked
	pending      []note  // until loaded
	dirty        []int64 // conversations to write
	listed       bool    // in shard.dirty
	pins         int     // being loaded or written: not to be evicted
}

type tracked struct {
	Cursor
	dirty bool
}

type verb uint8

const (
	verbHand verb = iota
	verbConfirm
	verbAdvance
)

// note is one call of Hand, Confirm or Advance.
type note struct {
	verb     verb
	conv     int64
	from, to uint64
}

func (n note) apply(c *Cursor) bool {
	if n.verb == verbAdvance {
		return c.raise(n.to)
	}
	return c.paint(n.from, n.to, n.verb == verbConfirm)
}

func newCursors(s *Store) *Cursors {
	c := &Cursors{
		s: s, ask: make(chan struct{}, 1),
		sessionLimit: maxSessions / shardCount, cursorLimit: maxCursors / shardCount,
	}
	for i := range c.shards {
		c.shards[i].sessions = make(map[int64]*login)
		c.shards[i].dropped = make(map[int64]struct{})
	}
	return c
}

func (c *Cursors) shard(id int64) *shard {
	return &c.shards[uint64(id)*0x9E3779B97F4A7C15>>58]
}

// Known reports whether Begin ever succeeded for the session. False for a new
// session and after the folder was lost.
func (c *Cursors) Known(session int64) (bool, error) {
	known := false
	err := c.withLoaded(session, func(ss *login) { known = ss.known })
	return known, err
}

// Get returns the cursor of a session in a conversation; zero when there is none.
func (c *Cursors) Get(session, conversation int64) (Cursor, error) {
	var cur Cursor
	err := c.withLoaded(session, func(ss *login) {
		if t := ss.convs[conversation]; t != nil {
			cur = t.Clone()
		}
	})
	return cur, err
}

// All returns all cursors of a session, by conversation.
func (c *Cursors) All(session int64) (map[int64]Cursor, error) {
	all := make(map[int64]Cursor)
	err := c.withLoaded(session, func(ss *login) {
		for id, t := range ss.convs {
			all[id] = t.Clone()
		}
	})
	return all, err
}

// Hand notes that from..to were handed over and are not confirmed. In memory at
// once, on disk at most FlushEvery later.
func (c *Cursors) Hand(session, conversation int64, from, to uint64) {
	c.note(session, note{verbHand, conversation, from, to})
}

// Confirm notes that from..to are delivered. Base grows when they are next to it.
func (c *Cursors) Confirm(session, conversation int64, from, to uint64) {
	c.note(session, note{verbConfirm, conversation, from, to})
}

// Advance notes that everything up to base is delivered.
func (c *Cursors) Advance(session, conversation int64, base uint64) {
	c.note(session, note{verbAdvance, conversation, 0, base})
}

// Begin makes the session known, with the given bases (conversation to Base) on
// top of what was noted before. It returns when that is durable. The marker is
// written last, so an interrupted Begin leaves the session unknown.
func (c *Cursors) Begin(ctx context.Context, session int64, bases map[int64]uint64) error {
	sh := c.shard(session)
	sh.mu.Lock()
	delete(sh.dropped, session)
	sh.mu.Unlock()
	if err := c.begin(ctx, session, bases); err != nil {
		return fmt.Errorf("begin session %d: %w", session, err)
	}
	return nil
}

func (c *Cursors) begin(ctx context.Context, id int64, bases map[int64]uint64) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	sh := c.shard(id)
	var ss *login
	err := c.withLoaded(id, func(loaded *login) {
		ss = loaded
		ss.pins++
		for conv, base := range bases {
			sh.applyLocked(c, ss, note{verbAdvance, conv, 0, base})
		}
	})
	if err != nil {
		return err
	}
	err = c.writeSessions(ctx, []*login{ss}, pair{sessionKey(id), []byte{recordVersion}})
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ss.pins--
	ss.known = ss.known || err == nil
	return err
}

// Drop forgets a session that was revoked, on disk and in memory. What its
// connection still notes while it is being closed is ignored.
func (c *Cursors) Drop(ctx context.Context, session int64) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	sh := c.shard(session)
	sh.mu.Lock()
	sh.removeLocked(sh.sessions[session])
	sh.ignoreLocked(session)
	sh.mu.Unlock()
	keys := [][]byte{sessionKey(session)}
	err := c.s.view(func(txn *badger.Txn) error {
		return eachCursor(txn, session, func(key, _ []byte) { keys = append(keys, append([]byte(nil), key...)) })
	})
	if err == nil {
		err = c.s.writeAll(ctx, nil, keys)
	}
	if err != nil {
		return fmt.Errorf("drop session %d: %w", session, err)
	}
	return nil
}

// ignoreLocked keeps a short memory of dropped sessions.
func (sh *shard) ignoreLocked(id int64) {
	if _, ok := sh.dropped[id]; ok {
		return
	}
	sh.dropped[id] = struct{}{}
	sh.droppedQ = append(sh.droppedQ, id)
	if len(sh.droppedQ) > maxDropped {
		delete(sh.dropped, sh.droppedQ[0])
		sh.droppedQ = append(sh.droppedQ[:0], sh.droppedQ[1:]...)
	}
}

// note is the hot path.
func (c *Cursors) note(id int64, n note) {
	sh := c.shard(id)
	for {
		sh.mu.Lock()
		if _, ok := sh.dropped[id]; ok {
			sh.mu.Unlock()
			return
		}
		ss := sh.touchLocked(c, id)
		if ss.loaded {
			sh.applyLocked(c, ss, n)
			sh.mu.Unlock()
			return
		}
		if ss.postpone(n) {
			sh.listLocked(c, ss)
			sh.mu.Unlock()
			return
		}
		ss.pins++
		sh.mu.Unlock()
		if err := c.load(sh, ss); err != nil {
			c.s.log.Warn("cursors not loaded", "session", id, "err", err)
			sh.forgetNote(ss)
		}
	}
}

// postpone keeps n for later; false when there are too many already.
func (ss *login) postpone(n note) bool {
	if last := len(ss.pending) - 1; last >= 0 && n.verb != verbAdvance {
		p := &ss.pending[last]
		if p.verb == n.verb && p.conv == n.conv && p.to+1 == n.from && n.from <= n.to {
			p.to = n.to
			return true
		}
	}
	if len(ss.pending) >= maxPending {
		return false
	}
	ss.pending = append(ss.pending, n)
	return true
}

// forgetNote makes room while the disk does not answer. Forgetting repeats a
// delivery at worst.
func (sh *shard) forgetNote(ss *login) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(ss.pending) >= maxPending {
		ss.pending = append(ss.pending[:0], ss.pending[1:]...)
	}
}

func (sh *shard) applyLocked(c *Cursors, ss *login, n note) {
	t := ss.convs[n.conv]
	if t == nil {
		t = new(tracked)
		ss.convs[n.conv] = t
		sh.cursors++
	}
	if !n.apply(&t.Cursor) || t.dirty {
		return
	}
	t.dirty = true
	ss.dirty = append(ss.dirty, n.conv)
	sh.listLocked(c, ss)
}

// listLocked puts a session on the list of the next flush.
func (sh *shard) listLocked(c *Cursors, ss *login) {
	if ss.listed {
		return
	}
	ss.listed = true
	sh.dirty = append(sh.dirty, ss)
	c.askFlush()
}

func (c *Cursors) askFlush() {
	if c.asked.Load() || !c.asked.CompareAndSwap(false, true) {
		return
	}
	select {
	case c.ask <- struct{}{}:
	default:
	}
}

// withLoaded calls fn under the shard's lock with the session in memory.
func (c *Cursors) withLoaded(id int64, fn func(ss *login)) error {
	sh := c.shard(id)
	for {
		sh.mu.Lock()
		ss := sh.touchLocked(c, id)
		if ss.loaded {
			fn(ss)
			sh.mu.Unlock()
			return nil
		}
		ss.pins++
		sh.mu.Unlock()
		if err := c.load(sh, ss); err != nil {
			return fmt.Errorf("load session %d: %w", id, err)
		}
	}
}

// load reads a pinned session and unpins it. The pin keeps the session from
// being evicted, so nothing newer can have been written meanwhile by another
// copy of it; a dropped one is no longer in the map and stays out.
func (c *Cursors) load(sh *shard, ss *login) error {
	stored := make(map[int64]*tracked)
	known := false
	err := c.s.view(func(txn *badger.Txn) error {
		marker, err := getValue(txn, sessionKey(ss.id))
		if err != nil {
			return err
		}
		known = marker != nil
		return eachCursor(txn, ss.id, func(key, value []byte) {
			cur, err := decodeCursor(value)
			if err != nil { // zero: deliveries repeat
				c.s.log.Warn("cursor unreadable", "session", ss.id, "err", err)
			}
			stored[int64(binary.BigEndian.Uint64(key[9:]))] = &tracked{Cursor: cur}
		})
	})
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ss.pins--
	if err != nil || ss.loaded || sh.sessions[ss.id] != ss {
		return err
	}
	ss.loaded, ss.known, ss.convs = true, known, stored
	sh.cursors += len(stored)
	for _, n := range ss.pending {
		sh.applyLocked(c, ss, n)
	}
	ss.pending = nil
	sh.evictLocked(c)
	return nil
}

// touchLocked returns the session, making it the newest.
func (sh *shard) touchLocked(c *Cursors, id int64) *login {
	ss := sh.sessions[id]
	if ss == nil {
		ss = &login{id: id}
		sh.sessions[id] = ss
		sh.pushLocked(ss)
		sh.evictLocked(c)
		return ss
	}
	if sh.newest != ss {
		sh.unlinkLocked(ss)
		sh.pushLocked(ss)
	}
	return ss
}

func (sh *shard) pushLocked(ss *login) {
	ss.newer, ss.older = nil, sh.newest
	if sh.newest != nil {
		sh.newest.newer = ss
	}
	sh.newest = ss
	if sh.oldest == nil {
		sh.oldest = ss
	}
}

func (sh *shard) unlinkLocked(ss *login) {
	if ss.newer != nil {
		ss.newer.older = ss.older
	} else {
		sh.newest = ss.older
	}
	if ss.older != nil {
		ss.older.newer = ss.newer
	} else {
		sh.oldest = ss.newer
	}
}

func (sh *shard) removeLocked(ss *login) {
	if ss == nil {
		return
	}
	sh.unlinkLocked(ss)
	delete(sh.sessions, ss.id)
	sh.cursors -= len(ss.convs)
}

// evictLocked keeps to the bounds. What is dirty or pinned stays; when the
// oldest few are, the next flush makes room.
func (sh *shard) evictLocked(c *Cursors) {
	ss := sh.oldest
	for tries := 16; ss != nil && tries > 0; tries-- {
		if len(sh.sessions) <= c.sessionLimit && sh.cursors <= c.cursorLimit {
			return
		}
		next := ss.newer
		if !ss.listed && ss.pins == 0 && len(ss.pending) == 0 && ss != sh.newest {
			sh.removeLocked(ss)
		}
		ss = next
	}
}

func sessionKey(id int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kindSession}, uint64(id))
}

func cursorKey(id, conv int64) []byte {
	b := append(make([]byte, 0, 17), kindCursor)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, uint64(id)), uint64(conv))
}

// eachCursor calls fn with the stored cursors of a session; key and value are
// valid during the call only.
func eachCursor(txn *badger.Txn, id int64, fn func(key, value []byte)) error {
	prefix := binary.BigEndian.AppendUint64([]byte{kindCursor}, uint64(id))
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Rewind(); it.ValidForPrefix(prefix); it.Next() {
		key := it.Item().Key()
		if len(key) != 17 {
			continue
		}
		if err := it.Item().Value(func(v []byte) error { fn(key, v); return nil }); err != nil {
			return err
		}
	}
	return nil
}
