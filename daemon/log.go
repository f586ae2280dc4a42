package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// newLogger writes to w. Under systemd the journal has its own clock, so texts
// carry no time there. The level can be changed while running.
func newLogger(w io.Writer, cfg LogConfig, level *slog.LevelVar) (*slog.Logger, error) {
	if err := setLevel(level, cfg.Level); err != nil {
		return nil, err
	}
	opt := &slog.HandlerOptions{Level: level}
	if os.Getenv("JOURNAL_STREAM") != "" {
		opt.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt)), nil
	}
	return slog.New(slog.NewTextHandler(w, opt)), nil
}

func setLevel(level *slog.LevelVar, name string) error {
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.ToUpper(name))); err != nil {
		return fmt.Errorf("log level %q: want debug, info, warn or error", name)
	}
	level.Set(l)
	return nil
}
