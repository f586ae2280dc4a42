package legacy_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/legacy"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
)

// The dump of the tests is what mysqldump writes of a small site with the faults
// of a real one.
const dump = "testdata/gtiv.sql"

// The folders of its videos.
const (
	folderA = "2023/98a33734f5974bc89c11772bf25186c384e3a4ba" // of two videos
	folderB = "2023/f014cf725bc160853d9860a24f40b138eac3dbe2"
)

// world is an empty site to import into.
type world struct {
	t     *testing.T
	store *store.Store
	blobs *blob.Store
	now   time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Now()}
	var err error
	if w.store, err = store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "gtiv.db"), Now: w.clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.blobs, err = blob.Open(blob.Config{Dir: t.TempDir(), MinFree: 1}); err != nil {
		t.Fatal(err)
	}
	return w
}

// clock never says the same twice: imports are told from each other by their time.
func (w *world) clock() time.Time {
	w.now = w.now.Add(time.Millisecond)
	return w.now
}

func (w *world) run(dump, media string) (*protocol.ImportReport, error) {
	return legacy.Run(w.t.Context(), legacy.Config{Dump: dump, Media: media, By: "test"},
		legacy.Deps{Store: w.store, Blobs: w.blobs, Staging: w.blobs.Staging})
}

func (w *world) imports(dump, media string) *protocol.ImportReport {
	w.t.Helper()
	r, err := w.run(dump, media)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) account(id int64) store.Account {
	w.t.Helper()
	a, err := w.store.Account(w.t.Context(), id)
	if err != nil {
		w.t.Fatalf("account %d: %v", id, err)
	}
	return a
}

