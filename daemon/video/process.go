package video

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"gtiv/daemon/limit"
	"gtiv/media/clip"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
	"gtiv/store/queue"
)

// reasonKeys are the texts of why a file was refused.
var reasonKeys = map[clip.Reason]string{
	clip.NotVideo: "clipNotVideo", clip.NoVideo: "clipNoVideo", clip.Unsupported: "clipUnsupported", clip.TooLong: "clipTooLong",
	clip.TooLarge: "clipTooLarge", clip.Truncated: "clipTruncated", clip.Broken: "clipBroken", clip.Bomb: "clipBomb",
}

// failedKey is the text of a failure that says nothing of the file.
const failedKey = "videoFailed"

// MaxTries is how often a video is processed before it has failed.
const MaxTries = 3

const (
	lookAgain     = 5 * time.Second  // without ffmpeg, or without room on the disk
	cleanEvery    = time.Minute      // between looks for files of deleted videos
	sweepRounds   = 10               // cleanings between looks for uploaded files that no video needs
	requeueRounds = 5                // cleanings between looks for work that is in no queue
	sweepAge      = time.Hour        // younger ones may still become one
	extendTo      = 2 * time.Minute  // of the lease, while a video is made
	extendAt      = 20 * time.Second // how often
	listPage      = 200
)

// ProcessConfig is what an operator sets about uploads. It can be replaced while
// running.
type ProcessConfig struct {
	MaxBytes       int64 // of one upload
	Quota          int64 // of all videos of an account, bytes; 0 none
	UploadsPerHour int   // per account; 0 no limit
	Rungs          []int // renditions made beside the first, by their short side in pixels
	KeepSource     bool  // uploaded files stay after processing
	Review         bool  // a moderator looks before a video is shown
}

// ProcessDeps is what a Processor needs. All fields but Busy, Notify, Logger and
// Now are required.
type ProcessDeps struct {
	Videos  *Service
	Store   *store.Store
	Blobs   blob.Bucket
	Staging *blob.Staging // that of Blobs
	Clips   *clip.Clipper
	Slow    *clip.Clipper // makes the renditions, while nothing else is made
	Jobs    *queue.Topic
	Later   *queue.Topic // of renditions
	// Busy is set while a video is made, for what should stand back then.
	Busy *atomic.Bool
	// Notify tells the feature clients of a user how far a video is; Reason is the
	// key of a text.
	Notify func(user int64, n protocol.Notice)
	Logger *slog.Logger
	Now    func() time.Time
}

// Processor takes uploads and makes videos of them, one after the other.
//
// The database says what is to be made; the topics only say when, so that losing
// them loses nothing. Goroutines: the two workers and the cleaner, in Run. Locks:
// sourceMu (held while an uploaded file is deleted) and mu, each alone.
type Processor struct {
	cfg     atomic.Pointer[ProcessConfig]
	videos  *Service
	store   *store.Store
	blobs   blob.Bucket
	staging *blob.Staging
	clips   *clip.Clipper
	slow    *clip.Clipper
	jobs    *queue.Topic
	later   *queue.Topic
	notify  func(user int64, n protocol.Notice)
	log     *slog.Logger
	now     func() time.Time
	uploads *limit.Window
	busy    *atomic.Bool
	missed  atomic.Bool // something is in the database and may not be in the queue

	sourceMu sync.Mutex
	arriving map[string]int // uploaded files that are about to become videos, by hash

	mu      sync.Mutex
	percent map[int64]int // of videos that are being made
	current map[int64]context.CancelCauseFunc
}

