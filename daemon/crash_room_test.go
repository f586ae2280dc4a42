//go:build linux

package daemon_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"gtiv/daemon/apptest"
	"gtiv/protocol"
)

// As crash_test.go, with a group: kill -9 at random moments while all of its
// members write, and in the last test while people come and go.

const (
	assemblyPeople = 6
	assemblyApps   = 2 // of them, with the long connection of the app
)

// assembly is a group whose members write and read all the time.
type assembly struct {
	s      *server
	room   string
	insist bool // a phone connects only after a sync that worked
	people []*attendee
	stop   context.CancelFunc
	work   sync.WaitGroup
}

// attendee is one of them, with one phone. Syncs of one phone do not overlap.
type attendee struct {
	a      *assembly
	me     person
	number int
	guest  bool // comes and goes: may be refused

	mu       sync.Mutex
	sent     []*letter
	received map[string]int   // by ServerMsgId: how often
	times    map[string]int64 // by ServerMsgId: the time it came with
	private  int64            // the newest time of a private message
	last     int64            // the time that the phone names: of the first item of its last answer (wire.md 9.2)
	problems []string
}

func newAssembly(t *testing.T, s *server, insist bool) *assembly {
	t.Helper()
	a := &assembly{s: s, insist: insist}
	var ids []string
	for i := range assemblyPeople {
		p := &attendee{
			a: a, number: i, received: map[string]int{}, times: map[string]int64{}, me: must(s.register(fmt.Sprintf("m%d", i)))(t),
		}
		if i > 0 {
			if err := s.befriend(a.people[0].me, p.me); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, strconv.FormatInt(p.me.id, 10))
		}
		a.people = append(a.people, p)
	}
	rep := must(a.post(a.people[0].me, "/room/invite", fmt.Sprintf(`{"UserIds":"%s"}`, strings.Join(ids, ","))))(t)
	if a.room = rep.value("RoomId"); !rep.ok() {
		t.Fatal(rep)
	}
	return a
}

func (a *assembly) post(p person, path, body string) (*reply, error) {
	return a.s.call(request{method: http.MethodPost, path: path, token: p.token, body: body, contentType: "application/json", client: httpForAll})
}

// begin has everybody sync as the app does at its start, and write and read.
func (a *assembly) begin(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	for _, p := range a.people {
		if err := p.sync(); err != nil {
			t.Fatal(err)
		}
		a.work.Go(func() { p.write(ctx) })
		if p.number < assemblyApps {
			a.work.Go(func() { p.read(ctx) })
		} else {
			a.work.Go(func() {
				for wait(ctx, 300*time.Millisecond) {
					_ = p.sync()
				}
			})
		}
	}
	t.Cleanup(func() {
		stop()
		a.work.Wait()
	})
}

func (p *attendee) problem(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problemLocked(format, args...)
}

func (p *attendee) problemLocked(format string, args ...any) {
	if len(p.problems) < 5 {
		p.problems = append(p.problems, fmt.Sprintf("%d: ", p.me.id)+fmt.Sprintf(format, args...))
	}
}

// isOut reports whether an answer refuses a guest who is no member now.
func (p *attendee) isOut(rep *reply) bool { return p.guest && rep.value("ApiCode") == codeForbidden }

// What the API answers about members, as it is on the wire.
var (
	codeForbidden = strconv.Itoa(int(protocol.CodeForbidden)) // who is no member
	codeUnknown   = strconv.Itoa(int(protocol.CodeUnknown))   // no member is to be removed
	codeConflict  = strconv.Itoa(int(protocol.CodeConflict))  // who is invited is a member
)

// write sends one message after the other. Every second has a ClientMsgId and is
// repeated until it is answered.
func (p *attendee) write(ctx context.Context) {
	for n := 1; wait(ctx, 20*time.Millisecond); n++ {
		l := &letter{text: fmt.Sprintf("%d says %d", p.me.id, n)}
		if n%2 == 0 {
			l.clientMsgID = uuid.NewString()
		}
		p.mu.Lock()
		p.sent = append(p.sent, l)
		p.mu.Unlock()
		for !p.say(l) && l.clientMsgID != "" {
			wait(context.Background(), 50*time.Millisecond) // also after the end: it is not given up
		}
	}
}

