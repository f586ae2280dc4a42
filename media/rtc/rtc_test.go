package rtc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	rtcmedia "github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/samplebuilder"

	"gtiv/media"
	"gtiv/media/mediatest"
	"gtiv/media/rtc"
)

const streamKey = "the-key"

// site is a server with what is around it.
type site struct {
	t        testing.TB
	hub      *media.Hub
	sessions *media.Registry
	rtc      *rtc.Server
	url      string
	stop     func() // waits
}

func newSite(t testing.TB, change func(*rtc.Config, *rtc.Deps)) *site {
	t.Helper()
	s := &site{t: t, hub: media.NewHub(nil, nil, nil), sessions: media.NewRegistry(media.Limits{}, nil)}
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := rtc.Config{UDP: udp, TCP: tcp}
	deps := rtc.Deps{Hub: s.hub, Open: s.sessions.Add, FFmpeg: "ffmpeg"}
	if os.Getenv("RTC_LOG") != "" {
		deps.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&cfg, &deps)
	}
	if s.rtc, err = rtc.New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = s.hub.Run(ctx) })
	work.Go(func() {
		if err := s.rtc.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	web := httptest.NewServer(s.handler())
	s.url = web.URL
	s.stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		web.Close()
	})
	t.Cleanup(s.stop)
	s.eventually("the server runs", func() bool {
		code, _, _ := s.do(http.MethodPost, "/live/nobody/whep", "application/sdp", "")
		return code == http.StatusNotFound
	})
	return s
}

func (s *site) handler() http.Handler {
	peer := rtc.Peer{Address: netip.MustParseAddr("192.0.2.1")}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.servePage)
	mux.HandleFunc("/live/{room}/whip", func(w http.ResponseWriter, r *http.Request) {
		s.rtc.ServeWHIP(w, r, peer, func(bearer string) (string, int64, error) {
			if bearer != streamKey {
				return "", 0, os.ErrPermission
			}
			return "room", 7, nil
		})
	})
	mux.HandleFunc("/live/{room}/whep", func(w http.ResponseWriter, r *http.Request) {
		m := s.hub.Stream(r.PathValue("room"))
		if m == nil {
			http.NotFound(w, r)
			return
		}
		s.rtc.ServeWHEP(w, r, m, peer)
	})
	session := func(w http.ResponseWriter, r *http.Request) { s.rtc.ServeSession(w, r, r.PathValue("id")) }
	mux.HandleFunc("/live/{room}/whip/{id}", session)
	mux.HandleFunc("/live/{room}/whep/{id}", session)
	return mux
}

// do asks; headers are pairs.
func (s *site) do(method, path, kind, body string, headers ...string) (int, http.Header, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close() //nolint:errcheck // a test
	b, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a.StatusCode, a.Header, string(b)
}

func (s *site) eventually(what string, f func() bool) {
	s.t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if f() {
			return
		}
	}
	s.t.Fatalf("not within 15 s: %s", what)
}

// publish publishes a clip again and again, until the test ends.
func (s *site) publish(room string, clip []mediatest.Tag) (stop func()) {
	once := clip
	for i := range uint32(40) {
		for _, tag := range once {
			tag.Time += (i + 1) * (once[len(once)-1].Time + 20)
			clip = append(clip, tag)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	p, ctx := s.hub.Publish(ctx, room)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.Close()
		_ = mediatest.Publish(ctx, p, clip, 1) // its end is that of ctx
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	s.t.Cleanup(stop)
	s.eventually("the stream has a picture", func() bool { m := s.hub.Stream(room); return m != nil && m.Stats().Pictures > 3 })
	return stop
}

// client is a peer of the library's.
type client struct {
	s        *site
	pc       *webrtc.PeerConnection
	location string
	etag     string
	connect  chan struct{}
	stop     func() // ends what source does

	mu       sync.Mutex
	video    bytes.Buffer // H.264 with start codes
	pictures int
	first    byte // type of the first unit
	sounds   int
	reports  map[string]*rtcp.SenderReport
}

func newClient(s *site, types ...webrtc.NetworkType) *client {
	s.t.Helper()
	if len(types) == 0 {
		types = []webrtc.NetworkType{webrtc.NetworkTypeUDP4}
	}
	var set webrtc.SettingEngine
	set.SetIncludeLoopbackCandidate(true)
	set.SetNetworkTypes(types)
	engine := &webrtc.MediaEngine{}
	if err := engine.RegisterDefaultCodecs(); err != nil {
		s.t.Fatal(err)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(set), webrtc.WithMediaEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		s.t.Fatal(err)
	}
	c := &client{s: s, pc: pc, connect: make(chan struct{}), reports: map[string]*rtcp.SenderReport{}}
	var once sync.Once
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(c.connect) })
		}
	})
	s.t.Cleanup(c.close)
	return c
}

func (c *client) close() { _ = c.pc.GracefulClose() }

// offer is what the client offers, with its candidates.
func (c *client) offer() string {
	c.s.t.Helper()
	o, err := c.pc.CreateOffer(nil)
	if err != nil {
		c.s.t.Fatal(err)
	}
	done := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(o); err != nil {
		c.s.t.Fatal(err)
	}
	<-done
	return c.pc.LocalDescription().SDP
}

