package rtc

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"gtiv/media"
)

const (
	// headerTime is how long a viewer waits for a stream that has just begun.
	headerTime  = 3 * time.Second
	reportEvery = time.Second
)

// Peer is who asks.
type Peer struct {
	Address netip.Addr
	User    int64 // 0: nobody knows
}

// Refuses says why a stream cannot be sent by WebRTC; nil: it can.
func Refuses(m *media.Stream) error {
	st := m.Stats()
	switch {
	case st.Video != "" && st.Video != media.H264:
		return refuse(http.StatusNotAcceptable, "codec", "the pictures are %s, browsers take H.264 by WebRTC", st.Video.Name())
	case st.BFrames:
		return refuse(http.StatusNotAcceptable, "b-frames", "the stream has B-frames, which WebRTC cannot carry: set the encoder to 0 of them")
	}
	return nil
}

// ServeWHEP answers requests to the WHEP address of a stream: POST makes a session
// (draft-ietf-wish-whep). The session goes on after it, at Location: ServeSession.
func (s *Server) ServeWHEP(w http.ResponseWriter, r *http.Request, m *media.Stream, p Peer) {
	if cors(w, r, http.MethodPost) {
		return
	}
	c, sdp, err := s.watch(w, r, m, p)
	if err != nil {
		s.log.Debug("viewer refused", "room", m.Name, "address", p.Address, "err", err)
		write(w, err)
		return
	}
	reply(w, r, c, sdp)
}

// watch makes a session of a viewer.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, m *media.Stream, p Peer) (*session, string, error) {
	o, err := readOffer(w, r)
	if err != nil {
		return nil, "", err
	}
	if err := ready(r.Context(), m); err != nil {
		return nil, "", err
	}
	ctx, api, end, err := s.begin(false)
	if err != nil {
		return nil, "", err
	}
	c, sdp, err := s.serve(ctx, api, m, p, o, end)
	if err != nil {
		end()
	}
	return c, sdp, err
}

// ready waits for the first picture of a stream and says whether it can be sent.
func ready(ctx context.Context, m *media.Stream) error {
	ctx, cancel := context.WithTimeout(ctx, headerTime)
	defer cancel()
	r := m.Watch()
	defer r.Close()
	if _, _, err := r.Next(ctx); err != nil {
		return refuse(http.StatusServiceUnavailable, "no-picture", "the stream has no picture yet")
	}
	return Refuses(m)
}

// serve registers and negotiates; end is called when the session is over.
func (s *Server) serve(ctx context.Context, api *webrtc.API, m *media.Stream, p Peer, o *offer, end func()) (*session, string, error) {
	c, err := s.newSession(ctx, api, media.ProtocolWHEP, m.Name)
	if err != nil {
		return nil, "", err
	}
	info := &media.Session{
		Room: m.Name, Protocol: media.ProtocolWHEP, Address: p.Address, User: p.User, Began: time.Now(), Note: s.SoundNote(m),
		Kick: func() { c.cancel(errKicked) },
	}
	remove, err := s.register(info)
	if err != nil {
		s.finish(c, err)
		return nil, "", err
	}
	v := &viewer{session: c}
	out := s.join(m, v, &info.Out)
	leave := func(why error) {
		out.leave(v)
		s.finish(c, why)
		remove()
	}
	sdp, err := v.negotiate(o)
	if err != nil {
		leave(err)
		v.work.Wait()
		return nil, "", err
	}
	go func() { // ends with the session
		defer end()
		leave(c.wait(s.cfg.Patience))
		v.work.Wait()
	}()
	return c, sdp, nil
}

// SoundNote says in words why viewers of a stream have no sound; "": they have it, or
// there is none.
func (s *Server) SoundNote(m *media.Stream) string {
	st := m.Stats()
	switch {
	case st.Audio == "" || st.Alt == media.Opus || st.Audio == media.Opus || st.Audio == media.AAC && s.deps.FFmpeg != "":
		return ""
	case st.Audio == media.AAC:
		return "no sound: there is no ffmpeg to make Opus of AAC"
	}
	return "no sound: browsers take Opus by WebRTC, this is " + st.Audio.Name()
}

// viewer is one who watches.
type viewer struct {
	*session
	out          *output
	video, audio *track
	reported     bool // of output.run
	work         sync.WaitGroup
}

func (v *viewer) negotiate(o *offer) (string, error) {
	for _, t := range []*track{v.video, v.audio} {
		if t == v.video && !o.video || t == v.audio && !o.audio {
			continue
		}
		sender, err := v.pc.AddTrack(t)
		if err != nil {
			return "", err
		}
		v.work.Go(func() { v.readRTCP(sender, t == v.video) })
	}
	return v.answer(o)
}

// readRTCP hands what a viewer reports to the library, which sends lost packets again,
// until the session ends; and asks for key frames that are missed.
func (v *viewer) readRTCP(sender *webrtc.RTPSender, video bool) {
	for {
		list, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range list {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				if video {
					v.out.s.askKey(v.out.stream.Name)
				}
			}
		}
	}
}

