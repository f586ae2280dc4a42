package tus_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gtiv/daemon/web/tus"
)

var errNoSpace = errors.New("no space")

// site is a server whose clients say in headers who and where they are.
type site struct {
	t   *testing.T
	url string
}

func newSite(t *testing.T, dir string, room func(int64) error) *site {
	t.Helper()
	srv, err := tus.New(tus.Config{Dir: dir, Path: "/files/"}, tus.Deps{
		Who:      func(r *http.Request) (int64, error) { return strconv.ParseInt(r.Header.Get("Authorization"), 10, 64) },
		Address:  func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("From")) },
		Location: func(_ *http.Request, id string) string { return "/files/" + id },
		Begin:    func(*http.Request, int64, int64, map[string]string) error { return nil },
		Room:     room,
		Head:     func([]byte) error { return nil }, HeadLen: 16,
		Finish: func(_ *http.Request, _, path string, _ map[string]string) (any, error) {
			return "taken", os.Remove(path)
		},
		Refuse: func(_ *http.Request, err error) (int, any, time.Duration) {
			if t, ok := errors.AsType[*tus.Error](err); ok {
				return t.Status, map[string]string{"code": t.Code}, t.RetryAfter
			}
			if errors.Is(err, errNoSpace) {
				return 507, map[string]string{"code": "full"}, 0
			}
			return 500, map[string]string{"code": err.Error()}, 0
		},
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(srv)
	t.Cleanup(h.Close)
	return &site{t, h.URL}
}

// do sends a request as a user; their address has the same number.
func (s *site) do(user int, method, path string, body io.Reader, header ...string) (int, http.Header, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/files/"+path[strings.LastIndex(path, "/")+1:], body)
	if err != nil {
		s.t.Error(err)
		return 0, nil, ""
	}
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Authorization", strconv.Itoa(user))
	r.Header.Set("From", "192.0.2."+strconv.Itoa(user%250))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rep, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err.Error() // cut off while it sent
	}
	defer rep.Body.Close()
	b, _ := io.ReadAll(rep.Body)
	return rep.StatusCode, rep.Header, string(b)
}

func (s *site) create(user, size int) (status int, path, body string) {
	s.t.Helper()
	status, h, body := s.do(user, "POST", "/files/", nil, "Upload-Length", strconv.Itoa(size))
	return status, h.Get("Location"), body
}

func (s *site) patch(user int, path string, body io.Reader) (int, string) {
	s.t.Helper()
	status, _, text := s.do(user, "PATCH", path, body, "Content-Type", "application/offset+octet-stream", "Upload-Offset", "0")
	return status, text
}

// smallDisk mounts a file system of 40 MiB, of which 16 MiB are kept free.
func smallDisk(t *testing.T) (dir string, free func() int64, room func(int64) error) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=40m"); err != nil {
		t.Skipf("mounting is not possible here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	free = func() int64 {
		var st syscall.Statfs_t
		if err := syscall.Statfs(dir, &st); err != nil {
			t.Error(err)
		}
		return int64(st.Bavail) * st.Bsize //nolint:gosec,unconvert // small
	}
	return dir, free, func(size int64) error {
		if free()-size < 16<<20 {
			return errNoSpace
		}
		return nil
	}
}

func TestUploadsAtOnceLeaveTheReserveFree(t *testing.T) {
	dir, free, room := smallDisk(t)
	lax := func(size int64) error { // as if others had filled the disk since the uploads began
		if size > 20<<20 {
			return nil
		}
		return room(size)
	}
	s := newSite(t, dir, lax)
	const size = 30 << 20
	var wg sync.WaitGroup
	for user := 1; user <= 4; user++ {
		status, path, body := s.create(user, size)
		if status != 201 {
			t.Fatalf("%d %s", status, body)
		}
		wg.Go(func() {
			if status, body := s.patch(user, path, bytes.NewReader(make([]byte, size))); status/100 == 2 {
				t.Errorf("all of it was taken: %d %s", status, body)
			}
		})
	}
	wg.Wait()
	if left := free(); left < 8<<20 {
		t.Errorf("%d bytes are left of a reserve of 16 MiB", left)
	}
}

func TestNoMoreUploadsBeginThanThereIsRoomFor(t *testing.T) {
	dir, _, room := smallDisk(t)
	s := newSite(t, dir, room)
	const size = 10 << 20
	_, first, _ := s.create(1, size)
	if status, _, body := s.create(2, size); status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	if status, _, body := s.create(3, size); status != 507 || !strings.Contains(body, "full") {
		t.Errorf("the third: %d %s", status, body)
	}
	s = newSite(t, dir, room) // after a restart
	if status, _, body := s.create(3, size); status != 507 {
		t.Errorf("the third, after a restart: %d %s", status, body)
	}
	if status, body := s.patch(1, first, bytes.NewReader(make([]byte, size))); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	// Finish took the file away, so there is room again.
	if status, _, body := s.create(3, size); status != 201 {
		t.Errorf("the third, when the first was done: %d %s", status, body)
	}
	// To the second nothing comes.
	old := time.Now().Add(-2 * time.Hour)
	files, err := filepath.Glob(filepath.Join(dir, "2-*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		if err := os.Chtimes(f, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, body := s.create(4, size); status != 201 {
		t.Errorf("with one that was given up: %d %s", status, body)
	}
}

func TestSlowSendersOfOneAddressTakeNotAllPlaces(t *testing.T) {
	s := newSite(t, t.TempDir(), func(int64) error { return nil })
	var held sync.WaitGroup
	for i := range 16 {
		user := 1000 + i
		_, h, _ := s.do(user, "POST", "/files/", nil, "Upload-Length", "1000", "From", "192.0.2."+strconv.Itoa(100+i))
		pr, pw := io.Pipe()
		defer pw.Close()
		go s.do(user, "PATCH", h.Get("Location"), pr, "From", "192.0.2.1", "Content-Type", "application/offset+octet-stream", "Upload-Offset", "0")
		held.Go(func() { fmt.Fprint(pw, "0123456789") }) // taken by who has a place
	}
	held.Wait()
	end := time.Now().Add(10 * time.Second)
	for user := 5000; ; user++ {
		status, h, body := s.do(user, "POST", "/files/", nil, "Upload-Length", "1000", "From", "192.0.2.1")
		if status == 503 {
			if h.Get("Retry-After") != "1" || h.Get("Content-Type") != "application/json; charset=utf-8" || !strings.Contains(body, "ERR_BUSY") {
				t.Errorf("%v %s", h, body)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the last answer is %d %s", status, body)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if status, _, body := s.create(2, 10); status != 201 {
		t.Errorf("from elsewhere: %d %s", status, body)
	}
}
