package stream_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/daemon/stream"
	"gtiv/media/mediatest"
)

// cycle publishes a clip, fast, watches it in all ways that are HTTP and takes it
// off air.
func cycle(t *testing.T, s *stream.Server, url string, clip []mediatest.Tag) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, _ := s.Hub().Publish(ctx, "room")
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
	work.Go(func() { get("room.flv") }) // until the stream ends
	work.Go(func() { get("room/index.m3u8") })
	if err := mediatest.Publish(ctx, p, clip, 80); err != nil {
		t.Error(err)
	}
	list := get("room.m3u8")
	get(regexp.MustCompile(`room/\S+\.ts`).FindString(list))
	for s.Sessions().Viewers("room") < 3 { // FLV and both of HLS, which stay a while
		time.Sleep(time.Millisecond)
	}
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
	clip := mediatest.Clip(t, 4)
	for range 20 {
		cycle(t, s, web.URL, clip)
	}
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
	for range 200 {
		cycle(t, s, web.URL, clip)
		if t.Failed() {
			t.FailNow()
		}
	}
	after, grown := settle(), heap()-bytes
	t.Logf("%d goroutines, %d before; %d bytes more", after, goroutines, grown)
	if after > goroutines+2 {
		b := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", after, goroutines, b[:runtime.Stack(b, true)])
	}
	if grown > 2<<20 { // one stream has about one
		t.Errorf("%d bytes more live", grown)
	}
	if len(s.Hub().Streams()) > 0 || strings.Join(s.Notes("room"), "") != "" {
		t.Error("a stream is left")
	}
}
