package rtmp_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/media"
	"gtiv/media/mediatest"
	"gtiv/media/rtmp"
)

// host is a server with its hub; the key of a room is "key-" and its name.
type host struct {
	hub      *media.Hub
	registry *media.Registry
	addr     string
	log      *logs
	stop     func() // and wait
}

// logs keeps what was logged at info and above.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.buf.String(), "\n"), "\n")
}

var errUnknown = errors.New("unknown key")

func serve(t testing.TB, cfg rtmp.Config, limits media.Limits, wrap func(net.Listener) net.Listener) *host {
	t.Helper()
	h := &host{hub: media.NewHub(nil, nil, nil), registry: media.NewRegistry(limits, nil), log: &logs{}}
	s := rtmp.New(cfg, rtmp.Deps{
		Hub: h.hub,
		Publish: func(_ context.Context, r rtmp.Request) (string, int64, error) {
			if room, ok := strings.CutPrefix(r.Name, "key-"); ok {
				return room, 7, nil
			}
			if r.Name == "panic" {
				panic("a bug")
			}
			return "", 0, errUnknown
		},
		Play: func(_ context.Context, r rtmp.Request) (string, int64, error) {
			if r.Name == "secret" {
				return "", 0, errUnknown
			}
			return strings.TrimPrefix(r.Name, "token/"), 0, nil
		},
		Open: h.registry.Add, Log: slog.New(slog.NewTextHandler(h.log, nil)),
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	if wrap != nil {
		ln = wrap(ln)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- s.Serve(ctx, ln) }()
	go func() { done <- h.hub.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(h.stop)
	return h
}

func (h *host) publishURL(room string) string { return "rtmp://" + h.addr + "/live/key-" + room }
func (h *host) playURL(room string) string    { return "rtmp://" + h.addr + "/live/" + room }

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// ffmpeg publishes a test picture and a tone in real time until the test ends or it
// is killed.
func ffmpeg(t testing.TB, url string, args ...string) (cmd *exec.Cmd, wait func() (string, error)) {
	t.Helper()
	if testing.Short() {
		t.Skip("with a real encoder, in real time")
	}
	all := []string{
		"-loglevel", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-re", "-f", "lavfi", "-i", "sine=f=440:r=44100",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac", "-t", "60",
	}
	cmd = exec.CommandContext(t.Context(), "ffmpeg", append(append(all, args...), "-f", "flv", url)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait = sync.OnceValues(func() (string, error) { err := cmd.Wait(); return out.String(), err })
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = wait()
	})
	return cmd, wait
}

// watch decodes so many seconds with ffmpeg and answers what it complains about.
func watch(t testing.TB, url string, seconds float64, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	all := append([]string{"-loglevel", "warning", "-nostdin", "-xerror"}, args...)
	all = append(all, "-i", url, "-t", fmt.Sprint(seconds), "-f", "null", "-")
	out, err := exec.CommandContext(ctx, "ffmpeg", all...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return string(out)
}

// streams are the codecs that ffprobe sees.
func streams(t testing.TB, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffprobe", "-loglevel", "error", "-show_entries", "stream=codec_name,width,sample_rate", "-of", "json", "-analyzeduration", "1000000", url).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var rep struct {
		Streams []struct {
			Codec  string `json:"codec_name"`
			Width  int
			Sample string `json:"sample_rate"`
		}
	}
	if err := json.Unmarshal(out, &rep); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, s := range rep.Streams {
		list = append(list, s.Codec+strconv.Itoa(s.Width)+s.Sample)
	}
	return strings.Join(list, " ")
}

func TestFFmpegPublishesAndPlays(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"plain":         nil,
		"B-frames":      {"-bf", "2"},
		"at 16775 s":    {"-output_ts_offset", "16775"},
		"at 17000 s":    {"-output_ts_offset", "17000"},
		"live":          {"-rtmp_live", "live", "-rtmp_buffer", "100"},
		"4 Mbit/s":      {"-output_ts_offset", "17000", "-b:v", "4M"},
		"hours of 49 d": {"-output_ts_offset", "4294960"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := serve(t, rtmp.Config{}, media.Limits{}, nil)
			_, wait := ffmpeg(t, h.publishURL("r"), args...)
			eventually(t, "on air", func() bool { s := h.hub.Stream("r"); return s != nil && s.Stats().Pictures > 30 })
			began := time.Now()
			if got := streams(t, h.playURL("r")); got != "h264320 aac044100" && got != "aac044100 h264320" {
				t.Errorf("ffprobe sees %q", got)
			}
			if out := watch(t, h.playURL("r"), 3); out != "" {
				t.Errorf("ffmpeg says: %s", out)
			}
			t.Logf("probed and played 3 s after %v", time.Since(began).Round(time.Millisecond))
			h.hub.Kick("r")
			if out, err := wait(); err == nil {
				t.Errorf("the publisher did not notice: %s", out)
			}
		})
	}
}

