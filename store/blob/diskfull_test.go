package blob_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"gtiv/store/blob"
)

// smallDisk mounts a file system of 16 MiB for the test.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("mounting is not possible here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// writeUntil writes until an error comes, and answers how much fitted.
func writeUntil(t *testing.T, in *blob.Incoming) (int64, error) {
	t.Helper()
	block := make([]byte, 64<<10)
	for {
		if _, err := in.Write(block); err != nil {
			return in.Size(), err
		}
	}
}

func TestDiskThatFillsUpIsErrNoSpaceAndIsUsableAgain(t *testing.T) {
	for name, c := range map[string]struct{ reserve, least, most int64 }{
		"at the reserve": {8 << 20, 7 << 20, 13 << 20}, // looked at every 4 MiB
		"at the end":     {1, 15 << 20, 16 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			k, _ := openStore(t, blob.Config{Dir: smallDisk(t), MinFree: c.reserve})
			k.put(t, "before", "x")
			in, err := k.staging.Incoming(1 << 30)
			if err != nil {
				t.Fatal(err)
			}
			n, err := writeUntil(t, in)
			if !errors.Is(err, blob.ErrNoSpace) || n < c.least || n > c.most {
				t.Errorf("after %d bytes: %v", n, err)
			}
			if _, err := k.Put(t.Context(), "half", in); !errors.Is(err, blob.ErrNoSpace) {
				t.Errorf("put of what is not whole: %v", err)
			}
			k.noTemporaries(t)
			k.put(t, "after", "x")
			if _, err := k.Stat(t.Context(), "half"); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("half a file is there: %v", err)
			}
		})
	}
}
