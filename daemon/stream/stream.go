// Package stream puts live streams together: the hub, who publishes and watches by
// which protocol, and the addresses under /live/.
//
// The rules (keys, who may watch) are those of daemon/live; the protocols are in
// media/…; this package knows which stream has which outputs and ends them with it.
//
// Goroutines: for each stream on air those of its outputs and of its cover; all end
// with the stream, and Run waits for them. Lock: Server.mu, held for a look into
// maps.
package stream

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gtiv/media"
	"gtiv/media/flv"
	"gtiv/media/hls"
	"gtiv/media/rtc"
	"gtiv/media/rtmp"
)

// Config is what an operator sets.
type Config struct {
	Limits media.Limits
	// MaxConns and MaxPerAddress bound connections of RTMP.
	MaxConns, MaxPerAddress int
	// Silence is after how long without a byte a publisher counts as gone.
	Silence time.Duration
	// Grace is how long a stream waits for a publisher who left to come back.
	Grace time.Duration
	// RTC is the port of media by WebRTC; without UDP there is no WebRTC.
	RTC rtc.Config
	// FFmpeg makes Opus of AAC for viewers by WebRTC, and AAC of the Opus of publishers;
	// "": such sound is missing.
	FFmpeg string
}

// Deps are the rules. All fields but Still, Pushes and Log are required.
type Deps struct {
	// ByKey finds the room that may be published with a key.
	ByKey func(ctx context.Context, key string) (room string, user int64, err error)
	// MayWatch says whether somebody may watch a room, and who it is, 0 if nobody
	// knows. token is what stood in front of its name in the path, "" none.
	MayWatch func(ctx context.Context, room, token string) (user int64, err error)
	// MayStillWatch says whether somebody who is known, and watches, still may; nil: they
	// are not asked again.
	MayStillWatch func(ctx context.Context, room string, user int64) bool
	// MayStay says whether a room that is on air may still be.
	MayStay func(ctx context.Context, room string) bool
	// Pushes are the addresses of other servers that a room's stream is pushed to; nil:
	// none. Dial opens connections of relays.
	Pushes func(ctx context.Context, room string) []string
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	// OnAir is told when a room's stream begins and ends, in order.
	OnAir func(ctx context.Context, room string, on bool)
	// Address is where a request comes from.
	Address func(r *http.Request) netip.Addr
	// NotFound answers what is not there.
	NotFound func(w http.ResponseWriter, r *http.Request)
	// Still makes a picture of a segment; nil: there are none.
	Still func(ctx context.Context, segment []byte) ([]byte, error)
	Log   *slog.Logger
}

// Server has all live streams.
type Server struct {
	deps     Deps
	log      *slog.Logger
	hub      *media.Hub
	sessions *media.Registry
	rtmp     *rtmp.Server
	rtc      *rtc.Server // nil: none
	work     sync.WaitGroup
	events   chan event
	strain   strain // written by watchStrain

	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // of Run; nil before and after
	outputs map[string]*outputs
	viewers map[viewerKey]*viewer
	relays  map[relayKey]*relay
	bars    map[bar]time.Time // until when
	may     map[asked]allowed
}

// event is a stream that began or ended.
type event struct {
	room string
	on   bool
}

// outputs are what one stream is served by.
type outputs struct {
	stream *media.Stream
	ts     *hls.TS
	ll     *hls.LL         // nil until somebody asks
	ctx    context.Context //nolint:containedctx // its life
	cancel context.CancelFunc

	before, last sample // guarded by Server.mu, as what follows

	cover   []byte // a picture of it, JPEG
	coverAt time.Time
}

// New makes a Server; Run must run.
func New(cfg Config, deps Deps) (*Server, error) {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		deps: deps, log: deps.Log, events: make(chan event, 1024), outputs: map[string]*outputs{}, viewers: map[viewerKey]*viewer{},
		relays: map[relayKey]*relay{}, bars: map[bar]time.Time{}, may: map[asked]allowed{},
		sessions: media.NewRegistry(cfg.Limits, nil),
	}
	s.hub = media.NewHub(s.began, s.ended, nil)
	s.hub.SetTimes(cfg.Silence, cfg.Grace)
	s.rtmp = rtmp.New(rtmp.Config{App: "live", MaxConns: cfg.MaxConns, MaxPerAddress: cfg.MaxPerAddress, Silence: cfg.Silence}, rtmp.Deps{
		Hub: s.hub, Publish: s.publish, Play: s.play, Open: s.sessions.Add, Log: deps.Log,
	})
	if cfg.RTC.UDP == nil {
		return s, nil
	}
	var err error
	s.rtc, err = rtc.New(cfg.RTC, rtc.Deps{Hub: s.hub, Open: s.sessions.Add, FFmpeg: cfg.FFmpeg, Log: deps.Log})
	return s, err
}

// Sessions knows who publishes and who watches.
func (s *Server) Sessions() *media.Registry { return s.sessions }

