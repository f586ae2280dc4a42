package cli_test

import (
	"testing"
	"time"

	"gtiv/protocol"
)

func TestRecordCommands(t *testing.T) {
	zone := time.Local //nolint:gosmopolitan // the golden text needs one zone
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = zone })
	film := protocol.Recording{
		ID: 5, Room: 1000000001, Title: "t", State: "done", Format: "mp4", Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), DurationMS: 65000, Bytes: 2 << 20,
		File: "1000000001/20260102-030405-5.mp4", Video: 7, Reason: "no\x1b[31m\nroom",
	}
	d := fakeDaemon(t, map[string]any{
		"GET /v1/live/record?Room=1000000001":                     protocol.LiveRecord{Room: 1000000001, Record: "off"},
		"POST /v1/live/record":                                    protocol.LiveRecord{Room: 1000000001, Record: "mp4"},
		"GET /v1/live/recordings?Limit=50":                        protocol.RecordingList{List: []protocol.Recording{film}, Next: 5},
		"GET /v1/live/recordings?After=9&Limit=1&Room=1000000001": protocol.RecordingList{},
		"POST /v1/live/recordings/delete":                         film,
	})
	d.does(t, []commandCase{
		{"live record 1000000001", "GET /v1/live/record?Room=1000000001", "Live room 1000000001 is not recorded.\n"},
		{"live record 1000000001 on", `POST /v1/live/record {"Room":1000000001,"Record":"mp4"}`, "Live room 1000000001 is recorded as mp4.\n"},
		{"live record 1000000001 flv", `POST /v1/live/record {"Room":1000000001,"Record":"flv"}`, "recorded"},
		{"live record 1000000001 off", `POST /v1/live/record {"Room":1000000001,"Record":"off"}`, "recorded"},
		{"live record list", "GET /v1/live/recordings?Limit=50",
			"5   1000000001  done   2026-01-02 03:04  1:05    2.0 MiB  7      1000000001/20260102-030405-5.mp4  no[31m room\nMore: --after 5\n"},
		{"live record list --room 1000000001 --after 9 --limit 1", "GET /v1/live/recordings?After=9&Limit=1&Room=1000000001", "ROOM"},
		{"live record delete 5 --yes", `POST /v1/live/recordings/delete {"ID":5}`, "Recording 5 of live room 1000000001 was deleted.\n"},
	})
	d.fails(t, map[string]int{
		"live record": 2, "live record x": 2, "live record 1 loud": 2, "live record list x": 2, "live record delete": 2, "live record 9": 1,
	})
}
