package media_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"gtiv/media"
)

// picture is the body of an AVC tag.
func picture(key bool, n int) []byte {
	b := make([]byte, 5+n)
	b[0], b[1] = 0x27, 1
	if key {
		b[0] = 0x17
	}
	return b
}

var avcHeader = []byte{0x17, 0, 0, 0, 0, 1, 0x42, 0, 30}

type show struct {
	t   *testing.T
	hub *media.Hub
	p   *media.Publisher
	end context.Context //nolint:containedctx // of the publisher
	mu  sync.Mutex
	now time.Time
}

func newShow(t *testing.T) *show {
	t.Helper()
	s := &show{t: t, now: time.Unix(1000, 0)}
	s.hub = media.NewHub(nil, nil, func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.now })
	s.p, s.end = s.hub.Publish(t.Context(), "room")
	return s
}

func (s *show) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// push publishes and lets enough time pass for a round.
func (s *show) push(p *media.Publisher, kind media.Kind, body []byte, ts uint32) *media.Message {
	s.t.Helper()
	m, err := media.ParseMessage(kind, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := p.Push(m, ts); err != nil {
		s.t.Fatal(err)
	}
	s.pass(50 * time.Millisecond)
	return m
}

func next(t *testing.T, r *media.Reader) (*media.Round, *media.Headers) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	round, h, err := r.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return round, h
}

func TestWhoJoinsBeginsAtTheNewestKeyFrameWithTheHeaders(t *testing.T) {
	s := newShow(t)
	s.push(s.p, media.Video, avcHeader, 0)
	s.push(s.p, media.Video, picture(true, 10), 0)
	s.push(s.p, media.Video, picture(false, 10), 40)
	k := s.push(s.p, media.Video, picture(true, 10), 80)
	d := s.push(s.p, media.Video, picture(false, 10), 120)
	s.push(s.p, media.Video, picture(false, 10), 160)
	r := s.p.Stream().Read()
	defer r.Close()
	round, h := next(t, r)
	if h == nil || h.Video == nil || len(h.List()) != 1 || len(round.Messages) != 1 || round.Messages[0] != k || !round.Key {
		t.Errorf("%+v %+v", round, h)
	}
	if round, h = next(t, r); h != nil || round.Messages[0] != d {
		t.Errorf("%+v %+v", round, h)
	}
	if n := s.p.Stream().Readers(); n != 1 {
		t.Errorf("%d readers", n)
	}
	r.Close()
	r.Close()
	if n := s.p.Stream().Readers(); n != 0 {
		t.Errorf("%d readers", n)
	}
}

func TestALateReaderGoesOnAtAKeyFrame(t *testing.T) {
	s := newShow(t)
	s.push(s.p, media.Video, avcHeader, 0)
	s.push(s.p, media.Video, picture(true, 10), 0)
	r := s.p.Stream().Read()
	defer r.Close()
	s.push(s.p, media.Video, picture(false, 10), 20)
	next(t, r)
	var key *media.Message
	for i := range uint32(3000) {
		m := s.push(s.p, media.Video, picture(i%500 == 0, 100), 40*i)
		if m.Key {
			key = m
		}
	}
	round, _ := next(t, r)
	if round.Messages[0] != key || r.Skipped != 1 {
		t.Errorf("%+v, skipped %d", round, r.Skipped)
	}
}

func TestNewHeadersReachEverybody(t *testing.T) {
	s := newShow(t)
	s.push(s.p, media.Video, avcHeader, 0)
	s.push(s.p, media.Video, picture(true, 10), 0)
	s.push(s.p, media.Video, picture(false, 10), 20)
	r := s.p.Stream().Read()
	defer r.Close()
	if round, h := next(t, r); h == nil || !round.Key {
		t.Errorf("%+v %+v", round, h)
	}
	s.push(s.p, media.Video, avcHeader, 40) // the resolution changes
	s.push(s.p, media.Video, picture(true, 10), 40)
	s.push(s.p, media.Video, picture(false, 10), 80)
	next(t, r)
	if round, h := next(t, r); h != nil || !round.Messages[0].Header {
		t.Errorf("the change is in the round and told apart again: %+v %+v", round, h)
	}
	if round, h := next(t, r); h != nil || !round.Key {
		t.Errorf("told again: %+v %+v", round, h)
	}
	late := s.p.Stream().Read()
	defer late.Close()
	if _, h := next(t, late); h == nil || h.Video == nil || h.Video.Time != 40 {
		t.Errorf("%+v", h)
	}
}

