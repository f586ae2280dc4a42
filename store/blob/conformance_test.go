package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gtiv/store/blob"
)

// kit is a bucket with its staging area.
type kit struct {
	blob.Bucket
	staging *blob.Staging
}

// everyBucket runs a test on both implementations, each time with a new bucket.
func everyBucket(t *testing.T, test func(t *testing.T, k kit)) {
	t.Run("disk", func(t *testing.T) {
		s, err := blob.Open(blob.Config{Dir: t.TempDir(), MinFree: 1})
		if err != nil {
			t.Fatal(err)
		}
		test(t, kit{s, s.Staging})
	})
	t.Run("s3", func(t *testing.T) {
		s := openS3(t)
		test(t, kit{s, s.Staging})
	})
}

// incoming makes a temporary file with this content.
func (k kit) incoming(t *testing.T, content []byte) *blob.Incoming {
	t.Helper()
	in, err := k.staging.Incoming(int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(content); err != nil {
		t.Fatal(err)
	}
	return in
}

func (k kit) put(t *testing.T, key, content string) blob.Info {
	t.Helper()
	info, err := k.Put(t.Context(), key, k.incoming(t, []byte(content)))
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return info
}

func (k kit) read(t *testing.T, key string) string {
	t.Helper()
	o, err := k.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	b, err := io.ReadAll(o.Reader)
	if err := errors.Join(err, o.Close()); err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return string(b)
}

// folder makes a finished folder of files.
func (k kit) folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := k.staging.Folder()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (k kit) keys(t *testing.T, prefix string) []string {
	t.Helper()
	list, err := k.List(t.Context(), prefix, "", 1000)
	if err != nil {
		t.Fatalf("list %s: %v", prefix, err)
	}
	return keysOf(list)
}

func keysOf(list []blob.Info) []string {
	var keys []string
	for _, i := range list {
		keys = append(keys, i.Key)
	}
	return keys
}

// noTemporaries fails when something was left in the staging area.
func (k kit) noTemporaries(t *testing.T) {
	t.Helper()
	dir, err := k.staging.Folder()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left in the staging area: %s", e.Name())
	}
}

func TestPutFileIsReadBack(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		info := k.put(t, "u/10001/2026-11-23/a.jpg", "content")
		if info.Key != "u/10001/2026-11-23/a.jpg" || info.Size != 7 || info.ModTime.IsZero() || len(info.ETag) < 4 {
			t.Errorf("put answered %+v", info)
		}
		if got := k.read(t, info.Key); got != "content" {
			t.Errorf("read %q", got)
		}
		if got, err := k.Stat(t.Context(), info.Key); err != nil || got.ETag != info.ETag || got.Size != 7 {
			t.Errorf("stat answered %+v, %v", got, err)
		}
		k.noTemporaries(t)
	})
}

func TestPutReplacesAndChangesTheETag(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		before := k.put(t, "u/1/avatar", "one")
		after := k.put(t, "u/1/avatar", "two")
		if before.ETag == after.ETag {
			t.Errorf("both have the ETag %s", after.ETag)
		}
		if got := k.read(t, "u/1/avatar"); got != "two" {
			t.Errorf("read %q", got)
		}
	})
}

func TestEmptyFileIsKept(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		k.put(t, "empty", "")
		if got := k.read(t, "empty"); got != "" {
			t.Errorf("read %q", got)
		}
	})
}

func TestMissingFileIsErrNotFound(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		k.put(t, "a/b", "x")
		for _, key := range []string{"nothing", "a", "a/c", "a/b/c"} {
			if _, err := k.Open(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("open %s: %v", key, err)
			}
			if _, err := k.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("stat %s: %v", key, err)
			}
			if _, _, err := k.Local(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("local %s: %v", key, err)
			}
		}
	})
}

