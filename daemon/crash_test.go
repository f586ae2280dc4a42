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
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"gtiv/daemon/apptest"
)

// These tests kill the daemon at random moments while people write to each
// other, and count afterwards. ROUNDS=1000 in the environment makes it a long
// night (make crash).

// crashEnv takes away the limits that a test machine would run into.
var crashEnv = []string{
	"GTIV_LIMITS_REGISTRATIONS_PER_HOUR=1000", "GTIV_LIMITS_SENDS_PER_SECOND=1000", "GTIV_LIMITS_SEND_BURST=1000",
	"GTIV_LIMITS_ROOMS_PER_HOUR=100000", "GTIV_LOG_LEVEL=warn",
}

// rounds is how often the daemon is killed.
func rounds(t *testing.T, usual int) int {
	n, err := strconv.Atoi(os.Getenv("ROUNDS"))
	if err == nil && n > 0 {
		return n
	}
	return usual
}

// TestCrashAtAnyMoment kills while both sides of each pair write.
func TestCrashAtAnyMoment(t *testing.T) {
	t.Parallel()
	s := newServer(t, crashEnv...)
	c := newCrowd(t, s, &crowd{both: true})
	for range rounds(t, 25) {
		c.killRound(t)
	}
	c.check(t)
}

// The queue's files may go, as a whole or their last bytes as in a power cut:
// the delivery cursors are then made anew from the floors in the database. What
// was acknowledged reaches its phone, some of it twice.
func TestCrashAndTheQueueLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(dir string) error{"deleted": os.RemoveAll, "cut short": cutNewest} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, crashEnv...)
			dir := filepath.Join(s.dir, "queue")
			c := newCrowd(t, s, &crowd{insist: true, between: func() error { return lose(dir) }})
			for range rounds(t, 4) {
				c.killRound(t)
			}
			c.check(t)
		})
	}
}

// As above, with phones as they are: at a break they try one sync, which fails
// while the daemon is down, and come back on the long connection without one.
// What they were not handed before the break must not be skipped by their next
// sync, which names the time of what came after it.
func TestCrashAndTheQueueLostWithoutASync(t *testing.T) {
	t.Parallel()
	s := newServer(t, crashEnv...)
	dir := filepath.Join(s.dir, "queue")
	c := newCrowd(t, s, &crowd{between: func() error { return os.RemoveAll(dir) }})
	for range rounds(t, 4) {
		c.killRound(t)
	}
	c.check(t)
}

// cutNewest takes some bytes off the end of the file that was written last.
func cutNewest(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var newest os.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() && info.Size() > 0 && (newest == nil || info.ModTime().After(newest.ModTime())) {
			newest = info
		}
	}
	if newest == nil {
		return fmt.Errorf("nothing in %s", dir)
	}
	return os.Truncate(filepath.Join(dir, newest.Name()), max(newest.Size()-1-rand.Int64N(64), 0))
}

// crowd are pairs of friends who write and read all the time.
type crowd struct {
	both    bool         // receivers write, too
	insist  bool         // a phone connects only after a sync that worked
	between func() error // between kill and start; may be nil

	s      *server
	people []*talker
	stop   context.CancelFunc
	work   sync.WaitGroup
}

// talker is one of them, with one phone.
type talker struct {
	c      *crowd
	me     person
	peer   *talker
	writes bool

	mu       sync.Mutex
	sent     []*letter
	received map[string]int // by ServerMsgId: how often
	newest   int64          // what the phone would sync with
	problems []string
}

// letter is one message and what is known about it.
type letter struct {
	text, clientMsgID string
	acknowledged      bool
	refused           bool // with an answer
	id                string
	time              int64
}

const pairs = 3

// newCrowd registers pairs and lets them begin.
func newCrowd(t *testing.T, s *server, like *crowd) *crowd {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c := &crowd{s: s, stop: stop, both: like.both, insist: like.insist, between: like.between}
	for i := range pairs {
		a := &talker{c: c, writes: true, received: map[string]int{}}
		b := &talker{c: c, writes: c.both, received: map[string]int{}}
		a.peer, b.peer = b, a
		a.me = must(s.register(fmt.Sprintf("a%d", i)))(t)
		b.me = must(s.register(fmt.Sprintf("b%d", i)))(t)
		if err := s.befriend(a.me, b.me); err != nil {
			t.Fatal(err)
		}
		c.people = append(c.people, a, b)
	}
	for _, p := range c.people {
		// The app syncs when it starts.
		if err := p.sync(); err != nil {
			t.Fatal(err)
		}
		c.work.Go(func() { p.read(ctx) })
		if p.writes {
			c.work.Go(func() { p.write(ctx) })
		}
	}
	t.Cleanup(func() {
		stop()
		c.work.Wait()
	})
	return c
}

