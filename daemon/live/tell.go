package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/queue"
)

// Followers are told in steps, each of which is one write of the notices of some
// of them and of how far it is; the queue only says when to go on.

const (
	tellBatch  = 200
	tellPause  = 20 * time.Millisecond // between steps, so that senders get their turn
	tellResume = time.Minute
)

// tellJob is the payload of a job: tell the followers behind After.
type tellJob struct{ Room, After int64 }

// putTell puts the next step, unless it is in line.
func (s *Service) putTell(ctx context.Context, room, after int64) error {
	payload, err := json.Marshal(tellJob{room, after})
	if err != nil {
		return err
	}
	return s.deps.Tell.Put(ctx, fmt.Sprintf("live-%d-%d", room, after), payload, time.Time{})
}

// resumeTelling puts the steps that were not done, at the start and now and then:
// the queue may have been lost or full.
func (s *Service) resumeTelling(ctx context.Context) {
	t := time.NewTicker(tellResume)
	defer t.Stop()
	for {
		rooms, err := s.store.Untold(ctx)
		for room, after := range rooms {
			err = errors.Join(err, s.putTell(ctx, room, after))
		}
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "followers not told", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// tellSome does one step and puts the next one.
func (s *Service) tellSome(ctx context.Context, j *queue.Job) error {
	var p tellJob
	if err := json.Unmarshal(j.Payload, &p); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	r, err := s.store.Live(ctx, p.Room)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil // a database from before it
		}
		return err
	}
	told, next, err := s.store.TellFans(ctx, p.Room, p.After, tellBatch)
	if err != nil {
		return err
	}
	if s.deps.Notify != nil {
		for _, n := range told {
			s.deps.Notify(n.User, protocol.Notice{Kind: protocol.NoticeLive, RoomID: r.ID, State: protocol.LiveOn, User: r.Owner, Text: r.Title})
		}
	}
	if next > p.After {
		return s.putTell(ctx, p.Room, next)
	}
	return nil
}
