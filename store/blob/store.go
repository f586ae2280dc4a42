package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// putTries is how often Put makes a folder again that a Delete at the same
// moment removed because it was empty.
const putTries = 5

// Store keeps files in a folder of this host.
type Store struct {
	*Staging
	root string
}

// Open opens the folder, or makes it, and removes the temporary files of the process
// that had it before. Nothing else may live in the folder.
func Open(cfg Config) (*Store, error) {
	st, err := openStaging(cfg)
	if err != nil {
		return nil, fmt.Errorf("open media folder: %w", err)
	}
	return &Store{Staging: st, root: st.cfg.Dir}, nil
}

// path is where the file of a valid key is.
func (s *Store) path(key string) string { return filepath.Join(s.root, filepath.FromSlash(key)) }

// Put implements Bucket.
func (s *Store) Put(_ context.Context, key string, f *Incoming) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, errors.Join(err, f.Close())
	}
	if err := f.finish(true); err != nil {
		return Info{}, errors.Join(err, f.Close())
	}
	if err := s.rename(f.path, s.path(key), os.Rename); err != nil {
		return Info{}, errors.Join(fmt.Errorf("put %s: %w", key, err), os.Remove(f.path))
	}
	return s.Stat(context.Background(), key)
}

// PutDir implements Bucket.
func (s *Store) PutDir(ctx context.Context, key, folder string) error {
	return s.spend(folder, func() error { return s.putDir(ctx, key, folder) })
}

func (s *Store) putDir(ctx context.Context, key, folder string) error {
	files, err := checkFolder(key, folder)
	if err != nil {
		return err
	}
	if err := syncFolder(ctx, folder, files); err != nil {
		return fmt.Errorf("put folder %s: %w", key, err)
	}
	to := s.path(key)
	if info, err := os.Lstat(to); err == nil && !info.IsDir() {
		return fmt.Errorf("put folder %s: %w", key, ErrConflict)
	}
	if err := s.rename(folder, to, replaceDir); err != nil {
		return fmt.Errorf("put folder %s: %w", key, err)
	}
	return nil
}

// rename moves with move and makes the new name durable.
func (s *Store) rename(from, to string, move func(from, to string) error) error {
	dir := filepath.Dir(to)
	for try := 1; ; try++ {
		if err := makeDirs(dir); err != nil {
			return conflict(err)
		}
		err := move(from, to)
		if err == nil {
			return syncDir(dir)
		}
		if !errors.Is(err, fs.ErrNotExist) || try == putTries {
			return conflict(err)
		}
	}
}

// conflict names what the kernel says when a file is in the way of a folder or a
// folder in the way of a file.
func conflict(err error) error {
	for _, e := range []error{syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY, syscall.EEXIST} {
		if errors.Is(err, e) {
			return ErrConflict
		}
	}
	return spaceError(err)
}

// Open implements Bucket.
func (s *Store) Open(_ context.Context, key string) (*Object, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	// Without O_NONBLOCK a pipe that somebody put there would block for ever.
	f, err := os.OpenFile(s.path(key), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, notExist(err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotFound
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", key, err), f.Close())
	}
	return &Object{Info: fileInfo(key, info), Reader: f}, nil
}

// Stat implements Bucket.
func (s *Store) Stat(_ context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	info, err := os.Lstat(s.path(key))
	if err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", key, notExist(err))
	}
	if !info.Mode().IsRegular() {
		return Info{}, fmt.Errorf("stat %s: %w", key, ErrNotFound)
	}
	return fileInfo(key, info), nil
}

// fileInfo takes the ETag from time, size and inode: files are replaced, never
// written to, so one of them differs.
func fileInfo(key string, info fs.FileInfo) Info {
	var inode uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	etag := `"` + strconv.FormatInt(info.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(info.Size(), 36) +
		"-" + strconv.FormatUint(inode, 36) + `"`
	return Info{Key: key, Size: info.Size(), ModTime: info.ModTime(), ETag: etag}
}

// Local implements Bucket. The path is that of the file itself: it must not be
// written to.
func (s *Store) Local(ctx context.Context, key string) (string, func(), error) {
	if _, err := s.Stat(ctx, key); err != nil {
		return "", nil, err
	}
	return s.path(key), func() {}, nil
}

// Delete implements Bucket. Folders that are empty afterwards go too.
func (s *Store) Delete(_ context.Context, key string) error {
	folder, below := strings.CutSuffix(key, "/")
	if err := CheckKey(folder); err != nil {
		return err
	}
	remove := s.removeFile
	if below {
		remove = s.removeFolder
	}
	err := notExist(remove(s.path(folder)))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return s.prune(path.Dir(folder))
}

func (s *Store) removeFile(name string) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return ErrNotFound
	}
	return os.Remove(name)
}

// removeFolder moves the folder away first, so that it goes at once and whole.
func (s *Store) removeFolder(name string) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return ErrNotFound
	}
	gone := filepath.Join(s.dir, "gone-"+randomName())
	if err := os.Rename(name, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// prune removes empty folders from dir, a key, up to the root, and makes durable
// that something was deleted there.
func (s *Store) prune(dir string) error {
	for ; dir != "."; dir = path.Dir(dir) {
		if err := os.Remove(s.path(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			break // not empty: the usual case
		}
	}
	err := notExist(syncDir(s.path(dir)))
	if errors.Is(err, ErrNotFound) {
		return nil // pruned by another Delete
	}
	return err
}

// checkFolder answers the files of a finished folder, relative to it, and
// refuses what could not be opened again by its key.
func checkFolder(key, folder string) ([]string, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	var files []string
	err := filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		if !e.Type().IsRegular() {
			return fmt.Errorf("%w: %s is not a regular file", ErrKey, rel)
		}
		files = append(files, filepath.ToSlash(rel))
		return CheckKey(key + "/" + filepath.ToSlash(rel))
	})
	if err == nil && len(files) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("put folder %s: %w", key, err)
	}
	return files, nil
}

// syncFolder makes files and folders durable. Some at once: the disk writes
// what waits together.
func syncFolder(ctx context.Context, folder string, files []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	dirs := map[string]bool{".": true}
	for _, f := range files {
		for d := path.Dir(f); d != "."; d = path.Dir(d) {
			dirs[d] = true
		}
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return syncDir(filepath.Join(folder, filepath.FromSlash(f)))
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for d := range dirs {
		if err := syncDir(filepath.Join(folder, filepath.FromSlash(d))); err != nil {
			return err
		}
	}
	return nil
}

// makeDirs is os.MkdirAll, with every new name durable.
func makeDirs(dir string) error {
	err := os.Mkdir(dir, 0o700)
	switch {
	case err == nil:
		return syncDir(filepath.Dir(dir))
	case errors.Is(err, fs.ErrExist):
		return nil // if it is a file, what comes next says so
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := makeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// syncDir makes a folder, or a file, durable as it is now.
func syncDir(name string) error {
	f, err := os.Open(name) //nolint:gosec // a name of ours
	if err != nil {
		return err
	}
	return errors.Join(spaceError(f.Sync()), f.Close())
}
