package rtc

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media/samplebuilder"

	"gtiv/media"
)

const (
	// keyEvery is how often a publisher is asked for a key frame; keyGap is the least
	// time between two askings.
	keyEvery = 2 * time.Second
	keyGap   = 500 * time.Millisecond
	// keyTime is how long a publisher may send pictures without a key frame.
	keyTime = 10 * time.Second
	// late is how many packets of pictures, and how long, one that is missing may keep
	// back those behind it.
	lateVideo = 1024
	lateAudio = 32
	lateTime  = 400 * time.Millisecond
	maxSet    = 1024 // bytes of a parameter set
)

var errNoKey = errors.New("no key frame came")

// opusNote is what an operator should know of a stream with Opus.
const opusNote = "the sound is Opus, and there is no ffmpeg to make AAC of it: HLS with MPEG-TS and old players of RTMP and FLV have none"

// ServeWHIP answers requests to the WHIP address (RFC 9725): POST publishes. publish
// finds the room of a bearer token, which is a stream key, and its user. The session
// goes on after it, at Location: ServeSession.
func (s *Server) ServeWHIP(w http.ResponseWriter, r *http.Request, p Peer, publish func(bearer string) (room string, user int64, err error)) {
	if cors(w, r, http.MethodPost) {
		return
	}
	c, sdp, err := s.take(w, r, p, publish)
	if err != nil {
		s.log.Debug("publisher refused", "address", p.Address, "err", err)
		write(w, err)
		return
	}
	reply(w, r, c, sdp)
}

// bearer is the token of a request.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// take makes a session of a publisher.
func (s *Server) take(w http.ResponseWriter, r *http.Request, p Peer, publish func(string) (string, int64, error)) (*session, string, error) {
	token := bearer(r)
	if token == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return nil, "", refuse(http.StatusUnauthorized, "key", "the stream key is needed as bearer token")
	}
	o, err := readOffer(w, r)
	if err != nil {
		return nil, "", err
	}
	room, user, err := publish(token)
	if err != nil {
		return nil, "", refuse(http.StatusForbidden, "key", "this key may not publish")
	}
	ctx, api, end, err := s.begin(true)
	if err != nil {
		return nil, "", err
	}
	p.User = user
	c, sdp, err := s.ingest(ctx, api, room, p, o, end)
	if err != nil {
		end()
	}
	return c, sdp, err
}

// ingest registers and negotiates; end is called when the session is over.
func (s *Server) ingest(ctx context.Context, api *webrtc.API, room string, p Peer, o *offer, end func()) (*session, string, error) {
	c, err := s.newSession(ctx, api, media.ProtocolWHIP, room)
	if err != nil {
		return nil, "", err
	}
	info := &media.Session{
		Room: room, Publish: true, Protocol: media.ProtocolWHIP, Address: p.Address, User: p.User, Began: time.Now(),
		Kick: func() { c.cancel(errKicked) },
	}
	if o.audio && s.deps.FFmpeg == "" {
		info.Note = opusNote
	}
	remove, err := s.register(info)
	if err != nil {
		s.finish(c, err)
		return nil, "", err
	}
	in := &ingest{s: s, session: c, info: info, origin: time.Now(), pictures: o.video, speaks: o.speaks, video: line{clock: videoClock}, audio: line{clock: audioClock}}
	if s.deps.FFmpeg != "" {
		in.startAAC()
	}
	c.pc.OnTrack(in.track)
	leave := func(why error) {
		in.end()
		s.mu.Lock()
		delete(s.publishers, in)
		s.mu.Unlock()
		s.finish(c, why)
		in.work.Wait()
		if in.aac != nil {
			in.aac.close()
		}
		remove()
	}
	sdp, err := c.answer(o)
	if err != nil {
		leave(err)
		return nil, "", err
	}
	s.mu.Lock()
	s.publishers[in] = struct{}{}
	s.mu.Unlock()
	go func() { // ends with the session
		defer end()
		leave(c.wait(s.cfg.Patience))
	}()
	return c, sdp, nil
}

// askKey asks those who publish a room for a key frame, so that a new viewer need not
// wait. Other protocols cannot be asked.
func (s *Server) askKey(room string) {
	s.mu.Lock()
	var list []*ingest
	for in := range s.publishers {
		if in.room == room {
			list = append(list, in)
		}
	}
	s.mu.Unlock()
	for _, in := range list {
		in.askKey()
	}
}

