// Package apptest has the chat clients that tests use. App is a port of the
// Android app's reader with all its faults (wire.md 7.4, 7.5), Client an exact
// client for everything else. Both are for tests only and trust nothing they
// are sent.
//
// Each client owns one reader goroutine, App also a heartbeat; Close ends both.
package apptest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"gtiv/protocol"
)

// Kind is what went wrong in an App.
type Kind string

// What an App can suffer.
const (
	// Lost: data stood behind an op 3 or 8 in one read and was thrown away.
	Lost Kind = "lost"
	// Exception: the reader met bytes that it cannot parse; the app reconnects.
	Exception Kind = "exception"
	// Spin: the server closed gracefully; the app loops and never comes back.
	Spin Kind = "spin"
	// Reset: the server reset the connection, as it should.
	Reset Kind = "reset"
)

// Error is one thing that happened to an App.
type Error struct {
	Kind Kind
	Text string
	At   time.Time
}

func (e Error) Error() string { return string(e.Kind) + ": " + e.Text }

// Message is one push as the app understood it.
type Message struct {
	Op          protocol.Op
	ChatType    int
	MsgType     int
	RoomID      string
	FromUser    string
	ToUsers     string
	Content     string
	ServerMsgID string
	Time        int64
	Body        string
	At          time.Time // when it was read
}

// Read is one successful read() of the app.
type Read struct {
	At    time.Time
	Bytes int
	Ops   []protocol.Op // of every frame in it
}

// AppConfig says who the app is. User, with which it drops its own messages,
// and Token are needed; the rest may be zero.
type AppConfig struct {
	Token string
	User  int64
	// Heartbeat is 30 s unless set; negative: none (the lock of wire.md 7.4).
	Heartbeat time.Duration
	// Reconnect dials again after an exception or a reset, 8 s later unless
	// ReconnectAfter is set. After a graceful close it never does.
	Reconnect      bool
	ReconnectAfter time.Duration
	// Stop makes the reader pause: it is called before each read.
	Stop func()
}

// App is the Android app's long connection.
type App struct {
	cfg  AppConfig
	addr string
	done chan struct{}
	work sync.WaitGroup

	mu       sync.Mutex
	changed  chan struct{}
	conn     net.Conn
	logins   int // op 8 frames read
	beats    int // op 3 frames read
	messages []Message
	errs     []Error
	reads    []Read
	closed   bool
}

// DialApp connects and sends op 7. It does not wait for op 8; see WaitLogin.
func DialApp(addr string, cfg AppConfig) (*App, error) {
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 30 * time.Second
	}
	if cfg.ReconnectAfter == 0 {
		cfg.ReconnectAfter = 8 * time.Second
	}
	a := &App{cfg: cfg, addr: addr, done: make(chan struct{}), changed: make(chan struct{})}
	c, err := a.dial()
	if err != nil {
		return nil, err
	}
	a.work.Go(func() { a.live(c) })
	return a, nil
}

func (a *App) dial() (net.Conn, error) {
	c, err := net.Dial("tcp", a.addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	auth, _ := json.Marshal(map[string]string{"userToken": a.cfg.Token, "platform": "android"}) // strings marshal
	if _, err := c.Write(protocol.AppendFrame(nil, protocol.OpAuth, 1, auth)); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("send auth: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	a.conn = c
	return c, nil
}

// live reads until the app is closed, and comes back after errors if asked to.
func (a *App) live(c net.Conn) {
	for {
		again := a.read(c)
		_ = c.Close()
		if !again || !a.cfg.Reconnect {
			return
		}
		for {
			if !a.pause(a.cfg.ReconnectAfter) {
				return
			}
			var err error
			if c, err = a.dial(); err == nil {
				break
			}
		}
	}
}

func (a *App) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-a.done:
		return false
	}
}

