package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gtiv/daemon/apptest"
	"gtiv/daemon/gateway"
	"gtiv/protocol"
)

func TestKickAndCloseOfOtherClients(t *testing.T) {
	s := start(t, quick())
	for i, over := range everyTransport {
		session := int64(50 + i)
		c := s.client(t, over, fmt.Sprintf("1.%d", session), "seq")
		if n := s.Kick(session); n != 1 {
			t.Fatalf("kicked %d", n)
		}
		f := expect(t, c, protocol.OpPrivate)
		began := time.Now()
		if !strings.Contains(string(f.Body), `"MsgType":16`) {
			t.Errorf("%s: %s", over, f.Body)
		}
		_, err := c.Read()
		if err == nil || errors.Is(err, syscall.ECONNRESET) || time.Since(began) < 100*time.Millisecond {
			t.Errorf("%s: %v after %v", over, err, time.Since(began))
		}
	}
	eventually(t, "all gone", func() bool { return s.Connections() == 0 })
}

func TestGoroutinesReturnToTheBaseline(t *testing.T) {
	s := start(t, quick())
	base := runtime.NumGoroutine()
	for _, over := range []string{"tcp", "ws"} {
		var work sync.WaitGroup
		for w := range 4 {
			work.Go(func() {
				for i := range 250 {
					c := s.client(t, over, fmt.Sprintf("%d.%d", w+1, i))
					s.Push(int64(w+1), text(1, 500))
					_ = c.Close()
				}
			})
		}
		work.Wait()
	}
	eventually(t, "all gone", func() bool { return s.Connections() == 0 })
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= base+5 })
	s.stop()
	s.locked(func() {
		if len(s.opened) != 2000 || len(s.closed) != 2000 {
			t.Errorf("%d opened, %d closed", len(s.opened), len(s.closed))
		}
	})
}

func TestPanicOfAFeatureCostsOneConnection(t *testing.T) {
	s := start(t, quick(), func(d *gateway.Deps) {
		d.Request = func(context.Context, gateway.ConnInfo, protocol.Header, []byte) (protocol.Op, []byte) { panic("bug") }
	})
	witness, c := s.client(t, "tcp", "1.11"), s.client(t, "ws", "1.12", "seq")
	if err := c.Write(protocol.OpSend, 1, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(); closeStatus(err) != 1011 {
		t.Errorf("ended with %v", err)
	}
	s.Push(1, text(1, 0))
	expect(t, witness, protocol.OpPrivate)
}

func TestHealthyProvesWheelAndWriter(t *testing.T) {
	s := start(t, quick())
	if err := s.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	s.stop()
	if s.Healthy(t.Context()) == nil {
		t.Error("healthy after the end")
	}
	g, err := gateway.New(gateway.Config{}, gateway.Deps{Authenticate: authenticate})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if g.Healthy(ctx) == nil {
		t.Error("healthy without Run")
	}
}

func TestShutdownClosesEverybodyInItsWay(t *testing.T) {
	s := start(t, quick())
	tcp, sec, stranger := s.client(t, "tcp", "1.11", "seq"), s.client(t, "tls", "1.12", "seq"), s.stranger(t, "tcp")
	mute := s.client(t, "ws", "1.13") // never answers the close frame: nobody reads it
	ws := s.client(t, "ws", "1.14")
	status := make(chan error, 1)
	go func() { _, err := ws.Read(); status <- err }()
	eventually(t, "stranger in", func() bool { return s.Connections() == 5 })
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	if err := <-status; closeStatus(err) != 1001 {
		t.Errorf("WebSocket: %v", err)
	}
	for name, c := range map[string]*apptest.Client{"tcp": tcp, "tls": sec} {
		if _, err := c.Read(); err == nil || errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want an orderly end", name, err)
		}
	}
	if _, err := readEnd(stranger.Conn(), soon); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("stranger: %v", err)
	}
	_ = mute
	if s.Connections() != 0 {
		t.Errorf("%d connections left", s.Connections())
	}
}

// TestKilledProcessResetsTheApp is the reason for SO_LINGER at accept: kill -9
// leaves no chance to close anything, and the app must still see a reset.
func TestKilledProcessResetsTheApp(t *testing.T) {
	if addr := os.Getenv("GATEWAY_TEST_VICTIM"); addr != "" {
		s := start(t, gateway.Config{})
		fmt.Printf("listening %s\n", s.tcp)
		select {}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKilledProcessResetsTheApp$", "-test.v") //nolint:gosec // this test itself
	cmd.Env = append(os.Environ(), "GATEWAY_TEST_VICTIM=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	for addr == "" {
		var word string
		if _, err := fmt.Fscan(out, &word); err != nil {
			t.Fatal(err)
		}
		if word == "listening" {
			_, _ = fmt.Fscan(out, &addr)
		}
	}
	a, err := apptest.DialApp(addr, apptest.AppConfig{Token: "1.11", User: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if !a.WaitLogin(soon) {
		t.Fatal("no op 8")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !a.WaitError(apptest.Reset, soon) || len(a.Errors()) != 1 {
		t.Errorf("errors %v, want one reset", a.Errors())
	}
}

func TestNewRefusesWhatCannotBeMeant(t *testing.T) {
	deps := gateway.Deps{Authenticate: authenticate}
	_, err := gateway.New(gateway.Config{Idle: -1, QueueFrames: -2, App: gateway.AppConfig{Batch: 9999}}, deps)
	for _, want := range []string{"Idle", "QueueFrames", "App.Batch"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	if _, err := gateway.New(gateway.Config{App: gateway.AppConfig{Batch: 4093}}, deps); err == nil {
		t.Error("batches that overrun the app's buffer were taken")
	}
	if _, err := gateway.New(gateway.Config{}, gateway.Deps{}); err == nil {
		t.Error("made without Authenticate")
	}
}
