package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/BurntSushi/toml"

	"gtiv/packaging"
	"gtiv/protocol/client"
)

// ConfigCmd is "gtiv config": it shows and checks the configuration that
// "gtiv serve" would run with.
type ConfigCmd struct {
	Check   ConfigCheckCmd   `cmd:"" help:"Check the configuration and print everything that is wrong with it."`
	Print   ConfigPrintCmd   `cmd:"" help:"Print the effective configuration: defaults, file, override and environment together."`
	Default ConfigDefaultCmd `cmd:"" help:"Print the documented default configuration, to start a gtiv.toml from."`
}

// ConfigSource are the flags that name the sources; the same as those of
// "gtiv serve".
type ConfigSource struct {
	Config string `placeholder:"FILE" help:"Configuration file."`
	Data   string `placeholder:"DIR" help:"Data directory, for its override.toml."`
	JSON   bool   `name:"json" help:"Write JSON."`
}

func (s ConfigSource) load() (Config, error) { return Load(s.Config, s.Data, os.Environ()) }

// ConfigCheckCmd is "gtiv config check".
type ConfigCheckCmd struct {
	ConfigSource
}

// checkReply is what --json prints, stable for scripts.
type checkReply struct {
	OK       bool
	Problems []Problem
}

// errProblems ends the process with 1 after the problems were printed.
type errProblems struct{}

func (errProblems) Error() string { return "" }
func (errProblems) ExitCode() int { return 1 }

// Run checks and prints.
func (c *ConfigCheckCmd) Run(out io.Writer) error {
	cfg, err := c.load()
	if err == nil {
		err = checkWords(cfg.Moderation)
	}
	ce, wrong := errors.AsType[*ConfigError](err)
	if err != nil && !wrong {
		return err // a file that cannot be read
	}
	if !c.JSON {
		if err == nil {
			_, err = fmt.Fprintln(out, "The configuration is good.")
		}
		return err
	}
	reply := checkReply{OK: !wrong, Problems: []Problem{}}
	if wrong {
		reply.Problems = ce.Problems
	}
	if err := writeJSON(out, reply); err != nil {
		return err
	}
	if wrong {
		return errProblems{}
	}
	return nil
}

// checkWords reads the list of words. Unlike a start it takes none with mistakes.
func checkWords(cfg ModerationConfig) error {
	if _, err := readWords(cfg); err != nil {
		return &ConfigError{Problems: []Problem{{Key: "moderation.words_file", Value: cfg.WordsFile, Text: err.Error()}}}
	}
	return nil
}

// ConfigPrintCmd is "gtiv config print".
type ConfigPrintCmd struct {
	ConfigSource
	Running bool   `help:"Ask the running daemon for the configuration it uses."`
	Socket  string `placeholder:"PATH" help:"Control socket of the daemon, with --running."`
}

// Run prints the configuration as TOML, secrets left out.
func (c *ConfigPrintCmd) Run(ctx context.Context, out io.Writer) error {
	text, err := c.text(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		var tree map[string]any
		if _, err := toml.Decode(text, &tree); err != nil {
			return fmt.Errorf("read configuration of the daemon: %w", err)
		}
		return writeJSON(out, tree)
	}
	_, err = io.WriteString(out, text)
	return err
}

func (c *ConfigPrintCmd) text(ctx context.Context) (string, error) {
	if c.Running {
		reply, err := client.New(client.Find(c.Socket, c.Data)).Config(ctx)
		if err != nil {
			return "", err
		}
		return reply.TOML, nil
	}
	cfg, err := c.load()
	if err != nil {
		return "", err
	}
	return cfg.TOML(), nil
}

// ConfigDefaultCmd is "gtiv config default".
type ConfigDefaultCmd struct {
	JSON bool `name:"json" help:"Write JSON: the keys without their documentation."`
}

// Run prints packaging/gtiv.toml.
func (c *ConfigDefaultCmd) Run(out io.Writer) error {
	if !c.JSON {
		_, err := io.WriteString(out, packaging.DefaultConfig)
		return err
	}
	var tree map[string]any
	if _, err := toml.Decode(packaging.DefaultConfig, &tree); err != nil {
		return fmt.Errorf("read the default configuration: %w", err)
	}
	return writeJSON(out, tree)
}

// TOML is the configuration as a file that reads back to it, except for
// secrets, which read "[redacted]".
func (c Config) TOML() string {
	var b strings.Builder
	e := toml.NewEncoder(&b)
	e.Indent = ""
	if err := e.Encode(c); err != nil {
		panic("daemon: encode configuration: " + err.Error()) // plain structs always encode
	}
	return b.String()
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
