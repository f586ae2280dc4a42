package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	portVideobiz = 2009
	bigUpload    = 200<<20 - 64<<10 // bytes, just below the limit
)

// uploads measures what uploading, processing and serving short videos costs.
func uploads(ctx context.Context, b *bench) error {
	data, who, err := crowd(ctx, b, 1)
	if err != nil {
		return err
	}
	s, err := b.serve(ctx, data)
	if err != nil {
		return err
	}
	defer s.stop()
	dir, err := b.folder("clips")
	if err != nil {
		return err
	}
	u := uploader{s: s, token: who[0].token, dir: dir}
	if err := u.makeClip(ctx); err != nil {
		return err
	}
	for _, part := range []func(context.Context, *bench) error{u.ready, u.serving, u.memory} {
		if err := part(ctx, b); err != nil {
			return fmt.Errorf("%w\n%s", err, s.log)
		}
	}
	return nil
}

type uploader struct {
	s     *server
	token string
	dir   string
	clip  string // a file of 30 s
	video string // URL of a playlist, once there is one
}

func (u *uploader) makeClip(ctx context.Context) error {
	u.clip = filepath.Join(u.dir, "clip.mp4")
	return ffmpeg(ctx, "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=30", "-f", "lavfi", "-i", "sine=f=440:d=30",
		"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "60", "-c:a", "aac", "-b:a", "128k", u.clip)
}

func ffmpeg(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "ffmpeg", append([]string{"-loglevel", "error", "-nostdin", "-y"}, args...)...).CombinedOutput() //nolint:gosec // ours
	if err != nil {
		return fmt.Errorf("ffmpeg: %w\n%s", err, out)
	}
	return nil
}

// atEnd notes when the last byte of a body was taken.
type atEnd struct {
	io.Reader
	at time.Time
}

func (a *atEnd) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		a.at = time.Now()
	}
	return n, err
}

// post uploads size bytes of file, and answers the video, its URL and when the last
// byte went out.
func (u *uploader) post(ctx context.Context, title string, file io.Reader, size int64) (id int64, url string, sent time.Time, err error) {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	if err := form.WriteField("title", title); err != nil {
		return 0, "", sent, err
	}
	if _, err := form.CreateFormFile("file", "clip.mp4"); err != nil {
		return 0, "", sent, err
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	body := &atEnd{Reader: io.MultiReader(&head, file, strings.NewReader(tail))}
	length := int64(head.Len()) + size + int64(len(tail))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+u.s.addr(portVideobiz)+"/video-upload", body)
	if err != nil {
		return 0, "", sent, err
	}
	r.ContentLength = length
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Authorization", u.token)
	rep, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", sent, err
	}
	defer rep.Body.Close() //nolint:errcheck // only read
	var v struct {
		ApiCode int    //nolint:revive // the wire's spelling
		VideoId int64  //nolint:revive // the wire's spelling
		Video   string `json:"video"`
		Message string `json:"ApiMessage"`
	}
	if err := json.NewDecoder(rep.Body).Decode(&v); err != nil {
		return 0, "", sent, err
	}
	if v.ApiCode != 0 {
		return 0, "", sent, fmt.Errorf("upload: %d %s", v.ApiCode, v.Message)
	}
	return v.VideoId, v.Video, body.at, nil
}

// wait asks until the video is ready.
func (u *uploader) wait(ctx context.Context, id int64) error {
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.s.addr(portVideobiz)+"/video/status?videoId="+strconv.FormatInt(id, 10), nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", u.token)
		rep, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		var v struct{ State, Reason string }
		err = errors.Join(json.NewDecoder(rep.Body).Decode(&v), rep.Body.Close())
		switch {
		case err != nil:
			return err
		case v.State == "ready":
			return nil
		case v.State == "failed":
			return fmt.Errorf("video failed: %s", v.Reason)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return ctx.Err()
}

// ready measures from the last byte to the video being there, in turn with the peer.
func (u *uploader) ready(ctx context.Context, b *bench) error {
	file, err := os.ReadFile(u.clip)
	if err != nil {
		return err
	}
	var ours, theirs []time.Duration
	for i := range pick(b, 7, 3) {
		out := filepath.Join(u.dir, fmt.Sprint("peer", i))
		if err := os.Mkdir(out, 0o700); err != nil {
			return err
		}
		began := time.Now()
		if err := ffmpeg(ctx, "-i", u.clip, "-c", "copy", "-f", "hls", "-hls_time", "3", "-hls_list_size", "0", filepath.Join(out, "index.m3u8")); err != nil {
			return err
		}
		theirs = append(theirs, time.Since(began))
		id, url, sent, err := u.post(ctx, fmt.Sprint("clip ", i), bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return err
		}
		if err := u.wait(ctx, id); err != nil {
			return err
		}
		ours = append(ours, time.Since(sent))
		u.video = url
		if err := u.settle(ctx); err != nil { // the renditions are another matter
			return err
		}
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	mine, peer := ours[len(ours)/2], theirs[len(theirs)/2]
	b.add(row{
		fmt.Sprintf("30 s of 720p (%d MiB): from the last byte uploaded to playable, median of %d", len(file)>>20, len(ours)), "peer + 0.5 s",
		fmt.Sprintf("%.2f s (+%.2f; slowest %.2f)", mine.Seconds(), (mine - peer).Seconds(), ours[len(ours)-1].Seconds()),
		fmt.Sprintf("%.2f s: ffmpeg -c copy to HLS", peer.Seconds()), ratio(mine.Seconds(), peer.Seconds()),
	})
	return nil
}

// settle waits until no child of gtiv runs.
func (u *uploader) settle(ctx context.Context) error {
	children := fmt.Sprintf("/proc/%d/task", u.s.pid())
	for quiet := 0; quiet < 10 && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		quiet++
		tasks, err := os.ReadDir(children)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if b, err := os.ReadFile(filepath.Join(children, t.Name(), "children")); err == nil && len(bytes.TrimSpace(b)) > 0 {
				quiet = 0
			}
		}
	}
	return ctx.Err()
}

