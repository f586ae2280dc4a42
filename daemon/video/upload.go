package video

import (
	"context"
	"crypto/sha1" //nolint:gosec // a name, not a secret (wire.md 12)
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"gtiv/media/clip"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
)

// Received is an uploaded file that is on disk and not yet a video. It ends with
// Submit, Replace or Drop.
type Received struct {
	file *blob.Incoming
	name string // as the uploader called it, for moderators
}

// Drop gives the file up. After Submit and Replace it does nothing.
func (r Received) Drop() {
	if r.file != nil {
		_ = r.file.Close() // what stays is swept
	}
}

const (
	maxSourceName = 200 // bytes
	copyBuffer    = 256 << 10
	// sentAgain is for how long the same file with the same words is one video: the
	// answer may have been lost.
	sentAgain = 10 * time.Minute
)

// Room says how many bytes an upload of the caller may have, and counts it. Codes:
// CodeTooOften, CodeNoRoom (quota, disk).
func (p *Processor) Room(ctx context.Context, c Caller) (int64, error) {
	cfg := p.cfg.Load()
	if wait := p.uploads.Take(strconv.FormatInt(c.User, 10), cfg.UploadsPerHour); wait > 0 {
		return 0, protocol.TooOften(wait)
	}
	most, err := p.room(ctx, c)
	if err != nil {
		return 0, err
	}
	if err := p.staging.Room(0); err != nil {
		return 0, p.uploadError(err, most)
	}
	return most, nil
}

// room is how much of the quota is left, at most the limit of one upload.
func (p *Processor) room(ctx context.Context, c Caller) (int64, error) {
	cfg := p.cfg.Load()
	if cfg.Quota <= 0 {
		return cfg.MaxBytes, nil
	}
	used, err := p.store.VideoBytes(ctx, c.User)
	if err != nil {
		return 0, fmt.Errorf("read quota: %w", err)
	}
	if used >= cfg.Quota {
		return 0, protocol.Errorf(protocol.CodeNoRoom, "videoQuota", strconv.FormatInt(cfg.Quota>>20, 10))
	}
	return min(cfg.MaxBytes, cfg.Quota-used), nil
}

// MaxBytes bounds the file of one upload.
func (p *Processor) MaxBytes() int64 { return p.cfg.Load().MaxBytes }

// Receive takes an uploaded file, streamed to disk. Codes: CodeBadValue (no video,
// too big), CodeTooOften, CodeNoRoom (quota, disk).
func (p *Processor) Receive(ctx context.Context, c Caller, name string, r io.Reader) (Received, error) {
	most, err := p.Room(ctx, c)
	if err != nil {
		return Received{}, err
	}
	in, err := p.staging.Incoming(most)
	if err != nil {
		return Received{}, p.uploadError(err, most)
	}
	if err := copyVideo(in, r); err != nil {
		return Received{}, errors.Join(p.uploadError(err, most), in.Close())
	}
	return Received{file: in, name: sourceName(name)}, nil
}

// Adopt takes a file that has arrived by other ways, at path in the staging area's
// file system; it is moved. Codes: CodeBadValue, CodeNoRoom (quota).
func (p *Processor) Adopt(ctx context.Context, c Caller, name, path string) (Received, error) {
	most, err := p.room(ctx, c)
	if err != nil {
		return Received{}, err
	}
	in, err := p.staging.Adopt(path, most)
	if err != nil {
		return Received{}, p.uploadError(err, most)
	}
	head := make([]byte, clip.SniffLen)
	n, err := in.ReadAt(head, 0)
	if err == nil || errors.Is(err, io.EOF) {
		err = checkHead(head[:n])
	}
	if err != nil {
		return Received{}, errors.Join(p.uploadError(err, most), in.Close())
	}
	return Received{file: in, name: sourceName(name)}, nil
}

// HeadLen is how many first bytes CheckHead makes use of.
const HeadLen = clip.SniffLen

// CheckHead refuses a file by its first bytes. Code: CodeBadValue.
func (p *Processor) CheckHead(head []byte) error {
	if err := checkHead(head); err != nil {
		return p.uploadError(err, p.MaxBytes())
	}
	return nil
}

// Begin says whether the caller may upload size bytes with that text, and counts
// it. Codes: those of Room and Submit.
func (p *Processor) Begin(ctx context.Context, c Caller, size int64, u Upload) error {
	if _, err := p.videos.checkUpload(u); err != nil {
		return err
	}
	most, err := p.Room(ctx, c)
	if err == nil && size > most {
		err = p.uploadError(blob.ErrTooBig, most)
	}
	if err == nil {
		if err = p.staging.Room(size); err != nil {
			err = p.uploadError(err, most)
		}
	}
	return err
}