func TestSerialisationsAreMadeOnce(t *testing.T) {
	s := newShow(t)
	s.push(s.p, media.Video, picture(true, 10), 0)
	s.push(s.p, media.Video, picture(false, 10), 40)
	n := 0
	for range 3 {
		r := s.p.Stream().Read()
		round, _ := next(t, r)
		b := round.Bytes(media.WireFLV, func(r *media.Round) []byte {
			n++
			return r.Messages[0].AppendFLV(nil)
		})
		if len(b) != 15+15 || b[0] != 9 || binary.BigEndian.Uint32(b[len(b)-4:]) != 26 {
			t.Errorf("% x", b)
		}
		r.Close()
	}
	if n != 1 {
		t.Errorf("made %d times", n)
	}
}

func TestTimesStayInLine(t *testing.T) {
	sound, image := []byte{0xaf, 1, 0}, picture(false, 1)
	meta := []byte{2, 0, 0}
	for name, c := range map[string]struct {
		raw, want []int64
		kinds     string // of the messages; a sound is the last one's
	}{
		"from anywhere":           {[]int64{17_000_000, 17_000_040}, []int64{0, 40}, ""},
		"wrapping":                {[]int64{1<<32 - 40, 0, 40}, []int64{0, 40, 80}, ""},
		"jump back":               {[]int64{100_000, 100_040, 0, 40}, []int64{0, 40, 80, 120}, ""},
		"small jump back":         {[]int64{100_000, 100_040, 97_000, 97_040}, []int64{0, 40, 80, 120}, ""},
		"jump ahead":              {[]int64{0, 40, 900_000, 900_040}, []int64{0, 40, 80, 120}, ""},
		"pause":                   {[]int64{0, 40, 4_000, 4_040}, []int64{0, 40, 4_000, 4_040}, ""},
		"sound behind":            {[]int64{1000, 1040, 1020, 1080}, []int64{0, 40, 20, 80}, ""},
		"sound far behind":        {[]int64{5000, 3000, 5040, 3021, 5080}, []int64{0, 0, 40, 0, 80}, "vavav"},
		"both jump back":          {[]int64{5000, 5010, 5040, 2040, 2031, 2080, 2052}, []int64{0, 10, 40, 80, 71, 120, 92}, "vavvava"},
		"sound jumps later":       {[]int64{5000, 5010, 2040, 5031, 2080, 2031, 2120, 2052}, []int64{0, 10, 50, 31, 90, 41, 130, 62}, "vavavava"},
		"both jump a little":      {[]int64{9000, 8990, 8770, 8700, 8810, 8721}, []int64{0, 0, 0, 40, 150, 61}, "vavava"},
		"clocks of their own":     {[]int64{0, 17_000_000, 40, 17_000_021, 80, 17_000_042}, []int64{0, 40, 40, 61, 80, 82}, "vavava"},
		"metadata without a time": {[]int64{17_000_000, 0, 17_000_040, 17_000_060, 17_000_080}, []int64{0, 0, 40, 60, 80}, "vmvmv"},
	} {
		s := newShow(t)
		for i, raw := range c.raw {
			kind, body := media.Audio, sound
			switch (c.kinds + "aaaaaaaa")[i] {
			case 'v':
				kind, body = media.Video, image
			case 'm':
				kind, body = media.Data, meta
			}
			if m := s.push(s.p, kind, body, uint32(raw)); m.Time != c.want[i] { //nolint:gosec // modulo 2^32
				t.Errorf("%s: %d, number %d, became %d, want %d", name, raw, i, m.Time, c.want[i])
			}
		}
	}
}

