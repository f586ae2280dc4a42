package daemon

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"net/netip"
	"os/exec"
	"strconv"
	"time"

	"gtiv/daemon/dial"
	"gtiv/daemon/live"
	"gtiv/daemon/stream"
	"gtiv/media"
	"gtiv/media/clip"
	"gtiv/media/rtc"
	"gtiv/media/rtmp"
	"gtiv/protocol"
)

// This file ties live streams to the rules of live rooms. A room is called by its
// number on every wire.

func streamConfig(c Config) stream.Config {
	return stream.Config{
		Limits:   media.Limits{Viewers: c.Live.Viewers, PerStream: c.Live.ViewersPerStream, PerAddress: c.Live.ViewersPerAddress},
		MaxConns: c.Live.RTMPConnections, MaxPerAddress: c.Live.ViewersPerAddress, Silence: time.Duration(c.Live.Silence), Grace: time.Duration(c.Live.Grace),
	}
}

// makeStreams builds what takes and serves live streams.
func (d *Daemon) makeStreams(ctx context.Context) error {
	still, err := clip.New(clip.Config{FFmpeg: d.opt.Config.Video.FFmpeg, FFprobe: d.opt.Config.Video.FFprobe, Threads: 1})
	if err != nil {
		return err
	}
	cfg := streamConfig(d.opt.Config)
	cfg.RTC = rtc.Config{UDP: d.sockets.rtcUDP, TCP: d.sockets.rtcTCP, PublicAddresses: d.opt.Config.Live.PublicAddresses}
	if cfg.FFmpeg, err = exec.LookPath(cmp.Or(d.opt.Config.Video.FFmpeg, "ffmpeg")); err != nil {
		cfg.FFmpeg = "" // the sound of WebRTC stays there, and that of others out of it, until the next start
	}
	outgoing := &dial.Dialer{Allow: d.opt.Config.Live.RelayNetworks}
	d.stream, err = stream.New(cfg, stream.Deps{
		ByKey: func(ctx context.Context, key string) (string, int64, error) {
			r, err := d.live.ByKey(ctx, key)
			return strconv.FormatInt(r.ID, 10), r.Owner, err
		},
		MayWatch: func(ctx context.Context, room, token string) (int64, error) {
			id, err := strconv.ParseInt(room, 10, 64)
			if err != nil {
				return 0, live.ErrNoStream
			}
			v := d.media.signer.Viewer(token, id)
			return v.User, d.live.MayWatch(ctx, v, id)
		},
		MayStillWatch: func(ctx context.Context, room string, user int64) bool {
			id, err := strconv.ParseInt(room, 10, 64)
			return err == nil && protocol.CodeOf(d.live.MayWatch(ctx, live.Viewer{User: user}, id)) != protocol.CodeForbidden
		},
		MayStay: d.mayStay,
		Pushes: func(ctx context.Context, room string) []string {
			id, err := strconv.ParseInt(room, 10, 64)
			if err != nil {
				return nil
			}
			list, err := d.store.LivePushes(ctx, id)
			if err != nil {
				d.log.Warn("stream not pushed to other servers", "room", room, "err", err)
			}
			return list
		},
		Dial: outgoing.DialContext,
		OnAir: func(ctx context.Context, room string, on bool) {
			id, err := strconv.ParseInt(room, 10, 64)
			if err == nil && on {
				d.record.OnAir(id)
			}
			if err == nil {
				err = d.live.OnAir(ctx, id, on)
			}
			if err != nil {
				d.log.Warn("state of a live room not noted", "room", room, "on_air", on, "err", err)
			}
		},
		Address:  func(r *http.Request) netip.Addr { return d.web.ClientAddress(r) },
		NotFound: func(w http.ResponseWriter, r *http.Request) { d.web.NotFound(w, r) },
		Still:    still.Still,
		Log:      d.log.With("component", "stream"),
	})
	if err != nil {
		return err
	}
	token, err := textSecret(d.opt.Data, "control.token")
	if err != nil {
		return err
	}
	key := func(reset bool) func(ctx context.Context, room string) (string, error) {
		return func(ctx context.Context, room string) (string, error) {
			id, err := strconv.ParseInt(room, 10, 64)
			if err != nil {
				return "", stream.ErrNoRoom
			}
			key, err := d.live.AnyKey(ctx, id, reset)
			if protocol.CodeOf(err) == protocol.CodeUnknown {
				err = stream.ErrNoRoom
			}
			return key, err
		}
	}
	d.controls = d.stream.NewControls(token, stream.ControlDeps{
		Key: key(false), Reset: key(true),
		// A deleted key is another one that nobody knows.
		Delete: func(ctx context.Context, room string) error { _, err := key(true)(ctx, room); return err },
	})
	return d.store.NobodyOnAir(ctx)
}

