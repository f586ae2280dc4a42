package protocol

// This file holds the bodies of wire.md 4.3: what the app does over HTTP beside
// the long connection.

// SendRequest is the body of POST /imlogic/push-mid.
type SendRequest struct {
	Type        MessageType `required:"true" doc:"0 text, 1 photo, 2 voice, 3 video, 6 recall, 7 friend request, 10-13 and 17 calls and unfriending, 18 shared video" example:"0"`
	Message     string      `required:"true" doc:"the content; for 1, 2, 3 and 18 a JSON object with the file's URL" example:"hello"`
	ToUsers     int64       `required:"true" doc:"the one recipient" example:"10002"`
	ClientMsgID string      `json:"ClientMsgId" doc:"chosen by the sender; a repeated one gets the same answer and makes no second message"`
	ReplyTo     string      `doc:"ServerMsgId of the message this one answers"`
}

// SendRoomRequest is the body of POST /imlogic/push-room.
type SendRoomRequest struct {
	Type        MessageType `required:"true" doc:"0 text, 1 photo, 2 voice, 3 video, 6 recall, 18 shared video; 14, 15, 19 and 21 are answered and told to nobody, 21 sets the picture" example:"0"`
	Message     string      `required:"true" doc:"the content; for 1, 2, 3 and 18 a JSON object with the file's URL, for 6 a ServerMsgId" example:"hello"`
	RoomID      int64       `json:"RoomId" required:"true" example:"1000000001"`
	ToUsers     string      `doc:"not looked at"`
	ClientMsgID string      `json:"ClientMsgId" doc:"chosen by the sender; a repeated one gets the same answer and makes no second message"`
	ReplyTo     string      `doc:"ServerMsgId of the message this one answers"`
}

// SendReply answers a message.
type SendReply struct {
	Head
	Time        int64  `doc:"Unix ms, the same in the push and in every list"`
	ServerMsgID string `json:"ServerMsgId"`
}

// CheckOnlineRequest is the body of POST /imlogic/check-online.
type CheckOnlineRequest struct {
	User int64 `doc:"who; without it the caller's own login session" example:"10002"`
}

// CheckOnlineReply answers POST /imlogic/check-online.
type CheckOnlineReply struct {
	Head
	Online bool
}

// SyncPrivateRequest is the query of GET /chat/sync-private-message.
type SyncPrivateRequest struct {
	LastMessageTime int64 `required:"true" doc:"time of the newest message the client has, Unix ms; 0 for none" example:"0"`
}

// SyncRoomRequest is the query of GET /chat/room-msg.
type SyncRoomRequest struct {
	RoomID          int64 `json:"RoomId" required:"true" example:"1000000001"`
	LastMessageTime int64 `required:"true" doc:"Unix ms; 0 for none" example:"0"`
}

// MessagesReply is a list of stored messages.
type MessagesReply struct {
	Head
	List []MessageItem
}

// MessageItem is one stored message.
type MessageItem struct {
	MsgID    string `json:"MsgId" doc:"the ServerMsgId"`
	MsgType  MessageType
	FromUser int64
	Content  string
	Time     int64 `doc:"Unix ms"`
}