func TestBadKeysAreRefused(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		for _, key := range []string{
			"", "/", "/a", "a//b", "..", "../a", "a/../b", "a/.", ".hidden", "a b", "a\\b", "a\x00", "ä", "tmp", "tmp/x",
			strings.Repeat("x", 201), strings.Repeat("xx/", 200) + "x",
		} {
			if _, err := k.Put(t.Context(), key, k.incoming(t, []byte("x"))); !errors.Is(err, blob.ErrKey) {
				t.Errorf("put %q: %v", key, err)
			}
			if _, err := k.Open(t.Context(), key); !errors.Is(err, blob.ErrKey) {
				t.Errorf("open %q: %v", key, err)
			}
			if err := k.PutDir(t.Context(), key, k.folder(t, map[string]string{"x": "x"})); !errors.Is(err, blob.ErrKey) {
				t.Errorf("put folder %q: %v", key, err)
			}
			if err := k.Delete(t.Context(), key); !errors.Is(err, blob.ErrKey) {
				t.Errorf("delete %q: %v", key, err)
			}
		}
		if _, err := k.List(t.Context(), "a", "", 1); !errors.Is(err, blob.ErrKey) {
			t.Errorf("list of half a name: %v", err)
		}
		k.noTemporaries(t)
	})
}

func TestLargeFileGoesInPartsAndComesInRanges(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		content := make([]byte, 33<<20)
		rng := rand.NewChaCha8([32]byte{1})
		rng.Read(content) //nolint:errcheck // never fails
		if _, err := k.Put(t.Context(), "src/large", k.incoming(t, content)); err != nil {
			t.Fatal(err)
		}
		o, err := k.Open(t.Context(), "src/large")
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close() //nolint:errcheck // only read
		if o.Size != int64(len(content)) {
			t.Fatalf("size %d", o.Size)
		}
		for _, at := range []int64{0, 1, 8<<20 - 3, 16<<20 - 1, 33<<20 - 10} {
			checkRange(t, o, content, at)
		}
		if _, err := o.Reader.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(o.Reader); err != nil || !bytes.Equal(all, content) {
			t.Errorf("read %d bytes, %v", len(all), err)
		}
	})
}

func checkRange(t *testing.T, o *blob.Object, content []byte, at int64) {
	t.Helper()
	n := min(100_000, int64(len(content))-at)
	if _, err := o.Reader.Seek(at, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, n)
	if _, err := io.ReadFull(o.Reader, got); err != nil || !bytes.Equal(got, content[at:at+n]) {
		t.Errorf("range at %d differs: %v", at, err)
	}
	head := make([]byte, 50)
	m, err := o.Reader.ReadAt(head, at)
	if err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(head[:m], content[at:at+int64(m)]) {
		t.Errorf("ReadAt %d: %d bytes, %v", at, m, err)
	}
}

func TestPutDirIsReadBackAndReplaced(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		dir := k.folder(t, map[string]string{"index.m3u8": "#EXTM3U", "index0.ts": "0", "index1.ts": "1", "360/index0.ts": "small"})
		if err := k.PutDir(t.Context(), "2026/abc", dir); err != nil {
			t.Fatal(err)
		}
		want := []string{"2026/abc/360/index0.ts", "2026/abc/index.m3u8", "2026/abc/index0.ts", "2026/abc/index1.ts"}
		if got := k.keys(t, "2026/"); !slices.Equal(got, want) {
			t.Errorf("listed %q", got)
		}
		// A job that is repeated after a crash puts the same folder again.
		if err := k.PutDir(t.Context(), "2026/abc", k.folder(t, map[string]string{"index.m3u8": "#EXTM3U", "index0.ts": "new"})); err != nil {
			t.Fatal(err)
		}
		if got := k.keys(t, ""); !slices.Equal(got, []string{"2026/abc/index.m3u8", "2026/abc/index0.ts"}) {
			t.Errorf("after the second time %q", got)
		}
		if got := k.read(t, "2026/abc/index0.ts"); got != "new" {
			t.Errorf("read %q", got)
		}
		k.noTemporaries(t)
	})
}

