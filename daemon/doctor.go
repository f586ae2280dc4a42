package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gtiv/daemon/video"
	"gtiv/media/clip"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
	"gtiv/store/queue"
)

// doctor examines what a daemon keeps and needs, one check after the other. It
// reads whole tables and lists all media files, so it runs only when asked to.
//
// What belongs to nobody is found by listing the files first and asking the
// database second: what appears in between is not looked at, what is settled in
// between is there.
type doctor struct {
	data    string
	fix     bool
	store   *store.Store // these three are nil when they could not be opened
	queue   *queue.Store
	blobs   blob.Bucket
	staging *blob.Staging
	clips   *clip.Clipper
	now     func() time.Time
}

const (
	maxItems  = 10 // of a check, that are named
	strayAge  = 24 * time.Hour
	clockSlip = time.Minute // how far a record may be in the future
)

// examine is the doctor of a running daemon.
func (d *Daemon) examine(ctx context.Context, fix bool) (protocol.Checkup, error) {
	return (&doctor{
		data: d.opt.Data, fix: fix, store: d.store, queue: d.queue, blobs: d.media.blobs, staging: d.media.staging, clips: d.media.clips, now: time.Now,
	}).run(ctx)
}

func (d *doctor) run(ctx context.Context) (protocol.Checkup, error) {
	var all protocol.Checkup
	for _, c := range []struct {
		name  string
		needs bool // what it looks at is open
		check func(context.Context) (protocol.Check, error)
	}{
		{"database", d.store != nil, d.database},
		{"counters", d.store != nil, d.counters},
		{"video files", d.store != nil && d.blobs != nil, d.videoFiles},
		{"stray files", d.store != nil && d.blobs != nil, d.strayFiles},
		{"jobs", d.store != nil && d.queue != nil, d.jobs},
		{"dead jobs", d.queue != nil, d.deadJobs},
		{"ffmpeg", d.clips != nil, d.ffmpeg},
		{"disk", d.staging != nil, d.disk},
		{"clock", d.store != nil, d.clock},
		{"secrets", true, d.secrets},
	} {
		if !c.needs {
			continue
		}
		k, err := c.check(ctx)
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if err != nil {
			k = protocol.Check{State: protocol.CheckFail, Text: "cannot be examined: " + err.Error()}
		}
		k.Name = c.name
		if len(k.Items) > maxItems {
			k.Items = append(k.Items[:maxItems:maxItems], fmt.Sprintf("and %d more", len(k.Items)-maxItems))
		}
		all.Checks = append(all.Checks, k)
	}
	return all, nil
}

func ok(text string) protocol.Check { return protocol.Check{State: protocol.CheckOK, Text: text} }

// repairable is something that fix sets right.
func (d *doctor) repairable(text string, items []string) protocol.Check {
	if d.fix {
		return protocol.Check{State: protocol.CheckOK, Text: text + "; repaired", Items: items, Fixed: true}
	}
	return protocol.Check{State: protocol.CheckFail, Text: text, Items: items, Hint: "gtiv doctor --fix repairs it."}
}

func (d *doctor) database(ctx context.Context) (protocol.Check, error) {
	faults, err := d.store.QuickCheck(ctx)
	if err != nil || len(faults) == 0 {
		return ok("no damage found"), err
	}
	return protocol.Check{
		State: protocol.CheckFail, Text: "the database is damaged", Items: faults, Hint: "Stop the server and restore a backup.",
	}, nil
}

func (d *doctor) counters(ctx context.Context) (protocol.Check, error) {
	wrong, err := d.store.RepairCounters(ctx, d.fix)
	if err != nil || len(wrong) == 0 {
		return ok("all are right"), err
	}
	var items []string
	rows := 0
	for _, w := range wrong {
		items = append(items, fmt.Sprintf("%s: %d wrong", w.Counter, w.Wrong))
		rows += int(w.Wrong)
	}
	return d.repairable(are(rows, "counter")+" wrong", items), nil
}

func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// are is number with its verb.
func are(n int, what string) string {
	if n == 1 {
		return number(n, what) + " is"
	}
	return number(n, what) + " are"
}

