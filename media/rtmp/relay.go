package rtmp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/yutopp/go-rtmp/handshake"

	"gtiv/media"
)

const (
	plainPort, tlsPort = "1935", "443"
	// dialogTime bounds the dialogue up to publish or play with another server.
	dialogTime = 15 * time.Second
)

// ErrRemote means that another server refused; its words are in the error.
var ErrRemote = errors.New("the other server refused")

// Relay talks to other servers. The zero value of all but Dial will do.
type Relay struct {
	// Dial opens connections; it decides which addresses may be reached.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is for rtmps addresses.
	TLS *tls.Config
	// Session, if it is not nil, counts bytes.
	Session *media.Session
	// Silence is after how long without a byte a server that is pulled from counts as
	// gone; 10 s.
	Silence time.Duration
}

// Push sends a stream to another server until the stream, ctx or the connection ends;
// the error says which. The address is rtmp://HOST[:PORT]/APP/NAME, or rtmps.
func (r *Relay) Push(ctx context.Context, address string, s *media.Stream) error {
	c, err := r.open(ctx, address)
	if err != nil {
		return err
	}
	defer c.link.Close() //nolint:errcheck // its end
	stop := context.AfterFunc(ctx, func() { _ = c.link.Close() })
	defer stop()
	if err := c.publish(); err != nil {
		return c.ended(ctx, "publish", err)
	}
	c.wait(0)
	c.bound()
	ctx, cancel := context.WithCancelCause(ctx)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		cancel(c.drainServer())
	}()
	err = sender{c.link, c.stream, true}.copy(ctx, s)
	if errors.Is(err, media.ErrEnded) {
		_ = c.command(0, "FCUnpublish", 0, nil, c.name) // it ends anyhow
		_ = c.command(0, "deleteStream", 0, nil, float64(c.stream))
	}
	c.part()
	<-drained
	return err
}

// Pull publishes a stream of another server in a room until either ends; the error
// says why. Nothing is on air before something came.
func (r *Relay) Pull(ctx context.Context, address string, hub *media.Hub, room string) error {
	c, err := r.open(ctx, address)
	if err != nil {
		return err
	}
	defer c.link.Close() //nolint:errcheck // its end
	stop := context.AfterFunc(ctx, func() { _ = c.link.Close() })
	defer stop()
	first, err := c.play()
	if err != nil {
		return c.ended(ctx, "play", err)
	}
	pub, ctx := hub.Publish(ctx, room)
	defer pub.Close()
	defer context.AfterFunc(ctx, func() { _ = c.link.Close() })()
	c.upgrade()
	if c.wait(r.Silence); r.Silence == 0 {
		c.wait(10 * time.Second)
	}
	if err = push(pub, first); err == nil {
		err = c.receiveServer(pub)
	}
	return c.ended(ctx, "pull", err)
}

// client is a connection to another server.
type client struct {
	*link
	app, name, address string
	stream             uint32
}