// offAir ends the stream of a live room.
func (d *Daemon) offAir(room int64) {
	if d.stream != nil {
		d.stream.OffAir(strconv.FormatInt(room, 10))
	}
}

// mayStay says whether a stream may still be on air; while nobody can tell it may.
func (d *Daemon) mayStay(ctx context.Context, room string) bool {
	id, err := strconv.ParseInt(room, 10, 64)
	if err != nil {
		return true // of a relay that somebody started
	}
	may, err := d.live.MayStay(ctx, id)
	if err != nil {
		d.log.Warn("nobody knows whether a stream may be on air", "room", room, "err", err)
		return true
	}
	return may
}

// liveStreams are the live streams as client apps and administrators see them.
type liveStreams struct{ s *stream.Server }

func roomName(room int64) string { return strconv.FormatInt(room, 10) }

func (l liveStreams) Cover(room int64) string   { return l.s.Cover(roomName(room)) }
func (l liveStreams) Viewers(room int64) int    { return l.s.Sessions().Viewers(roomName(room)) }
func (l liveStreams) KickViewers(room int64)    { l.s.KickViewers(roomName(room)) }
func (l liveStreams) Notes(room int64) []string { return l.s.Notes(roomName(room)) }

func (l liveStreams) Stream(room int64) (st protocol.LiveStream, began int64, ok bool) {
	f, ok := l.s.Figures(roomName(room))
	if !ok {
		return st, 0, false
	}
	return protocol.LiveStream{
		Protocol: f.Protocol, Video: string(f.Video), Audio: string(f.Audio), VideoKbps: f.VideoKbps, AudioKbps: f.AudioKbps,
		Fps: math.Round(f.Fps*10) / 10, KeyEvery: f.KeyEvery.Milliseconds(), BFrames: f.BFrames,
	}, f.Began.UnixMilli(), true
}

func (l liveStreams) Sessions(room int64) []protocol.LiveSession {
	list := []protocol.LiveSession{}
	var published int64
	if f, ok := l.s.Figures(roomName(room)); ok {
		published = f.VideoBytes + f.AudioBytes
	}
	for _, v := range l.s.Sessions().List(roomName(room)) {
		p := protocol.LiveSession{
			ID: v.ID, Publish: v.Publish, Protocol: v.Protocol, UserID: v.User, Began: v.Began.UnixMilli(), Bytes: v.Out.Load(), Note: v.Note,
		}
		if v.Address.IsValid() {
			p.Address = v.Address.String()
		}
		if v.Publish {
			p.Bytes = published
		}
		list = append(list, p)
	}
	return list
}

func (l liveStreams) Kick(room, session int64, d time.Duration) bool {
	return l.s.Kick(roomName(room), session, d)
}

func (l liveStreams) KickPublisher(room int64, d time.Duration) bool {
	return l.s.KickPublisher(roomName(room), d)
}

func (l liveStreams) BarredUntil(room int64) time.Time { return l.s.BarredUntil(roomName(room)) }

func (l liveStreams) Pardon(room int64) { l.s.Pardon(roomName(room)) }

func (l liveStreams) PushState(room int64, url string) string {
	return l.s.PushState(roomName(room), url)
}

func (l liveStreams) CheckPush(url string) error { return rtmp.CheckAddress(url) }

func (l liveStreams) Push(room int64, url string, on bool) { l.s.Push(roomName(room), url, on) }
