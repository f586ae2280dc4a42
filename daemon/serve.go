package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"gtiv/packaging"
)

// ServeCmd is "gtiv serve".
type ServeCmd struct {
	Data       string   `default:"./data" placeholder:"DIR" help:"Data directory; everything the server owns lives in it (default ${default})."`
	Config     string   `placeholder:"FILE" help:"Configuration file (default: none, built-in defaults)."`
	Bind       []string `placeholder:"ADDR" help:"IP address to listen on; may be given several times (default: all)."`
	PortOffset int      `placeholder:"N" help:"Number to add to every port."`
	LogFormat  string   `enum:",text,json" default:"" placeholder:"text|json" help:"Form of the log."`
	LogLevel   string   `enum:",debug,info,warn,error" default:"" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error."`
}

// Run serves until ctx ends. SIGHUP reloads the configuration.
func (c *ServeCmd) Run(ctx context.Context) error { return c.serve(ctx, os.Stderr) }

func (c *ServeCmd) serve(ctx context.Context, logTo io.Writer) error {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	cfg, err := c.load(data)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log, err := newLogger(logTo, cfg.Log, level)
	if err != nil {
		return err
	}
	d, err := New(ctx, Options{
		Data: data, Config: cfg, Bind: cfg.Listen.Bind, PortOffset: cfg.Listen.PortOffset,
		RuntimeDir: os.Getenv("RUNTIME_DIRECTORY"), Version: packaging.Version(), Logger: log, Level: level,
		Reload: func() (Config, error) { return c.load(data) },
	})
	if err != nil {
		return err
	}
	stop := c.reloadOnHangup(ctx, d, log)
	defer stop()
	if err := d.Run(ctx); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// load reads the configuration; flags win over it.
func (c *ServeCmd) load(data string) (Config, error) {
	cfg, err := Load(c.Config, data, os.Environ())
	if err != nil {
		return cfg, err
	}
	if len(c.Bind) > 0 {
		cfg.Listen.Bind = c.Bind
	}
	if c.PortOffset != 0 {
		cfg.Listen.PortOffset = c.PortOffset
	}
	if c.LogFormat != "" {
		cfg.Log.Format = c.LogFormat
	}
	if c.LogLevel != "" {
		cfg.Log.Level = c.LogLevel
	}
	return cfg, cfg.Validate()
}

// reloadOnHangup reloads at every SIGHUP, until the returned function is called.
func (c *ServeCmd) reloadOnHangup(ctx context.Context, d *Daemon, log *slog.Logger) (stop func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-hup:
				if _, _, err := d.Reload(ctx); err != nil {
					log.Error("configuration not reloaded, the old one stays", "err", err)
				}
			}
		}
	}()
	return func() {
		signal.Stop(hup)
		close(done)
		<-ended
	}
}
