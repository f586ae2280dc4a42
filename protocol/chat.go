package protocol

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// MessageType says what a message is (wire.md 8.2).
type MessageType int

// The types of wire.md 8.2.
const (
	TypeText       MessageType = 0
	TypePhoto      MessageType = 1
	TypeVoice      MessageType = 2
	TypeVideo      MessageType = 3
	TypeBan        MessageType = 4 // server only
	TypeUnban      MessageType = 5 // server only
	TypeRecall     MessageType = 6
	TypeApply      MessageType = 7
	TypeAccepted   MessageType = 8 // server only
	TypeNewRoom    MessageType = 9 // server only
	TypeCallInvite MessageType = 10
	TypeCallerHung MessageType = 11
	TypeCalleeHung MessageType = 12
	TypeUnfriended MessageType = 13
	TypeRoomName   MessageType = 14
	TypeRemoved    MessageType = 15
	TypeElsewhere  MessageType = 16 // server only
	TypeCallTaken  MessageType = 17
	TypeShare      MessageType = 18
	TypeLeft       MessageType = 19
	TypeInvited    MessageType = 20 // server only
	TypeRoomAvatar MessageType = 21
	TypeHearts     MessageType = 22 // server only, live rooms: Content is how many; not kept
	MaxMessageType MessageType = 21
	ChatPrivate                = 1 // ChatType of a private push
	ChatRoom                   = 2
	ChatLive                   = 3
	SystemUserID               = 0 // FromUser of pushes that come from nobody
	BuiltInUserID              = 10000
	FirstUserID                = 10001
	FirstRoomID                = 1000000000
)

// Message is a message as every client sees it, whatever the transport: the
// contract's push JSON (wire.md 8.1), and behind it what only feature clients
// get (design.md 4).
type Message struct {
	ChatType    int
	MsgType     MessageType
	RoomID      int64 // rooms only
	FromUser    int64
	ToUsers     string // a user id, or "" for a whole room
	Content     string
	ServerMsgID string
	Time        int64 // ms

	// For feature clients.
	Conversation string // "u:<user>" or "r:<room>", as seen by the reader
	Seq          uint64
	ClientMsgID  string
	ReplyTo      string
	Mentions     []int64
	Edited       int64 // ms, 0 never
}

// pushJSON is the order and spelling of wire.md 8.1.
type pushJSON struct {
	ChatType    int
	MsgType     MessageType
	RoomId      string `json:",omitempty"` //nolint:revive // the wire's spelling
	FromUser    string
	ToUsers     string
	Content     string
	ServerMsgId string //nolint:revive // the wire's spelling
	Time        int64
	BadgeNum    int `json:",omitempty"`
}

type featureJSON struct {
	pushJSON
	Conversation string
	Seq          uint64
	ClientMsgId  string  `json:",omitempty"` //nolint:revive // the wire's spelling
	ReplyTo      string  `json:",omitempty"`
	Mentions     []int64 `json:",omitempty"`
	Edited       int64   `json:",omitempty"`
}

// MessageJSON is the body of a push. With features it carries the fields that
// only feature clients may see. Compact, no HTML escaping, raw UTF-8 (wire.md
// 7.5 F2).
func MessageJSON(m *Message, features bool) []byte {
	p := pushJSON{
		ChatType: m.ChatType, MsgType: m.MsgType,
		FromUser: strconv.FormatInt(m.FromUser, 10), ToUsers: m.ToUsers,
		Content: m.Content, ServerMsgId: m.ServerMsgID, Time: m.Time,
	}
	if m.ChatType == ChatPrivate {
		p.BadgeNum = 1
	} else {
		p.RoomId = strconv.FormatInt(m.RoomID, 10)
	}
	if !features {
		return compactJSON(p)
	}
	return compactJSON(featureJSON{
		pushJSON: p, Conversation: m.Conversation, Seq: m.Seq, ClientMsgId: m.ClientMsgID,
		ReplyTo: m.ReplyTo, Mentions: m.Mentions, Edited: m.Edited,
	})
}

// PrivateConversation is the name a feature client knows a private
// conversation by: its peer.
func PrivateConversation(peer int64) string { return "u:" + strconv.FormatInt(peer, 10) }

// RoomConversation is the name of a room's conversation.
func RoomConversation(room int64) string { return "r:" + strconv.FormatInt(room, 10) }

// compactJSON marshals without HTML escaping and without the trailing newline.
func compactJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("protocol: marshal " + err.Error()) // plain structs always marshal
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// AuthBody is the body of op 7 (wire.md 7.3). An empty token is a guest.
type AuthBody struct {
	UserToken string   `json:"userToken"`
	Platform  string   `json:"platform"`
	Key       string   `json:"key"`
	RoomID    string   `json:"room_id"`
	Accepts   []int32  `json:"accepts"`
	Features  []string `json:"features"`
}

// Notice is the body of op 21, both ways, for feature clients only (design.md
// 4). Which fields are set depends on Kind.
type Notice struct {
	Kind         string
	Conversation string `json:",omitempty"`
	User         int64  `json:",omitempty"`
	ServerMsgId  string `json:",omitempty"` //nolint:revive // the wire's spelling
	Delivered    uint64 `json:",omitempty"`
	Read         uint64 `json:",omitempty"`
	Online       *bool  `json:",omitempty"`
	LastSeen     int64  `json:",omitempty"`
	Id           string `json:",omitempty"` //nolint:revive // the wire's spelling
	Text         string `json:",omitempty"`
	Epoch        string `json:",omitempty"`
	RoomID       int64  `json:"RoomId,omitempty"`
	VideoID      int64  `json:"VideoId,omitempty"`
	State        string `json:",omitempty"`
	Percent      int    `json:",omitempty"`
	Reason       string `json:",omitempty"`
}

// LiveOn is the State of a notice of kind NoticeLive: RoomId of User, called Text,
// is on air.
const LiveOn = "on"

// Kinds of notices.
const (
	NoticeTyping   = "typing"
	NoticeReceipt  = "receipt"
	NoticePresence = "presence"
	NoticeBehind   = "behind"
	NoticeRecall   = "recall"
	NoticeText     = "notice"
	NoticeEpoch    = "epoch"
	NoticeLive     = "live"  // somebody one follows is on air; with State recordEnded: one's own recording ended early
	NoticeVideo    = "video" // how far the processing of a video is
)

// JSON is the body of the frame.
func (n Notice) JSON() []byte { return compactJSON(n) }
