package protocol

import "time"

// LiveInfoRequest asks for a live room as its page shows it.
type LiveInfoRequest struct {
	RoomID int64  `json:"RoomId" required:"true" example:"1000000001"`
	Token  string `doc:"what stands in front of the room in the address of the page, if anything"`
}

// LiveInfoReply answers GET /live/info.
type LiveInfoReply struct {
	Head
	LiveItem
	Began     int64  `doc:"when the stream began, Unix ms; 0 off air"`
	Hearts    int64  `doc:"that the room was ever given"`
	Mine      bool   `doc:"it is the caller's"`
	Moderator bool   `doc:"the caller keeps order in its chat"`
	MayWatch  bool   `doc:"the caller may watch"`
	Refused   string `doc:"why not"`
	Access    string `doc:"open, followers or link"`
	Record    string `doc:"off, mp4 or flv"`
	Path      string `doc:"what stands behind /live/ in addresses of the stream: Path.m3u8, Path/index.m3u8, Path.flv, Path/whep" example:"1000000001"`
	LiveStream
	Notes []string `doc:"why the stream cannot be watched in some ways"`
}

// LiveStream is what a publisher sends.
type LiveStream struct {
	Protocol  string `doc:"of the publisher"`
	Video     string `doc:"avc1, hvc1 or av01; empty for none"`
	Audio     string `doc:"mp4a or Opus; empty for none"`
	VideoKbps int64
	AudioKbps int64
	Fps       float64
	KeyEvery  int64 `doc:"ms between key frames"`
	BFrames   bool
}

// LiveAccessRequest is the body of POST /live/access.
type LiveAccessRequest struct {
	RoomID int64  `json:"RoomId" doc:"without it the caller's" example:"1000000001"`
	Access string `doc:"open: everybody may watch; followers: those of the owner; link: who has a signed link. Without it unchanged" example:"followers"`
	Revoke bool   `doc:"true: links that were signed until now are good for nothing"`
}

// LiveAccessReply answers POST /live/access.
type LiveAccessReply struct {
	Head
	RoomID string `json:"RoomId"`
	Access string
}

// LiveLinkRequest is the body of POST /live/link.
type LiveLinkRequest struct {
	RoomID  int64 `json:"RoomId" doc:"without it the caller's" example:"1000000001"`
	Seconds int64 `doc:"how long it is good, at most a year; without it a day" example:"3600"`
}

// LiveLinkReply answers POST /live/link.
type LiveLinkReply struct {
	Head
	Link  string `doc:"address of the page that plays it, for everybody who has it"`
	Path  string `doc:"as in /live/info"`
	Token string `doc:"its part in front of the room"`
	Until int64  `doc:"Unix ms"`
}

// LiveSessionsReply answers GET /live/sessions.
type LiveSessionsReply struct {
	Head
	LiveStream
	List  []LiveSession
	Notes []string `doc:"why the stream cannot be watched in some ways"`
}

// LiveSession is somebody who publishes or watches.
type LiveSession struct {
	ID       int64 `json:"Id"`
	Publish  bool
	Protocol string `doc:"rtmp, whip, hls, ll-hls, flv, ws-flv, whep or relay"`
	Address  string `doc:"for administrators only"`
	UserID   int64  `json:"UserId" doc:"0: nobody knows"`
	Nickname string
	Began    int64 `doc:"Unix ms"`
	Bytes    int64 `doc:"that came of a publisher, or went to a viewer"`
	Note     string
}

// LiveKickTime is how long who was sent away from a live room stays out when nobody
// says how long, and MaxLiveKickTime the longest.
const (
	LiveKickTime    = 10 * time.Minute
	MaxLiveKickTime = 24 * time.Hour
)

// LiveKickRequest is the body of POST /live/kick.
type LiveKickRequest struct {
	RoomID  int64 `json:"RoomId" required:"true" example:"1000000001"`
	ID      int64 `json:"Id" required:"true" doc:"of the session"`
	Seconds int64 `doc:"how long who it is stays out, at most a day; without it ten minutes" example:"600"`
}

// LiveHeartRequest is the body of POST /live/heart.
type LiveHeartRequest struct {
	RoomID int64  `json:"RoomId" required:"true" example:"1000000001"`
	Count  int    `doc:"at most 50; without it one" example:"1"`
	Token  string `doc:"as in /live/info"`
}

// LiveOnAirRequest asks for a page of the rooms on air.
type LiveOnAirRequest struct {
	Cursor int64 `doc:"Next of the page before"`
}

// LiveOnAirReply answers GET /live/on-air.
type LiveOnAirReply struct {
	Head
	List []LiveItem
	Next int64 `doc:"Cursor of the next page; 0 at the end"`
}
