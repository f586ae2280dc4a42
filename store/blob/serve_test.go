package blob_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"gtiv/store/blob"
)

// server serves a bucket under its keys.
func server(t *testing.T, k kit, o blob.Options) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := blob.Serve(w, r, k, strings.TrimPrefix(r.URL.Path, "/"), o)
		switch {
		case errors.Is(err, blob.ErrNotFound), errors.Is(err, blob.ErrKey):
			http.NotFound(w, r)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

// ask makes a request with headers, given as "Name: value".
func ask(t *testing.T, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		if name, value, ok := strings.Cut(h, ": "); ok {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestServeAnswersRangesAndConditions(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		content := string(segment(1000))
		info := k.put(t, "v/index0.ts", content)
		url := server(t, k, blob.Options{}).URL + "/v/index0.ts"
		for _, c := range []struct {
			method, header string
			status         int
			body           string
		}{
			{"GET", "", 200, content},
			{"HEAD", "", 200, ""},
			{"GET", "Range: bytes=0-9", 206, content[:10]},
			{"GET", "Range: bytes=990-", 206, content[990:]},
			{"GET", "Range: bytes=-5", 206, content[995:]},
			{"GET", "Range: bytes=1000-", 416, "invalid range: failed to overlap\n"},
			{"GET", "If-None-Match: " + info.ETag, 304, ""},
			{"GET", `If-None-Match: "other"`, 200, content},
			{"GET", `If-Match: "other"`, 412, ""},
			{"POST", "", 405, ""},
		} {
			resp, body := ask(t, c.method, url, c.header)
			if resp.StatusCode != c.status || body != c.body {
				t.Errorf("%s %s: %d with %d bytes, want %d with %d", c.method, c.header, resp.StatusCode, len(body), c.status, len(c.body))
			}
		}
		if resp, _ := ask(t, "GET", url+"x"); resp.StatusCode != 404 {
			t.Errorf("missing file: %d", resp.StatusCode)
		}
	})
}

func TestServeHeadersLetAFileDoNothing(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		k.put(t, "v/cover.jpg", "\xff\xd8\xff\xe0 and so on")
		resp, _ := ask(t, "HEAD", server(t, k, blob.Options{}).URL+"/v/cover.jpg")
		for name, want := range map[string]string{
			"Content-Type": "image/jpeg", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
			"Cache-Control": "public, max-age=31536000, immutable", "Content-Length": "14", "Accept-Ranges": "bytes", "Content-Disposition": "",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}

func TestServeTypeNeedsNameAndContentToAgree(t *testing.T) {
	everyBucket(t, func(t *testing.T, k kit) {
		url := server(t, k, blob.Options{CacheControl: blob.CachePrivate}).URL + "/"
		for _, c := range []struct{ key, content, typ string }{
			{"a.png", "\x89PNG\r\n\x1a\n....", "image/png"},
			{"a.webp", "\xff\xd8\xff....", "image/jpeg"}, // converted, with its name kept
			{"a.html", "\xff\xd8\xff<script>", "application/octet-stream"},
			{"b.png", "<html><script>alert(1)</script>", "application/octet-stream"},
			{"b.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>", "application/octet-stream"},
			{"d41d8cd98f00b204e9800998ecf8427e", "GIF89a......", "image/gif"},
			{"c.m3u8", "#EXTM3U\n", "application/vnd.apple.mpegurl"},
			{"c.ts", string(segment(400)), "video/mp2t"},
			{"c.jpg", "#EXTM3U\n", "application/octet-stream"},
			{"d.mp4", "\x00\x00\x00\x18ftypisom....", "video/mp4"},
			{"d.x-m4a", "\x00\x00\x00\x18ftypM4A ....", "audio/mp4"},
			{"d.jpg", "\x00\x00\x00\x18ftypheic....", "application/octet-stream"},
			{"e.m4s", "\x00\x00\x00\x18stypmsdh....", "video/mp4"},
		} {
			k.put(t, c.key, c.content)
			resp, _ := ask(t, "GET", url+c.key)
			got, attached := resp.Header.Get("Content-Type"), resp.Header.Get("Content-Disposition") != ""
			if got != c.typ || attached != (c.typ == blob.TypeUnknown) {
				t.Errorf("%s: %s, attachment: %v", c.key, got, attached)
			}
		}
	})
}

func TestSniffTellsMediaApart(t *testing.T) {
	for head, want := range map[string]string{
		"\xff\xf1\x50\x80": "audio/aac", "\xff\xf9\x4c\x80": "audio/aac", "\xff\xfb\x90\x64": "audio/mpeg", "ID3\x04": "audio/mpeg",
		"#!AMR\n": "audio/amr", "#!AMR-WB\n": "audio/amr-wb", "OggS\x00": "audio/ogg", "\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm": "video/webm",
		"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska": blob.TypeUnknown, "RIFF....WEBPVP8 ": "image/webp", "RIFF....WAVEfmt ": blob.TypeUnknown,
		"\x00\x00\x00\x14ftypqt  ": "video/quicktime", "": blob.TypeUnknown, "PK\x03\x04": blob.TypeUnknown, "%PDF-1.7": blob.TypeUnknown,
		"\xff\xfe<\x00h\x00": blob.TypeUnknown, "\xff\xff\xff\xff": blob.TypeUnknown, "<!DOCTYPE html>": blob.TypeUnknown,
	} {
		if got := blob.Sniff([]byte(head)); got != want {
			t.Errorf("%q is %s, want %s", head, got, want)
		}
	}
}

// fileWriter notes what reaches ReadFrom of the real writer.
type fileWriter struct {
	http.ResponseWriter
	from io.Reader
}

func (w *fileWriter) ReadFrom(r io.Reader) (int64, error) {
	w.from = r
	return w.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
}

// net/http hands an *os.File, bare or below one LimitedReader, to sendfile(2).
func TestServedFileReachesReadFromForSendfile(t *testing.T) {
	k, _ := openStore(t, blob.Config{})
	k.put(t, "v/index0.ts", string(segment(300_000)))
	var seen io.Reader
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fw := &fileWriter{ResponseWriter: w}
		if err := blob.Serve(fw, r, k, "v/index0.ts", blob.Options{}); err != nil {
			t.Error(err)
		}
		seen = fw.from
	}))
	_, body := ask(t, "GET", srv.URL, "Range: bytes=100-200099")
	srv.Close()
	limited, ok := seen.(*io.LimitedReader)
	if !ok {
		t.Fatalf("ReadFrom got a %T", seen)
	}
	if _, ok := limited.R.(*os.File); !ok || len(body) != 200_000 {
		t.Errorf("below it is a %T; %d bytes came", limited.R, len(body))
	}
}