// ingest is one who publishes.
type ingest struct {
	*session
	s        *Server
	info     *media.Session
	origin   time.Time // time 0
	pictures bool      // there will be some
	speaks   bool      // there will be sound
	work     sync.WaitGroup

	mu           sync.Mutex // is held while the hub is told, which must happen in order
	ended        bool
	pub          *media.Publisher // nil before the first key frame
	hasVideo     bool             // there is a track
	hasAudio     bool
	ssrc         webrtc.SSRC // of the video
	asked        time.Time
	video, audio line
	drift        int64 // how far the sound is to be moved, µs
	sps          []byte
	pps          [][]byte
	record       []byte  // that was published
	newest       int64   // time of the newest picture, ms
	mainTold     bool    // the header of Opus as main sound was published
	altTold      bool    // that of Opus besides AAC
	aac          *coding // makes AAC; nil: the Opus is the main sound
	aacTold      bool    // the header of AAC was published
	made         bool    // there was some AAC
	broken       bool    // there will never be any
}

// end stops publishing. Tracks that come later are refused.
func (in *ingest) end() {
	in.mu.Lock()
	in.ended = true
	pub := in.pub
	in.mu.Unlock()
	if pub != nil {
		pub.Close()
	}
}

// track takes one track until it ends; the library calls it for each.
func (in *ingest) track(t *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	video := t.Kind() == webrtc.RTPCodecTypeVideo
	in.mu.Lock()
	had := &in.hasAudio
	if video {
		had = &in.hasVideo
	}
	if in.ended || *had { // one of each kind
		in.mu.Unlock()
		return
	}
	*had = true
	if video {
		in.ssrc = t.SSRC()
		in.work.Go(in.keepAsking)
	}
	in.work.Go(func() { in.readReports(receiver, video) })
	in.work.Add(1)
	in.mu.Unlock()
	defer in.work.Done()
	in.readMedia(t, video)
}

// keepAsking asks for key frames: browsers send one, and then never again.
func (in *ingest) keepAsking() {
	tick := time.NewTicker(keyEvery)
	defer tick.Stop()
	began := time.Now()
	for {
		in.askKey()
		select {
		case <-tick.C:
		case <-in.ctx.Done():
			return
		}
		in.mu.Lock()
		none := in.pub == nil
		in.mu.Unlock()
		if none && time.Since(began) > keyTime {
			in.cancel(errNoKey)
		}
	}
}

func (in *ingest) askKey() {
	now := time.Now()
	in.mu.Lock()
	ssrc := in.ssrc
	if ssrc == 0 || now.Sub(in.asked) < keyGap {
		in.mu.Unlock()
		return
	}
	in.asked = now
	in.mu.Unlock()
	_ = in.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(ssrc)}}) // lost, as packets are
}

// readReports takes the sender reports of a track.
func (in *ingest) readReports(receiver *webrtc.RTPReceiver, video bool) {
	for {
		list, _, err := receiver.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range list {
			if r, ok := p.(*rtcp.SenderReport); ok {
				in.report(r, video)
			}
		}
	}
}

func (in *ingest) report(r *rtcp.SenderReport, video bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	l := &in.audio
	if video {
		l = &in.video
	}
	l.report(r.NTPTime, r.RTPTime)
	if in.audio.reported && in.video.reported {
		in.drift = in.audio.ahead - in.video.ahead
	}
}

// readMedia takes the packets of a track.
func (in *ingest) readMedia(t *webrtc.TrackRemote, video bool) {
	var form rtp.Depacketizer = &codecs.OpusPacket{}
	late := uint16(lateAudio)
	if video {
		form, late = &codecs.H264Packet{IsAVC: true}, lateVideo
	}
	b := samplebuilder.New(late, form, t.Codec().ClockRate, samplebuilder.WithMaxTimeDelay(lateTime))
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		in.info.In.Add(int64(len(p.Payload)))
		b.Push(p)
		for sample := b.Pop(); sample != nil; sample = b.Pop() {
			if sample.PrevDroppedPackets > 0 && video {
				in.askKey()
			}
			if err := in.sample(sample.Data, sample.PacketTimestamp, video); err != nil {
				in.cancel(err)
				return
			}
		}
	}
}

// sample publishes a picture or a sound.
func (in *ingest) sample(b []byte, stamp uint32, video bool) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended || len(b) == 0 {
		return nil
	}
	if video {
		return in.picture(b, in.video.time(stamp, in.origin)/1000)
	}
	in.slew()
	return in.sound(b, in.audio.time(stamp, in.origin)/1000)
}

// slew moves the sound towards the pictures, a little with each packet so that nobody
// hears it; what is far away moves at once.
func (in *ingest) slew() {
	const step, far = 2_000, 1_000_000 // µs
	d := in.drift
	if d > -far && d < far {
		d = max(-step, min(step, d))
	}
	in.audio.offset += d
	in.audio.ahead -= d
	in.drift -= d
}