// folder writes the files of a video.
func folder(t *testing.T, media, name string, change func(files map[string][]byte)) {
	t.Helper()
	var cover bytes.Buffer
	if err := jpeg.Encode(&cover, image.NewGray(image.Rect(0, 0, 80, 45)), nil); err != nil {
		t.Fatal(err)
	}
	packet := append([]byte{0x47}, make([]byte, 187)...)
	files := map[string][]byte{
		"index.m3u8": []byte("#EXTM3U\r\n#EXT-X-VERSION:3\r\n#EXTINF:3.0,\r\nindex0.ts\r\n#EXTINF:1.0,\r\nindex1.ts\r\n#EXT-X-ENDLIST"),
		"index0.ts":  packet, "index1.ts": packet, "cover.jpg": cover.Bytes(), "secret.txt": []byte("not ours"),
	}
	if change != nil {
		change(files)
	}
	dir := filepath.Join(media, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for n, b := range files {
		if err := os.WriteFile(filepath.Join(dir, n), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func tables(r *protocol.ImportReport) string {
	var b strings.Builder
	for _, k := range r.Tables {
		fmt.Fprintf(&b, "%s %d/%d/%d/%d/%d\n", k.Name, k.Rows, k.New, k.There, k.Changed, k.Refused)
	}
	return b.String()
}

// find looks for a problem of a row.
func find(r *protocol.ImportReport, table string, row int64) []string {
	var list []string
	for _, p := range r.Problems {
		if p.Table == table && p.Row == row {
			text := p.Text
			if !p.Kept {
				text = "refused: " + text
			}
			list = append(list, text)
		}
	}
	return list
}

func TestADumpComesInWhole(t *testing.T) {
	w := newWorld(t)
	media := t.TempDir()
	folder(t, media, folderA, nil)
	folder(t, media, folderB, nil)
	r := w.imports(dump, media)
	const want = `user 10/8/0/6/2
contacts 13/9/0/0/4
room 5/5/0/0/0
user_room 13/10/0/1/3
videos 6/5/0/1/1
video_support 7/3/0/0/4
video_collect 2/1/0/0/1
follow 6/3/0/0/3
`
	if got := tables(r); got != want {
		t.Errorf("rows/new/there/changed/refused:\n%s\nwant\n%s", got, want)
	}
	if m := r.Media; m.Copied != 3 || m.Missing != 2 || m.There != 0 || m.Bytes < 3*2*188 {
		t.Errorf("%+v", m)
	}
	if !slices.Equal(r.Ignored, []string{"country", "faq", "live_room"}) {
		t.Errorf("ignored: %q", r.Ignored)
	}
	for _, c := range []struct {
		table string
		row   int64
		text  string
	}{
		{"user", 1, "administrator"}, {"user", 3, "o’neil"}, {"user", 4, "refused: the user name"}, {"user", 6, "no usable password"},
		{"user", 7, "no usable password"}, {"user", 7, "phone number"}, {"user", 8, "administrator"}, {"user", 10000, "has the number 10001 here"},
		{"user", 2000000000, "refused: the number"}, {"contacts", 5, "refused: user 1 has user 2"}, {"contacts", 6, "refused: there is no user 99"},
		{"contacts", 7, "refused: it ties user 1 to themselves"}, {"contacts", 11, "refused: there is no user 4"}, {"user_room", 9, "administrator of it now"},
		{"user_room", 11, "refused: there is no group 99"}, {"user_room", 13, "refused: user 7 is a member"}, {"videos", 1, "number 8 here"},
		{"videos", 2, "no such file"}, {"videos", 6, "not that of a playlist"}, {"videos", 7, "refused: there is no user 99"},
		{"video_support", 4, "refused: user 2 has this"}, {"video_support", 7, "refused: there is no video 7"}, {"follow", 6, "refused: user 2 follows"},
	} {
		if list := find(r, c.table, c.row); !slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, c.text) }) {
			t.Errorf("%s %d: %q, want %q", c.table, c.row, list, c.text)
		}
	}
	for _, p := range r.Problems {
		if p.Line < 10 {
			t.Errorf("a problem in line %d: %+v", p.Line, p)
		}
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "1 contacts were") || !strings.Contains(notes, "1 groups have no members") ||
		!strings.Contains(notes, "1 groups had no owner") || !strings.Contains(notes, "5 rows of user_room had") || !strings.Contains(notes, "5 rows of user_room could") {
		t.Errorf("notes:\n%s", notes)
	}
	w.checkPeople()
	w.checkGroups()
	w.checkVideos()
	wrong, err := w.store.RepairCounters(t.Context(), false)
	if err != nil || len(wrong) > 0 {
		t.Errorf("%v %v", wrong, err)
	}
	if log, err := w.store.AuditEntries(t.Context(), store.AuditFilter{Limit: 10}); err != nil || len(log) != 1 || log[0].Actor != "test" || log[0].Action != "import.gtiv" {
		t.Errorf("%+v %v", log, err)
	}
}

func (w *world) checkPeople() {
	t := w.t
	t.Helper()
	wei := w.account(1)
	if wei.Nickname != "小明 😀" || wei.Role != store.RoleAdmin || wei.Birthday != "1990-01-02" || wei.Gender != 1 || wei.Avatar != "http://img.example.com/u1?v=2" ||
		wei.Intro != `你好，"世界"` || wei.ContactsVersion < 13 || wei.LastLoginTime != 1683189000 || wei.FansNum != 2 || wei.FollowNum != 1 || wei.SupportNum != 2 ||
		wei.CreatedAt != time.Date(2023, 5, 4, 8, 30, 0, 123e6, time.UTC).UnixMilli() || !strings.HasPrefix(wei.PasswordHash, "$md5$") {
		t.Errorf("%+v", wei)
	}
	if a := w.account(8); a.Nickname != strings.Repeat("x", 32) || a.Gender != 0 || a.Avatar != "" || a.Role != store.RoleAdmin || a.LastLoginTime != 0 {
		t.Errorf("%+v", a)
	}
	if a := w.account(5); a.TelCode != "86" || a.Tel != "13800138000" || a.Username != "8613800138000" {
		t.Errorf("%+v", a)
	}
	if a := w.account(7); a.Tel != "" || a.PasswordHash != "" {
		t.Errorf("%+v", a)
	}
	if a := w.account(3); a.Nickname != "D’Arcy O’Neil" {
		t.Errorf("%+v", a)
	}
	if a := w.account(10001); a.Username != "builtin" {
		t.Errorf("%+v", a)
	}
	if a := w.account(10000); a.Username != "gtiv" || a.PasswordHash != "" {
		t.Errorf("the built-in account is %+v", a)
	}
	var contacts []string
	for _, u := range []int64{1, 2, 3, 6} {
		list, err := w.store.Contacts(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			contacts = append(contacts, fmt.Sprint(u, c.User.ID, c.Deleted))
		}
	}
	slices.Sort(contacts)
	if got := strings.Join(contacts, ", "); got != "1 2 false, 1 3 true, 1 6 false, 2 1 false, 2 10001 false, 2 5 true, 6 1 false" {
		t.Errorf("contacts %s", got)
	}
	fans, err := w.store.Fans(t.Context(), 1, 10)
	if err != nil || len(fans) != 2 || fans[0].Account.ID != 3 || fans[1].At != time.Date(2023, 6, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("%v %v", fans, err)
	}
	next, err := w.store.CreateAccount(t.Context(), store.NewAccount{Username: "next", Nickname: "next", Role: store.RoleUser})
	if err != nil || next.ID <= 10001 || next.ID > 100000 {
		t.Errorf("the next account is %d: %v", next.ID, err)
	}
	if found, _, err := w.store.SearchAccounts(t.Context(), "小明", 0, 10); err != nil || len(found) != 1 || found[0].ID != 1 {
		t.Errorf("%v %v", found, err)
	}
}

func (w *world) checkGroups() {
	t := w.t
	t.Helper()
	for id, want := range map[int64]string{
		1: "家人群 ❤️ 1:30 2:10 8:20", 2: "Bob’s very long name 3:30 7:10", 4: "Group 4 6:10 7:30", 5: "two owners 1:30 2:20 8:10",
	} {
		room, err := w.store.Room(t.Context(), store.FirstRoom+id)
		if err != nil {
			t.Errorf("group %d: %v", id, err)
			continue
		}
		got := room.Name
		ids, err := w.store.RoomMemberIDs(t.Context(), room.ID)
		if err != nil || len(ids) != room.MemberNum {
			t.Errorf("group %d has %d members and says %d: %v", id, len(ids), room.MemberNum, err)
		}
		for _, u := range ids {
			m, err := w.store.RoomMember(t.Context(), room.ID, u)
			if err != nil {
				t.Fatal(err)
			}
			got += fmt.Sprintf(" %d:%d", u, m.Role)
			if m.Role == store.RoleOwner && room.CreatedBy != u {
				t.Errorf("group %d was created by %d", id, room.CreatedBy)
			}
		}
		if got != want {
			t.Errorf("group %d is %q, want %q", id, got, want)
		}
	}
	if _, err := w.store.Room(t.Context(), store.FirstRoom+3); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the empty group: %v", err)
	}
	room, err := w.store.Room(t.Context(), store.FirstRoom+1)
	if err != nil || room.Notice != "周日 6 点\n吃饭" || room.Avatar != "http://img.example.com/roomavatar1" || room.MemberLimit != 500 {
		t.Errorf("%+v %v", room, err)
	}
	if _, err := w.store.RoomPosition(t.Context(), room.ID, 2); err != nil {
		t.Errorf("a member's sync: %v", err)
	}
	if _, err := w.store.SendRoom(t.Context(), store.NewRoomMessage{Room: room.ID, From: 2, Content: "hi"}); err != nil {
		t.Errorf("a member's message: %v", err)
	}
	m, err := w.store.CreateRoom(t.Context(), store.NewRoom{Owner: 1, Name: func(string) string { return "new" }, MemberLimit: 5, First: store.NewRoomMessage{From: 1}})
	if err != nil || m.Room != store.FirstRoom+6 {
		t.Errorf("the next group is %d: %v", m.Room, err)
	}
}

