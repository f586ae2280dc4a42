package chat

import (
	"strings"
	"testing"

	"gtiv/protocol"
	"gtiv/store"
)

// An apostrophe is three bytes in the app's form (wire.md K2), which can make it
// the longer one: 4077 to 4079 bytes of it overrun the app's buffer.
func TestRoomMessagesThatOverrunTheAppAreRefused(t *testing.T) {
	send := func(plain, quotes int) RoomSend {
		return RoomSend{Room: store.FirstRoom + 1, Content: strings.Repeat("x", plain) + strings.Repeat("'", quotes)}
	}
	size := func(m RoomSend) int {
		return len(roomBody(store.Message{
			Kind: store.KindRoom, Room: m.Room, From: 10001, Content: m.Content, ServerMsgID: strings.Repeat("0", 36), Time: 1_000_000_000_000,
		}, roomView{language: protocol.LanguageEnglish}))
	}
	plain := protocol.MaxPushBody - 5 - size(send(0, 100))
	for i := range 8 {
		m := send(plain+i, 100)
		if got, want := roomPushFits(10001, m), protocol.FitsPush(size(m)); got != want {
			t.Errorf("a push of %d bytes: %v, want %v", size(m), got, want)
		}
	}
}