// ffmpeg takes over the size of chunks that it is told; other encoders have their own.
func TestChunksOfManySizes(t *testing.T) {
	t.Parallel()
	clip := mediatest.Clip(t, 8)
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	sizes := []uint32{1, 128, 4096, 65536, 0xffffff, 0x7fffffff}
	for _, size := range sizes {
		p := dialPublisher(t, h.addr, fmt.Sprint("key-", size))
		p.send(chunked(2, 1, 0, 0, binary.BigEndian.AppendUint32(nil, size), 128))
		go func() {
			began := time.Now()
			for _, tag := range clip {
				time.Sleep(time.Duration(tag.Time)*time.Millisecond - time.Since(began))
				if _, err := p.Write(chunked(byte(tag.Kind), byte(tag.Kind), 1, 17_000_000+tag.Time, tag.Body, int(size))); err != nil {
					return
				}
			}
		}()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, size := range sizes {
		wg.Go(func() {
			if out := watch(t, h.playURL(fmt.Sprint(size)), 4); out != "" {
				t.Errorf("%d: ffmpeg says: %s", size, out)
			}
		})
	}
}

// The first picture comes with the cache, not with the next key frame.
func TestThereIsAPictureAtOnce(t *testing.T) {
	t.Parallel()
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	ffmpeg(t, h.publishURL("r"), "-g", "250")
	eventually(t, "on air", func() bool { s := h.hub.Stream("r"); return s != nil && s.Stats().Pictures > 50 })
	p := dialPlayer(t, h.addr, "r")
	began := time.Now()
	for {
		m := p.next()
		if m.kind == 9 && m.body[1] == 1 {
			if m.body[0] != 0x17 {
				t.Errorf("the first picture is none of its own: % x", m.body[:2])
			}
			break
		}
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("it came after %v", d)
	}
}

func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestRTMPS(t *testing.T) {
	t.Parallel()
	cfg := &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	h := serve(t, rtmp.Config{}, media.Limits{}, func(ln net.Listener) net.Listener { return tls.NewListener(ln, cfg) })
	ffmpeg(t, "rtmps://"+h.addr+"/live/key-r")
	eventually(t, "on air", func() bool { s := h.hub.Stream("r"); return s != nil && s.Stats().Pictures > 10 })
	if out := watch(t, "rtmps://"+h.addr+"/live/r", 2); out != "" {
		t.Errorf("ffmpeg says: %s", out)
	}
}

func TestAPlayerGoesOnWhenAnotherPublisherTakesOver(t *testing.T) {
	t.Parallel()
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	_, first := ffmpeg(t, h.publishURL("r"))
	eventually(t, "on air", func() bool { s := h.hub.Stream("r"); return s != nil && s.Stats().Pictures > 10 })
	watched := make(chan string, 1)
	go func() { watched <- watch(t, h.playURL("r"), 8) }()
	eventually(t, "watched", func() bool { return h.hub.Stream("r").Readers() == 1 })
	time.Sleep(time.Second)
	ffmpeg(t, h.publishURL("r"), "-output_ts_offset", "17000")
	if out, err := first(); err == nil {
		t.Errorf("the first publisher was not sent away: %s", out)
	}
	if out := <-watched; out != "" {
		t.Errorf("ffmpeg says: %s", out)
	}
	if n := len(h.registry.List("r")); n > 2 {
		t.Errorf("%d sessions", n)
	}
}

func TestAnUnknownKeyAndAnUnknownApp(t *testing.T) {
	t.Parallel()
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	_, wait := ffmpeg(t, "rtmp://"+h.addr+"/live/wrong")
	if out, err := wait(); err == nil || !strings.Contains(out, "may not be published") {
		t.Errorf("%v: %s", err, out)
	}
	_, wait = ffmpeg(t, "rtmp://"+h.addr+"/other/key-r")
	if out, err := wait(); err == nil || !strings.Contains(out, "no such app") {
		t.Errorf("%v: %s", err, out)
	}
	if out := watch(t, h.playURL("secret"), 1); !strings.Contains(out, "nothing to play") {
		t.Errorf("%s", out)
	}
	h.stop()
	if lines := h.log.lines(); len(lines) != 3 || !strings.Contains(lines[0], "unknown key") || !strings.Contains(lines[1], "unknown app") {
		t.Errorf("%q", lines)
	}
}

func TestAPlayerWaitsForAStreamButNotForEver(t *testing.T) {
	t.Parallel()
	h := serve(t, rtmp.Config{PlayWait: time.Second}, media.Limits{}, nil)
	if out := watch(t, h.playURL("r"), 1); !strings.Contains(out, "not on air") {
		t.Errorf("%s", out)
	}
	h = serve(t, rtmp.Config{}, media.Limits{}, nil)
	watched := make(chan string, 1)
	go func() { watched <- watch(t, "rtmp://"+h.addr+"/live/token/r?x=y", 2) }()
	time.Sleep(time.Second)
	ffmpeg(t, h.publishURL("r"))
	if out := <-watched; out != "" {
		t.Errorf("ffmpeg says: %s", out)
	}
}

func TestOnlySoundAndOnlyPictures(t *testing.T) {
	t.Parallel()
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	ffmpeg(t, h.publishURL("sound"), "-vn")
	ffmpeg(t, h.publishURL("pictures"), "-an")
	eventually(t, "on air", func() bool {
		a, b := h.hub.Stream("sound"), h.hub.Stream("pictures")
		return a != nil && a.Stats().Sounds > 60 && b != nil && b.Stats().Pictures > 30
	})
	for room, want := range map[string]string{"sound": "aac044100", "pictures": "h264320"} {
		if got := streams(t, h.playURL(room)); got != want {
			t.Errorf("%s: ffprobe sees %q", room, got)
		}
		if out := watch(t, h.playURL(room), 2, "-analyzeduration", "1000000"); out != "" {
			t.Errorf("%s: ffmpeg says: %s", room, out)
		}
	}
}

// A player that joins after 4 h 39 min gets times that do not fit into three bytes.
func TestAPlayerJoinsAfterFiveHours(t *testing.T) {
	t.Parallel()
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	clip := mediatest.Clip(t, 10)
	p, _ := h.hub.Publish(t.Context(), "r")
	defer p.Close()
	at := uint32(0)
	for at < 5*3600*1000 {
		m, err := media.ParseMessage(media.Audio, []byte{0xaf, 1, 0})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Push(m, at); err != nil {
			t.Fatal(err)
		}
		at += 4900
	}
	for i := range clip {
		clip[i].Time += at
	}
	go func() {
		began := time.Now()
		for _, tag := range clip {
			time.Sleep(time.Duration(tag.Time-at)*time.Millisecond - time.Since(began))
			m, err := media.ParseMessage(tag.Kind, tag.Body)
			if err != nil || p.Push(m, tag.Time) != nil {
				return
			}
		}
	}()
	time.Sleep(2 * time.Second)
	if got := h.hub.Stream("r").Stats().Time; got < 5*3600*1000 {
		t.Fatalf("the stream is at %d ms", got)
	}
	if out := watch(t, h.playURL("r"), 3); out != "" {
		t.Errorf("ffmpeg says: %s", out)
	}
}

func TestTheEndOfAStreamIsTheEndOfItsPlayers(t *testing.T) {
	t.Parallel()
	h := serve(t, rtmp.Config{}, media.Limits{}, nil)
	cmd, _ := ffmpeg(t, h.publishURL("r"))
	eventually(t, "on air", func() bool { s := h.hub.Stream("r"); return s != nil && s.Stats().Pictures > 10 })
	watched := make(chan string, 1)
	go func() { watched <- watch(t, h.playURL("r"), 60) }()
	eventually(t, "watched", func() bool { return h.hub.Stream("r").Readers() == 1 })
	_ = cmd.Process.Kill()
	select {
	case out := <-watched:
		if out != "" {
			t.Errorf("ffmpeg says: %s", out)
		}
	case <-time.After(10 * time.Second):
		t.Error("the player was not told")
	}
	eventually(t, "sessions end", func() bool { return len(h.registry.List("")) == 0 })
}

func TestSessionsAreCountedLimitedAndKicked(t *testing.T) {
	t.Parallel()
	h := serve(t, rtmp.Config{}, media.Limits{PerStream: 1}, nil)
	_, published := ffmpeg(t, h.publishURL("r"))
	eventually(t, "on air", func() bool { s := h.hub.Stream("r"); return s != nil && s.Stats().Pictures > 10 })
	watched := make(chan string, 1)
	go func() { watched <- watch(t, h.playURL("r"), 60) }()
	eventually(t, "watched", func() bool { return h.registry.Viewers("r") == 1 })
	if out := watch(t, h.playURL("r"), 1); !strings.Contains(out, "too many viewers") {
		t.Errorf("the second viewer: %s", out)
	}
	list := h.registry.List("r")
	if len(list) != 2 || !list[0].Publish || list[1].Publish || list[0].Address.String() != "127.0.0.1" || list[0].Protocol != media.ProtocolRTMP {
		t.Fatalf("%+v", list)
	}
	eventually(t, "bytes", func() bool { return list[0].In.Load() > 50_000 && list[1].Out.Load() > 50_000 })
	h.registry.Kick(list[1].ID)
	if out := <-watched; out != "" {
		t.Errorf("the viewer says: %s", out)
	}
	h.registry.Kick(list[0].ID)
	if out, err := published(); err == nil {
		t.Errorf("the publisher goes on: %s", out)
	}
	eventually(t, "sessions end", func() bool { return len(h.registry.List("")) == 0 && h.hub.Stream("r") == nil })
}
