package limit

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// Patient is the body of a request whose sender may take long, but not pause: it
// moves the read deadline of the connection along with what arrives.
type Patient struct {
	r         io.Reader
	c         *http.ResponseController
	idle      time.Duration
	next, end time.Time
}

// NewPatient makes one of r, the body of the request that w answers. Nothing may
// come for idle, all of it may take most.
func NewPatient(w http.ResponseWriter, r io.Reader, idle, most time.Duration) *Patient {
	return &Patient{r: r, c: http.NewResponseController(w), idle: idle, end: time.Now().Add(most)}
}

// Read reads, and lets the sender have idle time again. os.ErrDeadlineExceeded
// means that it was too slow.
func (p *Patient) Read(b []byte) (int, error) {
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(time.Second)
		deadline := now.Add(p.idle)
		if deadline.After(p.end) {
			deadline = p.end
		}
		if err := p.c.SetReadDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, err
		}
	}
	n, err := p.r.Read(b)
	if err != nil {
		// What comes next takes its time: the server reads on in the background, and
		// would take a deadline for a client that hung up.
		_ = p.c.SetReadDeadline(time.Time{})
	}
	return n, err
}
