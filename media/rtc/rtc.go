// Package rtc publishes and serves live streams by WebRTC: WHIP (RFC 9725) takes
// them from a browser or OBS, WHEP sends them to viewers.
//
// A stream is packetised once (output), whoever watches it; a viewer costs headers,
// encryption and one write for each packet. H.264 goes as it came and AAC becomes Opus
// by one ffmpeg for each stream, both only while somebody watches. What is published
// goes to the hub as any other stream does; its Opus becomes AAC, by one ffmpeg for
// each publisher, and goes along for those who watch by WebRTC. All of it uses one port, UDP and TCP, and
// ICE lite: the server contacts nobody, it answers.
//
// Goroutines: for each session one that ends it, two that read its RTCP or RTP; for
// each stream that is watched one that reads it; those of each ffmpeg. Run waits
// for all of them. Locks: Server.mu, then output.mu, then those of tracks; none is
// held while the hub's or other people's code runs.
package rtc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"gtiv/media"
)

// Defaults of Config.
const (
	defaultViewers    = 2000
	defaultPublishers = 100
	defaultPatience   = 15 * time.Second
)

const (
	// iceDisconnected and iceFailed, together, are after how long without a sign of life
	// a peer counts as gone.
	iceDisconnected = 5 * time.Second
	iceFailed       = 5 * time.Second
	iceKeepalive    = 2 * time.Second
	// tcpBuffer is how much may wait for one viewer over TCP; more is lost, as it would
	// be over UDP, and delays nobody else.
	tcpBuffer = 512 << 10
	tcpFirst  = 10 * time.Second // until the first message on a connection
)

// Config is what an operator sets.
type Config struct {
	// UDP and TCP are the port for all media; TCP may be nil. Run closes them.
	UDP net.PacketConn
	TCP net.Listener
	// PublicAddresses are offered to clients besides those of the machine.
	PublicAddresses []netip.Addr
	// MaxViewers and MaxPublishers bound sessions; 0: 2000 and 100.
	MaxViewers, MaxPublishers int
	// Patience is how long a client may take until it is connected; 0: 15 s.
	Patience time.Duration
}

// Deps are what the server works with. Hub and Open are required.
type Deps struct {
	Hub *media.Hub
	// Open registers a session, as media.Registry.Add does.
	Open func(*media.Session) (remove func(), err error)
	// FFmpeg is its path; "": AAC is not turned into Opus, viewers have no sound then,
	// nor Opus into AAC.
	FFmpeg string
	Log    *slog.Logger
}

// Server has all sessions of WHIP and WHEP.
type Server struct {
	cfg  Config
	deps Deps
	log  *slog.Logger
	work sync.WaitGroup

	mu         sync.Mutex
	api        *webrtc.API     // nil before and after Run
	ctx        context.Context //nolint:containedctx // of Run
	sessions   map[string]*session
	outputs    map[*media.Stream]*output
	viewers    int
	publishers map[*ingest]struct{}
	publishing int
}

var errConfig = errors.New("a UDP socket, the hub and Open are required")

// New makes a server; Run must run.
func New(cfg Config, deps Deps) (*Server, error) {
	if cfg.UDP == nil || deps.Hub == nil || deps.Open == nil {
		return nil, errConfig
	}
	if _, ok := cfg.UDP.LocalAddr().(*net.UDPAddr); !ok {
		return nil, fmt.Errorf("%w: %T is no address of UDP", errConfig, cfg.UDP.LocalAddr())
	}
	if cfg.MaxViewers <= 0 {
		cfg.MaxViewers = defaultViewers
	}
	if cfg.MaxPublishers <= 0 {
		cfg.MaxPublishers = defaultPublishers
	}
	if cfg.Patience <= 0 {
		cfg.Patience = defaultPatience
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{
		cfg: cfg, deps: deps, log: deps.Log,
		sessions: map[string]*session{}, outputs: map[*media.Stream]*output{}, publishers: map[*ingest]struct{}{},
	}, nil
}

// Run serves until ctx ends; then it ends all sessions and closes the sockets.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	udp := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: s.cfg.UDP, Logger: quiet{s.log}})
	defer udp.Close() //nolint:errcheck // its end
	var tcp ice.TCPMux
	if s.cfg.TCP != nil {
		tcp = ice.NewTCPMuxDefault(ice.TCPMuxParams{
			Listener: s.cfg.TCP, Logger: quiet{s.log}, ReadBufferSize: 64, WriteBufferSize: tcpBuffer,
			FirstStunBindTimeout: tcpFirst, AliveDurationForConnFromStun: s.cfg.Patience,
		})
		defer tcp.Close() //nolint:errcheck // its end
	}
	api, err := s.newAPI(udp, tcp)
	if err != nil {
		return fmt.Errorf("prepare WebRTC: %w", err)
	}
	s.mu.Lock()
	s.api, s.ctx = api, ctx
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.api = nil
	s.mu.Unlock()
	s.work.Wait()
	return nil
}

