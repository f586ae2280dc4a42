package legacy_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"gtiv/daemon/legacy"
	"gtiv/store"
)

// Whatever a row says, it comes in tidied or is refused: it never ends an import.
func FuzzRows(f *testing.F) {
	f.Add("wei", "小明", "86", "13800138000", "2023-05-04 08:30:00", "1", "2023/98a33734f5974bc89c11772bf25186c384e3a4ba/index.m3u8")
	f.Add("'\\", "\x00\xff\u202e", "-1", "99999999999999999999", "0000-00-00 00:00:00", "-5", "../../index.m3u8")
	f.Add("", "", "", "", "", "", "")
	f.Add("@a", "deleted-1", "1e9", "0x1", "9999-12-31 23:59:59", "2147483648", "http://x")
	s, err := store.Open(f.Context(), store.Config{Path: filepath.Join(f.TempDir(), "gtiv.db")})
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	n := 0
	f.Fuzz(func(t *testing.T, a, b, c, d, when, num, uri string) {
		n++
		oneOfEach(t, s, n, a, b, c, d, when, num, uri)
	})
}

// The fuzzer is slow, because all of SQLite is Go here; so some nasty rows each time.
func TestNastyRows(t *testing.T) {
	s := newWorld(t).store
	nasty := []string{
		"", " ", "0", "-1", "1", "2", "10000", "10001", "1000000001", "2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "1.5", "1e3", "0x10",
		"'", "\\", "\x00", "\xff\xfe", "\u202e", "\ufeff", "@x", "deleted-7", "admin", "İ", "ﬁ", "¨", strings.Repeat("字", 5000), strings.Repeat("#a ", 50),
		"2023-05-04 08:30:00", "0000-00-00 00:00:00", "9999-12-31 23:59:59", "1969-01-01 00:00:00", "1683189000",
		"2023/98a33734f5974bc89c11772bf25186c384e3a4ba/index.m3u8", "../index.m3u8", "http://x/a.jpg", "86", "+86 138-0013-8000",
	}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	pick := func() string { return nasty[r.IntN(len(nasty))] }
	for n := range 50 {
		oneOfEach(t, s, n+1, pick(), pick(), pick(), pick(), pick(), pick(), pick())
	}
	if wrong, err := s.RepairCounters(t.Context(), false); err != nil || len(wrong) > 0 {
		t.Errorf("%v %v", wrong, err)
	}
}

// oneOfEach imports a row of each table, and another one with a wild number.
func oneOfEach(t *testing.T, s *store.Store, n int, a, b, c, d, when, num, uri string) {
	t.Helper()
	q := func(s string) string {
		return "'" + strings.NewReplacer("\\", "\\\\", "'", "''").Replace(s) + "'"
	}
	dump := filepath.Join(t.TempDir(), "d.sql")
	text := fmt.Sprintf(`INSERT INTO user (id, username, password, nickname, tel_code, tel, role, gender, birthday, avatar, intro, last_login_time, contacts_version, create_time)
		VALUES (%[1]d, %[2]s, %[3]s, %[3]s, %[4]s, %[5]s, %[7]s, %[7]s, %[2]s, %[8]s, %[3]s, %[7]s, %[7]s, %[6]s), (%[7]s, %[2]s, %[2]s, '', '', '', '', '', '', '', '', '', '', '');
		INSERT INTO room (id, room_name, avatar, notice, member_limit, create_time) VALUES (%[1]d, %[2]s, %[8]s, %[3]s, %[7]s, %[6]s), (%[7]s, '', '', '', '', '');
		INSERT INTO user_room (id, user_id, room_id, role, create_time) VALUES (%[1]d, %[1]d, %[7]s, %[7]s, %[6]s), (%[7]s, %[7]s, %[1]d, '30', '');
		INSERT INTO contacts (id, user_id, contacts_user_id, deleted, create_time) VALUES (%[1]d, %[1]d, %[7]s, %[7]s, %[6]s);
		INSERT INTO follow (id, master, fans, create_time) VALUES (%[1]d, %[1]d, %[7]s, %[6]s);
		INSERT INTO videos (id, user_id, title, uri, width, height, duration, bit_rate, share_num, created_time)
		VALUES (%[1]d, %[1]d, %[2]s, %[8]s, %[7]s, %[7]s, %[7]s, %[7]s, %[7]s, %[6]s), (%[7]s, %[1]d, %[3]s, '', '', '', '', '', '', '');
		INSERT INTO video_support (id, user_id, video_id, create_time) VALUES (%[1]d, %[1]d, %[7]s, %[6]s);
		INSERT INTO video_collect (id, user_id, video_id, create_time) VALUES (%[1]d, %[1]d, %[1]d, %[6]s);`,
		1000+n, q(a), q(b), q(c), q(d), q(when), q(num), q(uri))
	if err := os.WriteFile(dump, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := legacy.Run(t.Context(), legacy.Config{Dump: dump, Media: t.TempDir(), By: "fuzz"}, legacy.Deps{Store: s})
	if err != nil && !strings.Contains(err.Error(), "not of the same server") {
		t.Fatalf("%v\n%s", err, text)
	}
	if err != nil {
		return
	}
	if a, err := s.Account(t.Context(), int64(1000+n)); err == nil && (!utf8.ValidString(a.Username+a.Nickname+a.Intro+a.Birthday) || strings.ContainsAny(a.Username+a.Nickname, "'\x00\n")) {
		t.Errorf("%+v", a)
	}
	for _, p := range r.Problems {
		if p.Text == "" {
			t.Errorf("%+v", p)
		}
	}
}
