package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"gtiv/protocol"
)

// Config bounds and times the gateway. A zero field takes the default named
// behind it; negative values are refused by New.
type Config struct {
	// SessionsPerUser is how many connections one user may have. Above it the
	// oldest one is closed, not the newest: after a change of network the old
	// one is a corpse. Default 16.
	SessionsPerUser int
	// ConnectionsPerAddress bounds the connections of one client address (IPv6:
	// of one /64). Default 256.
	ConnectionsPerAddress int
	// Unlimited lists the addresses that ConnectionsPerAddress does not bind,
	// because many people share them: proxies, the host itself. Nil means
	// loopback; an empty list means nobody.
	Unlimited []netip.Prefix
	// MaxConnections bounds all connections. Default: the limit of open files
	// less a reserve for files, database and other listeners.
	MaxConnections int
	// Held and HeldPerAddress bound how many failed logins are kept silent
	// instead of being reset at once, in all and per address. Defaults 1024, 8.
	Held, HeldPerAddress int

	// Handshake is how long a client may take to log in, and how long a failed
	// login is held. Default 15 s.
	Handshake time.Duration
	// Idle closes a connection that sent no whole frame for so long. Default 300 s.
	Idle time.Duration
	// AuthTimeout ends the context given to Authenticate, RequestTimeout the one
	// given to Request. Defaults 10 s, 30 s.
	AuthTimeout, RequestTimeout time.Duration
	// TryAgain is the pause before the reset when Authenticate failed for a
	// reason that may pass. Default 1 s.
	TryAgain time.Duration
	// WriteTimeout is how long a blocked write of at most 16 KiB may take.
	// Default 30 s.
	WriteTimeout time.Duration
	// Farewell passes between the last push of a kicked connection and its
	// close; FarewellMax bounds the whole parting. Defaults 1 s, 10 s.
	Farewell, FarewellMax time.Duration
	// CloseWait bounds the closing handshake of a WebSocket. Default 1 s.
	CloseWait time.Duration
	// Drain bounds the end of Run. Default 2 s.
	Drain time.Duration
	// ConfirmAfter is the age at which a written frame counts as confirmed by a
	// heartbeat. Default 15 s (design.md 4).
	ConfirmAfter time.Duration
	// Tick is the step of the timer wheel: every timing above and below is kept
	// no shorter than asked and at most one step longer. Default 50 ms.
	Tick time.Duration

	// App paces the unmodified Android app.
	App AppConfig

	// QueueFrames and QueueBytes bound what waits for one connection in private
	// pushes; RoomQueueBytes bounds its broadcasts. Defaults 512, 128 KiB, 64 KiB.
	QueueFrames, QueueBytes, RoomQueueBytes int
	// RoomDelayPerMember times the members of a room is the least pause between
	// two flushes of it, at most RoomDelayMax; under 5 ms there is none.
	// Defaults 45 µs, 500 ms.
	RoomDelayPerMember, RoomDelayMax time.Duration
	// GroupDelayPerMember times the members of a group is the least pause between
	// two flushes of it, at most GroupDelayMax. Defaults 50 µs, 100 ms.
	GroupDelayPerMember, GroupDelayMax time.Duration
	// InRate and InBurst bound the frames a client may send, per second and at
	// once. Defaults 50, 200.
	InRate, InBurst int
	// JoinRate and JoinBurst bound the rooms that a client enters with a backlog,
	// per second and at once; beyond them it enters without. Defaults 2, 5.
	JoinRate, JoinBurst int
	// KeepAlive is the silence before the kernel probes a peer; UserTimeout is
	// how long written bytes may stay unacknowledged. Defaults 60 s, 90 s.
	KeepAlive, UserTimeout time.Duration
	// SendBuffer is the kernel's send buffer per connection. It bounds what a
	// client that does not read may cost. Default 64 KiB.
	SendBuffer int
}

// AppConfig holds the timings of wire.md 7.4 and 7.5.
type AppConfig struct {
	// Alone is the silence before and after an op 3 or 8 (F4). Default 300 ms.
	Alone time.Duration
	// Gap is the silence between two data writes (F3). Default 100 ms.
	Gap time.Duration
	// Slow is the silence after a push that makes the reader do HTTP (F7).
	// Default 1.5 s.
	Slow time.Duration
	// Silence is how long nothing may be sent before an op 3 goes out unasked
	// (7.4). Default 100 s.
	Silence time.Duration
	// Batch bounds the bytes of several frames in one write (F2). Default 1400.
	Batch int
}

