package protocol

// LiveListReply answers GET /live/list (wire.md 5, 11.1). A live stream plays at
// Hls + RoomId + ".m3u8".
type LiveListReply struct {
	Head
	RTMP string `json:"Rtmp" doc:"ends with /" example:"rtmp://example.org:2011/live/"`
	HLS  string `json:"Hls" doc:"ends with /" example:"http://example.org:2012/live/"`
	FLV  string `json:"Flv" doc:"ends with /" example:"http://example.org:2013/live/"`
	List []LiveItem
}

// LiveItem is one live room.
type LiveItem struct {
	RoomID   string `json:"RoomId"`
	UserID   int64  `json:"UserId"`
	Title    string
	Cover    string `doc:"absolute URL"`
	State    int    `doc:"1 on air, 0 off"`
	Avatar   string
	Nickname string
	IsFollow bool
}
