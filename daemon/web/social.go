package web

import (
	"gtiv/daemon/video"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
	"gtiv/store"
)

// This file holds what happens around short videos: follows, comments, tags, the
// search, notices.

// handleFollow serves GET /user/follow.
func (s *Server) handleFollow(c *api.Call, req *protocol.FollowRequest) (*protocol.FollowToggleReply, error) {
	following, err := s.deps.Video.ToggleFollow(c.Context(), viewer(c), req.UserID)
	if err != nil {
		return nil, err
	}
	return &protocol.FollowToggleReply{IsFollow: following}, nil
}

// followPage is the one page of a list of people. From page 2 on these stay empty
// for ever, or the app crashes (wire.md 17 K10).
func followPage(req *protocol.FollowPageRequest, list func() ([]store.Person, error)) (*protocol.FollowReply, error) {
	rep := &protocol.FollowReply{}
	if req.Page > 1 {
		return rep, nil
	}
	people, err := list()
	if err != nil {
		return nil, err
	}
	for _, p := range people {
		rep.List = append(rep.List, protocol.FollowItem{
			ID: p.Account.ID, Nickname: p.Account.Nickname, Avatar: avatar(p.Account), CreateTime: p.At / 1000,
		})
	}
	return rep, nil
}

// handleFollows serves GET /user/follow-list.
func (s *Server) handleFollows(c *api.Call, req *protocol.FollowPageRequest) (*protocol.FollowReply, error) {
	return followPage(req, func() ([]store.Person, error) { return s.deps.Video.Follows(c.Context(), viewer(c)) })
}

// handleFans serves GET /user/fans-list.
func (s *Server) handleFans(c *api.Call, req *protocol.FollowPageRequest) (*protocol.FollowReply, error) {
	return followPage(req, func() ([]store.Person, error) { return s.deps.Video.Fans(c.Context(), viewer(c)) })
}

// handleSupporters serves GET /user/support-list.
func (s *Server) handleSupporters(c *api.Call, req *protocol.FollowPageRequest) (*protocol.FollowReply, error) {
	return followPage(req, func() ([]store.Person, error) { return s.deps.Video.Supporters(c.Context(), viewer(c)) })
}

// handleComment serves POST /video/comment.
func (s *Server) handleComment(c *api.Call, req *protocol.CommentRequest) (*protocol.CommentReply, error) {
	out, err := s.deps.Video.Comment(c.Context(), viewer(c), req.VideoID, req.Content, req.ReplyTo)
	if err != nil {
		return nil, err
	}
	return &protocol.CommentReply{CommentID: out.ID, Content: out.Content, CreateTime: out.CreatedAt / 1000}, nil
}

// handleComments serves GET /video/comments.
func (s *Server) handleComments(c *api.Call, req *protocol.CommentsRequest) (*protocol.CommentsReply, error) {
	list, next, err := s.deps.Video.Comments(c.Context(), viewer(c), req.VideoID, req.CommentID, req.Cursor)
	if err != nil {
		return nil, err
	}
	rep := &protocol.CommentsReply{Next: next}
	for _, o := range list {
		item := protocol.CommentItem{CommentID: o.ID, CreateTime: o.CreatedAt / 1000, ReplyNum: o.ReplyNum, Gone: o.Gone}
		if !o.Gone {
			item.UserID, item.Nickname, item.Avatar = o.User, o.Account.Nickname, avatar(o.Account)
			item.Content, item.SupportNum, item.IsSupport, item.ReplyTo = o.Content, o.LikeNum, o.Liked, o.ToName
		}
		rep.List = append(rep.List, item)
	}
	return rep, nil
}

// handleDeleteComment serves POST /video/comment-delete.
func (s *Server) handleDeleteComment(c *api.Call, req *protocol.CommentIDRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Video.DeleteComment(c.Context(), viewer(c), req.CommentID)
}

// handleLikeComment serves POST /video/comment-like.
func (s *Server) handleLikeComment(c *api.Call, req *protocol.CommentLikeRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Video.LikeComment(c.Context(), viewer(c), req.CommentID, req.Action == did)
}

// handleTagged serves GET /tag/videos.
func (s *Server) handleTagged(c *api.Call, req *protocol.TagRequest) (*protocol.VideosReply, error) {
	clips, next, err := s.deps.Video.Tagged(c.Context(), viewer(c), req.Tag, req.Cursor)
	if err != nil {
		return nil, err
	}
	return &protocol.VideosReply{Endpoint: s.clipEndpoint(c), List: s.videoItems(c, clips), Next: next}, nil
}

// handleTrending serves GET /tag/trending.
func (s *Server) handleTrending(c *api.Call, _ *protocol.NoRequest) (*protocol.TagsReply, error) {
	list, err := s.deps.Video.Trending(c.Context())
	if err != nil {
		return nil, err
	}
	return &protocol.TagsReply{List: tagItems(list)}, nil
}

func tagItems(list []store.Tag) []protocol.TagItem {
	out := make([]protocol.TagItem, 0, len(list))
	for _, t := range list {
		out = append(out, protocol.TagItem{Tag: t.Name, VideoNum: t.Videos})
	}
	return out
}

// handleFind serves GET /search.
func (s *Server) handleFind(c *api.Call, req *protocol.FindRequest) (*protocol.FindReply, error) {
	found, err := s.deps.Video.Search(c.Context(), viewer(c), req.Kind, req.Q, req.Cursor)
	if err != nil {
		return nil, err
	}
	rep := &protocol.FindReply{Endpoint: s.clipEndpoint(c), Videos: s.videoItems(c, found.Videos), Tags: tagItems(found.Tags), Next: found.Next}
	for _, a := range found.Users {
		rep.Users = append(rep.Users, protocol.FoundUser{UserID: a.ID, Username: a.Username, Nickname: a.Nickname, Avatar: avatar(a), FansNum: a.FansNum})
	}
	return rep, nil
}

// handleNotices serves GET /notice/list.
func (s *Server) handleNotices(c *api.Call, req *protocol.CursorRequest) (*protocol.NoticesReply, error) {
	list, unread, next, err := s.deps.Video.Notices(c.Context(), viewer(c), req.Cursor)
	if err != nil {
		return nil, err
	}
	rep := &protocol.NoticesReply{Endpoint: s.clipEndpoint(c), Unread: unread, Next: next}
	for i := range list {
		n := &list[i]
		item := protocol.NoticeItem{
			NoticeID: n.ID, Kind: n.Kind, Text: video.NoticeText(c.Language, n.Notice, n.Account.Nickname),
			UserID: n.Account.ID, Nickname: n.Account.Nickname, VideoID: n.Video.ID, CommentID: n.Notice.Comment,
			Content: n.Comment, Read: n.Read, CreateTime: n.CreatedAt / 1000,
		}
		if n.Account.ID != 0 {
			item.Avatar = avatar(n.Account)
		}
		if n.Video.Key != "" {
			item.Cover = s.coverOf(c, &n.Video)
		}
		rep.List = append(rep.List, item)
	}
	return rep, nil
}

// handleReadNotices serves POST /notice/read.
func (s *Server) handleReadNotices(c *api.Call, req *protocol.NoticeReadRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Video.ReadNotices(c.Context(), viewer(c), req.NoticeID)
}