func (w *world) checkVideos() {
	t := w.t
	t.Helper()
	shown := func(id int64) (string, *store.VideoShown) {
		v, err := w.store.ShownVideo(t.Context(), 0, id)
		if err != nil {
			return err.Error(), nil
		}
		return v.Key, &v
	}
	key, v := shown(8) // 1 there, which is the sample here
	if key != folderA || v.Title != "第一个视频 #旅行 #Beijing" || v.SupportNum != 2 || v.ShareNum != 5 || v.PublishedAt != v.CreatedAt || v.Width != 640 || v.SizeBytes == 0 ||
		v.CreatedAt != time.Date(2023, 7, 1, 10, 0, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("%s %+v", key, v)
	}
	if key, v = shown(3); key != folderB || v.Title != `it's "fun" second line` || v.Width != 80 || v.Height != 45 || v.CollectNum != 1 || v.SupportNum != 1 {
		t.Errorf("%s %+v", key, v)
	}
	if key, _ := shown(5); key == folderA || len(key) != len(folderA) {
		t.Errorf("the second video of a file is at %s", key)
	} else {
		w.checkFiles(key)
	}
	w.checkFiles(folderA)
	for _, id := range []int64{2, 6} {
		if _, v := shown(id); v != nil {
			t.Errorf("video %d is shown", id)
		}
		if own, err := w.store.Video(t.Context(), id); err != nil || own.State != store.VideoFailed || own.Reason != legacy.Reason {
			t.Errorf("video %d: %+v %v", id, own, err)
		}
	}
	if tagged, _, err := w.store.TaggedVideos(t.Context(), 0, "旅行", 0, 10); err != nil || len(tagged) != 1 {
		t.Errorf("%v %v", tagged, err)
	}
	if found, _, err := w.store.SearchVideos(t.Context(), 0, "第一个", 0, 10); err != nil || len(found) != 1 {
		t.Errorf("%v %v", found, err)
	}
	fresh, err := w.store.FreshVideos(t.Context(), 10)
	if err != nil || len(fresh) != 3 {
		t.Errorf("the feed has %v: %v", fresh, err)
	}
}

