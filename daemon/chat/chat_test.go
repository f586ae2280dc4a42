package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gtiv/daemon/chat"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/queue"
)

// world is a chat service on real stores, with a gateway made of functions.
type world struct {
	t     testing.TB
	chat  *chat.Service
	store *store.Store
	queue *queue.Store
	gw    *fakeGateway
	end   func() // stops and closes everything
}

// fakeGateway keeps what is pushed to users, and hands it over at once while a
// session is connected. mu guards the fields below.
type fakeGateway struct {
	mu       sync.Mutex
	pushed   map[int64][]chat.Push // by user
	online   map[int64]int64       // user → session
	handed   func(session, conversation int64, from, to uint64)
	arrivals chan chat.Push
}

func (g *fakeGateway) push(user int64, p chat.Push) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	session, ok := g.online[user]
	if !ok {
		return 0
	}
	if p.Silent {
		g.handed(session, p.Conversation, p.Seq, p.Seq)
		return 0
	}
	g.pushed[user] = append(g.pushed[user], p)
	if p.Seq > 0 {
		g.handed(session, p.Conversation, p.Seq, p.Seq)
	}
	select {
	case g.arrivals <- p:
	default:
	}
	return 1
}

func (g *fakeGateway) pushSession(session int64, p chat.Push) int {
	g.mu.Lock()
	for user, s := range g.online {
		if s == session {
			g.mu.Unlock()
			return g.push(user, p)
		}
	}
	g.mu.Unlock()
	return 0
}

// pushRoom does at once what the gateway does in its time.
func (g *fakeGateway) pushRoom(_ int64, p chat.RoomPush) {
	for _, u := range p.Gone {
		if last := p.Part(u); last != nil {
			g.push(u, *last)
		}
	}
	for _, u := range p.First {
		g.push(u, *p.Greet(u))
	}
	for _, u := range p.Members {
		one := p.Push
		if p.Each != nil {
			one = p.Each(u)
		}
		mine := *one
		mine.Silent = u == p.Author
		g.push(u, mine)
	}
}

func (g *fakeGateway) connect(user, session int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.online[user] = session
}

func (g *fakeGateway) connected(session int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Contains(slices.Collect(maps.Values(g.online)), session)
}

func (g *fakeGateway) disconnect(user int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.online, user)
}

// take removes and returns what was pushed to a user.
func (g *fakeGateway) take(user int64) []chat.Push {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.pushed[user]
	delete(g.pushed, user)
	return list
}

func newWorld(t testing.TB, cfg chat.Config) *world {
	t.Helper()
	return newWorldAt(t, cfg, time.Now)
}

func newWorldAt(t testing.TB, cfg chat.Config, now func() time.Time) *world {
	t.Helper()
	return newWorldWith(t, cfg, now, t.TempDir(), func(*chat.Deps, *queue.Store) {})
}