// NewProcessor checks what it is given.
func NewProcessor(cfg ProcessConfig, deps ProcessDeps) (*Processor, error) {
	if deps.Videos == nil || deps.Store == nil || deps.Blobs == nil || deps.Staging == nil || deps.Clips == nil || deps.Slow == nil ||
		deps.Jobs == nil || deps.Later == nil {
		return nil, errors.New("video processor: a dependency is missing")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Notify == nil {
		deps.Notify = func(int64, protocol.Notice) {}
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Busy == nil {
		deps.Busy = new(atomic.Bool)
	}
	p := &Processor{
		videos: deps.Videos, store: deps.Store, blobs: deps.Blobs, staging: deps.Staging, clips: deps.Clips, slow: deps.Slow,
		jobs: deps.Jobs, later: deps.Later, notify: deps.Notify, log: deps.Logger, now: deps.Now,
		uploads: limit.NewWindow(time.Hour, deps.Now), busy: deps.Busy, arriving: map[string]int{}, percent: map[int64]int{}, current: map[int64]context.CancelCauseFunc{},
	}
	p.SetConfig(cfg)
	dropped := p.stop
	deps.Videos.onDrop.Store(&dropped)
	return p, nil
}

// SetConfig replaces the configuration, for a reload.
func (p *Processor) SetConfig(cfg ProcessConfig) { p.cfg.Store(&cfg) }

// Run processes what was uploaded, and deletes files that nobody needs, until ctx
// ends. What is under way then is begun again at the next start.
func (p *Processor) Run(ctx context.Context) error {
	p.missed.Store(true)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { p.work(ctx, p.jobs, p.process); return nil })
	g.Go(func() error { p.work(ctx, p.later, p.ladder); return nil })
	g.Go(func() error { p.tidy(ctx); return nil })
	return g.Wait()
}

// work serves a topic.
func (p *Processor) work(ctx context.Context, topic *queue.Topic, do func(ctx context.Context, id int64, attempt int) error) {
	for ctx.Err() == nil {
		if p.waitsFor() != "" {
			sleep(ctx, lookAgain) // uploads stay queued
			continue
		}
		job, err := topic.Take(ctx)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Warn("no job taken", "err", err)
				sleep(ctx, lookAgain)
			}
			continue
		}
		p.serve(ctx, topic, job, do)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// serve does one job, and holds on to it while it lasts.
func (p *Processor) serve(ctx context.Context, topic *queue.Topic, job *queue.Job, do func(ctx context.Context, id int64, attempt int) error) {
	id, err := strconv.ParseInt(strings.TrimPrefix(job.ID, "v"), 10, 64)
	if err == nil {
		done := make(chan struct{})
		var hold sync.WaitGroup
		hold.Go(func() {
			t := time.NewTicker(extendAt)
			defer t.Stop()
			for {
				select {
				case <-t.C:
					topic.Extend(job, extendTo)
				case <-done:
					return
				}
			}
		})
		err = do(ctx, id, job.Attempt)
		close(done)
		hold.Wait()
	}
	if ctx.Err() != nil {
		return // leased still: the next start takes it again, and the attempt does not count
	}
	switch {
	case err == nil:
		if err = topic.Ack(ctx, job); err == nil && id != 0 {
			p.askedMeanwhile(ctx, topic, id)
		}
	case errors.Is(err, errGivenUp):
		p.log.Warn("video job given up", "job", job.ID, "attempt", job.Attempt, "err", err)
		err = topic.Bury(ctx, job, err)
	default:
		p.log.Warn("video job failed", "job", job.ID, "attempt", job.Attempt, "err", err)
		err = topic.Retry(ctx, job, err)
	}
	if err != nil && !errors.Is(err, queue.ErrLeaseLost) {
		p.log.Warn("video job not settled", "job", job.ID, "err", err)
	}
}

// askedMeanwhile queues a video again that something was uploaded for between the
// last look at it and the end of its job: while that was leased, asking did nothing.
func (p *Processor) askedMeanwhile(ctx context.Context, topic *queue.Topic, id int64) {
	v, err := p.store.Video(ctx, id)
	if err != nil {
		return // deleted; or the next look at the database finds it
	}
	todo := v.State == store.VideoQueued || v.State == store.VideoProcessing || v.Replacement != ""
	if topic == p.later {
		todo = v.Key != "" && v.SourceHash != "" && !v.Ladder && !p.cfg.Load().KeepSource
	}
	if !todo {
		return
	}
	if err := topic.Put(ctx, JobID(id), nil, time.Time{}); err != nil {
		p.missed.Store(true)
	}
}

// errGivenUp is in the error of a job that goes to the dead letters.
var errGivenUp = errors.New("given up")

// process makes a video, and again what was uploaded for it meanwhile: its job is
// one, however often it is asked for. An error means: again later.
func (p *Processor) process(ctx context.Context, id int64, _ int) error {
	v, err := p.store.Video(ctx, id)
	if err == nil && v.State == store.VideoFailed && v.SourceHash != "" { // somebody wants another try
		_, err = p.store.SetVideoState(ctx, id, store.VideoQueued, "")
	}
	for err == nil {
		if v, err = p.store.Video(ctx, id); err != nil {
			break
		}
		switch {
		case v.State == store.VideoQueued, v.State == store.VideoProcessing:
			err = p.one(ctx, v, p.first)
		case v.Replacement != "":
			err = p.one(ctx, v, p.replacement)
		default:
			return nil
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil // deleted meanwhile
	}
	return err
}

// one does some work for a video, which ends when the video is deleted.
func (p *Processor) one(ctx context.Context, v store.Video, do func(context.Context, store.Video) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.mu.Lock()
	p.current[v.ID] = cancel
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.current, v.ID)
	}()
	err := do(inner, v)
	if errors.Is(context.Cause(inner), errDropped) && ctx.Err() == nil {
		return nil
	}
	return err
}