// Space says whether size bytes fit on the disk. Code: CodeNoRoom.
func (p *Processor) Space(size int64) error {
	if err := p.staging.Room(size); err != nil {
		return p.uploadError(err, p.MaxBytes())
	}
	return nil
}

var errEmpty = errors.New("empty file")

func checkHead(head []byte) error {
	if len(head) == 0 {
		return errEmpty
	}
	_, err := clip.Sniff(head)
	return err
}

// copyVideo copies what begins like a video; the rest of anything else is not read.
func copyVideo(w io.Writer, r io.Reader) error {
	head := make([]byte, clip.SniffLen)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) && n == 0 {
		return err // cut short before its first byte
	}
	if err := checkHead(head[:n]); err != nil {
		return err
	}
	if _, err := w.Write(head[:n]); err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, copyBuffer))
	return err
}

// sourceName is a file's name without what does not belong into a list.
func sourceName(s string) string {
	out := make([]byte, 0, min(len(s), maxSourceName))
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			continue
		}
		if len(out)+utf8.RuneLen(r) > maxSourceName {
			break
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

func (p *Processor) uploadError(err error, most int64) error {
	if _, ok := errors.AsType[*clip.RefusedError](err); ok {
		return &protocol.Error{Code: protocol.CodeBadValue, Key: reasonKeys[clip.NotVideo], Err: err}
	}
	cfg := p.cfg.Load()
	switch {
	case errors.Is(err, errEmpty):
		return protocol.Errorf(protocol.CodeBadValue, "clipEmpty")
	case errors.Is(err, blob.ErrTooBig) && most < cfg.MaxBytes:
		return protocol.Errorf(protocol.CodeNoRoom, "videoQuota", strconv.FormatInt(cfg.Quota>>20, 10))
	case errors.Is(err, blob.ErrTooBig):
		return protocol.Errorf(protocol.CodeBadValue, "videoTooBig", strconv.FormatInt(cfg.MaxBytes>>20, 10))
	case errors.Is(err, blob.ErrNoSpace):
		return &protocol.Error{Code: protocol.CodeNoRoom, Key: "diskFull", Err: err}
	}
	return err
}

// Submit makes a received file a video, which is processed in its turn. The answer
// has the key that its files will have. Sending a file again that is still a video
// of that title answers this video: the answer may have been lost. Codes: those of
// Create.
func (p *Processor) Submit(ctx context.Context, c Caller, r Received, u Upload) (store.Video, error) {
	u.SizeBytes, u.SourceHash, u.SourceName = r.file.Size(), hex.EncodeToString(r.file.SHA256()), r.name
	n, err := p.videos.checkUpload(u) // before the file is stored for nothing
	if err != nil {
		return store.Video{}, err
	}
	n.Owner, n.UploadID, n.Quota = c.User, u.UploadID, p.cfg.Load().Quota
	var v store.Video
	err = p.keep(ctx, r, u.SourceHash, func() error {
		since := p.now().Add(-sentAgain).UnixMilli()
		if v, err = p.store.VideoUploadedSince(ctx, c.User, u.SourceHash, n.Title, n.Visibility, since); err == nil && n.UploadID == "" {
			return nil
		}
		v, err = p.store.CreateVideo(ctx, n)
		return p.noteError(err)
	})
	if err != nil {
		return v, err
	}
	if v.State == store.VideoQueued {
		p.queue(ctx, v.ID)
	}
	if v.Key == "" {
		v.Key = keyOf(v, v.SourceHash)
	}
	return v, nil
}

// noteError is the error of writing down an upload.
func (p *Processor) noteError(err error) error {
	if errors.Is(err, store.ErrQuota) {
		return protocol.Errorf(protocol.CodeNoRoom, "videoQuota", strconv.FormatInt(p.cfg.Load().Quota>>20, 10))
	}
	return videoError(err)
}

// Replace makes a received file the new file of a video of the caller, which is
// shown as it was until that one is processed. Codes: CodeUnknown, CodeForbidden.
func (p *Processor) Replace(ctx context.Context, c Caller, r Received, id int64) (store.Video, error) {
	if _, err := p.videos.owned(ctx, c, id); err != nil {
		return store.Video{}, err
	}
	hash := hex.EncodeToString(r.file.SHA256())
	var v store.Video
	err := p.keep(ctx, r, hash, func() (err error) {
		v, err = p.store.ReplaceSource(ctx, store.NewSource{
			Owner: c.User, Video: id, SizeBytes: r.file.Size(), Hash: hash, Name: r.name, Quota: p.cfg.Load().Quota,
		})
		return p.noteError(err)
	})
	if err != nil {
		return v, err
	}
	p.queue(ctx, v.ID)
	v.Key = nextKey(v, hash)
	return v, nil
}

// OwnByKey finds the caller's video whose files are under a key. Codes: CodeUnknown.
func (p *Processor) OwnByKey(ctx context.Context, c Caller, key string) (int64, error) {
	v, err := p.store.ServedVideo(ctx, c.User, false, key)
	return v.ID, videoError(err)
}

// keep stores an uploaded file and notes who needs it. The sweep leaves it alone
// meanwhile.
func (p *Processor) keep(ctx context.Context, r Received, hash string, note func() error) error {
	p.sourceMu.Lock()
	p.arriving[hash]++
	p.sourceMu.Unlock()
	defer func() {
		p.sourceMu.Lock()
		defer p.sourceMu.Unlock()
		if p.arriving[hash]--; p.arriving[hash] == 0 {
			delete(p.arriving, hash)
		}
	}()
	if _, err := blob.PutSource(ctx, p.blobs, r.file); err != nil {
		return p.uploadError(err, p.MaxBytes())
	}
	return note()
}

// queue asks for a video to be processed. If that cannot be noted now, the next
// look at the database finds it.
func (p *Processor) queue(ctx context.Context, id int64) {
	if err := p.jobs.Put(context.WithoutCancel(ctx), JobID(id), nil, time.Time{}); err != nil {
		p.log.Warn("upload not queued yet", "video", id, "err", err)
		p.missed.Store(true)
	}
}

// keyOf is the folder of a video's files: never that of another video, although
// two may be made of one file, nor of another file, because the app keeps files by
// its name (wire.md 12).
func keyOf(v store.Video, hash string) string {
	sum := sha1.Sum([]byte("gtiv video " + strconv.FormatInt(v.ID, 10) + " " + hash)) //nolint:gosec // as above
	return time.UnixMilli(v.CreatedAt).UTC().Format("2006") + "/" + hex.EncodeToString(sum[:])
}

// nextKey is the folder of the files that are made of a video next. One that has
// files gets another: what is under a key never changes, and caches keep it.
func nextKey(v store.Video, hash string) string {
	if v.Key == "" {
		return keyOf(v, hash)
	}
	return keyOf(v, hash+" after "+v.Key)
}

// JobID names the work on a video in the queue.
func JobID(id int64) string { return "v" + strconv.FormatInt(id, 10) }

// Status is how far a video is.
type Status struct {
	State   string // queued, processing, ready, failed, review, hidden
	Percent int
	Reason  string // key of a text, or what a moderator wrote; "" none
}

var stateNames = [...]string{"queued", "processing", "ready", "failed", "review", "hidden"}

// StateName is the name of a video's state.
func StateName(state int) string {
	if state < 0 || state >= len(stateNames) {
		return strconv.Itoa(state)
	}
	return stateNames[state]
}

// ParseState is the state of that name.
func ParseState(name string) (state int, ok bool) {
	for i, n := range stateNames {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

// Status answers the owner, and administrators of the site. Code: CodeUnknown.
func (p *Processor) Status(ctx context.Context, c Caller, id int64) (Status, error) {
	v, err := p.store.Video(ctx, id)
	if err != nil {
		return Status{}, videoError(err)
	}
	if v.Owner != c.User && !c.admin() {
		return Status{}, videoError(store.ErrNotFound)
	}
	return p.status(v), nil
}

func (p *Processor) status(v store.Video) Status {
	p.mu.Lock()
	percent, busy := p.percent[v.ID]
	p.mu.Unlock()
	s := Status{State: StateName(v.State), Reason: v.Reason}
	if v.Replacement != "" { // the new file is what its owner waits for
		s.State = stateNames[store.VideoQueued]
		if busy {
			s.State = stateNames[store.VideoProcessing]
		}
	}
	switch s.State {
	case stateNames[store.VideoReady], stateNames[store.VideoReview], stateNames[store.VideoHidden]:
		s.Percent = 100
	case stateNames[store.VideoProcessing]:
		s.Percent = percent
	case stateNames[store.VideoQueued]:
		s.Reason = p.waitsFor()
	}
	return s
}

// waitsFor says why nothing is processed now, "" if it is.
func (p *Processor) waitsFor() string {
	switch {
	case p.clips.Available() != nil:
		return "noFFmpeg"
	case p.staging.Room(0) != nil:
		return "videoWaitsForDisk"
	}
	return ""
}

// Own is one of the caller's videos.
type Own struct {
	store.Video
	Status
}

const ownPage = 30

// Own lists the caller's videos in any state, newest first, behind the id before.
func (p *Processor) Own(ctx context.Context, c Caller, before int64) (list []Own, next int64, err error) {
	rows, err := p.store.OwnVideos(ctx, c.User, before, ownPage)
	if err != nil {
		return nil, 0, err
	}
	for _, v := range rows {
		list = append(list, Own{v, p.status(v)})
	}
	if len(rows) == ownPage {
		next = rows[ownPage-1].ID
	}
	return list, next, nil
}
