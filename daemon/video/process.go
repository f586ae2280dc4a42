package video

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
