// Package client talks to a running gtiv over its control socket (design.md
// 9). The terminal screens and every subcommand use it.
//
// A Client owns an HTTP transport with a few idle connections; it starts no
// goroutines of its own and is safe for concurrent use.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gtiv/protocol"
)

const (
	// host is what requests name as their host; the daemon refuses foreign ones.
	host = "http://gtiv"
	// timeout bounds a request. Password hashing and the writer's queue come
	// nowhere near it.
	timeout = 30 * time.Second
	// maxReplyBytes bounds what the daemon may make us hold.
	maxReplyBytes = 16 << 20
)

// NotReachableError is the absence of a daemon behind the socket.
type NotReachableError struct {
	Socket string // the last place that was tried
	Hint   string
	Err    error
}

func (e *NotReachableError) Error() string {
	return fmt.Sprintf("the daemon cannot be reached at %s: %v", e.Socket, e.Err)
}

func (e *NotReachableError) Unwrap() error { return e.Err }

// ExitCode is 3: scripts can tell "not running" from "failed".
func (e *NotReachableError) ExitCode() int { return 3 }

// VersionError is a daemon that speaks another version of the API.
type VersionError struct {
	Daemon string // version of its API
	Build  string // version of the program
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the running daemon (%s) speaks version %s of the control API, this program version %d", e.Build, e.Daemon, protocol.Version)
}

// Client is a connection to one daemon. Make it with New.
type Client struct {
	socket string
	http   *http.Client
}

// New makes a client of the daemon behind the socket at path. It connects with
// the first request.
func New(path string) *Client {
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
		// Requests never leave this machine: proxies and compression have no part in it.
		Proxy:              nil,
		DisableCompression: true,
		MaxIdleConns:       4,
		IdleConnTimeout:    30 * time.Second,
	}
	return &Client{socket: path, http: &http.Client{Transport: t}}
}

// Socket is the path the client dials.
func (c *Client) Socket() string { return c.socket }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks how the daemon does.
func (c *Client) Status(ctx context.Context) (*protocol.Status, error) {
	return get[protocol.Status](ctx, c, "/v1/status", nil)
}

// Config asks for the configuration in effect.
func (c *Client) Config(ctx context.Context) (*protocol.ConfigReply, error) {
	return get[protocol.ConfigReply](ctx, c, "/v1/config", nil)
}

// Reload makes the daemon read its configuration again.
func (c *Client) Reload(ctx context.Context) (*protocol.ReloadReply, error) {
	return post[protocol.ReloadReply](ctx, c, "/v1/reload", struct{}{})
}

// Users lists a page of users.
func (c *Client) Users(ctx context.Context, f protocol.UserFilter) (*protocol.UserList, error) {
	q := url.Values{}
	if f.Query != "" {
		q.Set("Query", f.Query)
	}
	if f.After != 0 {
		q.Set("After", strconv.FormatInt(f.After, 10))
	}
	if f.Limit != 0 {
		q.Set("Limit", strconv.Itoa(f.Limit))
	}
	if f.Banned {
		q.Set("Banned", "true")
	}
	if f.Admins {
		q.Set("Admins", "true")
	}
	return get[protocol.UserList](ctx, c, "/v1/users", q)
}

// AddUser makes an account.
func (c *Client) AddUser(ctx context.Context, req protocol.AddUser) (*protocol.User, error) {
	return post[protocol.User](ctx, c, "/v1/users", req)
}

// SetPassword changes a user's password and ends all sessions of the user.
func (c *Client) SetPassword(ctx context.Context, req protocol.SetPassword) (*protocol.User, error) {
	return post[protocol.User](ctx, c, "/v1/users/password", req)
}

// Ban shuts a user out and ends all sessions of the user.
func (c *Client) Ban(ctx context.Context, req protocol.BanUser) (*protocol.User, error) {
	return post[protocol.User](ctx, c, "/v1/users/ban", req)
}

// Unban lets a user in again; user is an id or a user name.
func (c *Client) Unban(ctx context.Context, user string) (*protocol.User, error) {
	return post[protocol.User](ctx, c, "/v1/users/unban", protocol.UserRef{User: user})
}

// Sessions lists where a user is logged in; user is an id or a user name.
func (c *Client) Sessions(ctx context.Context, user string) (*protocol.SessionList, error) {
	return get[protocol.SessionList](ctx, c, "/v1/users/sessions", url.Values{"User": {user}})
}

