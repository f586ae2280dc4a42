package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"
)

// This file is the child "viewers": it watches live streams as many people would,
// reads what comes and throws it away.

// The ways of watching.
const (
	viaFLV   = "flv"
	viaRTMP  = "rtmp"
	viaHLS   = "hls"
	viaLLHLS = "ll-hls"
	viaWHEP  = "whep"
)

// stallAfter is how long a viewer must have got nothing to count as stalled.
const stallAfter = 3 * time.Second

// audience is what a child watches.
type audience struct {
	ctx    context.Context //nolint:containedctx // of the process
	bytes  atomic.Int64
	alive  atomic.Int64
	stalls atomic.Int64
	failed atomic.Pointer[error] // the first failure
}

func (a *audience) do(c command) (answer, error) {
	switch c.Do {
	case "watch":
		return a.watch(c)
	case "stats":
		out := answer{N: int(a.alive.Load()), Bytes: a.bytes.Load(), Stalls: int(a.stalls.Load())}
		if err := a.failed.Load(); err != nil {
			out.Note = (*err).Error()
		}
		return out, nil
	}
	return answer{}, fmt.Errorf("no command %q", c.Do)
}

// watch starts Count viewers of the stream at Addr by the way Room.
func (a *audience) watch(c command) (answer, error) {
	view := map[string]func(string) error{viaFLV: a.flv, viaRTMP: a.rtmp, viaHLS: a.hls, viaLLHLS: a.lowLatency, viaWHEP: a.whep}[c.Room]
	if view == nil {
		return answer{}, fmt.Errorf("no way %q", c.Room)
	}
	for range c.Count {
		go func() { // ends with the process
			if err := view(c.Addr); err != nil {
				a.failed.CompareAndSwap(nil, &err)
			}
		}()
		time.Sleep(5 * time.Millisecond) // nobody's viewers come all at once
	}
	return answer{}, nil
}

// drain reads until the end, and notes when nothing came.
func (a *audience) drain(r io.Reader) error {
	a.alive.Add(1)
	defer a.alive.Add(-1)
	buf := make([]byte, 32<<10)
	last := time.Now()
	for {
		n, err := r.Read(buf)
		now := time.Now()
		if now.Sub(last) > stallAfter {
			a.stalls.Add(1)
		}
		last = now
		a.bytes.Add(int64(n))
		if err != nil {
			return err
		}
	}
}

// dialTo connects to the server of an address.
func dialTo(address string) (*url.URL, net.Conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, nil, err
	}
	c, err := net.Dial("tcp", u.Host) //nolint:noctx // ends with the process
	return u, c, err
}

func (a *audience) flv(address string) error {
	u, c, err := dialTo(address)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // its end
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.Path, u.Host); err != nil {
		return err
	}
	return a.drain(c)
}

// rtmp plays with as little of RTMP as a server needs (Adobe's RTMP specification
// 1.0, 5.2 and 7.2): simple handshake, connect, createStream, play.
func (a *audience) rtmp(address string) error {
	u, c, err := dialTo(address)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // its end
	hello := make([]byte, 1537)
	hello[0] = 3
	if _, err := c.Write(hello); err != nil {
		return err
	}
	reply := make([]byte, 1+2*1536)
	if _, err := io.ReadFull(c, reply); err != nil {
		return err
	}
	dir, name := u.Path[1:strings.LastIndexByte(u.Path, '/')], u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	out := append([]byte{}, reply[1:1537]...)
	out = appendCommand(out, 0, amfString(nil, "connect"), amfNumber(nil, 1), amfObject("app", dir, "tcUrl", "rtmp://"+u.Host+"/"+dir))
	out = appendCommand(out, 0, amfString(nil, "createStream"), amfNumber(nil, 2), []byte{5})
	if _, err := c.Write(out); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond) // until it is answered: some take one command after the other
	if _, err := c.Write(appendCommand(nil, 1, amfString(nil, "play"), amfNumber(nil, 3), []byte{5}, amfString(nil, name))); err != nil {
		return err
	}
	return a.drain(c)
}

func amfString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(append(b, 2), uint16(len(s))) //nolint:gosec // short
	return append(b, s...)
}

func amfNumber(b []byte, n int) []byte {
	return append(append(b, 0), map[int][]byte{1: {0x3f, 0xf0, 0, 0, 0, 0, 0, 0}, 2: {0x40, 0, 0, 0, 0, 0, 0, 0}, 3: {0x40, 8, 0, 0, 0, 0, 0, 0}}[n]...)
}

func amfObject(pairs ...string) []byte {
	b := []byte{3}
	for i := 0; i < len(pairs); i += 2 {
		b = append(b, amfString(nil, pairs[i])[1:]...)
		b = amfString(b, pairs[i+1])
	}
	return append(b, 0, 0, 9)
}

// appendCommand appends a message of type 20 in chunks of 128 bytes.
func appendCommand(b []byte, stream uint32, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	b = append(b, 3, 0, 0, 0, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)), 20)
	b = binary.LittleEndian.AppendUint32(b, stream)
	for len(body) > 128 {
		b = append(append(b, body[:128]...), 0xc3)
		body = body[128:]
	}
	return append(b, body...)
}

