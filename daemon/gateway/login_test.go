package gateway_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"gtiv/daemon/apptest"
	"gtiv/daemon/gateway"
	"gtiv/protocol"
)

// reads the connection to its end.
func readEnd(c net.Conn, limit time.Duration) (n int, err error) {
	_ = c.SetReadDeadline(time.Now().Add(limit))
	var b [512]byte
	for {
		k, err := c.Read(b[:])
		n += k
		if err != nil {
			return n, err
		}
	}
}

func TestFailedLoginsAreHeldSilentAndReset(t *testing.T) {
	cfg := hasty()
	cfg.Held, cfg.HeldPerAddress = 3, 2
	s := start(t, cfg)
	for name, body := range map[string]string{
		"unknown token": `{"userToken":"nobody","platform":"android"}`,
		"not JSON":      `userToken=1.11`,
		"a list":        `["1.11"]`,
		"token number":  `{"userToken":5}`,
		"null":          `null`,
		"nothing":       ``,
	} {
		t.Run(name, func(t *testing.T) {
			c := s.stranger(t, "tcp")
			began := time.Now()
			if err := c.Write(protocol.OpAuth, 1, []byte(body)); err != nil {
				t.Fatal(err)
			}
			n, err := readEnd(c.Conn(), soon)
			if n != 0 || !errors.Is(err, syscall.ECONNRESET) || time.Since(began) < cfg.Handshake {
				t.Errorf("%d bytes, %v after %v", n, err, time.Since(began))
			}
		})
	}
	var quickly int
	for range 4 { // two are held, the others are over the bound
		c := s.stranger(t, "tcp")
		began := time.Now()
		if err := c.Write(protocol.OpAuth, 1, []byte(`{"userToken":"nobody"}`)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "decision", func() bool {
			_ = c.Conn().SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := c.Conn().Read(make([]byte, 1))
			return errors.Is(err, syscall.ECONNRESET) || s.Stats().Held > 0 && time.Since(began) > 50*time.Millisecond
		})
		if time.Since(began) < 50*time.Millisecond {
			quickly++
		}
	}
	if quickly != 2 {
		t.Errorf("%d of 4 were reset at once, want 2", quickly)
	}
	eventually(t, "nobody held", func() bool { return s.Stats().Held == 0 && s.Connections() == 0 })
	if got := s.Stats().AuthFailures; got != 10 {
		t.Errorf("%d failures counted", got)
	}
}

func TestLoginThatCannotBeCheckedNowIsResetSoon(t *testing.T) {
	s := start(t, hasty())
	c := s.stranger(t, "tcp")
	began := time.Now()
	if err := c.Write(protocol.OpAuth, 1, []byte(`{"userToken":"later"}`)); err != nil {
		t.Fatal(err)
	}
	n, err := readEnd(c.Conn(), soon)
	if took := time.Since(began); n != 0 || !errors.Is(err, syscall.ECONNRESET) || took < 100*time.Millisecond || took > 390*time.Millisecond {
		t.Errorf("%d bytes, %v after %v", n, err, took)
	}
}

