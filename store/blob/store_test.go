package blob_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"gtiv/store/blob"
)

// openStore opens a store of this host; cfg needs no Dir.
func openStore(t *testing.T, cfg blob.Config) (kit, string) {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.MinFree == 0 {
		cfg.MinFree = 1
	}
	s, err := blob.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return kit{s, s.Staging}, cfg.Dir
}

// "-" and "." come before "/", digits after it. S3 promises this order; versitygw,
// which walks folders by name, does not keep it.
func TestListSortsLikeS3WhereNamesAreTricky(t *testing.T) {
	k, _ := openStore(t, blob.Config{})
	want := []string{"p/a-b/1", "p/a.b", "p/a/1", "p/a/2", "p/a0", "p/b/c/1", "p/b/d"}
	for _, key := range want {
		k.put(t, key, "x")
	}
	for limit := 1; limit <= len(want)+1; limit++ {
		if got := pages(t, k, "p/", limit); !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %q", limit, got)
		}
	}
	folders, err := k.Folders(t.Context(), "p/", "a-b", 1)
	if err != nil || !slices.Equal(folders, []string{"a"}) {
		t.Errorf("folders after a-b: %q, %v", folders, err)
	}
}

func TestFileAndFolderOfOneNameConflict(t *testing.T) {
	k, _ := openStore(t, blob.Config{})
	k.put(t, "a/b", "x")
	for _, key := range []string{"a", "a/b/c"} {
		if _, err := k.Put(t.Context(), key, k.incoming(t, []byte("y"))); !errors.Is(err, blob.ErrConflict) {
			t.Errorf("put %s: %v", key, err)
		}
		if err := k.PutDir(t.Context(), "a/b", k.folder(t, map[string]string{"c": "y"})); !errors.Is(err, blob.ErrConflict) {
			t.Errorf("put folder: %v", err)
		}
	}
	k.noTemporaries(t)
}

func TestLinksAndPipesAreNotFiles(t *testing.T) {
	k, dir := openStore(t, blob.Config{})
	if err := errors.Join(os.Symlink("/etc/passwd", filepath.Join(dir, "link")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"link", "pipe"} {
		if _, err := k.Open(t.Context(), key); err == nil {
			t.Errorf("%s was opened", key)
		}
		if _, err := k.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("stat %s: %v", key, err)
		}
	}
}

func TestWritingMoreThanTheLimitIsErrTooBig(t *testing.T) {
	k, _ := openStore(t, blob.Config{})
	in, err := k.staging.Incoming(10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte{0}); !errors.Is(err, blob.ErrTooBig) {
		t.Errorf("write: %v", err)
	}
	if _, err := k.Put(t.Context(), "x", in); !errors.Is(err, blob.ErrTooBig) {
		t.Errorf("put of what is not whole: %v", err)
	}
	k.noTemporaries(t)
}

func TestReserveOfFreeSpaceIsKept(t *testing.T) {
	var st syscall.Statfs_t
	dir := t.TempDir()
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	free := int64(st.Bavail) * int64(st.Bsize) //nolint:unconvert // differs by system
	full, _ := openStore(t, blob.Config{MinFree: free * 2})
	if _, err := full.staging.Incoming(1); !errors.Is(err, blob.ErrNoSpace) {
		t.Errorf("incoming: %v", err)
	}
	if _, err := full.staging.Folder(); !errors.Is(err, blob.ErrNoSpace) {
		t.Errorf("folder: %v", err)
	}
	k, _ := openStore(t, blob.Config{MinFree: free / 2})
	if err := k.staging.Room(free); !errors.Is(err, blob.ErrNoSpace) {
		t.Errorf("room for everything: %v", err)
	}
	if err := k.staging.Room(1); err != nil {
		t.Errorf("room for a byte: %v", err)
	}
}