// fetch reads a file and answers it.
func (a *audience) fetch(c *http.Client, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(a.ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	rep, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer rep.Body.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(rep.Body)
	a.bytes.Add(int64(len(b)))
	if err == nil && rep.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", address, rep.Status)
	}
	return b, err
}

// ownClient is an HTTP client with a connection of its own, as every viewer has.
func ownClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, Timeout: 20 * time.Second}
}

func relative(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref
	}
	u, err := b.Parse(ref)
	if err != nil {
		return ref
	}
	return u.String()
}

// hls asks for the playlist once a second and gets what is new.
func (a *audience) hls(address string) error {
	c, seen := ownClient(), map[string]bool{}
	a.alive.Add(1)
	defer a.alive.Add(-1)
	media, last := address, time.Now()
	for {
		b, err := a.fetch(c, media)
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte("#EXT-X-STREAM-INF")) { // the list of lists
			for _, line := range lines(b) {
				if !strings.HasPrefix(line, "#") {
					media = relative(media, line)
				}
			}
			continue
		}
		for _, line := range lines(b) {
			if strings.HasPrefix(line, "#") || seen[line] {
				continue
			}
			if _, err := a.fetch(c, relative(media, line)); err != nil {
				return err
			}
			seen[line], last = true, time.Now()
		}
		if time.Since(last) > 3*stallAfter {
			a.stalls.Add(1)
			last = time.Now()
		}
		time.Sleep(time.Second)
	}
}

func lines(b []byte) []string {
	var list []string
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if line := strings.TrimSpace(s.Text()); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// attribute is the value of a quoted attribute of a tag.
func attribute(line, name string) string {
	_, rest, ok := strings.Cut(line, name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// lowLatency follows every media playlist with requests that wait (RFC 8216bis
// 6.2.5.2), and gets all parts.
func (a *audience) lowLatency(address string) error {
	c := ownClient()
	a.alive.Add(1)
	defer a.alive.Add(-1)
	b, err := a.fetch(c, address)
	if err != nil {
		return err
	}
	lists := map[string]bool{}
	for _, line := range lines(b) {
		if uri := attribute(line, "URI"); uri != "" && strings.HasPrefix(line, "#EXT-X-MEDIA:") {
			lists[relative(address, uri)] = true
		}
		if !strings.HasPrefix(line, "#") {
			lists[relative(address, line)] = true
		}
	}
	var work sync.WaitGroup
	var first atomic.Pointer[error]
	for media := range lists {
		work.Go(func() {
			if err := a.follow(c, media); err != nil {
				first.CompareAndSwap(nil, &err)
			}
		})
	}
	work.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}

func (a *audience) follow(c *http.Client, media string) error {
	seen, query, last := map[string]bool{}, "", time.Now()
	for a.ctx.Err() == nil {
		b, err := a.fetch(c, media+query)
		if err != nil {
			return err
		}
		sequence, segments, parts := 0, 0, 0
		for _, line := range lines(b) {
			get := ""
			switch {
			case strings.HasPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"):
				sequence, _ = strconv.Atoi(strings.TrimPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"))
			case strings.HasPrefix(line, "#EXT-X-PART:"):
				parts++
				get = attribute(line, "URI")
			case strings.HasPrefix(line, "#EXT-X-MAP:"):
				get = attribute(line, "URI")
			case !strings.HasPrefix(line, "#"):
				segments, parts = segments+1, 0
			}
			if get == "" || seen[get] {
				continue
			}
			seen[get] = true
			if query == "" && strings.HasPrefix(line, "#EXT-X-PART:") {
				continue // what is old is not fetched
			}
			if _, err := a.fetch(c, relative(media, get)); err != nil {
				return err
			}
			last = time.Now()
		}
		if time.Since(last) > stallAfter {
			a.stalls.Add(1)
			last = time.Now()
		}
		sep := "?"
		if strings.Contains(media, "?") {
			sep = "&"
		}
		query = fmt.Sprintf("%s_HLS_msn=%d&_HLS_part=%d", sep, sequence+segments, parts)
	}
	return a.ctx.Err()
}

// whep watches by WebRTC.
func (a *audience) whep(address string) error {
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	defer pc.Close() //nolint:errcheck // its end
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return err
		}
	}
	ended := make(chan error, 2)
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if t.Kind() == webrtc.RTPCodecTypeVideo {
			a.alive.Add(1)
			defer a.alive.Add(-1)
		}
		buf, last := make([]byte, 1600), time.Now()
		for {
			n, _, err := t.Read(buf)
			if now := time.Now(); t.Kind() == webrtc.RTPCodecTypeVideo {
				if now.Sub(last) > stallAfter {
					a.stalls.Add(1)
				}
				last = now
			}
			a.bytes.Add(int64(n))
			if err != nil {
				ended <- err
				return
			}
		}
	})
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	r, err := http.NewRequestWithContext(a.ctx, http.MethodPost, address, strings.NewReader(pc.LocalDescription().SDP))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/sdp")
	rep, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer rep.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(rep.Body)
	if err == nil && rep.StatusCode != http.StatusCreated {
		err = errors.New(rep.Status + ": " + string(body))
	}
	if err != nil {
		return err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(body)}); err != nil {
		return err
	}
	return <-ended
}
