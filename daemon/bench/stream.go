package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gtiv/store"
)

// The ports of gtiv that viewers use, before the offset.
const (
	portRTMP = 2011
	portHLS  = 2012
	portFLV  = 2013
)

// streamBench has a running gtiv and what is published to it.
type streamBench struct {
	b     *bench
	clip  string // a file that is published again and again
	s     *server
	rooms []int64
	keys  []string
}

// streams measures live streams: what viewers of every kind cost, and many
// publishers.
func streams(ctx context.Context, b *bench) error {
	sb := &streamBench{b: b}
	if err := sb.prepare(ctx, "clip", "2000k"); err != nil {
		return err
	}
	if err := sb.start(ctx, 1); err != nil {
		return err
	}
	defer func() { sb.s.stop() }()
	for _, part := range []func(context.Context) error{sb.flvAndRTMP, sb.thousand, sb.segments, sb.webRTC} {
		if err := part(ctx); err != nil {
			return fmt.Errorf("%w\n%s", err, sb.s.log)
		}
	}
	sb.s.stop()
	return sb.publishers(ctx)
}

// prepare encodes what is published: 720p, a key frame a second, no B-frames.
func (sb *streamBench) prepare(ctx context.Context, name, rate string) error {
	dir, err := sb.b.folder("streams")
	if err != nil {
		return err
	}
	sb.clip = filepath.Join(dir, name+".flv")
	return ffmpeg(ctx, "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=20,noise=alls=12:allf=t", "-f", "lavfi", "-i", "sine=f=440:r=44100:d=20",
		"-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-bf", "0", "-pix_fmt", "yuv420p", "-g", "30", "-b:v", rate, "-maxrate", rate, "-bufsize", rate,
		"-c:a", "aac", "-b:a", "128k", sb.clip)
}

// start starts gtiv with so many rooms.
func (sb *streamBench) start(ctx context.Context, rooms int) error {
	data, err := sb.b.folder("rooms")
	if err != nil {
		return err
	}
	sb.rooms, sb.keys = nil, nil
	if err := withStore(ctx, data, func(s *store.Store) error {
		owners, err := people(ctx, s, rooms)
		if err != nil {
			return err
		}
		for i, p := range owners {
			r, err := s.CreateLive(ctx, p.id, "bench", "", nil)
			if err != nil {
				return err
			}
			key, err := s.LiveKey(ctx, p.id, r.ID, fmt.Sprintf("%048d", i+1))
			if err != nil {
				return err
			}
			sb.rooms, sb.keys = append(sb.rooms, r.ID), append(sb.keys, key)
		}
		return nil
	}); err != nil {
		return err
	}
	sb.s, err = sb.b.serve(ctx, data)
	return err
}

