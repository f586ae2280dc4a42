package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gtiv/protocol"
	"gtiv/protocol/client"
)

// ImportCmd is "gtiv import".
type ImportCmd struct {
	Gtiv   ImportGtivCmd   `cmd:"" help:"Bring in a dump of the original GTIV server's MySQL database. Without --apply only show what would come."`
	Videos ImportVideosCmd `cmd:"" help:"Upload the video files of a folder for a user. Doing it again imports nothing twice."`
}

// ImportVideosCmd is "gtiv import videos".
type ImportVideosCmd struct {
	Target
	Dir        string `arg:"" type:"existingdir" help:"The folder."`
	User       string `required:"" placeholder:"USER" help:"Whose videos they become: id or user name; @NAME for a name of digits."`
	TitleFrom  string `enum:"filename,none" default:"filename" placeholder:"SOURCE" help:"Where titles come from: filename, the default, or none."`
	Visibility string `enum:"public,followers,private" default:"public" placeholder:"WHO" help:"Who may see them: public, the default, followers or private."`
	Recursive  bool   `short:"r" help:"Folders in the folder, too."`
	DryRun     bool   `short:"n" help:"Only say what would be done."`
	NoQuota    bool   `help:"Whatever the user's videos may take on the disk."`
	NoWait     bool   `help:"Do not wait until the last ones are processed."`
}

// importedFile is what became of a file.
type importedFile struct {
	File    string // from the folder on
	Outcome string // "imported", "there" (imported before), "failed", with --dry-run "new"
	Title   string
	VideoID int64  `json:"VideoID,omitempty"`
	State   string `json:",omitempty"` // of the video
	Reason  string `json:",omitempty"` // why it failed
}

// importReport is what --json prints.
type importReport struct {
	Files    []importedFile
	Imported int
	There    int
	Failed   int
	Other    int    // files that are no videos by their names
	Folders  int    // that were passed over
	Stopped  string `json:",omitempty"` // why the rest was not tried
}

// importer is a run of the command.
type importer struct {
	cmd     *ImportVideosCmd
	cl      *client.Client
	streams *IO
	bar     *progress
	report  importReport
	pending []importedFile // uploaded, and not processed yet
	waits   string         // why nothing is processed, as said last
}

// videoFile is a file that may be imported.
type videoFile struct {
	path, name string // name is from the folder on
	size       int64
}

// askEvery is how often the server is asked whether it can take the next file, and
// how far it is.
const askEvery = time.Second

// Run imports the files, one after the other, and reports those that were refused.
func (c *ImportVideosCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	files, other, folders, err := videoFiles(c.Dir, c.Recursive)
	if err != nil {
		return err
	}
	m := &importer{cmd: c, cl: cl, streams: streams, report: importReport{Files: []importedFile{}, Other: other, Folders: folders}}
	// What is wrong for all files is said once.
	if _, err := cl.CheckImport(ctx, m.request(videoFile{}, "")); err != nil && !isCode(err, protocol.ControlTooOften) && !isCode(err, protocol.ControlNoRoom) {
		return err
	}
	m.bar = newProgress(streams.Err, files)
	stopped := m.all(ctx, files)
	m.bar.clear()
	if stopped != nil {
		m.report.Stopped = explain(stopped).Message
	}
	if err := m.summary(len(files)); err != nil {
		return err
	}
	if stopped != nil {
		return stopped
	}
	if m.report.Failed > 0 {
		return errShown{}
	}
	return nil
}

func isCode(err error, code protocol.ControlCode) bool {
	e, ok := errors.AsType[*protocol.ControlError](err)
	return ok && e.Code == code
}

