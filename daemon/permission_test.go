//go:build linux

package daemon_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gtiv/protocol"
	"gtiv/protocol/client"
)

// Who may do what in a group: every call of wire.md 4.4 and ours, by everybody.

// The columns of the table.
const (
	asGuest = iota
	asOutsider
	asMember
	asMuted
	asAdmin
	asOwner
	asSite
	roleCount
)

var roleNames = [roleCount]string{"guest", "outsider", "member", "muted member", "admin", "owner", "site admin"}

// may is one call and the code that each role gets. In path and body stand R
// for the room, TARGET for a member, ADMIN2 for a second admin, FRIEND for a
// contact of all who is no member, OWNER for who owns it, WAITS for somebody who asked to join, LINK for a
// link's code, OWNERS for a message of the owner and THEIRS for one of TARGET.
type may struct {
	method, path, body string
	pending            bool // the room lets admins decide, and WAITS waits
	codes              [roleCount]int
}

const (
	yes  = 0
	tok  = int(protocol.CodeToken)
	no   = int(protocol.CodeForbidden)
	gone = int(protocol.CodeUnknown)
	dup  = int(protocol.CodeConflict)
)

var (
	all        = [roleCount]int{tok, yes, yes, yes, yes, yes, yes}
	members    = [roleCount]int{tok, no, yes, yes, yes, yes, yes}
	onlyInside = [roleCount]int{tok, no, yes, yes, yes, yes, no} // not even an admin of the site
	speakers   = [roleCount]int{tok, no, yes, no, yes, yes, no}
	admins     = [roleCount]int{tok, no, no, no, yes, yes, yes}
	owners     = [roleCount]int{tok, no, no, no, no, yes, yes}
	siteOnly   = [roleCount]int{tok, no, no, no, no, no, yes}
	nobody     = [roleCount]int{tok, no, no, no, no, no, no}
)

