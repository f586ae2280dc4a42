package upload

import "sync"

// locks is a mutex for each name that is in use.
type locks struct {
	mu sync.Mutex
	m  map[string]*lock // guarded by mu
}

type lock struct {
	sync.Mutex
	users int // guarded by locks.mu
}

// lock waits for the name and answers what lets it go.
func (l *locks) lock(name string) (unlock func()) {
	l.mu.Lock()
	if l.m == nil {
		l.m = map[string]*lock{}
	}
	e := l.m[name]
	if e == nil {
		e = &lock{}
		l.m[name] = e
	}
	e.users++
	l.mu.Unlock()
	e.Lock()
	return func() {
		e.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if e.users--; e.users == 0 {
			delete(l.m, name)
		}
	}
}
