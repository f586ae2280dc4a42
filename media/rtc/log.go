package rtc

import (
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// quiet logs what the library complains of where nobody sees it who did not ask: most
// of it clients bring about.
type quiet struct{ log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (q quiet) NewLogger(scope string) logging.LeveledLogger {
	return quiet{q.log.With("scope", scope)}
}

func (q quiet) Trace(string)          {}
func (q quiet) Tracef(string, ...any) {}
func (q quiet) Debug(string)          {}
func (q quiet) Debugf(string, ...any) {}
func (q quiet) Info(string)           {}
func (q quiet) Infof(string, ...any)  {}
func (q quiet) Warn(msg string)       { q.log.Debug("webrtc", "msg", msg) }
func (q quiet) Warnf(format string, a ...any) {
	q.log.Debug("webrtc", "msg", fmt.Sprintf(format, a...))
}
func (q quiet) Error(msg string) { q.log.Debug("webrtc", "msg", msg) }
func (q quiet) Errorf(format string, a ...any) {
	q.log.Debug("webrtc", "msg", fmt.Sprintf(format, a...))
}
