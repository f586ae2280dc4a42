package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"gtiv/daemon/account"
	"gtiv/daemon/chat"
	"gtiv/daemon/gateway"
	"gtiv/daemon/live"
	"gtiv/daemon/video"
	"gtiv/daemon/web"
	"gtiv/protocol"
	"gtiv/store/queue"
)

// This file translates between the parts: each has its own configuration and
// its own words, so that none knows the others.

func accountConfig(c Config) account.Config {
	return account.Config{
		Registration: c.Site.Registration, PhoneRegistration: c.Account.PhoneRegistration,
		RegistrationsPerHour: c.Limits.RegistrationsPerHour, LoginFailures: c.Limits.LoginFailures,
		SingleDevice: c.Account.SingleDevice, NameReserved: time.Duration(c.Account.NameReserved),
		PasswordMin: c.Account.PasswordMin, MemoryKiB: uint32(min(c.Account.ArgonMemory>>10, 1<<30)), //nolint:gosec // bounded
		Language: c.Site.Language, SiteName: c.Site.Name, NewAccount: time.Duration(c.Limits.NewAccountMinutes) * time.Minute,
	}
}

func chatConfig(c Config) chat.Config {
	return chat.Config{
		SendsPerSecond: float64(c.Limits.SendsPerSecond), SendBurst: c.Limits.SendBurst,
		Retention: time.Duration(c.Chat.Retention), PerCap: c.Chat.ConversationCap,
		RecallWindow: time.Duration(c.Chat.RecallWindow), Language: c.Site.Language,
		RoomSends: float64(c.Limits.RoomSendsPerSecond), RoomMembers: c.Limits.RoomMembers, OwnedRooms: c.Limits.OwnedRooms, RoomsPerHour: c.Limits.RoomsPerHour,
		RoomName: c.Chat.RoomName, RoomNotice: c.Chat.RoomNotice,
	}
}

func liveConfig(c Config) live.Config {
	return live.Config{
		SendsPerSecond: float64(c.Limits.SendsPerSecond), SendBurst: c.Limits.SendBurst,
		Retention: time.Duration(c.Chat.Retention), Language: c.Site.Language,
		RoomSendsPerSecond: float64(c.Limits.RoomSendsPerSecond), Who: c.Live.Who,
	}
}

func videoConfig(c Config) video.Config {
	return video.Config{ActionsPerSecond: float64(c.Limits.SendsPerSecond), ActionBurst: c.Limits.SendBurst, Language: c.Site.Language}
}

func (d *Daemon) videoDeps() video.Deps {
	return video.Deps{
		Store: d.store, Logger: d.log.With("component", "video"), Censor: d.words.censor,
		TooNew: func(ctx context.Context, user int64) (time.Duration, error) { return d.account.TooNew(ctx, user) },
		Online: d.gateway.Online,
		Notify: func(user int64, n protocol.Notice) {
			d.gateway.Push(user, &gateway.Push{Op: protocol.OpNotice, Body: n.JSON(), FeaturesOnly: true})
		},
	}
}

func gatewayConfig(c Config) gateway.Config {
	// Behind a proxy many people share one address.
	proxies := append([]netip.Prefix{}, c.Site.TrustedProxies...)
	return gateway.Config{
		SessionsPerUser: c.Gateway.SessionsPerUser, ConnectionsPerAddress: c.Gateway.ConnectionsPerAddress,
		MaxConnections: sharesOf(openFiles(), c.Gateway.MaxConnections).comet, Unlimited: proxies,
		Handshake: time.Duration(c.Gateway.Handshake), Idle: time.Duration(c.Gateway.Idle),
	}
}

func siteConfig(c Config) web.Site {
	return web.Site{
		Name: c.Site.Name, PublicURL: c.Site.PublicURL, TrustedProxies: c.Site.TrustedProxies, Language: c.Site.Language,
		AppVersion: c.Site.AppVersion, AppURL: c.Site.AppURL, AppForce: c.Site.AppForceUpgrade,
	}
}

func gatewayPush(p chat.Push) *gateway.Push {
	op := protocol.OpPrivate
	if p.Room != 0 {
		op = protocol.RoomOp(p.Room)
	}
	return &gateway.Push{
		Op: op, Type: p.Type, Body: p.Body, FeatureBody: p.FeatureBody, Conversation: p.Conversation,
		Seq: p.Seq, Silent: p.Silent, ExceptSession: p.ExceptSession, Slow: p.Slow,
	}
}

// gatewayRoomPush keeps what is shared shared: the frames of a push are built
// once.
func gatewayRoomPush(p chat.RoomPush) gateway.GroupPush {
	made := map[*chat.Push]*gateway.Push{}
	shared := func(of func(user int64) *chat.Push) func(user int64) *gateway.Push {
		if of == nil {
			return nil
		}
		return func(user int64) *gateway.Push {
			c := of(user)
			if c == nil {
				return nil
			}
			if made[c] == nil {
				made[c] = gatewayPush(*c)
			}
			return made[c]
		}
	}
	out := gateway.GroupPush{
		Members: p.Members, Author: p.Author, Conversation: p.Conversation, First: p.First, Gone: p.Gone,
		Each: shared(p.Each), Greet: shared(p.Greet), Part: shared(p.Part),
	}
	if p.Push != nil {
		out.Push = gatewayPush(*p.Push)
	}
	return out
}

