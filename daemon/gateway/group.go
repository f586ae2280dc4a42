package gateway

import (
	"slices"
	"sync"
	"time"

	"gtiv/protocol"
)

const (
	// groupBatchBytes bounds what a group's members get in one piece.
	groupBatchBytes = 16 << 10
	// maxGroupPending is how many messages of one group may wait for its flush.
	// Beyond it the caller waits, which slows the group's senders down.
	maxGroupPending = 2048
)

// GroupPush is one message of a group on its way to the members. Unlike a
// broadcast it is tracked: each connection's cursor notes it, and a connection
// that cannot take it is behind or closed.
type GroupPush struct {
	// Members are the users who get it. The slice must not change any more; pushes
	// that share it may go out together.
	Members []int64
	// Author wrote it: clients without features are not shown their own messages.
	Author int64
	// Push goes to all members, or Each says what one of them gets; nil is nothing.
	// The frame's Conversation and Seq must be the same for all.
	Push *Push
	Each func(user int64) *Push
	// First are users who get what Greet answers before it.
	First []int64
	Greet func(user int64) *Push
	// Gone are users who are no members any more: what waits for them in Push's
	// conversation is dropped, then they get what Part answers.
	Gone         []int64
	Part         func(user int64) *Push
	Conversation int64 // of which Gone see nothing more
}

// plain reports whether p may go out in one piece with others.
func (p *GroupPush) plain() bool {
	return p.Push != nil && p.Each == nil && len(p.First) == 0 && len(p.Gone) == 0
}

// groups are those that have something to send, or had it a moment ago.
type groups struct {
	mu   sync.Mutex
	byID map[int64]*group
}

// group gathers messages: the first goes out at once, what comes soon after it
// waits a little, because each flush costs a write per member.
type group struct {
	g     *Gateway
	id    int64
	timer entry

	// Guarded by groups.mu.
	pending  []GroupPush
	flushing bool
	last     int64         // start of the last flush
	room     chan struct{} // closed when pending was taken; nil when nobody waits
}

// PushGroup queues p for the members of a group, in the order of the calls for
// that group. It waits only while thousands of messages of the group wait.
func (g *Gateway) PushGroup(id int64, p GroupPush) {
	for {
		g.groups.mu.Lock()
		r := g.groups.byID[id]
		if r == nil {
			r = &group{g: g, id: id}
			r.timer.owner = r
			g.groups.byID[id] = r
		}
		if len(r.pending) < maxGroupPending {
			r.pending = append(r.pending, p)
			r.startLocked(len(p.Members))
			g.groups.mu.Unlock()
			return
		}
		if r.room == nil {
			r.room = make(chan struct{})
		}
		wait := r.room
		g.groups.mu.Unlock()
		select {
		case <-wait:
		case <-g.done:
			return
		}
	}
}

// startLocked has pending flushed, now or when the pause after the last flush is
// over.
func (r *group) startLocked(members int) {
	if r.flushing {
		return // the flush looks again when it is done
	}
	c := &r.g.cfg
	due := r.last + int64(min(time.Duration(members)*c.GroupDelayPerMember, c.GroupDelayMax))
	if r.last != 0 && due > r.g.now() {
		r.g.wheel.schedule(&r.timer, due)
		return
	}
	if r.g.enter() {
		r.flushing = true
		go r.flush()
	}
}

// tick is the wheel's call: the pause is over, or nothing came for a while.
func (r *group) tick(int64) {
	mu := &r.g.groups.mu
	mu.Lock()
	defer mu.Unlock()
	if r.flushing {
		return
	}
	if n := len(r.pending); n > 0 {
		r.startLocked(len(r.pending[0].Members))
		return
	}
	delete(r.g.groups.byID, r.id)
}

// flush sends what is pending, and goes on while more comes that is due.
func (r *group) flush() {
	defer r.g.work.Done()
	for {
		list := r.take()
		if list == nil {
			return
		}
		for len(list) > 0 {
			n := run(list)
			r.g.deliverGroup(list[:n])
			list = list[n:]
		}
	}
}