// all imports the files. An error is why the rest was not tried.
func (m *importer) all(ctx context.Context, files []videoFile) error {
	behind := int64(0)
	for i, f := range files {
		m.bar.file(i, behind, f)
		if err := m.one(ctx, f); err != nil {
			return err
		}
		behind += f.size
	}
	if m.cmd.NoWait {
		for _, p := range m.pending {
			m.done(p)
		}
		m.pending = nil
		return nil
	}
	m.bar.say(len(files), behind, "processing")
	for len(m.pending) > 0 {
		if err := m.pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *importer) request(f videoFile, hash string) protocol.ImportVideo {
	return protocol.ImportVideo{
		User: m.cmd.User, Title: m.title(f), Visibility: m.cmd.Visibility, Name: filepath.Base(f.name), Hash: hash, Size: f.size, NoQuota: m.cmd.NoQuota,
	}
}

const maxTitle = 200 // characters

// title is a file's name without its ending, in the form of a text.
func (m *importer) title(f videoFile) string {
	if m.cmd.TitleFrom != "filename" || f.name == "" {
		return ""
	}
	name := filepath.Base(f.name)
	name = strings.TrimSuffix(name, filepath.Ext(name))
	name = oneLine(clean(strings.ReplaceAll(strings.ToValidUTF8(name, " "), "_", " ")))
	if utf8.RuneCountInString(name) > maxTitle {
		name = strings.TrimSpace(string([]rune(name)[:maxTitle]))
	}
	return name
}

// one imports a file. What is wrong with this file alone is noted; an error stops
// the import.
func (m *importer) one(ctx context.Context, f videoFile) error {
	out := importedFile{File: f.name, Title: m.title(f), Outcome: "failed"}
	file, err := os.Open(f.path)
	if err != nil {
		return m.refused(ctx, out, err)
	}
	defer file.Close()
	hash, err := m.hash(ctx, file)
	if err != nil {
		return m.refused(ctx, out, err)
	}
	req := m.request(f, hash)
	for {
		reply, err := m.cl.CheckImport(ctx, req)
		if err == nil && reply.There && reply.Video != nil {
			out.Outcome, out.VideoID, out.State = "there", reply.Video.ID, reply.Video.State
			m.done(out)
			return nil
		}
		if m.cmd.DryRun && (err == nil || isCode(err, protocol.ControlTooOften)) {
			out.Outcome = "new"
			m.done(out)
			return nil
		}
		if err == nil {
			err = m.upload(ctx, out, file, req)
			if err == nil {
				return nil
			}
		}
		if !isCode(err, protocol.ControlTooOften) {
			return m.refused(ctx, out, err)
		}
		if err := m.pause(ctx); err != nil {
			return err
		}
		m.bar.back()
	}
}

// hash is the SHA-256 of a file.
func (m *importer) hash(ctx context.Context, file *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, cancelled{ctx, file}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// cancelled is a reader that ends with its context.
type cancelled struct {
	ctx context.Context //nolint:containedctx // of one copy
	r   io.Reader
}

func (c cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func (m *importer) upload(ctx context.Context, out importedFile, file *os.File, req protocol.ImportVideo) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	reply, err := m.cl.ImportVideo(ctx, req, io.LimitReader(counting{file, m.bar}, req.Size))
	if err != nil {
		return err
	}
	if reply.Video == nil {
		return errors.New("the daemon answered no video")
	}
	out.VideoID, out.State = reply.Video.ID, reply.Video.State
	if reply.There {
		out.Outcome = "there"
		m.done(out)
		return nil
	}
	out.Outcome = "imported"
	m.pending = append(m.pending, out)
	return nil
}

// counting moves the bar while a file is read.
type counting struct {
	r   io.Reader
	bar *progress
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.bar.add(int64(n))
	return n, err
}

// refused notes a file that was not imported, unless the reason concerns all of
// them.
func (m *importer) refused(ctx context.Context, out importedFile, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted: the same command again goes on from here")
	}
	e, ok := errors.AsType[*protocol.ControlError](err)
	local := &fs.PathError{}
	switch {
	case m.cmd.DryRun && ok && e.Code == protocol.ControlNoRoom:
	case errors.As(err, &local):
	case !ok || e.Code != protocol.ControlBadRequest && e.Code != protocol.ControlConflict:
		return err
	}
	out.Reason = explain(err).Message
	m.done(out)
	return nil
}

// pause looks which videos are processed, and waits a moment.
func (m *importer) pause(ctx context.Context) error {
	t := time.NewTimer(askEvery)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return m.refused(ctx, importedFile{}, ctx.Err())
	case <-t.C:
	}
	waits := ""
	var left []importedFile
	for _, p := range m.pending {
		v, err := m.cl.Video(ctx, p.VideoID)
		if isCode(err, protocol.ControlNotFound) {
			p.Outcome, p.State, p.Reason = "failed", "", "the video was deleted"
			m.done(p)
			continue
		}
		if err != nil {
			return err
		}
		p.State = v.State
		switch v.State {
		case "queued", "processing":
			waits = v.Reason
			left = append(left, p)
			continue
		case "failed":
			p.Outcome, p.Reason = "failed", v.Reason
		}
		m.done(p)
	}
	m.pending = left
	if waits != m.waits && waits != "" {
		m.bar.clear()
		fmt.Fprintln(m.streams.Err, clean(waits))
	}
	m.waits = waits
	m.bar.draw(true)
	return nil
}

