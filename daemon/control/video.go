package control

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"unicode/utf8"

	"gtiv/daemon/video"
	"gtiv/protocol"
	"gtiv/store"
)

// videos is what the handlers of videos need of video.Processor.
type videos interface {
	List(ctx context.Context, f store.VideoFilter) ([]store.VideoNamed, error)
	Show(ctx context.Context, id int64) (video.Detail, error)
	Hide(ctx context.Context, id int64, reason string) (store.Video, error)
	Approve(ctx context.Context, id int64) (store.Video, error)
	Remove(ctx context.Context, id int64) (store.Video, error)
	Remake(ctx context.Context, id int64) (store.Video, error)
	RemakeFailed(ctx context.Context, after int64) (video.Remade, error)
	CheckImport(ctx context.Context, i video.Import) (v store.Video, there bool, err error)
	Import(ctx context.Context, i video.Import, r io.Reader) (v store.Video, there bool, err error)
}

func (s *Server) listVideos(ctx context.Context, c *call) (any, error) {
	q := c.url.Query()
	after, limit, err := page(q, "After")
	if err != nil {
		return nil, err
	}
	f := store.VideoFilter{State: store.AnyState, Oldest: q.Get("Oldest") == "true", After: after, Limit: limit}
	if name := q.Get("State"); name != "" {
		var ok bool
		if f.State, ok = video.ParseState(name); !ok {
			return nil, badRequest("State must be queued, processing, ready, failed, review or hidden")
		}
	}
	if who := q.Get("User"); who != "" {
		owner, err := s.deps.Accounts.Find(ctx, who)
		if err != nil {
			return nil, err
		}
		f.Owner = owner.ID
	}
	found, err := s.deps.Videos.List(ctx, f)
	if err != nil {
		return nil, err
	}
	reply := protocol.VideoList{List: []protocol.Video{}}
	for _, v := range found {
		reply.List = append(reply.List, controlVideo(v.Video, v.Username))
	}
	if len(found) == limit {
		reply.Next = found[limit-1].ID
	}
	return reply, nil
}

func (s *Server) showVideo(ctx context.Context, c *call) (any, error) {
	id, err := strconv.ParseInt(c.url.Query().Get("ID"), 10, 64)
	if err != nil || id <= 0 {
		return nil, badRequest("ID is not an id")
	}
	return s.detail(ctx, id)
}

// detail is everything about a video.
func (s *Server) detail(ctx context.Context, id int64) (protocol.Video, error) {
	d, err := s.deps.Videos.Show(ctx, id)
	if err != nil {
		return protocol.Video{}, err
	}
	v := controlVideo(d.Video, d.Username)
	if v.Reason == "" { // why it waits
		v.Reason = video.ReasonText(protocol.LanguageEnglish, d.Status.State, d.Status.Reason)
	}
	v.Detail = &protocol.VideoDetail{
		Tags: list(d.Tags), UploadName: d.SourceName, Attempts: d.Attempts, Percent: d.Percent, Replacing: d.Replacement != "",
		Source: d.Source, Key: d.Key, Files: d.Files, FileBytes: d.Bytes,
	}
	if d.Key != "" {
		v.Detail.Link, v.Detail.URL = s.deps.VideoLink(d.Key, d.Owner)
	}
	return v, nil
}

// changed answers a video after a change, and notes it for the audit log.
func (s *Server) changed(c *call, v store.Video, detail string) (any, error) {
	c.target, c.detail = fmt.Sprintf("video %d of user %d", v.ID, v.Owner), detail
	return controlVideo(v, ""), nil
}

func (s *Server) hideVideo(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.HideVideo](c)
	switch {
	case err != nil:
		return nil, err
	case req.ID <= 0:
		return nil, badRequest("ID is missing")
	case utf8.RuneCountInString(req.Reason) > protocol.MaxControlReasonRunes:
		return nil, badRequest(fmt.Sprintf("the reason has more than %d characters", protocol.MaxControlReasonRunes))
	}
	v, err := s.deps.Videos.Hide(ctx, req.ID, req.Reason)
	if err != nil {
		return nil, err
	}
	return s.changed(c, v, req.Reason)
}

// videoRef reads which video is meant.
func videoRef(c *call) (int64, error) {
	req, err := decode[protocol.VideoRef](c)
	if err == nil && req.ID <= 0 {
		err = badRequest("ID is missing")
	}
	if err != nil {
		return 0, err
	}
	return req.ID, nil
}

