package video

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gtiv/media/clip"
	"gtiv/store"
	"gtiv/store/blob"
)

// ladder makes the smaller renditions of a video that is there, and lets the
// uploaded file go.
func (p *Processor) ladder(ctx context.Context, id int64, attempt int) error {
	for {
		v, err := p.store.Video(ctx, id)
		if errors.Is(err, store.ErrNotFound) || err == nil && (v.Key == "" || v.SourceHash == "") {
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.one(ctx, v, p.renditions); err != nil {
			_, refused := errors.AsType[*clip.RefusedError](err)
			switch {
			case refused, errors.Is(err, blob.ErrNotFound):
				p.log.Warn("no renditions of this video", "video", id, "err", err)
			case attempt >= MaxTries && !p.blameless(ctx, err):
				return fmt.Errorf("%w: %w", errGivenUp, err) // its file stays, for another try by hand
			default:
				return err
			}
		}
		now, err := p.store.Video(ctx, id)
		if err == nil && (now.Key != v.Key || now.SourceHash != v.SourceHash) {
			continue // it got other files meanwhile, which have no renditions yet
		}
		if err == nil && !p.cfg.Load().KeepSource {
			p.release(ctx, v)
		}
		return nil
	}
}

// renditions makes the ladder in a folder beside a copy of the playlist that it
// names, and puts it below the video's own files, the master playlist last.
func (p *Processor) renditions(ctx context.Context, v store.Video) error {
	rungs := p.cfg.Load().Rungs
	if len(rungs) == 0 {
		return nil
	}
	src, done, err := p.local(ctx, v.SourceHash)
	if err != nil {
		return err
	}
	defer done()
	dir, err := p.staging.Folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // swept
	if err := p.copyClip(ctx, v.Key, dir); err != nil {
		return err
	}
	if err := p.slow.Ladder(ctx, src, dir, rungs, clip.Options{}); err != nil {
		return err
	}
	if now, err := p.store.Video(ctx, v.ID); err != nil || now.Key != v.Key {
		return err // deleted or replaced meanwhile
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	size := int64(0)
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		size += folderBytes(filepath.Join(dir, e.Name()))
		part := dir + "-" + e.Name() // PutDir takes only folders of the staging area itself
		if err := os.Rename(filepath.Join(dir, e.Name()), part); err != nil {
			return err
		}
		if err := p.blobs.PutDir(ctx, v.Key+"/"+e.Name(), part); err != nil {
			return err
		}
	}
	master, err := os.Open(filepath.Join(dir, clip.Master)) //nolint:gosec // a name of ours
	if err != nil {
		return err
	}
	defer master.Close() //nolint:errcheck // only read
	in, err := p.staging.Unhashed(1 << 20)
	if err != nil {
		return err
	}
	if _, err := io.Copy(in, master); err != nil {
		return errors.Join(err, in.Close())
	}
	if _, err := p.blobs.Put(ctx, v.Key+"/"+clip.Master, in); err != nil {
		return err
	}
	return p.store.LadderMade(ctx, v.ID, v.Key, size)
}

// folderBytes is how much the files of a folder take.
func folderBytes(dir string) (n int64) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if i, err := e.Info(); err == nil {
			n += i.Size()
		}
	}
	return n
}

// copyClip copies the playlist and the segments of a video to a folder.
func (p *Processor) copyClip(ctx context.Context, key, dir string) error {
	for after := ""; ; {
		list, err := p.blobs.List(ctx, key+"/", after, listPage)
		if err != nil {
			return err
		}
		for _, i := range list {
			after = i.Key
			name := strings.TrimPrefix(i.Key, key+"/")
			if strings.Contains(name, "/") || name != clip.Playlist && filepath.Ext(name) != ".ts" {
				continue
			}
			if err := p.copyFile(ctx, i.Key, filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		if len(list) < listPage {
			break
		}
	}
	if _, err := os.Stat(filepath.Join(dir, clip.Playlist)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("files of the video: %w", blob.ErrNotFound)
	}
	return nil
}

func (p *Processor) copyFile(ctx context.Context, key, to string) error {
	src, done, err := p.blobs.Local(ctx, key)
	if err != nil {
		return err
	}
	defer done()
	if os.Link(src, to) == nil {
		return nil
	}
	o, err := os.Open(src) //nolint:gosec // a name of ours
	if err != nil {
		return err
	}
	defer o.Close() //nolint:errcheck // only read
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, o)
	return errors.Join(err, f.Close())
}
