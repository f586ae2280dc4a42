package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// migration is one step of the schema, forward only, never edited after release.
type migration struct {
	version int
	name    string
	sql     string
}

// migrations lists the embedded steps in order. The number in front of the file
// name is the version the step leads to.
func migrations() ([]migration, error) { return readMigrations(schemaFiles) }

func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "schema/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	list := make([]migration, 0, len(names))
	for i, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		v, err := strconv.Atoi(number)
		if err != nil || v != i+1 {
			return nil, fmt.Errorf("schema file %s: want number %04d", name, i+1)
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		list = append(list, migration{version: v, name: path.Base(name), sql: string(b)})
	}
	return list, nil
}

// migrate brings the schema up to date. Before the first step of an upgrade it
// keeps a copy of the database beside it; every step is one transaction.
func (s *Store) migrate(ctx context.Context, steps []migration) error {
	var have int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have > len(steps) {
		return fmt.Errorf("%w: its schema is %d, this gtiv knows %d; install the newer gtiv again, or restore a backup made before the upgrade", ErrNewer, have, len(steps))
	}
	if have > 0 && have < len(steps) {
		if err := s.copyBefore(ctx, have); err != nil {
			return err
		}
	}
	for _, m := range steps[have:] {
		// Nobody waits for a new database: the steps of one are not news. A service
		// manager that is slow to read would be told more than its socket holds.
		if have > 0 {
			s.progress("bringing the database to schema " + m.name)
		}
		if err := s.migrateTo(ctx, m); err != nil {
			return fmt.Errorf("migrate to %s: %w", m.name, err)
		}
	}
	return nil
}

// copyBefore keeps a copy of the database as it was before an upgrade.
func (s *Store) copyBefore(ctx context.Context, version int) error {
	target := fmt.Sprintf("%s.before-schema-%d", s.cfg.Path, version+1)
	if _, err := os.Stat(target); err == nil {
		return nil // an earlier try of the same upgrade made it
	}
	s.progress("copying the database before the upgrade")
	partial := target + ".partial"
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := s.conn.ExecContext(ctx, "VACUUM INTO ?", partial); err != nil {
		return fmt.Errorf("copy database before the upgrade: %w", err)
	}
	if err := os.Chmod(partial, 0o600); err != nil {
		return err
	}
	if err := os.Rename(partial, target); err != nil {
		return err
	}
	return syncDir(filepath.Dir(target))
}

// syncDir puts a rename on disk.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator's own data folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *Store) migrateTo(ctx context.Context, m migration) error {
	tx, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing left to roll back after Commit
	if _, err := tx.ExecContext(ctx, m.sql); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(m.version)); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *Store) progress(text string) {
	s.log.Info("migration", "step", text)
	if s.cfg.Progress != nil {
		s.cfg.Progress(text)
	}
}