// newWorldWith is a world in a folder, whose dependencies change may complete.
func newWorldWith(t testing.TB, cfg chat.Config, now func() time.Time, dir string, change func(*chat.Deps, *queue.Store)) *world {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "gtiv.db")})
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.Open(queue.Config{Dir: filepath.Join(dir, "queue")})
	if err != nil {
		t.Fatal(err)
	}
	gw := &fakeGateway{pushed: map[int64][]chat.Push{}, online: map[int64]int64{}, arrivals: make(chan chat.Push, 1000)}
	deps := chat.Deps{
		Store: st, Cursors: q.Cursors(), Push: gw.push, PushSession: gw.pushSession, PushRoom: gw.pushRoom, Connected: gw.connected, Now: now,
	}
	change(&deps, q)
	s, err := chat.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	gw.handed = s.Handed
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = q.Run(ctx) })
	wg.Go(func() { _ = s.Run(ctx) })
	end := sync.OnceFunc(func() {
		stop()
		wg.Wait()
		if err := errors.Join(q.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return &world{t: t, chat: s, store: st, queue: q, gw: gw, end: end}
}

func (w *world) account(name string) int64 {
	w.t.Helper()
	a, err := w.store.CreateAccount(w.t.Context(), store.NewAccount{Username: name, Nickname: name, Role: store.RoleUser})
	if err != nil {
		w.t.Fatal(err)
	}
	return a.ID
}

func (w *world) friends() (int64, int64) {
	w.t.Helper()
	a, b := w.account("anna"), w.account("bob")
	if _, err := w.store.Apply(w.t.Context(), a, b, "hi"); err != nil {
		w.t.Fatal(err)
	}
	_, err := w.store.AcceptApplication(w.t.Context(), b, a, 0, store.NewMessage{
		Type: int(protocol.TypeAccepted), Content: protocol.SystemText{Key: "acceptContacts"}.Encode(), System: true, OnCommit: w.chat.Deliver,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a, b
}

func (w *world) send(from, to int64, text string) chat.Receipt {
	w.t.Helper()
	r, err := w.chat.SendPrivate(w.t.Context(), chat.Caller{User: from, Session: from}, chat.Send{To: to, Content: text})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// sync is the phone's offline sync; sessions have the number of their user.
func (w *world) sync(user, last int64) []chat.Item {
	w.t.Helper()
	items, err := w.syncAs(chat.Caller{User: user, Session: user}, last)
	if err != nil {
		w.t.Fatal(err)
	}
	return items
}

// syncAs is a sync whose answer arrives.
func (w *world) syncAs(c chat.Caller, last int64) ([]chat.Item, error) {
	b, err := w.chat.SyncPrivate(w.t.Context(), c, last)
	if err == nil {
		b.Sent(w.t.Context())
	}
	return b.Items, err
}

func contents(items []chat.Item) string {
	var s []string
	for _, i := range items {
		s = append(s, i.Content)
	}
	return strings.Join(s, " ")
}

// waitPush waits for a push with this content.
func (w *world) waitPush(content string) chat.Push {
	w.t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		select {
		case p := <-w.gw.arrivals:
			var m struct{ Content string }
			if err := json.Unmarshal(p.Body, &m); err != nil {
				w.t.Fatalf("push %s: %v", p.Body, err)
			}
			if m.Content == content {
				return p
			}
		case <-deadline:
			w.t.Fatalf("no push %q", content)
		}
	}
}

func code(err error) protocol.Code { return protocol.CodeOf(err) }

func TestOfflineMessagesComeOnceAndInOrder(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	for i := range 3 {
		w.send(a, b, fmt.Sprint("m", i))
	}
	items := w.sync(b, 0)
	if got := contents(items); got != "m0 m1 m2" {
		t.Fatalf("sync answers %q", got)
	}
	if got := contents(w.sync(b, items[2].Time)); got != "" {
		t.Errorf("after the phone has them: %q again", got)
	}
	if got := contents(w.sync(b, 0)); got != "" {
		t.Errorf("what was confirmed came again: %q", got)
	}
}

func TestALostSyncReplyIsRepeated(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.send(a, b, "m0")
	w.sync(b, 0) // the reply never arrives
	if got := contents(w.sync(b, 0)); got != "m0" {
		t.Errorf("sync after a lost reply answers %q, want m0", got)
	}
}

// The loss of wire.md 9.1: a message is missed while disconnected, then the user
// sends something, which moves the phone's newest time past it.
func TestWhatWasNeverHandedComesWhateverTheParameter(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.sync(b, 0)
	w.send(a, b, "missed")
	own := w.send(b, a, "mine")
	if got := contents(w.sync(b, own.Time)); got != "missed" {
		t.Errorf("sync answers %q, want the missed one", got)
	}
}

func TestWhatWasPushedIsRepeatedOnlyIfThePhoneMayNotHaveIt(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.sync(b, 0)
	w.gw.connect(b, b)
	r := w.send(a, b, "live")
	w.waitPush("live")
	if got := contents(w.sync(b, r.Time-1)); got != "live" {
		t.Errorf("phone has nothing that new, sync answers %q", got)
	}
	if got := contents(w.sync(b, r.Time)); got != "" {
		t.Errorf("phone has it, sync answers %q", got)
	}
}

func TestAConfirmedPushIsNeverRepeated(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.sync(b, 0)
	w.gw.connect(b, b)
	w.send(a, b, "live")
	p := w.waitPush("live")
	w.chat.Confirmed(b, p.Conversation, p.Seq, p.Seq)
	if got := contents(w.sync(b, 1)); got != "" {
		t.Errorf("sync answers %q", got)
	}
}

// A gap between pushes: 1 and 3 were written, 2 fell into a broken connection.
func TestAGapBetweenPushesIsFilled(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.sync(b, 0)
	w.gw.connect(b, b)
	w.send(a, b, "one")
	w.waitPush("one")
	w.gw.disconnect(b)
	w.send(a, b, "two")
	flush(w)
	w.gw.connect(b, b)
	r := w.send(a, b, "three")
	w.waitPush("three")
	if got := contents(w.sync(b, r.Time)); got != "two" {
		t.Errorf("sync answers %q, want two", got)
	}
}

// flush waits until everything committed was published.
func flush(w *world) {
	w.t.Helper()
	c, d := w.account("flush1-"+fmt.Sprint(time.Now().UnixNano())), w.account("flush2-"+fmt.Sprint(time.Now().UnixNano()))
	if _, err := w.store.Apply(w.t.Context(), c, d, ""); err != nil {
		w.t.Fatal(err)
	}
	w.gw.connect(d, d)
	w.gw.connect(c, c)
	text := fmt.Sprint("flush ", c)
	if _, err := w.store.AcceptApplication(w.t.Context(), d, c, 0, store.NewMessage{Type: 8, Content: text, OnCommit: w.chat.Deliver}); err != nil {
		w.t.Fatal(err)
	}
	w.waitPush(text)
}

// A long conversation in both directions must not leave holes where the own
// messages are, or the bounded cursor would forget and repeat.
func TestALongDialogueIsNotRepeated(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.sync(b, 0)
	w.gw.connect(b, b)
	var last chat.Receipt
	for i := range 60 {
		last = w.send(a, b, fmt.Sprint("q", i))
		last = w.send(b, a, fmt.Sprint("r", i))
	}
	w.waitPush("q59")
	flush(w)
	if got := contents(w.sync(b, last.Time)); got != "" {
		t.Errorf("sync repeats %q", got)
	}
}

// A phone that was away while both wrote (from two devices, or with its own
// connection lost) got the same answer at every sync: the numbers of its own
// messages, in between, made more spans than a cursor holds.
func TestADialogueThatWasMissedIsSyncedOnce(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.sync(b, 0)
	var last chat.Receipt
	for i := range 60 {
		w.send(a, b, fmt.Sprint("q", i))
		last = w.send(b, a, fmt.Sprint("r", i))
	}
	flush(w)
	if got := w.sync(b, last.Time); len(got) != 60 {
		t.Errorf("the first sync has %d messages, not 60", len(got))
	}
	if got := contents(w.sync(b, last.Time)); got != "" {
		t.Errorf("the second sync repeats %q", got)
	}
}

// An answer that was lost on its way used to count as handed over; the time that
// the phone's own message had then confirmed it at the next sync.
func TestAnAnswerThatWasLostIsAnsweredAgain(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.sync(b, 0)
	w.send(a, b, "hello")
	own := w.send(b, a, "anybody there?")
	if lost, err := w.chat.SyncPrivate(t.Context(), chat.Caller{User: b, Session: b}, own.Time); err != nil || contents(lost.Items) != "hello" {
		t.Fatal(lost.Items, err)
	}
	if got := contents(w.sync(b, own.Time)); got != "hello" {
		t.Errorf("the sync after the lost one has %q", got)
	}
	if got := contents(w.sync(b, own.Time)); got != "" {
		t.Errorf("the sync after that has %q", got)
	}
}

func TestANewSessionGetsWhatIsNewerThanItsPhone(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.send(a, b, "old")
	r := w.send(a, b, "known")
	w.send(a, b, "new")
	items, err := w.syncAs(chat.Caller{User: b, Session: 777}, r.Time)
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(items); got != "new" {
		t.Errorf("new session gets %q", got)
	}
}

func TestPushHasTheContractsFields(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.gw.connect(b, b)
	r := w.send(a, b, "<hi> & 你好 'q'")
	p := w.waitPush("<hi> & 你好 'q'")
	want := fmt.Sprintf(`{"ChatType":1,"MsgType":0,"FromUser":"%d","ToUsers":"%d","Content":"<hi> & 你好 'q'","ServerMsgId":"%s","Time":%d,"BadgeNum":1}`,
		a, b, r.ServerMsgID, r.Time)
	if string(p.Body) != want {
		t.Errorf("push\n%s\nwant\n%s", p.Body, want)
	}
	var f map[string]any
	if err := json.Unmarshal(p.FeatureBody, &f); err != nil || f["Conversation"] != fmt.Sprintf("u:%d", a) || f["Seq"] != float64(r.Seq) {
		t.Errorf("feature push %s", p.FeatureBody)
	}
}

func TestSharesArriveAsVideos(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.gw.connect(b, b)
	content := `{"cover":"http://x/c.jpg","w":1,"h":2,"uri":"http://x/i.m3u8"}`
	if _, err := w.chat.SendPrivate(t.Context(), chat.Caller{User: a, Session: a}, chat.Send{To: b, Type: protocol.TypeShare, Content: content}); err != nil {
		t.Fatal(err)
	}
	p := w.waitPush(content)
	if !strings.Contains(string(p.Body), `"MsgType":3,`) || !strings.Contains(string(p.FeatureBody), `"MsgType":18,`) {
		t.Errorf("push %s, for feature clients %s", p.Body, p.FeatureBody)
	}
	if items := w.sync(b, 0); len(items) != 1 || items[0].Type != protocol.TypeVideo {
		t.Errorf("sync answers %+v", items)
	}
}

func TestWhoMaySendWhat(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	c := w.account("carl")
	media := `{"uri":"http://x","cover":"http://y","w":1,"h":"2","duration":3}`
	ask := func(from, to int64, typ int, content string) protocol.Code {
		_, err := w.chat.SendPrivate(t.Context(), chat.Caller{User: from, Session: from}, chat.Send{To: to, Type: protocol.MessageType(typ), Content: content})
		return code(err)
	}
	for typ := -1; typ <= 25; typ++ {
		want := protocol.CodeForbidden
		switch typ {
		case 0, 1, 2, 3, 10, 11, 12, 13, 17, 18:
			want = protocol.CodeOK
		case 6:
			want = protocol.CodeUnknown // nothing to recall
		case 7:
			want = protocol.CodeConflict // contacts already
		}
		if got := ask(a, b, typ, media); got != want {
			t.Errorf("type %d to a contact: code %d, want %d", typ, got, want)
		}
		switch typ {
		case 0, 1, 2, 3, 10, 11, 12, 17, 18:
			want = protocol.CodeForbidden
		case 7, 13:
			want = protocol.CodeOK
		}
		if got := ask(a, c, typ, media); got != want {
			t.Errorf("type %d to a stranger: code %d, want %d", typ, got, want)
		}
	}
	for name, got := range map[string]protocol.Code{
		"self":              ask(a, a, 0, "x"),
		"photo of nothing":  ask(a, b, 1, `{"uri":"http://x"}`),
		"photo as list":     ask(a, b, 1, `[]`),
		"invalid UTF-8":     ask(a, b, 0, "\xff"),
		"too long":          ask(a, b, 0, strings.Repeat("字", 1400)),
		"long with escapes": ask(a, b, 0, strings.Repeat("\"", 2000)),
	} {
		if got != protocol.CodeBadValue {
			t.Errorf("%s: code %d, want %d", name, got, protocol.CodeBadValue)
		}
	}
	if got := ask(a, 99999, 7, "x"); got != protocol.CodeUnknown {
		t.Errorf("application to nobody: code %d", got)
	}
	if got := ask(a, store.BuiltInAccount, 7, "x"); got != protocol.CodeUnknown {
		t.Errorf("application to the built-in account: code %d", got)
	}
}

func TestTheLongestMessageFitsTheApp(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.gw.connect(b, b)
	for n := 4080; ; n-- {
		text := strings.Repeat("x", n)
		_, err := w.chat.SendPrivate(t.Context(), chat.Caller{User: a, Session: a}, chat.Send{To: b, Content: text})
		if err != nil {
			continue
		}
		if p := w.waitPush(text); len(p.Body) != protocol.MaxPushBody {
			t.Errorf("the longest accepted message makes a push of %d bytes, want exactly %d", len(p.Body), protocol.MaxPushBody)
		}
		return
	}
}

// Found by a reviewer: frames of 4093 to 4095 bytes were pushed, over which the
// app loses its connection.
func TestMessagesThatOverrunTheAppAreRefused(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.gw.connect(b, b)
	send := func(n int) error {
		_, err := w.chat.SendPrivate(t.Context(), chat.Caller{User: a, Session: a}, chat.Send{To: b, Content: strings.Repeat("x", n)})
		return err
	}
	if err := send(1); err != nil {
		t.Fatal(err)
	}
	head := len(w.waitPush("x").Body) - 1
	for body := protocol.MaxPushBody - 5; body <= protocol.MaxPushBody+1; body++ {
		want := protocol.CodeOK
		if !protocol.FitsPush(body) {
			want = protocol.CodeBadValue
		}
		if err := send(body - head); protocol.CodeOf(err) != want {
			t.Errorf("a push of %d bytes: %v, want code %d", body, err, want)
		}
	}
	for _, p := range w.gw.take(b) {
		if !protocol.FitsPush(len(p.Body)) {
			t.Errorf("a push of %d bytes went out", len(p.Body))
		}
	}
}

func TestBlockedMessagesAreStoredButNotShown(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	w.sync(b, 0)
	if err := w.store.Block(t.Context(), b, a); err != nil {
		t.Fatal(err)
	}
	w.gw.connect(b, b)
	r := w.send(a, b, "hidden")
	flush(w)
	if got := w.gw.take(b); len(got) != 0 {
		t.Errorf("pushed %d frames to who blocked", len(got))
	}
	if got := contents(w.sync(b, 0)); got != "" {
		t.Errorf("sync shows %q", got)
	}
	if m, err := w.store.MessageByID(t.Context(), r.ServerMsgID); err != nil || m.Content != "hidden" || m.HiddenFrom != b {
		t.Errorf("stored %+v, %v", m, err)
	}
	if _, err := w.chat.SendPrivate(t.Context(), chat.Caller{User: a, Session: a}, chat.Send{To: b, Type: protocol.TypeCallInvite, Content: "0"}); err != nil {
		t.Errorf("a blocked caller learns of it: %v", err)
	}
	if got := w.gw.take(b); len(got) != 0 {
		t.Error("a blocked caller rings")
	}
}

func TestRecallRemovesAndTells(t *testing.T) {
	w := newWorld(t, chat.Config{RecallWindow: time.Hour})
	a, b := w.friends()
	w.sync(b, 0)
	r := w.send(a, b, "oops")
	recall := func(from, to int64) error {
		_, err := w.chat.SendPrivate(t.Context(), chat.Caller{User: from, Session: from}, chat.Send{To: to, Type: protocol.TypeRecall, Content: r.ServerMsgID})
		return err
	}
	if err := recall(b, a); code(err) != protocol.CodeUnknown {
		t.Errorf("somebody else's message recalled: %v", err)
	}
	if err := recall(a, b); err != nil {
		t.Fatal(err)
	}
	items := w.sync(b, 0)
	if len(items) != 1 || items[0].Type != protocol.TypeRecall || items[0].Content != r.ServerMsgID {
		t.Errorf("sync after recall: %+v", items)
	}
	if err := recall(a, b); code(err) != protocol.CodeUnknown {
		t.Errorf("recalled twice: %v", err)
	}
}

func TestSendsAreLimited(t *testing.T) {
	w := newWorld(t, chat.Config{SendsPerSecond: 1, SendBurst: 3})
	a, b := w.friends()
	for range 3 {
		w.send(a, b, "x")
	}
	_, err := w.chat.SendPrivate(t.Context(), chat.Caller{User: a, Session: a}, chat.Send{To: b, Content: "x"})
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || e.Code != protocol.CodeTooOften || e.RetryAfter <= 0 {
		t.Errorf("fourth send: %v", err)
	}
}

func TestServerTextsAreInTheReadersLanguage(t *testing.T) {
	w := newWorld(t, chat.Config{Language: "en"})
	a, _ := w.friends() // bob accepted anna's application
	if err := w.store.SetLanguage(t.Context(), a, "zh"); err != nil {
		t.Fatal(err)
	}
	items, err := w.syncAs(chat.Caller{User: a, Session: a, Language: "zh"}, 0)
	if err != nil || len(items) != 1 {
		t.Fatalf("%v, %v", items, err)
	}
	if want := protocol.Text("zh", "acceptContacts"); items[0].Content != want || items[0].Type != protocol.TypeAccepted {
		t.Errorf("type %d %q, want %q", items[0].Type, items[0].Content, want)
	}
}

// With the queue's folder the cursors go; what a session had before is known
// from its floor in the database, whatever its phone has seen since.
func TestLostCursorsLoseNoMessage(t *testing.T) {
	w := newWorld(t, chat.Config{})
	a, b := w.friends()
	session, _, err := w.store.Login(t.Context(), store.NewLogin{Account: b, TokenHash: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	sync := func(last int64) string {
		items, err := w.syncAs(chat.Caller{User: b, Session: session}, last)
		if err != nil {
			t.Fatal(err)
		}
		return contents(items)
	}
	sync(0)
	for at := int64(0); at == 0 && t.Context().Err() == nil; {
		if at, err = w.store.Delivered(t.Context(), session); err != nil {
			t.Fatal(err)
		}
	}
	w.send(a, b, "missed")
	if err := w.queue.Cursors().Drop(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	r := w.send(b, a, "mine")
	if got := sync(r.Time); got != "missed" {
		t.Errorf("sync after the loss answers %q, want missed", got)
	}
}

// A phone that was away for long gets more than one answer holds; the rest is
// pushed while it is connected, in rounds, each message once.
func TestAnAnswerThatIsCutGoesOnByPush(t *testing.T) {
	clock := &offset{}
	w := newWorldAt(t, chat.Config{}, clock.now)
	a, b := w.friends()
	session, _, err := w.store.Login(t.Context(), store.NewLogin{Account: b, TokenHash: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	c := chat.Caller{User: b, Session: session}
	const n = 2300
	for i := range n {
		if _, err := w.store.SendPrivate(t.Context(), store.NewMessage{From: a, To: b, Content: fmt.Sprint("m", i)}); err != nil {
			t.Fatal(err)
		}
	}
	w.gw.connect(b, session)
	items, err := w.syncAs(c, 0)
	if err != nil || len(items) != 2000 || items[0].Content != "m0" || items[1999].Content != "m1999" {
		t.Fatalf("%d items, %v", len(items), err)
	}
	var got []string
	for deadline := time.Now().Add(20 * time.Second); len(got) < n-2000 && time.Now().Before(deadline); {
		clock.add(catchUpWait)
		w.chat.Connected(c) // wakes the line; the session waits in it already
		for _, p := range w.gw.take(b) {
			var m struct{ Content string }
			if err := json.Unmarshal(p.Body, &m); err != nil {
				t.Fatal(err)
			}
			got = append(got, m.Content)
		}
	}
	for i, g := range got {
		if want := fmt.Sprint("m", 2000+i); g != want {
			t.Fatalf("push %d is %q, want %q", i, g, want)
		}
	}
	if len(got) != n-2000 {
		t.Errorf("%d messages pushed, want %d", len(got), n-2000)
	}
}

// catchUpWait is longer than the delay of a round.
const catchUpWait = 11 * time.Second

// offset is a clock that can be moved on.
type offset struct{ ns atomic.Int64 }

func (o *offset) now() time.Time      { return time.Now().Add(time.Duration(o.ns.Load())) }
func (o *offset) add(d time.Duration) { o.ns.Add(int64(d)) }
