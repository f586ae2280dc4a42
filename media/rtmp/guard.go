package rtmp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	gortmp "github.com/yutopp/go-rtmp"
	rtmpmessage "github.com/yutopp/go-rtmp/message"
)

const (
	// handshakeBytes are C0, C1 and C2, or S0, S1 and S2 (5.2).
	handshakeBytes = 1 + 1536 + 1536
	version        = 3
	// maxCommands bounds the commands before publish or play; clients need 3 to 6.
	maxCommands = 64
	// maxStreams bounds the message streams of a connection.
	maxStreams = 8
)

// library runs go-rtmp's server on connections that are handed to it.
type library struct {
	srv    *gortmp.Server
	conns  chan net.Conn
	closed chan struct{}
	ended  chan struct{}
}

func newLibrary() *library {
	log := logrus.New()
	log.Out, log.Level = io.Discard, logrus.PanicLevel
	l := &library{conns: make(chan net.Conn), closed: make(chan struct{}), ended: make(chan struct{})}
	l.srv = gortmp.NewServer(&gortmp.ServerConfig{OnConnect: func(c net.Conn) (io.ReadWriteCloser, *gortmp.ConnConfig) {
		g := c.(handed).guard //nolint:forcetypeassert // Accept has no other
		return g, &gortmp.ConnConfig{
			Handler: g, Logger: log,
			SkipHandshakeVerification: true, // encoders with Adobe's digest do not echo
			ControlState: gortmp.StreamControlStateConfig{
				MaxChunkStreams: 8, MaxMessageStreams: maxStreams + 1,
				DefaultAckWindowSize: ourWindow, DefaultBandwidthWindowSize: ourWindow,
			},
		}
	}})
	go func() {
		defer close(l.ended)
		_ = l.srv.Serve(l) // ends with close
	}()
	return l
}

// handed is a connection on its way through go-rtmp's listener.
type handed struct {
	net.Conn
	guard *guard
}

// Accept, Close and Addr make library the listener of its server.
func (l *library) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *library) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *library) Addr() net.Addr { return nil }

// serve has the library serve a connection until it publishes, plays or fails.
func (l *library) serve(g *guard) {
	l.conns <- handed{guard: g}
	<-g.closed
}

// close ends the library's server; nothing must be served any more.
func (l *library) close() {
	_ = l.srv.Close() // answers what Close answers
	<-l.ended
}

// What a connection is for.
type role int

const (
	noRole role = iota
	publisher
	player
)

// guard stands between a connection and go-rtmp. What comes in is read as whole
// messages, of which the library sees a few commands in our own words; what it
// writes is read as messages, too, so that we have the last word.
//
// The library reads and handles in one goroutine and writes in another, after what
// it handled.
type guard struct {
	gortmp.DefaultHandler
	l       *link
	app     string
	dialog  time.Duration
	closed  chan struct{}
	closing sync.Once

	// Of the goroutine that reads.
	awaited  int    // bytes of the handshake
	out      []byte // what the library reads next
	commands int
	created  uint32 // message streams
	over     bool   // publish or play was handed over
	err      error  // why it ends otherwise

	// What came of it, valid when closed.
	role      role
	stream    uint32
	named     string
	gotApp    string
	appParams string

	refused bool // connect; read by the goroutine that writes after it was answered

	// Of the goroutine that writes.
	greeting  []byte // part of the handshake that was not sent yet
	greeted   int
	written   bytes.Buffer
	writes    *chunkReader
	announced bool
}

func newGuard(l *link, app string, dialog time.Duration) *guard {
	g := &guard{l: l, app: app, dialog: dialog, closed: make(chan struct{}), awaited: handshakeBytes}
	g.writes = newChunkReader(bufio.NewReaderSize(&g.written, 256), maxCommand)
	return g
}

// Close is called by the library, last of all. The connection stays open.
func (g *guard) Close() error {
	g.closing.Do(func() { close(g.closed) })
	return nil
}

// Read is called by the library.
func (g *guard) Read(p []byte) (n int, err error) {
	defer func() {
		if recovered(&err); g.err == nil && !g.over {
			g.err = err
		}
	}()
	if g.awaited > 0 {
		return g.readHandshake(p)
	}
	for len(g.out) == 0 {
		if g.over {
			return 0, io.EOF // it is done
		}
		m, err := g.l.next()
		if err == nil {
			err = g.take(m)
		}
		if err != nil {
			return 0, err
		}
	}
	n = copy(p, g.out)
	g.out = g.out[n:]
	return n, nil
}

// recovered makes a panic an error: the library catches some of them only.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}

func (g *guard) readHandshake(p []byte) (int, error) {
	if err := g.greet(); err != nil {
		return 0, err
	}
	n, err := g.l.in.r.Read(p[:min(len(p), g.awaited)])
	if err == nil && g.awaited == handshakeBytes && p[0] != version {
		err = errVersion
	}
	if g.awaited -= n; g.awaited == 0 {
		g.l.until(time.Now().Add(g.dialog))
	}
	return n, err
}

// greet sends what waits of the handshake: the library writes it in pieces.
func (g *guard) greet() error {
	if len(g.greeting) == 0 {
		return nil
	}
	b := g.greeting
	g.greeting = nil
	return g.l.write(b)
}

