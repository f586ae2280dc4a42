package gateway

import (
	"encoding/binary"
	"encoding/json"
	"sync"

	"gtiv/protocol"
)

// wsHeaderMax is the most that is ever put in front of a frame: a WebSocket
// header with a 64-bit length.
const wsHeaderMax = 10

// payload is one frame in the form of every transport, built once and shared by
// all connections: the whole is a WebSocket message, what follows head is the
// frame as TCP carries it. Never changed after it was made.
type payload struct {
	wire []byte
	head int
}

func newPayload(op protocol.Op, body []byte) payload {
	n := protocol.HeaderBytes + len(body)
	b := appendWSHeader(make([]byte, 0, wsHeaderMax+n), n)
	head := len(b)
	return payload{wire: protocol.AppendFrame(b, op, 0, body), head: head}
}

// newReply is the answer to a client's frame.
func newReply(to protocol.Header, op protocol.Op, body []byte) payload {
	n := protocol.HeaderBytes + len(body)
	b := appendWSHeader(make([]byte, 0, wsHeaderMax+n), n)
	head := len(b)
	return payload{wire: protocol.AppendReply(b, to, op, body), head: head}
}

// on is the payload as s's transport carries it.
func (p payload) on(s *session) []byte {
	if s.ws != nil {
		return p.wire
	}
	return p.wire[p.head:]
}

// appendWSHeader appends the head of an unmasked, unfragmented binary message
// of n bytes (RFC 6455 5.2).
func appendWSHeader(b []byte, n int) []byte {
	const finBinary = 0x82
	switch {
	case n < 126:
		return append(b, finBinary, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, finBinary, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, finBinary, 127), uint64(n)) //nolint:gosec // a length
	}
}

// Push is one frame for the connections of a user or login session. It must
// not be changed after it was first handed to the gateway; the same Push may go
// to many users, its frames are built once.
type Push struct {
	Op   protocol.Op
	Type protocol.MessageType
	// Body is the contract's form, FeatureBody the form for clients that declared
	// features; nil means that they get Body too.
	Body, FeatureBody []byte
	// Conversation and Seq name a stored message, for Handed and Confirmed. Seq 0
	// is reported to nobody.
	Conversation int64
	Seq          uint64
	// FeaturesOnly leaves out every client that declared no features.
	FeaturesOnly bool
	// ExceptSession leaves out one login session: the sender's.
	ExceptSession int64
	// Silent is for what a client without features never gets to see: own
	// messages, hidden ones. Nothing is written to it, but Seq counts as handed
	// and is confirmed in its turn, so that no hole stays between its neighbours.
	// Feature clients get FeatureBody, if there is one.
	Silent bool
	// Slow marks pushes after which the app's reader does HTTP (wire.md 7.5 F7),
	// besides those whose Type says so.
	Slow bool

	once        sync.Once
	plain, rich payload
	appOnce     sync.Once
	appOK       bool
}

func (p *Push) build() {
	p.plain = newPayload(p.Op, p.Body)
	p.rich = p.plain
	if p.FeatureBody != nil {
		p.rich = newPayload(p.Op, p.FeatureBody)
	}
}

// forClient is the frame that a client of this kind gets.
func (p *Push) forClient(features bool) payload {
	p.once.Do(p.build)
	if features {
		return p.rich
	}
	return p.plain
}

// slow reports whether the app does HTTP after this push (wire.md 7.5 F7).
func (p *Push) slow() bool {
	switch p.Type {
	case protocol.TypeApply, protocol.TypeAccepted, protocol.TypeNewRoom:
		return true
	}
	return p.Slow
}

// fitsApp reports whether the app survives this push.
func (p *Push) fitsApp() bool {
	p.appOnce.Do(func() { p.appOK = appCanRead(p.Op, p.Body) })
	return p.appOK
}

// mandatory are the fields that the app's parser needs (wire.md 8.1).
type mandatory struct {
	ChatType, MsgType, FromUser, Time, RoomId *json.RawMessage //nolint:revive // the wire's spelling
	ToUsers, Content, ServerMsgId             *string          //nolint:revive // the wire's spelling
}

// complete reports whether body is a JSON object with all of them. A null
// leaves its pointer nil, so it counts as missing.
func complete(body []byte, room bool) bool {
	var m mandatory
	if json.Unmarshal(body, &m) != nil || room && m.RoomId == nil {
		return false
	}
	return m.ChatType != nil && m.MsgType != nil && m.FromUser != nil && m.Time != nil &&
		m.ToUsers != nil && m.Content != nil && m.ServerMsgId != nil
}
