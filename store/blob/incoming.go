package blob

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// Incoming is a temporary file that is being written. One goroutine uses it. It
// ends with Bucket.Put, MoveTo or Close; Close after the others does nothing.
type Incoming struct {
	staging *Staging
	f       *os.File
	path    string
	limit   int64
	size    int64
	checked int64     // size at the last look at the free space
	sha256  hash.Hash // nil when it is not hashed
	sha1    hash.Hash
	err     error // of an earlier write: a file with a hole is never put
}

// Write appends. ErrTooBig, ErrNoSpace; after an error the file is of no use.
func (in *Incoming) Write(p []byte) (int, error) {
	if in.err == nil {
		in.err = in.check(len(p))
	}
	if in.err != nil {
		return 0, in.err
	}
	n, err := in.f.Write(p)
	in.size += int64(n)
	if in.sha256 != nil {
		in.sha256.Write(p[:n]) //nolint:errcheck // never fails
		in.sha1.Write(p[:n])   //nolint:errcheck // never fails
	}
	if err != nil {
		in.err = fmt.Errorf("write temporary file: %w", spaceError(err))
	}
	return n, in.err
}

// check says whether n more bytes may come.
func (in *Incoming) check(n int) error {
	if in.f == nil {
		return ErrClosed
	}
	if in.size+int64(n) > in.limit {
		return ErrTooBig
	}
	if in.size-in.checked < checkEvery {
		return nil
	}
	in.checked = in.size
	return in.staging.Room(int64(n))
}

// ReadAt reads what was written.
func (in *Incoming) ReadAt(p []byte, off int64) (int, error) {
	if in.f == nil {
		return 0, ErrClosed
	}
	return in.f.ReadAt(p, off)
}

// Size is the number of bytes written.
func (in *Incoming) Size() int64 { return in.size }

// SHA256 is the hash of what was written; nil for a file that Unhashed made.
func (in *Incoming) SHA256() []byte { return sum(in.sha256) }

// SHA1 is the hash of what was written, the name of a video's folder (wire.md 12);
// nil for a file that Unhashed made.
func (in *Incoming) SHA1() []byte { return sum(in.sha1) }

func sum(h hash.Hash) []byte {
	if h == nil {
		return nil
	}
	return h.Sum(nil)
}

// Path is the name of the file on this host, for programs that need one.
func (in *Incoming) Path() string { return in.path }

// Reload takes over what another program made of the file at Path: size and
// hashes are those of what is there now. ErrTooBig.
func (in *Incoming) Reload() error {
	if in.f == nil {
		return ErrClosed
	}
	f, err := os.OpenFile(in.path, os.O_RDWR, 0) //nolint:gosec // a name of ours
	if err != nil {
		return fmt.Errorf("reload temporary file: %w", err)
	}
	in.f.Close() //nolint:errcheck // only reads were left to do
	in.f = f
	return in.rehash()
}

// rehash takes size and hashes from the file.
func (in *Incoming) rehash() error {
	n, err := in.f.Seek(0, io.SeekEnd)
	if err == nil && in.sha256 != nil {
		in.sha256.Reset()
		in.sha1.Reset()
		_, err = io.Copy(io.MultiWriter(in.sha256, in.sha1), io.NewSectionReader(in.f, 0, n))
	}
	in.size, in.checked = n, n
	if err == nil && n > in.limit {
		err = ErrTooBig
	}
	in.err = err
	return err
}

// MoveTo gives the file to the caller under a path on the same file system. It is
// not synced: this is for unfinished things.
func (in *Incoming) MoveTo(path string) error {
	if err := in.finish(false); err != nil {
		return errors.Join(err, in.Close())
	}
	if err := os.Rename(in.path, path); err != nil {
		return errors.Join(fmt.Errorf("move temporary file: %w", err), os.Remove(in.path))
	}
	return nil
}

// Close gives the file up and removes it.
func (in *Incoming) Close() error {
	if in.f == nil {
		return nil
	}
	err := errors.Join(in.f.Close(), os.Remove(in.path))
	in.f = nil
	return err
}

// finish closes the file, synced if asked, but leaves it where it is. When it
// fails the file is still to be closed.
func (in *Incoming) finish(synced bool) error {
	if in.f == nil {
		return ErrClosed
	}
	if in.err != nil {
		return in.err
	}
	if synced {
		if err := in.f.Sync(); err != nil {
			return fmt.Errorf("sync temporary file: %w", spaceError(err))
		}
	}
	err := in.f.Close()
	in.f = nil
	if err != nil {
		return errors.Join(fmt.Errorf("close temporary file: %w", spaceError(err)), os.Remove(in.path))
	}
	return nil
}

// randomName is 26 letters nobody else uses.
func randomName() string { return rand.Text() }

// inside says whether path is something right in the staging area.
func (s *Staging) inside(path string) bool { return filepath.Dir(filepath.Clean(path)) == s.dir }

// spend runs put, which takes folder out of the staging area, and removes what
// is in its place afterwards: what was not put, or what it took the place of.
func (s *Staging) spend(folder string, put func() error) error {
	if !s.inside(folder) {
		return fmt.Errorf("put folder %s: not in the staging area", folder)
	}
	err := put()
	if rest := os.RemoveAll(folder); rest != nil {
		err = errors.Join(err, fmt.Errorf("remove temporary folder: %w", rest))
	}
	return err
}
