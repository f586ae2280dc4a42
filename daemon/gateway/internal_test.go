package gateway

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"gtiv/protocol"
)

// FuzzAuthBody: whatever a stranger sends is read without a panic, and what is
// taken is within its bounds.
func FuzzAuthBody(f *testing.F) {
	for _, seed := range []string{
		`{"userToken":"abc","platform":"android"}`, `{"userToken":"abc","platform":"web","room_id":"live://1","accepts":[1]}`,
		`{"userToken":"","platform":""}`, `{}`, `null`, `[]`, `""`, `{"userToken":null}`, `{"userToken":1}`,
		`{"userToken":"a","features":["seq"]}`, `{"features":[]}`, `{"features":{}}`, `{"platform":[1]}`, `{"userToken":"a"} x`, "\x00", `{"userToken":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAuth(b)
		if err != nil {
			return
		}
		if !json.Valid(b) || len(a.token) > maxToken || len(a.platform) > 2*maxPlatform {
			t.Errorf("%q read as %+v", b, a)
		}
	})
}

func TestAuthBody(t *testing.T) {
	for body, want := range map[string]authBody{
		`{"userToken":"abc","platform":"Android"}`:                      {token: "abc", platform: "android"},
		`{"userToken":"abc","platform":"web","features":["a","b"]}`:     {token: "abc", platform: "web", features: true},
		`{"userToken":"abc","features":"yes","room_id":5,"accepts":{}}`: {token: "abc"},
		`{"platform":7}`: {},
		`{}`:             {},
	} {
		if got, err := parseAuth([]byte(body)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for _, body := range []string{``, `null`, `5`, `"x"`, `[]`, `{"userToken":{}}`, `{"userToken":"a"}{}`} {
		if got, err := parseAuth([]byte(body)); err == nil {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestOnlyARawStreamOfAndroidWithoutFeaturesIsTheApp(t *testing.T) {
	for _, c := range []struct {
		t    Transport
		a    authBody
		want bool
	}{
		{TCP, authBody{platform: "android"}, true},
		{TCP, authBody{}, true},
		{TLS, authBody{platform: "android"}, true},
		{TCP, authBody{platform: "ios"}, false},
		{TCP, authBody{platform: "android", features: true}, false},
		{WebSocket, authBody{platform: "android"}, false},
	} {
		if got := isApp(c.t, c.a); got != c.want {
			t.Errorf("%v %+v: %v", c.t, c.a, got)
		}
	}
}

// sleeper notes when it was woken.
type sleeper struct {
	entry
	woken []time.Duration
	again func(now int64)
}

func (s *sleeper) tick(now int64) {
	s.woken = append(s.woken, time.Duration(now))
	if s.again != nil {
		s.again(now)
	}
}

// turnFor runs a wheel on a real clock, which synctest makes a fast one.
func turnFor(w *wheel, d time.Duration) {
	began := time.Now()
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for now := range t.C {
		if now.Sub(began) > d {
			return
		}
		w.advance(int64(now.Sub(began)))
	}
}

func TestWheelWakesNeverEarlyAndAtMostOneStepLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWheel(50 * time.Millisecond)
		want := []time.Duration{1, 50 * time.Millisecond, 51 * time.Millisecond, 99 * time.Second, 300 * time.Second, 409 * time.Second}
		var all []*sleeper
		for _, at := range want {
			s := &sleeper{}
			s.owner = s
			w.schedule(&s.entry, int64(at))
			all = append(all, s)
		}
		gone := &sleeper{}
		gone.owner = gone
		w.schedule(&gone.entry, int64(time.Second))
		w.remove(&gone.entry)
		turnFor(w, 500*time.Second)
		for i, s := range all {
			if len(s.woken) != 1 || s.woken[0] < want[i] || s.woken[0] > want[i]+50*time.Millisecond {
				t.Errorf("due %v, woken %v", want[i], s.woken)
			}
		}
		if len(gone.woken) != 0 {
			t.Error("woken after remove")
		}
	})
}

func TestWheelKeepsTheEarlierTimeAndTakesAnEarlierOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWheel(50 * time.Millisecond)
		s := &sleeper{}
		s.owner = s
		w.schedule(&s.entry, int64(10*time.Second))
		w.schedule(&s.entry, int64(20*time.Second)) // lazily: asked again at 10 s
		w.schedule(&s.entry, int64(5*time.Second))
		s.again = func(now int64) {
			if now < int64(20*time.Second) {
				w.schedule(&s.entry, int64(20*time.Second))
			}
		}
		turnFor(w, 30*time.Second)
		if len(s.woken) != 2 || s.woken[0] != 5*time.Second || s.woken[1] != 20*time.Second {
			t.Errorf("woken %v", s.woken)
		}
	})
}

func TestWheelSurvivesAStopOfTheHost(t *testing.T) {
	w := newWheel(50 * time.Millisecond)
	s := &sleeper{}
	s.owner = s
	w.schedule(&s.entry, int64(time.Minute))
	w.advance(int64(24 * time.Hour))
	if len(s.woken) != 1 {
		t.Errorf("woken %v", s.woken)
	}
	w.schedule(&s.entry, 0)
	w.advance(int64(24*time.Hour + time.Second))
	if len(s.woken) != 2 {
		t.Errorf("woken %v", s.woken)
	}
}

func TestPaceOfTheApp(t *testing.T) {
	c := Config{}.withDefaults().App
	ms := func(n int64) int64 { return n * int64(time.Millisecond) }
	data, alone := []item{{}}, []item{{flags: flagAlone}}
	var p appPace
	if p.due(&c, alone) != 0 {
		t.Error("op 8 must not wait")
	}
	p.wrote(&c, ms(1000), flagAlone)
	if got := p.due(&c, data); got != ms(1300) {
		t.Errorf("data behind op 8 at %d", got)
	}
	p.wrote(&c, ms(1300), 0)
	if got := p.due(&c, data); got != ms(1400) {
		t.Errorf("data behind data at %d", got)
	}
	p.beat = true
	if got := p.due(&c, nil); got != ms(1600) {
		t.Errorf("op 3 behind data at %d", got)
	}
	p.wrote(&c, ms(2000), flagSlow)
	if got := p.due(&c, data); got != ms(3500) {
		t.Errorf("data behind a slow push at %d", got)
	}
	if got := p.due(&c, nil); got != ms(3500) {
		t.Errorf("op 3 behind a slow push at %d", got)
	}
	p.inTheAir(&c, ms(3500))
	if d, o := p.due(&c, data), p.due(&c, nil); d != ms(3600) || o != ms(3800) {
		t.Errorf("unacknowledged bytes: data at %d, op 3 at %d", d, o)
	}
	p.beat = false
	if got := p.due(&c, nil); got != ms(103500) {
		t.Errorf("op 3 unasked at %d", got)
	}
}

func TestBatchesOfTheApp(t *testing.T) {
	it := func(n int, f itemFlags) item { return item{buf: make([]byte, n), flags: f} }
	for _, c := range []struct {
		queue []item
		want  int
	}{
		{[]item{it(16, flagAlone), it(100, 0)}, 1},
		{[]item{it(100, 0), it(20, flagAlone)}, 1},
		{[]item{it(700, 0), it(700, 0), it(1, 0)}, 2},
		{[]item{it(4096, 0), it(1, 0)}, 1},
		{[]item{it(4000, 0), it(93, 0)}, 1}, // would overrun the app's buffer (F3)
		{[]item{it(100, 0), it(100, flagSlow), it(100, 0)}, 2},
		{[]item{it(1, 0)}, 1},
	} {
		if got := appBatch(c.queue, 1400); got != c.want {
			t.Errorf("%d frames, want %d", got, c.want)
		}
	}
}

func TestConfirmationsRunInOrderAndAreBounded(t *testing.T) {
	g, err := New(Config{}, Deps{Authenticate: func(context.Context, string) (Identity, error) { return Identity{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	s := &session{g: g}
	now := int64(0)
	for i := range uint64(1000) {
		now += int64(time.Second)
		s.rememberLocked(&item{conversation: int64(i % 3), seq: i + 1}, now)
	}
	if len(s.unconfirmed) > maxUnconfirmed {
		t.Errorf("%d remembered", len(s.unconfirmed))
	}
	s.unconfirmed = nil
	for i := range uint64(10) {
		s.rememberLocked(&item{conversation: 1, seq: i + 1}, now)
	}
	s.rememberLocked(&item{conversation: 1, seq: 20}, now)
	if len(s.unconfirmed) != 2 || s.unconfirmed[0].to != 10 || s.unconfirmed[1].from != 20 {
		t.Errorf("runs %+v", s.unconfirmed)
	}
}

func TestSplitForTheAppLeavesOutWhatItCannotRead(t *testing.T) {
	good := protocol.MessageJSON(&protocol.Message{ChatType: 3, RoomID: 1, FromUser: 2, Content: "x", ServerMsgID: "y"}, false)
	var b []byte
	for range 20 {
		b = protocol.AppendFrame(b, 101, 0, good)
		b = protocol.AppendFrame(b, 21, 0, good)
		b = protocol.AppendFrame(b, 101, 0, []byte(`{}`))
	}
	frames := 0
	splitForApp(b, 1400, func(piece []byte, count uint32) {
		if len(piece) > 1400 {
			t.Errorf("piece of %d bytes", len(piece))
		}
		for len(piece) > 0 {
			h, err := protocol.ParseHeader(piece)
			if err != nil || h.Op != 101 || h.BodyLen != len(good) {
				t.Fatalf("%+v, %v", h, err)
			}
			piece = piece[protocol.HeaderBytes+h.BodyLen:]
			frames++
			count--
		}
		if count != 0 {
			t.Errorf("frames miscounted by %d", int32(count)) //nolint:gosec // small
		}
	})
	if frames != 20 {
		t.Errorf("%d frames", frames)
	}
}
