package stream

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Controls is the control API of the original's stream server (wire.md 11.2), on its
// own port.
type Controls struct {
	s *Server
	// Token must come with every request.
	token string
	deps  ControlDeps
	mux   *http.ServeMux
}

// ControlDeps are the rules behind the control API. All are required.
type ControlDeps struct {
	// Key answers the key of a room; Reset gives it another one, Delete takes it away.
	// ErrNoRoom.
	Key, Reset func(ctx context.Context, room string) (string, error)
	Delete     func(ctx context.Context, room string) error
}

// ErrNoRoom means that there is no such room.
var ErrNoRoom = errors.New("no such room")

// NewControls makes the handler. token must not be empty.
func (s *Server) NewControls(token string, deps ControlDeps) *Controls {
	c := &Controls{s: s, token: token, deps: deps, mux: http.NewServeMux()}
	c.mux.HandleFunc("/control/get", c.key(deps.Key))
	c.mux.HandleFunc("/control/reset", c.key(deps.Reset))
	c.mux.HandleFunc("/control/delete", c.delete)
	c.mux.HandleFunc("/control/push", func(w http.ResponseWriter, r *http.Request) { c.relay(w, r, true) })
	c.mux.HandleFunc("/control/pull", func(w http.ResponseWriter, r *http.Request) { c.relay(w, r, false) })
	c.mux.HandleFunc("/stat/livestat", c.stat)
	c.mux.HandleFunc("/streams", c.streams)
	return c
}

// reply is every answer: the status stands in it, too.
func reply(w http.ResponseWriter, status int, data any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Status int `json:"status"`
		Data   any `json:"data"`
	}{status, data}) // the client hung up
}

// ServeHTTP looks at the token and at the host: a page in somebody's browser must not
// reach this by a name that leads here.
func (c *Controls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !localHost(r.Host) {
		reply(w, http.StatusForbidden, "wrong host")
		return
	}
	if r.Header.Get("Origin") != "" { // no page has any business here
		reply(w, http.StatusForbidden, "wrong origin")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	token := strings.TrimSpace(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if token == "" {
		token = r.FormValue("jwt")
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(c.token)) != 1 {
		reply(w, http.StatusForbidden, "a token is needed: Authorization: Bearer, or jwt=")
		return
	}
	c.mux.ServeHTTP(w, r)
}

func localHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func (c *Controls) key(get func(ctx context.Context, room string) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		room := r.FormValue("room")
		if room == "" {
			reply(w, http.StatusBadRequest, "url: /control/get?room=<ROOM_NAME>")
			return
		}
		key, err := get(r.Context(), room)
		if err != nil {
			c.failed(w, err)
			return
		}
		reply(w, http.StatusOK, key)
	}
}

func (c *Controls) failed(w http.ResponseWriter, err error) {
	if errors.Is(err, ErrNoRoom) {
		reply(w, http.StatusNotFound, "room not found")
		return
	}
	c.s.log.Warn("control call failed", "err", err)
	reply(w, http.StatusInternalServerError, "internal error")
}

func (c *Controls) delete(w http.ResponseWriter, r *http.Request) {
	room := r.FormValue("room")
	if room == "" {
		reply(w, http.StatusBadRequest, "url: /control/delete?room=<ROOM_NAME>")
		return
	}
	if err := c.deps.Delete(r.Context(), room); err != nil {
		c.failed(w, err)
		return
	}
	reply(w, http.StatusOK, "Ok")
}

// relayName says whether a room may be called so: letters, digits, "_" and "-".
func relayName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '-'
	})
}

// relay starts and stops a relay.
func (c *Controls) relay(w http.ResponseWriter, r *http.Request, push bool) {
	oper, app, name, url := r.FormValue("oper"), r.FormValue("app"), r.FormValue("name"), r.FormValue("url")
	if oper == "" || app != "live" || !relayName(name) || url == "" {
		reply(w, http.StatusBadRequest, "control push or pull parameter error: oper=start|stop, app=live, name and url are needed")
		return
	}
	key := relayKey{push, name, url}
	switch oper {
	case "start":
		switch err := c.s.startRelay(key); {
		case errors.Is(err, errRelays):
			reply(w, http.StatusServiceUnavailable, err.Error())
		case err != nil:
			reply(w, http.StatusBadRequest, err.Error())
		default:
			reply(w, http.StatusOK, "relay of "+name+" started")
		}
	case "stop":
		if !c.s.stopRelay(key) {
			reply(w, http.StatusNotFound, "session not found")
			return
		}
		reply(w, http.StatusOK, "relay of "+name+" stopped")
	default:
		reply(w, http.StatusBadRequest, "oper is start or stop")
	}
}

// stat is GET /stat/livestat.
func (c *Controls) stat(w http.ResponseWriter, r *http.Request) {
	room := strings.TrimPrefix(r.FormValue("room"), "live/")
	if room != "" && c.s.hub.Stream(room) == nil {
		reply(w, http.StatusNotFound, "room not found")
		return
	}
	type stat struct {
		Key             string `json:"key"`
		URL             string `json:"url"`
		StreamID        int64  `json:"stream_id"`
		VideoTotalBytes int64  `json:"video_total_bytes"`
		VideoSpeed      int64  `json:"video_speed"`
		AudioTotalBytes int64  `json:"audio_total_bytes"`
		AudioSpeed      int64  `json:"audio_speed"`
	}
	var all struct {
		Publishers []stat `json:"publishers"` // null when there are none, as in the original
		Players    []stat `json:"players"`
	}
	for _, v := range c.s.sessions.List(room) {
		st := stat{Key: "live/" + v.Room, URL: v.Protocol + "://" + v.Address.String(), StreamID: v.ID}
		seconds := max(int64(time.Since(v.Began).Seconds()), 1)
		if !v.Publish {
			st.VideoTotalBytes = v.Out.Load()
			st.VideoSpeed = st.VideoTotalBytes * 8 / 1000 / seconds
			all.Players = append(all.Players, st)
			continue
		}
		if s := c.s.hub.Stream(v.Room); s != nil {
			figures := s.Stats()
			st.VideoTotalBytes, st.AudioTotalBytes = figures.VideoBytes, figures.AudioBytes
			st.VideoSpeed, st.AudioSpeed = figures.VideoBytes*8/1000/seconds, figures.AudioBytes*8/1000/seconds
		}
		all.Publishers = append(all.Publishers, st)
	}
	reply(w, http.StatusOK, all)
}

// streams is GET /streams.
func (c *Controls) streams(w http.ResponseWriter, _ *http.Request) {
	type entry struct {
		Key string `json:"key"`
		ID  int64  `json:"id"`
	}
	all := struct {
		Publishers []entry `json:"publishers"`
		Players    []entry `json:"players"`
	}{[]entry{}, []entry{}}
	for _, v := range c.s.sessions.List("") {
		e := entry{"live/" + v.Room, v.ID}
		if v.Publish {
			all.Publishers = append(all.Publishers, e)
		} else {
			all.Players = append(all.Players, e)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all) // the client hung up
}