// killRound lets them write for a moment, kills the daemon and starts it again.
// Now and then it is killed while it starts.
func (c *crowd) killRound(t *testing.T) {
	t.Helper()
	if !wait(t.Context(), 100*time.Millisecond+rand.N(500*time.Millisecond)) {
		return
	}
	c.s.kill()
	if rand.N(5) == 0 {
		if err := c.s.launch(); err != nil {
			t.Fatal(err)
		}
		wait(t.Context(), rand.N(300*time.Millisecond))
		c.s.kill()
	}
	if c.between != nil {
		if err := c.between(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.s.start(); err != nil {
		t.Fatal(err)
	}
}

// wait is false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (p *talker) problem(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.problems) < 5 {
		p.problems = append(p.problems, fmt.Sprintf("%d: ", p.me.id)+fmt.Sprintf(format, args...))
	}
}

// write sends one message after the other. Every second has a ClientMsgId and
// is repeated until it is answered.
func (p *talker) write(ctx context.Context) {
	for n := 1; wait(ctx, 5*time.Millisecond); n++ {
		l := &letter{text: fmt.Sprintf("%d writes %d", p.me.id, n)}
		if n%2 == 0 {
			l.clientMsgID = uuid.NewString()
		}
		// The phone stamps its own copy with its own clock before it sends.
		p.mu.Lock()
		p.sent = append(p.sent, l)
		p.newest = max(p.newest, time.Now().UnixMilli())
		p.mu.Unlock()
		for !p.post(l) && l.clientMsgID != "" {
			// Also after the end: what has an id is not given up.
			wait(context.Background(), 50*time.Millisecond)
		}
	}
}