// take takes what is due, or ends the flush.
func (r *group) take() []GroupPush {
	mu := &r.g.groups.mu
	mu.Lock()
	defer mu.Unlock()
	now := r.g.now()
	c := &r.g.cfg
	if len(r.pending) == 0 {
		r.flushing = false
		r.g.wheel.schedule(&r.timer, now+int64(time.Second)) // forgotten then
		return nil
	}
	due := r.last + int64(min(time.Duration(len(r.pending[0].Members))*c.GroupDelayPerMember, c.GroupDelayMax))
	if r.last != 0 && due > now && len(r.pending) < maxGroupPending {
		r.flushing = false
		r.g.wheel.remove(&r.timer)
		r.g.wheel.schedule(&r.timer, due)
		return nil
	}
	list := r.pending
	r.pending, r.last = nil, now
	if r.room != nil {
		close(r.room)
		r.room = nil
	}
	return list
}

// run is how many of the first pushes go to the same people in one piece.
func run(list []GroupPush) int {
	if !list[0].plain() {
		return 1
	}
	n, size := 0, 0
	for i := range list {
		p := &list[i]
		if !p.plain() || !sameSlice(p.Members, list[0].Members) {
			break
		}
		size += protocol.HeaderBytes + max(len(p.Push.Body), len(p.Push.FeatureBody))
		if n > 0 && size > groupBatchBytes {
			break
		}
		n++
	}
	return n
}

func sameSlice(a, b []int64) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// deliverGroup sends one run.
func (g *Gateway) deliverGroup(list []GroupPush) {
	p := &list[0]
	if !p.plain() {
		g.deliverOne(p)
		return
	}
	b := &groupBatch{list: list}
	for _, user := range p.Members {
		wrote := slices.ContainsFunc(list, func(p GroupPush) bool { return p.Author == user })
		for _, s := range g.users.get(user) {
			if s.app != nil || wrote || len(list) == 1 {
				for i := range list {
					s.pushAs(list[i].Push, list[i].Author == user)
				}
				continue
			}
			s.send(b.item(s))
		}
	}
}

// deliverOne sends a push that is not the same for all.
func (g *Gateway) deliverOne(p *GroupPush) {
	for _, user := range p.Gone {
		for _, s := range g.users.get(user) {
			s.forgetConversation(p.Conversation)
		}
		if p.Part != nil {
			g.pushOwn(user, 0, p.Part(user))
		}
	}
	for _, user := range p.First {
		g.pushOwn(user, 0, p.Greet(user))
	}
	for _, user := range p.Members {
		one := p.Push
		if p.Each != nil {
			one = p.Each(user)
		}
		g.pushOwn(user, p.Author, one)
	}
}

func (g *Gateway) pushOwn(user, author int64, p *Push) {
	if p == nil {
		return
	}
	for _, s := range g.users.get(user) {
		s.pushAs(p, p.Silent || user == author)
	}
}

// groupBatch is several pushes in one piece, in the forms of the transports,
// built when the first connection asks for them.
type groupBatch struct {
	list  []GroupPush
	forms [2]*batch // without and with features
}

func (b *groupBatch) item(s *session) item {
	form := 0
	if s.info.Features {
		form = 1
	}
	if b.forms[form] == nil {
		b.forms[form] = b.build(form == 1)
	}
	f := b.forms[form]
	first, last := b.list[0].Push, b.list[len(b.list)-1].Push
	it := item{buf: f.tcp(), frames: f.frames, conversation: first.Conversation, from: first.Seq, seq: last.Seq}
	if s.ws != nil {
		it.buf = f.ws()
	}
	return it
}

func (b *groupBatch) build(features bool) *batch {
	wire := make([]byte, batchHead, batchHead+groupBatchBytes)
	for i := range b.list {
		p := b.list[i].Push
		body := p.Body
		if features && p.FeatureBody != nil {
			body = p.FeatureBody
		}
		wire = protocol.AppendFrame(wire, p.Op, 0, body)
	}
	return newBatch(wire, uint32(len(b.list))) //nolint:gosec // bounded by groupBatchBytes
}

// forgetConversation drops what waits in a conversation that its reader may not
// see any more.
func (s *session) forgetConversation(conversation int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keep := s.private.items[:0:0]
	for _, it := range s.private.items {
		if it.conversation == conversation {
			s.private.bytes -= len(it.buf)
			continue
		}
		keep = append(keep, it)
	}
	if s.private.items = keep; len(keep) == 0 {
		s.private.clear()
	}
}