// Folders of media.
var (
	yearFolder  = regexp.MustCompile(`^[0-9]{4}$`)
	mediaFolder = []string{"src", "u"} // uploaded files, and those of chats: each has a sweeper of its own
)

const doctorPage = 500

// folders lists the folders of videos, and what else is there that nobody knows.
func (d *doctor) folders(ctx context.Context) (known map[string]bool, strange []string, err error) {
	known = map[string]bool{}
	years, err := d.below(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	for _, year := range years {
		switch {
		case slices.Contains(mediaFolder, year):
			continue
		case !yearFolder.MatchString(year):
			strange = append(strange, year)
			continue
		}
		names, err := d.below(ctx, year+"/")
		if err != nil {
			return nil, nil, err
		}
		for _, n := range names {
			known[year+"/"+n] = true
		}
	}
	return known, strange, nil
}

func (d *doctor) below(ctx context.Context, prefix string) (all []string, err error) {
	for after := ""; ; {
		names, err := d.blobs.Folders(ctx, prefix, after, doctorPage)
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
		if len(names) < doctorPage {
			return all, ctx.Err()
		}
		after = names[len(names)-1]
	}
}

// keys calls each for the folder of every video that has one.
func (d *doctor) keys(ctx context.Context, each func(store.VideoKey) error) error {
	for after := ""; ; {
		list, err := d.store.VideoKeys(ctx, after, doctorPage)
		if err != nil {
			return err
		}
		for _, k := range list {
			after = k.Key
			if err := each(k); err != nil {
				return err
			}
		}
		if len(list) < doctorPage {
			return ctx.Err()
		}
	}
}

// videoFiles finds videos whose files are missing, and uploads whose file is. On
// another host only folders are looked at: each file would be a request.
func (d *doctor) videoFiles(ctx context.Context) (protocol.Check, error) {
	folders, _, err := d.folders(ctx)
	if err != nil {
		return protocol.Check{}, err
	}
	_, local := d.blobs.(*blob.Store)
	var missing []string
	videos := 0
	err = d.keys(ctx, func(k store.VideoKey) error {
		if k.Deleted {
			return nil
		}
		videos++
		if folders[k.Key] && !local {
			return nil
		}
		gone, err := d.missing(ctx, k.Key+"/"+clip.Playlist)
		if err != nil || !gone {
			return err
		}
		// It may have been deleted or replaced while this looked.
		if v, err := d.store.Video(ctx, k.ID); err == nil && v.Key == k.Key {
			missing = append(missing, fmt.Sprintf("video %d: %s", k.ID, k.Key))
		}
		return nil
	})
	if err != nil {
		return protocol.Check{}, err
	}
	waiting, err := d.waiting(ctx)
	if err != nil {
		return protocol.Check{}, err
	}
	for _, v := range waiting {
		if gone, err := d.missing(ctx, sourceOf(v)); err != nil {
			return protocol.Check{}, err
		} else if gone && d.stillWaits(ctx, v.ID) {
			missing = append(missing, fmt.Sprintf("video %d: the uploaded file", v.ID))
		}
	}
	if len(missing) == 0 {
		return ok(fmt.Sprintf("all there, of %s", number(videos, "video"))), nil
	}
	return protocol.Check{
		State: protocol.CheckFail, Text: "files of " + number(len(missing), "video") + " are missing", Items: missing,
		Hint: "Restore them from a backup, or delete the videos with gtiv video delete.",
	}, nil
}

func (d *doctor) missing(ctx context.Context, key string) (bool, error) {
	_, err := d.blobs.Stat(ctx, key)
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrKey) {
		return true, nil
	}
	return false, err
}

// sourceOf is the key of the file that a video is to be made of.
func sourceOf(v store.Video) string {
	hash := v.SourceHash
	if v.Replacement != "" {
		hash = v.Replacement
	}
	return video.SourceKey(hash)
}

