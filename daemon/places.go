package daemon

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gtiv/daemon/limit"
)

// shares divides the open files that the process may have. Each kind of
// connection is bounded by its own, so that none can take the last descriptor:
// chat, the control socket and the database go on when HTTP is full.
type shares struct {
	comet      int // chat connections that are logged in or about to, of every transport
	http       int // connections of the HTTP ports, as long as they speak HTTP
	handshakes int // connections of the TLS ports that have not said what they are
}

// sharesOf divides files; chat gets what the operator set, or the most.
func sharesOf(files, chat int) shares {
	reserve := min(max(files/32, 128), 2048) // files, database, control socket
	rest := max(files-reserve, 64)
	s := shares{http: min(max(rest/8, 32), 16384), handshakes: min(max(rest/16, 16), maxHandshakes)}
	if chat > 0 {
		s.http = max(min(s.http, rest-s.handshakes-chat), 32)
		s.comet = chat
		return s
	}
	s.comet = max(rest-s.http-s.handshakes, 16)
	return s
}

// openFiles is the limit of open files.
func openFiles() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	return int(min(l.Cur, 1<<22)) //nolint:gosec // bounded right here
}

// places bounds the connections that speak HTTP, in all and per address (IPv6:
// per /64). A WebSocket gives its place back: the gateway counts it.
type places struct {
	total, perAddress int
	shared            func(netip.Addr) bool // addresses of many people, which perAddress does not bind
	log               *slog.Logger

	mu     sync.Mutex
	n      int            // guarded by mu
	by     map[string]int // connections by address; guarded by mu
	warned time.Time      // guarded by mu
}

func newPlaces(total, perAddress int, shared func(netip.Addr) bool, log *slog.Logger) *places {
	return &places{total: total, perAddress: perAddress, shared: shared, log: log, by: map[string]int{}}
}

// take takes a place for a connection from a, unless too many have one. leave
// gives it back; only its first call counts.
func (p *places) take(a netip.Addr) (leave func(), ok bool) {
	key := limit.AddressKey(a)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n >= p.total {
		if now := time.Now(); now.Sub(p.warned) > time.Minute {
			p.warned = now
			p.log.Warn("HTTP connections refused, there are too many", "most", p.total)
		}
		return nil, false
	}
	if p.by[key] >= p.perAddress && !p.shared(a) {
		return nil, false
	}
	p.n++
	p.by[key]++
	return sync.OnceFunc(func() { p.give(key) }), true
}

func (p *places) give(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n--
	if p.by[key]--; p.by[key] <= 0 {
		delete(p.by, key)
	}
}

// limited is a listener of HTTP that closes at once what finds no place. It
// never waits for one: then nobody would be told.
type limited struct {
	*net.TCPListener
	places *places
}

// limit puts HTTP listeners under these limits.
func (p *places) limit(lns []net.Listener) []net.Listener {
	out := make([]net.Listener, len(lns))
	for i, ln := range lns {
		out[i] = &limited{ln.(*net.TCPListener), p} // see bind
	}
	return out
}

// Accept returns the next connection that has a place.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if leave, ok := l.places.take(addressOf(c)); ok {
			return &placed{c, leave}, nil
		}
		_ = c.Close()
	}
}

// placed is a connection with a place. The embedded type keeps sendfile.
type placed struct {
	*net.TCPConn
	leave func()
}

// NetConn is the socket, for who looks below the connection.
func (c *placed) NetConn() net.Conn { return c.TCPConn }

func (c *placed) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}

func (c *placed) leavePlace() { c.leave() }

// whenHijacked gives back the places of what does not speak HTTP any more.
func whenHijacked(c net.Conn, s http.ConnState) {
	if p, ok := c.(interface{ leavePlace() }); ok && s == http.StateHijacked {
		p.leavePlace()
	}
}

// addressOf is the address of a connection's peer.
func addressOf(c net.Conn) netip.Addr {
	ap, _ := netip.ParseAddrPort(c.RemoteAddr().String()) // the zero address counts like any other
	return ap.Addr().Unmap().WithZone("")
}

// sharedAddress reports whether many people may stand behind an address: the
// host itself and the proxies in front of it.
func (d *Daemon) sharedAddress(a netip.Addr) bool {
	return a.IsLoopback() || slices.ContainsFunc(d.cfg.Load().Site.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
