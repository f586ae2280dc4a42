package chat

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"gtiv/protocol"
	"gtiv/store"
)

// Report is what a user tells the moderators.
type Report struct {
	Kind   string // one of the protocol.Report constants
	Target string // id of what it is about
	Reason string
}

const (
	maxReasonRunes = 500
	reportsPerHour = 20
)

// Report stores a report. A second one of the same target, while the first is
// open, changes nothing. Codes: CodeBadValue, CodeUnknown (a user or a message
// that is not there, or that the caller cannot see), CodeTooOften.
func (s *Service) Report(ctx context.Context, c Caller, r Report) error {
	reason, readable := protocol.CleanText(strings.TrimSpace(r.Reason))
	r.Reason = reason
	if n := utf8.RuneCountInString(r.Reason); n < 1 || n > maxReasonRunes {
		return &protocol.Error{Code: protocol.CodeBadValue, Key: "badValue", Args: []string{
			"Reason", protocol.TextKey("badLength", "1", strconv.Itoa(maxReasonRunes)),
		}}
	}
	if !readable {
		return badValue("Reason", "badText")
	}
	if wait := s.reports.Take(strconv.FormatInt(c.User, 10), reportsPerHour); wait > 0 {
		return protocol.TooOften(wait)
	}
	p := store.Report{Reporter: c.User, Kind: r.Kind, Target: r.Target, Reason: r.Reason}
	if err := s.checkTarget(ctx, c, &p); err != nil {
		return err
	}
	if p.Kind == protocol.ReportRoom {
		// Whether there is a group is told to its members only: a report of none is
		// answered like others, and goes nowhere.
		if id, err := strconv.ParseInt(p.Target, 10, 64); err == nil {
			if _, err := s.store.Room(ctx, id); errors.Is(err, store.ErrNotFound) {
				return nil
			}
		}
	}
	_, err := s.store.CreateReport(ctx, p)
	return sendError(err)
}

// checkTarget looks at what a report is about, and writes its id as all reports
// of it have it.
func (s *Service) checkTarget(ctx context.Context, c Caller, p *store.Report) error {
	switch p.Kind {
	case protocol.ReportMessage:
		return s.copyEvidence(ctx, c, p)
	case protocol.ReportUser, protocol.ReportRoom, protocol.ReportVideo, protocol.ReportLive:
	default:
		return badValue("Kind", "badReportKind")
	}
	id, err := strconv.ParseInt(p.Target, 10, 64)
	if err != nil || id <= 0 {
		return badValue("Target", "badTarget")
	}
	p.Target = strconv.FormatInt(id, 10)
	switch p.Kind {
	case protocol.ReportRoom:
		if id <= store.FirstRoom {
			return s.roomError(store.ErrNotFound)
		}
		return nil
	case protocol.ReportLive:
		_, err := s.store.Live(ctx, id)
		return s.roomError(err)
	case protocol.ReportVideo:
		return s.checkVideo(ctx, c, id)
	}
	if p.Kind != protocol.ReportUser {
		return nil
	}
	if id == c.User {
		return protocol.Errorf(protocol.CodeBadValue, "reportSelf")
	}
	a, err := s.store.Account(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && a.DeletedAt != 0 {
		return protocol.Errorf(protocol.CodeUnknown, "noSuchUser")
	}
	return err
}

// sampleVideo is the built-in one, which is not in the database.
const sampleVideo = 1

// checkVideo refuses a report of a video that the reporter cannot see.
func (s *Service) checkVideo(ctx context.Context, c Caller, id int64) error {
	if id == sampleVideo {
		return nil
	}
	_, err := s.store.ShownVideo(ctx, c.User, id)
	if errors.Is(err, store.ErrNotFound) {
		return protocol.Errorf(protocol.CodeUnknown, "noSuchVideo")
	}
	return err
}

// copyEvidence copies the message that a report is about, if the reporter can
// see it: its sender could recall it.
func (s *Service) copyEvidence(ctx context.Context, c Caller, p *store.Report) error {
	m, err := s.store.MessageByID(ctx, p.Target)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("find reported message: %w", err)
	}
	if err == nil {
		ok, err := s.maySee(ctx, c.User, m)
		if err != nil {
			return fmt.Errorf("check reader of reported message: %w", err)
		}
		if ok {
			p.Target, p.Sender, p.Content, p.MessageTime = m.ServerMsgID, m.From, m.Content, m.Time
			if m.System {
				p.Content = protocol.RenderSystem(s.cfg.Load().Language, m.Content)
			}
			return nil
		}
	}
	return s.copyLive(ctx, p)
}

// copyLive copies a message of a live room. Everybody may read those, also in a
// room that was closed since.
func (s *Service) copyLive(ctx context.Context, p *store.Report) error {
	m, err := s.store.LiveMessageByID(ctx, p.Target)
	if errors.Is(err, store.ErrNotFound) {
		return protocol.Errorf(protocol.CodeUnknown, "noSuchMessage")
	}
	if err != nil {
		return fmt.Errorf("find reported message: %w", err)
	}
	p.Target, p.Sender, p.Content, p.MessageTime = m.ServerMsgID, m.From, m.Content, m.Time
	return nil
}

// maySee says whether a user can see a message.
func (s *Service) maySee(ctx context.Context, user int64, m store.Message) (bool, error) {
	switch {
	case m.Gone != store.Here, m.HiddenFrom == user:
		return false, nil
	case m.Kind == store.KindPrivate:
		return user == m.From || user == m.To, nil
	}
	member, err := s.store.RoomMember(ctx, m.Room, user)
	if errors.Is(err, store.ErrNotMember) {
		return false, nil
	}
	return err == nil && m.Seq > member.JoinedSeq, err
}

// Reports lists open or resolved reports behind an id, oldest first.
func (s *Service) Reports(ctx context.Context, open bool, after int64, limit int) ([]store.Report, error) {
	return s.store.Reports(ctx, open, after, limit)
}

// ResolveReport ends a report: by whom, what was done, and a note. Codes:
// CodeUnknown, CodeConflict (it was resolved before).
func (s *Service) ResolveReport(ctx context.Context, id int64, by, action, note string) (store.Report, error) {
	p, err := s.store.ResolveReport(ctx, id, by, action, note)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return p, protocol.Errorf(protocol.CodeUnknown, "noSuchReport")
	case errors.Is(err, store.ErrConflict):
		return p, protocol.Errorf(protocol.CodeConflict, "reportResolved")
	}
	return p, sendError(err)
}