// strayFiles finds folders that belong to no video, and removes those that are old
// enough not to belong to one that is being made.
func (d *doctor) strayFiles(ctx context.Context) (protocol.Check, error) {
	folders, strange, err := d.folders(ctx)
	if err != nil {
		return protocol.Check{}, err
	}
	if err := d.keys(ctx, func(k store.VideoKey) error { delete(folders, k.Key); return nil }); err != nil {
		return protocol.Check{}, err
	}
	var stray []string
	removed, old := 0, 0
	for key := range folders {
		used, err := d.store.KeyUsed(ctx, key)
		if err != nil {
			return protocol.Check{}, err
		}
		if used {
			continue
		}
		age, err := d.age(ctx, key)
		if err != nil {
			return protocol.Check{}, err
		}
		if age >= strayAge {
			old++
			if d.fix {
				if err := d.blobs.Delete(ctx, key+"/"); err != nil {
					return protocol.Check{}, err
				}
				removed++
				continue
			}
		}
		stray = append(stray, key)
	}
	slices.Sort(stray)
	return strayCheck(stray, strange, old, removed), nil
}

func strayCheck(stray, strange []string, old, removed int) protocol.Check {
	var parts []string
	k := protocol.Check{State: protocol.CheckOK, Items: append(strange, stray...), Fixed: removed > 0}
	if removed > 0 {
		parts = append(parts, number(removed, "folder")+" of no video removed")
	}
	if len(stray) > 0 {
		k.State = protocol.CheckWarn
		parts = append(parts, number(len(stray), "folder")+" of no video")
		if old > removed {
			k.Hint = "gtiv doctor --fix removes those that are older than a day."
		}
	}
	if len(strange) > 0 {
		k.State = protocol.CheckWarn
		parts = append(parts, number(len(strange), "folder")+" not made by gtiv")
	}
	if len(parts) == 0 {
		parts = append(parts, "none")
	}
	k.Text = strings.Join(parts, "; ")
	return k
}

// age is how long nothing was written in a folder.
func (d *doctor) age(ctx context.Context, key string) (time.Duration, error) {
	var newest time.Time
	for after := ""; ; {
		list, err := d.blobs.List(ctx, key+"/", after, doctorPage)
		if err != nil {
			return 0, err
		}
		for _, i := range list {
			after = i.Key
			if i.ModTime.After(newest) {
				newest = i.ModTime
			}
		}
		if len(list) < doctorPage {
			return d.now().Sub(newest), nil
		}
	}
}

// waiting lists the videos that are to be made, or made anew.
func (d *doctor) waiting(ctx context.Context) (all []store.Video, err error) {
	inState := func(state int) func(context.Context, int64, int) ([]store.Video, error) {
		return func(ctx context.Context, after int64, limit int) ([]store.Video, error) {
			return d.store.VideosInState(ctx, state, after, limit)
		}
	}
	for _, list := range []func(context.Context, int64, int) ([]store.Video, error){
		inState(store.VideoQueued), inState(store.VideoProcessing), d.store.Replacements,
	} {
		for after := int64(0); ; {
			page, err := list(ctx, after, doctorPage)
			if err != nil {
				return nil, err
			}
			all = append(all, page...)
			if len(page) < doctorPage {
				break
			}
			after = page[len(page)-1].ID
		}
	}
	return all, ctx.Err()
}

func (d *doctor) stillWaits(ctx context.Context, id int64) bool {
	v, err := d.store.Video(ctx, id)
	return err == nil && (v.State == store.VideoQueued || v.State == store.VideoProcessing || v.Replacement != "")
}

// jobs finds videos that wait to be made and that no job asks for.
func (d *doctor) jobs(ctx context.Context) (protocol.Check, error) {
	waiting, err := d.waiting(ctx)
	if err != nil {
		return protocol.Check{}, err
	}
	topic := d.queue.Topic(topicProcess, processOptions())
	queued := map[string]bool{}
	for after := ""; ; {
		list, err := topic.List(ctx, after, doctorPage)
		if err != nil {
			return protocol.Check{}, err
		}
		for _, j := range list {
			queued[j.ID], after = true, j.Cursor
		}
		if len(list) < doctorPage {
			break
		}
	}
	var lost []string
	for _, v := range waiting {
		if queued[video.JobID(v.ID)] || !d.stillWaits(ctx, v.ID) {
			continue
		}
		lost = append(lost, fmt.Sprintf("video %d", v.ID))
		if d.fix {
			if err := topic.Put(ctx, video.JobID(v.ID), nil, time.Time{}); err != nil {
				return protocol.Check{}, err
			}
		}
	}
	if len(lost) == 0 {
		return ok(number(len(waiting), "video") + " to be processed"), nil
	}
	return d.repairable(are(len(lost), "video")+" waiting without a job", lost), nil
}

