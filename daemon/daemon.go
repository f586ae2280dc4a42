// Package daemon puts the server together: configuration, sockets, the parts
// and their order, supervision, signals. The rules live in the packages below.
//
// Order. New checks, locks the data folder, opens the stores and binds every
// socket; nothing serves before all of that worked. Run starts the features
// (account, chat, live, video), then what faces clients (gateway, HTTP, control socket). At
// the end it goes the other way round: clients first, within the grace period,
// then the features, then the stores. A part that ends early takes the daemon
// down with its name.
package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"gtiv/daemon/account"
	"gtiv/daemon/chat"
	"gtiv/daemon/control"
	"gtiv/daemon/gateway"
	"gtiv/daemon/live"
	"gtiv/daemon/record"
	"gtiv/daemon/stream"
	"gtiv/daemon/video"
	"gtiv/daemon/web"
	"gtiv/daemon/web/api"
	"gtiv/store"
	"gtiv/store/queue"
)

// Options say where a daemon lives and how it was started.
type Options struct {
	Data       string // data folder; made if it is not there
	Config     Config // checked
	Bind       []string
	PortOffset int
	RuntimeDir string // $RUNTIME_DIRECTORY, "" without systemd
	Version    string
	Logger     *slog.Logger
	Level      *slog.LevelVar // of Logger, for a reload; may be nil
	// Reload reads the configuration again, for SIGHUP; nil: it stays.
	Reload func() (Config, error)
}

// Daemon is a server that is ready to run.
type Daemon struct {
	opt     Options
	log     *slog.Logger
	started time.Time
	notify  *Notify
	cfg     atomic.Pointer[Config]
	mu      sync.Mutex // one reload at a time

	lock    *Lock
	store   *store.Store
	queue   *queue.Store
	cert    tls.Certificate
	sockets *sockets
	control net.Listener

	words    *wordList
	account  *account.Service
	chat     *chat.Service
	live     *live.Service
	video    *video.Service
	media    mediaParts
	stream   *stream.Server
	controls *stream.Controls
	record   *record.Service
	gateway  *gateway.Gateway
	web      *web.Server
	admin    *control.Server

	health   health
	draining atomic.Bool
}

