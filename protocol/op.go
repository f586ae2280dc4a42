package protocol

// Op is the operation number of a frame (wire.md 7.2, design.md 4).
type Op int32

// Operations on the long connection. Ops above 99 are pushes: 100 is private,
// 100 + room id is a room.
const (
	OpHeartbeat      Op = 2
	OpHeartbeatReply Op = 3
	OpSend           Op = 4 // feature clients only
	OpSendReply      Op = 5
	OpAuth           Op = 7
	OpAuthReply      Op = 8
	OpRaw            Op = 9 // batch of frames, WebSocket only
	OpChangeRoom     Op = 12
	OpChangeRoomOK   Op = 13
	OpSubscribe      Op = 14 // no effect, see wire.md 18.12
	OpSubscribeOK    Op = 15
	OpUnsubscribe    Op = 16
	OpUnsubscribeOK  Op = 17
	OpSync           Op = 18 // feature clients only
	OpSyncReply      Op = 19
	OpAck            Op = 20 // feature clients only
	OpNotice         Op = 21 // feature clients only, both ways
	OpPrivate        Op = 100
)

// RoomOp is the op that carries messages of the room with this id.
func RoomOp(room int64) Op { return Op(100 + room) }
