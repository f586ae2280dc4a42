package legacy

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // a name, not a secret (wire.md 12)
	"encoding/hex"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gtiv/media/clip"
	"gtiv/protocol"
	"gtiv/store"
)

// This file brings the files of videos over. The folder of one holds index.m3u8,
// index0.ts and so on, and cover.jpg; nothing else is taken, and these only when they
// are what their names say: they will be served to everybody.

// Bounds of the files of one video.
const (
	maxPlaylist = 1 << 20
	maxSegments = 10_000
	maxCover    = 32 << 20
	tsSync      = 0x47 // begins each packet of a transport stream
)

// folderForm finds the folder in a video's uri.
var folderForm = regexp.MustCompile(`(?:^|/)([0-9]{4}/[0-9a-f]{40})/index\.m3u8$`)

// folder is the checked folder of a video.
type folder struct {
	root     *os.Root
	name     string // "2023/<sha1>"
	playlist []byte
	segments int
	bytes    int64
	w, h     int // of the cover
}

// media goes through the videos once more and copies the files of those that have
// none yet.
func (i *importer) media(ctx context.Context) error {
	root, err := os.OpenRoot(i.cfg.Media)
	if err != nil {
		return fmt.Errorf("open the folder of media: %w", err)
	}
	defer root.Close()
	i.report.Media = &protocol.ImportMedia{}
	i.cfg.Progress("looking at the files of videos")
	return i.pass(ctx, map[string]func(dumped) error{store.ImportVideo: func(r dumped) error { return i.files(ctx, root, r) }})
}

func (i *importer) files(ctx context.Context, root *os.Root, r dumped) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	v, err := i.waiting(ctx, r.int("id"))
	if err != nil || v.ID == 0 {
		return err
	}
	f, err := look(root, r.text("uri"))
	if err != nil {
		i.report.Media.Missing++
		i.problem(r, true, "its files did not come along, so that nobody is shown it: "+err.Error())
		return nil
	}
	if i.deps.Blobs != nil {
		if err := i.take(ctx, v, f); err != nil {
			return err
		}
	}
	i.report.Media.Copied++
	i.report.Media.Bytes += f.bytes
	return nil
}

// waiting finds a video that came in and has no files; its ID is 0 if there is
// nothing to do.
func (i *importer) waiting(ctx context.Context, old int64) (store.Video, error) {
	id, err := i.deps.Store.FindImported(ctx, store.ImportVideo, old)
	if err == nil {
		var v store.Video
		if v, err = i.deps.Store.Video(ctx, id); err == nil {
			if v.State == store.VideoFailed && v.Reason == Reason && v.Key == "" {
				return v, nil
			}
			i.report.Media.There++
		}
	}
	if errors.Is(err, store.ErrNotFound) { // refused, or deleted since
		err = nil
	}
	return store.Video{}, err
}

// look finds the files of a video and checks them.
func look(root *os.Root, uri string) (*folder, error) {
	m := folderForm.FindStringSubmatch(uri)
	if m == nil {
		return nil, fmt.Errorf("its uri %q is not that of a playlist", uri)
	}
	f := &folder{root: root, name: m[1]}
	if err := f.readPlaylist(); err != nil {
		return nil, err
	}
	if err := f.readCover(); err != nil {
		return nil, err
	}
	for n := range f.segments {
		if err := f.checkSegment(segmentName(n)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func segmentName(n int) string { return "index" + strconv.Itoa(n) + ".ts" }

// open opens a file of the folder, which must be one and not empty.
func (f *folder) open(name string, most int64) (*os.File, int64, error) {
	file, err := f.root.Open(filepath.FromSlash(f.name + "/" + name))
	if err != nil {
		return nil, 0, fmt.Errorf("%s/%s: %w", f.name, name, cause(err))
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("not a file")
	case info.Size() == 0:
		err = errors.New("it is empty")
	case info.Size() > most:
		err = errors.New("it is too large")
	default:
		return file, info.Size(), nil
	}
	return nil, 0, errors.Join(fmt.Errorf("%s/%s: %w", f.name, name, err), file.Close())
}

// cause leaves out the path, which the text has already.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// readPlaylist accepts what the original wrote (wire.md 12): segments with names
// relative to it, from 0 on without a gap, and no other address.
func (f *folder) readPlaylist() error {
	file, size, err := f.open(clip.Playlist, maxPlaylist)
	if err != nil {
		return err
	}
	defer file.Close()
	text := make([]byte, size)
	if _, err := io.ReadFull(file, text); err != nil {
		return err
	}
	bad := fmt.Errorf("%s/%s is not the playlist of a video of GTIV", f.name, clip.Playlist)
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")), "\n")
	if len(lines) < 3 || lines[0] != "#EXTM3U" || lines[len(lines)-1] != "#EXT-X-ENDLIST" || lines[len(lines)-2] == "" {
		return bad
	}
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l, "#EXT") && !strings.Contains(l, "URI="):
		case l == segmentName(f.segments) && f.segments < maxSegments:
			f.segments++
		default:
			return bad
		}
	}
	if f.segments == 0 || lines[len(lines)-2] != segmentName(f.segments-1) {
		return bad
	}
	f.playlist = []byte(strings.Join(lines, "\n") + "\n")
	f.bytes += int64(len(f.playlist))
	return nil
}