func TestHandshakeIgnoresOtherFramesAndHasAnEnd(t *testing.T) {
	s := start(t, hasty())
	c := s.stranger(t, "tcp")
	for range 10 {
		if err := c.Write(protocol.OpHeartbeat, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Write(protocol.OpAuth, 1, []byte(`{"userToken":"1.11","platform":"x","unknown":{"a":[1]},"key":5}`)); err != nil {
		t.Fatal(err)
	}
	if f, err := c.Read(); err != nil || f.Op != protocol.OpAuthReply || len(f.Body) != 0 {
		t.Errorf("first frame %+v, %v", f, err)
	}
	idle := s.stranger(t, "tcp")
	began := time.Now()
	// A byte now and then does not help (slow loris).
	go func() {
		frame := protocol.AppendFrame(nil, protocol.OpAuth, 1, make([]byte, 200))
		for i := 0; i < len(frame) && idle.WriteRaw(frame[i:i+1]) == nil; i++ {
			time.Sleep(20 * time.Millisecond)
		}
	}()
	_, err := readEnd(idle.Conn(), soon)
	if took := time.Since(began); !errors.Is(err, syscall.ECONNRESET) || took < 350*time.Millisecond || took > 3*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	chatty := s.stranger(t, "tcp")
	var ended error // whichever call meets the reset first; the next one sees EOF
	for i := 0; i < 40 && ended == nil; i++ {
		ended = chatty.Write(protocol.OpHeartbeat, 1, nil)
	}
	if ended == nil {
		_, ended = readEnd(chatty.Conn(), 200*time.Millisecond)
	}
	if !errors.Is(ended, syscall.ECONNRESET) && !errors.Is(ended, syscall.EPIPE) {
		t.Errorf("40 frames without a login: %v", ended)
	}
}

func TestGarbageEndsTheConnectionOnly(t *testing.T) {
	s := start(t, quick())
	witness := s.client(t, "tcp", "1.11")
	auth := protocol.AppendFrame(nil, protocol.OpAuth, 1, []byte(`{"userToken":"2.22","platform":"x"}`))
	for name, b := range map[string][]byte{
		"text":          []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"huge packLen":  {0xff, 0xff, 0xff, 0xff, 0, 16, 0, 1, 0, 0, 0, 7, 0, 0, 0, 1},
		"4113":          {0, 0, 0x10, 0x11, 0, 16, 0, 1, 0, 0, 0, 7, 0, 0, 0, 1},
		"short packLen": {0, 0, 0, 15, 0, 16, 0, 1, 0, 0, 0, 7, 0, 0, 0, 1},
		"headerLen":     {0, 0, 0, 16, 0, 17, 0, 1, 0, 0, 0, 7, 0, 0, 0, 1},
		"after login":   append(auth[:len(auth):len(auth)], make([]byte, 16)...),
	} {
		c := s.stranger(t, "tcp")
		if err := c.WriteRaw(b); err != nil {
			t.Fatal(err)
		}
		if _, err := readEnd(c.Conn(), 300*time.Millisecond); err == nil || isTimeout(err) {
			t.Errorf("%s: still open", name)
		}
	}
	half := s.stranger(t, "tcp")
	if err := half.WriteRaw(auth[:20]); err != nil {
		t.Fatal(err)
	}
	_ = half.Close()
	eventually(t, "one connection left", func() bool { return s.Connections() == 1 })
	s.Push(1, text(1, 0))
	expect(t, witness, protocol.OpPrivate)
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

func TestFramesOfAnyCutAndSizeAreRead(t *testing.T) {
	got := make(chan int, 100)
	s := start(t, quick(), func(d *gateway.Deps) {
		d.Request = func(_ context.Context, _ gateway.ConnInfo, _ protocol.Header, body []byte) (protocol.Op, []byte) {
			for i, b := range body {
				if b != byte(i) {
					t.Errorf("byte %d of %d is %d", i, len(body), b)
					break
				}
			}
			got <- len(body)
			return 0, nil
		}
	})
	for _, over := range everyTransport {
		c := s.client(t, over, "1.11", "seq")
		var stream []byte
		sizes := []int{0, 1, 200, 239, 240, 241, 256, 500, 4095, 4096, 3}
		for _, n := range sizes {
			body := make([]byte, n)
			for i := range body {
				body[i] = byte(i)
			}
			f := protocol.AppendFrame(nil, protocol.OpSend, 1, body)
			if over == "ws" {
				if err := c.WriteRaw(f); err != nil {
					t.Fatal(err)
				}
				continue
			}
			stream = append(stream, f...)
		}
		for i := 0; i < len(stream); i += 37 {
			if err := c.WriteRaw(stream[i:min(i+37, len(stream))]); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range sizes {
			select {
			case g := <-got:
				if g != n {
					t.Errorf("%s: body of %d bytes, want %d", over, g, n)
				}
			case <-time.After(soon):
				t.Fatalf("%s: body of %d bytes did not come", over, n)
			}
		}
	}
}

func TestFloodIsClosed(t *testing.T) {
	s := start(t, quick())
	for _, over := range everyTransport {
		c := s.client(t, over, "1.11")
		go func() {
			for range 1000 {
				if c.Write(protocol.OpHeartbeat, 1, nil) != nil {
					return
				}
			}
		}()
		n := 0
		for {
			if _, err := c.Read(); err != nil {
				break
			}
			n++
		}
		if n > 260 {
			t.Errorf("%s: %d of 1000 heartbeats were answered", over, n)
		}
	}
}

func TestOldestConnectionOfAUserGivesWay(t *testing.T) {
	cfg := quick()
	cfg.SessionsPerUser = 2
	s := start(t, cfg)
	oldest := s.app(t, 1, 11)
	second, third := s.app(t, 1, 11), s.app(t, 1, 12)
	if !oldest.WaitError(apptest.Reset, soon) {
		t.Fatalf("oldest: %v", oldest.Errors())
	}
	if n := s.Push(1, text(1, 0)); n != 2 {
		t.Errorf("pushed to %d", n)
	}
	if !second.WaitMessages(1, soon) || !third.WaitMessages(1, soon) {
		t.Error("a younger connection suffered")
	}
	unhurt(t, second)
}

func TestConnectionsPerAddressAndInAll(t *testing.T) {
	cfg := quick()
	cfg.ConnectionsPerAddress, cfg.Unlimited = 3, []netip.Prefix{}
	s := start(t, cfg)
	for range 3 {
		s.client(t, "tcp", "1.11")
	}
	c, err := apptest.Connect(t.Context(), s.tcp, apptest.ClientConfig{})
	if err == nil { // the reset may also come during connect
		_, err = readEnd(c.Conn(), soon)
		_ = c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("fourth: %v", err)
	}
	_, err = apptest.Connect(t.Context(), s.ws, apptest.ClientConfig{})
	if err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("WebSocket: %v", err)
	}
	if got := s.Stats().Refused; got != 2 {
		t.Errorf("%d refused", got)
	}
	cfg = quick()
	cfg.MaxConnections = 1
	s = start(t, cfg)
	s.client(t, "ws", "1.11")
	if _, err = apptest.Connect(t.Context(), s.ws, apptest.ClientConfig{}); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("WebSocket: %v", err)
	}
}
