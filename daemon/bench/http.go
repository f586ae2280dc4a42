package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// httpConn is one keep-alive connection. It is less than net/http has, because
// the client shares the processors with the server that is measured.
type httpConn struct {
	conn net.Conn
	r    *bufio.Reader
	body []byte
}

func dialHTTP(ctx context.Context, addr string) (*httpConn, error) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &httpConn{conn: c, r: bufio.NewReaderSize(c, 2048)}, nil
}

func (h *httpConn) close() { _ = h.conn.Close() } //nolint:errcheck // nothing to do about it

// httpRequest is a request as a client app sends it, whole.
func httpRequest(method, path, token, body string) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\nLastLoginTime: 0\r\nLanguageCode: en\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, path, token, len(body), body)
}

var errNotOK = errors.New("not a success")

// do sends a request and answers the body of a reply with status 200, which is
// valid until the next call.
func (h *httpConn) do(request []byte) ([]byte, error) {
	if err := h.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := h.conn.Write(request); err != nil {
		return nil, fmt.Errorf("send request: %w", err)
	}
	status, err := h.r.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	size, err := h.headers()
	if err != nil {
		return nil, err
	}
	if cap(h.body) < size {
		h.body = make([]byte, size)
	}
	h.body = h.body[:size]
	if _, err := io.ReadFull(h.r, h.body); err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200") {
		return nil, fmt.Errorf("%w: %s %.200s", errNotOK, strings.TrimSpace(status), h.body)
	}
	return h.body, nil
}

// headers skips them and answers the length of the body.
func (h *httpConn) headers() (int, error) {
	size := -1
	for {
		line, err := h.r.ReadSlice('\n')
		if err != nil {
			return 0, fmt.Errorf("read header: %w", err)
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && strings.EqualFold(string(line[:len(name)]), name) {
			if size, err = strconv.Atoi(strings.TrimSpace(string(line[len(name):]))); err != nil {
				return 0, fmt.Errorf("read header: %w", err)
			}
		}
	}
	if size < 0 || size > 1<<20 {
		return 0, fmt.Errorf("reply of %d bytes, or chunked", size)
	}
	return size, nil
}

// head is what every reply carries.
type head struct {
	ApiCode     int //nolint:revive // the wire's spelling
	ApiMessage  string
	ServerMsgId string //nolint:revive // the wire's spelling
}

// call is do for a reply whose code must be 0.
func (h *httpConn) call(request []byte) (head, error) {
	var r head
	body, err := h.do(request)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("read reply %.200q: %w", body, err)
	}
	if r.ApiCode != 0 {
		return r, fmt.Errorf("%w: code %d %s", errNotOK, r.ApiCode, r.ApiMessage)
	}
	return r, nil
}