func FuzzTimes(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x28\x01\xff\xff\xff\xff\x05"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		hub := media.NewHub(nil, nil, nil)
		p, _ := hub.Publish(t.Context(), "room")
		defer p.Close()
		raw, top := uint32(0), int64(0)
		last := map[media.Kind]int64{}
		for ; len(steps) >= 5; steps = steps[5:] {
			raw += binary.LittleEndian.Uint32(steps)
			kind, body := media.Video, picture(true, 1)
			if steps[4]&1 != 0 {
				kind, body = media.Audio, []byte{0xaf, 1, 0}
			}
			m, err := media.ParseMessage(kind, body)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Push(m, raw); err != nil {
				t.Fatal(err)
			}
			if m.Time < last[kind]-250 || m.Time > top+5000 || m.Time < 0 {
				t.Fatalf("%d after %d, the newest is %d", m.Time, last[kind], top)
			}
			last[kind], top = m.Time, max(top, m.Time)
		}
	})
}

func TestASecondPublisherTakesOver(t *testing.T) {
	s := newShow(t)
	s.push(s.p, media.Video, picture(true, 10), 5000)
	last := s.push(s.p, media.Video, picture(false, 10), 5040)
	r := s.p.Stream().Read()
	defer r.Close()
	p2, _ := s.hub.Publish(t.Context(), "room")
	if !errors.Is(context.Cause(s.end), media.ErrReplaced) {
		t.Errorf("the first publisher was told %v", context.Cause(s.end))
	}
	m, _ := media.ParseMessage(media.Video, picture(false, 1)) //nolint:errcheck // as above
	if err := s.p.Push(m, 5080); !errors.Is(err, media.ErrReplaced) {
		t.Errorf("it still publishes: %v", err)
	}
	s.p.Close()
	if s.hub.Stream("room") != p2.Stream() {
		t.Error("the end of the first took the second off air")
	}
	if m := s.push(p2, media.Video, picture(true, 10), 70); m.Time <= last.Time {
		t.Errorf("time went back from %d to %d", last.Time, m.Time)
	}
	p2.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var err error
	for err == nil {
		_, _, err = r.Next(ctx)
	}
	if !errors.Is(err, media.ErrEnded) || s.hub.Stream("room") != nil {
		t.Errorf("at the end: %v", err)
	}
}

func TestASilentPublisherEnds(t *testing.T) {
	s := newShow(t)
	s.push(s.p, media.Video, picture(true, 10), 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = s.hub.Run(ctx) }()
	s.pass(11 * time.Second)
	select {
	case <-s.end.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("still on air")
	}
	if s.hub.Kick("room") {
		t.Error("kicked what is not there")
	}
}

func TestManyReadersAndOnePublisher(t *testing.T) {
	hub := media.NewHub(nil, nil, nil)
	p, _ := hub.Publish(t.Context(), "room")
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			r := p.Stream().Read()
			defer r.Close()
			last := int64(-1)
			for {
				round, _, err := r.Next(t.Context())
				if err != nil {
					if !errors.Is(err, media.ErrEnded) {
						t.Errorf("%v", err)
					}
					return
				}
				for _, m := range round.Messages {
					if m.Time < last {
						t.Errorf("time went back")
					}
					last = m.Time
				}
				if i == 0 {
					time.Sleep(time.Duration(rand.N(5)) * time.Millisecond)
				}
			}
		})
	}
	for i := range uint32(2000) {
		m, err := media.ParseMessage(media.Video, picture(i%25 == 0, 1000))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Push(m, i*10); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	p.Close()
	wg.Wait()
	if n := p.Stream().Readers(); n != 0 {
		t.Errorf("%d readers", n)
	}
}