// ended is the error of what was done, or why ctx ended.
func (c *client) ended(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// parseAddress takes an address apart: the app is what is in front of the last slash.
// CheckAddress says what is wrong with the address of another server; it never
// repeats the address, which may hold a key.
func CheckAddress(address string) error {
	_, _, _, _, err := parseAddress(address)
	return err
}

func parseAddress(address string) (u *url.URL, host, app, name string, err error) {
	u, err = url.Parse(address)
	if err != nil {
		return nil, "", "", "", errors.New("malformed address") // the error would tell a key
	}
	port := plainPort
	switch u.Scheme {
	case "rtmp":
	case "rtmps":
		port = tlsPort
	default:
		return nil, "", "", "", fmt.Errorf("address of scheme %q", u.Scheme)
	}
	if p := u.Port(); p != "" {
		port = p
	}
	i := strings.LastIndex(u.Path, "/")
	if i < 1 || u.Hostname() == "" || i == len(u.Path)-1 {
		return nil, "", "", "", errors.New("address without host, app or name")
	}
	app, name = strings.Trim(u.Path[:i], "/"), u.Path[i+1:]
	if u.RawQuery != "" {
		name += "?" + u.RawQuery
	}
	return u, net.JoinHostPort(u.Hostname(), port), app, name, nil
}

// open connects to a server, up to the answer to "connect".
func (r *Relay) open(ctx context.Context, address string) (*client, error) {
	u, host, app, name, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	dialCtx, cancel := context.WithTimeout(ctx, dialogTime)
	defer cancel()
	conn, err := r.Dial(dialCtx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if u.Scheme == "rtmps" {
		cfg := &tls.Config{MinVersion: tls.VersionTLS12}
		if r.TLS != nil {
			cfg = r.TLS.Clone()
		}
		if cfg.ServerName == "" {
			cfg.ServerName = u.Hostname()
		}
		conn = tls.Client(conn, cfg)
	}
	counted := r.Session
	if counted == nil {
		counted = &media.Session{}
	}
	c := &client{link: newLink(conn, counted, maxEarly), app: app, name: name, address: u.Scheme + "://" + u.Host + "/" + app}
	c.until(time.Now().Add(dialogTime))
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := c.connect(); err != nil {
		_ = conn.Close()
		return nil, c.ended(ctx, "connect", err)
	}
	return c, nil
}

// greeter gathers what the handshake writes until it reads.
type greeter struct {
	*link
	waits bytes.Buffer
}

func (g *greeter) Write(p []byte) (int, error) { return g.waits.Write(p) }

func (g *greeter) flush() error {
	defer g.waits.Reset()
	if g.waits.Len() == 0 {
		return nil
	}
	return g.write(g.waits.Bytes())
}

func (g *greeter) Read(p []byte) (int, error) {
	if err := g.flush(); err != nil {
		return 0, err
	}
	return g.in.r.Read(p)
}

// connect does the handshake and "connect".
func (c *client) connect() error {
	g := &greeter{link: c.link}
	if err := handshake.HandshakeWithServer(g, g, &handshake.Config{SkipHandshakeVerification: true}); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if err := g.flush(); err != nil {
		return err
	}
	if err := c.control(typeSetChunkSize, ourChunk); err != nil {
		return err
	}
	_, err := c.ask("connect", 1, object{
		{"app", c.app}, {"type", "nonprivate"}, {"flashVer", "FMLE/3.0 (compatible; gtiv)"}, {"tcUrl", c.address},
	})
	return err
}

// ask sends a command and waits for its result.
func (c *client) ask(name string, id int, args ...any) (command, error) {
	if err := c.command(0, append([]any{name, id}, args...)...); err != nil {
		return command{}, err
	}
	for {
		r, _, err := c.hear()
		if err != nil {
			return r, err
		}
		if r.id != float64(id) {
			continue
		}
		switch r.name {
		case "_result":
			return r, nil
		case "_error":
			return r, remote(name, r)
		}
	}
}

// hear waits for the next command of the server, or for sound or pictures.
func (c *client) hear() (command, message, error) {
	for {
		m, err := c.next()
		if err != nil {
			return command{}, m, err
		}
		switch m.kind {
		case typeAudio, typeVideo, typeData:
			return command{}, m, nil
		case typeCommand:
			r, err := parseCommand(m)
			return r, m, err
		}
	}
}

// remote is the error of an answer that is none of success.
func remote(what string, r command) error {
	o, _ := r.arg(1).(object)
	return fmt.Errorf("%w %s: %.200q %.200q", ErrRemote, what, o.str("code"), o.str("description"))
}

// create has the server make a message stream.
func (c *client) create(id int) error {
	r, err := c.ask("createStream", id, nil)
	if err != nil {
		return err
	}
	n, ok := r.arg(1).(float64)
	if !ok || n < 1 || n > 1<<24 {
		return fmt.Errorf("%w: no message stream", errProtocol)
	}
	c.stream = uint32(n)
	return nil
}

// publish asks for the right to send.
func (c *client) publish() error {
	// Some servers want these two, some do not know them: nobody waits for an answer.
	if err := c.command(0, "releaseStream", 2, nil, c.name); err != nil {
		return err
	}
	if err := c.command(0, "FCPublish", 3, nil, c.name); err != nil {
		return err
	}
	if err := c.create(4); err != nil {
		return err
	}
	if err := c.command(c.stream, "publish", 5, nil, c.name, "live"); err != nil {
		return err
	}
	for {
		r, _, err := c.hear()
		if err != nil {
			return err
		}
		if r.name != "onStatus" {
			continue
		}
		if o, _ := r.arg(1).(object); o.str("code") == "NetStream.Publish.Start" {
			return nil
		}
		return remote("publish", r)
	}
}

// play asks for a stream and waits for the first of it.
func (c *client) play() (message, error) {
	if err := c.create(2); err != nil {
		return message{}, err
	}
	if err := c.command(c.stream, "play", 3, nil, c.name, -2); err != nil {
		return message{}, err
	}
	c.in.media = maxMedia
	for {
		r, m, err := c.hear()
		if err != nil {
			return m, err
		}
		switch {
		case m.kind == typeAudio, m.kind == typeVideo, m.kind == typeData && metadata(m.body) != nil:
			return m, nil
		case over(r):
			return m, remote("play", r)
		}
	}
}

// over says whether a command tells that there is nothing (more) to come.
func over(c command) bool {
	if c.name != "onStatus" {
		return false
	}
	o, _ := c.arg(1).(object)
	switch o.str("code") {
	case "NetStream.Play.UnpublishNotify", "NetStream.Play.Stop", "NetStream.Play.Complete", "NetStream.Unpublish.Success":
		return true
	}
	return o.str("level") == levelError
}

// receiveServer publishes what comes until the server ends it.
func (c *client) receiveServer(pub *media.Publisher) error {
	for {
		r, m, err := c.hear()
		switch {
		case err != nil:
			return err
		case over(r):
			return media.ErrEnded
		}
		if err := push(pub, m); err != nil {
			return err
		}
	}
}

// drainServer reads what a server says while it is sent a stream, until it ends.
func (c *client) drainServer() error {
	for {
		r, _, err := c.hear()
		switch {
		case err != nil:
			return err
		case over(r):
			return remote("stream", r)
		}
	}
}
