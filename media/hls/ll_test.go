package hls_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gtiv/media"
	"gtiv/media/hls"
	"gtiv/media/mediatest"
)

func TestLowLatencyPlays(t *testing.T) {
	hub := media.NewHub(nil, nil, nil)
	p, _ := hub.Publish(t.Context(), "room")
	l := hls.NewLL(p.Stream(), slog.New(slog.DiscardHandler))
	end := make(chan error, 1)
	go func() { end <- l.Run(context.WithoutCancel(t.Context())) }()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.Serve(w, r, strings.TrimPrefix(r.URL.Path, "/live/room/")) {
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	s := &station{t: t}
	clip := mediatest.Clip(t, 30)
	go func() { _ = mediatest.Publish(t.Context(), p, clip, 2) }()
	began := time.Now()
	status, index := s.get(srv.URL + "/live/room/index.m3u8?token=secret")
	if status != 200 || strings.Contains(index, "secret") || !strings.Contains(index, "CODECS=") {
		t.Fatalf("%d %s", status, index)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("the first playlist took %v", d)
	}
	name := regexp.MustCompile(`(?m)^(\S+stream\.m3u8)$`).FindString(index)
	var wg sync.WaitGroup
	for range 20 { // all get the same one, made once
		wg.Go(func() {
			if status, list := s.get(srv.URL + "/live/room/" + name); status != 200 || !strings.Contains(list, "#EXT-X-PART:") {
				t.Errorf("%d %s", status, list)
			}
		})
	}
	wg.Wait()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", srv.URL+"/live/room/index.m3u8", "-t", "3", "-f", "null", "-").CombinedOutput()
	if err != nil || strings.Contains(string(out), "Error") {
		t.Errorf("%v %s", err, out)
	}
	for _, file := range []string{"x.mp4", "x.m3u8", "x.ts", "../room.m3u8", ""} {
		if status, _ := s.get(srv.URL + "/live/room/" + file); status != 404 {
			t.Errorf("%q: %d", file, status)
		}
	}
	// Somebody waits for a part that never comes: the end of the stream frees them.
	gone := make(chan int, 1)
	go func() {
		status, _ := s.get(srv.URL + "/live/room/" + name + "?_HLS_msn=999999")
		gone <- status
	}()
	before := runtime.NumGoroutine()
	p.Close()
	<-end
	select {
	case status := <-gone:
		if status == 200 {
			t.Error("a playlist of the future")
		}
	case <-time.After(10 * time.Second):
		t.Errorf("still waiting; %d goroutines", before)
	}
	if status, _ := s.get(srv.URL + "/live/room/index.m3u8"); status != 404 {
		t.Errorf("off air: %d", status)
	}
}

// AV1 goes out where it can: by low-latency HLS, and not by MPEG-TS, which says so.
func TestAV1PlaysWithLowLatency(t *testing.T) {
	hub := media.NewHub(nil, nil, nil)
	p, _ := hub.Publish(t.Context(), "room")
	l, ts := hls.NewLL(p.Stream(), slog.New(slog.DiscardHandler)), hls.NewTS(p.Stream())
	end, refused := make(chan error, 1), make(chan error, 1)
	go func() { end <- l.Run(context.WithoutCancel(t.Context())) }()
	go func() { refused <- ts.Run(context.WithoutCancel(t.Context())) }()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.Serve(w, r, strings.TrimPrefix(r.URL.Path, "/live/room/")) {
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	clip := mediatest.AV1Clip(t, 20)
	go func() { _ = mediatest.Publish(t.Context(), p, clip, 1) }()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", srv.URL+"/live/room/index.m3u8", "-t", "3", "-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v %s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", srv.URL+"/live/room/index.m3u8").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "av1,192") {
		t.Errorf("%v %s", err, out)
	}
	if err := <-refused; !errors.Is(err, hls.ErrCodec) {
		t.Error(err)
	}
	p.Close()
	if err := <-end; !errors.Is(err, media.ErrEnded) {
		t.Error(err)
	}
}