func TestMessagesAreUnderstood(t *testing.T) {
	for name, c := range map[string]struct {
		kind        media.Kind
		body        string
		codec       media.Codec
		key, header bool
		shift       int32
		content     string
	}{
		"avc header":      {media.Video, "\x17\x00\x00\x00\x00abc", media.H264, false, true, 0, "abc"},
		"avc key":         {media.Video, "\x17\x01\x00\x00\x50abc", media.H264, true, false, 80, "abc"},
		"avc back":        {media.Video, "\x27\x01\xff\xff\xff", media.H264, false, false, -1, ""},
		"hevc of old":     {media.Video, "\x1c\x01\x00\x00\x00x", media.HEVC, true, false, 0, "x"},
		"hevc":            {media.Video, "\x91hvc1\x00\x00\x05x", media.HEVC, true, false, 5, "x"},
		"hevc header":     {media.Video, "\x90hvc1abc", media.HEVC, false, true, 0, "abc"},
		"hevc no shift":   {media.Video, "\xa3hvc1abc", media.HEVC, false, false, 0, "abc"},
		"av1":             {media.Video, "\x91av01abc", media.AV1, true, false, 0, "abc"},
		"unknown":         {media.Video, "\x12abc", media.Others, true, false, 0, "abc"},
		"aac header":      {media.Audio, "\xaf\x00\x12\x10", media.AAC, false, true, 0, "\x12\x10"},
		"aac":             {media.Audio, "\xaf\x01xy", media.AAC, false, false, 0, "xy"},
		"opus":            {media.Audio, "\x91Opusxy", media.Opus, false, false, 0, "xy"},
		"speex":           {media.Audio, "\xb6xy", media.Others, false, false, 0, "xy"},
		"metadata":        {media.Data, "\x02\x00", "", false, true, 0, "\x02\x00"},
		"enhanced avc":    {media.Video, "\x91avc1\x00\x00\x02x", media.H264, true, false, 2, "x"},
		"command of avc1": {media.Video, "\xd1avc1\x00\x00\x02x", media.H264, false, false, 2, "x"},
	} {
		m, err := media.ParseMessage(c.kind, []byte(c.body))
		if err != nil || m.Codec != c.codec || m.Key != c.key || m.Header != c.header || m.Shift != c.shift || string(m.Content) != c.content {
			t.Errorf("%s: %+v %v", name, m, err)
		}
	}
	for _, body := range []string{"", "\x17", "\x17\x01\x00", "\x91hvc", "\x91hvc1\x00"} {
		if m, err := media.ParseMessage(media.Video, []byte(body)); err == nil {
			t.Errorf("%q: %+v", body, m)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(byte(9), []byte("\x91hvc1\x00\x00\x05x"))
	f.Add(byte(8), []byte("\xaf\x01xy"))
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		m, err := media.ParseMessage(media.Kind(kind), body)
		if err == nil && len(m.Content) > len(body) {
			t.Errorf("%+v", m)
		}
	})
}

func altSound(t *testing.T, body string) *media.Message {
	t.Helper()
	m, err := media.ParseMessage(media.Audio, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	m.Alt = true
	return m
}

func TestSoundInASecondForm(t *testing.T) {
	s := newShow(t)
	s.push(s.p, media.Video, avcHeader, 0)
	s.push(s.p, media.Audio, []byte{0xaf, 0, 0x11, 0x90}, 0)
	s.push(s.p, media.Video, picture(true, 10), 0)
	for i, body := range []string{"\x90OpusOpusHead", "\x91Opusxy"} {
		if err := s.p.Push(altSound(t, body), uint32(20*i)); err != nil { //nolint:gosec // small
			t.Fatal(err)
		}
	}
	s.pass(50 * time.Millisecond)
	s.push(s.p, media.Audio, []byte{0xaf, 1, 0}, 20)
	s.push(s.p, media.Video, picture(false, 10), 40)
	r := s.p.Stream().Read()
	defer r.Close()
	sounds, alts := 0, 0
	for range 3 {
		round, _ := next(t, r)
		for _, m := range round.Messages {
			if m.Codec == media.AAC {
				sounds++
			}
			if m.Alt {
				t.Error("it is among the messages")
			}
		}
		alts += len(round.Alt)
	}
	st := s.p.Stream().Stats()
	if sounds != 1 || alts != 2 || st.Audio != media.AAC || st.Alt != media.Opus || st.Sounds != 1 {
		t.Errorf("%d sounds, %d in the second form, %+v", sounds, alts, st)
	}
	if h := s.p.Stream().Headers(); h.Alt == nil || h.Audio == nil || h.Audio.Codec != media.AAC || len(h.List()) != 2 {
		t.Errorf("%+v", h)
	}
	// Who takes over has one form only.
	p2, _ := s.hub.Publish(t.Context(), "room")
	s.push(p2, media.Video, picture(true, 10), 0)
	s.push(p2, media.Video, picture(false, 10), 40)
	for {
		round, h := next(t, r)
		if !round.Key {
			continue
		}
		if h == nil || h.Alt != nil || h.Video == nil || s.p.Stream().Stats().Alt != "" {
			t.Errorf("%+v %+v", h, s.p.Stream().Stats())
		}
		break
	}
}
