package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gtiv/protocol"
	"gtiv/protocol/client"
)

// TestFindFollowsTheSearchOrder: --socket, --data, $GTIV_SOCKET, then whichever
// of the usual places exists.
func TestFindFollowsTheSearchOrder(t *testing.T) {
	t.Setenv("GTIV_SOCKET", "/env.sock")
	for _, c := range []struct{ socket, data, want string }{
		{"/a.sock", "/data", "/a.sock"},
		{"", "/data", "/data/gtiv.sock"},
		{"", "", "/env.sock"},
	} {
		if got := client.Find(c.socket, c.data); got != c.want {
			t.Errorf("Find(%q, %q) = %q, want %q", c.socket, c.data, got, c.want)
		}
	}
	t.Setenv("GTIV_SOCKET", "")
	if _, err := os.Lstat("/run/gtiv/gtiv.sock"); err == nil {
		t.Skip("a gtiv is installed and running on this host")
	}
	t.Chdir(t.TempDir())
	if got := client.Find("", ""); got != "/run/gtiv/gtiv.sock" {
		t.Errorf("with nothing anywhere: %q", got)
	}
	if err := os.Mkdir("data", 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("data/gtiv.sock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := client.Find("", ""); got != "data/gtiv.sock" {
		t.Errorf("with ./data/gtiv.sock: %q", got)
	}
}

func TestNobodyThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gtiv.sock")
	_, err := client.New(path).Status(t.Context())
	e, ok := errors.AsType[*client.NotReachableError](err)
	if !ok || e.Socket != path || e.ExitCode() != 3 || !errors.Is(err, os.ErrNotExist) || e.Hint == "" {
		t.Errorf("got %v", err)
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 200), "gtiv.sock")
	if _, err := client.New(long).Status(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a long path: %v", err)
	}
}

// serve answers on a unix socket with h.
func serve(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "cl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // temporary
	path := filepath.Join(dir, "s")
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
	c := client.New(path)
	t.Cleanup(c.Close)
	return c
}

func TestRepliesAreNotTrusted(t *testing.T) {
	for _, c := range []struct {
		name, version, body string
		status              int
		want                string
	}{
		{"another version", "2", "{}", 200, "speaks version 2"},
		{"no version", "", "{}", 200, "speaks version unknown"},
		{"garbage", "1", "<html>", 200, "decode reply"},
		{"failure without a body", "1", "", 500, "the daemon answered 500"},
		{"failure of another kind", "1", `{"Error":"text"}`, 403, "the daemon answered 403"},
		{"endless", "1", `"` + strings.Repeat("a", 17<<20), 200, "larger than"},
	} {
		cl := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(protocol.ControlVersionHeader, c.version)
			w.Header().Set(protocol.ControlBuildHeader, "v9")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		if _, err := cl.Status(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestACancelledRequestEnds(t *testing.T) {
	entered := make(chan struct{})
	cl := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if _, err := cl.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