// publish publishes the clip at an address until stop is called.
func (sb *streamBench) publish(ctx context.Context, address string) (stop func(), err error) {
	cmd := exec.CommandContext(ctx, "ffmpeg", "-loglevel", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", sb.clip, "-c", "copy", "-f", "flv", address) //nolint:gosec // ours
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { // ends with ffmpeg
		_ = cmd.Wait() //nolint:errcheck // who watches notices
		close(ended)
	}()
	return func() {
		_ = cmd.Process.Kill() //nolint:errcheck // it may have ended
		<-ended
	}, nil
}

// target is a server that viewers watch.
type target struct {
	pid     int
	ingest  string // address to publish at
	address func(via string) string
}

func (sb *streamBench) ours() target {
	room := sb.rooms[0]
	return target{
		sb.s.pid(), "rtmp://" + sb.s.addr(portRTMP) + "/live/" + sb.keys[0],
		func(via string) string {
			return map[string]string{
				viaFLV: fmt.Sprintf("http://%s/live/%d.flv", sb.s.addr(portFLV), room), viaRTMP: fmt.Sprintf("rtmp://%s/live/%d", sb.s.addr(portRTMP), room),
				viaHLS: fmt.Sprintf("http://%s/live/%d.m3u8", sb.s.addr(portHLS), room), viaLLHLS: fmt.Sprintf("http://%s/live/%d/index.m3u8", sb.s.addr(portHLS), room),
				viaWHEP: fmt.Sprintf("http://%s/live/%d/whep", sb.s.addr(portHLS), room),
			}[via]
		},
	}
}

func (m *mediamtx) target() target {
	return target{
		m.cmd.Process.Pid, fmt.Sprintf("rtmp://127.0.0.1:%d/live/bench", mtxRTMP),
		func(via string) string {
			return map[string]string{
				viaRTMP: fmt.Sprintf("rtmp://127.0.0.1:%d/live/bench", mtxRTMP), viaHLS: fmt.Sprintf("http://127.0.0.1:%d/live/bench/index.m3u8", mtxHLS),
				viaLLHLS: fmt.Sprintf("http://127.0.0.1:%d/live/bench/index.m3u8", mtxHLS), viaWHEP: fmt.Sprintf("http://127.0.0.1:%d/live/bench/whep", mtxRTC),
			}[via]
		},
	}
}

// watched is what viewers cost.
type watched struct {
	perSecond time.Duration // of processor time for each viewer and second
	perMB     time.Duration // for each MB that went out
	memory    float64       // bytes for each viewer
	bytes     int64
	stalls    int
}

// measure has n viewers watch a target for some seconds.
func (sb *streamBench) measure(ctx context.Context, t target, via string, n int) (watched, error) {
	var w watched
	stop, err := sb.publish(ctx, t.ingest)
	if err != nil {
		return w, err
	}
	defer stop()
	seconds := time.Duration(pick(sb.b, 20, 6)) * time.Second
	if !sleep(ctx, 8*time.Second) { // until there are segments
		return w, ctx.Err()
	}
	viewers, err := startChild("viewers")
	if err != nil {
		return w, err
	}
	defer viewers.close()
	before, err := rss(t.pid)
	if err != nil {
		return w, err
	}
	if _, err := viewers.call(ctx, command{Do: "watch", Addr: t.address(via), Room: via, Count: n}); err != nil {
		return w, err
	}
	if !sleep(ctx, 6*time.Second) {
		return w, ctx.Err()
	}
	first, err := viewers.call(ctx, command{Do: "stats"})
	if err != nil {
		return w, err
	}
	used, err := cpu(t.pid)
	if err != nil {
		return w, err
	}
	began := time.Now()
	sleep(ctx, seconds)
	last, err1 := viewers.call(ctx, command{Do: "stats"})
	after, err2 := cpu(t.pid)
	memory, err3 := rss(t.pid)
	if err := errors.Join(err1, err2, err3); err != nil {
		return w, err
	}
	elapsed := time.Since(began)
	w.bytes, w.stalls = last.Bytes-first.Bytes, last.Stalls
	w.perSecond = time.Duration(float64(after-used) / elapsed.Seconds() / float64(n))
	w.perMB = time.Duration(float64(after-used) / (float64(w.bytes) / 1e6))
	w.memory = (memory - before) / float64(n)
	if last.N != n || first.N != n {
		return w, fmt.Errorf("%d of %d viewers by %s watch, %d at the end: %s", first.N, n, via, last.N, last.Note)
	}
	if w.bytes == 0 {
		return w, fmt.Errorf("nothing came by %s", via)
	}
	return w, nil
}

// sleep waits, false if ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (w watched) viewer() string {
	return fmt.Sprintf("%.2f ms", float64(w.perSecond.Microseconds())/1000)
}

func (w watched) served() string { return fmt.Sprintf("%.2f ms", float64(w.perMB.Microseconds())/1000) }

// rate is the bit rate of what one viewer got.
func (w watched) rate(n int, b *bench) string {
	return fmt.Sprintf("%.1f Mbit/s each", float64(w.bytes)*8/1e6/float64(pick(b, 20, 6))/float64(n))
}