var permissions = []may{
	{"POST", "/imlogic/push-room", `{"Type":0,"Message":"hi","RoomId":"R"}`, false, speakers},
	{"POST", "/imlogic/push-room", `{"Type":6,"Message":"OWNERS","RoomId":"R"}`, false, owners},
	{"POST", "/imlogic/push-room", `{"Type":6,"Message":"THEIRS","RoomId":"R"}`, false, admins},
	{"POST", "/imlogic/push-room", `{"Type":14,"Message":"{}","RoomId":"R"}`, false, admins},
	{"POST", "/imlogic/push-room", `{"Type":15,"Message":"{}","RoomId":"R"}`, false, admins},
	{"POST", "/imlogic/push-room", `{"Type":19,"Message":"bye","RoomId":"R"}`, false, nobody},
	{"POST", "/imlogic/push-room", `{"Type":21,"Message":"http://h/a","RoomId":"R"}`, false, admins},
	{"POST", "/imlogic/push-room", `{"Type":4,"Message":"x","RoomId":"R"}`, false, nobody},
	{"POST", "/imlogic/push-room", `{"Type":9,"Message":"x","RoomId":"R"}`, false, nobody},
	{"GET", "/chat/room-msg?RoomId=R&LastMessageTime=0", "", false, onlyInside},
	{"GET", "/room/info?RoomId=R", "", false, all},
	{"GET", "/room/list", "", false, all},
	{"GET", "/room/faq", "", false, all},
	{"GET", "/room/member_list?RoomId=R", "", false, members},
	{"GET", "/room/member_info?RoomId=R&UserId=TARGET", "", false, members},
	{"GET", "/room/memberids?RoomId=R", "", false, members},
	{"GET", "/room/get_notice?RoomId=R", "", false, members},
	{"POST", "/room/admin_list", `{"RoomId":"R"}`, false, members},
	{"POST", "/room/banned_list", `{"RoomId":"R"}`, false, admins},
	{"POST", "/room/invite", `{"UserIds":"FRIEND"}`, false, all},
	{"POST", "/room/invite", `{"RoomId":"R","UserIds":"FRIEND"}`, false, members},
	{"POST", "/room/invite", `{"RoomId":"R","UserIds":"FRIEND"}`, true, admins},
	{"POST", "/room/modify_name", `{"RoomId":"R","Name":"other"}`, false, admins},
	{"POST", "/room/modify_avatar", `{"RoomId":"R","Avatar":"http://h/a"}`, false, admins},
	{"POST", "/room/modify_notice", `{"RoomId":"R","Content":"x"}`, false, admins},
	{"POST", "/room/options", `{"RoomId":"R","Approval":"true"}`, false, admins},
	{"POST", "/room/banned_to_post", `{"RoomId":"R","UserId":"0","Type":5}`, false, admins},
	{"POST", "/room/banned_to_post", `{"RoomId":"R","UserId":"TARGET","Type":1}`, false, admins},
	{"POST", "/room/banned_to_post", `{"RoomId":"R","UserId":"ADMIN2","Type":1}`, false, owners},
	{"POST", "/room/banned_to_post", `{"RoomId":"R","UserId":"OWNER","Type":2}`, false, siteOnly},
	{"POST", "/room/relieve_banned_to_post", `{"RoomId":"R","UserId":"OWNER"}`, false, siteOnly},
	{"POST", "/room/relieve_banned_to_post", `{"RoomId":"R","UserId":"0"}`, false, admins},
	{"POST", "/room/relieve_banned_to_post", `{"RoomId":"R","UserId":"TARGET"}`, false, admins},
	{"DELETE", "/room/remove_member?RoomId=R&UserId=TARGET", "", false, admins},
	{"DELETE", "/room/remove_member?RoomId=R&UserId=ADMIN2", "", false, owners},
	{"DELETE", "/room/remove_member?RoomId=R&UserId=OWNER", "", false, siteOnly},
	{"POST", "/room/set_admin", `{"RoomId":"R","UserIds":"TARGET"}`, false, owners},
	{"POST", "/room/transfer", `{"RoomId":"R","UserId":"TARGET"}`, false, owners},
	{"POST", "/room/dissolve", `{"RoomId":"R"}`, false, owners},
	{"POST", "/room/quit", `{"RoomId":"R"}`, false, onlyInside},
	{"GET", "/room/link?RoomId=R", "", false, admins},
	{"POST", "/room/link", `{"RoomId":"R"}`, false, admins},
	{"POST", "/room/link-revoke", `{"RoomId":"R","Code":"LINK"}`, false, admins},
	{"POST", "/room/join", `{"Code":"LINK"}`, false, [roleCount]int{tok, yes, dup, dup, dup, dup, yes}},
	{"GET", "/room/requests?RoomId=R", "", true, admins},
	{"POST", "/room/answer", `{"RoomId":"R","UserId":"WAITS","Accept":true}`, true, admins},
	{"POST", "/room/answer", `{"RoomId":"R","UserId":"WAITS","Accept":false}`, true, admins},
}

// town is the people of the table.
type town struct {
	t                              *testing.T
	s                              *server
	by                             [roleCount]person
	target, admin2, friend, waits  person
	room, link, ownersMsg, theirID string
}

func TestWhoMayDoWhatInAGroup(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	fresh := false
	for i, p := range permissions {
		for role := range roleCount {
			// What was refused has changed nothing, so the next may try the same room.
			if !fresh || p.pending != permissions[max(i-1, 0)].pending {
				w.newRoom(p.pending)
			}
			fill := strings.NewReplacer("TARGET", fmt.Sprint(w.target.id), "ADMIN2", fmt.Sprint(w.admin2.id), "OWNERS", w.ownersMsg, "OWNER", fmt.Sprint(w.by[asOwner].id), "FRIEND", fmt.Sprint(w.friend.id),
				"WAITS", fmt.Sprint(w.waits.id), "LINK", w.link, "THEIRS", w.theirID,
				`"R"`, `"`+w.room+`"`, "=R", "="+w.room)
			rep := w.call(w.by[role], p.method, fill.Replace(p.path), fill.Replace(p.body))
			fresh = p.method == http.MethodGet || !rep.ok()
			if got := rep.value("ApiCode"); got != fmt.Sprint(p.codes[role]) {
				t.Errorf("%s %s %s by %s: %s, want code %d", p.method, p.path, p.body, roleNames[role], rep, p.codes[role])
			}
		}
	}
}

