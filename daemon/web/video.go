package web

import (
	"gtiv/daemon/video"
	"gtiv/daemon/video/sample"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
	"gtiv/store"
)

// clipEndpoint goes in front of Uri and Cover; it must end with a slash
// (wire.md 12).
func (s *Server) clipEndpoint(c *api.Call) string { return s.base(c.Request).URL() + clipPath }

// The names in a video's directory are part of the contract: the app finds the
// one by the other.
func playlistOf(v video.Clip) string { return v.Key + "/" + sample.Playlist }

func coverOf(v video.Clip) string { return v.Key + "/" + sample.Cover }

// handleHome serves GET /video/home.
func (s *Server) handleHome(c *api.Call, _ *protocol.NoRequest) (*protocol.VideoHomeReply, error) {
	clips, err := s.deps.Video.Home(c.Context(), c.Principal.User)
	if err != nil {
		return nil, err
	}
	rep := &protocol.VideoHomeReply{Endpoint: s.clipEndpoint(c)}
	for _, v := range clips {
		item := homeItem(v)
		if item.IsFollow, err = s.follows(c, v.Owner.ID); err != nil {
			return nil, err
		}
		rep.List = append(rep.List, item)
	}
	if len(rep.List) == 0 {
		s.fallbackHome(c, rep)
	}
	return rep, nil
}

// follows tells whether the caller follows somebody; everybody follows
// themselves (wire.md 5).
func (s *Server) follows(c *api.Call, user int64) (bool, error) {
	if viewer := c.Principal.User; viewer == 0 || viewer == user {
		return viewer != 0, nil
	}
	return s.deps.Account.IsFollowing(c.Context(), c.Principal.User, user)
}

func homeItem(v video.Clip) protocol.VideoItem {
	return protocol.VideoItem{
		ID: v.ID, UserID: v.Owner.ID, Title: v.Title, URI: playlistOf(v), Cover: coverOf(v), Width: v.Width, Height: v.Height,
		Nickname: v.Owner.Nickname, Avatar: avatar(v.Owner),
	}
}

// fallbackHome answers the sample whatever is wrong, as a success: with a
// failure or an empty list the app never leaves its splash screen (wire.md 2.4,
// 17 K11). The cause is in the log.
func (s *Server) fallbackHome(c *api.Call, rep *protocol.VideoHomeReply) {
	clip := video.Clip{
		ID: video.SampleID, Owner: store.Account{ID: protocol.BuiltInUserID, Nickname: s.site.Load().Name},
		Title: sample.Title, Key: sample.Key, Width: sample.Width, Height: sample.Height,
	}
	*rep = protocol.VideoHomeReply{
		Head:     protocol.Head{ApiMessage: protocol.Text(c.Language, "ok")},
		Endpoint: s.clipEndpoint(c),
		List:     []protocol.VideoItem{homeItem(clip)},
	}
}

// handleVideoInfo serves GET /video/info.
func (s *Server) handleVideoInfo(c *api.Call, req *protocol.VideoRequest) (*protocol.VideoInfoReply, error) {
	v, err := s.deps.Video.Info(c.Context(), c.Principal.User, req.VideoID)
	if err != nil {
		return nil, err
	}
	follows, err := s.follows(c, v.Owner.ID)
	if err != nil {
		return nil, err
	}
	return &protocol.VideoInfoReply{
		MasterUID: v.Owner.ID, MasterAvatar: avatar(v.Owner), IsFollow: follows,
		VideoCover: s.clipEndpoint(c) + coverOf(v), VideoWidth: v.Width, VideoHeight: v.Height,
	}, nil
}

// handleVideoMaster serves GET /user/video-master-info.
func (s *Server) handleVideoMaster(c *api.Call, req *protocol.VideoMasterRequest) (*protocol.VideoMasterReply, error) {
	a, err := s.deps.Account.Info(c.Context(), req.UserID)
	if err != nil {
		return nil, err
	}
	self := a.ID == c.Principal.User
	friend, err := s.deps.Account.IsFriend(c.Context(), c.Principal.User, a.ID)
	if err != nil {
		return nil, err
	}
	follows, err := s.follows(c, a.ID)
	if err != nil {
		return nil, err
	}
	return &protocol.VideoMasterReply{
		Nickname: a.Nickname, Avatar: avatar(a), Username: a.Username, SupportNum: a.SupportNum, FollowNum: a.FollowNum,
		FansNum: a.FansNum, CreateVideoNum: video.Created(a), Intro: a.Intro,
		IsFollow: follows, IsFriend: self || friend,
	}, nil
}

// handleCreationVideos serves GET /user/creation-videos.
func (s *Server) handleCreationVideos(c *api.Call, req *protocol.UserVideosRequest) (*protocol.UserVideosReply, error) {
	clips, err := s.deps.Video.By(c.Context(), c.Principal.User, req.UserID, max(req.Page, 1))
	if err != nil {
		return nil, err
	}
	rep := &protocol.UserVideosReply{Endpoint: s.clipEndpoint(c)}
	for _, v := range clips {
		rep.List = append(rep.List, protocol.UserVideoItem{VideoID: v.ID, Title: v.Title, Cover: coverOf(v)})
	}
	return rep, nil
}

// handleSupportVideos serves GET /user/support-videos: nothing can be liked yet.
func (s *Server) handleSupportVideos(c *api.Call, _ *protocol.UserVideosRequest) (*protocol.UserVideosReply, error) {
	return &protocol.UserVideosReply{Endpoint: s.clipEndpoint(c)}, nil
}

// handleCollectVideos serves GET /user/collect-videos, which only the collector
// may read.
func (s *Server) handleCollectVideos(c *api.Call, req *protocol.UserVideosRequest) (*protocol.UserVideosReply, error) {
	if req.UserID != c.Principal.User {
		return nil, protocol.Errorf(protocol.CodeForbidden, "forbidden")
	}
	return &protocol.UserVideosReply{Endpoint: s.clipEndpoint(c)}, nil
}

func (s *Server) fallbackUserVideos(c *api.Call, rep *protocol.UserVideosReply) {
	rep.Endpoint = s.clipEndpoint(c)
}

// handleFollowPage serves GET /user/follow-list, /user/fans-list and
// /user/support-list: nobody can be followed or liked yet. From page 2 on these
// stay empty for ever, or the app crashes (wire.md 17 K10).
func (s *Server) handleFollowPage(*api.Call, *protocol.FollowPageRequest) (*protocol.FollowReply, error) {
	return &protocol.FollowReply{}, nil
}
