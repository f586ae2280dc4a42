package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/queue"
)

// An announcement is a message from the built-in account to every account. It is
// a row first; then jobs of a topic send it, a few hundred accounts each, by
// ascending id. How far it is stands in the row, written together with the
// messages: jobs may be lost, repeated or cut short by a kill.
const (
	announceBatch  = 200
	announcePause  = 20 * time.Millisecond // between jobs, so that senders get their turn
	announceResume = time.Minute
)

// maxAnnouncement is the longest text: its push, to whoever it is, fits.
func maxAnnouncement() int {
	return protocol.MaxPushBody - pushSize(store.BuiltInAccount, Send{To: math.MaxInt64})
}

// announceJob is the payload of a job: send to the accounts behind After.
type announceJob struct{ ID, After int64 }

// Announce stores an announcement to all accounts there are; it is sent in the
// background. Codes: CodeBadValue, CodeNoRoom.
func (s *Service) Announce(ctx context.Context, text, by string) (store.Announcement, error) {
	text = strings.TrimSpace(text)
	most := maxAnnouncement()
	if !utf8.ValidString(text) {
		return store.Announcement{}, badValue("Text", "badText")
	}
	if text == "" || pushSize(store.BuiltInAccount, Send{To: math.MaxInt64, Content: text}) > protocol.MaxPushBody {
		return store.Announcement{}, &protocol.Error{Code: protocol.CodeBadValue, Key: "badValue", Args: []string{
			"Text", protocol.TextKey("announcementLength", strconv.Itoa(most)),
		}}
	}
	if s.deps.Announcements == nil {
		return store.Announcement{}, errors.New("announce: there is no topic")
	}
	a, err := s.store.CreateAnnouncement(ctx, text, by)
	if err != nil {
		return a, sendError(err)
	}
	if err := s.putAnnounce(ctx, a); err != nil { // resumeAll comes back to it
		s.log.Warn("announcement waits", "announcement", a.ID, "err", err)
	}
	return a, nil
}

// Announcements lists the newest announcements and how far they are.
func (s *Service) Announcements(ctx context.Context, limit int) ([]store.Announcement, error) {
	return s.store.Announcements(ctx, limit)
}

// putAnnounce puts the next job of an announcement, unless it is in line.
func (s *Service) putAnnounce(ctx context.Context, a store.Announcement) error {
	payload, err := json.Marshal(announceJob{a.ID, a.DoneTo})
	if err != nil {
		return err
	}
	return s.deps.Announcements.Put(ctx, fmt.Sprintf("announce-%d-%d", a.ID, a.DoneTo), payload, time.Time{})
}

// resumeAll puts the jobs of announcements that were not finished, at the start
// and now and then: the queue may have been lost or full.
func (s *Service) resumeAll(ctx context.Context) {
	if s.deps.Announcements == nil {
		return
	}
	t := time.NewTicker(announceResume)
	defer t.Stop()
	for {
		if err := s.resume(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("announcements not resumed", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *Service) resume(ctx context.Context) error {
	list, err := s.store.UnfinishedAnnouncements(ctx)
	for _, a := range list {
		err = errors.Join(err, s.putAnnounce(ctx, a))
	}
	return err
}

// announceAll does the jobs, one after the other.
func (s *Service) announceAll(ctx context.Context) {
	if s.deps.Announcements == nil {
		return
	}
	s.deps.Announcements.Work(ctx, announcePause, s.announceSome, func(err error) {
		s.log.Warn("announcement not sent on, will be tried again", "err", err)
	})
}

// announceSome does one job and puts the next one.
func (s *Service) announceSome(ctx context.Context, j *queue.Job) error {
	var p announceJob
	if err := json.Unmarshal(j.Payload, &p); err != nil {
		return fmt.Errorf("read job of announcement: %w", err)
	}
	a, err := s.store.Announce(ctx, p.ID, p.After, announceBatch, store.NewMessage{
		Type: int(protocol.TypeText), OnCommit: s.Deliver,
	})
	if errors.Is(err, store.ErrNotFound) { // a database from before it
		return nil
	}
	if err != nil {
		return fmt.Errorf("send announcement %d: %w", p.ID, err)
	}
	if a.FinishedAt == 0 {
		return s.putAnnounce(ctx, a)
	}
	s.log.Info("announcement sent to everybody", "announcement", a.ID, "messages", a.Sent)
	return nil
}