// Hub has the streams on air.
func (s *Server) Hub() *media.Hub { return s.hub }

// OffAir ends the stream of a room.
func (s *Server) OffAir(room string) bool { return s.hub.Kick(room) }

func (s *Server) publish(ctx context.Context, r rtmp.Request) (string, int64, error) {
	room, user, err := s.deps.ByKey(ctx, r.Name)
	if err == nil && s.barred(bar{room: room, publish: true}) {
		err = errBarred
	}
	return room, user, err
}

func (s *Server) play(ctx context.Context, r rtmp.Request) (string, int64, error) {
	token, room := split(r.Name)
	user, err := s.mayWatch(ctx, room, token, r.Addr)
	return room, user, err
}

// split takes a token from the front of a room's name.
func split(name string) (token, room string) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// ServeRTMP serves a listener of RTMP, plain or TLS.
func (s *Server) ServeRTMP(ctx context.Context, ln net.Listener) error { return s.rtmp.Serve(ctx, ln) }

// Run looks after the streams until ctx ends, and then ends them.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	g, inner := errgroup.WithContext(context.WithoutCancel(ctx))
	g.Go(func() error { return s.hub.Run(ctx) })
	g.Go(func() error { s.sweepViewers(ctx); return nil })
	g.Go(func() error { s.makeCovers(ctx); return nil })
	g.Go(func() error { s.sweepStreams(ctx); return nil })
	g.Go(func() error { s.watchStrain(ctx); return nil })
	if s.rtc != nil {
		g.Go(func() error { return s.rtc.Run(ctx) })
	}
	told := make(chan struct{})
	go func() { // ends with the last event
		defer close(told)
		for e := range s.events {
			s.deps.OnAir(inner, e.room, e.on)
		}
	}()
	err := g.Wait()
	s.mu.Lock()
	s.ctx = nil
	for _, o := range s.outputs {
		o.cancel()
	}
	s.mu.Unlock()
	s.work.Wait()
	close(s.events)
	<-told
	return err
}

// began makes the outputs of a stream.
func (s *Server) began(m *media.Stream) {
	s.mu.Lock()
	if s.ctx == nil {
		s.mu.Unlock()
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	o := &outputs{stream: m, ts: hls.NewTS(m), ctx: ctx, cancel: cancel}
	s.outputs[m.Name] = o
	s.work.Add(1)
	s.mu.Unlock()
	s.events <- event{m.Name, true}
	s.pushAll(o)
	go func() { // ends with the stream
		defer s.work.Done()
		err := o.ts.Run(ctx)
		if err != nil && !errors.Is(err, media.ErrEnded) && !errors.Is(err, media.ErrKicked) && ctx.Err() == nil {
			s.log.Info("no HLS with MPEG-TS", "room", m.Name, "err", err)
		}
	}()
	s.log.Info("stream began", "room", m.Name)
}

// ended ends the outputs of a stream.
func (s *Server) ended(m *media.Stream) {
	s.mu.Lock()
	o := s.outputs[m.Name]
	if o == nil || o.stream != m {
		s.mu.Unlock()
		return
	}
	delete(s.outputs, m.Name)
	s.work.Add(1)
	s.mu.Unlock()
	o.cancel()
	s.forgetRoom(m.Name)
	s.events <- event{m.Name, false}
	s.work.Done()
	s.log.Info("stream ended", "room", m.Name, "dur", time.Since(m.Began()).Round(time.Second))
}

// find answers the outputs of a stream on air.
func (s *Server) find(room string) *outputs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outputs[room]
}

// lowLatency answers the low-latency output, which begins when somebody asks first.
func (s *Server) lowLatency(o *outputs) *hls.LL {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.ll != nil {
		return o.ll
	}
	if s.ctx == nil || o.ctx.Err() != nil {
		return nil
	}
	o.ll = hls.NewLL(o.stream, s.log)
	s.work.Add(1)
	go func() { // ends with the stream
		defer s.work.Done()
		if err := o.ll.Run(o.ctx); err != nil && !errors.Is(err, media.ErrEnded) && !errors.Is(err, media.ErrKicked) && o.ctx.Err() == nil {
			s.log.Info("no low-latency HLS", "room", o.stream.Name, "err", err)
		}
	}()
	return o.ll
}

// Path is where streams are served.
const Path = "/live/"