func orDefault[T ~int | ~int64](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func (c Config) withDefaults() Config {
	orDefault(&c.SessionsPerUser, 16)
	orDefault(&c.ConnectionsPerAddress, 256)
	orDefault(&c.MaxConnections, connectionsByFiles())
	orDefault(&c.Held, 1024)
	orDefault(&c.HeldPerAddress, 8)
	if c.Unlimited == nil {
		c.Unlimited = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	c.timeDefaults()
	orDefault(&c.QueueFrames, 512)
	orDefault(&c.QueueBytes, 128<<10)
	orDefault(&c.RoomQueueBytes, 64<<10)
	orDefault(&c.InRate, 50)
	orDefault(&c.InBurst, 200)
	orDefault(&c.JoinRate, 2)
	orDefault(&c.JoinBurst, 5)
	orDefault(&c.SendBuffer, 64<<10)
	orDefault(&c.App.Batch, 1400)
	return c
}

func (c *Config) timeDefaults() {
	orDefault(&c.Handshake, 15*time.Second)
	orDefault(&c.Idle, 300*time.Second)
	orDefault(&c.AuthTimeout, 10*time.Second)
	orDefault(&c.RequestTimeout, 30*time.Second)
	orDefault(&c.TryAgain, time.Second)
	orDefault(&c.WriteTimeout, 30*time.Second)
	orDefault(&c.Farewell, time.Second)
	orDefault(&c.FarewellMax, 10*time.Second)
	orDefault(&c.CloseWait, time.Second)
	orDefault(&c.Drain, 2*time.Second)
	orDefault(&c.ConfirmAfter, 15*time.Second)
	orDefault(&c.Tick, 50*time.Millisecond)
	orDefault(&c.App.Alone, 300*time.Millisecond)
	orDefault(&c.App.Gap, 100*time.Millisecond)
	orDefault(&c.App.Slow, 1500*time.Millisecond)
	orDefault(&c.App.Silence, 100*time.Second)
	orDefault(&c.GroupDelayPerMember, 50*time.Microsecond)
	orDefault(&c.GroupDelayMax, 100*time.Millisecond)
	orDefault(&c.RoomDelayPerMember, 45*time.Microsecond)
	orDefault(&c.RoomDelayMax, 500*time.Millisecond)
	orDefault(&c.KeepAlive, 60*time.Second)
	orDefault(&c.UserTimeout, 90*time.Second)
}

// check reports every value that cannot be meant, joined.
func (c Config) check() error {
	var errs []error
	counts := map[string]int{
		"SessionsPerUser": c.SessionsPerUser, "ConnectionsPerAddress": c.ConnectionsPerAddress,
		"MaxConnections": c.MaxConnections, "Held": c.Held, "HeldPerAddress": c.HeldPerAddress,
		"QueueFrames": c.QueueFrames, "QueueBytes": c.QueueBytes, "RoomQueueBytes": c.RoomQueueBytes,
		"InRate": c.InRate, "InBurst": c.InBurst, "JoinRate": c.JoinRate, "JoinBurst": c.JoinBurst, "SendBuffer": c.SendBuffer, "App.Batch": c.App.Batch,
	}
	for name, v := range counts {
		if v < 0 {
			errs = append(errs, fmt.Errorf("gateway: %s is %d", name, v))
		}
	}
	times := map[string]time.Duration{
		"Handshake": c.Handshake, "Idle": c.Idle, "AuthTimeout": c.AuthTimeout, "RequestTimeout": c.RequestTimeout,
		"TryAgain": c.TryAgain, "WriteTimeout": c.WriteTimeout, "Farewell": c.Farewell, "FarewellMax": c.FarewellMax,
		"CloseWait": c.CloseWait, "Drain": c.Drain, "ConfirmAfter": c.ConfirmAfter, "Tick": c.Tick,
		"App.Alone": c.App.Alone, "App.Gap": c.App.Gap, "App.Slow": c.App.Slow, "App.Silence": c.App.Silence,
		"RoomDelayPerMember": c.RoomDelayPerMember, "RoomDelayMax": c.RoomDelayMax,
		"GroupDelayPerMember": c.GroupDelayPerMember, "GroupDelayMax": c.GroupDelayMax,
		"KeepAlive": c.KeepAlive, "UserTimeout": c.UserTimeout,
	}
	for name, v := range times {
		if v < 0 {
			errs = append(errs, fmt.Errorf("gateway: %s is %v", name, v))
		}
	}
	if c.App.Batch > protocol.MaxAppBytes {
		errs = append(errs, fmt.Errorf("gateway: App.Batch is %d, the app reads at most %d bytes", c.App.Batch, protocol.MaxAppBytes))
	}
	return errors.Join(errs...)
}

// connectionsByFiles is the number of sockets that the limit of open files
// leaves when everything else in the process has its share.
func connectionsByFiles() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 1000
	}
	files := int(min(l.Cur, 1<<22)) //nolint:gosec // bounded right here
	reserve := min(max(files/32, 128), 2048)
	return max(files-reserve, 16)
}
