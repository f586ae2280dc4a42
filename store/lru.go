package store

import "container/list"

// lru keeps the values used last, bounded. It belongs to one goroutine.
type lru[K comparable, V any] struct {
	most int
	m    map[K]*list.Element
	l    *list.List
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](most int) lru[K, V] {
	return lru[K, V]{most: most, m: map[K]*list.Element{}, l: list.New()}
}

func (c *lru[K, V]) get(k K) (v V, ok bool) {
	e := c.m[k]
	if e == nil {
		return v, false
	}
	c.l.MoveToFront(e)
	return e.Value.(*lruEntry[K, V]).value, true //nolint:forcetypeassert // only these are put in
}

func (c *lru[K, V]) put(k K, v V) {
	c.m[k] = c.l.PushFront(&lruEntry[K, V]{k, v})
	if c.l.Len() > c.most {
		last := c.l.Back()
		c.l.Remove(last)
		delete(c.m, last.Value.(*lruEntry[K, V]).key) //nolint:forcetypeassert // as above
	}
}

// Bounds of the writer's caches. A room has up to its limit of members, about 40
// bytes each.
const (
	maxCachedConversations = 20_000
	maxCachedRooms         = 2_000
)