// errDropped is why the work for a deleted video ends.
var errDropped = errors.New("the video was deleted")

// stop ends the work for a video that was deleted.
func (p *Processor) stop(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cancel := p.current[id]; cancel != nil {
		cancel(errDropped)
	}
}

// first makes a video that has no files yet.
func (p *Processor) first(ctx context.Context, v store.Video) error {
	if v.Attempts >= MaxTries {
		return errors.Join(fmt.Errorf("%w: %d tries ended with the process", errGivenUp, v.Attempts), p.fail(ctx, v, failedKey, false))
	}
	p.busy.Store(true)
	defer p.busy.Store(false)
	v, err := p.store.StartVideo(ctx, v.ID)
	if err != nil {
		return err
	}
	p.progress(v, 0)
	defer p.forget(v.ID)
	r, err := p.make(ctx, v, v.SourceHash)
	if err != nil {
		return p.failed(ctx, v, err)
	}
	r.Review = p.cfg.Load().Review
	done, err := p.videos.Processed(ctx, v.ID, r)
	if errors.Is(err, store.ErrConflict) {
		now, err2 := p.store.Video(ctx, v.ID)
		if err2 != nil || now.SourceHash == v.SourceHash {
			return errors.Join(err, err2)
		}
		err = protocol.Errorf(protocol.CodeUnknown, "noSuchVideo") // another file was uploaded: what was made is nobody's
	}
	if protocol.CodeOf(err) == protocol.CodeUnknown {
		return p.blobs.Delete(context.WithoutCancel(ctx), r.Key+"/")
	}
	if err != nil {
		return err
	}
	p.made(ctx, done)
	return nil
}

// replacement makes the files that take the place of a video's own.
func (p *Processor) replacement(ctx context.Context, v store.Video) error {
	hash := v.Replacement
	if v.Attempts >= MaxTries {
		return errors.Join(fmt.Errorf("%w: %d tries ended with the process", errGivenUp, v.Attempts), p.notReplaced(ctx, v, hash, failedKey))
	}
	p.busy.Store(true)
	defer p.busy.Store(false)
	v, err := p.store.StartReplacement(ctx, v.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	hash = v.Replacement
	p.progress(v, 0)
	defer p.forget(v.ID)
	r, err := p.make(ctx, v, hash)
	if err != nil {
		reason, again := p.verdict(ctx, v, err)
		if reason != "" {
			return errors.Join(again, p.notReplaced(ctx, v, hash, reason))
		}
		_, err := p.store.RequeueVideo(context.WithoutCancel(ctx), v.ID, hash, !p.blameless(ctx, again))
		return errors.Join(again, err)
	}
	r.Review = p.cfg.Load().Review && hash != v.SourceHash // a moderator has seen this file
	done, err := p.store.FinishReplacement(ctx, v.ID, hash, r, "")
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		if r.Key == v.Key {
			return nil
		}
		return p.blobs.Delete(context.WithoutCancel(ctx), r.Key+"/") // deleted, or replaced again
	}
	if err != nil {
		return err
	}
	p.videos.Changed()
	p.made(ctx, done)
	return nil
}

func (p *Processor) notReplaced(ctx context.Context, v store.Video, hash, reason string) error {
	v, err := p.store.FinishReplacement(context.WithoutCancel(ctx), v.ID, hash, store.VideoResult{}, reason)
	switch {
	case err == nil:
		p.tell(v, stateNames[store.VideoFailed], 0)
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		return nil
	}
	return err
}

// made tells of a video that was processed, and asks for its renditions.
func (p *Processor) made(ctx context.Context, v store.Video) {
	p.tell(v, StateName(v.State), 100)
	p.log.Info("video processed", "video", v.ID, "user", v.Owner, "state", StateName(v.State), "bytes", v.SizeBytes)
	if err := p.later.Put(ctx, JobID(v.ID), nil, time.Time{}); err != nil {
		p.log.Warn("renditions not queued", "video", v.ID, "err", err)
	}
}

