// Package legacy brings in what the original GTIV server kept: a dump of its MySQL
// database, and the files of its videos.
//
// The dump is read some times over, because its tables are in the order of their
// names: users first, then groups and videos, then what ties them together. So
// memory does not grow with the dump. All rows are one write of the store: they are
// there as a whole or not at all. The files are copied behind it, one video at a
// time; a run that is interrupted is simply repeated. Each row comes in once,
// whatever became of it here since (store.Import).
//
// Nothing that a row says is taken for true: it is tidied, or refused and reported.
// The package serves nothing and has no goroutines.
package legacy

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
	"gtiv/store/mysqldump"
)

// Config says what to bring in.
type Config struct {
	Dump  string // file
	Media string // folder of the files of videos, "" none
	By    string // who does it, for the audit log
	Now   func() time.Time
	// Progress is called with a short text for each step; may be nil.
	Progress func(text string)
}

// Deps is where to.
type Deps struct {
	Store *store.Store // nothing else may be using it
	// Blobs and Staging take the files of videos. Without them files are only looked
	// at.
	Blobs   blob.Bucket
	Staging *blob.Staging
}

// Reason is the text key that videos fail with whose files did not come along.
const Reason = "videoNotMoved"

// importer is one run.
type importer struct {
	cfg    Config
	deps   Deps
	im     *store.Import // in the write
	now    int64         // ms
	report *protocol.ImportReport

	tables   map[string]*protocol.ImportTable
	checked  map[string]bool // tables whose columns were looked at
	late     []dumped        // users who get another number
	turns    turns
	complete bool
}

// kinds are the tables that are imported, in the order in which they are reported.
var kinds = []string{
	store.ImportUser, store.ImportContact, store.ImportRoom, store.ImportMember, store.ImportVideo, store.ImportSupport, store.ImportCollect, store.ImportFollow,
}

// needed are the columns that a table must have to be one of GTIV's.
var needed = map[string][]string{
	store.ImportUser:    {"id", "username", "password"},
	store.ImportContact: {"id", "user_id", "contacts_user_id"},
	store.ImportRoom:    {"id", "room_name"},
	store.ImportMember:  {"id", "user_id", "room_id"},
	store.ImportVideo:   {"id", "user_id", "uri"},
	store.ImportSupport: {"id", "user_id", "video_id"},
	store.ImportCollect: {"id", "user_id", "video_id"},
	store.ImportFollow:  {"id", "master", "fans"},
}

// Run imports, and reports. With an error no row has come in, unless the error is
// about files: then all rows have, and a second run goes on with the files.
func Run(ctx context.Context, cfg Config, deps Deps) (*protocol.ImportReport, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	i := &importer{cfg: cfg, deps: deps, now: cfg.Now().UnixMilli()}
	if err := deps.Store.Import(ctx, func(im *store.Import) error { return i.rows(ctx, im) }); err != nil {
		return nil, fmt.Errorf("nothing was imported: %w", err)
	}
	if cfg.Media != "" {
		if err := i.media(ctx); err != nil {
			return nil, fmt.Errorf("all rows were imported, but not the files of all videos: %w", err)
		}
	}
	return i.finished(), nil
}

// rows is everything but the files. The store may call it twice.
func (i *importer) rows(ctx context.Context, im *store.Import) error {
	i.im, i.report = im, &protocol.ImportReport{Notes: []string{}, Ignored: []string{}, Problems: []protocol.ImportProblem{}}
	i.tables, i.checked, i.turns, i.late = map[string]*protocol.ImportTable{}, map[string]bool{}, turns{}, nil
	for _, k := range kinds {
		i.tables[k] = &protocol.ImportTable{Name: k}
	}
	each := func(kind string, fn func(dumped) error) func(dumped) error {
		return func(r dumped) error { return i.counted(kind, r, fn) }
	}
	i.cfg.Progress("reading users")
	if err := i.users(ctx, each(store.ImportUser, i.user)); err != nil {
		return err
	}
	i.cfg.Progress("reading groups and videos")
	if err := i.pass(ctx, map[string]func(dumped) error{
		store.ImportRoom: each(store.ImportRoom, i.room), store.ImportVideo: each(store.ImportVideo, i.videoRow),
	}); err != nil {
		return err
	}
	i.cfg.Progress("reading contacts, members, likes and follows")
	if err := i.pass(ctx, map[string]func(dumped) error{
		store.ImportContact: each(store.ImportContact, i.contact), store.ImportFollow: each(store.ImportFollow, i.follow),
		store.ImportSupport: each(store.ImportSupport, i.mark), store.ImportCollect: each(store.ImportCollect, i.mark),
		store.ImportMember: i.member,
	}); err != nil {
		return err
	}
	if i.turns.open > 0 {
		i.turns.last = true
		if err := i.pass(ctx, map[string]func(dumped) error{store.ImportMember: i.member}); err != nil {
			return err
		}
	}
	return i.finish()
}