// done notes what became of a file, and says it: on a terminal only what went
// wrong.
func (m *importer) done(out importedFile) {
	m.report.Files = append(m.report.Files, out)
	switch out.Outcome {
	case "imported":
		m.report.Imported++
	case "there":
		m.report.There++
	case "failed":
		m.report.Failed++
	}
	if m.cmd.JSON || m.bar.shown && out.Outcome != "failed" {
		return
	}
	m.bar.clear()
	fmt.Fprintln(m.streams.Out, outcomeText(out)) // the summary's error is the one that counts
	m.bar.draw(true)
}

func outcomeText(f importedFile) string {
	name := clean(f.File)
	switch f.Outcome {
	case "new":
		return fmt.Sprintf("%s: would be imported as %q", name, clean(f.Title))
	case "there":
		return fmt.Sprintf("%s: imported before, video %d", name, f.VideoID)
	case "imported":
		return fmt.Sprintf("%s: video %d is %s", name, f.VideoID, clean(f.State))
	}
	if f.VideoID != 0 {
		name += fmt.Sprintf(", video %d", f.VideoID)
	}
	return fmt.Sprintf("%s: %s", name, clean(oneLine(f.Reason)))
}

func (m *importer) summary(files int) error {
	r := &m.report
	for _, p := range m.pending { // when it was stopped
		r.Files = append(r.Files, p)
		r.Imported++
	}
	slices.SortStableFunc(r.Files, func(a, b importedFile) int { return strings.Compare(a.File, b.File) })
	if m.cmd.JSON {
		return writeJSON(m.streams.Out, r)
	}
	text := fmt.Sprintf("%s: %d imported, %d imported before, %d failed", counted(files, "file"), r.Imported, r.There, r.Failed)
	if m.cmd.DryRun {
		text = fmt.Sprintf("%s: %d would be imported, %d imported before, %d would fail", counted(files, "file"), len(r.Files)-r.There-r.Failed, r.There, r.Failed)
	}
	if rest := files - len(r.Files); rest > 0 {
		text += fmt.Sprintf(", %d not tried", rest)
	}
	if r.Other > 0 {
		text += fmt.Sprintf("; passed over %s", counted(r.Other, "other file"))
	}
	if r.Folders > 0 {
		text += fmt.Sprintf("; passed over %s, which --recursive would look into", counted(r.Folders, "folder"))
	}
	_, err := fmt.Fprintln(m.streams.Out, text+".")
	return err
}

// videoEndings are those of the files that are tried.
var videoEndings = []string{
	".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".flv", ".f4v", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob",
}

// videoFiles lists the video files of a folder, and counts the others and the folders
// that it does not look into. Hidden files
// and folders are passed over.
func videoFiles(dir string, recursive bool) (files []videoFile, other, folders int, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == dir {
			return nil
		}
		if e.IsDir() {
			if strings.HasPrefix(e.Name(), ".") {
				return fs.SkipDir
			}
			if !recursive {
				folders++
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(path) // also what a link leads to
		if strings.HasPrefix(e.Name(), ".") || err != nil || !info.Mode().IsRegular() {
			return nil
		}
		if !slices.Contains(videoEndings, strings.ToLower(filepath.Ext(e.Name()))) {
			other++
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files = append(files, videoFile{path: path, name: name, size: info.Size()})
		return nil
	})
	if err != nil {
		return nil, 0, 0, fmt.Errorf("look for videos: %w", err)
	}
	return files, other, folders, nil
}
