package record

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"gtiv/media"
	"gtiv/media/record"
	"gtiv/protocol"
	"gtiv/store"
)

// Errors that end a recording; each has a text for the owner.
var (
	errQuota = errors.New("over the quota of recordings")
	errMany  = errors.New("too many recordings")
	errDisk  = errors.New("no room on the disk")
)

// session is a recording that runs: of one stream, with one file after the other. One
// goroutine uses what stands below id.
type session struct {
	s      *Service
	room   int64
	format string
	stream *media.Stream
	cancel context.CancelFunc
	done   chan struct{}
	id     atomic.Int64 // of the file that is being written; 0 none

	row    store.Recording // of the file that is being written
	others int64           // bytes of the owner's other recordings
	noted  time.Time
	told   bool // why it ended stands in the row of its last file
}

// OnAir begins to record a room whose stream began, if it is set so. It does not
// wait.
func (s *Service) OnAir(room int64) { s.followSoon(room) }

// followSoon makes what is recorded of a room follow its setting; the answer is closed
// once it does.
func (s *Service) followSoon(room int64) <-chan struct{} {
	done := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		s.early = append(s.early, room)
		close(done)
		return done
	}
	ctx := s.ctx
	s.work.Go(func() {
		defer close(done)
		s.follow(ctx, room)
	})
	return done
}

// follow makes what is recorded of a room follow its setting.
func (s *Service) follow(ctx context.Context, room int64) {
	var began *session
	for ctx.Err() == nil {
		format, err := s.store.LiveRecord(ctx, room)
		if err != nil {
			if !errors.Is(err, store.ErrNotFound) {
				s.log.Warn("not known whether to record", "room", room, "err", err)
			}
			return
		}
		stream := s.deps.Stream(room)
		if began != nil && began.stream == stream && began.format == format {
			return // once is enough: it may have failed
		}
		now, before := s.turn(room, format, stream)
		switch {
		case before != nil:
			before.leave(ctx, before.format != format)
		case now != nil:
			began = now // and once more: it may have been set meanwhile
		default:
			return
		}
	}
}

// turn begins a session if there should be one, or answers the one that must end
// first; neither: there is nothing to do.
func (s *Service) turn(room int64, format string, stream *media.Stream) (now, before *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.running[room]
	switch {
	case v != nil && (v.stream != stream || v.format != format):
		return nil, v
	case v == nil && format != "" && stream != nil && s.ctx != nil:
		return s.start(room, format, stream), nil
	}
	return nil, nil
}

// start begins a session. s.mu is held.
func (s *Service) start(room int64, format string, stream *media.Stream) *session {
	ctx, cancel := context.WithCancel(s.ctx)
	v := &session{s: s, room: room, format: format, stream: stream, cancel: cancel, done: make(chan struct{})}
	s.running[room] = v
	s.work.Add(1)
	go func() { // ends with the stream, or with stop
		defer s.work.Done()
		defer cancel()
		v.run(ctx)
		s.mu.Lock()
		if s.running[room] == v {
			delete(s.running, room)
		}
		s.mu.Unlock()
		close(v.done)
	}()
	return v
}

// stop ends a session, and waits until its file is finished.
func (v *session) stop(ctx context.Context) { v.leave(ctx, true) }

// leave waits until a session is over; one whose stream has ended is soon, others are
// with end.
func (v *session) leave(ctx context.Context, end bool) {
	if end {
		v.cancel()
	}
	select {
	case <-v.done:
	case <-ctx.Done():
	}
}

// writes says whether a recording is being written by v.
func (v *session) writes(id int64) bool { return v.id.Load() == id }

func (v *session) run(ctx context.Context) {
	s := v.s
	s.log.Info("recording began", "room", v.room, "format", v.format)
	err := record.Run(ctx, v.stream, record.Options{Format: record.Format(v.format), MaxBytes: s.cfg.Load().MaxBytes}, v)
	s.log.Info("recording ended", "room", v.room, "err", err)
	if err == nil {
		return
	}
	v.explain(context.WithoutCancel(ctx), reasonOf(err))
}

