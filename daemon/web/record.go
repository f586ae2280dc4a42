package web

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"

	"gtiv/daemon/record"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
)

// records is what the handlers of recordings need of record.Service.
type records interface {
	Setting(ctx context.Context, c record.Caller, room int64) (record.Setting, error)
	Set(ctx context.Context, c record.Caller, room int64, mode string) (record.Setting, error)
	List(ctx context.Context, c record.Caller, room, cursor int64) (list []store.Recording, next int64, err error)
	Publish(ctx context.Context, c record.Caller, id int64, title string) (int64, error)
	Delete(ctx context.Context, c record.Caller, id int64) error
	Open(ctx context.Context, viewer, id int64) (*os.File, store.Recording, error)
}

var _ records = (*record.Service)(nil)

func recordCaller(c *api.Call) record.Caller {
	return record.Caller{User: c.Principal.User, Role: c.Principal.Role}
}

// handleLiveRecord serves GET /live/record.
func (s *Server) handleLiveRecord(c *api.Call, req *protocol.LiveKeyRequest) (*protocol.LiveRecordReply, error) {
	return recordReply(s.deps.Records.Setting(c.Context(), recordCaller(c), req.RoomID))
}

// handleSetLiveRecord serves POST /live/record.
func (s *Server) handleSetLiveRecord(c *api.Call, req *protocol.LiveRecordRequest) (*protocol.LiveRecordReply, error) {
	return recordReply(s.deps.Records.Set(c.Context(), recordCaller(c), req.RoomID, req.Record))
}

func recordReply(v record.Setting, err error) (*protocol.LiveRecordReply, error) {
	if err != nil {
		return nil, err
	}
	return &protocol.LiveRecordReply{RoomID: text(v.Room), Record: v.Mode}, nil
}

// handleLiveRecordList serves GET /live/record/list.
func (s *Server) handleLiveRecordList(c *api.Call, req *protocol.LiveRecordListRequest) (*protocol.LiveRecordListReply, error) {
	list, next, err := s.deps.Records.List(c.Context(), recordCaller(c), req.RoomID, req.Cursor)
	if err != nil {
		return nil, err
	}
	rep := &protocol.LiveRecordListReply{Next: next}
	for _, r := range list {
		item := protocol.LiveRecording{
			ID: r.ID, RoomID: text(r.Room), Title: r.Title, State: record.StateName(r.State), Format: r.Format, Began: r.Began,
			Seconds: (r.DurationMS + 500) / 1000, Bytes: r.Bytes, VideoID: r.Video,
		}
		if r.Reason != "" {
			item.Reason = protocol.Text(c.Language, r.Reason)
		}
		if r.State != store.RecordingFailed && s.deps.Signer != nil {
			item.URL = s.base(c.Request).URL() + recordPath + s.deps.Signer.Sign(recordName(r), c.Principal.User)
		}
		rep.List = append(rep.List, item)
	}
	return rep, nil
}

// publishDeadline is what reading a recording may take, which becomes a video.
const publishDeadline = uploadDeadline

// handleLiveRecordPublish serves POST /live/record/publish.
func (s *Server) handleLiveRecordPublish(c *api.Call, req *protocol.LiveRecordPublishRequest) (*protocol.LiveRecordPublishReply, error) {
	id, err := s.deps.Records.Publish(c.Context(), recordCaller(c), req.ID, req.Title)
	if err != nil {
		return nil, s.mediaError(err)
	}
	return &protocol.LiveRecordPublishReply{VideoID: id}, nil
}

// handleLiveRecordDelete serves POST /live/record/delete.
func (s *Server) handleLiveRecordDelete(c *api.Call, req *protocol.LiveRecordRef) (*protocol.HeadReply, error) {
	return nil, s.deps.Records.Delete(c.Context(), recordCaller(c), req.ID)
}

// recordPath is where recordings are served, behind a signature.
const recordPath = "/live/record/file/"

// recordName is the last part of a recording's address, which is signed.
func recordName(r store.Recording) string {
	return "record-" + strconv.FormatInt(r.ID, 10) + "." + r.Format
}

var recordTypes = map[string]string{"mp4": "video/mp4", "flv": "video/x-flv"}

// recordPolicy keeps a file from doing anything on our origin, and lets a browser show
// it that opens its address.
const recordPolicy = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox"

// serveRecord answers the file of a recording, with ranges. One that is being written
// is answered as far as it is.
func (s *Server) serveRecord(w http.ResponseWriter, r *http.Request) {
	f, row, err := s.openRecord(r)
	if err != nil {
		if protocol.CodeOf(err) != protocol.CodeUnknown && r.Context().Err() == nil {
			s.log.Error("recording not served", "path", r.URL.Path, "err", err)
		}
		s.notFound(w, r)
		return
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		s.log.Error("recording not served", "path", r.URL.Path, "err", err)
		s.notFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", recordTypes[row.Format])
	h.Set("Content-Disposition", `inline; filename="`+row.Name()+`"`)
	h.Set("Content-Security-Policy", recordPolicy)
	h.Set("Cache-Control", blob.CachePrivate)
	if row.State == store.RecordingRuns {
		h.Set("Cache-Control", "no-store")
	}
	http.ServeContent(w, r, "", info.ModTime(), f)
}

var errNoRecord = protocol.Errorf(protocol.CodeUnknown, "noSuchRecording")

// openRecord opens the file that an address names, if its signature is good.
func (s *Server) openRecord(r *http.Request) (*os.File, store.Recording, error) {
	sign, name, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, recordPath), "/")
	if !ok || s.deps.Signer == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, store.Recording{}, errNoRecord
	}
	viewer, ok := s.deps.Signer.Verify(sign, name)
	digits, found := strings.CutPrefix(name, "record-")
	digits, _, dot := strings.Cut(digits, ".")
	id, err := strconv.ParseInt(digits, 10, 64)
	if !ok || !found || !dot || err != nil {
		return nil, store.Recording{}, errNoRecord
	}
	f, row, err := s.deps.Records.Open(r.Context(), viewer, id)
	if err == nil && recordName(row) != name {
		err = errors.Join(errNoRecord, f.Close())
	}
	return f, row, err
}