// output sends one stream to all who watch it by WebRTC.
type output struct {
	s      *Server
	stream *media.Stream
	cancel context.CancelFunc
	users  int // guarded by Server.mu

	mu      sync.RWMutex
	viewers map[*viewer]struct{}
	ended   error // why there is nothing any more

	// Of run alone.
	record   *record
	sound    *sound
	began    time.Time // when time 0 was
	from     int64     // what is older is late: nobody was connected then
	reported time.Time
}

// join adds a viewer to the output of a stream, which begins with the first.
func (s *Server) join(m *media.Stream, v *viewer, sent *atomic.Int64) *output {
	profile := ""
	if h := m.Headers().Video; h != nil {
		if r, err := parseRecord(h.Content); err == nil {
			profile = r.profile()
		}
	}
	v.video = newTrack(webrtc.RTPCodecTypeVideo, m.Name, profile, sent)
	v.audio = newTrack(webrtc.RTPCodecTypeAudio, m.Name, "", sent)
	s.mu.Lock()
	o := s.outputs[m]
	if o == nil {
		ctx, cancel := context.WithCancel(s.ctx)
		o = &output{s: s, stream: m, cancel: cancel, viewers: map[*viewer]struct{}{}}
		o.sound = newSound(o)
		s.outputs[m] = o
		s.work.Go(func() { o.run(ctx) })
	}
	o.users++
	s.mu.Unlock()
	v.out = o
	o.mu.Lock()
	o.viewers[v] = struct{}{}
	ended := o.ended
	o.mu.Unlock()
	if ended != nil {
		v.cancel(ended)
	}
	return o
}

// leave takes a viewer out; the output ends with the last.
func (o *output) leave(v *viewer) {
	o.mu.Lock()
	delete(o.viewers, v)
	o.mu.Unlock()
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if o.users--; o.users == 0 {
		o.cancel()
		if o.s.outputs[o.stream] == o {
			delete(o.s.outputs, o.stream)
		}
	}
}

// run sends until the stream or ctx ends, or the stream becomes one that cannot go.
func (o *output) run(ctx context.Context) {
	r := o.stream.Watch()
	defer r.Close()
	err := o.read(ctx, r)
	o.sound.coding.close()
	o.mu.Lock()
	o.ended = err
	for v := range o.viewers {
		v.cancel(err)
	}
	o.mu.Unlock()
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if o.s.outputs[o.stream] == o { // who comes now begins anew, and is told why not
		delete(o.s.outputs, o.stream)
	}
	var why *refusal
	if errors.As(err, &why) {
		o.s.log.Info("no WebRTC any more", "room", o.stream.Name, "why", why)
	}
}

func (o *output) read(ctx context.Context, r *media.Reader) error {
	for first := true; ; first = false {
		round, h, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if h != nil {
			o.sound.headers(h)
			if h.Video != nil {
				o.header(h.Video)
			}
		}
		if first {
			o.from = o.stream.Stats().Time
			o.began = time.Now().Add(-time.Duration(o.from) * time.Millisecond)
		}
		for _, list := range [][]*media.Message{round.Messages, round.Alt} {
			for _, m := range list {
				if err := o.message(m); err != nil {
					return err
				}
			}
		}
		o.report(time.Now())
	}
}

func (o *output) header(m *media.Message) {
	switch {
	case m.Kind == media.Audio:
		o.sound.header(m)
	case m.Kind == media.Video && m.Codec == media.H264:
		r, err := parseRecord(m.Content)
		if err != nil {
			o.s.log.Debug("pictures not sent", "room", o.stream.Name, "err", err)
		}
		o.record = r
	}
}

func (o *output) message(m *media.Message) error {
	switch {
	case m.Header:
		o.header(m)
	case m.Time < o.from:
	case m.Kind == media.Audio:
		o.sound.write(m)
	case m.Kind == media.Video && (m.Codec != media.H264 || m.Shift != 0):
		return Refuses(o.stream)
	case m.Kind == media.Video && o.record != nil && len(m.Content) > 0:
		payloads, err := o.record.packetise(m.Content, m.Key)
		if err != nil || len(payloads) == 0 {
			return nil //nolint:nilerr // one picture less
		}
		o.mu.RLock()
		defer o.mu.RUnlock()
		for v := range o.viewers {
			v.video.send(payloads, m.Time*videoClock/1000, m.Key)
		}
	}
	return nil
}

// sendSound sends a packet of Opus of a time in ticks.
func (o *output) sendSound(packet []byte, ticks int64) {
	payloads := [][]byte{packet}
	o.mu.RLock()
	defer o.mu.RUnlock()
	for v := range o.viewers {
		v.audio.send(payloads, ticks, true)
	}
}

// report tells viewers how the times of pictures and sound belong together, at once
// when there is something to tell and then now and then.
func (o *output) report(now time.Time) {
	all := now.Sub(o.reported) >= reportEvery
	if all {
		o.reported = now
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	for v := range o.viewers {
		if v.reported && !all {
			continue
		}
		var list []rtcp.Packet
		for _, t := range []*track{v.video, v.audio} {
			if r := t.report(o.began); r != nil {
				list = append(list, r)
			}
		}
		v.reported = len(list) == 2
		if len(list) > 0 {
			_ = v.pc.WriteRTCP(list) // lost, as packets are
		}
	}
}
