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
	VideoState
}

// VideoState is what only newer clients read of a video.
type VideoState struct {
	CommentNum int64
	PlayNum    int64
	Duration   int64  `doc:"ms"`
	Visibility string `doc:"public, followers or private"`
	IsSupport  bool   `doc:"the caller likes it"`
	IsCollect  bool   `doc:"the caller collected it"`
	HasMaster  bool   `doc:"master.m3u8 beside the playlist has smaller renditions, too"`
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
	Title        string
	VideoURI     string `json:"VideoUri" doc:"absolute URL of the HLS playlist"`
	CreateTime   int64  `doc:"Unix seconds"`
	VideoState
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

// VideoActionRequest does something to a video, or takes it back.
type VideoActionRequest struct {
	VideoID int64 `json:"videoId" required:"true" example:"1"`
	Action  int   `json:"action" required:"true" enum:"0,1" doc:"1 do, 0 undo" example:"1"`
}

// FollowRequest names who is followed, or not any more.
type FollowRequest struct {
	UserID int64 `json:"userId" required:"true" example:"10002"`
}

// FollowToggleReply answers GET /user/follow.
type FollowToggleReply struct {
	Head
	IsFollow bool `doc:"how it is now"`
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

// VideoEditRequest is the body of POST /video/edit.
type VideoEditRequest struct {
	VideoID    int64  `json:"VideoId" required:"true" example:"2"`
	Title      string `doc:"at most 200 characters; its #tags are tags; empty leaves it"`
	Tags       string `doc:"with commas or spaces between, besides those of the title, at most 10; empty leaves them"`
	Visibility string `enum:",public,followers,private" doc:"empty leaves it"`
}

// VideoDeleteRequest is the body of POST /video/delete and POST
// /video/not-interested.
type VideoDeleteRequest struct {
	VideoID int64 `json:"VideoId" required:"true" example:"2"`
}

// VideoPlayedRequest is the body of POST /video/played.
type VideoPlayedRequest struct {
	VideoID int64 `json:"VideoId" required:"true" example:"2"`
	WatchMs int64 `doc:"how long it was watched; more than its length counts as that" example:"3000"`
}

// CommentRequest is the body of POST /video/comment.
type CommentRequest struct {
	VideoID int64  `json:"VideoId" required:"true" example:"2"`
	Content string `required:"true" doc:"1 to 500 characters; @name mentions" example:"nice"`
	ReplyTo int64  `doc:"the comment, or the reply, that is answered"`
}

// CommentReply answers POST /video/comment.
type CommentReply struct {
	Head
	CommentID  int64 `json:"CommentId"`
	Content    string
	CreateTime int64 `doc:"Unix seconds"`
}

// CommentsRequest is the query of GET /video/comments.
type CommentsRequest struct {
	VideoID   int64 `json:"VideoId" required:"true" example:"2"`
	CommentID int64 `json:"CommentId" doc:"lists the replies to this comment, oldest first"`
	Cursor    int64 `doc:"Next of the page before"`
}

// CommentsReply answers GET /video/comments.
type CommentsReply struct {
	Head
	List []CommentItem
	Next int64 `doc:"Cursor of the next page, 0 at the end"`
}

// CommentItem is one comment.
type CommentItem struct {
	CommentID  int64 `json:"CommentId"`
	UserID     int64 `json:"UserId"`
	Nickname   string
	Avatar     string
	Content    string
	CreateTime int64 `doc:"Unix seconds"`
	SupportNum int64
	ReplyNum   int64
	IsSupport  bool   `doc:"the caller likes it"`
	ReplyTo    string `doc:"nickname of whom a reply answers"`
	Gone       bool   `doc:"deleted; shown because of its replies"`
}

// CommentIDRequest is the body of POST /video/comment-delete.
type CommentIDRequest struct {
	CommentID int64 `json:"CommentId" required:"true" example:"1"`
}

// CommentLikeRequest is the body of POST /video/comment-like.
type CommentLikeRequest struct {
	CommentID int64 `json:"CommentId" required:"true" example:"1"`
	Action    int   `required:"true" enum:"0,1" doc:"1 like, 0 undo" example:"1"`
}

// TagRequest is the query of GET /tag/videos.
type TagRequest struct {
	Tag    string `required:"true" doc:"with or without #" example:"cats"`
	Cursor int64  `doc:"Next of the page before"`
}

// VideosReply is a page of videos.
type VideosReply struct {
	Head
	Endpoint string `doc:"goes in front of Uri and Cover; ends with /"`
	List     []VideoItem
	Next     int64 `doc:"Cursor of the next page, 0 at the end"`
}

// TagsReply answers GET /tag/trending.
type TagsReply struct {
	Head
	List []TagItem
}

// TagItem is one tag.
type TagItem struct {
	Tag      string
	VideoNum int64 `doc:"at most 1000 are counted"`
}

// FindRequest is the query of GET /search.
type FindRequest struct {
	Q      string `required:"true" doc:"1 to 64 characters; words by how they begin" example:"cat"`
	Kind   string `required:"true" enum:"users,videos,tags" example:"videos"`
	Cursor int64  `doc:"Next of the page before"`
}

// FindReply answers GET /search; only the list of the Kind has items.
type FindReply struct {
	Head
	Endpoint string `doc:"goes in front of Uri and Cover; ends with /"`
	Users    []FoundUser
	Videos   []VideoItem
	Tags     []TagItem
	Next     int64 `doc:"Cursor of the next page, 0 at the end"`
}

// FoundUser is somebody who was found.
type FoundUser struct {
	UserID   int64 `json:"UserId"`
	Username string
	Nickname string
	Avatar   string
	FansNum  int64
}

// CursorRequest pages through a list.
type CursorRequest struct {
	Cursor int64 `doc:"Next of the page before"`
}

// NoticesReply answers GET /notice/list.
type NoticesReply struct {
	Head
	Endpoint string `doc:"goes in front of Cover; ends with /"`
	List     []NoticeItem
	Unread   int64
	Next     int64 `doc:"Cursor of the next page, 0 at the end"`
}

// NoticeItem is one notice.
type NoticeItem struct {
	NoticeID   int64  `json:"NoticeId"`
	Kind       string `doc:"like, comment, reply, follow, mention, live or system"`
	Text       string `doc:"in the caller's language"`
	UserID     int64  `json:"UserId" doc:"who did it, 0 nobody"`
	Nickname   string
	Avatar     string
	VideoID    int64  `json:"VideoId" doc:"0 none"`
	Cover      string `doc:"of the video, relative to Endpoint"`
	CommentID  int64  `json:"CommentId" doc:"0 none"`
	Content    string `doc:"of the comment"`
	Read       bool
	CreateTime int64 `doc:"Unix seconds"`
}

// NoticeReadRequest is the body of POST /notice/read.
type NoticeReadRequest struct {
	NoticeID int64 `json:"NoticeId" doc:"this one and all older ones; without it all"`
}

// VideoUploadRequest is the text of POST /video-upload.
type VideoUploadRequest struct {
	Title      string `json:"title" doc:"at most 200 characters; its #tags are tags" example:"my day"`
	Tags       string `json:"tags" doc:"with commas or spaces between, besides those of the title, at most 10"`
	Visibility string `json:"visibility" enum:",public,followers,private" doc:"empty is public"`
	UserID     string `json:"userId" doc:"ignored: the uploader is the caller"`
}

// VideoReuploadRequest is the text of POST /video-reupload.
type VideoReuploadRequest struct {
	VideoID   int64  `json:"VideoId" doc:"a video of the caller" example:"2"`
	ObsDir    string `json:"obsDir" doc:"instead of VideoId: the folder of its files, as in Uri"`
	HashValue string `json:"hashValue" doc:"ignored"`
}

// VideoUploadReply answers both.
type VideoUploadReply struct {
	Head
	VideoID int64  `json:"VideoId"`
	State   string `doc:"queued, or further if the file was here before"`
	Video   string `json:"video" doc:"URL that the HLS playlist will have"`
	Cover   string `json:"cover" doc:"URL that the cover will have"`
}

// VideoIDRequest names a video of the caller.
type VideoIDRequest struct {
	VideoID int64 `json:"videoId" required:"true" example:"2"`
}

// VideoStatusReply answers GET /video/status.
type VideoStatusReply struct {
	Head
	State   string `doc:"queued, processing, ready, failed, review (a moderator looks first) or hidden (by one)"`
	Percent int
	Reason  string `doc:"why it failed, waits or is hidden, in the caller's language"`
}

// OwnVideosRequest is the query of GET /video/mine.
type OwnVideosRequest struct {
	Cursor int64 `doc:"Next of the page before"`
}

// OwnVideosReply answers GET /video/mine.
type OwnVideosReply struct {
	Head
	Endpoint string `doc:"goes in front of Uri and Cover; ends with /"`
	List     []OwnVideoItem
	Next     int64 `doc:"Cursor of the next page, 0 at the end"`
}

// OwnVideoItem is one video of the caller, in any state.
type OwnVideoItem struct {
	VideoID    int64 `json:"VideoId"`
	Title      string
	State      string
	Percent    int
	Reason     string
	URI        string `json:"Uri" doc:"empty until it is processed"`
	Cover      string `doc:"empty until it is processed"`
	Width      int
	Height     int
	SupportNum int64
	CollectNum int64
	ShareNum   int64
	VideoState
	CreateTime int64 `doc:"Unix seconds, of the upload"`
}