// take looks at a message of the client and lets the library have it, or answers it.
// Sound and pictures before publish are left out.
func (g *guard) take(m message) error {
	if m.kind != typeCommand {
		return nil
	}
	if g.commands++; g.commands > maxCommands {
		return fmt.Errorf("%w: more than %d commands", errProtocol, maxCommands)
	}
	c, err := parseCommand(m)
	if err != nil {
		return err
	}
	switch c.name {
	case "connect":
		o, _ := c.arg(0).(object)
		app, params, _ := strings.Cut(o.str("app"), "?")
		g.gotApp, g.appParams = strings.Trim(app, "/"), params
		g.hand(0, "connect", c.id, object{{"app", g.gotApp}})
	case "createStream":
		g.created++
		g.hand(0, "createStream", c.id, nil)
	case "publish":
		g.over = true
		g.hand(m.stream, "publish", c.id, nil, c.str(1), "live")
	case "play":
		g.over = true
		g.hand(m.stream, "play", c.id, nil, c.str(1))
	default:
		return c.answer(g.l)
	}
	return nil
}

// hand gives the library a command.
func (g *guard) hand(stream uint32, values ...any) {
	g.out = appendMessage(g.out[:0], chunkCommand, message{typeCommand, stream, 0, appendAMF(nil, values...)}, startChunk)
}

// OnConnect is called by the library, as are the next two.
func (g *guard) OnConnect(_ uint32, _ *rtmpmessage.NetConnectionConnect) error {
	if g.gotApp != g.app && !strings.HasPrefix(g.gotApp, g.app+"/") {
		g.refused, g.err = true, fmt.Errorf("%w %.40q", errApp, g.gotApp)
		return g.err
	}
	return nil
}

// OnPublish notes who publishes; the rest of the work begins when the library is done.
func (g *guard) OnPublish(ctx *gortmp.StreamContext, _ uint32, cmd *rtmpmessage.NetStreamPublish) error {
	g.role, g.stream, g.named = publisher, ctx.StreamID, cmd.PublishingName
	return nil
}

// OnPlay notes who plays.
func (g *guard) OnPlay(ctx *gortmp.StreamContext, _ uint32, cmd *rtmpmessage.NetStreamPlay) error {
	g.role, g.stream, g.named = player, ctx.StreamID, cmd.StreamName
	return nil
}

// Write is called by the library, with a part of the handshake or with one chunk.
func (g *guard) Write(p []byte) (n int, err error) {
	defer recovered(&err)
	if g.greeted < handshakeBytes {
		g.greeting = append(g.greeting, p...)
		if g.greeted += len(p); g.greeted == handshakeBytes {
			return len(p), g.greet()
		}
		return len(p), nil
	}
	g.written.Write(p)
	for g.written.Len() > 0 || g.writes.r.Buffered() > 0 {
		m, ok, err := g.writes.chunk()
		if err == nil && ok {
			err = g.say(m)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// say sends a message of the library to the client: not its acknowledgements, which
// count something else, and not its answers to publish and play, which are ours.
func (g *guard) say(m message) error {
	var b []byte
	if !g.announced {
		g.announced = true
		size := binary.BigEndian.AppendUint32(nil, ourChunk)
		b = appendMessage(nil, chunkControl, message{kind: typeSetChunkSize, body: size}, ourChunk)
	}
	id := byte(chunkControl)
	switch m.kind {
	case typeAck:
		return nil
	case typeCommand:
		id = chunkCommand
		c, err := parseCommand(m)
		if err != nil {
			return err
		}
		if c.name == "onStatus" {
			return nil
		}
		if c.name == "_error" && g.refused {
			return g.l.write(appendCommand(b, 0, "_error", 1, nil,
				object{{"level", levelError}, {"code", "NetConnection.Connect.Rejected"}, {"description", "there is no such app"}}))
		}
	}
	return g.l.write(appendMessage(b, id, m, ourChunk))
}

// command is a command of a peer.
type command struct {
	name   string
	id     float64 // of its transaction
	args   []any   // the first one is the command object, mostly null
	stream uint32
}

func parseCommand(m message) (command, error) {
	values, err := decodeAMF(m.body)
	if err != nil {
		return command{}, err
	}
	c := command{stream: m.stream}
	for i, v := range values {
		switch i {
		case 0:
			c.name, _ = v.(string)
		case 1:
			c.id, _ = v.(float64)
		default:
			c.args = values[2:]
		}
	}
	return c, nil
}

// arg is an argument, nil if there is none.
func (c command) arg(i int) any {
	if i < len(c.args) {
		return c.args[i]
	}
	return nil
}

func (c command) str(i int) string {
	s, _ := c.arg(i).(string)
	return s
}

// answer answers commands that encoders and players of Adobe's time wait for.
func (c command) answer(l *link) error {
	result := func(values ...any) error { return l.command(0, append([]any{"_result", c.id, nil}, values...)...) }
	notice := func(name, code string) error {
		if err := l.command(0, name, 0, nil, object{{"code", code}, {"description", c.str(1)}}); err != nil {
			return err
		}
		return result(nil)
	}
	switch c.name {
	case "releaseStream", "_checkbw":
		return result(nil)
	case "getStreamLength":
		return result(0)
	case "FCPublish":
		return notice("onFCPublish", "NetStream.Publish.Start")
	case "FCUnpublish":
		return notice("onFCUnpublish", "NetStream.Unpublish.Success")
	case "FCSubscribe":
		return notice("onFCSubscribe", "NetStream.Play.Start")
	}
	return nil
}
