package blob

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// List implements Bucket.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]Info, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	l := lister{s: s, after: after, limit: limit}
	if err := l.walk(ctx, prefix); err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	return l.found, nil
}

// lister walks folders in the order of the keys.
type lister struct {
	s     *Store
	after string
	limit int
	found []Info
}

// walk lists what is below prefix, which is "" or ends with a slash.
func (l *lister) walk(ctx context.Context, prefix string) error {
	entries, err := l.s.entries(prefix)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if len(l.found) >= l.limit {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := l.entry(ctx, prefix+sortName(e), e); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) entry(ctx context.Context, key string, e fs.DirEntry) error {
	if e.IsDir() {
		if key <= l.after && !strings.HasPrefix(l.after, key) {
			return nil // all of it comes before
		}
		return l.walk(ctx, key)
	}
	if key <= l.after || !e.Type().IsRegular() {
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return ignoreNotFound(err) // deleted since
	}
	l.found = append(l.found, fileInfo(key, info))
	return nil
}

// Folders implements Bucket.
func (s *Store) Folders(_ context.Context, prefix, after string, limit int) ([]string, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	entries, err := s.entries(prefix)
	if err != nil {
		return nil, fmt.Errorf("list folders of %s: %w", prefix, err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && len(names) < limit && (after == "" || sortName(e) > after+"/") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// entries reads a folder in the order of the keys; a missing one is empty.
func (s *Store) entries(prefix string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(s.path(strings.TrimSuffix(prefix, "/")))
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	if prefix == "" {
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == stagingName })
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(sortName(a), sortName(b)) })
	return entries, nil
}

// sortName is the name with the slash that follows it in keys.
func sortName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

func ignoreNotFound(err error) error {
	if notExist(err) == ErrNotFound { //nolint:errorlint // notExist answers it as it is
		return nil
	}
	return err
}