// read is the reader thread: one read() at a time, nothing kept in between. It
// reports whether the app would reconnect.
func (a *App) read(c net.Conn) bool {
	for {
		if a.cfg.Stop != nil {
			a.cfg.Stop()
		}
		var buf [4096]byte
		n, err := c.Read(buf[:])
		if err != nil {
			return a.failed(err)
		}
		if err := a.take(c, &buf, n); err != nil {
			a.fail(Exception, err.Error())
			return true
		}
	}
}

func (a *App) failed(err error) bool {
	select {
	case <-a.done:
		return false
	default:
	}
	switch {
	case errors.Is(err, io.EOF):
		a.fail(Spin, "read returned -1")
		return false
	case errors.Is(err, syscall.ECONNRESET):
		a.fail(Reset, err.Error())
	default:
		a.fail(Exception, err.Error())
	}
	return true
}

func (a *App) fail(k Kind, text string) {
	a.update(func() { a.errs = append(a.errs, Error{Kind: k, Text: text, At: time.Now()}) })
}

// update changes the state and wakes who waits for it.
func (a *App) update(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	close(a.changed)
	a.changed = make(chan struct{})
}

// take is what the app does with one buffer.
func (a *App) take(c net.Conn, buf *[4096]byte, n int) error {
	op := protocol.Op(binary.BigEndian.Uint32(buf[8:]))
	r := Read{At: time.Now(), Bytes: n, Ops: opsIn(buf[:n])}
	a.update(func() { a.reads = append(a.reads, r) })
	if op == protocol.OpHeartbeatReply || op == protocol.OpAuthReply {
		a.control(c, op)
		if first := int(binary.BigEndian.Uint32(buf[:])); n > first {
			a.fail(Lost, fmt.Sprintf("%d bytes behind op %d", n-first, op))
		}
		return nil
	}
	at := 0
	for at < len(buf) {
		if at+4 > len(buf) {
			return errors.New("read length behind the buffer")
		}
		size := int(int32(binary.BigEndian.Uint32(buf[at:])))
		if size == 0 {
			return nil
		}
		if size < protocol.HeaderBytes || at+size > len(buf) {
			return fmt.Errorf("frame of %d bytes at %d", size, at)
		}
		frame := buf[at : at+size]
		if err := a.parse(protocol.Op(binary.BigEndian.Uint32(frame[8:])), frame[protocol.HeaderBytes:]); err != nil {
			return err
		}
		at += size
	}
	return nil
}

func opsIn(b []byte) []protocol.Op {
	var ops []protocol.Op
	for len(b) >= protocol.HeaderBytes {
		ops = append(ops, protocol.Op(binary.BigEndian.Uint32(b[8:])))
		size := int(binary.BigEndian.Uint32(b))
		if size < protocol.HeaderBytes || size > len(b) {
			break
		}
		b = b[size:]
	}
	return ops
}

// control counts op 3 and 8. Every op 8 starts one more heartbeat thread, and
// old ones never stop.
func (a *App) control(c net.Conn, op protocol.Op) {
	a.update(func() {
		if op == protocol.OpHeartbeatReply {
			a.beats++
			return
		}
		a.logins++
	})
	if op == protocol.OpAuthReply && a.cfg.Heartbeat > 0 {
		a.work.Go(a.beat)
	}
}

// beat is one heartbeat thread. It writes to whatever connection there is.
func (a *App) beat() {
	for a.pause(a.cfg.Heartbeat) {
		_ = a.Heartbeat() // a broken connection is the reader's business
	}
}

// Heartbeat sends an op 2 now.
func (a *App) Heartbeat() error {
	return a.Write(protocol.OpHeartbeat, fmt.Appendf(nil, "%d_", a.cfg.User))
}

// Write sends any frame, also ones that the real app never sends.
func (a *App) Write(op protocol.Op, body []byte) error {
	a.mu.Lock()
	c := a.conn
	a.mu.Unlock()
	_, err := c.Write(protocol.AppendFrame(nil, op, 1, body))
	return err
}

