package protocol

// LiveRecordRequest is the body of POST /live/record.
type LiveRecordRequest struct {
	RoomID int64  `json:"RoomId" doc:"without it the caller's" example:"1000000001"`
	Record string `required:"true" doc:"off, mp4 or flv" example:"mp4"`
}

// LiveRecordReply answers GET and POST /live/record.
type LiveRecordReply struct {
	Head
	RoomID string `json:"RoomId"`
	Record string `doc:"off, mp4 or flv"`
}

// LiveRecordListRequest is GET /live/record/list.
type LiveRecordListRequest struct {
	RoomID int64 `json:"RoomId" doc:"without it the caller's" example:"1000000001"`
	Cursor int64 `doc:"Next of the page before"`
}

// LiveRecordListReply answers GET /live/record/list.
type LiveRecordListReply struct {
	Head
	List []LiveRecording
	Next int64 `doc:"Cursor of the next page, 0 at the end"`
}

// LiveRecording is a recording of a live stream.
type LiveRecording struct {
	ID      int64  `json:"Id"`
	RoomID  string `json:"RoomId"`
	Title   string `doc:"of the room when it began"`
	State   string `doc:"recording, done or failed"`
	Reason  string `doc:"why it ended early, or failed"`
	Format  string `doc:"mp4 or flv"`
	Began   int64  `doc:"Unix ms"`
	Seconds int64
	Bytes   int64
	URL     string `json:"Url" doc:"for the caller alone, and for some hours; empty when there is no file"`
	VideoID int64  `json:"VideoId" doc:"the short video it was published as, else 0"`
}

// LiveRecordRef names a recording.
type LiveRecordRef struct {
	ID int64 `json:"Id" required:"true"`
}

// LiveRecordPublishRequest is the body of POST /live/record/publish.
type LiveRecordPublishRequest struct {
	ID    int64  `json:"Id" required:"true"`
	Title string `doc:"of the video; without it that of the recording"`
}

// LiveRecordPublishReply answers POST /live/record/publish.
type LiveRecordPublishReply struct {
	Head
	VideoID int64 `json:"VideoId" doc:"see /video/status"`
}
