package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"gtiv/daemon/filter"
	"gtiv/protocol"
	"gtiv/store"
)

const (
	// backlog is how many messages a reader gets on entering.
	backlog = 50
	// maxRooms is how many rooms are kept in memory before those that nobody
	// reads are forgotten.
	maxRooms = 1024
	// spokeKept is how many senders slow mode remembers before it looks for
	// those it may forget.
	spokeKept = 1000
)

// room is a live room in use. All of it is guarded by mu.
type room struct {
	id int64
	mu sync.Mutex

	gone       bool // not in Service.rooms any more
	closed     bool
	owner      int64
	slow       time.Duration
	words      *filter.Filter
	moderators map[int64]bool

	last   uint64 // number of the newest message that was published, or is not shown any more
	ring   []store.LiveMessage
	frames []Frame // of ring

	spoke   map[int64]time.Time // when somebody wrote last, in slow mode
	pruneAt int                 // length of spoke
}

// event is something committed on its way to the readers: a message (Seq 0:
// none), and then a change of the room.
type event struct {
	room    int64
	message store.LiveMessage
	change  func(*room)
	done    chan struct{} // closed when it has happened; may be nil
}

// hand gives an event to the publisher. Called by the store's writer; it waits
// only when the publisher is thousands of events behind.
func (s *Service) hand(e event) {
	select {
	case s.line <- e:
	case <-s.stopped:
	}
}

// await waits until an event has happened.
func (s *Service) await(ctx context.Context, done chan struct{}) {
	select {
	case <-done:
	case <-s.stopped:
	case <-ctx.Done():
	}
}

// happen publishes an event. A room that is not in use has no readers, and is
// read from the store when it gets some.
func (s *Service) happen(e event) {
	if e.done != nil {
		defer close(e.done)
	}
	s.mu.Lock()
	r := s.rooms[e.room]
	s.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return
	}
	if e.message.Seq > r.last { // else it was there when the room was read
		f := s.frame(e.message)
		r.keep(e.message, f)
		s.deps.Publish(r.id, f)
	}
	if e.change != nil {
		e.change(r)
	}
}

// keep adds a message to the newest ones.
func (r *room) keep(m store.LiveMessage, f Frame) {
	r.last = m.Seq
	if len(r.ring) >= backlog {
		r.ring = slices.Delete(r.ring, 0, 1)
		r.frames = slices.Delete(r.frames, 0, 1)
	}
	r.ring, r.frames = append(r.ring, m), append(r.frames, f)
}

// drop takes a deleted message out of the newest ones.
func (r *room) drop(serverMsgID string) {
	i := slices.IndexFunc(r.ring, func(m store.LiveMessage) bool { return m.ServerMsgID == serverMsgID })
	if i >= 0 {
		r.ring, r.frames = slices.Delete(r.ring, i, i+1), slices.Delete(r.frames, i, i+1)
	}
}

// dropBefore takes out what was sent before a time.
func (r *room) dropBefore(time int64) {
	n := slices.IndexFunc(r.ring, func(m store.LiveMessage) bool { return m.Time >= time })
	if n < 0 {
		n = len(r.ring)
	}
	r.ring, r.frames = slices.Delete(r.ring, 0, n), slices.Delete(r.frames, 0, n)
}

// with runs f while nothing else happens in a room. CodeUnknown: there is none.
func (s *Service) with(ctx context.Context, id int64, f func(*room) error) error {
	for {
		r, err := s.enter(ctx, id)
		if err != nil {
			return liveError(err)
		}
		if !r.gone {
			defer r.mu.Unlock()
			return f(r)
		}
		r.mu.Unlock() // it was forgotten meanwhile
	}
}

// inOpen is with for a room that is open. A closed one is looked up again: it
// may have been closed only because its owner was banned for a time.
func (s *Service) inOpen(ctx context.Context, id int64, f func(*room) error) error {
	return s.with(ctx, id, func(r *room) error {
		if r.closed {
			row, err := s.store.Live(ctx, id)
			if err == nil && row.Closed {
				err = store.ErrLiveClosed
			}
			if err != nil {
				return liveError(err)
			}
			r.closed = false
		}
		return f(r)
	})
}

// enter finds or reads a room and locks it.
func (s *Service) enter(ctx context.Context, id int64) (*room, error) {
	s.mu.Lock()
	r := s.rooms[id]
	if r != nil {
		s.mu.Unlock()
		r.mu.Lock()
		return r, nil
	}
	s.makePlace()
	// It is found, and waited for, while it is being read: what is committed
	// meanwhile is published to it afterwards.
	r = &room{id: id}
	r.mu.Lock()
	s.rooms[id] = r
	s.mu.Unlock()
	err := s.read(ctx, r)
	if err == nil {
		return r, nil
	}
	r.gone = true
	r.mu.Unlock()
	s.mu.Lock()
	delete(s.rooms, id)
	s.mu.Unlock()
	return nil, err
}

// makePlace forgets rooms that nobody reads when there are too many.
func (s *Service) makePlace() {
	if len(s.rooms) < maxRooms {
		return
	}
	for id, r := range s.rooms {
		if !r.mu.TryLock() {
			continue
		}
		if s.deps.Online(id) == 0 {
			r.gone = true
			delete(s.rooms, id)
		}
		r.mu.Unlock()
	}
}

