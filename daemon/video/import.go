package video

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"time"

	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
)

// importAhead is how many videos may wait to be processed when an administrator
// imports another one: those who upload meanwhile must not wait for all of them,
// and the disk must not fill with files that wait.
const importAhead = 4

// importPause is when to ask again.
const importPause = time.Second

// Import is a file that an administrator uploads for somebody.
type Import struct {
	Owner      int64
	Title      string
	Tags       string
	Visibility string
	Name       string // of the file
	Hash       string // SHA-256 of the file in hexadecimal; "" unknown
	Size       int64
	NoQuota    bool // the owner's quota does not matter
}

// CheckImport says whether a file could be imported now, or answers the video that
// was made of it before, for the same owner and with the same title. Codes:
// CodeBadValue, CodeNoRoom (quota, disk, ffmpeg is missing), CodeTooOften (enough
// videos wait to be processed), those of the filter.
func (p *Processor) CheckImport(ctx context.Context, i Import) (v store.Video, there bool, err error) {
	n, err := p.checkImport(i)
	if err != nil {
		return v, false, err
	}
	if v, err = p.imported(ctx, n, i.Hash); err != nil || v.ID != 0 && v.State != store.VideoFailed {
		return v, err == nil, err
	}
	_, err = p.importRoom(ctx, i)
	return store.Video{}, false, err
}

func (p *Processor) checkImport(i Import) (store.NewVideo, error) {
	if sum, err := hex.DecodeString(i.Hash); err != nil || i.Hash != "" && (len(sum) != 32 || i.Hash != hex.EncodeToString(sum)) {
		return store.NewVideo{}, badValue("Hash", "badText")
	}
	n, err := p.videos.checkUpload(Upload{Title: i.Title, Tags: i.Tags, Visibility: i.Visibility, SizeBytes: i.Size, SourceHash: i.Hash})
	n.Owner, n.Imported, n.SourceName = i.Owner, true, sourceName(i.Name)
	return n, err
}

// imported finds the video that was made of a file; without id: none was.
func (p *Processor) imported(ctx context.Context, n store.NewVideo, hash string) (store.Video, error) {
	if hash == "" {
		return store.Video{}, nil
	}
	v, err := p.store.ImportedVideo(ctx, n.Owner, hash, n.Title)
	if errors.Is(err, store.ErrNotFound) { // uploaded by the owner, perhaps
		v, err = p.store.VideoBySource(ctx, n.Owner, hash, n.Title)
	}
	if errors.Is(err, store.ErrNotFound) {
		return store.Video{}, nil
	}
	return v, err
}

// importRoom says how large the file may be, or why it has to wait.
func (p *Processor) importRoom(ctx context.Context, i Import) (int64, error) {
	if why := p.waitsFor(); why != "" {
		return 0, protocol.Errorf(protocol.CodeNoRoom, why)
	}
	most := p.MaxBytes()
	if !i.NoQuota {
		var err error
		if most, err = p.room(ctx, Caller{User: i.Owner}); err != nil {
			return 0, err
		}
	}
	switch {
	case i.Size > p.MaxBytes():
		return 0, p.uploadError(blob.ErrTooBig, p.MaxBytes())
	case i.Size > most:
		return 0, p.uploadError(blob.ErrTooBig, most)
	}
	st := p.jobs.Stats()
	waiting := st.Depth + st.Leased
	if waiting >= importAhead {
		return 0, protocol.TooOften(importPause)
	}
	// What is made of it needs about as much again.
	if err := p.staging.Room(2 * min(max(i.Size, 0), math.MaxInt64/2)); err != nil {
		if waiting > 0 {
			return 0, protocol.TooOften(importPause) // their uploaded files will go
		}
		return 0, p.uploadError(err, most)
	}
	return most, nil
}

// Import takes a file, streamed to disk, and makes it a video of its owner, or
// answers the one that was made of it before. One that failed is made anew. Codes:
// those of CheckImport, CodeConflict (the file is not the one of Hash).
func (p *Processor) Import(ctx context.Context, i Import, r io.Reader) (v store.Video, there bool, err error) {
	n, err := p.checkImport(i)
	if err != nil {
		return v, false, err
	}
	most, err := p.importRoom(ctx, i)
	if err != nil {
		return v, false, err
	}
	in, err := p.staging.Incoming(most)
	if err != nil {
		return v, false, p.uploadError(err, most)
	}
	if err := copyVideo(in, r); err != nil {
		return v, false, errors.Join(p.uploadError(err, most), in.Close())
	}
	rec := Received{file: in}
	defer rec.Drop()
	hash := hex.EncodeToString(in.SHA256())
	if i.Hash != "" && i.Hash != hash {
		return v, false, protocol.Errorf(protocol.CodeConflict, "importChanged")
	}
	n.SizeBytes, n.SourceHash = in.Size(), hash
	if !i.NoQuota {
		n.Quota = p.cfg.Load().Quota
	}
	err = p.keep(ctx, rec, hash, func() (err error) {
		v, there, err = p.noteImport(ctx, n)
		return p.noteError(err)
	})
	if err == nil && !there {
		p.again(ctx, v.ID)
	}
	return v, there, err
}

// noteImport writes down the video of a file that has arrived.
func (p *Processor) noteImport(ctx context.Context, n store.NewVideo) (v store.Video, there bool, err error) {
	v, err = p.imported(ctx, n, n.SourceHash)
	switch {
	case err != nil:
		return v, false, err
	case v.ID == 0:
		v, err = p.store.CreateVideo(ctx, n)
		return v, false, err
	case v.State == store.VideoFailed:
		v, err = p.store.ReplaceSource(ctx, store.NewSource{
			Owner: n.Owner, Video: v.ID, SizeBytes: n.SizeBytes, Hash: n.SourceHash, Name: n.SourceName, Quota: n.Quota,
		})
		return v, false, err
	}
	return v, true, p.store.NoteImport(ctx, n.Owner, n.SourceHash, n.Title, v.ID)
}