// make makes the files of a video and puts them in their place.
func (p *Processor) make(ctx context.Context, v store.Video, hash string) (store.VideoResult, error) {
	src, done, err := p.local(ctx, hash)
	if err != nil {
		return store.VideoResult{}, err
	}
	defer done()
	dir, err := p.staging.Folder()
	if err != nil {
		return store.VideoResult{}, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // moved, or swept
	r, err := p.clips.Make(ctx, src, dir, clip.Options{Progress: func(percent int) { p.progress(v, percent) }})
	if err != nil {
		return store.VideoResult{}, err
	}
	key := nextKey(v, hash)
	if err := p.blobs.PutDir(ctx, key, dir); err != nil {
		return store.VideoResult{}, err
	}
	return store.VideoResult{
		Hash: hash, Key: key, Width: r.Width, Height: r.Height, DurationMS: r.Duration.Milliseconds(), SizeBytes: r.Bytes, BitRateKbps: int64(r.BitRate),
	}, nil
}

// local is the path of an uploaded file.
func (p *Processor) local(ctx context.Context, hash string) (path string, done func(), err error) {
	key, err := sourceKey(hash)
	if err != nil {
		return "", nil, err
	}
	return p.blobs.Local(ctx, key)
}

// SourceKey is where the uploaded file with this hash is kept, "" if that is none.
func SourceKey(hash string) string {
	key, err := sourceKey(hash)
	if err != nil {
		return ""
	}
	return key
}

func sourceKey(hash string) (string, error) {
	sum, err := hex.DecodeString(hash)
	if err != nil || len(sum) != 32 {
		return "", fmt.Errorf("uploaded file %q: %w", hash, blob.ErrNotFound)
	}
	return blob.SourceKey(sum), nil
}

// failed decides what an error means for a video that has no files yet.
func (p *Processor) failed(ctx context.Context, v store.Video, err error) error {
	reason, again := p.verdict(ctx, v, err)
	if reason == "" {
		_, err = p.store.RequeueVideo(context.WithoutCancel(ctx), v.ID, v.SourceHash, !p.blameless(ctx, again))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return errors.Join(again, err)
	}
	// After our own failures its file stays, for another try by hand.
	return errors.Join(again, p.fail(ctx, v, reason, reason != failedKey))
}

// verdict says what an error means: the reason of a failure for good, or "" and an
// error that is worth another try.
func (p *Processor) verdict(ctx context.Context, v store.Video, err error) (reason string, again error) {
	if refused, ok := errors.AsType[*clip.RefusedError](err); ok {
		p.log.Info("upload refused", "video", v.ID, "user", v.Owner, "reason", string(refused.Reason), "detail", refused.Detail)
		return reasonKeys[refused.Reason], nil
	}
	if errors.Is(err, blob.ErrNotFound) {
		return failedKey, fmt.Errorf("%w: uploaded file: %w", errGivenUp, err)
	}
	if !p.blameless(ctx, err) && v.Attempts >= MaxTries {
		return failedKey, fmt.Errorf("%w: %w", errGivenUp, err)
	}
	return "", err
}

// blameless errors are not the video's fault.
func (p *Processor) blameless(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, clip.ErrNoFFmpeg) || errors.Is(err, blob.ErrNoSpace) || errors.Is(err, syscall.ENOSPC)
}

// fail ends the processing of a video for good; with release its uploaded file is
// let go.
func (p *Processor) fail(ctx context.Context, v store.Video, reason string, release bool) error {
	v, err := p.store.FailVideo(context.WithoutCancel(ctx), v.ID, v.SourceHash, reason, release)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return nil // deleted, or another file was uploaded meanwhile
	}
	if err == nil {
		p.videos.Changed()
		p.tell(v, StateName(v.State), 0)
	}
	return err
}

// release lets the uploaded file of a video go; the next sweep deletes it if it is
// no other's.
func (p *Processor) release(ctx context.Context, v store.Video) {
	if err := p.store.ForgetSource(context.WithoutCancel(ctx), v.ID, v.SourceHash); err != nil {
		p.log.Warn("uploaded file not released", "video", v.ID, "err", err)
	}
}