func TestPutDirRefusesWhatCannotBeServed(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		link := k.folder(t, map[string]string{"a": "a"})
		if err := os.Symlink("/etc/passwd", filepath.Join(link, "b")); err != nil {
			t.Fatal(err)
		}
		for name, dir := range map[string]string{
			"a link": link, "a hidden file": k.folder(t, map[string]string{".x": "x"}), "a space": k.folder(t, map[string]string{"a b": "x"}),
		} {
			if err := k.PutDir(t.Context(), "v", dir); !errors.Is(err, blob.ErrKey) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := k.PutDir(t.Context(), "v", k.folder(t, nil)); err == nil {
			t.Error("an empty folder was taken")
		}
		if err := k.PutDir(t.Context(), "v", t.TempDir()); err == nil {
			t.Error("a folder from elsewhere was taken")
		}
		k.noTemporaries(t)
	})
}

func TestDeleteFileAndFolder(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		for _, key := range []string{"a/b/1", "a/b/2", "a/bc", "a/d/3"} {
			k.put(t, key, key)
		}
		for _, key := range []string{"a/b/1", "a/b/1", "a/b", "a/b/2/", "nothing", "nothing/"} {
			if err := k.Delete(t.Context(), key); err != nil {
				t.Errorf("delete %s: %v", key, err)
			}
		}
		if got := k.keys(t, ""); !slices.Equal(got, []string{"a/b/2", "a/bc", "a/d/3"}) {
			t.Errorf("left %q", got)
		}
		if err := k.Delete(t.Context(), "a/b/"); err != nil {
			t.Error(err)
		}
		if got := k.keys(t, ""); !slices.Equal(got, []string{"a/bc", "a/d/3"}) {
			t.Errorf("left %q", got)
		}
	})
}

func TestListPagesInTheOrderOfKeys(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		want := []string{"p/a/1", "p/a/2", "p/b/c/1", "p/b/d", "p/e"}
		for _, key := range want {
			k.put(t, key, "x")
		}
		k.put(t, "q", "x")
		for limit := 1; limit <= len(want)+1; limit++ {
			if got := pages(t, k, "p/", limit); !slices.Equal(got, want) {
				t.Errorf("in pages of %d: %q", limit, got)
			}
		}
		folders, err := k.Folders(t.Context(), "p/", "", 10)
		if err != nil || !slices.Equal(folders, []string{"a", "b"}) {
			t.Errorf("folders %q, %v", folders, err)
		}
		if folders, err = k.Folders(t.Context(), "p/", "a", 1); err != nil || !slices.Equal(folders, []string{"b"}) {
			t.Errorf("folders after a: %q, %v", folders, err)
		}
		if list, err := k.List(t.Context(), "none/", "", 10); err != nil || len(list) != 0 {
			t.Errorf("listed %v, %v", list, err)
		}
	})
}

func pages(t *testing.T, k kit, prefix string, limit int) []string {
	t.Helper()
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page, err := k.List(t.Context(), prefix, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return got
		}
		got = append(got, keysOf(page)...)
	}
}

func TestLocalFileHasTheContent(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		k.put(t, "src/x.mp4", "film")
		path, done, err := k.Local(t.Context(), "src/x.mp4")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "film" || filepath.Base(path) != "x.mp4" {
			t.Errorf("%s: %q, %v", path, b, err)
		}
		done()
		k.noTemporaries(t)
		if got := k.read(t, "src/x.mp4"); got != "film" {
			t.Errorf("afterwards %q", got)
		}
	})
}

func TestSourceIsKeptOnce(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		first, err := blob.PutSource(t.Context(), k, k.incoming(t, []byte("abc")))
		if err != nil {
			t.Fatal(err)
		}
		// sha256 of "abc", FIPS 180-2 appendix B.1.
		if want := "src/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; first.Key != want {
			t.Errorf("key %s", first.Key)
		}
		second, err := blob.PutSource(t.Context(), k, k.incoming(t, []byte("abc")))
		if err != nil || second.ETag != first.ETag {
			t.Errorf("the second time %+v, %v; the first %+v", second, err, first)
		}
		k.noTemporaries(t)
	})
}

func TestPutsOfOneKeyAtOnceLeaveOneOfThem(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				key := "u/1/same"
				if _, err := k.Put(context.Background(), key, k.incoming(t, fmt.Append(nil, "content ", i))); err != nil {
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		if got := k.read(t, "u/1/same"); !strings.HasPrefix(got, "content ") || len(got) != 9 {
			t.Errorf("read %q", got)
		}
	})
}
