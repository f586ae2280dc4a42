package tus

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
)

// roomEvery is how much is written between two looks at the free space.
const roomEvery = 4 << 20

// roomy asks before every piece of a body whether there is room for it: many may be
// writing at once, and what was free when a request began may be taken.
type roomy struct {
	r    io.Reader
	room func(size int64) error
	left int64 // until the next look
}

func (r *roomy) Read(p []byte) (int, error) {
	if r.left <= 0 {
		if err := r.room(roomEvery); err != nil {
			return 0, err
		}
		r.left = roomEvery
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}

// promisedFor is how long room is kept for an upload to which nothing comes: who
// announces much and sends nothing must not keep others out.
const promisedFor = time.Hour

// promises knows the sizes of the uploads that are under way, so that no more of
// them begin than there is room for.
type promises struct {
	mu   sync.Mutex
	size map[string]promise // by id
}

type promise struct {
	size int64
	at   time.Time
}

// begin notes an upload if room says that it and what is still to come of the
// others fit.
func (p *promises) begin(s *Server, id string, size int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	total := size
	for other, o := range p.size {
		i, err := os.Lstat(s.file(other, ""))
		switch {
		case err != nil && now.Sub(o.at) > time.Minute: // finished, or never made
			delete(p.size, other)
		case err != nil:
			total += o.size
		case now.Sub(i.ModTime()) < promisedFor:
			total += max(0, o.size-i.Size())
		}
	}
	if err := s.deps.Room(total); err != nil {
		return err
	}
	p.size[id] = promise{size, now}
	return nil
}

// load remembers the uploads of an earlier run.
func (p *promises) load(s *Server) error {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), infoEnd)
		if !ok {
			continue
		}
		if _, err := os.Lstat(s.file(id, "")); err != nil {
			continue // handed over
		}
		var info handler.FileInfo
		if b, err := os.ReadFile(s.file(id, infoEnd)); err == nil && json.Unmarshal(b, &info) == nil {
			p.size[id] = promise{size: info.Size}
		}
	}
	return nil
}