// serving measures the processor time of serving segments, in turn with a plain
// file server of Go's library in a process of its own.
func (u *uploader) serving(ctx context.Context, b *bench) error {
	peer, err := startChild("files")
	if err != nil {
		return err
	}
	defer peer.close()
	folder := filepath.Join(u.s.data, "media", filepath.FromSlash(u.video[strings.Index(u.video, "/o/")+3:strings.LastIndex(u.video, "/")]))
	a, err := peer.call(ctx, command{Do: "serve", File: folder})
	if err != nil {
		return err
	}
	entries, err := filepath.Glob(filepath.Join(folder, "*.ts"))
	if err != nil || len(entries) == 0 {
		return fmt.Errorf("no segments in %s: %w", folder, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, filepath.Base(e))
	}
	var cost, bytesRead [2]float64
	for range pick(b, 5, 2) {
		for i, at := range []struct {
			base string
			pid  int
		}{{u.video[:strings.LastIndex(u.video, "/")+1], u.s.pid()}, {"http://" + a.Addr + "/", peer.pid()}} {
			before, err := cpu(at.pid)
			if err != nil {
				return err
			}
			n, err := readAll(ctx, at.base, names, pick(b, 20, 4))
			if err != nil {
				return err
			}
			after, err := cpu(at.pid)
			if err != nil {
				return err
			}
			cost[i] += (after - before).Seconds() * 1000
			bytesRead[i] += n / 1e6
		}
	}
	b.add(row{
		fmt.Sprintf("serving segments, CPU per MB (%.0f MB over loopback, 2 connections)", bytesRead[0]), "≤ 0.7 ms",
		fmt.Sprintf("%.2f ms", cost[0]/bytesRead[0]), fmt.Sprintf("%.2f ms: http.FileServer", cost[1]/bytesRead[1]),
		ratio(cost[0]/bytesRead[0], cost[1]/bytesRead[1]),
	})
	return nil
}

// readAll reads all files some times over two connections, and counts bytes.
func readAll(ctx context.Context, base string, names []string, times int) (float64, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
	defer client.CloseIdleConnections()
	var total [2]int64
	errs := make(chan error, 2)
	for c := range 2 {
		go func() { // ends after its share
			buf := make([]byte, 256<<10)
			for range times / 2 {
				for _, name := range names {
					r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+name, nil)
					if err != nil {
						errs <- err
						return
					}
					rep, err := client.Do(r)
					if err != nil {
						errs <- err
						return
					}
					n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{rep.Body}, buf)
					_ = rep.Body.Close() //nolint:errcheck // only read
					if err == nil && rep.StatusCode != http.StatusOK {
						err = fmt.Errorf("%s: %s", name, rep.Status)
					}
					if err != nil {
						errs <- err
						return
					}
					total[c] += n
				}
			}
			errs <- nil
		}()
	}
	err := errors.Join(<-errs, <-errs)
	return float64(total[0] + total[1]), err
}

// files is a child that serves a folder.
func files(ctx context.Context) func(command) (answer, error) {
	return func(c command) (answer, error) {
		addr, err := serveHTTP(ctx, http.FileServer(http.Dir(c.File)))
		return answer{Addr: addr}, err
	}
}

// memory measures how much the resident memory grows during a large upload.
func (u *uploader) memory(ctx context.Context, b *bench) error {
	file, err := os.ReadFile(u.clip)
	if err != nil {
		return err
	}
	// A box of free space makes it large; gtiv cannot know before the end.
	size := int64(bigUpload)
	pad := size - int64(len(file))
	free := append(binary.BigEndian.AppendUint32(nil, uint32(pad)), "free"...) //nolint:gosec // below 4 GiB
	if err := u.settle(ctx); err != nil {
		return err
	}
	before, err := rss(u.s.pid())
	if err != nil {
		return err
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", u.s.pid()), []byte("5"), 0); err != nil { //nolint:gosec // resets VmHWM
		return fmt.Errorf("reset peak memory: %w", err)
	}
	began := time.Now()
	_, _, sent, err := u.post(ctx, "large", io.MultiReader(bytes.NewReader(file), bytes.NewReader(free), io.LimitReader(zeros{}, pad-8)), size)
	if err != nil {
		return err
	}
	answered := time.Since(sent)
	var kb float64
	if _, err := fmt.Sscan(field(fmt.Sprintf("/proc/%d/status", u.s.pid()), "VmHWM"), &kb); err != nil {
		return fmt.Errorf("peak memory: %w", err)
	}
	b.add(row{
		"upload of 200 MiB: growth of the resident memory at its peak", "< 16 MiB",
		fmt.Sprintf("%.1f MiB (%.0f MB/s, answered %.2f s after the last byte)", (kb*1024-before)/(1<<20), float64(size)/1e6/sent.Sub(began).Seconds(), answered.Seconds()), "", "",
	})
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