// Revoke ends one session of a user, or all.
func (c *Client) Revoke(ctx context.Context, req protocol.RevokeSessions) (*protocol.Revoked, error) {
	return post[protocol.Revoked](ctx, c, "/v1/users/revoke", req)
}

// Codes lists the phone verification codes that wait to be typed in.
func (c *Client) Codes(ctx context.Context) (*protocol.PhoneCodeList, error) {
	return get[protocol.PhoneCodeList](ctx, c, "/v1/codes", nil)
}

// Invites lists all invitation codes.
func (c *Client) Invites(ctx context.Context) (*protocol.InviteList, error) {
	return get[protocol.InviteList](ctx, c, "/v1/invites", nil)
}

// CreateInvite makes an invitation code.
func (c *Client) CreateInvite(ctx context.Context, req protocol.CreateInvite) (*protocol.Invite, error) {
	return post[protocol.Invite](ctx, c, "/v1/invites", req)
}

// RevokeInvite makes an invitation code worthless.
func (c *Client) RevokeInvite(ctx context.Context, code string) error {
	_, err := post[struct{}](ctx, c, "/v1/invites/revoke", protocol.InviteRef{Code: code})
	return err
}

func get[Rep any](ctx context.Context, c *Client, path string, q url.Values) (*Rep, error) {
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return do[Rep](ctx, c, http.MethodGet, path, nil)
}

func post[Rep any](ctx context.Context, c *Client, path string, req any) (*Rep, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode request %s: %w", path, err)
	}
	return do[Rep](ctx, c, http.MethodPost, path, body)
}

func do[Rep any](ctx context.Context, c *Client, method, path string, body []byte) (*Rep, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	kind := ""
	if body != nil {
		kind = "application/json"
	}
	return send[Rep](ctx, c, method, path, kind, bytes.NewReader(body), int64(len(body)))
}

// send makes a request that takes as long as ctx allows.
func send[Rep any](ctx context.Context, c *Client, method, path, kind string, body io.Reader, size int64) (*Rep, error) {
	req, err := http.NewRequestWithContext(ctx, method, host+path, body)
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", path, err)
	}
	req.ContentLength = size
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.failed(err)
	}
	defer resp.Body.Close()
	return decode[Rep](resp)
}

// failed tells "nobody is there" from a request that broke off.
func (c *Client) failed(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // its text repeats the made-up address
	}
	oe, ok := errors.AsType[*net.OpError](err)
	if !ok || oe.Op != "dial" {
		return fmt.Errorf("ask the daemon at %s: %w", c.socket, err)
	}
	hint := `Is "gtiv serve" running? Name its data directory with --data DIR or its socket with --socket PATH.`
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
		hint = "Your user may not open this path. Try as root, or as the user that runs the daemon."
	}
	return &NotReachableError{Socket: c.socket, Hint: hint, Err: oe.Err}
}

// decode reads a reply, or the failure in its place.
func decode[Rep any](resp *http.Response) (*Rep, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read reply of the daemon: %w", err)
	}
	if len(body) > maxReplyBytes {
		return nil, fmt.Errorf("reply of the daemon is larger than %d bytes", maxReplyBytes)
	}
	if v := resp.Header.Get(protocol.ControlVersionHeader); v != strconv.Itoa(protocol.Version) {
		return nil, &VersionError{Daemon: orUnknown(v), Build: orUnknown(resp.Header.Get(protocol.ControlBuildHeader))}
	}
	if resp.StatusCode/100 != 2 {
		return nil, failure(resp.Status, body)
	}
	rep := new(Rep)
	if err := json.Unmarshal(body, rep); err != nil {
		return nil, fmt.Errorf("decode reply of the daemon: %w", err)
	}
	return rep, nil
}

func failure(status string, body []byte) error {
	var f protocol.ControlFailure
	if err := json.Unmarshal(body, &f); err != nil || f.Error == nil || f.Error.Message == "" {
		return &protocol.ControlError{Code: protocol.ControlInternal, Message: "the daemon answered " + status}
	}
	return f.Error
}

func orUnknown(s string) string {
	if strings.TrimSpace(s) == "" {
		return "unknown"
	}
	return s
}
