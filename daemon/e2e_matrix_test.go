//go:build linux

package daemon_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"gtiv/media/mediatest"
)

// TestEveryPublisherReachesEveryPlayer goes through all publishers and all players.
func TestEveryPublisherReachesEveryPlayer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	b := newStudio(t)
	ffmpeg := func(args ...string) func(*testing.T, string, string) func() {
		return func(t *testing.T, _, key string) func() {
			p := s.publish(t, key, args...)
			return p.stop
		}
	}
	clip := mediatest.Loop(mediatest.Clip(t, 4), 100)
	chunks := func(size int) func(*testing.T, string, string) func() {
		return func(t *testing.T, _, key string) func() {
			ctx, cancel := context.WithCancel(t.Context())
			var work sync.WaitGroup
			work.Go(func() {
				if err := mediatest.RTMP(ctx, s.address(2011), "live", key, size, clip); ctx.Err() == nil {
					t.Errorf("publisher: %v", err)
				}
			})
			return func() { cancel(); work.Wait() }
		}
	}
	for _, c := range []struct {
		name  string
		begin func(t *testing.T, id, key string) (end func())
	}{
		{"ffmpeg", ffmpeg()},
		{"ffmpeg shortly before 2^24 ms", ffmpeg("-output_ts_offset", "16775")},
		{"ffmpeg after 2^24 ms", ffmpeg("-output_ts_offset", "17000")},
		{"chunks of 128 bytes", chunks(128)},
		{"chunks of 4096 bytes", chunks(4096)},
		{"chunks of 60000 bytes", chunks(60000)},
		{"Chromium", func(_ *testing.T, id, key string) func() {
			b.start("publish(" + quote(s.liveURL(2012, id+"/whip")) + ", " + quote(key) + ")")
			return func() {}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := b.in(t)
			id, key := s.room(t, "user"+strings.ToLower(quoteless.Replace(c.name)))
			end := c.begin(t, id, key)
			defer func() {
				eval[bool](b, "over()")
				end()
			}()
			eventually(t, "it is on air", func() bool { return s.onAir(t, id) })
			var wg sync.WaitGroup
			for name, url := range s.ways(id) {
				wg.Go(func() {
					if got := probe(t, url); !strings.Contains(got, "h264,") || !strings.Contains(got, "aac") {
						t.Errorf("%s: %s", name, got)
					}
				})
			}
			wg.Wait()
			b.start("hls('HLS', " + quote(s.liveURL(2012, id+".m3u8")) + ")")
			b.start("hls(" + quote(lowLatency) + ", " + quote(s.liveURL(2012, id+"/index.m3u8")) + ")")
			b.start("whep('WHEP', " + quote(s.liveURL(2012, id+"/whep")) + ")")
			b.start("flv('FLV', " + quote(s.liveURL(2013, id+".flv")) + ")")
			b.start("flv('WebSocket', " + quote(strings.Replace(s.liveURL(2013, id+".flv"), "http:", "ws:", 1)) + ")")
			for _, name := range []string{"HLS", lowLatency, "WHEP", "FLV", "WebSocket"} {
				b.shows(name, 40)
			}
		})
	}
}

// quoteless takes out of a name what no account may have in its.
var quoteless = strings.NewReplacer(" ", "", "^", "")

// in is the same browser for a part of its test.
func (b *browser) in(t *testing.T) *browser {
	return &browser{t: t, ctx: b.ctx, allow: b.allow}
}
