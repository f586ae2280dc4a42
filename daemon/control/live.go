package control

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gtiv/protocol"
	"gtiv/store"
)

// lives is what the handlers of live rooms need of live.Service.
type lives interface {
	All(ctx context.Context, f store.LiveFilter) ([]store.LiveShown, error)
	Find(ctx context.Context, room int64) (store.LiveShown, error)
	AnyKey(ctx context.Context, room int64, reset bool) (string, error)
	Pushes(ctx context.Context, room int64) ([]string, error)
	SetPush(ctx context.Context, room int64, url string, on bool) error
	SetStreamer(ctx context.Context, user int64, may bool) error
	Streamers(ctx context.Context, after int64, limit int) ([]store.Account, error)
	Online(room int64) int
}

// streams is what they need of the streams themselves.
type streams interface {
	Viewers(room int64) int
	Stream(room int64) (st protocol.LiveStream, began int64, ok bool)
	Notes(room int64) []string
	Sessions(room int64) []protocol.LiveSession
	Kick(room, session int64, d time.Duration) bool
	// KickPublisher ends the stream of a room and lets nobody publish it for a time;
	// false: it was off air.
	KickPublisher(room int64, d time.Duration) bool
	// BarredUntil is until when nobody may publish a room, zero for not; Pardon lets
	// everybody come back who was sent away.
	BarredUntil(room int64) time.Time
	Pardon(room int64)
	// PushState is how pushing to another server goes.
	PushState(room int64, url string) string
	// CheckPush says what is wrong with the address of another server.
	CheckPush(url string) error
	// Push begins or ends at once what SetPush said.
	Push(room int64, url string, on bool)
}

func (s *Server) listLives(ctx context.Context, c *call) (any, error) {
	q := c.url.Query()
	after, limit, err := page(q, "After")
	if err != nil {
		return nil, err
	}
	found, err := s.deps.Lives.All(ctx, store.LiveFilter{OnAir: q.Get("OnAir") == "true", After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	reply := protocol.LiveList{List: []protocol.Live{}}
	for _, r := range found {
		reply.List = append(reply.List, s.live(r))
	}
	if len(found) == limit {
		reply.Next = found[limit-1].ID
	}
	return reply, nil
}

func (s *Server) live(r store.LiveShown) protocol.Live {
	l := protocol.Live{
		ID: r.ID, Owner: r.Owner, Username: r.Account.Username, Title: r.Title, Closed: r.Closed, Access: r.Access, Hearts: r.Hearts,
		Viewers: s.deps.Streams.Viewers(r.ID), BarredUntil: s.deps.Streams.BarredUntil(r.ID),
	}
	if st, began, ok := s.deps.Streams.Stream(r.ID); ok {
		l.OnAir, l.Stream, l.Began = true, &st, atMs(began)
	}
	return l
}

// liveID reads which live room is meant.
func liveID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, badRequest("ID is not the id of a live room")
	}
	return id, nil
}

func (s *Server) showLive(ctx context.Context, c *call) (any, error) {
	id, err := liveID(c.url.Query().Get("ID"))
	if err != nil {
		return nil, err
	}
	r, err := s.deps.Lives.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	pushes, err := s.deps.Lives.Pushes(ctx, id)
	if err != nil {
		return nil, err
	}
	l := s.live(r)
	l.Detail = &protocol.LiveDetail{
		Chat: s.deps.Lives.Online(id), Notes: list(s.deps.Streams.Notes(id)), Pushes: []string{}, Sessions: list(s.deps.Streams.Sessions(id)),
	}
	for _, u := range pushes {
		text := withoutKey(u)
		if state := s.deps.Streams.PushState(id, u); state != "" {
			text += " (" + state + ")"
		}
		l.Detail.Pushes = append(l.Detail.Pushes, text)
	}
	return l, nil
}

// withoutKey is the address of another server without its last part, which often is
// a secret.
func withoutKey(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "…"
	}
	return u.Scheme + "://" + u.Host + u.Path[:strings.LastIndexByte(u.Path, '/')+1] + "…"
}