// read fills in a room from the store.
func (s *Service) read(ctx context.Context, r *room) error {
	row, err := s.store.Live(ctx, r.id)
	if err != nil {
		return err
	}
	words, err1 := s.store.LiveWords(ctx, r.id)
	moderators, err2 := s.store.LiveModerators(ctx, r.id)
	list, err3 := s.store.LiveMessages(ctx, r.id, backlog)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	r.closed, r.owner, r.slow, r.words = row.Closed, row.Owner, time.Duration(row.Slow)*time.Second, filter.New(words)
	r.last = row.OpenedSeq
	r.moderators = map[int64]bool{}
	for _, a := range moderators {
		r.moderators[a.ID] = true
	}
	for _, m := range list {
		r.keep(m, s.frame(m))
	}
	return nil
}

// Join lets a reader into a room: it calls in with the last messages, oldest
// first, while nothing else is published. It reports false, and does not call,
// when there is no such room, it is closed, or the reader may not watch it.
func (s *Service) Join(ctx context.Context, v Viewer, id int64, in func(last []Frame)) bool {
	err := s.MayWatch(ctx, v, id)
	if err == nil {
		err = s.inOpen(ctx, id, func(r *room) error {
			in(r.frames)
			return nil
		})
	}
	if code := protocol.CodeOf(err); err != nil && code != protocol.CodeUnknown && code != protocol.CodeForbidden {
		s.log.WarnContext(ctx, "live room not joined", "room", id, "err", err)
	}
	return err == nil
}

// History is the last messages of a room, oldest first, in a reader's language. Codes
// as MayWatch.
func (s *Service) History(ctx context.Context, v Viewer, id int64, language string) ([]protocol.LiveMessage, error) {
	if err := s.MayWatch(ctx, v, id); err != nil {
		return nil, err
	}
	var list []protocol.LiveMessage
	err := s.inOpen(ctx, id, func(r *room) error {
		for _, m := range r.ring {
			list = append(list, wireMessage(m, contentIn(language, m)))
		}
		return nil
	})
	return list, err
}

// Online is how many are in a room.
func (s *Service) Online(id int64) int { return s.deps.Online(id) }

// frame is the push of a message: one body for all, or for a server text one
// per language.
func (s *Service) frame(m store.LiveMessage) Frame {
	f := Frame{Op: protocol.RoomOp(m.Room), Seq: m.Seq}
	if !m.System {
		f.Body = body(m, m.Content)
		return f
	}
	f.ByLanguage = map[string][]byte{}
	for _, language := range protocol.Languages() {
		f.ByLanguage[language] = body(m, contentIn(language, m))
	}
	f.Body = f.ByLanguage[protocol.LanguageOf(s.cfg.Load().Language, "")]
	return f
}

// contentIn is the content as a reader sees it.
func contentIn(language string, m store.LiveMessage) string {
	if !m.System {
		return m.Content
	}
	return protocol.RenderSystem(language, m.Content)
}

// body is a message as JSON. A picture whose address would make it unfit for
// a frame is left out.
func body(m store.LiveMessage, content string) []byte {
	w := wireMessage(m, content)
	b := w.JSON()
	if !protocol.FitsPush(len(b)) {
		w.Avatar = ""
		b = w.JSON()
	}
	return b
}

func wireMessage(m store.LiveMessage, content string) protocol.LiveMessage {
	return protocol.LiveMessage{
		ChatType: protocol.ChatLive, MsgType: protocol.MessageType(m.Type), RoomID: strconv.FormatInt(m.Room, 10),
		FromUser: strconv.FormatInt(m.From, 10), Content: content, ServerMsgID: m.ServerMsgID, Time: m.Time,
		Conversation: protocol.LiveConversation(m.Room), Seq: m.Seq, Nickname: m.Nickname, Avatar: m.Avatar,
	}
}

// exempt says whom slow mode does not bind.
func (r *room) exempt(c Caller) bool {
	return c.Role >= store.RoleAdmin || c.User == r.owner || r.moderators[c.User]
}

// mustWait is how long slow mode still holds somebody back.
func (r *room) mustWait(user int64, now time.Time) time.Duration {
	if r.slow == 0 {
		return 0
	}
	at, ok := r.spoke[user]
	if !ok {
		return 0
	}
	return at.Add(r.slow).Sub(now)
}

// speaks notes that somebody writes, for slow mode.
func (r *room) speaks(user int64, now time.Time) {
	if r.slow == 0 {
		r.spoke = nil
		return
	}
	if r.spoke == nil {
		r.spoke, r.pruneAt = map[int64]time.Time{}, spokeKept
	}
	r.spoke[user] = now
	if len(r.spoke) < r.pruneAt {
		return
	}
	for u, at := range r.spoke {
		if now.Sub(at) > r.slow {
			delete(r.spoke, u)
		}
	}
	r.pruneAt = max(spokeKept, 2*len(r.spoke))
}

// refuses names the word for which the room's own filter refuses a text.
func (r *room) refuses(text string) (word string, found bool) { return r.words.Match(text) }

// liveError turns the store's sentinels into answers.
func liveError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*protocol.Error](err); ok {
		return err
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return protocol.Errorf(protocol.CodeUnknown, "noSuchLive")
	case errors.Is(err, store.ErrLiveClosed):
		return protocol.Errorf(protocol.CodeUnknown, "liveClosed")
	case errors.Is(err, store.ErrForbidden):
		return protocol.Errorf(protocol.CodeForbidden, "forbidden")
	case errors.Is(err, store.ErrMuted):
		return protocol.Errorf(protocol.CodeForbidden, "liveYouAreMuted")
	case errors.Is(err, store.ErrConflict):
		return protocol.Errorf(protocol.CodeConflict, "clientMsgIdUsed")
	case errors.Is(err, store.ErrDiskFull):
		e := protocol.Errorf(protocol.CodeNoRoom, "diskFull")
		e.Err = err
		return e
	}
	return fmt.Errorf("live room: %w", err)
}