func (s *Server) approveVideo(ctx context.Context, c *call) (any, error) {
	id, err := videoRef(c)
	if err != nil {
		return nil, err
	}
	v, err := s.deps.Videos.Approve(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.changed(c, v, "")
}

func (s *Server) deleteVideo(ctx context.Context, c *call) (any, error) {
	id, err := videoRef(c)
	if err != nil {
		return nil, err
	}
	v, err := s.deps.Videos.Remove(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.changed(c, v, v.Title)
}

func (s *Server) reprocessVideos(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.ReprocessVideos](c)
	switch {
	case err != nil:
		return nil, err
	case req.ID < 0 || req.After < 0 || (req.ID == 0) == !req.Failed:
		return nil, badRequest("name a video, or all that failed")
	case req.Failed:
		r, err := s.deps.Videos.RemakeFailed(ctx, req.After)
		if err != nil {
			return nil, err
		}
		c.target, c.detail, c.nothing = "videos that failed", fmt.Sprintf("%d queued", r.Queued), r.Queued == 0
		return protocol.Reprocessed{Queued: r.Queued, Gone: r.Gone, Next: r.Next}, nil
	}
	v, err := s.deps.Videos.Remake(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	c.target = fmt.Sprintf("video %d of user %d", v.ID, v.Owner)
	return protocol.Reprocessed{Queued: 1}, nil
}

// maxImportText bounds the parameters of an import; what is in them is checked by
// the rules.
const maxImportText = 4096 // bytes

// importOf reads for whom a file is imported, and what is said of it.
func (s *Server) importOf(ctx context.Context, q url.Values) (video.Import, error) {
	i := video.Import{
		Title: q.Get("Title"), Visibility: q.Get("Visibility"), Name: q.Get("Name"), Hash: q.Get("Hash"), NoQuota: q.Get("NoQuota") == "true",
	}
	for _, name := range []string{"User", "Title", "Visibility", "Name", "Hash"} {
		if len(q.Get(name)) > maxImportText {
			return i, badRequest(name + " is too long")
		}
	}
	var err error
	if i.Size, err = strconv.ParseInt(q.Get("Size"), 10, 64); err != nil || i.Size < 0 {
		return i, badRequest("Size is not a number of bytes")
	}
	if q.Get("User") == "" {
		return i, badRequest("User is missing")
	}
	owner, err := s.deps.Accounts.Find(ctx, q.Get("User"))
	if err != nil {
		return i, err
	}
	if owner.ID == store.BuiltInAccount || owner.DeletedAt != 0 {
		return i, badRequest("this account cannot have videos")
	}
	i.Owner = owner.ID
	return i, nil
}

func (s *Server) checkImport(ctx context.Context, c *call) (any, error) {
	i, err := s.importOf(ctx, c.url.Query())
	if err != nil {
		return nil, err
	}
	v, there, err := s.deps.Videos.CheckImport(ctx, i)
	if err != nil {
		return nil, err
	}
	return imported(v, there), nil
}

func (s *Server) importVideo(ctx context.Context, c *call) (any, error) {
	i, err := s.importOf(ctx, c.url.Query())
	if err != nil {
		return nil, drained(c, err)
	}
	v, there, err := s.deps.Videos.Import(ctx, i, c.body)
	if err != nil {
		return nil, drained(c, err)
	}
	c.target, c.detail, c.nothing = fmt.Sprintf("video %d of user %d", v.ID, v.Owner), i.Name, there
	return imported(v, there), nil
}

// drained reads the rest of a file that is refused: somebody who is still writing
// would not read the answer. A file that broke off is the client's affair.
func drained(c *call, err error) error {
	if _, e := io.Copy(io.Discard, c.body); e != nil {
		return badRequest("the file broke off")
	}
	return err
}

func imported(v store.Video, there bool) protocol.Imported {
	if v.ID == 0 {
		return protocol.Imported{}
	}
	shown := controlVideo(v, "")
	return protocol.Imported{Video: &shown, There: there}
}

func controlVideo(v store.Video, username string) protocol.Video {
	state := video.StateName(v.State)
	return protocol.Video{
		ID: v.ID, Owner: v.Owner, Username: username, Title: v.Title, State: state,
		Reason:     video.ReasonText(protocol.LanguageEnglish, state, v.Reason),
		Visibility: video.VisibilityName(v.Visibility), Width: v.Width, Height: v.Height, DurationMS: v.DurationMS, SizeBytes: v.SizeBytes,
		Likes: v.SupportNum, Collections: v.CollectNum, Comments: v.CommentNum, Shares: v.ShareNum, Plays: v.PlayNum,
		CreatedAt: atMs(v.CreatedAt), PublishedAt: atMs(v.PublishedAt),
	}
}
