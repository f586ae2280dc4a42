package control

import (
	"context"
	"fmt"
	"strconv"

	"gtiv/daemon/record"
	"gtiv/protocol"
	"gtiv/store"
)

// records is what the handlers of recordings need of record.Service.
type records interface {
	AnySetting(ctx context.Context, room int64) (record.Setting, error)
	SetAny(ctx context.Context, room int64, mode string) (record.Setting, error)
	All(ctx context.Context, room, before int64, limit int) ([]store.Recording, error)
	Remove(ctx context.Context, id int64) (store.Recording, error)
}

func (s *Server) showLiveRecord(ctx context.Context, c *call) (any, error) {
	room, err := roomID(c.url.Query().Get("Room"))
	if err != nil {
		return nil, err
	}
	v, err := s.deps.Records.AnySetting(ctx, room)
	if err != nil {
		return nil, err
	}
	return protocol.LiveRecord{Room: v.Room, Record: v.Mode}, nil
}

func (s *Server) setLiveRecord(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.LiveRecord](c)
	if err == nil && req.Room <= 0 {
		err = badRequest("Room is missing")
	}
	if err != nil {
		return nil, err
	}
	v, err := s.deps.Records.SetAny(ctx, req.Room, req.Record)
	if err != nil {
		return nil, err
	}
	c.target, c.detail = fmt.Sprintf("live %d", v.Room), v.Mode
	return protocol.LiveRecord{Room: v.Room, Record: v.Mode}, nil
}

func (s *Server) listRecordings(ctx context.Context, c *call) (any, error) {
	q := c.url.Query()
	after, limit, err := page(q, "After")
	if err != nil {
		return nil, err
	}
	room := int64(0)
	if v := q.Get("Room"); v != "" {
		if room, err = roomID(v); err != nil {
			return nil, err
		}
	}
	found, err := s.deps.Records.All(ctx, room, after, limit)
	if err != nil {
		return nil, err
	}
	reply := protocol.RecordingList{List: []protocol.Recording{}}
	for _, r := range found {
		reply.List = append(reply.List, controlRecording(r))
	}
	if len(found) == limit {
		reply.Next = found[limit-1].ID
	}
	return reply, nil
}

func (s *Server) deleteRecording(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.RecordingRef](c)
	if err == nil && req.ID <= 0 {
		err = badRequest("ID is missing")
	}
	if err != nil {
		return nil, err
	}
	r, err := s.deps.Records.Remove(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	c.target, c.detail = "recording "+strconv.FormatInt(r.ID, 10)+" of user "+strconv.FormatInt(r.Owner, 10), r.Key()
	return controlRecording(r), nil
}

func controlRecording(r store.Recording) protocol.Recording {
	out := protocol.Recording{
		ID: r.ID, Room: r.Room, Owner: r.Owner, Title: r.Title, State: record.StateName(r.State), Format: r.Format, Began: atMs(r.Began),
		DurationMS: r.DurationMS, Bytes: r.Bytes, File: r.Key(), Video: r.Video,
	}
	if r.Reason != "" {
		out.Reason = protocol.Text(protocol.LanguageEnglish, r.Reason)
	}
	return out
}