// New opens everything the daemon needs. What it opened is closed again when it
// fails.
func New(ctx context.Context, opt Options) (_ *Daemon, err error) {
	d := &Daemon{opt: opt, log: opt.Logger, started: time.Now(), notify: NewNotify(opt.Logger)}
	d.cfg.Store(&opt.Config)
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	for _, step := range []func(context.Context) error{d.openData, d.openBlobs, d.bindSockets, d.makeFeatures, d.makeMedia, d.makeStreams, d.makeRecord, d.makeFront} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// dbFile is the database in the data folder.
const dbFile = "gtiv.db"

// openData makes and locks the data folder and opens the stores in it.
func (d *Daemon) openData(ctx context.Context) error {
	if err := os.MkdirAll(d.opt.Data, 0o750); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	var err error
	if d.lock, err = LockData(d.opt.Data); err != nil {
		return err
	}
	if d.cert, err = certificate(d.opt.Config, d.opt.Data); err != nil {
		return err
	}
	if d.store, err = store.Open(ctx, store.Config{
		Path: filepath.Join(d.opt.Data, dbFile), Logger: d.log.With("component", "store"),
		Progress: func(text string) {
			d.notify.ExtendTimeout(5 * time.Minute)
			d.notify.Status(text)
		},
	}); err != nil {
		return err
	}
	if d.queue, err = queue.Open(queue.Config{
		Dir: filepath.Join(d.opt.Data, "queue"), Logger: d.log.With("component", "queue"),
	}); err != nil {
		return fmt.Errorf("open queue: %w", err)
	}
	return nil
}

// bindSockets binds all ports and the control socket, and reports all failures
// together.
func (d *Daemon) bindSockets(ctx context.Context) error {
	var errs [2]error
	d.sockets, errs[0] = bind(ctx, d.opt.Bind, d.opt.PortOffset)
	d.control, errs[1] = control.Listen(ctx, d.opt.Data, d.opt.RuntimeDir)
	return errors.Join(errs[:]...)
}

// makeFeatures builds the rules and ties them to each other: features do not
// know the gateway nor one another.
func (d *Daemon) makeFeatures(ctx context.Context) error {
	d.words = &wordList{log: d.log.With("component", "words")}
	list, err := readWords(d.opt.Config.Moderation)
	if err != nil {
		// The file may have been edited months ago: a site that stays down would be
		// worse than one with fewer words. A file that is set right is read at once.
		d.words.log.Error("the list of words has mistakes; only what can be read of it is in force", "words", list.filter.Len(), "err", err)
	}
	d.words.set(list)
	key, err := secret(d.opt.Data, "seal.key", 32)
	if err != nil {
		return err
	}
	if d.gateway, err = gateway.New(gatewayConfig(d.opt.Config), d.gatewayDeps()); err != nil {
		return err
	}
	if d.chat, err = chat.New(chatConfig(d.opt.Config), chat.Deps{
		Store: d.store, Cursors: d.queue.Cursors(), Logger: d.log.With("component", "chat"),
		Push:        func(user int64, p chat.Push) int { return d.gateway.Push(user, gatewayPush(p)) },
		PushSession: func(session int64, p chat.Push) int { return d.gateway.PushSession(session, gatewayPush(p)) },
		PushRoom:    func(room int64, p chat.RoomPush) { d.gateway.PushGroup(room, gatewayRoomPush(p)) },
		Connected:   d.gateway.SessionOnline,
		Censor:      d.words.censor,
		TooNew:      func(ctx context.Context, user int64) (time.Duration, error) { return d.account.TooNew(ctx, user) },

		Announcements: d.queue.Topic(topicAnnounce, queue.TopicOptions{MaxAttempts: announceAttempts}),
	}); err != nil {
		return err
	}
	if d.live, err = live.New(liveConfig(d.opt.Config), d.liveDeps()); err != nil {
		return err
	}
	if d.video, err = video.New(videoConfig(d.opt.Config), d.videoDeps()); err != nil {
		return err
	}
	d.account, err = account.New(accountConfig(d.opt.Config), account.Deps{
		Store: d.store, SealKey: key, Logger: d.log.With("component", "account"),
		Kick:       func(session int64) { d.gateway.Kick(session) },
		Forget:     d.forget,
		Deliver:    d.chat.Deliver,
		Unfriended: d.chat.Unfriended,
		Leaving:    d.chat.QuitAll,
		QuitTexts:  d.chat.QuitTexts(),
		Gone: func(ctx context.Context, user int64) {
			d.live.OwnerGone(ctx, user)
			if d.media.upload != nil {
				d.media.upload.Gone(user)
			}
		},
		Censor: d.words.censor,
		Evict:  func(banned func(netip.Addr) bool) { d.gateway.CloseBanned(banned) },
	})
	if err != nil {
		return err
	}
	return d.account.LoadAddressBans(ctx)
}

// announceAttempts is high: what an announcement waits for is room on the disk.
const announceAttempts = 100

// forget drops what the queues keep of a revoked session.
func (d *Daemon) forget(session int64) {
	if err := d.chat.Forget(context.Background(), session); err != nil {
		d.log.Warn("cursors of a revoked session not dropped", "session", session, "err", err)
	}
}

// makeFront builds what faces clients and administrators.
func (d *Daemon) makeFront(context.Context) error {
	var err error
	if d.web, err = web.New(web.Config{
		Site: siteConfig(d.opt.Config), Version: d.opt.Version, MaxRequests: d.opt.Config.Limits.MaxRequests,
		TusDir: filepath.Join(d.opt.Data, tusDir),
		Ports: web.Ports{
			Comet: portComet + d.opt.PortOffset, RTMP: portRTMP + d.opt.PortOffset, RTMPS: portRTMPS + d.opt.PortOffset,
			HLS: portHLS + d.opt.PortOffset, FLV: portFLV + d.opt.PortOffset,
		},
	}, web.Deps{
		Account: d.account, Chat: d.chat, Video: d.video, Live: d.live, Records: d.record, Uploads: d.media.process,
		Signer: d.media.signer, Blobs: d.media.blobs, Served: d.served, Deleted: d.deleted, UploadToken: d.uploadToken,
		Mount:   map[string]http.Handler{"POST /{$}": d.media.upload, "/buckets/": d.media.upload, stream.Path: d.stream},
		Streams: liveStreams{d.stream},
		Online:  d.gateway.Online, SessionOnline: d.gateway.SessionOnline,
		WebSocket: d.gateway, Clips: video.Files(), Logger: d.log.With("component", "web"),
	}); err != nil {
		return err
	}
	d.admin, err = control.New(control.Deps{
		Accounts: d.account, Online: d.gateway.Online, Status: d.Status, Reload: d.Reload, Audit: d.account.Audit,
		Bans: d.account, Reports: d.chat, Rooms: d.chat, Announcements: d.chat, AuditLog: d.store.AuditEntries,
		Lives: d.live, Streams: liveStreams{d.stream}, Videos: d.media.process, Records: d.record, VideoLink: d.videoLink, Queues: topics{d.queue}, Doctor: d.examine,
		Config:  func() string { return d.cfg.Load().TOML() },
		Version: d.opt.Version, Grace: time.Duration(d.opt.Config.Daemon.Grace), Logger: d.log.With("component", "control"),
	})
	return err
}

// Run serves until ctx ends or a part fails, and returns when everything is
// closed.
func (d *Daemon) Run(ctx context.Context) error {
	err := d.run(ctx)
	return errors.Join(err, d.close())
}

func (d *Daemon) run(ctx context.Context) error {
	// The features outlive what faces clients: their context ends by hand.
	inner, stopInner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInner()
	back, inner := errgroup.WithContext(inner)
	for name, run := range map[string]func(context.Context) error{
		"queue": d.queue.Run, "account": d.account.Run, "chat": d.chat.Run, "live": d.live.Run, "video": d.video.Run, "words": d.words.watch,
		"blob": d.runBlobs, "upload": d.media.upload.Run, "process": d.media.process.Run, "web": d.web.Run, "stream": d.stream.Run, "record": d.record.Run,
	} {
		back.Go(func() error { return supervise(inner, name, run) })
	}
	front, outer := errgroup.WithContext(ctx)
	for name, run := range d.frontParts() {
		front.Go(func() error { return supervise(outer, name, run) })
	}
	front.Go(func() error { // a feature that fails takes the front down
		select {
		case <-inner.Done():
			return context.Cause(inner)
		case <-outer.Done():
			return nil
		}
	})
	context.AfterFunc(outer, func() {
		d.draining.Store(true)
		d.notify.Stopping()
	})
	d.announce()
	err := front.Wait()
	stopInner()
	return errors.Join(err, back.Wait())
}

// announce tells everybody that the daemon is ready: all sockets are bound, so
// what comes now is served.
func (d *Daemon) announce() {
	d.log.Info("ready", "version", d.opt.Version, "data", d.opt.Data, "pid", os.Getpid(), "dur", time.Since(d.started).Round(time.Millisecond))
	d.notify.Ready()
}

// frontParts are the parts that face clients, by name.
func (d *Daemon) frontParts() map[string]func(context.Context) error {
	grace := func() time.Duration { return time.Duration(d.cfg.Load().Daemon.Grace) }
	https := d.httpServer()
	share := sharesOf(openFiles(), d.opt.Config.Gateway.MaxConnections)
	places := newPlaces(share.http, d.opt.Config.Gateway.ConnectionsPerAddress, d.sharedAddress, d.log)
	waiting := newHandshakes(share.handshakes, d.sharedAddress)
	parts := map[string]func(context.Context) error{
		"gateway": d.gateway.Run,
		"http": func(ctx context.Context) error {
			return serveHTTP(ctx, d.httpServer(), places.limit(d.sockets.http), grace)
		},
		"control": func(ctx context.Context) error { return d.admin.Run(ctx, d.control) },
		"health":  d.watchHealth,
		"memory":  trimMemory,
		"watchdog": func(ctx context.Context) error {
			err := d.notify.Watchdog(ctx, d.alive)
			<-ctx.Done() // without a watchdog there is nothing to do
			return err
		},
	}
	for i, ln := range d.sockets.comet {
		parts[fmt.Sprintf("comet %d", i)] = func(ctx context.Context) error { return d.gateway.ServeTCP(ctx, ln) }
	}
	for i, ln := range d.sockets.control {
		srv := api.NewServer(d.controls, d.log)
		parts[fmt.Sprintf("live control %d", i)] = func(ctx context.Context) error { return serveHTTP(ctx, srv, []net.Listener{ln}, grace) }
	}
	for i, ln := range d.sockets.rtmp {
		parts[fmt.Sprintf("rtmp %d", i)] = func(ctx context.Context) error { return d.stream.ServeRTMP(ctx, ln) }
	}
	for i, ln := range d.sockets.rtmps {
		// The time for a handshake of RTMP, and the limits of connections, hold here, too.
		ln = tls.NewListener(ln, tlsConfig(d.cert))
		parts[fmt.Sprintf("rtmps %d", i)] = func(ctx context.Context) error { return d.stream.ServeRTMP(ctx, ln) }
	}
	for i, ln := range d.sockets.tls {
		front := newTLSFront(ln, d.cert, d.gateway.ServeConn, waiting, places)
		parts[fmt.Sprintf("tls %d", i)] = func(ctx context.Context) error {
			g, ctx := errgroup.WithContext(ctx)
			g.Go(func() error { return front.run(ctx) })
			g.Go(func() error { return serveHTTP(ctx, https, []net.Listener{front}, grace) })
			return g.Wait()
		}
	}
	return parts
}

// httpServer serves the public HTTP ports, plain or behind TLS.
func (d *Daemon) httpServer() *http.Server {
	srv := api.NewServer(d.web, d.log)
	srv.ConnState = whenHijacked
	return srv
}

// supervise runs a part. A part that returns before it was asked to is a
// failure, whatever it says.
func supervise(ctx context.Context, name string, run func(context.Context) error) error {
	err := run(ctx)
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", name, err)
	case ctx.Err() == nil:
		return fmt.Errorf("%s: stopped unexpectedly", name)
	}
	return nil
}

// close closes what is open, in the reverse order of opening.
func (d *Daemon) close() error {
	var errs []error
	if d.control != nil {
		if err := d.control.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("close control socket: %w", err))
		}
	}
	if d.sockets != nil {
		d.sockets.close()
	}
	if d.queue != nil {
		errs = append(errs, wrap("close queue", d.queue.Close()))
	}
	if d.store != nil {
		errs = append(errs, wrap("close database", d.store.Close()))
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Release())
	}
	return errors.Join(errs...)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