func TestTemporaryFilesOfTheProcessBeforeAreSwept(t *testing.T) {
	dir := t.TempDir()
	k, _ := openStore(t, blob.Config{Dir: dir})
	k.put(t, "kept", "x")
	left := k.incoming(t, []byte("half"))
	folder := k.folder(t, map[string]string{"x": "x"})
	openStore(t, blob.Config{Dir: dir}) // as after kill -9
	for path, want := range map[string]bool{left.Path(): false, folder: false, filepath.Join(dir, "kept"): true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
}

func TestClosedTemporaryFileIsErrClosed(t *testing.T) {
	k, _ := openStore(t, blob.Config{})
	in := k.incoming(t, []byte("x"))
	if err := errors.Join(in.Close(), in.Close()); err != nil {
		t.Fatal(err)
	}
	_, write := in.Write([]byte("y"))
	_, put := k.Put(t.Context(), "x", in)
	for name, err := range map[string]error{"write": write, "put": put, "move": in.MoveTo(filepath.Join(t.TempDir(), "x")), "reload": in.Reload()} {
		if !errors.Is(err, blob.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAdoptAndReloadHashAgain(t *testing.T) {
	k, dir := openStore(t, blob.Config{})
	path := filepath.Join(dir, "elsewhere")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.staging.Adopt(path, 2); !errors.Is(err, blob.ErrTooBig) {
		t.Errorf("adopt of what is too big: %v", err)
	}
	in, err := k.staging.Adopt(path, 3)
	if err != nil {
		t.Fatal(err)
	}
	want := k.incoming(t, []byte("abc"))
	if !bytes.Equal(in.SHA256(), want.SHA256()) || !bytes.Equal(in.SHA1(), want.SHA1()) || in.Size() != 3 {
		t.Error("adopted file has other hashes")
	}
	// Another program writes a new file in its place.
	if err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Rename(path, in.Path()), in.Reload()); err != nil {
		t.Fatal(err)
	}
	if in.Size() != 1 {
		t.Errorf("size %d after reload", in.Size())
	}
	if err := errors.Join(want.Close(), in.Close()); err != nil {
		t.Error(err)
	}
	k.noTemporaries(t)
}

func TestDeleteLeavesNoEmptyFolders(t *testing.T) {
	k, dir := openStore(t, blob.Config{})
	k.put(t, "u/1/2026-11-23/a", "x")
	k.put(t, "u/2/b", "x")
	if err := errors.Join(k.Delete(t.Context(), "u/1/2026-11-23/a"), k.Delete(t.Context(), "u/2/")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "u")); !os.IsNotExist(err) {
		t.Errorf("u is still there: %v", err)
	}
}

// The reader must be a file: that is what makes the kernel send it.
func TestOpenFileIsAnOSFile(t *testing.T) {
	k, _ := openStore(t, blob.Config{})
	k.put(t, "x", "some content")
	o, err := k.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close() //nolint:errcheck // only read
	if _, ok := o.Reader.(*os.File); !ok {
		t.Errorf("reader is a %T", o.Reader)
	}
	if err := iotest.TestReader(o.Reader, []byte("some content")); err != nil {
		t.Error(err)
	}
}

func FuzzCheckKey(f *testing.F) {
	for _, s := range []string{"a/b.c", "../x", "tmp/x", "", "a//b", "2026/ab/index0.ts"} {
		f.Add(s)
	}
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, key string) {
		if blob.CheckKey(key) != nil {
			return
		}
		rel, err := filepath.Rel(root, filepath.Join(root, filepath.FromSlash(key)))
		if err != nil || filepath.ToSlash(rel) != key {
			t.Errorf("key %q is the path %q, %v", key, rel, err)
		}
	})
}

func TestAServiceThatDoesNotAnswerIsUnavailable(t *testing.T) {
	s, err := blob.OpenS3(blob.S3Config{
		Staging: blob.Config{Dir: t.TempDir(), MinFree: 1}, Endpoint: "http://127.0.0.1:1", Bucket: "media", Key: "k", Secret: "s", PathStyle: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.Stat(ctx, "x"); !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	if err := s.Check(ctx); err == nil {
		t.Error("check of nothing")
	}
}