// explain tells the owner why a recording ended early.
func (v *session) explain(ctx context.Context, reason string) {
	s := v.s
	if !v.told { // no file says why
		if _, err := s.store.CreateRecording(ctx, v.room, v.format, reason, maxRecordings); err != nil && !errors.Is(err, store.ErrQuota) {
			s.log.Warn("failed recording not noted", "room", v.room, "err", err)
		}
	}
	r, err := s.store.Live(ctx, v.room)
	if err != nil {
		s.log.Warn("nobody told that a recording ended", "room", v.room, "err", err)
		return
	}
	s.deps.Notify(r.Owner, protocol.Notice{Kind: protocol.NoticeLive, Id: protocol.LiveConversation(v.room), State: "recordEnded", Reason: reason})
}

// reasonOf is the key of the text that says why a recording ended.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, errQuota):
		return "recordQuota"
	case errors.Is(err, errMany):
		return "recordMany"
	case errors.Is(err, errDisk), errors.Is(err, store.ErrDiskFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "recordDisk"
	case errors.Is(err, record.ErrCodec):
		return "recordCodec"
	case errors.Is(err, record.ErrParts):
		return "recordParts"
	}
	return "recordFailed"
}

// Begin makes a row and its file.
func (v *session) Begin() (*os.File, error) {
	s, ctx := v.s, context.Background()
	if err := s.deps.Room(0); err != nil {
		return nil, fmt.Errorf("%w: %w", errDisk, err)
	}
	if err := v.look(ctx); err != nil {
		return nil, err
	}
	row, err := s.store.CreateRecording(ctx, v.room, v.format, "", maxRecordings)
	if errors.Is(err, store.ErrQuota) {
		err = errMany
	}
	if err != nil {
		return nil, fmt.Errorf("note recording: %w", err)
	}
	v.row, v.noted = row, s.now()
	v.id.Store(row.ID)
	f, err := s.create(row)
	if err != nil {
		v.End(record.Length{}, err)
		return nil, err
	}
	return f, nil
}

func (s *Service) create(row store.Recording) (*os.File, error) {
	path := s.path(row)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make folder of recording: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) //nolint:gosec // a name of ours
	if err != nil {
		return nil, fmt.Errorf("make recording: %w", err)
	}
	return f, nil
}

// look finds out how much the other recordings of the owner take.
func (v *session) look(ctx context.Context) error {
	r, err := v.s.store.Live(ctx, v.room)
	if err != nil {
		return err
	}
	v.others, err = v.s.store.RecordingBytes(ctx, r.Owner)
	return err
}

// Grow looks at quota and disk before the file grows, and notes now and then how long
// it is.
func (v *session) Grow(to record.Length) error {
	s := v.s
	if now := s.now(); now.Sub(v.noted) >= noteEvery {
		v.noted = now
		ctx := context.Background()
		used, err := s.store.RecordingBytes(ctx, v.row.Owner)
		if err != nil {
			return err
		}
		before, err := s.store.Recording(ctx, v.row.ID)
		if err != nil {
			return err // ErrNotFound: it was deleted
		}
		v.others = used - before.Bytes
		if err := s.store.RecordingGrew(ctx, v.row.ID, to.Bytes, to.Duration.Milliseconds()); err != nil {
			return err
		}
	}
	if quota := s.cfg.Load().Quota; quota > 0 && v.others+to.Bytes > quota {
		return errQuota
	}
	if err := s.deps.Room(pieceRoom); err != nil {
		return fmt.Errorf("%w: %w", errDisk, err)
	}
	return nil
}

// pieceRoom is what a piece takes at most, as a rule.
const pieceRoom = 8 << 20

// End notes that a file is finished.
func (v *session) End(l record.Length, why error) {
	reason := ""
	if why != nil {
		reason, v.told = reasonOf(why), true
	}
	if err := v.s.finished(context.Background(), v.row, l, reason); err != nil {
		v.s.log.Warn("end of a recording not noted yet", "recording", v.row.ID, "err", err)
		v.s.mu.Lock()
		v.s.late[v.row.ID] = reason
		v.s.mu.Unlock()
	}
	v.id.Store(0)
	v.row = store.Recording{}
}

// finished notes that a file is whole; one with nothing in it goes.
func (s *Service) finished(ctx context.Context, row store.Recording, l record.Length, reason string) error {
	if l.Bytes == 0 {
		if err := os.Remove(s.path(row)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	err := s.store.EndRecording(ctx, row.ID, l.Bytes, l.Duration.Milliseconds(), reason)
	if errors.Is(err, store.ErrNotFound) {
		return nil // deleted meanwhile
	}
	return err
}
