package daemon

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"gtiv/daemon/gateway"
	"gtiv/daemon/upload"
	"gtiv/daemon/video"
	"gtiv/daemon/web"
	"gtiv/media/clip"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
	"gtiv/store/queue"
)

// This file puts together what keeps, takes, processes and serves media files.

// Folders of the data folder.
const (
	mediaDir   = "media"   // blobs, or with S3 only what is on its way there
	uploadsDir = "uploads" // unfinished uploads of files for chats
	tusDir     = "tus"     // unfinished resumable uploads of videos
)

// uploadBucket is the bucket's name in our own upload tokens.
const uploadBucket = "gtiv"

// mediaParts are those parts, as the daemon holds them.
type mediaParts struct {
	blobs   blob.Bucket
	staging *blob.Staging
	process *video.Processor
	upload  *upload.Server
	token   upload.Token
	signer  *web.Signer
	clips   *clip.Clipper
	making  atomic.Bool // a video is being made
}

func processConfig(c Config) video.ProcessConfig {
	p := video.ProcessConfig{
		MaxBytes: int64(c.Video.MaxUpload), Quota: int64(c.Video.Quota), UploadsPerHour: c.Video.UploadsPerHour,
		KeepSource: c.Video.KeepSource, Review: c.Site.Review,
	}
	if c.Video.Ladder {
		p.Rungs = []int{360, 720}
	}
	return p
}

// openBlobs opens where files are kept.
func (d *Daemon) openBlobs(context.Context) error {
	m := d.opt.Config.Media
	cfg := blob.Config{Dir: filepath.Join(d.opt.Data, mediaDir), MinFree: int64(m.MinFree), Logger: d.log.With("component", "blob")}
	if m.Store == MediaS3 {
		s, err := blob.OpenS3(blob.S3Config{
			Staging: cfg, Endpoint: m.S3Endpoint, Region: m.S3Region, Bucket: m.S3Bucket, Key: m.S3Key, Secret: m.S3Secret.Reveal(),
			PathStyle: m.S3PathStyle, Prefix: m.S3Prefix,
		})
		if err != nil {
			return err
		}
		d.media.blobs, d.media.staging = s, s.Staging
		return nil
	}
	s, err := blob.Open(cfg)
	if err != nil {
		return err
	}
	d.media.blobs, d.media.staging = s, s.Staging
	return nil
}

// checkTime bounds the first look at an S3 bucket.
const checkTime = 15 * time.Second

// runBlobs looks whether the bucket is there, for the log, and sweeps.
func (d *Daemon) runBlobs(ctx context.Context) error {
	if s, ok := d.media.blobs.(*blob.S3); ok {
		limited, cancel := context.WithTimeout(ctx, checkTime)
		if err := s.Check(limited); err != nil && ctx.Err() == nil {
			d.log.Error("the S3 bucket cannot be used; check [media]. Uploads and videos fail until it answers",
				"endpoint", d.opt.Config.Media.S3Endpoint, "bucket", d.opt.Config.Media.S3Bucket, "err", err)
		}
		cancel()
	}
	return d.media.staging.Run(ctx)
}

// makeMedia builds what takes and processes uploads.
func (d *Daemon) makeMedia(context.Context) error {
	c := d.opt.Config
	key, err := secret(d.opt.Data, "media.key", 32)
	if err != nil {
		return err
	}
	d.media.signer = &web.Signer{Key: derived(key, "path")}
	d.media.token = upload.Token{AccessKey: uploadBucket, Secret: derived(key, "upload")}
	if err := d.makeProcessor(c); err != nil {
		return err
	}
	perDay := int64(c.Media.ChatPerDay)
	if perDay == 0 {
		perDay = -1
	}
	keep := time.Duration(c.Media.ChatKeep)
	if keep == 0 {
		keep = -1
	}
	d.media.upload, err = upload.New(upload.Config{
		Dir: filepath.Join(d.opt.Data, uploadsDir), Bucket: uploadBucket, MaxSize: int64(c.Video.MaxUpload), DayBytes: perDay, Keep: keep,
	}, upload.Deps{
		Blobs: d.media.blobs, Staging: d.media.staging, Token: d.media.token, Logger: d.log.With("component", "upload"),
		May: d.mayUpload, Deleted: d.deleted, Strip: stripFile, Address: func(r *http.Request) netip.Addr { return d.web.ClientAddress(r) },
	})
	return err
}

// derived is a key for one use, made of the one that is kept.
func derived(key []byte, use string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(use)) //nolint:errcheck // never fails
	return []byte(hex.EncodeToString(m.Sum(nil)))
}

