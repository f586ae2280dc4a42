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
	const room = FirstRoom + 1
	inserted := run(t, s,
		`INSERT INTO room (id, name, member_limit, member_num, created_by, created_at) VALUES (`+itoa(room)+`, 'r', 9, 1, `+itoa(a)+`, 1)`,
		`INSERT INTO room_member (room_id, user_id, role, joined_at, joined_seq) VALUES (`+itoa(room)+`, `+itoa(a)+`, 30, 1, 0)`,
		`INSERT INTO conversation (id, kind, a, b) VALUES (77, 2, `+itoa(room)+`, 0)`,
		`INSERT INTO message (conversation_id, seq, server_msg_id, sender_id, type, time, content) VALUES (77, 1, randomblob(16), `+itoa(b)+`, 0, 1, 'x')`)
	if err := errors.Join(inserted, s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = openAt(t.Context(), cfg, steps); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var users []int64
	rows, err := s.viewRows(t.Context(), `SELECT user_id FROM room_former WHERE room_id = ?`, room)
	if users, err = collect(rows, err, scanInt); err != nil || len(users) != 1 || users[0] != b {
		t.Errorf("former members %v, %v; want %d", users, err, b)
	}
}

// run has statements done that no method of the store would do.
func run(t *testing.T, s *Store, statements ...string) error {
	t.Helper()
	return s.update(t.Context(), func(tx *Tx) error {
		for _, q := range statements {
			if err := tx.exec(q); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
		return nil
	})
}

// Accounts that were deleted while they were invited somewhere are still members
// before step 7, and owners.
func TestStepNineHasDeletedMembersLeave(t *testing.T) {
	cfg := Config{Path: filepath.Join(t.TempDir(), "gtiv.db")}
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	s, err := openAt(t.Context(), cfg, steps[:8])
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for i := range 5 {
		a, err := s.CreateAccount(t.Context(), NewAccount{Username: fmt.Sprint("u", i), Nickname: "x", Role: RoleUser})
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, itoa(a.ID))
	}
	statements := []string{`UPDATE account SET deleted_at = 5 WHERE id = ` + users[0]}
	// The first of these is the deleted account, which owns all but the last room.
	roles := [][]int{{30, 10, 20, 20, 10}, {30, 10, 10}, {30}, {10, 30}}
	for i, room := range roles {
		id := itoa(FirstRoom + 1 + int64(i))
		statements = append(statements, `INSERT INTO room (id, name, member_limit, member_num, created_by, created_at) VALUES (`+id+`, 'r', 9, `+itoa(int64(len(room)))+`, 1, 1)`,
			`INSERT INTO room_link (code, room_id, created_by, created_at) VALUES ('c`+id+`', `+id+`, 1, 1)`)
		for u, role := range room {
			statements = append(statements, `INSERT INTO room_member (room_id, user_id, role, banned_until, joined_at, joined_seq) VALUES (`+
				id+`, `+users[u]+`, `+itoa(int64(role))+`, 9, `+itoa(int64(100-u))+`, 0)`)
		}
	}
	if err := errors.Join(run(t, s, statements...), s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = openAt(t.Context(), cfg, steps); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, want := range []string{"u3:30 u2:20 u4:10 u1:10", "u2:30 u1:10", "", "u1:30"} {
		id := FirstRoom + 1 + int64(i)
		rows, err := s.RoomMembers(t.Context(), id, MemberFilter{Limit: 9})
		var have []string
		for _, r := range rows {
			have = append(have, fmt.Sprintf("%s:%d", r.Account.Username, r.Role))
		}
		if got := strings.Join(have, " "); err != nil || got != want {
			t.Errorf("room %d has %s, %v; want %s", i, got, err, want)
		}
		r, err := s.Room(t.Context(), id)
		n, err2 := s.RoomCounts(t.Context(), id)
		if want == "" {
			if !errors.Is(err, ErrNotFound) || n.Links != 0 {
				t.Errorf("the room of nobody: %v, %d links", err, n.Links)
			}
		} else if err := errors.Join(err, err2); err != nil || r.MemberNum != len(have) || n.Links != 1 {
			t.Errorf("room %d: %+v, %d links, %v", i, r, n.Links, err)
		}
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
