package video

import (
	"context"
	"errors"
	"strings"
	"time"

	"gtiv/store"
	"gtiv/store/queue"
)

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