func (w *world) checkFiles(key string) {
	w.t.Helper()
	list, err := w.blobs.List(w.t.Context(), key+"/", "", 10)
	var names []string
	for _, f := range list {
		names = append(names, strings.TrimPrefix(f.Key, key+"/"))
	}
	if err != nil || strings.Join(names, " ") != "cover.jpg index.m3u8 index0.ts index1.ts" {
		w.t.Errorf("%s has %v: %v", key, names, err)
	}
	path, done, err := w.blobs.Local(w.t.Context(), key+"/index.m3u8")
	if err != nil {
		w.t.Fatal(err)
	}
	defer done()
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(text), "\nindex1.ts\n#EXT-X-ENDLIST\n") || strings.Contains(string(text), "\r") {
		w.t.Errorf("the playlist is %q: %v", text, err)
	}
}

// What was changed here after an import is not undone by the next one.
func TestTheSameDumpTwice(t *testing.T) {
	w := newWorld(t)
	first := w.imports(dump, "")
	if !strings.Contains(strings.Join(first.Notes, "\n"), "5 videos came without their files") || first.Media != nil {
		t.Errorf("%q", first.Notes)
	}
	ctx := t.Context()
	if _, _, err := w.store.ToggleFollow(ctx, 3, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.DeleteContact(ctx, 1, 2); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.store.DeleteAccount(ctx, 6, w.now.UnixMilli(), store.QuitTexts{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.DeleteVideo(ctx, 3, false, 3); err != nil {
		t.Fatal(err)
	}
	if err := w.store.SetProfile(ctx, 2, "nickname", "new name"); err != nil {
		t.Fatal(err)
	}
	media := t.TempDir()
	folder(t, media, folderA, nil)
	folder(t, media, folderB, nil)
	for round, copied := range []int64{2, 0} {
		r := w.imports(dump, media)
		for _, k := range r.Tables {
			if k.New != 0 {
				t.Errorf("again %d of %s", k.New, k.Name)
			}
		}
		if r.Media.Copied != copied || r.Media.There != 2-copied || r.Media.Missing != 2 {
			t.Errorf("round %d: %+v", round, r.Media)
		}
	}
	if yes, err := w.store.IsFollowing(ctx, 3, 1); err != nil || yes {
		t.Errorf("follows again: %v", err)
	}
	if list, err := w.store.Contacts(ctx, 1); err != nil || len(list) != 2 {
		t.Errorf("%d contacts: %v", len(list), err)
	}
	if a := w.account(2); a.Nickname != "new name" {
		t.Errorf("%+v", a)
	}
	if a := w.account(6); a.DeletedAt == 0 {
		t.Errorf("%+v", a)
	}
	if wrong, err := w.store.RepairCounters(ctx, false); err != nil || len(wrong) > 0 {
		t.Errorf("%v %v", wrong, err)
	}
}

// write makes a dump of a text, compressed if the name says so.
func write(t *testing.T, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(text)
	if strings.HasSuffix(name, ".gz") {
		b.Reset()
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readDump(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestACompressedDump(t *testing.T) {
	plain, packed := newWorld(t), newWorld(t)
	if a, b := tables(plain.imports(dump, "")), tables(packed.imports(write(t, "d.sql.gz", readDump(t)), "")); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

// Whatever ends an import, nothing of it is there.
func TestAnImportThatFailsLeavesNothing(t *testing.T) {
	text := readDump(t)
	packed, err := os.ReadFile(write(t, "d.sql.gz", text))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dump, want string }{
		"cut in the last table": {text[:strings.LastIndex(text, "evil")], "ends in the middle"},
		"cut archive":           {string(packed[:len(packed)-100]), "unexpected EOF"},
		"another database":      {"CREATE TABLE `user` (`id` int, `name` text);INSERT INTO user VALUES (1,'x');", "has no column username"},
		"nothing of GTIV":       {"CREATE TABLE `x` (`id` int);INSERT INTO x VALUES (1);", "no row of a table of GTIV"},
		"an empty file":         {"", "no row of a table of GTIV"},
		"garbage":               {strings.Repeat("\x00\xff'\\", 1000), "nothing was imported"},
	} {
		w := newWorld(t)
		if _, err := w.run(write(t, "d.sql", c.dump), ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		w.empty(name)
		w.imports(dump, "")
	}
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	steps := 0
	_, err = legacy.Run(ctx, legacy.Config{Dump: dump, Progress: func(string) {
		if steps++; steps == 3 {
			cancel()
		}
	}}, legacy.Deps{Store: w.store})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.empty("interrupted")
	if _, err := w.run(filepath.Join(t.TempDir(), "none"), ""); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := w.run(t.TempDir(), ""); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Error(err)
	}
}

func (w *world) empty(when string) {
	w.t.Helper()
	n, err := w.store.CountAccounts(w.t.Context())
	_, found := w.store.FindImported(w.t.Context(), store.ImportVideo, 1)
	if err != nil || n != 0 || !errors.Is(found, store.ErrNotFound) {
		w.t.Errorf("%s: %d accounts are there, %v", when, n, err)
	}
}

func TestADumpOfAnotherServerIsRefused(t *testing.T) {
	w := newWorld(t)
	w.imports(dump, "")
	other := write(t, "d.sql", "CREATE TABLE `user` (`id` int, `username` text, `password` text);INSERT INTO user VALUES (1,'somebody else','');")
	if _, err := w.run(other, ""); err == nil || !strings.Contains(err.Error(), "not of the same server") {
		t.Error(err)
	}
}

func TestSiteThatHasPeopleAlready(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a, err := w.store.CreateAccount(ctx, store.NewAccount{Username: "Lan", Nickname: "here first", Role: store.RoleUser})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // takes the numbers 2 to 4 of videos
		if _, err := w.store.CreateVideo(ctx, store.NewVideo{Owner: a.ID}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.store.CreateRoom(ctx, store.NewRoom{Owner: a.ID, Name: func(string) string { return "x" }, MemberLimit: 5, First: store.NewRoomMessage{From: a.ID}})
	if err != nil || m.Room != store.FirstRoom+1 {
		t.Fatal(m.Room, err)
	}
	text := strings.ReplaceAll(readDump(t), "(2000000000,'far'", fmt.Sprintf("(%d,'twin'", a.ID))
	r := w.imports(write(t, "d.sql", text), "")
	for _, c := range []struct {
		table string
		row   int64
		text  string
	}{
		{"user", 2, `refused: the user name "lan" is another's`}, {"user", a.ID, `refused: the number of "twin" is another's`},
		{"room", 1, "has the number 1000000006 here"}, {"videos", 1, "number 8 here"}, {"videos", 2, "number 9 here"}, {"videos", 3, "number 10 here"},
		{"contacts", 1, "refused: there is no user 2"},
	} {
		if list := find(r, c.table, c.row); !slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, c.text) }) {
			t.Errorf("%s %d: %q, want %q", c.table, c.row, list, c.text)
		}
	}
	if got := w.account(a.ID); got.Nickname != "here first" {
		t.Errorf("%+v", got)
	}
}

func TestFilesThatAreNoVideo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(map[string][]byte)
		want   string
	}{
		"no cover":          {func(f map[string][]byte) { delete(f, "cover.jpg"); f["x"] = nil }, "no such file"},
		"a page as cover":   {func(f map[string][]byte) { f["cover.jpg"] = []byte("<script>") }, "not a JPEG"},
		"a missing segment": {func(f map[string][]byte) { delete(f, "index1.ts") }, "no such file"},
		"an empty segment":  {func(f map[string][]byte) { f["index1.ts"] = nil }, "empty"},
		"another segment":   {func(f map[string][]byte) { f["index0.ts"] = []byte("<html>") }, "not a transport stream"},
		"an empty playlist": {func(f map[string][]byte) { f["index.m3u8"] = nil }, "empty"},
		"another address": {func(f map[string][]byte) {
			f["index.m3u8"] = []byte("#EXTM3U\nhttp://evil/index0.ts\n#EXT-X-ENDLIST\n")
		}, "not the playlist"},
		"a key": {func(f map[string][]byte) {
			f["index.m3u8"] = []byte("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"http://evil\"\nindex0.ts\n#EXT-X-ENDLIST\n")
		}, "not the playlist"},
		"a gap":  {func(f map[string][]byte) { f["index.m3u8"] = []byte("#EXTM3U\nindex1.ts\n#EXT-X-ENDLIST\n") }, "not the playlist"},
		"no end": {func(f map[string][]byte) { f["index.m3u8"] = []byte("#EXTM3U\nindex0.ts\n") }, "not the playlist"},
		"something at the end": {func(f map[string][]byte) {
			f["index.m3u8"] = []byte("#EXTM3U\nindex0.ts\n#EXT-X-DISCONTINUITY\n#EXT-X-ENDLIST\n")
		}, "not the playlist"},
	} {
		w := newWorld(t)
		media := t.TempDir()
		folder(t, media, folderB, c.change)
		r := w.imports(dump, media)
		list := find(r, "videos", 3)
		if r.Media.Copied != 0 || len(list) == 0 || !strings.Contains(list[len(list)-1], c.want) {
			t.Errorf("%s: %+v %q", name, r.Media, list)
		}
		if _, err := w.store.ShownVideo(t.Context(), 3, 3); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the video is shown: %v", name, err)
		}
	}
	// What lies outside of the folder is out of reach.
	w := newWorld(t)
	media, outside := t.TempDir(), t.TempDir()
	folder(t, outside, "x", nil)
	if err := os.Mkdir(filepath.Join(media, "2023"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "x"), filepath.Join(media, folderB)); err != nil {
		t.Fatal(err)
	}
	if r := w.imports(dump, media); r.Media.Copied != 0 {
		t.Errorf("%+v", r.Media)
	}
	if _, err := w.run(dump, filepath.Join(media, "none")); err == nil || !strings.Contains(err.Error(), "all rows were imported, but") {
		t.Error(err)
	}
}
