package stream_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"time"

	"gtiv/daemon/stream"
	"gtiv/media/mediatest"
)

// cycle publishes a clip, fast, watches it in all ways that are HTTP and takes it
// off air.
func cycle(t *testing.T, s *stream.Server, url, room string, clip []mediatest.Tag) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, _ := s.Hub().Publish(ctx, room)
	get := func(path string) string {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/live/"+path, nil)
		if err != nil {
			t.Error(err)
			return ""
		}
		rep, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer rep.Body.Close()
		b, err := io.ReadAll(rep.Body)
		if err != nil || rep.StatusCode != http.StatusOK || len(b) == 0 {
			t.Errorf("%s: %d, %d bytes, %v", path, rep.StatusCode, len(b), err)
		}
		return string(b)
	}
	var work sync.WaitGroup
	air, off := context.WithCancel(ctx)
	work.Go(func() { get(room + ".flv") }) // until the stream ends
	work.Go(func() {
		if err := mediatest.Publish(air, p, clip, 40); air.Err() == nil {
			t.Errorf("publisher: %v", err)
		}
	})
	get(room + "/index.m3u8")
	list := regexp.MustCompile(room+`/\S+\.ts`).FindAllString(get(room+".m3u8"), -1)
	if len(list) == 0 {
		t.Error("no segment")
	} else {
		get(list[len(list)-1]) // the one that stays longest
	}
	for s.Sessions().Viewers(room) < 3 && ctx.Err() == nil { // FLV and both of HLS, which stay a while
		time.Sleep(time.Millisecond)
	}
	off()
	p.Close()
	work.Wait()
}

// heap is how many bytes live.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // fits
}

func TestNothingIsLeftOfTwoHundredStreams(t *testing.T) {
	s := newServer(t, "")
	web := httptest.NewServer(s)
	defer web.Close()
	clip := mediatest.Loop(mediatest.Clip(t, 4), 200)
	cycles := func(n int) {
		var rooms sync.WaitGroup
		for _, room := range []string{"one", "two"} {
			rooms.Go(func() {
				for range n / 2 {
					if cycle(t, s, web.URL, room, clip); t.Failed() {
						return
					}
				}
			})
		}
		rooms.Wait()
	}
	cycles(20)
	settle := func() int {
		http.DefaultClient.CloseIdleConnections()
		least := runtime.NumGoroutine()
		for range 50 {
			time.Sleep(20 * time.Millisecond)
			least = min(least, runtime.NumGoroutine())
		}
		return least
	}
	goroutines, bytes := settle(), heap()
	cycles(200)
	after, grown := settle(), heap()-bytes
	t.Logf("%d goroutines, %d before; %d bytes more", after, goroutines, grown)
	if after > goroutines+2 {
		b := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", after, goroutines, b[:runtime.Stack(b, true)])
	}
	if grown > 2<<20 { // one stream has about one
		t.Errorf("%d bytes more live", grown)
	}
	if len(s.Hub().Streams()) > 0 || s.Notes("one") != nil {
		t.Error("a stream is left")
	}
}
