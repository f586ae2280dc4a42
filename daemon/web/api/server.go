package api

import (
	"log/slog"
	"net/http"
	"time"
)

// Limits of every HTTP server of ours. There is no timeout for whole requests
// and answers here: streams and downloads take as long as they take; calls set
// their own.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 32 << 10
)

// NewServer makes a server with bounded headers and idle times. Its own
// complaints (bad requests, failed handshakes) go to log at debug level.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