// peered measures with mediamtx, "" where it cannot be had.
func (sb *streamBench) peered(ctx context.Context, variant, via string, n int) (watched, bool, error) {
	m, err := sb.b.startMediamtx(ctx, variant)
	if err != nil {
		sb.b.say("  no peer: %v", err)
		return watched{}, false, ctx.Err()
	}
	defer m.stop()
	w, err := sb.measure(ctx, m.target(), via, n)
	if err != nil {
		sb.b.say("  no figure of the peer: %v", err)
	}
	return w, err == nil, ctx.Err()
}

// flvAndRTMP measures 100 viewers of each.
func (sb *streamBench) flvAndRTMP(ctx context.Context) error {
	const n = 100
	flv, err := sb.measure(ctx, sb.ours(), viaFLV, n)
	if err != nil {
		return err
	}
	plain, err := startChild("flv")
	if err != nil {
		return err
	}
	defer plain.close()
	a, err := plain.call(ctx, command{Do: "serve"})
	if err != nil {
		return err
	}
	theirs, err := sb.measure(ctx, target{plain.pid(), "rtmp://" + a.Addr + "/live/bench", func(string) string { return "http://" + a.WSAddr + "/live/bench.flv" }}, viaFLV, n)
	if err != nil {
		return err
	}
	sb.b.add(row{
		fmt.Sprintf("HTTP-FLV, %d viewers of %s: server CPU per viewer and second", n, flv.rate(n, sb.b)), "≤ 0.6 ms", fmt.Sprintf("%s, %d stalls", flv.viewer(), flv.stalls),
		theirs.viewer() + ": a queue and a write per picture and viewer", ratio(float64(flv.perSecond), float64(theirs.perSecond)),
	})
	sb.b.add(row{"the same: memory per viewer", "≤ 40 KiB", kib(flv.memory), kib(theirs.memory), ratio(flv.memory, theirs.memory)})
	rtmp, err := sb.measure(ctx, sb.ours(), viaRTMP, n)
	if err != nil {
		return err
	}
	r := row{
		Figure: fmt.Sprintf("RTMP play, %d viewers: server CPU per viewer and second", n), Target: "≤ HTTP-FLV × 1.2",
		Measured: fmt.Sprintf("%s (× %s)", rtmp.viewer(), ratio(float64(rtmp.perSecond), float64(flv.perSecond))),
	}
	peer, ok, err := sb.peered(ctx, "mpegts", viaRTMP, n)
	if ok {
		r.Peer, r.Ratio = peer.viewer()+": mediamtx "+mediamtxVersion, ratio(float64(rtmp.perSecond), float64(peer.perSecond))
	}
	sb.b.add(r)
	return err
}

// thousand measures a thousand viewers of HTTP-FLV.
func (sb *streamBench) thousand(ctx context.Context) error {
	n := pick(sb.b, 1000, 300)
	w, err := sb.measure(ctx, sb.ours(), viaFLV, n)
	if err != nil {
		return err
	}
	sb.b.add(row{
		Figure: fmt.Sprintf("HTTP-FLV, %d viewers at once", n), Target: "no stall",
		Measured: fmt.Sprintf("%d stalls, %s, %s of CPU per viewer and second, %s per viewer", w.stalls, w.rate(n, sb.b), w.viewer(), kib(w.memory)),
	})
	return nil
}

// segments measures HLS.
func (sb *streamBench) segments(ctx context.Context) error {
	const n = 100
	for _, v := range []struct{ name, via, variant, target string }{
		{"HLS (MPEG-TS)", viaHLS, "mpegts", "≤ 1.0 ms"}, {"low-latency HLS", viaLLHLS, "lowLatency", "≤ 2.3 ms"},
	} {
		w, err := sb.measure(ctx, sb.ours(), v.via, n)
		if err != nil {
			return err
		}
		r := row{
			Figure: fmt.Sprintf("%s, %d viewers: server CPU per MB served", v.name, n), Target: v.target,
			Measured: fmt.Sprintf("%s (%s, %d stalls)", w.served(), w.rate(n, sb.b), w.stalls),
		}
		peer, ok, err := sb.peered(ctx, v.variant, v.via, n)
		if err != nil {
			return err
		}
		if ok {
			r.Peer, r.Ratio = peer.served()+": mediamtx "+mediamtxVersion, ratio(float64(w.perMB), float64(peer.perMB))
		}
		sb.b.add(r)
	}
	return nil
}

