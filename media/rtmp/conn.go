package rtmp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"strings"
	"time"

	"gtiv/media"
)

// conn is a connection to the server. Its goroutine is that of run.
type conn struct {
	*link
	s    *Server
	sess *media.Session
	addr netip.Addr
}

// run serves the connection; the error says how it ended.
func (c *conn) run(ctx context.Context, lib *library) error {
	g := newGuard(c.link, c.s.cfg.App, c.s.cfg.Handshake)
	c.until(time.Now().Add(c.s.cfg.Handshake))
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	lib.serve(g)
	if !stop() {
		return context.Cause(ctx)
	}
	req := c.request(g)
	err := g.err
	switch {
	case g.role == publisher:
		err = c.publish(ctx, g.stream, req)
	case g.role == player:
		err = c.play(ctx, g.stream, req)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	case errors.Is(err, errApp):
		c.linger()
	case err == nil:
		if err = c.broken(); err == nil {
			err = errNoRole
		}
	}
	return err
}

// request is what the client wants. Some send a part of the name as one of the app.
func (c *conn) request(g *guard) Request {
	name, query, _ := strings.Cut(g.named, "?")
	if query == "" {
		query = g.appParams
	}
	name = path.Join(strings.TrimPrefix(g.gotApp, c.s.cfg.App), name)
	return Request{Addr: c.addr, App: c.s.cfg.App, Name: strings.Trim(name, "/"), Query: query}
}

// lookup asks whether it may be, and registers it.
func (c *conn) lookup(ctx context.Context, ask func(context.Context, Request) (string, int64, error), req Request) (remove func(), err error) {
	c.sess.Room, c.sess.User, err = ask(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	if remove, err = c.s.Open(c.sess); err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	return remove, nil
}

// publish takes a stream.
func (c *conn) publish(ctx context.Context, stream uint32, req Request) error {
	c.sess.Publish = true
	remove, err := c.lookup(ctx, c.s.Publish, req)
	if err != nil {
		_ = c.status(stream, levelError, "NetStream.Publish.BadName", "this may not be published")
		c.linger()
		return err
	}
	defer remove()
	if err := c.status(stream, levelStatus, "NetStream.Publish.Start", "on air"); err != nil {
		return err
	}
	pub, ctx := c.s.Hub.Publish(ctx, c.sess.Room)
	defer pub.Close()
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		// Who does not listen is cut off; who does gets the reason.
		_ = c.status(stream, levelStatus, "NetStream.Unpublish.Success", reason(ctx))
		c.leave()
	})
	c.upgrade()
	c.wait(c.s.cfg.Silence)
	err = c.receive(ctx, pub)
	if !stop() {
		<-told
		c.linger()
		return context.Cause(ctx)
	}
	switch {
	case err == nil:
		_ = c.status(stream, levelStatus, "NetStream.Unpublish.Success", "off air")
		c.linger()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	}
	return err
}

// reason is why ctx ended, in words for an encoder.
func reason(ctx context.Context) string {
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err.Error()
	}
	return "the server stops"
}

// receive publishes what comes until ctx ends or the peer ends it, which is no error.
func (l *link) receive(ctx context.Context, pub *media.Publisher) error {
	for {
		m, err := l.next()
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if m.kind != typeCommand {
			if err := push(pub, m); err != nil {
				return err
			}
			continue
		}
		c, err := parseCommand(m)
		if err != nil {
			return err
		}
		switch c.name {
		case "deleteStream", "closeStream":
			return nil
		}
		if err := c.answer(l); err != nil {
			return err
		}
	}
}

// play gives a stream.
func (c *conn) play(ctx context.Context, stream uint32, req Request) error {
	room, user, err := c.s.Play(ctx, req)
	if err != nil {
		return c.refuse(stream, fmt.Errorf("%w: %w", errRefused, err))
	}
	c.sess.Room, c.sess.User = room, user
	c.bound()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	drained := make(chan struct{})
	c.wait(0)
	go func() {
		defer close(drained)
		cancel(c.drain())
	}()
	defer func() {
		c.part()
		<-drained
	}()
	s := onAir(ctx, c.s.Hub, room, c.s.cfg.PlayWait)
	if s == nil {
		_ = c.status(stream, levelError, "NetStream.Play.StreamNotFound", "not on air")
		return errOffAir
	}
	remove, err := c.s.Open(c.sess)
	if err != nil {
		_ = c.status(stream, levelError, "NetStream.Play.Failed", err.Error())
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	defer remove()
	err = c.show(ctx, stream, s)
	if errors.Is(err, media.ErrEnded) || ctx.Err() != nil {
		b := appendEvent(nil, eventStreamEOF, stream)
		_ = c.write(appendStatus(b, stream, levelStatus, "NetStream.Play.UnpublishNotify", "off air"))
	}
	return err
}

func (c *conn) refuse(stream uint32, err error) error {
	_ = c.status(stream, levelError, "NetStream.Play.StreamNotFound", "there is nothing to play here")
	c.linger()
	return err
}

// show sends the stream until it or ctx ends.
func (c *conn) show(ctx context.Context, stream uint32, s *media.Stream) error {
	b := appendEvent(nil, eventStreamBegin, stream)
	b = appendStatus(b, stream, levelStatus, "NetStream.Play.Reset", "reset")
	b = appendStatus(b, stream, levelStatus, "NetStream.Play.Start", "on air")
	access := appendAMF(nil, "|RtmpSampleAccess", true, true)
	b = appendMessage(b, chunkData, message{typeData, stream, 0, access}, ourChunk)
	if err := c.write(b); err != nil {
		return err
	}
	return sender{c.link, stream, false}.copy(ctx, s)
}

// copy sends a stream until it, the peer or ctx ends.
func (s sender) copy(ctx context.Context, from *media.Stream) error {
	r := from.Read()
	if s.server {
		r.Close()
		r = from.Watch() // its viewers are counted there
	}
	defer r.Close()
	for {
		round, headers, err := r.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		if err := s.send(round, headers); err != nil {
			return err
		}
	}
}

// drain reads what a player says until it ends, which is always an error.
func (l *link) drain() error {
	for {
		m, err := l.next()
		if err != nil {
			return err
		}
		if m.kind != typeCommand {
			continue
		}
		c, err := parseCommand(m)
		if err != nil {
			return err
		}
		switch c.name {
		case "deleteStream", "closeStream":
			return media.ErrEnded
		}
		if err := c.answer(l); err != nil {
			return err
		}
	}
}

// lookEvery is how often it is looked whether a stream is on air.
const lookEvery = 100 * time.Millisecond

// onAir waits for a stream, but not for ever; nil: there is none.
func onAir(ctx context.Context, hub *media.Hub, room string, wait time.Duration) *media.Stream {
	if s := hub.Stream(room); s != nil {
		return s
	}
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	end := time.After(wait)
	for {
		select {
		case <-t.C:
			if s := hub.Stream(room); s != nil {
				return s
			}
		case <-end:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}
