package clip

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Ladder makes smaller renditions beside a finished clip: for every rung, a
// length of the short side in pixels that is less than the source's, a folder
// such as 360p with a playlist and segments of its own; and last master.m3u8,
// which names them and the clip's own playlist. The clip itself does not change.
// What an earlier call left is replaced. The errors are those of Make.
func (c *Clipper) Ladder(ctx context.Context, src, dir string, rungs []int, o Options) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("folder of clip: %w", err)
	}
	info, err := c.Probe(ctx, src)
	if err != nil {
		return err
	}
	rungs = fitting(rungs, info)
	p := newProgress(o.Progress)
	var m strings.Builder
	m.WriteString("#EXTM3U\n#EXT-X-VERSION:3\n")
	for i, rung := range rungs {
		name := fmt.Sprintf("%dp", rung)
		part := p.part(100*i/len(rungs), 100*(i+1)/len(rungs))
		if err := c.rung(ctx, src, filepath.Join(dir, name), info, rung, part); err != nil {
			return fmt.Errorf("rung %s: %w", name, err)
		}
		if err := c.describe(ctx, &m, dir, name); err != nil {
			return err
		}
	}
	if err := c.describe(ctx, &m, dir, ""); err != nil {
		return err
	}
	p.report(100)
	return replaceFile(filepath.Join(dir, Master), m.String())
}

// fitting is the rungs below the source, in order and each once.
func fitting(rungs []int, info Info) []int {
	short := min(info.Width, info.Height)
	rungs = slices.DeleteFunc(slices.Clone(rungs), func(r int) bool { return r < 16 || r >= short })
	slices.Sort(rungs)
	return slices.Compact(rungs)
}

// rung encodes one rendition.
func (c *Clipper) rung(ctx context.Context, src, dir string, info Info, rung int, p *progress) error {
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o777)); err != nil {
		return fmt.Errorf("folder of rung: %w", err)
	}
	plan := info.Plan(c.cfg.KeyEvery)
	plan.CopyVideo, plan.Rate = false, info.Video.encodedRate()
	scale := float64(rung) / float64(min(info.Width, info.Height))
	plan.Width, plan.Height = even(float64(info.Width)*scale), even(float64(info.Height)*scale)
	if _, err := c.cutAndCheck(ctx, src, dir, info, plan, p); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return nil
}

// describe writes what the master playlist says of the rendition in a folder
// below dir, "" for the clip itself.
func (c *Clipper) describe(ctx context.Context, m *strings.Builder, dir, name string) error {
	l, err := readList(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	s, err := c.scan(ctx, MPEGTS, l[0].path)
	if err != nil {
		return fmt.Errorf("look at rendition: %w", resultError(err))
	}
	info, err := s.info(MPEGTS, l[0].bytes)
	if err != nil {
		return fmt.Errorf("look at rendition: %w", resultError(err))
	}
	fmt.Fprintf(m, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,RESOLUTION=%dx%d,CODECS=%q\n",
		l.peak(), l.bitRate()*1000, info.Width, info.Height, info.codecs())
	m.WriteString(filepath.ToSlash(filepath.Join(name, Playlist)) + "\n")
	return nil
}

// codecs names the codecs as RFC 6381 does.
func (i Info) codecs() string {
	profile := map[string]string{"Constrained Baseline": "42e0", "Baseline": "4200", "Main": "4d40", "High": "6400"}[i.Video.Profile]
	if profile == "" {
		profile = "6400"
	}
	name := fmt.Sprintf("avc1.%s%02x", profile, max(i.Video.Level, 10))
	if i.Audio != nil {
		name += ",mp4a.40.2"
	}
	return name
}

// replaceFile writes a file so that whoever reads it sees all of it or what was
// there before.
func replaceFile(path, text string) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(text), 0o666); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", filepath.Base(path), err), os.Remove(tmp))
	}
	return nil
}
