package web

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// base is the address clients reach this server under. URLs in replies start
// with it and are never stored (design.md 2).
type base struct {
	scheme string
	host   string // with the port, if it is not the scheme's own
	path   string // of a public URL below the root, without a slash at the end
	// direct: nothing stands between the client and our ports, so the port of
	// another service of ours is reachable under the same host name.
	direct bool
}

// URL is the address without a slash at the end.
func (b base) URL() string { return b.scheme + "://" + b.host + b.path }

// name is the host without its port; IPv6 addresses without brackets.
func (b base) name() string {
	if host, _, err := net.SplitHostPort(b.host); err == nil {
		return host
	}
	return strings.Trim(b.host, "[]")
}

// at is host:port of another service of this daemon.
func (b base) at(port int) string { return net.JoinHostPort(b.name(), strconv.Itoa(port)) }

// live is where a kind of live stream is served over HTTP: on its own port, or
// behind the proxy or TLS front with everything else.
func (b base) live(port int) string {
	if b.direct && b.scheme == "http" {
		return "http://" + b.at(port) + "/live/"
	}
	return b.URL() + "/live/"
}

// base finds the address: the configured one, else what a trusted proxy says,
// else the host the client asked for.
func (s *Server) base(r *http.Request) base {
	site := s.site.Load()
	if site.PublicURL != "" {
		b, _ := parsePublicURL(site.PublicURL) // checked by SetSite
		return b
	}
	b := base{scheme: "http", host: hostOf(r), direct: true}
	if r.TLS != nil {
		b.scheme = "https"
	}
	if trusted(site.TrustedProxies, remote(r)) {
		forwarded(&b, r)
	}
	return b
}

// forwarded applies the X-Forwarded headers of a trusted proxy. The last value
// is the one that proxy wrote; those before it came from its client.
func forwarded(b *base, r *http.Request) {
	proto := strings.ToLower(lastValue(r, "X-Forwarded-Proto"))
	if proto == "http" || proto == "https" {
		b.scheme, b.direct = proto, false
	}
	if host := lastValue(r, "X-Forwarded-Host"); validHost(host) {
		b.host, b.direct = host, false
	}
	port, err := strconv.ParseUint(lastValue(r, "X-Forwarded-Port"), 10, 16)
	if err != nil || port == 0 {
		return
	}
	b.direct = false
	if isDefault := (b.scheme == "http" && port == 80) || (b.scheme == "https" && port == 443); !isDefault {
		b.host = b.at(int(port))
		return
	}
	if b.host = b.name(); strings.Contains(b.host, ":") {
		b.host = "[" + b.host + "]"
	}
}

func lastValue(r *http.Request, name string) string {
	all := strings.Join(r.Header.Values(name), ",")
	return strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:])
}

// hostOf is the host the client asked for. One that could not be a host's name
// gives way to the address the connection came in on: it must not get into
// URLs that others open.
func hostOf(r *http.Request) string {
	if validHost(r.Host) {
		return r.Host
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && validHost(a.String()) {
		return a.String()
	}
	return "localhost"
}

// maxHost is the length of a DNS name and a port.
const maxHost = 253 + 6

// validHost accepts a DNS name or an IP address, with or without a port.
func validHost(h string) bool {
	if h == "" || len(h) > maxHost {
		return false
	}
	name, port, err := net.SplitHostPort(h)
	if err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	} else {
		name = h
		if strings.HasPrefix(h, "[") && strings.HasSuffix(h, "]") {
			name = h[1 : len(h)-1]
		} else if strings.Contains(h, ":") {
			return false
		}
	}
	if strings.Contains(name, ":") {
		a, err := netip.ParseAddr(name)
		return err == nil && a.Zone() == ""
	}
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_'
	})
}

// parsePublicURL reads site.public_url.
func parsePublicURL(text string) (base, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return base{}, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return base{}, errors.New("must start with http:// or https://")
	case !validHost(u.Host):
		return base{}, errors.New("has no valid host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return base{}, errors.New("must be a scheme, a host and perhaps a path")
	}
	return base{scheme: u.Scheme, host: u.Host, path: strings.TrimRight(u.EscapedPath(), "/")}, nil
}

// remote is the address at the other end of the connection.
func remote(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

func trusted(proxies []netip.Prefix, a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ClientAddress is where a request really comes from: the other end of the
// connection, or behind trusted proxies the rightmost address of
// X-Forwarded-For that is not one of them. Everything left of it is hearsay.
func (s *Server) ClientAddress(r *http.Request) netip.Addr { return s.address(r) }

func (s *Server) address(r *http.Request) netip.Addr {
	a := remote(r)
	proxies := s.site.Load().TrustedProxies
	if !trusted(proxies, a) {
		return a
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			return a
		}
		if a = next; !trusted(proxies, a) {
			return a
		}
	}
	return a
}

// parseHop reads an element of X-Forwarded-For; some proxies add the port.
func parseHop(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = ap.Addr()
	}
	return a.Unmap().WithZone(""), true
}
