package protocol

import (
	"strconv"
	"strings"
)

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
	Viewers  int `doc:"who watch the stream now, by all protocols"`
}

// LiveMessage is a message of a live room's chat, the same in a push and in the
// history: the contract's push JSON with ChatType 3, and behind it where it
// stands and who says it. Every reader gets the same bytes.
type LiveMessage struct {
	ChatType     int         `doc:"always 3" example:"3"`
	MsgType      MessageType `doc:"0 text; 20 a notice of the server; 6 the message named by Content was deleted"`
	RoomID       string      `json:"RoomId"`
	FromUser     string
	ToUsers      string `doc:"always empty"`
	Content      string
	ServerMsgID  string `json:"ServerMsgId"`
	Time         int64  `doc:"Unix ms"`
	Conversation string `doc:"l:RoomId"`
	Seq          uint64 `json:",omitempty" doc:"counts the room's messages; a deletion has none"`
	Nickname     string `doc:"of FromUser"`
	Avatar       string `doc:"of FromUser"`
}

// JSON is the body of a push.
func (m *LiveMessage) JSON() []byte { return compactJSON(m) }

// LiveConversation is the name of a live room's conversation.
func LiveConversation(room int64) string { return "l:" + strconv.FormatInt(room, 10) }

// liveRoomPrefix starts the names of the broadcast rooms of live rooms.
const liveRoomPrefix = "live_"

// LiveRoomName is what op 12 calls a live room.
func LiveRoomName(room int64) string { return liveRoomPrefix + strconv.FormatInt(room, 10) }

// ParseLiveRoomName finds the id in what LiveRoomName wrote.
func ParseLiveRoomName(name string) (room int64, ok bool) {
	digits, ok := strings.CutPrefix(name, liveRoomPrefix)
	room, err := strconv.ParseInt(digits, 10, 32)
	return room, ok && err == nil && name == LiveRoomName(room)
}

// LiveCreateRequest is the body of POST /live/create.
type LiveCreateRequest struct {
	Title string `required:"true" doc:"1 to 60 characters" example:"Morning walk"`
	Cover string `doc:"an http or https URL"`
}

// LiveCreateReply answers POST /live/create.
type LiveCreateReply struct {
	Head
	RoomID string `json:"RoomId" doc:"the caller's live room; everybody has at most one"`
	LiveKey
}

// LiveKey is what a room is published with.
type LiveKey struct {
	Key   string `doc:"48 letters and digits; secret"`
	RTMP  string `json:"Rtmp" doc:"goes in front of Key" example:"rtmp://example.org:2011/live/"`
	RTMPS string `json:"Rtmps" doc:"the same over TLS" example:"rtmps://example.org:2016/live/"`
}

// LiveKeyRequest names a live room of the caller.
type LiveKeyRequest struct {
	RoomID int64 `json:"RoomId" doc:"without it the caller's" example:"1000000001"`
}

// LiveKeyReply answers GET and POST /live/key.
type LiveKeyReply struct {
	Head
	LiveKey
}

// LiveMineReply answers GET /live/mine.
type LiveMineReply struct {
	Head
	RoomID string `json:"RoomId"`
	Title  string
	Cover  string `doc:"as it was given; empty for none"`
	Closed bool   `doc:"it is there for nobody until /live/create opens it again"`
	Slow   int    `doc:"seconds between two messages of one person; 0 off"`
}

// LiveRoomRequest names a live room.
type LiveRoomRequest struct {
	RoomID int64 `json:"RoomId" required:"true" example:"1000000001"`
}

// LiveEditRequest is the body of POST /live/edit.
type LiveEditRequest struct {
	RoomID int64  `json:"RoomId" required:"true" example:"1000000001"`
	Title  string `doc:"1 to 60 characters; without it unchanged"`
	Cover  string `doc:"an http or https URL; without it unchanged"`
}

// LiveChatRequest is the body of POST /live/chat.
type LiveChatRequest struct {
	RoomID      int64       `json:"RoomId" required:"true" example:"1000000001"`
	Message     string      `required:"true" doc:"1 to 300 characters" example:"hello"`
	Type        MessageType `doc:"0, which is also what it is without"`
	ClientMsgID string      `json:"ClientMsgId" doc:"chosen by the sender; a repeated one gets the same answer and makes no second message"`
	Token       string      `doc:"as in /live/info"`
}

// LiveWatchRequest names a live room, and by what the caller may watch it.
type LiveWatchRequest struct {
	RoomID int64  `json:"RoomId" required:"true" example:"1000000001"`
	Token  string `doc:"as in /live/info"`
}

// LiveHistoryReply answers GET /live/history.
type LiveHistoryReply struct {
	Head
	Online int           `doc:"connections in the room"`
	List   []LiveMessage `doc:"the last 50, oldest first"`
}

// LiveMessageRequest is the body of POST /live/delete-message.
type LiveMessageRequest struct {
	RoomID      int64  `json:"RoomId" required:"true" example:"1000000001"`
	ServerMsgID string `json:"ServerMsgId" required:"true"`
}

// LiveMuteRequest is the body of POST /live/mute.
type LiveMuteRequest struct {
	RoomID  int64 `json:"RoomId" required:"true" example:"1000000001"`
	UserID  int64 `json:"UserId" required:"true" example:"10002"`
	Seconds int64 `doc:"how long, at most a year; without it, or with 0, for ever" example:"600"`
}

// LiveUserRequest is the body of POST /live/unmute.
type LiveUserRequest struct {
	RoomID int64 `json:"RoomId" required:"true" example:"1000000001"`
	UserID int64 `json:"UserId" required:"true" example:"10002"`
}

// LiveSlowRequest is the body of POST /live/slow.
type LiveSlowRequest struct {
	RoomID  int64 `json:"RoomId" required:"true" example:"1000000001"`
	Seconds int   `doc:"time between two messages of one person, at most 3600; 0 switches slow mode off" example:"10"`
}

// LiveWordsRequest is the body of POST /live/words.
type LiveWordsRequest struct {
	RoomID int64  `json:"RoomId" required:"true" example:"1000000001"`
	Words  string `doc:"the complete new list, with line breaks or commas between: at most 200 of 1 to 40 characters; empty for none"`
}

// LiveWordsReply answers GET /live/words.
type LiveWordsReply struct {
	Head
	List []string
}

// LiveModeratorsRequest is the body of POST /live/moderators.
type LiveModeratorsRequest struct {
	RoomID  int64  `json:"RoomId" required:"true" example:"1000000001"`
	UserIDs string `json:"UserIds" doc:"the complete new set, at most 50 ids with commas between; empty for none" example:"10002,10003"`
}

// LiveModeratorsReply answers GET /live/moderators.
type LiveModeratorsReply struct {
	Head
	List []LiveModerator
}

// LiveModerator is one moderator of a live room.
type LiveModerator struct {
	UserID   string `json:"UserId"`
	Nickname string
	Avatar   string
}