func clipConfig(c Config) clip.Config {
	return clip.Config{
		FFmpeg: c.Video.FFmpeg, FFprobe: c.Video.FFprobe, Threads: c.Video.Threads, MaxDuration: time.Duration(c.Video.MaxDuration),
	}
}

func (d *Daemon) makeProcessor(c Config) error {
	cfg := clipConfig(c)
	cfg.Hold = func() bool { return d.stream.ShortOfCPU() } // nothing runs before all is there
	clips, err := clip.New(cfg)
	if err != nil {
		return err
	}
	d.media.clips = clips
	// The next video comes before the last one's renditions.
	cfg.Hold = func() bool { return d.media.making.Load() || d.stream.ShortOfCPU() }
	slow, err := clip.New(cfg)
	if err != nil {
		return err
	}
	d.media.process, err = video.NewProcessor(processConfig(c), video.ProcessDeps{
		Videos: d.video, Store: d.store, Blobs: d.media.blobs, Staging: d.media.staging, Clips: clips, Slow: slow,
		Jobs: d.queue.Topic(topicProcess, processOptions()), Later: d.queue.Topic(topicLadder, processOptions()), Busy: &d.media.making,
		Notify: d.notifyVideo, Logger: d.log.With("component", "process"),
	})
	return err
}

// processOptions are those of the topics of videos. The processor counts the tries
// itself: waiting for ffmpeg or for room on the disk is none.
func processOptions() queue.TopicOptions {
	return queue.TopicOptions{MaxAttempts: 1 << 30, Backoff: processBackoff}
}

// processBackoff is the wait before another try.
func processBackoff(attempt int) time.Duration {
	return min(time.Second<<min(attempt, 6), time.Minute)
}

// notifyVideo tells a user how far a video is, in the language they last used.
func (d *Daemon) notifyVideo(user int64, n protocol.Notice) {
	if !d.gateway.Online(user) {
		return
	}
	if n.Reason != "" {
		a, err := d.store.Account(context.Background(), user)
		if err != nil {
			d.log.Warn("language of a user not found", "user", user, "err", err)
		}
		n.Reason = video.ReasonText(protocol.LanguageOf(a.Language, d.cfg.Load().Site.Language), n.State, n.Reason)
	}
	d.gateway.Push(user, &gateway.Push{Op: protocol.OpNotice, Body: n.JSON(), FeaturesOnly: true})
}

var errNoAccount = errors.New("the account is banned or deleted")

// mayUpload says whether the owner of a token is still somebody.
func (d *Daemon) mayUpload(ctx context.Context, user int64) error {
	a, err := d.store.Account(ctx, user)
	if errors.Is(err, store.ErrNotFound) || err == nil && (a.DeletedAt != 0 || a.BannedUntil > time.Now().UnixMilli()) {
		return errNoAccount
	}
	return err
}

// deleted says whether an account is no more.
func (d *Daemon) deleted(ctx context.Context, user int64) (bool, error) {
	a, err := d.store.Account(ctx, user)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return a.DeletedAt != 0, err
}

// stripFile removes what a video or sound says of its place.
func stripFile(_ context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // a name of ours
	if err != nil {
		return err
	}
	err = clip.Strip(f)
	if _, refused := errors.AsType[*clip.RefusedError](err); refused {
		err = fmt.Errorf("%w: %w", upload.ErrMedia, err)
	}
	return errors.Join(err, f.Close())
}

// uploadToken makes the token that a client app uploads files for chats with.
func (d *Daemon) uploadToken(user int64, valid time.Duration) (token, base string) {
	end := time.Now().Add(valid)
	if q := d.opt.Config.Qiniu; q.AccessKey != "" {
		t := upload.Token{AccessKey: q.AccessKey, Secret: []byte(q.SecretKey.Reveal())}
		return t.Sign(upload.NewPolicy(q.Bucket, 0, end)), q.BaseURL
	}
	return d.media.token.Sign(upload.NewPolicy(uploadBucket, user, end)), ""
}

// served finds the video whose files a viewer asks for.
func (d *Daemon) served(ctx context.Context, viewer int64, key string) (store.Video, error) {
	return d.store.ServedVideo(ctx, viewer, false, key)
}

// videoLink is the path of a video's playlist that its owner, and whoever has the
// path, can open for some hours whatever its state is, and the whole address if the
// site has one.
func (d *Daemon) videoLink(key string, owner int64) (path, address string) {
	path = web.ClipPath + d.media.signer.Sign(key, owner) + "/" + clip.Playlist
	if site := d.cfg.Load().Site.PublicURL; site != "" {
		address = strings.TrimRight(site, "/") + path
	}
	return path, address
}
