package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gtiv/media"
	"gtiv/media/flv"
	"gtiv/media/rtmp"
)

// mediamtxVersion is the peer for what it can do; it is built of the module's source.
const mediamtxVersion = "v1.13.1"

// mediamtx is a running peer.
type mediamtx struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// The ports of mediamtx: far from those of gtiv.
const (
	mtxRTMP = 39935
	mtxHLS  = 39888
	mtxRTC  = 39889
	mtxUDP  = 39189
)

// buildMediamtx builds it in the scratch directory. Its modules come from the
// network or the module cache; where they cannot be had there is no peer.
func (b *bench) buildMediamtx(ctx context.Context) (string, error) {
	binary := filepath.Join(b.scratch, "mediamtx")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	dir, err := b.folder("mediamtx")
	if err != nil {
		return "", err
	}
	run := func(dir, name string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // ours
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local")
		out, err := cmd.Output()
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w\n%s", err, e.Stderr)
		}
		return out, err
	}
	out, err := run(dir, "go", "mod", "download", "-json", "github.com/bluenviron/mediamtx@"+mediamtxVersion)
	if err != nil {
		return "", fmt.Errorf("mediamtx cannot be had: %w", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", err
	}
	source := filepath.Join(dir, "source")
	if err := os.CopyFS(source, os.DirFS(module.Dir)); err != nil {
		return "", err
	}
	// Files that its own build makes first.
	for name, text := range map[string]string{"internal/core/VERSION": mediamtxVersion, "internal/servers/hls/hls.min.js": "\n"} {
		if err := os.Chmod(filepath.Dir(filepath.Join(source, name)), 0o700); err != nil { //nolint:gosec // a directory
			return "", err
		}
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		_ = os.Chmod(filepath.Join(source, name), 0o600) //nolint:errcheck // go says what is wrong
	}
	if _, err := run(source, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "."); err != nil {
		return "", fmt.Errorf("build mediamtx: %w", err)
	}
	return binary, nil
}

// startMediamtx starts it with HLS of a variant, "lowLatency" or "mpegts".
func (b *bench) startMediamtx(ctx context.Context, variant string) (*mediamtx, error) {
	binary, err := b.buildMediamtx(ctx)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(b.scratch, "mediamtx-"+variant+".yml")
	text := fmt.Sprintf(`logLevel: error
rtsp: no
srt: no
api: no
rtmpAddress: 127.0.0.1:%d
hlsAddress: 127.0.0.1:%d
hlsVariant: %s
webrtcAddress: 127.0.0.1:%d
webrtcLocalUDPAddress: 127.0.0.1:%d
webrtcLocalTCPAddress: ''
webrtcIPsFromInterfaces: no
webrtcAdditionalHosts: [127.0.0.1]
paths:
  all_others:
`, mtxRTMP, mtxHLS, variant, mtxRTC, mtxUDP)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	m := &mediamtx{cmd: exec.Command(binary, config), ended: make(chan struct{})} //nolint:gosec,noctx // built by us, ended by stop
	m.cmd.Stderr = os.Stderr
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process
		_ = m.cmd.Wait() //nolint:errcheck // nothing to be learnt
		close(m.ended)
	}()
	return m, waitPort(ctx, mtxRTMP)
}

func waitPort(ctx context.Context, port int) error {
	for range 100 {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return c.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("nobody listens on port %d", port)
}

func (m *mediamtx) stop() {
	_ = m.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-m.ended
}

// plainFLV is a server of HTTP-FLV as one writes it first, behind our own ingest: a
// queue and a goroutine for each viewer, and a write for each picture and sound.
type plainFLV struct {
	hub *media.Hub
}

// plainQueue is how many pictures and sounds wait for one viewer.
const plainQueue = 1024

func (p *plainFLV) handler(ctx context.Context) func(command) (answer, error) {
	return func(c command) (answer, error) {
		if c.Do != "serve" {
			return answer{}, fmt.Errorf("no command %q", c.Do)
		}
		p.hub = media.NewHub(nil, nil, nil)
		s := rtmp.New(rtmp.Config{}, rtmp.Deps{
			Hub:     p.hub,
			Publish: func(_ context.Context, r rtmp.Request) (string, int64, error) { return r.Name, 0, nil },
			Play:    func(_ context.Context, r rtmp.Request) (string, int64, error) { return r.Name, 0, nil },
			Open:    media.NewRegistry(media.Limits{}, nil).Add, Log: slog.New(slog.DiscardHandler),
		})
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return answer{}, err
		}
		go func() { fatal(s.Serve(ctx, ln)) }() // ends with the process, as what follows
		web, err := serveHTTP(ctx, http.HandlerFunc(p.serve))
		return answer{Addr: ln.Addr().String(), WSAddr: web}, err
	}
}

func (p *plainFLV) serve(w http.ResponseWriter, r *http.Request) {
	s := p.hub.Stream(strings.TrimSuffix(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], ".flv"))
	if s == nil {
		http.NotFound(w, r)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	reader := s.Read()
	defer reader.Close()
	queue := make(chan []byte, plainQueue)
	go func() { // ends with the viewer
		defer close(queue)
		for first := true; ; first = false {
			round, headers, err := reader.Next(ctx)
			if err != nil {
				return
			}
			if headers != nil && first {
				queue <- append(flv.Header(headers), flv.Headers(headers, round.Messages[0].Time)...)
			}
			for _, m := range round.Messages {
				select {
				case queue <- m.AppendFLV(nil):
				default:
				}
			}
		}
	}()
	flush := http.NewResponseController(w)
	for b := range queue {
		if _, err := w.Write(b); err != nil || flush.Flush() != nil {
			return
		}
	}
}