// parse is the app's JSON parser: every field of wire.md 8.1 must be there and
// not null.
func (a *App) parse(op protocol.Op, body []byte) error {
	text := strings.TrimFunc(string(body), func(r rune) bool { return r <= ' ' })
	var o map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&o); err != nil || o == nil {
		return fmt.Errorf("op %d: not a JSON object: %.60q", op, text)
	}
	m := Message{Op: op, Body: text, At: time.Now()}
	f := fields{o: o}
	m.ChatType, m.MsgType = int(f.number("ChatType")), int(f.number("MsgType"))
	m.FromUser, m.Time = fmt.Sprint(f.number("FromUser")), f.number("Time")
	m.ToUsers, m.Content, m.ServerMsgID = f.text("ToUsers"), f.text("Content"), f.text("ServerMsgId")
	if op != protocol.OpPrivate {
		m.RoomID = fmt.Sprint(f.number("RoomId"))
	}
	if f.err != nil {
		return fmt.Errorf("op %d: %w in %.60q", op, f.err, text)
	}
	if m.FromUser == fmt.Sprint(a.cfg.User) {
		return nil // dropped completely (wire.md 8.1)
	}
	a.update(func() { a.messages = append(a.messages, m) })
	return nil
}

// fields reads mandatory fields and keeps the first error.
type fields struct {
	o   map[string]any
	err error
}

func (f *fields) fail(name string, v any) {
	if f.err == nil {
		f.err = fmt.Errorf("field %s is %v", name, v)
	}
}

func (f *fields) text(name string) string {
	s, ok := f.o[name].(string)
	if !ok {
		f.fail(name, f.o[name])
	}
	return s
}

// number takes a number or a string of digits.
func (f *fields) number(name string) int64 {
	var n json.Number
	switch v := f.o[name].(type) {
	case json.Number:
		n = v
	case string:
		n = json.Number(v)
	}
	i, err := n.Int64()
	if err != nil {
		f.fail(name, f.o[name])
	}
	return i
}

// Messages is what has been understood so far.
func (a *App) Messages() []Message {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Message(nil), a.messages...)
}

// Errors is what has gone wrong so far.
func (a *App) Errors() []Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Error(nil), a.errs...)
}

// Reads lists every read() so far.
func (a *App) Reads() []Read {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Read(nil), a.reads...)
}

// Logins and Beats count the op 8 and op 3 frames at the start of a read.
func (a *App) Logins() int { a.mu.Lock(); defer a.mu.Unlock(); return a.logins }

// Beats counts the op 3 frames that came.
func (a *App) Beats() int { a.mu.Lock(); defer a.mu.Unlock(); return a.beats }

// Wait waits until ok, which is asked after everything that happens, and
// reports whether it came true in time.
func (a *App) Wait(limit time.Duration, ok func(a *App) bool) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	for {
		a.mu.Lock()
		c := a.changed
		a.mu.Unlock()
		if ok(a) {
			return true
		}
		select {
		case <-c:
		case <-t.C:
			return ok(a)
		}
	}
}

// WaitMessages waits for n messages.
func (a *App) WaitMessages(n int, limit time.Duration) bool {
	return a.Wait(limit, func(a *App) bool { return len(a.Messages()) >= n })
}

// WaitLogin waits for op 8.
func (a *App) WaitLogin(limit time.Duration) bool {
	return a.Wait(limit, func(a *App) bool { return a.Logins() > 0 })
}

// WaitError waits for an error of this kind.
func (a *App) WaitError(k Kind, limit time.Duration) bool {
	return a.Wait(limit, func(a *App) bool {
		for _, e := range a.Errors() {
			if e.Kind == k {
				return true
			}
		}
		return false
	})
}

// Close ends the app and waits for its goroutines.
func (a *App) Close() {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.done)
		_ = a.conn.Close()
	}
	a.mu.Unlock()
	a.work.Wait()
}