func (f *folder) readCover() error {
	file, size, err := f.open(clip.Cover, maxCover)
	if err != nil {
		return err
	}
	defer file.Close()
	c, err := jpeg.DecodeConfig(file)
	if err != nil {
		return fmt.Errorf("%s/%s is not a JPEG picture", f.name, clip.Cover)
	}
	f.w, f.h = c.Width, c.Height
	f.bytes += size
	return nil
}

func (f *folder) checkSegment(name string) error {
	file, size, err := f.open(name, 1<<40)
	if err != nil {
		return err
	}
	defer file.Close()
	var first [1]byte
	if _, err := file.ReadAt(first[:], 0); err != nil || first[0] != tsSync {
		return fmt.Errorf("%s/%s is not a transport stream", f.name, name)
	}
	f.bytes += size
	return nil
}

// take copies the files and shows the video.
func (i *importer) take(ctx context.Context, v store.Video, f *folder) error {
	key, err := i.key(ctx, v, f.name)
	if err != nil {
		return err
	}
	if err := i.deps.Staging.Room(f.bytes); err != nil {
		return err
	}
	dir, err := i.deps.Staging.Folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // moved, or swept
	if err := f.copyTo(dir); err != nil {
		return fmt.Errorf("copy %s: %w", f.name, err)
	}
	if err := i.deps.Blobs.PutDir(ctx, key, dir); err != nil {
		return err
	}
	r := store.VideoResult{Key: key, Width: v.Width, Height: v.Height, DurationMS: v.DurationMS, SizeBytes: f.bytes, BitRateKbps: v.BitRateKbps}
	if r.Width == 0 || r.Height == 0 {
		r.Width, r.Height = f.w, f.h // the app needs both
	}
	_, err = i.deps.Store.FinishVideo(ctx, v.ID, r)
	return err
}

// key is the folder's own name, or another one when it is taken: the original gave
// the same one to two uploads of a file, but the app keeps videos by it.
func (i *importer) key(ctx context.Context, v store.Video, name string) (string, error) {
	taken, err := i.deps.Store.KeyTaken(ctx, name)
	if err != nil || !taken {
		return name, err
	}
	sum := sha1.Sum([]byte("imported " + strconv.FormatInt(v.ID, 10) + " " + name)) //nolint:gosec // see above
	return name[:5] + hex.EncodeToString(sum[:]), nil
}

func (f *folder) copyTo(dir string) error {
	if err := copyFile(filepath.Join(dir, clip.Playlist), bytes.NewReader(f.playlist)); err != nil {
		return err
	}
	for n := -1; n < f.segments; n++ {
		name, most := clip.Cover, int64(maxCover)
		if n >= 0 {
			name, most = segmentName(n), 1<<40
		}
		file, _, err := f.open(name, most)
		if err != nil {
			return err
		}
		err = copyFile(filepath.Join(dir, name), file)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to string, from io.Reader) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // a name of ours
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
