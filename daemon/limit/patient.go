package limit

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// Pace is how fast the sender of a body must be.
type Pace struct {
	Idle time.Duration // nothing may come for so long
	Most time.Duration // all of it may take so long
	// Rate is how many bytes a second must come on average over each Window that was
	// spent waiting for them; 0: any.
	Rate   int64
	Window time.Duration // default 30 s
}

// Patient is the body of a request whose sender may take long, but not pause, nor
// trickle: it moves the read deadline of the connection along with what arrives.
type Patient struct {
	r         io.Reader
	w         http.ResponseWriter
	c         *http.ResponseController
	pace      Pace
	next, end time.Time
	waited    time.Duration // of this window
	came      int64         // in this window
	slow      bool
}

// NewPatient makes one of r, the body of the request that w answers.
func NewPatient(w http.ResponseWriter, r io.Reader, pace Pace) *Patient {
	if pace.Window <= 0 {
		pace.Window = 30 * time.Second
	}
	return &Patient{r: r, w: w, c: http.NewResponseController(w), pace: pace, end: time.Now().Add(pace.Most)}
}

// Read reads, and lets the sender have idle time again. os.ErrDeadlineExceeded
// means that it was too slow; the connection is of no use then.
func (p *Patient) Read(b []byte) (int, error) {
	if p.slow {
		return 0, os.ErrDeadlineExceeded
	}
	start := time.Now()
	if start.After(p.next) {
		p.next = start.Add(time.Second)
		deadline := start.Add(p.pace.Idle)
		if deadline.After(p.end) {
			deadline = p.end
		}
		if err := p.c.SetReadDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, err
		}
	}
	n, err := p.r.Read(b)
	now := time.Now()
	if err == nil && !p.keepsUp(n, now.Sub(start)) || errors.Is(err, os.ErrDeadlineExceeded) {
		// Neither we nor the server read what may still trickle in.
		p.slow = true
		p.w.Header().Set("Connection", "close")
		_ = p.c.SetReadDeadline(now)
		return n, os.ErrDeadlineExceeded
	}
	if err != nil {
		// What comes next takes its time: the server reads on in the background, and
		// would take a deadline for a client that hung up.
		_ = p.c.SetReadDeadline(time.Time{})
	}
	return n, err
}

// keepsUp counts n bytes that were waited for. Only the time in which the sender
// was waited for counts: what we do with a body may take longer.
func (p *Patient) keepsUp(n int, waited time.Duration) bool {
	p.came += int64(n)
	if p.waited += waited; p.pace.Rate <= 0 || p.waited < p.pace.Window {
		return true
	}
	ok := float64(p.came) >= float64(p.pace.Rate)*p.waited.Seconds()
	p.waited, p.came = 0, 0
	return ok
}
