package rtmp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gtiv/media"
	"gtiv/media/rtmp"
)

func relay() *rtmp.Relay { return &rtmp.Relay{Dial: (&net.Dialer{}).DialContext} }

func TestRelaysToAndFromAnotherServer(t *testing.T) {
	cert := certificate(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	a := serve(t, rtmp.Config{}, media.Limits{}, nil)
	b := serve(t, rtmp.Config{}, media.Limits{}, func(ln net.Listener) net.Listener { return tls.NewListener(ln, cfg) })
	c := serve(t, rtmp.Config{}, media.Limits{}, nil)
	cmd, _ := ffmpeg(t, a.publishURL("r"), "-output_ts_offset", "17000")
	eventually(t, "on air", func() bool { s := a.hub.Stream("r"); return s != nil && s.Stats().Pictures > 10 })

	// a pushes to b, c pulls from b.
	r := relay()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	r.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	r.TLS.RootCAs.AddCert(leaf)
	r.Session = &media.Session{}
	ended := make(chan error, 2)
	go func() {
		ended <- r.Push(t.Context(), "rtmps://"+b.addr+"/live/key-there?x=y", a.hub.Stream("r"))
	}()
	eventually(t, "on air there", func() bool { s := b.hub.Stream("there"); return s != nil && s.Stats().Pictures > 10 })
	if b.hub.Stream("there").Headers().Meta == nil {
		t.Error("without metadata")
	}
	go func() { ended <- r.Pull(t.Context(), "rtmps://"+b.addr+"/live/there", c.hub, "back") }()
	eventually(t, "on air again", func() bool { s := c.hub.Stream("back"); return s != nil && s.Stats().Pictures > 10 })
	if out := watch(t, c.playURL("back"), 2); out != "" {
		t.Errorf("ffmpeg says: %s", out)
	}
	if r.Session.In.Load() == 0 || r.Session.Out.Load() == 0 {
		t.Error("no bytes were counted")
	}
	_ = cmd.Process.Kill()
	for range 2 {
		select {
		case err := <-ended:
			if !errors.Is(err, media.ErrEnded) {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("it goes on")
		}
	}
	eventually(t, "off air", func() bool { return len(a.hub.Streams())+len(b.hub.Streams())+len(c.hub.Streams()) == 0 })
}

// freePort is a port that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestRelayToFFmpegAsServer(t *testing.T) {
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	ffmpeg(t, h.publishURL("r"))
	eventually(t, "on air", func() bool { s := h.hub.Stream("r"); return s != nil && s.Stats().Pictures > 10 })
	addr := freePort(t)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-loglevel", "warning", "-nostdin", "-xerror", "-listen", "1", "-i", "rtmp://"+addr+"/app/name", "-t", "3", "-f", "null", "-")
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(t, "listens", func() bool {
		err := relay().Push(t.Context(), "rtmp://"+addr+"/app/name", h.hub.Stream("r"))
		return err != nil && !strings.Contains(err.Error(), "dial") // it ends when ffmpeg has enough
	})
	if err := <-ended; err != nil || out.Len() > 0 {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestRelaysThatFail(t *testing.T) {
	h := serve(t, rtmp.Config{PlayWait: time.Second}, media.Limits{}, nil)
	p, _ := h.hub.Publish(t.Context(), "r")
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := relay().Push(ctx, "rtmp://"+h.addr+"/live/wrong", p.Stream()); !errors.Is(err, rtmp.ErrRemote) || !strings.Contains(err.Error(), "BadName") {
		t.Error(err)
	}
	if err := relay().Push(ctx, "rtmp://"+h.addr+"/other/key-x", p.Stream()); !errors.Is(err, rtmp.ErrRemote) || !strings.Contains(err.Error(), "Rejected") {
		t.Error(err)
	}
	if err := relay().Pull(ctx, "rtmp://"+h.addr+"/live/nothing", h.hub, "back"); !errors.Is(err, rtmp.ErrRemote) || !strings.Contains(err.Error(), "StreamNotFound") {
		t.Error(err)
	}
	if err := relay().Push(ctx, "rtmp://"+freePort(t)+"/live/x", p.Stream()); err == nil {
		t.Error("nobody listens there")
	}
	for _, bad := range []string{"", "http://h/a/b", "rtmp://h", "rtmp://h/a", "rtmp://h/a/", "rtmp:///a/b", "rtmp://h/%zz/b", "rtmp://h:port/a/b"} {
		if err := relay().Push(ctx, bad, p.Stream()); err == nil {
			t.Errorf("%q", bad)
		}
	}
	// A server that says nothing is left when the caller has enough.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	if err := relay().Push(short, "rtmp://"+ln.Addr().String()+"/live/x", p.Stream()); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if h.hub.Stream("back") != nil {
		t.Error("something is on air")
	}
}