// ServeHTTP answers addresses under Path: <room>.m3u8 and <room>/<segment>.ts
// (HLS with MPEG-TS, wire.md 11.1), <room>/index.m3u8 and what it names (low
// latency), <room>.flv (HTTP-FLV and WebSocket-FLV), <room>/whep and <room>/whip. A token may stand in front of
// the room as a part of the path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, Path)
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Timing-Allow-Origin", "*")
	dir, file := split(path)
	if s.serveRTC(w, r, dir, file) {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.deps.NotFound(w, r)
		return
	}
	done, known := false, true
	switch {
	case strings.HasSuffix(file, ".flv"):
		done = s.serveFLV(w, r, dir, strings.TrimSuffix(file, ".flv"))
	case strings.HasSuffix(file, ".m3u8") && file != "index.m3u8" && !strings.HasSuffix(file, "_stream.m3u8"):
		done = s.serveTS(w, r, dir, strings.TrimSuffix(file, ".m3u8"), "")
	case strings.HasSuffix(file, ".jpg"):
		token, room := split(dir)
		done = s.serveCover(w, r, token, room)
	case strings.HasSuffix(file, ".ts"):
		token, room := split(dir)
		done = s.serveTS(w, r, token, room, file)
	case file != "" && dir != "":
		token, room := split(dir)
		done = s.serveLL(w, r, token, room, file)
	default:
		known = false
	}
	switch {
	case done:
	case known:
		http.Error(w, absent, http.StatusNotFound)
	default:
		s.deps.NotFound(w, r)
	}
}

// absent is what who asks for a stream is told; it does not say whether there is one.
const absent = "This is not on air, or not for you to watch."

// The last parts of the addresses of WHEP and WHIP.
const (
	whep = "whep"
	whip = "whip"
)

// serveRTC answers <room>/whep, <room>/whip and what their Location names; false:
// it is none of these.
func (s *Server) serveRTC(w http.ResponseWriter, r *http.Request, dir, file string) bool {
	if s.rtc == nil {
		return false
	}
	if _, kind := split(dir); kind == whep || kind == whip {
		s.rtc.ServeSession(w, r, file)
		return true
	}
	peer := rtc.Peer{Address: s.deps.Address(r)}
	token, room := split(dir)
	switch file {
	case whep:
		var o *outputs
		if r.Method == http.MethodOptions {
			s.rtc.ServeWHEP(w, r, nil, peer) // says what may be asked
			return true
		}
		if o, peer.User = s.watch(r, token, room); o == nil {
			rtc.WriteAbsent(w, absent)
			return true
		}
		s.rtc.ServeWHEP(w, r, o.stream, peer)
	case whip:
		s.rtc.ServeWHIP(w, r, peer, func(key string) (string, int64, error) {
			of, user, err := s.deps.ByKey(r.Context(), key)
			switch {
			case err == nil && of != room:
				err = errOtherRoom
			case err == nil && s.barred(bar{room: room, publish: true}):
				err = errBarred
			}
			return of, user, err
		})
	default:
		return false
	}
	return true
}

var errOtherRoom = errors.New("the key is that of another room")

// watch finds a stream that the caller may watch, and who that is; nil: there is
// none for them.
func (s *Server) watch(r *http.Request, token, room string) (*outputs, int64) {
	o := s.find(room)
	if o == nil {
		return nil, 0
	}
	user, err := s.mayWatch(r.Context(), room, token, s.deps.Address(r))
	if err != nil {
		return nil, 0
	}
	return o, user
}

func (s *Server) serveTS(w http.ResponseWriter, r *http.Request, token, room, segment string) bool {
	o, user := s.watch(r, token, room)
	if o == nil {
		return false
	}
	if w = s.seen(w, r, o, media.ProtocolHLS, user); w == nil {
		return true
	}
	if segment == "" {
		return o.ts.ServePlaylist(w, r)
	}
	return o.ts.ServeSegment(w, r, segment)
}

func (s *Server) serveLL(w http.ResponseWriter, r *http.Request, token, room, file string) bool {
	o, user := s.watch(r, token, room)
	if o == nil {
		return false
	}
	if w = s.seen(w, r, o, media.ProtocolLLHLS, user); w == nil {
		return true
	}
	ll := s.lowLatency(o)
	return ll != nil && ll.Serve(w, r, file)
}

func (s *Server) serveFLV(w http.ResponseWriter, r *http.Request, token, room string) bool {
	o, user := s.watch(r, token, room)
	if o == nil {
		return false
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", flv.ContentType)
		w.WriteHeader(http.StatusOK)
		return true
	}
	// The request's own context may end with the connection being taken over.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	v := &media.Session{Room: room, Protocol: media.ProtocolFLV, Address: s.deps.Address(r), User: user, Began: time.Now(), Kick: cancel}
	serve := flv.ServeHTTP
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		v.Protocol, serve = media.ProtocolWSFLV, flv.ServeWebSocket
	}
	remove, err := s.sessions.Add(v)
	if err != nil {
		busy(w)
		return true
	}
	defer remove()
	if err := serve(ctx, w, r, o.stream, func(n int) { v.Out.Add(int64(n)) }); err != nil {
		s.log.Debug("viewer left", "room", room, "protocol", v.Protocol, "err", err)
	}
	return true
}

func busy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "5")
	http.Error(w, "too many viewers", http.StatusServiceUnavailable)
}
