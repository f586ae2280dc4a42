// Package blob keeps media files by slash-separated keys, such as
// "2026/<sha1>/index0.ts" or "u/10001/2026-11-23/a.jpg".
//
// Two things keep them: Store, a folder of this host, and S3, a bucket of an
// S3-compatible service. Both are a Bucket. What comes in is streamed into a
// temporary file first (Staging, part of both), hashed and bounded on the way,
// and is put under its key whole or not at all; on the disk of this host it is
// durable when Put or PutDir returns. Serve answers HTTP from either.
//
// The package knows no owners, no visibility and no reference counts: those are
// the caller's database's. It never runs what it keeps, follows no links and
// makes no thumbnails.
//
// Goroutines: Run owns the hourly sweep of the staging area and returns after
// it. S3 uploads use some of minio-go's own, which end with the call. There are
// no locks: names of temporary files are unique, and a rename is atomic.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Bounds of a key.
const (
	// MaxKey is the length of a key in bytes.
	MaxKey = 512
	// MaxPart is the length of what is between two slashes of a key.
	MaxPart = 200
)

// Errors of this package; compare with errors.Is.
var (
	// ErrNotFound means that there is nothing under this key.
	ErrNotFound = errors.New("no such file")
	// ErrKey means that a key or prefix is empty, too long or has a part or a
	// character that is not allowed.
	ErrKey = errors.New("invalid key")
	// ErrConflict means that a file is where the key needs a folder, or the other
	// way round.
	ErrConflict = errors.New("a file and a folder would have the same name")
	// ErrTooBig means that more was written than the limit allows.
	ErrTooBig = errors.New("file too big")
	// ErrNoSpace means that the disk has less than Config.MinFree left.
	ErrNoSpace = errors.New("not enough free disk space")
	// ErrUnavailable means that the service that keeps the files does not answer, or
	// not as it should: it is down, or the configuration is wrong.
	ErrUnavailable = errors.New("the store of files does not answer")
	// ErrClosed means that a temporary file was put or given up already.
	ErrClosed = errors.New("temporary file is gone")
)

// Info says what is under a key.
type Info struct {
	Key     string
	Size    int64
	ModTime time.Time
	// ETag changes with the content; it is quoted, ready for a header.
	ETag string
	// Type is the media type that was stored with the file, "" when the bucket
	// keeps none.
	Type string
}

// Object is an open file. Reader is an *os.File when the file is on this host,
// so that the kernel can send it.
type Object struct {
	Info
	Reader interface {
		io.ReadSeeker
		io.ReaderAt
		io.Closer
	}
}

// Close lets go of the file.
func (o *Object) Close() error { return o.Reader.Close() }

// Bucket is what Store and S3 have in common. All methods may be called from any
// goroutine; all return ErrKey for keys that CheckKey refuses.
type Bucket interface {
	// Put moves a finished temporary file under key, in the place of what is
	// there, and ends f whatever happens. On a Store it is durable when Put
	// returns. ErrConflict, ErrNoSpace, ErrClosed.
	Put(ctx context.Context, key string, f *Incoming) (Info, error)
	// PutDir moves a finished folder made by Staging.Folder under key, in the
	// place of what is there; the folder is gone afterwards, whatever happens. On
	// a Store it is atomic; on S3 files appear one by one, playlists last.
	// ErrConflict, ErrKey when a name in the folder is not allowed.
	PutDir(ctx context.Context, key, folder string) error
	// Open opens a file for reading. ErrNotFound.
	Open(ctx context.Context, key string) (*Object, error)
	// Stat says what is under key. ErrNotFound.
	Stat(ctx context.Context, key string) (Info, error)
	// Local answers a path of this host that holds the file, for programs that
	// need one; done must be called after use. ErrNotFound, ErrNoSpace.
	Local(ctx context.Context, key string) (path string, done func(), err error)
	// Delete removes the file key, or with a slash at the end all files below it.
	// What is not there is no error.
	Delete(ctx context.Context, key string) error
	// List answers at most limit files below prefix ("" or with a slash at the
	// end) whose keys come after after, in the order of their bytes.
	List(ctx context.Context, prefix, after string, limit int) ([]Info, error)
	// Folders answers at most limit names of the folders right below prefix that
	// come after the folder after, in the order of the keys in them.
	Folders(ctx context.Context, prefix, after string, limit int) ([]string, error)
}

var (
	_ Bucket = (*Store)(nil)
	_ Bucket = (*S3)(nil)
)

// CheckKey returns ErrKey, with the reason, unless key may name a file: parts of
// letters, digits and ._+=@~- between single slashes, no part with a dot in
// front, and not the folder of temporary files.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("%w: %d bytes, 1 to %d are allowed", ErrKey, len(key), MaxKey)
	}
	for part := range strings.SplitSeq(key, "/") {
		if err := checkPart(part); err != nil {
			return err
		}
	}
	if key == stagingName || strings.HasPrefix(key, stagingName+"/") {
		return fmt.Errorf("%w: %s/ is for temporary files", ErrKey, stagingName)
	}
	return nil
}

func checkPart(part string) error {
	if part == "" || part[0] == '.' || len(part) > MaxPart {
		return fmt.Errorf("%w: part %.20q is empty, too long or starts with a dot", ErrKey, part)
	}
	for i := range len(part) {
		if !keyByte(part[i]) {
			return fmt.Errorf("%w: character %q is not allowed", ErrKey, part[i])
		}
	}
	return nil
}

func keyByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte("._+=@~-", c) >= 0
}

// checkPrefix is CheckKey for "" and for keys with a slash at the end.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	folder, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf("%w: prefix %.40q does not end with a slash", ErrKey, prefix)
	}
	return CheckKey(folder)
}
