package web

import (
	"gtiv/daemon/video"
	"gtiv/daemon/video/sample"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
	"gtiv/store"
)

func viewer(c *api.Call) video.Caller {
	return video.Caller{User: c.Principal.User, Role: c.Principal.Role, Address: c.Origin.Address, Language: c.Language}
}

// clipEndpoint goes in front of Uri and Cover; it must end with a slash
// (wire.md 12).
func (s *Server) clipEndpoint(c *api.Call) string { return s.base(c.Request).URL() + ClipPath }

// keyFor is the directory of a video's files as a viewer is told: what is not for
// everybody carries a signature in front.
func (s *Server) keyFor(c *api.Call, v *store.Video) string {
	if v.Visibility == store.VideoPublic || s.deps.Signer == nil {
		return v.Key
	}
	return s.deps.Signer.Sign(v.Key, c.Principal.User)
}

// The names in a video's directory are part of the contract: the app finds the
// one by the other.
func (s *Server) playlistOf(c *api.Call, v *store.Video) string {
	return s.keyFor(c, v) + "/" + playlistName
}

func (s *Server) coverOf(c *api.Call, v *store.Video) string {
	return s.keyFor(c, v) + "/" + coverName
}

// handleHome serves GET /video/home.
func (s *Server) handleHome(c *api.Call, _ *protocol.NoRequest) (*protocol.VideoHomeReply, error) {
	clips, err := s.deps.Video.Home(c.Context(), viewer(c))
	if err != nil {
		return nil, err
	}
	rep := &protocol.VideoHomeReply{Endpoint: s.clipEndpoint(c), List: s.videoItems(c, clips)}
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

func (s *Server) videoItems(c *api.Call, clips []video.Clip) []protocol.VideoItem {
	list := make([]protocol.VideoItem, 0, len(clips))
	for i := range clips {
		list = append(list, s.videoItem(c, &clips[i]))
	}
	return list
}

func (s *Server) videoItem(c *api.Call, v *video.Clip) protocol.VideoItem {
	return protocol.VideoItem{
		ID: v.ID, UserID: v.Owner, Title: v.Title, URI: s.playlistOf(c, &v.Video), Cover: s.coverOf(c, &v.Video),
		Width: v.Width, Height: v.Height, Nickname: v.Account.Nickname, Avatar: avatar(v.Account), IsFollow: v.Follows,
		SupportNum: v.SupportNum, CollectNum: v.CollectNum, ShareNum: v.ShareNum, VideoState: videoState(v),
	}
}

func videoState(v *video.Clip) protocol.VideoState {
	return protocol.VideoState{
		CommentNum: v.CommentNum, PlayNum: v.PlayNum, Duration: v.DurationMS, Visibility: video.VisibilityName(v.Visibility),
		IsSupport: v.Supported, IsCollect: v.Collected, HasMaster: v.Ladder,
	}
}

// fallbackHome answers the sample whatever is wrong, as a success: with a
// failure or an empty list the app never leaves its splash screen (wire.md 2.4,
// 17 K11). The cause is in the log.
func (s *Server) fallbackHome(c *api.Call, rep *protocol.VideoHomeReply) {
	clip := video.Clip{
		Account: store.Account{ID: protocol.BuiltInUserID, Nickname: s.site.Load().Name},
		Video: store.Video{
			ID: video.SampleID, Owner: protocol.BuiltInUserID, Title: sample.Title, Key: sample.Key,
			Width: sample.Width, Height: sample.Height,
		},
	}
	*rep = protocol.VideoHomeReply{
		Head:     protocol.Head{ApiMessage: protocol.Text(c.Language, "ok")},
		Endpoint: s.clipEndpoint(c),
		List:     []protocol.VideoItem{s.videoItem(c, &clip)},
	}
}

// handleVideoInfo serves GET /video/info.
func (s *Server) handleVideoInfo(c *api.Call, req *protocol.VideoRequest) (*protocol.VideoInfoReply, error) {
	v, err := s.deps.Video.Info(c.Context(), viewer(c), req.VideoID)
	if err != nil {
		return nil, err
	}
	return &protocol.VideoInfoReply{
		MasterUID: v.Owner, MasterAvatar: avatar(v.Account), IsFollow: v.Follows,
		SupportNum: v.SupportNum, CollectNum: v.CollectNum, ShareNum: v.ShareNum,
		VideoCover: s.clipEndpoint(c) + s.coverOf(c, &v.Video), VideoWidth: v.Width, VideoHeight: v.Height,
		Title: v.Title, VideoURI: s.clipEndpoint(c) + s.playlistOf(c, &v.Video), CreateTime: v.PublishedAt / 1000, VideoState: videoState(&v),
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
	created, err := s.deps.Video.Created(c.Context(), viewer(c), a)
	if err != nil {
		return nil, err
	}
	return &protocol.VideoMasterReply{
		Nickname: a.Nickname, Avatar: avatar(a), Username: a.Username, SupportNum: a.SupportNum, FollowNum: a.FollowNum,
		FansNum: a.FansNum, CreateVideoNum: created, Intro: a.Intro,
		IsFollow: follows, IsFriend: self || friend,
	}, nil
}

// grid is a page of a grid of covers.
func (s *Server) grid(c *api.Call, clips []video.Clip, err error) (*protocol.UserVideosReply, error) {
	if err != nil {
		return nil, err
	}
	rep := &protocol.UserVideosReply{Endpoint: s.clipEndpoint(c)}
	for i := range clips {
		v := &clips[i]
		rep.List = append(rep.List, protocol.UserVideoItem{VideoID: v.ID, Title: v.Title, Cover: s.coverOf(c, &v.Video), SupportNum: v.SupportNum})
	}
	return rep, nil
}

// handleCreationVideos serves GET /user/creation-videos.
func (s *Server) handleCreationVideos(c *api.Call, req *protocol.UserVideosRequest) (*protocol.UserVideosReply, error) {
	clips, err := s.deps.Video.By(c.Context(), viewer(c), req.UserID, max(req.Page, 1))
	return s.grid(c, clips, err)
}

// handleSupportVideos serves GET /user/support-videos.
func (s *Server) handleSupportVideos(c *api.Call, req *protocol.UserVideosRequest) (*protocol.UserVideosReply, error) {
	clips, err := s.deps.Video.Supported(c.Context(), viewer(c), req.UserID, max(req.Page, 1))
	return s.grid(c, clips, err)
}

// handleCollectVideos serves GET /user/collect-videos, which only the collector
// may read.
func (s *Server) handleCollectVideos(c *api.Call, req *protocol.UserVideosRequest) (*protocol.UserVideosReply, error) {
	if req.UserID != c.Principal.User {
		return nil, protocol.Errorf(protocol.CodeForbidden, "forbidden")
	}
	clips, err := s.deps.Video.Collected(c.Context(), viewer(c), req.UserID, max(req.Page, 1))
	return s.grid(c, clips, err)
}

func (s *Server) fallbackUserVideos(c *api.Call, rep *protocol.UserVideosReply) {
	rep.Endpoint = s.clipEndpoint(c)
}

// did is the Action that does something; every other one takes it back.
const did = 1

// handleSupport serves POST /video/support.
func (s *Server) handleSupport(c *api.Call, req *protocol.VideoActionRequest) (*protocol.HeadReply, error) {
	if err := knownAction(req.Action); err != nil {
		return nil, err
	}
	return nil, s.deps.Video.Support(c.Context(), viewer(c), req.VideoID, req.Action == did)
}

// handleCollect serves POST /video/collect.
func (s *Server) handleCollect(c *api.Call, req *protocol.VideoActionRequest) (*protocol.HeadReply, error) {
	if err := knownAction(req.Action); err != nil {
		return nil, err
	}
	return nil, s.deps.Video.Collect(c.Context(), viewer(c), req.VideoID, req.Action == did)
}

// knownAction refuses what is neither doing nor undoing (wire.md 5).
func knownAction(action int) error {
	if action != did && action != 0 {
		return protocol.Errorf(protocol.CodeBadValue, "outOfRange", "action")
	}
	return nil
}

// handleShare serves POST /video/incr-share-count.
func (s *Server) handleShare(c *api.Call, req *protocol.VideoRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Video.Share(c.Context(), viewer(c), req.VideoID)
}

// handlePlayed serves POST /video/played.
func (s *Server) handlePlayed(c *api.Call, req *protocol.VideoPlayedRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Video.Played(c.Context(), viewer(c), req.VideoID, req.WatchMs)
}

// handleNotInterested serves POST /video/not-interested.
func (s *Server) handleNotInterested(c *api.Call, req *protocol.VideoDeleteRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Video.NotInterested(c.Context(), viewer(c), req.VideoID)
}

// handleEditVideo serves POST /video/edit.
func (s *Server) handleEditVideo(c *api.Call, req *protocol.VideoEditRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Video.Edit(c.Context(), viewer(c), req.VideoID, video.Edit{Title: req.Title, Tags: req.Tags, Visibility: req.Visibility})
}

// handleDeleteVideo serves POST /video/delete.
func (s *Server) handleDeleteVideo(c *api.Call, req *protocol.VideoDeleteRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Video.Delete(c.Context(), viewer(c), req.VideoID)
}
