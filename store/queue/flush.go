package queue

import (
	"context"
	"fmt"
	"time"
)

const (
	flushTimeout = 30 * time.Second
	// flushChunk bounds how many sessions are encoded before they are written.
	flushChunk = 1000
)

// flushLoop sleeps while nothing is dirty. After the first change it waits
// FlushEvery, so that many changes of a cursor become one write.
func (c *Cursors) flushLoop(ctx context.Context) {
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case <-c.s.quit:
			return // Close flushes
		case <-c.ask:
			running = c.pause(ctx)
		}
		c.flushLogged()
	}
}

func (c *Cursors) pause(ctx context.Context) bool {
	timer := time.NewTimer(c.s.cfg.FlushEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.s.quit:
		return true // flushLoop looks at quit next
	case <-ctx.Done():
		return false
	}
}

// flushLogged flushes under a time of its own: Run's context may have ended.
func (c *Cursors) flushLogged() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := c.Flush(ctx); err != nil {
		c.s.log.Warn("cursors not flushed, trying again", "err", err)
		c.askFlush()
	}
}

// Flush writes all cursors changed so far and returns when they are durable.
// After an error they stay in memory for the next flush.
func (c *Cursors) Flush(ctx context.Context) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	c.asked.Store(false) // before the lists are taken: later changes ask again
	list := c.takeDirty()
	defer c.unpin(list)
	for start := 0; start < len(list); start += flushChunk {
		part := list[start:min(start+flushChunk, len(list))]
		if err := c.writeSessions(ctx, part); err != nil {
			c.relist(list[start:])
			return fmt.Errorf("flush cursors: %w", err)
		}
	}
	return nil
}

// takeDirty empties the lists of the shards and pins what was on them. The
// sessions count as listed until collect: what changes until then goes along.
func (c *Cursors) takeDirty() []*login {
	var list []*login
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		for _, ss := range sh.dirty {
			ss.pins++
			list = append(list, ss)
		}
		sh.dirty = sh.dirty[:0]
		sh.mu.Unlock()
	}
	return list
}

func (c *Cursors) unpin(list []*login) {
	for _, ss := range list {
		sh := c.shard(ss.id)
		sh.mu.Lock()
		ss.pins--
		sh.evictLocked(c)
		sh.mu.Unlock()
	}
}

// relist puts sessions that still have something to write back on the lists.
func (c *Cursors) relist(list []*login) {
	for _, ss := range list {
		sh := c.shard(ss.id)
		sh.mu.Lock()
		ss.listed = false
		if sh.sessions[ss.id] == ss && (len(ss.dirty) > 0 || len(ss.pending) > 0) {
			sh.listLocked(c, ss)
		}
		sh.mu.Unlock()
	}
}

// change is a cursor on its way to the disk.
type change struct {
	ss   *login
	conv int64
}

// writeSessions writes what is dirty in pinned sessions, then tail. Called with
// writeMu held.
func (c *Cursors) writeSessions(ctx context.Context, list []*login, tail ...pair) error {
	var sets []pair
	var changes []change
	for _, ss := range list {
		if err := c.ensureLoaded(ss); err != nil {
			c.redirty(changes)
			return err
		}
		sets, changes = c.collect(ss, sets, changes)
	}
	err := c.s.writeAll(ctx, append(sets, tail...), nil)
	if err != nil {
		c.redirty(changes)
	}
	return err
}

// collect encodes what is dirty in one session, unless it was dropped.
func (c *Cursors) collect(ss *login, sets []pair, changes []change) ([]pair, []change) {
	sh := c.shard(ss.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.sessions[ss.id] != ss {
		return sets, changes
	}
	for _, conv := range ss.dirty {
		t := ss.convs[conv]
		t.dirty = false
		sets = append(sets, pair{cursorKey(ss.id, conv), t.encode()})
		changes = append(changes, change{ss, conv})
	}
	ss.dirty, ss.listed = ss.dirty[:0], false
	return sets, changes
}

// ensureLoaded loads a session that has only notes so far.
func (c *Cursors) ensureLoaded(ss *login) error {
	sh := c.shard(ss.id)
	sh.mu.Lock()
	if ss.loaded || sh.sessions[ss.id] != ss {
		sh.mu.Unlock()
		return nil
	}
	ss.pins++ // load takes one pin away
	sh.mu.Unlock()
	return c.load(sh, ss)
}

// redirty undoes the bookkeeping of a write that failed.
func (c *Cursors) redirty(changes []change) {
	for _, ch := range changes {
		sh := c.shard(ch.ss.id)
		sh.mu.Lock()
		if t := ch.ss.convs[ch.conv]; t != nil && !t.dirty {
			t.dirty = true
			ch.ss.dirty = append(ch.ss.dirty, ch.conv)
			sh.listLocked(c, ch.ss)
		}
		sh.mu.Unlock()
	}
}