// users reads the users, and which numbers will come. Who needs a number that nobody
// has must wait for the others.
func (i *importer) users(ctx context.Context, each func(dumped) error) error {
	expect := func(r dumped) error { i.im.Expect(r.Table, r.int("id")); return nil }
	if err := i.pass(ctx, map[string]func(dumped) error{
		store.ImportRoom: expect, store.ImportVideo: expect,
		store.ImportUser: func(r dumped) error {
			if r.int("id") == store.BuiltInAccount && len(i.late) == 0 {
				i.late = append(i.late, r)
				return nil
			}
			return errors.Join(expect(r), each(r))
		},
	}); err != nil {
		return err
	}
	for _, r := range i.late {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// finish sets right what concerns more than one row, and says so.
func (i *importer) finish() error {
	i.cfg.Progress("counting")
	done, err := i.im.Finish()
	if err != nil {
		return err
	}
	i.noteIf(done.OneSided, "%d contacts were in the list of one side only: to that side the other one has left")
	i.noteIf(done.Empty, "%d groups have no members: they were dissolved")
	i.noteIf(done.Ownerless, "%d groups had no owner: the administrator or member who was there first owns them")
	i.noteIf(i.turns.turned, "%d rows of user_room had user and group the wrong way round and were turned")
	i.noteIf(i.turns.open, "%d rows of user_room could be read either way: they were read as most of the others")
	if !i.complete {
		i.note("the dump does not end with the line that mysqldump writes last: it may not be complete")
	}
	var rows, fresh int64
	for _, t := range i.tables {
		rows, fresh = rows+t.Rows, fresh+t.New
	}
	if rows == 0 {
		return errors.New("there is no row of a table of GTIV in the dump: is it the right one?")
	}
	return i.im.Audit(i.cfg.By, fmt.Sprintf("%d rows of a dump of the original server", fresh))
}

func (i *importer) note(text string) { i.report.Notes = append(i.report.Notes, text) }

func (i *importer) noteIf(n int64, text string) {
	if n > 0 {
		i.note(fmt.Sprintf(text, n))
	}
}

func (i *importer) finished() *protocol.ImportReport {
	i.report.Tables = nil
	for _, k := range kinds {
		i.report.Tables = append(i.report.Tables, *i.tables[k])
	}
	if v := i.tables[store.ImportVideo]; i.cfg.Media == "" && v.New > 0 {
		i.note(fmt.Sprintf("%d videos came without their files and are shown to nobody: do it again with --media DIR", v.New))
	}
	slices.Sort(i.report.Ignored)
	return i.report
}

// pass reads the dump once, and calls the functions for the rows of their tables.
func (i *importer) pass(ctx context.Context, tables map[string]func(dumped) error) error {
	f, err := openDump(i.cfg.Dump)
	if err != nil {
		return err
	}
	defer f.Close()
	d := mysqldump.NewReader(f, func(table string) bool {
		if needed[table] == nil && len(i.report.Ignored) < 100 && !slices.Contains(i.report.Ignored, table) {
			i.report.Ignored = append(i.report.Ignored, table)
		}
		return tables[table] != nil
	})
	for n := 0; ; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		row, err := d.Next()
		if errors.Is(err, io.EOF) {
			i.complete = d.Complete()
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the dump: %w", err)
		}
		if err := i.columns(row); err != nil {
			return err
		}
		if err := tables[row.Table](dumped{row}); err != nil {
			return fmt.Errorf("row %s of %s, line %d of the dump: %w", row.Get("id").Text, row.Table, row.Line, err)
		}
	}
}

// columns refuses a table that only has the name of one of GTIV's.
func (i *importer) columns(row *mysqldump.Row) error {
	key := row.Database + "." + row.Table
	if i.checked[key] {
		return nil
	}
	for _, c := range needed[row.Table] {
		if !slices.Contains(row.Columns, c) {
			return fmt.Errorf("the table %s of the dump has no column %s: this is not the database of a GTIV server", row.Table, c)
		}
	}
	i.checked[key] = true
	return nil
}

// counted calls fn for a row that did not come in before.
func (i *importer) counted(kind string, r dumped, fn func(dumped) error) error {
	t := i.tables[kind]
	t.Rows++
	id := r.int("id")
	if id <= 0 {
		return i.refuse(r, "it has no number")
	}
	found, err := i.im.Find(kind, id)
	if err == nil {
		t.There++
		if kind == store.ImportUser {
			return i.same(r, found)
		}
		return nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return fn(r)
}

// refuse reports a row that does not come in.
func (i *importer) refuse(r dumped, format string, args ...any) error {
	i.tables[r.Table].Refused++
	i.problem(r, false, fmt.Sprintf(format, args...))
	return nil
}

func (i *importer) problem(r dumped, kept bool, text string) {
	if len(i.report.Problems) >= protocol.MaxImportProblems {
		i.report.More++
		return
	}
	i.report.Problems = append(i.report.Problems, protocol.ImportProblem{Table: r.Table, Row: r.int("id"), Line: r.Line, Kept: kept, Text: text})
}

// came counts a row that came in, changed in the way of the texts.
func (i *importer) came(r dumped, changes []string) {
	t := i.tables[r.Table]
	t.New++
	if len(changes) > 0 {
		t.Changed++
	}
	for _, c := range changes {
		i.problem(r, true, c)
	}
}

// dumpFile is a dump that is open, unpacked if it is compressed.
type dumpFile struct {
	io.Reader
	file *os.File
}

func (d *dumpFile) Close() error { return d.file.Close() }

const fileBuffer = 256 << 10

func openDump(name string) (*dumpFile, error) {
	f, err := os.Open(name) //nolint:gosec // the operator's choice
	if err != nil {
		return nil, fmt.Errorf("open the dump: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file; it is read several times", name)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the dump: %w", err), f.Close())
	}
	in := bufio.NewReaderSize(f, fileBuffer)
	if magic, _ := in.Peek(2); string(magic) != "\x1f\x8b" {
		return &dumpFile{in, f}, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("unpack the dump: %w", err), f.Close())
	}
	return &dumpFile{z, f}, nil
}