func (s *Server) kickLive(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.KickLive](c)
	if err != nil {
		return nil, err
	}
	d := time.Duration(req.Seconds) * time.Second
	switch {
	case req.ID <= 0:
		return nil, badRequest("ID is missing")
	case req.Seconds < 0 || req.Seconds > int64(protocol.MaxLiveKickTime.Seconds()):
		return nil, badRequest(fmt.Sprintf("Seconds must be between 0 and %d", int64(protocol.MaxLiveKickTime.Seconds())))
	case req.Seconds == 0:
		d = protocol.LiveKickTime
	}
	r, err := s.deps.Lives.Find(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if req.Pardon {
		s.deps.Streams.Pardon(req.ID)
		c.target, c.detail = liveTarget(r), "pardoned"
		return s.live(r), nil
	}
	switch {
	case req.Session == 0 && !s.deps.Streams.KickPublisher(req.ID, d):
		return nil, protocol.Errorf(protocol.CodeConflict, "notOnAir")
	case req.Session != 0 && !s.deps.Streams.Kick(req.ID, req.Session, d):
		return nil, protocol.Errorf(protocol.CodeUnknown, "noSuchSession")
	}
	c.target, c.detail = liveTarget(r), "the publisher, "+d.String()
	if req.Session != 0 {
		c.detail = fmt.Sprintf("session %d, %s", req.Session, d)
	}
	return s.live(r), nil
}

func liveTarget(r store.LiveShown) string { return fmt.Sprintf("live %d of user %d", r.ID, r.Owner) }

func (s *Server) liveKey(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.LiveKeyOf](c)
	if err == nil && req.ID <= 0 {
		err = badRequest("ID is missing")
	}
	if err != nil {
		return nil, err
	}
	r, err := s.deps.Lives.Find(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	key, err := s.deps.Lives.AnyKey(ctx, req.ID, req.Reset)
	if err != nil {
		return nil, err
	}
	c.target, c.detail = liveTarget(r), "shown"
	if req.Reset {
		c.detail = "reset"
	}
	return protocol.LiveKeyShown{ID: req.ID, Key: key}, nil
}

func (s *Server) pushLive(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.PushLive](c)
	switch {
	case err != nil:
		return nil, err
	case req.ID <= 0:
		return nil, badRequest("ID is missing")
	}
	r, err := s.deps.Lives.Find(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if req.Off {
		if req.URL, err = s.pushed(ctx, req.ID, req.URL); err != nil {
			return nil, err
		}
	} else if err := s.deps.Streams.CheckPush(req.URL); err != nil {
		return nil, badRequest("URL must be rtmp://HOST/APP/KEY or rtmps://HOST/APP/KEY: " + err.Error())
	}
	if err := s.deps.Lives.SetPush(ctx, req.ID, req.URL, !req.Off); err != nil {
		return nil, err
	}
	s.deps.Streams.Push(req.ID, req.URL, !req.Off)
	c.target, c.detail = liveTarget(r), withoutKey(req.URL)
	if req.Off {
		c.detail += " off"
	}
	return s.live(r), nil
}

// pushed finds the whole address of a server that a room is pushed to by it, or by
// what is shown of it.
func (s *Server) pushed(ctx context.Context, room int64, address string) (string, error) {
	all, err := s.deps.Lives.Pushes(ctx, room)
	if err != nil {
		return "", err
	}
	found := ""
	for _, u := range all {
		if u == address {
			return u, nil
		}
		if shown := withoutKey(u); shown == address || shown == address+"…" {
			if found != "" {
				return "", badRequest("several servers begin like that; give the whole address")
			}
			found = u
		}
	}
	if found == "" {
		return address, nil // which is not there
	}
	return found, nil
}

func (s *Server) allowLive(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.AllowLive](c)
	if err != nil {
		return nil, err
	}
	a, err := s.target(ctx, c, req.User)
	if err != nil {
		return nil, err
	}
	if err := s.deps.Lives.SetStreamer(ctx, a.ID, !req.Deny); err != nil {
		return nil, err
	}
	if c.detail = "may stream"; req.Deny {
		c.detail = "may not stream"
	}
	return s.user(a), nil
}

func (s *Server) listStreamers(ctx context.Context, c *call) (any, error) {
	after, limit, err := page(c.url.Query(), "After")
	if err != nil {
		return nil, err
	}
	found, err := s.deps.Lives.Streamers(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	reply := protocol.StreamerList{List: []protocol.User{}}
	for _, a := range found {
		reply.List = append(reply.List, s.user(a))
	}
	if len(found) == limit {
		reply.Next = found[limit-1].ID
	}
	return reply, nil
}
