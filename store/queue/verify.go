package queue

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// verifyTables reads every table the manifest names and checks its checksums.
// Badger 4.9.6 does the same in goroutines of its own, where a damaged table is
// a nil pointer or an index out of range and ends the process; here it becomes
// an error. Tables the manifest does not name are left over from a kill, and
// Badger deletes them; when the manifest itself is cut at its end, which torn
// reports, such a table may have been a good one.
func verifyTables(dir string, opt badger.Options) (torn bool, err error) {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		return false, nil // a new folder, or Badger will say
	}
	defer f.Close()
	manifest, end, err := badger.ReplayManifestFile(f, 0, opt)
	if err != nil {
		return false, err
	}
	for id := range manifest.Tables {
		if err := verifyTable(table.NewFilename(id, dir)); err != nil {
			return false, fmt.Errorf("table %d: %w", id, err)
		}
	}
	info, err := f.Stat()
	return err == nil && end < info.Size(), err
}

// verifyTable leaves the mapping of a damaged table alone: how much of it Badger
// has already undone by then is unknown, and it happens once.
func verifyTable(path string) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return fmt.Errorf("empty: %w", errRecord)
	}
	f, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			_ = f.Fd.Close()
			err = fmt.Errorf("%w: %v", errRecord, r)
		}
	}()
	_, err = table.OpenTable(f, table.Options{
		ReadOnly: true, BlockSize: 4 << 10, ChkMode: options.OnTableRead, Compression: options.None,
	})
	if err != nil {
		_ = f.Fd.Close()
		return err
	}
	return f.Close(-1)
}