// liveDeps ties live rooms to the broadcast rooms of the gateway.
func (d *Daemon) liveDeps() live.Deps {
	return live.Deps{
		Store: d.store, Logger: d.log.With("component", "live"),
		Publish: func(room int64, f live.Frame) { d.gateway.Publish(protocol.LiveRoomName(room), broadcast(f)) },
		Disband: func(room int64) { d.gateway.Disband(protocol.LiveRoomName(room)) },
		Censor:  d.words.censor,
		TooNew:  func(ctx context.Context, user int64) (time.Duration, error) { return d.account.TooNew(ctx, user) },
		Online:  func(room int64) int { return d.gateway.RoomOnline(protocol.LiveRoomName(room)) },
		OffAir:  d.offAir, Tell: d.queue.Topic(topicLive, queue.TopicOptions{}),
		Notify: func(user int64, n protocol.Notice) {
			d.gateway.Push(user, &gateway.Push{Op: protocol.OpNotice, Body: n.JSON(), FeaturesOnly: true})
		},
	}
}

func broadcast(f live.Frame) gateway.Broadcast {
	return gateway.Broadcast{Op: f.Op, Seq: f.Seq, Body: f.Body, ByLanguage: f.ByLanguage}
}

// joinLive lets a connection into a live room.
func (d *Daemon) joinLive(ctx context.Context, c gateway.ConnInfo, name, token string, enter func([]gateway.Broadcast)) {
	room, ok := protocol.ParseLiveRoomName(name)
	if !ok {
		return
	}
	v := d.media.signer.Viewer(token, room)
	if v.User = 0; !c.Guest { // the token of a path does not say who is connected
		v.User = c.User
	}
	d.live.Join(ctx, v, room, func(last []live.Frame) {
		backlog := make([]gateway.Broadcast, len(last))
		for i, f := range last {
			backlog[i] = broadcast(f)
		}
		enter(backlog)
	})
}

// gatewayDeps ties the gateway to the features. They are made after it, so it
// reaches them through the daemon.
func (d *Daemon) gatewayDeps() gateway.Deps {
	return gateway.Deps{
		Authenticate: d.authenticate,
		Handed: func(session, conversation int64, from, to uint64) {
			d.chat.Handed(session, conversation, from, to)
		},
		Confirmed: func(session, conversation int64, from, to uint64) {
			d.chat.Confirmed(session, conversation, from, to)
		},
		Opened: func(c gateway.ConnInfo) {
			if !c.Guest && !c.Features {
				d.chat.Connected(chat.Caller{User: c.User, Session: c.Session, Language: c.Language})
			}
		},
		Join:        d.joinLive,
		ClientAddr:  func(r *http.Request) netip.Addr { return d.web.ClientAddress(r) },
		Banned:      func(a netip.Addr) bool { return d.account.AddressBanned(a) },
		RevokedText: func(language string) string { return protocol.Text(language, "loggedOut") },
		Logger:      d.log,
	}
}

// authenticate answers the gateway's question in its words.
func (d *Daemon) authenticate(ctx context.Context, token string) (gateway.Identity, error) {
	p, err := d.account.Authenticate(ctx, token)
	id := gateway.Identity{User: p.User, Session: p.Session, Language: protocol.LanguageOf(p.Language, d.cfg.Load().Site.Language)}
	switch {
	case errors.Is(err, account.ErrUnknownToken):
		return id, gateway.ErrUnknownToken
	case errors.Is(err, account.ErrRevoked):
		return id, gateway.ErrRevoked
	case err != nil:
		return id, fmt.Errorf("authenticate connection: %w", err)
	}
	return id, nil
}

// Reload reads the configuration again and applies what can be applied while
// running. A configuration with problems changes nothing.
func (d *Daemon) Reload(ctx context.Context) (applied, needRestart []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opt.Reload == nil {
		return nil, nil, errors.New("this daemon was started without a way to read its configuration again")
	}
	d.notify.Reloading()
	defer d.notify.Ready()
	fresh, err := d.opt.Reload()
	if err != nil {
		return nil, nil, fmt.Errorf("reload configuration: %w", err)
	}
	applied, needRestart = Changed(*d.cfg.Load(), fresh)
	next := Reloaded(*d.cfg.Load(), fresh)
	list, err := readWords(next.Moderation)
	if err != nil {
		return nil, nil, fmt.Errorf("reload configuration: %w", err)
	}
	if err := errors.Join(d.account.SetConfig(accountConfig(next)), d.web.SetSite(siteConfig(next))); err != nil {
		return nil, nil, fmt.Errorf("reload configuration: %w", err)
	}
	d.chat.SetConfig(chatConfig(next))
	d.words.set(list)
	d.live.SetConfig(liveConfig(next))
	d.stream.Sessions().SetLimits(streamConfig(next).Limits)
	d.video.SetConfig(videoConfig(next))
	d.media.process.SetConfig(processConfig(next))
	d.record.SetConfig(recordConfig(next))
	if d.opt.Level != nil {
		if err := setLevel(d.opt.Level, next.Log.Level); err != nil {
			return nil, nil, err
		}
	}
	d.cfg.Store(&next)
	d.log.InfoContext(ctx, "configuration reloaded", "applied", applied, "need_restart", needRestart)
	return applied, needRestart, nil
}
