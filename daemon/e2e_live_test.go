//go:build linux

package daemon_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"gtiv/daemon/apptest"
	"gtiv/protocol"
)

const readerUsage = "reader connect NAME WHO tcp|ws · join NAME ROOM [CODE] · expect NAME FIELD=VALUE… · quiet NAME · online NAME COUNT · close NAME"

// cmdReader is a plain client of the long connection, for live rooms.
func cmdReader(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) >= 2, readerUsage)
	w := worldOf(ts)
	name := args[1]
	if args[0] == "connect" {
		usage(ts, len(args) == 4, readerUsage)
		address := w.s.address(portComet)
		if args[3] == "ws" {
			address = "ws://" + w.s.address(portSub) + "/sub"
		}
		c, err := apptest.Dial(context.Background(), address, apptest.ClientConfig{Token: w.who(ts, args[2]).token, Platform: "test", Timeout: patience})
		ts.Check(err)
		w.readers[name] = c
		return
	}
	c := w.readers[name]
	if c == nil {
		ts.Fatalf("%s is not connected", name)
	}
	switch args[0] {
	case "join":
		readerJoins(ts, c, args[2:])
	case "expect":
		readerExpects(ts, c, args[2:])
	case "quiet", "online":
		// Whatever was sent before the answer would be read first.
		ts.Check(c.Write(protocol.OpHeartbeat, 1, nil))
		f := readFrameOf(ts, c, protocol.OpHeartbeatReply)
		if n := strconv.Itoa(int(binary.BigEndian.Uint32(f.Body))); args[0] == "online" && n != args[2] {
			ts.Fatalf("%s are online, not %s", n, args[2])
		}
	case "close":
		_ = c.Close()
	default:
		usage(ts, false, readerUsage)
	}
}

// readFrameOf reads the next frame, which must have this op; 0 is any push.
func readFrameOf(ts *testscript.TestScript, c *apptest.Client, op protocol.Op) apptest.Frame {
	f, err := c.Read()
	ts.Check(err)
	if op != f.Op && (op != 0 || f.Op <= protocol.OpPrivate) {
		ts.Fatalf("op %d: %s", f.Op, f.Body)
	}
	return f
}

func readerJoins(ts *testscript.TestScript, c *apptest.Client, args []string) {
	usage(ts, len(args) == 1 || len(args) == 2, readerUsage)
	ts.Check(c.Write(protocol.OpChangeRoom, 1, []byte(args[0])))
	f := readFrameOf(ts, c, protocol.OpChangeRoomOK)
	code := "0"
	if len(f.Body) > 0 {
		var head protocol.Head
		ts.Check(json.Unmarshal(f.Body, &head))
		code = fmt.Sprint(int(head.ApiCode))
	}
	want := "0"
	if len(args) == 2 {
		want = args[1]
	}
	if code != want {
		ts.Fatalf("op 13 with code %s, want %s", code, want)
	}
}

// readerExpects looks at the next push, which must have these fields.
func readerExpects(ts *testscript.TestScript, c *apptest.Client, fields []string) {
	f := readFrameOf(ts, c, 0)
	r := &reply{}
	if err := json.Unmarshal(f.Body, &r.json); err != nil {
		ts.Fatalf("op %d is no JSON: %s", f.Op, f.Body)
	}
	for _, field := range append(fields, "ChatType=3", "RoomId="+strconv.Itoa(int(f.Op)-int(protocol.OpPrivate))) {
		name, want, _ := strings.Cut(field, "=")
		if got := r.value(name); !matches(want, got) {
			ts.Fatalf("%s is %q, want %q, in %s", name, got, want, f.Body)
		}
	}
}