// push publishes a message, the first one begins the stream. alt: see media.Message.
func (in *ingest) push(kind media.Kind, alt bool, body []byte, ms int64) error {
	m, err := media.ParseMessage(kind, body)
	if err != nil {
		return err
	}
	m.Alt = alt
	if in.pub == nil {
		pub, ctx := in.s.deps.Hub.Publish(in.ctx, in.room)
		context.AfterFunc(ctx, func() { in.cancel(context.Cause(ctx)) })
		in.pub = pub
	}
	return in.pub.Push(m, uint32(ms)) //nolint:gosec // modulo 2^32, as the hub wants it
}

// picture publishes a picture: units with lengths in front.
func (in *ingest) picture(b []byte, ms int64) error {
	units, err := split(b, 4)
	if err != nil {
		return nil //nolint:nilerr // one picture less
	}
	body := []byte{0x27, 1, 0, 0, 0}
	key, any := false, false
	for _, u := range units {
		switch u[0] & 31 {
		case unitSPS:
			if len(u) >= 4 && len(u) <= maxSet && !bytes.Equal(u, in.sps) {
				in.sps, in.pps = u, nil
			}
		case unitPPS:
			in.keepPPS(u)
		case unitDelimiter:
		default:
			key = key || u[0]&31 == unitIDR
			any = any || u[0]&31 <= unitIDR
			body = appendUnit(body, u)
		}
	}
	if !any || in.pub == nil && !key || in.sps == nil || len(in.pps) == 0 {
		return nil
	}
	if key {
		body[0] = 0x17
		if err := in.videoHeader(ms); err != nil {
			return err
		}
		if in.speaks && in.aac != nil {
			if err := in.tellAAC(ms); err != nil {
				return err
			}
		}
	}
	if shift := ms - in.newest; shift < 0 { // shown before the one that came before it
		body[2], body[3], body[4] = byte(shift>>16), byte(shift>>8), byte(shift)
		ms = in.newest
	}
	in.newest = ms
	return in.push(media.Video, false, body, ms)
}

func (in *ingest) keepPPS(u []byte) {
	const most = 8
	if len(u) < 2 || len(u) > maxSet {
		return
	}
	for _, p := range in.pps {
		if bytes.Equal(p, u) {
			return
		}
	}
	if in.pps = append(in.pps, u); len(in.pps) > most {
		in.pps = in.pps[1:]
	}
}

// videoHeader publishes the parameter sets when they have changed.
func (in *ingest) videoHeader(ms int64) error {
	record := makeRecord(in.sps, in.pps)
	if bytes.Equal(record, in.record) {
		return nil
	}
	in.record = record
	return in.push(media.Video, false, append([]byte{0x17, 0, 0, 0, 0}, record...), ms)
}

// opusHead is the header of Opus (RFC 7845 5.1) as WebRTC has it: stereo, 48 kHz.
var opusHead = []byte("OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00")

// sound publishes a packet of Opus, besides the AAC that is made of it if that can be
// done. It waits for the first picture, if there will be one.
func (in *ingest) sound(b []byte, ms int64) error {
	if in.pictures && in.pub == nil || ms < 0 {
		return nil
	}
	if in.aac == nil {
		return in.pushOpus(b, ms, false)
	}
	if err := in.encode(b, ms); err != nil {
		return err
	}
	return in.pushOpus(b, ms, true)
}

// pushOpus publishes a packet of Opus (Enhanced RTMP v2), and its header first.
func (in *ingest) pushOpus(b []byte, ms int64, alt bool) error {
	told := &in.mainTold
	if alt {
		told = &in.altTold
	}
	if !*told {
		*told = true
		if err := in.push(media.Audio, alt, append([]byte("\x90Opus"), opusHead...), ms); err != nil {
			return err
		}
	}
	return in.push(media.Audio, alt, append([]byte("\x91Opus"), b...), ms)
}

// line is the time of one track. All times are in µs since the publisher came.
type line struct {
	clock    int64
	started  bool
	last     uint32 // RTP time of the newest sample
	ticks    int64  // how far it is from the first
	offset   int64  // time of the first
	reported bool
	ahead    int64 // the sender's clock less ours, by its newest report
}

// time is that of a sample. The first one's is when it came.
func (l *line) time(stamp uint32, origin time.Time) int64 {
	if !l.started {
		l.started, l.last = true, stamp
		l.offset = time.Since(origin).Microseconds()
	}
	l.ticks += int64(int32(stamp - l.last)) //nolint:gosec // the shorter way round
	l.last = stamp
	return l.offset + l.ticks*1_000_000/l.clock
}

// report takes a sender report: at ntp, the track's clock was stamp.
func (l *line) report(ntp uint64, stamp uint32) {
	if !l.started || ntp == 0 {
		return
	}
	at := int64(ntp>>32)*1_000_000 + int64(ntp&0xffffffff*1_000_000>>32) //nolint:gosec // fits
	ticks := l.ticks + int64(int32(stamp-l.last))                        //nolint:gosec // the shorter way round
	l.reported, l.ahead = true, at-(l.offset+ticks*1_000_000/l.clock)
}
