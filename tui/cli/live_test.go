package cli_test

import (
	"testing"
	"time"

	"gtiv/protocol"
)

func TestLiveCommands(t *testing.T) {
	inUTC(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	walk := protocol.Live{
		ID: 1000000001, Owner: 10001, Username: "ann", Title: "a\nwalk\x1b[31m", OnAir: true, Access: "open", Hearts: 1234, Viewers: 3, Began: at,
		Stream: &protocol.LiveStream{Video: "avc1", VideoKbps: 2200, Audio: "mp4a", AudioKbps: 128, KeyEvery: 2000, BFrames: true},
	}
	shown := walk
	shown.Detail = &protocol.LiveDetail{
		Chat: 9, Notes: []string{"no WebRTC: B-frames"}, Pushes: []string{"rtmp://a.example/app/…"},
		Sessions: []protocol.LiveSession{
			{ID: 5, Publish: true, Protocol: "rtmp", Address: "192.0.2.7", UserID: 10001, Began: at.UnixMilli(), Bytes: 1 << 20},
			{ID: 6, Protocol: "flv", Began: at.UnixMilli(), Note: "x\x1b[0m"},
		},
	}
	d := fakeDaemon(t, map[string]any{
		"GET /v1/live?Limit=50":                   protocol.LiveList{List: []protocol.Live{walk, {ID: 1000000002, Username: "bob", Closed: true, Access: "link"}}, Next: 1000000002},
		"GET /v1/live?After=9&Limit=1&OnAir=true": protocol.LiveList{},
		"GET /v1/live/show?ID=1000000001":         shown,
		"POST /v1/live/kick":                      walk,
		"POST /v1/live/key":                       protocol.LiveKeyShown{ID: 1000000001, Key: "KEY"},
		"POST /v1/live/push":                      walk,
		"POST /v1/live/allow":                     protocol.User{ID: 10001, Username: "ann"},
		"GET /v1/live/streamers?Limit=50":         protocol.StreamerList{List: []protocol.User{{ID: 10001, Username: "ann", Nickname: "An"}}},
	})
	d.does(t, []commandCase{
		{"live list", "GET /v1/live?Limit=50", `ID          STATE   OWNER  TITLE       ACCESS  VIEWERS  SINCE             STREAM
1000000001  on air  ann    a walk[31m  open    3        2026-01-02 03:04  avc1 2200 kbit/s, mp4a 128 kbit/s
1000000002  closed  bob                link    0        -                 -
More: --after 1000000002
`},
		{"live list --on-air --after 9 --limit 1", "GET /v1/live?After=9&Limit=1&OnAir=true", "ID"},
		{"live show 1000000001", "GET /v1/live/show?ID=1000000001", `Title          a walk[31m
Owner          ann (10001)
State          on air
Who may watch  open
On air since   2026-01-02 03:04
Stream         avc1 2200 kbit/s, mp4a 128 kbit/s
Key frames     every 2.0 s, with B-frames
Viewers        3
In the chat    9
Hearts         1,234
Pushed to      rtmp://a.example/app/…
Note           no WebRTC: B-frames

SESSION  ROLE       PROTOCOL  ADDRESS    USER   SINCE             BYTES    NOTE
5        publisher  rtmp      192.0.2.7  10001  2026-01-02 03:04  1.0 MiB  -
6        viewer     flv       -          -      2026-01-02 03:04  0 B      x[0m
`},
		{"live kick 1000000001", `POST /v1/live/kick {"ID":1000000001,"Seconds":600}`, "The stream of a walk[31m (1000000001) is off air, and stays so for 10m0s.\n"},
		{"live kick 1000000001 --session 6 --for 1h", `POST /v1/live/kick {"ID":1000000001,"Session":6,"Seconds":3600}`, "Session 6 of"},
		{"live key 1000000001", `POST /v1/live/key {"ID":1000000001}`, "KEY\n"},
		{"live key 1000000001 --reset", `POST /v1/live/key {"ID":1000000001,"Reset":true}`, "KEY\n"},
		{"live push 1000000001 rtmp://x/a/b", `POST /v1/live/push {"ID":1000000001,"URL":"rtmp://x/a/b"}`, "is pushed there"},
		{"live push 1000000001 rtmp://x/a/b --off", `POST /v1/live/push {"ID":1000000001,"URL":"rtmp://x/a/b","Off":true}`, "is not pushed there any more"},
		{"live allow ann", `POST /v1/live/allow {"User":"ann"}`, "ann (10001) may stream"},
		{"live deny ann", `POST /v1/live/allow {"User":"ann","Deny":true}`, "ann (10001) may not stream"},
		{"live streamers", "GET /v1/live/streamers?Limit=50", "10001  ann       An"},
	})
	d.fails(t, map[string]int{
		"live": 2, "live show": 2, "live show x": 2, "live kick 1 --for 25h": 2, "live kick 1 --for 0s": 2, "live key": 2, "live push 1": 2, "live allow": 2,
		"live show 9": 1, "live list --data /nonexistent": 3,
	})
}
