package cli_test

import (
	"testing"
	"time"

	"gtiv/protocol"
)

func TestRoomCommands(t *testing.T) {
	zone := time.Local //nolint:gosmopolitan // the golden text needs one zone
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = zone })
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	cats := protocol.Room{ID: 1000000001, Name: "cats\x1b[31m", Members: 3, MemberLimit: 500, CreatedAt: at}
	shown := cats
	shown.Owner, shown.Admins, shown.Notice, shown.Messages = 10001, []int64{10002, 10003}, "be\nnice", 1234
	shown.MutedUntil, shown.Approval, shown.Links, shown.Waiting = at, true, 2, 1
	d := fakeDaemon(t, map[string]any{
		"GET /v1/rooms?Limit=50":                  protocol.RoomList{List: []protocol.Room{cats}, Next: 1000000001},
		"GET /v1/rooms?After=7&Limit=1&Query=a+b": protocol.RoomList{List: []protocol.Room{{ID: 8, Name: "a b"}}},
		"GET /v1/rooms/show?Room=1000000001":      shown,
		"GET /v1/rooms/show?Room=8":               protocol.Room{ID: 8, Name: "a b", OpenInvite: true},
		"GET /v1/rooms/members?Limit=50&Room=1000000001": protocol.RoomMemberList{Next: 50, List: []protocol.RoomMember{
			{ID: 10002, Username: "ben", Nickname: "小明", Role: "admin", JoinedAt: at, MutedUntil: at},
		}},
		"POST /v1/rooms/dissolve": cats,
	})
	d.does(t, []commandCase{
		{"room list", "GET /v1/rooms?Limit=50", "1000000001  cats[31m  3/500    2026-01-02 03:04\nMore: --after 1000000001\n"},
		{"room list --query a+b --after 7 --limit 1", "GET /v1/rooms?After=7&Limit=1&Query=a+b", "8   a b   0/0      -\n"},
		{"room show 1000000001", "GET /v1/rooms/show?Room=1000000001", `Name            cats[31m
Members         3 of at most 500
Owner           10001
Admins          10002, 10003
Messages        1,234
Notice          be nice
All muted until 2026-01-02 03:04
Joining by link 2 links, an administrator decides (1 waiting)
May be invited  contacts of members
Created         2026-01-02 03:04
`},
		{"room show 8", "GET /v1/rooms/show?Room=8", "All muted until -\nJoining by link 0 links, at once\nMay be invited  anybody\n"},
		{"room members 1000000001", "GET /v1/rooms/members?Limit=50&Room=1000000001", "10002  ben       小明      admin  2026-01-02 03:04  2026-01-02 03:04\nMore: --after 50\n"},
		{"room dissolve 1000000001", `POST /v1/rooms/dissolve {"Room":1000000001}`, "The group cats[31m (1000000001) was dissolved.\n"},
	})
	d.fails(t, map[string]int{
		"room": 2, "room show": 2, "room show cats": 2, "room members": 2, "room dissolve": 2, "room dissolve 1 2": 2, "room list --limit x": 2,
		"room show 9": 1, "room members 9": 1, "room list --after 9": 1, "room list --data /nonexistent": 3,
	})
}
