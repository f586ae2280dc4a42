package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"gtiv/protocol"
)

// readers are the connections of the receivers of private messages. Each has a
// goroutine from connectReaders to close.
type readers struct {
	list []*reader
	work sync.WaitGroup
}

// reader is one of them.
type reader struct {
	conn net.Conn

	mu  sync.Mutex
	ids map[string]int // ServerMsgId → how often it came
	lat hist
	err error // why it ended
}

func connectReaders(ctx context.Context, addr string, who []person) (*readers, error) {
	rs := &readers{}
	for _, p := range who {
		r, err := connectReader(ctx, addr, p.token)
		if err != nil {
			rs.close()
			return nil, err
		}
		rs.list = append(rs.list, r)
		rs.work.Go(r.read)
	}
	return rs, nil
}

func connectReader(ctx context.Context, addr, token string) (*reader, error) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]string{"userToken": token, "platform": "bench"})
	if err == nil {
		_, err = c.Write(protocol.AppendFrame(nil, protocol.OpAuth, 1, body))
	}
	var h protocol.Header
	if err == nil {
		h, _, err = readFrame(c)
	}
	if err == nil && h.Op != protocol.OpAuthReply {
		err = fmt.Errorf("op %d instead of 8", h.Op)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect receiver: %w", err), c.Close())
	}
	return &reader{conn: c, ids: map[string]int{}}, nil
}

func readFrame(r io.Reader) (protocol.Header, []byte, error) {
	var b [protocol.HeaderBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return protocol.Header{}, nil, err
	}
	h, err := protocol.ParseHeader(b[:])
	if err != nil {
		return h, nil, err
	}
	body := make([]byte, h.BodyLen)
	_, err = io.ReadFull(r, body)
	return h, body, err
}

// read notes every message until the connection ends.
func (r *reader) read() {
	for {
		h, body, err := readFrame(r.conn)
		now := time.Now().UnixNano()
		var m struct{ ServerMsgId, Content string } //nolint:revive // the wire's spelling
		if err == nil && h.Op == protocol.OpPrivate {
			err = json.Unmarshal(body, &m)
		}
		r.mu.Lock()
		if err != nil {
			r.err = err
			r.mu.Unlock()
			return
		}
		if m.ServerMsgId != "" {
			r.ids[m.ServerMsgId]++
			if len(m.Content) > 19 {
				at, _ := digits([]byte(m.Content[:19])) // 0 shows up as a huge delay
				r.lat.add(time.Duration(now - at))
			}
		}
		r.mu.Unlock()
	}
}

// check waits until everything has arrived, and fails when something is missing
// or came twice.
func (rs *readers) check(ctx context.Context, acked []string) (*hist, error) {
	end := time.Now().Add(15 * time.Second)
	for rs.total() < len(acked) && time.Now().Before(end) && ctx.Err() == nil {
		pause(ctx, 20*time.Millisecond)
	}
	pause(ctx, 300*time.Millisecond) // what comes now is one too many
	all, came := &hist{}, map[string]int{}
	var errs []error
	for _, r := range rs.list {
		r.mu.Lock()
		for id, n := range r.ids {
			came[id] += n
		}
		all.merge(&r.lat)
		errs = append(errs, r.err)
		r.mu.Unlock()
	}
	missing, doubled := 0, 0
	for _, id := range acked {
		switch n := came[id]; {
		case n == 0:
			missing++
		case n > 1:
			doubled++
		}
	}
	if missing > 0 || doubled > 0 {
		errs = append(errs, fmt.Errorf("of %d acknowledged messages %d were not delivered and %d more than once", len(acked), missing, doubled))
	}
	if len(came) > len(acked) {
		errs = append(errs, fmt.Errorf("%d messages were delivered that nobody sent", len(came)-len(acked)))
	}
	return all, errors.Join(errs...)
}

// total is how many messages have come.
func (rs *readers) total() int {
	n := 0
	for _, r := range rs.list {
		r.mu.Lock()
		n += len(r.ids)
		r.mu.Unlock()
	}
	return n
}

// close ends them all; a second call does nothing.
func (rs *readers) close() {
	for _, r := range rs.list {
		_ = r.conn.Close() //nolint:errcheck // nothing to do about it
	}
	rs.work.Wait()
}
