package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gtiv/protocol"
)

// Videos lists a page of videos.
func (c *Client) Videos(ctx context.Context, f protocol.VideoFilter) (*protocol.VideoList, error) {
	q := url.Values{}
	setTexts(q, map[string]string{"State": f.State, "User": f.User})
	if f.Oldest {
		q.Set("Oldest", "true")
	}
	setNumbers(q, map[string]int64{"After": f.After, "Limit": int64(f.Limit)})
	return get[protocol.VideoList](ctx, c, "/v1/videos", q)
}

// Video answers everything about one video.
func (c *Client) Video(ctx context.Context, id int64) (*protocol.Video, error) {
	return get[protocol.Video](ctx, c, "/v1/videos/show", url.Values{"ID": {strconv.FormatInt(id, 10)}})
}

// HideVideo takes a video from everybody but its owner.
func (c *Client) HideVideo(ctx context.Context, req protocol.HideVideo) (*protocol.Video, error) {
	return post[protocol.Video](ctx, c, "/v1/videos/hide", req)
}

// ApproveVideo shows a video that waits for review or is hidden.
func (c *Client) ApproveVideo(ctx context.Context, id int64) (*protocol.Video, error) {
	return post[protocol.Video](ctx, c, "/v1/videos/approve", protocol.VideoRef{ID: id})
}

// DeleteVideo deletes a video for good, and answers it as it was.
func (c *Client) DeleteVideo(ctx context.Context, id int64) (*protocol.Video, error) {
	return post[protocol.Video](ctx, c, "/v1/videos/delete", protocol.VideoRef{ID: id})
}

// ReprocessVideos makes the files of a video anew, or those of a page of failed
// ones.
func (c *Client) ReprocessVideos(ctx context.Context, req protocol.ReprocessVideos) (*protocol.Reprocessed, error) {
	return post[protocol.Reprocessed](ctx, c, "/v1/videos/reprocess", req)
}

func importQuery(req protocol.ImportVideo) url.Values {
	q := url.Values{"Size": {strconv.FormatInt(req.Size, 10)}}
	setTexts(q, map[string]string{"User": req.User, "Title": req.Title, "Visibility": req.Visibility, "Name": req.Name, "Hash": req.Hash})
	if req.NoQuota {
		q.Set("NoQuota", "true")
	}
	return q
}

// CheckImport says whether a file could be imported now, or was imported before.
func (c *Client) CheckImport(ctx context.Context, req protocol.ImportVideo) (*protocol.Imported, error) {
	return get[protocol.Imported](ctx, c, "/v1/videos/import", importQuery(req))
}

// ImportVideo uploads a file of req.Size bytes for somebody.
func (c *Client) ImportVideo(ctx context.Context, req protocol.ImportVideo, file io.Reader) (*protocol.Imported, error) {
	path := "/v1/videos/import?" + importQuery(req).Encode()
	return send[protocol.Imported](ctx, c, http.MethodPost, path, "application/octet-stream", io.NopCloser(file), req.Size)
}

// Queues lists the topics of the queue.
func (c *Client) Queues(ctx context.Context) (*protocol.QueueList, error) {
	return get[protocol.QueueList](ctx, c, "/v1/queues", nil)
}

// QueueJobs lists a page of the jobs of a topic.
func (c *Client) QueueJobs(ctx context.Context, f protocol.QueueJobFilter) (*protocol.QueueJobs, error) {
	q := url.Values{"Topic": {f.Topic}}
	setTexts(q, map[string]string{"After": f.After})
	if f.Dead {
		q.Set("Dead", "true")
	}
	setNumbers(q, map[string]int64{"Limit": int64(f.Limit)})
	return get[protocol.QueueJobs](ctx, c, "/v1/queues/jobs", q)
}

// RetryJobs puts dead jobs in line again.
func (c *Client) RetryJobs(ctx context.Context, req protocol.QueueRef) (*protocol.QueueChanged, error) {
	return post[protocol.QueueChanged](ctx, c, "/v1/queues/retry", req)
}

// DropJobs forgets dead jobs.
func (c *Client) DropJobs(ctx context.Context, req protocol.QueueRef) (*protocol.QueueChanged, error) {
	return post[protocol.QueueChanged](ctx, c, "/v1/queues/drop", req)
}

// Doctor examines the daemon, and with fix repairs what it can. It may take many
// minutes.
func (c *Client) Doctor(ctx context.Context, fix bool) (*protocol.Checkup, error) {
	if fix {
		return send[protocol.Checkup](ctx, c, http.MethodPost, "/v1/doctor/fix", "application/json", strings.NewReader("{}"), 2)
	}
	return send[protocol.Checkup](ctx, c, http.MethodGet, "/v1/doctor", "", nil, 0)
}

// setTexts sets the parameters that are not empty.
func setTexts(q url.Values, texts map[string]string) {
	for name, t := range texts {
		if t != "" {
			q.Set(name, t)
		}
	}
}