// webRTC measures viewers by WHEP.
func (sb *streamBench) webRTC(ctx context.Context) error {
	n := pick(sb.b, 50, 20)
	w, err := sb.measure(ctx, sb.ours(), viaWHEP, n)
	if err != nil {
		return err
	}
	r := row{
		Figure: fmt.Sprintf("WHEP, %d viewers: viewers of the stream per core", n), Target: "≥ 100",
		Measured: fmt.Sprintf("%.0f (%s each and second, %s, %d stalls, %s per viewer)", 1/w.perSecond.Seconds(), w.viewer(), w.rate(n, sb.b), w.stalls, kib(w.memory)),
	}
	peer, ok, err := sb.peered(ctx, "mpegts", viaWHEP, n)
	if ok {
		r.Peer, r.Ratio = fmt.Sprintf("%.0f: mediamtx %s", 1/peer.perSecond.Seconds(), mediamtxVersion), ratio(1/w.perSecond.Seconds(), 1/peer.perSecond.Seconds())
	}
	sb.b.add(r)
	return err
}

// publishers measures many streams that nobody watches, and what is left of them.
func (sb *streamBench) publishers(ctx context.Context) error {
	n := pick(sb.b, 50, 10)
	if err := sb.prepare(ctx, "small", "870k"); err != nil {
		return err
	}
	if err := sb.start(ctx, n); err != nil {
		return err
	}
	defer sb.s.stop()
	sleep(ctx, 4*time.Second)
	pid := sb.s.pid()
	memory, err := rss(pid)
	if err != nil {
		return err
	}
	files := openFiles(pid)
	var stops []func()
	stopAll := func() {
		for _, stop := range stops {
			stop()
		}
		stops = nil
	}
	defer stopAll()
	for _, key := range sb.keys {
		stop, err := sb.publish(ctx, "rtmp://"+sb.s.addr(portRTMP)+"/live/"+key)
		if err != nil {
			return err
		}
		stops = append(stops, stop)
		sleep(ctx, 100*time.Millisecond)
	}
	sleep(ctx, 20*time.Second) // until every window of segments is full
	used, err := cpu(pid)
	if err != nil {
		return err
	}
	began := time.Now()
	sleep(ctx, time.Duration(pick(sb.b, 20, 6))*time.Second)
	after, err1 := cpu(pid)
	full, err2 := rss(pid)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	share := (after - used).Seconds() / time.Since(began).Seconds()
	onAir := sb.onAir(ctx)
	stopAll()
	sleep(ctx, 15*time.Second)
	rest, err := rss(pid)
	if err != nil {
		return err
	}
	sb.b.add(row{
		Figure: fmt.Sprintf("%d publishers of 1 Mbit/s at once, nobody watches", n), Target: "all on air",
		Measured: fmt.Sprintf("%d on air, %.0f %% of a core (covers included, their ffmpeg not)", onAir, share*100),
	})
	sb.b.add(row{
		Figure: "memory per stream that nobody watches", Target: "< 4 MiB",
		Measured: fmt.Sprintf("%s; 15 s after they went: %d on air, %d open files more than before, %s more memory", mib((full-memory)/float64(n)), sb.onAir(ctx), openFiles(pid)-files, mib(rest-memory)),
	})
	if onAir != n {
		return fmt.Errorf("%d of %d publishers are on air", onAir, n)
	}
	if left := sb.onAir(ctx); left != 0 {
		return fmt.Errorf("%d streams are left", left)
	}
	return nil
}

// onAir counts the streams on air.
func (sb *streamBench) onAir(ctx context.Context) int {
	out, err := exec.CommandContext(ctx, sb.b.binary, "live", "list", "--on-air", "--limit", "200", "--data", sb.s.data).Output() //nolint:gosec // ours
	if err != nil {
		return -1
	}
	return strings.Count(string(out), "on air")
}

// openFiles counts the open files of a process.
func openFiles(pid int) int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return -1
	}
	return len(list)
}