// newAPI prepares the library: codecs, one port for everything.
func (s *Server) newAPI(udp ice.UDPMux, tcp ice.TCPMux) (*webrtc.API, error) {
	engine, err := newEngine()
	if err != nil {
		return nil, err
	}
	var set webrtc.SettingEngine
	set.LoggerFactory = quiet{s.log}
	set.SetLite(true)
	set.SetICEUDPMux(udp)
	types := []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6}
	if tcp != nil {
		set.SetICETCPMux(tcp)
		types = append(types, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
	}
	set.SetNetworkTypes(types)
	set.DisableActiveTCP(true) // it would connect to wherever a client says
	set.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	set.SetICETimeouts(iceDisconnected, iceFailed, iceKeepalive)
	set.SetIncludeLoopbackCandidate(len(s.cfg.PublicAddresses) == 0 || s.cfg.UDP.LocalAddr().(*net.UDPAddr).IP.IsLoopback()) //nolint:forcetypeassert // New looked
	if len(s.cfg.PublicAddresses) > 0 {
		rule := webrtc.ICEAddressRewriteRule{AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteAppend}
		for _, a := range s.cfg.PublicAddresses {
			rule.External = append(rule.External, a.Unmap().String())
		}
		if err := set.SetICEAddressRewriteRules(rule); err != nil {
			return nil, fmt.Errorf("public addresses: %w", err)
		}
	}
	chain := &interceptor.Registry{}
	if err := intercept(engine, chain, quiet{s.log}); err != nil {
		return nil, err
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(set), webrtc.WithInterceptorRegistry(chain)), nil
}

// intercept registers the library's defaults but for sender reports, which tracks make
// themselves (track.report), and statistics, which nobody reads.
func intercept(engine *webrtc.MediaEngine, chain *interceptor.Registry, log logging.LoggerFactory) error {
	generator := []nack.GeneratorOption{nack.WithGeneratorLoggerFactory(log)}
	if err := webrtc.ConfigureNackWithOptions(engine, chain, generator, nack.WithResponderLoggerFactory(log)); err != nil {
		return err
	}
	receiver, err := report.NewReceiverInterceptor(report.WithReceiverLoggerFactory(log))
	if err != nil {
		return err
	}
	chain.Add(receiver)
	return webrtc.ConfigureTWCCSenderWithOptions(engine, chain, twcc.WithLoggerFactory(log))
}

// profiles are the profiles and levels of H.264 that are offered; a browser knows at
// least one of them, and decodes what the others are for all the same.
var profiles = []string{"42e01f", "42001f", "4d001f", "640c1f", "64001f"}

func newEngine() (*webrtc.MediaEngine, error) {
	engine := &webrtc.MediaEngine{}
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}, {Type: "goog-remb"}}
	for i, p := range profiles {
		err := engine.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(102 + i), RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH264, ClockRate: videoClock, RTCPFeedback: feedback,
			SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=" + p,
		}}, webrtc.RTPCodecTypeVideo)
		if err != nil {
			return nil, err
		}
	}
	err := engine.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: audioClock, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1;stereo=1",
	}}, webrtc.RTPCodecTypeAudio)
	return engine, err
}
