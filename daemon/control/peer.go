package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gtiv/protocol"
)

// peer is the process at the other end, as the kernel names it.
type peer struct {
	uid    uint32
	pid    int32
	groups []uint32 // of the process, when it connected
}

// peerResult is what the kernel said about the peer of a connection.
type peerResult struct {
	peer peer
	err  error
}

// peerOf is the peer of a request; a request without one is refused.
func peerOf(ctx context.Context) (peer, error) {
	r, ok := ctx.Value(peerKey{}).(peerResult)
	if !ok {
		return peer{}, errors.New("identify the caller: no connection")
	}
	return r.peer, r.err
}

func readPeer(c net.Conn) (p peer, err error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return p, errors.New("identify the caller: not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return p, fmt.Errorf("identify the caller: %w", err)
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); inner != nil {
			return
		}
		p = peer{uid: cred.Uid, pid: cred.Pid}
		// Kernels before 4.13 and some sandboxes lack this; the user database
		// then decides alone.
		extra, _ := peerGroups(fd)
		p.groups = append(extra, cred.Gid)
	})
	if err := errors.Join(err, inner); err != nil {
		return p, fmt.Errorf("identify the caller: %w", err)
	}
	return p, nil
}

// peerGroups reads SO_PEERGROUPS, the supplementary groups of the peer.
func peerGroups(fd uintptr) ([]uint32, error) {
	for n := 32; ; n *= 4 {
		gids := make([]uint32, n)
		size := uint32(n * 4) //nolint:gosec // at most 65536 groups
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&gids[0])), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // as the system call wants it
		switch {
		case errno == 0:
			return gids[:size/4], nil
		case errno != unix.ERANGE || n > 65536:
			return nil, errno
		}
	}
}

// The groups that give a role.
var roleGroups = []struct {
	name string
	role protocol.Role
}{
	{"gtiv-admin", protocol.RoleAdmin},
	{"gtiv-moderator", protocol.RoleModerator},
	{"gtiv-viewer", protocol.RoleViewer},
}

// directory is the user database of the host.
type directory interface {
	groupID(name string) (uint32, bool)
	groupsOf(uid uint32) []uint32
	userName(uid uint32) (string, bool)
}

// cacheFor is how long an answer of the directory is used: long enough for a
// screen that asks every second, short enough for "usermod -aG".
const cacheFor = 10 * time.Second

// groups decides roles. It asks the user database besides the groups of the
// process, so that somebody just added to a group need not log in again.
type groups struct {
	dir  directory
	self uint32
	now  func() time.Time

	mu     sync.Mutex // guards the fields below; never held while asking dir
	byUser map[uint32]cached
}

type cached struct {
	role protocol.Role
	name string
	ids  map[uint32]protocol.Role // of the groups that give a role
	at   time.Time
}

func newGroups(dir directory) *groups {
	return &groups{dir: dir, self: uint32(os.Geteuid()), now: time.Now, byUser: make(map[uint32]cached)} //nolint:gosec // a user id fits
}

// roleOf is the highest role that the peer's user and groups give.
func (g *groups) roleOf(p peer) protocol.Role {
	if p.uid == 0 || p.uid == g.self {
		return protocol.RoleAdmin
	}
	c := g.lookup(p.uid)
	role := c.role
	for _, gid := range p.groups {
		role = max(role, c.ids[gid])
	}
	return role
}

// userName is the name of a uid, for people; its number if it has none.
func (g *groups) userName(uid uint32) string { return g.lookup(uid).name }

func (g *groups) lookup(uid uint32) cached {
	g.mu.Lock()
	c, ok := g.byUser[uid]
	g.mu.Unlock()
	if ok && g.now().Sub(c.at) < cacheFor {
		return c
	}
	c = g.ask(uid)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.byUser) > 1000 { // callers are local; this only keeps the map from growing for ever
		clear(g.byUser)
	}
	g.byUser[uid] = c
	return c
}

func (g *groups) ask(uid uint32) cached {
	c := cached{at: g.now(), ids: make(map[uint32]protocol.Role)}
	of := g.dir.groupsOf(uid)
	for _, rg := range roleGroups {
		id, ok := g.dir.groupID(rg.name)
		if !ok {
			continue
		}
		c.ids[id] = max(c.ids[id], rg.role)
		if slices.Contains(of, id) {
			c.role = max(c.role, rg.role)
		}
	}
	var ok bool
	if c.name, ok = g.dir.userName(uid); !ok {
		c.name = strconv.FormatUint(uint64(uid), 10)
	}
	return c
}

// systemDirectory reads /etc/passwd and /etc/group.
type systemDirectory struct{}

func (systemDirectory) groupID(name string) (uint32, bool) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, false
	}
	return parseID(g.Gid)
}

func (systemDirectory) groupsOf(uid uint32) []uint32 {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return nil
	}
	names, err := u.GroupIds()
	if err != nil {
		return nil
	}
	var ids []uint32
	for _, n := range names {
		if id, ok := parseID(n); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

func (systemDirectory) userName(uid uint32) (string, bool) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return "", false
	}
	return u.Username, true
}

func parseID(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}
