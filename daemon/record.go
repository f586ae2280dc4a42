package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"time"

	"gtiv/daemon/gateway"
	"gtiv/daemon/record"
	"gtiv/daemon/video"
	"gtiv/media"
	"gtiv/protocol"
	"gtiv/store"
)

// This file ties recordings to the streams they are made of and to the videos that
// are made of them.

// recordDir is the folder of recordings in the data folder.
const recordDir = "record"

func recordConfig(c Config) record.Config {
	return record.Config{
		Keep: time.Duration(c.Live.RecordKeep), MaxBytes: int64(c.Live.RecordMaxBytes), Quota: int64(c.Live.RecordQuota),
		MaxVideo: time.Duration(c.Video.MaxDuration),
	}
}

// makeRecord builds what records streams.
func (d *Daemon) makeRecord(ctx context.Context) error {
	var err error
	d.record, err = record.New(ctx, recordConfig(d.opt.Config), record.Deps{
		Store: d.store, Dir: filepath.Join(d.opt.Data, recordDir), Room: d.media.staging.Room,
		Stream: func(room int64) *media.Stream { return d.stream.Hub().Stream(strconv.FormatInt(room, 10)) },
		Submit: d.submitRecording,
		Video: func(ctx context.Context, id int64) (bool, error) {
			_, err := d.store.Video(ctx, id)
			if errors.Is(err, store.ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		},
		Notify: d.notifyRecording, Log: d.log.With("component", "record"),
	})
	return err
}

// submitRecording hands a recording to those who make videos of uploads.
func (d *Daemon) submitRecording(ctx context.Context, c record.Caller, v record.Video) (int64, error) {
	p, by, up := d.media.process, video.Caller{User: c.User, Role: c.Role}, video.Upload{Title: v.Title, UploadID: v.ID}
	if err := p.Begin(ctx, by, v.Size, up); err != nil {
		return 0, err
	}
	file, err := p.Adopt(ctx, by, v.Name, v.Path)
	if err != nil {
		return 0, err
	}
	defer file.Drop()
	made, err := p.Submit(ctx, by, file, up)
	return made.ID, err
}

// notifyRecording tells a user that a recording ended early, in the language they last
// used.
func (d *Daemon) notifyRecording(user int64, n protocol.Notice) {
	if !d.gateway.Online(user) {
		return
	}
	a, err := d.store.Account(context.Background(), user)
	if err != nil {
		d.log.Warn("language of a user not found", "user", user, "err", err)
	}
	n.Reason = protocol.Text(protocol.LanguageOf(a.Language, d.cfg.Load().Site.Language), n.Reason)
	d.gateway.Push(user, &gateway.Push{Op: protocol.OpNotice, Body: n.JSON(), FeaturesOnly: true})
}
