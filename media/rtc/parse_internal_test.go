package rtc

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

const someOffer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 " +
	"A5:00:5C:06:AD:D4:42:AB:10:A4:BD:93:B5:9B:A5:E4:F7:D1:40:BF:02:98:92:A4:10:03:75:2A:5D:8B:AC:2C\r\na=group:BUNDLE 0\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n" +
	"a=rtcp-mux\r\na=recvonly\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"

func FuzzOffer(f *testing.F) {
	f.Add(someOffer)
	f.Fuzz(func(t *testing.T, body string) {
		if o, err := parseOffer(body); err == nil && !o.video && !o.audio {
			t.Error("there is nothing in it")
		}
	})
}

// The library must survive what passes our own look at an offer. (The fuzzer gets
// nowhere with it: its goroutines make no two runs alike.)
func TestTheLibrarySurvivesOffers(t *testing.T) {
	engine, err := newEngine()
	if err != nil {
		t.Fatal(err)
	}
	var set webrtc.SettingEngine
	set.SetLite(true)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(set))
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	passed := 0
	for range 1000 {
		lines := strings.SplitAfter(someOffer, "\n")
		for range 1 + r.IntN(3) {
			i, j := r.IntN(len(lines)), r.IntN(len(lines))
			switch r.IntN(4) {
			case 0:
				lines[i] = lines[j]
			case 1:
				lines[i] = ""
			case 2:
				lines[i] += lines[j]
			default:
				if b := []byte(lines[i]); len(b) > 4 {
					b[2+r.IntN(len(b)-4)] = byte(32 + r.IntN(95))
					lines[i] = string(b)
				}
			}
		}
		o, err := parseOffer(strings.Join(lines, ""))
		if err != nil {
			continue
		}
		passed++
		pc, err := api.NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			t.Fatal(err)
		}
		if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: o.sdp}); err == nil {
			_, _ = pc.CreateAnswer(nil) // an error is an answer
		}
		if err := pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d came to the library", passed)
}

func FuzzFragment(f *testing.F) {
	f.Add("a=ice-ufrag:x\r\nm=video 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 UDP 1 127.0.0.1 9 typ host\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		if p, err := parseFragment(body); err == nil && len(p.candidates) > maxCandidates {
			t.Error("too many candidates")
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add(makeRecord([]byte{0x67, 0x42, 0xe0, 0x1f}, [][]byte{{0x68, 0xce}}), []byte{0, 0, 0, 2, 0x65, 1}, true)
	f.Fuzz(func(_ *testing.T, b, picture []byte, key bool) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		_ = r.profile()
		_, _ = r.packetise(picture, key) // an error is an answer
	})
}

func TestRecordsAreReadAsWritten(t *testing.T) {
	sps, pps := []byte{0x67, 0x64, 0, 0x1f, 1, 2}, [][]byte{{0x68, 1}, {0x68, 2}}
	r, err := parseRecord(makeRecord(sps, pps))
	if err != nil || r.length != 4 || r.profile() != "64001f" || !bytes.Equal(bytes.Join(r.sets, nil), bytes.Join([][]byte{sps, pps[0], pps[1]}, nil)) {
		t.Errorf("%+v %v", r, err)
	}
}

// ntp is a time of a sender, in µs.
func ntp(us int64) uint64 {
	return uint64(us/1_000_000)<<32 | uint64(us%1_000_000)<<32/1_000_000 //nolint:gosec // positive
}

func TestSoundIsMovedToThePictures(t *testing.T) {
	in := &ingest{video: line{clock: videoClock}, audio: line{clock: audioClock}, origin: time.Now()}
	const start = 4_000_000_000_000_000 // µs
	in.video.time(0xffffff00, in.origin)
	in.audio.time(77, in.origin)
	in.audio.offset = in.video.offset + 120_000 // it came 120 ms later
	// By the sender's clock both began at once.
	in.video.report(ntp(start+1_000_000), 90_000-0x100)
	in.audio.report(ntp(start+1_000_000), 77+48_000)
	in.drift = in.audio.ahead - in.video.ahead
	if in.drift > -119_000 || in.drift < -121_000 {
		t.Fatalf("it is %d µs away", in.drift)
	}
	before := in.audio.time(77, in.origin)
	in.slew()
	if d := in.audio.time(77, in.origin) - before; d != -2000 {
		t.Errorf("a step of %d µs", d)
	}
	for range 100 {
		in.slew()
	}
	if d := in.audio.offset - in.video.offset; d > 100 || d < -100 || in.drift != 0 {
		t.Errorf("%d µs are left, %d to go", d, in.drift)
	}
}
