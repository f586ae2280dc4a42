package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gtiv/protocol"
)

// socketMode lets everybody connect: the peer's user and groups decide.
const socketMode = 0o666

// Listen makes the control socket. It lies in runtimeDir when that is given
// (the value of $RUNTIME_DIRECTORY; of several, the first), with a link to it
// in dataDir, else in dataDir itself. A socket that somebody answers on is left
// alone and is an error; one that nobody answers on is replaced.
//
// Closing the listener removes what Listen made.
func Listen(ctx context.Context, dataDir, runtimeDir string) (net.Listener, error) {
	path := filepath.Join(dataDir, protocol.ControlSocketName)
	if err := free(ctx, path); err != nil {
		return nil, err
	}
	if runtimeDir == "" {
		return listenAt(path, "")
	}
	first, _, _ := strings.Cut(runtimeDir, ":")
	at := filepath.Join(first, protocol.ControlSocketName)
	if err := free(ctx, at); err != nil {
		return nil, err
	}
	return listenAt(at, path)
}

// free makes sure that nobody answers at path.
func free(ctx context.Context, path string) error {
	info, err := os.Stat(path) // through the link
	if errors.Is(err, os.ErrNotExist) {
		return nil // nothing, or a link to nothing
	}
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("control socket: %s is in the way and is no socket", path)
	}
	return inDir(path, func(short string) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", short)
		if err == nil {
			return errors.Join(fmt.Errorf("control socket: another gtiv answers at %s", path), c.Close())
		}
		if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) {
			return nil // left behind by a crash
		}
		return fmt.Errorf("control socket: ask who is at %s: %w", path, err)
	})
}

// listenAt binds under a name of its own and moves the finished socket, with
// its final mode, over whatever is at path: there is no moment without a
// socket, nor one with the wrong mode.
func listenAt(path, link string) (net.Listener, error) {
	temp := filepath.Join(filepath.Dir(path), ".gtiv-"+strconv.Itoa(os.Getpid()))
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	var ln *net.UnixListener
	err := inDir(temp, func(short string) error {
		var err error
		ln, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("control socket: listen at %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false) // it would remove the name it was bound to
	l := &listener{UnixListener: ln, path: path, link: link}
	err = os.Chmod(temp, socketMode)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err == nil && link != "" {
		err = replaceLink(path, link)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), os.Remove(temp), l.Close())
	}
	return l, nil
}

func replaceLink(target, link string) error {
	target, err := filepath.Abs(target)
	if err != nil {
		return err
	}
	temp := link + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	return os.Rename(temp, link)
}

// listener removes its files when it is closed.
type listener struct {
	*net.UnixListener
	path, link string
	once       sync.Once
	err        error
}

// Close stops listening. http.Server calls it more than once.
func (l *listener) Close() error {
	l.once.Do(func() {
		var errs []error
		for _, p := range []string{l.link, l.path} {
			if p == "" {
				continue
			}
			if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove control socket: %w", err))
			}
		}
		l.err = errors.Join(append(errs, l.UnixListener.Close())...)
	})
	return l.err
}

// maxSocketPath is what a unix address holds, less its closing zero byte.
const maxSocketPath = 107

// inDir calls do with a name for path that fits into a unix address: path
// itself, or one through a handle of its directory.
func inDir(path string, do func(short string) error) error {
	if len(path) <= maxSocketPath {
		return do(path)
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Dir(path), err)
	}
	defer unix.Close(fd) //nolint:errcheck // only a handle of a path
	return do("/proc/self/fd/" + strconv.Itoa(fd) + "/" + filepath.Base(path))
}