// httpForAll outlives the daemon: a connection that broke is not used again.
var httpForAll = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// post is one try. It reports whether the message was acknowledged.
func (p *talker) post(l *letter) bool {
	rep, err := p.c.s.sendBy(httpForAll, p.me, p.peer.me.id, l.text, l.clientMsgID)
	if err != nil {
		return false // refused, reset or cut off: nobody knows
	}
	if !rep.ok() {
		p.problem("a send was answered %s", rep)
		return true // pointless to repeat
	}
	at, err := strconv.ParseInt(rep.value("Time"), 10, 64)
	if err != nil {
		p.problem("a send was answered %s", rep)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l.acknowledged, l.id, l.time = true, rep.value("ServerMsgId"), at
	p.newest = max(p.newest, at)
	return true
}

// read is the phone: connected, and after every break once a sync, whether it
// works or not, and back.
func (p *talker) read(ctx context.Context) {
	for ctx.Err() == nil {
		if p.c.insist && p.sync() != nil {
			wait(ctx, 20*time.Millisecond)
			continue
		}
		app, err := apptest.DialApp(p.c.s.address(portComet), apptest.AppConfig{Token: p.me.token, User: p.me.id})
		if err == nil {
			p.watch(ctx, app)
			app.Close()
			_ = p.sync()
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// watch collects what an app understands, until it breaks. At the end it reads on
// until nothing comes any more: what is in its socket counts as handed over, and
// its last sync names a message of its own that is younger (wire.md 9.1).
func (p *talker) watch(ctx context.Context, app *apptest.App) {
	taken := 0
	for quiet := false; ctx.Err() == nil || !quiet; {
		ended := ctx.Err() != nil
		app.Wait(100*time.Millisecond, func(a *apptest.App) bool { return len(a.Messages()) > taken || len(a.Errors()) > 0 })
		if ended && len(app.Messages()) == taken {
			app.Wait(time.Second, func(a *apptest.App) bool { return len(a.Messages()) > taken || len(a.Errors()) > 0 })
		}
		errs, list := app.Errors(), app.Messages()
		quiet = ended && len(list) == taken
		for _, m := range list[taken:] {
			p.got(m.ServerMsgID, m.Time)
		}
		taken = len(list)
		for _, e := range errs {
			if e.Kind != apptest.Reset {
				p.problem("the app suffered: %v", e)
			}
		}
		if len(errs) > 0 {
			return
		}
	}
}

func (p *talker) got(id string, at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.received[id]++
	p.newest = max(p.newest, at)
}

// deliveries counts what reached the phone, repeats included.
func (p *talker) deliveries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := 0
	for _, n := range p.received {
		all += n
	}
	return all
}

// sync fetches what was missed, as the app does: with the newest time it has.
func (p *talker) sync() error {
	p.mu.Lock()
	last := p.newest
	p.mu.Unlock()
	rep, err := p.c.s.call(request{
		method: http.MethodGet, path: fmt.Sprintf("/chat/sync-private-message?LastMessageTime=%d", last),
		token: p.me.token, client: httpForAll,
	})
	if err != nil {
		return err
	}
	if !rep.ok() {
		p.problem("a sync was answered %s", rep)
		return nil
	}
	list, _ := rep.get("List")
	items, _ := list.([]any)
	before := int64(0)
	for i := range items {
		at, err := strconv.ParseInt(rep.value(fmt.Sprintf("List.%d.Time", i)), 10, 64)
		if err != nil || at < before {
			p.problem("sync item %d is out of order", i)
		}
		before = at
		p.got(rep.value(fmt.Sprintf("List.%d.MsgId", i)), at)
	}
	return nil
}

// check ends the writing and counts.
func (c *crowd) check(t *testing.T) {
	t.Helper()
	c.stop()
	c.work.Wait()
	repeats, acknowledged, unseen := 0, 0, 0
	for _, p := range c.people {
		// The app is opened once more, after everybody has stopped writing.
		// One answer is bounded: it asks until there is nothing left.
		before := -1
		for tries := 0; tries < 10 && before != p.deliveries(); tries++ {
			before = p.deliveries()
			if err := p.sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range c.people {
		for _, problem := range p.problems {
			t.Error(problem)
		}
		repeats += p.deliveries() - len(p.received)
		for _, l := range p.sent {
			if !l.acknowledged {
				continue
			}
			acknowledged++
			if p.peer.received[l.id] == 0 {
				if unseen++; unseen <= 5 {
					t.Errorf("%q (%s, time %d) was acknowledged and never reached %d", l.text, l.id, l.time, p.peer.me.id)
				}
			}
		}
	}
	if acknowledged < 10 {
		t.Errorf("only %d messages were acknowledged: nothing was tested", acknowledged)
	}
	if err := c.s.stop(); err != nil {
		t.Error(err)
	}
	rows := readRows(t, c.s.dir)
	c.compare(t, rows)
	t.Logf("%d messages acknowledged, %d rows, %d repeated deliveries, %d never delivered", acknowledged, len(rows), repeats, unseen)
}

// row is a message as the database has it.
type row struct {
	conversation, seq, time int64
	id, content             string
	clientMsgID             string
}

// readRows reads the database of a stopped daemon past all of its code.
func readRows(t *testing.T, dir string) []row {
	t.Helper()
	db := must(sql.Open("sqlite", "file:"+filepath.Join(dir, "gtiv.db")+"?mode=ro"))(t)
	defer db.Close()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %s, %v", verdict, err)
	}
	list := must(db.Query(`SELECT conversation_id, seq, time, server_msg_id, content, coalesce(client_msg_id, '')
		FROM message ORDER BY conversation_id, seq`))(t)
	defer list.Close()
	var rows []row
	for list.Next() {
		var r row
		var id []byte
		if err := list.Scan(&r.conversation, &r.seq, &r.time, &id, &r.content, &r.clientMsgID); err != nil {
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

// compare holds the rows against what was sent.
func (c *crowd) compare(t *testing.T, rows []row) {
	t.Helper()
	byText := map[string][]row{}
	var before row
	for _, r := range rows {
		byText[r.content] = append(byText[r.content], r)
		if r.conversation != before.conversation {
			before = row{conversation: r.conversation}
		}
		if r.seq != before.seq+1 {
			t.Errorf("conversation %d: number %d comes after %d", r.conversation, r.seq, before.seq)
		}
		if r.time <= before.time {
			t.Errorf("conversation %d: number %d has time %d, the one before %d", r.conversation, r.seq, r.time, before.time)
		}
		before = r
	}
	for _, p := range c.people {
		for _, l := range p.sent {
			found := byText[l.text]
			switch {
			case len(found) > 1, len(found) == 0 && !l.refused && (l.acknowledged || l.clientMsgID != ""), len(found) > 0 && l.refused:
				t.Errorf("%q: %d rows, acknowledged %t, refused %t, ClientMsgId %q", l.text, len(found), l.acknowledged, l.refused, l.clientMsgID)
			case l.acknowledged && (found[0].id != l.id || found[0].time != l.time || found[0].clientMsgID != l.clientMsgID):
				t.Errorf("%q: stored %+v, answered %+v", l.text, found[0], *l)
			}
		}
	}
}
