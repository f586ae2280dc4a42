package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/daemon/apptest"
	"gtiv/daemon/gateway"
	"gtiv/protocol"
)

// soon is how long anything may take that should happen at once.
const soon = 10 * time.Second

// handed is one call of Deps.Handed or, with to, of Deps.Confirmed.
type handed struct {
	session, conversation int64
	seq, to               uint64
	at                    time.Time
}

// site is a running gateway with all its listeners.
type site struct {
	*gateway.Gateway
	tcp, tls, ws string
	clientTLS    *tls.Config
	stop         func() // ends Run and waits

	mu              sync.Mutex
	handed, confirm []handed
	opened, closed  []gateway.ConnInfo
}

// hasty is quick with a handshake that ends while a test waits for it.
func hasty() gateway.Config {
	c := quick()
	c.Handshake = 400 * time.Millisecond
	return c
}

// quick are timings a test can wait for. The relations between them are those
// of the defaults.
func quick() gateway.Config {
	return gateway.Config{
		Tick: 5 * time.Millisecond, Farewell: 150 * time.Millisecond,
		FarewellMax: 3 * time.Second, CloseWait: 300 * time.Millisecond, TryAgain: 100 * time.Millisecond, ConfirmAfter: 200 * time.Millisecond,
		App: gateway.AppConfig{
			Alone: 120 * time.Millisecond, Gap: 40 * time.Millisecond, Slow: 300 * time.Millisecond, Silence: time.Minute,
		},
	}
}

// start runs a gateway until the test ends. Tokens are "user.session";
// "revoked", "later" and anything else do what they say.
func start(t testing.TB, cfg gateway.Config, change ...func(*gateway.Deps)) *site {
	t.Helper()
	s := &site{}
	deps := gateway.Deps{
		Authenticate: authenticate,
		Handed: func(session, conversation int64, from, to uint64) {
			for seq := from; seq <= to; seq++ {
				s.record(&s.handed, handed{session: session, conversation: conversation, seq: seq, at: time.Now()})
			}
		},
		Confirmed: func(session, conversation int64, from, to uint64) {
			s.record(&s.confirm, handed{session: session, conversation: conversation, seq: from, to: to, at: time.Now()})
		},
		Opened: func(c gateway.ConnInfo) { s.note(&s.opened, c) },
		Closed: func(c gateway.ConnInfo) { s.note(&s.closed, c) },
	}
	for _, f := range change {
		f(&deps)
	}
	g, err := gateway.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	s.Gateway = g
	s.serve(t)
	return s
}

func (s *site) serve(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	tcp, sec := listen(t), listen(t)
	cert, roots := certificate(t)
	s.clientTLS = &tls.Config{RootCAs: roots, ServerName: "localhost"}
	secure := tls.NewListener(sec, &tls.Config{Certificates: []tls.Certificate{cert}})
	web := httptest.NewServer(s.Gateway)
	s.tcp, s.tls, s.ws = tcp.Addr().String(), sec.Addr().String(), "ws"+strings.TrimPrefix(web.URL, "http")+"/sub"
	var work sync.WaitGroup
	work.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	work.Go(func() {
		if err := s.ServeTCP(ctx, tcp); err != nil {
			t.Error(err)
		}
	})
	work.Go(func() { s.acceptTLS(ctx, secure) })
	s.stop = sync.OnceFunc(func() {
		cancel()
		_ = secure.Close()
		work.Wait()
		web.Close()
	})
	t.Cleanup(s.stop)
}

func (s *site) acceptTLS(ctx context.Context, ln net.Listener) {
	var work sync.WaitGroup
	defer work.Wait()
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		work.Go(func() {
			if c.(*tls.Conn).HandshakeContext(ctx) == nil {
				s.ServeConn(ctx, c)
			}
		})
	}
}

func authenticate(_ context.Context, token string) (gateway.Identity, error) {
	var id gateway.Identity
	switch {
	case token == "later":
		return id, errors.New("database is busy")
	case strings.HasPrefix(token, "revoked "):
		_, err := fmt.Sscanf(token, "revoked %d.%d", &id.User, &id.Session)
		return id, errors.Join(gateway.ErrRevoked, err)
	}
	if _, err := fmt.Sscanf(token, "%d.%d", &id.User, &id.Session); err != nil {
		return id, gateway.ErrUnknownToken
	}
	return id, nil
}

func (s *site) record(to *[]handed, h handed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = append(*to, h)
}

func (s *site) note(to *[]gateway.ConnInfo, c gateway.ConnInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = append(*to, c)
}

// locked runs f with the records at rest.
func (s *site) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// app connects the Android app as user with login session, and waits for op 8.
func (s *site) app(t testing.TB, user, session int64) *apptest.App {
	t.Helper()
	return s.appWith(t, apptest.AppConfig{Token: fmt.Sprintf("%d.%d", user, session), User: user, Heartbeat: -1})
}

func (s *site) appWith(t testing.TB, cfg apptest.AppConfig) *apptest.App {
	t.Helper()
	a, err := apptest.DialApp(s.tcp, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	if !a.WaitLogin(soon) {
		t.Fatalf("no op 8; errors %v", a.Errors())
	}
	return a
}

// client connects an exact client over "tcp", "tls" or "ws".
func (s *site) client(t testing.TB, over, token string, features ...string) *apptest.Client {
	t.Helper()
	cfg := apptest.ClientConfig{Token: token, Platform: "test", Features: features}
	c, err := apptest.Dial(context.Background(), s.target(over, &cfg), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// stranger connects without logging in.
func (s *site) stranger(t testing.TB, over string) *apptest.Client {
	t.Helper()
	cfg := apptest.ClientConfig{}
	c, err := apptest.Connect(context.Background(), s.target(over, &cfg), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *site) target(over string, cfg *apptest.ClientConfig) string {
	switch over {
	case "ws":
		return s.ws
	case "tls":
		cfg.TLS = s.clientTLS
		return s.tls
	default:
		return s.tcp
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(soon)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// text is a push of a text message whose content is padded to size bytes.
func text(seq uint64, size int) *gateway.Push {
	m := protocol.Message{
		ChatType: protocol.ChatPrivate, FromUser: 7, ToUsers: "1", Content: fmt.Sprintf("%d ", seq),
		ServerMsgID: fmt.Sprintf("id-%d", seq), Time: int64(seq), //nolint:gosec // small
	}
	body := protocol.MessageJSON(&m, false)
	if pad := size - len(body); pad > 0 {
		m.Content += strings.Repeat("x", pad)
		body = protocol.MessageJSON(&m, false)
	}
	return &gateway.Push{Op: protocol.OpPrivate, Body: body, Conversation: 5, Seq: seq}
}

// expect reads frames until one with this op comes.
func expect(t testing.TB, c *apptest.Client, op protocol.Op) apptest.Frame {
	t.Helper()
	for {
		f, err := c.Read()
		if err != nil {
			t.Fatalf("waiting for op %d: %v", op, err)
		}
		if f.Op == op {
			return f
		}
	}
}

var _ http.Handler = (*gateway.Gateway)(nil)