// progress notes how far a video is, and tells its owner at every tenth.
func (p *Processor) progress(v store.Video, percent int) {
	p.mu.Lock()
	before := p.percent[v.ID]
	p.percent[v.ID] = percent
	p.mu.Unlock()
	if percent == 0 || percent/10 != before/10 {
		p.tell(v, stateNames[store.VideoProcessing], percent)
	}
}

func (p *Processor) forget(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.percent, id)
}

// tell sends op 21 "video" (design.md 4).
func (p *Processor) tell(v store.Video, state string, percent int) {
	p.notify(v.Owner, protocol.Notice{Kind: protocol.NoticeVideo, VideoID: v.ID, State: state, Percent: percent, Reason: v.Reason})
}

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

// tidy queues what the queue may have lost, and deletes what nobody needs.
func (p *Processor) tidy(ctx context.Context) {
	t := time.NewTicker(cleanEvery)
	defer t.Stop()
	for round := 0; ; round++ {
		if missed := p.missed.Swap(false); missed || round%requeueRounds == requeueRounds-1 {
			if err := p.requeue(ctx, missed); err != nil && ctx.Err() == nil {
				p.log.Warn("uploads not queued again", "err", err)
				p.missed.Store(true)
			}
		}
		if err := p.clean(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("files of deleted videos not removed", "err", err)
		}
		if round%sweepRounds == 0 {
			if err := p.sweep(ctx); err != nil && ctx.Err() == nil {
				p.log.Warn("uploaded files not swept", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// requeue puts everything that is to be made into the topics again, with renditions
// these, too; what is there already is not put twice.
func (p *Processor) requeue(ctx context.Context, renditions bool) error {
	inState := func(state int) func(context.Context, int64, int) ([]store.Video, error) {
		return func(ctx context.Context, after int64, limit int) ([]store.Video, error) {
			return p.store.VideosInState(ctx, state, after, limit)
		}
	}
	for _, work := range []struct {
		topic *queue.Topic
		list  func(context.Context, int64, int) ([]store.Video, error)
	}{
		{p.jobs, inState(store.VideoProcessing)},
		{p.jobs, inState(store.VideoQueued)},
		{p.jobs, p.store.Replacements},
		{p.later, p.store.VideosWithSource},
	} {
		for after := int64(0); ; {
			list, err := work.list(ctx, after, listPage)
			if err != nil {
				return err
			}
			for _, v := range list {
				after = v.ID
				if work.topic == p.later && (!renditions || p.cfg.Load().KeepSource) {
					continue // done or given up, as a rule
				}
				if err := work.topic.Put(ctx, JobID(v.ID), nil, time.Time{}); err != nil {
					return err
				}
			}
			if len(list) < listPage {
				break
			}
		}
	}
	return nil
}

// clean deletes the files of videos that were deleted or replaced. What cannot be
// removed does not keep the rest.
func (p *Processor) clean(ctx context.Context) error {
	list, err := p.store.VideosToClean(ctx, listPage)
	if err != nil {
		return err
	}
	var errs []error
	for _, v := range list {
		err := p.blobs.Delete(ctx, v.Key+"/")
		if err == nil {
			err = p.store.VideoCleaned(ctx, v.ID)
		}
		if err != nil && ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
	}
	gone, err := p.store.GoneMedia(ctx, listPage)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, key := range gone {
		err := p.blobs.Delete(ctx, key+"/")
		if err == nil {
			err = p.store.MediaRemoved(ctx, key)
		}
		if err != nil && ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// sources is the folder of uploaded files.
const sources = "src/"

// sweep deletes uploaded files that became no video, or whose video is gone.
func (p *Processor) sweep(ctx context.Context) error {
	for after := ""; ; {
		list, err := p.blobs.List(ctx, sources, after, listPage)
		if err != nil {
			return err
		}
		for _, i := range list {
			after = i.Key
			if p.now().Sub(i.ModTime) < sweepAge {
				continue
			}
			if err := p.sweepSource(ctx, i.Key); err != nil {
				return err
			}
		}
		if len(list) < listPage {
			return nil
		}
	}
}

func (p *Processor) sweepSource(ctx context.Context, key string) error {
	hash := key[strings.LastIndexByte(key, '/')+1:]
	p.sourceMu.Lock()
	defer p.sourceMu.Unlock()
	if p.arriving[hash] > 0 {
		return nil
	}
	used, err := p.store.SourceUsed(ctx, hash)
	if err != nil || used {
		return err
	}
	return p.blobs.Delete(ctx, key)
}
