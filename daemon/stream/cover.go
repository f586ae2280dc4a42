package stream

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	coverEvery = 10 * time.Second
	// coverRest is how much longer than making a cover the pause after it is: under
	// load there are fewer.
	coverRest = 4
)

// makeCovers takes a picture of each stream now and then, one after the other.
func (s *Server) makeCovers(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		for _, o := range s.onAir() {
			at := time.Now()
			s.makeCover(ctx, o)
			if !pause(ctx, coverRest*time.Since(at)) {
				return
			}
		}
		if !pause(ctx, max(coverEvery-time.Since(began), time.Second)) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) onAir() []*outputs {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*outputs, 0, len(s.outputs))
	for _, o := range s.outputs {
		list = append(list, o)
	}
	return list
}

func (s *Server) makeCover(ctx context.Context, o *outputs) {
	segment := o.ts.Newest()
	if segment == nil || s.deps.Still == nil {
		return
	}
	b, err := s.deps.Still(ctx, segment)
	if err != nil {
		s.log.Debug("no picture of a stream", "room", o.stream.Name, "err", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o.cover, o.coverAt = b, time.Now()
}

// Cover is the path below Path of a picture of a room's stream, "" for none. It
// changes with the picture: the app never asks for one again (wire.md 13).
func (s *Server) Cover(room string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outputs[room]
	if o == nil || o.cover == nil {
		return ""
	}
	return room + "/" + room + "-" + strconv.FormatInt(o.coverAt.Unix(), 10) + ".jpg"
}

// serveCover answers the picture of now.
func (s *Server) serveCover(w http.ResponseWriter, r *http.Request, token, room string) bool {
	o, _ := s.watch(r, token, room)
	if o == nil {
		return false
	}
	s.mu.Lock()
	b := o.cover
	s.mu.Unlock()
	if b == nil {
		return false
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Cache-Control", "max-age=60")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(b)))
	return true
}
