package daemon

import (
	"context"
	"errors"

	"gtiv/protocol"
	"gtiv/store/queue"
)

// The topics of the queue.
const (
	topicAnnounce = "announce"
	topicProcess  = "process" // videos to be made
	topicLadder   = "ladder"  // and their renditions
	topicLive     = "live"    // followers to be told that a room is on air
)

// topics are the queues as administrators see them.
type topics struct{ q *queue.Store }

// List is every topic.
func (t topics) List() []protocol.Queue {
	list := []protocol.Queue{}
	for _, topic := range t.q.Topics() {
		st := topic.Stats()
		list = append(list, protocol.Queue{
			Name: topic.Name(), Depth: st.Depth, Leased: st.Leased, Dead: st.Dead, OldestSeconds: int64(st.OldestAge.Seconds()),
		})
	}
	return list
}

func (t topics) find(name string) (*queue.Topic, error) {
	for _, topic := range t.q.Topics() {
		if topic.Name() == name {
			return topic, nil
		}
	}
	return nil, protocol.Errorf(protocol.CodeUnknown, "noSuchTopic", name)
}

// Jobs lists a page of a topic.
func (t topics) Jobs(ctx context.Context, f protocol.QueueJobFilter) (protocol.QueueJobs, error) {
	var reply protocol.QueueJobs
	topic, err := t.find(f.Topic)
	if err != nil {
		return reply, err
	}
	if f.Dead {
		jobs, err := topic.Dead(ctx, f.After, f.Limit)
		for _, j := range jobs {
			reply.List = append(reply.List, protocol.QueueJob{
				ID: j.ID, State: "dead", Attempts: j.Attempts, Reason: j.Reason, EnqueuedAt: j.EnqueuedAt.UTC(), DiedAt: j.DiedAt.UTC(),
			})
		}
		if len(jobs) == f.Limit {
			reply.Next = jobs[f.Limit-1].ID
		}
		return reply, err
	}
	jobs, err := topic.List(ctx, f.After, f.Limit)
	if errors.Is(err, queue.ErrInvalid) {
		return reply, protocol.Errorf(protocol.CodeBadValue, "badCursor")
	}
	for _, j := range jobs {
		state := "waiting"
		if j.Leased {
			state = "leased"
		}
		reply.List = append(reply.List, protocol.QueueJob{
			ID: j.ID, State: state, Attempts: j.Attempts, EnqueuedAt: j.EnqueuedAt.UTC(), DueAt: j.NotBefore.UTC(),
		})
	}
	if len(jobs) == f.Limit {
		reply.Next = jobs[f.Limit-1].Cursor
	}
	return reply, err
}

// Retry puts a dead job in line again, or all of a topic.
func (t topics) Retry(ctx context.Context, name, id string) (int, error) {
	return t.each(ctx, name, id, (*queue.Topic).RetryDead)
}

// Drop forgets a dead job, or all of a topic.
func (t topics) Drop(ctx context.Context, name, id string) (int, error) {
	return t.each(ctx, name, id, (*queue.Topic).DropDead)
}

const deadPage = 200

func (t topics) each(ctx context.Context, name, id string, do func(*queue.Topic, context.Context, string) error) (int, error) {
	topic, err := t.find(name)
	if err != nil {
		return 0, err
	}
	if id != "" {
		if err := do(topic, ctx, id); errors.Is(err, queue.ErrNotFound) {
			return 0, protocol.Errorf(protocol.CodeUnknown, "noSuchJob", id)
		} else if err != nil {
			return 0, err
		}
		return 1, nil
	}
	n := 0
	for after := ""; ; {
		jobs, err := topic.Dead(ctx, after, deadPage)
		if err != nil {
			return n, err
		}
		for _, j := range jobs {
			after = j.ID
			switch err := do(topic, ctx, j.ID); {
			case errors.Is(err, queue.ErrNotFound): // somebody else was quicker
			case err != nil:
				return n, err
			default:
				n++
			}
		}
		if len(jobs) < deadPage {
			return n, nil
		}
	}
}
