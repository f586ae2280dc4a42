package control

import (
	"context"
	"fmt"

	"gtiv/protocol"
)

// queues is what the handlers of queues need of the daemon. A topic or a job that
// is not there is protocol.CodeUnknown.
type queues interface {
	List() []protocol.Queue
	Jobs(ctx context.Context, f protocol.QueueJobFilter) (protocol.QueueJobs, error)
	// Retry puts a dead job in line again; with id "" all of the topic.
	Retry(ctx context.Context, topic, id string) (jobs int, err error)
	// Drop forgets a dead job, or all.
	Drop(ctx context.Context, topic, id string) (jobs int, err error)
}

const maxJobCursor = 500 // bytes

func (s *Server) listQueues(context.Context, *call) (any, error) {
	return protocol.QueueList{List: list(s.deps.Queues.List())}, nil
}

func (s *Server) listJobs(ctx context.Context, c *call) (any, error) {
	q := c.url.Query()
	_, limit, err := page(q, "")
	if err != nil {
		return nil, err
	}
	f := protocol.QueueJobFilter{Topic: q.Get("Topic"), Dead: q.Get("Dead") == "true", After: q.Get("After"), Limit: limit}
	switch {
	case f.Topic == "":
		return nil, badRequest("Topic is missing")
	case len(f.After) > maxJobCursor:
		return nil, badRequest("After is too long")
	}
	jobs, err := s.deps.Queues.Jobs(ctx, f)
	if err != nil {
		return nil, err
	}
	jobs.List = list(jobs.List)
	return jobs, nil
}

func (s *Server) retryJobs(ctx context.Context, c *call) (any, error) {
	return s.settle(ctx, c, s.deps.Queues.Retry)
}

func (s *Server) dropJobs(ctx context.Context, c *call) (any, error) {
	return s.settle(ctx, c, s.deps.Queues.Drop)
}

func (s *Server) settle(ctx context.Context, c *call, do func(ctx context.Context, topic, id string) (int, error)) (any, error) {
	req, err := decode[protocol.QueueRef](c)
	switch {
	case err != nil:
		return nil, err
	case req.Topic == "":
		return nil, badRequest("Topic is missing")
	case (req.ID == "") != req.All:
		return nil, badRequest("name a job, or all of the topic")
	}
	n, err := do(ctx, req.Topic, req.ID)
	if err != nil {
		return nil, err
	}
	c.target, c.nothing = fmt.Sprintf("topic %s", req.Topic), n == 0
	if c.detail = "job " + req.ID; req.All {
		c.detail = fmt.Sprintf("%d jobs", n)
	}
	return protocol.QueueChanged{Jobs: n}, nil
}
