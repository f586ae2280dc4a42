package protocol

// This file holds the bodies of wire.md 5 that are about short videos and about
// the page of the person who makes them.

// VideoRequest names a video.
type VideoRequest struct {
	VideoID int64 `json:"videoId" required:"true" example:"1"`
}

// VideoHomeReply answers GET /video/home.
type VideoHomeReply struct {
	Head
	Endpoint string `doc:"goes in front of Uri and Cover; ends with /"`
	List     []VideoItem
}

// VideoItem is one video of the feed.
type VideoItem struct {
	ID         int64 `json:"Id"`
	UserID     int64 `json:"UserId"`
	Title      string
	URI        string `json:"Uri" doc:"HLS playlist, relative to Endpoint"`
	Cover      string `doc:"picture beside the playlist, relative to Endpoint"`
	Width      int
	Height     int
	Nickname   string
	Avatar     string
	IsFollow   bool `doc:"the caller follows the author; true for the caller's own videos"`
	SupportNum int64
	CollectNum int64
	ShareNum   int64
}

// VideoInfoReply answers GET /video/info.
type VideoInfoReply struct {
	Head
	MasterUID    int64 `json:"MasterUid" doc:"the author"`
	MasterAvatar string
	IsFollow     bool
	SupportNum   int64
	CollectNum   int64
	ShareNum     int64
	VideoCover   string `doc:"absolute URL"`
	VideoWidth   int
	VideoHeight  int
}

// VideoMasterRequest is the query of GET /user/video-master-info.
type VideoMasterRequest struct {
	UserID int64 `json:"userId" required:"true" example:"10000"`
}

// VideoMasterReply answers GET /user/video-master-info.
type VideoMasterReply struct {
	Head
	Nickname       string
	Avatar         string
	Username       string
	SupportNum     int64
	FollowNum      int64
	FansNum        int64
	CreateVideoNum int64
	Intro          string
	IsFollow       bool `doc:"true for the caller's own page"`
	IsFriend       bool `doc:"the two are contacts; true for the caller's own page"`
}

// UserVideosRequest is the query of the lists of somebody's videos.
type UserVideosRequest struct {
	UserID int64 `json:"userId" required:"true" example:"10000"`
	Page   int   `json:"page" doc:"from 1, 12 videos each; without it 1" example:"1"`
}

// UserVideosReply is a page of somebody's videos.
type UserVideosReply struct {
	Head
	Endpoint string `doc:"goes in front of Cover; ends with /"`
	List     []UserVideoItem
}

// UserVideoItem is one video of a grid.
type UserVideoItem struct {
	VideoID    int64 `json:"VideoId"`
	Title      string
	Cover      string `doc:"always named cover.jpg: clients find the playlist beside it as index.m3u8"`
	SupportNum int64
}

// FollowPageRequest is the query of the follow, fans and support lists.
type FollowPageRequest struct {
	Page int `json:"page" doc:"from 1; everything is on page 1" example:"1"`
}

// FollowReply is a list of people with the time they came to it.
type FollowReply struct {
	Head
	List []FollowItem
}

// FollowItem is one of them.
type FollowItem struct {
	ID         int64 `json:"Id"`
	Nickname   string
	Avatar     string
	CreateTime int64 `doc:"Unix seconds"`
}
