package daemon

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"os/exec"
	"strconv"
	"time"

	"gtiv/daemon/dial"
	"gtiv/daemon/gateway"
	"gtiv/daemon/live"
	"gtiv/daemon/stream"
	"gtiv/media"
	"gtiv/media/clip"
	"gtiv/media/rtc"
	"gtiv/protocol"
)

// This file ties live streams to the rules of live rooms. A room is called by its
// number on every wire.

func streamConfig(c Config) stream.Config {
	return stream.Config{
		Limits:   media.Limits{Viewers: c.Live.Viewers, PerStream: c.Live.ViewersPerStream, PerAddress: c.Live.ViewersPerAddress},
		MaxConns: c.Live.RTMPConnections, MaxPerAddress: c.Live.ViewersPerAddress, Silence: time.Duration(c.Live.Silence),
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
	d.stream, err = stream.New(cfg, stream.Deps{
		ByKey: func(ctx context.Context, key string) (string, int64, error) {
			r, err := d.live.ByKey(ctx, key)
			return strconv.FormatInt(r.ID, 10), r.Owner, err
		},
		MayWatch: func(ctx context.Context, room, _ string) error {
			id, err := strconv.ParseInt(room, 10, 64)
			if err != nil {
				return live.ErrNoStream
			}
			return d.live.MayWatch(ctx, 0, id)
		},
		OnAir: func(ctx context.Context, room string, on bool) {
			id, err := strconv.ParseInt(room, 10, 64)
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
	outgoing := &dial.Dialer{Allow: d.opt.Config.Live.RelayNetworks}
	d.controls = d.stream.NewControls(token, stream.ControlDeps{
		Key: key(false), Reset: key(true),
		// A deleted key is another one that nobody knows.
		Delete: func(ctx context.Context, room string) error { _, err := key(true)(ctx, room); return err },
		Dial:   outgoing.DialContext,
	})
	return d.store.NobodyOnAir(ctx)
}

// offAir ends the stream of a live room.
func (d *Daemon) offAir(room int64) {
	if d.stream != nil {
		d.stream.OffAir(strconv.FormatInt(room, 10))
	}
}

// maxToldFans bounds whom the beginning of one stream is told.
const maxToldFans = 10_000

// tellFollowers tells those who follow somebody and are connected.
func (d *Daemon) tellFollowers(ctx context.Context, owner int64, n protocol.Notice) {
	fans, err := d.store.Fans(ctx, owner, maxToldFans)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			d.log.Warn("followers not told", "user", owner, "err", err)
		}
		return
	}
	push := &gateway.Push{Op: protocol.OpNotice, Body: n.JSON(), FeaturesOnly: true}
	for _, f := range fans {
		d.gateway.Push(f.Account.ID, push)
	}
}