// Nothing in the table may be forgotten when a call is added.
func TestThePermissionTableHasEveryCallOfGroups(t *testing.T) {
	have := map[string]bool{}
	for _, p := range permissions {
		path, _, _ := strings.Cut(p.path, "?")
		have[p.method+" "+path] = true
	}
	for _, call := range groupCalls(t) {
		if !have[call] {
			t.Errorf("%s is not in the table", call)
		}
	}
}

func newTown(t *testing.T) *town {
	s := newServer(t, append([]string{"GTIV_LIMITS_OWNED_ROOMS=100000"}, crashEnv...)...)
	w := &town{t: t, s: s}
	people := []*person{&w.target, &w.admin2, &w.friend, &w.waits}
	for role := asOutsider; role < asSite; role++ {
		people = append(people, &w.by[role])
	}
	for i, p := range people {
		*p = must(s.register(fmt.Sprintf("p%d", i)))(t)
	}
	c := client.New(client.Find("", s.dir))
	defer c.Close()
	if _, err := c.AddUser(context.Background(), protocol.AddUser{Username: "root", Password: passwordOfAll, Admin: true}); err != nil {
		t.Fatal(err)
	}
	w.by[asSite] = must(s.login("root", passwordOfAll))(t)
	for _, p := range append(w.by[asOutsider:], w.target, w.admin2) {
		if err := s.befriend(w.friend, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range append(w.by[asMember:asOwner:asOwner], w.target, w.admin2) {
		if err := s.befriend(w.by[asOwner], p); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *town) call(p person, method, path, body string) *reply {
	w.t.Helper()
	r := request{method: method, path: path, token: p.token, body: body}
	if body != "" {
		r.contentType = "application/json"
	}
	return must(w.s.call(r))(w.t)
}

// do is a call that must succeed.
func (w *town) do(p person, path, body string) *reply {
	w.t.Helper()
	rep := w.call(p, http.MethodPost, path, body)
	if !rep.ok() {
		w.t.Fatalf("%s %s: %s", path, body, rep)
	}
	return rep
}

// newRoom makes a room with all its people.
func (w *town) newRoom(pending bool) {
	w.t.Helper()
	owner := w.by[asOwner]
	w.room = w.do(owner, "/room/invite", fmt.Sprintf(`{"UserIds":"%d,%d,%d,%d,%d"}`,
		w.by[asMember].id, w.by[asMuted].id, w.by[asAdmin].id, w.target.id, w.admin2.id)).value("RoomId")
	w.do(owner, "/room/set_admin", fmt.Sprintf(`{"RoomId":%s,"UserIds":"%d,%d"}`, w.room, w.by[asAdmin].id, w.admin2.id))
	w.do(owner, "/room/banned_to_post", fmt.Sprintf(`{"RoomId":%s,"UserId":%d,"Type":4}`, w.room, w.by[asMuted].id))
	w.ownersMsg = w.do(owner, "/imlogic/push-room", fmt.Sprintf(`{"Type":0,"Message":"o","RoomId":%s}`, w.room)).value("ServerMsgId")
	w.theirID = w.do(w.target, "/imlogic/push-room", fmt.Sprintf(`{"Type":0,"Message":"t","RoomId":%s}`, w.room)).value("ServerMsgId")
	w.link = w.do(owner, "/room/link", fmt.Sprintf(`{"RoomId":%s}`, w.room)).value("Code")
	if pending {
		w.do(owner, "/room/options", fmt.Sprintf(`{"RoomId":%s,"Approval":"true"}`, w.room))
		w.do(w.waits, "/room/join", fmt.Sprintf(`{"Code":"%s"}`, w.link))
	}
}

// groupCalls lists the calls of groups that the daemon documents.
func groupCalls(t *testing.T) []string {
	s := newServer(t)
	rep := must(s.call(request{method: http.MethodGet, path: "/openapi.json"}))(t)
	var calls []string
	paths, _ := rep.get("paths")
	for path, methods := range paths.(map[string]any) {
		if !strings.HasPrefix(path, "/room/") && !strings.HasSuffix(path, "-room") && path != "/chat/room-msg" {
			continue
		}
		for method, op := range methods.(map[string]any) {
			if d, ok := op.(map[string]any); ok && d["deprecated"] == nil {
				calls = append(calls, strings.ToUpper(method)+" "+path)
			}
		}
	}
	if len(calls) < 25 {
		t.Fatalf("only %d calls of groups: %v", len(calls), calls)
	}
	return calls
}