func (p *attendee) say(l *letter) bool {
	rep, err := p.a.post(p.me, "/imlogic/push-room", fmt.Sprintf(`{"Type":0,"Message":%q,"RoomId":"%s","ClientMsgId":"%s"}`, l.text, p.a.room, l.clientMsgID))
	if err != nil {
		return false // nobody knows
	}
	if p.isOut(rep) {
		l.refused = true
		return true
	}
	if !rep.ok() {
		p.problem("a send was answered %s", rep)
		return true
	}
	at, err := strconv.ParseInt(rep.value("Time"), 10, 64)
	if err != nil {
		p.problem("a send was answered %s", rep)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l.acknowledged, l.id, l.time = true, rep.value("ServerMsgId"), at
	return true
}

// read is the app: connected, and after every break one sync and back.
func (p *attendee) read(ctx context.Context) {
	for ctx.Err() == nil {
		if p.a.insist && p.sync() != nil {
			wait(ctx, 20*time.Millisecond)
			continue
		}
		app, err := apptest.DialApp(p.a.s.address(portComet), apptest.AppConfig{Token: p.me.token, User: p.me.id})
		if err == nil {
			p.watch(ctx, app)
			app.Close()
			_ = p.sync()
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// watch collects what an app understands, until it breaks or, when the phone is
// told of a new room, reconnects of itself. Now and then the phone has no net:
// then what was written to it last is lost.
func (p *attendee) watch(ctx context.Context, app *apptest.App) {
	began, before := time.Now().UnixMilli(), int64(0)
	tunnel := time.Now().Add(300*time.Millisecond + rand.N(time.Second))
	for taken := 0; ctx.Err() == nil; {
		app.Wait(100*time.Millisecond, func(a *apptest.App) bool { return len(a.Messages()) > taken || len(a.Errors()) > 0 })
		if time.Now().After(tunnel) {
			wait(ctx, rand.N(500*time.Millisecond))
			return
		}
		errs, list := app.Errors(), app.Messages()
		joined := false
		p.mu.Lock()
		for _, m := range list[taken:] {
			if m.Op == protocol.OpPrivate {
				if m.MsgType == int(protocol.TypeNewRoom) {
					joined, p.last = true, time.Now().Add(-time.Hour).UnixMilli()
				}
				continue
			}
			// What is older than the connection was caught up.
			if m.Time >= began && m.Time <= before {
				p.problemLocked("%q was pushed behind what is younger", m.Content)
			}
			before = max(before, m.Time)
			p.gotLocked(m.ServerMsgID, m.Time)
		}
		p.mu.Unlock()
		taken = len(list)
		for _, e := range errs {
			if e.Kind != apptest.Reset {
				p.problem("the app suffered: %v", e)
			}
		}
		if len(errs) > 0 || joined {
			return
		}
	}
}

// gotLocked notes one delivery of the group's.
func (p *attendee) gotLocked(id string, at int64) {
	p.received[id]++
	if old := p.times[id]; old != 0 && old != at {
		p.problemLocked("%s came with the times %d and %d", id, old, at)
	}
	p.times[id] = at
}

// sync is what the app does when it comes back: private messages, then its room.
func (p *attendee) sync() error {
	p.mu.Lock()
	private, last := p.private, p.last
	p.mu.Unlock()
	for _, path := range []string{
		fmt.Sprintf("/chat/sync-private-message?LastMessageTime=%d", private),
		fmt.Sprintf("/chat/room-msg?RoomId=%s&LastMessageTime=%d", p.a.room, last),
	} {
		rep, err := p.a.s.call(request{method: http.MethodGet, path: path, token: p.me.token, client: httpForAll})
		switch room := strings.Contains(path, "room-msg"); {
		case err != nil:
			return err
		case room && p.isOut(rep):
		case !rep.ok():
			p.problem("a sync was answered %s", rep)
			return nil
		default:
			p.take(rep, room)
		}
	}
	return nil
}

func (p *attendee) take(rep *reply, room bool) {
	list, _ := rep.get("List")
	items, _ := list.([]any)
	p.mu.Lock()
	defer p.mu.Unlock()
	before := int64(0)
	for i := range items {
		at, err := strconv.ParseInt(rep.value(fmt.Sprintf("List.%d.Time", i)), 10, 64)
		if !room {
			p.private = max(p.private, at)
			continue
		}
		if err != nil || i > 0 && at >= before {
			p.problemLocked("sync item %d is out of order", i)
		}
		if before = at; i == 0 {
			p.last = at
		}
		if rep.value(fmt.Sprintf("List.%d.FromUser", i)) == strconv.FormatInt(p.me.id, 10) {
			p.problemLocked("sync item %d is the phone's own", i)
		}
		p.gotLocked(rep.value(fmt.Sprintf("List.%d.MsgId", i)), at)
	}
}

func (p *attendee) deliveries() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.received {
		n += k
	}
	return n
}

// killed kills the daemon after a moment, does something, and starts it again.
func (a *assembly) killed(t *testing.T, between func() error) {
	t.Helper()
	c := &crowd{s: a.s, between: between}
	c.killRound(t)
}

// finish lets everybody stop and sync until nothing comes.
func (a *assembly) finish(t *testing.T) {
	t.Helper()
	a.stop()
	a.work.Wait()
	most := 50
	for _, p := range a.people {
		most += len(p.sent) / 10 // one answer holds thirty, of which some come again
	}
	for _, p := range a.people {
		quiet := 0
		for tries := 0; tries < most && quiet < 2; tries++ {
			before := p.deliveries()
			if err := p.sync(); err != nil {
				t.Fatal(err)
			}
			if quiet++; p.deliveries() != before {
				quiet = 0
			}
		}
		if quiet < 2 {
			t.Errorf("%d: syncs never end", p.me.id)
		}
		for _, problem := range p.problems {
			t.Error(problem)
		}
	}
	if err := a.s.stop(); err != nil {
		t.Error(err)
	}
}

// check holds what was stored and delivered against what was sent.
func (a *assembly) check(t *testing.T) {
	t.Helper()
	rows := readRows(t, a.s.dir)
	c := &crowd{}
	for _, p := range a.people {
		c.people = append(c.people, &talker{me: p.me, sent: p.sent})
	}
	c.compare(t, rows)
	a.checkMembers(t)
	room := a.readRoom(t)
	acknowledged, repeats := 0, 0
	for _, p := range a.people {
		repeats += p.deliveries() - len(p.received)
		for _, l := range p.sent {
			if l.acknowledged {
				acknowledged++
			}
		}
		a.checkPhone(t, p, room)
	}
	if acknowledged < 10 {
		t.Errorf("only %d messages were acknowledged: nothing was tested", acknowledged)
	}
	t.Logf("%d messages acknowledged, %d rows, %d repeated deliveries", acknowledged, len(rows), repeats)
}

// checkPhone holds what one phone got against the group's messages: all while it
// is in for good, none that was committed while it was out, and each at its
// place, which is the same for everybody.
func (a *assembly) checkPhone(t *testing.T, p *attendee, room []roomRow) {
	t.Helper()
	in, from := true, int64(0) // since which number
	inside := map[string]bool{}
	for _, r := range room {
		if r.enters(p.me.id) {
			in, from = true, r.seq
		}
		inside[r.id] = in
		if r.leaves(p.me.id) {
			in = false
		}
	}
	got, absent, missed := 0, 0, 0
	for _, r := range room {
		n := p.received[r.id]
		if n > 0 && p.times[r.id] != r.time {
			t.Errorf("%d: number %d came with the time %d, stored is %d", p.me.id, r.seq, p.times[r.id], r.time)
		}
		switch {
		case !inside[r.id]:
			if absent++; n > 0 {
				t.Errorf("%d got number %d (type %d, time %d), which was written while it was no member", p.me.id, r.seq, r.typ, r.time)
			}
		case n > 0:
			got++
		case in && r.seq >= from && r.sender != p.me.id:
			if missed++; missed <= 3 {
				t.Errorf("%d never got number %d (%q, %s, time %d)", p.me.id, r.seq, r.content, r.id, r.time)
			}
		}
	}
	if len(p.received) != got {
		t.Errorf("%d got %d messages, %d of them are stored", p.me.id, len(p.received), got)
	}
	if p.guest {
		if absent == 0 || from == 0 || !in {
			t.Errorf("%d was out for %d messages, in again from number %d on: nothing was tested", p.me.id, absent, from)
		}
		t.Logf("%d: got %d messages, %d were written while it was out", p.me.id, got, absent)
	}
}

// roomRow is a message of the group as the database has it.
type roomRow struct {
	row
	typ            int
	sender, target int64
}

// enters reports whether the message is somebody's invitation.
func (r *roomRow) enters(user int64) bool {
	return r.typ == int(protocol.TypeInvited) && r.content == fmt.Sprintf("in %d", user)
}

// leaves reports whether the message is somebody's goodbye, by removal or of
// their own will.
func (r *roomRow) leaves(user int64) bool {
	return r.typ == int(protocol.TypeRemoved) && r.target == user || r.typ == int(protocol.TypeLeft) && r.sender == user
}

// openDatabase opens the database of a stopped daemon past all of its code.
func (a *assembly) openDatabase(t *testing.T) *sql.DB {
	t.Helper()
	db := must(sql.Open("sqlite", "file:"+filepath.Join(a.s.dir, "gtiv.db")+"?mode=ro"))(t)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// readRoom reads the messages of the group, in order.
func (a *assembly) readRoom(t *testing.T) []roomRow {
	t.Helper()
	list := must(a.openDatabase(t).Query(`SELECT m.seq, m.time, m.server_msg_id, m.type, m.sender_id, m.target_id, m.content
		FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE c.kind = 2 ORDER BY m.seq`))(t)
	defer list.Close()
	var rows []roomRow
	for list.Next() {
		var r roomRow
		var id []byte
		if err := list.Scan(&r.seq, &r.time, &id, &r.typ, &r.sender, &r.target, &r.content); err != nil {
			t.Fatal(err)
		}
		r.id = must(uuid.FromBytes(id))(t).String()
		rows = append(rows, r)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// checkMembers counts. At the end everybody is in.
func (a *assembly) checkMembers(t *testing.T) {
	t.Helper()
	var rows, owners, counted int
	err := a.openDatabase(t).QueryRow(`SELECT count(*), count(*) FILTER (WHERE m.role = 30), max(r.member_num)
		FROM room r JOIN room_member m ON m.room_id = r.id`).Scan(&rows, &owners, &counted)
	if err != nil || rows != assemblyPeople || owners != 1 || counted != rows {
		t.Errorf("%d members, %d owners, counted are %d; %v", rows, owners, counted, err)
	}
}

func TestCrashWhileAGroupWrites(t *testing.T) {
	t.Parallel()
	a := newAssembly(t, newServer(t, crashEnv...), false)
	a.begin(t)
	for range rounds(t, 12) {
		a.killed(t, nil)
	}
	a.finish(t)
	a.check(t)
}

func TestCrashWhileAGroupWritesAndTheQueueLost(t *testing.T) {
	t.Parallel()
	s := newServer(t, crashEnv...)
	a := newAssembly(t, s, true)
	a.begin(t)
	for range rounds(t, 4) {
		a.killed(t, func() error { return os.RemoveAll(filepath.Join(s.dir, "queue")) })
	}
	a.finish(t)
	a.check(t)
}

// Some are taken out, or quit, and are let in again all the time. What was
// committed between a goodbye and the next invitation must not reach them, what
// came after the last invitation must.
func TestCrashWhilePeopleComeAndGo(t *testing.T) {
	t.Parallel()
	a := newAssembly(t, newServer(t, crashEnv...), false)
	guests := []*attendee{a.people[assemblyApps-1], a.people[assemblyApps], a.people[assemblyApps+1]} // the first has the app's connection
	for _, p := range guests {
		p.guest = true
	}
	a.begin(t)
	ctx, stop := context.WithCancel(context.Background())
	var moves sync.WaitGroup
	for _, p := range guests {
		moves.Go(func() { a.comeAndGo(ctx, p) })
	}
	for range rounds(t, 12) {
		a.killed(t, nil)
	}
	stop()
	moves.Wait()
	wait(t.Context(), 500*time.Millisecond) // something must be written for all
	a.finish(t)
	a.check(t)
}

// comeAndGo takes a guest out and lets it in again, until ctx ends; then it is
// in. The app gets nothing for two seconds after it was told of the room
// (wire.md 7.5 F7), so some stays are longer.
func (a *assembly) comeAndGo(ctx context.Context, p *attendee) {
	for n := 0; ; n++ {
		if n > 0 && !wait(ctx, 100*time.Millisecond+rand.N([]time.Duration{time.Second, 4 * time.Second}[n%2])) {
			return
		}
		for !a.leave(p, n%2 == 0) {
			wait(context.Background(), 50*time.Millisecond)
		}
		wait(ctx, 100*time.Millisecond+rand.N(500*time.Millisecond))
		for !a.invite(p) {
			wait(context.Background(), 50*time.Millisecond)
		}
	}
}

// leave reports whether the guest is out now. A repeated call whose first answer
// was lost is told so.
func (a *assembly) leave(p *attendee, removed bool) bool {
	if !removed {
		rep, err := a.post(p.me, "/room/quit", fmt.Sprintf(`{"RoomId":"%s"}`, a.room))
		return err == nil && (rep.ok() || p.isOut(rep) || a.wrong(p, rep))
	}
	rep, err := a.s.call(request{
		method: http.MethodDelete, path: fmt.Sprintf("/room/remove_member?RoomId=%s&UserId=%d", a.room, p.me.id), token: a.people[0].me.token, client: httpForAll,
	})
	return err == nil && (rep.ok() || rep.value("ApiCode") == codeUnknown || a.wrong(p, rep))
}

// invite reports whether the guest is in now.
func (a *assembly) invite(p *attendee) bool {
	rep, err := a.post(a.people[0].me, "/room/invite", fmt.Sprintf(`{"RoomId":"%s","UserIds":"%d","Message":"in %d"}`, a.room, p.me.id, p.me.id))
	return err == nil && (rep.ok() || rep.value("ApiCode") == codeConflict || a.wrong(p, rep))
}

// wrong notes an answer that should not be; it is pointless to ask again.
func (a *assembly) wrong(p *attendee, rep *reply) bool {
	p.problem("coming or going was answered %s", rep)
	return true
}