// post negotiates.
func (c *client) post(path string, headers ...string) {
	c.s.t.Helper()
	code, h, body := c.s.do(http.MethodPost, path, "application/sdp", c.offer(), headers...)
	if code != http.StatusCreated {
		c.s.t.Fatalf("POST %s: %d %s", path, code, body)
	}
	c.location, c.etag = h.Get("Location"), h.Get("ETag")
	if !strings.HasPrefix(c.location, path+"/") || c.etag == "" {
		c.s.t.Errorf("Location %q, ETag %q", c.location, c.etag)
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: body}); err != nil {
		c.s.t.Fatal(err)
	}
}

// watch begins to watch a room.
func (c *client) watch(room string) {
	c.s.t.Helper()
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := c.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			c.s.t.Fatal(err)
		}
	}
	c.pc.OnTrack(c.track)
	c.post("/live/" + room + "/whep")
}

func (c *client) track(t *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	go func() {
		for {
			list, _, err := receiver.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range list {
				if r, ok := p.(*rtcp.SenderReport); ok {
					c.mu.Lock()
					c.reports[t.Kind().String()] = r
					c.mu.Unlock()
				}
			}
		}
	}()
	var form rtp.Depacketizer = &codecs.H264Packet{}
	if t.Kind() == webrtc.RTPCodecTypeAudio {
		form = &codecs.OpusPacket{}
	}
	b := samplebuilder.New(512, form, t.Codec().ClockRate)
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		c.mu.Lock()
		b.Push(p)
		for sample := b.Pop(); sample != nil; sample = b.Pop() {
			if t.Kind() == webrtc.RTPCodecTypeAudio {
				c.sounds++
				continue
			}
			if c.pictures++; c.pictures == 1 {
				c.first = sample.Data[4] & 31
			}
			c.video.Write(sample.Data)
		}
		c.mu.Unlock()
	}
}

func (c *client) counts() (pictures, sounds int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pictures, c.sounds
}

// decode counts the pictures that ffmpeg finds in what came, without complaint.
func (c *client) decode() int {
	c.s.t.Helper()
	c.mu.Lock()
	b := bytes.Clone(c.video.Bytes())
	c.mu.Unlock()
	cmd := exec.CommandContext(c.s.t.Context(), "ffprobe", "-v", "error", "-f", "h264", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", "-i", "pipe:0")
	cmd.Stdin = bytes.NewReader(b)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		c.s.t.Errorf("ffprobe: %v %s", err, &complaints)
	}
	n := 0
	for _, d := range strings.TrimSpace(strings.Trim(string(out), "\n,")) {
		n = n*10 + int(d-'0')
	}
	return n
}

// startCodes puts start codes in place of lengths.
func startCodes(b []byte) []byte {
	b = bytes.Clone(b)
	for i := 0; i+4 <= len(b); {
		n := int(binary.BigEndian.Uint32(b[i:]))
		copy(b[i:], []byte{0, 0, 0, 1})
		i += 4 + n
	}
	return b
}

// source publishes a clip and sound by WHIP until the test ends.
func (c *client) source(clip []mediatest.Tag, sound [][]byte) {
	c.s.t.Helper()
	video, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}, "video", "s")
	if err != nil {
		c.s.t.Fatal(err)
	}
	audio, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "s")
	if err != nil {
		c.s.t.Fatal(err)
	}
	for _, t := range []webrtc.TrackLocal{video, audio} {
		if _, err := c.pc.AddTrack(t); err != nil {
			c.s.t.Fatal(err)
		}
	}
	c.post("/live/room/whip", "Authorization", "Bearer "+streamKey)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	c.stop = func() { cancel(); work.Wait() }
	c.s.t.Cleanup(c.stop)
	work.Go(func() {
		<-c.connect
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			_ = audio.WriteSample(rtcmedia.Sample{Data: sound[i%len(sound)], Duration: 20 * time.Millisecond})
			<-tick.C
		}
	})
	work.Go(func() {
		<-c.connect
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		var sets []byte
		for ctx.Err() == nil {
			for _, tag := range clip {
				if tag.Kind != media.Video || ctx.Err() != nil {
					continue
				}
				m, err := media.ParseMessage(tag.Kind, tag.Body)
				if err != nil || len(m.Content) == 0 {
					continue
				}
				if m.Header { // one SPS, one PPS
					sps := m.Content[8 : 8+int(binary.BigEndian.Uint16(m.Content[6:]))]
					rest := m.Content[8+len(sps)+1:]
					sets = append([]byte{0, 0, 0, 1}, sps...)
					sets = append(append(sets, 0, 0, 0, 1), rest[2:2+int(binary.BigEndian.Uint16(rest))]...)
					continue
				}
				b := startCodes(m.Content)
				if m.Key {
					b = append(bytes.Clone(sets), b...)
				}
				_ = video.WriteSample(rtcmedia.Sample{Data: b, Duration: 40 * time.Millisecond})
				<-tick.C
			}
		}
	})
}

// settled waits until as many goroutines are left as there were.
func settled(t testing.TB, before int) {
	t.Helper()
	n := 0
	for range 100 {
		if n = runtime.NumGoroutine(); n <= before {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b := make([]byte, 1<<20)
	t.Errorf("%d goroutines, %d before:\n%s", n, before, b[:runtime.Stack(b, true)])
}
