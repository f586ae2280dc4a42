package client

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"gtiv/protocol"
)

// The places that are tried when nothing names a socket.
const (
	systemSocket = "/run/gtiv/" + protocol.ControlSocketName
	localSocket  = "data/" + protocol.ControlSocketName
)

// maxSocketPath is what a unix address holds, less its closing zero byte.
const maxSocketPath = 107

// Find is the path of the control socket: socket if given, else the one in the
// data directory if that is given, else $GTIV_SOCKET, else
// /run/gtiv/gtiv.sock, else ./data/gtiv.sock. Of the last two it takes the one
// that exists.
func Find(socket, data string) string {
	if socket != "" {
		return socket
	}
	if data != "" {
		return filepath.Join(data, protocol.ControlSocketName)
	}
	if s := os.Getenv("GTIV_SOCKET"); s != "" {
		return s
	}
	return firstExisting(systemSocket, localSocket)
}

// firstExisting is the first path with something at it, or that may not be
// looked at, else the first of all.
func firstExisting(paths ...string) string {
	for _, p := range paths {
		if _, err := os.Lstat(p); err == nil || os.IsPermission(err) {
			return p
		}
	}
	return paths[0]
}

// dial connects to the socket at path. A path too long for a unix address is
// reached through a handle of its directory.
func dial(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	if len(path) <= maxSocketPath {
		return d.DialContext(ctx, "unix", path)
	}
	// The socket itself may be a link to a shorter path.
	if real, err := filepath.EvalSymlinks(path); err == nil && len(real) <= maxSocketPath {
		return d.DialContext(ctx, "unix", real)
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: fmt.Errorf("open directory: %w", err)}
	}
	defer unix.Close(fd) //nolint:errcheck // only a handle of a path
	return d.DialContext(ctx, "unix", "/proc/self/fd/"+strconv.Itoa(fd)+"/"+filepath.Base(path))
}
