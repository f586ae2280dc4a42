package web

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"gtiv/daemon/live"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
	"gtiv/store"
)

// Viewer is who a token in front of a room's name speaks for; a guest, if it is none
// or for another room.
func (s *Signer) Viewer(token string, room int64) live.Viewer {
	claim, ok := s.Live(token)
	switch {
	case !ok:
		return live.Viewer{}
	case claim.User != 0:
		return live.Viewer{User: claim.User}
	case claim.Room == room:
		return live.Viewer{Link: true, Epoch: claim.Epoch}
	}
	return live.Viewer{}
}

// liveViewer is the caller as a viewer, with the link they came by.
func (s *Server) liveViewer(c *api.Call, token string, room int64) live.Viewer {
	v := live.Viewer{}
	if s.deps.Signer != nil && token != "" {
		v = s.deps.Signer.Viewer(token, room)
	}
	if c.Principal.User != 0 {
		v.User = c.Principal.User
	}
	return v
}

// handleLiveInfo serves GET /live/info.
func (s *Server) handleLiveInfo(c *api.Call, req *protocol.LiveInfoRequest) (*protocol.LiveInfoReply, error) {
	viewer := s.liveViewer(c, req.Token, req.RoomID)
	v, err := s.deps.Live.View(c.Context(), viewer, req.RoomID)
	if err != nil {
		return nil, err
	}
	follows, err := s.follows(c, v.Owner)
	if err != nil {
		return nil, err
	}
	token := s.viewerToken(c)
	if viewer.Link && v.Refused == nil {
		token = req.Token + "/"
	}
	room := live.Room{ID: v.ID, Owner: v.Account, Title: v.Title, Cover: v.Cover, OnAir: v.OnAir && v.Refused == nil, Access: v.Access}
	rep := &protocol.LiveInfoReply{
		LiveItem: s.liveItem(c, room, follows, token), Hearts: v.Hearts, Mine: c.Principal.User == v.Owner, Moderator: v.Rank >= store.LiveModerator,
		MayWatch: v.Refused == nil, Access: v.Access, Path: token + text(v.ID),
	}
	if v.OnAir {
		rep.State = 1
	}
	if rep.Mine {
		setting, err := s.deps.Records.Setting(c.Context(), recordCaller(c), v.ID)
		if err != nil {
			return nil, err
		}
		rep.Record = setting.Mode
	}
	if reason, ok := errors.AsType[*protocol.Error](v.Refused); ok {
		rep.Refused = reason.Text(c.Language)
	}
	if rep.MayWatch {
		rep.LiveStream, rep.Began, _ = s.deps.Streams.Stream(v.ID)
		rep.Notes = s.deps.Streams.Notes(v.ID)
	}
	return rep, nil
}

// handleLiveAccess serves POST /live/access.
func (s *Server) handleLiveAccess(c *api.Call, req *protocol.LiveAccessRequest) (*protocol.LiveAccessReply, error) {
	r, err := s.deps.Live.SetAccess(c.Context(), liveCaller(c), req.RoomID, req.Access, req.Revoke)
	if err != nil {
		return nil, err
	}
	s.deps.Streams.KickViewers(r.ID) // who may watch comes back
	return &protocol.LiveAccessReply{RoomID: text(r.ID), Access: r.Access}, nil
}

const (
	linkDefault = 24 * time.Hour
	linkMost    = 366 * 24 * time.Hour
)

// seconds is a time from a request; 0 is d.
func seconds(field string, n int64, d, most time.Duration) (time.Duration, error) {
	if n == 0 {
		return d, nil
	}
	if n < 0 || n > int64(most.Seconds()) {
		return 0, protocol.Errorf(protocol.CodeBadValue, "badValue", field, protocol.TextKey("badNumber", "0", strconv.Itoa(int(most.Seconds()))))
	}
	return time.Duration(n) * time.Second, nil
}

// handleLiveLink serves POST /live/link.
func (s *Server) handleLiveLink(c *api.Call, req *protocol.LiveLinkRequest) (*protocol.LiveLinkReply, error) {
	valid, err := seconds("Seconds", req.Seconds, linkDefault, linkMost)
	if err != nil {
		return nil, err
	}
	r, err := s.deps.Live.Ranked(c.Context(), liveCaller(c), req.RoomID, store.LiveOwner)
	if err != nil {
		return nil, err
	}
	if s.deps.Signer == nil {
		return nil, errors.New("nothing signs links")
	}
	until := s.now().Add(valid).Truncate(time.Second)
	token := s.deps.Signer.LiveLink(r.ID, r.LinkEpoch, until)
	path := token + "/" + text(r.ID)
	return &protocol.LiveLinkReply{Link: s.base(c.Request).URL() + "/live/" + path + "/", Path: path, Token: token, Until: until.UnixMilli()}, nil
}

// handleLiveSessions serves GET /live/sessions.
func (s *Server) handleLiveSessions(c *api.Call, req *protocol.LiveRoomRequest) (*protocol.LiveSessionsReply, error) {
	r, err := s.deps.Live.Ranked(c.Context(), liveCaller(c), req.RoomID, store.LiveModerator)
	if err != nil {
		return nil, err
	}
	rep := &protocol.LiveSessionsReply{Notes: s.deps.Streams.Notes(r.ID)}
	rep.LiveStream, _, _ = s.deps.Streams.Stream(r.ID)
	names := map[int64]string{}
	for _, v := range s.deps.Streams.Sessions(r.ID) {
		if c.Principal.Role < store.RoleAdmin {
			v.Address = "" // where people live is not for those whom they watch
		}
		if v.UserID != 0 && len(rep.List) < maxNamedSessions {
			name, known := names[v.UserID]
			if !known {
				if a, err := s.deps.Account.Info(c.Context(), v.UserID); err == nil {
					name = a.Nickname
				}
				names[v.UserID] = name
			}
			v.Nickname = name
		}
		if rep.List = append(rep.List, v); len(rep.List) >= maxSessions {
			break
		}
	}
	return rep, nil
}

// maxSessions bounds the list of sessions, and maxNamedSessions those whose accounts
// are looked up for it.
const (
	maxSessions      = 1000
	maxNamedSessions = 200
)

// handleLiveKick serves POST /live/kick.
func (s *Server) handleLiveKick(c *api.Call, req *protocol.LiveKickRequest) (*protocol.HeadReply, error) {
	d, err := seconds("Seconds", req.Seconds, protocol.LiveKickTime, protocol.MaxLiveKickTime)
	if err != nil {
		return nil, err
	}
	// Who may not look at the sessions is not told which there are.
	r, err := s.deps.Live.Ranked(c.Context(), liveCaller(c), req.RoomID, store.LiveModerator)
	if err != nil {
		return nil, err
	}
	unknown := protocol.Errorf(protocol.CodeUnknown, "noSuchSession")
	list := s.deps.Streams.Sessions(r.ID)
	i := slices.IndexFunc(list, func(v protocol.LiveSession) bool { return v.ID == req.ID })
	if i < 0 {
		return nil, unknown
	}
	if err := s.deps.Live.MayKick(c.Context(), liveCaller(c), r.ID, list[i].UserID, list[i].Protocol+" "+d.String()); err != nil {
		return nil, err
	}
	if !s.deps.Streams.Kick(r.ID, req.ID, d) {
		return nil, unknown
	}
	return nil, nil
}

// handleLiveHeart serves POST /live/heart.
func (s *Server) handleLiveHeart(c *api.Call, req *protocol.LiveHeartRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Live.Heart(c.Context(), liveCaller(c), s.liveViewer(c, req.Token, req.RoomID), req.RoomID, req.Count)
}
