package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"gtiv/protocol"
)

// The ports of design.md 2 that this daemon serves; --port-offset is added.
const (
	portComet     = 2004
	portWebSocket = 2005
	portTLS       = 2006
	portRTC       = 2008 // udp and tcp
	portVideobiz  = 2009
	portControl   = 2010 // loopback only
	portRTMP      = 2011
	portHLS       = 2012
	portFLV       = 2013
	portSignal    = 2014
	portImbiz     = 2015
	portRTMPS     = 2016
)

// httpPorts share one handler, so that a proxy needs one upstream only.
var httpPorts = []struct {
	name string
	port int
}{
	{"websocket", portWebSocket}, {"videobiz", portVideobiz}, {"hls", portHLS},
	{"flv", portFLV}, {"signal", portSignal}, {"imbiz", portImbiz},
}

// sockets are all listeners of the daemon, bound before anything starts.
type sockets struct {
	comet, tls, http, rtmp, rtmps, control []net.Listener
	ports                                  []protocol.Port

	// rtcUDP and rtcTCP are for media by WebRTC.
	rtcUDP net.PacketConn
	rtcTCP net.Listener
}

// bind opens every socket. All failures are reported together, each with what
// holds the port if that can be seen.
func bind(ctx context.Context, addresses []string, offset int) (*sockets, error) {
	if len(addresses) == 0 {
		addresses = []string{""}
	}
	s := &sockets{}
	var errs []error
	open := func(name string, port int, to *[]net.Listener, addresses ...string) {
		lc := net.ListenConfig{}
		if name == "comet" {
			lc.Control = resetOnClose
		}
		for _, a := range addresses {
			ln, err := listenTCP(ctx, lc, a, port+offset)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
				continue
			}
			*to = append(*to, ln)
			s.ports = append(s.ports, protocol.Port{Name: name, Network: "tcp", Address: ln.Addr().String()})
		}
	}
	open("comet", portComet, &s.comet, addresses...)
	open("tls", portTLS, &s.tls, addresses...)
	open("rtmp", portRTMP, &s.rtmp, addresses...)
	open("rtmps", portRTMPS, &s.rtmps, addresses...)
	open("administration", portControl, &s.control, "127.0.0.1")
	for _, p := range httpPorts {
		open(p.name, p.port, &s.http, addresses...)
	}
	errs = append(errs, s.bindRTC(ctx, addresses, offset))
	if err := errors.Join(errs...); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// bindRTC binds the port of media by WebRTC, on one address or on all.
func (s *sockets) bindRTC(ctx context.Context, addresses []string, offset int) error {
	host := ""
	if len(addresses) == 1 {
		host = addresses[0]
	}
	at := net.JoinHostPort(host, strconv.Itoa(portRTC+offset))
	udp, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", at)
	if err != nil {
		return fmt.Errorf("webrtc: %w", err)
	}
	s.rtcUDP = udp
	s.ports = append(s.ports, protocol.Port{Name: "webrtc", Network: "udp", Address: udp.LocalAddr().String()})
	ln, err := listenTCP(ctx, net.ListenConfig{}, host, portRTC+offset)
	if err != nil {
		return fmt.Errorf("webrtc: %w", err)
	}
	s.rtcTCP = ln
	s.ports = append(s.ports, protocol.Port{Name: "webrtc", Network: "tcp", Address: ln.Addr().String()})
	return nil
}

// resetOnClose sets SO_LINGER 0 on a listener, from which Linux hands it on to
// what it accepts: a daemon that is killed between accepting a connection and
// looking at it must reset it, too, because the app spins on a graceful close
// (wire.md 7.4).
func resetOnClose(_, _ string, c syscall.RawConn) error {
	var err error
	cerr := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	})
	return errors.Join(cerr, err)
}

func listenTCP(ctx context.Context, lc net.ListenConfig, address string, port int) (net.Listener, error) {
	if port < 1 || port > 65535 {
		return nil, fmt.Errorf("port %d is out of range, see --port-offset", port)
	}
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		if who := portHolder(port); who != "" {
			return nil, fmt.Errorf("port %d is in use by %s", port, who)
		}
		return nil, fmt.Errorf("port %d is in use", port)
	}
	return ln, err
}

func (s *sockets) close() {
	for _, list := range [][]net.Listener{s.comet, s.tls, s.http, s.rtmp, s.rtmps, s.control} {
		for _, ln := range list {
			_ = ln.Close()
		}
	}
	if s.rtcUDP != nil {
		_ = s.rtcUDP.Close()
	}
	if s.rtcTCP != nil {
		_ = s.rtcTCP.Close()
	}
}

// portHolder names the process that listens on a TCP port, as far as /proc lets
// this user see: "nginx (pid 123)".
func portHolder(port int) string {
	inodes := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			// local address, state (0A is LISTEN), …, inode
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	if len(inodes) == 0 {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, l := range links {
		if target, err := os.Readlink(l); err == nil && inodes[target] {
			pid := strings.Split(l, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}