func (d *doctor) deadJobs(context.Context) (protocol.Check, error) {
	var items []string
	for _, t := range (topics{d.queue}).List() {
		if t.Dead > 0 {
			items = append(items, fmt.Sprintf("%s: %d", t.Name, t.Dead))
		}
	}
	if len(items) == 0 {
		return ok("none"), nil
	}
	return protocol.Check{
		State: protocol.CheckWarn, Text: "some jobs were given up", Items: items, Hint: "gtiv queue list TOPIC says why; then gtiv queue retry or drop.",
	}, nil
}

func (d *doctor) ffmpeg(ctx context.Context) (protocol.Check, error) {
	version, err := d.clips.Version(ctx)
	if err != nil {
		return protocol.Check{
			State: protocol.CheckFail, Text: err.Error(),
			Hint: "Uploads wait until ffmpeg works: install it, or see video.ffmpeg and video.ffprobe in the configuration.",
		}, nil
	}
	return ok(version), nil
}

func (d *doctor) disk(context.Context) (protocol.Check, error) {
	free, reserve := d.staging.Free()
	k := ok(fmt.Sprintf("%d MiB free, %d MiB are kept free (media.min_free)", free>>20, reserve>>20))
	switch {
	case free < reserve:
		k.State, k.Hint = protocol.CheckFail, "Uploads are refused and wait. Free some space or use a larger disk."
	case free < 2*reserve:
		k.State, k.Hint = protocol.CheckWarn, "Little is left before uploads are refused."
	}
	return k, nil
}

// clock finds a clock that was set back, and one that nobody keeps right.
func (d *doctor) clock(ctx context.Context) (protocol.Check, error) {
	newest, err := d.store.NewestTime(ctx)
	if err != nil {
		return protocol.Check{}, err
	}
	now := d.now()
	if ahead := time.UnixMilli(newest).Sub(now); ahead > clockSlip {
		return protocol.Check{
			State: protocol.CheckFail, Text: fmt.Sprintf("the clock is %s behind the newest record", ahead.Round(time.Second)),
			Hint: "Was it set back? Set it right and let NTP keep it.",
		}, nil
	}
	k := ok(now.UTC().Format("2006-01-02 15:04:05 MST"))
	if state, err := unix.Adjtimex(&unix.Timex{}); err == nil && state == unix.TIME_ERROR {
		k.State, k.Hint = protocol.CheckWarn, "The kernel does not know whether the clock is right: is NTP running?"
	}
	return k, nil
}

// secrets finds files of the data folder that others of this host could read.
func (d *doctor) secrets(context.Context) (protocol.Check, error) {
	var open []string
	check := func(path string, forbidden fs.FileMode) error {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil
		}
		if err != nil || info.Mode().Perm()&forbidden == 0 {
			return err
		}
		name, err := filepath.Rel(d.data, path)
		if err != nil {
			return err
		}
		open = append(open, fmt.Sprintf("%s: %#o", name, info.Mode().Perm()))
		if d.fix {
			return os.Chmod(path, info.Mode().Perm()&^forbidden)
		}
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(globEscape(d.data), secretsDir, "*"))
	if err != nil {
		return protocol.Check{}, err
	}
	for _, name := range []string{secretsDir, dbFile, dbFile + "-wal", dbFile + "-shm", mediaDir, recordDir} {
		paths = append(paths, filepath.Join(d.data, name))
	}
	for _, p := range paths {
		forbidden := fs.FileMode(0o077)
		if filepath.Base(p) == mediaDir {
			forbidden = 0o007 // a web server beside may be in the group
		}
		if err := check(p, forbidden); err != nil {
			return protocol.Check{}, err
		}
	}
	if len(open) == 0 {
		return ok("nobody else can read them"), nil
	}
	return d.repairable(are(len(open), "file")+" open to others of this host", open), nil
}

// globEscape takes the meaning from the characters of a path.
func globEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}
