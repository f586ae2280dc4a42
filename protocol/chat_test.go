package protocol_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"gtiv/protocol"
)

func privateMessage() *protocol.Message {
	return &protocol.Message{
		ChatType: protocol.ChatPrivate, MsgType: protocol.TypeText, FromUser: 10001, ToUsers: "10002",
		Content: "hello", ServerMsgID: "0198c0de-0000-7000-8000-000000000001", Time: 1767225600123,
		Conversation: "u:10001", Seq: 7, ClientMsgID: "c-1", ReplyTo: "0198c0de-0000-7000-8000-000000000000",
		Mentions: []int64{10002}, Edited: 1767225600999,
	}
}

func roomMessage() *protocol.Message {
	m := privateMessage()
	m.ChatType, m.RoomID, m.ToUsers, m.MsgType = protocol.ChatRoom, 1000000000, "", protocol.TypeLeft
	m.Conversation = "r:1000000000"
	return m
}

func same(t *testing.T, got []byte, want string) {
	t.Helper()
	if string(got) != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// Order, spelling and types of wire.md 8.1: the sender is text, the time a
// number, and nothing is there that the app does not know.
func TestPushJSON(t *testing.T) {
	same(t, protocol.MessageJSON(privateMessage(), false),
		`{"ChatType":1,"MsgType":0,"FromUser":"10001","ToUsers":"10002","Content":"hello",`+
			`"ServerMsgId":"0198c0de-0000-7000-8000-000000000001","Time":1767225600123,"BadgeNum":1}`)
	same(t, protocol.MessageJSON(roomMessage(), false),
		`{"ChatType":2,"MsgType":19,"RoomId":"1000000000","FromUser":"10001","ToUsers":"","Content":"hello",`+
			`"ServerMsgId":"0198c0de-0000-7000-8000-000000000001","Time":1767225600123}`)
}

// The app throws when a mandatory field is absent (wire.md 7.5 F6).
func TestPushJSONKeepsEmptyMandatoryFields(t *testing.T) {
	same(t, protocol.MessageJSON(&protocol.Message{ChatType: protocol.ChatPrivate, MsgType: protocol.TypeElsewhere}, false),
		`{"ChatType":1,"MsgType":16,"FromUser":"0","ToUsers":"","Content":"","ServerMsgId":"","Time":0,"BadgeNum":1}`)
}

func TestFeatureClientsSeeMore(t *testing.T) {
	same(t, protocol.MessageJSON(privateMessage(), true),
		`{"ChatType":1,"MsgType":0,"FromUser":"10001","ToUsers":"10002","Content":"hello",`+
			`"ServerMsgId":"0198c0de-0000-7000-8000-000000000001","Time":1767225600123,"BadgeNum":1,`+
			`"Conversation":"u:10001","Seq":7,"ClientMsgId":"c-1","ReplyTo":"0198c0de-0000-7000-8000-000000000000",`+
			`"Mentions":[10002],"Edited":1767225600999}`)
	plain := protocol.MessageJSON(&protocol.Message{
		ChatType: protocol.ChatRoom, RoomID: 1000000000, FromUser: 10001, Conversation: "r:1000000000", Seq: 1,
	}, true)
	same(t, plain, `{"ChatType":2,"MsgType":0,"RoomId":"1000000000","FromUser":"10001","ToUsers":"","Content":"",`+
		`"ServerMsgId":"","Time":0,"Conversation":"r:1000000000","Seq":1}`)
}

// Compact, raw UTF-8, no HTML escaping (wire.md 7.5 F2): every byte counts
// against the 4096 that the app reads.
func TestContentIsWrittenRaw(t *testing.T) {
	for content, want := range map[string]string{
		`<b>a & b</b>`:    `<b>a & b</b>`,
		"你好，世界":           "你好，世界",
		"👩‍👩‍👧 👍🏽":        "👩‍👩‍👧 👍🏽",
		`say "hi" \o/`:    `say \"hi\" \\o/`,
		"two\nlines\ttab": `two\nlines\ttab`,
		"nul\x00":         `nul\u0000`,
		"it's":            "it's",
	} {
		m := privateMessage()
		m.Content = content
		body := protocol.MessageJSON(m, false)
		if !strings.Contains(string(body), `"Content":"`+want+`",`) {
			t.Errorf("%q is written as %s", content, body)
		}
	}
}

func TestInvalidUTF8StaysOneReadableObject(t *testing.T) {
	for _, content := range []string{"a\xffb", "\xed\xa0\x80", "cut \xf0\x9f\x91", "\xc0\xaf"} {
		m := roomMessage()
		m.Content = content
		body := protocol.MessageJSON(m, false)
		var back struct{ Content string }
		if err := json.Unmarshal(body, &back); err != nil || !utf8.Valid(body) {
			t.Errorf("%q: %s: %v", content, body, err)
		}
		if !strings.ContainsRune(back.Content, utf8.RuneError) {
			t.Errorf("%q became %q", content, back.Content)
		}
	}
}

func TestContentCannotForgeFields(t *testing.T) {
	m := privateMessage()
	m.Content = `","FromUser":"1","Content":"`
	var back struct{ FromUser, Content string }
	if err := json.Unmarshal(protocol.MessageJSON(m, false), &back); err != nil {
		t.Fatal(err)
	}
	if back.FromUser != "10001" || back.Content != m.Content {
		t.Errorf("got %+v", back)
	}
}

func TestMessageJSONLeavesTheMessageAlone(t *testing.T) {
	m := roomMessage()
	want := string(protocol.MessageJSON(m, true))
	protocol.MessageJSON(m, false)
	same(t, protocol.MessageJSON(m, true), want)
}

func TestConversationNames(t *testing.T) {
	if got := protocol.PrivateConversation(10001); got != "u:10001" {
		t.Errorf("private: %q", got)
	}
	if got := protocol.RoomConversation(1000000000); got != "r:1000000000" {
		t.Errorf("room: %q", got)
	}
}

func TestNoticeCarriesOnlyWhatItsKindSets(t *testing.T) {
	offline := false
	same(t, protocol.Notice{Kind: protocol.NoticePresence, User: 10001, Online: &offline, LastSeen: 5}.JSON(),
		`{"Kind":"presence","User":10001,"Online":false,"LastSeen":5}`)
	same(t, protocol.Notice{Kind: protocol.NoticeReceipt, Conversation: "u:1", User: 2, Delivered: 3, Read: 4}.JSON(),
		`{"Kind":"receipt","Conversation":"u:1","User":2,"Delivered":3,"Read":4}`)
	same(t, protocol.Notice{Kind: protocol.NoticeBehind}.JSON(), `{"Kind":"behind"}`)
	same(t, protocol.Notice{Kind: protocol.NoticeText, Id: "n", Text: "<3 & 你好"}.JSON(),
		`{"Kind":"notice","Id":"n","Text":"<3 & 你好"}`)
}
