package store

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	steps, err := migrations()
	if err != nil || len(steps) == 0 {
		t.Fatal(len(steps), err)
	}
	for i, m := range steps {
		if m.version != i+1 || !strings.HasPrefix(m.name, fmt.Sprintf("%04d_", i+1)) || m.sql == "" {
			t.Errorf("step %d: %d %s", i, m.version, m.name)
		}
	}
	for _, names := range [][]string{{"0002_x.sql"}, {"0001_x.sql", "0003_y.sql"}, {"0001_x.sql", "0001_y.sql"}, {"first.sql"}} {
		files := fstest.MapFS{}
		for _, n := range names {
			files["schema/"+n] = &fstest.MapFile{Data: []byte("SELECT 1")}
		}
		if _, err := readMigrations(files); err == nil {
			t.Errorf("%v were accepted", names)
		}
	}
}

// upgrade is one more step than the binary has.
func upgrade(t *testing.T, query string) []migration {
	t.Helper()
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	n := len(steps) + 1
	return append(steps, migration{version: n, name: fmt.Sprintf("%04d_test.sql", n), sql: query})
}

// oldDatabase makes a database of the present schema that holds one setting.
func oldDatabase(t *testing.T) (cfg Config, copyPath string) {
	t.Helper()
	cfg.Path = filepath.Join(t.TempDir(), "gtiv.db")
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.SetSetting(t.Context(), "k", "before"), s.Close()); err != nil {
		t.Fatal(err)
	}
	steps, _ := migrations()
	return cfg, fmt.Sprintf("%s.before-schema-%d", cfg.Path, len(steps)+1)
}

const goodStep = `CREATE TABLE added (x INTEGER) STRICT; UPDATE setting SET value = 'after' WHERE key = 'k'`

func setting(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var v, check string
	if err := db.QueryRowContext(t.Context(), `SELECT value FROM setting WHERE key = 'k'`).Scan(&v); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&check); err != nil || check != "ok" {
		t.Fatalf("integrity of %s: %s %v", filepath.Base(path), check, err)
	}
	return v
}

func TestUpgradeKeepsACopy(t *testing.T) {
	cfg, copyPath := oldDatabase(t)
	// What an interrupted upgrade left must not be taken for a copy.
	if err := os.WriteFile(copyPath+".partial", []byte("half a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	var told []string
	cfg.Progress = func(text string) { told = append(told, text) }
	s, err := openAt(t.Context(), cfg, upgrade(t, goodStep))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if now, before := setting(t, cfg.Path), setting(t, copyPath); now != "after" || before != "before" {
		t.Errorf("database %q, copy %q", now, before)
	}
	if fi, err := os.Stat(copyPath); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("copy: %v %v", fi.Mode(), err)
	}
	if _, err := os.Stat(copyPath + ".partial"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the interrupted copy is still there")
	}
	if len(told) != 2 {
		t.Errorf("progress: %q", told)
	}
}

func TestAFailedStepChangesNothingAndCanBeTriedAgain(t *testing.T) {
	cfg, copyPath := oldDatabase(t)
	if _, err := openAt(t.Context(), cfg, upgrade(t, goodStep+`; NONSENSE`)); err == nil || !strings.Contains(err.Error(), "_test.sql") {
		t.Fatalf("answered %v", err)
	}
	if v := setting(t, cfg.Path); v != "before" {
		t.Errorf("a failed step left %q", v)
	}
	s, err := openAt(t.Context(), cfg, upgrade(t, goodStep))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if now, before := setting(t, cfg.Path), setting(t, copyPath); now != "after" || before != "before" {
		t.Errorf("database %q, copy %q", now, before)
	}
}

func TestDatabaseOfANewerGtivIsRefused(t *testing.T) {
	cfg, _ := oldDatabase(t)
	s, err := openAt(t.Context(), cfg, upgrade(t, goodStep))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), cfg)
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "install the newer gtiv") {
		t.Fatalf("answered %v", err)
	}
	if v := setting(t, cfg.Path); v != "after" {
		t.Errorf("the refused database was changed: %q", v)
	}
}

func TestNewDatabaseNeedsNoCopy(t *testing.T) {
	cfg, _ := oldDatabase(t)
	found, err := filepath.Glob(cfg.Path + "*")
	if err != nil || len(found) != 1 {
		t.Errorf("files: %v %v", found, err)
	}
}

// Who wrote in a room and left it before step 6 is found by what they wrote.
func TestStepSixFindsFormerMembers(t *testing.T) {
	cfg := Config{Path: filepath.Join(t.TempDir(), "gtiv.db")}
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	s, err := openAt(t.Context(), cfg, steps[:5])
	if err != nil {
		t.Fatal(err)
	}
	a, b := makeFriends(t, s)
	m, err := s.CreateRoom(t.Context(), NewRoom{
		Owner: a, Invitees: []int64{b}, MemberLimit: 9, Name: func(string) string { return "r" }, First: NewRoomMessage{From: a},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.SendRoom(t.Context(), NewRoomMessage{Room: m.Room, From: b, Content: "x"})
	gone := s.update(t.Context(), func(tx *Tx) error { return tx.exec(`DELETE FROM room_member WHERE user_id = ?`, b) })
	if err := errors.Join(err, gone, s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = openAt(t.Context(), cfg, steps); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var users []int64
	rows, err := s.viewRows(t.Context(), `SELECT user_id FROM room_former WHERE room_id = ?`, m.Room)
	if users, err = collect(rows, err, scanInt); err != nil || len(users) != 1 || users[0] != b {
		t.Errorf("former members %v, %v; want %d", users, err, b)
	}
}

// A database from before short videos is brought up to date with what it holds.
func TestADatabaseFromBeforeVideosIsUpgraded(t *testing.T) {
	cfg := Config{Path: filepath.Join(t.TempDir(), "gtiv.db")}
	db, err := sql.Open("sqlite", cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	queries := []string{}
	for _, m := range steps[:4] {
		queries = append(queries, m.sql)
	}
	queries = append(queries, "PRAGMA user_version = 4",
		`INSERT INTO account (username, username_key, nickname, created_at, fans_num) VALUES ('wang', 'wang', '老王', 1, 1), ('li', 'li', '小李', 1, 0)`,
		`INSERT INTO follow (fan_id, master_id, created_at) VALUES (10002, 10001, 1)`)
	for _, q := range queries {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := s.SearchAccounts(t.Context(), "老王", 0, 10)
	fans, err2 := s.Fans(t.Context(), 10001, 10)
	v, err3 := s.CreateVideo(t.Context(), NewVideo{Owner: 10001})
	if err := errors.Join(err, err2, err3, s.Close()); err != nil || len(found) != 1 || len(fans) != 1 || v.ID != 2 {
		t.Errorf("found %d, fans %d, video %d, %v", len(found), len(fans), v.ID, err)
	}
}
