package video

import (
	"context"
	"errors"

	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
	"gtiv/store/queue"
)

// This file holds what moderators and operators do with videos.

// StateDeleted is what the owner of a video that was deleted by a moderator is
// told; no video is ever found in it.
const StateDeleted = "deleted"

// ReasonText is a reason as a reader sees it: the words of a moderator as they are,
// the program's own in the reader's language.
func ReasonText(language, state, reason string) string {
	if reason == "" || state == stateNames[store.VideoHidden] || state == StateDeleted {
		return reason
	}
	return protocol.Text(language, reason)
}

// Detail is a video as moderators see it.
type Detail struct {
	store.VideoNamed
	Status
	Tags   []string
	Source bool  // its uploaded file is still there
	Files  int   // of what was made of it
	Bytes  int64 // of these files
}

// List lists videos of everybody, in any state.
func (p *Processor) List(ctx context.Context, f store.VideoFilter) ([]store.VideoNamed, error) {
	return p.store.AllVideos(ctx, f)
}

// Show answers everything about a video. Code: CodeUnknown.
func (p *Processor) Show(ctx context.Context, id int64) (Detail, error) {
	v, err := p.store.Video(ctx, id)
	if err != nil {
		return Detail{}, videoError(err)
	}
	d := Detail{VideoNamed: store.VideoNamed{Video: v}, Status: p.status(v)}
	owner, err := p.store.Account(ctx, v.Owner)
	if err != nil {
		return d, err
	}
	d.Username = owner.Username
	if d.Tags, err = p.store.VideoTags(ctx, id); err != nil {
		return d, err
	}
	if d.Source, err = p.hasSource(ctx, v); err != nil || v.Key == "" {
		return d, err
	}
	for after := ""; ; {
		list, err := p.blobs.List(ctx, v.Key+"/", after, listPage)
		if err != nil {
			return d, err
		}
		for _, i := range list {
			after = i.Key
			d.Files++
			d.Bytes += i.Size
		}
		if len(list) < listPage {
			return d, nil
		}
	}
}

// hasSource says whether the uploaded file of a video is still there.
func (p *Processor) hasSource(ctx context.Context, v store.Video) (bool, error) {
	hash := v.SourceHash
	if v.Replacement != "" {
		hash = v.Replacement
	}
	key, err := sourceKey(hash)
	if err == nil {
		_, err = p.blobs.Stat(ctx, key)
	}
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Hide takes a video from everybody but its owner, who is told why. Codes:
// CodeUnknown, CodeConflict (it has failed).
func (p *Processor) Hide(ctx context.Context, id int64, reason string) (store.Video, error) {
	return p.moderate(ctx, id, []int{store.VideoQueued, store.VideoProcessing, store.VideoReady, store.VideoReview, store.VideoHidden}, store.VideoHidden, reason)
}

// Approve shows a video that waits for review or is hidden; one that has no files
// yet is queued. Codes: CodeUnknown, CodeConflict (it is in another state).
func (p *Processor) Approve(ctx context.Context, id int64) (store.Video, error) {
	v, err := p.moderate(ctx, id, []int{store.VideoReview, store.VideoHidden}, store.VideoReady, "")
	if err == nil && v.State == store.VideoQueued {
		p.again(ctx, v.ID)
	}
	return v, err
}

func (p *Processor) moderate(ctx context.Context, id int64, from []int, to int, reason string) (store.Video, error) {
	v, err := p.videos.published(ctx, id, func() (store.Video, error) { return p.store.ModerateVideo(ctx, id, from, to, reason) })
	if errors.Is(err, store.ErrConflict) {
		return v, protocol.Errorf(protocol.CodeConflict, "videoInState", StateName(v.State))
	}
	if err != nil {
		return v, err
	}
	percent := 0
	if v.State == store.VideoReady {
		percent = 100
	}
	p.tell(v, StateName(v.State), percent)
	return v, nil
}

// Remove deletes a video, whoever owns it. Code: CodeUnknown.
func (p *Processor) Remove(ctx context.Context, id int64) (store.Video, error) {
	v, err := p.store.DeleteVideo(ctx, 0, true, id)
	if err != nil {
		return v, videoError(err)
	}
	p.stop(id)
	p.videos.Changed()
	p.tell(v, StateDeleted, 0)
	return v, nil
}

// Remake makes the files of a video anew of its uploaded file; until then it is
// shown as it was. Codes: CodeUnknown, CodeConflict (the file is gone).
func (p *Processor) Remake(ctx context.Context, id int64) (store.Video, error) {
	v, err := p.store.Video(ctx, id)
	if err != nil {
		return v, videoError(err)
	}
	there, err := p.hasSource(ctx, v)
	if err != nil {
		return v, err
	}
	gone := protocol.Errorf(protocol.CodeConflict, "videoSourceGone")
	if !there {
		return v, gone
	}
	v, err = p.store.RemakeVideo(ctx, id)
	switch {
	case errors.Is(err, store.ErrConflict): // let go since
		return v, gone
	case err != nil:
		return v, videoError(err)
	}
	p.videos.Changed()
	p.again(ctx, id)
	if v.State == store.VideoQueued {
		p.tell(v, StateName(v.State), 0)
	}
	return v, nil
}

// Remade is what RemakeFailed did.
type Remade struct {
	Queued int
	Gone   int   // whose uploaded files are gone
	Next   int64 // what comes after; 0: nothing
}

// RemakeFailed does Remake for a page of videos that failed, behind the id after.
func (p *Processor) RemakeFailed(ctx context.Context, after int64) (Remade, error) {
	var r Remade
	list, err := p.store.VideosInState(ctx, store.VideoFailed, after, listPage)
	if err != nil {
		return r, err
	}
	for _, v := range list {
		_, err := p.Remake(ctx, v.ID)
		switch protocol.CodeOf(err) {
		case protocol.CodeOK:
			r.Queued++
		case protocol.CodeConflict:
			r.Gone++
		case protocol.CodeUnknown: // deleted since
		default:
			return r, err
		}
	}
	if len(list) == listPage {
		r.Next = list[listPage-1].ID
	}
	return r, nil
}

// again queues a video that was given up before.
func (p *Processor) again(ctx context.Context, id int64) {
	if err := p.jobs.DropDead(ctx, JobID(id)); err != nil && !errors.Is(err, queue.ErrNotFound) {
		p.log.Warn("dead job not dropped", "job", JobID(id), "err", err)
	}
	p.queue(ctx, id)
}
